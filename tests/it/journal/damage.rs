//! Changed bytes, cut files and swapped stores are noticed; SQLite alone wouldn't.

use std::fs;
use std::path::{Path, PathBuf};

use rerail::engine::ids::RunId;
use rerail::journal::{Error, Store, verify};
use tempfile::TempDir;

use super::kit::{append, note, start};

/// A small store in one file, with nothing in its log.
fn settled() -> (TempDir, PathBuf, Vec<RunId>) {
    let base = tempfile::tempdir().unwrap();
    let dir = base.path().join("store");
    let store = Store::open(&dir).unwrap();
    let mut runs = Vec::new();
    for _ in 0..2 {
        let drive = start(&store);
        append(&store, &drive, vec![note(1, "the backend answers 502"), note(2, "restarted")]).unwrap();
        runs.push(drive.run());
    }
    let file = store.file().to_owned();
    drop(store);
    rusqlite::Connection::open(&file).unwrap().execute_batch("PRAGMA journal_mode = WAL; VACUUM").unwrap();
    assert!(!log_of(&file).exists(), "closing the last plain connection empties the log");
    (base, file, runs)
}

fn log_of(file: &Path) -> PathBuf {
    PathBuf::from(format!("{}-wal", file.display()))
}

/// Puts other bytes in place of the database.
fn replace(file: &Path, bytes: &[u8]) {
    for stale in ["-wal", "-shm"] {
        fs::remove_file(format!("{}{stale}", file.display())).ok();
    }
    fs::write(file, bytes).unwrap();
}

/// What a reader sees of all events, or that it was told of damage.
fn look(file: &Path, runs: &[RunId]) -> Result<Vec<String>, String> {
    let store = Store::open(file.parent().unwrap()).map_err(|e| e.to_string())?;
    let mut seen = Vec::new();
    for run in runs {
        seen.extend(store.lines(*run).map_err(|e| e.to_string())?.into_iter().map(|line| line.json));
    }
    Ok(seen)
}

#[test]
fn every_flipped_byte_of_an_event_is_found() {
    let (_base, file, runs) = settled();
    let whole = fs::read(&file).unwrap();
    let store = Store::open(file.parent().unwrap()).unwrap();
    let lines: Vec<_> = runs.iter().flat_map(|run| store.lines(*run).unwrap()).collect();
    drop(store);
    let expected: Vec<String> = lines.iter().map(|line| line.json.clone()).collect();
    let mut flipped = 0;
    for line in &lines {
        for stored in [line.json.as_bytes(), line.hash.as_bytes()] {
            let at: Vec<usize> = find_all(&whole, stored);
            assert!(!at.is_empty());
            for (offset, pattern) in (at[0]..at[0] + stored.len()).zip([0x01u8, 0x80, 0xff].into_iter().cycle()) {
                let mut bytes = whole.clone();
                bytes[offset] ^= pattern;
                replace(&file, &bytes);
                assert!(look(&file, &runs).is_err(), "byte {offset} changed by {pattern:#x} was not noticed");
                flipped += 1;
            }
        }
    }
    assert!(flipped > 1000, "{flipped}");
    replace(&file, &whole);
    assert_eq!(look(&file, &runs).unwrap(), expected);
}

#[test]
fn a_byte_flipped_anywhere_is_found_or_changes_no_event() {
    let (_base, file, runs) = settled();
    let whole = fs::read(&file).unwrap();
    let expected = look(&file, &runs).unwrap();
    let mut found = 0;
    for offset in (0..whole.len()).step_by(41) {
        let mut bytes = whole.clone();
        bytes[offset] ^= 0xff;
        replace(&file, &bytes);
        match look(&file, &runs) {
            Ok(seen) => assert_eq!(seen, expected, "byte {offset}"),
            Err(_) => found += 1,
        }
        // Checking goes on or gives up with words; it never panics.
        if let Ok(store) = Store::open(file.parent().unwrap()) {
            verify(&store, None).ok();
        }
    }
    assert!(found > 0);
}

#[test]
fn a_file_cut_anywhere_is_refused_by_name_or_reported() {
    let (_base, file, runs) = settled();
    let whole = fs::read(&file).unwrap();
    let expected = look(&file, &runs).unwrap();
    let mut refused = 0;
    for length in (0..whole.len()).step_by(1777) {
        replace(&file, &whole[..length]);
        match Store::open(file.parent().unwrap()) {
            Err(error) => assert!(error.to_string().contains("journal.db"), "{length}: {error}"),
            Ok(store) => match verify(&store, None) {
                Err(error) => {
                    assert!(matches!(error, Error::DamagedFile { .. }), "{length}: {error}");
                    assert!(error.to_string().contains("journal.db"), "{length}: {error}");
                }
                // Only what no page uses was cut off.
                Ok(report) if report.is_clean() => {
                    assert_eq!(look(&file, &runs), Ok(expected.clone()), "cut to {length}");
                    continue;
                }
                Ok(_) => {}
            },
        }
        refused += 1;
    }
    assert!(refused > 30, "{refused}");
}

#[test]
fn a_torn_log_loses_only_its_unfinished_end() {
    let base = tempfile::tempdir().unwrap();
    let dir = base.path().join("store");
    let store = Store::open(&dir).unwrap();
    let drive = start(&store);
    let run = drive.run();
    for seq in 1..20 {
        append(&store, &drive, vec![note(seq, "x")]).unwrap();
    }
    let file = store.file().to_owned();
    drop(drive);
    drop(store);
    let (database, log) = (fs::read(&file).unwrap(), fs::read(log_of(&file)).unwrap());
    let mut lengths = Vec::new();
    for cut in (0..=log.len()).rev().step_by(1013) {
        replace(&file, &database);
        fs::write(log_of(&file), &log[..cut]).unwrap();
        let store = Store::open(&dir).unwrap();
        // A prefix of what was written, whole events only, and a chain that fits.
        match store.events(run) {
            Ok(events) => {
                assert!(verify(&store, None).unwrap().is_clean());
                lengths.push(events.len());
            }
            Err(Error::NoRun { .. }) => lengths.push(0),
            Err(error) => panic!("cut at {cut}: {error}"),
        }
    }
    assert!(lengths.is_sorted_by(|a, b| a >= b), "{lengths:?}");
    assert_eq!((lengths.first(), lengths.last()), (Some(&20), Some(&0)));
}

#[test]
fn a_store_put_back_from_yesterday_is_told_by_a_head_kept_elsewhere() {
    let (_base, file, _) = settled();
    let yesterday = fs::read(&file).unwrap();
    let store = Store::open(file.parent().unwrap()).unwrap();
    start(&store);
    let kept = verify(&store, None).unwrap().head;
    drop(store);
    replace(&file, &yesterday);
    let now = verify(&Store::open(file.parent().unwrap()).unwrap(), None).unwrap();
    assert!(now.is_clean(), "by itself it is a good store");
    assert_ne!(now.head, kept);
}

fn find_all(whole: &[u8], part: &[u8]) -> Vec<usize> {
    whole.windows(part.len()).enumerate().filter(|(_, window)| *window == part).map(|(at, _)| at).collect()
}
