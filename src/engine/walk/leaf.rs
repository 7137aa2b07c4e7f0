//! A primitive's attempt while it is open: performed by the driver, polled, or carried out here.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::engine::evaluate::Truth;
use crate::engine::event::{Body as Fact, Planned, StepStarted};
use crate::engine::ids::StepPath;
use crate::engine::machine::{Completion, Env, Perform};
use crate::engine::outcome::{Attempt, Failure, FailureKind, Outcome};
use crate::engine::scope::Scope;
use crate::engine::walk::invocation::Manner;
use crate::engine::walk::{Progress, again, gate, left, limits, step};
use crate::runbook::model::Poll;
use crate::runbook::types::parse_duration;
use crate::script::value::{Map, Unknown, Value};

/// Actions the engine carries out itself: timers, questions, and the run's own voice.
pub const ENGINE_ACTIONS: [&str; 5] = ["time.sleep", "human.ask", "run.note", "run.finish", "run.fail"];

/// How long a question waits without `expires`: long enough to fetch somebody, short enough for an outage.
pub const ASK_EXPIRES_DEFAULT: Duration = Duration::from_secs(15 * 60);

/// Unmet looks are journaled at most this often.
const OBSERVE_EVERY: SignedDuration = SignedDuration::from_secs(1);

/// Outputs that differ at every look and would make each an observation of its own.
const VOLATILE: [&str; 3] = ["ms", "text", "headers"];

/// What is said of one look.
#[derive(Clone, Copy)]
struct Look {
    poll: bool,
    /// See [`Perform::laid_over`].
    laid_over: bool,
}

/// Whether the engine carries this action out itself.
pub(crate) fn is_engine_action(uses: &str) -> bool {
    ENGINE_ACTIONS.contains(&uses)
}

/// An open attempt.
#[derive(Clone, Debug, Default)]
pub(crate) struct Leaf {
    looks: u32,
    in_a_row: u32,
    /// When a poll looks again.
    next_look: Option<Timestamp>,
    /// When the last observation was journaled.
    observed_at: Option<Timestamp>,
    /// What the last look saw, for the message of a poll that runs out.
    last_seen: Option<Value>,
}

impl Leaf {
    /// Moves the attempt; ended when its outcome is recorded.
    pub(crate) fn advance(
        &mut self,
        env: &mut Env,
        scope: &Scope,
        path: &StepPath,
        uses: &str,
        manner: &Manner,
    ) -> Progress<()> {
        env.until_limit(env.deadline);
        if env.is_in_flight(path) {
            return Progress::Pending;
        }
        let Some(started) = env.facts.step(path).and_then(|record| record.started.as_ref()) else {
            return Progress::Pending;
        };
        let (intent, first_at) = (Arc::clone(&started.intent), started.first_at);
        if is_engine_action(uses) {
            return engine_action(env, scope, path, uses, &intent, first_at, manner);
        }
        // The walk was begun again meanwhile; the poll goes on where it was.
        if self.looks == 0
            && manner.poll().is_some()
            && let Some(known) = env.poll(path, intent.attempt)
        {
            *self = known;
        }
        if let Some(completion) = env.take_completion(path) {
            return match manner.poll() {
                Some(poll) => self.looked(env, scope, path, poll, completion, manner),
                None => {
                    settle(env, scope, path, completion, manner);
                    Progress::Ended(())
                }
            };
        }
        let until = deadline(&intent, first_at);
        match manner.poll() {
            Some(_) if env.stopping() => {
                cancel(env, path);
                Progress::Ended(())
            }
            Some(_) => self.wait_or_look(env, path, &intent, until),
            None if self.looks == 0 => {
                let laid_over = !intent.effect.changes_the_world() && left::is_laid_over(env, scope);
                self.look(env, &intent, Look { poll: false, laid_over }, until);
                Progress::Pending
            }
            None => Progress::Pending,
        }
    }

    fn look(&mut self, env: &mut Env, intent: &StepStarted, look: Look, until: Option<Timestamp>) {
        self.looks += 1;
        self.next_look = None;
        let mut timeout = intent.timeout_ms.map(Duration::from_millis);
        // A look takes no longer than the step has; a write is never cut off by more than its own limit.
        if let Some(left) = until.filter(|until| *until > env.now && !intent.effect.changes_the_world()) {
            let left = Duration::try_from(left.duration_since(env.now)).unwrap_or_default();
            timeout = Some(timeout.map_or(left, |own| own.min(left)));
        }
        if look.poll {
            env.keep_poll(&intent.step, intent.attempt, self.clone());
        }
        env.perform(Perform {
            step: intent.step.clone(),
            attempt: intent.attempt,
            look: self.looks,
            poll: look.poll,
            uses: intent.uses.clone().unwrap_or_default(),
            effect: intent.effect,
            args: intent.with.clone(),
            key: intent.key.clone().unwrap_or_default(),
            timeout,
            reveal: intent.reveal.clone(),
            laid_over: look.laid_over,
        });
    }

    fn wait_or_look(
        &mut self,
        env: &mut Env,
        path: &StepPath,
        intent: &StepStarted,
        deadline: Option<Timestamp>,
    ) -> Progress<()> {
        if let Some(next) = self.next_look
            && env.now < next
        {
            env.decided.waits.timer(deadline.map_or(next, |deadline| deadline.min(next)));
            if deadline.is_none_or(|deadline| env.now < deadline) {
                return Progress::Pending;
            }
        }
        // The first look is always made, also after a restart past the deadline: the world may be well.
        if self.looks > 0 && deadline.is_some_and(|deadline| env.now >= deadline) {
            let seen = self
                .last_seen
                .as_ref()
                .map_or_else(String::new, |seen| format!("; last seen: {}", crate::engine::evaluate::quote(seen)));
            let within = limits::shown(Duration::from_millis(intent.within_ms.unwrap_or(0)));
            let message = format!("`until` was not met within {within}{seen}");
            step::end(
                env,
                path,
                Attempt::failed(Failure::new(FailureKind::Timeout, message)),
                None,
                step::End::default(),
            );
            return Progress::Ended(());
        }
        self.look(env, intent, Look { poll: true, laid_over: false }, deadline);
        Progress::Pending
    }

    /// Judges one look of a poll.
    fn looked(
        &mut self,
        env: &mut Env,
        scope: &Scope,
        path: &StepPath,
        poll: &Poll,
        mut completion: Completion,
        manner: &Manner,
    ) -> Progress<()> {
        if let Some(fail_if) = manner.step.and_then(|step| step.fail_if.as_ref())
            && completion.result.outcome == Outcome::Done
        {
            completion.result = again::failed_if(env, scope, fail_if, completion.result);
        }
        let result = &completion.result;
        let met = match (&result.outcome, &result.failure) {
            (Outcome::Done, _) => match env.evaluator(scope, Some(&result.outputs)).truth(&poll.until) {
                Ok(Truth::Yes) => true,
                Ok(Truth::No | Truth::Unknown(_)) => false,
                Err(failure) => {
                    step::end(env, path, Attempt::failed(failure), None, step::End::default());
                    return Progress::Ended(());
                }
            },
            (Outcome::Planned, _) => false,
            (_, Some(failure)) if means_not_yet(failure) => false,
            _ => {
                settle(env, scope, path, completion, manner);
                return Progress::Ended(());
            }
        };
        if let Some(planned) = completion.planned {
            // A rehearsal looks once: either it is so already, or how long it takes can't be known.
            let attempt = if met && completion.result.outcome == Outcome::Done {
                completion.result
            } else {
                let outputs = Value::Unknown(Unknown { origin: path.to_string() });
                Attempt { outcome: Outcome::Planned, outputs, failure: None }
            };
            let planned = Some(planned).filter(|_| attempt.outcome == Outcome::Planned);
            step::end(env, path, attempt, planned, step::End { ms: Some(completion.ms), broken_at: None });
            return Progress::Ended(());
        }
        self.in_a_row = if met { self.in_a_row + 1 } else { 0 };
        if self.in_a_row >= poll.in_a_row {
            settle(env, scope, path, completion, manner);
            return Progress::Ended(());
        }
        let seen = observation(result);
        let observed = env.facts.step(path).and_then(|record| record.observed.as_ref());
        if observed != Some(&seen) && self.observed_at.is_none_or(|at| env.now.duration_since(at) >= OBSERVE_EVERY) {
            self.observed_at = Some(env.now);
            env.emit(Fact::StepObserved {
                step: path.clone(),
                attempt: completion.attempt,
                look: self.looks,
                result: seen.clone(),
            });
        }
        self.last_seen = Some(seen);
        let every = match again::every(env, scope, poll) {
            Ok(every) => every.unwrap_or(Poll::EVERY_DEFAULT),
            Err(failure) => {
                step::end(env, path, Attempt::failed(failure), None, step::End::default());
                return Progress::Ended(());
            }
        };
        self.next_look = Some(after(env.now, every));
        env.keep_poll(path, completion.attempt, self.clone());
        // Ended means "look at the facts again": the poll is still open and now waits for its timer.
        Progress::Ended(())
    }
}

fn deadline(intent: &StepStarted, first_at: Timestamp) -> Option<Timestamp> {
    Some(after(first_at, Duration::from_millis(intent.within_ms?)))
}

/// `at + duration`, or the end of time if that is past it.
pub(crate) fn after(at: Timestamp, duration: Duration) -> Timestamp {
    SignedDuration::try_from(duration).ok().and_then(|d| at.checked_add(d).ok()).unwrap_or(Timestamp::MAX)
}

/// Records what an attempt came to.
fn settle(env: &mut Env, scope: &Scope, path: &StepPath, completion: Completion, manner: &Manner) {
    let mut attempt = completion.result;
    if let Some(fail_if) = manner.step.filter(|_| manner.poll().is_none()).and_then(|step| step.fail_if.as_ref())
        && attempt.outcome == Outcome::Done
    {
        attempt = again::failed_if(env, scope, fail_if, attempt);
    }
    let attempt = step::shape_outputs(env, scope, manner.step, attempt);
    // A poll took as long as all its looks and pauses; an attempt as long as it was measured.
    let ms = manner.poll().is_none().then_some(completion.ms);
    let leaves = completion.leaves;
    let planned = completion.planned.map(|mut planned| {
        let started = env.facts.step(path).and_then(|record| record.started.as_ref());
        let effect = started.filter(|started| started.intent.key.is_some()).map(|started| started.intent.effect);
        if let Some(effect) = effect {
            planned.detail.extend(left::planned_write(env, scope, manner.step, effect, leaves));
        }
        let approval = effect.and_then(|effect| {
            let floor = gate::floor(env, path, effect);
            gate::behind(env, floor, |env| gate::announced(env))
        });
        Planned { approval, ..planned }
    });
    step::end(env, path, attempt, planned, step::End { ms, broken_at: None });
}

fn cancel(env: &mut Env, path: &StepPath) {
    let attempt = Attempt { outcome: Outcome::Cancelled, outputs: Value::Null, failure: None };
    step::end(env, path, attempt, None, step::End::default());
}

/// Trouble that a poll sits out: the other side is away or busy.
pub(crate) fn means_not_yet(failure: &Failure) -> bool {
    failure.transient
        || matches!(failure.kind, FailureKind::Dns | FailureKind::Connect | FailureKind::Timeout | FailureKind::Network)
}

/// What a look saw, without what changes every time.
fn observation(result: &Attempt) -> Value {
    match (&result.outputs, &result.failure) {
        (Value::Map(outputs), _) => Value::Map(
            outputs
                .iter()
                .filter(|(key, _)| !VOLATILE.contains(&key.as_str()))
                .map(|(k, v)| (k.clone(), v.clone()))
                .collect(),
        ),
        (Value::Null, Some(failure)) => failure.to_value(),
        (other, _) => other.clone(),
    }
}

/// Timers, questions and the run's own voice.
fn engine_action(
    env: &mut Env,
    scope: &Scope,
    path: &StepPath,
    uses: &str,
    intent: &StepStarted,
    first_at: Timestamp,
    manner: &Manner,
) -> Progress<()> {
    let text = |name: &str| intent.with.get(name).map(Value::to_string);
    // In a rehearsal the driver answers for timers and people.
    if let Some(completion) = env.take_completion(path) {
        settle(env, scope, path, completion, manner);
        return Progress::Ended(());
    }
    let rehearsal = env.is_rehearsal();
    let attempt = match uses {
        "run.note" if env.maybe > 0 => {
            let summary = format!("may note: {}", text("text").unwrap_or_default());
            return plan(env, path, summary, Value::Null);
        }
        "run.note" => {
            env.emit(Fact::Note { text: text("text").unwrap_or_default(), actor: None, step: Some(path.clone()) });
            Attempt::done(Value::Null)
        }
        "run.finish" if text("status").as_deref() != Some("failed") => Attempt::done(Value::Null),
        "run.finish" | "run.fail" => {
            let message = text("message").unwrap_or_else(|| "the runbook said so".to_owned());
            Attempt::failed(Failure::new(FailureKind::Stopped, message))
        }
        _ if env.stopping() => Attempt { outcome: Outcome::Cancelled, outputs: Value::Null, failure: None },
        "time.sleep" => {
            let wanted = text("duration").unwrap_or_default();
            match parse_duration(&wanted) {
                Err(why) => Attempt::failed(Failure::new(FailureKind::Argument, format!("`duration`: {why}"))),
                Ok(_) if rehearsal => return plan(env, path, format!("would wait {wanted}"), Value::Null),
                Ok(duration) if env.now < after(first_at, duration) => {
                    env.decided.waits.timer(after(first_at, duration));
                    return Progress::Pending;
                }
                Ok(_) => Attempt::done(Value::Null),
            }
        }
        _ if rehearsal => {
            let outputs = Value::Unknown(Unknown { origin: path.to_string() });
            let question = text("text").unwrap_or_default();
            return plan(env, path, format!("would ask: {question}"), outputs);
        }
        _ => match ask(env, path, intent) {
            Some(attempt) => attempt,
            None => return Progress::Pending,
        },
    };
    let attempt = step::shape_outputs(env, scope, manner.step, attempt);
    step::end(env, path, attempt, None, step::End::default());
    Progress::Ended(())
}

fn plan(env: &mut Env, path: &StepPath, summary: String, outputs: Value) -> Progress<()> {
    let planned = Planned { summary, ..Planned::default() };
    step::end(
        env,
        path,
        Attempt { outcome: Outcome::Planned, outputs, failure: None },
        Some(planned),
        step::End::default(),
    );
    Progress::Ended(())
}

/// Puts the question, or gives its end.
fn ask(env: &mut Env, path: &StepPath, intent: &StepStarted) -> Option<Attempt> {
    let record = env.facts.step(path)?;
    let expired =
        |at: Timestamp| record.asked.as_ref().and_then(|asked| asked.expires).filter(|expires| at >= *expires);
    if let Some((answer, actor, at)) = &record.answered
        && expired(*at).is_none()
    {
        let outputs =
            Map::from([("answer".to_owned(), answer.clone()), ("by".to_owned(), Value::from(actor.id.as_str()))]);
        return Some(Attempt::done(Value::Map(outputs)));
    }
    let Some(asked) = &record.asked else {
        let texts = |name: &str| match intent.with.get(name) {
            Some(Value::List(items)) => items.iter().map(Value::to_string).collect(),
            Some(Value::Text(one)) => vec![one.clone()],
            _ => Vec::new(),
        };
        let expires = match intent.with.get("expires").map(|value| parse_duration(&value.to_string())) {
            None => ASK_EXPIRES_DEFAULT,
            Some(Ok(duration)) => duration,
            Some(Err(why)) => {
                return Some(Attempt::failed(Failure::new(FailureKind::Argument, format!("`expires`: {why}"))));
            }
        };
        let expires = after(env.now, expires);
        let fields = match intent.with.get("fields") {
            Some(Value::Map(declared)) => declared.clone(),
            _ => Map::new(),
        };
        if !fields.is_empty()
            && let Err(why) = crate::runbook::fields::read(&Value::Map(fields.clone()))
        {
            return Some(Attempt::failed(Failure::new(FailureKind::Argument, format!("`fields`: {why}"))));
        }
        env.emit(Fact::AskAsked {
            step: path.clone(),
            text: intent.with.get("text").map(Value::to_string).unwrap_or_default(),
            choices: texts("choices"),
            fields,
            by: texts("by"),
            expires: Some(expires),
        });
        env.decided.waits.question(path, Some(expires));
        return None;
    };
    let late = record.answered.is_some();
    match expired(env.now) {
        Some(expires) => {
            let message = match late {
                true => format!("the answer came after {expires}, too late"),
                false => format!("nobody answered before {expires}"),
            };
            let failure = Failure::new(FailureKind::Expired, message);
            Some(Attempt { outcome: Outcome::Rejected, outputs: Value::Null, failure: Some(failure) })
        }
        None => {
            let expires = asked.expires;
            env.decided.waits.question(path, expires);
            None
        }
    }
}
