//! The call of an action, by a step's `uses` or by a script: arguments once, then a primitive's
//! attempts or the action's own steps.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::engine::event::{Body as Fact, Planned, PlannedChange, StepStarted};
use crate::engine::facts::{Record, Resend};
use crate::engine::ids::StepPath;
use crate::engine::machine::Env;
use crate::engine::outcome::{Attempt, Failure, FailureKind, Outcome};
use crate::engine::reopen::is_afterwards;
use crate::engine::scope::{Scope, StepResult};
use crate::engine::walk::again::{self, Place};
use crate::engine::walk::book::{BookEnd, BookTask};
use crate::engine::walk::gate::{self, Gate, Write};
use crate::engine::walk::handing::Handing;
use crate::engine::walk::leaf::{Leaf, after, is_engine_action};
use crate::engine::walk::limits::Inside;
use crate::engine::walk::prepare::{Prepared, child_of, prepare};
use crate::engine::walk::settle::SettleTask;
use crate::engine::walk::undo::UndoTask;
use crate::engine::walk::{Progress, StepEnd, entry, limits, step};
use crate::runbook::model::{Plan, Poll, Settle, Step};
use crate::runbook::program::FileKind;
use crate::runbook::snippet::Template;
use crate::runbook::source::Spanned;
use crate::runbook::spec::{Effect, RUN_UNDO, Repeat};
use crate::script::answers::arguments_digest;
use crate::script::value::{Map, Unknown, Value};

/// The primitive that runs another runbook.
pub(super) const RUNBOOK: &str = "runbook";
/// How often reads may fail to tell what became of a write before a person is asked.
const SETTLE_LOOKS_MAX: u32 = 3;
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
    /// One round of a loop, to which `until` belongs.
    pub round: bool,
}

impl<'a> Manner<'a> {
    pub(crate) fn poll(&self) -> Option<&'a Poll> {
        self.step.filter(|_| !self.round).and_then(|step| step.poll.as_ref())
    }

    fn settle(&self) -> Option<&'a Settle> {
        self.step.and_then(|step| step.settle.as_deref())
    }
}

/// An action being called.
pub(crate) struct Invocation {
    path: StepPath,
    uses: String,
    leaf: Leaf,
    /// The steps of a YAML action or of another runbook.
    inner: Option<Box<BookTask>>,
    /// Reads that find out what became of an attempt in doubt.
    settling: Option<Box<SettleTask>>,
    /// What `run.undo` takes back.
    undo: Option<Box<UndoTask>>,
    /// What its steps gave, on its way out.
    handing: Handing,
}

/// How a doubt is settled next.
enum Settling {
    /// The same is sent again then.
    Again(Timestamp),
    /// Reads look then.
    Look(Timestamp),
    Person,
}

/// What the facts say of an invocation.
enum Status {
    Ended(Box<StepResult>),
    Start(Resend),
    /// The process died in the middle of a write.
    Lost,
    InDoubt,
    Open,
}

impl Invocation {
    pub(crate) fn new(path: StepPath, uses: String) -> Invocation {
        Invocation {
            path,
            uses,
            leaf: Leaf::default(),
            inner: None,
            settling: None,
            undo: None,
            handing: Handing::default(),
        }
    }

    /// Where it stands.
    pub(crate) fn path(&self) -> &StepPath {
        &self.path
    }

    /// What it calls.
    pub(super) fn uses(&self) -> &str {
        &self.uses
    }

    /// Whether it is made of steps: an action, another runbook, or what takes steps back.
    pub(crate) fn has_steps(&self, env: &Env) -> bool {
        self.uses == RUNBOOK || self.uses == RUN_UNDO || env.program.actions.contains_key(&self.uses)
    }

    /// Goes on; ended without an end when another look follows.
    pub(crate) fn advance(
        &mut self,
        env: &mut Env,
        scope: &Scope,
        arguments: &Arguments,
        manner: &Manner,
    ) -> Progress<Option<StepEnd>> {
        let path = self.path.clone();
        let went_well = |end: &Option<StepEnd>| {
            end.as_ref().is_some_and(|end| end.result.outcome.lets_the_run_go_on() && !end.maybe_over)
        };
        env.at_step(&path, |env| self.go_on(env, scope, arguments, manner), went_well)
    }

    fn go_on(
        &mut self,
        env: &mut Env,
        scope: &Scope,
        arguments: &Arguments,
        manner: &Manner,
    ) -> Progress<Option<StepEnd>> {
        loop {
            if env.decided.waits.paused.is_some() {
                return Progress::Pending;
            }
            match self.status(env) {
                Status::Ended(result) => {
                    return Progress::Ended(Some(step::ended(env, &self.path, *result)));
                }
                Status::Start(resend) => {
                    let begun = match resend {
                        Resend::Fresh => self.start(env, scope, arguments, manner),
                        Resend::Same => self.start_again(env),
                    };
                    match begun {
                        Progress::Ended(()) => {}
                        Progress::Pending if env.stopping() => {
                            let result = StepResult::bare(&self.path, Outcome::Cancelled);
                            return Progress::Ended(Some(StepEnd::plain(result)));
                        }
                        Progress::Pending => return Progress::Pending,
                    }
                }
                Status::Lost => {
                    let message = "the process that sent it ended before the answer was known";
                    let failure = Failure::new(FailureKind::EngineDied, message);
                    step::end(env, &self.path, Attempt::in_doubt(failure), None, step::End::default());
                }
                Status::InDoubt => match (self.settling(env, manner), manner.settle()) {
                    (Settling::Again(at), _) if env.now >= at => match self.start_again(env) {
                        Progress::Ended(()) => {}
                        Progress::Pending => return Progress::Pending,
                    },
                    (Settling::Look(at), Some(settle)) if env.now >= at => {
                        let settling =
                            self.settling.get_or_insert_with(|| Box::new(SettleTask::new(settle, scope, &self.path)));
                        match settling.advance(env, settle, &self.path) {
                            Progress::Pending => return Progress::Pending,
                            Progress::Ended(()) => self.settling = None,
                        }
                    }
                    (Settling::Again(at) | Settling::Look(at), _) => {
                        env.decided.waits.timer(at);
                        return Progress::Pending;
                    }
                    (Settling::Person, _) => {
                        env.decided.waits.doubts.push(self.path.clone());
                        return Progress::Pending;
                    }
                },
                Status::Open if self.uses == RUN_UNDO => return self.take_back(env, scope, manner),
                Status::Open if self.has_steps(env) => {
                    let started = env.facts.step(&self.path).and_then(|record| record.started.as_ref());
                    let effect = started.map_or(Effect::Pure, |started| started.intent.effect);
                    let floor = gate::floor(env, &self.path, effect);
                    return gate::behind(env, floor, |env| self.go_inside(env, scope, manner));
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
            return Status::Ended(Box::new(result));
        }
        if let Some(resend) = record.resend {
            return Status::Start(resend);
        }
        if record.in_doubt() {
            return Status::InDoubt;
        }
        let Some(started) = &record.started else { return Status::Start(Resend::Fresh) };
        if step::never_began(&started.intent.body) {
            return Status::Start(Resend::Fresh);
        }
        let outlives_drivers = self.has_steps(env) || is_engine_action(&self.uses);
        if started.leg == env.facts.leg || outlives_drivers {
            Status::Open
        } else if started.intent.effect.changes_the_world() {
            Status::Lost
        } else {
            Status::Start(Resend::Same)
        }
    }

    fn forget(&mut self) {
        let (path, uses) = (self.path.clone(), std::mem::take(&mut self.uses));
        *self = Invocation::new(path, uses);
    }

    /// Evaluates the arguments and records the intent; pending while a hold keeps it from starting.
    fn start(&mut self, env: &mut Env, scope: &Scope, arguments: &Arguments, manner: &Manner) -> Progress<()> {
        self.forget();
        let spec = env.program.specs.get(&self.uses).map(Arc::clone);
        let prepared = match &spec {
            Some(spec) => prepare(self, env, scope, spec, arguments, manner),
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
            reveal: Vec::new(),
        };
        match prepared {
            Err(failure) => {
                let body = step::ARGUMENTS.to_owned();
                env.emit(Fact::StepStarted(Arc::new(StepStarted { body, effect: Effect::Pure, ..blank })));
                step::end(env, &self.path, Attempt::failed(failure), None, step::End::default());
            }
            Ok(prepared) => {
                let unknown = Value::Map(prepared.with.clone()).unknown().cloned();
                let effect = prepared.effect;
                let action = self.has_steps(env);
                match self.gate(env, scope, &prepared, unknown.is_some()) {
                    Gate::Open => {}
                    Gate::Wait => return Progress::Pending,
                    Gate::Ends(attempt) => {
                        let body = step::APPROVAL.to_owned();
                        env.emit(Fact::StepStarted(Arc::new(StepStarted { body, effect: Effect::Pure, ..blank })));
                        step::end(env, &self.path, attempt, None, step::End::default());
                        return Progress::Ended(());
                    }
                }
                if !action && env.held(effect) {
                    return Progress::Pending;
                }
                env.emit(Fact::StepStarted(Arc::new(StepStarted {
                    effect,
                    repeat: prepared.repeat,
                    key: (effect.changes_the_world() && !action).then(|| self.key(env, &prepared.with)),
                    with: prepared.with,
                    vars: prepared.vars,
                    timeout_ms: prepared.timeout_ms,
                    within_ms: prepared.within_ms,
                    reveal: prepared.reveal,
                    ..blank
                })));
                // An action with unknown inputs is still walked: parts of it may be known.
                if let Some(unknown) = unknown.filter(|_| !action) {
                    let outputs = Value::Unknown(Unknown { origin: self.path.to_string() });
                    let summary = format!("needs what is known after `{}`", unknown.origin);
                    let planned = Planned { summary, ..Planned::default() };
                    let attempt = Attempt { outcome: Outcome::Planned, outputs, failure: None };
                    step::end(env, &self.path, attempt, Some(planned), step::End::default());
                }
            }
        }
        Progress::Ended(())
    }

    /// Asks whether it may begin: a write, if this is agreed to; a call with steps, after they were shown.
    fn gate(&self, env: &mut Env, scope: &Scope, prepared: &Prepared, unknown: bool) -> Gate {
        if !prepared.effect.changes_the_world() {
            return Gate::Open;
        }
        let floor = gate::floor(env, &self.path, prepared.effect);
        if self.has_steps(env) {
            let asks = floor.is_some() || env.guards.last().is_some_and(|guard| guard.path == self.path);
            return match asks {
                true => gate::behind(env, floor, |env| gate::of_composite(env, &self.path)),
                false => Gate::Open,
            };
        }
        if unknown {
            env.find_unknown(&self.path);
            return Gate::Open;
        }
        let (effect, repeat, with) = (prepared.effect, prepared.repeat, &prepared.with);
        let write = Write { path: &self.path, uses: &self.uses, effect, repeat, with };
        gate::behind(env, floor, |env| gate::of_write(env, scope, &write))
    }

    /// Records the intent to send the same again; pending while a hold keeps it from starting.
    fn start_again(&mut self, env: &mut Env) -> Progress<()> {
        self.forget();
        let started = env.facts.step(&self.path).and_then(|record| record.started.as_ref());
        let effect = started.filter(|started| started.intent.key.is_some()).map(|started| started.intent.effect);
        if effect.is_some_and(|effect| env.held(effect)) {
            return Progress::Pending;
        }
        again::restart(env, &self.path);
        Progress::Ended(())
    }

    /// How an in-doubt write is settled next: by its class, by reads, else by a person.
    fn settling(&self, env: &Env, manner: &Manner) -> Settling {
        let Some(record) = env.facts.step(&self.path) else { return Settling::Person };
        let (Some(started), Some(ended)) = (&record.started, record.finished_at) else { return Settling::Person };
        // Each pause is longer than the one before: the other side is busy or coming up.
        let at = after(ended, SETTLE_PAUSE * record.unanswered);
        let trusted = match started.intent.repeat {
            Repeat::Once | Repeat::Verifiable => false,
            Repeat::Repeatable => true,
            Repeat::Keyed { window_s } => {
                let age = at.max(env.now).as_second() - started.sent_first_at.as_second();
                u64::try_from(age).is_ok_and(|age| age + KEY_MARGIN_S < window_s)
            }
        };
        if trusted && record.unanswered < SETTLE_ATTEMPTS_MAX && !env.stopping() {
            return Settling::Again(at);
        }
        match manner.settle() {
            Some(_) if record.untold < SETTLE_LOOKS_MAX && record.unanswered <= SETTLE_ATTEMPTS_MAX => {
                Settling::Look(after(ended, SETTLE_PAUSE * (record.untold + 1)))
            }
            _ => Settling::Person,
        }
    }

    /// Run, path without attempt, digest of the arguments: equal for every repeat of the same change.
    fn key(&self, env: &Env, with: &Map) -> String {
        let run = env.facts.started.as_ref().map(|started| started.run.uuid()).unwrap_or_default();
        let digest = crate::engine::digest::sha256_hex(Value::Map(with.clone()).to_json().to_string().as_bytes());
        // What runs after a reopened run's second end is a change of its own.
        let again = match (env.facts.undo_starts, env.facts.reopened) {
            // What is taken back another time is a change of its own, too.
            (times @ 2.., _) if self.path.is_undo() => format!(":{times}"),
            (_, times @ 1..) if !self.path.is_undo() && is_afterwards(&self.path) => format!(":{times}"),
            _ => String::new(),
        };
        format!("{run}:{}:{}{again}", self.path, &digest[..16])
    }

    fn go_inside(&mut self, env: &mut Env, scope: &Scope, manner: &Manner) -> Progress<Option<StepEnd>> {
        if self.inner.is_none() {
            let Some(started) = env.facts.step(&self.path).and_then(|record| record.started.as_ref()) else {
                return Progress::Pending;
            };
            let intent = Arc::clone(&started.intent);
            let (book, inputs) = match (self.uses.as_str(), intent.with.get("inputs")) {
                (RUNBOOK, Some(Value::Map(inputs))) => match child_of(env, &intent.with) {
                    Ok(child) => (&child.runbook, inputs.clone()),
                    Err(failure) => return Progress::Ended(Some(self.end(env, Attempt::failed(failure), None, None))),
                },
                (uses, _) => match env.program.actions.get(uses) {
                    Some(action) => (action, intent.with.clone()),
                    None => return Progress::Pending,
                },
            };
            let inner = Scope::new(book, self.path.clone(), inputs, intent.vars.clone());
            match entry::enter(env, &self.path, &inner) {
                Progress::Pending => return Progress::Pending,
                Progress::Ended(Some(attempt)) => return Progress::Ended(Some(self.end(env, attempt, None, None))),
                Progress::Ended(None) => {}
            }
            self.inner = Some(Box::new(BookTask::new(inner)));
        }
        let Some(inner) = &mut self.inner else { return Progress::Pending };
        let (name, kind) = match self.uses == RUNBOOK {
            true => (inner.scope.runbook.name.clone(), FileKind::Runbook),
            false => (self.uses.clone(), FileKind::Action),
        };
        let end = match self.handing.is_begun() {
            true => BookEnd::Done(Map::new(), None),
            false => match env.within_text(&name, kind, |env| inner.advance(env, None)) {
                Progress::Pending => return Progress::Pending,
                Progress::Ended(end) => end,
            },
        };
        let mut broken_at = None;
        let mut as_planned = None;
        let attempt = match end {
            BookEnd::Done(outputs, _) => match self.handing.advance(env, &inner.scope, &self.path, outputs) {
                Progress::Pending => return Progress::Pending,
                Progress::Ended((attempt, said)) => {
                    as_planned = said;
                    attempt
                }
            },
            BookEnd::Cut => limits::stopped(env, &self.path, Inside::Below(&self.path)),
            BookEnd::Broken(broken) => {
                let message = format!("`{}`: {}", broken.step, broken.failure.message);
                broken_at = Some(broken.step);
                let failure = Failure { message, ..broken.failure };
                // A refusal by people stays one; anything else that stopped it is a failure of the whole.
                let outcome = match broken.outcome {
                    Outcome::Rejected => Outcome::Rejected,
                    _ => Outcome::Failed,
                };
                Attempt { outcome, outputs: Value::Null, failure: Some(failure) }
            }
        };
        let Some(inner) = &self.inner else { return Progress::Pending };
        let announced = inner.scope.runbook.plan.as_ref().and_then(|plan| announce(env, &inner.scope, plan));
        self.inner = None;
        let (attempt, planned) = match manner.step {
            None => (attempt, None),
            Some(step) => {
                let place = Place { step, path: &self.path, inside: Inside::Below(&self.path), round: manner.round };
                match again::look(env, scope, &place, attempt) {
                    None => return Progress::Ended(None),
                    Some((attempt, planned)) => (step::shape_outputs(env, scope, Some(step), attempt), planned),
                }
            }
        };
        Progress::Ended(Some(self.end(env, attempt, planned.or(as_planned).or(announced), broken_at)))
    }

    /// `run.undo`: a rehearsal can't know what there will be to take back.
    fn take_back(&mut self, env: &mut Env, scope: &Scope, manner: &Manner) -> Progress<Option<StepEnd>> {
        if env.is_rehearsal() {
            env.overlay.forget();
            let outputs = Value::Unknown(Unknown { origin: self.path.to_string() });
            let summary = "would take back what was done by then".to_owned();
            let attempt = Attempt { outcome: Outcome::Planned, outputs, failure: None };
            return Progress::Ended(Some(self.end(
                env,
                attempt,
                Some(Planned { summary, ..Planned::default() }),
                None,
            )));
        }
        let attempt = match self.undo.get_or_insert_default().advance_call(env, &self.path) {
            Progress::Pending => return Progress::Pending,
            Progress::Ended(attempt) => step::shape_outputs(env, scope, manner.step, attempt),
        };
        self.undo = None;
        Progress::Ended(Some(self.end(env, attempt, None, None)))
    }

    fn end(&self, env: &mut Env, attempt: Attempt, planned: Option<Planned>, broken_at: Option<StepPath>) -> StepEnd {
        step::end(env, &self.path, attempt, planned, step::End { ms: None, broken_at })
    }
}

/// Rehearsal: what an action's `plan` says it would change; parts that can't be known yet are left out.
fn announce(env: &Env, scope: &Scope, plan: &Plan) -> Option<Planned> {
    if !env.is_rehearsal() {
        return None;
    }
    let evaluator = env.evaluator(scope, None);
    let said = |template: &Template| evaluator.shown(template).unwrap_or_default();
    let part = |template: &Option<Template>| template.as_ref().map_or(Value::Null, said);
    let change =
        PlannedChange { before: part(&plan.before), after: part(&plan.after), reversible: part(&plan.reversible) };
    Some(Planned { summary: said(&plan.summary).to_string(), change: Some(change), ..Planned::default() })
}
