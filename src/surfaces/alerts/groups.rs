//! Which start goes for which alerts: within a group those that come to the same start it once, and what comes back while
//! that is still open joins it, so that an alert which comes and goes leaves one run or proposal and not one a minute.

use jiff::{Span, Timestamp};
use serde::{Deserialize, Serialize};

use crate::engine::ids::RunId;
use crate::runbook::triggers::Alert;
use crate::runs::{ErrorKind, Runs, RunsError, Shelf, Wanted};
use crate::script::value::Value;
use crate::surfaces::alerts::known::{KNOWN_HOURS, digest};

/// Times a claim is tried that others change at the same moment.
const TRIES_MAX: usize = 20;

/// By what a start is known within its group, or of its alert where there are none.
pub fn open_key(alert: &Alert, wanted: &Wanted) -> String {
    let target = wanted.target.as_deref().unwrap_or_default();
    let inputs = Value::Map(wanted.inputs.clone()).to_json().to_string();
    format!("{}{}", group_key(alert), digest(&[&wanted.runbook, target, &inputs]))
}

/// How the names of all starts of a group begin; by itself, what the group's present time is kept under.
fn group_key(alert: &Alert) -> String {
    format!("{}/", digest(&[&alert.source, alert.circle()]))
}

/// What is kept of a start under its name within a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Claim {
    run: RunId,
    /// The time of the group in which it was made, or was joined last: from when the group was over to when it is again. What
    /// is of this time is shared whatever has become of it, what is older as long as it is open.
    time: String,
    /// How often alerts began again that it was open for.
    again: u32,
}

/// Whose a start is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// The one's who asks.
    Own,
    /// Another one's, for an alert of the group that fires.
    Others(RunId),
    /// That of an alert which was over; it is still open, and goes for this one as well once [`Groups::join`] has said so.
    /// With how often that has been, with this time.
    Again(RunId, u32),
}

/// The shelf of groups.
pub struct Groups<'r> {
    shelf: Shelf<'r>,
}

impl<'r> Groups<'r> {
    /// The shelf of a store.
    pub fn of(runs: &'r Runs) -> Groups<'r> {
        Groups { shelf: runs.shelf("alerts.groups") }
    }

    /// Says that a start is this one's, unless another one has it; gives whose it is. `is_open` says whether what another one
    /// came to still is.
    ///
    /// # Errors
    /// If the journal can't be read or written, or others change it again and again.
    pub fn claim(
        &self,
        alert: &Alert,
        open: &str,
        run: RunId,
        now: Timestamp,
        is_open: impl Fn(RunId) -> Result<bool, RunsError>,
    ) -> Result<Whose, RunsError> {
        let time = self.time(alert, now)?;
        for _ in 0..TRIES_MAX {
            let was = self.shelf.get(open)?;
            if let Some(claim) = was.as_deref().and_then(read_claim) {
                if claim.run == run {
                    return Ok(Whose::Own);
                }
                // What is in no group is over when its sender says so, or not at all: nothing of it outlasts what it came to.
                if !alert.group.is_empty() && claim.time == time {
                    return Ok(Whose::Others(claim.run));
                }
                if is_open(claim.run)? {
                    return Ok(Whose::Again(claim.run, claim.again.saturating_add(1)));
                }
            }
            let own = text_of(&Claim { run, time: time.clone(), again: 0 });
            if self.shelf.swap(open, was.as_deref(), &own, until(now))? {
                return Ok(Whose::Own);
            }
        }
        Err(changes())
    }

    /// A start goes for an alert that began again: it is of the present time of its group.
    ///
    /// # Errors
    /// If the journal can't be written.
    pub fn join(&self, alert: &Alert, open: &str, run: RunId, again: u32, now: Timestamp) -> Result<(), RunsError> {
        let joined = text_of(&Claim { run, time: self.time(alert, now)?, again });
        let was = self.shelf.get(open)?;
        let is_its = was.as_deref().and_then(read_claim).is_some_and(|claim| claim.run == run);
        // Another one's by now: that one is what is open.
        if is_its { self.shelf.swap(open, was.as_deref(), &joined, until(now)).map(drop) } else { Ok(()) }
    }

    /// What was started does the same as another run, which goes for it.
    ///
    /// # Errors
    /// If the journal can't be written.
    pub fn hand_over(&self, alert: &Alert, open: &str, to: RunId, now: Timestamp) -> Result<(), RunsError> {
        let claim = text_of(&Claim { run: to, time: self.time(alert, now)?, again: 0 });
        self.shelf.put(open, &claim, until(now))
    }

    /// The group of this alert is over, with all that was started in it, also for alerts that were over before: what begins
    /// next joins only what is still open.
    ///
    /// # Errors
    /// If the journal can't be written.
    pub fn end(&self, alert: &Alert) -> Result<(), RunsError> {
        self.shelf.take(&group_key(alert)).map(drop)
    }

    /// Whether a start is this one's.
    ///
    /// # Errors
    /// If the journal can't be read.
    pub fn is_of(&self, open: &str, run: RunId) -> Result<bool, RunsError> {
        Ok(self.shelf.get(open)?.as_deref().and_then(read_claim).is_some_and(|claim| claim.run == run))
    }

    /// Nothing came of a start, if it was this one's: the next one is a new one.
    ///
    /// # Errors
    /// If the journal can't be written.
    pub fn release(&self, open: &str, run: RunId) -> Result<(), RunsError> {
        match self.shelf.get(open)?.as_deref().and_then(read_claim) {
            Some(claim) if claim.run == run => self.shelf.take(open).map(drop),
            Some(_) | None => Ok(()),
        }
    }

    /// The present time of a group, which begins with the first claim after it was over; none of what is in no group.
    fn time(&self, alert: &Alert, now: Timestamp) -> Result<String, RunsError> {
        if alert.group.is_empty() {
            return Ok(String::new());
        }
        let key = group_key(alert);
        for _ in 0..TRIES_MAX {
            if let Some(time) = self.shelf.get(&key)? {
                return Ok(time);
            }
            let time = uuid::Uuid::now_v7().to_string();
            if self.shelf.put_new(&key, &time, until(now))? {
                return Ok(time);
            }
        }
        Err(changes())
    }
}

fn changes() -> RunsError {
    RunsError::new(ErrorKind::Busy, "others change what is known of this group")
}

fn read_claim(text: &str) -> Option<Claim> {
    serde_json::from_str(text).ok()
}

fn text_of(claim: &Claim) -> String {
    serde_json::to_string(claim).unwrap_or_default()
}

/// Until when what is known of groups stands.
fn until(now: Timestamp) -> Option<Timestamp> {
    now.checked_add(Span::new().hours(KNOWN_HOURS)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::Project;
    use crate::redact::Redactor;

    fn alert() -> Alert {
        Alert {
            source: "a".into(),
            fingerprint: "f".into(),
            starts_at: "t".into(),
            group: "g".into(),
            ..Alert::default()
        }
    }

    #[test]
    fn within_a_group_a_start_is_known_by_all_it_is_started_with() {
        let wanted = |target: Option<&str>, n: i64| Wanted {
            runbook: "r".into(),
            inputs: [("n".to_owned(), Value::Int(n))].into(),
            target: target.map(str::to_owned),
            incident: None,
        };
        let one = open_key(&alert(), &wanted(None, 1));
        let later = Alert { fingerprint: "g".into(), starts_at: "u".into(), ..alert() };
        assert_eq!(one, open_key(&later, &wanted(None, 1)), "another alert of the group");
        assert_ne!(one, open_key(&alert(), &wanted(None, 2)));
        assert_ne!(one, open_key(&alert(), &wanted(Some("p"), 1)));
        let alone = |name: &str| Alert { fingerprint: name.into(), group: String::new(), ..alert() };
        assert_ne!(
            open_key(&alone("f"), &wanted(None, 1)),
            open_key(&alone("h"), &wanted(None, 1)),
            "none is no group"
        );
    }

    #[test]
    fn a_start_is_shared_while_its_group_fires_and_then_while_it_is_open() {
        let dir = tempfile::tempdir().unwrap();
        let runs = Runs::open(dir.path().join("state"), Project::discover(dir.path()).unwrap(), Redactor::new());
        let groups = Groups::of(&runs);
        let now = Timestamp::now();
        let run = || RunId::new(uuid::Uuid::now_v7());
        let (a, b, c) = (run(), run(), run());
        let claim = |alert: &Alert, run, open| groups.claim(alert, "k", run, now, |_| Ok(open)).unwrap();
        assert_eq!(claim(&alert(), a, true), Whose::Own);
        assert_eq!(claim(&alert(), a, false), Whose::Own, "after a kill");
        assert_eq!(claim(&alert(), b, false), Whose::Others(a), "its group fires, whatever has become of it");
        groups.end(&Alert { group: "h".into(), ..alert() }).unwrap();
        assert_eq!(claim(&alert(), b, false), Whose::Others(a), "another group is over");
        groups.end(&alert()).unwrap();
        assert_eq!(claim(&alert(), b, true), Whose::Again(a, 1));
        assert_eq!(claim(&alert(), b, true), Whose::Again(a, 1), "nobody has joined it yet");
        groups.join(&alert(), "k", a, 1, now).unwrap();
        assert_eq!(claim(&alert(), c, false), Whose::Others(a), "the group fires again");
        groups.end(&alert()).unwrap();
        assert_eq!(claim(&alert(), b, true), Whose::Again(a, 2));
        assert_eq!(claim(&alert(), b, false), Whose::Own, "what is neither open nor of now is nobody's");
        groups.join(&alert(), "k", a, 3, now).unwrap();
        groups.release("k", a).unwrap();
        assert_eq!(claim(&alert(), c, false), Whose::Others(b), "who was too late changes nothing");
        groups.release("k", b).unwrap();
        assert_eq!(claim(&alert(), c, false), Whose::Own);
        groups.hand_over(&alert(), "k", a, now).unwrap();
        assert_eq!(claim(&alert(), c, false), Whose::Others(a));
    }

    #[test]
    fn what_is_in_no_group_is_shared_only_while_it_is_open() {
        let dir = tempfile::tempdir().unwrap();
        let runs = Runs::open(dir.path().join("state"), Project::discover(dir.path()).unwrap(), Redactor::new());
        let groups = Groups::of(&runs);
        let alone = Alert { group: String::new(), ..alert() };
        let claim = |run, open| groups.claim(&alone, "k", run, Timestamp::now(), |_| Ok(open)).unwrap();
        let [a, b] = [0, 1].map(|_| RunId::new(uuid::Uuid::now_v7()));
        assert_eq!([claim(a, true), claim(b, true), claim(b, false)], [Whose::Own, Whose::Again(a, 1), Whose::Own]);
    }
}
