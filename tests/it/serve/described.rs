//! The description of the API as others read it: a validator of OpenAPI, and schemathesis, which sends what the
//! description allows and what it forbids, and holds every answer against it.

use std::process::Command;

use serde_json::json;

use super::kit::Served;
use crate::binary::kit::{Place, skipped};

/// Requests of a second, within what a server lets one person.
const RATE: &str = "19/s";
/// Cases a route that are made at random, beside those that cover each keyword of its description once.
const RANDOM: &str = "4";

/// Ends at once.
const NOTE: &str = "
steps:
  - { id: noted, uses: run.note, with: { text: done } }
";

/// What is known of the API and can't be said in its description: whether a run can take a word, or has a step, depends on
/// where it stands, whether a text is a plan on who signed it, `find` goes with no other parameter, and headers that nobody knows are nobody's business. That no route answers without proof is shown for
/// all of them elsewhere; the header with the token can't be taken away here.
const SETTINGS: &str = r#"
[parameters]
"path.run" = "RUN"
"path.runbook" = "note"

[checks]
ignored_auth.enabled = false

[[operations]]
include-path-regex = "^/api/v1/runs/[^/]+/(cancel|pause|resume|answer|approval|approve|reject|why|diff|handover|take|undo|undo/plan)$"
checks.positive_data_acceptance.enabled = false

[[operations]]
include-path-regex = "^/api/v1/(plans/(apply|check)|verify)$"
checks.positive_data_acceptance.enabled = false

[[operations]]
include-path = "/api/v1/runs"
include-method = "GET"
checks.positive_data_acceptance.enabled = false

[[operations]]
include-path-regex = "/events$"
checks.negative_data_rejection.enabled = false
"#;

fn is_there(program: &str) -> bool {
    let there = Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success());
    if !there {
        skipped(&format!("no {program} here, the description of the API was NOT held against the server by it"));
    }
    there
}

#[test]
fn a_validator_of_others_takes_the_description() {
    if !is_there("openapi-spec-validator") {
        return;
    }
    let place = Place::new();
    let server = Served::start(&place, "a.sock");
    let file = place.beside("openapi.json");
    std::fs::write(&file, server.unix().get("/api/v1/openapi.json").is(200).body).unwrap();
    let output = Command::new("openapi-spec-validator").arg(&file).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("OK"), "{said}{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn whatever_the_description_allows_or_forbids_is_answered_as_it_says() {
    if !is_there("schemathesis") {
        return;
    }
    let place = Place::new().runbook("note", NOTE);
    let server = Served::start(&place, "a.sock");
    let run = server.unix().start("note", &json!({}), "first");
    server.unix().until_status(&run, "success");
    let description = place.beside("openapi.json");
    std::fs::write(&description, server.unix().get("/api/v1/openapi.json").is(200).body).unwrap();
    let settings = place.beside("schemathesis.toml");
    std::fs::write(&settings, SETTINGS.replace("RUN", &run)).unwrap();
    let token = std::fs::read_to_string(place.state().join("server.token")).unwrap();
    let output = Command::new("schemathesis")
        .arg("--config-file")
        .args([&settings])
        .arg("run")
        .arg(&description)
        .args(["--url", &format!("http://127.0.0.1:{}", server.port)])
        .args(["--header", &format!("authorization: Bearer {}", token.trim())])
        .args(["--phases", "coverage,fuzzing", "--max-examples", RANDOM, "--rate-limit", RATE])
        .args(["--generation-database", "none", "--no-shrink", "--continue-on-failure", "--warnings", "off"])
        // Longer than a request may take: a machine that is busy is not what is looked for.
        .args(["--request-timeout", "60"])
        // One seed: what it finds, it finds again.
        .args(["--seed", "1"])
        .current_dir(place.beside("tmp"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    // It has met the server, and the server stands.
    assert!(said.contains("generated"), "{said}");
    assert_eq!(server.unix().get("/healthz").is(200).body, "ok\n");
}
