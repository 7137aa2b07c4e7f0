//! A write that needs an approval, where nobody but its operator is configured: confirmed at a terminal, or from
//! another command.

use expectrl::Regex;

use crate::cli::kit::{Backend, Done, Place};
use crate::pty::{CTRL_C, Pty};

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

fn open(place: &Place, args: &[&str]) -> Pty {
    Pty::start(&place.command(args), 140)
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
    terminal.expect("nobody else is configured");
    terminal.expect("Set it on 127.0.0.1?");
    terminal.expect("POST http://127.0.0.1");
    let asked = terminal.expect(Regex("Type `([0-9a-z]{6})` to do so"));
    let run = String::from_utf8(asked.get(1).unwrap().to_vec()).unwrap();
    assert_eq!(backend.posted(), 0);
    terminal.send(format!("{run}\r"));
    terminal.expect("self-approved, nobody else configured");
    terminal.expect("success");
    assert_eq!((terminal.exit_code(), backend.posted()), (0, 1));
    let why = place.run(&["show", "--why", "set"]).expect(0).out;
    assert!(why.contains("self-approved, nobody else configured") && why.contains("POST http://127.0.0.1"), "{why}");
}

#[test]
fn another_word_leaves_it_waiting() {
    let (place, backend) = place();
    // What is said to the start answers no approval.
    let mut terminal = open(&place, &["run", "guarded", "--yes", "-i", &backend.input()]);
    terminal.expect("to do so");
    terminal.send("yes\r");
    terminal.expect("not approved, and it still waits");
    assert_eq!(backend.posted(), 0);
    terminal.send(CTRL_C);
    terminal.expect("cancelled");
    assert_eq!((terminal.exit_code(), backend.posted()), (15, 0));
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
