//! A disk that is full pauses a run, a changed byte is found, and neither stops other runs.

use std::path::{Path, PathBuf};

use rerail::engine::event::Body;
use serde_json::json;

use super::gate::Gate;
use super::kit::{Living, Place};
use crate::tmpfs::Disk;

const WORK: &str = "
inputs: { base: { type: url } }
steps:
  - { id: one, uses: http.request, with: { method: POST, url: '${{ inputs.base }}/', text: one } }
  - { id: two, uses: http.request, with: { method: POST, url: '${{ inputs.base }}/held/two', text: two, timeout: 1m } }
  - { id: three, uses: http.request, with: { method: POST, url: '${{ inputs.base }}/', text: three } }
finally:
  - { id: bye, uses: http.request, with: { method: POST, url: '${{ inputs.base }}/', text: bye } }
outputs: { id: '${{ steps.three.outputs.json.id }}' }
";

/// A disk without a free byte.
struct Starved {
    disk: Disk,
    ballast: PathBuf,
}

impl Starved {
    fn gets_space(self) -> Disk {
        std::fs::remove_file(self.ballast).unwrap();
        self.disk
    }
}

/// A run whose disk is filled to the last byte while its second write is under way.
fn starved(size: &str) -> Option<(Starved, Place, Gate)> {
    let disk = Disk::of(size)?;
    let place = Place::new().runbook("work", WORK).state_at(&disk.path().join("state"));
    // Answers that need room of their own: what the log has left in its last page is not enough.
    let gate = Gate::serving(json!("x".repeat(64 << 10)));
    let living = Living::start(&place, &["run", "work", "-i", &gate.input(), "--yes"]);
    gate.arrived("two");
    let ballast = disk.fill();
    gate.opens("two");
    living.ends().exits(19).says(&["paused", "full"]);
    assert_eq!(times(&gate), [1, 1, 0, 0], "nothing starts that can't be recorded");
    place.assert_journal_is_whole("while the disk is full");
    Some((Starved { disk, ballast }, place, gate))
}

fn times(gate: &Gate) -> [usize; 4] {
    ["one", "two", "three", "bye"].map(|body| gate.ledger.times(body))
}

#[test]
fn a_full_disk_pauses_the_run_and_with_space_it_goes_on_to_the_same_end() {
    // No room for a reserve here: what became of the write under way could not be recorded, so it is in doubt.
    let Some((disk, place, gate)) = starved("4m") else { return };
    let said = place.ask(&["resume", "@last"]);
    assert!(said.code() == Some(19) && said.stderr.contains("full"), "{said:?}");
    assert_eq!(times(&gate), [1, 1, 0, 0]);
    let _disk = disk.gets_space();
    place.ask(&["resume", "@last"]).exits(16).says(&["two"]);
    assert_eq!(times(&gate), [1, 1, 0, 0]);
    place.ask(&["resume", "@last", "--set-outcome", "two=done", "--reason", "it is there"]).exits(0);
    assert_eq!(times(&gate), [1, 1, 1, 1]);
    assert_eq!(place.end_of("@last")["outputs"], json!({ "id": "three" }));
    place.assert_journal_is_whole("at the end");
}

#[test]
fn with_a_reserve_what_happened_on_a_full_disk_is_recorded() {
    let Some((disk, place, gate)) = starved("96m") else { return };
    let _disk = disk.gets_space();
    place.ask(&["resume", "@last"]).exits(0);
    assert_eq!(times(&gate), [1, 1, 1, 1], "the outcome of `two` was known: nobody had to be asked");
    assert_eq!(place.end_of("@last")["outputs"], json!({ "id": "three" }));
    let paused = place.events().iter().any(|event| matches!(event.body, Body::RunPaused { .. }));
    assert!(paused, "the pause is a part of the record");
    place.assert_journal_is_whole("at the end");
}

#[test]
fn on_a_full_disk_nothing_begins() {
    let Some(disk) = Disk::of("4m") else { return };
    let place = Place::new().runbook("work", WORK).state_at(&disk.path().join("state"));
    let gate = Gate::serving(json!("x"));
    let ballast = disk.fill();
    let said = place.ask(&["run", "work", "-i", &gate.input(), "--yes"]);
    assert_eq!(said.code(), Some(19), "{said:?}");
    assert!(said.stderr.contains("full") || said.stderr.contains("No space"), "{}", said.stderr);
    assert_eq!(gate.ledger.entries(), []);
    std::fs::remove_file(ballast).unwrap();
    gate.opens("two");
    place.ask(&["run", "work", "-i", &gate.input(), "--yes"]).exits(0);
}

#[test]
fn one_changed_byte_of_an_event_is_found_and_other_runs_stay_usable() {
    let place = Place::new().runbook("work", WORK);
    let gate = Gate::serving(json!("x"));
    gate.opens("two");
    let run = |reason: &str| {
        place.ask(&["run", "work", "-i", &gate.input(), "--yes", "--reason", reason]).exits(0);
        place.json(&["show", "@last"])["id"].as_str().unwrap().to_owned()
    };
    let (bad, good) = (run("the first of two"), run("the second of two"));
    let file = place.state().join("journal.db");
    settle(&file);
    place.ask(&["verify"]).exits(0);
    let whole = std::fs::read(&file).unwrap();

    for part in ["the first of two", "\"outcome\":\"success\"", "\"text\":\"three\""] {
        // The last one: what stands before it may be a remainder on the unused part of a page.
        let at = whole.windows(part.len()).rposition(|window| window == part.as_bytes()).unwrap();
        let mut bytes = whole.clone();
        bytes[at + part.len() - 2] ^= 1;
        replace(&file, &bytes);
        let said = place.ask(&["verify"]).exits(5);
        let (named, other) = if said.stdout.contains(&bad) { (&bad, &good) } else { (&good, &bad) };
        let said = said.says(&[named]);
        assert!(!said.stdout.contains(other.as_str()), "{part}: {}", said.stdout);
        let damaged = place.ask(&["verify", "-o", "json"]).exits(5).json();
        assert_eq!((&damaged["clean"], damaged["damaged"].as_array().unwrap().len()), (&json!(false), 1));
        place.ask(&["show", named]).exits(5).says(&["rerail verify"]);
        place.ask(&["export", named]).exits(5);
        place.ask(&["resume", named, "--retry", "three", "--reason", "x"]).exits(5);
        place.ask(&["show", other]).exits(0).says(&["success"]);
        place.ask(&["verify", other]).exits(0);
        place.ask(&["runs"]).exits(0);
    }
    // New runs are recorded beside a damaged one.
    place.ask(&["run", "work", "-i", &gate.input(), "--yes"]).exits(0);
    replace(&file, &whole);
    place.ask(&["verify"]).exits(0);
}

/// Moves everything from the log into the database.
fn settle(file: &Path) {
    let db = rusqlite::Connection::open(file).unwrap();
    db.execute_batch("VACUUM; PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
}

/// Puts other bytes in place of the database.
fn replace(file: &Path, bytes: &[u8]) {
    for beside in ["-wal", "-shm"] {
        std::fs::remove_file(format!("{}{beside}", file.display())).ok();
    }
    std::fs::write(file, bytes).unwrap();
}
