//! One step of a block: its `if`, then its body, or its loop. And how the end of any step is recorded.

use std::sync::Arc;

use crate::engine::evaluate::Truth;
use crate::engine::event::Body as Fact;
use crate::engine::event::{Planned, StepFinished};
use crate::engine::facts::{Record, Resend};
use crate::engine::ids::StepPath;
use crate::engine::machine::Env;
use crate::engine::outcome::{Attempt, Failure, FailureKind, Outcome};
use crate::engine::scope::{Scope, StepResult};
use crate::engine::walk::foreach::ForeachTask;
use crate::engine::walk::gate::{self, Gate, Guard, Terms};
use crate::engine::walk::instance::{Instance, Start, Times, start_of};
use crate::engine::walk::sequence::{mark_all, visible};
use crate::engine::walk::{Progress, StepEnd, pure};
use crate::runbook::model::{Block, Body, Step};
use crate::runbook::spec::Effect;
use crate::script::value::{Map, Value};

/// What a failed `if` is recorded as: a body of its own, so that it has an end and is no attempt.
pub(crate) const CONDITION: &str = "if";
/// What a call is recorded as whose arguments can't be evaluated: no attempt of it was made.
pub(crate) const ARGUMENTS: &str = "with";
/// What a step is recorded as that people, or the plan a run applies, kept from beginning.
pub(crate) const APPROVAL: &str = "approval";

/// Whether this body is a record of a step that never began.
pub(crate) fn never_began(body: &str) -> bool {
    matches!(body, CONDITION | ARGUMENTS | APPROVAL)
}

/// A step being walked.
pub(crate) struct StepTask {
    step: Arc<Step>,
    path: StepPath,
    state: State,
    /// A rehearsal could not decide its `if`.
    maybe: bool,
    /// What its `approval` asks, once it is evaluated.
    terms: Option<Arc<Terms>>,
    /// It was let in: nobody had to be asked, or all have agreed.
    let_in: bool,
}

enum State {
    Fresh,
    Once(Instance),
    Loop(Box<ForeachTask>),
}

impl StepTask {
    pub(crate) fn new(step: &Arc<Step>, path: StepPath) -> StepTask {
        StepTask { step: Arc::clone(step), path, state: State::Fresh, maybe: false, terms: None, let_in: false }
    }

    pub(crate) fn advance(&mut self, env: &mut Env, scope: &mut Scope) -> Progress<StepEnd> {
        if matches!(self.state, State::Fresh)
            && let Some(end) = self.begin(env, scope)
        {
            return Progress::Ended(end);
        }
        let path = self.path.clone();
        env.maybe += u32::from(self.maybe);
        let went_well = |end: &StepEnd| end.result.outcome.lets_the_run_go_on() && !end.maybe_over;
        let progress = env.at_step(&path, |env| self.guarded(env, scope), went_well);
        env.maybe -= u32::from(self.maybe);
        match progress {
            Progress::Ended(end) if self.maybe => Progress::Ended(self.undecided(scope, end)),
            progress => progress,
        }
    }

    /// Goes on behind its own `approval`, if it has one.
    fn guarded(&mut self, env: &mut Env, scope: &mut Scope) -> Progress<StepEnd> {
        let step = Arc::clone(&self.step);
        let is_over = env.facts.step(&self.path).is_some_and(|record| record.end().is_some());
        let Some(approval) = step.approval.as_ref().filter(|_| !is_over) else { return self.body(env, scope, &step) };
        let terms = match &self.terms {
            Some(terms) => Arc::clone(terms),
            None => match Terms::of(env, scope, approval) {
                Ok(terms) => Arc::clone(self.terms.insert(Arc::new(terms))),
                Err(failure) => return Progress::Ended(self.kept_out(env, scope, &step, Attempt::failed(failure))),
            },
        };
        let guard = Guard { path: self.path.clone(), terms, policy: false };
        gate::behind(env, Some(guard), |env| {
            // A call asks for itself, when its arguments are known.
            let is_call = matches!(step.body, Body::Uses { .. }) && step.foreach.is_none();
            if !is_call && !self.let_in && !self.has_begun(env, scope) {
                match gate::of_composite(env, &self.path) {
                    Gate::Open => self.let_in = true,
                    Gate::Wait => return Progress::Pending,
                    Gate::Ends(attempt) => return Progress::Ended(self.kept_out(env, scope, &step, attempt)),
                }
            }
            self.body(env, scope, &step)
        })
    }

    fn body(&mut self, env: &mut Env, scope: &mut Scope, step: &Arc<Step>) -> Progress<StepEnd> {
        match &mut self.state {
            State::Once(instance) => instance.advance(env, scope, step),
            State::Loop(rounds) => rounds.advance(env, scope, step),
            State::Fresh => Progress::Pending,
        }
    }

    /// Whether anything of it, or inside it, is in the facts.
    fn has_begun(&self, env: &Env, scope: &Scope) -> bool {
        let begun = |path: &StepPath| {
            env.facts.step(path).is_some_and(|record| {
                let started = record.started.as_ref().is_some_and(|started| !never_began(&started.intent.body));
                record.skipped.is_some() || (started && record.resend != Some(Resend::Fresh))
            })
        };
        let inside = self.readable_inside().map(visible).unwrap_or_default();
        begun(&self.path) || inside.iter().any(|step| begun(&scope.prefix.join(&step.id)))
    }

    /// Records the end of a step that was not let in.
    fn kept_out(&self, env: &mut Env, scope: &mut Scope, step: &Step, attempt: Attempt) -> StepEnd {
        let start = Start { body: APPROVAL, effect: Effect::Pure, times: Times::default() };
        start_of(env, scope, step, &self.path, start, Map::new());
        self.mark_inside(scope, Outcome::NotRun);
        finish(env, scope, step, &self.path, attempt, None)
    }

    /// The end of a step that may not run at all: neither it nor anything inside is known.
    fn undecided(&self, scope: &mut Scope, end: StepEnd) -> StepEnd {
        self.mark_inside(scope, Outcome::Planned);
        let maybe_over = end.maybe_over || end.finish.is_some() || !end.result.outcome.lets_the_run_go_on();
        StepEnd { maybe_over, ..StepEnd::plain(end.result.unknown()) }
    }

    /// Decides the `if`. Gives the end of a step that is already over.
    fn begin(&mut self, env: &mut Env, scope: &mut Scope) -> Option<StepEnd> {
        let step = Arc::clone(&self.step);
        let known = env.facts.step(&self.path);
        if known.is_some_and(|record| record.skipped.is_some()) {
            self.mark_inside(scope, Outcome::Skipped);
            return Some(StepEnd::plain(StepResult::bare(&self.path, Outcome::Skipped)));
        }
        let never_began = |record: &Record| {
            record.started.as_ref().is_some_and(|started| matches!(started.intent.body.as_str(), CONDITION | APPROVAL))
        };
        let failed = known.is_some_and(never_began);
        if failed && let Some(result) = known.and_then(|record| StepResult::of(&self.path, record)) {
            self.mark_inside(scope, Outcome::NotRun);
            return Some(ended(env, &self.path, result));
        }
        let undecided = failed || known.is_none_or(|record| record.started.is_none());
        let mut why = Map::new();
        if undecided && let Some(condition) = &step.condition {
            let evaluator = env.evaluator(scope, None);
            match evaluator.truth(condition) {
                Ok(Truth::Yes) => why = evaluator.values_read(condition),
                Ok(Truth::No) => {
                    let values = evaluator.values_read(condition);
                    let condition = condition.text.trim().to_owned();
                    env.emit(Fact::StepSkipped { step: self.path.clone(), condition, values });
                    self.mark_inside(scope, Outcome::Skipped);
                    return Some(StepEnd::plain(StepResult::bare(&self.path, Outcome::Skipped)));
                }
                Ok(Truth::Unknown(_)) => self.maybe = true,
                Err(failure) => {
                    let start = Start { body: CONDITION, effect: Effect::Pure, times: Times::default() };
                    start_of(env, scope, &step, &self.path, start, Map::new());
                    self.mark_inside(scope, Outcome::NotRun);
                    return Some(finish(env, scope, &step, &self.path, Attempt::failed(failure), None));
                }
            }
        }
        self.state = match &step.foreach {
            None => State::Once(Instance::new(self.path.clone(), false, why)),
            Some(_) => State::Loop(Box::new(ForeachTask::new(self.path.clone(), why))),
        };
        None
    }

    /// Steps inside a group that does not run have its outcome as well.
    fn mark_inside(&self, scope: &mut Scope, outcome: Outcome) {
        if let Some(inner) = self.readable_inside() {
            mark_all(scope, inner, outcome);
        }
    }

    /// The steps inside that can be read from outside: not those of a loop.
    fn readable_inside(&self) -> Option<&Block> {
        self.step.body.inner().filter(|_| self.step.foreach.is_none())
    }
}

/// The end of a step the facts know to be over.
pub(crate) fn ended(env: &Env, path: &StepPath, result: StepResult) -> StepEnd {
    let finish = pure::finish_of(env, path).filter(|_| result.outcome == Outcome::Done);
    let broken_at = env.facts.step(path).and_then(|record| record.finished.as_ref()?.broken_at.clone());
    let maybe_over = env.maybe > 0 && finish.is_some();
    StepEnd { result, broken_at, finish: finish.filter(|_| !maybe_over), maybe_over }
}

/// A step's `name:`; one that can't be rendered is left out rather than failing the step.
pub(crate) fn rendered_name(env: &Env, scope: &Scope, step: &Step) -> Option<String> {
    let template = step.name.as_ref()?;
    match env.evaluator(scope, None).template(template) {
        Ok(value) if !value.has_secret() => Some(value.to_string()),
        _ => None,
    }
}

/// Records the end of a step: applies its `outputs:` first, so that what is journaled is what others see.
pub(crate) fn finish(
    env: &mut Env,
    scope: &Scope,
    step: &Step,
    path: &StepPath,
    attempt: Attempt,
    planned: Option<Planned>,
) -> StepEnd {
    let attempt = shape_outputs(env, scope, Some(step), attempt);
    end(env, path, attempt, planned, End::default())
}

/// Applies `outputs:` to what a body gave.
pub(crate) fn shape_outputs(env: &Env, scope: &Scope, step: Option<&Step>, attempt: Attempt) -> Attempt {
    // What is read as planned is known as well.
    let known = match attempt.outcome {
        Outcome::Done => true,
        Outcome::Planned => !matches!(attempt.outputs, Value::Unknown(_)),
        _ => false,
    };
    let Some(outputs) = step.and_then(|step| step.outputs.as_ref()).filter(|_| known) else { return attempt };
    match env.evaluator(scope, Some(&attempt.outputs)).named(outputs) {
        Ok(values) => attempt.with_outputs(Value::Map(values)),
        Err(failure) => {
            let message = format!("the step itself is done, but its `outputs` failed: {}", failure.message);
            let kind = FailureKind::Outputs;
            Attempt::failed(Failure { kind, message, ..failure }).with_outputs(attempt.outputs)
        }
    }
}

/// What else is known at the end of a step.
#[derive(Default)]
pub(crate) struct End {
    /// As measured by whoever performed it; else counted from its start.
    pub ms: Option<u64>,
    pub broken_at: Option<StepPath>,
}

/// Records the end of whatever is open at `path`.
pub(crate) fn end(env: &mut Env, path: &StepPath, attempt: Attempt, planned: Option<Planned>, also: End) -> StepEnd {
    let started = env.facts.step(path).and_then(|record| record.started.as_ref());
    let number = started.map_or(1, |started| started.intent.attempt);
    let ms = also.ms.unwrap_or_else(|| {
        let waited = started.map_or(0, |started| env.now.as_millisecond() - started.at.as_millisecond());
        u64::try_from(waited).unwrap_or(0)
    });
    env.emit(Fact::StepFinished(Box::new(StepFinished {
        step: path.clone(),
        attempt: number,
        outcome: attempt.outcome,
        outputs: attempt.outputs,
        error: attempt.failure,
        broken_at: also.broken_at,
        ms,
        planned,
    })));
    env.forget_poll(path);
    let result = env.facts.step(path).and_then(|record| StepResult::of(path, record));
    let result = result.unwrap_or_else(|| StepResult::bare(path, attempt.outcome));
    ended(env, path, result)
}
