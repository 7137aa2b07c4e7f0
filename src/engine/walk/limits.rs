//! Limits in time of what is made of several steps. When one is used up nothing new starts inside; what runs
//! ends by itself.

use std::time::Duration;

use jiff::Timestamp;

use crate::engine::facts::{Facts, Record};
use crate::engine::ids::StepPath;
use crate::engine::machine::Env;
use crate::engine::outcome::{Attempt, Failure, FailureKind, Outcome};
use crate::engine::reopen::AFTERWARDS;
use crate::engine::walk::leaf::after;
use crate::script::value::Value;

/// Which steps are inside a composite: only what is waited for there stops its clock.
#[derive(Clone, Copy)]
pub(crate) enum Inside<'a> {
    /// Those below its path.
    Below(&'a StepPath),
    /// A plain group adds no segment: these, and what is below them.
    Beside(&'a [StepPath]),
}

impl Inside<'_> {
    /// Whether a step is inside, or is the composite itself.
    fn reaches(self, step: &StepPath) -> bool {
        self.holds(step) || matches!(self, Inside::Below(path) if path == step)
    }

    fn holds(self, step: &StepPath) -> bool {
        match self {
            Inside::Below(path) => step.is_below(path),
            Inside::Beside(steps) => steps.iter().any(|own| step == own || step.is_below(own)),
        }
    }
}

/// When the limits of a composite are used up, those of its attempt and of the whole step; `None` without one, and
/// while it waits for a person.
pub(crate) fn of(env: &Env, path: &StepPath, inside: Inside) -> Option<Timestamp> {
    let record = env.facts.step(path)?;
    let started = record.started.as_ref()?;
    // The attempt that is over has no say in the one that is about to begin.
    let timeout_ms = started.intent.timeout_ms.filter(|_| record.resend.is_none());
    let since = timeout_ms.map(|_| started.at.max(resumed_in(env.facts, path)));
    let attempt = since.and_then(|since| until(env.facts, inside, since, timeout_ms));
    [attempt, within(env, path, inside)].into_iter().flatten().min()
}

/// When the run was taken over last while the main steps of a runbook or action ran: a restart in what runs after
/// them gives no new time to what was stopped before.
pub(crate) fn resumed_in(facts: &Facts, book: &StepPath) -> Timestamp {
    let blocks = AFTERWARDS.map(|block| book.join(block));
    let over = blocks.iter().flat_map(|block| facts.below(block)).map(|(_, record)| record.seq).min();
    let before = facts.resumed.iter().rev().find(|(seq, _)| over.is_none_or(|over| *seq < over));
    before.map_or(Timestamp::UNIX_EPOCH, |(_, at)| *at)
}

/// When the time of a whole step is up, over all its attempts and restarts.
pub(crate) fn within(env: &Env, path: &StepPath, inside: Inside) -> Option<Timestamp> {
    let started = env.facts.step(path)?.started.as_ref()?;
    until(env.facts, inside, started.first_at, started.intent.within_ms)
}

/// When `limit_ms` counted from `since` are used up, without the time in which somebody was asked or a write was in
/// doubt inside; `None` while that is so, and without a limit.
///
/// It counts anew from when a person wants another attempt of a step inside, but not if it was up before that step
/// had begun: then the step is one that runs afterwards, and what was stopped stays so.
pub(crate) fn until(facts: &Facts, inside: Inside, since: Timestamp, limit_ms: Option<u64>) -> Option<Timestamp> {
    let limit = Duration::from_millis(limit_ms?);
    let mut since = since;
    for again in facts.wanted_again.iter().filter(|again| inside.reaches(&again.step)) {
        if again.at > since && counted(facts, inside, since, limit).is_none_or(|end| again.began < end) {
            since = again.at;
        }
    }
    counted(facts, inside, since, limit)
}

fn counted(facts: &Facts, inside: Inside, since: Timestamp, limit: Duration) -> Option<Timestamp> {
    let mut end = after(since, limit);
    let mut counted = since;
    for wait in facts.asked.iter().filter(|wait| inside.holds(&wait.step)) {
        if wait.from >= end {
            break;
        }
        let answered = wait.until?;
        let from = wait.from.max(counted);
        if answered > from {
            let waited = Duration::try_from(answered.duration_since(from)).unwrap_or_default();
            end = after(end, waited);
            counted = answered;
        }
    }
    Some(end)
}

/// What an attempt comes to that was stopped from outside its steps: by its own limit, or by what is around it.
pub(crate) fn stopped(env: &Env, path: &StepPath, inside: Inside) -> Attempt {
    let record = env.facts.step(path);
    let intent = record.and_then(|record| record.started.as_ref()).map(|started| &started.intent);
    let is_limited = intent.is_some_and(|intent| intent.timeout_ms.is_some() || intent.within_ms.is_some());
    let own = env.is_first_up(of(env, path, inside));
    // Stopped by nothing that can be seen now, it was its own limit before a restart gave it new time.
    match is_limited && (own || !env.stopping()) {
        true => Attempt::failed(timed_out(record)),
        false => Attempt { outcome: Outcome::Cancelled, outputs: Value::Null, failure: None },
    }
}

fn timed_out(record: Option<&Record>) -> Failure {
    let intent = record.and_then(|record| record.started.as_ref()).map(|started| &started.intent);
    let least = intent.and_then(|intent| [intent.timeout_ms, intent.within_ms].into_iter().flatten().min());
    let limit = shown(Duration::from_millis(least.unwrap_or(0)));
    Failure::new(FailureKind::Timeout, format!("its time of {limit} is up; what had not begun was not started"))
}

/// A limit as a person writes it: `1h 30m`.
pub(crate) fn shown(limit: Duration) -> String {
    let seconds = limit.as_secs();
    let parts = [(seconds / 3600, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s")];
    let said: Vec<String> = parts.iter().filter(|(n, _)| *n > 0).map(|(n, unit)| format!("{n}{unit}")).collect();
    if said.is_empty() { format!("{}ms", limit.as_millis()) } else { said.join(" ") }
}
