//! The store on disk: opens it, hands out read connections, and starts the writer at the first write.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use rusqlite::Connection;

use crate::engine::event::Event;
use crate::engine::ids::RunId;
use crate::failpoint;
use crate::journal::append::{self, Append, Committed, Journal};
use crate::journal::error::{Error, Failure};
use crate::journal::hold::{self, LastHold};
use crate::journal::inbox::{self, PendingSignal};
use crate::journal::key::StoreKey;
use crate::journal::schema::{self, Access};
use crate::journal::ticket::Ticket;
use crate::journal::writer::{Job, Tally, Writer};
use crate::journal::{chain, read};

pub(super) use crate::journal::writer::Terms;

/// Idle read connections kept: more than a surface reads at once is opened and closed again.
const READERS_KEPT: usize = 8;

/// A journal on disk. Clones share one writer; several processes may have the same store open.
#[derive(Clone)]
pub struct Store(Arc<Shared>);

struct Shared {
    dir: PathBuf,
    file: PathBuf,
    /// For whatever reads more than a few rows.
    readers: Mutex<Vec<Connection>>,
    writer: Arc<Writer>,
    /// Why nothing may be written, of a store that was opened only to be looked at.
    sealed: Option<Error>,
    key: OnceLock<StoreKey>,
    tally: Arc<Tally>,
}

impl Drop for Shared {
    /// What is queued is committed although nobody waits for it.
    fn drop(&mut self) {
        self.writer.stop();
    }
}

/// What a driver is told of the world outside its run.
#[derive(Clone, Debug, PartialEq)]
pub struct News {
    /// The newest hold, also if it was lifted.
    pub hold: Option<LastHold>,
    /// Signals that no append has consumed yet, oldest first.
    pub signals: Vec<PendingSignal>,
}

/// How many transactions and requests this process has committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commits {
    /// Transactions that ended with a flush.
    pub flushes: u64,
    /// Requests in all transactions.
    pub requests: u64,
}

impl Store {
    /// Opens the store in `dir`, creating it if there is none. An existing one costs no flush, and
    /// no scan but that of its log.
    ///
    /// # Errors
    /// [`Error::Refused`] with the cure if the directory is open to others or on a network; [`Error::TooNew`];
    /// [`Error::DamagedFile`], also of its log, and then with the cure; what the operating system said.
    pub fn open(dir: &Path) -> Result<Store, Error> {
        let (file, reader) = schema::open(dir)?;
        Ok(Store::new(dir, file, reader, None))
    }

    /// Opens a store like [`Store::open`], and one that was refused as damaged to look at only: what can still be
    /// read of it is there, and every write is refused like the opening was.
    ///
    /// # Errors
    /// As [`Store::open`], if nothing can be read.
    pub fn open_to_look(dir: &Path) -> Result<Store, Error> {
        match schema::open(dir) {
            Ok((file, reader)) => Ok(Store::new(dir, file, reader, None)),
            Err(refused @ Error::DamagedFile { .. }) => match schema::open_to_look(dir) {
                Ok((file, reader)) => Ok(Store::new(dir, file, reader, Some(refused))),
                Err(_) => Err(refused),
            },
            Err(error) => Err(error),
        }
    }

    /// Opens a store that is there for a quick look: creates, migrates and examines nothing, and every write is
    /// refused. `None` if there is no store.
    ///
    /// # Errors
    /// As [`Store::open`], if nothing can be read.
    pub fn glance(dir: &Path) -> Result<Option<Store>, Error> {
        if !dir.join(schema::FILE).exists() {
            return Ok(None);
        }
        let (file, reader) = schema::open_to_look(dir)?;
        let sealed = Error::Refused { path: file.clone(), why: "was opened only to be looked at".to_owned() };
        Ok(Some(Store::new(dir, file, reader, Some(sealed))))
    }

    fn new(dir: &Path, file: PathBuf, reader: Connection, sealed: Option<Error>) -> Store {
        let tally = Arc::new(Tally::default());
        Store(Arc::new(Shared {
            dir: dir.to_owned(),
            writer: Writer::new(file.clone(), reader, Arc::clone(&tally)),
            file,
            readers: Mutex::new(Vec::new()),
            sealed,
            key: OnceLock::new(),
            tally,
        }))
    }

    /// The directory of the store.
    pub fn dir(&self) -> &Path {
        &self.0.dir
    }

    /// The database file, for messages.
    pub fn file(&self) -> &Path {
        &self.0.file
    }

    /// The store's key. A store of an older rerail gets one at the first call, unless it was opened only to be
    /// looked at.
    ///
    /// # Errors
    /// As [`StoreKey::of`].
    pub fn key(&self) -> Result<StoreKey, Error> {
        if let Some(key) = self.0.key.get() {
            return Ok(key.clone());
        }
        let key = match &self.0.sealed {
            None => StoreKey::of(&self.0.dir)?,
            Some(refused) => StoreKey::existing(&self.0.dir)?.ok_or_else(|| refused.clone())?,
        };
        Ok(self.0.key.get_or_init(|| key).clone())
    }

    /// A number that changes with every commit of anybody, also of other processes. `None` while somebody here commits,
    /// when it would be out of date at once. A few microseconds.
    ///
    /// # Errors
    /// What reading met.
    pub fn changed(&self) -> Result<Option<u64>, Error> {
        let found = self.0.writer.glimpse(|db, opened| version(db, opened, &self.0.tally.requests));
        found.transpose().map_err(|failure| failure.at(&self.0.file))
    }

    /// How often this process has committed something: from there [`Store::await_commit`] waits for the next time.
    pub fn committed(&self) -> u64 {
        self.0.writer.commits.times()
    }

    /// Waits until this process has committed something beyond what it had `committed`, at most so long. Of other processes
    /// it hears nothing: [`Store::changed`] does.
    pub fn await_commit(&self, committed: u64, at_most: Duration) {
        self.0.writer.commits.wait_beyond_for(committed, at_most);
    }

    /// What a driver has to know, if anybody has committed anything since it has `seen` the store, but for appends of
    /// this process: only drivers make those. One snapshot, because a driver asks at every step. A few microseconds.
    ///
    /// # Errors
    /// What reading met; then it is asked anew the next time.
    pub fn news(&self, run: RunId, seen: &mut Option<u64>) -> Result<Option<News>, Error> {
        let all = |db: &Connection| Ok(News { hold: hold::last(db)?, signals: inbox::pending(db, run)? });
        let looked = self.0.writer.glimpse(|db, opened| {
            let version = || version(db, opened, &self.0.tally.told);
            if seen.is_some() && *seen == Some(version()?) {
                return Ok((*seen, None));
            }
            snapshot(db, |db| Ok((Some(version()?), Some(all(db)?))))
        });
        let (found, news) = match looked {
            Some(looked) => looked.map_err(|failure: Failure| failure.at(&self.0.file))?,
            // Somebody is just committing.
            None => (None, Some(self.read_beside(all)?)),
        };
        *seen = found;
        Ok(news)
    }

    /// What this process's writer has committed so far.
    pub fn commits(&self) -> Commits {
        Commits {
            flushes: self.0.tally.flushes.load(Ordering::Relaxed),
            requests: self.0.tally.requests.load(Ordering::Relaxed),
        }
    }

    /// All events of a run, checked against its chain and its row.
    ///
    /// # Errors
    /// [`Error::NoRun`]; [`Error::Damaged`] at the first event that is not what was written; [`Error::TooNew`] at
    /// one this rerail can't read: an event is never skipped.
    pub fn events(&self, run: RunId) -> Result<Vec<Event>, Error> {
        self.read(|db| read::load(db, run))
    }

    /// The events of a run from `seq` on, for followers. Checked against the stored hash of the event before.
    ///
    /// # Errors
    /// As [`Store::events`].
    pub fn events_from(&self, run: RunId, seq: u64) -> Result<Vec<Event>, Error> {
        self.read(|db| read::load_from(db, run, seq))
    }

    /// The stored lines of a run, byte for byte, checked like [`Store::events`].
    ///
    /// # Errors
    /// As [`Store::events`].
    pub fn lines(&self, run: RunId) -> Result<Vec<read::Line>, Error> {
        self.read(|db| read::lines(db, run, 0))
    }

    /// Runs a query in one snapshot, on a connection that nobody else uses meanwhile and that no commit waits for.
    pub(super) fn read<T>(&self, query: impl FnOnce(&Connection) -> Result<T, Failure>) -> Result<T, Error> {
        let mut query = Some(query);
        let mut once = |db: &Connection| query.take().map(|query| snapshot(db, query));
        match self.0.writer.look_first(&mut once).flatten() {
            Some(result) => result.map_err(|failure| failure.at(&self.0.file)),
            None => self.read_beside(query.take().expect("it was not asked")),
        }
    }

    /// Runs a query of a few rows, on the writer's connection if nobody commits: it has read the schema already, and what
    /// it wrote itself. What is more than one statement is in one snapshot only if it says so by [`snapshot`].
    pub(super) fn glimpse<T>(&self, query: impl FnOnce(&Connection) -> Result<T, Failure>) -> Result<T, Error> {
        let mut query = Some(query);
        let mut once = |db: &Connection| query.take().map(|query| query(db));
        match self.0.writer.glimpse(|db, _| once(db)).flatten() {
            Some(result) => result.map_err(|failure| failure.at(&self.0.file)),
            None => self.read_beside(query.take().expect("it was not asked")),
        }
    }

    fn read_beside<T>(&self, query: impl FnOnce(&Connection) -> Result<T, Failure>) -> Result<T, Error> {
        let idle = lock(&self.0.readers).pop();
        let db = match idle {
            Some(db) => db,
            None => schema::connect(&self.0.file, Access::Read)?,
        };
        let result = snapshot(&db, query).map_err(|failure| failure.at(&self.0.file));
        // One left inside a transaction would hold its snapshot for ever.
        if db.is_autocommit() {
            let mut readers = lock(&self.0.readers);
            if readers.len() < READERS_KEPT {
                readers.push(db);
            }
        }
        result
    }

    /// Queues a request for the writer.
    pub(super) fn write<T, F>(&self, run: RunId, terms: Terms, work: F) -> Ticket<T>
    where
        T: Send + 'static,
        F: FnMut(&Connection) -> Result<T, Failure> + Send + 'static,
    {
        if let Some(refused) = &self.0.sealed {
            return Ticket::ready(Err(refused.clone()));
        }
        let (reply, ticket) = Ticket::of(Arc::clone(&self.0.writer));
        self.0.writer.enter(Box::new(Job { run, terms, work, result: None, reply }));
        ticket
    }
}

impl Journal for Store {
    fn append(&self, append: Append) -> Ticket<Committed> {
        let terms = Terms { durable: append.needs_a_flush(), reserve: append.starts_nothing(), tells: false };
        failpoint::hit("journal.append.before");
        // An end is recorded also without a key that can be used; it can be signed later, and is told until then.
        let key = append.ends_its_run().then(|| self.key().ok()).flatten();
        let ticket = self.write(append.run, terms, move |db| append::apply(db, &append, key.as_ref()));
        failpoint::hit("journal.append.queued");
        ticket
    }

    fn load(&self, run: RunId) -> Result<Vec<Event>, Error> {
        self.events(run)
    }

    fn blob(&self, digest: &str) -> Result<Option<Vec<u8>>, Error> {
        let bytes = self.read(|db| read::blob(db, digest))?;
        match bytes {
            Some(bytes) if chain::digest(&bytes) != digest => {
                let why = format!("blob {digest} holds bytes of {}", chain::digest(&bytes));
                Err(Error::DamagedFile { file: self.0.file.clone(), why })
            }
            other => Ok(other),
        }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("file", &self.0.file).finish_non_exhaustive()
    }
}

/// Runs a query of several statements in one snapshot: its own, or the one it is asked in.
pub(super) fn snapshot<T>(
    db: &Connection,
    query: impl FnOnce(&Connection) -> Result<T, Failure>,
) -> Result<T, Failure> {
    if !db.is_autocommit() {
        return query(db);
    }
    db.prepare_cached("BEGIN")?.execute([])?;
    let result = query(db);
    db.prepare_cached("COMMIT")?.execute([])?;
    result
}

/// What this connection has counted of others' commits, and we of `ours`; told apart from what the connections before it
/// had.
fn version(db: &Connection, opened: u64, ours: &AtomicU64) -> Result<u64, Failure> {
    let others: u32 = db.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?;
    Ok((opened << 48).wrapping_add(ours.load(Ordering::Relaxed)).wrapping_add(u64::from(others)))
}

/// Nothing done under these locks can leave a half-made state behind, so a panic elsewhere doesn't matter.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::event::Body;
    use crate::journal::inbox::Signal;
    use crate::journal::list::Filter;
    use crate::journal::testkit::{actor, append, note, start, store};

    #[test]
    fn a_driver_is_told_what_is_new_once_and_again_after_any_commit_but_an_append_here() {
        let (base, store) = store();
        let drive = start(&store, "backend-down");
        let mut seen = None;
        let mut news = |store: &Store| store.news(drive.run(), &mut seen).unwrap();
        assert_eq!(news(&store), Some(News { hold: None, signals: Vec::new() }));
        assert_eq!(news(&store), None);
        let cancel = Signal::new(Body::RunCancelled { actor: actor("ben"), reason: None }).unwrap();
        store.signal(drive.run(), &cancel).wait().unwrap();
        assert_eq!(news(&store).unwrap().signals.len(), 1);
        assert_eq!(news(&store), None);
        append(&store, &drive, vec![note(1)]).unwrap();
        assert_eq!(news(&store), None, "nobody else did that");
        // As another process, whose appends may be what a signal became.
        let other = Store::open(&base.path().join("store")).unwrap();
        append(&other, &drive, vec![note(2)]).unwrap();
        assert_eq!(news(&store).unwrap().signals.len(), 1, "until somebody consumes it");
        other.signal(drive.run(), &cancel).wait().unwrap();
        assert_eq!(news(&store).unwrap().signals.len(), 2);
    }

    #[test]
    fn who_waits_for_a_commit_hears_of_one_that_came_before_they_waited_and_of_the_next() {
        let (_base, store) = store();
        let drive = start(&store, "backend-down");
        let long = Duration::from_secs(60);
        let committed = store.committed();
        let began = std::time::Instant::now();
        append(&store, &drive, vec![note(1)]).unwrap();
        store.await_commit(committed, long);
        let committed = store.committed();
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| store.await_commit(committed, long));
            append(&store, &drive, vec![note(2)]).unwrap();
            waits.join().unwrap();
        });
        assert!(began.elapsed() < long);
        let nothing = Duration::from_millis(1);
        let began = std::time::Instant::now();
        store.await_commit(store.committed(), nothing);
        assert!(began.elapsed() >= nothing, "nobody wrote");
    }

    #[test]
    fn what_one_connection_has_counted_says_nothing_on_the_next() {
        let (_base, store) = store();
        let drive = start(&store, "backend-down");
        let mut seen = None;
        store.news(drive.run(), &mut seen).unwrap();
        store.0.writer.glimpse(|db, _| db.execute_batch("BEGIN").unwrap());
        assert!(store.0.writer.glimpse(|_, _| ()).is_none(), "a connection in a transaction was kept");
        append(&store, &drive, vec![note(1)]).unwrap();
        assert!(store.news(drive.run(), &mut seen).unwrap().is_some());
    }

    #[test]
    fn what_is_asked_in_one_snapshot_is_answered_also_while_somebody_commits() {
        let (_base, store) = store();
        let drive = start(&store, "backend-down");
        let ask = || store.glimpse(|db| snapshot(db, |db| Ok(read::load(db, drive.run())?.len())));
        let alone = ask().unwrap();
        let committing = store.0.writer.turn();
        assert_eq!(ask().unwrap(), alone);
        drop(committing);
        assert_eq!(ask().unwrap(), alone);
    }

    #[test]
    fn a_driver_is_told_what_is_new_also_while_somebody_commits() {
        let (_base, store) = store();
        let drive = start(&store, "backend-down");
        let mut seen = None;
        let committing = store.0.writer.turn();
        for _ in 0..2 {
            assert!(store.news(drive.run(), &mut seen).unwrap().is_some());
            drive.check().unwrap();
        }
        drop(committing);
        assert!(store.news(drive.run(), &mut seen).unwrap().is_some());
        assert!(store.news(drive.run(), &mut seen).unwrap().is_none());
    }

    #[test]
    fn who_reads_while_somebody_reads_has_a_connection_of_their_own() {
        let (_base, store) = store();
        let drive = start(&store, "backend-down");
        let both = store
            .read(|_| Ok((store.runs(&Filter::default()).unwrap().len(), store.events(drive.run()).unwrap().len())));
        assert_eq!(both.unwrap(), (1, 1));
        assert_eq!(lock(&store.0.readers).len(), 2, "kept for the next");
        append(&store, &drive, vec![note(1)]).unwrap();
        assert_eq!(store.events(drive.run()).unwrap().len(), 2);
    }
}
