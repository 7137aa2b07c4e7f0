//! The call of an action, by a step's `uses` or by a script: arguments once, then a primitive's
//! attempts or the action's own steps.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::engine::event::{Body as Fact, Planned, StepStarted};
use crate::engine::facts::{Record, Resend, is_afterwards};
use crate::engine::ids::StepPath;
use crate::engine::machine::{Env, NESTING_MAX, STEPS_MAX, STEPS_RESERVE, compute_vars};
use crate::engine::outcome::{Attempt, Failure, FailureKind, Outcome};
use crate::engine::scope::{Scope, StepResult};
use crate::engine::walk::leaf::{Leaf, after, is_engine_action};
use crate::engine::walk::run::outputs_of;
use crate::engine::walk::sequence::BlockTask;
use crate::engine::walk::{BlockEnd, Progress, StepEnd, step};
use crate::runbook::model::{Poll, Runbook, Step};
use crate::runbook::snippet::Template;
use crate::runbook::source::Spanned;
use crate::runbook::spec::{ActionSpec, Effect, Repeat, SHOWS_ITS_ARGUMENTS};
use crate::runbook::types::{Type, parse_duration};
use crate::script::sandbox::arguments_digest;
use crate::script::value::{Map, Unknown, Value};

/// How often the other side may leave the same bytes without an answer before a person is asked.
const SETTLE_ATTEMPTS_MAX: u32 = 3;
/// Pause before the first of them.
const SETTLE_PAUSE: Duration = Duration::from_secs(2);
/// An idempotency key is not trusted in the last minute of its window: clocks differ.
const KEY_MARGIN_S: u64 = 60;

/// Where arguments come from.
pub(crate) enum Arguments<'a> {
    Templates(&'a [(Spanned<String>, Template)]),
    Given(&'a Map),
}

/// What the step around an invocation adds; a script's call has none.
pub(crate) struct Manner<'a> {
    pub step: Option<&'a Step>,
    pub why: &'a Map,
}

impl<'a> Manner<'a> {
    pub(crate) fn poll(&self) -> Option<&'a Poll> {
        self.step.and_then(|step| step.poll.as_ref())
    }
}

/// An action being called.
pub(crate) struct Invocation {
    path: StepPath,
    uses: String,
    leaf: Leaf,
    inner: Option<Box<Inner>>,
}

/// The steps of a YAML action.
struct Inner {
    scope: Scope,
    block: BlockTask,
}

/// What the facts say of an invocation.
enum Status {
    Ended(StepResult),
    Start(Resend),
    /// The process died in the middle of a write.
    Lost,
    InDoubt,
    Open,
}

impl Invocation {
    pub(crate) fn new(path: StepPath, uses: String) -> Invocation {
        Invocation { path, uses, leaf: Leaf::default(), inner: None }
    }

    pub(crate) fn advance(
        &mut self,
        env: &mut Env,
        scope: &Scope,
        arguments: &Arguments,
        manner: &Manner,
    ) -> Progress<StepEnd> {
        loop {
            if env.decided.waits.paused.is_some() {
                return Progress::Pending;
            }
            match self.status(env) {
                Status::Ended(result) => {
                    return Progress::Ended(step::ended(env, &self.path, result));
                }
                Status::Start(Resend::Fresh) => self.start(env, scope, arguments, manner),
                Status::Start(Resend::Same) => self.start_again(env),
                Status::Lost => {
                    let message = "the process that sent it ended before the answer was known";
                    let failure = Failure::new(FailureKind::EngineDied, message);
                    step::end(env, &self.path, Attempt::in_doubt(failure), None, step::End::default());
                }
                Status::InDoubt => match self.settles_at(env) {
                    Some(at) if env.now >= at => self.start_again(env),
                    Some(at) => {
                        env.decided.waits.timer(at);
                        return Progress::Pending;
                    }
                    None => {
                        env.decided.waits.doubts.push(self.path.clone());
                        return Progress::Pending;
                    }
                },
                Status::Open if env.program.actions.contains_key(&self.uses) => {
                    match self.go_inside(env, scope, manner) {
                        Progress::Pending => return Progress::Pending,
                        Progress::Ended(end) => return Progress::Ended(end),
                    }
                }
                Status::Open => match self.leaf.advance(env, scope, &self.path, &self.uses, manner) {
                    Progress::Pending => return Progress::Pending,
                    Progress::Ended(()) => {}
                },
            }
        }
    }

    fn status(&self, env: &Env) -> Status {
        let Some(record) = env.facts.step(&self.path) else { return Status::Start(Resend::Fresh) };
        if let Some(result) = StepResult::of(&self.path, record) {
            return Status::Ended(result);
        }
        if let Some(resend) = record.resend {
            return Status::Start(resend);
        }
        if record.in_doubt() {
            return Status::InDoubt;
        }
        let Some(started) = &record.started else { return Status::Start(Resend::Fresh) };
        let outlives_drivers = env.program.actions.contains_key(&self.uses) || is_engine_action(&self.uses);
        if started.leg == env.facts.leg || outlives_drivers {
            Status::Open
        } else if started.intent.effect.changes_the_world() {
            Status::Lost
        } else {
            Status::Start(Resend::Same)
        }
    }

    /// Evaluates the arguments and records the intent.
    fn start(&mut self, env: &mut Env, scope: &Scope, arguments: &Arguments, manner: &Manner) {
        self.leaf = Leaf::default();
        self.inner = None;
        let spec = env.program.specs.get(&self.uses).map(Arc::clone);
        let prepared = match &spec {
            Some(spec) => self.prepare(env, scope, spec, arguments, manner),
            None => Err(Failure::new(FailureKind::Argument, format!("there is no action `{}`", self.uses))),
        };
        let attempt = env.facts.step(&self.path).map_or(1, Record::next_attempt);
        let name = manner.step.and_then(|step| step::rendered_name(env, scope, step));
        let given = match arguments {
            Arguments::Given(args) => Some(arguments_digest(args)),
            Arguments::Templates(_) => None,
        };
        let blank = StepStarted {
            step: self.path.clone(),
            attempt,
            name,
            body: "uses".to_owned(),
            uses: Some(self.uses.clone()),
            effect: spec.as_ref().map_or(Effect::Pure, |spec| spec.effect),
            repeat: Repeat::Once,
            with: Map::new(),
            vars: Map::new(),
            key: None,
            given,
            timeout_ms: None,
            within_ms: None,
            maybe: env.maybe > 0,
            why: manner.why.clone(),
        };
        match prepared {
            Err(failure) => {
                env.emit(Fact::StepStarted(Box::new(StepStarted { effect: Effect::Pure, ..blank })));
                step::end(env, &self.path, Attempt::failed(failure), None, step::End::default());
            }
            Ok(prepared) => {
                let unknown = Value::Map(prepared.with.clone()).unknown().cloned();
                let effect = prepared.effect;
                let action = env.program.actions.contains_key(&self.uses);
                env.emit(Fact::StepStarted(Box::new(StepStarted {
                    effect,
                    repeat: prepared.repeat,
                    key: (effect.changes_the_world() && !action).then(|| self.key(env, &prepared.with)),
                    with: prepared.with,
                    vars: prepared.vars,
                    timeout_ms: prepared.timeout_ms,
                    within_ms: prepared.within_ms,
                    ..blank
                })));
                // An action with unknown inputs is still walked: parts of it may be known.
                if let Some(unknown) = unknown.filter(|_| !action) {
                    let outputs = Value::Unknown(Unknown { origin: self.path.to_string() });
                    let summary = format!("needs what is known after `{}`", unknown.origin);
                    let planned = Planned { summary, may_call: Vec::new() };
                    let attempt = Attempt { outcome: Outcome::Planned, outputs, failure: None };
                    step::end(env, &self.path, attempt, Some(planned), step::End::default());
                }
            }
        }
    }

    /// Records the intent to send the same again.
    fn start_again(&mut self, env: &mut Env) {
        self.leaf = Leaf::default();
        let Some(record) = env.facts.step(&self.path) else { return };
        let Some(started) = &record.started else { return };
        let intent = StepStarted { attempt: record.next_attempt(), ..started.intent.clone() };
        env.emit(Fact::StepStarted(Box::new(intent)));
    }

    /// When an in-doubt write may be sent again without asking anybody; `None` if never.
    fn settles_at(&self, env: &Env) -> Option<Timestamp> {
        let record = env.facts.step(&self.path)?;
        let started = record.started.as_ref()?;
        if record.unanswered >= SETTLE_ATTEMPTS_MAX || env.stopping() {
            return None;
        }
        // Each pause is longer than the one before: the other side is busy or coming up.
        let at = after(record.finished_at?, SETTLE_PAUSE * record.unanswered);
        match started.intent.repeat {
            Repeat::Once | Repeat::Verifiable => None,
            Repeat::Repeatable => Some(at),
            Repeat::Keyed { window_s } => {
                let age = at.max(env.now).as_second() - started.sent_first_at.as_second();
                u64::try_from(age).is_ok_and(|age| age + KEY_MARGIN_S < window_s).then_some(at)
            }
        }
    }

    fn prepare(
        &self,
        env: &Env,
        scope: &Scope,
        spec: &ActionSpec,
        arguments: &Arguments,
        manner: &Manner,
    ) -> Result<Prepared, Failure> {
        let most = if env.afterwards { STEPS_MAX + STEPS_RESERVE } else { STEPS_MAX };
        if env.facts.steps.len() >= most {
            return Err(Failure::new(FailureKind::Limit, format!("the run has reached {most} steps")));
        }
        if self.path.depth() > NESTING_MAX {
            let message = format!("calls nest more than {NESTING_MAX} deep at `{}`", self.path);
            return Err(Failure::new(FailureKind::Limit, message));
        }
        let evaluator = env.evaluator(scope, None);
        let given = match arguments {
            Arguments::Templates(templates) => evaluator.named(templates)?,
            Arguments::Given(args) => (*args).clone(),
        };
        let with = typed(spec, given)?;
        let timeout_ms =
            manner.step.and_then(|step| step.timeout.as_ref()).map(|t| duration_ms(&evaluator, t, "timeout"));
        let within_ms = manner.step.and_then(|step| step.within.as_ref()).map(|t| duration_ms(&evaluator, t, "within"));
        let vars = match env.program.actions.get(&self.uses) {
            Some(action) => compute_vars(env.sandbox, env.facts, self.inner_scope(action, with.clone(), Map::new()))?,
            None => Map::new(),
        };
        let effect = spec.effect_with(&with);
        let repeat = if effect.changes_the_world() { spec.repeat_with(&with) } else { Repeat::Once };
        Ok(Prepared {
            effect,
            repeat,
            with,
            vars,
            timeout_ms: timeout_ms.transpose()?.flatten(),
            within_ms: within_ms.transpose()?.flatten(),
        })
    }

    /// Run, path without attempt, digest of the arguments: equal for every repeat of the same change.
    fn key(&self, env: &Env, with: &Map) -> String {
        let run = env.facts.started.as_ref().map(|started| started.run.uuid()).unwrap_or_default();
        let digest = crate::engine::digest::sha256_hex(Value::Map(with.clone()).to_json().to_string().as_bytes());
        // What runs after a reopened run's second end is a change of its own.
        let again = match env.facts.reopened {
            times @ 1.. if is_afterwards(&self.path) => format!(":{times}"),
            _ => String::new(),
        };
        format!("{run}:{}:{}{again}", self.path, &digest[..16])
    }

    fn inner_scope(&self, action: &Arc<Runbook>, inputs: Map, vars: Map) -> Scope {
        Scope {
            runbook: Arc::clone(action),
            prefix: self.path.clone(),
            inputs,
            vars,
            results: BTreeMap::new(),
            failure: None,
            ending: None,
        }
    }

    fn go_inside(&mut self, env: &mut Env, scope: &Scope, manner: &Manner) -> Progress<StepEnd> {
        if self.inner.is_none() {
            let Some(action) = env.program.actions.get(&self.uses) else { return Progress::Pending };
            let Some(started) = env.facts.step(&self.path).and_then(|record| record.started.as_ref()) else {
                return Progress::Pending;
            };
            let (inputs, vars) = (started.intent.with.clone(), started.intent.vars.clone());
            let block = BlockTask::new(&action.steps);
            self.inner = Some(Box::new(Inner { scope: self.inner_scope(action, inputs, vars), block }));
        }
        let Some(inner) = &mut self.inner else { return Progress::Pending };
        let end = match inner.block.advance(env, &mut inner.scope) {
            Progress::Pending => return Progress::Pending,
            Progress::Ended(end) => end,
        };
        let mut broken_at = None;
        let attempt = match end {
            BlockEnd::Done | BlockEnd::Finished(_) => {
                let early = matches!(end, BlockEnd::Finished(_)) || inner.block.maybe_over;
                match outputs_of(env, &inner.scope, early) {
                    Ok(outputs) => step::shape_outputs(env, scope, manner.step, Attempt::done(Value::Map(outputs))),
                    Err(failure) => Attempt::failed(failure),
                }
            }
            BlockEnd::Cancelled => Attempt { outcome: Outcome::Cancelled, outputs: Value::Null, failure: None },
            BlockEnd::Broken(broken) => {
                let message = format!("`{}`: {}", broken.step, broken.failure.message);
                broken_at = Some(broken.step);
                Attempt::failed(Failure { message, ..broken.failure })
            }
        };
        self.inner = None;
        Progress::Ended(step::end(env, &self.path, attempt, None, step::End { ms: None, broken_at }))
    }
}

struct Prepared {
    effect: Effect,
    repeat: Repeat,
    with: Map,
    vars: Map,
    timeout_ms: Option<u64>,
    within_ms: Option<u64>,
}

/// How a number gets into a text: a template that is the whole text keeps its type.
fn as_text(value: &Value) -> &'static str {
    match value {
        Value::Int(_) | Value::Float(_) | Value::Bool(_) => "; `.to_string()` makes a text of it",
        _ => "",
    }
}

/// Arguments checked and completed by an action's spec.
pub(crate) fn typed(spec: &ActionSpec, mut given: Map) -> Result<Map, Failure> {
    let mut with = Map::new();
    for arg in &spec.args {
        let value = given.remove(&*arg.name).filter(|value| *value != Value::Null).or_else(|| arg.default.clone());
        match value {
            Some(value) => {
                let value = arg.ty.accept(&value).map_err(|why| {
                    let hint = if arg.ty == Type::String { as_text(&value) } else { "" };
                    Failure::new(FailureKind::Argument, format!("`{}` of `{}`: {why}{hint}", arg.name, spec.name))
                })?;
                // What can be seen in the text of a runbook is refused by the check; the rest is seen only here.
                if value.has_secret() && SHOWS_ITS_ARGUMENTS.contains(&spec.name.as_str()) {
                    let message =
                        format!("`{}` of `{}` holds a secret, and is shown or kept as text", arg.name, spec.name);
                    return Err(Failure::new(FailureKind::Secret, message));
                }
                with.insert(arg.name.to_string(), value);
            }
            None if arg.required => {
                let message = format!("`{}` needs `{}`", spec.name, arg.name);
                return Err(Failure::new(FailureKind::Argument, message));
            }
            None => {}
        }
    }
    match given.keys().next() {
        Some(extra) => Err(Failure::new(FailureKind::Argument, format!("`{}` takes no `{extra}`", spec.name))),
        None => Ok(with),
    }
}

/// A duration in a template; `None` when a rehearsal can't know it.
pub(crate) fn duration_ms(
    evaluator: &crate::engine::evaluate::Evaluator,
    template: &Template,
    key: &str,
) -> Result<Option<u64>, Failure> {
    match evaluator.template(template)? {
        Value::Unknown(_) => Ok(None),
        value => {
            let text = value.to_string();
            let duration =
                parse_duration(&text).map_err(|why| Failure::new(FailureKind::Argument, format!("`{key}`: {why}")))?;
            Ok(Some(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
        }
    }
}
