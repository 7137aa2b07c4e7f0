//! Taking steps back, one after the other: each body is a step of its own, with everything a step has.

use std::sync::Arc;

use crate::engine::event::{Body as Fact, UndoStarted};
use crate::engine::facts::Resend;
use crate::engine::ids::StepPath;
use crate::engine::look_back;
use crate::engine::machine::Env;
use crate::engine::outcome::{Attempt, Failure, FailureKind, Outcome, UndoOutcome};
use crate::engine::scope::Scope;
use crate::engine::undo::{base_of, due};
use crate::engine::walk::instance::Instance;
use crate::engine::walk::{Progress, limits};
use crate::runbook::model::Step;
use crate::script::value::{Map, Value};

/// Steps being taken back: those of a run that has ended, or of a `run.undo`.
#[derive(Default)]
pub(crate) struct UndoTask {
    /// The call of `run.undo`.
    by: Option<StepPath>,
    next: usize,
    current: Option<(Scope, Arc<Step>, Instance)>,
}

impl UndoTask {
    /// Of the ended run, within the time a run has.
    pub(crate) fn advance_run(&mut self, env: &mut Env) {
        let limit_ms = env.facts.started.as_ref().and_then(|started| started.timeout_ms);
        let limit_ms = limit_ms.filter(|_| !env.is_rehearsal());
        let Some(undo) = env.facts.undo_of_run() else { return };
        let since = undo.started_at.max(env.facts.resumed_at);
        let limit = limits::until(env.facts, limits::Inside::Below(&StepPath::root()), since, limit_ms);
        if let Progress::Pending = env.limited(limit, |env| self.advance(env)) {
            env.until_limit(limit);
        }
    }

    /// What the call of `run.undo` comes to.
    pub(crate) fn advance_call(&mut self, env: &mut Env, call: &StepPath) -> Progress<Attempt> {
        if !env.facts.undos.contains_key(call) {
            let base = base_of(call);
            let due = due(env.program, env.facts, &base);
            *self = UndoTask { by: Some(call.clone()), ..UndoTask::default() };
            env.emit(Fact::UndoStarted(Box::new(UndoStarted {
                by: Some(call.clone()),
                steps: due.steps,
                without_undo: due.without_undo,
                unknown: due.unknown,
                ..UndoStarted::default()
            })));
        }
        self.by = Some(call.clone());
        if let Progress::Pending = self.advance(env) {
            return Progress::Pending;
        }
        let Some(undo) = env.facts.undos.get(call) else { return Progress::Pending };
        let Some(end) = &undo.end else { return Progress::Pending };
        let paths = |paths: &[StepPath]| Value::List(paths.iter().map(|path| Value::from(path.as_str())).collect());
        let left = end.left.len();
        let outputs = Value::Map(Map::from([
            ("undone".to_owned(), paths(&undo.steps[..undo.steps.len().saturating_sub(left)])),
            ("without_undo".to_owned(), paths(&undo.without_undo)),
        ]));
        Progress::Ended(match (end.outcome, end.left.first()) {
            (UndoOutcome::Done, _) | (_, None) => Attempt::done(outputs),
            (_, Some(first)) => {
                let record = env.facts.step(&first.undo());
                let why = record.and_then(|record| Some(record.finished.as_ref()?.error.as_ref()?.message.clone()));
                let why = why.unwrap_or_else(|| "its time is up".to_owned());
                let message = format!("`{}`: {why}; {left} step(s) are not taken back", first.undo());
                Attempt::failed(Failure::new(FailureKind::Stopped, message))
            }
        })
    }

    /// Goes on; ended when the end is recorded.
    fn advance(&mut self, env: &mut Env) -> Progress<()> {
        loop {
            if env.decided.waits.paused.is_some() {
                return Progress::Pending;
            }
            let undo = env.facts.undos.get(self.by.as_ref().unwrap_or(&StepPath::root()));
            let Some(undo) = undo.filter(|undo| undo.end.is_none()) else { return Progress::Ended(()) };
            let Some(owner) = undo.steps.get(self.next).cloned() else {
                return self.end(env, UndoOutcome::Done);
            };
            let path = owner.undo();
            if self.current.is_none() {
                let record = env.facts.step(&path);
                let over = record.and_then(|record| record.end()).map(|end| end.outcome);
                if matches!(over, Some(Outcome::Done | Outcome::Skipped)) {
                    self.next += 1;
                    continue;
                }
                let begun = record.is_some_and(|record| record.resend != Some(Resend::Fresh));
                if env.stopping() && !begun {
                    let outcome = if env.is_cancelled() { UndoOutcome::Cancelled } else { UndoOutcome::Stuck };
                    return self.end(env, outcome);
                }
                let Some((scope, step)) = look_back::to_undo(env.program, env.sandbox, env.facts, &owner) else {
                    env.pause(format!("the runbook has no step `{owner}` with an `undo`"));
                    return Progress::Pending;
                };
                self.current = Some((scope, step, Instance::of_undo(path)));
            }
            let Some((scope, step, instance)) = &mut self.current else { continue };
            let outcome = match instance.advance(env, scope, step) {
                Progress::Pending => return Progress::Pending,
                Progress::Ended(end) => end.result.outcome,
            };
            self.current = None;
            match outcome {
                Outcome::Done | Outcome::Skipped | Outcome::Planned => self.next += 1,
                Outcome::Cancelled if env.is_cancelled() => return self.end(env, UndoOutcome::Cancelled),
                _ => return self.end(env, UndoOutcome::Stuck),
            }
        }
    }

    /// Records the end, with what is left.
    fn end(&mut self, env: &mut Env, outcome: UndoOutcome) -> Progress<()> {
        let undo = env.facts.undos.get(self.by.as_ref().unwrap_or(&StepPath::root()));
        let left = undo.map(|undo| undo.steps[self.next.min(undo.steps.len())..].to_vec()).unwrap_or_default();
        env.emit(Fact::UndoFinished { by: self.by.clone(), outcome, left });
        self.next = 0;
        Progress::Ended(())
    }
}
