//! What is still to be told in chats without anybody there having asked: of what alerts came to, and of what schedules
//! found. On the shelf before it happens, so that a kill loses none of it.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::engine::ids::RunId;
use crate::runbook::tell::Room;
use crate::runs::{ErrorKind, Runs, RunsError, Shelf};
use crate::surfaces::alerts::proposals::STANDS_HOURS;
use crate::surfaces::chat::asked::{Kind, Place};

/// By the name of the run that it is about, or would have been.
const SHELF: &str = "chat.news";
/// How long it is news: a day longer than a proposal stands, so that its end is told too.
const LASTS: Duration = Duration::from_secs((STANDS_HOURS as u64 + 24) * 3600);

/// Something to be told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct News {
    pub run: RunId,
    pub what: What,
    pub rooms: Vec<Told>,
    /// The runbook, and why it starts: for when nothing else is left of it.
    pub runbook: String,
    pub reason: String,
}

/// What it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// The proposal or run of this name, from its beginning.
    Start,
    /// The run of this name, if people are needed or there is something to say at its end.
    Trouble,
    /// These lines, under this title.
    Said { title: String, lines: Vec<String> },
}

/// One room, and how far it was told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    pub place: Place,
    /// The message that was posted.
    pub message: Option<String>,
    /// The digest of what it shows.
    pub drawn: String,
    /// Whether nothing more is said of it here.
    pub done: bool,
}

impl Told {
    /// What a pause after it was not taken is known by.
    pub fn key(&self, news: &News) -> String {
        format!("{} {}", news.run.uuid(), self.place.key())
    }
}

/// Puts down what is to be told; nothing without rooms. Whoever does so again changes nothing.
///
/// # Errors
/// If the journal can't be written.
pub fn announce(
    runs: &Runs,
    run: RunId,
    what: What,
    rooms: &[Room],
    runbook: &str,
    reason: &str,
) -> Result<(), RunsError> {
    let told = |room: &Room| {
        let place = Place { chat: Kind::from_word(room.chat)?, channel: room.channel.value.clone(), thread: None };
        Some(Told { place, message: None, drawn: String::new(), done: false })
    };
    let rooms: Vec<Told> = rooms.iter().filter_map(told).collect();
    if rooms.is_empty() {
        return Ok(());
    }
    let news = News { run, what, rooms, runbook: runbook.to_owned(), reason: reason.to_owned() };
    shelf(runs).put_new(&run.uuid(), &text(&news)?, Some(Timestamp::now() + LASTS)).map(drop)
}

/// There is nothing to be told of it after all.
///
/// # Errors
/// If the journal can't be written.
pub fn withdraw(runs: &Runs, run: RunId) -> Result<(), RunsError> {
    shelf(runs).take(&run.uuid()).map(drop)
}

/// All of it.
///
/// # Errors
/// If the journal can't be read.
pub fn all(runs: &Runs) -> Result<Vec<News>, RunsError> {
    Ok(shelf(runs).all()?.into_iter().filter_map(|(_, text)| serde_json::from_str(&text).ok()).collect())
}

/// Keeps how far it was told, or takes it away once that is everywhere.
///
/// # Errors
/// If the journal can't be written.
pub fn keep(runs: &Runs, news: &News) -> Result<(), RunsError> {
    if news.rooms.iter().all(|room| room.done) {
        return withdraw(runs, news.run);
    }
    shelf(runs).put(&news.run.uuid(), &text(news)?, Some(Timestamp::now() + LASTS))
}

fn shelf(runs: &Runs) -> Shelf<'_> {
    runs.shelf(SHELF)
}

fn text(news: &News) -> Result<String, RunsError> {
    serde_json::to_string(news).map_err(|error| RunsError::new(ErrorKind::Internal, error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::Project;
    use crate::redact::Redactor;
    use crate::runbook::source::{Span, Spanned};

    #[test]
    fn what_is_announced_stands_once_until_every_room_has_heard_it() {
        let dir = tempfile::tempdir().unwrap();
        let runs = Runs::open(dir.path().join("state"), Project::discover(dir.path()).unwrap(), Redactor::new());
        let run = RunId::new(uuid::Uuid::now_v7());
        let room = |chat| Room { chat, channel: Spanned::new("C1".to_owned(), Span::default()) };
        announce(&runs, run, What::Start, &[], "fix", "alert").unwrap();
        assert_eq!(all(&runs).unwrap(), [], "without rooms there is nothing to tell");
        announce(&runs, run, What::Start, &[room("slack"), room("generic")], "fix", "alert").unwrap();
        let mut news = all(&runs).unwrap().remove(0);
        assert_eq!((news.rooms.len(), news.rooms[1].place.chat), (2, Kind::Generic));
        news.rooms[0].message = Some("1".into());
        news.rooms[0].done = true;
        keep(&runs, &news).unwrap();
        announce(&runs, run, What::Start, &[room("slack")], "fix", "alert").unwrap();
        assert_eq!(all(&runs).unwrap(), [news.clone()], "whoever comes to it again forgets nothing");
        news.rooms[1].done = true;
        keep(&runs, &news).unwrap();
        assert_eq!(all(&runs).unwrap(), []);
    }
}
