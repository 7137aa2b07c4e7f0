//! Checks a whole store, or one run: events, rows, texts, and in `signed.rs` the signed checkpoints. What a clean
//! report means and what it doesn't is said by `words.rs`.
//!
//! Reads everything, changes nothing, and goes on after damage: one bad run must not hide the next.

mod signed;
mod words;

use jiff::Timestamp;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension};

use crate::engine::event::{Body, RunStarted, StoreLink};
use crate::engine::ids::RunId;
use crate::journal::chain::{self, Hash, Head};
use crate::journal::checkpoint::Checkpoint;
use crate::journal::error::{Error, Failure};
use crate::journal::key::{PublicKey, StoreKey};
use crate::journal::prune::Tombstone;
use crate::journal::read;
use crate::journal::store::Store;
use crate::journal::wal::{self, Found};

/// Damage listed for each run and for the store: beyond it more lines help nobody.
const DAMAGE_MAX: usize = 100;

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub runs: u64,
    pub events: u64,
    pub blobs: u64,
    /// Runs with damage, oldest first; these are refused, all others stay usable.
    pub damaged: Vec<RunDamage>,
    /// Damage that is no single run's.
    pub store: Vec<String>,
    /// What looks odd and isn't damage.
    pub remarks: Vec<String>,
    /// The end of the chain of runs, to be kept elsewhere and compared later.
    pub head: StoreLink,
    /// Last event and its hash of the run that was asked for.
    pub run_head: Option<(u64, Hash)>,
    /// The run that was asked for, if not everything.
    pub run: Option<RunId>,
    /// Signed checkpoints of the store that were checked.
    pub checkpoints: u64,
    /// Runs that were pruned and left a tombstone.
    pub pruned: u64,
    /// The key all of that should be signed with, if it can be read.
    pub key: Option<PublicKey>,
    /// Checkpoints that came from outside, in their order.
    pub kept: Vec<Kept>,
}

/// A checkpoint that was kept elsewhere, held against the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    pub checkpoint: Checkpoint,
    /// Why the store isn't what was signed; empty if it is.
    pub why: Vec<String>,
}

/// The head of a store nothing was started in.
const NO_RUNS: StoreLink = StoreLink { number: 0, prev: String::new() };

impl Report {
    /// Nothing checked yet.
    fn new(store: Vec<String>, head: StoreLink) -> Report {
        let (damaged, remarks, kept) = (Vec::new(), Vec::new(), Vec::new());
        Report {
            runs: 0,
            events: 0,
            blobs: 0,
            damaged,
            store,
            remarks,
            head,
            run_head: None,
            run: None,
            checkpoints: 0,
            pruned: 0,
            key: None,
            kept,
        }
    }

    /// Whether nothing was found.
    pub fn is_clean(&self) -> bool {
        self.damaged.is_empty() && self.store.is_empty() && self.kept.iter().all(|kept| kept.why.is_empty())
    }
}

/// What is wrong with a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunDamage {
    pub number: u64,
    /// Its UUID as stored.
    pub run: String,
    pub why: Vec<String>,
}

/// Checks one run, or everything there is.
///
/// # Errors
/// [`Error::NoRun`] for a run that isn't there; [`Error::DamagedFile`] if the file can't be read at all. Damage that
/// leaves the rest readable is in the report.
pub fn verify(store: &Store, run: Option<RunId>) -> Result<Report, Error> {
    verify_against(store, run, &[])
}

/// Checks one run, or everything there is, and holds it against checkpoints that were kept elsewhere.
///
/// # Errors
/// As [`verify`].
pub fn verify_against(store: &Store, run: Option<RunId>, kept: &[Checkpoint]) -> Result<Report, Error> {
    // First: SQLite takes a damaged log for a short one, and then nothing below misses what it hides.
    let log = wal::examine(store.file())?;
    let key = StoreKey::existing(store.dir());
    let public = key.as_ref().ok().and_then(Option::as_ref).map(StoreKey::public);
    let read = store.read(|db| {
        let mut report = match run {
            Some(run) => verify_run(db, run, public)?,
            None => verify_store(db, public)?,
        };
        for checkpoint in kept {
            let why = signed::held_against(db, checkpoint, public)?;
            report.kept.push(Kept { checkpoint: checkpoint.clone(), why });
        }
        if let Err(error) = &key {
            report.remarks.push(format!("signatures can't be held against the store's own key: {error}"));
        }
        Ok(report)
    });
    let damage = match log {
        Found::Whole => return read,
        Found::Unfinished(end) => {
            let mut report = read?;
            report.remarks.push(end.to_string());
            return Ok(report);
        }
        Found::Damaged(damage) => damage,
    };
    let mut report = match read {
        Ok(report) => report,
        Err(error) => Report::new(vec![error.to_string()], NO_RUNS),
    };
    report.store.insert(0, damage.to_string());
    Ok(report)
}

fn verify_run(db: &Connection, run: RunId, key: Option<PublicKey>) -> Result<Report, Failure> {
    let (number, end) = match read::row(db, run) {
        Ok(row) => row,
        Err(Failure::Refusal(Error::Damaged { seq, why, .. })) => {
            let mut report = empty(db, key)?;
            report.damaged.push(RunDamage { number: 0, run: run.uuid(), why: vec![format!("event {seq}: {why}")] });
            return Ok(report);
        }
        Err(failure) => return Err(failure),
    };
    let mut report = empty(db, key)?;
    report.run = Some(run);
    report.run_head = Some((end.seq, end.hash));
    let mut why = Vec::new();
    if let Some(started) = check_run(db, number, &run.uuid(), &mut report.events, &mut why)? {
        report.blobs = check_pinned(db, &started, &mut why)?;
    }
    report.runs = 1;
    if !why.is_empty() {
        report.damaged.push(RunDamage { number, run: run.uuid(), why });
    }
    signed::check_run(db, run, &mut report)?;
    Ok(report)
}

fn verify_store(db: &Connection, key: Option<PublicKey>) -> Result<Report, Failure> {
    let mut report = empty(db, key)?;
    check_structure(db, &mut report.store);

    let mut select = db.prepare("SELECT number, id FROM runs ORDER BY number")?;
    let mut rows = select.query([])?;
    let mut next = 1;
    let mut prev = String::new();
    while let Some(row) = rows.next()? {
        let (number, id): (u64, String) = match (row.get(0), row.get(1)) {
            (Ok(number), Ok(id)) => (number, id),
            _ => {
                note(&mut report.store, "a row of the list of runs can't be read".to_owned());
                continue;
            }
        };
        bridge(db, &mut report, next, number, &mut prev)?;
        let mut why = Vec::new();
        if let Some(started) = check_run(db, number, &id, &mut report.events, &mut why)? {
            check_link(number, &started.body, &prev, &mut why);
            check_pinned(db, &started, &mut why)?;
            prev = started.hash.to_string();
        } else {
            prev.clear();
        }
        report.runs += 1;
        if !why.is_empty() {
            report.damaged.push(RunDamage { number, run: id, why });
        }
        next = number + 1;
    }
    if next <= report.head.number {
        let end = report.head.number + 1;
        bridge(db, &mut report, next, end, &mut prev)?;
        next = end;
    }
    if next == report.head.number + 1 && !prev.is_empty() && report.head.prev != prev {
        note(&mut report.store, "the newest run is not the one that was started last".to_owned());
    } else if next > report.head.number + 1 {
        note(&mut report.store, format!("it has {} runs, but {} were started", next - 1, report.head.number));
    }

    let strays: u64 =
        db.query_row("SELECT count(*) FROM events WHERE run NOT IN (SELECT number FROM runs)", [], |row| row.get(0))?;
    if strays > 0 {
        note(&mut report.store, format!("{strays} events belong to no run"));
    }
    check_counts(db, &mut report.store)?;
    check_blobs(db, &mut report)?;
    signed::check_all(db, &mut report)?;
    Ok(report)
}

/// Walks over the numbers from `next` to before `number`, which have no run: each needs a tombstone. `prev` becomes
/// the link of the last of them, or nothing if that isn't known.
fn bridge(db: &Connection, report: &mut Report, next: u64, number: u64, prev: &mut String) -> Result<(), Failure> {
    if next >= number {
        return Ok(());
    }
    let mut next = next;
    let mut select =
        db.prepare_cached("SELECT number, body FROM tombstones WHERE number >= ?1 AND number < ?2 ORDER BY number")?;
    let mut rows = select.query([next, number])?;
    while let Some(row) = rows.next()? {
        let (at, body): (u64, String) = (row.get(0)?, row.get(1)?);
        if at > next {
            note(&mut report.store, missing(next, at - 1));
            prev.clear();
        }
        match signed::check_tombstone(db, at, &body, report.key)? {
            Ok(Tombstone { store, .. }) if !prev.is_empty() && store.prev != *prev => {
                note(&mut report.store, format!("another run stood before pruned run {at} when it started"));
            }
            Ok(_) => report.pruned += 1,
            Err(why) => note(&mut report.store, format!("pruned run {at}: {why}")),
        }
        *prev = Tombstone::parse(&body).map(|tombstone| tombstone.start.to_string()).unwrap_or_default();
        next = at + 1;
    }
    if next < number {
        note(&mut report.store, missing(next, number - 1));
        prev.clear();
    }
    Ok(())
}

fn empty(db: &Connection, key: Option<PublicKey>) -> Result<Report, Failure> {
    let newest = db
        .query_row("SELECT number, hash FROM newest WHERE one = 1", [], |row| {
            Ok(StoreLink { number: row.get(0)?, prev: row.get(1)? })
        })
        .optional()?;
    let mut store = Vec::new();
    let head = newest.unwrap_or_else(|| {
        store.push("the row of the newest run is missing".to_owned());
        NO_RUNS
    });
    let mut report = Report::new(store, head);
    report.key = key;
    Ok(report)
}

fn note(list: &mut Vec<String>, why: String) {
    if list.len() < DAMAGE_MAX {
        list.push(why);
    }
}

fn missing(first: u64, last: u64) -> String {
    if first == last { format!("run number {first} is missing") } else { format!("runs {first} to {last} are missing") }
}

/// SQLite's own check: pages, order of keys, indexes. It doesn't see changed contents; the chains do.
fn check_structure(db: &Connection, list: &mut Vec<String>) {
    let check = || -> rusqlite::Result<Vec<String>> {
        let mut check = db.prepare(&format!("PRAGMA integrity_check({DAMAGE_MAX})"))?;
        let lines = check.query_map([], |row| row.get(0))?;
        lines.collect()
    };
    match check() {
        Ok(lines) => lines.into_iter().filter(|line| line != "ok").for_each(|line| note(list, line)),
        Err(error) => note(list, format!("the structure of the file can't be checked: {error}")),
    }
}

/// The start of a run, as its first event tells it.
struct Start {
    at: Timestamp,
    body: RunStarted,
    hash: Hash,
}

/// Walks a run's chain and compares its row. Gives its start if that is readable.
fn check_run(
    db: &Connection,
    number: u64,
    id: &str,
    events: &mut u64,
    why: &mut Vec<String>,
) -> Result<Option<Start>, Failure> {
    let Ok(run) = id.parse::<RunId>() else {
        note(why, format!("its row names it `{id}`, which is no id"));
        return Ok(None);
    };
    let mut started = None;
    let mut head: Option<Head> = None;
    let mut select = db.prepare_cached("SELECT seq, body, hash FROM events WHERE run = ?1 ORDER BY seq")?;
    let mut rows = select.query([number])?;
    while let Some(row) = rows.next()? {
        let (seq, body, hash) = (row.get_ref(0)?, row.get_ref(1)?, row.get_ref(2)?);
        let line = match read::check(run, head, seq, body, hash) {
            Ok(line) => line,
            Err(failure) => {
                note(why, sentence(failure));
                // What follows is checked against what stands here, so that one change is told once.
                match resume_at(seq, hash) {
                    Some(here) => head = Some(here),
                    None => return Ok(started),
                }
                continue;
            }
        };
        *events += 1;
        head = Some(Head { seq: line.seq, hash: line.hash });
        match read::parse(run, &line, &|digest| read::blob(db, digest)) {
            Ok(event) => {
                if let (0, Body::RunStarted(body)) = (line.seq, event.body) {
                    started = Some(Start { at: event.ts, body: *body, hash: line.hash });
                }
            }
            Err(failure) => note(why, sentence(failure)),
        }
    }
    match read::row(db, run) {
        Ok((_, end)) => match head {
            None => note(why, format!("all its {} events are missing", end.seq + 1)),
            Some(head) if head.seq != end.seq => {
                note(why, format!("it ends at event {}, but event {} was written", head.seq, end.seq));
            }
            Some(head) if head.hash != end.hash => note(why, "its row holds the hash of another last event".to_owned()),
            Some(_) => {}
        },
        Err(failure) => note(why, sentence(failure)),
    }
    match &started {
        Some(started) => check_row(db, number, run, started, why)?,
        None if why.is_empty() => note(why, "its first event is not its start".to_owned()),
        None => {}
    }
    Ok(started)
}

fn resume_at(seq: ValueRef<'_>, hash: ValueRef<'_>) -> Option<Head> {
    let seq = seq.as_i64().ok().and_then(|seq| u64::try_from(seq).ok())?;
    let hash = hash.as_blob().ok().and_then(Hash::from_bytes)?;
    Some(Head { seq, hash })
}

/// A list must not tell another story than the events.
fn check_row(db: &Connection, number: u64, run: RunId, start: &Start, why: &mut Vec<String>) -> Result<(), Failure> {
    let started = &start.body;
    let same: bool = db
        .prepare_cached(
            "SELECT id = ?2 AND short = ?3 AND runbook = ?4 AND title = ?5 AND target IS ?6 AND actor = ?7 AND via = ?8
                AND incident IS ?9 AND started_at = ?10 AND group_name IS ?11 FROM runs WHERE number = ?1",
        )?
        .query_row(
            rusqlite::params![
                number,
                run.uuid(),
                run.short(),
                started.runbook,
                started.title,
                started.target,
                started.actor.id,
                started.actor.via,
                started.incident,
                start.at.as_millisecond(),
                started.group,
            ],
            |row| row.get(0),
        )?;
    if !same {
        note(why, "its row in the list says something else than its first event".to_owned());
    }
    if started.run != run {
        note(why, format!("its first event is that of run {}", started.run));
    }
    Ok(())
}

/// The run's place in the chain of runs. Behind a gap (`prev` is empty) only its number can be checked.
fn check_link(number: u64, started: &RunStarted, prev: &str, why: &mut Vec<String>) {
    match &started.store {
        None => note(why, "its first event has no place in the store".to_owned()),
        Some(link) if link.number != number => {
            note(why, format!("it was run number {} when it started, and stands at {number}", link.number));
        }
        Some(link) if !prev.is_empty() && link.prev != prev => {
            note(why, format!("another run {} stood before it when it started", number - 1));
        }
        Some(link) if number == 1 && !link.prev.is_empty() => {
            note(why, "it stands first, but another run came before it".to_owned());
        }
        Some(_) => {}
    }
}

/// The texts a run is pinned to. Gives how many were looked at.
fn check_pinned(db: &Connection, start: &Start, why: &mut Vec<String>) -> Result<u64, Failure> {
    for file in &start.body.files {
        match read::blob(db, &file.digest)? {
            None => note(why, format!("the text of `{}` it ran is missing ({})", file.name, file.digest)),
            Some(bytes) if chain::digest(&bytes) != file.digest => {
                note(why, format!("the text of `{}` it ran is not what was stored ({})", file.name, file.digest));
            }
            Some(_) => {}
        }
    }
    Ok(start.body.files.len() as u64)
}

fn check_counts(db: &Connection, list: &mut Vec<String>) -> Result<(), Failure> {
    let wrong: u64 = db.query_row(
        "SELECT count(*) FROM
            (SELECT status, count(*) AS runs FROM runs GROUP BY status) AS real
            FULL JOIN (SELECT status, runs FROM counts WHERE runs <> 0) AS kept USING (status)
         WHERE real.runs IS NOT kept.runs",
        [],
        |row| row.get(0),
    )?;
    if wrong > 0 {
        note(list, format!("the number of runs is wrong for {wrong} statuses"));
    }
    Ok(())
}

fn check_blobs(db: &Connection, report: &mut Report) -> Result<(), Failure> {
    let mut select = db.prepare("SELECT digest, bytes FROM blobs")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        report.blobs += 1;
        let named = row.get_ref(0)?.as_str().unwrap_or("without a name").to_owned();
        match row.get_ref(1)?.as_blob() {
            Ok(bytes) if chain::digest(bytes) == named => {}
            _ => note(&mut report.store, format!("blob {named} is not what was stored")),
        }
    }
    Ok(())
}

fn sentence(failure: Failure) -> String {
    match failure {
        Failure::Refusal(Error::Damaged { seq, why, .. }) => format!("event {seq}: {why}"),
        Failure::Refusal(error) => error.to_string(),
        Failure::Sqlite(error) => error.to_string(),
    }
}

#[cfg(test)]
mod tests;
