//! Cards that hang in a chat: which message is the live one of which run, and what was told below it. On the shelf, so that
//! any server of the store goes on with them.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::engine::ids::RunId;
use crate::runs::{ErrorKind, RunRow, Runs, RunsError};
use crate::surfaces::chat::asked::Place;

/// Cards that are kept up to date, by the id of their run and the place where they hang.
const CARDS: &str = "chat.cards";
/// Threads of runs, also after their end: `note` in a thread is for its run.
const THREADS: &str = "chat.threads";
/// How long a card is kept up to date at most: a run that waits longer is shown on its page.
const CARD_LASTS: Duration = Duration::from_secs(14 * 24 * 3600);
/// How long a thread is known as that of its run.
const THREAD_LASTS: Duration = Duration::from_secs(30 * 24 * 3600);

/// A card.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hung {
    pub run: String,
    pub place: Place,
    pub message: String,
    /// The number of the last event that it shows.
    pub seen: u64,
    /// The digest of what it shows.
    pub drawn: String,
    /// Messages about what the run waits for, by the key of the wait; empty once that is over.
    pub told: BTreeMap<String, String>,
}

impl Hung {
    /// What it is known by: a run may have a card in several rooms.
    pub fn key(&self) -> String {
        key(&self.run, &self.place)
    }
}

/// Hangs a run's card at a message.
///
/// # Errors
/// If the journal can't be written.
pub fn hang(runs: &Runs, row: &RunRow, place: &Place, message: &str) -> Result<(), RunsError> {
    let hung = Hung {
        run: row.run.uuid(),
        place: place.clone(),
        message: message.to_owned(),
        seen: 0,
        drawn: String::new(),
        told: BTreeMap::new(),
    };
    keep(runs, &hung)?;
    let until = Timestamp::now() + THREAD_LASTS;
    runs.shelf(THREADS).put(&place.below(message).key(), &hung.run, Some(until))
}

/// The same, unless it was done before: a card that hung and was left stays as it is.
///
/// # Errors
/// If the journal can't be read or written.
pub fn hang_once(runs: &Runs, row: &RunRow, place: &Place, message: &str) -> Result<(), RunsError> {
    let was = runs.shelf(THREADS).get(&place.below(message).key())?;
    if was.as_deref() == Some(&row.run.uuid()) || is_at(runs, row, place)? {
        return Ok(());
    }
    hang(runs, row, place, message)
}

/// Whether a run has a card in this channel.
///
/// # Errors
/// If the journal can't be read.
pub fn is_at(runs: &Runs, row: &RunRow, place: &Place) -> Result<bool, RunsError> {
    Ok(runs.shelf(CARDS).get(&key(&row.run.uuid(), place))?.is_some())
}

fn key(run: &str, place: &Place) -> String {
    format!("{run} {}", Place { thread: None, ..place.clone() }.key())
}

/// Keeps what has become of a card.
///
/// # Errors
/// If the journal can't be written.
pub fn keep(runs: &Runs, hung: &Hung) -> Result<(), RunsError> {
    let text = serde_json::to_string(hung).map_err(|error| RunsError::new(ErrorKind::Internal, error.to_string()))?;
    runs.shelf(CARDS).put(&hung.key(), &text, Some(Timestamp::now() + CARD_LASTS))
}

/// Every card that is kept up to date.
///
/// # Errors
/// If the journal can't be read.
pub fn all(runs: &Runs) -> Result<Vec<Hung>, RunsError> {
    Ok(runs.shelf(CARDS).all()?.into_iter().filter_map(|(_, text)| serde_json::from_str(&text).ok()).collect())
}

/// Leaves a card as it is from now on.
///
/// # Errors
/// If the journal can't be written.
pub fn leave(runs: &Runs, hung: &Hung) -> Result<(), RunsError> {
    runs.shelf(CARDS).take(&hung.key()).map(drop)
}

/// The run of a thread; outside of one, the only run whose card is kept up to date in this channel.
///
/// # Errors
/// If the journal can't be read.
pub fn run_at(runs: &Runs, place: &Place) -> Result<Option<RunRow>, RunsError> {
    if place.thread.is_some() {
        let id = runs.shelf(THREADS).get(&place.key())?;
        return Ok(id.map(|id| row_of(runs, &id)).transpose()?.flatten());
    }
    let here: Vec<Hung> = all(runs)?
        .into_iter()
        .filter(|hung| hung.place.chat == place.chat && hung.place.channel == place.channel)
        .collect();
    match here.as_slice() {
        [only] => row_of(runs, &only.run),
        _ => Ok(None),
    }
}

/// The run of an id, if it is there still.
///
/// # Errors
/// If the journal can't be read.
pub fn row_of(runs: &Runs, id: &str) -> Result<Option<RunRow>, RunsError> {
    match uuid::Uuid::parse_str(id) {
        Ok(uuid) => runs.existing(RunId::new(uuid)),
        Err(_) => Ok(None),
    }
}
