//! Reading a run's events back, checking the chain on the way.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, params};

use crate::engine::event::{EVENT_VERSION, Event};
use crate::engine::ids::RunId;
use crate::journal::apart;
use crate::journal::chain::{Hash, Head};
use crate::journal::error::{Error, Failure};

/// An event as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub seq: u64,
    /// One line of JSON, without the line end.
    pub json: String,
    pub hash: Hash,
}

/// Room made for events in advance, so that those of a long run are not moved while they are read: more than a run of
/// the greatest number of steps has. A row that was damaged may claim any number.
const EVENTS_EXPECTED_MAX: usize = 32_768;

/// Gives the bytes of a blob by its digest.
pub(super) type Blobs<'a> = &'a dyn Fn(&str) -> Result<Option<Vec<u8>>, Failure>;

/// All events of a run.
pub(super) fn load(db: &Connection, run: RunId) -> Result<Vec<Event>, Failure> {
    load_from(db, run, 0)
}

/// The events of a run from `seq` on.
pub(super) fn load_from(db: &Connection, run: RunId, seq: u64) -> Result<Vec<Event>, Failure> {
    let (_, end) = row(db, run)?;
    let left = usize::try_from(end.seq.saturating_add(1).saturating_sub(seq)).unwrap_or(EVENTS_EXPECTED_MAX);
    let mut events = Vec::with_capacity(left.min(EVENTS_EXPECTED_MAX));
    // Line by line: a long run's lines would stand in memory once more beside its events.
    each_line(db, run, seq, |line| {
        events.push(parse(run, &line, &|digest| blob(db, digest))?);
        Ok(())
    })?;
    Ok(events)
}

/// The stored lines of a run from `from` on, checked against the hash before them and against the run's row.
pub(super) fn lines(db: &Connection, run: RunId, from: u64) -> Result<Vec<Line>, Failure> {
    let mut lines = Vec::new();
    each_line(db, run, from, |line| {
        lines.push(line);
        Ok(())
    })?;
    Ok(lines)
}

/// Hands out the stored lines of a run, each checked against the one before it; whether the last of them is the end of
/// the run is known only when this returns.
fn each_line(
    db: &Connection,
    run: RunId,
    from: u64,
    mut take: impl FnMut(Line) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let (number, end) = row(db, run)?;
    let mut head = match from.checked_sub(1) {
        None => None,
        Some(before) if before > end.seq => return Ok(()),
        Some(before) => Some(Head { seq: before, hash: stored_hash(db, run, number, before)? }),
    };
    let mut select =
        db.prepare_cached("SELECT seq, body, hash FROM events WHERE run = ?1 AND seq >= ?2 ORDER BY seq")?;
    let mut rows = select.query(params![number, from])?;
    while let Some(row) = rows.next()? {
        let line = check(run, head, row.get_ref(0)?, row.get_ref(1)?, row.get_ref(2)?)?;
        head = Some(Head { seq: line.seq, hash: line.hash });
        take(line)?;
    }
    match head {
        Some(head) if head == end => Ok(()),
        Some(head) => Err(damaged(run, head.seq, format!("it is the last, but {} were written", end.seq + 1))),
        None => Err(damaged(run, 0, "it is missing".to_owned())),
    }
}

/// The number of a run and the end of its chain, as its row says.
pub(super) fn row(db: &Connection, run: RunId) -> Result<(u64, Head), Failure> {
    let row = db
        .prepare_cached("SELECT number, last_seq, head FROM runs WHERE id = ?1")?
        .query_row([run.uuid()], |row| Ok((row.get(0)?, row.get(1)?, row.get::<_, Vec<u8>>(2)?)))
        .optional()?;
    let Some((number, seq, bytes)) = row else { return Err(Error::NoRun { run }.into()) };
    let hash = Hash::from_bytes(&bytes).ok_or_else(|| damaged(run, seq, "its row holds no hash".to_owned()))?;
    Ok((number, Head { seq, hash }))
}

fn stored_hash(db: &Connection, run: RunId, number: u64, seq: u64) -> Result<Hash, Failure> {
    let bytes: Option<Vec<u8>> = db
        .prepare_cached("SELECT hash FROM events WHERE run = ?1 AND seq = ?2")?
        .query_row(params![number, seq], |row| row.get(0))
        .optional()?;
    match bytes.as_deref().and_then(Hash::from_bytes) {
        Some(hash) => Ok(hash),
        None => Err(damaged(run, seq, "it is missing or holds no hash".to_owned())),
    }
}

/// Checks one stored event against the one before it.
pub(super) fn check(
    run: RunId,
    head: Option<Head>,
    seq: ValueRef<'_>,
    body: ValueRef<'_>,
    hash: ValueRef<'_>,
) -> Result<Line, Failure> {
    let expected = head.map_or(0, |head| head.seq + 1);
    let found = seq.as_i64().ok().and_then(|seq| u64::try_from(seq).ok());
    if found != Some(expected) {
        let what = found.map_or_else(|| "something else".to_owned(), |seq| format!("event {seq}"));
        return Err(damaged(run, expected, format!("{what} stands in its place")));
    }
    let bytes = match body {
        ValueRef::Text(bytes) => bytes,
        other => return Err(damaged(run, expected, format!("its line is stored as {}", other.data_type()))),
    };
    let prev = head.map_or_else(|| Hash::origin(run), |head| head.hash);
    let computed = prev.next(expected, bytes);
    let stored = hash.as_blob().ok().and_then(Hash::from_bytes);
    if stored != Some(computed) {
        return Err(damaged(run, expected, "its line or its hash is not what was written".to_owned()));
    }
    // The hash fits, so these are the bytes that were written, and only text is written.
    let json = String::from_utf8_lossy(bytes).into_owned();
    Ok(Line { seq: expected, json, hash: computed })
}

/// Reads the event in a line that was checked; `blob` gives the values that were kept apart.
pub(super) fn parse(run: RunId, line: &Line, blob: Blobs<'_>) -> Result<Event, Failure> {
    #[derive(serde::Deserialize)]
    struct Envelope {
        v: u32,
        #[serde(default)]
        apart: apart::Names,
    }
    // First by version: an event of a newer format may not even look like one of ours.
    match serde_json::from_str::<Envelope>(&line.json) {
        Ok(Envelope { v, .. }) if v > EVENT_VERSION => {
            let what = format!("event {} of run {run}", line.seq);
            Err(Error::TooNew { what, found: v.into(), known: EVENT_VERSION.into() }.into())
        }
        Ok(Envelope { apart, .. }) if !apart.is_empty() => apart::put_back(run, line, &apart, blob),
        _ => serde_json::from_str(&line.json)
            .map_err(|e| damaged(run, line.seq, format!("this rerail can't read it: {e}"))),
    }
}

/// The bytes of a blob, unchecked.
pub(super) fn blob(db: &Connection, digest: &str) -> Result<Option<Vec<u8>>, Failure> {
    Ok(db
        .prepare_cached("SELECT bytes FROM blobs WHERE digest = ?1")?
        .query_row([digest], |row| row.get(0))
        .optional()?)
}

fn damaged(run: RunId, seq: u64, why: String) -> Failure {
    Failure::Refusal(Error::Damaged { run, seq, why })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::testkit::{append, new_run, note, sql, start, store};

    #[test]
    fn followers_read_on_from_where_they_were() {
        let (_base, store) = store();
        let drive = start(&store, "backend-down");
        append(&store, &drive, vec![note(1), note(2), note(3)]).unwrap();
        assert_eq!(store.events_from(drive.run(), 2).unwrap(), [note(2), note(3)]);
        assert!(store.events_from(drive.run(), 4).unwrap().is_empty());
        assert!(store.events_from(drive.run(), 99).unwrap().is_empty());
        assert!(matches!(store.events(new_run()), Err(Error::NoRun { .. })));
    }

    #[test]
    fn lines_are_the_bytes_that_were_hashed() {
        let (_base, store) = store();
        let drive = start(&store, "backend-down");
        append(&store, &drive, vec![note(1)]).unwrap();
        let mut hash = Hash::origin(drive.run());
        for line in store.lines(drive.run()).unwrap() {
            hash = hash.next(line.seq, line.json.as_bytes());
            assert_eq!(hash, line.hash);
            assert!(!line.json.contains('\n'));
        }
        assert_eq!(hash, store.run(drive.run()).unwrap().head);
    }

    #[test]
    fn damage_is_found_at_its_event() {
        let cases = [
            ("UPDATE events SET body = replace(body, 'note 2', 'nope 2') WHERE seq = 2", 2),
            ("UPDATE events SET hash = zeroblob(32) WHERE seq = 1", 1),
            ("UPDATE events SET hash = x'00' WHERE seq = 1", 1),
            ("DELETE FROM events WHERE seq = 1", 1),
            ("DELETE FROM events WHERE seq = 3", 2),
            ("DELETE FROM events WHERE seq = 0", 0),
            ("DELETE FROM events", 0),
            ("UPDATE events SET seq = 9 - seq WHERE seq > 1; UPDATE events SET seq = seq - 4 WHERE seq > 5", 2),
            ("INSERT INTO events SELECT run, 4, body, hash FROM events WHERE seq = 3", 4),
            ("UPDATE runs SET last_seq = 2", 3),
            ("UPDATE runs SET head = zeroblob(32)", 3),
        ];
        for (change, at) in cases {
            let (_base, store) = store();
            let drive = start(&store, "backend-down");
            append(&store, &drive, vec![note(1), note(2), note(3)]).unwrap();
            sql(&store).execute_batch(change).unwrap();
            match store.events(drive.run()) {
                Err(Error::Damaged { seq, .. }) => assert_eq!(seq, at, "{change}"),
                other => panic!("{change}: {other:?}"),
            }
        }
    }

    #[test]
    fn events_cannot_move_between_runs() {
        let (_base, store) = store();
        let (a, b) = (start(&store, "a"), start(&store, "a"));
        append(&store, &a, vec![note(1)]).unwrap();
        append(&store, &b, vec![note(1)]).unwrap();
        sql(&store).execute_batch("UPDATE events SET run = 13 - run; UPDATE events SET run = run - 10").unwrap();
        assert!(matches!(store.events(a.run()), Err(Error::Damaged { seq: 0, .. })));
    }

    #[test]
    fn an_event_of_a_newer_rerail_stops_the_reader_and_is_not_skipped() {
        let (_base, store) = store();
        let drive = start(&store, "backend-down");
        let mut newer = note(1);
        newer.v = EVENT_VERSION + 1;
        append(&store, &drive, vec![newer, note(2)]).unwrap();
        assert!(matches!(store.events(drive.run()), Err(Error::TooNew { found: 2, known: 1, .. })));
        assert_eq!(store.lines(drive.run()).unwrap().len(), 3, "it can still be exported");
    }

    #[test]
    fn a_damaged_run_leaves_the_others_usable() {
        let (_base, store) = store();
        let (bad, good) = (start(&store, "a"), start(&store, "b"));
        sql(&store).execute_batch("UPDATE events SET body = '{}' WHERE run = 1").unwrap();
        assert!(store.events(bad.run()).is_err());
        append(&store, &good, vec![note(1)]).unwrap();
        assert_eq!(store.events(good.run()).unwrap().len(), 2);
    }
}
