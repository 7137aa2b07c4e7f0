//! The store's signed checkpoints: one at each end of a run, in the commit of the end, and on demand.
//!
//! They form a chain of their own, so that the newest one stands for all. Kept here they tell who edits a row from who
//! holds the key as well; kept elsewhere they tell also who cuts or rewrites everything.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use crate::engine::ids::RunId;
use crate::journal::chain::{Hash, Head};
use crate::journal::checkpoint::{Checkpoint, Claim};
use crate::journal::error::{Error, Failure};
use crate::journal::key::StoreKey;
use crate::journal::store::{Store, Terms, snapshot};
use crate::journal::{hold, read};

/// Runs signed in one transaction on demand: tens of milliseconds in which drivers wait for their commits.
const SIGNED_AT_A_TIME: u32 = 500;

impl Store {
    /// A signed checkpoint of what a run has come to, made now unless its last event is covered already. Durable once
    /// answered.
    ///
    /// # Errors
    /// [`Error::NoRun`]; [`Error::Damaged`]: what is damaged is not signed; [`Error::Key`].
    pub fn checkpoint_run(&self, run: RunId, at: Timestamp) -> Result<Checkpoint, Error> {
        self.lines(run)?;
        let key = self.key()?;
        self.write(run, Terms::DURABLE, move |db| {
            let (_, head) = read::row(db, run)?;
            match covering(db, run, head.seq)? {
                Some(signed) => Ok(signed),
                None => sign(db, &key, run, head, at, None),
            }
        })
        .wait()
    }

    /// Signs every run whose last event no checkpoint covers, and gives the newest line, which stands for all: `None`
    /// in a store without runs.
    ///
    /// # Errors
    /// As [`Store::checkpoint_run`].
    pub fn checkpoint_all(&self, at: Timestamp) -> Result<Option<Checkpoint>, Error> {
        loop {
            let open = self.read(|db| uncovered(db, SIGNED_AT_A_TIME))?;
            if open.is_empty() {
                return self.newest_checkpoint();
            }
            for (run, _) in &open {
                self.lines(*run)?;
            }
            let key = self.key()?;
            let signed = self.write(hold::nobodys(), Terms::DURABLE, move |db| {
                for (run, head) in uncovered(db, SIGNED_AT_A_TIME)? {
                    sign(db, &key, run, head, at, None)?;
                }
                newest(db)
            });
            signed.wait()?;
            // A run that goes on meanwhile is uncovered again, and its next line would be as soon out of date.
            if open.len() < SIGNED_AT_A_TIME as usize {
                return self.newest_checkpoint();
            }
        }
    }

    /// The newest line, which stands for all.
    ///
    /// # Errors
    /// What reading met.
    pub fn newest_checkpoint(&self) -> Result<Option<Checkpoint>, Error> {
        self.glimpse(newest)
    }

    /// The checkpoint of a run's last event, if there is one.
    ///
    /// # Errors
    /// [`Error::NoRun`]; what reading met.
    pub fn checkpoint_of(&self, run: RunId) -> Result<Option<Checkpoint>, Error> {
        self.glimpse(|db| {
            snapshot(db, |db| {
                let (_, head) = read::row(db, run)?;
                covering(db, run, head.seq)
            })
        })
    }
}

/// Signs and stores the next line of the store.
pub(super) fn sign(
    db: &Connection,
    key: &StoreKey,
    run: RunId,
    head: Head,
    at: Timestamp,
    gone: Option<Hash>,
) -> Result<Checkpoint, Failure> {
    let last = db
        .prepare_cached("SELECT number, line FROM checkpoints ORDER BY number DESC LIMIT 1")?
        .query_row([], |row| Ok((row.get::<_, u64>(0)?, row.get::<_, String>(1)?)))
        .optional()?;
    // Of the line as it stands, readable or not: a damaged one stays what `verify` complains of, and stops no run.
    let (before, after) = last.map_or((0, Checkpoint::origin()), |(number, line)| (number, Hash::of(line.as_bytes())));
    let claim =
        Claim { store: key.public(), number: before + 1, run, events: head.seq + 1, head: head.hash, after, at, gone };
    let signed = Checkpoint::sign(key, claim);
    db.prepare_cached("INSERT INTO checkpoints (number, run, events, line) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![signed.claim.number, run.uuid(), signed.claim.events, signed.to_string()])?;
    Ok(signed)
}

/// The newest line about exactly the first `seq + 1` events of a run.
fn covering(db: &Connection, run: RunId, seq: u64) -> Result<Option<Checkpoint>, Failure> {
    let line: Option<String> = db
        .prepare_cached("SELECT line FROM checkpoints WHERE run = ?1 AND events = ?2 ORDER BY number DESC LIMIT 1")?
        .query_row(params![run.uuid(), seq + 1], |row| row.get(0))
        .optional()?;
    Ok(line.and_then(|line| line.parse().ok()))
}

fn newest(db: &Connection) -> Result<Option<Checkpoint>, Failure> {
    let line: Option<String> = db
        .prepare_cached("SELECT line FROM checkpoints ORDER BY number DESC LIMIT 1")?
        .query_row([], |row| row.get(0))
        .optional()?;
    Ok(line.and_then(|line| line.parse().ok()))
}

/// Runs whose last event no line covers, oldest first.
fn uncovered(db: &Connection, limit: u32) -> Result<Vec<(RunId, Head)>, Failure> {
    let mut select = db.prepare_cached(
        "SELECT id FROM runs WHERE NOT EXISTS
            (SELECT 1 FROM checkpoints WHERE run = runs.id AND events = runs.last_seq + 1)
         ORDER BY number LIMIT ?1",
    )?;
    let ids = select.query_map([limit], |row| row.get::<_, String>(0))?.collect::<rusqlite::Result<Vec<_>>>()?;
    let mut open = Vec::with_capacity(ids.len());
    for id in ids {
        let Ok(run) = id.parse::<RunId>() else { continue };
        open.push((run, read::row(db, run)?.1));
    }
    Ok(open)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::testkit::{append, finished, note, sql, start, store};

    fn at() -> Timestamp {
        "2026-11-01T10:00:00Z".parse().unwrap()
    }

    #[test]
    fn the_end_of_a_run_is_signed_in_the_same_commit_and_covers_itself() {
        let (_base, store) = store();
        let drive = start(&store, "backend-down");
        assert_eq!(store.checkpoint_of(drive.run()).unwrap(), None, "it goes on");
        let before = store.commits();
        let committed = append(&store, &drive, vec![note(1), finished(2)]).unwrap();
        let signed = store.checkpoint_of(drive.run()).unwrap().unwrap();
        assert_eq!(store.commits().flushes - before.flushes, 1, "no flush of its own");
        assert_eq!((signed.claim.number, signed.claim.events, signed.claim.head), (1, 3, committed.head));
        assert_eq!((signed.claim.store, signed.claim.after), (store.key().unwrap().public(), Checkpoint::origin()));
        assert_eq!(signed.claim.at, finished(2).ts, "signed when it ended");
        assert!(signed.is_signed());
    }

    #[test]
    fn each_line_comes_after_the_one_before() {
        let (_base, store) = store();
        let mut after = Checkpoint::origin();
        for number in 1..4 {
            let drive = start(&store, "backend-down");
            append(&store, &drive, vec![finished(1)]).unwrap();
            let signed = store.checkpoint_of(drive.run()).unwrap().unwrap();
            assert_eq!((signed.claim.number, signed.claim.after), (number, after));
            after = signed.hash();
        }
        assert_eq!(store.checkpoint_all(at()).unwrap().unwrap().hash(), after, "nothing is left to sign");
    }

    #[test]
    fn on_demand_a_run_is_signed_as_far_as_it_has_got_and_once() {
        let (_base, store) = store();
        let drive = start(&store, "backend-down");
        let first = store.checkpoint_run(drive.run(), at()).unwrap();
        assert_eq!(store.checkpoint_run(drive.run(), at()).unwrap(), first);
        append(&store, &drive, vec![note(1)]).unwrap();
        let second = store.checkpoint_run(drive.run(), at()).unwrap();
        assert_eq!((second.claim.number, second.claim.events), (2, 2));
    }

    #[test]
    fn the_whole_store_is_one_line_that_covers_every_run() {
        let (_base, store) = store();
        assert_eq!(store.checkpoint_all(at()).unwrap(), None);
        let runs: Vec<_> = (0..SIGNED_AT_A_TIME + 3).map(|_| start(&store, "backend-down").run()).collect();
        let newest = store.checkpoint_all(at()).unwrap().unwrap();
        assert_eq!((newest.claim.number, newest.claim.run), (u64::from(SIGNED_AT_A_TIME) + 3, runs[runs.len() - 1]));
        assert!(runs.iter().all(|run| store.checkpoint_of(*run).unwrap().is_some()));
        assert_eq!(store.checkpoint_all(at()).unwrap(), Some(newest));
    }

    #[test]
    fn what_is_damaged_is_not_signed_on_demand() {
        let (_base, store) = store();
        let drive = start(&store, "backend-down");
        sql(&store).execute("UPDATE events SET body = '{}'", []).unwrap();
        assert!(matches!(store.checkpoint_run(drive.run(), at()), Err(Error::Damaged { .. })));
        assert!(matches!(store.checkpoint_all(at()), Err(Error::Damaged { .. })));
    }

    #[test]
    fn a_run_ends_also_without_a_key_and_can_be_signed_later() {
        let (_base, store) = store();
        let drive = start(&store, "backend-down");
        let file = store.dir().join(crate::journal::key::FILE);
        let whole = std::fs::read(&file).unwrap();
        std::fs::write(&file, "damaged").unwrap();
        append(&store, &drive, vec![finished(1)]).unwrap();
        assert_eq!(store.checkpoint_of(drive.run()).unwrap(), None);
        assert!(matches!(store.checkpoint_run(drive.run(), at()), Err(Error::Key { .. })));
        std::fs::write(&file, whole).unwrap();
        assert_eq!(store.checkpoint_run(drive.run(), at()).unwrap().claim.events, 2);
    }
}
