//! What was done and can be taken back: which steps, in which order, and how far that has come.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::engine::event::{Actor, Decision, UndoStarted};
use crate::engine::facts::{Facts, Record, Resend, RunEnd};
use crate::engine::ids::StepPath;
use crate::engine::outcome::{Outcome, UndoOutcome};
use crate::engine::reopen::AFTERWARDS;
use crate::runbook::locate::undone_by;
use crate::runbook::program::Program;

/// Steps being taken back, or that were.
#[derive(Clone, Debug, PartialEq)]
pub struct Undoing {
    /// Nobody if the runbook says so.
    pub actor: Option<Actor>,
    pub reason: Option<String>,
    /// In the order in which they are taken back.
    pub steps: Vec<StepPath>,
    /// Changes that nothing takes back.
    pub without_undo: Vec<StepPath>,
    pub started_at: Timestamp,
    pub end: Option<UndoEnd>,
    /// How the run had ended that is taken back.
    ended: Option<RunEnd>,
}

/// How it ended.
#[derive(Clone, Debug, PartialEq)]
pub struct UndoEnd {
    pub outcome: UndoOutcome,
    /// The next one first.
    pub left: Vec<StepPath>,
    pub at: Timestamp,
}

/// What can be taken back, and what can't.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// What ended last comes first.
    pub steps: Vec<StepPath>,
    /// Changes that nothing takes back.
    pub without_undo: Vec<StepPath>,
    /// Writes a person passed over, of which nobody knows whether they happened.
    pub unknown: Vec<StepPath>,
}

/// What is to be taken back of the runbook or action whose steps' paths start at `base`.
///
/// A write that is done or failed, which may have changed something as well, belongs to the outermost step around
/// it, below `base`, that has an `undo`; that one ended when the last of its writes did. What was taken back since
/// is left out.
pub fn due(program: &Program, facts: &Facts, base: &StepPath) -> Due {
    let mut last: BTreeMap<StepPath, u64> = BTreeMap::new();
    let (mut without_undo, mut unknown) = (Vec::new(), Vec::new());
    for (path, record) in facts.steps.iter().filter(|(path, _)| path.is_below(base) && !path.is_undo()) {
        let certain = match changed(record) {
            Changed::No => continue,
            Changed::Perhaps => false,
            Changed::Yes => true,
        };
        let owners: Vec<_> = undone_by(program, path.as_str())
            .into_iter()
            .map(|(owner, undo)| (StepPath::new(owner), undo.safe_if_never_happened))
            .collect();
        if owners.iter().any(|(owner, _)| facts.is_taken_back(owner, record.ended_seq)) {
            continue;
        }
        match owners.into_iter().find(|(owner, _)| owner.is_below(base)) {
            None => without_undo.push((record.ended_seq, path.clone())),
            Some((_, safe)) if !certain && !safe => unknown.push((record.ended_seq, path.clone())),
            Some((owner, _)) => {
                let seq = last.entry(owner).or_default();
                *seq = record.ended_seq.max(*seq);
            }
        }
    }
    let last_first = |mut found: Vec<(u64, StepPath)>| {
        found.sort_by_key(|(seq, _)| std::cmp::Reverse(*seq));
        found.into_iter().map(|(_, path)| path).collect()
    };
    Due {
        steps: last_first(last.into_iter().map(|(path, seq)| (seq, path)).collect()),
        without_undo: last_first(without_undo),
        unknown: last_first(unknown),
    }
}

/// Whether a step changed the world.
enum Changed {
    Yes,
    No,
    /// Nobody knows, and a person has passed it over.
    Perhaps,
}

fn changed(record: &Record) -> Changed {
    let sent = record.started.as_ref().is_some_and(|started| started.intent.key.is_some());
    let outcome = record.finished.as_ref().filter(|_| sent).map(|end| end.outcome);
    let outcome = if outcome == Some(Outcome::Skipped) { record.passed } else { outcome };
    match outcome {
        Some(Outcome::Done | Outcome::Failed) => Changed::Yes,
        Some(Outcome::InDoubt) => Changed::Perhaps,
        _ => Changed::No,
    }
}

/// Where the paths of what `run.undo` takes back start: the runbook or action that the call stands in.
pub(crate) fn base_of(call: &StepPath) -> StepPath {
    let last = |path: &StepPath| path.as_str().rsplit('/').next().is_some_and(|last| AFTERWARDS.contains(&last));
    let block = call.ancestors().find(last).unwrap_or_else(StepPath::root);
    let base = block.as_str().rsplit_once('/').map_or("", |(base, _)| base);
    StepPath::new(base)
}

impl Facts {
    /// Whether the ended run is being taken back right now.
    pub fn is_undoing(&self) -> bool {
        self.undo_of_run().is_some_and(|undo| undo.end.is_none())
    }

    /// Whether the ended run was taken back, as far as it can be.
    pub fn is_undone(&self) -> bool {
        let end = self.undo_of_run().and_then(|undo| undo.end.as_ref());
        self.finished.is_some() && end.is_some_and(|end| end.outcome == UndoOutcome::Done)
    }

    /// How taking the run back as a whole stands, if somebody began it.
    pub fn undo_of_run(&self) -> Option<&Undoing> {
        self.undos.get(&StepPath::root())
    }

    /// How the run had ended, also while it is taken back.
    pub(crate) fn end_of_run(&self) -> Option<&RunEnd> {
        self.finished.as_ref().or_else(|| self.undo_of_run()?.ended.as_ref())
    }

    /// Steps that wait for a person because they, or one before them, could not be taken back; the next one first.
    pub fn left_to_undo(&self) -> &[StepPath] {
        let stuck = |undo: &&Undoing| undo.end.as_ref().is_some_and(|end| end.outcome == UndoOutcome::Stuck);
        let whole = self.undo_of_run();
        let undo = if whole.is_some() { whole.filter(stuck) } else { self.undos.values().find(stuck) };
        undo.and_then(|undo| undo.end.as_ref()).map_or(&[], |end| &end.left)
    }

    pub(super) fn is_stuck(&self) -> bool {
        !self.left_to_undo().is_empty()
    }

    pub(super) fn undo_at(&self, by: Option<&StepPath>) -> Option<&Undoing> {
        self.undos.get(by.unwrap_or(&StepPath::root()))
    }

    /// Whether a step was taken back after the event `seq`, or a person said that it needn't be.
    fn is_taken_back(&self, owner: &StepPath, seq: u64) -> bool {
        self.step(&owner.undo()).is_some_and(|record| {
            let over = record.end().is_some_and(|end| matches!(end.outcome, Outcome::Done | Outcome::Skipped));
            over && record.ended_seq > seq
        })
    }

    /// Whether a person may decide about a step: not if that would go on from what was taken back.
    ///
    /// # Errors
    /// Why not, and what can be done instead.
    pub fn may_be_decided(&self, step: &StepPath, decision: Decision) -> Result<(), (&'static str, &'static str)> {
        if step.is_undo() {
            return match self.finished.is_none() || self.undo_of_run().is_some_and(|_| self.is_stuck()) {
                true => Ok(()),
                false => Err(("takes a step of an ended run back", "go on with  rerail undo RUN")),
            };
        }
        let taken_back = |base: &StepPath| {
            let afterwards = AFTERWARDS.iter().any(|block| step.is_below(&base.join(block)));
            let whole = base == &StepPath::root() && self.undo_of_run().is_some();
            let around = decision == Decision::Retry && (base == step || base.is_below(step));
            (step.is_below(base) && (whole || !afterwards)) || around
        };
        match self.undone.iter().any(taken_back) {
            true => Err(("belongs to what was taken back: going on would build on what is gone", "start a new run")),
            false => Ok(()),
        }
    }

    pub(super) fn begin_undo(&mut self, started: &UndoStarted, at: Timestamp) {
        let key = started.by.clone().unwrap_or_else(StepPath::root);
        for path in started.steps.iter().map(StepPath::undo) {
            // What was agreed to was another time.
            self.forget_approvals(&path, at);
            let Some(record) = self.steps.get_mut(&path) else { continue };
            let over = record.end().is_some_and(|end| matches!(end.outcome, Outcome::Done | Outcome::Skipped));
            record.resend = Some(Resend::Fresh);
            record.pause = None;
            match over {
                // What it took back was done again since.
                true => self.forget_below(&path),
                false => self.forget_what_may_be_done_again(&path),
            }
        }
        self.undo_starts += 1;
        if !started.steps.is_empty() {
            self.undone.insert(started.by.as_ref().map_or_else(StepPath::root, base_of));
        }
        let mut ended = None;
        if started.by.is_none() {
            ended = self.finished.take();
            (self.cancelled, self.paused) = (None, None);
            self.leg += 1;
            self.resumed_at = at;
            self.resumed.push((self.next_seq, at));
            self.fence = started.fence.unwrap_or(self.fence);
        }
        let undoing = Undoing {
            actor: started.actor.clone(),
            reason: started.reason.clone(),
            steps: started.steps.clone(),
            without_undo: started.without_undo.clone(),
            started_at: at,
            end: None,
            ended,
        };
        self.undos.insert(key, undoing);
    }

    pub(super) fn end_undo(&mut self, by: Option<&StepPath>, outcome: UndoOutcome, left: &[StepPath], at: Timestamp) {
        let key = by.cloned().unwrap_or_else(StepPath::root);
        if outcome == UndoOutcome::Done {
            // What was left of a part is no longer left.
            let base = by.map_or_else(StepPath::root, base_of);
            self.undos.retain(|call, _| call == &key || !call.is_below(&base));
        }
        let Some(undo) = self.undos.get_mut(&key) else { return };
        undo.end = Some(UndoEnd { outcome, left: left.to_vec(), at });
        if by.is_none() {
            self.finished = undo.ended.take();
            self.held = None;
        }
    }

    /// A person decided about a step that could not be taken back: it goes on from there.
    pub(super) fn go_on_with_undo(&mut self) {
        let Some(undo) = self.undos.get_mut(&StepPath::root()) else { return };
        undo.end = None;
        undo.ended = self.finished.take();
        (self.cancelled, self.cancelled_at) = (None, None);
    }

    /// Everything in a step runs anew: nothing of it counts as taken back.
    pub(super) fn forget_undone(&mut self, path: &StepPath) {
        self.undone.retain(|base| base != path && !base.is_below(path));
    }
}
