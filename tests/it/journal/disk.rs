//! A disk that is full or fails: typed errors, nothing lost, and on it goes.

use std::fs;
use std::sync::Arc;

use rerail::engine::event::{Body, StepStarted};
use rerail::engine::ids::StepPath;
use rerail::journal::{Error, Store, verify};
use rerail::runbook::spec::{Effect, Repeat};
use rerail::script::value::Map;

use crate::tmpfs::Disk;

use super::kit::{Other, append, event, new_run, note, start};

#[test]
fn a_full_disk_is_told_and_the_run_goes_on_once_there_is_space() {
    let Some(disk) = Disk::of("2m") else { return };
    let ballast = disk.path().join("ballast");
    fs::write(&ballast, vec![7; 1 << 20]).unwrap();
    let store = Store::open(&disk.path().join("store")).unwrap();
    let drive = start(&store);
    let text = "x".repeat(4096);
    let mut next = 1;
    let error = loop {
        match append(&store, &drive, vec![note(next, &text)]) {
            Ok(_) => next += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::Full { .. }), "{error}");
    assert!(error.to_string().contains("journal.db"), "{error}");
    assert_eq!(store.events(drive.run()).unwrap().len() as u64, next, "all that was acknowledged, nothing else");
    assert!(matches!(append(&store, &drive, vec![note(next, &text)]), Err(Error::Full { .. })), "still full");

    fs::remove_file(ballast).unwrap();
    for _ in 0..20 {
        append(&store, &drive, vec![note(next, &text)]).unwrap();
        next += 1;
    }
    let report = verify(&store, None).unwrap();
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(report.events, next);
}

#[test]
fn what_has_happened_still_fits_on_a_full_disk_but_nothing_new_starts() {
    let Some(disk) = Disk::of("96m") else { return };
    let store = Store::open(&disk.path().join("store")).unwrap();
    let drive = start(&store);
    disk.fill();
    // Fill also what the log had left inside its pages.
    let intent = |seq| {
        event(
            seq,
            Body::StepStarted(Arc::new(StepStarted {
                step: StepPath::new("restart"),
                attempt: 1,
                name: Some("x".repeat(64 << 10)),
                body: "uses".into(),
                uses: None,
                effect: Effect::Write,
                repeat: Repeat::Once,
                with: Map::new(),
                vars: Map::new(),
                key: None,
                timeout_ms: None,
                within_ms: None,
                given: None,
                maybe: false,
                why: Map::new(),
                reveal: Vec::new(),
            })),
        )
    };
    assert!(matches!(append(&store, &drive, vec![intent(1)]), Err(Error::Full { .. })));
    for seq in 1..=8 {
        append(&store, &drive, vec![note(seq, &"y".repeat(64 << 10))]).unwrap();
    }
    append(&store, &drive, vec![event(9, Body::RunPaused { reason: "storage".into(), actor: None })]).unwrap();
    assert!(verify(&store, None).unwrap().is_clean());
}

#[test]
fn after_a_failed_write_the_writer_settles_the_file_before_it_goes_on() {
    let base = tempfile::tempdir().unwrap();
    let dir = base.path().join("store");
    let run = new_run();
    drop(Store::open(&dir).unwrap());
    // A limit on the size of files makes writes fail with EFBIG: an I/O error, not a full disk.
    let limited = ["sh", "-c", "trap '' XFSZ; ulimit -f 1000; exec \"$0\" \"$@\""];
    let mut other = Other::start(&limited, "append-through-failures", &dir, run);
    let (mut written, mut failures, mut after) = (0, 0, 0);
    while let Some(said) = other.hears() {
        match said.split_once(' ') {
            Some(("written", last)) => {
                written = last.parse::<u64>().unwrap();
                after += u64::from(failures > 0);
            }
            Some(("failed", _)) => failures += 1,
            _ => panic!("{said}"),
        }
    }
    assert!(failures > 0, "no write failed: the test proves nothing");
    assert!(after > 0, "nothing was written after the failure");
    let store = Store::open(&dir).unwrap();
    assert!(store.events(run).unwrap().len() as u64 > written);
    let report = verify(&store, None).unwrap();
    assert!(report.is_clean(), "{report:?}");
}
