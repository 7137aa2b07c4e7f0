//! What a person at a terminal sees and does, on a real pseudo-terminal.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::time::Duration;

use expectrl::process::unix::WaitStatus;
use expectrl::session::OsSession;
use expectrl::{Eof, Expect, Session};

use crate::cli::kit::{Backend, Place};

/// Longer than any of it takes, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

fn open(place: &Place, args: &[&str]) -> OsSession {
    let mut command = place.command(args);
    command.stdin(std::process::Stdio::inherit()).env("TERM", "xterm-256color");
    let mut session = Session::spawn(command).unwrap();
    session.get_process_mut().set_window_size(120, 40).unwrap();
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

const CTRL_C: &str = "\u{3}";

#[test]
fn finished_steps_stay_and_the_running_one_is_drawn() {
    let (place, backend) = (Place::new(), Backend::start());
    let mut terminal = open(&place, &["run", "wait", "-i", &backend.input()]);
    terminal.expect("Wait for a backend").unwrap();
    terminal.expect("healthy").unwrap();
    terminal.expect("of 5m00s").unwrap();
    terminal.expect("503 since look 1").unwrap();
    terminal.send(CTRL_C).unwrap();
    terminal.expect("stopping after what is running; again to leave now").unwrap();
    terminal.expect("tidied up").unwrap();
    terminal.expect("cancelled").unwrap();
    assert_eq!(exit_code(terminal), 15);
}

#[test]
fn the_start_is_asked_for_once_and_a_question_is_answered_in_place() {
    let (place, backend) = (Place::new(), Backend::start());
    let mut terminal = open(&place, &["run", "fix", "-i", &backend.input()]);
    terminal.expect("fix").unwrap();
    terminal.expect("Start fix?").unwrap();
    terminal.send("y\r").unwrap();
    terminal.expect("Is it safe?").unwrap();
    terminal.expect("not safe").unwrap();
    terminal.send("\r").unwrap();
    terminal.expect("success").unwrap();
    assert_eq!(exit_code(terminal), 0);
    assert_eq!(backend.posted(), 1);
}

#[test]
fn a_no_starts_nothing() {
    let (place, backend) = (Place::new(), Backend::start());
    let mut terminal = open(&place, &["run", "set", "-i", &backend.input()]);
    terminal.expect("Start set?").unwrap();
    terminal.send("n\r").unwrap();
    terminal.expect("nothing was started").unwrap();
    assert_eq!(exit_code(terminal), 15);
    assert_eq!(backend.posted(), 0);
    assert_eq!(place.run(&["runs", "--json"]).json(), serde_json::json!([]));
}

#[test]
fn ctrl_c_twice_leaves_a_run_that_can_be_resumed() {
    let (place, backend) = (Place::new(), Backend::start());
    place.file(
        "runbooks/slow.yaml",
        "version: 1\ntitle: Slow\nowner: o\nreviewed: 2026-11-01\nsteps:\n  - uses: time.now\nfinally:\n  - id: nap\n    uses: time.sleep\n    with: { duration: 5m }\n",
    );
    drop(backend);
    let mut terminal = open(&place, &["run", "slow"]);
    terminal.expect("nap").unwrap();
    terminal.send(CTRL_C).unwrap();
    terminal.expect("again to leave now").unwrap();
    terminal.send(CTRL_C).unwrap();
    terminal.expect("left").unwrap();
    terminal.expect("rerail resume").unwrap();
    assert_eq!(exit_code(terminal), 130);
    assert_eq!(place.run(&["runs", "--json"]).json()[0]["ended_at"], serde_json::Value::Null);
}

#[test]
fn ctrl_c_in_a_question_stops_the_run() {
    let (place, backend) = (Place::new(), Backend::start());
    let mut terminal = open(&place, &["run", "fix", "-i", &backend.input(), "--yes"]);
    terminal.expect("Is it safe?").unwrap();
    terminal.expect("not safe").unwrap();
    terminal.send(CTRL_C).unwrap();
    terminal.expect("cancelled").unwrap();
    assert_eq!(exit_code(terminal), 15);
    assert_eq!(backend.posted(), 0);
}
