//! Two processes and one run: never two drivers.

use rerail::journal::{Busy, Store};
use rustix::process::Signal;

use super::kit::{Other, append, holder, new_run, note};

const CHILD: &str = "drive-until-told";

#[test]
fn a_run_driven_by_another_process_is_busy_until_that_process_dies() {
    let base = tempfile::tempdir().unwrap();
    let dir = base.path().join("store");
    let run = new_run();
    let mut other = Other::start(&[], CHILD, &dir, run);
    let pid: u32 = other.hears().unwrap().parse().unwrap();

    let store = Store::open(&dir).unwrap();
    match store.acquire(run, holder()) {
        Err(Busy::Held { holder: Some(found) }) => assert_eq!(found.pid, pid),
        other => panic!("{other:?}"),
    }
    assert_eq!(store.holder(run).unwrap().unwrap().pid, pid);
    other.kill();
    // No waiting for the lease: the kernel has dropped the lock.
    let drive = store.acquire(run, holder()).unwrap();
    assert_eq!(drive.fence(), 2);
    append(&store, &drive, vec![note(1, "taken over")]).unwrap();
}

#[test]
fn a_stopped_holder_that_wakes_up_can_neither_append_nor_send() {
    let base = tempfile::tempdir().unwrap();
    let dir = base.path().join("store");
    let run = new_run();
    let mut other = Other::start(&[], CHILD, &dir, run);
    other.hears().unwrap();
    other.signal(Signal::STOP);

    let store = Store::open(&dir).unwrap();
    assert!(matches!(store.acquire(run, holder()), Err(Busy::Held { .. })), "silent for less than a lease");
    // Ten seconds pass.
    let db = rusqlite::Connection::open(store.file()).unwrap();
    assert_eq!(db.execute("UPDATE leases SET expires = expires - 10000", []).unwrap(), 1);
    let drive = store.acquire(run, holder()).unwrap();
    assert_eq!(drive.fence(), 2);
    append(&store, &drive, vec![note(1, "taken over")]).unwrap();

    other.signal(Signal::CONT);
    other.tell("check");
    assert_eq!(other.hears().unwrap(), "fenced by ana");
    other.tell("append");
    assert_eq!(other.hears().unwrap(), "fenced by ana");
    drop(other);
    drive.check().unwrap();
    append(&store, &drive, vec![note(2, "and still driving")]).unwrap();
    assert_eq!(store.events(run).unwrap().len(), 3);
}

#[test]
fn a_waiting_driver_notices_the_signal_of_another_process() {
    let base = tempfile::tempdir().unwrap();
    let dir = base.path().join("store");
    let run = new_run();
    let mut other = Other::start(&[], CHILD, &dir, run);
    other.hears().unwrap();
    other.tell("watch");
    assert_eq!(other.hears().unwrap(), "watching");
    let store = Store::open(&dir).unwrap();
    let cancel = rerail::engine::event::Body::RunCancelled { actor: super::kit::actor(), reason: None };
    store.signal(run, &rerail::journal::Signal::new(cancel).unwrap()).wait().unwrap();
    assert_eq!(other.hears().unwrap(), "1 signal");
}
