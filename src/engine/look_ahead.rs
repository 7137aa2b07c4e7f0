//! What a rehearsal finds that would be written: below one step of a run, or in all of it.
//!
//! A look ahead of a run that goes on is a machine of its own, with a copy of the facts: it reads, plans and records
//! nothing, and nothing outside its step is performed.

use crate::engine::change::{CHANGES_MAX, Change, Preview};
use crate::engine::facts::Facts;
use crate::engine::ids::StepPath;
use crate::runbook::approval::Need;

/// One write that would be made, and who would have to agree to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    pub change: Change,
    pub needs: Vec<Need>,
    /// Whether the target is among those who ask.
    pub policy: bool,
}

/// What a look ahead came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Previewed {
    /// In the order in which they would be made.
    pub found: Vec<Found>,
    /// Whether these are all.
    pub complete: bool,
    /// Steps at or below which there may be others, which can't be known yet. Not all if they are very many.
    pub open: Vec<StepPath>,
}

impl Previewed {
    /// Only the changes.
    pub fn changes(&self) -> Preview {
        let changes = self.found.iter().map(|found| found.change.clone()).collect();
        Preview { changes, complete: self.complete }
    }
}

/// What a rehearsal looks for.
#[derive(Clone, Debug)]
pub(super) struct Looking {
    /// Below this step; the root is the whole run.
    pub target: StepPath,
    pub found: Vec<Found>,
    /// Something there could not be known.
    pub unknown: bool,
    /// The steps of which that is so.
    pub open: Vec<StepPath>,
    /// The step has ended.
    pub over: bool,
}

impl Looking {
    pub(super) fn below(target: StepPath) -> Looking {
        Looking { target, found: Vec::new(), unknown: false, open: Vec::new(), over: false }
    }

    /// What it found, with the words the driver had for each.
    pub(super) fn come_to(&self, facts: &Facts) -> Previewed {
        let worded = |found: &Found| {
            let end = facts.step(&found.change.step).and_then(|record| record.finished.as_ref());
            let (summary, detail) = end
                .and_then(|end| end.planned.as_ref())
                .map(|planned| (planned.summary.clone(), planned.detail.clone()))
                .unwrap_or_default();
            let change = Change { summary, detail, ..found.change.clone() };
            Found { change, ..found.clone() }
        };
        let whole = self.target == StepPath::root();
        let over = if whole { facts.finished.is_some() } else { self.over };
        let all = whole || self.found.len() <= CHANGES_MAX;
        let complete = over && !self.unknown && all;
        Previewed { found: self.found.iter().map(worded).collect(), complete, open: self.open.clone() }
    }
}
