//! Another attempt of a step: by its `retry`, or because its `until` was not met. The engine's own settling of
//! doubts is not here: that is no retry.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::engine::evaluate::Truth;
use crate::engine::event::{Body as Fact, Planned, StepRetrying, StepStarted};
use crate::engine::facts::Resend;
use crate::engine::ids::StepPath;
use crate::engine::machine::Env;
use crate::engine::outcome::{Attempt, Failure, FailureKind, Outcome};
use crate::engine::scope::Scope;
use crate::engine::walk::leaf::{after, means_not_yet};
use crate::engine::walk::limits::Inside;
use crate::engine::walk::{StepEnd, limits, prepare, step};
use crate::runbook::model::{Poll, Retry, Step};
use crate::runbook::snippet::{Snippet, Template};
use crate::runbook::spec::{Effect, Repeat};
use crate::script::value::{Unknown, Value};

/// The most that is added to a pause so that many runs don't come back at once, in percent.
const JITTER_PERCENT: u64 = 20;

/// Where a step is tried again.
pub(crate) struct Place<'a> {
    pub step: &'a Step,
    pub path: &'a StepPath,
    /// Its own steps.
    pub inside: Inside<'a>,
    /// It is one round of a loop: `until` and `within` belong to the loop.
    pub round: bool,
}

impl Place<'_> {
    /// Steps inside that have no path below its own: another attempt forgets them by name.
    fn beside(&self) -> Vec<StepPath> {
        match self.inside {
            Inside::Below(_) => Vec::new(),
            Inside::Beside(steps) => steps.to_vec(),
        }
    }
}

/// Follows a failed attempt up if `retry` says so; true if there will be another one.
///
/// Depends on nothing but the step's own facts, so that a walk from the start decides the same.
pub(crate) fn retries(env: &mut Env, scope: &Scope, place: &Place, end: &StepEnd) -> bool {
    let (Some(retry), Some(error)) = (&place.step.retry, &end.result.error) else { return false };
    let Some(record) = env.facts.step(place.path) else { return false };
    let Some(started) = &record.started else { return false };
    // What failed before it was attempted can't go better the next time.
    if step::never_began(&started.intent.body) {
        return false;
    }
    let rehearsal = env.is_rehearsal();
    if rehearsal || record.tries + 1 >= retry.attempts || !is_worth_it(retry, &started.intent, end) {
        return false;
    }
    let attempt = started.intent.attempt;
    let pause = pause_of(env, scope, retry, record.tries, place.path, error);
    let at = after(record.finished_at.unwrap_or(env.now), pause);
    let within = limits::until(env.facts, place.inside, started.first_at, started.intent.within_ms);
    if within.is_some_and(|within| at >= within) {
        return false;
    }
    env.emit(Fact::StepRetrying(Box::new(StepRetrying {
        step: place.path.clone(),
        attempt,
        at,
        error: Some(error.clone()),
        result: Value::Null,
        met: false,
        forget: place.beside(),
    })));
    true
}

fn is_worth_it(retry: &Retry, intent: &StepStarted, end: &StepEnd) -> bool {
    let Some(error) = &end.result.error else { return false };
    let hopeless = matches!(
        error.kind,
        FailureKind::Argument
            | FailureKind::Policy
            | FailureKind::Secret
            | FailureKind::Mismatch
            | FailureKind::Limit
            | FailureKind::Outputs
            | FailureKind::Expired
            | FailureKind::Rejected
            | FailureKind::Stale
    );
    let allowed = match end.result.outcome {
        Outcome::Refused => error.transient,
        // A composite with a write that is not repeatable has no `retry`: the check refuses it.
        Outcome::Failed => intent.effect <= Effect::Read || intent.repeat == Repeat::Repeatable || intent.key.is_none(),
        _ => false,
    };
    let status = match end.result.outputs().get("status") {
        Some(Value::Int(status)) => Some(*status),
        _ => None,
    };
    let meant = |word: &str| match word {
        "refused" => end.result.outcome == Outcome::Refused,
        "5xx" => status.is_some_and(|status| (500..600).contains(&status)),
        "429" => status == Some(429),
        kind => kind == error.kind.word(),
    };
    allowed && !hopeless && (retry.on.is_empty() || retry.on.iter().any(|word| meant(&word.value)))
}

/// The pause before the next attempt: longer each time, never shorter than the other side asked for.
fn pause_of(env: &Env, scope: &Scope, retry: &Retry, tries: u32, path: &StepPath, error: &Failure) -> Duration {
    // That they are durations has been checked; one that can't be evaluated is as good as none.
    let given = |template: &Option<Template>, default: Duration| {
        let ms = template.as_ref().map(|t| prepare::duration_ms(&env.evaluator(scope, None), t, "retry"));
        ms.and_then(Result::ok).flatten().map_or(default, Duration::from_millis)
    };
    let most = given(&retry.max_delay, Retry::MAX_DELAY_DEFAULT);
    let first = given(&retry.delay, Retry::DELAY_DEFAULT);
    let grown = first.as_secs_f64() * retry.backoff.powi(i32::try_from(tries).unwrap_or(i32::MAX));
    let grown = Duration::try_from_secs_f64(grown).unwrap_or(most).min(most);
    let asked = Duration::from_secs(error.retry_after_s.unwrap_or(0)).min(most);
    let pause = grown.max(asked);
    let run = env.facts.started.as_ref().map(|started| started.run.uuid()).unwrap_or_default();
    let digest = crate::engine::digest::sha256_hex(format!("{run}:{path}:{tries}").as_bytes());
    let share = u64::from_str_radix(&digest[..8], 16).unwrap_or(0) % (JITTER_PERCENT + 1);
    pause + pause.mul_f64(share as f64 / 100.0)
}

/// What a pause between two attempts says now.
pub(crate) enum Pause {
    /// There is none, or it is over.
    Over,
    Wait,
    /// There will be no further attempt: the step ends with this.
    Ends(Attempt),
}

/// Looks at the pause before the next attempt.
pub(crate) fn pause(env: &mut Env, path: &StepPath, inside: Inside) -> Pause {
    let Some(record) = env.facts.step(path) else { return Pause::Over };
    let Some(pause) = record.pause.clone().filter(|_| record.resend == Some(Resend::Same)) else { return Pause::Over };
    let within = limits::within(env, path, inside);
    if env.is_first_up(within) {
        return Pause::Ends(out_of_time(env, path, pause.error));
    }
    if env.stopping() {
        return Pause::Ends(Attempt { outcome: Outcome::Cancelled, outputs: Value::Null, failure: None });
    }
    if env.now < pause.at {
        env.decided.waits.timer(within.map_or(pause.at, |within| within.min(pause.at)));
        return Pause::Wait;
    }
    Pause::Over
}

/// The end of a step whose `within` leaves no time for another attempt.
fn out_of_time(env: &Env, path: &StepPath, error: Option<Failure>) -> Attempt {
    let record = env.facts.step(path);
    let within = record.and_then(|record| record.started.as_ref()?.intent.within_ms).unwrap_or(0);
    let within = limits::shown(Duration::from_millis(within));
    Attempt::failed(match error {
        Some(error) => Failure {
            message: format!("{}; `within: {within}` leaves no time for another attempt", error.message),
            ..error
        },
        None => {
            let seen = record.and_then(|record| record.observed.as_ref());
            let seen =
                seen.map_or_else(String::new, |seen| format!("; last seen: {}", crate::engine::evaluate::quote(seen)));
            Failure::new(FailureKind::Timeout, format!("`until` was not met within {within}{seen}"))
        }
    })
}

/// Records the intent of the next attempt, with the same arguments.
pub(crate) fn restart(env: &mut Env, path: &StepPath) {
    let Some(record) = env.facts.step(path) else { return };
    let Some(started) = &record.started else { return };
    let intent = StepStarted { attempt: record.next_attempt(), ..(*started.intent).clone() };
    env.emit(Fact::StepStarted(Arc::new(intent)));
}

/// What is to be recorded as the end of a look.
pub(crate) type Judged = (Attempt, Option<Planned>);

/// Judges a finished attempt of a composite by `fail_if` and `until`; nothing when another look follows, which is
/// then recorded.
pub(crate) fn look(env: &mut Env, scope: &Scope, place: &Place, attempt: Attempt) -> Option<Judged> {
    let poll = place.step.poll.as_ref().filter(|_| !place.round);
    let attempt = match &place.step.fail_if {
        Some(fail_if) if attempt.outcome == Outcome::Done => failed_if(env, scope, fail_if, attempt),
        _ => attempt,
    };
    let Some(poll) = poll else { return Some((attempt, None)) };
    let met = match &attempt.failure {
        Some(failure) if has_failed(attempt.outcome) && means_not_yet(failure) => false,
        _ if attempt.outcome != Outcome::Done => return Some((attempt, None)),
        _ => match env.evaluator(scope, Some(&attempt.outputs)).truth(&poll.until) {
            Ok(truth) => matches!(truth, Truth::Yes),
            Err(failure) => return Some((Attempt::failed(failure), None)),
        },
    };
    let rehearsal = env.is_rehearsal();
    if rehearsal && !met {
        // A rehearsal looks once: how long it takes can't be known.
        let outputs = Value::Unknown(Unknown { origin: place.path.to_string() });
        let summary = format!("now: {}", crate::engine::evaluate::quote(&attempt.outputs));
        let attempt = Attempt { outcome: Outcome::Planned, outputs, failure: None };
        return Some((attempt, Some(Planned { summary, ..Planned::default() })));
    }
    let Some(record) = env.facts.step(place.path) else { return Some((attempt, None)) };
    if rehearsal || (met && record.in_a_row + 1 >= poll.in_a_row) {
        return Some((attempt, None));
    }
    let number = record.attempt().unwrap_or(1);
    let within = limits::within(env, place.path, place.inside);
    // It was cut off, or came too late: nobody looks again, and what this look has seen stays to be seen.
    if within.is_some_and(|within| env.now >= within) {
        return Some((out_of_time(env, place.path, None), None));
    }
    let at = match every(env, scope, poll) {
        Ok(every) => after(env.now, every.unwrap_or(Poll::EVERY_DEFAULT)),
        Err(failure) => return Some((Attempt::failed(failure), None)),
    };
    let result = attempt.failure.as_ref().map_or(attempt.outputs, Failure::to_value);
    env.emit(Fact::StepRetrying(Box::new(StepRetrying {
        step: place.path.clone(),
        attempt: number,
        at: within.map_or(at, |within: Timestamp| within.min(at)),
        error: None,
        result,
        met,
        forget: place.beside(),
    })));
    None
}

/// A group whose read was refused is refused itself; a single step that waits sits that out as well.
fn has_failed(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Failed | Outcome::Refused)
}

/// `every` of a poll, if it is given and known.
///
/// # Errors
/// If it isn't a duration.
pub(crate) fn every(env: &Env, scope: &Scope, poll: &Poll) -> Result<Option<Duration>, Failure> {
    let Some(every) = &poll.every else { return Ok(None) };
    let ms = prepare::duration_ms(&env.evaluator(scope, None), every, "every")?;
    Ok(ms.map(Duration::from_millis))
}

/// Turns a good end into a failed one if `fail_if` holds of it.
pub(crate) fn failed_if(env: &Env, scope: &Scope, fail_if: &Snippet, attempt: Attempt) -> Attempt {
    let evaluator = env.evaluator(scope, Some(&attempt.outputs));
    let failure = match evaluator.truth(fail_if) {
        Ok(Truth::No | Truth::Unknown(_)) => return attempt,
        Ok(Truth::Yes) => {
            let message = format!("`fail_if` holds: `{}`", fail_if.text.trim());
            evaluator.failure(fail_if, FailureKind::Expect, &message, None)
        }
        Err(failure) => failure,
    };
    Attempt::failed(failure).with_outputs(attempt.outputs)
}
