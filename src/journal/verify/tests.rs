use super::*;
use crate::journal::append::{Append, Blob, Journal};
use crate::journal::testkit::{append, finished, holder, new_run, note, sql, start, started, store};

fn filled(store: &Store) -> Vec<RunId> {
    let mut runs = Vec::new();
    for _ in 0..3 {
        let drive = start(store, "backend-down");
        append(store, &drive, vec![note(1), note(2)]).unwrap();
        runs.push(drive.run());
    }
    runs
}

#[test]
fn a_store_nobody_touched_is_clean() {
    let (_base, store) = store();
    assert!(verify(&store, None).unwrap().is_clean(), "also an empty one");
    let runs = filled(&store);
    let report = verify(&store, None).unwrap();
    assert!(report.is_clean(), "{report:?}");
    assert_eq!((report.runs, report.events, report.head.number), (3, 9, 3));
    let one = verify(&store, Some(runs[1])).unwrap();
    assert_eq!((one.is_clean(), one.runs, one.events), (true, 1, 3));
    assert_eq!(one.run_head.map(|(seq, _)| seq), Some(2));
}

#[test]
fn a_removed_run_shows() {
    let (_base, store) = store();
    filled(&store);
    let base = verify(&store, None).unwrap().head;
    for (number, says) in
        [(2, "run number 2 is missing"), (3, "runs 2 to 3 are missing"), (1, "runs 1 to 3 are missing")]
    {
        sql(&store)
            .execute_batch(&format!(
                "DELETE FROM events WHERE run = {number}; DELETE FROM runs WHERE number = {number}"
            ))
            .unwrap();
        let report = verify(&store, None).unwrap();
        assert_eq!(report.store, [says.to_owned()]);
        assert_eq!(report.head, base);
    }
}

#[test]
fn a_renumbered_store_shows() {
    let (_base, store) = store();
    filled(&store);
    sql(&store)
        .execute_batch(
            "DELETE FROM events WHERE run = 2; DELETE FROM runs WHERE number = 2;
             UPDATE events SET run = 2 WHERE run = 3; UPDATE runs SET number = 2 WHERE number = 3;
             UPDATE newest SET number = 2",
        )
        .unwrap();
    let report = verify(&store, None).unwrap();
    assert_eq!(report.damaged.len(), 1, "{report:?}");
    assert!(report.damaged[0].why[0].contains("run number 3"), "{report:?}");
}

#[test]
fn every_kind_of_damage_is_told_once_and_does_not_hide_the_next() {
    let (_base, store) = store();
    filled(&store);
    sql(&store)
        .execute_batch(
            "UPDATE events SET body = 'x' WHERE run = 1 AND seq = 1;
             UPDATE runs SET runbook = 'other' WHERE number = 2;
             UPDATE counts SET runs = 7;
             INSERT INTO events VALUES (9, 0, '{}', zeroblob(32));",
        )
        .unwrap();
    let report = verify(&store, None).unwrap();
    let numbers: Vec<u64> = report.damaged.iter().map(|run| run.number).collect();
    assert_eq!(numbers, [1, 2], "{report:?}");
    assert!(report.damaged.iter().all(|run| run.why.len() == 1), "{report:?}");
    assert_eq!(report.store.len(), 2, "{report:?}");
}

#[test]
fn a_changed_or_missing_text_shows() {
    let (_base, store) = store();
    let run = new_run();
    let drive = store.acquire(run, holder()).unwrap();
    let blob = Blob::new("runbook", b"steps: []".to_vec());
    let mut first = started(run, "backend-down");
    if let Body::RunStarted(started) = &mut first.body {
        started.files.push(crate::engine::event::PinnedFile {
            kind: crate::runbook::program::FileKind::Runbook,
            name: "backend-down".into(),
            shown: "runbooks/backend-down.yaml".into(),
            digest: blob.digest().into(),
        });
    }
    store.append(Append { blobs: vec![blob], ..Append::events(run, drive.fence(), vec![first]) }).wait().unwrap();
    assert!(verify(&store, None).unwrap().is_clean());
    for change in ["UPDATE blobs SET bytes = x'00'", "DELETE FROM blobs"] {
        sql(&store).execute_batch(change).unwrap();
        for asked in [None, Some(run)] {
            let report = verify(&store, asked).unwrap();
            assert!(report.damaged[0].why[0].contains("backend-down"), "{report:?}");
        }
    }
}

#[test]
fn a_run_that_is_not_there_is_not_clean() {
    let (_base, store) = store();
    assert!(matches!(verify(&store, Some(new_run())), Err(Error::NoRun { .. })));
}

/// Three runs that have ended, and the line of the last.
fn signed(store: &Store) -> (Vec<RunId>, Checkpoint) {
    let mut runs = Vec::new();
    for _ in 0..3 {
        let drive = start(store, "backend-down");
        append(store, &drive, vec![note(1), note(2), finished(3)]).unwrap();
        runs.push(drive.run());
    }
    let last = store.checkpoint_of(runs[2]).unwrap().unwrap();
    (runs, last)
}

/// Does what somebody with the file and without the key can do so that everything fits: hashes of run 3 anew.
fn rehash(store: &Store) {
    let db = sql(store);
    let id: String = db.query_row("SELECT id FROM runs WHERE number = 3", [], |row| row.get(0)).unwrap();
    let mut hash = Hash::origin(id.parse().unwrap());
    let mut select = db.prepare("SELECT seq, body FROM events WHERE run = 3 ORDER BY seq").unwrap();
    let rows: Vec<(u64, String)> =
        select.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect();
    for (seq, body) in &rows {
        hash = hash.next(*seq, body.as_bytes());
        db.execute("UPDATE events SET hash = ?2 WHERE run = 3 AND seq = ?1", rusqlite::params![seq, hash.as_bytes()])
            .unwrap();
    }
    db.execute(
        "UPDATE runs SET last_seq = ?1, head = ?2 WHERE number = 3",
        rusqlite::params![rows.last().unwrap().0, hash.as_bytes()],
    )
    .unwrap();
}

#[test]
fn a_store_stands_up_to_its_own_lines_and_to_one_kept_elsewhere() {
    let (_base, store) = store();
    let (runs, kept) = signed(&store);
    for asked in [None, Some(runs[2])] {
        let report = verify_against(&store, asked, std::slice::from_ref(&kept)).unwrap();
        assert!(report.is_clean(), "{report:?}");
        assert_eq!(report.checkpoints, if asked.is_none() { 3 } else { 1 });
        assert!(report.proven().iter().any(|line| line.starts_with("checkpoint 3, signed")), "{:?}", report.proven());
        assert!(report.not_proven()[0].starts_with("anything after checkpoint 3"));
    }
    let other = verify_against(&store, Some(runs[0]), &[kept]).unwrap();
    assert!(!other.proven().iter().any(|line| line.contains("kept elsewhere")), "that run was not checked");
    let alone = verify(&store, None).unwrap();
    assert!(alone.not_proven()[0].contains("only a line kept elsewhere"), "{:?}", alone.not_proven());
}

#[test]
fn what_is_rewritten_so_that_every_hash_fits_is_found_by_the_signature() {
    let (_base, store) = store();
    signed(&store);
    sql(&store).execute("UPDATE events SET body = replace(body, 'note 2', 'nope 2') WHERE run = 3", []).unwrap();
    rehash(&store);
    let report = verify(&store, None).unwrap();
    assert!(report.damaged.is_empty(), "the chain alone sees nothing: {report:?}");
    assert!(report.store[0].contains("rewritten"), "{report:?}");
    assert!(report.proven().is_empty());
}

#[test]
fn a_tail_that_is_cut_with_all_that_counts_it_is_found_by_a_line_kept_elsewhere() {
    let (_base, store) = store();
    let (_, kept) = signed(&store);
    sql(&store)
        .execute_batch(
            "DELETE FROM events WHERE run = 3 AND seq > 1;
             UPDATE runs SET status = 'running', ended_at = NULL WHERE number = 3;
             DELETE FROM checkpoints WHERE number = 3",
        )
        .unwrap();
    rehash(&store);
    assert!(verify(&store, None).unwrap().is_clean(), "by itself it is a good store");
    let report = verify_against(&store, None, &[kept]).unwrap();
    let why = report.kept[0].why.join("; ");
    assert!(!report.is_clean() && why.contains("last checkpoint is 2") && why.contains("2 are left"), "{why}");
}

#[test]
fn a_removed_newest_run_is_found_by_its_line_here_or_kept_elsewhere() {
    let (_base, store) = store();
    let (runs, kept) = signed(&store);
    let before = store.lines(runs[1]).unwrap()[0].hash.to_string();
    sql(&store)
        .execute_batch(&format!(
            "DELETE FROM events WHERE run = 3; DELETE FROM runs WHERE number = 3;
             UPDATE newest SET number = 2, hash = '{before}'"
        ))
        .unwrap();
    assert!(verify(&store, None).unwrap().store[0].contains("gone without a tombstone"));
    sql(&store).execute("DELETE FROM checkpoints WHERE number = 3", []).unwrap();
    assert!(verify(&store, None).unwrap().is_clean());
    let why = verify_against(&store, None, &[kept]).unwrap().kept[0].why.join("; ");
    assert!(why.contains("gone without a tombstone"), "{why}");
}

#[test]
fn a_store_signed_anew_with_another_key_is_found_by_a_line_kept_elsewhere() {
    let (_base, store) = store();
    let (runs, kept) = signed(&store);
    std::fs::remove_file(store.dir().join(crate::journal::key::FILE)).unwrap();
    sql(&store).execute_batch("DELETE FROM checkpoints").unwrap();
    let again = Store::open(store.dir()).unwrap();
    again.checkpoint_all("2026-11-03T00:00:00Z".parse().unwrap()).unwrap();
    assert!(verify(&again, None).unwrap().is_clean(), "by itself it is a good store");
    for asked in [None, Some(runs[2])] {
        let report = verify_against(&again, asked, std::slice::from_ref(&kept)).unwrap();
        assert!(report.kept[0].why[0].contains("is signed by rerail-ed25519:"), "{report:?}");
    }
}

#[test]
fn every_edit_of_the_lines_in_the_store_is_found() {
    let changes = [
        ("UPDATE checkpoints SET line = replace(line, 'T10:00', 'T11:00') WHERE number = 2", "signature does not fit"),
        ("UPDATE checkpoints SET line = 'x' WHERE number = 2", "not a whole signed checkpoint"),
        ("UPDATE checkpoints SET events = 3 WHERE number = 2", "says something else"),
        ("DELETE FROM checkpoints WHERE number = 2", "signed checkpoint 2 is missing"),
        ("DELETE FROM checkpoints WHERE number = 1", "signed checkpoint 1 is missing"),
        (
            "UPDATE checkpoints SET number = 9 WHERE number = 1; UPDATE checkpoints SET number = 1 WHERE number = 2;
             UPDATE checkpoints SET number = 2 WHERE number = 9",
            "says something else",
        ),
    ];
    for (change, says) in changes {
        let (_base, store) = store();
        signed(&store);
        sql(&store).execute_batch(change).unwrap();
        let found = verify(&store, None).unwrap().store.join("; ");
        assert!(found.contains(says), "{change}: {found}");
    }
}

#[test]
fn swapped_runs_show_although_each_is_whole() {
    let (_base, store) = store();
    signed(&store);
    sql(&store)
        .execute_batch(
            "UPDATE events SET run = 9 WHERE run = 1; UPDATE runs SET number = 9 WHERE number = 1;
             UPDATE events SET run = 1 WHERE run = 2; UPDATE runs SET number = 1 WHERE number = 2;
             UPDATE events SET run = 2 WHERE run = 9; UPDATE runs SET number = 2 WHERE number = 9",
        )
        .unwrap();
    let report = verify(&store, None).unwrap();
    assert!(report.damaged.iter().any(|run| run.why.join(" ").contains("it was run number")), "{report:?}");
}

#[test]
fn an_end_that_is_not_signed_is_remarked_and_no_damage() {
    let (_base, store) = store();
    signed(&store);
    sql(&store).execute("DELETE FROM checkpoints WHERE number = 3", []).unwrap();
    let report = verify(&store, None).unwrap();
    assert!(
        report.is_clean() && report.remarks[0].starts_with("ended runs without a signed checkpoint: 1."),
        "{report:?}"
    );
}

#[test]
fn a_line_that_was_changed_on_its_way_is_told() {
    let (_base, store) = store();
    let (_, kept) = signed(&store);
    let forged = kept.to_string().replace("no=3", "no=2").parse().unwrap();
    let report = verify_against(&store, None, &[forged]).unwrap();
    assert!(report.kept[0].why[0].contains("signature does not fit"), "{report:?}");
}
