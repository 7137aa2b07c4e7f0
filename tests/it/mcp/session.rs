//! One whole session as a text, for people to read: `target/tmp/mcp-session.txt`.

use serde_json::json;

use super::kit::{Talk, approve, project, written};

#[test]
fn a_session_from_the_symptom_to_the_fix_is_kept_for_people() {
    let place = project();
    let mut talk = Talk::begin(&place);
    talk.does("find_runbooks", json!({ "words": "test" }));
    talk.does("describe_runbook", json!({ "name": "put" }));
    let look = talk.does("start_run", json!({ "runbook": "look", "incident": "INC-7" }));
    talk.does("get_run", json!({ "run": look["run"], "wait_seconds": 20 }));
    talk.refused("start_run", json!({ "runbook": "put", "inputs": { "text": "x" }, "target": "live" }));
    let run = talk.starts("put", &json!({ "text": "back on its rails" }), "dev");
    let waiting = talk.until_status(&run, "waiting");
    approve(&place, &waiting);
    talk.until_status(&run, "success");
    talk.does("add_note", json!({ "run": run, "text": "put right after INC-7" }));
    talk.does("explain_run", json!({ "run": run }));
    assert_eq!(written(&place).as_deref(), Some("back on its rails"));
    let told = talk.said.iter().map(|line| format!("{line}\n")).collect::<String>();
    let path = concat!(env!("CARGO_TARGET_TMPDIR"), "/mcp-session.txt");
    std::fs::write(path, &told).unwrap();
    assert!(told.lines().count() > 20 && told.contains("\"plan_hash\":\"sha256:"), "{told}");
}
