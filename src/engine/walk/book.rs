//! A runbook or action from its first step to its last: main steps, `on_failure`, `finally`.

use std::sync::Arc;

use jiff::Timestamp;

use crate::engine::ids::StepPath;
use crate::engine::machine::{AFTERWARDS_BUDGET, Env};
use crate::engine::outcome::{Failure, FailureKind, Outcome, RunOutcome};
use crate::engine::scope::{Broken, Scope};
use crate::engine::walk::leaf::after;
use crate::engine::walk::limits::Inside;
use crate::engine::walk::sequence::BlockTask;
use crate::engine::walk::{BlockEnd, Finish, Progress, limits};
use crate::runbook::snippet::Template;
use crate::runbook::source::Spanned;
use crate::script::value::{Map, Value};

/// One pass over a runbook or action.
pub(crate) struct BookTask {
    pub(crate) scope: Scope,
    /// Where its steps' paths start.
    base: StepPath,
    phase: Phase,
    block: BlockTask,
    finish: Option<Finish>,
    /// The first failure, of whichever phase.
    broken: Option<Broken>,
    /// A cancel or a limit around it kept steps from running; one that came after the last step changes nothing.
    cut: bool,
    maybe_over: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Main,
    OnFailure,
    Finally,
}

/// How a runbook or action ended.
pub(crate) enum BookEnd {
    /// With its declared outputs.
    Done(Map, Option<Finish>),
    Broken(Broken),
    Cut,
}

impl BookTask {
    /// Of a scope whose prefix is where its steps' paths start.
    pub(crate) fn new(scope: Scope) -> BookTask {
        BookTask {
            base: scope.prefix.clone(),
            phase: Phase::Main,
            block: BlockTask::new(&scope.runbook.steps),
            scope,
            finish: None,
            broken: None,
            cut: false,
            maybe_over: false,
        }
    }

    /// Goes on. `limit_ms` is the time of the main steps, counted from the start of the run or its last resumption.
    pub(crate) fn advance(&mut self, env: &mut Env, limit_ms: Option<u64>) -> Progress<BookEnd> {
        loop {
            let end = match self.advance_phase(env, limit_ms) {
                Progress::Pending => return Progress::Pending,
                Progress::Ended(end) => end,
            };
            let main = self.phase == Phase::Main;
            match end {
                // What fails afterwards turns a success into a failure, and nothing else.
                BlockEnd::Broken(_) | BlockEnd::Cancelled(_) if !main && self.cut => {}
                BlockEnd::Broken(broken) if !main => {
                    self.broken.get_or_insert(Broken { outcome: Outcome::Failed, ..broken });
                }
                BlockEnd::Broken(broken) => {
                    self.broken.get_or_insert(broken);
                }
                BlockEnd::Finished(finish) if main => self.finish = Some(finish),
                BlockEnd::Cancelled(step) if main && env.is_first_up(self.until(env, limit_ms)) => {
                    let limit = limits::shown(std::time::Duration::from_millis(limit_ms.unwrap_or(0)));
                    let failure = Failure::new(FailureKind::Timeout, format!("the time of the run, {limit}, is up"));
                    self.broken.get_or_insert(Broken { step, outcome: Outcome::Failed, failure });
                }
                BlockEnd::Cancelled(_) if main => self.cut = true,
                // What runs afterwards is not cancelled; it ran out of its time.
                BlockEnd::Cancelled(step) => {
                    let message = format!("its time of {} is up", limits::shown(AFTERWARDS_BUDGET));
                    let failure = Failure::new(FailureKind::Timeout, message);
                    self.broken.get_or_insert(Broken { step, outcome: Outcome::Failed, failure });
                }
                BlockEnd::Done | BlockEnd::Finished(_) => {}
            }
            self.maybe_over |= self.block.maybe_over;
            self.scope.failure.clone_from(&self.broken);
            self.scope.ending = Some(self.outcome());
            self.phase = match self.phase {
                Phase::Main if self.broken.is_some() && self.cleans_up(env) => Phase::OnFailure,
                Phase::Main | Phase::OnFailure => Phase::Finally,
                Phase::Finally => return Progress::Ended(self.end(env)),
            };
            let runbook = Arc::clone(&self.scope.runbook);
            self.block = BlockTask::new(match self.phase {
                Phase::OnFailure => &runbook.on_failure,
                _ => &runbook.finally,
            });
            self.scope.prefix = self.base.join(self.phase.prefix());
        }
    }

    /// `on_failure` and `finally` have their own time and are not stopped by what stopped the main steps.
    fn advance_phase(&mut self, env: &mut Env, limit_ms: Option<u64>) -> Progress<BlockEnd> {
        if self.phase == Phase::Main {
            let limit = self.until(env, limit_ms);
            let progress = env.limited(limit, |env| self.block.advance(env, &mut self.scope));
            if matches!(progress, Progress::Pending) {
                env.until_limit(limit);
            }
            return progress;
        }
        let budget = self.budget(env);
        let around = env.amiss;
        env.amiss |= self.broken.is_some() || self.cut;
        let progress = env.aside(budget, |env| self.block.advance(env, &mut self.scope));
        env.amiss = around;
        progress
    }

    /// When the time of the main steps is up: counted anew from each restart in them.
    fn until(&self, env: &Env, limit_ms: Option<u64>) -> Option<Timestamp> {
        let facts = &*env.facts;
        limit_ms?;
        let since = facts.started_at.max(limits::resumed_in(facts, &self.base));
        limits::until(facts, Inside::Below(&self.base), since, limit_ms)
    }

    /// When the time of what runs afterwards is up: counted from its first step, anew after each restart.
    fn budget(&self, env: &Env) -> Timestamp {
        let block = self.base.join(self.phase.prefix());
        let began = env.facts.below(&block).filter_map(|(_, record)| Some(record.started.as_ref()?.first_at)).min();
        after(began.unwrap_or(env.now).max(env.facts.resumed_at), AFTERWARDS_BUDGET)
    }

    /// Whether `on_failure` runs: not in a cancelled run, unless it had begun before.
    fn cleans_up(&self, env: &Env) -> bool {
        !env.is_cancelled() || env.facts.below(&self.base.join(Phase::OnFailure.prefix())).next().is_some()
    }

    fn outcome(&self) -> RunOutcome {
        match &self.broken {
            Some(broken) if broken.outcome == Outcome::Rejected => RunOutcome::Rejected,
            Some(_) => RunOutcome::Failed,
            None if self.cut => RunOutcome::Cancelled,
            None => RunOutcome::Success,
        }
    }

    fn end(&mut self, env: &Env) -> BookEnd {
        self.scope.prefix = self.base.clone();
        if let Some(broken) = self.broken.take() {
            return BookEnd::Broken(broken);
        }
        if self.cut {
            return BookEnd::Cut;
        }
        match outputs_of(env, &self.scope, self.finish.is_some() || self.maybe_over) {
            Ok(outputs) => BookEnd::Done(outputs, self.finish.take()),
            Err(failure) => {
                let step = self.base.join("outputs");
                BookEnd::Broken(Broken { step, outcome: Outcome::Failed, failure })
            }
        }
    }
}

impl Phase {
    fn prefix(self) -> &'static str {
        match self {
            Phase::Main => "",
            Phase::OnFailure => "on_failure",
            Phase::Finally => "finally",
        }
    }
}

/// The declared outputs of a scope. One that ended early by `run.finish` gives those it can.
fn outputs_of(env: &Env, scope: &Scope, early: bool) -> Result<Map, Failure> {
    let evaluator = env.evaluator(scope, None);
    let given = |(name, template): &(Spanned<String>, Template)| {
        let value = evaluator.template(template).and_then(|value| leaves_as_said(scope, &name.value, value));
        let value = if early { Ok(value.unwrap_or_default()) } else { value };
        Ok((name.value.clone(), value?))
    };
    scope.runbook.outputs.iter().map(given).collect()
}

/// An output that says `sealed` lets no plain text out: what was read in the clear stands in the journal already, so
/// sealing it here would only look safe.
fn leaves_as_said(scope: &Scope, name: &str, value: Value) -> Result<Value, Failure> {
    if scope.runbook.sealed.contains(name) && value.has_plain() {
        let message = format!(
            "output `{name}` says `sealed` and holds plain text: seal it where it is read, with `sealed` in the `with` of \
             that step"
        );
        return Err(Failure::new(FailureKind::Secret, message));
    }
    Ok(value)
}
