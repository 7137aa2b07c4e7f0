//! Whether the store is what was signed: its own checkpoints, tombstones of pruned runs, and lines kept elsewhere.
//!
//! The store's own lines are worth as much as its key is secret; a line from outside is worth more, because nobody can
//! take it back, with the key or without.

use rusqlite::{Connection, OptionalExtension, params};

use crate::engine::ids::RunId;
use crate::journal::chain::Hash;
use crate::journal::checkpoint::{Checkpoint, Claim};
use crate::journal::error::{Error, Failure};
use crate::journal::key::PublicKey;
use crate::journal::prune::Tombstone;
use crate::journal::read;
use crate::journal::verify::{Report, note};

/// Checks the chain of all lines, each against its run.
pub(super) fn check_all(db: &Connection, report: &mut Report) -> Result<(), Failure> {
    let mut select = db.prepare("SELECT number, run, events, line FROM checkpoints ORDER BY number")?;
    let mut rows = select.query([])?;
    let mut next = 1;
    let mut after = Some(Checkpoint::origin());
    while let Some(row) = rows.next()? {
        let (number, run, events, line): (u64, String, u64, String) =
            (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
        if number != next {
            note(&mut report.store, format!("signed checkpoint {next} is missing"));
            after = None;
        }
        next = number + 1;
        let before = after.replace(Hash::of(line.as_bytes()));
        let Some(signed) = parsed(number, &line, report) else { continue };
        let claim = &signed.claim;
        if (claim.number, claim.run.uuid(), claim.events) != (number, run, events) {
            note(&mut report.store, format!("the row of signed checkpoint {number} says something else than its line"));
        } else if before.is_some_and(|before| before != claim.after) {
            note(&mut report.store, format!("another line stood before signed checkpoint {number} when it was signed"));
        } else {
            check_line(db, &signed, report)?;
        }
    }
    let unsigned: u64 = db.query_row(
        "SELECT count(*) FROM runs WHERE ended_at IS NOT NULL AND NOT EXISTS
            (SELECT 1 FROM checkpoints WHERE run = runs.id AND events = runs.last_seq + 1)",
        [],
        |row| row.get(0),
    )?;
    if unsigned > 0 {
        report.remarks.push(format!(
            "ended runs without a signed checkpoint: {unsigned}. An older rerail ended them, the store's key could not \
             be used, or somebody removed it; `rerail checkpoint` signs them as they are now"
        ));
    }
    Ok(())
}

/// Checks the lines about one run; their chain goes through all runs and is left out.
pub(super) fn check_run(db: &Connection, run: RunId, report: &mut Report) -> Result<(), Failure> {
    let mut select = db.prepare_cached("SELECT number, line FROM checkpoints WHERE run = ?1 ORDER BY number")?;
    let mut rows = select.query([run.uuid()])?;
    while let Some(row) = rows.next()? {
        let (number, line): (u64, String) = (row.get(0)?, row.get(1)?);
        if let Some(signed) = parsed(number, &line, report) {
            check_line(db, &signed, report)?;
        }
    }
    Ok(())
}

fn parsed(number: u64, line: &str, report: &mut Report) -> Option<Checkpoint> {
    match line.parse() {
        Ok(signed) => Some(signed),
        Err(why) => {
            note(&mut report.store, format!("signed checkpoint {number}: {why}"));
            None
        }
    }
}

fn check_line(db: &Connection, signed: &Checkpoint, report: &mut Report) -> Result<(), Failure> {
    let why = match signature(signed, report.key) {
        Some(why) => Some(why),
        None => against_events(db, &signed.claim)?,
    };
    match why {
        None => report.checkpoints += 1,
        Some(why) => note(&mut report.store, format!("signed checkpoint {}: {why}", signed.claim.number)),
    }
    Ok(())
}

/// Holds a line that was kept elsewhere against the store; gives what is wrong.
pub(super) fn held_against(db: &Connection, kept: &Checkpoint, key: Option<PublicKey>) -> Result<Vec<String>, Failure> {
    let claim = &kept.claim;
    if let Some(why) = signature(kept, key) {
        return Ok(vec![why]);
    }
    let mut wrong = Vec::new();
    let stored: Option<String> = db
        .prepare_cached("SELECT line FROM checkpoints WHERE number = ?1")?
        .query_row([claim.number], |row| row.get(0))
        .optional()?;
    match stored {
        Some(line) if line == kept.to_string() => {}
        Some(_) => wrong.push("another line stands in its place: the journal was rewritten".to_owned()),
        None => {
            let last: u64 = db.query_row("SELECT coalesce(max(number), 0) FROM checkpoints", [], |row| row.get(0))?;
            wrong.push(match last {
                0 => "the journal has no checkpoint at all: it was rewritten, or is another one".to_owned(),
                last => format!("the journal's last checkpoint is {last}: it was cut, or an older copy was put back"),
            });
        }
    }
    wrong.extend(against_events(db, claim)?);
    Ok(wrong)
}

/// What is wrong with the signature itself.
fn signature(signed: &Checkpoint, key: Option<PublicKey>) -> Option<String> {
    if !signed.is_signed() {
        return Some("its signature does not fit: the line is not what was signed".to_owned());
    }
    let ours = key?;
    (signed.claim.store != ours).then(|| {
        format!(
            "it is signed by {}, and this store's key is {ours}: another store's line, or the key was replaced",
            signed.claim.store
        )
    })
}

/// What a claim says about a run, against what is there.
fn against_events(db: &Connection, claim: &Claim) -> Result<Option<String>, Failure> {
    let Claim { run, events, head, at, gone, .. } = claim;
    let (number, end) = match read::row(db, *run) {
        Ok(row) => row,
        Err(Failure::Refusal(Error::NoRun { .. })) => return against_tombstone(db, claim),
        Err(Failure::Refusal(Error::Damaged { why, .. })) => return Ok(Some(format!("run {run}: {why}"))),
        Err(failure) => return Err(failure),
    };
    if gone.is_some() {
        return Ok(Some(format!("run {run} was pruned at {at}, and is there")));
    }
    if end.seq + 1 < *events {
        let left = end.seq + 1;
        return Ok(Some(format!("run {run} had {events} events at {at}, and {left} are left: its end was cut off")));
    }
    let stored: Option<Vec<u8>> = db
        .prepare_cached("SELECT hash FROM events WHERE run = ?1 AND seq = ?2")?
        .query_row(params![number, events - 1], |row| row.get(0))
        .optional()?;
    Ok(match stored.as_deref().and_then(Hash::from_bytes) {
        Some(found) if found == *head => None,
        Some(_) => Some(format!("run {run} was rewritten after {at}: event {} has another hash", events - 1)),
        None => Some(format!("run {run} had event {} at {at}, and it is missing", events - 1)),
    })
}

/// A run that isn't there any more must have left a tombstone.
fn against_tombstone(db: &Connection, claim: &Claim) -> Result<Option<String>, Failure> {
    let Claim { run, events, at, gone, .. } = claim;
    let body: Option<String> = db
        .prepare_cached("SELECT body FROM tombstones WHERE run = ?1")?
        .query_row([run.uuid()], |row| row.get(0))
        .optional()?;
    let Some(body) = body else {
        return Ok(Some(format!("run {run} had {events} events at {at}, and is gone without a tombstone")));
    };
    let same = gone.is_none_or(|gone| gone == Hash::of(body.as_bytes()));
    let fits = Tombstone::parse(&body).is_some_and(|tombstone| tombstone.events >= *events);
    Ok((!same || !fits).then(|| format!("the tombstone of run {run} is not what was signed")))
}

/// Whether a tombstone is what was signed when its run was pruned.
pub(super) fn check_tombstone(
    db: &Connection,
    number: u64,
    body: &str,
    key: Option<PublicKey>,
) -> Result<Result<Tombstone, String>, Failure> {
    let Some(tombstone) = Tombstone::parse(body).filter(|tombstone| tombstone.store.number == number) else {
        return Ok(Err("its tombstone can't be read".to_owned()));
    };
    let mut select = db.prepare_cached("SELECT line FROM checkpoints WHERE run = ?1 ORDER BY number DESC LIMIT 1")?;
    let line: Option<String> = select.query_row([tombstone.run.uuid()], |row| row.get(0)).optional()?;
    let signed = line.and_then(|line| line.parse::<Checkpoint>().ok());
    let fits = signed.is_some_and(|signed| {
        let Claim { events, head, gone, .. } = &signed.claim;
        signature(&signed, key).is_none()
            && *gone == Some(Hash::of(body.as_bytes()))
            && (*events, *head) == (tombstone.events, tombstone.head)
    });
    Ok(if fits { Ok(tombstone) } else { Err("its tombstone is not signed by this store".to_owned()) })
}
