//! Reads that tell whether a write in doubt has happened: the `settle` of its step.

use crate::engine::evaluate::Truth;
use crate::engine::event::{Body as Fact, Verdict};
use crate::engine::ids::StepPath;
use crate::engine::machine::{AFTERWARDS_BUDGET, Env};
use crate::engine::scope::Scope;
use crate::engine::walk::leaf::after;
use crate::engine::walk::sequence::BlockTask;
use crate::engine::walk::{BlockEnd, Progress};
use crate::runbook::model::Settle;
use crate::script::value::Map;

/// One try to find out.
pub(crate) struct SettleTask {
    scope: Scope,
    block: BlockTask,
}

impl SettleTask {
    /// The reads see what the step sees.
    pub(crate) fn new(settle: &Settle, scope: &Scope, path: &StepPath) -> SettleTask {
        let scope = Scope { prefix: path.join("settle"), ..scope.clone() };
        SettleTask { scope, block: BlockTask::new(&settle.steps) }
    }

    /// Looks, and records the verdict. A cancel doesn't stop it: it changes nothing, and what has happened must be
    /// known before the run can end.
    pub(crate) fn advance(&mut self, env: &mut Env, settle: &Settle, path: &StepPath) -> Progress<()> {
        let Some(record) = env.facts.step(path) else { return Progress::Ended(()) };
        let attempt = record.attempt().unwrap_or(1);
        // From when it begins to look: however late that is, it looks before a person is asked.
        let reads = path.join("settle");
        let began = env.facts.below(&reads).filter_map(|(_, read)| Some(read.started.as_ref()?.first_at)).min();
        let budget = after(began.unwrap_or(env.now).max(env.facts.resumed_at), AFTERWARDS_BUDGET);
        let end = match env.aside(budget, |env| self.block.advance(env, &mut self.scope)) {
            Progress::Pending => return Progress::Pending,
            Progress::Ended(end) => end,
        };
        let mut values = Map::new();
        let mut outputs = Map::new();
        let verdict = match end {
            BlockEnd::Broken(_) | BlockEnd::Cancelled(_) => Verdict::Unknown,
            BlockEnd::Done | BlockEnd::Finished(_) => {
                let evaluator = env.evaluator(&self.scope, None);
                values = evaluator.values_read(&settle.happened);
                let happened = evaluator.truth(&settle.happened);
                let not_happened = settle.not_happened.as_ref().map(|not| evaluator.truth(not));
                match (happened, not_happened) {
                    // Both at once is no answer.
                    (Ok(Truth::Yes), Some(Ok(Truth::Yes))) => Verdict::Unknown,
                    (Ok(Truth::Yes), _) => match evaluator.named(&settle.outputs) {
                        Ok(adopted) => {
                            outputs = adopted;
                            Verdict::Happened
                        }
                        Err(_) => Verdict::Unknown,
                    },
                    (_, Some(Ok(Truth::Yes))) => Verdict::NotHappened,
                    _ => Verdict::Unknown,
                }
            }
        };
        env.emit(Fact::StepSettled { step: path.clone(), attempt, verdict, outputs, values });
        Progress::Ended(())
    }
}
