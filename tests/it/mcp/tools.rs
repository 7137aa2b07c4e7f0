//! Every tool, by what it gives and what it refuses.

use rerail::engine::event::Body;
use serde_json::json;

use super::kit::{Talk, approve, project, written};

#[test]
fn runbooks_are_found_and_described_with_what_they_may_do() {
    let place = project();
    let mut talk = Talk::begin(&place);
    let found = talk.does("find_runbooks", json!({ "words": "A TEST" }));
    let own = found["runbooks"].as_array().unwrap().iter().filter(|row| row["origin"] == "project");
    let names: Vec<&str> = own.map(|row| row["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["ask", "look", "nap", "put"]);
    assert_eq!(found["targets"][0], json!({ "name": "dev", "agents_max_effect": "write", "valid": true }));
    assert_eq!(found["targets"][1]["agents_max_effect"], "read");
    let none = talk.call("find_runbooks", json!({ "words": "no-such-word" })).unwrap();
    assert!(none["next"].as_str().unwrap().contains("fewer or other words"), "{none}");
    let put = talk.does("describe_runbook", json!({ "name": "put" }));
    assert_eq!((&put["effects"], &put["inputs"][0]["name"]), (&json!(["write"]), &json!("text")));
    assert!(talk.refused("describe_runbook", json!({ "name": "putt" })).contains("did you mean"));
    assert!(talk.refused("describe_runbook", json!({ "name": "../../etc/passwd" })).contains("not by a path"));
}

#[test]
fn what_only_looks_starts_at_once_is_waited_for_listed_and_explained() {
    let place = project();
    let mut talk = Talk::begin(&place);
    let started = talk.does("start_run", json!({ "runbook": "look", "incident": "INC-7", "reason": "a look" }));
    let run = started["run"].as_str().unwrap().to_owned();
    let seen = talk.does("get_run", json!({ "run": run, "wait_seconds": 50 }));
    assert_eq!((&seen["status"], &seen["incident"]), (&json!("success"), &json!("INC-7")), "{seen}");
    assert_eq!(seen["steps"][0]["uses"], "time.now");
    let step = talk.does("get_run", json!({ "run": run, "step": "now" }));
    assert_eq!(step["outcome"], "done");
    assert!(talk.refused("get_run", json!({ "run": run, "step": "then" })).contains("is not in look/"));
    let listed = talk.does("list_runs", json!({ "incident": "INC-7" }));
    assert_eq!(listed["runs"][0]["id"], seen["id"]);
    assert_eq!(talk.does("list_runs", json!({ "status": "failed" }))["runs"], json!([]));
    for (wrong, says) in [
        (json!({ "limit": 51 }), "expected 1 to 50"),
        (json!({ "limit": 0 }), "expected 1 to 50"),
        (json!({ "status": "odd" }), "no status `odd`"),
        (json!({ "since": "tomorrow" }), "since takes a duration"),
        (json!({ "before": "x" }), "no such run"),
    ] {
        let said = talk.refused("list_runs", wrong);
        assert!(said.contains(says), "{said}");
    }
    let why = talk.does("explain_run", json!({ "run": run }));
    assert_eq!(why["status"], "success");
    assert!(talk.refused("explain_run", json!({ "run": "zzzzzz" })).contains("not_found"));
    assert!(talk.refused("get_run", json!({ "run": "@last" })).contains("no such run"));
    assert!(talk.refused("get_run", json!({ "run": run, "wait_seconds": 51 })).contains("expected 0 to 50"));
}

#[test]
fn a_write_is_planned_started_by_its_hash_and_made_when_a_person_has_approved_it() {
    let place = project();
    let mut talk = Talk::begin(&place);
    let asked = json!({ "runbook": "put", "inputs": { "text": "hello" }, "target": "dev" });
    let plan = talk.does("plan_run", asked.clone());
    assert_eq!(written(&place), None, "a plan changes nothing");
    let mut start = asked.clone();
    assert!(talk.refused("start_run", start.clone()).contains("starts it from a plan"));
    start["plan_hash"] = plan["plan_hash"].clone();
    let run = talk.does("start_run", start.clone())["run"].as_str().unwrap().to_owned();
    // The runbook asks nobody, and neither does the target.
    let waiting = talk.until_status(&run, "waiting");
    assert_eq!((waiting["approvals"].as_array().unwrap().len(), written(&place)), (1, None));
    place.ask(&["approvals"]).exits(0).says(&["robot 1.0 for "]);
    approve(&place, &waiting);
    talk.until_status(&run, "success");
    assert_eq!(written(&place).as_deref(), Some("hello"));
    let events = place.events();
    let Body::RunStarted(started) = &events[0].body else { panic!("{events:?}") };
    assert_eq!((started.actor.via.as_str(), started.actor.agent.as_deref()), ("mcp", Some("robot 1.0")));
    assert_eq!(started.plan.as_ref().map(|plan| plan.digest.as_str()), plan["plan_hash"].as_str());
    let given = events.iter().find_map(|event| match &event.body {
        Body::ApprovalGiven { actor, .. } => Some(actor),
        _ => None,
    });
    let given = given.unwrap();
    assert_eq!((given.via.as_str(), &given.agent, &given.id), ("cli", &None, &started.actor.id));
    let shown = place.ask(&["show", &run]).exits(0);
    assert!(shown.stdout.contains(&format!("operator: robot 1.0 for {}", given.id)), "{}", shown.stdout);
    let listed = place.ask(&["runs"]).exits(0);
    assert!(listed.stdout.contains(&format!("robot 1.0 for {}", given.id)), "{}", listed.stdout);
    assert_eq!(place.json(&["runs"])[0]["agent"], "robot 1.0");
    // The same plan is the same run, also asked in other words.
    start["reason"] = json!("once more");
    let again = talk.does("start_run", start);
    assert_eq!(again["run"], run.as_str());
    assert_eq!(talk.does("list_runs", json!({}))["runs"].as_array().unwrap().len(), 1);
}

#[test]
fn the_same_start_on_one_connection_is_one_run_and_on_another_one_another() {
    let place = project();
    let (mut one, mut other) = (Talk::begin(&place), Talk::begin(&place));
    let first = one.does("start_run", json!({ "runbook": "look" }));
    let second = one.does("start_run", json!({ "runbook": "look", "inputs": {} }));
    assert_eq!((&first["run"], &first["again"], &second["again"]), (&second["run"], &json!(false), &json!(true)));
    let reason = one.does("start_run", json!({ "runbook": "look", "reason": "anew" }));
    assert_ne!(reason["run"], first["run"]);
    assert_ne!(other.does("start_run", json!({ "runbook": "look" }))["run"], first["run"]);
    // What was refused may be asked again.
    for _ in 0..2 {
        assert!(one.refused("start_run", json!({ "runbook": "look", "inputs": { "x": 1 } })).contains("no input `x`"));
    }
}

#[test]
fn an_answer_is_recorded_as_given_by_a_program() {
    let place = project();
    let mut talk = Talk::begin(&place);
    let run = talk.does("start_run", json!({ "runbook": "ask" }))["run"].as_str().unwrap().to_owned();
    let waiting = talk.until_status(&run, "waiting");
    assert_eq!(waiting["questions"][0]["choices"], json!(["yes", "no"]));
    assert!(talk.refused("answer", json!({ "run": run })).contains("the answer is empty"));
    assert!(talk.refused("answer", json!({ "run": run, "answer": "maybe" })).contains("is not one of the choices"));
    assert!(
        talk.refused("answer", json!({ "run": run, "step": "other", "answer": "yes" })).contains("no open question")
    );
    talk.does("answer", json!({ "run": run, "answer": "yes" }));
    let ended = talk.until_status(&run, "success");
    assert_eq!(ended["outputs"], json!({ "said": "yes" }));
    let by = place.events().into_iter().find_map(|event| match event.body {
        Body::AskAnswered { actor, .. } => Some(actor),
        _ => None,
    });
    assert_eq!(by.unwrap().agent.as_deref(), Some("robot 1.0"));
    assert!(talk.refused("answer", json!({ "run": run, "answer": "yes" })).contains("has ended"));
}

#[test]
fn a_note_and_a_stop_stand_in_the_record_with_the_program() {
    let place = project();
    let mut talk = Talk::begin(&place);
    let run = talk.does("start_run", json!({ "runbook": "nap" }))["run"].as_str().unwrap().to_owned();
    talk.does("add_note", json!({ "run": run, "text": "looked at the dashboard" }));
    assert!(talk.refused("add_note", json!({ "run": run, "text": " " })).contains("the note is empty"));
    assert!(talk.refused("cancel_run", json!({ "run": run })).contains("missing field `reason`"));
    talk.does("cancel_run", json!({ "run": run, "reason": "long enough" }));
    talk.until_status(&run, "cancelled");
    let shown = place.ask(&["show", &run]).exits(0).says(&["looked at the dashboard", "robot 1.0 for"]);
    assert!(shown.stdout.contains("long enough"), "{}", shown.stdout);
    assert!(talk.refused("cancel_run", json!({ "run": run, "reason": "x" })).contains("has ended"));
}

#[test]
fn texts_are_drafted_checked_and_tested_without_a_file() {
    let place = project();
    let files = || {
        let mut files: Vec<_> = walk(&place.project());
        files.sort();
        files
    };
    let before = files();
    let mut talk = Talk::begin(&place);
    let draft =
        talk.does("draft_runbook", json!({ "name": "disk-full", "words": "the disk: of a \"server\" is full" }));
    let (text, tests) = (draft["runbook"].as_str().unwrap(), draft["tests"].as_str().unwrap());
    assert!(text.contains("title: \"the disk: of a \\\"server\\\" is full\"\n"), "{text}");
    let checked = talk.does("check_runbook", json!({ "text": text, "name": "disk-full" }));
    assert_eq!(checked, json!({ "valid": true, "problems": [] }));
    let tested = talk.does("test_runbook", json!({ "text": text, "tests": tests }));
    assert_eq!((&tested["passed"], tested["tests"].as_array().unwrap().len()), (&json!(true), 2), "{tested}");
    let broken = text.replace("steps.health.outputs.ok", "steps.health.outputs.okay");
    let checked = talk.does("check_runbook", json!({ "text": broken }));
    assert_eq!(
        (&checked["valid"], &checked["problems"][0]["path"]),
        (&json!(false), &json!("draft.yaml")),
        "{checked}"
    );
    let wrong = tests.replace("level: ok", "level: critical");
    let tested = talk.does("test_runbook", json!({ "text": text, "tests": wrong }));
    assert_eq!((&tested["passed"], &tested["failed"]), (&json!(false), &json!(1)), "{tested}");
    // Nothing real is called: what no mock answers fails the test, and writes nothing.
    let writes = "version: 1\ntitle: W\nowner: t\nreviewed: 2026-11-01\nsteps:\n  - { id: put, uses: file.write, with: { path: out/a, text: x } }\n";
    let unanswered = "version: 1\ntests:\n  - { name: writes, expect: { outcome: success } }\n";
    let tested = talk.does("test_runbook", json!({ "text": writes, "tests": unanswered }));
    assert_eq!((&tested["passed"], written(&place)), (&json!(false), None), "{tested}");
    for (tool, arguments, says) in [
        ("draft_runbook", json!({ "name": "Disk Full" }), "can't name a runbook"),
        ("draft_runbook", json!({ "name": "../x" }), "can't name a runbook"),
        ("check_runbook", json!({ "text": "x".repeat(256 * 1024 + 1) }), "at most 262.1 kB are read"),
        ("check_runbook", json!({ "text": "x", "name": "../x" }), "not by a path"),
        ("test_runbook", json!({ "text": "x" }), "missing field `tests`"),
    ] {
        let said = talk.refused(tool, arguments);
        assert!(said.contains(says), "{tool}: {said}");
    }
    assert_eq!(talk.does("check_runbook", json!({ "text": "" }))["valid"], json!(false));
    let many: String = (0..101).map(|number| format!("  - {{ name: t{number} }}\n")).collect();
    let said = talk.refused("test_runbook", json!({ "text": text, "tests": format!("version: 1\ntests:\n{many}") }));
    assert!(said.contains("there are 101 tests, and 100 are run at once"), "{said}");
    assert_eq!(files(), before, "nothing was written");
}

fn walk(dir: &std::path::Path) -> Vec<std::path::PathBuf> {
    std::fs::read_dir(dir)
        .unwrap()
        .flat_map(|entry| {
            let path = entry.unwrap().path();
            if path.is_dir() { walk(&path) } else { vec![path] }
        })
        .collect()
}

#[test]
fn resources_and_prompts_are_given_by_address_and_name() {
    let place = project();
    let mut talk = Talk::begin(&place);
    let listed = talk.ask("resources/list", json!({}));
    assert!(listed["result"]["resources"].to_string().contains("runbook://put"), "{listed}");
    let templates = talk.ask("resources/templates/list", json!({}));
    assert!(templates["result"].to_string().contains("run://{id}/transcript"), "{templates}");
    let text = talk.ask("resources/read", json!({ "uri": "runbook://put" }));
    assert!(text["result"]["contents"][0]["text"].as_str().unwrap().contains("uses: file.write"), "{text}");
    let run = talk.does("start_run", json!({ "runbook": "look" }))["run"].as_str().unwrap().to_owned();
    talk.until_status(&run, "success");
    let uri = format!("run://{run}/transcript");
    let transcript = talk.ask("resources/read", json!({ "uri": uri }));
    let text = transcript["result"]["contents"][0]["text"].as_str().unwrap();
    assert!(text.starts_with("Untrusted data") && text.contains("time.now"), "{text}");
    for uri in
        ["runbook://no-such", "runbook://../rerail", "run://zzzzzz/transcript", "run://x", "file:///etc/passwd", ""]
    {
        let reply = talk.ask("resources/read", json!({ "uri": uri }));
        assert!(reply["error"]["message"].is_string(), "{uri}: {reply}");
    }
    let prompts = talk.ask("prompts/list", json!({}));
    assert_eq!(prompts["result"]["prompts"].as_array().unwrap().len(), 2);
    let filled = talk.ask("prompts/get", json!({ "name": "postmortem", "arguments": { "incident": "INC-7" } }));
    assert!(filled["result"].to_string().contains("INC-7"), "{filled}");
    assert!(talk.ask("prompts/get", json!({ "name": "diagnose" }))["error"].is_object());
}
