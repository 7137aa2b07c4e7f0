//! What other processes tell the driver of a run: cancels, answers, decisions, notes.
//!
//! A signal is a request, not yet an event: the driver turns it into one and consumes it in the same append.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};

use crate::engine::event::Body;
use crate::engine::ids::RunId;
use crate::journal::error::{Error, Failure};
use crate::journal::store::{Store, Terms};
use crate::journal::ticket::Ticket;

/// Signals one run may have waiting: far more than people send, few enough to read at once.
const INBOX_MAX: u64 = 1000;

/// Name of a signal in its store; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SignalId(u64);

impl SignalId {
    #[cfg(test)]
    pub(crate) fn of(number: u64) -> SignalId {
        SignalId(number)
    }

    /// The number, for messages.
    pub fn number(self) -> u64 {
        self.0
    }
}

/// An event body that may come from outside the driver.
#[derive(Clone, Debug, PartialEq)]
pub struct Signal(Body);

impl Signal {
    /// Takes `run.cancelled`, `run.paused`, `ask.answered`, `approval.given`, `approval.rejected`, `outcome.set` and
    /// `note` from people, and `evidence` from a driver that has lost the run.
    ///
    /// # Errors
    /// [`Error::NotASignal`] for everything else.
    pub fn new(body: Body) -> Result<Signal, Error> {
        match body {
            Body::RunCancelled { .. } | Body::AskAnswered { .. } | Body::OutcomeSet { .. } => Ok(Signal(body)),
            Body::Note { .. } | Body::Evidence { .. } | Body::RunPaused { actor: Some(_), .. } => Ok(Signal(body)),
            Body::ApprovalGiven { .. } | Body::ApprovalRejected { .. } => Ok(Signal(body)),
            other => Err(Error::NotASignal { word: other.word() }),
        }
    }
}

/// A signal that no append has consumed yet.
#[derive(Clone, Debug, PartialEq)]
pub struct PendingSignal {
    pub id: SignalId,
    /// When it was sent.
    pub at: Timestamp,
    /// Why it can't be read, if it can't: the driver says so in the record and goes on.
    pub body: Result<Body, String>,
}

impl Store {
    /// Leaves a signal for the driver of a run. Durable once the ticket is answered.
    pub fn signal(&self, run: RunId, signal: &Signal) -> Ticket<SignalId> {
        let body = serde_json::to_string(&signal.0).expect("event bodies are maps with text keys");
        let at = Timestamp::now().as_millisecond();
        // An ended run hears notes and decisions; nobody is left to stop or to answer.
        let while_open = !matches!(signal.0, Body::Note { .. } | Body::OutcomeSet { .. } | Body::Evidence { .. });
        self.write(run, Terms::DURABLE, move |db| put(db, run, at, &body, while_open))
    }

    /// Runs that have a signal waiting, in no order.
    ///
    /// # Errors
    /// What reading met.
    pub fn signalled(&self) -> Result<Vec<RunId>, Error> {
        self.glimpse(|db| {
            let mut select = db.prepare_cached("SELECT DISTINCT run FROM inbox")?;
            let ids = select.query_map([], |row| row.get::<_, String>(0))?.collect::<rusqlite::Result<Vec<_>>>()?;
            Ok(ids.iter().filter_map(|id| id.parse().ok()).collect())
        })
    }

    /// Signals that wait for the driver of a run, oldest first.
    ///
    /// # Errors
    /// What reading met.
    pub fn pending_signals(&self, run: RunId) -> Result<Vec<PendingSignal>, Error> {
        self.read(|db| pending(db, run))
    }
}

fn put(db: &Connection, run: RunId, at: i64, body: &str, while_open: bool) -> Result<SignalId, Failure> {
    let ended: Option<bool> = db
        .prepare_cached("SELECT ended_at IS NOT NULL FROM runs WHERE id = ?1")?
        .query_row([run.uuid()], |row| row.get(0))
        .optional()?;
    match ended {
        None => return Err(Error::NoRun { run }.into()),
        Some(true) if while_open => return Err(Error::Ended { run }.into()),
        Some(_) => {}
    }
    let waiting: u64 =
        db.prepare_cached("SELECT count(*) FROM inbox WHERE run = ?1")?.query_row([run.uuid()], |row| row.get(0))?;
    if waiting >= INBOX_MAX {
        return Err(Error::InboxFull { run, limit: INBOX_MAX }.into());
    }
    let id = db.prepare_cached("INSERT INTO inbox (run, at, body) VALUES (?1, ?2, ?3)")?.insert(params![
        run.uuid(),
        at,
        body
    ])?;
    Ok(SignalId(id.unsigned_abs()))
}

pub(super) fn pending(db: &Connection, run: RunId) -> Result<Vec<PendingSignal>, Failure> {
    let mut select = db.prepare_cached("SELECT id, at, body FROM inbox WHERE run = ?1 ORDER BY id")?;
    let mut rows = select.query([run.uuid()])?;
    let mut signals = Vec::new();
    while let Some(row) = rows.next()? {
        let (id, at, body): (u64, i64, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        signals.push(PendingSignal {
            id: SignalId(id),
            at: Timestamp::from_millisecond(at).unwrap_or(Timestamp::UNIX_EPOCH),
            body: serde_json::from_str(&body).map_err(|e| e.to_string()),
        });
    }
    Ok(signals)
}

/// Refuses if a signal waits: its driver takes it up first.
pub(super) fn is_empty(db: &Connection, run: RunId) -> Result<(), Failure> {
    let waiting: bool = db
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM inbox WHERE run = ?1)")?
        .query_row([run.uuid()], |row| row.get(0))?;
    if waiting { Err(Error::SignalWaiting { run }.into()) } else { Ok(()) }
}

/// Takes signals out together with the events that answer them.
pub(super) fn consume(db: &Connection, run: RunId, ids: &[SignalId]) -> Result<(), Failure> {
    let mut delete = db.prepare_cached("DELETE FROM inbox WHERE run = ?1 AND id = ?2")?;
    for id in ids {
        if delete.execute(params![run.uuid(), id.0])? != 1 {
            return Err(Error::NotPending { run, id: id.0 }.into());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::append::{Append, Journal};
    use crate::journal::testkit::{actor, finished, new_run, note, sql, start, started, store};

    fn cancel() -> Signal {
        Signal::new(Body::RunCancelled { actor: actor("ben"), reason: None }).unwrap()
    }

    #[test]
    fn a_signal_waits_until_an_append_consumes_it() {
        let (_base, store) = store();
        let drive = start(&store, "backend-down");
        let mut seen = None;
        store.news(drive.run(), &mut seen).unwrap();
        let id = store.signal(drive.run(), &cancel()).wait().unwrap();
        assert_eq!(store.news(drive.run(), &mut seen).unwrap().unwrap().signals.len(), 1);
        let pending = store.pending_signals(drive.run()).unwrap();
        assert_eq!((pending.len(), pending[0].id, pending[0].body.as_ref()), (1, id, Ok(&cancel().0)));

        let append = |seq| Append { consumed: vec![id], ..Append::events(drive.run(), drive.fence(), vec![note(seq)]) };
        store.append(append(1)).wait().unwrap();
        assert!(store.pending_signals(drive.run()).unwrap().is_empty());
        assert!(matches!(store.append(append(2)).wait(), Err(Error::NotPending { .. })));
        assert_eq!(store.events(drive.run()).unwrap().len(), 2, "a signal consumed twice takes its events along");
    }

    #[test]
    fn a_run_ends_only_after_its_driver_has_taken_up_every_signal() {
        let (_base, store) = store();
        let drive = start(&store, "backend-down");
        let id = store.signal(drive.run(), &cancel()).wait().unwrap();
        let end =
            |consumed| Append { consumed, ..Append::events(drive.run(), drive.fence(), vec![finished(1), note(2)]) };
        assert!(matches!(store.append(end(vec![])).wait(), Err(Error::SignalWaiting { .. })));
        assert_eq!(store.events(drive.run()).unwrap().len(), 1);
        store.append(end(vec![id])).wait().unwrap();
        assert!(matches!(store.signal(drive.run(), &cancel()).wait(), Err(Error::Ended { .. })));
        let note = Signal::new(note(0).body).unwrap();
        store.signal(drive.run(), &note).wait().unwrap();
        assert_eq!(store.pending_signals(drive.run()).unwrap().len(), 1, "a note is heard after the end too");
    }

    #[test]
    fn a_signal_that_cannot_be_read_says_so_and_hides_no_other() {
        let (_base, store) = store();
        let drive = start(&store, "backend-down");
        store.signal(drive.run(), &cancel()).wait().unwrap();
        sql(&store).execute("UPDATE inbox SET body = '{\"type\":\"from.the.future\"}'", []).unwrap();
        store.signal(drive.run(), &cancel()).wait().unwrap();
        let pending = store.pending_signals(drive.run()).unwrap();
        assert!(pending[0].body.as_ref().unwrap_err().contains("from.the.future"));
        assert_eq!(pending[1].body.as_ref(), Ok(&cancel().0));
    }

    #[test]
    fn nothing_changes_while_nobody_writes() {
        let (_base, store) = store();
        let seen = store.changed().unwrap();
        assert!(seen.is_some());
        store.runs(&Default::default()).unwrap();
        assert_eq!(store.changed().unwrap(), seen);
    }

    #[test]
    fn only_what_people_may_say_is_a_signal() {
        let refused = Signal::new(started(new_run(), "x").body).unwrap_err();
        assert_eq!(refused.to_string(), "a `run.started` event is not a signal");
    }

    #[test]
    fn a_signal_to_no_run_is_refused() {
        let (_base, store) = store();
        assert!(matches!(store.signal(new_run(), &cancel()).wait(), Err(Error::NoRun { .. })));
    }

    #[test]
    fn an_inbox_nobody_empties_is_bounded() {
        let (_base, store) = store();
        let drive = start(&store, "backend-down");
        let tickets: Vec<_> = (0..=INBOX_MAX).map(|_| store.signal(drive.run(), &cancel())).collect();
        let answers: Vec<_> = tickets.into_iter().map(Ticket::wait).collect();
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count() as u64, INBOX_MAX);
        assert!(matches!(answers.last(), Some(Err(Error::InboxFull { .. }))));
    }
}
