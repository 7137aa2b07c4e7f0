//! Limits in time where several things go on: what stops their clocks, and what they come to.

use rerail::engine::machine::Signal;
use rerail::engine::outcome::{FailureKind, RunOutcome};
use serde_json::json;

use crate::scenario::{Scenario, ana, failed, in_doubt, ok};

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
