//! Which steps a place can read, and what is certain of them there.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crate::runbook::model::{Body, Step};
use crate::runbook::sealing::Sealing;
use crate::runbook::sites;
use crate::runbook::snippet::Snippet;
use crate::runbook::types::Type;

use super::facts::{Callee, Facts};
use super::sealed;

/// What is known of a step's outputs without running it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Given {
    /// Anything: a script's last expression.
    Open,
    /// Exactly these; shared, because every scope that is set aside holds them all.
    Closed(Rc<BTreeMap<String, Output>>),
    /// A list: those of each item of a `foreach`.
    List,
    /// Nothing, because of this body.
    Nothing(&'static str),
}

/// What is known of one output.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Output {
    pub(super) ty: Type,
    /// What of it is sealed, as far as the text says.
    pub(super) sealed: Option<Sealing>,
    /// Names that come in the clear all the same.
    pub(super) revealed: BTreeSet<String>,
}

impl Output {
    /// One of which only the name is known.
    pub(super) fn any() -> Output {
        Output { ty: Type::Any, sealed: None, revealed: BTreeSet::new() }
    }
}

/// Why a step that stands before may have no outputs all the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Doubt<'a> {
    /// It runs only if all of these hold.
    pub(super) conditions: Vec<&'a Snippet>,
    /// It, or a group around it, lets the run go on after a failure.
    pub(super) failed: bool,
    /// The run may end before it.
    pub(super) not_run: bool,
}

impl Doubt<'_> {
    pub(super) fn any(&self) -> bool {
        self.failed || self.not_run || !self.conditions.is_empty()
    }

    /// The end of "its outputs are read, but it …".
    pub(super) fn reason(&self) -> &'static str {
        match (self.failed, self.not_run, self.conditions.is_empty()) {
            (_, true, _) => "may not have run",
            (true, _, _) => "may have failed",
            (_, _, false) => "may have been skipped",
            _ => "has run",
        }
    }
}

/// A step that can be read.
#[derive(Clone, Debug)]
pub(super) struct Seen<'a> {
    pub(super) step: &'a Step,
    pub(super) given: Given,
    pub(super) doubt: Doubt<'a>,
}

/// The steps a place can read, by id.
#[derive(Clone, Debug, Default)]
pub(super) struct Scope<'a> {
    seen: BTreeMap<&'a str, Seen<'a>>,
    /// Ids in the order they were left, so that a group can find its own.
    order: Vec<&'a str>,
    /// The run may already have been ended by a `run.finish`.
    finished: bool,
    /// Steps behind a `run.finish`.
    after_finish: Vec<&'a str>,
}

impl<'a> Scope<'a> {
    pub(super) fn get(&self, id: &str) -> Option<&Seen<'a>> {
        self.seen.get(id)
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = &'a str> {
        self.seen.keys().copied()
    }

    /// Where the scope stands now; give it to [`Scope::leave_group`] or [`Scope::take_since`].
    pub(super) fn mark(&self) -> usize {
        self.order.len()
    }

    /// Whether a `run.finish` may have ended the run here.
    pub(super) fn finished(&self) -> bool {
        self.finished
    }

    /// Says whether a `run.finish` may have ended the run: branches of a `parallel` don't end each other.
    pub(super) fn set_finished(&mut self, finished: bool) {
        self.finished = finished;
    }

    /// Takes out the steps left since a mark: what follows can't see them.
    pub(super) fn take_since(&mut self, mark: usize) -> Vec<Seen<'a>> {
        let hidden = self.order.split_off(mark);
        hidden.into_iter().filter_map(|id| self.seen.remove(id)).collect()
    }

    /// Puts back what was taken out.
    pub(super) fn put_back(&mut self, taken: Vec<Seen<'a>>) {
        for seen in taken {
            self.order.push(&seen.step.id);
            self.seen.insert(&seen.step.id, seen);
        }
    }

    /// A step ran, or was passed by; its body gave `result`. Of a `hidden` one nothing is known but that it is there.
    pub(super) fn leave(&mut self, step: &'a Step, hidden: bool, result: &Given) {
        let doubt =
            Doubt { conditions: step.condition.iter().collect(), failed: step.continue_on_failure, not_run: false };
        let doubt = if hidden { Doubt::default() } else { doubt };
        let given = if hidden { Given::Open } else { given_by(step, result) };
        if self.finished {
            self.after_finish.push(&step.id);
        }
        if let Body::Uses { action, .. } = &step.body {
            self.finished |= action.value == "run.finish";
        }
        self.order.push(&step.id);
        self.seen.insert(&step.id, Seen { step, given, doubt });
    }

    /// A step as its own `undo` sees it: what this run of it, or this item, gave.
    pub(super) fn leave_to_undo(&mut self, step: &'a Step, hidden: bool, facts: &Facts<'_>) {
        let given = if hidden { Given::Open } else { given_once(step, &result_of(step, facts)) };
        self.order.push(&step.id);
        self.seen.insert(&step.id, Seen { step, given, doubt: Doubt::default() });
    }

    /// The steps inside a group stay visible behind it, with the group's own doubts.
    pub(super) fn leave_group(&mut self, group: &'a Step, mark: usize) {
        for id in &self.order[mark..] {
            let Some(seen) = self.seen.get_mut(id) else { continue };
            seen.doubt.conditions.extend(&group.condition);
            seen.doubt.failed |= group.continue_on_failure;
        }
    }

    /// The main steps as `on_failure` and `finally` see them: any of them may not have run.
    pub(super) fn after_the_run(&self) -> Scope<'a> {
        let mut scope = self.clone();
        scope.seen.values_mut().for_each(|seen| seen.doubt.not_run = true);
        scope
    }

    /// The main steps as the file's `outputs` see them, after a run that ended well.
    pub(super) fn after_success(&self) -> Scope<'a> {
        let mut scope = self.clone();
        for id in &self.after_finish {
            if let Some(seen) = scope.seen.get_mut(id) {
                seen.doubt.not_run = true;
            }
        }
        scope
    }
}

/// What a step's outputs are, whose body gives `result`: a list for a `foreach`, its own `outputs`, else the result.
fn given_by(step: &Step, result: &Given) -> Given {
    match &step.foreach {
        Some(_) => Given::List,
        None => given_once(step, result),
    }
}

/// What a step gives that runs once, or one item of its `foreach`.
fn given_once(step: &Step, result: &Given) -> Given {
    let given = match &step.outputs {
        Some(outputs) => {
            let outputs: BTreeMap<_, _> = outputs.iter().map(|(name, _)| (name.value.clone(), Output::any())).collect();
            Given::Closed(outputs.into())
        }
        None => result.clone(),
    };
    match (given, &step.settle) {
        // Of a doubt that was settled it gives what its `settle` adopts.
        (Given::Closed(mut outputs), Some(settle)) if !settle.outputs.is_empty() => {
            let all = Rc::make_mut(&mut outputs);
            for (name, _) in &settle.outputs {
                all.entry(name.value.clone()).or_insert_with(Output::any);
            }
            Given::Closed(outputs)
        }
        (given, _) => given,
    }
}

/// What the `until` and `fail_if` of a step read as `result`: what its body gave; of a group, which gives nothing by
/// itself, its `outputs`; of a `foreach`, the outputs of the item it is at.
pub(super) fn looked_at(step: &Step, result: &Given) -> Given {
    match (&step.body, &step.foreach, &step.outputs) {
        // Said where the group is looked at.
        (Body::Steps(_), None, None) => Given::Open,
        (Body::Steps(_), _, _) | (_, Some(_), _) => given_once(step, result),
        _ => result.clone(),
    }
}

/// What a step's body gives, which its `outputs` read as `result`.
pub(super) fn result_of(step: &Step, facts: &Facts<'_>) -> Given {
    match &step.body {
        Body::Uses { action, .. } => {
            let child = sites::of_step(step).iter().find_map(sites::Site::child);
            let callee = child.map_or_else(|| facts.callee(&action.value), |child| facts.child(&child.value));
            match callee {
                // An empty list of a primitive says nothing; that of an action says there is nothing.
                Callee::Known(spec) if !spec.outputs.is_empty() || !facts.is_primitive(&spec.name) => {
                    Given::Closed(sealed::outputs(step, spec).into())
                }
                Callee::Known(_) | Callee::Unusable | Callee::Unknown => Given::Open,
            }
        }
        Body::Script(_) => Given::Open,
        Body::Assert(_) | Body::Findings(_) | Body::Steps(_) | Body::Parallel(_) => Given::Nothing(step.body.key()),
    }
}
