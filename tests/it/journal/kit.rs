//! Plain events, and another process to share a store with.

use std::io::{BufRead, BufReader, Lines, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use rerail::engine::event::{Actor, Body, EVENT_VERSION, Event, RunStarted};
use rerail::engine::ids::RunId;
use rerail::journal::{Append, Committed, Drive, Error, Holder, Journal, Store};
use rerail::script::value::Map;

/// Set for a child: the directory of the store.
pub const STORE: &str = "RERAIL_TEST_STORE";
/// Its binary; not known inside the child itself.
const CHILD: &str = match option_env!("CARGO_BIN_EXE_journal-child") {
    Some(path) => path,
    None => "",
};

/// Set for a child: the run.
pub const RUN: &str = "RERAIL_TEST_RUN";

pub fn new_run() -> RunId {
    RunId::new(uuid::Uuid::now_v7())
}

pub fn actor() -> Actor {
    Actor::new("ana", "cli")
}

pub fn holder() -> Holder {
    Holder {
        pid: std::process::id(),
        host: "here".into(),
        user: "ana".into(),
        since: "2026-11-01T10:00:00Z".parse().unwrap(),
    }
}

pub fn event(seq: u64, body: Body) -> Event {
    Event { v: EVENT_VERSION, seq, ts: "2026-11-01T10:00:00.5Z".parse().unwrap(), body }
}

pub fn started(run: RunId) -> Event {
    event(
        0,
        Body::RunStarted(Box::new(RunStarted {
            semantics: 1,
            run,
            runbook: "backend-down".into(),
            title: "Backend down".into(),
            files: Vec::new(),
            target: None,
            root: None,
            inputs: Map::new(),
            vars: Map::new(),
            providers: Map::new(),
            actor: actor(),
            reason: None,
            incident: None,
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

pub fn note(seq: u64, text: &str) -> Event {
    event(seq, Body::Note { text: text.into(), actor: None, step: None })
}

pub fn append(store: &Store, drive: &Drive, events: Vec<Event>) -> Result<Committed, Error> {
    store.append(Append::events(drive.run(), drive.fence(), events)).wait()
}

/// Takes a new run and writes its start.
pub fn start(store: &Store) -> Drive {
    let run = new_run();
    let drive = store.acquire(run, holder()).unwrap();
    append(store, &drive, vec![started(run)]).unwrap();
    drive
}

/// Another process, spoken to in lines.
pub struct Other {
    child: Child,
    said: Lines<BufReader<ChildStdout>>,
    stdin: ChildStdin,
}

impl Other {
    /// Starts the child (`child.rs`), behind `wrapper` if there is one.
    pub fn start(wrapper: &[&str], task: &str, dir: &Path, run: RunId) -> Other {
        let child = Path::new(CHILD);
        let mut command = match wrapper {
            [] => Command::new(child),
            [program, args @ ..] => {
                let mut command = Command::new(program);
                command.args(args).arg(child);
                command
            }
        };
        let mut child = command
            .arg(task)
            .env(STORE, dir)
            .env(RUN, run.uuid())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap()).lines();
        let stdin = child.stdin.take().unwrap();
        Other { child, said, stdin }
    }

    /// The next thing it says; `None` once it is gone.
    pub fn hears(&mut self) -> Option<String> {
        loop {
            let line = self.said.next()?.ok()?;
            if let Some(said) = line.strip_prefix("> ") {
                return Some(said.to_owned());
            }
        }
    }

    pub fn tell(&mut self, line: &str) {
        writeln!(self.stdin, "{line}").unwrap();
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(self.child.id() as i32).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Kills it, and gives what it had said that nobody heard yet.
    pub fn kill(mut self) -> Vec<String> {
        self.signal(rustix::process::Signal::KILL);
        let mut rest = Vec::new();
        while let Some(said) = self.hears() {
            rest.push(said);
        }
        self.child.wait().unwrap();
        rest
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
