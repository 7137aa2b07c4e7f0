//! Saved plans of a size that only files have, on their way to a server and back.

use serde_json::{Value as Json, json};

use crate::binary::kit::{Ledger, Place, answer};
use crate::client::kit::through;
use crate::serve::kit::Served;

/// Writes the same text to many places: its plan says it once for each.
const MANY: &str = "
inputs: { base: { type: url }, text: { type: string } }
steps:
  - id: each
    foreach: '${{ [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30] }}'
    steps:
      - { id: put, uses: http.request, with: { method: PUT, url: '${{ inputs.base }}/${{ each.value }}', text: '${{ inputs.text }}' } }
";

/// Steps of [`MANY`].
const WRITES: usize = 30;

/// As many bytes of every kind that a text of JSON spells with two.
fn text() -> String {
    "a \"line\" of\\a file\n".repeat(7000)
}

#[test]
fn a_plan_of_several_mebibytes_is_held_against_now_applied_once_and_compared_over_a_server() {
    let ledger = Ledger::serve(|_, stream| answer(stream, &json!({})));
    let project = Place::new().runbook("many", MANY);
    let server = Served::start(&project, "a.sock");
    let address = through(&server.socket);
    let text = text();
    let client = Place::new().file("inputs.json", json!({ "text": text }).to_string());
    let base = format!("base={}", ledger.url);
    let ask = |args: &[&str]| client.ask(&[args, &["--server", &address]].concat());
    ask(&["plan", "many", "-i", &base, "--inputs", "inputs.json", "--out", "large.plan"]).exits(0);
    let bytes = std::fs::metadata(client.project().join("large.plan")).unwrap().len();
    assert!(bytes > 4 * 1024 * 1024, "{bytes}");
    assert_eq!(ledger.writes().len(), 0);
    let applied: Json = ask(&["apply", "large.plan", "--yes", "-o", "json"]).exits(0).json();
    assert_eq!(applied["status"], "success", "{applied}");
    let written = ledger.writes();
    assert_eq!(written.len(), WRITES);
    assert!(written.iter().all(|request| request.body == text));
    // A plan is spent once its run has written, and says what that did.
    ask(&["apply", "large.plan", "--yes"]).exits(17);
    ask(&["diff", "large.plan", "@last", "--exit-code"]).exits(0);
    assert_eq!(ledger.writes().len(), WRITES);
}

#[test]
fn only_plans_may_be_as_large() {
    let project = Place::new();
    let server = Served::start(&project, "a.sock");
    let large = "x".repeat(1024 * 1024);
    for path in ["/api/v1/runs", "/api/v1/checks", "/api/v1/plans", "/mcp"] {
        server.unix().post(path, "k", &json!({ "runbook": large })).is(413);
    }
    for path in ["/api/v1/plans/check", "/api/v1/plans/apply"] {
        let refused = server.unix().post(path, path, &json!({ "plan": large }));
        assert_eq!((refused.status, refused.json()["exit_code"].as_i64()), (422, Some(3)), "{}", refused.body);
    }
    let most = 33 * 1024 * 1024;
    server.unix().post("/api/v1/plans/check", "l", &json!({ "plan": "x".repeat(most) })).is(413);
}
