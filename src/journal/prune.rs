//! Removing a run that has ended: its events go, a signed tombstone stays in their place.
//!
//! Nothing is removed by itself. Tombstone and removal are one commit, so a crash leaves the run or its tombstone; the
//! chain of runs goes on through the tombstone's `start`. What nobody names any more is freed by `sweep.rs`.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};

use crate::engine::event::{Actor, Body, StoreLink};
use crate::engine::ids::RunId;
use crate::journal::chain::{Hash, Head};
use crate::journal::checkpoints;
use crate::journal::error::{Error, Failure};
use crate::journal::lease::{self, Drive};
use crate::journal::list::spoken;
use crate::journal::read;
use crate::journal::store::{Store, Terms};

/// What is left of a pruned run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tombstone {
    pub run: RunId,
    /// Its place in the chain of runs.
    pub store: StoreLink,
    pub runbook: String,
    /// How it ended, as lists said it.
    pub status: String,
    pub started_at: Timestamp,
    pub ended_at: Timestamp,
    pub events: u64,
    /// Of its lines, without what they keep apart.
    pub bytes: u64,
    /// Hash of its first event, after which the next run comes.
    pub start: Hash,
    /// Hash of its last event.
    pub head: Hash,
    pub actor: Actor,
    pub at: Timestamp,
    pub reason: String,
}

impl Tombstone {
    /// The tombstone in this text.
    pub fn parse(body: &str) -> Option<Tombstone> {
        serde_json::from_str(body).ok()
    }
}

/// Who prunes, when and why.
#[derive(Clone, Debug)]
pub struct Pruner {
    pub actor: Actor,
    pub at: Timestamp,
    pub reason: String,
}

impl Store {
    /// Removes a run that has ended, leaving its tombstone. `drive` keeps everybody else away from it meanwhile.
    ///
    /// # Errors
    /// [`Error::NotEnded`]; [`Error::Damaged`]: what is damaged stays as it is, for whoever has to look into it;
    /// [`Error::Fenced`]; [`Error::Key`]: without a signature nothing is removed.
    pub fn prune(&self, drive: &Drive, pruner: Pruner) -> Result<Tombstone, Error> {
        let (run, fence) = (drive.run(), drive.fence());
        let lines = self.lines(run)?;
        let damaged = |why: &str| Error::Damaged { run, seq: 0, why: why.to_owned() };
        let first = lines.first().ok_or_else(|| damaged("it is missing"))?;
        let event = self.read(|db| read::parse(run, first, &|digest| read::blob(db, digest)))?;
        let Body::RunStarted(started) = event.body else { return Err(damaged("it is not its start")) };
        let row = self.run(run)?;
        let Some(ended_at) = row.ended_at else { return Err(Error::NotEnded { run }) };
        let tombstone = Tombstone {
            run,
            store: started.store.ok_or_else(|| damaged("it has no place in the store"))?,
            runbook: row.runbook,
            status: row.status.word().to_owned(),
            started_at: row.started_at,
            ended_at,
            events: row.last_seq + 1,
            bytes: lines.iter().map(|line| line.json.len() as u64).sum(),
            start: first.hash,
            head: row.head,
            actor: pruner.actor,
            at: pruner.at,
            reason: pruner.reason,
        };
        let key = self.key()?;
        // To free space is what it is for, so it may use what is kept for a full disk.
        let terms = Terms { reserve: true, ..Terms::DURABLE };
        self.write(run, terms, move |db| {
            lease::extend(db, run, fence)?;
            let head = Head { seq: tombstone.events - 1, hash: tombstone.head };
            let (number, there) = read::row(db, run)?;
            if there != head {
                return Err(Error::Conflict { run, expected: there.seq + 1, found: head.seq + 1 }.into());
            }
            let body = serde_json::to_string(&tombstone).expect("a tombstone is a map with text keys");
            checkpoints::sign(db, &key, run, head, tombstone.at, Some(Hash::of(body.as_bytes())))?;
            db.prepare_cached("INSERT INTO tombstones (number, run, short, body) VALUES (?1, ?2, ?3, ?4)")?
                .execute(params![number, run.uuid(), run.short(), body])?;
            for remove in ["DELETE FROM events WHERE run = ?1", "DELETE FROM runs WHERE number = ?1"] {
                db.prepare_cached(remove)?.execute([number])?;
            }
            for remove in ["DELETE FROM inbox WHERE run = ?1", "DELETE FROM queue WHERE run = ?1"] {
                db.prepare_cached(remove)?.execute([run.uuid()])?;
            }
            lease::release(db, run, fence)?;
            Ok(tombstone.clone())
        })
        .wait()
    }

    /// The tombstone of the pruned run that a person means by a whole short id, `runbook/short`, or a UUID.
    ///
    /// # Errors
    /// What reading met.
    pub fn tombstone(&self, text: &str) -> Result<Option<Tombstone>, Error> {
        let (runbook, id) = match text.trim().rsplit_once('/') {
            Some((runbook, id)) => (Some(runbook), id),
            None => (None, text.trim()),
        };
        let found = self.read(|db| find(db, id))?;
        Ok(found.filter(|tombstone| runbook.is_none_or(|runbook| runbook == tombstone.runbook)))
    }
}

fn find(db: &Connection, id: &str) -> Result<Option<Tombstone>, Failure> {
    let body: Option<String> = db
        .prepare_cached("SELECT body FROM tombstones WHERE short = ?1 OR run = ?2 ORDER BY number DESC LIMIT 1")?
        .query_row([spoken(id), id.to_lowercase()], |row| row.get(0))
        .optional()?;
    Ok(body.as_deref().and_then(Tombstone::parse))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::append::{Append, Journal};
    use crate::journal::lease::Busy;
    use crate::journal::testkit::{actor, append, finished, holder, note, sql, start, store};
    use crate::journal::verify::{verify, verify_against};

    fn pruner() -> Pruner {
        Pruner { actor: actor("ana"), at: "2026-11-02T00:00:00Z".parse().unwrap(), reason: "older than a year".into() }
    }

    fn ended(store: &Store) -> RunId {
        let drive = start(store, "backend-down");
        append(store, &drive, vec![note(1), finished(2)]).unwrap();
        drive.run()
    }

    fn prune(store: &Store, run: RunId) -> Result<Tombstone, Error> {
        store.prune(&store.acquire(run, holder()).unwrap(), pruner())
    }

    #[test]
    fn a_pruned_run_leaves_a_tombstone_and_everything_else_still_verifies() {
        let (_base, store) = store();
        let runs: Vec<RunId> = (0..4).map(|_| ended(&store)).collect();
        let kept: Vec<_> = runs.iter().map(|run| store.checkpoint_of(*run).unwrap().unwrap()).collect();
        let head = store.run(runs[1]).unwrap().head;
        // First, middle and last in the chain of runs.
        for run in [runs[1], runs[0], runs[3]] {
            let tombstone = prune(&store, run).unwrap();
            assert_eq!((tombstone.run, tombstone.events, tombstone.reason.as_str()), (run, 3, "older than a year"));
            let report = verify_against(&store, None, &kept).unwrap();
            assert!(report.is_clean(), "{report:?}");
        }
        let report = verify(&store, None).unwrap();
        assert_eq!((report.runs, report.pruned, report.checkpoints), (1, 3, 7));
        assert!(matches!(store.events(runs[1]), Err(Error::NoRun { .. })));
        let found = store.tombstone(&format!("backend-down/{}", runs[1].short())).unwrap().unwrap();
        assert_eq!((found.run, found.head, found.store.number), (runs[1], head, 2));
        assert_eq!(store.tombstone(&runs[1].uuid()).unwrap().unwrap().run, runs[1]);
        assert_eq!(store.tombstone(&format!("other/{}", runs[1].short())).unwrap(), None);
        let next = start(&store, "backend-down");
        assert_eq!(store.run(next.run()).unwrap().number, 5, "no number is used twice");
        assert!(verify(&store, None).unwrap().is_clean());
    }

    #[test]
    fn only_what_has_ended_whole_and_is_nobodys_is_pruned() {
        let (_base, store) = store();
        let going = start(&store, "backend-down");
        assert!(matches!(store.prune(&going, pruner()), Err(Error::NotEnded { .. })));
        assert!(matches!(store.acquire(going.run(), holder()), Err(Busy::Held { .. })), "a driven run can't be taken");

        let run = ended(&store);
        let lost = store.acquire(run, holder()).unwrap();
        sql(&store).execute("UPDATE leases SET fence = fence + 1", []).unwrap();
        assert!(matches!(store.prune(&lost, pruner()), Err(Error::Fenced { .. })));
        sql(&store).execute("DELETE FROM leases", []).unwrap();
        drop(lost);

        sql(&store).execute("UPDATE events SET body = '{}' WHERE run = 2 AND seq = 1", []).unwrap();
        assert!(matches!(prune(&store, run), Err(Error::Damaged { .. })));
        assert_eq!(store.run(run).unwrap().last_seq, 2, "it is there");
    }

    #[test]
    fn a_run_that_was_reopened_has_not_ended() {
        use crate::engine::event::Body;
        let (_base, store) = store();
        let run = ended(&store);
        let drive = store.acquire(run, holder()).unwrap();
        let resumed = Body::RunResumed { actor: actor("ben"), fence: 2, reason: None };
        let event = crate::journal::testkit::event(3, resumed);
        store.append(Append::events(run, drive.fence(), vec![event])).wait().unwrap();
        assert!(matches!(store.prune(&drive, pruner()), Err(Error::NotEnded { .. })));
    }

    #[test]
    fn without_a_key_nothing_is_removed() {
        let (base, store) = store();
        let run = ended(&store);
        std::fs::write(store.dir().join(crate::journal::key::FILE), "damaged").unwrap();
        let again = Store::open(&base.path().join("store")).unwrap();
        assert!(matches!(prune(&again, run), Err(Error::Key { .. })));
        assert_eq!(again.events(run).unwrap().len(), 3);
    }

    #[test]
    fn a_run_that_was_removed_by_hand_is_not_a_pruned_one() {
        let (_base, store) = store();
        let runs: Vec<RunId> = (0..3).map(|_| ended(&store)).collect();
        prune(&store, runs[0]).unwrap();
        let real: String = sql(&store).query_row("SELECT body FROM tombstones", [], |row| row.get(0)).unwrap();
        let row = store.run(runs[1]).unwrap();
        let start = store.lines(runs[1]).unwrap()[0].hash;
        let made_up = Tombstone {
            run: runs[1],
            store: StoreLink { number: 2, prev: Tombstone::parse(&real).unwrap().start.to_string() },
            start,
            head: row.head,
            ..Tombstone::parse(&real).unwrap()
        };
        sql(&store).execute_batch("DELETE FROM events WHERE run = 2; DELETE FROM runs WHERE number = 2").unwrap();
        let says = |store: &Store| verify(store, None).unwrap().store.join("; ");
        assert!(says(&store).contains("run number 2 is missing"), "{}", says(&store));
        sql(&store)
            .execute(
                "INSERT INTO tombstones VALUES (2, ?1, ?2, ?3)",
                params![runs[1].uuid(), runs[1].short(), serde_json::to_string(&made_up).unwrap()],
            )
            .unwrap();
        assert!(says(&store).contains("not signed by this store"), "{}", says(&store));
        sql(&store).execute("UPDATE tombstones SET body = replace(body, 'ana', 'ben') WHERE number = 1", []).unwrap();
        assert!(says(&store).contains("pruned run 1: its tombstone is not signed"), "{}", says(&store));
    }
}
