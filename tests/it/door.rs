//! A project, a store and the door to both, as a surface has them: for tests of `runs`.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rerail::engine::event::{Actor, Body, Event};
use rerail::engine::facts::Facts;
use rerail::engine::machine::Waits;
use rerail::project::Project;
use rerail::redact::Redactor;
use rerail::runbook::problem::render;
use rerail::runs::{Control, DecideRequest, Foreground, Left, RunRow, Runs, RunsError, StartRequest, Watcher};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

/// Draws nothing.
struct Unseen;

impl Watcher for Unseen {
    fn events(&mut self, _: &[Event], _: &Facts) {}
    fn waiting(&mut self, _: &Waits, _: &Facts) {}
}

/// Projects beside each other and one store; gone at the end.
pub struct Place(tempfile::TempDir);

impl Place {
    /// With one project, `project`, that allows nothing.
    pub fn new() -> Place {
        let place = Place(tempfile::tempdir().unwrap());
        place.file("project/rerail.yaml", "version: 1\n")
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    pub fn file(self, path: &str, text: impl AsRef<[u8]>) -> Place {
        self.write(path, text);
        self
    }

    pub fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// The runbook `name` of the project: the lines after its head.
    pub fn runbook(self, name: &str, body: &str) -> Place {
        let text = head(body);
        self.file(&format!("project/runbooks/{name}.yaml"), text)
    }

    /// A target with one secret, `TOKEN`, that comes from `secret.txt`.
    pub fn secret(self, value: &str) -> Place {
        self.file("project/targets/here.yaml", "version: 1\nsecrets: { TOKEN: { from: file, path: secret.txt } }\n")
            .file("project/secret.txt", value)
    }

    /// The door, for who stands in `project`. Each is like a process of its own.
    pub fn runs(&self) -> Runs {
        self.runs_in("project")
    }

    pub fn runs_in(&self, dir: &str) -> Runs {
        let project = Project::discover(&self.path(dir)).unwrap();
        Runs::open(self.path("state"), project, Redactor::new())
    }

    pub fn row(&self) -> RunRow {
        self.runs().find("@last").unwrap()
    }

    pub fn events(&self) -> Vec<Event> {
        self.runs().events(&self.row()).unwrap()
    }
}

/// A runbook or action with these lines.
pub fn head(body: &str) -> String {
    format!("version: 1\ntitle: A test\nowner: tests\nreviewed: 2026-11-01\n{body}")
}

pub fn ana() -> Actor {
    Actor::new("ana", "test")
}

pub fn ben() -> Actor {
    Actor::new("ben", "test")
}

pub fn request(runbook: &str) -> StartRequest {
    StartRequest { runbook: runbook.to_owned(), ..StartRequest::default() }
}

/// A foreground where nobody is, and the way to it.
pub fn foreground(attended: bool) -> (UnboundedSender<Control>, Foreground) {
    let (sender, control) = unbounded_channel();
    (sender, Foreground { watcher: Box::new(Unseen), control, attended, actor: ana() })
}

pub fn start(runs: &Runs, request: &StartRequest) -> Result<Left, RunsError> {
    let prepared = runs.prepare(request)?;
    Ok(runs.start(prepared, foreground(false).1)?.left().expect("nothing that is attached"))
}

/// Starts a runbook that must be able to start.
pub fn started(runs: &Runs, request: &StartRequest) -> Left {
    start(runs, request).unwrap_or_else(|error| panic!("{error}\n{}", render(&error.problems, false)))
}

pub fn resume(runs: &Runs, run: &RunRow, decisions: Vec<DecideRequest>) -> Result<Left, RunsError> {
    runs.resume(run, decisions, None, foreground(false).1)
}

/// Message and hints of what must fail.
pub fn refused<T>(result: Result<T, RunsError>) -> String {
    match result {
        Ok(_) => panic!("expected an error"),
        Err(error) => [vec![error.message], error.hints].concat().join(" | "),
    }
}

/// Notes with who wrote them.
pub fn notes(events: &[Event]) -> Vec<(String, Option<String>)> {
    events
        .iter()
        .filter_map(|event| match &event.body {
            Body::Note { text, actor, .. } => Some((text.clone(), actor.as_ref().map(|actor| actor.id.clone()))),
            _ => None,
        })
        .collect()
}

/// A server that counts its requests and answers each with `answer`; an empty one hangs up.
pub fn server(answer: &'static str) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let count = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&count);
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            seen.fetch_add(1, Ordering::SeqCst);
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|count| count == 1) {
                head.push(byte[0]);
            }
            stream.write_all(answer.as_bytes()).ok();
        }
    });
    (url, count)
}

/// One pair as it is typed after `rerail answer RUN`.
pub fn typed(key: &str, text: &str) -> Vec<(String, String)> {
    vec![(key.to_owned(), text.to_owned())]
}
