//! Limits in time where several things go on: what stops their clocks, and what they come to.

use jiff::SignedDuration;
use rerail::engine::event::{Body, Decision, Event};
use rerail::engine::machine::Signal;
use rerail::engine::outcome::{FailureKind, RunOutcome};
use rerail::script::value::{Map, Value};
use serde_json::json;

use crate::scenario::{Ended, Scenario, ana, failed, in_doubt, ok, refused};

#[test]
fn a_doubt_stops_the_clock_of_what_is_around_it_and_not_of_the_group_beside_it() {
    let beside = Scenario::new(
        "steps:
  - id: both
    parallel:
      - { id: unknown, uses: http.request, with: { url: https://a.example.com, method: POST } }
      - id: group
        timeout: 3s
        steps:
          - { id: look, uses: http.probe, with: { url: https://b.example.com }, retry: { attempts: 3, delay: 4s } }
",
    )
    .answers("unknown", [in_doubt()])
    .answers("look", [failed(FailureKind::Status, "503")])
    .run();
    assert_eq!(beside.outcomes(), "unknown in_doubt, look cancelled");

    let around = Scenario::new(
        "steps:
  - id: group
    timeout: 3s
    steps:
      - id: both
        parallel:
          - { id: unknown, uses: http.request, with: { url: https://a.example.com, method: POST } }
          - { id: look, uses: http.probe, with: { url: https://b.example.com }, retry: { attempts: 2, delay: 4s } }
",
    )
    .answers("unknown", [in_doubt()])
    .answers("look", [failed(FailureKind::Status, "503"), ok(json!({}))])
    .run();
    assert_eq!(around.outcomes(), "unknown in_doubt, look done");
}

#[test]
fn a_loop_out_of_time_failed_itself_and_not_its_item() {
    let ended = Scenario::new(
        "steps:
  - id: naps
    foreach: [8s, 8s]
    uses: time.sleep
    with: { duration: '${{ each.value }}' }
    within: 5s
",
    )
    .run();
    assert_eq!(ended.outcomes(), "naps failed, naps[0] cancelled");
    assert_eq!(ended.end().failed_step.as_ref().unwrap().as_str(), "naps");
}

#[test]
fn a_cancelled_run_stays_cancelled_when_its_clean_up_runs_out_of_time() {
    let scenario = Scenario::new(
        "steps:
  - { id: nap, uses: time.sleep, with: { duration: 1m } }
finally:
  - { id: long, uses: time.sleep, with: { duration: 20m } }
",
    );
    let mut run = scenario.start();
    let mut world = scenario.world.clone();
    run.drive(&mut world, 2);
    run.machine.signal(Signal::Cancel { actor: ana(), reason: None }, run.now);
    let waits = run.drive(&mut world, usize::MAX);
    assert_eq!(waits.finished, Some(RunOutcome::Cancelled));
}

#[test]
fn a_later_cancel_does_not_change_what_a_limit_had_stopped() {
    let scenario = Scenario::new(
        "steps:
  - id: group
    timeout: 3s
    continue_on_failure: true
    steps:
      - { id: nap, uses: time.sleep, with: { duration: 8s } }
  - { id: unknown, uses: http.request, with: { url: https://a.example.com, method: POST } }
finally:
  - { id: said, script: 'steps.group.outcome' }
",
    )
    .answers("unknown", [in_doubt()]);
    let mut run = scenario.start();
    let mut world = scenario.world.clone();
    run.drive(&mut world, usize::MAX);
    run.machine.signal(Signal::Cancel { actor: ana(), reason: None }, run.now);
    let waits = run.drive(&mut world, usize::MAX);
    // The decision lets everything be walked again, the group that only its step is known of as well.
    let ended = Ended { run, world, waits }.decide("unknown", Decision::Done, Map::new());
    assert_eq!(ended.outputs("finally/said"), Value::from("failed"));
    assert_eq!(ended.outcomes(), "nap cancelled, unknown done, finally/said done");
}

#[test]
fn of_two_limits_the_first_one_stays_the_reason_however_late_they_are_looked_at() {
    let scenario = Scenario::new(
        "steps:
  - id: outer
    within: 3s
    continue_on_failure: true
    steps:
      - id: inner
        within: 5s
        steps:
          - { id: nap, uses: time.sleep, with: { duration: 8s } }
  - { id: later, uses: time.sleep, with: { duration: 1m } }
  - { id: unknown, uses: http.request, with: { url: https://a.example.com, method: POST } }
  - { id: said, script: '[steps.outer.outcome, steps.inner.outcome]' }
",
    )
    .answers("unknown", [in_doubt()]);
    let ended = scenario.run().decide("unknown", Decision::Done, Map::new());
    assert_eq!(ended.outputs("said").to_plain(), json!(["failed", "cancelled"]));
}

#[test]
fn a_decision_does_not_disturb_a_wait_beside_it() {
    let scenario = Scenario::new(
        "steps:
  - id: both
    parallel:
      - { id: unknown, uses: http.request, with: { url: https://a.example.com, method: POST } }
      - id: well
        uses: http.probe
        with: { url: https://b.example.com }
        until: result.ok
        in_a_row: 3
        every: 10s
        within: 5m
",
    )
    .answers("unknown", [in_doubt()])
    .answers("well", [ok(json!({"ok": true}))]);
    let mut run = scenario.start();
    let mut world = scenario.world.clone();
    let waits = run.drive(&mut world, 6);
    assert_eq!((waits.doubts.len(), world.count("http.probe")), (1, 1));
    let ended = Ended { run, world, waits }.decide("unknown", Decision::Done, Map::new());
    assert_eq!(ended.outcomes(), "unknown done, well done");
    assert_eq!(ended.world.count("http.probe"), 3);
    assert_eq!(ended.run.now.as_second() - ended.facts().started_at.as_second(), 20);
}

#[test]
fn a_group_waits_while_its_reads_are_refused_and_keeps_its_last_look() {
    let text = "steps:
  - id: up
    steps:
      - { id: look, uses: http.probe, with: { url: https://a.example.com } }
      - { id: nap, if: steps.look.outputs.status == 2, uses: time.sleep, with: { duration: 1h } }
    outputs: { status: '${{ steps.look.outputs.status }}' }
    until: result.status == 1
    every: 5s
    within: 1m
outputs: { status: '${{ steps.look.outputs.status }}' }
";
    let ended = Scenario::new(text).answers("look", [refused(), refused(), ok(json!({"status": 1}))]).run();
    assert_eq!(ended.outcomes(), "look done, nap skipped");

    let cut = Scenario::new(text).answers("look", [refused(), ok(json!({"status": 2}))]).run();
    assert_eq!(cut.outcomes(), "look done, nap cancelled");
    let end = cut.end();
    assert_eq!(end.failed_step.as_ref().unwrap().as_str(), "up");
    assert!(end.error.as_ref().unwrap().message.starts_with("`until` was not met within 1m; last seen: "));
}

#[test]
fn a_retry_in_finally_gives_no_new_time_to_what_was_over_before() {
    // Shrunk from the generated case 2017466.
    let scenario = Scenario::new(
        "steps:
  - id: outer
    within: 7s
    steps:
      - id: inner
        within: 13s
        steps:
          - { id: nap, uses: time.sleep, with: { duration: 14s } }
finally:
  - { id: unknown, uses: http.request, with: { url: https://a.example.com, method: POST } }
  - { id: said, script: '[steps.outer.outcome, steps.inner.outcome]' }
",
    )
    .answers("finally/unknown", [in_doubt(), ok(json!({}))]);
    let ended = scenario.run().decide("finally/unknown", Decision::Retry, Map::new());
    assert_eq!(ended.outputs("finally/said").to_plain(), json!(["failed", "cancelled"]));
    assert_eq!(ended.end().failed_step.as_ref().unwrap().as_str(), "outer");
}

#[test]
fn a_retry_gives_new_time_to_what_is_around_it() {
    let scenario = Scenario::new(
        "steps:
  - id: around
    within: 7s
    steps:
      - { id: nap, uses: time.sleep, with: { duration: 5s } }
      - { id: look, uses: http.probe, with: { url: https://a.example.com }, retry: { attempts: 2, delay: 1s } }
      - { id: after, uses: time.sleep, with: { duration: 6s } }
",
    )
    .answers("look", [refused(), refused(), ok(json!({}))]);
    let ended = scenario.run().decide("look", Decision::Retry, Map::new());
    assert_eq!(ended.outcomes(), "nap done, look done, after done");
}

#[test]
fn what_the_time_of_a_run_had_stopped_stays_so_when_its_clean_up_is_taken_up_again() {
    let scenario = Scenario::new(
        "timeout: 10s
steps:
  - { id: nap, uses: time.sleep, with: { duration: 8s } }
  - { id: cut, uses: time.sleep, with: { duration: 8s } }
  - { id: never, uses: run.note, with: { text: noted } }
finally:
  - { id: unknown, uses: http.request, with: { url: https://a.example.com, method: POST } }
",
    )
    .answers("finally/unknown", [in_doubt(), ok(json!({}))]);
    let expected = "nap done, cut cancelled, finally/unknown done";
    for decision in [Decision::Done, Decision::Retry] {
        let mut open = scenario.run();
        let keep = open.run.events.len();
        open.run.crash(keep, ana()).unwrap();
        let ended = open.decide("finally/unknown", decision, Map::new());
        assert_eq!(ended.outcomes(), expected, "{decision:?}");
        let end = ended.end();
        assert_eq!((end.outcome, end.failed_step.as_ref().unwrap().as_str()), (RunOutcome::Failed, "cut"));
    }
}

#[test]
fn nothing_of_the_main_steps_begins_in_the_middle_of_a_clean_up_that_is_taken_up_again() {
    // The look that was under way when the time was up ended by itself: no step says that anything was stopped.
    let main = "
  - { id: look, uses: http.probe, with: { url: https://a.example.com } }
  - { id: never, uses: http.request, with: { url: https://a.example.com/never, method: POST } }
";
    let clean_up = "  - { id: unknown, uses: http.request, with: { url: https://a.example.com, method: POST } }\n";
    let plain = format!("timeout: 10s\nsteps:{main}finally:\n{clean_up}");
    let action = format!("steps:{main}finally:\n{clean_up}");
    let calls = "steps:\n  - { id: called, uses: own, timeout: 10s }\n";
    let scenarios =
        [("", Scenario::new(&plain)), ("called/", Scenario::with_actions(calls, &[("own", action.as_str())]))];
    for (inside, scenario) in scenarios {
        let unknown = format!("{inside}finally/unknown");
        let scenario = scenario
            .answers("http.probe", [ok(json!({}))])
            .answers(&unknown, [in_doubt(), ok(json!({}))])
            .answers("http.request", [ok(json!({}))]);
        let (mut run, mut world) = (scenario.start(), scenario.world.clone());
        let looks =
            |event: &Event| matches!(&event.body, Body::StepStarted(intent) if intent.step.as_str().ends_with("look"));
        while !run.events.iter().any(looks) {
            let one_more = run.events.len() + 1;
            run.drive(&mut world, one_more);
        }
        run.now = run.now.checked_add(SignedDuration::from_secs(11)).unwrap();
        let waits = run.drive(&mut world, usize::MAX);
        let mut open = Ended { run, world, waits };
        let keep = open.run.events.len();
        open.run.crash(keep, ana()).unwrap();
        let ended = open.decide(&unknown, Decision::Retry, Map::new());
        assert_eq!(ended.world.count("http.request"), 2, "{inside}: {}", ended.outcomes());
        assert_eq!(ended.end().outcome, RunOutcome::Failed, "{inside}");
        assert_eq!(ended.end().error.as_ref().unwrap().kind, FailureKind::Timeout, "{inside}");
    }
}
