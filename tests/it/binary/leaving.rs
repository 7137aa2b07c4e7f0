//! A process that is asked to go, a run that is asked to stand, a store whose writes are on hold: nothing is lost
//! and nothing is done twice.

use std::process::{Child, Command, Stdio};

use rerail::engine::event::Body;
use rerail::engine::outcome::Outcome;
use rerail::journal::Store;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use super::gate::Gate;
use super::kit::{Living, PATIENCE, Place, until};
use crate::pty::Pty;

/// A write, a held look, a held write, a last write.
const SLOW: &str = "
inputs: { base: { type: url } }
steps:
  - { id: first, uses: http.request, with: { method: POST, url: '${{ inputs.base }}/', text: first } }
  - { id: look, uses: http.probe, with: { url: '${{ inputs.base }}/held/look', timeout: 1m } }
  - { id: write, uses: http.request, with: { method: POST, url: '${{ inputs.base }}/held/write', text: held, timeout: 1m } }
  - { id: last, uses: http.request, with: { method: POST, url: '${{ inputs.base }}/', text: last } }
";

/// A process whose words can be read while it lives.
struct Heard {
    child: Child,
    said: std::path::PathBuf,
}

impl Heard {
    fn start(place: &Place, mut command: Command) -> Heard {
        let said = place.beside("said");
        let file = std::fs::File::create(&said).unwrap();
        let child = command.stdout(Stdio::null()).stderr(file).spawn().unwrap();
        Heard { child, said }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap(), signal).unwrap();
    }

    fn says(&self, what: &str) {
        until(&format!("it says `{what}`"), || std::fs::read_to_string(&self.said).unwrap().contains(what));
    }

    fn ends(mut self) -> Option<i32> {
        until("it ends", || self.child.try_wait().unwrap().is_some());
        self.child.wait().unwrap().code()
    }
}

impl Drop for Heard {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn held_at(what: &str) -> (Place, Gate, Heard) {
    let gate = Gate::serve();
    let place = Place::new().runbook("slow", SLOW);
    let heard = Heard::start(&place, place.rerail(&["run", "slow", "-i", &gate.input(), "--yes"]));
    if what == "write" {
        gate.opens("look");
    }
    gate.arrived(what);
    (place, gate, heard)
}

fn each_once(gate: &Gate) {
    assert_eq!(["first", "held", "last"].map(|body| gate.ledger.times(body)), [1, 1, 1]);
}

fn outcome(place: &Place, step: &str) -> Option<Outcome> {
    place.facts().step(&step.into()).and_then(|step| step.finished.as_ref().map(|end| end.outcome))
}

#[test]
fn a_process_that_is_asked_to_go_lets_its_write_end_and_starts_nothing_more() {
    for (signal, code) in [(Signal::TERM, 143), (Signal::HUP, 129)] {
        let (place, gate, heard) = held_at("write");
        heard.signal(signal);
        heard.says("nothing new starts");
        gate.opens("write");
        assert_eq!(heard.ends(), Some(code));
        assert_eq!((outcome(&place, "write"), gate.ledger.times("last")), (Some(Outcome::Done), 0));
        // No pause stands in its journal: a service manager has no opinion about the run.
        assert!(!place.events().iter().any(|event| matches!(event.body, Body::RunPaused { .. })));
        place.ask(&["resume", "@last"]).exits(0);
        each_once(&gate);
        place.assert_journal_is_whole("after it was asked to go");
    }
}

#[test]
fn asked_twice_it_goes_at_once_and_the_write_is_in_doubt() {
    let (place, gate, heard) = held_at("write");
    heard.signal(Signal::TERM);
    heard.says("nothing new starts");
    heard.signal(Signal::TERM);
    assert_eq!(heard.ends(), Some(16));
    gate.opens("write");
    place.ask(&["resume", "@last", "--set-outcome", "write=done", "--reason", "it is there"]).exits(0);
    each_once(&gate);
}

#[test]
fn a_process_under_nohup_does_not_hear_that_its_terminal_is_gone() {
    let gate = Gate::serve();
    let place = Place::new().runbook("slow", SLOW);
    let ignoring = ["sh", "-c", "trap '' HUP; exec \"$@\"", "sh"];
    let heard = Heard::start(&place, place.through(&ignoring, &["run", "slow", "-i", &gate.input(), "--yes"]));
    gate.arrived("look");
    heard.signal(Signal::HUP);
    gate.opens("look");
    gate.opens("write");
    assert_eq!(heard.ends(), Some(0));
    each_once(&gate);
}

#[test]
fn a_paused_run_lets_what_is_running_end_and_goes_on_when_it_is_resumed() {
    let (place, gate, heard) = held_at("write");
    place
        .ask(&["pause", "@last", "--reason", "the window closes"])
        .exits(0)
        .says(&["is asked to pause", "rerail resume"]);
    heard.says("nothing new starts");
    gate.opens("write");
    assert_eq!(heard.ends(), Some(19));
    assert_eq!((outcome(&place, "write"), gate.ledger.times("last")), (Some(Outcome::Done), 0));
    assert_eq!(place.json(&["show"])["status"], "paused");
    place.ask(&["show"]).exits(0).says(&["paused it: the window closes", "rerail resume"]);
    place.ask(&["pause", "@last"]).exits(2).says(&["is paused already", "the window closes"]);
    assert_eq!(place.json(&["show"])["pending"], json!([]), "the request is answered");
    place.ask(&["resume", "@last"]).exits(0);
    each_once(&gate);
    place.ask(&["pause", "@last"]).exits(2).says(&["has ended"]);
    place.assert_journal_is_whole("after a pause");
}

#[test]
fn a_pause_that_a_dead_driver_never_heard_does_not_stop_the_next_one() {
    let (place, gate, heard) = held_at("look");
    heard.signal(Signal::STOP);
    place.ask(&["pause", "@last"]).exits(0);
    heard.signal(Signal::KILL);
    drop(heard);
    gate.opens("look");
    gate.opens("write");
    place.ask(&["resume", "@last"]).exits(0).says(&["before it was taken up again"]);
    each_once(&gate);
}

#[test]
fn a_run_nobody_drives_is_paused_right_there() {
    let place = Place::new().runbook("ask", "steps: [ { id: ask, uses: human.ask, with: { text: 'Safe?' } } ]\n");
    place.ask(&["run", "ask"]).exits(13);
    place.ask(&["pause", "@last"]).exits(0).says(&["is paused"]);
    assert_eq!(place.json(&["runs", "--status", "paused"]).as_array().unwrap().len(), 1);
    place.ask(&["resume", "@last"]).exits(13);
}

#[test]
fn under_a_hold_the_next_write_does_not_start_and_the_run_can_be_taken_up_afterwards() {
    let (place, gate, heard) = held_at("look");
    place.ask(&["hold", "on", "--reason", "database upgrade"]).exits(0).says(&["on hold", "rerail hold off"]);
    place.ask(&["hold", "on", "--reason", "mine"]).exits(0).says(&["already", "database upgrade"]);
    gate.opens("look");
    assert_eq!(heard.ends(), Some(18));
    assert_eq!(gate.ledger.times("held"), 0);
    assert_eq!(
        (place.json(&["hold", "status"])["on"].clone(), place.json(&["show"])["status"].clone()),
        (json!(true), json!("paused"))
    );
    place.ask(&["show"]).exits(0).says(&["database upgrade", "rerail hold off", "rerail resume"]);
    let run = place.json(&["show"])["run"].as_str().unwrap().to_owned();
    place.ask(&["resume", &run]).exits(18);
    // Starting is possible; writing is not.
    place.ask(&["run", "slow", "-i", &gate.input(), "--yes"]).exits(18);
    assert_eq!(gate.ledger.times("first"), 1);
    place.ask(&["hold", "off"]).exits(0).says(&["may start again"]);
    assert_eq!(place.json(&["hold", "status"])["on"], false);
    place.ask(&["hold", "off"]).exits(0).says(&["not on hold"]);
    gate.opens("write");
    place.ask(&["cancel", "@last"]).exits(0);
    place.ask(&["resume", "@last"]).exits(15);
    place.ask(&["resume", &run]).exits(0);
    let store = Store::open(place.state()).unwrap();
    let events = store.events(store.find_run(&run).unwrap().run).unwrap();
    let words: Vec<_> = events.iter().map(|event| event.body.word()).filter(|word| word.starts_with("hold")).collect();
    assert_eq!(words, ["hold.on", "hold.off"], "once each, however often it was taken up under the hold");
    each_once(&gate);
    place.assert_journal_is_whole("after a hold");
}

#[test]
fn a_write_that_is_on_its_way_ends_by_itself_under_a_hold() {
    let (place, gate, heard) = held_at("write");
    place.ask(&["hold", "on", "--reason", "freeze"]).exits(0);
    gate.opens("write");
    assert_eq!(heard.ends(), Some(18));
    assert_eq!((outcome(&place, "write"), gate.ledger.times("last")), (Some(Outcome::Done), 0));
    place.ask(&["hold", "off"]).exits(0);
    place.ask(&["resume", "@last"]).exits(0);
    each_once(&gate);
}

#[test]
fn at_a_terminal_a_held_run_waits_and_goes_on_by_itself() {
    let gate = Gate::serve();
    let place = Place::new().runbook("slow", SLOW);
    gate.opens("look");
    gate.opens("write");
    place.ask(&["hold", "on", "--reason", "database upgrade"]).exits(0);
    let mut session = Pty::start(&place.rerail(&["run", "slow", "-i", &gate.input(), "--yes"]), 80);
    session.expect("database upgrade");
    assert_eq!(gate.ledger.times("first"), 0);
    place.ask(&["hold", "off"]).exits(0);
    session.expect("success");
    assert_eq!(session.exit_code(), 0);
    each_once(&gate);
}

#[test]
fn a_stalled_process_that_wakes_up_sends_nothing_more_and_leaves_what_it_heard_as_evidence() {
    let (place, gate, heard) = held_at("write");
    heard.signal(Signal::STOP);
    // Ten seconds pass.
    let db = rusqlite::Connection::open(place.state().join("journal.db")).unwrap();
    db.busy_timeout(PATIENCE).unwrap();
    assert_eq!(db.execute("UPDATE leases SET expires = expires - 10000", []).unwrap(), 1);
    place.ask(&["resume", "@last"]).exits(16);
    gate.opens("write");
    heard.signal(Signal::CONT);
    assert_eq!(heard.ends(), Some(19));
    assert_eq!(gate.ledger.times("last"), 0);
    let decided = ["resume", "@last", "--set-outcome", "write=done", "--reason", "it is there"];
    place.ask(&decided).exits(0).says(&["a late result says done"]);
    each_once(&gate);
    place.assert_journal_is_whole("after a stall");
}

#[test]
fn a_reader_that_goes_away_does_not_stop_a_run() {
    let gate = Gate::serve();
    let place = Place::new().runbook("slow", SLOW);
    let piped = ["sh", "-c", "\"$@\" 2>&1 | true; true", "sh"];
    let living =
        Living::spawn("run slow | true", place.through(&piped, &["run", "slow", "-v", "-i", &gate.input(), "--yes"]));
    gate.arrived("look");
    gate.opens("look");
    gate.opens("write");
    living.ends().exits(0);
    each_once(&gate);
    assert_eq!(place.end_of("@last")["outcome"], "success");
}

#[test]
fn what_ends_while_a_pause_waits_for_the_rest_is_recorded_at_once() {
    let gate = Gate::serve();
    let body = "
inputs: { base: { type: url } }
steps:
  - id: both
    parallel:
      - { id: look, uses: http.probe, with: { url: '${{ inputs.base }}/held/look', timeout: 1m } }
      - { id: write, uses: http.request, with: { method: POST, url: '${{ inputs.base }}/held/write', text: held, timeout: 1m } }
      - { id: other, uses: http.request, with: { method: POST, url: '${{ inputs.base }}/held/other', text: other, timeout: 1m } }
  - { id: last, uses: http.request, with: { method: POST, url: '${{ inputs.base }}/', text: last } }
";
    let place = Place::new().runbook("slow", body);
    let heard = Heard::start(&place, place.rerail(&["run", "slow", "-i", &gate.input(), "--yes"]));
    for name in ["look", "write", "other"] {
        gate.arrived(name);
    }
    place.ask(&["pause", "@last"]).exits(0);
    heard.says("nothing new starts");
    gate.opens("write");
    until("the write's end is recorded", || outcome(&place, "write") == Some(Outcome::Done));
    gate.opens("other");
    until("the other's end is recorded", || outcome(&place, "other") == Some(Outcome::Done));
    // The process dies while it waits for the look: no doubt is left of what had ended.
    heard.signal(Signal::KILL);
    drop(heard);
    gate.opens("look");
    place.ask(&["resume", "@last"]).exits(0);
    assert_eq!(["held", "other", "last"].map(|body| gate.ledger.times(body)), [1, 1, 1]);
    place.assert_journal_is_whole("after a death in a pause");
}
