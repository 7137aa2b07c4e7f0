//! Groups of runs that exclude each other: which run holds one, and who waits for it.
//!
//! A group is held from before the run's first event until its end, also while the run waits, is paused, in doubt
//! or left by a process that died. The row is confirmed in the transaction of `run.started` and goes in that of
//! `run.finished`. Waiting is first come, first served; one who waits is only as real as their process.

use std::collections::VecDeque;
use std::path::Path;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use crate::engine::event::{Body, Event, Previous};
use crate::engine::ids::RunId;
use crate::journal::error::{Error, Failure};
use crate::journal::lease;
use crate::journal::read;
use crate::journal::store::{Store, Terms, snapshot};
use crate::journal::ticket::Ticket;

/// What came of asking for a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It is ours now.
    Taken,
    /// It was ours already: whoever took it first gives it back.
    Kept,
    Busy(Taker),
}

/// Who has a group, or comes first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taker {
    /// The run that holds it; `None` if it is free and others came first.
    pub run: Option<RunId>,
    /// Since when it is held.
    pub since: Option<Timestamp>,
    /// How many come before us: those who wait longer.
    pub ahead: u64,
    /// If waiting for it would never end: what it waits for, and who has that, until it comes back to us.
    pub circle: Vec<Waiting>,
}

/// A run in the way of ours waits itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    pub run: RunId,
    /// What it stands in line for.
    pub group: String,
}

/// Runs that are looked at for a circle: each costs two reads, and a longer one ends by its limits.
const CIRCLE_MAX: usize = 32;

impl Store {
    /// Takes a group for a run that is driven under `fence`, unless another run holds it or somebody has waited
    /// longer. A run may take a group again and again. With `queue` a run that doesn't get it waits in line from now
    /// on, as long as it asks at least once a [lease](crate::journal::lease::LEASE). Costs no flush: the claim is
    /// made sure by the commit of the run's start, and a claim without one dies with its process.
    ///
    /// # Errors
    /// [`Error::Fenced`]; what writing met.
    pub fn claim(&self, run: RunId, fence: u64, group: &str, queue: bool) -> Ticket<Claim> {
        let (group, dir) = (group.to_owned(), self.dir().to_owned());
        self.write(run, Terms::RELAXED, move |db| {
            lease::extend(db, run, fence)?;
            claim(db, &dir, run, &group, queue)
        })
    }

    /// What [`Store::claim`] would say, without asking for anything: for those who wait.
    ///
    /// # Errors
    /// What reading met.
    pub fn taker(&self, run: RunId, group: &str) -> Result<Option<Taker>, Error> {
        let dir = self.dir().to_owned();
        self.glimpse(|db| snapshot(db, |db| taker(db, &dir, run, group)))
    }

    /// Gives a group back before the run's end, and with it a place in line.
    ///
    /// # Errors
    /// [`Error::Fenced`]; what writing met.
    pub fn release(&self, run: RunId, fence: u64, group: &str) -> Ticket<()> {
        let group = group.to_owned();
        self.write(run, Terms::RELAXED, move |db| {
            lease::extend(db, run, fence)?;
            db.prepare_cached("DELETE FROM groups WHERE name = ?1 AND run = ?2")?
                .execute(params![group, run.uuid()])?;
            leave_line(db, run, &group)
        })
    }

    /// How the run ended last that had this runbook, target and group.
    ///
    /// # Errors
    /// What reading met; a damaged run is an error, because nobody should decide on it.
    pub fn previous(
        &self,
        runbook: &str,
        target: Option<&str>,
        group: Option<&str>,
    ) -> Result<Option<Box<Previous>>, Error> {
        self.glimpse(|db| snapshot(db, |db| previous(db, runbook, target, group)))
    }
}

fn claim(db: &Connection, dir: &Path, run: RunId, group: &str, queue: bool) -> Result<Claim, Failure> {
    let at = Timestamp::now().as_millisecond();
    let held = holder(db, group)?;
    if held.as_ref().is_some_and(|(holder, _)| *holder == run) {
        leave_line(db, run, group)?;
        return Ok(Claim::Kept);
    }
    if let Some(mut busy) = taker(db, dir, run, group)? {
        if let (Some(holder), true) = (busy.run, queue) {
            busy.circle = circle(db, dir, run, holder)?;
        }
        if !busy.circle.is_empty() {
            leave_line(db, run, group)?;
        } else if queue {
            db.prepare_cached(
                "INSERT INTO queue (name, run, at) SELECT ?1, ?2, ?3
                 WHERE NOT EXISTS (SELECT 1 FROM queue WHERE name = ?1 AND run = ?2)",
            )?
            .execute(params![group, run.uuid(), at])?;
        }
        return Ok(Claim::Busy(busy));
    }
    // Free, or left behind by one who never began; those in line before us are gone.
    db.prepare_cached("INSERT OR REPLACE INTO groups (name, run, since) VALUES (?1, ?2, ?3)")?.execute(params![
        group,
        run.uuid(),
        at
    ])?;
    sweep(db, dir, group)?;
    leave_line(db, run, group)?;
    Ok(Claim::Taken)
}

/// Who keeps `run` from having a group; `None` if nobody does.
fn taker(db: &Connection, dir: &Path, run: RunId, group: &str) -> Result<Option<Taker>, Failure> {
    let mut ahead = 0;
    for other in waiting(db, group)?.into_iter().take_while(|other| *other != run) {
        ahead += u64::from(lease::is_awake(db, dir, other)?);
    }
    let held = match holder(db, group)? {
        Some((holder, since)) if holder != run && still_holds(db, dir, holder)? => Some((holder, since)),
        _ => None,
    };
    if held.is_none() && ahead == 0 {
        return Ok(None);
    }
    let (run, since) = held.map_or((None, None), |(run, since)| (Some(run), Some(since)));
    Ok(Some(Taker { run, since, ahead, circle: Vec::new() }))
}

/// The way from `holder` back to `run` over what each of them waits for; empty if there is none. Asked where a claim
/// is refused, in the one writing transaction, so of two that would wait for each other the second one is told.
fn circle(db: &Connection, dir: &Path, run: RunId, holder: RunId) -> Result<Vec<Waiting>, Failure> {
    let mut seen = vec![holder];
    let mut ways: VecDeque<(RunId, Vec<Waiting>)> = VecDeque::from([(holder, Vec::new())]);
    while let Some((waiting, way)) = ways.pop_front() {
        // One whose process is gone waits for nobody.
        if seen.len() > CIRCLE_MAX || !lease::is_awake(db, dir, waiting)? {
            continue;
        }
        let mut select = db.prepare_cached(
            "SELECT queue.name, groups.run FROM queue JOIN groups ON groups.name = queue.name
             WHERE queue.run = ?1 ORDER BY ticket",
        )?;
        let rows =
            select.query_map([waiting.uuid()], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
        for (group, next) in rows.collect::<rusqlite::Result<Vec<_>>>()? {
            let Ok(next) = next.parse::<RunId>() else { continue };
            let mut way = way.clone();
            way.push(Waiting { run: waiting, group });
            if next == run {
                return Ok(way);
            }
            if !seen.contains(&next) {
                seen.push(next);
                ways.push_back((next, way));
            }
        }
    }
    Ok(Vec::new())
}

/// The row of a group, whatever it is worth.
fn holder(db: &Connection, group: &str) -> Result<Option<(RunId, Timestamp)>, Failure> {
    let row: Option<(String, i64)> = db
        .prepare_cached("SELECT run, since FROM groups WHERE name = ?1")?
        .query_row([group], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(row.and_then(|(run, since)| {
        Some((run.parse().ok()?, Timestamp::from_millisecond(since).unwrap_or(Timestamp::UNIX_EPOCH)))
    }))
}

/// An open run holds its group whoever drives it; one that has not begun, or has ended and is being reopened, as
/// long as its process lives.
fn still_holds(db: &Connection, dir: &Path, run: RunId) -> Result<bool, Failure> {
    let open: Option<bool> = db
        .prepare_cached("SELECT ended_at IS NULL FROM runs WHERE id = ?1")?
        .query_row([run.uuid()], |row| row.get(0))
        .optional()?;
    Ok(open == Some(true) || lease::is_awake(db, dir, run)?)
}

/// Those in line for a group, longest first.
fn waiting(db: &Connection, group: &str) -> Result<Vec<RunId>, Failure> {
    let mut select = db.prepare_cached("SELECT run FROM queue WHERE name = ?1 ORDER BY ticket")?;
    let ids = select.query_map([group], |row| row.get::<_, String>(0))?.collect::<rusqlite::Result<Vec<_>>>()?;
    Ok(ids.iter().filter_map(|id| id.parse().ok()).collect())
}

/// Takes those out of the line whose process is gone, with the leases they left.
fn sweep(db: &Connection, dir: &Path, group: &str) -> Result<(), Failure> {
    for run in waiting(db, group)? {
        if !lease::is_awake(db, dir, run)? {
            leave_line(db, run, group)?;
            lease::bury(db, dir, run)?;
        }
    }
    Ok(())
}

fn leave_line(db: &Connection, run: RunId, group: &str) -> Result<(), Failure> {
    db.prepare_cached("DELETE FROM queue WHERE name = ?1 AND run = ?2")?.execute(params![group, run.uuid()])?;
    Ok(())
}

/// Makes sure, in the transaction that begins a run or takes it up, that it holds the group it says: one whose
/// process was stalled between claim and start may have lost it, and one that had ended has given it back.
pub(super) fn confirm(db: &Connection, number: u64, run: RunId) -> Result<(), Failure> {
    let (own, since): (Option<String>, i64) = db
        .prepare_cached("SELECT group_name, started_at FROM runs WHERE number = ?1")?
        .query_row([number], |row| Ok((row.get(0)?, row.get(1)?)))?;
    for group in own.into_iter().chain(claimed(db, number)?) {
        match holder(db, &group)? {
            Some((holder, _)) if holder == run => {}
            Some((holder, _)) => return Err(Error::GroupTaken { group, run: holder }.into()),
            None => {
                db.prepare_cached("INSERT INTO groups (name, run, since) VALUES (?1, ?2, ?3)")?.execute(params![
                    group,
                    run.uuid(),
                    since
                ])?;
            }
        }
    }
    Ok(())
}

/// The groups a run has claimed for runbooks it calls.
fn claimed(db: &Connection, number: u64) -> Result<Vec<String>, Failure> {
    // The text is looked through first: it costs much less than reading every line as JSON.
    let mut select = db.prepare_cached(
        "SELECT DISTINCT body ->> '$.group' FROM events
         WHERE run = ?1 AND body LIKE '%\"concurrency.claimed\"%' AND body ->> '$.type' = 'concurrency.claimed'",
    )?;
    Ok(select.query_map([number], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?)
}

/// Gives back whatever an ended run holds.
pub(super) fn release_all(db: &Connection, run: RunId) -> Result<(), Failure> {
    db.prepare_cached("DELETE FROM groups WHERE run = ?1")?.execute([run.uuid()])?;
    Ok(())
}

fn previous(
    db: &Connection,
    runbook: &str,
    target: Option<&str>,
    group: Option<&str>,
) -> Result<Option<Box<Previous>>, Failure> {
    let found: Option<(u64, String)> = db
        .prepare_cached(
            "SELECT number, id FROM runs
             WHERE runbook = ?1 AND target IS ?2 AND group_name IS ?3 AND ended_at IS NOT NULL
             ORDER BY ended_at DESC, number DESC LIMIT 1",
        )?
        .query_row(params![runbook, target, group], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((number, id)) = found else { return Ok(None) };
    let Ok(run) = id.parse::<RunId>() else { return Ok(None) };
    // Behind the end stand at most notes, so this looks at a few lines from the back.
    let end: Option<u64> = db
        .prepare_cached(
            "SELECT seq FROM events WHERE run = ?1 AND body ->> '$.type' = 'run.finished' ORDER BY seq DESC LIMIT 1",
        )?
        .query_row([number], |row| row.get(0))
        .optional()?;
    let Some(end) = end else { return Ok(None) };
    let first = read::load_from(db, run, end)?.into_iter().next();
    Ok(first.and_then(|event| previous_of(run, event)).map(Box::new))
}

fn previous_of(run: RunId, event: Event) -> Option<Previous> {
    let Body::RunFinished { outcome, outputs, .. } = event.body else { return None };
    Some(Previous { run, outcome, outputs, ended_at: event.ts })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::event::RunStarted;
    use crate::journal::append::Journal;
    use crate::journal::lease::Drive;
    use crate::journal::testkit::{append, event, finished, holder, new_run, note, sql, started, store};
    use crate::script::value::{Map, Value};

    /// A process that is about to start a run.
    fn newcomer(store: &Store) -> Drive {
        store.acquire(new_run(), holder()).unwrap()
    }

    fn claim(store: &Store, drive: &Drive, queue: bool) -> Claim {
        store.claim(drive.run(), drive.fence(), "db", queue).wait().unwrap()
    }

    fn busy(run: Option<&Drive>, ahead: u64) -> (Option<RunId>, u64) {
        (run.map(Drive::run), ahead)
    }

    fn is_busy(claim: Claim) -> (Option<RunId>, u64) {
        match claim {
            Claim::Busy(taker) => (taker.run, taker.ahead),
            other => panic!("{other:?}"),
        }
    }

    fn begin(store: &Store, drive: &Drive, group: Option<&str>) -> Result<(), Error> {
        let mut first = started(drive.run(), "backend-down");
        let Body::RunStarted(body) = &mut first.body else { panic!() };
        **body = RunStarted { group: group.map(str::to_owned), ..(**body).clone() };
        append(store, drive, vec![first]).map(drop)
    }

    fn rows(store: &Store, table: &str) -> u64 {
        sql(store).query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
    }

    fn silence(store: &Store, drive: &Drive) {
        sql(store).execute("UPDATE leases SET expires = 0 WHERE run = ?1", [drive.run().uuid()]).unwrap();
    }

    #[test]
    fn a_run_that_is_taken_up_holds_again_what_it_had_claimed_for_runbooks_it_called() {
        let (_base, store) = store();
        let first = newcomer(&store);
        begin(&store, &first, None).unwrap();
        assert_eq!(claim(&store, &first, false), Claim::Taken);
        let claimed = Body::ConcurrencyClaimed { step: "x".into(), group: "db".to_owned() };
        append(&store, &first, vec![event(1, claimed), finished(2)]).unwrap();
        assert_eq!(rows(&store, "groups"), 0, "its end gives it back");
        let actor = crate::engine::event::Actor::new("ana", "test");
        let resumed = |seq| event(seq, Body::RunResumed { actor: actor.clone(), reason: None, fence: 1 });
        let run = first.run();
        drop(first);
        let again = store.acquire(run, holder()).unwrap();
        append(&store, &again, vec![resumed(3)]).unwrap();
        assert_eq!(rows(&store, "groups"), 1);
        let other = newcomer(&store);
        sql(&store).execute("UPDATE groups SET run = ?1", [other.run().uuid()]).unwrap();
        assert!(matches!(append(&store, &again, vec![resumed(4)]), Err(Error::GroupTaken { .. })));
    }

    #[test]
    fn an_open_run_holds_its_group_whoever_drives_it_and_an_ended_one_never() {
        let (_base, store) = store();
        let first = newcomer(&store);
        let run = first.run();
        assert_eq!(claim(&store, &first, false), Claim::Taken);
        begin(&store, &first, Some("db")).unwrap();
        assert_eq!(claim(&store, &first, false), Claim::Kept, "a run may take its group again");
        let second = newcomer(&store);
        assert_eq!(is_busy(claim(&store, &second, false)), busy(Some(&first), 0));
        // Its process dies: nobody drives it, and still it may have changed half of what it wanted to.
        drop(first);
        assert_eq!(is_busy(claim(&store, &second, false)).0, Some(run));
        let first = store.acquire(run, holder()).unwrap();
        append(&store, &first, vec![finished(1)]).unwrap();
        assert_eq!(claim(&store, &second, false), Claim::Taken);
        assert_eq!(rows(&store, "groups"), 1);
    }

    #[test]
    fn a_claim_without_a_start_dies_with_its_process() {
        let (_base, store) = store();
        let first = newcomer(&store);
        claim(&store, &first, false);
        let second = newcomer(&store);
        assert_eq!(is_busy(claim(&store, &second, false)), busy(Some(&first), 0));
        drop(first);
        assert_eq!(claim(&store, &second, false), Claim::Taken);
    }

    #[test]
    fn one_that_was_stalled_between_claim_and_start_does_not_begin_beside_another() {
        let (_base, store) = store();
        let (stalled, other) = (newcomer(&store), newcomer(&store));
        claim(&store, &stalled, false);
        silence(&store, &stalled);
        assert_eq!(claim(&store, &other, false), Claim::Taken);
        match begin(&store, &stalled, Some("db")) {
            Err(Error::GroupTaken { group, run }) => assert_eq!((group.as_str(), run), ("db", other.run())),
            result => panic!("{result:?}"),
        }
        assert!(matches!(store.load(stalled.run()), Err(Error::NoRun { .. })), "all or nothing");
        begin(&store, &other, Some("db")).unwrap();
    }

    #[test]
    fn an_ended_run_that_is_opened_again_needs_its_group_again() {
        let (_base, store) = store();
        let first = newcomer(&store);
        claim(&store, &first, false);
        begin(&store, &first, Some("db")).unwrap();
        append(&store, &first, vec![finished(1)]).unwrap();
        let run = first.run();
        drop(first);
        let second = newcomer(&store);
        claim(&store, &second, false);
        begin(&store, &second, Some("db")).unwrap();

        let first = store.acquire(run, holder()).unwrap();
        let resumed =
            |seq| event(seq, Body::RunResumed { actor: crate::journal::testkit::actor("ana"), reason: None, fence: 2 });
        assert!(matches!(append(&store, &first, vec![resumed(2)]), Err(Error::GroupTaken { .. })));
        append(&store, &first, vec![note(2)]).unwrap();
        append(&store, &second, vec![finished(1)]).unwrap();
        append(&store, &first, vec![resumed(3)]).unwrap();
        let third = newcomer(&store);
        assert_eq!(is_busy(claim(&store, &third, false)).0, None.or(Some(run)), "its process holds it again");
    }

    #[test]
    fn those_who_wait_come_in_their_order_and_nobody_jumps_the_line() {
        let (_base, store) = store();
        let holding = newcomer(&store);
        claim(&store, &holding, false);
        begin(&store, &holding, Some("db")).unwrap();
        let (first, second, hasty) = (newcomer(&store), newcomer(&store), newcomer(&store));
        assert_eq!(is_busy(claim(&store, &first, true)), busy(Some(&holding), 0));
        assert_eq!(is_busy(claim(&store, &second, true)), busy(Some(&holding), 1));
        assert_eq!(is_busy(claim(&store, &first, true)), busy(Some(&holding), 0), "asking again moves nobody");
        append(&store, &holding, vec![finished(1)]).unwrap();
        assert_eq!(is_busy(claim(&store, &hasty, false)), busy(None, 2));
        assert_eq!(is_busy(claim(&store, &second, true)), busy(None, 1));
        assert_eq!(store.taker(first.run(), "db").unwrap(), None);
        assert_eq!(claim(&store, &first, true), Claim::Taken);
        assert_eq!(rows(&store, "queue"), 1);
        // Walks away without a trace.
        store.release(second.run(), second.fence(), "db").wait().unwrap();
        assert_eq!(rows(&store, "queue"), 0);
    }

    #[test]
    fn one_who_waits_and_dies_or_falls_silent_keeps_nobody_waiting() {
        let (_base, store) = store();
        let holding = newcomer(&store);
        claim(&store, &holding, false);
        let (dead, silent, last) = (newcomer(&store), newcomer(&store), newcomer(&store));
        for waiting in [&dead, &silent, &last] {
            claim(&store, waiting, true);
        }
        // As after a kill: the kernel has dropped the lock, and nobody has cleared the row.
        let run = dead.run();
        drop(dead);
        store.release(holding.run(), holding.fence(), "db").wait().unwrap();
        sql(&store)
            .execute("INSERT INTO leases SELECT ?1, 1, holder, 1, max(expires) FROM leases", [run.uuid()])
            .unwrap();
        silence(&store, &silent);
        assert_eq!(claim(&store, &last, true), Claim::Taken);
        assert_eq!(rows(&store, "queue"), 0);
        // The silent one wakes up and stands in line anew.
        assert_eq!(is_busy(claim(&store, &silent, true)), busy(Some(&last), 0));
    }

    #[test]
    fn groups_of_other_names_do_not_meet() {
        let (_base, store) = store();
        let (a, b) = (newcomer(&store), newcomer(&store));
        assert_eq!(store.claim(a.run(), a.fence(), "db", false).wait().unwrap(), Claim::Taken);
        assert_eq!(store.claim(b.run(), b.fence(), "cache", false).wait().unwrap(), Claim::Taken);
        assert_eq!(store.claim(b.run(), b.fence(), "Db", false).wait().unwrap(), Claim::Taken);
        assert!(matches!(store.claim(a.run(), a.fence() + 1, "x", false).wait(), Err(Error::Fenced { .. })));
    }

    #[test]
    fn the_run_before_is_the_last_ended_one_of_its_kind() {
        let (_base, store) = store();
        let ends = |group: Option<&str>, ended: &str, outputs: i64| {
            let drive = newcomer(&store);
            begin(&store, &drive, group).unwrap();
            let mut end = finished(1);
            end.ts = ended.parse().unwrap();
            if let Body::RunFinished { outputs: map, .. } = &mut end.body {
                map.insert("n".into(), Value::Int(outputs));
            }
            append(&store, &drive, vec![end, note(2)]).unwrap();
            drive.run()
        };
        let target = Some("production");
        assert_eq!(store.previous("backend-down", target, None).unwrap(), None);
        let early = ends(None, "2026-11-01T12:00:00Z", 1);
        ends(None, "2026-11-01T11:00:00Z", 2);
        let grouped = ends(Some("db"), "2026-11-01T13:00:00Z", 3);
        let open = newcomer(&store);
        begin(&store, &open, None).unwrap();

        let found = store.previous("backend-down", target, None).unwrap().unwrap();
        assert_eq!((found.run, &found.outputs), (early, &Map::from([("n".to_owned(), Value::Int(1))])));
        assert_eq!(found.ended_at, "2026-11-01T12:00:00Z".parse().unwrap());
        assert_eq!(store.previous("backend-down", target, Some("db")).unwrap().unwrap().run, grouped);
        for (runbook, target, group) in
            [("other", target, None), ("backend-down", None, None), ("backend-down", target, Some("cache"))]
        {
            assert_eq!(store.previous(runbook, target, group).unwrap(), None);
        }
    }
}
