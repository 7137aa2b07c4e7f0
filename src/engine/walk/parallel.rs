//! Branches side by side: each runs to its own end and sees nothing of the others.

use std::sync::Arc;

use crate::engine::machine::Env;
use crate::engine::outcome::Outcome;
use crate::engine::scope::{Broken, Scope};
use crate::engine::walk::sequence::{BlockTask, visible};
use crate::engine::walk::{BlockEnd, Finish, Progress};
use crate::runbook::model::Block;

/// One pass over the branches.
pub(crate) struct ParallelTask {
    branches: Vec<Branch>,
}

struct Branch {
    block: Block,
    scope: Scope,
    task: BlockTask,
    end: Option<BlockEnd>,
}

impl ParallelTask {
    pub(crate) fn new(branches: &Block, scope: &Scope) -> ParallelTask {
        let branch = |step: &Arc<_>| {
            let block: Block = Arc::from([Arc::clone(step)]);
            Branch { task: BlockTask::new(&block), block, scope: scope.clone(), end: None }
        };
        ParallelTask { branches: branches.iter().map(branch).collect() }
    }

    /// Rehearsal: the runbook may have ended in one of them.
    pub(crate) fn maybe_over(&self) -> bool {
        self.branches.iter().any(|branch| branch.task.maybe_over)
    }

    /// Moves every branch. When all have ended, what is in them becomes visible in `scope`.
    pub(crate) fn advance(&mut self, env: &mut Env, scope: &mut Scope) -> Progress<BlockEnd> {
        for branch in self.branches.iter_mut().filter(|branch| branch.end.is_none()) {
            if let Progress::Ended(end) = branch.task.advance(env, &mut branch.scope) {
                branch.end = Some(end);
            }
        }
        if self.branches.iter().any(|branch| branch.end.is_none()) {
            return Progress::Pending;
        }
        for branch in &self.branches {
            for step in visible(&branch.block) {
                if let Some(result) = branch.scope.results.get(&step.id) {
                    Arc::make_mut(&mut scope.results).insert(step.id.clone(), Arc::clone(result));
                }
            }
        }
        Progress::Ended(worst(self.branches.iter_mut().filter_map(|branch| branch.end.take())))
    }
}

/// The end of all of them: the worst one, ties by path; `run.finish` counts if nothing is worse.
fn worst(ends: impl Iterator<Item = BlockEnd>) -> BlockEnd {
    let mut broken: Option<Broken> = None;
    let mut finish: Option<Finish> = None;
    let mut cancelled = None;
    for end in ends {
        match end {
            BlockEnd::Done => {}
            BlockEnd::Finished(found) => {
                finish.get_or_insert(found);
            }
            BlockEnd::Cancelled(step) => {
                cancelled.get_or_insert(step);
            }
            BlockEnd::Broken(found) => broken = Some(worse(broken, found)),
        }
    }
    match (cancelled, broken, finish) {
        (Some(step), ..) => BlockEnd::Cancelled(step),
        (None, Some(broken), _) => BlockEnd::Broken(broken),
        (None, None, Some(finish)) => BlockEnd::Finished(finish),
        (None, None, None) => BlockEnd::Done,
    }
}

/// The worse of two failures; of equal ones that of the lesser path.
pub(crate) fn worse(one: Option<Broken>, other: Broken) -> Broken {
    let Some(one) = one else { return other };
    match badness(other.outcome).cmp(&badness(one.outcome)) {
        std::cmp::Ordering::Greater => other,
        std::cmp::Ordering::Equal if other.step < one.step => other,
        _ => one,
    }
}

fn badness(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Cancelled => 4,
        Outcome::Rejected => 3,
        Outcome::Failed | Outcome::InDoubt => 2,
        Outcome::Refused => 1,
        Outcome::Done | Outcome::Skipped | Outcome::NotRun | Outcome::Planned => 0,
    }
}
