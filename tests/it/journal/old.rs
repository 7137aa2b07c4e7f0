//! Journals of every released format are read for ever.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rerail::engine::event::{Actor, Body};
use rerail::engine::facts::Facts;
use rerail::journal::{Append, Claim, Claimed, Filter, Journal, Request, Status, Store, verify, verify_against};
use rerail::project::Project;
use rerail::redact::Redactor;
use rerail::runs::{Received, Runs};
use rerail::transcript::summary;

use super::kit::{event, holder, new_run};

/// Builds a store from a committed dump, as if its file had been kept.
fn restored(version: &str, dir: &Path) -> Store {
    let dump = format!("{}/tests/journals/{version}/journal.sql", env!("CARGO_MANIFEST_DIR"));
    std::fs::DirBuilder::new().mode(0o700).create(dir).unwrap();
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o700)).unwrap();
    let db = rusqlite::Connection::open(dir.join("journal.db")).unwrap();
    db.execute_batch("PRAGMA journal_mode = WAL").unwrap();
    db.execute_batch(&std::fs::read_to_string(dump).unwrap()).unwrap();
    let key = format!("{}/tests/journals/{version}/store.key", env!("CARGO_MANIFEST_DIR"));
    if let Ok(key) = std::fs::read(key) {
        std::fs::write(dir.join("store.key"), key).unwrap();
        std::fs::set_permissions(dir.join("store.key"), std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    Store::open(dir).unwrap()
}

#[test]
fn version_4_is_read_whole_with_its_signatures_and_its_tombstone() {
    let base = tempfile::tempdir().unwrap();
    let store = restored("v4", &base.path().join("store"));
    let rows = store.runs(&Filter::default()).unwrap();
    assert_eq!(rows.iter().map(|row| row.number).collect::<Vec<_>>(), [3, 1]);
    let newest = store.newest_checkpoint().unwrap().unwrap();
    let report = verify_against(&store, None, std::slice::from_ref(&newest)).unwrap();
    assert!(report.is_clean() && report.remarks.is_empty(), "{report:?}");
    assert_eq!((report.runs, report.pruned, report.checkpoints), (2, 1, 4));
    let tombstone = store.tombstone(&newest.claim.run.uuid()).unwrap().unwrap();
    assert_eq!((tombstone.store.number, tombstone.reason.as_str()), (2, "an example of pruning"));
    assert_eq!((newest.claim.number, newest.claim.store), (4, store.key().unwrap().public()));
}

/// Approvals of each kind of end, undos that stuck and that didn't, groups that were waited for, a take-over.
#[test]
fn version_4_is_read_whole_with_what_people_said_and_what_was_taken_back() {
    let base = tempfile::tempdir().unwrap();
    let store = restored("v4-people", &base.path().join("store"));
    let report = verify(&store, None).unwrap();
    assert!(report.is_clean() && report.remarks.is_empty(), "{report:?}");
    let mut told = BTreeMap::new();
    let mut statuses = BTreeMap::new();
    for row in store.runs(&Filter::default()).unwrap() {
        let events = store.events(row.run).unwrap();
        let words: Vec<_> = events.iter().map(|event| event.body.word()).collect();
        told.insert(row.runbook.clone(), words.join(" "));
        statuses.insert(row.runbook.clone(), row.status.word());
        let facts = Facts::fold(&events).unwrap();
        assert_eq!(summary::status(&facts), row.status.word(), "{}", row.runbook);
        for (event, line) in events.iter().zip(store.lines(row.run).unwrap()) {
            assert_eq!(serde_json::to_string(event).unwrap(), line.json, "written again as it was read");
        }
    }
    let ends = [
        ("ask", "rejected"),
        ("busy", "success"),
        ("kept-out", "success"),
        ("made", "undone"),
        ("reject", "rejected"),
        ("self", "failed"),
        ("waits", "success"),
    ];
    assert_eq!(statuses.iter().map(|(name, status)| (name.as_str(), *status)).collect::<Vec<_>>(), ends);
    for (runbook, words) in [
        ("ask", &["requested", "given", "void", "reminded", "expired"].map(|word| format!("approval.{word}"))[..]),
        ("reject", &["approval.rejected".to_owned()]),
        ("made", &["undo.started step.started step.finished undo.finished undo.started".to_owned()]),
        ("self", &["undo.started step.started step.finished undo.finished step.finished run.finished".to_owned()]),
        ("waits", &["concurrency.waiting".to_owned(), "concurrency.claimed".to_owned()]),
        ("kept-out", &["concurrency.busy".to_owned()]),
        ("busy", &["run.paused run.resumed run.taken".to_owned()]),
    ] {
        for word in words {
            assert!(told[runbook].contains(word.as_str()), "{runbook}: no `{word}` in {}", told[runbook]);
        }
    }
}

/// What programs sent, one worked through and one not yet, and a thing of a surface.
#[test]
fn version_6_is_read_whole_with_what_programs_sent_and_what_surfaces_keep() {
    let base = tempfile::tempdir().unwrap();
    let dir = base.path().join("store");
    let store = restored("v6", &dir);
    let report = verify(&store, None).unwrap();
    assert!(report.is_clean(), "{report:?}");
    drop(store);
    let runs = Runs::open(dir, Project::default(), Redactor::new());
    assert_eq!(runs.shelf("chat.cards").all().unwrap(), [("example".to_owned(), "an example of a card".to_owned())]);
    assert_eq!(runs.open_deliveries().unwrap(), 1);
    let delivery = runs.take_up_delivery("somebody").unwrap().unwrap();
    let told = [&delivery.source, &delivery.id, &delivery.body].map(String::as_str);
    assert_eq!(told, ["slack", "example-2", "{\"text\":\"two\"}"]);
    assert_eq!(runs.take_up_delivery("somebody").unwrap(), None, "the other one was worked through");
}

/// Who began a run where it was not a person at their terminal: a program for ana, and a caller with a span of their own.
#[test]
fn version_6_is_read_whole_with_the_program_and_the_span_that_runs_began_from() {
    let base = tempfile::tempdir().unwrap();
    let store = restored("v6-callers", &base.path().join("store"));
    let report = verify(&store, None).unwrap();
    assert!(report.is_clean() && report.remarks.is_empty(), "{report:?}");
    let rows = store.runs(&Filter::default()).unwrap();
    let mut first = Vec::new();
    for row in &rows {
        let events = store.events(row.run).unwrap();
        for (event, line) in events.iter().zip(store.lines(row.run).unwrap()) {
            assert_eq!(serde_json::to_string(event).unwrap(), line.json, "written again as it was read");
        }
        assert_eq!(summary::status(&Facts::fold(&events).unwrap()), "success");
        let Body::RunStarted(started) = events[0].body.clone() else { panic!("{events:?}") };
        first.push(started);
    }
    let [by_span, by_agent] = first.as_slice() else { panic!("{rows:?}") };
    let ana = Actor::person("ana", "mcp", vec!["oncall".to_owned()]).by_agent("robot 1.0");
    assert_eq!((&by_agent.actor, &by_agent.traceparent), (&ana, &None));
    assert!(by_agent.plan.is_some() && by_agent.cover.is_some() && rows[1].actor.via == "mcp");
    let span = by_span.traceparent.as_ref().map(ToString::to_string);
    assert_eq!(span.as_deref(), Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"));
    assert_eq!((by_span.actor.via.as_str(), &by_span.actor.agent), ("http", &None));
    // Whoever reads it as text finds them under these names.
    let line = |row: usize| store.lines(rows[row].run).unwrap()[0].json.clone();
    assert!(
        line(1).contains(r#""actor":{"id":"ana","via":"mcp","roles":["oncall"],"person":true,"agent":"robot 1.0"}"#)
    );
    assert!(line(0).contains(r#""traceparent":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01""#));
    let told: Vec<Actor> = store
        .events(rows[1].run)
        .unwrap()
        .into_iter()
        .filter_map(|event| match event.body {
            Body::AskAnswered { actor, .. } | Body::ApprovalGiven { actor, .. } => Some(actor),
            Body::Note { actor, .. } => actor,
            _ => None,
        })
        .collect();
    let person = Actor::person("ana", "cli", vec!["oncall".to_owned()]);
    assert_eq!(told, [ana.clone(), ana, person], "a program answers and notes, a person approves");
}

/// Two projects that share a store: a delivery of each waits, of one a request was answered and another alert is done.
#[test]
fn version_6_is_read_whole_where_the_project_stood_behind_the_name() {
    let base = tempfile::tempdir().unwrap();
    let dir = base.path().join("store");
    let store = restored("v6-projects", &dir);
    assert!(verify(&store, None).unwrap().is_clean());
    let request = |project: &str| Request {
        project: project.to_owned(),
        person: "root".to_owned(),
        key: "example-1".to_owned(),
        digest: "734f10f0ed6a0aa1fe6a8e5c72002408a0c3366073bef5e7886a2ebc1ff3795d".to_owned(),
        run: new_run(),
    };
    let Some(Claimed::Answered { status: 201, body }) = store.request(&request("/srv/shop")).unwrap() else {
        panic!("it was answered")
    };
    assert!(body.contains("01a202a0-4804-7561-bfd0-5cd3ac03d56f"), "{body}");
    assert_eq!(store.request(&request("/srv/bank")).unwrap(), None);
    let of = |root: Option<&str>| {
        let project = Project { root: root.map(PathBuf::from), ..Project::default() };
        Runs::open(dir.clone(), project, Redactor::new())
    };
    let (shop, bank, nobody) = (of(Some("/srv/shop")), of(Some("/srv/bank")), of(None));
    let kept =
        |runs: &Runs| ["alerts", "alerts.groups", "web.servers"].map(|name| runs.shelf(name).all().unwrap().len());
    assert_eq!([&shop, &bank, &nobody].map(kept), [[2, 2, 1], [1, 1, 1], [0, 0, 0]]);
    assert_eq!([&shop, &bank, &nobody].map(|runs| runs.open_deliveries().unwrap()), [1, 1, 0]);
    for (runs, run) in
        [(&shop, "01a202a0-5be4-73ed-a927-832a89eab02c"), (&bank, "01a202a0-67e0-71e5-8ea5-371d2977ecd7")]
    {
        let delivery = runs.take_up_delivery("somebody").unwrap().unwrap();
        assert_eq!((delivery.source.as_str(), delivery.run.uuid().as_str(), delivery.tries), ("alertmanager", run, 2));
        assert!(delivery.body.contains("frontend"), "it can still be opened: {}", delivery.body);
        let again = Received { source: "alertmanager", id: &delivery.id, body: "", matters: BTreeSet::new() };
        assert!(!runs.receive(&again).unwrap(), "it is known");
        assert_eq!(runs.take_up_delivery("somebody").unwrap(), None);
    }
}

/// What a server of the release before does on a store that a newer one has opened since.
#[test]
fn what_a_server_of_version_6_still_asks_of_a_newer_store_is_refused() {
    let base = tempfile::tempdir().unwrap();
    let store = restored("v6-projects", &base.path().join("store"));
    let old = rusqlite::Connection::open(store.file()).unwrap();
    for statement in [
        "INSERT INTO deliveries (source, id, at, run, body, not_before, tries) VALUES ('slack', '1', 0, '', x'', 0, 0)
            ON CONFLICT DO NOTHING",
        "UPDATE deliveries SET taker = 'a' WHERE number = (SELECT number FROM deliveries WHERE done_at IS NULL
            AND CASE WHEN instr(source, char(10)) = 0 THEN '' ELSE substr(source, instr(source, char(10)) + 1) END = '')",
        "INSERT INTO shelves (shelf, key, value, until) VALUES ('a', 'b', 'c', NULL)",
        "SELECT value FROM shelves WHERE shelf = 'a' AND key = 'b'",
        "INSERT INTO requests (person, key, digest, run, at) VALUES ('a', 'b', 'c', 'd', 0)",
        "SELECT run FROM requests WHERE person = 'a' AND key = 'b'",
    ] {
        let refused = old.execute_batch(statement).unwrap_err();
        assert!(refused.to_string().contains("no column") || refused.to_string().contains("no such column"), "{refused}");
    }
    // What it was in the middle of it can still put down.
    assert_eq!(old.execute("UPDATE deliveries SET done_at = 0, body = NULL WHERE number = 2", []).unwrap(), 1);
    drop(old);
    let db = rusqlite::Connection::open(store.file()).unwrap();
    db.execute_batch("DELETE FROM deliveries").unwrap();
    let shop = Project { root: Some("/srv/shop".into()), ..Project::default() };
    let runs = Runs::open(store.dir().to_owned(), shop, Redactor::new());
    assert!(runs.receive(&Received { source: "slack", id: "1", body: "x", matters: BTreeSet::new() }).unwrap());
    let number: i64 = db.query_row("SELECT number FROM deliveries", [], |row| row.get(0)).unwrap();
    assert_eq!(number, 4, "a number that was given away is never given again");
}

/// What servers were asked to do under keys: one answered with its run, one answered while its run waits, one that the
/// server was killed over.
#[test]
fn version_5_is_read_whole_with_the_requests_that_were_answered_and_the_one_that_was_not() {
    let base = tempfile::tempdir().unwrap();
    let store = restored("v5", &base.path().join("store"));
    let report = verify(&store, None).unwrap();
    assert!(report.is_clean() && report.remarks.is_empty(), "{report:?}");
    let rows = store.runs(&Filter::default()).unwrap();
    assert_eq!(rows.iter().map(|row| row.status.word()).collect::<Vec<_>>(), ["waiting", "success"]);
    let request = |key: &str, digest: &str| Request {
        project: String::new(),
        person: "root".to_owned(),
        key: key.to_owned(),
        digest: digest.to_owned(),
        run: new_run(),
    };
    let tidy = "3d7c71d21e415a4626c109eff8b92ed021cb1318c481d3a7b32ee00a4d7b32bc";
    let ask = "a9bab545e969ce5c5bc60cbd894c0e6d453018aa0c4145741addae8c348d6a34";
    for (key, digest, row) in [("example-1", tidy, &rows[1]), ("example-2", ask, &rows[0])] {
        let Some(Claimed::Answered { status: 201, body }) = store.request(&request(key, digest)).unwrap() else {
            panic!("{key} was answered")
        };
        assert!(body.contains(&row.run.uuid()), "{body}");
    }
    assert_eq!(store.request(&request("example-1", ask)).unwrap(), Some(Claimed::Other));
    let Some(Claimed::Begun { run }) = store.request(&request("example-3", ask)).unwrap() else {
        panic!("the server was killed while it stood in line")
    };
    assert_eq!(run.uuid(), "01a20137-a249-7682-995b-7191c6681235", "it begins under the name it was given");
}

#[test]
fn version_2_is_read_whole() {
    let base = tempfile::tempdir().unwrap();
    let store = restored("v2", &base.path().join("store"));
    let report = verify(&store, None).unwrap();
    assert!(report.is_clean(), "{report:?}");
    let rows = store.runs(&Filter::default()).unwrap();
    let success = Status::Ended(rerail::engine::outcome::RunOutcome::Success);
    assert_eq!(rows.iter().map(|row| row.status).collect::<Vec<_>>(), [success, success, Status::Paused]);
    let words: Vec<_> = store.events(rows[1].run).unwrap().iter().map(|event| event.body.word()).collect();
    assert_eq!(
        words.join(" "),
        "run.started step.skipped hold.on run.resumed hold.off step.started step.finished run.finished"
    );
    for row in &rows {
        for (event, line) in store.events(row.run).unwrap().iter().zip(store.lines(row.run).unwrap()) {
            assert_eq!(serde_json::to_string(event).unwrap(), line.json, "written again as it was read");
        }
    }
    let Body::RunStarted(started) = &store.events(rows[0].run).unwrap()[0].body else { panic!() };
    assert_eq!((started.fence, started.previous.as_ref().map(|previous| previous.run)), (1, Some(rows[1].run)));
    let Body::RunPaused { actor, .. } = &store.events(rows[2].run).unwrap()[3].body else { panic!() };
    assert_eq!(actor.as_ref().unwrap().id, "root");

    assert_eq!(store.last_hold().unwrap().unwrap().on().unwrap().reason, "second upgrade");
    let next = store.acquire(new_run(), holder()).unwrap();
    let claim = |group| store.claim(next.run(), next.fence(), group, false).wait().unwrap();
    assert!(matches!(claim("queue/true"), Claim::Busy(taker) if taker.run == Some(rows[2].run)));
    assert_eq!(claim("queue/false"), Claim::Taken);
}

#[test]
fn version_1_is_read_whole() {
    let base = tempfile::tempdir().unwrap();
    let store = restored("v1", &base.path().join("store"));
    let report = verify(&store, None).unwrap();
    assert!(report.is_clean(), "{report:?}");
    assert_eq!((report.runs, report.checkpoints), (2, 0));
    assert!(report.remarks[0].starts_with("ended runs without a signed checkpoint: 1."), "{report:?}");

    let rows = store.runs(&Filter::default()).unwrap();
    let seen: Vec<_> = rows.iter().map(|row| (row.runbook.as_str(), row.status)).collect();
    assert_eq!(
        seen,
        [
            ("crash-loop", Status::Waiting),
            ("backend-down", Status::Ended(rerail::engine::outcome::RunOutcome::Success))
        ]
    );
    let words: Vec<_> = store.events(rows[1].run).unwrap().iter().map(|event| event.body.word()).collect();
    let all = "run.started step.started step.observed step.finished finding log step.skipped ask.asked ask.answered \
               step.started run.paused run.resumed evidence outcome.set note run.cancelled run.finished";
    assert_eq!(words.join(" "), all);
    for row in &rows {
        for (event, line) in store.events(row.run).unwrap().iter().zip(store.lines(row.run).unwrap()) {
            assert_eq!(serde_json::to_string(event).unwrap(), line.json, "written again as it was read");
        }
    }
    let pending = store.pending_signals(rows[0].run).unwrap();
    assert!(matches!(pending[0].body, Ok(Body::AskAnswered { .. })));

    let drive = store.acquire(rows[0].run, holder()).unwrap();
    assert_eq!(drive.fence(), 2, "its last driver died with fence 1");
    let answer = Append {
        consumed: vec![pending[0].id],
        ..Append::events(drive.run(), drive.fence(), vec![event(2, pending[0].body.clone().unwrap())])
    };
    store.append(answer).wait().unwrap();
    assert!(verify(&store, None).unwrap().is_clean(), "written on as it was begun");
}
