//! What the walk sees of a run while it decides, and the only things it may do: record, perform, wait, look ahead.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use crate::engine::change::CHANGES_MAX;
use crate::engine::evaluate::Evaluator;
use crate::engine::event::{Body, EVENT_VERSION, Event};
use crate::engine::facts::Facts;
use crate::engine::ids::StepPath;
use crate::engine::look_ahead::{Found, Looking, Previewed};
use crate::engine::machine::{Completion, Decided, Holding, Perform};
use crate::engine::overlay::Overlay;
use crate::engine::scope::Scope;
use crate::engine::walk::Progress;
use crate::engine::walk::gate::Guard;
use crate::engine::walk::leaf::Leaf;
use crate::runbook::program::{FileKind, Program};
use crate::runbook::spec::Effect;
use crate::script::sandbox::Sandbox;
use crate::script::value::Value;

/// What the walk sees and does while it decides.
pub(crate) struct Env<'a> {
    pub program: &'a Arc<Program>,
    pub sandbox: &'a Sandbox,
    pub facts: &'a mut Facts,
    pub now: Timestamp,
    pub(super) in_flight: &'a mut BTreeMap<StepPath, u32>,
    pub(super) completions: &'a mut BTreeMap<StepPath, Completion>,
    pub(super) polls: &'a mut BTreeMap<StepPath, (u32, Leaf)>,
    pub decided: Decided,
    /// Above zero below an `if` that a rehearsal can't decide.
    pub maybe: u32,
    /// In `on_failure` or `finally`, which a cancel doesn't stop.
    pub afterwards: bool,
    /// In `on_failure` or `finally` of what failed or was stopped.
    pub amiss: bool,
    /// When the time of what is being walked is up: of the run, of a step around, or of what runs afterwards.
    pub deadline: Option<Timestamp>,
    pub(super) holding: &'a Holding,
    /// Approvals around what is being walked, outermost first.
    pub guards: Vec<Guard>,
    /// Texts of the actions around it, by name and digest, outermost first.
    pub texts: Vec<String>,
    pub single_operator: bool,
    pub(super) wanted: &'a mut BTreeSet<StepPath>,
    pub(super) previews: &'a mut BTreeMap<StepPath, Previewed>,
    pub(super) looking: &'a mut Option<Looking>,
    /// Rehearsal: the world as far as planned writes would change it.
    pub overlay: &'a mut Overlay,
    /// Above zero below the step that is looked ahead of.
    pub(super) inside: usize,
}

impl Env<'_> {
    /// What a look ahead of this step has found; nothing until there was one.
    pub(crate) fn preview(&mut self, step: &StepPath) -> Option<Previewed> {
        let seen = self.previews.remove(step);
        if seen.is_none() {
            self.wanted.insert(step.clone());
        }
        seen
    }

    /// Rehearsal: notes a write that would be made.
    pub(crate) fn find(&mut self, found: Found) {
        if let Some(looking) = self.looking.as_mut().filter(|_| self.inside > 0) {
            // One more than can be shown says that there are more.
            if looking.found.len() <= CHANGES_MAX || looking.target == StepPath::root() {
                looking.found.push(found);
            }
        }
    }

    /// Rehearsal: notes that there may be writes at or below a step that can't be known.
    pub(crate) fn find_unknown(&mut self, step: &StepPath) {
        if self.is_rehearsal() {
            self.overlay.forget();
        }
        if let Some(looking) = self.looking.as_mut().filter(|_| self.inside > 0) {
            looking.unknown = true;
            looking.open.push(step.clone());
        }
    }

    /// Does the work of the step at a path, which may be the one that is looked ahead of.
    pub(crate) fn at_step<T>(
        &mut self,
        path: &StepPath,
        work: impl FnOnce(&mut Self) -> Progress<T>,
        went_well: impl FnOnce(&T) -> bool,
    ) -> Progress<T> {
        if self.looking.as_ref().is_none_or(|looking| looking.target != *path) {
            return work(self);
        }
        self.inside += 1;
        let progress = work(self);
        self.inside -= 1;
        if let (Progress::Ended(end), Some(looking)) = (&progress, self.looking.as_mut()) {
            looking.over = true;
            looking.unknown |= !went_well(end);
        }
        progress
    }

    /// Records what an action's text is while its steps are walked.
    pub(crate) fn within_text<T>(&mut self, name: &str, kind: FileKind, work: impl FnOnce(&mut Self) -> T) -> T {
        let files = self.facts.started.as_ref().map_or(&[][..], |started| started.files.as_slice());
        let digest = files.iter().find(|file| file.kind == kind && file.name == name).map(|file| file.digest.as_str());
        self.texts.push(format!("{name} {}", digest.unwrap_or_default()));
        let done = work(self);
        self.texts.pop();
        done
    }

    /// Whether a hold keeps this effect from starting now; the run's journal says once that it met it.
    pub(crate) fn held(&mut self, effect: Effect) -> bool {
        let Holding::On(hold) = self.holding else { return false };
        if !effect.changes_the_world() {
            return false;
        }
        if self.facts.held.is_none() {
            self.emit(Body::HoldOn(hold.clone()));
        }
        self.decided.waits.held = Some(hold.clone());
        if let Some(deadline) = self.deadline {
            self.decided.waits.limit(deadline);
        }
        true
    }

    /// Records that a hold the run had met is over, or is another one.
    pub(super) fn go_on_after_hold(&mut self) {
        let by = match (self.holding, &self.facts.held) {
            (_, None) => return,
            (Holding::On(hold), Some(met)) if hold == met => return,
            (Holding::On(_), _) => None,
            (Holding::Off { by }, _) => by.clone(),
        };
        self.emit(Body::HoldOff { actor: by });
    }

    /// Records a fact.
    pub(crate) fn emit(&mut self, body: Body) {
        let event = Event { v: EVENT_VERSION, seq: self.facts.next_seq, ts: self.now, body };
        match self.facts.apply(&event) {
            Ok(()) => self.decided.events.push(event),
            // A walk that contradicts its own facts must not go on: stop, and let a person look.
            Err(error) => self.pause(error.to_string()),
        }
    }

    /// Stops deciding and says why.
    pub(crate) fn pause(&mut self, reason: String) {
        if self.decided.waits.paused.is_some() {
            return;
        }
        self.decided.waits.paused = Some(reason.clone());
        let event = Event {
            v: EVENT_VERSION,
            seq: self.facts.next_seq,
            ts: self.now,
            body: Body::RunPaused { reason, actor: None },
        };
        if self.facts.apply(&event).is_ok() {
            self.decided.events.push(event);
        }
    }

    /// Whether nothing new may start here: cancelled, or its time is up.
    pub(crate) fn stopping(&self) -> bool {
        self.is_cancelled() || self.deadline.is_some_and(|until| self.now >= until)
    }

    /// Whether somebody stopped the run, and this is a part of it that is stopped by that.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.facts.cancelled.is_some() && !self.afterwards
    }

    /// Whether a limit that ends at `until` is up, and was up before anything else stopped what is being walked: a
    /// walk from the start must give the reason that held then, whatever has happened since.
    pub(crate) fn is_first_up(&self, until: Option<Timestamp>) -> bool {
        let cancelled_at = self.facts.cancelled_at.filter(|_| self.is_cancelled());
        let others = [self.deadline, cancelled_at];
        until.is_some_and(|until| self.now >= until && others.into_iter().flatten().all(|other| until <= other))
    }

    /// Whether nothing is changed and nobody waited for.
    pub(crate) fn is_rehearsal(&self) -> bool {
        self.looking.is_some() || self.facts.started.as_ref().is_some_and(|started| started.rehearsal)
    }

    /// Looks again when a limit is used up, if it isn't yet.
    pub(crate) fn until_limit(&mut self, limit: Option<Timestamp>) {
        if let Some(limit) = limit.filter(|limit| self.now < *limit) {
            self.decided.waits.limit(limit);
        }
    }

    /// Does `work` within a limit, beside those around it.
    pub(crate) fn limited<T>(&mut self, limit: Option<Timestamp>, work: impl FnOnce(&mut Self) -> T) -> T {
        let around = self.deadline;
        self.deadline = [around, limit].into_iter().flatten().min();
        let done = work(self);
        self.deadline = around;
        done
    }

    /// Does `work` that is not stopped by what stops the main steps, and has its own time.
    pub(crate) fn aside<T>(&mut self, budget: Timestamp, work: impl FnOnce(&mut Self) -> T) -> T {
        let around = (self.afterwards, self.deadline);
        (self.afterwards, self.deadline) = (true, Some(budget));
        let done = work(self);
        (self.afterwards, self.deadline) = around;
        done
    }

    /// Hands an effect to the driver.
    pub(crate) fn perform(&mut self, perform: Perform) {
        self.in_flight.insert(perform.step.clone(), perform.attempt);
        // What stands beside the step that is looked ahead of stays as it is.
        if self.looking.is_none() || self.inside > 0 {
            self.decided.perform.push(perform);
        }
    }

    pub(crate) fn is_in_flight(&self, step: &StepPath) -> bool {
        self.in_flight.contains_key(step)
    }

    pub(crate) fn take_completion(&mut self, step: &StepPath) -> Option<Completion> {
        self.completions.remove(step)
    }

    /// Keeps what a poll knows.
    pub(crate) fn keep_poll(&mut self, step: &StepPath, attempt: u32, leaf: Leaf) {
        self.polls.insert(step.clone(), (attempt, leaf));
    }

    /// What the poll knew that this attempt is.
    pub(crate) fn poll(&self, step: &StepPath, attempt: u32) -> Option<Leaf> {
        self.polls.get(step).filter(|(known, _)| *known == attempt).map(|(_, leaf)| leaf.clone())
    }

    /// Nobody looks at this step any more.
    pub(crate) fn forget_poll(&mut self, step: &StepPath) {
        self.polls.remove(step);
    }

    pub(crate) fn evaluator<'e>(&'e self, scope: &'e Scope, result: Option<&'e Value>) -> Evaluator<'e> {
        Evaluator { sandbox: self.sandbox, facts: self.facts, scope, result }
    }
}
