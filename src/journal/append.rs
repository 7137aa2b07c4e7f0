//! Appending to a run: one request is all or nothing, and follows the run's last event without a gap.

use rusqlite::{Connection, OptionalExtension, params};

use crate::engine::event::{Body, Event, StoreLink};
use crate::engine::ids::RunId;
use crate::engine::outcome::{RunOutcome, UndoOutcome};
use crate::journal::chain::{self, Hash, Head, Link};
use crate::journal::checkpoints;
use crate::journal::error::{Error, Failure};
use crate::journal::groups;
use crate::journal::inbox::{self, SignalId};
use crate::journal::key::StoreKey;
use crate::journal::lease;
use crate::journal::ticket::Ticket;

/// Where events go and come from. The real one is [`Store`](crate::journal::Store); rehearsals and tests use
/// [`Memory`](crate::journal::Memory).
pub trait Journal: Send + Sync {
    /// Queues an append. What is in it is acknowledged by the ticket, not before.
    fn append(&self, append: Append) -> Ticket<Committed>;

    /// All events of a run, checked against its chain.
    ///
    /// # Errors
    /// [`Error::NoRun`], [`Error::Damaged`], or what reading met.
    fn load(&self, run: RunId) -> Result<Vec<Event>, Error>;

    /// The bytes of a blob, checked against their digest.
    ///
    /// # Errors
    /// What reading met; a blob that is not there is `None`.
    fn blob(&self, digest: &str) -> Result<Option<Vec<u8>>, Error>;
}

/// A request to append.
#[derive(Clone, Debug)]
pub struct Append {
    pub run: RunId,
    /// From the [`Drive`](crate::journal::Drive) that holds the run.
    pub fence: u64,
    /// Numbered by the caller: the first must follow the run's last event.
    pub events: Vec<Event>,
    /// Stored with the events that name them; one that is there already costs nothing.
    pub blobs: Vec<Blob>,
    /// What lists show from now on. Start, resumption and end of a run set it by themselves.
    pub status: Option<Status>,
    /// Signals that these events answer.
    pub consumed: Vec<SignalId>,
    /// Whether it is answered only after a flush. Without one it may be lost with the machine, never alone and never
    /// with the process: good for looks, which are taken again. What people and the outside rely on is flushed
    /// whatever this says.
    pub durable: bool,
}

impl Append {
    /// Only events.
    pub fn events(run: RunId, fence: u64, events: Vec<Event>) -> Append {
        Append { run, fence, events, blobs: Vec::new(), status: None, consumed: Vec::new(), durable: true }
    }

    /// Whether somebody may rely on it once it is answered. The outcome of a write is the caller's to know.
    pub(super) fn needs_a_flush(&self) -> bool {
        let relied_on = |event: &Event| match &event.body {
            Body::RunStarted(_) | Body::RunFinished { .. } | Body::RunCancelled { .. } => true,
            Body::AskAnswered { .. } | Body::OutcomeSet { .. } => true,
            Body::UndoStarted(_) | Body::UndoFinished { .. } => true,
            Body::ApprovalGiven { .. } | Body::ApprovalRejected { .. } => true,
            Body::StepStarted(intent) => intent.key.is_some(),
            _ => false,
        };
        self.durable || self.events.iter().any(relied_on)
    }

    /// Whether the run has ended after these events: not one of which something is left to take back.
    pub(super) fn ends_its_run(&self) -> bool {
        let last = self.events.iter().rev().find_map(|event| ended_at(self, event));
        last.is_some_and(|ended_at| ended_at.is_some())
    }

    /// Whether it only records what has happened already, so that it may use the reserve of a full disk.
    pub(super) fn starts_nothing(&self) -> bool {
        let starts = |body: &Body| matches!(body, Body::RunStarted(_) | Body::StepStarted(_) | Body::UndoStarted(_));
        !self.events.iter().any(|event| starts(&event.body))
    }
}

/// A text or large value, stored once under its digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob {
    digest: String,
    kind: String,
    bytes: Vec<u8>,
}

impl Blob {
    /// Hashes `bytes`. `kind` is for people who look into the store: `text`, `value`.
    pub fn new(kind: &str, bytes: Vec<u8>) -> Blob {
        Blob { digest: chain::digest(&bytes), kind: kind.to_owned(), bytes }
    }

    /// `sha256:` and 64 hex digits.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// What is stored.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn into_parts(self) -> (String, Vec<u8>) {
        (self.digest, self.bytes)
    }
}

/// What became durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The run's number in its store.
    pub number: u64,
    /// The run's last event.
    pub last_seq: u64,
    pub head: Hash,
    /// What was written into the `run.started` of this append.
    pub store: Option<StoreLink>,
}

/// What a list says of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Running,
    Waiting,
    Paused,
    InDoubt,
    Stuck,
    Ended(RunOutcome),
    /// It has ended, and what it changed was taken back since.
    Undone,
}

impl Status {
    /// All of them.
    pub const ALL: [Status; 10] = [
        Status::Running,
        Status::Waiting,
        Status::Paused,
        Status::InDoubt,
        Status::Stuck,
        Status::Ended(RunOutcome::Success),
        Status::Ended(RunOutcome::Failed),
        Status::Ended(RunOutcome::Rejected),
        Status::Ended(RunOutcome::Cancelled),
        Status::Undone,
    ];

    /// The word in the store and the terminal.
    pub fn word(self) -> &'static str {
        match self {
            Status::Running => "running",
            Status::Waiting => "waiting",
            Status::Paused => "paused",
            Status::InDoubt => "in_doubt",
            Status::Stuck => "stuck",
            Status::Ended(outcome) => outcome.word(),
            Status::Undone => "undone",
        }
    }

    /// The status of this word.
    pub fn from_word(word: &str) -> Option<Status> {
        Status::ALL.into_iter().find(|status| status.word() == word)
    }

    /// What these events make of a run, if they say.
    fn after(events: &[Event]) -> Option<Status> {
        events.iter().rev().find_map(|event| match &event.body {
            Body::RunStarted(_) | Body::RunResumed { .. } => Some(Status::Running),
            Body::RunPaused { .. } => Some(Status::Paused),
            Body::UndoStarted(undo) if undo.by.is_none() => Some(Status::Running),
            Body::UndoFinished { by: None, outcome: UndoOutcome::Stuck, .. } => Some(Status::Stuck),
            Body::UndoFinished { by: None, outcome: UndoOutcome::Done, .. } => Some(Status::Undone),
            Body::RunFinished { outcome, .. } => Some(Status::Ended(*outcome)),
            _ => None,
        })
    }
}

/// Carries out an append inside the writer's transaction. With a key, the end of a run is signed on the way.
pub(super) fn apply(db: &Connection, append: &Append, key: Option<&StoreKey>) -> Result<Committed, Failure> {
    lease::extend(db, append.run, append.fence)?;
    let row = db
        .prepare_cached("SELECT number, last_seq, head FROM runs WHERE id = ?1")?
        .query_row([append.run.uuid()], |row| Ok((row.get::<_, u64>(0)?, row.get(1)?, row.get::<_, Vec<u8>>(2)?)))
        .optional()?;
    let (known, head) = match row {
        None => (None, None),
        Some((number, seq, bytes)) => {
            let hash = Hash::from_bytes(&bytes).ok_or_else(|| Error::Damaged {
                run: append.run,
                seq,
                why: format!("its row holds a hash of {} bytes, expected 32", bytes.len()),
            })?;
            (Some(number), Some(Head { seq, hash }))
        }
    };
    let store = match known {
        Some(_) => StoreLink { number: 0, prev: String::new() },
        None => next_run(db)?,
    };
    let number = known.unwrap_or(store.number);
    let (head, links) = chain::extend(append.run, head, &append.events, &store)?;
    let Some(head) = head else { return Err(Error::NoRun { run: append.run }.into()) };

    let first_seq = head.seq + 1 - links.len() as u64;
    insert_events(db, number, first_seq, &links)?;
    insert_blobs(db, append.blobs.iter().chain(links.iter().flat_map(|link| &link.apart)))?;
    inbox::consume(db, append.run, &append.consumed)?;
    let started = match (known, append.events.first()) {
        (None, Some(first)) => {
            insert_run(db, number, append, first, &links[0].hash)?;
            groups::confirm(db, number, append.run)?;
            Some(store)
        }
        (Some(_), _) if append.events.iter().any(takes_up) => {
            groups::confirm(db, number, append.run)?;
            None
        }
        _ => None,
    };
    update_run(db, number, append, &head)?;
    if append.ends_its_run() {
        if let (Some(key), Some(last)) = (key, append.events.last()) {
            // It covers everything up to the end itself, so it stands beside the events and not among them.
            checkpoints::sign(db, key, append.run, head, last.ts, None)?;
        }
        // Said in the same moment, or a cancel that lost this race would wait for the next to resume the run.
        inbox::is_empty(db, append.run)?;
        lease::release(db, append.run, append.fence)?;
        groups::release_all(db, append.run)?;
    }
    Ok(Committed { number, last_seq: head.seq, head: head.hash, store: started })
}

/// Whether a run may act from here on although it did not before.
fn takes_up(event: &Event) -> bool {
    match &event.body {
        Body::RunResumed { .. } | Body::OutcomeSet { .. } => true,
        Body::UndoStarted(undo) => undo.by.is_none(),
        _ => false,
    }
}

/// When the run ended, if this event ends it; `None` if it says nothing about that.
fn ended_at(append: &Append, event: &Event) -> Option<Option<i64>> {
    let ends = match &event.body {
        Body::RunFinished { .. } => true,
        Body::UndoFinished { by: None, outcome, .. } => *outcome != UndoOutcome::Stuck,
        Body::RunResumed { .. } | Body::OutcomeSet { .. } => false,
        Body::UndoStarted(undo) if undo.by.is_none() => false,
        _ => return None,
    };
    Some((ends && append.status != Some(Status::Stuck)).then_some(event.ts.as_millisecond()))
}

/// The link that the next run of this store gets.
fn next_run(db: &Connection) -> Result<StoreLink, Failure> {
    Ok(db.prepare_cached("SELECT number, hash FROM newest")?.query_row([], |row| {
        let number: u64 = row.get(0)?;
        Ok(StoreLink { number: number + 1, prev: row.get(1)? })
    })?)
}

fn insert_events(db: &Connection, number: u64, first_seq: u64, links: &[Link]) -> Result<(), Failure> {
    let mut insert = db.prepare_cached("INSERT INTO events (run, seq, body, hash) VALUES (?1, ?2, ?3, ?4)")?;
    for (seq, link) in (first_seq..).zip(links) {
        insert.execute(params![number, seq, link.line, link.hash.as_bytes()])?;
    }
    Ok(())
}

fn insert_blobs<'a>(db: &Connection, blobs: impl Iterator<Item = &'a Blob>) -> Result<(), Failure> {
    let mut insert = db.prepare_cached(
        "INSERT INTO blobs (digest, kind, bytes) VALUES (?1, ?2, ?3) ON CONFLICT (digest) DO NOTHING",
    )?;
    for blob in blobs {
        insert.execute(params![blob.digest, blob.kind, blob.bytes])?;
    }
    Ok(())
}

fn insert_run(db: &Connection, number: u64, append: &Append, first: &Event, hash: &Hash) -> Result<(), Failure> {
    let Body::RunStarted(started) = &first.body else { return Err(Error::NoRun { run: append.run }.into()) };
    db.prepare_cached(
        "INSERT INTO runs (number, id, short, runbook, title, target, actor, via, incident, status, started_at,
                           last_seq, head, fence, group_name)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, 0, ?12, ?13, ?14)",
    )?
    .execute(params![
        number,
        append.run.uuid(),
        append.run.short(),
        started.runbook,
        started.title,
        started.target,
        started.actor.id,
        started.actor.via,
        started.incident,
        Status::Running.word(),
        first.ts.as_millisecond(),
        hash.as_bytes(),
        append.fence,
        started.group,
    ])?;
    db.prepare_cached("UPDATE newest SET number = ?1, hash = ?2")?.execute(params![number, hash.to_string()])?;
    Ok(())
}

fn update_run(db: &Connection, number: u64, append: &Append, head: &Head) -> Result<(), Failure> {
    db.prepare_cached("UPDATE runs SET last_seq = ?2, head = ?3 WHERE number = ?1")?.execute(params![
        number,
        head.seq,
        head.hash.as_bytes()
    ])?;
    // Only if it is another: SQLite writes the index of a column that is set again, a page in every commit.
    if let Some(status) = append.status.or_else(|| Status::after(&append.events)).map(Status::word) {
        db.prepare_cached("UPDATE runs SET status = ?2 WHERE number = ?1 AND status <> ?2")?
            .execute(params![number, status])?;
    }
    for event in &append.events {
        let Some(mut ended_at) = ended_at(append, event) else { continue };
        if ended_at.is_some() && matches!(event.body, Body::UndoFinished { .. }) {
            // It ended when it ended; that it was taken back since changes nothing about that.
            ended_at = first_end(db, number)?.or(ended_at);
        }
        db.prepare_cached("UPDATE runs SET ended_at = ?2 WHERE number = ?1")?.execute(params![number, ended_at])?;
    }
    Ok(())
}

/// When a run ended that was taken up again only to be taken back.
fn first_end(db: &Connection, number: u64) -> Result<Option<i64>, Failure> {
    let ts: Option<String> = db
        .prepare_cached(
            "SELECT body ->> '$.ts' FROM events WHERE run = ?1 AND body ->> '$.type' = 'run.finished'
             ORDER BY seq DESC LIMIT 1",
        )?
        .query_row([number], |row| row.get(0))
        .optional()?;
    Ok(ts.and_then(|ts| ts.parse::<jiff::Timestamp>().ok()).map(|ts| ts.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::testkit::{append, event, finished, holder, new_run, note, sql, start, started, store};

    #[test]
    fn events_come_back_as_they_were_appended() {
        let (_base, store) = store();
        let drive = start(&store, "backend-down");
        let committed = append(&store, &drive, vec![note(1), note(2)]).unwrap();
        assert_eq!((committed.number, committed.last_seq, committed.store), (1, 2, None));
        let events = store.events(drive.run()).unwrap();
        assert_eq!(events[1..], [note(1), note(2)]);
        assert_eq!(store.run(drive.run()).unwrap().head, committed.head);
    }

    #[test]
    fn a_status_that_stays_costs_no_page_of_the_log() {
        let (_base, store) = store();
        let drive = start(&store, "backend-down");
        let log = store.dir().join("journal.db-wal");
        let index: u32 = sql(&store)
            .query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'runs_by_status'", [], |row| row.get(0))
            .unwrap();
        // A frame of the log is a header of 24 bytes, the number of its page first, and the page. A lease may be
        // renewed on the way, so it isn't the count that is asked for.
        let index_is_written = |seq, status| {
            let before = usize::try_from(log.metadata().unwrap().len()).unwrap();
            let request = Append { status, ..Append::events(drive.run(), drive.fence(), vec![note(seq)]) };
            store.append(request).wait().unwrap();
            assert_eq!(store.run(drive.run()).unwrap().status, status.unwrap_or(Status::Running));
            let log = std::fs::read(&log).unwrap();
            let mut frames = log[before..].chunks_exact(24 + 4096).peekable();
            assert!(frames.peek().is_some(), "the commit is in the log");
            frames.any(|frame| frame[..4] == index.to_be_bytes())
        };
        assert!(!index_is_written(1, None));
        assert!(!index_is_written(2, Some(Status::Running)));
        assert!(index_is_written(3, Some(Status::Waiting)));
    }

    #[test]
    fn a_gap_or_a_repeat_is_a_conflict_and_writes_nothing() {
        let (_base, store) = store();
        let drive = start(&store, "backend-down");
        for (events, wrong) in [(vec![note(2)], 2), (vec![note(0)], 0), (vec![note(1), note(1)], 1)] {
            match append(&store, &drive, events) {
                Err(Error::Conflict { found, .. }) => assert_eq!(found, wrong),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(store.events(drive.run()).unwrap().len(), 1);
    }

    #[test]
    fn a_run_begins_with_its_own_start_only() {
        let (_base, store) = store();
        let run = new_run();
        let drive = store.acquire(run, holder()).unwrap();
        assert!(matches!(append(&store, &drive, vec![note(0)]), Err(Error::NoRun { .. })));
        assert!(matches!(append(&store, &drive, vec![]), Err(Error::NoRun { .. })));
        assert!(matches!(append(&store, &drive, vec![started(new_run(), "x")]), Err(Error::Conflict { .. })));
        append(&store, &drive, vec![started(run, "x")]).unwrap();
        let mut again = started(run, "x");
        again.seq = 1;
        assert!(matches!(append(&store, &drive, vec![again]), Err(Error::Conflict { .. })));
    }

    #[test]
    fn each_start_carries_the_hash_of_the_one_before() {
        let (_base, store) = store();
        let first = start(&store, "a");
        let second = start(&store, "b");
        let link = |run| match &store.events(run).unwrap()[0].body {
            Body::RunStarted(started) => started.store.clone().unwrap(),
            other => panic!("{other:?}"),
        };
        assert_eq!(link(first.run()), StoreLink { number: 1, prev: String::new() });
        let hash = store.lines(first.run()).unwrap()[0].hash.to_string();
        assert_eq!(link(second.run()), StoreLink { number: 2, prev: hash });
    }

    #[test]
    fn the_row_follows_the_events() {
        let (_base, store) = store();
        let drive = start(&store, "backend-down");
        let status = || store.run(drive.run()).unwrap().status;
        assert_eq!(status(), Status::Running);
        let waiting =
            Append { status: Some(Status::Waiting), ..Append::events(drive.run(), drive.fence(), vec![note(1)]) };
        store.append(waiting).wait().unwrap();
        assert_eq!(status(), Status::Waiting);
        append(&store, &drive, vec![note(2)]).unwrap();
        assert_eq!(status(), Status::Waiting, "an append that says nothing leaves it");
        append(&store, &drive, vec![event(3, Body::RunPaused { reason: "disk".into(), actor: None })]).unwrap();
        assert_eq!(status(), Status::Paused);
        append(&store, &drive, vec![finished(4)]).unwrap();
        let row = store.run(drive.run()).unwrap();
        assert_eq!((row.status, row.last_seq), (Status::Ended(RunOutcome::Success), 4));
        assert_eq!(row.ended_at, Some(note(0).ts));
        assert_eq!(
            store.counts().unwrap().into_iter().filter(|(_, n)| *n > 0).collect::<Vec<_>>(),
            [("success".to_owned(), 1)]
        );
        assert_eq!(store.holder(drive.run()).unwrap(), None, "the end releases the run");
    }

    #[test]
    fn blobs_are_stored_once_and_checked_when_read() {
        let (_base, store) = store();
        let drive = start(&store, "backend-down");
        let blob = Blob::new("runbook", b"steps: []".to_vec());
        for seq in [1, 2] {
            let append =
                Append { blobs: vec![blob.clone()], ..Append::events(drive.run(), drive.fence(), vec![note(seq)]) };
            store.append(append).wait().unwrap();
        }
        assert_eq!(store.blob(blob.digest()).unwrap().as_deref(), Some(&b"steps: []"[..]));
        assert_eq!(store.blob("sha256:00").unwrap(), None);
        sql(&store).execute("UPDATE blobs SET bytes = x'00'", []).unwrap();
        assert!(matches!(store.blob(blob.digest()), Err(Error::DamagedFile { .. })));
    }

    #[test]
    fn every_status_has_its_own_word() {
        for status in Status::ALL {
            assert_eq!(Status::from_word(status.word()), Some(status));
        }
        assert_eq!(Status::from_word("done"), None);
    }
}
