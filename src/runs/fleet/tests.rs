//! What a fleet hears of, and when it looks at a run that waits.

use std::sync::mpsc::channel;

use super::*;
use crate::project::Project;
use crate::redact::Redactor;
use crate::runs::Received;

/// Changes that are told one after another.
const CHANGES: u32 = 20;

#[test]
fn what_this_process_commits_is_told_sooner_than_the_store_is_asked_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let runs = Runs::open(dir.path().join("state"), Project::discover(dir.path()).unwrap(), Redactor::new());
    let runs = Arc::new(runs);
    let say = |id: &str| {
        assert!(runs.receive(&Received { source: "test", id, body: "{}", matters: Default::default() }).unwrap())
    };
    say("first");
    let (tell, told) = channel();
    let tell = Mutex::new(tell);
    let fleet = Fleet::new(Arc::clone(&runs), move || tell.lock().unwrap().send(()).unwrap());
    let keeper = Arc::clone(&fleet);
    let keeper = std::thread::spawn(move || keeper.keep());
    // That there is a store at all.
    told.recv().unwrap();
    let began = Instant::now();
    for change in 0..CHANGES {
        while told.try_recv().is_ok() {}
        say(&change.to_string());
        told.recv().unwrap();
    }
    let took = began.elapsed();
    assert_eq!(fleet.leave(), 0);
    keeper.join().unwrap();
    // Asked for each, most of the pause would have gone by every time.
    assert!(took < LOOK_EVERY * CHANGES * 3 / 4, "{took:?}");
}
