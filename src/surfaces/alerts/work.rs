//! What is done about the alerts of a delivery: each is looked at once, whoever reminds of it, and started once, whoever
//! comes to it.

use std::cmp::Ordering;
use std::sync::Arc;

use jiff::Timestamp;

use crate::engine::event::Actor;
use crate::engine::ids::RunId;
use crate::runbook::hooks::Hook;
use crate::runbook::tell::Room;
use crate::runbook::triggers::{Alert, State, chosen};
use crate::runs::{ErrorKind, Placed, Runs, RunsError, Wanted, candidates};
use crate::surfaces::alerts::begin::{Ask, Came, begin, is_open};
use crate::surfaces::alerts::groups::{Groups, Whose, open_key};
use crate::surfaces::alerts::known::{Alerts, Done, Held, Known, key};
use crate::surfaces::alerts::prometheus::Told;
use crate::surfaces::alerts::proposals;
use crate::surfaces::chat::news;
use crate::surfaces::http::Server;
use crate::transcript::words::count;

/// Times an alert is taken up that others change at the same moment.
const TRIES_MAX: usize = 20;
/// What a run is told of its alert.
const IS_OVER: &str = "is over";
const FIRES_AGAIN: &str = "fires again";
/// How often a run is told that an alert which comes and goes began again, and is over: each is a note in its record, and it
/// may be open for days.
const AGAIN_TOLD_MAX: u32 = 20;

/// Does what is to be done about what was received then, and says in a few words what that was.
///
/// # Errors
/// What is worth another try; what was done by then is not done again.
pub fn work(
    server: &Arc<Server>,
    runs: &Arc<Runs>,
    hook: &Hook,
    told: &Told,
    received: Timestamp,
) -> Result<String, RunsError> {
    let placed = runs.triggers();
    let worker = Worker {
        server,
        runs,
        acts_as: hook.acts_as.as_deref(),
        rooms: &hook.tell,
        alerts: Alerts::of(runs),
        groups: Groups::of(runs),
        placed: &placed,
        now: Timestamp::now(),
        received,
    };
    if let Some(alert) = told.alerts.first().filter(|alert| told.over && !alert.group.is_empty()) {
        worker.groups.end(alert)?;
    }
    let mut said: Vec<&'static str> = Vec::new();
    let mut failed = None;
    for alert in &told.alerts {
        server.tally.alerts.received.add(alert.status.word());
        let word = match alert.status {
            State::Firing => worker.firing(alert),
            State::Resolved => worker.resolved(alert).map(|()| "resolved"),
        };
        match word {
            Ok(word) => {
                server.tally.alerts.done.add(word);
                if matches!(word, "started" | "proposed" | "shared" | "refused") {
                    server.tally.alerts.matched.add("alert");
                }
                said.push(word);
            }
            // The others need not wait for what is busy.
            Err(error) => failed = Some(error),
        }
    }
    match failed {
        Some(error) => Err(error),
        None => Ok(summary(&said, told.left_out)),
    }
}

fn summary(said: &[&'static str], left_out: usize) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut words: Vec<&str> = said.to_vec();
    words.sort_unstable();
    words.dedup();
    for word in words {
        parts.push(format!("{word} {}", said.iter().filter(|other| **other == word).count()));
    }
    if left_out > 0 {
        parts.push(format!("{} left out", count(left_out, "alert")));
    }
    if parts.is_empty() { "nothing to do".to_owned() } else { parts.join(", ") }
}

struct Worker<'w> {
    server: &'w Arc<Server>,
    runs: &'w Arc<Runs>,
    acts_as: Option<&'w str>,
    /// Where people hear of it, unless a trigger says another place.
    rooms: &'w [Room],
    alerts: Alerts<'w>,
    groups: Groups<'w>,
    placed: &'w [Placed],
    now: Timestamp,
    received: Timestamp,
}

impl Worker<'_> {
    fn firing(&self, alert: &Alert) -> Result<&'static str, RunsError> {
        let key = key(alert);
        for _ in 0..TRIES_MAX {
            let held = self.alerts.get(&key)?;
            let anew = held.as_ref().is_some_and(|held| held.known.begins_anew(alert, self.received));
            if let Some(held) = &held {
                match (held.known.done.is_final(), held.known.status) {
                    (true, _) if !anew && !self.was_left(&held.known)? => return self.remind(&key, held),
                    (false, State::Resolved) => {
                        let word = self.late(&key, held, alert)?;
                        if !anew {
                            return Ok(word);
                        }
                        // What was left of the time before is settled; now for this one.
                        continue;
                    }
                    _ => {}
                }
            }
            let known = Known::firing(alert, self.now, held.as_ref().map(|held| &held.known));
            // What nothing has come of yet goes on under the name that it has.
            let before = held.as_ref().map(|held| &held.known).filter(|known| !known.done.is_final());
            let Some(placed) = self.trigger(alert) else {
                if before.is_some() || self.alerts.note(&key, held.as_ref(), &known)? {
                    return Ok("unmatched");
                }
                continue;
            };
            let run = before.and_then(|known| known.done.run()).unwrap_or_else(|| RunId::new(uuid::Uuid::now_v7()));
            let known = Known { runbook: Some(placed.runbook.clone()), ..known };
            let wanted = match self.runs.wanted(placed, Some(alert)) {
                Ok(wanted) => wanted,
                Err(error) => {
                    self.server.tally.alerts.refused.add("input");
                    let known = Known { done: Done::Refused { why: self.shown(&error.message), run }, ..known };
                    if self.alerts.note(&key, held.as_ref(), &known)? {
                        return Ok("refused");
                    }
                    continue;
                }
            };
            let open = open_key(alert, &wanted);
            // The name is durable before anything has it.
            let beginning = Known { done: Done::Beginning { run }, open: Some(open), ..known };
            if !self.alerts.note(&key, held.as_ref(), &beginning)? {
                continue;
            }
            return self.begin(&key, alert, placed, wanted, beginning, run);
        }
        Err(RunsError::new(ErrorKind::Busy, "others change what is known of this alert"))
    }

    /// Whether it shares what never began, because the alert that was to begin it was over before: then it begins by this one.
    fn was_left(&self, known: &Known) -> Result<bool, RunsError> {
        let (Done::Shared { run, .. }, Some(open)) = (&known.done, &known.open) else { return Ok(false) };
        Ok(!self.groups.is_of(open, *run)?
            && self.runs.existing(*run)?.is_none()
            && proposals::find(self.runs, *run)?.is_none())
    }

    /// What could not begin at once is over by now: nothing begins by it any more, unless it has before a kill.
    fn late(&self, key: &str, held: &Held, alert: &Alert) -> Result<&'static str, RunsError> {
        let Some(run) = held.known.done.run() else { return self.settle(key, &held.known, Done::Over) };
        if self.runs.existing(run)?.is_some() {
            self.tell(run, alert, IS_OVER)?;
            return self.settle(key, &held.known, Done::Started { run });
        }
        if proposals::find(self.runs, run)?.is_some() {
            proposals::resolved(self.runs, run)?;
            return self.settle(key, &held.known, Done::Proposed { run });
        }
        news::withdraw(self.runs, run)?;
        if let Some(open) = &held.known.open {
            self.groups.release(open, run)?;
        }
        self.settle(key, &held.known, Done::Over).map(|_| "known")
    }

    fn begin(
        &self,
        key: &str,
        alert: &Alert,
        placed: &Placed,
        wanted: Wanted,
        known: Known,
        run: RunId,
    ) -> Result<&'static str, RunsError> {
        if let Some(open) = &known.open {
            match self.groups.claim(alert, open, run, self.now, |other| is_open(self.runs, other))? {
                Whose::Own => {}
                Whose::Others(run) => return self.settle(key, &known, Done::Shared { run, again: 0 }),
                Whose::Again(run, again) => {
                    proposals::fires(self.runs, run)?;
                    let word = self.settle(key, &known, Done::Shared { run, again })?;
                    self.groups.join(alert, open, run, again, self.now)?;
                    self.tell_again(run, alert, again, FIRES_AGAIN)?;
                    return Ok(word);
                }
            }
        }
        let ask = Ask {
            run,
            wanted,
            auto: placed.trigger.auto,
            acts_as: self.acts_as.map(str::to_owned),
            via: alert.source.clone(),
            reason: reason(alert),
            propose: true,
            url: alert.url.clone(),
            rooms: if placed.trigger.tell.is_empty() { self.rooms.to_vec() } else { placed.trigger.tell.clone() },
        };
        let came = begin(self.server, self.runs, &ask)?;
        let done = match came {
            Came::Started(begun) => {
                if let Some(open) = known.open.as_ref().filter(|_| begun != run) {
                    self.groups.hand_over(alert, open, begun, self.now)?;
                }
                Done::Started { run: begun }
            }
            Came::Proposed => Done::Proposed { run },
            Came::Refused { reason, why } => {
                self.server.tally.alerts.refused.add(reason);
                if let Some(open) = &known.open {
                    self.groups.release(open, run)?;
                }
                Done::Refused { why: self.shown(&why), run }
            }
        };
        self.settle(key, &known, done)
    }

    /// Notes what was done, unless it was over meanwhile, which stays true.
    fn settle(&self, key: &str, known: &Known, done: Done) -> Result<&'static str, RunsError> {
        let word = done.word();
        for _ in 0..TRIES_MAX {
            let held = self.alerts.get(key)?;
            let (status, over_at) =
                held.as_ref().map_or((known.status, known.over_at), |held| (held.known.status, held.known.over_at));
            let settled = Known { done: done.clone(), status, over_at, ..known.clone() };
            if self.alerts.note(key, held.as_ref(), &settled)? {
                return Ok(word);
            }
        }
        Err(RunsError::new(ErrorKind::Busy, "others change what is known of this alert"))
    }

    fn remind(&self, key: &str, held: &Held) -> Result<&'static str, RunsError> {
        if held.known.is_old(self.now) {
            // Somebody else has noted it if this doesn't.
            self.alerts.note(key, Some(held), &Known { last: self.now, ..held.known.clone() })?;
        }
        Ok("known")
    }

    /// An alert is over. Nothing begins by it; whatever began is told.
    fn resolved(&self, alert: &Alert) -> Result<(), RunsError> {
        let key = key(alert);
        for _ in 0..TRIES_MAX {
            let held = self.alerts.get(&key)?;
            let Some(held) = held else {
                // Should what says that it fires come later, it finds this.
                let over_at = Some(self.received);
                if self.alerts.note(&key, None, &Known { over_at, ..Known::new(alert, self.now, Done::Over) })? {
                    return Ok(());
                }
                continue;
            };
            if held.known.status == State::Resolved {
                return Ok(());
            }
            let done = match &held.known.done {
                done if done.is_final() => done.clone(),
                // A start that is under way goes on; it settles this.
                Done::Beginning { run } => Done::Beginning { run: *run },
                _ => Done::Over,
            };
            let (status, over_at) = (State::Resolved, Some(self.received));
            let known = Known { status, last: self.now, over_at, done, ..held.known.clone() };
            if !self.alerts.note(&key, Some(&held), &known)? {
                continue;
            }
            return match known.done {
                Done::Started { run } => self.tell(run, alert, IS_OVER),
                Done::Proposed { run } => {
                    proposals::resolved(self.runs, run)?;
                    self.tell(run, alert, IS_OVER)
                }
                // Another one of its group fires, or says itself that it is over.
                Done::Shared { again: 0, .. } => Ok(()),
                Done::Shared { run, again } => {
                    proposals::resolved(self.runs, run)?;
                    self.tell_again(run, alert, again, IS_OVER)
                }
                _ => Ok(()),
            };
        }
        Err(RunsError::new(ErrorKind::Busy, "others change what is known of this alert"))
    }

    /// Tells a run of an alert that comes and goes, as long as that is not too often.
    fn tell_again(&self, run: RunId, alert: &Alert, again: u32, what: &str) -> Result<(), RunsError> {
        match again.cmp(&AGAIN_TOLD_MAX) {
            Ordering::Less => self.tell(run, alert, what),
            Ordering::Equal => {
                self.tell(run, alert, &format!("{what}, {again} times by now; more of that is not noted"))
            }
            Ordering::Greater => Ok(()),
        }
    }

    /// Notes something of an alert on a run, if there is one of this name.
    fn tell(&self, run: RunId, alert: &Alert, what: &str) -> Result<(), RunsError> {
        let Some(row) = self.runs.existing(run)? else { return Ok(()) };
        let text = self.shown(&format!("{} says that alert {} {what}", alert.source, name(alert)));
        let actor = match self.acts_as {
            Some(person) => Actor::person(person, &alert.source, Vec::new()),
            None => Actor::new("rerail", &alert.source),
        };
        match self.runs.note(&row, &text, &actor) {
            Ok(_) => Ok(()),
            // A note that can't be written down is no reason to work through the whole again.
            Err(error) => {
                tracing::warn!(run = %row.run, %error, "what became of an alert can't be noted");
                Ok(())
            }
        }
    }

    fn trigger(&self, alert: &Alert) -> Option<&Placed> {
        let waiting: Vec<&Placed> = self.placed.iter().filter(|placed| placed.trigger.labels().is_some()).collect();
        chosen(&candidates(&waiting), &alert.labels).map(|at| waiting[at])
    }

    fn shown(&self, text: &str) -> String {
        self.runs.redactor().redact(text).chars().take(500).collect()
    }
}

/// Why a run was started, for its record.
fn reason(alert: &Alert) -> String {
    let since = if alert.starts_at.is_empty() { String::new() } else { format!(" since {}", alert.starts_at) };
    let again = if alert.again.is_empty() { String::new() } else { format!(", again since {}", alert.again) };
    let text = format!("alert {} of {}{since}{again}", name(alert), alert.source);
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(300).collect()
}

fn name(alert: &Alert) -> String {
    alert.name().chars().map(|c| if c.is_control() { ' ' } else { c }).take(100).collect()
}

#[cfg(test)]
mod tests;
