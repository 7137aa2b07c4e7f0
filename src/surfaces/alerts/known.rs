//! Which alerts are known, and what was done about each: on a shelf of the store, so that nothing is done twice, by
//! whichever server, also after a kill.

use jiff::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::engine::ids::RunId;
use crate::runbook::triggers::{Alert, State};
use crate::runs::{Runs, RunsError, Shelf};
use crate::script::hex::hex;

/// Hours an alert is known after it was last heard of: a month, longer than anybody reminds of one.
pub const KNOWN_HOURS: i64 = 30 * 24;
/// Hours it is known that nothing was done about: they are listed, and there may be many.
const UNMATCHED_HOURS: i64 = 24;
/// Hours after which a reminder is noted: not at each, because a note is a flush.
const REMIND_HOURS: i64 = 24;
/// Bytes of what is kept of an alert, to be shown.
const SHOWN_BYTES_MAX: usize = 4 * 1024;

/// Letters of each other text that is.
const TEXT_CHARS_MAX: usize = 200;

/// What is known of an alert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Known {
    pub source: String,
    pub name: String,
    /// Its labels, as far as there is room.
    pub labels: std::collections::BTreeMap<String, String>,
    pub starts_at: String,
    pub status: State,
    pub first: Timestamp,
    pub last: Timestamp,
    /// When what said that it is over was received.
    #[serde(default)]
    pub over_at: Option<Timestamp>,
    /// When it began once more, if its sender says that.
    #[serde(default)]
    pub again: String,
    /// The runbook of the trigger it fits.
    pub runbook: Option<String>,
    pub done: Done,
    /// What the start it came to is called within its group, while the group fires.
    pub open: Option<String>,
}

/// What was done about an alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Done {
    /// No trigger fits it.
    Unmatched,
    /// A run, or a proposal, of this name is being made: whoever finds it so goes on with it.
    Beginning {
        run: RunId,
    },
    Started {
        run: RunId,
    },
    /// Its plan waits for a person.
    Proposed {
        run: RunId,
    },
    /// Another alert of its group came to the same, or the same alert before, and that is still open.
    Shared {
        run: RunId,
        /// How often it began again by now for this run: that it is over is told to it. 0 if it joined another one that
        /// fires, whose end is.
        #[serde(default)]
        again: u32,
    },
    /// It could not be started; the next reminder tries again.
    Refused {
        why: String,
        run: RunId,
    },
    /// It was over before it was heard of.
    Over,
}

impl Done {
    /// Whether a reminder changes nothing about it.
    pub fn is_final(&self) -> bool {
        match self {
            Done::Started { .. } | Done::Proposed { .. } | Done::Shared { .. } | Done::Over => true,
            Done::Unmatched | Done::Beginning { .. } | Done::Refused { .. } => false,
        }
    }

    /// The run or proposal that has, or would have, come of it.
    pub fn run(&self) -> Option<RunId> {
        match self {
            Done::Beginning { run } | Done::Started { run } | Done::Proposed { run } | Done::Shared { run, .. } => {
                Some(*run)
            }
            Done::Refused { run, .. } => Some(*run),
            Done::Unmatched | Done::Over => None,
        }
    }

    /// A word for lists and programs.
    pub fn word(&self) -> &'static str {
        match self {
            Done::Unmatched => "unmatched",
            Done::Beginning { .. } => "beginning",
            Done::Started { .. } => "started",
            Done::Proposed { .. } => "proposed",
            Done::Shared { .. } => "shared",
            Done::Refused { .. } => "refused",
            Done::Over => "over",
        }
    }
}

impl Known {
    /// An alert that was just heard of for the first time.
    pub fn new(alert: &Alert, now: Timestamp, done: Done) -> Known {
        let mut room = SHOWN_BYTES_MAX;
        let mut labels = alert.labels.clone();
        labels.retain(|name, text| {
            let fits = room >= name.len() + text.len();
            room = room.saturating_sub(name.len() + text.len());
            fits
        });
        Known {
            source: alert.source.clone(),
            name: short(alert.name()),
            labels,
            starts_at: short(&alert.starts_at),
            status: alert.status,
            first: now,
            last: now,
            over_at: None,
            again: short(&alert.again),
            runbook: None,
            done,
            open: None,
        }
    }

    /// One that fires, after what was known of it before.
    pub fn firing(alert: &Alert, now: Timestamp, before: Option<&Known>) -> Known {
        let known = Known::new(alert, now, Done::Unmatched);
        let Some(before) = before else { return known };
        let first = if before.done.is_final() { now } else { before.first };
        let again = if is_later(&known.again, &before.again) { known.again.clone() } else { before.again.clone() };
        // By its end, what comes late is known to be late.
        Known { first, over_at: before.over_at, again, ..known }
    }

    /// Whether what says that it fires, received then, is of another time than what is known: its sender says that it began
    /// once more; or it was over, and its sender tells beginnings apart by nothing but that. What was received before its end
    /// and comes late is of the same time.
    pub fn begins_anew(&self, alert: &Alert, received: Timestamp) -> bool {
        let after_its_end = self.over_at.is_some_and(|over_at| received >= over_at);
        let is_over = self.status == State::Resolved && after_its_end;
        is_later(&short(&alert.again), &self.again) || (is_over && alert.starts_at.is_empty())
    }

    fn until(&self) -> Option<Timestamp> {
        let hours = if self.done == Done::Unmatched { UNMATCHED_HOURS } else { KNOWN_HOURS };
        self.last.checked_add(Span::new().hours(hours)).ok()
    }

    /// Whether a reminder is worth noting.
    pub fn is_old(&self, now: Timestamp) -> bool {
        self.last.checked_add(Span::new().hours(REMIND_HOURS)).is_ok_and(|then| then <= now)
    }
}

/// As much of a text of a sender as is kept.
fn short(text: &str) -> String {
    text.chars().take(TEXT_CHARS_MAX).collect()
}

/// Whether it began again since it did so before, as its sender writes both; what are no moments are told apart by their words.
fn is_later(again: &str, before: &str) -> bool {
    match (again.parse::<Timestamp>(), before.parse::<Timestamp>()) {
        (Ok(again), Ok(before)) => again > before,
        _ => !again.is_empty() && again != before,
    }
}

/// By what an alert is known: who sent it, what they call it, and when it began.
pub fn key(alert: &Alert) -> String {
    digest(&[&alert.source, &alert.fingerprint, &alert.starts_at])
}

/// A short name for all of these together.
pub fn digest(parts: &[&str]) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part.as_bytes());
    }
    hex(&digest.finalize()[..16])
}

/// The shelf of alerts.
pub struct Alerts<'r> {
    shelf: Shelf<'r>,
}

/// Something that stands on the shelf, with the text it stands there as.
pub struct Held {
    pub known: Known,
    text: String,
}

impl<'r> Alerts<'r> {
    /// The shelf of a store.
    pub fn of(runs: &'r Runs) -> Alerts<'r> {
        Alerts { shelf: runs.shelf("alerts") }
    }

    /// What is known of an alert. What can't be read any more is not known.
    ///
    /// # Errors
    /// If the journal can't be read.
    pub fn get(&self, key: &str) -> Result<Option<Held>, RunsError> {
        let Some(text) = self.shelf.get(key)? else { return Ok(None) };
        Ok(serde_json::from_str(&text).ok().map(|known| Held { known, text }))
    }

    /// Notes it, unless somebody has noted something else meanwhile; says whether it did.
    ///
    /// # Errors
    /// If the journal can't be written.
    pub fn note(&self, key: &str, was: Option<&Held>, known: &Known) -> Result<bool, RunsError> {
        let text = serde_json::to_string(known).unwrap_or_default();
        self.shelf.swap(key, was.map(|was| was.text.as_str()), &text, known.until())
    }
}

/// All alerts that are known, newest first.
///
/// # Errors
/// If the journal can't be read.
pub fn known(runs: &Runs) -> Result<Vec<Known>, RunsError> {
    let all = runs.shelf("alerts").all()?;
    let mut known: Vec<Known> = all.iter().filter_map(|(_, text)| serde_json::from_str(text).ok()).collect();
    known.sort_by(|one, other| (other.last, &one.name).cmp(&(one.last, &other.name)));
    Ok(known)
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn an_alert_is_known_by_its_sender_its_name_and_its_beginning() {
        let one = key(&alert());
        assert_eq!(one, key(&Alert { status: State::Resolved, url: "x".into(), group: "h".into(), ..alert() }));
        for other in [
            Alert { source: "b".into(), ..alert() },
            Alert { fingerprint: "g".into(), ..alert() },
            Alert { starts_at: "u".into(), ..alert() },
            Alert { source: "af".into(), fingerprint: String::new(), ..alert() },
        ] {
            assert_ne!(one, key(&other), "{other:?}");
        }
    }

    #[test]
    fn what_is_over_begins_anew_only_if_nothing_else_tells_its_beginnings_apart() {
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        let bare = Alert { starts_at: String::new(), ..alert() };
        let fires = Known::new(&bare, at(1), Done::Over);
        let over = Known { status: State::Resolved, over_at: Some(at(5)), ..fires.clone() };
        assert!(over.begins_anew(&bare, at(5)) && over.begins_anew(&bare, at(9)));
        assert!(!over.begins_anew(&bare, at(4)), "it was sent before the end");
        assert!(!over.begins_anew(&alert(), at(9)), "it says when it began");
        assert!(!fires.begins_anew(&bare, at(9)) && !Known { over_at: Some(at(5)), ..fires }.begins_anew(&bare, at(9)));
    }

    #[test]
    fn what_is_reopened_begins_anew_once_each_time() {
        let at = |again: &str| Alert { again: again.into(), ..alert() };
        let anew = |known: &str, alert: &str| {
            let known = Known::new(&at(known), Timestamp::UNIX_EPOCH, Done::Over);
            known.begins_anew(&at(alert), Timestamp::UNIX_EPOCH)
        };
        let (one, two) = ("2026-11-21T09:00:00Z", "2026-11-21T11:00:00+01:00");
        assert!(anew("", one) && anew(one, two) && anew("E1", "E2") && anew("E1", one));
        assert!(!anew(one, one) && !anew(two, one) && !anew("E1", "E1") && !anew(one, "") && !anew("", ""));
        let endless = "x".repeat(5000);
        assert!(anew("", &endless) && !anew(&endless, &endless), "also when it can't be kept whole");
    }

    #[test]
    fn what_is_kept_of_an_alert_is_bounded() {
        let long = Alert { labels: [("a".into(), "x".repeat(5000)), ("b".into(), "y".into())].into(), ..alert() };
        let known = Known::new(&long, Timestamp::UNIX_EPOCH, Done::Over);
        assert!(!known.labels.contains_key("a") && serde_json::to_string(&known).unwrap().len() < 5000);
    }
}
