//! The real binary in a project and a store of its own, and a server that remembers every byte it was sent.

pub use rerail::world::http::Request;

pub use crate::services::skipped;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rerail::engine::event::Event;
use rerail::engine::facts::Facts;
use rerail::journal::{Filter, Store, verify};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value as Json;

/// The first byte of a client that wants to speak TLS.
const TLS_HANDSHAKE: u8 = 0x16;

/// Where a server is asked whether it has caught up.
const BARRIER: &str = "/barrier-of-the-ledger";

/// How long anything may take before a test is wrong rather than slow.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A project, its store, and the environment of one operator; gone at the end.
pub struct Place {
    dir: tempfile::TempDir,
    state: PathBuf,
    env: BTreeMap<String, String>,
}

impl Place {
    pub fn new() -> Place {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["project/runbooks", "project/targets", "home", "tmp"] {
            std::fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        std::fs::write(dir.path().join("project/rerail.yaml"), "version: 1\n").unwrap();
        let state = dir.path().join("state");
        Place { dir, state, env: BTreeMap::new() }
    }

    /// A runbook from its lines after `version` and `title`.
    pub fn runbook(self, name: &str, body: &str) -> Place {
        let text = format!("version: 1\ntitle: A test\nowner: tests\nreviewed: 2026-11-01\n{body}");
        self.file(&format!("runbooks/{name}.yaml"), &text)
    }

    pub fn file(self, path: &str, text: impl AsRef<[u8]>) -> Place {
        let path = self.project().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    pub fn env(mut self, name: &str, value: impl Into<String>) -> Place {
        self.env.insert(name.to_owned(), value.into());
        self
    }

    /// The store stands elsewhere.
    pub fn state_at(mut self, state: &Path) -> Place {
        self.state = state.to_owned();
        self
    }

    pub fn project(&self) -> PathBuf {
        self.dir.path().join("project")
    }

    pub fn state(&self) -> &Path {
        &self.state
    }

    /// A path for a file of the test itself, outside project and store.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// `rerail` with these arguments, nothing else known to it.
    pub fn rerail(&self, args: &[&str]) -> Command {
        self.through(&[], args)
    }

    /// The same behind another program, such as `strace`.
    pub fn through(&self, wrapper: &[&str], args: &[&str]) -> Command {
        let me = env!("CARGO_BIN_EXE_rerail");
        let mut command = match wrapper {
            [] => Command::new(me),
            [program, rest @ ..] => {
                let mut command = Command::new(program);
                command.args(rest).arg(me);
                command
            }
        };
        command.args(args).env_clear().current_dir(self.project()).stdin(Stdio::null());
        // `PATH` is for the wrapper.
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", self.beside("home")).env("TMPDIR", self.beside("tmp")).env("LANG", "C.UTF-8");
        command.env("RERAIL_STATE_DIR", &self.state).envs(&self.env);
        command
    }

    pub fn ask(&self, args: &[&str]) -> Said {
        Said::of(args, self.rerail(args).output().unwrap())
    }

    /// What must succeed, as JSON.
    pub fn json(&self, args: &[&str]) -> Json {
        self.ask(&[args, &["-o", "json"]].concat()).exits(0).json()
    }

    /// The fields of `show` that must be the same however often a run was interrupted.
    pub fn end_of(&self, run: &str) -> Json {
        let shown = self.json(&["show", run]);
        let field = |name: &str| (name.to_owned(), shown[name].clone());
        ["status", "outcome", "outputs", "failed_step", "error", "in_doubt"].map(field).into_iter().collect()
    }

    /// The events of the newest run, as the journal has them; none if no run is recorded.
    pub fn events(&self) -> Vec<Event> {
        if !self.state.join("journal.db").exists() {
            return Vec::new();
        }
        let store = Store::open(&self.state).unwrap();
        match store.runs(&Filter::default()).unwrap().first() {
            Some(newest) => store.events(newest.run).unwrap(),
            None => Vec::new(),
        }
    }

    pub fn facts(&self) -> Facts {
        Facts::fold(&self.events()).unwrap()
    }

    pub fn assert_journal_is_whole(&self, when: &str) {
        let report = verify(&Store::open(&self.state).unwrap(), None).unwrap();
        assert!(report.is_clean(), "{when}: {report:?}");
    }
}

/// What a process said and how it ended.
#[derive(Debug)]
pub struct Said {
    pub args: String,
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Said {
    pub fn of(args: &[&str], output: Output) -> Said {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Said { args: args.join(" "), status: output.status, stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    pub fn was_killed(&self) -> bool {
        self.status.signal() == Some(Signal::KILL.as_raw())
    }

    #[track_caller]
    pub fn exits(self, code: i32) -> Said {
        assert_eq!(self.code(), Some(code), "rerail {}\n{}\n{}", self.args, self.stdout, self.stderr);
        self
    }

    #[track_caller]
    pub fn says(self, parts: &[&str]) -> Said {
        let all = format!("{}\n{}", self.stdout, self.stderr);
        for part in parts {
            assert!(all.contains(part), "rerail {}: no `{part}` in\n{all}", self.args);
        }
        self
    }

    #[track_caller]
    pub fn json(&self) -> Json {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}", self.stdout))
    }
}

/// A `rerail` that goes on while the test does something else; killed if the test gives up.
pub struct Living {
    args: String,
    child: Option<Child>,
    /// What [`Living::hears`] has read of its standard error.
    heard: Vec<u8>,
}

impl Living {
    pub fn start(place: &Place, args: &[&str]) -> Living {
        Living::spawn(&args.join(" "), place.rerail(args))
    }

    pub fn spawn(args: &str, mut command: Command) -> Living {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Living { args: args.to_owned(), child: Some(command.spawn().unwrap()), heard: Vec::new() }
    }

    /// Kills it after a while, if it is still there then.
    pub fn killed_after(mut self, a_while: Duration) -> Said {
        std::thread::sleep(a_while);
        if self.is_alive() {
            self.signal(Signal::KILL);
        }
        self.ends()
    }

    fn child(&mut self) -> &mut Child {
        self.child.as_mut().expect("it is taken at the end only")
    }

    pub fn pid(&mut self) -> u32 {
        self.child().id()
    }

    pub fn signal(&mut self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.pid()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    pub fn is_alive(&mut self) -> bool {
        self.child().try_wait().unwrap().is_none()
    }

    /// Waits until it has said this on standard error.
    #[track_caller]
    pub fn hears(&mut self, text: &str) {
        while !String::from_utf8_lossy(&self.heard).contains(text) {
            let mut chunk = [0; 4096];
            let count = self.child().stderr.as_mut().expect("it is piped").read(&mut chunk).unwrap();
            let args = &self.args;
            assert!(count > 0, "rerail {args} ended without `{text}`:\n{}", String::from_utf8_lossy(&self.heard));
            self.heard.extend_from_slice(&chunk[..count]);
        }
    }

    /// Waits for its end.
    pub fn ends(mut self) -> Said {
        let args = self.args.clone();
        let began = Instant::now();
        while self.is_alive() {
            assert!(began.elapsed() < PATIENCE, "rerail {args} does not end");
            std::thread::sleep(Duration::from_millis(2));
        }
        let mut output = self.child.take().expect("it is taken here only").wait_with_output().unwrap();
        output.stderr.splice(0..0, std::mem::take(&mut self.heard));
        Said::of(&[&args], output)
    }
}

impl Drop for Living {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

/// Waits until something is true; the moment is the other process's to choose.
#[track_caller]
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "never happened: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// An HTTP server that enters every request into a ledger before it answers.
pub struct Ledger {
    pub url: String,
    pub port: u16,
    entries: Arc<Mutex<Vec<Request>>>,
    bytes: Arc<AtomicUsize>,
    open: Arc<AtomicUsize>,
}

impl Ledger {
    /// A server whose answers `answer` writes; it lives as long as the test's process.
    pub fn serve(answer: impl Fn(&Request, &mut TcpStream) + Send + Sync + 'static) -> Ledger {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let ledger = Ledger {
            url: format!("http://127.0.0.1:{port}"),
            port,
            entries: Arc::default(),
            bytes: Arc::default(),
            open: Arc::default(),
        };
        let answer = Arc::new(answer);
        let (entries, bytes, open) = (Arc::clone(&ledger.entries), Arc::clone(&ledger.bytes), Arc::clone(&ledger.open));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { continue };
                let (answer, entries, bytes) = (Arc::clone(&answer), Arc::clone(&entries), Arc::clone(&bytes));
                open.fetch_add(1, Ordering::SeqCst);
                let open = Arc::clone(&open);
                std::thread::spawn(move || {
                    while let Some(request) = read(&mut stream, &bytes) {
                        if request.path != BARRIER {
                            entries.lock().unwrap().push(request.clone());
                        }
                        answer(&request, &mut stream);
                    }
                    open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        ledger
    }

    /// Waits until all that was sent by processes that are gone now has been entered.
    pub fn settle(&self) {
        // Connections are taken in their order: once this one is, all before it are.
        let mut last = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        last.write_all(format!("GET {BARRIER} HTTP/1.1\r\n\r\n").as_bytes()).unwrap();
        assert_ne!(last.read(&mut [0; 64]).unwrap(), 0);
        drop(last);
        until("the server has read what it was sent", || self.open.load(Ordering::SeqCst) == 0);
    }

    pub fn entries(&self) -> Vec<Request> {
        self.entries.lock().unwrap().clone()
    }

    pub fn writes(&self) -> Vec<Request> {
        self.entries().into_iter().filter(Request::is_write).collect()
    }

    /// How often a write with this body came in.
    pub fn times(&self, body: &str) -> usize {
        self.writes().iter().filter(|request| request.body == body).count()
    }

    /// Bytes that came in, also of requests that never became whole.
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::SeqCst)
    }
}

/// One request, or nothing if the other side is gone or speaks TLS.
fn read(stream: &mut TcpStream, counted: &AtomicUsize) -> Option<Request> {
    let mut came: Vec<u8> = Vec::new();
    let mut chunk = [0; 8192];
    loop {
        if let Some(end) = came.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&came[..end]).into_owned();
            let mut words = head.split(' ');
            let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
            let mut request = Request { method, path, head, body: String::new() };
            let length = request.header("content-length").map_or(0, |length| length.parse().unwrap());
            if came.len() >= end + 4 + length {
                request.body = String::from_utf8_lossy(&came[end + 4..end + 4 + length]).into_owned();
                return Some(request);
            }
        }
        match stream.read(&mut chunk) {
            Ok(0) | Err(_) => return None,
            Ok(_) if came.is_empty() && chunk[0] == TLS_HANDSHAKE => return None,
            Ok(count) => {
                counted.fetch_add(count, Ordering::SeqCst);
                came.extend_from_slice(&chunk[..count]);
            }
        }
    }
}

/// Answers with JSON; whether anybody is still there to read it is not the server's business.
pub fn answer(stream: &mut TcpStream, json: &Json) {
    let body = json.to_string();
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all(format!("{head}{body}").as_bytes()).ok();
}

/// A number that was asked for in the environment, or this one.
pub fn from_env(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text}")))
}
