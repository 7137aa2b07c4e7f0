//! One step of a block: its `if`, then its body.

use std::sync::Arc;

use crate::engine::evaluate::Truth;
use crate::engine::event::Body as Fact;
use crate::engine::event::{Planned, StepFinished, StepStarted};
use crate::engine::ids::StepPath;
use crate::engine::machine::Env;
use crate::engine::outcome::{Attempt, Failure, FailureKind, Outcome};
use crate::engine::scope::{Scope, StepResult};
use crate::engine::walk::invocation::{Arguments, Invocation, Manner};
use crate::engine::walk::script::ScriptTask;
use crate::engine::walk::sequence::{BlockTask, mark_all};
use crate::engine::walk::{BlockEnd, Progress, StepEnd, pure, script};
use crate::runbook::model::{Body, Step};
use crate::runbook::spec::{Effect, Repeat};
use crate::script::value::{Map, Unknown, Value};

/// A step being walked.
pub(crate) struct StepTask {
    step: Arc<Step>,
    path: StepPath,
    state: State,
    /// A rehearsal could not decide its `if`.
    maybe: bool,
    /// The values that made its `if` true.
    why: Map,
}

enum State {
    Fresh,
    Pure,
    Invocation(Box<Invocation>),
    Script(ScriptTask),
    Group(BlockTask),
}

impl StepTask {
    pub(crate) fn new(step: &Arc<Step>, path: StepPath) -> StepTask {
        StepTask { step: Arc::clone(step), path, state: State::Fresh, maybe: false, why: Map::new() }
    }

    pub(crate) fn advance(&mut self, env: &mut Env, scope: &mut Scope) -> Progress<StepEnd> {
        if matches!(self.state, State::Fresh)
            && let Some(end) = self.begin(env, scope)
        {
            return Progress::Ended(end);
        }
        env.maybe += u32::from(self.maybe);
        let progress = self.go_on(env, scope);
        env.maybe -= u32::from(self.maybe);
        match progress {
            Progress::Ended(end) if self.maybe => Progress::Ended(self.undecided(scope, end)),
            progress => progress,
        }
    }

    /// The end of a step that may not run at all: neither it nor anything inside is known.
    fn undecided(&self, scope: &mut Scope, end: StepEnd) -> StepEnd {
        if let Some(inner) = self.step.body.inner() {
            mark_all(scope, inner, Outcome::Planned);
        }
        let maybe_over = end.maybe_over || end.finish.is_some() || !end.result.outcome.lets_the_run_go_on();
        let result = StepResult {
            outputs: Value::Unknown(Unknown { origin: self.path.to_string() }),
            error: None,
            outcome: Outcome::Planned,
            ..end.result
        };
        StepEnd { maybe_over, ..StepEnd::plain(result) }
    }

    /// Decides the `if` and opens the body. Gives the end of a step that is already over.
    fn begin(&mut self, env: &mut Env, scope: &mut Scope) -> Option<StepEnd> {
        let step = Arc::clone(&self.step);
        let known = env.facts.step(&self.path);
        if let Some(result) = known.and_then(|record| StepResult::of(&self.path, record)) {
            if result.outcome == Outcome::Skipped {
                self.skip_inside(scope);
            }
            return Some(ended(env, &self.path, result));
        }
        if known.is_none_or(|record| record.started.is_none())
            && let Some(condition) = &step.condition
        {
            let evaluator = env.evaluator(scope, None);
            match evaluator.truth(condition) {
                Ok(Truth::Yes) => self.why = evaluator.values_read(condition),
                Ok(Truth::No) => {
                    let values = evaluator.values_read(condition);
                    let condition = condition.text.trim().to_owned();
                    env.emit(Fact::StepSkipped { step: self.path.clone(), condition, values });
                    self.skip_inside(scope);
                    return Some(StepEnd::plain(StepResult::bare(&self.path, Outcome::Skipped)));
                }
                Ok(Truth::Unknown(_)) => self.maybe = true,
                Err(failure) => {
                    start(env, scope, &step, &self.path, Effect::Pure, Map::new());
                    return Some(finish(env, scope, &step, &self.path, Attempt::failed(failure), None));
                }
            }
        }
        self.state = match &step.body {
            Body::Uses { action, .. } => {
                State::Invocation(Box::new(Invocation::new(self.path.clone(), action.value.clone())))
            }
            Body::Script(snippet) => {
                if env.facts.step(&self.path).is_none_or(|record| record.started.is_none() || record.resend.is_some()) {
                    let effect = script::effect_of(env.program, snippet);
                    start(env, scope, &step, &self.path, effect, std::mem::take(&mut self.why));
                }
                State::Script(ScriptTask::default())
            }
            Body::Assert(_) | Body::Findings(_) => State::Pure,
            Body::Steps(block) | Body::Parallel(block) => {
                if known_unstarted(env, &self.path) && step.condition.is_some() && !self.maybe {
                    start(env, scope, &step, &self.path, Effect::Pure, std::mem::take(&mut self.why));
                }
                State::Group(BlockTask::new(block))
            }
        };
        None
    }

    /// Steps inside a skipped group are skipped as well.
    fn skip_inside(&self, scope: &mut Scope) {
        if let Some(inner) = self.step.body.inner() {
            mark_all(scope, inner, Outcome::Skipped);
        }
    }

    fn go_on(&mut self, env: &mut Env, scope: &mut Scope) -> Progress<StepEnd> {
        let step = Arc::clone(&self.step);
        match (&mut self.state, &step.body) {
            (State::Invocation(invocation), Body::Uses { with, .. }) => {
                let manner = Manner { step: Some(&step), why: &self.why };
                invocation.advance(env, scope, &Arguments::Templates(with), &manner)
            }
            (State::Pure, body) => {
                start(env, scope, &step, &self.path, Effect::Pure, std::mem::take(&mut self.why));
                let (attempt, planned) = match body {
                    Body::Assert(assertions) => pure::check(env, scope, assertions),
                    Body::Findings(rules) => pure::find(env, scope, &self.path, rules),
                    _ => return Progress::Pending,
                };
                Progress::Ended(finish(env, scope, &step, &self.path, attempt, planned))
            }
            (State::Script(script), Body::Script(snippet)) => script.advance(env, scope, &step, &self.path, snippet),
            (State::Group(block), _) => match block.advance(env, scope) {
                Progress::Pending => Progress::Pending,
                Progress::Ended(end) => {
                    let end = group_end(env, scope, &step, &self.path, end);
                    Progress::Ended(StepEnd { maybe_over: block.maybe_over, ..end })
                }
            },
            _ => Progress::Pending,
        }
    }
}

/// The end of a step the facts know to be over.
pub(crate) fn ended(env: &Env, path: &StepPath, result: StepResult) -> StepEnd {
    let finish = pure::finish_of(env, path).filter(|_| result.outcome == Outcome::Done);
    let broken_at = env.facts.step(path).and_then(|record| record.finished.as_ref()?.broken_at.clone());
    let maybe_over = env.maybe > 0 && finish.is_some();
    StepEnd { result, broken_at, finish: finish.filter(|_| !maybe_over), maybe_over }
}

fn known_unstarted(env: &Env, path: &StepPath) -> bool {
    env.facts.step(path).is_none_or(|record| record.started.is_none())
}

/// A group's end follows from its steps; only its own `outputs` are evaluated, and that is pure.
fn group_end(env: &Env, scope: &Scope, step: &Step, path: &StepPath, end: BlockEnd) -> StepEnd {
    let mut result = StepResult::bare(path, Outcome::Done);
    match end {
        BlockEnd::Done => {
            if let Some(outputs) = &step.outputs {
                match env.evaluator(scope, None).named(outputs) {
                    Ok(values) => result.outputs = Value::Map(values),
                    Err(failure) => {
                        result.outcome = Outcome::Failed;
                        result.error = Some(failure);
                    }
                }
            }
            StepEnd::plain(result)
        }
        BlockEnd::Finished(finish) => StepEnd { finish: Some(finish), ..StepEnd::plain(result) },
        BlockEnd::Cancelled => {
            result.outcome = Outcome::Cancelled;
            StepEnd::plain(result)
        }
        BlockEnd::Broken(broken) => {
            result.outcome = broken.outcome;
            result.error = Some(broken.failure);
            StepEnd { broken_at: Some(broken.step), ..StepEnd::plain(result) }
        }
    }
}

/// Records the start of a step without an effect of its own.
fn start(env: &mut Env, scope: &Scope, step: &Step, path: &StepPath, effect: Effect, why: Map) {
    let attempt = env.facts.step(path).map_or(1, |record| record.next_attempt());
    let name = rendered_name(env, scope, step);
    env.emit(Fact::StepStarted(Box::new(StepStarted {
        step: path.clone(),
        attempt,
        name,
        body: step.body.key().to_owned(),
        uses: None,
        effect,
        repeat: Repeat::Once,
        with: Map::new(),
        vars: Map::new(),
        key: None,
        given: None,
        timeout_ms: None,
        within_ms: None,
        maybe: env.maybe > 0,
        why,
    })));
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
    let Some(outputs) = step.and_then(|step| step.outputs.as_ref()).filter(|_| attempt.outcome == Outcome::Done) else {
        return attempt;
    };
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
    let result = env.facts.step(path).and_then(|record| StepResult::of(path, record));
    let result = result.unwrap_or_else(|| StepResult::bare(path, attempt.outcome));
    ended(env, path, result)
}
