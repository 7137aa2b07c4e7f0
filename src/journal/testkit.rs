//! What the journal's own tests start from: a store in a temporary directory and plain events.

use tempfile::TempDir;

use crate::engine::event::{Actor, Body, EVENT_VERSION, Event, RunStarted};
use crate::engine::ids::RunId;
use crate::engine::outcome::RunOutcome;
use crate::journal::append::{Append, Committed, Journal};
use crate::journal::error::Error;
use crate::journal::lease::{Drive, Holder};
use crate::journal::store::Store;
use crate::script::value::Map;

pub(super) fn store() -> (TempDir, Store) {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&base.path().join("store")).unwrap();
    (base, store)
}

pub(super) fn new_run() -> RunId {
    RunId::new(uuid::Uuid::now_v7())
}

pub(super) fn actor(id: &str) -> Actor {
    Actor::new(id, "cli")
}

pub(super) fn holder() -> Holder {
    Holder {
        pid: std::process::id(),
        host: "here".into(),
        user: "ana".into(),
        since: "2026-11-01T10:00:00Z".parse().unwrap(),
    }
}

pub(super) fn event(seq: u64, body: Body) -> Event {
    Event { v: EVENT_VERSION, seq, ts: "2026-11-01T10:00:00.5Z".parse().unwrap(), body }
}

pub(super) fn started(run: RunId, runbook: &str) -> Event {
    event(
        0,
        Body::RunStarted(Box::new(RunStarted {
            semantics: 1,
            run,
            runbook: runbook.into(),
            title: "Backend down".into(),
            files: Vec::new(),
            target: Some("production".into()),
            root: None,
            inputs: Map::new(),
            vars: Map::new(),
            providers: Map::new(),
            actor: actor("ana"),
            reason: None,
            incident: Some("INC-7".into()),
            effects: Vec::new(),
            fence: 0,
            group: None,
            previous: None,
            timeout_ms: None,
            floors: None,
            cover: None,
            plan: None,
            traceparent: None,
            rehearsal: false,
            store: None,
        })),
    )
}

pub(super) fn note(seq: u64) -> Event {
    event(seq, Body::Note { text: format!("note {seq}"), actor: Some(actor("ana")), step: None })
}

pub(super) fn finished(seq: u64) -> Event {
    event(
        seq,
        Body::RunFinished {
            outcome: RunOutcome::Success,
            failed_step: None,
            error: None,
            outputs: Map::new(),
            message: None,
        },
    )
}

/// Takes a new run and writes its start.
pub(super) fn start(store: &Store, runbook: &str) -> Drive {
    let run = new_run();
    let drive = store.acquire(run, holder()).unwrap();
    append(store, &drive, vec![started(run, runbook)]).unwrap();
    drive
}

pub(super) fn append(store: &Store, drive: &Drive, events: Vec<Event>) -> Result<Committed, Error> {
    store.append(Append::events(drive.run(), drive.fence(), events)).wait()
}

/// A connection of the test's own, to do what no rerail does.
pub(super) fn sql(store: &Store) -> rusqlite::Connection {
    rusqlite::Connection::open(store.file()).unwrap()
}
