//! Schedules: runs that begin at a time, by whichever server of the store comes to it first.
//!
//! A time is claimed on a shelf of the store together with the name of its run, before that run begins. So each time comes
//! once however many servers there are, and a kill in between loses nothing and doubles nothing.

mod doctor;
mod due;
mod state;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::engine::ids::RunId;
use crate::runbook::triggers::{On, Overlap, Schedule};
use crate::runs::{Checkup, ErrorKind, Fitness, Placed, RunRow, Runs, RunsError, Status};
use crate::surfaces::alerts::{Ask, Came, begin, caller};
use crate::surfaces::http::{Job, Server};
use crate::surfaces::schedules::due::{Due, due};
use crate::surfaces::schedules::state::{Firing, Held, States};

pub use state::State;

/// How often the clock is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Starts what has a time.
pub struct Schedules;

impl Job for Schedules {
    fn name(&self) -> &'static str {
        "schedules"
    }

    fn run(&self, server: &Arc<Server>) {
        let mut seen = 0;
        loop {
            let until = std::time::Instant::now() + LOOK_EVERY;
            if let Ok(runs) = server.door() {
                turn(server, &runs, Timestamp::now());
            }
            // Every commit wakes it, and only the clock matters.
            loop {
                if !server.beat.wait(&mut seen, until.saturating_duration_since(std::time::Instant::now())) {
                    return;
                }
                if std::time::Instant::now() >= until {
                    break;
                }
            }
        }
    }
}

/// Looks at all schedules once, at this moment, and starts what is due.
pub fn turn(server: &Server, runs: &Arc<Runs>, now: Timestamp) {
    for placed in runs.triggers() {
        if let Some(schedule) = placed.trigger.schedule()
            && let Err(error) = one(server, runs, &placed, schedule, now)
        {
            tracing::warn!(runbook = %placed.runbook, %error, "a schedule can't be looked at");
        }
    }
}

fn one(
    server: &Server,
    runs: &Arc<Runs>,
    placed: &Placed,
    schedule: &Schedule,
    now: Timestamp,
) -> Result<(), RunsError> {
    let states = States::of(runs);
    let key = state::key(placed, schedule);
    let Some(held) = states.get(&key)? else {
        // From now on: what lies before it was known is nobody's business.
        return states.put(&key, None, &State::since(now)).map(drop);
    };
    if let Some(firing) = &held.state.firing {
        return fire(server, runs, placed, schedule, &states, &key, &held, firing);
    }
    let Ok(zone) = TimeZone::get(&schedule.time_zone.value) else {
        let said = format!("this machine knows no time zone `{}`", schedule.time_zone.value);
        return states.say(&key, &held, said);
    };
    let busy = is_open(runs, held.state.run)?;
    match due(schedule, &zone, &key, &held.state, busy, now) {
        Due::Nothing => Ok(()),
        Due::LeftOut { last, said } => {
            let state = State { last: Some(last), said, ..held.state.clone() };
            states.put(&key, Some(&held), &state).map(drop)
        }
        Due::Waits { at, said } => {
            if held.state.waits.is_some() {
                return Ok(());
            }
            if schedule.overlap == Overlap::Cancel {
                stop(runs, placed, schedule, held.state.run, at)?;
            }
            let state = State { waits: Some(at), said, ..held.state.clone() };
            states.put(&key, Some(&held), &state).map(drop)
        }
        Due::Now { at, said } => {
            let firing = Firing { at, run: RunId::new(uuid::Uuid::now_v7()) };
            let state = State { last: Some(at), waits: None, firing: Some(firing.clone()), said, ..held.state.clone() };
            // Of all servers that come to it at this moment one goes on.
            if !states.put(&key, Some(&held), &state)? {
                return Ok(());
            }
            crate::failpoint::hit("schedule-claimed");
            let Some(held) = states.get(&key)?.filter(|held| held.state.firing.as_ref() == Some(&firing)) else {
                return Ok(());
            };
            fire(server, runs, placed, schedule, &states, &key, &held, &firing)
        }
    }
}

/// Cancels the run before, which the next one waits for.
fn stop(runs: &Runs, placed: &Placed, schedule: &Schedule, run: Option<RunId>, at: Timestamp) -> Result<(), RunsError> {
    let Some(row) = run.map(|run| runs.existing(run)).transpose()?.flatten() else { return Ok(()) };
    let actor = runs.identify(&caller("schedule", person_behind(placed)))?;
    let reason =
        format!("schedule {} ({}): its next run is due, at {at}", schedule.cron.text(), schedule.time_zone.value);
    match runs.cancel(&row, &actor, Some(reason)) {
        // It has ended meanwhile.
        Err(error) if error.kind == ErrorKind::Usage => Ok(()),
        cancelled => cancelled.map(drop),
    }
}

fn person_behind(placed: &Placed) -> Option<String> {
    placed.trigger.acts_as.as_ref().map(|person| person.value.clone())
}

/// Begins the run of a time that is claimed; whoever finds it claimed does.
#[expect(clippy::too_many_arguments, reason = "one caller's context, taken apart")]
fn fire(
    server: &Server,
    runs: &Arc<Runs>,
    placed: &Placed,
    schedule: &Schedule,
    states: &States<'_>,
    key: &str,
    held: &Held,
    firing: &Firing,
) -> Result<(), RunsError> {
    if placed.trigger.doctor {
        let said = doctor::look(server, runs, placed, firing)?;
        let state = State { firing: None, said, ..held.state.clone() };
        return states.put(key, Some(held), &state).map(drop);
    }
    let wanted = runs.wanted(placed, None);
    let came = wanted.and_then(|wanted| {
        let ask = Ask {
            run: firing.run,
            wanted,
            auto: placed.trigger.auto,
            acts_as: person_behind(placed),
            via: "schedule".to_owned(),
            reason: format!("schedule {} ({}), at {}", schedule.cron.text(), schedule.time_zone.value, firing.at),
            propose: false,
            url: String::new(),
            rooms: placed.trigger.tell.clone(),
        };
        begin(server, runs, &ask)
    });
    let (run, said) = match came {
        Ok(Came::Started(run)) => (Some(run), held.state.said.clone()),
        Ok(Came::Proposed) => (None, "proposed".to_owned()),
        Ok(Came::Refused { why, .. }) => (None, format!("not started: {why}")),
        // It stays claimed, and is tried again.
        Err(error) => return states.say(key, held, format!("tried again: {}", error.message)),
    };
    let said = runs.redactor().redact(&said).chars().take(300).collect();
    let state = State { firing: None, run: run.or(held.state.run), said, ..held.state.clone() };
    states.put(key, Some(held), &state).map(drop)
}

fn is_open(runs: &Runs, run: Option<RunId>) -> Result<bool, RunsError> {
    let Some(run) = run else { return Ok(false) };
    let ended = |row: RunRow| matches!(row.status, Status::Ended(_) | Status::Undone);
    Ok(runs.existing(run)?.is_some_and(|row| !ended(row)))
}

/// What a schedule has done, and when it comes next.
#[derive(Clone, Debug)]
pub struct Shown {
    pub state: Option<State>,
    pub next: Option<Timestamp>,
}

/// For lists: of a trigger that goes by the clock.
///
/// # Errors
/// If the journal can't be read.
pub fn shown(runs: &Runs, placed: &Placed, schedule: &Schedule, now: Timestamp) -> Result<Shown, RunsError> {
    let key = state::key(placed, schedule);
    let state = States::of(runs).get(&key)?.map(|held| held.state);
    Ok(Shown { state, next: next(placed, schedule, now) })
}

/// When a schedule comes next; `None` if this machine doesn't know its time zone.
pub fn next(placed: &Placed, schedule: &Schedule, now: Timestamp) -> Option<Timestamp> {
    let zone = TimeZone::get(&schedule.time_zone.value).ok()?;
    let at = schedule.cron.after(&zone, now)?;
    at.checked_add(due::jitter(&state::key(placed, schedule), at, schedule.jitter)).ok()
}

/// When what goes by the clock comes next, each.
pub fn checkup(runs: &Runs, now: Timestamp) -> Vec<Checkup> {
    let by_clock = |placed: &Placed| {
        let On::Schedule(schedule) = &placed.trigger.on else { return None };
        let what = format!("schedule {}", placed.runbook);
        let zone = &schedule.time_zone.value;
        Some(match next(placed, schedule, now) {
            Some(at) => Checkup::new(&what, Fitness::Well, format!("{} ({zone}), next {at:.0}", schedule.cron.text())),
            None => Checkup::new(&what, Fitness::Broken, format!("{} ({zone}) never comes", schedule.cron.text()))
                .hint("this machine may not know the time zone"),
        })
    };
    runs.triggers().iter().filter_map(by_clock).collect()
}

#[cfg(test)]
mod tests;
