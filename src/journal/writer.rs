//! The one thread that writes: it takes what all runs have queued and commits it in one transaction.
//!
//! Knows nothing of events; what is queued is work on a connection. A flush costs the same for one
//! request as for hundreds, and sixteen connections fighting for the lock are many times slower than one.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::engine::ids::RunId;
use crate::failpoint;
use crate::journal::error::{Error, Failure};
use crate::journal::reserve::Reserve;
use crate::journal::schema::{self, Access};
use crate::journal::{lease, read};

/// Requests in one transaction: bounds how long the first of them waits and how far the log grows at once.
const GROUP_MAX: usize = 512;

/// Requests waiting; beyond it callers block, because a disk that slow won't be helped by more memory.
const QUEUE_MAX: usize = 4096;

/// What a request needs from its commit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    /// Acknowledged only after a flush.
    pub(super) durable: bool,
    /// May use the space kept for a full disk.
    pub(super) reserve: bool,
}

impl Terms {
    pub(super) const DURABLE: Terms = Terms { durable: true, reserve: false };
    /// May be lost with the machine, because whoever relies on it is lost as well.
    pub(super) const RELAXED: Terms = Terms { durable: false, reserve: false };
}

/// A queued request.
pub(super) trait Work: Send {
    fn run(&self) -> RunId;
    fn terms(&self) -> Terms;
    /// Does its part of the transaction; called again if the group had to be split.
    fn apply(&mut self, db: &Connection) -> Result<(), Failure>;
    /// Answers the caller: `Ok` only after the commit.
    fn answer(self: Box<Self>, outcome: Result<(), Error>);
}

/// A request that gives a `T`.
pub(super) struct Job<T, F> {
    pub(super) run: RunId,
    pub(super) terms: Terms,
    pub(super) work: F,
    pub(super) result: Option<T>,
    pub(super) reply: oneshot::Sender<Result<T, Error>>,
}

impl<T: Send, F: FnMut(&Connection) -> Result<T, Failure> + Send> Work for Job<T, F> {
    fn run(&self) -> RunId {
        self.run
    }

    fn terms(&self) -> Terms {
        self.terms
    }

    fn apply(&mut self, db: &Connection) -> Result<(), Failure> {
        self.result = Some((self.work)(db)?);
        Ok(())
    }

    fn answer(self: Box<Self>, outcome: Result<(), Error>) {
        let answer = match (outcome, self.result) {
            (Ok(()), Some(result)) => Ok(result),
            (Ok(()), None) => Err(Error::Stopped),
            (Err(error), _) => Err(error),
        };
        // A caller that went away loses its answer, not its write.
        self.reply.send(answer).ok();
    }
}

/// What the writer has done since it started.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) flushes: AtomicU64,
    pub(super) requests: AtomicU64,
}

/// The running thread.
pub(super) struct Writer {
    queue: Option<SyncSender<Box<dyn Work>>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn spawn(file: PathBuf, tally: Arc<Tally>) -> io::Result<Writer> {
        let (queue, requests) = sync_channel(QUEUE_MAX);
        let reserve = Reserve::beside(&file);
        let committer =
            Committer { file, db: None, relaxed: false, suspect: false, refused: BTreeMap::new(), reserve, tally };
        let thread = std::thread::Builder::new().name("journal".into()).spawn(move || committer.serve(requests))?;
        Ok(Writer { queue: Some(queue), thread: Some(thread) })
    }

    /// The queue; its receiver answers everything that was sent, also while stopping.
    pub(super) fn queue(&self) -> Option<SyncSender<Box<dyn Work>>> {
        self.queue.clone()
    }
}

impl Drop for Writer {
    /// Lets the thread finish what is queued.
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            // A panic has been reported by its hook, and its callers got `Stopped`.
            thread.join().ok();
        }
    }
}

struct Committer {
    file: PathBuf,
    db: Option<Connection>,
    /// Whether the connection is set to commit without a flush.
    relaxed: bool,
    /// Set by a failed read, write or flush: the file must be settled and checked before the next commit.
    suspect: bool,
    /// Driven runs found damaged then; all others go on.
    refused: BTreeMap<RunId, Error>,
    reserve: Reserve,
    tally: Arc<Tally>,
}

impl Committer {
    fn serve(mut self, requests: Receiver<Box<dyn Work>>) {
        // While the first request is being made. What is wrong with the file, that request is told.
        if let Ok(db) = self.reopen() {
            schema::learn(&db);
            self.db = Some(db);
        }
        while let Ok(first) = requests.recv() {
            let mut group = vec![first];
            while group.len() < GROUP_MAX {
                match requests.try_recv() {
                    Ok(next) => group.push(next),
                    Err(_) => break,
                }
            }
            self.commit(group);
        }
    }

    fn commit(&mut self, mut group: Vec<Box<dyn Work>>) {
        let mut outcome = self.attempt(&mut group);
        if let Err(Error::Full { .. }) = outcome {
            // What is too big for the disk must not fail what is small.
            if group.len() > 1 {
                for work in group {
                    self.commit(vec![work]);
                }
                return;
            }
            if group.iter().all(|work| work.terms().reserve) && self.reserve.release() {
                outcome = self.attempt(&mut group);
            }
        }
        match outcome {
            Ok(mut refusals) => {
                for (i, work) in group.into_iter().enumerate() {
                    work.answer(refusals.remove(&i).map_or(Ok(()), Err));
                }
            }
            Err(error) => {
                for work in group {
                    work.answer(Err(error.clone()));
                }
            }
        }
    }

    /// Commits a group. Gives the refusals of single requests by position; everything else is durable.
    fn attempt(&mut self, group: &mut [Box<dyn Work>]) -> Result<BTreeMap<usize, Error>, Error> {
        let db = match self.db.take() {
            Some(db) => db,
            None => self.reopen()?,
        };
        match self.transact(&db, group) {
            Ok(refusals) => {
                self.db = Some(db);
                Ok(refusals)
            }
            Err(error) => {
                let undone = db.is_autocommit() || db.execute_batch("ROLLBACK").is_ok();
                if undone && error.leaves_the_file_trusted() {
                    self.db = Some(db);
                } else {
                    self.suspect = true;
                }
                Err(error)
            }
        }
    }

    fn transact(&mut self, db: &Connection, group: &mut [Box<dyn Work>]) -> Result<BTreeMap<usize, Error>, Error> {
        let file = self.file.clone();
        let sql = |text: &str| db.execute_batch(text).map_err(|e| Error::sqlite(&file, e));

        let durable = group.iter().any(|work| work.terms().durable);
        if self.relaxed == durable {
            sql(if durable { "PRAGMA synchronous = FULL" } else { "PRAGMA synchronous = NORMAL" })?;
            self.relaxed = !durable;
        }
        sql("BEGIN IMMEDIATE")?;
        let mut refusals = BTreeMap::new();
        // What stands alone needs no way back to a part of the transaction, which would copy every page it touches.
        let alone = group.len() == 1;
        for (i, work) in group.iter_mut().enumerate() {
            if let Some(error) = self.refused.get(&work.run()) {
                refusals.insert(i, error.clone());
                continue;
            }
            if !alone {
                sql("SAVEPOINT request")?;
            }
            match work.apply(db) {
                Ok(()) if alone => {}
                Ok(()) => sql("RELEASE request")?,
                Err(failure) if failure.is_of_one_request() => {
                    if !alone {
                        sql("ROLLBACK TO request; RELEASE request")?;
                    }
                    refusals.insert(i, failure.at(&self.file));
                }
                Err(failure) => return Err(failure.at(&self.file)),
            }
        }
        if refusals.len() == group.len() {
            sql("ROLLBACK")?;
            return Ok(refusals);
        }
        failpoint::hit("journal.commit.before");
        sql("COMMIT")?;
        failpoint::hit("journal.commit.after");

        self.tally.requests.fetch_add(group.len() as u64, Ordering::Relaxed);
        if durable {
            self.tally.flushes.fetch_add(1, Ordering::Relaxed);
            self.reserve.refill();
        }
        Ok(refusals)
    }

    /// Opens the connection. After a failure it first gets the log onto the disk by another way: a second flush
    /// of the same pages may claim success for what the kernel has already dropped, so they are copied into
    /// the database, flushed there, and the log starts anew.
    fn reopen(&mut self) -> Result<Connection, Error> {
        let db = schema::connect(&self.file, Access::Write)?;
        self.relaxed = false;
        if !self.suspect {
            return Ok(db);
        }
        let left: bool = db
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
            .map_err(|e| Error::sqlite(&self.file, e))?;
        if left {
            return Err(Error::Locked { file: self.file.clone() });
        }
        for run in lease::driven(&db).map_err(|failure| failure.at(&self.file))? {
            match read::lines(&db, run, 0) {
                Ok(_) | Err(Failure::Refusal(Error::NoRun { .. })) => {}
                Err(Failure::Refusal(error)) => {
                    self.refused.insert(run, error);
                }
                Err(failure) => return Err(failure.at(&self.file)),
            }
        }
        self.suspect = false;
        Ok(db)
    }
}

#[cfg(test)]
mod tests {
    use crate::engine::ids::RunId;
    use crate::journal::append::{Append, Journal};
    use crate::journal::error::Error;
    use crate::journal::lease::Drive;
    use crate::journal::store::Store;
    use crate::journal::testkit::{append, note, sql, start, store};
    use crate::journal::ticket::Ticket;

    /// Queues everything while another connection keeps the write lock, so that it must become one group (or two:
    /// the writer may have taken the first request already).
    fn queued_together<T>(store: &Store, queue: impl FnOnce() -> Vec<Ticket<T>>) -> (u64, Vec<Result<T, Error>>) {
        let blocker = sql(store);
        blocker.execute_batch("BEGIN IMMEDIATE").unwrap();
        let before = store.commits().flushes;
        let tickets = queue();
        blocker.execute_batch("ROLLBACK").unwrap();
        let answers = tickets.into_iter().map(Ticket::wait).collect();
        (store.commits().flushes - before, answers)
    }

    #[test]
    fn appends_of_many_runs_share_a_flush() {
        let (_base, store) = store();
        let drives: Vec<Drive> = (0..64).map(|_| start(&store, "backend-down")).collect();
        let (flushes, answers) = queued_together(&store, || {
            let append = |drive: &Drive| store.append(Append::events(drive.run(), drive.fence(), vec![note(1)]));
            drives.iter().map(append).collect()
        });
        assert!(answers.iter().all(Result::is_ok));
        assert!(flushes <= 2, "{flushes} flushes for 64 runs");
    }

    #[test]
    fn a_request_refused_in_a_group_fails_alone() {
        let (_base, store) = store();
        let drives: Vec<Drive> = (0..9).map(|_| start(&store, "backend-down")).collect();
        let (flushes, answers) = queued_together(&store, || {
            let append = |(i, drive): (usize, &Drive)| {
                // The fourth has a good event before its bad one: neither may stay.
                let events = if i == 4 { vec![note(1), note(5)] } else { vec![note(1)] };
                let fence = if i == 7 { drive.fence() + 1 } else { drive.fence() };
                store.append(Append::events(drive.run(), fence, events))
            };
            drives.iter().enumerate().map(append).collect()
        });
        assert!(flushes <= 2);
        for (i, answer) in answers.iter().enumerate() {
            let events = store.events(drives[i].run()).unwrap().len();
            match (i, answer) {
                (4, Err(Error::Conflict { .. })) | (7, Err(Error::Fenced { .. })) => assert_eq!(events, 1),
                (_, Ok(_)) => assert_eq!(events, 2),
                (_, other) => panic!("{i}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_refusal_alone_costs_no_flush() {
        let (_base, store) = store();
        let drive = start(&store, "backend-down");
        let before = store.commits();
        append(&store, &drive, vec![note(7)]).unwrap_err();
        assert_eq!(store.commits(), before);
    }

    #[test]
    fn a_request_refused_alone_leaves_nothing_of_itself() {
        let (_base, store) = store();
        let drive = start(&store, "backend-down");
        // A good event before a bad one.
        append(&store, &drive, vec![note(1), note(5)]).unwrap_err();
        assert_eq!(store.events(drive.run()).unwrap().len(), 1);
        append(&store, &drive, vec![note(1)]).unwrap();
        assert_eq!(store.events(drive.run()).unwrap().len(), 2);
    }

    #[test]
    fn what_is_queued_is_written_although_nobody_waits() {
        let (base, store) = store();
        let drive = start(&store, "backend-down");
        let run: RunId = drive.run();
        for seq in 1..50 {
            drop(store.append(Append::events(run, drive.fence(), vec![note(seq)])));
        }
        drop(drive);
        drop(store);
        assert_eq!(Store::open(&base.path().join("store")).unwrap().events(run).unwrap().len(), 50);
    }
}
