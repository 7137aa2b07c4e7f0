//! One changed byte in the write-ahead log hides all that was recorded after it; SQLite alone takes it for the end.

use std::fs;
use std::path::{Path, PathBuf};

use rerail::engine::ids::RunId;
use rerail::journal::{Error, Report, Store, verify};
use tempfile::TempDir;

use super::kit::{append, note, start};

const HEADER: usize = 32;
const FRAME: usize = 24 + 4096;

/// A store whose events are all in its log only, as bytes.
struct Logged {
    _base: TempDir,
    dir: PathBuf,
    run: RunId,
    database: Vec<u8>,
    log: Vec<u8>,
    events: usize,
}

impl Logged {
    fn new() -> Logged {
        let base = tempfile::tempdir().unwrap();
        let dir = base.path().join("store");
        let store = Store::open(&dir).unwrap();
        let drive = start(&store);
        let run = drive.run();
        for seq in 1..12 {
            append(&store, &drive, vec![note(seq, "restarted the backend")]).unwrap();
        }
        drop(drive);
        drop(store);
        let file = dir.join("journal.db");
        let (database, log) = (fs::read(&file).unwrap(), fs::read(log_in(&dir)).unwrap());
        assert_eq!((log.len() - HEADER) % FRAME, 0);
        Logged { _base: base, dir, run, database, log, events: 12 }
    }

    /// The store with another log, as a machine that was switched off leaves it.
    fn put(&self, log: &[u8]) {
        fs::remove_file(self.dir.join("journal.db-shm")).ok();
        fs::write(self.dir.join("journal.db"), &self.database).unwrap();
        fs::write(log_in(&self.dir), log).unwrap();
    }

    fn flipped(&self, offset: usize, pattern: u8) -> Vec<u8> {
        let mut log = self.log.clone();
        log[offset] ^= pattern;
        log
    }

    fn verified(&self) -> Report {
        verify(&Store::open_to_look(&self.dir).unwrap(), None).unwrap()
    }

    fn events(&self) -> usize {
        Store::open(&self.dir).unwrap().events(self.run).map_or(0, |events| events.len())
    }

    /// Starts of the frames that end a transaction.
    fn commits(&self) -> Vec<usize> {
        (HEADER..self.log.len()).step_by(FRAME).filter(|at| self.log[at + 4..at + 8] != [0; 4]).collect()
    }
}

fn log_in(dir: &Path) -> PathBuf {
    dir.join("journal.db-wal")
}

/// The bytes worth flipping: the header, the headers and ends of the first, last and some other frames, and a sample
/// of the rest.
fn sample(log: &[u8]) -> Vec<usize> {
    let last = (log.len() - HEADER) / FRAME - 1;
    let near = |offset: usize| match offset.checked_sub(HEADER) {
        None => true,
        Some(at) => {
            let (frame, inside) = (at / FRAME, at % FRAME);
            let whole = frame % 9 == 0 || frame == last;
            whole && !(26..FRAME - 2).contains(&inside) || offset.is_multiple_of(1009)
        }
    };
    (0..log.len()).filter(|offset| near(*offset)).collect()
}

#[test]
fn every_flipped_byte_of_a_log_is_found_and_its_frame_named() {
    let store = Logged::new();
    assert!(store.commits().len() >= 12, "{:?}", store.commits());
    let offsets = sample(&store.log);
    assert!(offsets.len() > 300, "{}", offsets.len());
    for (offset, pattern) in offsets.into_iter().zip([0x01u8, 0x80, 0xff].into_iter().cycle()) {
        store.put(&store.flipped(offset, pattern));
        let report = store.verified();
        assert!(!report.is_clean(), "byte {offset} changed by {pattern:#x} was not found");
        let said = &report.store[0];
        let place: usize = said.split_once("at byte ").unwrap().1.split(',').next().unwrap().parse().unwrap();
        let frame = offset.checked_sub(HEADER).map_or(0, |at| at / FRAME * FRAME + HEADER);
        assert!(said.contains("journal.db-wal") && place == frame, "{offset}: {said}");
    }
    store.put(&store.log);
    assert!(store.verified().is_clean());
    assert_eq!(store.events(), store.events);
}

#[test]
fn the_size_of_the_last_commit_flipped_to_none_is_found() {
    let store = Logged::new();
    let last = *store.commits().last().unwrap();
    let offset = (last + 4..last + 8).find(|at| store.log[*at] != 0).unwrap();
    store.put(&store.flipped(offset, store.log[offset]));
    assert!(!store.verified().is_clean());
}

#[test]
fn a_damaged_log_is_not_opened_and_not_touched() {
    let store = Logged::new();
    let commits = store.commits();
    for (at, hidden) in
        [(commits[2] + 100, commits.len() - 2), (*commits.last().unwrap() + 4000, 1), (17, commits.len())]
    {
        let log = store.flipped(at, 0x10);
        store.put(&log);
        let error = Store::open(&store.dir).unwrap_err();
        assert!(matches!(error, Error::DamagedFile { .. }), "{error}");
        let said = error.to_string();
        let plural = if hidden == 1 { "transaction," } else { "transactions," };
        for part in ["rerail verify", "truncate -s", "journal.db-wal", &format!("{hidden} recorded {plural}")] {
            assert!(said.contains(part), "`{part}` is not in: {said}");
        }
        let looking = Store::open_to_look(&store.dir).unwrap();
        assert!(looking.acquire(store.run, super::kit::holder()).is_err(), "nothing is written to it");
        verify(&looking, None).unwrap();
        drop(looking);
        assert_eq!(fs::read(log_in(&store.dir)).unwrap(), log);
    }
}

#[test]
fn the_cure_gives_up_only_what_is_hidden() {
    let store = Logged::new();
    let before: Vec<usize> = {
        let ends = store.commits().into_iter().map(|at| at + FRAME);
        ends.map(|end| (store.put(&store.log[..end]), store.events()).1).collect()
    };
    store.put(&store.flipped(store.commits()[8] + 500, 0x04));
    let said = Store::open(&store.dir).unwrap_err().to_string();
    let length: u64 = said.split_once("truncate -s ").unwrap().1.split(' ').next().unwrap().parse().unwrap();
    let log = fs::OpenOptions::new().write(true).open(log_in(&store.dir)).unwrap();
    log.set_len(length).unwrap();
    assert_eq!(store.events(), before[7]);
    assert!(store.verified().is_clean());
}

#[test]
fn many_bytes_changed_before_recorded_transactions_are_found() {
    let store = Logged::new();
    let commits = store.commits();
    for (length, fill) in [(4096, 0u8), (512, 0), (64, 0xa5), (2 * 4096, 0)] {
        let mut log = store.log.clone();
        let at = (commits[3] + 8) & !511;
        log[at..at + length].fill(fill);
        store.put(&log);
        let report = store.verified();
        assert!(!report.is_clean(), "{length} bytes of {fill:#x}");
        assert!(Store::open(&store.dir).is_err());
    }
}

#[test]
fn a_torn_end_is_said_and_no_damage() {
    let store = Logged::new();
    let commits = store.commits();
    let (before, last) = (commits[commits.len() - 2] + FRAME, *commits.last().unwrap());
    let cut = &store.log[..last.max(before) + 1000];
    let mut zeroed = store.log.clone();
    zeroed[last + 24..].fill(0);
    let mut unwritten = store.log.clone();
    unwritten[last..].fill(0);
    for (log, says) in [(cut, ""), (&zeroed, "before it was acknowledged"), (&unwritten, "")] {
        store.put(log);
        let report = store.verified();
        assert!(report.is_clean(), "{report:?}");
        assert!(says.is_empty() || report.remarks[0].contains(says), "{report:?}");
        assert!(Store::open(&store.dir).is_ok());
    }
}

#[test]
fn what_a_killed_writer_left_behind_a_later_commit_is_no_damage() {
    let store = Logged::new();
    let written = |text: &str| {
        store.put(&store.log);
        let opened = Store::open(&store.dir).unwrap();
        let drive = opened.acquire(store.run, super::kit::holder()).unwrap();
        append(&opened, &drive, vec![note(12, text)]).unwrap();
        fs::read(log_in(&store.dir)).unwrap()
    };
    let (long, short) = (written(&"x".repeat(40_000)), written("x"));
    assert!(long.len() > short.len() + 2 * FRAME && long[..32] == short[..32]);
    let mut log = short.clone();
    log.extend_from_slice(&long[short.len()..]);
    store.put(&log);
    let report = store.verified();
    assert!(report.is_clean() && report.remarks.len() == 1, "{report:?}");
    assert_eq!(store.events(), 13);
}

#[test]
fn a_log_that_was_begun_anew_has_old_frames_behind_its_end() {
    let base = tempfile::tempdir().unwrap();
    let dir = base.path().join("store");
    let store = Store::open(&dir).unwrap();
    let drive = start(&store);
    for seq in 1..200 {
        append(&store, &drive, vec![note(seq, "x")]).unwrap();
        let report = verify(&store, None).unwrap();
        assert!(report.is_clean() && report.remarks.is_empty(), "{seq}: {report:?}");
    }
    drop(drive);
    drop(store);
    let log = fs::read(log_in(&dir)).unwrap();
    assert_ne!(log[HEADER + 8..HEADER + 16], log[log.len() - FRAME + 8..log.len() - FRAME + 16], "salts");
    assert!(Store::open(&dir).is_ok());
}
