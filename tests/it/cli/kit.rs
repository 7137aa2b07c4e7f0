//! A project, a journal and a backend of their own for each test, and the binary on them.

#![expect(clippy::unwrap_used, reason = "a test that can't be set up has failed")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use regex::Regex;

/// Looks only.
pub const LOOK: &str = r#"
version: 1
title: Look at a backend
owner: platform
reviewed: 2026-11-01
tags: [own-look]
meaning: The backend does not answer.
impact: Nobody can log in.
inputs:
  base_url: { type: url, description: Public address }
  want: { type: int, default: 200, description: Status that is well }
steps:
  - id: health
    uses: http.probe
    with: { url: "${{ inputs.base_url }}/health", timeout: 5s }
  - id: facts
    script: |
      #{ up: steps.health.outputs.status == inputs.want, tried: [1, 2, 3] }
  - id: verdict
    findings:
      - when: steps.facts.outputs.up
        level: ok
        say: It answers with ${{ steps.health.outputs.status }}.
      - when: not(steps.facts.outputs.up)
        level: critical
        say: It answers with ${{ steps.health.outputs.status }}.
        suggest: { runbook: fix, with: { base_url: "${{ inputs.base_url }}" } }
outputs:
  up: "${{ steps.facts.outputs.up }}"
"#;

/// Asks, writes, waits.
pub const FIX: &str = r#"
version: 1
title: Put it right
owner: platform
reviewed: 2026-11-01
inputs:
  base_url: { type: url }
steps:
  - id: sure
    uses: human.ask
    with: { text: "Is it safe?", choices: [safe, not safe], expires: 5m }
  - id: set
    if: steps.sure.outputs.answer == "safe"
    uses: http.request
    with: { method: POST, url: "${{ inputs.base_url }}/vars", json: { a: 1 } }
  - id: healthy
    uses: http.probe
    with: { url: "${{ inputs.base_url }}/health" }
    until: result.ok
    every: 50ms
    within: 20s
"#;

/// One write, then something that must hold.
pub const SET: &str = r#"
version: 1
title: Set a variable
owner: platform
reviewed: 2026-11-01
inputs:
  base_url: { type: url }
  path: { type: string, default: /vars }
  well: { type: bool, default: true }
steps:
  - id: set
    uses: http.request
    with: { method: POST, url: "${{ inputs.base_url }}${{ inputs.path }}", json: { a: 1 } }
    timeout: 2s
  - id: right
    assert:
      - that: inputs.well
        else: it is not right
"#;

/// Waits for ever, as far as a test is concerned.
pub const WAIT: &str = r#"
version: 1
title: Wait for a backend
owner: platform
reviewed: 2026-11-01
inputs:
  base_url: { type: url }
steps:
  - id: healthy
    uses: http.probe
    with: { url: "${{ inputs.base_url }}/never" }
    until: result.ok
    every: 100ms
    within: 5m
finally:
  - id: bye
    uses: run.note
    with: { text: tidied up }
"#;

/// A directory with a project and a journal.
pub struct Place {
    dir: tempfile::TempDir,
}

/// What a command did.
pub struct Done {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Place {
    /// A project with the runbooks above.
    pub fn new() -> Place {
        let place = Place { dir: tempfile::tempdir().unwrap() };
        place.file("rerail.yaml", "version: 1\n");
        for (name, text) in [("look", LOOK), ("fix", FIX), ("set", SET), ("wait", WAIT)] {
            place.file(&format!("runbooks/{name}.yaml"), text.trim_start());
        }
        place
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn file(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// The binary in this place, with an environment of its own and no terminal.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rerail"));
        command.args(args).current_dir(self.path()).env_clear();
        command
            .env("HOME", self.path())
            .env("RERAIL_STATE_DIR", self.path().join("state"))
            .env("PATH", "/usr/bin:/bin");
        command.stdin(Stdio::null());
        command
    }

    pub fn run(&self, args: &[&str]) -> Done {
        Done::of(self.command(args).output().unwrap())
    }

    /// The run a command began, by its short id.
    pub fn last(&self) -> String {
        let rows = self.run(&["runs", "--json", "--limit", "1"]).json();
        rows[0]["run"].as_str().unwrap().to_owned()
    }
}

impl Done {
    pub fn of(output: Output) -> Done {
        Done {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}\n{}", self.out, self.err))
    }

    #[track_caller]
    pub fn expect(self, code: i32) -> Done {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }

    /// Both streams and the code, without what differs from run to run.
    pub fn shown(&self) -> String {
        redact(&format!("exit {}\n--- stdout\n{}--- stderr\n{}", self.code, self.out, self.err))
    }
}

/// The one place that says what differs from run to run.
pub fn redact(text: &str) -> String {
    let rules = [
        (r"rerail-ed25519:[\w-]{43}", "[key]"),
        (r"sig=[\w-]{86}", "sig=[signature]"),
        (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?Z", "[time]"),
        (r"\d\d:\d\d:\d\dZ", "[clock]"),
        (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "[uuid]"),
        (r"[0-9a-f]{64}", "[hash]"),
        (r"127\.0\.0\.1:\d+", "127.0.0.1:[port]"),
        (r"of run [0-9a-z]{6}\b", "of run [run]"),
        (r"run [0-9a-z]{6} had", "run [run] had"),
        (r"\b(look|fix|set|wait)/[0-9a-z]{6}\b", "$1/[run]"),
        (r"(resume|answer|show|cancel|--before) [0-9a-z]{6}\b", "$1 [run]"),
        (r#""run": "[0-9a-z]{6}""#, r#""run": "[run]""#),
        (r#""operator": "[^"]+""#, r#""operator": "[operator]""#),
        (r"operator: \S+", "operator: [operator]"),
        (r"\S+ asked to stop", "[operator] asked to stop"),
        (r"\b\d+m\d\ds\b|\b\d+(\.\d)?s\b|\b\d+ ?ms\b", "[took]"),
        (r#""ms": \d+"#, r#""ms": "[ms]""#),
        (r"\[took\] {2,}", "[took]  "),
        (r" {3,}\[took\]", "  [took]"),
    ];
    rules.iter().fold(text.to_owned(), |text, (pattern, with)| {
        Regex::new(pattern).unwrap().replace_all(&text, *with).into_owned()
    })
}

/// A backend on loopback: `/health` is 502 until somebody posts to `/vars`; `/swallow` takes a request
/// and closes the connection; `/never` is always 503; `/no` refuses. Every
/// answer repeats the Authorization header and the path.
pub struct Backend {
    pub url: String,
    pub posts: Arc<AtomicUsize>,
}

impl Backend {
    pub fn start() -> Backend {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let posts = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&posts);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let seen = Arc::clone(&seen);
                std::thread::spawn(move || serve(stream, &seen));
            }
        });
        Backend { url, posts }
    }

    pub fn posted(&self) -> usize {
        self.posts.load(Ordering::SeqCst)
    }

    /// `-i base_url=…`
    pub fn input(&self) -> String {
        format!("base_url={}", self.url)
    }
}

fn serve(stream: TcpStream, posts: &AtomicUsize) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut writer = stream;
    loop {
        let mut first = String::new();
        if reader.read_line(&mut first).ok()? == 0 {
            return None;
        }
        let (mut length, mut authorization) = (0, String::new());
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            if line.trim().is_empty() {
                break;
            }
            match line.split_once(':') {
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    length = value.trim().parse().ok()?
                }
                Some((name, value)) if name.eq_ignore_ascii_case("authorization") => {
                    authorization = value.trim().into()
                }
                _ => {}
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let mut words = first.split_whitespace();
        let (method, path) = (words.next()?, words.next()?);
        let status = match (method, path) {
            ("POST", "/swallow") => {
                posts.fetch_add(1, Ordering::SeqCst);
                return None;
            }
            ("POST", "/no") => "403 Forbidden",
            ("POST", _) => {
                posts.fetch_add(1, Ordering::SeqCst);
                "201 Created"
            }
            (_, "/never") => "503 Service Unavailable",
            (_, path) if path.starts_with("/echo") => "200 OK",
            (_, "/health") if posts.load(Ordering::SeqCst) > 0 => "200 OK",
            _ => "502 Bad Gateway",
        };
        let body = serde_json::json!({ "seen": authorization, "path": path }).to_string();
        let head =
            format!("content-type: application/json\r\nx-seen: {authorization}\r\ncontent-length: {}", body.len());
        write!(writer, "HTTP/1.1 {status}\r\n{head}\r\n\r\n{body}").ok()?;
    }
}
