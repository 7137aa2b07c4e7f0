//! Limits in time where several things go on: what stops their clocks, and what they come to.

use serde_json::json;

use crate::scenario::{Scenario, failed, in_doubt, ok};
use rerail::engine::outcome::FailureKind;

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
