//! Steps in order, as a cursor.

use std::sync::Arc;

use crate::engine::machine::Env;
use crate::engine::outcome::{Failure, FailureKind, Outcome};
use crate::engine::scope::{Broken, Scope, StepResult};
use crate::engine::walk::step::StepTask;
use crate::engine::walk::{BlockEnd, Progress, StepEnd};
use crate::runbook::model::{Block, Step};

/// One pass over a block.
pub(crate) struct BlockTask {
    block: Block,
    next: usize,
    current: Option<Box<StepTask>>,
    /// Rehearsal: the runbook may have ended before the next step.
    pub(crate) maybe_over: bool,
}

impl BlockTask {
    pub(crate) fn new(block: &Block) -> BlockTask {
        BlockTask { block: Arc::clone(block), next: 0, current: None, maybe_over: false }
    }

    pub(crate) fn advance(&mut self, env: &mut Env, scope: &mut Scope) -> Progress<BlockEnd> {
        loop {
            if env.decided.waits.paused.is_some() {
                return Progress::Pending;
            }
            let Some(step) = self.block.get(self.next) else { return Progress::Ended(BlockEnd::Done) };
            if self.current.is_none() {
                let path = scope.prefix.join(&step.id);
                if env.stopping() && !has_begun(env, scope, step) {
                    self.leave_rest(scope);
                    return Progress::Ended(BlockEnd::Cancelled(path));
                }
                self.current = Some(Box::new(StepTask::new(step, path)));
            }
            let Some(task) = &mut self.current else { continue };
            env.maybe += u32::from(self.maybe_over);
            let progress = task.advance(env, scope);
            env.maybe -= u32::from(self.maybe_over);
            let end = match progress {
                Progress::Pending => return Progress::Pending,
                Progress::Ended(end) => end,
            };
            self.maybe_over |= end.maybe_over;
            let step = Arc::clone(step);
            self.current = None;
            self.next += 1;
            let cancelled = end.result.outcome == Outcome::Cancelled;
            // Neither a cancel nor a "no" is passed over by what is said about failures.
            let final_word = cancelled || end.result.outcome == Outcome::Rejected;
            let broken = broken(&end).filter(|_| final_word || !step.continue_on_failure);
            Arc::make_mut(&mut scope.results).insert(step.id.clone(), Arc::new(end.result));
            if let Some(broken) = broken {
                self.leave_rest(scope);
                return Progress::Ended(match cancelled {
                    true => BlockEnd::Cancelled(broken.step),
                    false => BlockEnd::Broken(broken),
                });
            }
            if let Some(finish) = end.finish {
                self.leave_rest(scope);
                return Progress::Ended(BlockEnd::Finished(finish));
            }
        }
    }

    /// Marks what will not run, so that reading its outputs can say why.
    fn leave_rest(&self, scope: &mut Scope) {
        let rest: Block = self.block.iter().skip(self.next).cloned().collect();
        mark_all(scope, &rest, Outcome::NotRun);
    }
}

/// The steps of a block whose ids can be read behind it: those in groups, not those in a loop.
pub(crate) fn visible(block: &Block) -> Vec<&Arc<Step>> {
    let mut found = Vec::new();
    for step in block.iter() {
        found.push(step);
        if let Some(inner) = step.body.inner().filter(|_| step.foreach.is_none()) {
            found.extend(visible(inner));
        }
    }
    found
}

/// Gives every step of a block, groups included, a result without an attempt.
pub(crate) fn mark_all(scope: &mut Scope, block: &Block, outcome: Outcome) {
    for step in visible(block) {
        let path = scope.prefix.join(&step.id);
        let mut result = StepResult::bare(&path, outcome);
        if outcome == Outcome::Planned {
            result = result.unknown();
        }
        Arc::make_mut(&mut scope.results).insert(step.id.clone(), Arc::new(result));
    }
}

/// Whether anything of a step is in the facts; of a group: of any step inside.
fn has_begun(env: &Env, scope: &Scope, step: &Step) -> bool {
    let known = |id: &str| env.facts.step(&scope.prefix.join(id)).is_some();
    let inner = step.body.inner().filter(|_| step.foreach.is_none());
    known(&step.id) || inner.is_some_and(|inner| visible(inner).iter().any(|step| known(&step.id)))
}

fn broken(end: &StepEnd) -> Option<Broken> {
    let result = &end.result;
    if result.outcome.lets_the_run_go_on() {
        return None;
    }
    let step = end.broken_at.clone().unwrap_or_else(|| result.path.clone());
    let failure = result
        .error
        .clone()
        .unwrap_or_else(|| Failure::new(FailureKind::Stopped, format!("`{step}` is {}", result.outcome.word())));
    Some(Broken { step, outcome: result.outcome, failure })
}
