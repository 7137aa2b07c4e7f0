//! Following a run of another process: `show --follow`.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStderr, Stdio};

use serde_json::Value as Json;

use crate::cli::kit::{Backend, Done, Place, redact};

/// A run in a process of its own, and what it says.
struct Driven {
    child: Child,
    says: BufReader<ChildStderr>,
}

impl Driven {
    fn start(place: &Place, args: &[&str]) -> Driven {
        let mut command = place.command(args);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let says = BufReader::new(child.stderr.take().unwrap());
        Driven { child, says }
    }

    /// A run of `wait` that others can see: what is read is committed within a second.
    fn waiting(place: &Place, backend: &Backend) -> Driven {
        let mut driven = Driven::start(place, &["run", "wait", "-i", &backend.input()]);
        read_until(&mut driven.says, "look 1");
        while place.run(&["runs", "--json"]).json() == serde_json::json!([]) {}
        driven
    }
}

impl Drop for Driven {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn read_until(from: &mut impl BufRead, text: &str) -> String {
    let mut seen = String::new();
    while !seen.contains(text) {
        assert_ne!(from.read_line(&mut seen).unwrap(), 0, "`{text}` never came: {seen}");
    }
    seen
}

#[test]
fn a_follower_sees_the_lines_of_the_run_and_ends_with_its_code() {
    let (place, backend) = (Place::new(), Backend::start());
    let mut driven = Driven::waiting(&place, &backend);
    let mut follower = Driven::start(&place, &["show", "@last", "--follow"]);
    let mut seen = read_until(&mut follower.says, "look 1");
    place.run(&["cancel", "@last", "--reason", "wrong target"]).expect(0);
    follower.says.read_line(&mut seen).unwrap();
    while follower.says.read_line(&mut seen).unwrap() > 0 {}
    assert_eq!(driven.child.wait().unwrap().code(), Some(15));
    assert_eq!(follower.child.wait().unwrap().code(), Some(15));
    let mut result = String::new();
    std::io::Read::read_to_string(&mut follower.child.stdout.take().unwrap(), &mut result).unwrap();
    insta::assert_snapshot!(redact(&format!("--- stdout\n{result}--- stderr\n{seen}")));
}

#[test]
fn a_run_that_has_ended_is_followed_to_its_end_at_once() {
    let (place, backend) = (Place::new(), Backend::start());
    place.run(&["run", "look", "-i", &backend.input(), "-q"]).expect(12);
    let followed = place.run(&["show", "-f"]).expect(12);
    assert!(followed.err.contains("health") && followed.out.contains("success"), "{}{}", followed.out, followed.err);
    let object = place.run(&["show", "-f", "--json"]).expect(12).json();
    assert_eq!((&object["exit_code"], &object["outcome"]), (&Json::from(12), &Json::from("success")));
}

#[test]
fn the_stream_of_a_follower_is_that_of_the_run() {
    let (place, backend) = (Place::new(), Backend::start());
    let run = place.run(&["run", "look", "-i", &backend.input(), "-o", "jsonl"]).expect(12);
    let followed = place.run(&["show", "-f", "-o", "jsonl"]).expect(12);
    assert_eq!((followed.err.as_str(), followed.out.lines().count()), ("", run.out.lines().count()));
    for (seq, line) in followed.out.lines().enumerate() {
        assert_eq!(serde_json::from_str::<Json>(line).unwrap()["seq"], seq);
    }
}

#[test]
fn a_run_that_nobody_drives_is_left_with_what_it_waits_for() {
    let (place, backend) = (Place::new(), Backend::start());
    place.run(&["run", "fix", "-i", &backend.input(), "--yes", "-q"]).expect(13);
    let left = place.run(&["show", "-f"]).expect(13);
    let name = format!("fix/{}", place.last());
    assert!(left.err.contains(&format!("nobody drives {name} now")), "{}", left.err);
    assert_eq!(left.err.matches("Waiting for an answer").count(), 1, "{}", left.err);
    assert!(left.out.contains("waiting for a person"), "{}", left.out);
}

#[test]
fn a_run_whose_process_died_says_how_to_go_on() {
    let (place, backend) = (Place::new(), Backend::start());
    drop(Driven::waiting(&place, &backend));
    let left = place.run(&["show", "-f"]).expect(130);
    assert!(left.err.contains("nobody drives wait/"), "{}", left.err);
    assert!(left.err.contains(&format!("rerail resume {}", place.last())), "{}", left.err);
    let shown = place.run(&["show"]).expect(0);
    assert!(shown.out.contains("nobody drives it now; last driven by"), "{}", shown.out);
}

#[test]
fn a_driven_run_is_shown_with_its_driver_and_the_way_to_follow_it() {
    let (place, backend) = (Place::new(), Backend::start());
    let _driven = Driven::waiting(&place, &backend);
    let shown = place.run(&["show"]).expect(0);
    assert!(shown.out.contains("driven by ") && !shown.out.contains("last driven by"), "{}", shown.out);
    assert!(shown.out.contains("--follow"), "{}", shown.out);
}

#[test]
fn no_such_run_can_be_followed() {
    let done: Done = Place::new().run(&["show", "-f", "zzzzzz"]).expect(2);
    assert!(done.err.contains("no run `zzzzzz`"), "{}", done.err);
}
