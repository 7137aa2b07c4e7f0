//! What is told of one run at length, and what moves it beyond its start: saved plans, taking back, changing hands.

use serde_json::{Value as Json, json};

use super::kit::{Client, Served, Team, soon};
use crate::binary::gate::Gate;
use crate::binary::kit::{Ledger, Place, answer, until};

const SET: &str = "
inputs: { base: { type: url } }
steps:
  - id: seen
    uses: http.request
    with: { method: GET, url: '${{ inputs.base }}/' }
  - id: set
    if: steps.seen.outputs.status == 200
    uses: http.request
    with: { method: POST, url: '${{ inputs.base }}/', text: set }
    undo: { uses: http.request, with: { method: POST, url: '${{ inputs.base }}/', text: unset } }
";

const SLOW: &str = "
inputs: { base: { type: url } }
steps:
  - { id: one, uses: http.probe, with: { url: '${{ inputs.base }}/held/one', timeout: 1m } }
  - { id: two, script: '1' }
";

fn team() -> Team {
    Team::new()
        .and("ana", "oncall", "read, run", &soon(), "")
        .here("ana")
        .and("ben", "oncall", "read, run", &soon(), "")
        .and("look", "oncall", "read, run", &soon(), ", max_effect: read")
}

fn plain(lines: &Json) -> String {
    let line =
        |line: &Json| line.as_array().unwrap().iter().map(|piece| piece[1].as_str().unwrap()).collect::<String>();
    lines.as_array().unwrap().iter().map(|pieces| line(pieces).trim_end().to_owned() + "\n").collect()
}

#[test]
fn a_run_is_told_over_the_network_as_in_the_terminal() {
    let ledger = Ledger::serve(|_, stream| answer(stream, &json!({})));
    let place = Place::new().runbook("set", SET);
    let server = Served::start(&place, "a.sock");
    let client = server.unix();
    let inputs = json!({ "base": ledger.url });
    let (first, second) = (client.start("set", &inputs, "1"), client.start("set", &inputs, "2"));
    client.until_status(&first, "success");
    client.until_status(&second, "success");
    let path = |what: &str| format!("/api/v1/runs/{second}/{what}");
    let look = |what: &str| client.get(&path(what)).is(200);
    let here = |args: &[&str]| place.ask(args).exits(0).stdout;
    assert_eq!(plain(&look("why").json()["lines"]), here(&["show", &second, "--why"]));
    assert_eq!(
        plain(&look("why?step=set&signs=ascii").json()["lines"]),
        here(&["show", &second, "--why", "set", "--ascii"])
    );
    assert!(client.get(&path("why?step=sett")).is(400).body.contains("did you mean `set`?"));
    assert!(plain(&look("timeline").json()["lines"]).contains("set"));
    for format in ["md", "svg", "jsonl"] {
        assert_eq!(look(&format!("export?format={format}")).body, here(&["export", &second, "--format", format]));
    }
    let page = look("export?format=html");
    assert!(page.header("content-security-policy").unwrap().starts_with("sandbox"), "{}", page.head);
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert!(client.get(&path("export?format=pdf")).is(400).body.contains("md, html, svg, json, jsonl"));
    assert_eq!(look(&format!("diff?before={first}")).json(), place.json(&["diff", &first, &second]));
    assert_eq!(look("verify").json()["clean"], true);
    let found = client.get("/api/v1/runs?find=@last:set").is(200).json();
    assert_eq!(found, json!([place.json(&["runs", "--limit", "1"])[0]]));
    assert_eq!(client.get("/api/v1/runs?find=zzzzzz").is(404).json()["exit_code"], 2);
    let whole = client.get(&format!("/api/v1/runs/{second}")).is(200).json();
    assert_eq!((&whole["driven"], &whole["answered"]), (&json!(false), &json!([])));
}

#[test]
fn a_start_is_checked_whole_before_anybody_agrees_to_it() {
    let place = Place::new().file("rerail.yaml", &team().yaml).runbook("set", SET);
    let team = team();
    std::fs::write(place.project().join("rerail.yaml"), &team.yaml).unwrap();
    let server = Served::start(&place, "a.sock");
    let of = |name: &str| server.tcp().bearer(team.token(name));
    let asked = json!({ "runbook": "set", "typed": [{ "name": "base", "text": "https://api.example.com" }] });
    let checked = of("ana").post("/api/v1/checks", "1", &asked).is(200).json();
    assert_eq!(checked["changes"], json!([{ "step": "set", "action": "http.request", "effect": "write" }]));
    assert_eq!((&checked["refused"], &checked["target"]), (&Json::Null, &Json::Null));
    let no = of("look").post("/api/v1/checks", "2", &asked).is(200).json();
    assert!(no["refused"]["detail"].as_str().unwrap().contains("may read at most"), "{no}");
    for (body, says) in [
        (json!({ "runbook": "set", "typed": [{ "name": "base", "text": "no url" }] }), "base"),
        (json!({ "runbook": "set", "file": { "name": "in.yaml", "text": "base: [" } }), "in.yaml"),
        (json!({ "runbook": "set", "inputs": { "base": 1 }, "file": { "name": "f", "text": "{}" } }), "given twice"),
        (json!({ "runbook": "set", "save": "1h" }), "`save` means nothing here"),
    ] {
        let refused = of("ana").post("/api/v1/checks", "3", &body);
        assert!([400, 422].contains(&refused.status) && refused.body.contains(says), "{}", refused.body);
    }
    assert_eq!(of("ana").get("/api/v1/runs").is(200).json(), json!([]), "nothing of this started anything");
}

#[test]
fn a_saved_plan_is_applied_once_and_not_when_it_is_out_of_date() {
    let ledger = Ledger::serve(|request, stream| answer(stream, &json!({ "length": request.body.len() })));
    let team = team();
    let place = Place::new().file("rerail.yaml", &team.yaml).runbook("set", SET);
    let server = Served::start(&place, "a.sock");
    let ana = server.tcp().bearer(team.token("ana"));
    let asked = json!({ "runbook": "set", "inputs": { "base": ledger.url }, "save": "1h", "told": "ascii" });
    let made = ana.post("/api/v1/plans", "1", &asked).is(200).json();
    assert!(plain(&made["told"]["lines"]).contains("set") && made["told"]["changes_something"] == true, "{made}");
    let plan = made["saved"]["text"].as_str().unwrap().to_owned();
    let checked = ana.post("/api/v1/plans/check", "2", &json!({ "plan": plan })).is(200).json();
    assert_eq!((&checked["stale"], ledger.times("set")), (&json!(false), 0));
    let apply = |client: &Client, key: &str, body: Json| client.post("/api/v1/plans/apply", key, &body);
    assert!(apply(&ana, "3", json!({ "plan": plan })).is(400).body.contains("\\\"yes\\\": true"));
    apply(&server.tcp().bearer(team.token("look")), "3", json!({ "plan": plan, "yes": true })).is(403);
    let broken = plan.replace("http.request", "http.requesT");
    assert_eq!(apply(&ana, "4", json!({ "plan": broken, "yes": true })).status, 422);
    let applied = apply(&ana, "5", json!({ "plan": plan, "yes": true })).is(201).json();
    ana.until_status(applied["id"].as_str().unwrap(), "success");
    assert_eq!(ledger.times("set"), 1);
    let again = apply(&ana, "6", json!({ "plan": plan, "yes": true })).is(409).json();
    assert_eq!((&again["exit_code"], ledger.times("set")), (&json!(17), 1), "{again}");
}

#[test]
fn a_run_is_taken_back_after_a_look_at_what_that_does() {
    let ledger = Ledger::serve(|_, stream| answer(stream, &json!({})));
    let team = team();
    let place = Place::new().file("rerail.yaml", &team.yaml).runbook("set", SET);
    let server = Served::start(&place, "a.sock");
    let ana = server.tcp().bearer(team.token("ana"));
    let run = ana.start("set", &json!({ "base": ledger.url }), "1");
    ana.until_status(&run, "success");
    let path = format!("/api/v1/runs/{run}/undo");
    let plan = ana.post(&format!("{path}/plan"), "2", &json!({ "told": "unicode" })).is(200).json();
    assert_eq!(plan["undo"]["steps"], json!([{ "step": "set", "action": "http.request", "effect": "write" }]));
    assert!(plain(&plan["told"]["lines"]).contains("Plan to take back"), "{plan}");
    assert!(ana.post(&path, "3", &json!({})).is(400).body.contains("this takes 1 step of"));
    server.tcp().bearer(team.token("look")).post(&path, "3", &json!({ "yes": true })).is(403);
    assert_eq!(ledger.times("unset"), 0);
    ana.post(&path, "4", &json!({ "yes": true, "reason": "a test" })).is(202);
    ana.until_status(&run, "undone");
    assert_eq!(ledger.times("unset"), 1);
    let nothing = ana.post(&path, "5", &json!({ "yes": true })).is(200).json();
    assert_eq!(nothing["steps"], json!([]));
}

#[test]
fn a_run_that_the_server_drives_changes_hands_there() {
    let gate = Gate::serve();
    let team = team();
    let place = Place::new().file("rerail.yaml", &team.yaml).runbook("slow", SLOW);
    let server = Served::start(&place, "a.sock");
    let (ana, ben) = (server.tcp().bearer(team.token("ana")), server.tcp().bearer(team.token("ben")));
    let run = ana.start("slow", &json!({ "base": gate.ledger.url }), "1");
    gate.arrived("one");
    let stands = ben.get(&format!("/api/v1/runs/{run}/handover")).is(200).json();
    assert_eq!((&stands["driven"], &stands["from"]), (&json!(true), &json!("ana")));
    let take = std::thread::spawn({
        let (ben, path) = (ben.clone(), format!("/api/v1/runs/{run}/take"));
        move || ben.post(&path, "2", &json!({ "reason": "my shift" }))
    });
    // What is running ends first; then it is his.
    until("it was asked to leave", || {
        !place.json(&["show", &run])["pending"].as_array().unwrap().is_empty()
            || place.ask(&["export", &run, "--format", "jsonl"]).stdout.contains("run.paused")
    });
    gate.opens("one");
    take.join().unwrap().is(202);
    ana.until_status(&run, "success");
    let story = place.ask(&["export", &run, "--format", "jsonl"]).exits(0).stdout;
    assert!(story.contains("\"run.taken\"") && story.contains("my shift"), "{story}");
}
