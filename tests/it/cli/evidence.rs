//! What a store can show for itself: signed checkpoints, what `verify` says with and without one, and pruning.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rusqlite::params;

use rerail::engine::ids::RunId;
use rerail::journal::{Checkpoint, Hash};

use crate::cli::kit::{Backend, Done, Place};

/// A place with one run that has ended, and its line.
fn signed() -> (Place, Backend, String) {
    let (place, backend) = (Place::new(), Backend::start());
    let done = place.run(&["run", "look", "-i", &backend.input(), "-o", "json"]).expect(12);
    let line = done.json()["checkpoint"].as_str().unwrap().to_owned();
    (place, backend, line)
}

fn database(place: &Path) -> rusqlite::Connection {
    rusqlite::Connection::open(place.join("state/journal.db")).unwrap()
}

/// Cuts the last events off with all that counts them, so that every hash fits.
fn cut(place: &Path, left: u64) {
    let db = database(place);
    db.execute("DELETE FROM events WHERE run = 1 AND seq >= ?1", [left]).unwrap();
    db.execute(
        "UPDATE runs SET last_seq = ?1 - 1, head = (SELECT hash FROM events WHERE run = 1 AND seq = ?1 - 1),
                status = 'running', ended_at = NULL",
        [left],
    )
    .unwrap();
    db.execute("DELETE FROM checkpoints", []).unwrap();
}

#[test]
fn verify_says_what_is_and_what_is_not_proven_before_and_after_somebody_was_there() {
    let (place, _backend, line) = signed();
    place.file("kept.txt", &format!("posted in #incidents:\n{line}\n"));
    let before = place.run(&["verify", "--checkpoint", "kept.txt"]).expect(0);
    insta::assert_snapshot!("verify_of_what_nobody_touched", before.shown());

    let whole = std::fs::read(place.path().join("state/journal.db-wal")).unwrap();
    let edit = "UPDATE events SET body = replace(body, 'with 502.', 'with 402.') WHERE body LIKE '%with 502.%'";
    assert_eq!(database(place.path()).execute(edit, []).unwrap(), 1);
    let edited = place.run(&["verify", "--checkpoint", &line]).expect(5);
    insta::assert_snapshot!("verify_after_one_byte_was_edited", edited.shown());

    // As it was: the edit was in the log alone.
    for name in ["journal.db-shm", "journal.db-wal"] {
        std::fs::remove_file(place.path().join("state").join(name)).ok();
    }
    std::fs::write(place.path().join("state/journal.db-wal"), whole).unwrap();
    std::fs::set_permissions(place.path().join("state/journal.db-wal"), std::fs::Permissions::from_mode(0o600))
        .unwrap();
    place.run(&["verify", "--checkpoint", &line]).expect(0);

    cut(place.path(), 4);
    place.run(&["verify"]).expect(0);
    let was_cut = place.run(&["verify", "--checkpoint", &line]).expect(5);
    insta::assert_snapshot!("verify_after_the_end_was_cut_off", was_cut.shown());
    let json = place.run(&["verify", "--checkpoint", "kept.txt", "-o", "json"]).expect(5).json();
    assert_eq!((&json["clean"], &json["proven"]), (&false.into(), &serde_json::json!([])));
    assert!(json["kept"][0]["why"].as_array().unwrap().len() == 2, "{json}");
}

#[test]
fn a_line_kept_elsewhere_tells_who_rewrites_everything_with_a_key_of_their_own() {
    let (place, _backend, line) = signed();
    std::fs::remove_file(place.path().join("state/store.key")).unwrap();
    let db = database(place.path());
    let id: String = db.query_row("SELECT id FROM runs", [], |row| row.get(0)).unwrap();
    let mut hash = Hash::origin(id.parse::<RunId>().unwrap());
    let mut select = db.prepare("SELECT seq, body FROM events ORDER BY seq").unwrap();
    let rows = select.query_map([], |row| Ok((row.get::<_, u64>(0)?, row.get::<_, String>(1)?))).unwrap();
    for (seq, body) in rows.map(Result::unwrap).collect::<Vec<_>>() {
        let body = body.replace("with 502.", "with 402.");
        let first = hash == Hash::origin(id.parse().unwrap());
        hash = hash.next(seq, body.as_bytes());
        db.execute("UPDATE events SET body = ?2, hash = ?3 WHERE seq = ?1", params![seq, body, hash.as_bytes()])
            .unwrap();
        if first {
            db.execute("UPDATE newest SET hash = ?1", [hash.to_string()]).unwrap();
        }
    }
    db.execute("UPDATE runs SET head = ?1", [hash.as_bytes()]).unwrap();
    db.execute("DELETE FROM checkpoints", []).unwrap();
    place.run(&["checkpoint"]).expect(0);
    place.run(&["verify"]).expect(0);
    let told = place.run(&["verify", "--checkpoint", &line]).expect(5);
    assert!(told.out.contains("it is signed by rerail-ed25519:"), "{}", told.out);
}

#[test]
fn the_end_of_a_run_is_signed_and_its_line_stands_wherever_the_run_is_told() {
    let (place, backend, line) = signed();
    assert!(line.starts_with("rerail-checkpoint-1 rerail-ed25519:"), "{line}");
    assert!(line.parse::<Checkpoint>().unwrap().is_signed());
    for args in [
        &["show"][..],
        &["show", "-o", "json"],
        &["export", "@last"],
        &["export", "@last", "--format", "html"],
        &["export", "@last", "--format", "json"],
        &["checkpoint", "@last"],
        &["checkpoint"],
        &["checkpoint", "-o", "json"],
    ] {
        let done = place.run(args).expect(0);
        assert!(format!("{}{}", done.out, done.err).contains(&line), "{args:?}: {}", done.out);
    }
    let said = place.run(&["run", "look", "-i", &backend.input()]).expect(12);
    assert!(said.err.contains("rerail-checkpoint-1 ") && !said.out.contains("rerail-checkpoint-1 "), "{}", said.err);
    let quiet = place.run(&["run", "look", "-i", &backend.input(), "-q"]).expect(12);
    assert!(!format!("{}{}", quiet.out, quiet.err).contains("rerail-checkpoint-1"), "{}", quiet.err);

    // An export is enough to hold the journal against.
    let page = place.run(&["export", "@last", "--format", "html"]).expect(0).out;
    place.file("page.html", &page);
    let held = place.run(&["verify", "@last", "--checkpoint", "page.html"]).expect(0);
    assert!(held.out.contains("kept elsewhere"), "{}", held.out);
}

#[test]
fn a_key_that_cannot_be_used_ends_no_run_and_is_told() {
    let (place, backend, _) = signed();
    let key = place.path().join("state/store.key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let done = place.run(&["run", "look", "-i", &backend.input()]).expect(12);
    for says in ["the end of this run is not signed", "chmod 600", "rerail checkpoint"] {
        assert!(done.err.contains(says), "{}", done.err);
    }
    assert!(place.run(&["checkpoint"]).expect(1).err.contains("chmod 600"));
    assert!(place.run(&["verify"]).expect(0).err.contains("chmod 600"));
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert!(place.run(&["verify"]).expect(0).err.contains("ended runs without a signed checkpoint: 1."));
    let line = place.run(&["checkpoint"]).expect(0).out;
    assert!(line.contains(" no=2 "), "{line}");
    assert!(!place.run(&["verify"]).expect(0).err.contains("without a signed checkpoint"));
}

#[test]
fn what_is_given_as_a_checkpoint_and_is_none_is_told_before_anything_is_read() {
    let (place, _backend, line) = signed();
    place.file("empty.txt", "");
    for (given, says) in [
        ("nowhere.txt", "reading `nowhere.txt` failed"),
        ("empty.txt", "`empty.txt` holds no signed checkpoint"),
        ("rerail-checkpoint-1", "not a whole signed checkpoint"),
        (&line[..120], "not a whole signed checkpoint"),
    ] {
        let done = place.run(&["verify", "--checkpoint", given]).expect(2);
        assert!(done.err.contains(says), "{}", done.err);
    }
    let nothing = Place::new();
    assert_eq!(nothing.run(&["checkpoint", "-o", "json"]).expect(0).json(), serde_json::Value::Null);
    nothing.run(&["verify", "--checkpoint", &line]).expect(5);
}

fn three_runs() -> (Place, Vec<String>) {
    let (place, backend) = (Place::new(), Backend::start());
    let runs = (0..3).map(|_| {
        place.run(&["run", "look", "-i", &backend.input(), "-q"]).expect(12);
        place.last()
    });
    let runs = runs.collect();
    (place, runs)
}

#[test]
fn a_pruned_run_says_so_and_the_rest_still_verifies() {
    let (place, runs) = three_runs();
    let line = place.run(&["checkpoint"]).expect(0).out;
    let middle = runs[1].as_str();
    let asked = place.run(&["prune", middle, "--reason", "holds a customer's name"]).expect(2);
    assert!(asked.err.contains("nobody can be asked here") && asked.err.contains(middle), "{}", asked.err);
    let json = place
        .run(&["prune", middle, middle, "--reason", "holds a customer's name", "--yes", "-o", "json"])
        .expect(0)
        .json();
    assert_eq!(json["pruned"][0]["reason"], "holds a customer's name");
    assert_eq!(json["checkpoint"]["pruned"], true);
    for command in [&["show", middle][..], &["export", middle], &["show", &format!("look/{middle}")]] {
        let said = place.run(command).expect(2);
        assert!(said.err.contains("was pruned by") && said.err.contains("customer's name"), "{}", said.err);
    }
    let verified = place.run(&["verify", "--checkpoint", line.trim()]).expect(0);
    assert!(verified.out.contains("pruned with `store.key`, as their tombstones say: 1"), "{}", verified.out);
    assert_eq!(place.run(&["runs", "--json"]).expect(0).json().as_array().unwrap().len(), 2);
    database(place.path()).execute("UPDATE tombstones SET body = replace(body, 'customer', 'nobody')", []).unwrap();
    place.run(&["verify"]).expect(5);
}

#[test]
fn by_age_the_newest_of_each_runbook_stay_and_nothing_names_what_is_freed() {
    let (place, runs) = three_runs();
    assert!(
        place
            .run(&["prune", "--before", "2001-01-01", "--reason", "old", "-y"])
            .expect(0)
            .out
            .contains("0 runs removed")
    );
    let done = place.run(&["prune", "--before", "0s", "--keep", "1", "--reason", "old", "-y"]).expect(0);
    assert!(done.out.starts_with("2 runs removed; "), "{}", done.out);
    assert_eq!(place.last(), runs[2]);
    place.run(&["show", &runs[2]]).expect(0);
    let blobs =
        || database(place.path()).query_row("SELECT count(*) FROM blobs", [], |row| row.get::<_, u64>(0)).unwrap();
    assert!(blobs() > 0, "what the last run names is there");
    place.run(&["prune", &runs[2], "--reason", "old", "-y"]).expect(0);
    assert_eq!(blobs(), 0, "and goes with it");
    place.run(&["verify"]).expect(0);
    assert!(place.run(&["prune", "--before", "yesterday", "--reason", "old"]).expect(2).err.contains("--before takes"));
    assert!(place.run(&["prune", "--reason", "old"]).code == 2, "neither runs nor a moment");
    assert!(place.run(&["prune", "--before", "0s", "--reason", " ", "-y"]).expect(2).err.contains("reason"));
}

#[test]
fn what_has_not_ended_or_is_driven_is_not_pruned() {
    let (place, backend) = (Place::new(), Backend::start());
    place.run(&["run", "fix", "-i", &backend.input(), "--yes"]).expect(13);
    let waiting = place.last();
    let refused = place.run(&["prune", &waiting, "--reason", "old", "-y"]).expect(18);
    assert!(refused.err.contains("has not ended (waiting)"), "{}", refused.err);
    assert!(place.run(&["prune", "--before", "0s", "--reason", "old", "-y"]).expect(0).out.contains("0 runs removed"));

    place.run(&["run", "look", "-i", &backend.input(), "-q"]).expect(12);
    let run = place.last();
    let store = rerail::journal::Store::open(&place.path().join("state")).unwrap();
    let row = store.find_run(&run).unwrap();
    let somebody = rerail::journal::Holder {
        pid: std::process::id(),
        host: "here".into(),
        user: "ben".into(),
        since: jiff::Timestamp::now(),
    };
    let held = store.acquire(row.run, somebody).unwrap();
    let refused = place.run(&["prune", &run, "--reason", "old", "-y"]).expect(18);
    assert!(refused.err.contains("stays: the run is driven by ben"), "{}", refused.err);
    drop(held);
    place.run(&["prune", &run, "--reason", "old", "-y"]).expect(0);
}

#[test]
fn killed_at_every_boundary_a_run_is_there_or_its_tombstone_is() {
    let mut killed = 0;
    for k in 1.. {
        assert!(k < 50, "it ends at last");
        let (place, _backend, line) = signed();
        let run = place.last();
        let mut command = place.command(&["prune", &run, "--reason", "old", "--yes"]);
        let died = command.env("RERAIL_CRASH_AT", k.to_string()).output().unwrap();
        let verified = place.run(&["verify", "--checkpoint", &line]).expect(0);
        let shown = place.run(&["show", &run]);
        match shown.code {
            0 => assert!(verified.out.contains("1 run, "), "{}", verified.out),
            _ => assert!(shown.err.contains("was pruned by") && verified.out.contains("0 runs, "), "{}", verified.out),
        }
        let done = Done::of(died);
        if done.code == 0 {
            break;
        }
        killed += 1;
        // Whatever was left is taken up by doing the same again.
        place.run(&["prune", "--before", "0s", "--reason", "old", "--yes"]).expect(0);
        assert!(place.run(&["show", &run]).expect(2).err.contains("was pruned by"));
        assert_eq!(database(place.path()).query_row("SELECT count(*) FROM blobs", [], |row| row.get(0)), Ok(0));
    }
    assert!(killed >= 4, "{killed}");
}
