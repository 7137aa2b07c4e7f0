//! Who drives a run: an OS file lock that the kernel drops at death, a lease that catches stalled holders, and
//! a fence that every append and the moment before a write is checked against.
//!
//! The lock and the lease only decide who gets to try. What keeps two drivers apart is the fence: it is read in
//! the same transaction as each append, so that a holder who lost the run can't write one more event.

use std::fmt;
use std::fs::{self, File, TryLockError};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};

use crate::engine::event::Hold;
use crate::engine::ids::RunId;
use crate::journal::error::{Error, Failure};
use crate::journal::store::{Store, Terms, snapshot};
use crate::journal::ticket::Ticket;
use crate::journal::{dir, hold};

/// How long a holder may be silent before others take over: longer than any flush on a busy disk, short enough
/// to wait for in an incident.
pub const LEASE: Duration = Duration::from_secs(10);

/// How old a lease gets before an append writes it anew: else it would be one more page in every commit. A holder that
/// falls silent loses its run by so much earlier.
const RENEWED_AFTER: Duration = Duration::from_secs(1);

/// The directory of lock files, one a driven run.
const LOCKS: &str = "locks";

/// Who holds a run, for the message others get.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    pub pid: u32,
    pub host: String,
    pub user: String,
    pub since: Timestamp,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (process {} on {}, since {:.0})", self.user, self.pid, self.host, self.since)
    }
}

/// Why a run could not be taken.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Busy {
    /// Somebody drives it. Nobody is named in the instant between their lock and their lease.
    #[error("the run is driven by {}", named(holder.as_deref()))]
    Held { holder: Option<Box<Holder>> },
    /// The store could not be asked.
    #[error(transparent)]
    Store(#[from] Error),
}

fn named(holder: Option<&Holder>) -> String {
    holder.map_or_else(|| "another process".to_owned(), Holder::to_string)
}

/// The right to drive a run, until dropped or lost.
#[derive(Debug)]
pub struct Drive {
    store: Store,
    run: RunId,
    fence: u64,
    /// `None` after taking over from a stalled process that still has the lock.
    _lock: Option<Lock>,
}

impl Drive {
    /// The number that goes into every append.
    pub fn fence(&self) -> u64 {
        self.fence
    }

    /// The run.
    pub fn run(&self) -> RunId {
        self.run
    }

    /// Extends the lease without a flush. Every append does as well.
    pub fn renew(&self) -> Ticket<()> {
        let (run, fence) = (self.run, self.fence);
        self.store.write(run, Terms::RELAXED, move |db| extend(db, run, fence))
    }

    /// Says whether the run is still ours, directly before the first byte of a write, and the hold that is on: then
    /// nothing may be sent either. A lease that ran out while nobody took the run is renewed on the way, so that what
    /// follows has the whole lease ahead.
    ///
    /// # Errors
    /// [`Error::Fenced`] if somebody took over; then nothing may be sent.
    pub fn check(&self) -> Result<Option<Hold>, Error> {
        let (run, fence) = (self.run, self.fence);
        if self.store.glimpse(|db| is_free_to_write(db, run, fence))? {
            return Ok(None);
        }
        let (lease, hold) = self.store.glimpse(|db| snapshot(db, |db| Ok((Lease::of(db, run)?, hold::on(db)?))))?;
        match lease {
            Some(lease) if lease.fence == fence && lease.is_alive(monotonic_ms()) => Ok(hold),
            Some(lease) if lease.fence == fence => self.renew().wait().map(|()| hold),
            other => Err(Error::Fenced { run, holder: other.map(|lease| lease.holder) }),
        }
    }
}

impl Drop for Drive {
    /// Gives the run up. If that fails, the next driver doesn't need the row gone.
    fn drop(&mut self) {
        let (run, fence) = (self.run, self.fence);
        self.store.write(run, Terms::RELAXED, move |db| release(db, run, fence)).wait().ok();
    }
}

impl Store {
    /// Takes a run, new or old, to drive it. Free at once if its last driver is dead or done, after [`LEASE`] if
    /// that driver is alive but silent. Costs no flush.
    ///
    /// # Errors
    /// [`Busy::Held`] with who drives it.
    pub fn acquire(&self, run: RunId, holder: Holder) -> Result<Drive, Busy> {
        let lock = Lock::try_take(self.dir(), run)?;
        let locked = lock.is_some();
        match self.write(run, Terms::RELAXED, move |db| take(db, run, &holder, locked)).wait()? {
            Taken::Ours { fence } => Ok(Drive { store: self.clone(), run, fence, _lock: lock }),
            Taken::Theirs { holder } => Err(Busy::Held { holder: holder.map(Box::new) }),
        }
    }

    /// Whether somebody drives a run right now, also if they are silent at the moment. Takes nothing and writes
    /// nothing, so that asking can't cost anybody their run.
    ///
    /// # Errors
    /// What reading met.
    pub fn is_driven(&self, run: RunId) -> Result<bool, Error> {
        match self.glimpse(|db| Lease::of(db, run))? {
            // Taken over from a stalled process, which may have the lock still: only the lease tells.
            Some(lease) if !lease.locked => Ok(lease.is_alive(monotonic_ms())),
            _ => Lock::is_held(self.dir(), run),
        }
    }

    /// Who drives a run as far as the leases say; a dead holder is named until somebody else takes the run.
    ///
    /// # Errors
    /// What reading met.
    pub fn holder(&self, run: RunId) -> Result<Option<Holder>, Error> {
        Ok(self.glimpse(|db| Lease::of(db, run))?.map(|lease| lease.holder))
    }
}

/// The OS lock on a run's file.
#[derive(Debug)]
struct Lock {
    /// Locked as long as it is open.
    file: File,
    path: PathBuf,
}

impl Lock {
    fn try_take(dir: &Path, run: RunId) -> Result<Option<Lock>, Error> {
        let locks = dir.join(LOCKS);
        if !locks.exists() {
            dir::prepare(&locks)?;
        }
        let path = locks.join(format!("{}.lock", run.uuid()));
        loop {
            let file = dir::private_file(&path).map_err(|e| Error::os("opening", &path, e))?;
            match file.try_lock() {
                Ok(()) => {}
                // Held by one who drives, or for an instant by one who only asks: the latter shares it.
                Err(TryLockError::WouldBlock) => match file.try_lock_shared() {
                    Ok(()) => continue,
                    Err(TryLockError::WouldBlock) => return Ok(None),
                    Err(TryLockError::Error(e)) => return Err(Error::os("locking", &path, e)),
                },
                Err(TryLockError::Error(e)) => return Err(Error::os("locking", &path, e)),
            }
            // Its last holder may have removed the file between our open and our lock: then the lock is worth
            // nothing, because the next one will lock another file of that name.
            if is_still_at(&file, &path)? {
                return Ok(Some(Lock { file, path }));
            }
        }
    }

    /// Whether a driver has the lock. Shares it for an instant to find out, which [`Lock::try_take`] tells from a
    /// driver.
    fn is_held(dir: &Path, run: RunId) -> Result<bool, Error> {
        let path = dir.join(LOCKS).join(format!("{}.lock", run.uuid()));
        loop {
            let file = match File::open(&path) {
                Ok(file) => file,
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(false),
                Err(e) => return Err(Error::os("opening", &path, e)),
            };
            match file.try_lock_shared() {
                Ok(()) if is_still_at(&file, &path)? => return Ok(false),
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(true),
                Err(TryLockError::Error(e)) => return Err(Error::os("locking", &path, e)),
            }
        }
    }
}

impl Drop for Lock {
    /// Removes the file while it is still locked: nobody else can hold it. Unlocks it by itself, because a child
    /// just being spawned may have the file open for another moment.
    fn drop(&mut self) {
        fs::remove_file(&self.path).ok();
        self.file.unlock().ok();
    }
}

/// Whether an open lock file is the one that others find.
fn is_still_at(file: &File, path: &Path) -> Result<bool, Error> {
    let ours = file.metadata().map_err(|e| Error::os("reading", path, e))?;
    Ok(fs::metadata(path).is_ok_and(|there| (there.dev(), there.ino()) == (ours.dev(), ours.ino())))
}

struct Lease {
    fence: u64,
    holder: Holder,
    /// Whether the holder has the OS lock as well.
    locked: bool,
    expires: i64,
}

impl Lease {
    fn of(db: &Connection, run: RunId) -> Result<Option<Lease>, Failure> {
        Ok(db
            .prepare_cached("SELECT fence, holder, locked, expires FROM leases WHERE run = ?1")?
            .query_row([run.uuid()], |row| {
                let holder: String = row.get(1)?;
                // A lease is not evidence: an unreadable name must not keep a run from being taken over.
                let holder = serde_json::from_str(&holder).unwrap_or_else(|_| Holder {
                    pid: 0,
                    host: "unknown".into(),
                    user: "unknown".into(),
                    since: Timestamp::UNIX_EPOCH,
                });
                Ok(Lease { fence: row.get(0)?, holder, locked: row.get(2)?, expires: row.get(3)? })
            })
            .optional()?)
    }

    /// A lease further ahead than any holder could set it is from before a reboot.
    fn is_alive(&self, now: i64) -> bool {
        now < self.expires && self.expires <= now + lease_ms()
    }
}

enum Taken {
    Ours { fence: u64 },
    Theirs { holder: Option<Holder> },
}

fn take(db: &Connection, run: RunId, holder: &Holder, locked: bool) -> Result<Taken, Failure> {
    let now = monotonic_ms();
    let found = Lease::of(db, run)?;
    let free = match &found {
        // The kernel gave us the lock that this holder had: it is dead.
        Some(lease) if lease.locked && locked => true,
        Some(lease) => !lease.is_alive(now),
        // Without the lock, somebody is about to write the first lease.
        None => locked,
    };
    if !free {
        return Ok(Taken::Theirs { holder: found.map(|lease| lease.holder) });
    }
    let before: Option<u64> = db
        .prepare_cached("SELECT fence FROM runs WHERE id = ?1")?
        .query_row([run.uuid()], |row| row.get(0))
        .optional()?;
    let fence = before.unwrap_or(0).max(found.map_or(0, |lease| lease.fence)) + 1;
    let name = serde_json::to_string(holder).expect("a holder is a map with text keys");
    db.prepare_cached(
        "INSERT OR REPLACE INTO leases (run, fence, holder, locked, expires) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![run.uuid(), fence, name, locked, now + lease_ms()])?;
    // Kept with the run as well, because the lease goes when the run ends.
    db.prepare_cached("UPDATE runs SET fence = ?2 WHERE id = ?1")?.execute(params![run.uuid(), fence])?;
    Ok(Taken::Ours { fence })
}

/// Whether a living lease of `fence` is on the run and no hold: asked before every write, so in one statement.
fn is_free_to_write(db: &Connection, run: RunId, fence: u64) -> Result<bool, Failure> {
    let now = monotonic_ms();
    Ok(db
        .prepare_cached(
            "SELECT 1 FROM leases WHERE run = ?1 AND fence = ?2 AND expires > ?3 AND expires <= ?4
             AND NOT EXISTS (SELECT 1 FROM holds WHERE lifted_at IS NULL)",
        )?
        .exists(params![run.uuid(), fence, now, now + lease_ms()])?)
}

/// Makes sure that `fence` holds the run, with almost the whole lease ahead; or says who holds it instead.
pub(super) fn extend(db: &Connection, run: RunId, fence: u64) -> Result<(), Failure> {
    let now = monotonic_ms();
    let expires: Option<i64> = db
        .prepare_cached("SELECT expires FROM leases WHERE run = ?1 AND fence = ?2")?
        .query_row(params![run.uuid(), fence], |row| row.get(0))
        .optional()?;
    let Some(expires) = expires else {
        let holder = Lease::of(db, run)?.map(|lease| lease.holder);
        return Err(Error::Fenced { run, holder }.into());
    };
    // One from before a reboot lies further ahead than any holder could set it.
    let fresh = now + lease_ms() - RENEWED_AFTER.as_millis() as i64..=now + lease_ms();
    if !fresh.contains(&expires) {
        db.prepare_cached("UPDATE leases SET expires = ?2 WHERE run = ?1")?
            .execute(params![run.uuid(), now + lease_ms()])?;
    }
    Ok(())
}

/// Ends the lease of `fence`; one that was taken over stays.
pub(super) fn release(db: &Connection, run: RunId, fence: u64) -> Result<(), Failure> {
    db.prepare_cached("DELETE FROM leases WHERE run = ?1 AND fence = ?2")?.execute(params![run.uuid(), fence])?;
    Ok(())
}

/// Whether a process has a run and is not silent: its lease lives, and so does whoever had the lock.
pub(super) fn is_awake(db: &Connection, dir: &Path, run: RunId) -> Result<bool, Failure> {
    match Lease::of(db, run)? {
        Some(lease) if !lease.is_alive(monotonic_ms()) => Ok(false),
        Some(lease) if lease.locked => Ok(Lock::is_held(dir, run)?),
        other => Ok(other.is_some()),
    }
}

/// Forgets the lease of a run that never began and whose process is dead.
pub(super) fn bury(db: &Connection, dir: &Path, run: RunId) -> Result<(), Failure> {
    if !Lock::is_held(dir, run)? {
        db.prepare_cached("DELETE FROM leases WHERE run = ?1 AND run NOT IN (SELECT id FROM runs)")?
            .execute([run.uuid()])?;
    }
    Ok(())
}

/// Runs that somebody drives, or drove until death.
pub(super) fn driven(db: &Connection) -> Result<Vec<RunId>, Failure> {
    let mut select = db.prepare("SELECT run FROM leases")?;
    let ids = select.query_map([], |row| row.get::<_, String>(0))?.collect::<rusqlite::Result<Vec<_>>>()?;
    Ok(ids.iter().filter_map(|id| id.parse().ok()).collect())
}

fn lease_ms() -> i64 {
    LEASE.as_millis() as i64
}

/// Milliseconds since this machine started: shared by its processes, and nobody can set it.
fn monotonic_ms() -> i64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec * 1000 + now.tv_nsec / 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::testkit::{append, finished, holder, new_run, note, sql, start, store};

    fn silence(store: &Store) {
        sql(store).execute("UPDATE leases SET expires = 0", []).unwrap();
    }

    fn other() -> Holder {
        Holder { user: "ben".into(), ..holder() }
    }

    #[test]
    fn a_run_has_one_driver() {
        let (_base, store) = store();
        let drive = start(&store, "backend-down");
        match store.acquire(drive.run(), other()) {
            Err(Busy::Held { holder: Some(found) }) => assert_eq!(*found, holder()),
            other => panic!("{other:?}"),
        }
        let error = store.acquire(drive.run(), other()).unwrap_err().to_string();
        assert!(error.contains("ana") && error.contains("process"), "{error}");
    }

    #[test]
    fn a_dropped_run_is_free_at_once_under_a_higher_fence() {
        let (_base, store) = store();
        let first = start(&store, "backend-down");
        let (run, fence) = (first.run(), first.fence());
        drop(first);
        let second = store.acquire(run, other()).unwrap();
        assert_eq!(second.fence(), fence + 1);
        second.check().unwrap();
        append(&store, &second, vec![note(1), finished(2)]).unwrap();
        drop(second);
        let third = store.acquire(run, other()).unwrap();
        assert_eq!(third.fence(), fence + 2, "the fence outlives the lease");
    }

    #[test]
    fn locks_of_driven_runs_leave_no_files() {
        let (_base, store) = store();
        for _ in 0..3 {
            drop(start(&store, "backend-down"));
        }
        assert_eq!(std::fs::read_dir(store.dir().join(LOCKS)).unwrap().count(), 0);
    }

    #[test]
    fn a_silent_holder_is_fenced_and_its_successor_keeps_the_run_without_the_lock() {
        let (_base, store) = store();
        let stalled = start(&store, "backend-down");
        silence(&store);
        let taker = store.acquire(stalled.run(), other()).unwrap();
        assert_eq!(taker.fence(), stalled.fence() + 1);
        for lost in
            [append(&store, &stalled, vec![note(1)]).map(drop), stalled.check().map(drop), stalled.renew().wait()]
        {
            match lost {
                Err(Error::Fenced { holder: Some(found), .. }) => assert_eq!(found, other()),
                other => panic!("{other:?}"),
            }
        }
        append(&store, &taker, vec![note(1)]).unwrap();

        // The stalled one wakes up and goes, so its lock is free: that proves nothing about the taker.
        let run = stalled.run();
        drop(stalled);
        assert!(matches!(store.acquire(run, holder()), Err(Busy::Held { .. })));
        taker.check().unwrap();
        silence(&store);
        assert_eq!(store.acquire(run, holder()).unwrap().fence(), taker.fence() + 1);
    }

    #[test]
    fn a_holder_that_is_only_late_keeps_its_run() {
        let (_base, store) = store();
        let drive = start(&store, "backend-down");
        silence(&store);
        drive.check().unwrap();
        assert!(matches!(store.acquire(drive.run(), other()), Err(Busy::Held { .. })), "the check renewed it");
    }

    #[test]
    fn an_append_writes_the_lease_once_a_second() {
        let (_base, store) = store();
        let drive = start(&store, "backend-down");
        let expires = || -> i64 { sql(&store).query_row("SELECT expires FROM leases", [], |row| row.get(0)).unwrap() };
        // Another one is written for a lease that is over a second old, and for one nobody can have set.
        for (seq, aged_ms) in (1..).zip([RENEWED_AFTER.as_millis() as i64, 3_600_000, -3_600_000]) {
            sql(&store).execute("UPDATE leases SET expires = ?1", [monotonic_ms() + lease_ms() - aged_ms]).unwrap();
            append(&store, &drive, vec![note(2 * seq - 1)]).unwrap();
            let renewed = expires();
            let left = renewed - monotonic_ms();
            assert!((0..=lease_ms()).contains(&left), "{left} ms left of one that was {aged_ms} ms old");
            sql(&store).execute("UPDATE leases SET expires = ?1", [monotonic_ms() + lease_ms() - 1]).unwrap();
            let before = expires();
            append(&store, &drive, vec![note(2 * seq)]).unwrap();
            let slow = monotonic_ms() + lease_ms() - before >= RENEWED_AFTER.as_millis() as i64;
            assert!(slow || expires() == before, "a fresh one was written again");
        }
    }

    #[test]
    fn a_lease_from_before_a_reboot_is_dead() {
        let (_base, store) = store();
        let drive = start(&store, "backend-down");
        sql(&store).execute("UPDATE leases SET expires = expires + 3600000", []).unwrap();
        store.acquire(drive.run(), other()).unwrap();
    }

    #[test]
    fn nobody_without_the_lock_takes_a_run_that_has_no_lease_yet() {
        let (_base, store) = store();
        let run = new_run();
        let lock = Lock::try_take(store.dir(), run).unwrap();
        assert!(lock.is_some());
        assert!(matches!(store.acquire(run, other()), Err(Busy::Held { holder: None })));
        drop(lock);
        store.acquire(run, other()).unwrap();
    }

    #[test]
    fn asking_who_drives_takes_nothing_from_anybody() {
        let (_base, store) = store();
        let drive = start(&store, "backend-down");
        let run = drive.run();
        assert!(store.is_driven(run).unwrap());
        // A stalled driver is silent, not gone: it takes up what it was told when it wakes.
        silence(&store);
        assert!(store.is_driven(run).unwrap());
        drive.check().unwrap();
        let fence = drive.fence();
        drop(drive);
        assert!(!store.is_driven(run).unwrap());
        assert!(!store.is_driven(new_run()).unwrap());
        assert_eq!(store.acquire(run, other()).unwrap().fence(), fence + 1, "asking moved no fence");
    }

    #[test]
    fn a_run_taken_from_a_stalled_process_is_driven_as_long_as_the_lease_lives() {
        let (_base, store) = store();
        let stalled = start(&store, "backend-down");
        silence(&store);
        let taker = store.acquire(stalled.run(), other()).unwrap();
        assert!(store.is_driven(taker.run()).unwrap());
        silence(&store);
        assert!(!store.is_driven(taker.run()).unwrap(), "the lock of the stalled one says nothing about the taker");
    }

    #[test]
    fn one_who_only_asks_does_not_keep_a_driver_from_a_run() {
        let (_base, store) = store();
        let run = start(&store, "backend-down").run();
        let stop = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            let asking = scope.spawn(|| {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    store.is_driven(run).unwrap();
                }
            });
            for _ in 0..200 {
                let taken = store.acquire(run, holder());
                assert!(taken.is_ok(), "{taken:?}");
            }
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
            asking.join().unwrap();
        });
    }

    #[test]
    fn taking_and_renewing_cost_no_flush() {
        let (_base, store) = store();
        let drive = store.acquire(new_run(), holder()).unwrap();
        drive.renew().wait().unwrap();
        assert_eq!(store.commits().flushes, 0);
    }
}
