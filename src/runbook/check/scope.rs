//! Which steps a place can read, and what is certain of them there.

use std::collections::BTreeMap;

use crate::runbook::model::{Body, Step};
use crate::runbook::snippet::Snippet;
use crate::runbook::types::Type;

use super::facts::{Callee, Facts};

/// What is known of a step's outputs without running it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Given {
    /// Anything: a script's last expression.
    Open,
    /// Exactly these.
    Closed(BTreeMap<String, Type>),
    /// Nothing, because of this body.
    Nothing(&'static str),
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

    /// Where the scope stands now; give it to [`Scope::leave_group`].
    pub(super) fn mark(&self) -> usize {
        self.order.len()
    }

    /// A step ran, or was passed by.
    pub(super) fn leave(&mut self, step: &'a Step, facts: &Facts<'_>) {
        let doubt =
            Doubt { conditions: step.condition.iter().collect(), failed: step.continue_on_failure, not_run: false };
        if self.finished {
            self.after_finish.push(&step.id);
        }
        if let Body::Uses { action, .. } = &step.body {
            self.finished |= action.value == "run.finish";
        }
        self.order.push(&step.id);
        self.seen.insert(&step.id, Seen { step, given: given_by(step, facts), doubt });
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

/// What a step's outputs are: its own `outputs`, else what its body gives.
pub(super) fn given_by(step: &Step, facts: &Facts<'_>) -> Given {
    match &step.outputs {
        Some(outputs) => Given::Closed(outputs.iter().map(|(name, _)| (name.value.clone(), Type::Any)).collect()),
        None => result_of(step, facts),
    }
}

/// What a step's body gives, which its `until` and `outputs` read as `result`.
pub(super) fn result_of(step: &Step, facts: &Facts<'_>) -> Given {
    match &step.body {
        Body::Uses { action, .. } => match facts.callee(&action.value) {
            // An empty list of a primitive says nothing; that of an action says there is nothing.
            Callee::Known(spec) if !spec.outputs.is_empty() || !facts.is_primitive(&spec.name) => {
                Given::Closed(spec.outputs.iter().map(|output| (output.name.clone(), output.ty.clone())).collect())
            }
            Callee::Known(_) | Callee::Unusable | Callee::Unknown => Given::Open,
        },
        Body::Script(_) => Given::Open,
        Body::Assert(_) | Body::Findings(_) | Body::Steps(_) | Body::Parallel(_) => Given::Nothing(step.body.key()),
    }
}
