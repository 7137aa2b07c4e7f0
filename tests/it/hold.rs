//! A hold in the engine: reads go on, no write starts, and nothing is lost or doubled when it is lifted.

use rerail::engine::event::{Body, Event, Hold};
use rerail::engine::facts::{Facts, RunState};
use rerail::engine::machine::{Holding, Signal};
use rerail::engine::outcome::{Attempt, Failure, FailureKind, RunOutcome};
use serde_json::json;

use crate::scenario::{Ended, Scenario, ana, ok};

const LOOK_THEN_WRITE: &str = "
steps:
  - { id: look, uses: http.probe, with: { url: 'http://api.test/' } }
  - { id: write, uses: http.request, with: { method: POST, url: 'http://api.test/' } }
  - { id: after, uses: http.probe, with: { url: 'http://api.test/' } }
";

fn scenario(text: &str) -> Scenario {
    Scenario::new(text)
        .answers("http.probe", [ok(json!({ "ok": true, "status": 200 }))])
        .answers("http.request", [ok(json!({ "status": 200 }))])
}

fn hold(reason: &str) -> Hold {
    Hold { actor: ana(), since: crate::scenario::NOW.parse().unwrap(), reason: reason.into() }
}

fn held(scenario: &Scenario) -> Ended {
    let mut world = scenario.world.clone();
    let mut run = scenario.start();
    run.machine.hold(Holding::On(hold("freeze")));
    let waits = run.drive(&mut world, usize::MAX);
    Ended { run, world, waits }
}

fn lifted(mut ended: Ended) -> Ended {
    ended.run.machine.hold(Holding::Off { by: Some(ana()) });
    ended.go_on()
}

fn words(ended: &Ended) -> Vec<&'static str> {
    ended.run.events.iter().map(|event| event.body.word()).filter(|word| word.starts_with("hold")).collect()
}

/// The gate of a driver that found a hold directly before the first byte.
fn held_back() -> Attempt {
    Attempt::refused(Failure::transient(FailureKind::Held, "all writes are on hold"))
}

#[test]
fn under_a_hold_reads_go_on_and_the_first_write_waits_until_it_is_lifted() {
    let ended = held(&scenario(LOOK_THEN_WRITE));
    assert_eq!(ended.outcomes(), "look done");
    assert_eq!(ended.waits.held, Some(hold("freeze")));
    assert_eq!((ended.world.count("http.request"), ended.facts().state()), (0, RunState::Paused));
    // Asking again says it no second time.
    let ended = ended.go_on();
    assert_eq!(words(&ended), ["hold.on"]);

    let ended = lifted(ended);
    assert_eq!(ended.outcomes(), "look done, write done, after done");
    assert_eq!((ended.world.count("http.request"), ended.end().outcome), (1, RunOutcome::Success));
    assert_eq!(words(&ended), ["hold.on", "hold.off"]);
    assert_eq!(ended.facts().held, None);
}

#[test]
fn a_run_that_only_reads_does_not_notice_a_hold() {
    let ended = held(&scenario("\nsteps:\n  - { id: look, uses: http.probe, with: { url: 'http://api.test/' } }\n"));
    assert_eq!(ended.end().outcome, RunOutcome::Success);
    assert!(words(&ended).is_empty());
}

#[test]
fn a_call_in_a_script_and_a_step_of_finally_are_held_as_well() {
    let script =
        "\nsteps:\n  - id: s\n    script: |\n      http::request(#{ method: \"POST\", url: \"http://api.test/\" });\n";
    let finally = "\nsteps:\n  - { id: look, uses: http.probe, with: { url: 'http://api.test/' } }
finally:\n  - { id: bye, uses: http.request, with: { method: POST, url: 'http://api.test/' } }\n";
    for text in [script, finally] {
        let ended = held(&scenario(text));
        assert_eq!((ended.world.count("http.request"), words(&ended)), (0, vec!["hold.on"]), "{text}");
        let ended = lifted(ended);
        assert_eq!((ended.world.count("http.request"), ended.end().outcome), (1, RunOutcome::Success), "{text}");
    }
}

#[test]
fn another_hold_is_noted_as_another() {
    let mut ended = held(&scenario(LOOK_THEN_WRITE));
    ended.run.machine.hold(Holding::On(hold("another")));
    let ended = ended.go_on();
    assert_eq!(words(&ended), ["hold.on", "hold.off", "hold.on"]);
    assert_eq!(ended.facts().held.as_ref().unwrap().reason, "another");
}

#[test]
fn a_cancel_under_a_hold_ends_the_run_without_the_write() {
    let ended = held(&scenario(LOOK_THEN_WRITE)).signal(Signal::Cancel { actor: ana(), reason: None });
    assert_eq!((ended.end().outcome, ended.world.count("http.request")), (RunOutcome::Cancelled, 0));
}

#[test]
fn an_attempt_stopped_at_the_gate_is_made_again_and_is_no_failure() {
    let scenario = Scenario::new(LOOK_THEN_WRITE)
        .answers("http.probe", [ok(json!({ "ok": true, "status": 200 }))])
        .answers("http.request", [held_back(), ok(json!({ "status": 200 }))]);
    let ended = scenario.run();
    assert_eq!(
        (ended.end().outcome, ended.outcomes().as_str()),
        (RunOutcome::Success, "look done, write done, after done")
    );
    let attempts = ended.run.events.iter().filter_map(|event| match &event.body {
        Body::StepStarted(intent) if intent.step.as_str() == "write" => Some((intent.attempt, intent.key.clone())),
        _ => None,
    });
    let attempts: Vec<_> = attempts.collect();
    assert_eq!(attempts.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(attempts[0].1, attempts[1].1, "the same change");

    // A process that dies after the gate said no leaves no doubt: it is known that nothing was sent.
    let gate = ended.run.events.iter().position(
        |event| matches!(&event.body, Body::StepFinished(end) if end.attempt == 1 && end.step.as_str() == "write"),
    );
    let mut run = scenario.start();
    run.events.clone_from(&ended.run.events);
    run.crash(gate.unwrap() + 1, ana()).unwrap();
    let mut world = scenario.answers("write", [ok(json!({ "status": 200 }))]).world;
    run.drive(&mut world, usize::MAX);
    assert_eq!(run.facts().finished.as_ref().unwrap().outcome, RunOutcome::Success);
}

#[test]
fn a_cancel_that_meets_an_attempt_at_the_gate_does_not_send_it_later() {
    let scenario = Scenario::new(LOOK_THEN_WRITE)
        .answers("http.probe", [ok(json!({ "ok": true, "status": 200 }))])
        .answers("http.request", [held_back(), ok(json!({ "status": 200 }))]);
    let mut world = scenario.world.clone();
    let mut run = scenario.start();
    let intent = |events: &[Event]| {
        events.iter().any(|event| matches!(&event.body, Body::StepStarted(intent) if intent.key.is_some()))
    };
    let mut stop_at = 1;
    while !intent(&run.events) {
        run.drive(&mut world, stop_at);
        stop_at += 1;
    }
    run.machine.signal(Signal::Cancel { actor: ana(), reason: None }, run.now);
    run.drive(&mut world, usize::MAX);
    assert_eq!(run.facts().finished.as_ref().unwrap().outcome, RunOutcome::Cancelled);
    assert_eq!(world.count("http.request"), 1, "the one the gate stopped");
}

#[test]
fn a_held_run_that_was_left_goes_on_when_it_is_taken_up_after_the_hold() {
    let scenario = scenario(LOOK_THEN_WRITE);
    let mut ended = held(&scenario);
    let all = ended.run.events.len();
    ended.run.crash(all, ana()).unwrap();
    assert_eq!(ended.run.facts().held, Some(hold("freeze")));
    let ended = lifted(ended);
    assert_eq!((ended.end().outcome, words(&ended)), (RunOutcome::Success, vec!["hold.on", "hold.off"]));
    assert_eq!(Facts::fold(&ended.run.events).unwrap(), *ended.facts());
}
