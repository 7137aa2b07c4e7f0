//! The run as a whole: main steps, `on_failure`, `finally`, end.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::engine::event::Body;
use crate::engine::ids::StepPath;
use crate::engine::machine::{AFTERWARDS_BUDGET, Env};
use crate::engine::outcome::{Failure, FailureKind, Outcome, RunOutcome};
use crate::engine::scope::{Broken, Scope};
use crate::engine::walk::leaf::after;
use crate::engine::walk::sequence::BlockTask;
use crate::engine::walk::{BlockEnd, Finish, Progress};
use crate::runbook::snippet::Template;
use crate::runbook::source::Spanned;
use crate::script::value::Map;

/// The root of the walk.
#[derive(Default)]
pub(crate) struct RunTask {
    open: Option<Open>,
}

struct Open {
    scope: Scope,
    phase: Phase,
    block: BlockTask,
    finish: Option<Finish>,
    /// The first failure, of whichever phase.
    broken: Option<Broken>,
    /// A cancel kept steps from running; one that came after the last step changes nothing.
    cut: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Main,
    OnFailure,
    Finally,
}

impl RunTask {
    pub(crate) fn advance(&mut self, env: &mut Env) {
        let Some(started) = &env.facts.started else { return };
        let open = self.open.get_or_insert_with(|| Open {
            scope: Scope {
                runbook: Arc::clone(&env.program.runbook),
                prefix: StepPath::root(),
                inputs: started.inputs.clone(),
                vars: started.vars.clone(),
                results: BTreeMap::new(),
                failure: None,
                ending: None,
            },
            phase: Phase::Main,
            block: BlockTask::new(&env.program.runbook.steps),
            finish: None,
            broken: None,
            cut: false,
        });
        loop {
            env.afterwards = open.phase != Phase::Main;
            env.budget = budget(env, open.phase);
            let end = match open.block.advance(env, &mut open.scope) {
                Progress::Pending => return,
                Progress::Ended(end) => end,
            };
            open.cut |= open.phase == Phase::Main && matches!(end, BlockEnd::Cancelled);
            match end {
                BlockEnd::Broken(broken) => {
                    open.broken.get_or_insert(broken);
                }
                BlockEnd::Finished(finish) if open.phase == Phase::Main => open.finish = Some(finish),
                // What runs afterwards is not cancelled; it ran out of its time.
                BlockEnd::Cancelled if open.phase != Phase::Main => {
                    let message = format!("its time of {AFTERWARDS_BUDGET:?} is up");
                    let failure = Failure::new(FailureKind::Timeout, message);
                    let step = open.scope.prefix.clone();
                    open.broken.get_or_insert(Broken { step, outcome: Outcome::Failed, failure });
                }
                BlockEnd::Done | BlockEnd::Finished(_) | BlockEnd::Cancelled => {}
            }
            open.scope.failure.clone_from(&open.broken);
            open.scope.ending = Some(outcome(open));
            let runbook = Arc::clone(&open.scope.runbook);
            open.phase = match open.phase {
                Phase::Main if open.broken.is_some() && cleans_up(env) => Phase::OnFailure,
                Phase::Main | Phase::OnFailure => Phase::Finally,
                Phase::Finally => return finish(env, open),
            };
            let (prefix, steps) = match open.phase {
                Phase::OnFailure => ("on_failure", &runbook.on_failure),
                _ => ("finally", &runbook.finally),
            };
            open.scope.prefix = StepPath::new(prefix);
            open.block = BlockTask::new(steps);
        }
    }
}

/// Whether `on_failure` runs: not in a cancelled run, unless it had begun before.
fn cleans_up(env: &Env) -> bool {
    env.facts.cancelled.is_none() || env.facts.below(&StepPath::new("on_failure")).next().is_some()
}

/// When the time of a phase is up: counted from its first step, anew after each restart.
fn budget(env: &Env, phase: Phase) -> Option<Timestamp> {
    let prefix = StepPath::new(match phase {
        Phase::Main => return None,
        Phase::OnFailure => "on_failure",
        Phase::Finally => "finally",
    });
    let began = env.facts.below(&prefix).filter_map(|(_, record)| Some(record.started.as_ref()?.first_at)).min();
    Some(after(began.unwrap_or(env.now).max(env.facts.resumed_at), AFTERWARDS_BUDGET))
}

fn outcome(open: &Open) -> RunOutcome {
    match &open.broken {
        Some(broken) if broken.outcome == Outcome::Rejected => RunOutcome::Rejected,
        Some(_) => RunOutcome::Failed,
        None if open.cut => RunOutcome::Cancelled,
        None => RunOutcome::Success,
    }
}

fn finish(env: &mut Env, open: &mut Open) {
    open.scope.prefix = StepPath::root();
    let mut outputs = Map::new();
    if open.broken.is_none() && !open.cut {
        match outputs_of(env, &open.scope, open.finish.is_some()) {
            Ok(values) => outputs = values,
            Err(failure) => {
                open.broken = Some(Broken { step: StepPath::new("outputs"), outcome: Outcome::Failed, failure });
            }
        }
    }
    let outcome = outcome(open);
    let broken = open.broken.take();
    env.emit(Body::RunFinished {
        outcome,
        failed_step: broken.as_ref().map(|broken| broken.step.clone()),
        error: broken.map(|broken| broken.failure),
        outputs,
        message: open.finish.take().and_then(|finish| finish.message),
    });
}

/// The declared outputs of a scope. One that ended early by `run.finish` gives those it can.
pub(crate) fn outputs_of(env: &Env, scope: &Scope, early: bool) -> Result<Map, Failure> {
    let evaluator = env.evaluator(scope, None);
    if !early {
        return evaluator.named(&scope.runbook.outputs);
    }
    let given = |(name, template): &(Spanned<String>, Template)| {
        (name.value.clone(), evaluator.template(template).unwrap_or_default())
    };
    Ok(scope.runbook.outputs.iter().map(given).collect())
}
