//! `rerail demo` as a newcomer runs it: the real binary, a real outage on loopback, a real journal.

#![expect(clippy::unwrap_used, reason = "a test whose world can't be set up has failed")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::pty::{CTRL_C, Pty};
use base64::Engine as _;

/// What must never be seen anywhere, in the forms it could be written in.
const SECRETS: [&str; 2] = ["demo-platform-token-of-a-world-on-loopback", "demo-session-secret-of-a-world-on-loopback"];

/// The demo in a directory for temporary files of its own.
fn demo(tmp: &Path) -> Command {
    let mut command = rerail(tmp);
    command.arg("demo");
    command
}

pub fn rerail(tmp: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rerail"));
    command.env_clear().env("TMPDIR", tmp).env("HOME", tmp).env("LANG", "C.UTF-8").env("TERM", "xterm");
    command.current_dir(tmp).stdin(Stdio::null());
    command
}

pub fn text(output: &Output) -> (String, String) {
    (String::from_utf8(output.stdout.clone()).unwrap(), String::from_utf8(output.stderr.clone()).unwrap())
}

/// The one directory the demo leaves behind.
pub fn left_behind(tmp: &Path) -> PathBuf {
    let mut dirs: Vec<PathBuf> = std::fs::read_dir(tmp).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(dirs.len(), 1, "{dirs:?}");
    dirs.remove(0)
}

pub fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn assert_no_secret(what: &str, bytes: &[u8]) {
    for secret in SECRETS {
        let encoded = base64::engine::general_purpose::STANDARD.encode(secret);
        for needle in [secret, encoded.trim_end_matches('='), &secret.replace('-', "%2D")] {
            let found = bytes.windows(needle.len()).any(|window| window.eq_ignore_ascii_case(needle.as_bytes()));
            assert!(!found, "{what} holds {needle}");
        }
    }
}

/// The texts stand in this order.
pub fn assert_in_order(text: &str, parts: &[&str]) {
    let mut rest = text;
    for part in parts {
        let at = rest.find(part).unwrap_or_else(|| panic!("`{part}` is not where it should be in:\n{text}"));
        rest = &rest[at + part.len()..];
    }
}

#[test]
fn without_a_terminal_the_demo_answers_for_itself_finds_the_cause_and_heals_the_backend() {
    let tmp = tempfile::tempdir().unwrap();
    let output = demo(tmp.path()).output().unwrap();
    let (stdout, stderr) = text(&output);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert_in_order(
        &stdout,
        &[
            "Plan for demo",
            "reads were real, nothing was changed",
            "~ set",
            "~ redeploy",
            "SESSION_SECRET is not set",
            "Writes: 2",
            "SESSION_SECRET is not set",
            "The backend is well again",
            "healed = true",
            "success",
            "✓ redeploy",
        ],
    );
    assert_in_order(
        &stderr,
        &[
            "A backend is down at http://127.0.0.1:",
            "the demo answers yes for itself",
            "✓ health",
            "502",
            "✓ cause",
            "✓ set",
            "✓ redeploy",
            "✓ healthy",
            "200",
            "✓ verify",
            "show @last",
        ],
    );

    assert_no_secret("standard output", &output.stdout);
    assert_no_secret("standard error", &output.stderr);
    let left = left_behind(tmp.path());
    assert!(!left.join("project").exists());
    let files = files(&left);
    assert!(files.iter().any(|file| file.file_name().is_some_and(|name| name == "journal.db")), "{files:?}");
    for file in files {
        assert_no_secret(&file.display().to_string(), &std::fs::read(&file).unwrap());
    }
}

#[test]
fn what_the_demo_leaves_behind_can_be_shown_exported_and_verified() {
    let tmp = tempfile::tempdir().unwrap();
    assert!(demo(tmp.path()).output().unwrap().status.success());
    let state = left_behind(tmp.path()).join("state");
    let ask = |args: &[&str]| {
        let output = rerail(tmp.path()).arg("--state-dir").arg(&state).args(args).output().unwrap();
        let (stdout, stderr) = text(&output);
        assert_eq!(output.status.code(), Some(0), "{args:?}: {stderr}");
        assert_no_secret(&args.join(" "), &output.stdout);
        stdout
    };
    assert_in_order(&ask(&["show", "@last"]), &["health", "cause", "set", "redeploy", "healthy", "verify"]);
    let postmortem = ask(&["export", "@last"]);
    assert!(postmortem.contains("the demo answered for itself") && postmortem.contains("SESSION\\_SECRET is not set"));
    let page = ask(&["export", "@last", "--format", "html"]);
    assert_in_order(&page, &["<!doctype html>", "The backend is well again", "<svg ", "redeploy", "Evidence"]);
    let picture = ask(&["export", "@last", "--format", "svg"]);
    let tree = roxmltree::Document::parse(&picture).unwrap();
    // The poll is dotted, everything else is drawn as work.
    let with = |class: &str| tree.descendants().filter(|node| node.attribute("class") == Some(class)).count();
    assert!(with("poll") == 1 && with("bar") > 3, "{picture}");
    ask(&["verify"]);
}

#[test]
fn machines_get_one_object() {
    let tmp = tempfile::tempdir().unwrap();
    let output = demo(tmp.path()).arg("--json").output().unwrap();
    let run: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&run["outcome"], &run["exit_code"]), (&"success".into(), &0.into()));
    assert_eq!(run["outputs"]["healed"], true);
}

fn at_a_terminal(tmp: &Path) -> Pty {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rerail"));
    command.env("TMPDIR", tmp).env("HOME", tmp).env("LANG", "C.UTF-8").arg("demo");
    Pty::start(&command, 80)
}

#[test]
fn at_a_terminal_it_asks_once_and_a_yes_heals() {
    let tmp = tempfile::tempdir().unwrap();
    let mut session = at_a_terminal(tmp.path());
    session.expect("Start demo on demo?");
    session.send("y\n");
    session.expect("The backend is well again");
    session.expect("Try next:");
    assert_eq!(session.exit_code(), 0);
}

#[test]
fn at_a_terminal_a_no_changes_nothing() {
    let tmp = tempfile::tempdir().unwrap();
    let mut session = at_a_terminal(tmp.path());
    session.expect("Start demo on demo?");
    session.send("n\n");
    session.expect("nothing was changed");
    assert_eq!(session.exit_code(), 15);
    assert!(files(&left_behind(tmp.path())).is_empty());
}

#[test]
fn ctrl_c_stops_the_repair_and_says_so() {
    let tmp = tempfile::tempdir().unwrap();
    let mut session = at_a_terminal(tmp.path());
    session.expect("Start demo on demo?");
    session.send("y\n");
    // It polls now: the time it has been at it, of all it may take.
    session.expect("of 0:30");
    session.send(CTRL_C);
    session.expect("stopping after what is running");
    assert_eq!(session.exit_code(), 15);
}
