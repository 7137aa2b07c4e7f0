//! The one place that writes: whoever waits for a commit takes what all runs have queued and commits it in one
//! transaction, the others wait for that.
//!
//! Knows nothing of events; what is queued is work on a connection. A flush costs the same for one
//! request as for hundreds, and sixteen connections fighting for the lock are many times slower than one. Handing a
//! commit to a thread and back costs two wake-ups, half as much as a flush, so a caller that has nothing else to do
//! makes it; a thread does so only for those who must not block. Whoever finds somebody committing waits for the end of
//! that, and not in line for a turn of their own: an answer that is there would wait behind the flushes of others.

use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

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

/// Requests waiting; beyond it callers commit first, because a disk that slow won't be helped by more memory.
const QUEUE_MAX: usize = 4096;

/// What a request needs from its commit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    /// Acknowledged only after a flush.
    pub(super) durable: bool,
    /// May use the space kept for a full disk.
    pub(super) reserve: bool,
    /// May be news to a driver in this process: everything but what drivers append themselves.
    pub(super) tells: bool,
}

impl Terms {
    pub(super) const DURABLE: Terms = Terms { durable: true, reserve: false, tells: true };
    /// May be lost with the machine, because whoever relies on it is lost as well.
    pub(super) const RELAXED: Terms = Terms { durable: false, reserve: false, tells: true };
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
    /// Requests that may be news to a driver.
    pub(super) told: AtomicU64,
}

/// What is queued, and the connection that commits it.
pub(super) struct Writer {
    queue: Mutex<Queue>,
    /// Tells the thread that somebody awaits what is queued.
    summoned: Condvar,
    committer: Mutex<Committer>,
    /// Turns that are over.
    pub(super) turns: Count,
    /// Groups that were committed.
    pub(super) commits: Count,
}

/// Counts something that happens, and tells those who wait for the next time.
#[derive(Default)]
pub(super) struct Count {
    state: Mutex<Counted>,
    more: Condvar,
}

#[derive(Default)]
struct Counted {
    times: u64,
    /// Who waits: without anybody nobody is told, because telling is a call of the kernel.
    waiting: usize,
}

impl Count {
    /// How often it has happened.
    pub(super) fn times(&self) -> u64 {
        lock(&self.state).times
    }

    /// It has happened once more.
    fn add(&self) {
        let mut state = lock(&self.state);
        state.times = state.times.wrapping_add(1);
        if state.waiting > 0 {
            self.more.notify_all();
        }
    }

    /// Waits until it has happened again after so many `times`.
    pub(super) fn wait_beyond(&self, times: u64) {
        let mut state = lock(&self.state);
        state.waiting += 1;
        while state.times == times {
            state = self.more.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.waiting -= 1;
    }

    /// The same, at most so long.
    pub(super) fn wait_beyond_for(&self, times: u64, at_most: Duration) {
        let until = Instant::now() + at_most;
        let mut state = lock(&self.state);
        state.waiting += 1;
        while state.times == times {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state = self.more.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.waiting -= 1;
    }
}

#[derive(Default)]
struct Queue {
    requests: VecDeque<Box<dyn Work>>,
    is_summoned: bool,
    is_stopping: bool,
    /// Started by the first who awaits.
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// On a connection that only reads until the first commit.
    pub(super) fn new(file: PathBuf, db: Connection, tally: Arc<Tally>) -> Arc<Writer> {
        let committer = Committer {
            reserve: None,
            file,
            db: Some(db),
            writes: false,
            relaxed: false,
            suspect: false,
            refused: BTreeMap::new(),
            opened: 0,
            tally,
        };
        let committer = Mutex::new(committer);
        let (turns, commits) = (Count::default(), Count::default());
        Arc::new(Writer { queue: Mutex::default(), summoned: Condvar::new(), committer, turns, commits })
    }

    /// Queues a request, to be committed by whoever is next to wait for one, or by the thread if it is summoned.
    pub(super) fn enter(&self, request: Box<dyn Work>) {
        while lock(&self.queue).requests.len() >= QUEUE_MAX {
            self.turn().commit();
        }
        lock(&self.queue).requests.push_back(request);
    }

    /// Waits until nobody else commits.
    pub(super) fn turn(&self) -> Turn<'_> {
        self.turn_of(lock(&self.committer))
    }

    /// The same unless somebody else commits.
    pub(super) fn try_turn(&self) -> Option<Turn<'_>> {
        match self.committer.try_lock() {
            Ok(committer) => Some(self.turn_of(committer)),
            Err(TryLockError::Poisoned(error)) => Some(self.turn_of(error.into_inner())),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    fn turn_of<'a>(&'a self, committer: MutexGuard<'a, Committer>) -> Turn<'a> {
        Turn { writer: self, committer, _end: End(&self.turns) }
    }

    /// A read on the connection that writes, with how often it was opened anew; `None` if it is in use or not to be
    /// trusted. For a few rows only: commits wait for it.
    pub(super) fn glimpse<T>(&self, query: impl FnOnce(&Connection, u64) -> T) -> Option<T> {
        self.look(|_| true, query)
    }

    /// The same before anything was written: then it is a connection like any other, and needs no second one beside it.
    pub(super) fn look_first<T>(&self, query: impl FnOnce(&Connection) -> T) -> Option<T> {
        self.look(|committer| !committer.writes, |db, _| query(db))
    }

    fn look<T>(&self, may: impl FnOnce(&Committer) -> bool, query: impl FnOnce(&Connection, u64) -> T) -> Option<T> {
        let mut turn = self.try_turn()?;
        let committer = &mut *turn.committer;
        if !may(committer) {
            return None;
        }
        let db = committer.db.take()?;
        let result = query(&db, committer.opened);
        // One left inside a transaction would hold its snapshot for ever.
        if db.is_autocommit() {
            committer.db = Some(db);
        }
        Some(result)
    }

    /// Has the thread commit what is queued; false if there is none.
    pub(super) fn summon(self: &Arc<Writer>) -> bool {
        let mut queue = lock(&self.queue);
        if queue.is_stopping {
            return false;
        }
        if queue.thread.is_none() {
            let writer = Arc::clone(self);
            queue.thread = std::thread::Builder::new().name("journal".into()).spawn(move || writer.serve()).ok();
        }
        queue.is_summoned = true;
        self.summoned.notify_one();
        queue.thread.is_some()
    }

    /// Commits what is queued; the thread has ended then.
    pub(super) fn stop(&self) {
        let thread = {
            let mut queue = lock(&self.queue);
            queue.is_stopping = true;
            queue.thread.take()
        };
        self.summoned.notify_one();
        if let Some(thread) = thread {
            // A panic has been reported by its hook, and its callers got `Stopped`.
            thread.join().ok();
        }
        while self.turn().commit() {}
    }

    fn serve(&self) {
        loop {
            let mut queue = lock(&self.queue);
            while !queue.is_summoned && !queue.is_stopping {
                queue = self.summoned.wait(queue).unwrap_or_else(PoisonError::into_inner);
            }
            if queue.is_stopping {
                return;
            }
            queue.is_summoned = false;
            drop(queue);
            while self.turn().commit() {}
        }
    }
}

/// The right to commit, until dropped.
pub(super) struct Turn<'a> {
    writer: &'a Writer,
    committer: MutexGuard<'a, Committer>,
    /// Dropped after it, so that whoever is told finds it free.
    _end: End<'a>,
}

struct End<'a>(&'a Count);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.add();
    }
}

impl Turn<'_> {
    /// Commits what is queued, as far as it fits into one group; false if there was nothing.
    pub(super) fn commit(mut self) -> bool {
        let group: Vec<Box<dyn Work>> = {
            let requests = &mut lock(&self.writer.queue).requests;
            let count = requests.len().min(GROUP_MAX);
            requests.drain(..count).collect()
        };
        if group.is_empty() {
            return false;
        }
        // Who waits for this group may have no part in what failed. The connection goes with a panic, and with it
        // everything that was not committed; the callers get `Stopped`.
        catch_unwind(AssertUnwindSafe(|| self.committer.commit(group))).ok();
        self.writer.commits.add();
        true
    }
}

/// A panic leaves nothing half made behind: the queue is changed in one step, and the committer gives its connection up.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Committer {
    file: PathBuf,
    db: Option<Connection>,
    /// Whether the connection is set up to write.
    writes: bool,
    /// Connections there were before this one: what one has counted says nothing on the next.
    opened: u64,
    /// Whether the connection is set to commit without a flush.
    relaxed: bool,
    /// Set by a failed read, write or flush: the file must be settled and checked before the next commit.
    suspect: bool,
    /// Driven runs found damaged then; all others go on.
    refused: BTreeMap<RunId, Error>,
    /// Looked for at the first commit.
    reserve: Option<Reserve>,
    tally: Arc<Tally>,
}

impl Committer {
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
            if group.iter().all(|work| work.terms().reserve) && self.reserve().release() {
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
        if !self.writes {
            schema::permit_writes(&db).map_err(|e| Error::sqlite(&self.file, e))?;
            self.writes = true;
        }
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
        let sql = |text: &str| match db.prepare_cached(text).and_then(|mut statement| statement.execute([])) {
            Ok(_) => Ok(()),
            Err(error) => Err(Error::sqlite(&file, error)),
        };

        let durable = group.iter().any(|work| work.terms().durable);
        if self.relaxed == durable {
            let pragma = if durable { "PRAGMA synchronous = FULL" } else { "PRAGMA synchronous = NORMAL" };
            db.execute_batch(pragma).map_err(|e| Error::sqlite(&file, e))?;
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
                        sql("ROLLBACK TO request")?;
                        sql("RELEASE request")?;
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
        let told = group.iter().filter(|work| work.terms().tells).count();
        self.tally.told.fetch_add(told as u64, Ordering::Relaxed);
        if durable {
            self.tally.flushes.fetch_add(1, Ordering::Relaxed);
            self.reserve().refill();
        }
        Ok(refusals)
    }

    fn reserve(&mut self) -> &mut Reserve {
        self.reserve.get_or_insert_with(|| Reserve::beside(&self.file))
    }

    /// Opens the connection anew. After a failure it first gets the log onto the disk by another way: a second flush
    /// of the same pages may claim success for what the kernel has already dropped, so they are copied into
    /// the database, flushed there, and the log starts anew.
    fn reopen(&mut self) -> Result<Connection, Error> {
        let db = schema::connect(&self.file, Access::Write)?;
        self.opened += 1;
        (self.writes, self.relaxed) = (true, false);
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
    use crate::journal::error::{Error, Failure};
    use crate::journal::lease::Drive;
    use crate::journal::store::{Store, Terms};
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

    #[test]
    fn whoever_waits_and_whoever_awaits_are_both_served_whatever_the_order() {
        let (_base, store) = store();
        let drives: Vec<Drive> = (0..8).map(|_| start(&store, "backend-down")).collect();
        std::thread::scope(|scope| {
            for (i, drive) in drives.iter().enumerate() {
                let store = &store;
                scope.spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                    for seq in 1..=40 {
                        let ticket = store.append(Append::events(drive.run(), drive.fence(), vec![note(seq)]));
                        let answer = match (i + seq as usize) % 3 {
                            0 => runtime.block_on(ticket),
                            1 => ticket.wait(),
                            // Nobody waits for this one, but the next of its run follows it.
                            _ => {
                                drop(ticket);
                                continue;
                            }
                        };
                        assert_eq!(answer.unwrap().last_seq, seq);
                    }
                });
            }
        });
        let runs: Vec<RunId> = drives.iter().map(Drive::run).collect();
        drop(drives);
        assert!(runs.iter().all(|run| store.events(*run).unwrap().len() == 41));
    }

    #[test]
    fn a_request_that_panics_takes_nobody_with_it_but_its_group() {
        let (_base, store) = store();
        let drive = start(&store, "backend-down");
        let broken = store.write(drive.run(), Terms::DURABLE, |db| -> Result<(), Failure> {
            db.execute("DELETE FROM events", [])?;
            panic!("a bug")
        });
        assert!(matches!(broken.wait(), Err(Error::Stopped)));
        append(&store, &drive, vec![note(1)]).unwrap();
        assert_eq!(store.events(drive.run()).unwrap().len(), 2);
    }
}
