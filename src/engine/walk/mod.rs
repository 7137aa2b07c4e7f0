//! The walk over a program: one task per open scope, each a cursor that only moves forward.
//!
//! A task asks the facts first and decides only what they don't say. So the same walk replays a
//! journal silently, goes on where it ends, and after a decision is simply begun again.

pub(crate) mod again;
pub(crate) mod book;
pub(crate) mod entry;
pub(crate) mod foreach;
pub(crate) mod gate;
pub(crate) mod handing;
pub(crate) mod instance;
pub(crate) mod invocation;
pub(crate) mod leaf;
pub(crate) mod left;
pub(crate) mod limits;
pub(crate) mod parallel;
pub(crate) mod prepare;
pub(crate) mod pure;
pub(crate) mod run;
pub(crate) mod script;
pub(crate) mod sequence;
pub(crate) mod settle;
pub(crate) mod step;
pub(crate) mod undo;

use crate::engine::ids::StepPath;
use crate::engine::scope::{Broken, StepResult};

/// How far a task came.
pub(crate) enum Progress<T> {
    /// It waits; what for is in the decision's waits or in flight.
    Pending,
    Ended(T),
}

/// The end of a step.
pub(crate) struct StepEnd {
    pub result: StepResult,
    /// The innermost step it broke at, if that isn't itself.
    pub broken_at: Option<StepPath>,
    /// It was `run.finish`: the runbook it stands in ends here.
    pub finish: Option<Finish>,
    /// Rehearsal: the runbook may have ended here, so what follows is not certain.
    pub maybe_over: bool,
}

impl StepEnd {
    pub(crate) fn plain(result: StepResult) -> StepEnd {
        StepEnd { result, broken_at: None, finish: None, maybe_over: false }
    }
}

/// A runbook ended by `run.finish`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Finish {
    pub message: Option<String>,
}

/// The end of a block.
pub(crate) enum BlockEnd {
    Done,
    Finished(Finish),
    Broken(Broken),
    /// Stopped at this step, by a cancel or because time was up.
    Cancelled(StepPath),
}
