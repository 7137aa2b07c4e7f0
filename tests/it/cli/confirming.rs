//! A write that needs an approval, where nobody but its operator is configured: confirmed at a terminal, or from
//! another command.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::process::Stdio;
use std::time::Duration;

use expectrl::process::unix::WaitStatus;
use expectrl::session::OsSession;
use expectrl::{Eof, Expect, Regex, Session};

use crate::cli::kit::{Backend, Done, Place};

/// Longer than any of it takes, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

const GUARDED: &str = r#"
version: 1
title: Set a variable that matters
owner: platform
reviewed: 2026-11-01
inputs:
  base_url: { type: url }
steps:
  - id: set
    uses: http.request
    with: { method: POST, url: "${{ inputs.base_url }}/vars", json: { a: 1 } }
    approval: { by: oncall, message: "Set it on ${{ inputs.base_url.host }}?", expires: 10m }
"#;

fn place() -> (Place, Backend) {
    let (place, backend) = (Place::new(), Backend::start());
    place.file("runbooks/guarded.yaml", GUARDED.trim_start());
    (place, backend)
}

fn open(place: &Place, args: &[&str]) -> OsSession {
    let mut command = place.command(args);
    command.stdin(Stdio::inherit()).env("TERM", "xterm-256color");
    let mut session = Session::spawn(command).unwrap();
    session.get_process_mut().set_window_size(140, 40).unwrap();
    session.set_expect_timeout(Some(PATIENCE));
    session
}

fn exit_code(mut session: OsSession) -> i32 {
    session.expect(Eof).unwrap();
    match session.get_process().wait().unwrap() {
        WaitStatus::Exited(_, code) => code,
        other => panic!("ended otherwise: {other:?}"),
    }
}

/// What a run that waits asks its operator to agree to.
fn change(place: &Place) -> String {
    let events = place.run(&["export", "@last", "--format", "jsonl"]).expect(0).out;
    let requested = events
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .find(|event| event["type"] == "approval.requested");
    requested.unwrap()["change"].as_str().unwrap().to_owned()
}

fn waiting(place: &Place, backend: &Backend) -> (String, Done) {
    let left = place.run(&["run", "guarded", "--yes", "-i", &backend.input()]).expect(13);
    (place.last(), left)
}

#[test]
fn whoever_is_alone_types_the_name_of_the_run() {
    let (place, backend) = place();
    // What is said to the start answers no approval.
    let mut terminal = open(&place, &["run", "guarded", "--yes", "-i", &backend.input()]);
    terminal.expect("nobody else is configured").unwrap();
    terminal.expect("Set it on 127.0.0.1?").unwrap();
    terminal.expect("POST http://127.0.0.1").unwrap();
    let asked = terminal.expect(Regex("Type `([0-9a-z]{6})` to do so")).unwrap();
    let run = String::from_utf8(asked.get(1).unwrap().to_vec()).unwrap();
    assert_eq!(backend.posted(), 0);
    terminal.send(format!("{run}\r")).unwrap();
    terminal.expect("self-approved, nobody else configured").unwrap();
    terminal.expect("success").unwrap();
    assert_eq!((exit_code(terminal), backend.posted()), (0, 1));
    let why = place.run(&["show", "--why", "set"]).expect(0).out;
    assert!(why.contains("self-approved, nobody else configured") && why.contains("POST http://127.0.0.1"), "{why}");
}

#[test]
fn another_word_leaves_it_waiting() {
    let (place, backend) = place();
    // What is said to the start answers no approval.
    let mut terminal = open(&place, &["run", "guarded", "--yes", "-i", &backend.input()]);
    terminal.expect("to do so").unwrap();
    terminal.send("yes\r").unwrap();
    terminal.expect("not approved, and it still waits").unwrap();
    assert_eq!(backend.posted(), 0);
    terminal.send("\u{3}").unwrap();
    terminal.expect("cancelled").unwrap();
    assert_eq!((exit_code(terminal), backend.posted()), (15, 0));
}

#[test]
fn a_run_nobody_watches_waits_for_a_word_from_elsewhere() {
    let (place, backend) = place();
    let (run, left) = waiting(&place, &backend);
    assert!(left.err.contains("rerail approve") || left.out.contains("rerail approve"), "{}{}", left.out, left.err);
    assert_eq!(backend.posted(), 0);
    let change = change(&place);
    let wrong = format!("sha256:{}", "0".repeat(64));
    place.run(&["approve", &run, "--yes", "--change", &wrong]).expect(2);
    place.run(&["approve", &run, "--yes", "--change", &change]).expect(0);
    place.run(&["resume", &run]).expect(0);
    assert_eq!(backend.posted(), 1);
    // What the approver saw is in the record.
    let events = place.run(&["export", &run, "--format", "jsonl"]).expect(0).out;
    let given = events.lines().find(|line| line.contains("approval.given")).unwrap();
    assert!(given.contains("POST http://127.0.0.1") && given.contains(r#""single":true"#), "{given}");
}

#[test]
fn a_no_from_elsewhere_ends_it_as_rejected() {
    let (place, backend) = place();
    let (run, _) = waiting(&place, &backend);
    place.run(&["reject", &run, "-m", "not on a Friday"]).expect(0);
    place.run(&["resume", &run]).expect(14);
    assert_eq!(backend.posted(), 0);
    assert!(place.run(&["show", &run]).out.contains("not on a Friday"));
}

#[test]
fn a_rehearsal_says_who_would_be_asked() {
    let (place, backend) = place();
    let plan = place.run(&["run", "guarded", "--dry-run", "-i", &backend.input()]).expect(0).out;
    assert!(plan.contains("approval: oncall (10m)"), "{plan}");
    assert_eq!(backend.posted(), 0);
}
