//! The run as a whole: its runbook, then its end.

use crate::engine::event::Body;
use crate::engine::ids::StepPath;
use crate::engine::machine::Env;
use crate::engine::outcome::{Outcome, RunOutcome};
use crate::engine::scope::Scope;
use crate::engine::walk::Progress;
use crate::engine::walk::book::{BookEnd, BookTask};
use crate::script::value::Map;

/// The root of the walk.
#[derive(Default)]
pub(crate) struct RunTask {
    book: Option<Box<BookTask>>,
}

impl RunTask {
    pub(crate) fn advance(&mut self, env: &mut Env) {
        let Some(started) = &env.facts.started else { return };
        let limit_ms = started.timeout_ms.filter(|_| !env.is_rehearsal());
        let book = self.book.get_or_insert_with(|| {
            let (inputs, vars) = (started.inputs.clone(), started.vars.clone());
            Box::new(BookTask::new(Scope::new(&env.program.runbook, StepPath::root(), inputs, vars)))
        });
        let end = match book.advance(env, limit_ms) {
            Progress::Pending => return,
            Progress::Ended(end) => end,
        };
        let (outcome, broken, outputs, finish) = match end {
            BookEnd::Done(outputs, finish) => (RunOutcome::Success, None, outputs, finish),
            BookEnd::Cut => (RunOutcome::Cancelled, None, Map::new(), None),
            BookEnd::Broken(broken) if broken.outcome == Outcome::Rejected => {
                (RunOutcome::Rejected, Some(broken), Map::new(), None)
            }
            BookEnd::Broken(broken) => (RunOutcome::Failed, Some(broken), Map::new(), None),
        };
        env.emit(Body::RunFinished {
            outcome,
            failed_step: broken.as_ref().map(|broken| broken.step.clone()),
            error: broken.map(|broken| broken.failure),
            outputs,
            message: finish.and_then(|finish| finish.message),
        });
    }
}
