//! P11: the newest 50 of a million runs, by any filter, in process.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use rerail::journal::{Filter, Status, Store};
use rusqlite::Connection;

use crate::measure::{Row, median, timed};

const RUNS: u32 = 1_000_000;
const ROUNDS: usize = 101;
/// When the first began, in milliseconds since 1970, and how long after it the next.
const FIRST_MS: i64 = 1_760_000_000_000;
const EVERY_MS: i64 = 3_000;

pub fn rows() -> Vec<Row> {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    drop(Store::open(&state).unwrap());
    fill(&state, RUNS);
    let store = Store::open(&state).unwrap();
    let fifty = || Filter { limit: Some(50), ..Filter::default() };
    let at = |run: i64| Some(Timestamp::from_millisecond(FIRST_MS + run * EVERY_MS).unwrap());
    let filters = [
        ("all", fifty()),
        ("of one runbook", Filter { runbook: Some("runbook-7".into()), ..fifty() }),
        ("of a rare status", Filter { status: Some(Status::Waiting), ..fifty() }),
        ("of one person", Filter { actor: Some("person-3".into()), ..fifty() }),
        ("of one rare person", Filter { actor: Some("rare".into()), ..fifty() }),
        ("of one incident", Filter { incident: Some("INC-9".into()), ..fifty() }),
        (
            "of one runbook and status",
            Filter { runbook: Some("runbook-7".into()), status: Some(Status::Waiting), ..fifty() },
        ),
        (
            "of one runbook and a rare person",
            Filter { runbook: Some("runbook-3".into()), actor: Some("rare".into()), ..fifty() },
        ),
        ("since just now", Filter { since: at(i64::from(RUNS) - 20), ..fifty() }),
        ("since a moment ahead", Filter { since: at(i64::from(RUNS) + 1), ..fifty() }),
        ("since long ago", Filter { since: at(i64::from(RUNS) / 3), ..fifty() }),
        ("of one runbook, since long ago", Filter { runbook: Some("runbook-7".into()), since: at(9), ..fifty() }),
        ("from the middle on", Filter { before: Some(u64::from(RUNS / 2)), ..fifty() }),
    ];
    let one = |(what, filter): (&str, Filter)| {
        let times: Vec<Duration> = (0..ROUNDS).map(|_| timed(|| store.runs(&filter).unwrap()).0).collect();
        let ms = median(times).as_secs_f64() * 1e3;
        Row::plain("P11", &format!("newest 50 of {RUNS} runs: {what}"), ms, 1.0, "ms")
    };
    filters.into_iter().map(one).collect()
}

/// Rows as the journal writes them, by SQL: a million runs through the front door would take an hour.
pub fn fill(state: &Path, runs: u32) {
    let db = Connection::open(state.join("journal.db")).unwrap();
    db.execute_batch(&format!(
        "PRAGMA synchronous=OFF;
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {runs})
         INSERT INTO runs (number, id, short, runbook, title, target, actor, via, incident, status, started_at, ended_at, last_seq, head, fence)
         SELECT i, printf('0193a000-0000-7000-8000-%012x', i), printf('%06x', i), 'runbook-' || (i % 40), 'A title',
                'production', CASE WHEN i % 200003 = 0 THEN 'rare' ELSE 'person-' || (i % 20) END, 'cli',
                CASE WHEN i % 50 = 0 THEN 'INC-' || (i % 1000) END,
                CASE WHEN i % 100003 = 0 THEN 'waiting' ELSE 'success' END,
                {FIRST_MS} + i * {EVERY_MS}, {FIRST_MS} + i * {EVERY_MS} + 900, 10, zeroblob(32), 1
         FROM n;
         UPDATE newest SET number = {runs};"
    ))
    .unwrap();
}
