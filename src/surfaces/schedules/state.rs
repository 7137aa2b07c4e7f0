//! What is known of a schedule: when it came last, and what is under way. On a shelf of the store.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::engine::ids::RunId;
use crate::runbook::triggers::Schedule;
use crate::runs::{Placed, Runs, RunsError, Shelf};
use crate::script::hex::hex;

/// What is known of a schedule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Since when it is known: its times count from here.
    pub since: Timestamp,
    /// The last of its times that is done with, whatever that came to.
    pub last: Option<Timestamp>,
    /// A time that waits for the end of the run before.
    pub waits: Option<Timestamp>,
    /// A time that is claimed, whose run may have begun or not.
    pub firing: Option<Firing>,
    /// The last run it began.
    pub run: Option<RunId>,
    /// What there is to say of it; empty if all is well.
    pub said: String,
}

/// A time that is claimed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Firing {
    pub at: Timestamp,
    pub run: RunId,
}

impl State {
    /// One that was seen for the first time.
    pub fn since(now: Timestamp) -> State {
        State { since: now, last: None, waits: None, firing: None, run: None, said: String::new() }
    }
}

/// What a schedule is called: by all it says, so that one that was changed begins anew.
pub fn key(placed: &Placed, schedule: &Schedule) -> String {
    let trigger = &placed.trigger;
    let written = |template: &crate::runbook::snippet::Template| template.as_written().to_json().to_string();
    let inputs: Vec<String> =
        trigger.inputs.iter().map(|(name, value)| format!("{}={}", name.value, written(value))).collect();
    let target = trigger.target.as_ref().map(written).unwrap_or_default();
    let mut digest = Sha256::new();
    for part in [&placed.runbook, schedule.cron.text(), &schedule.time_zone.value, &target, &inputs.join("\n")] {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part.as_bytes());
    }
    hex(&digest.finalize()[..16])
}

/// The shelf of schedules.
pub struct States<'r>(Shelf<'r>);

/// What stands there, with the text it stands there as.
pub struct Held {
    pub state: State,
    text: String,
}

impl<'r> States<'r> {
    /// The shelf of a store.
    pub fn of(runs: &'r Runs) -> States<'r> {
        States(runs.shelf("schedules"))
    }

    /// What is known of one.
    ///
    /// # Errors
    /// If the journal can't be read.
    pub fn get(&self, key: &str) -> Result<Option<Held>, RunsError> {
        let Some(text) = self.0.get(key)? else { return Ok(None) };
        Ok(serde_json::from_str(&text).ok().map(|state| Held { state, text }))
    }

    /// Notes it unless another server has; says whether it did.
    ///
    /// # Errors
    /// If the journal can't be written.
    pub fn put(&self, key: &str, was: Option<&Held>, state: &State) -> Result<bool, RunsError> {
        let text = serde_json::to_string(state).unwrap_or_default();
        self.0.swap(key, was.map(|was| was.text.as_str()), &text, None)
    }

    /// Notes what there is to say, once.
    ///
    /// # Errors
    /// If the journal can't be written.
    pub fn say(&self, key: &str, held: &Held, said: String) -> Result<(), RunsError> {
        if held.state.said == said {
            return Ok(());
        }
        self.put(key, Some(held), &State { said, ..held.state.clone() }).map(drop)
    }
}
