//! How far a program reaches: up to what a target says, never to a yes, and no further than its person.

use rerail::engine::event::Body;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use super::kit::{Talk, approve, hello, project, written};
use crate::binary::kit::{Place, until};

fn team(place: Place, people: &str) -> Place {
    place.file("rerail.yaml", format!("version: 1\nallow: {{ file_write: [out] }}\npeople:\n{people}"))
}

fn me() -> String {
    format!("uid-{}", rustix::process::getuid().as_raw())
}

#[test]
fn without_a_word_of_the_target_a_program_only_looks() {
    let place = project();
    let mut talk = Talk::begin(&place);
    for target in [json!(null), json!("live")] {
        let asked = json!({ "runbook": "put", "inputs": { "text": "x" }, "target": target });
        let plan = talk.does("plan_run", asked.clone());
        assert_eq!(plan["plan_hash"], json!(null));
        assert!(
            plan["no_hash_because"].as_str().unwrap().contains("may read at most, and this one may write"),
            "{plan}"
        );
        assert!(talk.refused("start_run", asked).starts_with("\"not_allowed\""));
    }
    // A hash of where it may does not open where it may not.
    let asked = json!({ "runbook": "put", "inputs": { "text": "x" }, "target": "dev" });
    let hash = talk.does("plan_run", asked)["plan_hash"].clone();
    let asked = json!({ "runbook": "put", "inputs": { "text": "x" }, "target": "live", "plan_hash": hash });
    assert!(talk.refused("start_run", asked).starts_with("\"not_allowed\""));
    assert!(talk.does("list_runs", json!({}))["runs"].as_array().unwrap().is_empty());
    assert_eq!(written(&place), None);
}

#[test]
fn a_plan_hash_is_for_its_inputs_and_its_program() {
    let place = project();
    let mut talk = Talk::begin(&place);
    let asked = |text: &str, hash: &serde_json::Value| json!({ "runbook": "put", "inputs": { "text": text }, "target": "dev", "plan_hash": hash });
    let plan = talk.does("plan_run", json!({ "runbook": "put", "inputs": { "text": "a" }, "target": "dev" }));
    let hash = &plan["plan_hash"];
    assert!(talk.refused("start_run", asked("b", hash)).contains("other inputs: `text` differ"));
    assert!(talk.refused("start_run", asked("a", &json!("sha256:0000"))).contains("no plan with the hash"));
    let mut other = Talk::silent(&place, &["mcp"]);
    other.ask("initialize", hello("another", "1.0"));
    other.say(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }).to_string());
    assert!(other.refused("start_run", asked("a", hash)).contains("was made for somebody else"));
    // What is started is what was planned, or nothing.
    let place = place.runbook(
        "put",
        "inputs: { text: { type: string } }\nsteps: [{ id: put, uses: file.write, with: { path: out/b, text: x } }]\n",
    );
    assert!(talk.refused("start_run", asked("a", hash)).contains("has changed since: runbooks/put.yaml"));
    assert!(place.events().is_empty());
}

#[test]
fn a_plan_outlives_the_process_that_made_it() {
    let place = project();
    let asked = json!({ "runbook": "put", "inputs": { "text": "a" }, "target": "dev" });
    let mut talk = Talk::begin(&place);
    let hash = talk.does("plan_run", asked.clone())["plan_hash"].clone();
    assert!(talk.closes().0.success());
    let mut start = asked;
    start["plan_hash"] = hash.clone();
    let mut again = Talk::begin(&place);
    let run = again.does("start_run", start.clone())["run"].clone();
    // The same plan is the same run, whoever is asked.
    assert_eq!(again.does("start_run", start)["run"], run);
    let events = place.events();
    let Body::RunStarted(started) = &events[0].body else { panic!("{events:?}") };
    assert_eq!(started.plan.as_ref().map(|plan| plan.digest.as_str()), hash.as_str());
}

#[test]
fn what_a_person_started_beyond_its_reach_a_program_does_not_answer() {
    let place = project().runbook(
        "careful",
        "steps:\n  - { id: sure, uses: human.ask, with: { text: Sure? } }\n  - { id: put, uses: file.write, with: { path: out/a, text: x } }\n",
    );
    place.ask(&["run", "careful", "--yes", "--no-input"]).exits(13);
    let run = place.json(&["runs"])[0]["run"].as_str().unwrap().to_owned();
    let mut talk = Talk::begin(&place);
    assert!(talk.refused("answer", json!({ "run": run, "answer": "yes" })).starts_with("\"not_allowed\""));
    talk.does("add_note", json!({ "run": run, "text": "somebody should look at this" }));
    assert_eq!(written(&place), None);
}

#[test]
fn a_program_acts_for_its_person_whose_yes_counts_where_that_of_others_is_not_asked_for() {
    let place = team(project(), &format!("  ana: {{ os_user: {}, roles: [oncall] }}\n", me()));
    let mut talk = Talk::begin(&place);
    let run = talk.starts("put", &json!({ "text": "x" }), "dev");
    let waiting = talk.until_status(&run, "waiting");
    assert_eq!(waiting["by"], "robot 1.0 for ana");
    assert_eq!(waiting["approvals"][0]["needs"], "a person", "{waiting}");
    // Ana herself, at her terminal.
    approve(&place, &waiting);
    talk.until_status(&run, "success");
    assert_eq!(written(&place).as_deref(), Some("x"));
}

#[test]
fn four_eyes_are_four_eyes_also_if_a_program_asked() {
    let place = team(
        project(),
        &format!(
            "  ana: {{ os_user: {}, roles: [oncall] }}\n  ben: {{ os_user: nobody-here, roles: [oncall] }}\n",
            me()
        ),
    )
    .file("targets/dev.yaml", "version: 1\npolicy: { write: { approval: oncall }, agents: { max_effect: write } }\n");
    let mut talk = Talk::begin(&place);
    let run = talk.starts("put", &json!({ "text": "x" }), "dev");
    let waiting = talk.until_status(&run, "waiting");
    assert_eq!(waiting["approvals"][0]["needs"], "oncall", "what the target asks for stays: {waiting}");
    let change = waiting["approvals"][0]["change"].as_str().unwrap();
    let said = place.ask(&["approve", &run, "--yes", "--change", change]);
    assert_ne!(said.code(), Some(0));
    said.says(&["started this run, and nobody approves their own"]);
    assert_eq!(written(&place), None);
}

#[test]
fn whoever_is_no_person_of_the_project_looks_and_whoever_has_left_is_out_at_once() {
    let place = team(project(), &format!("  ana: {{ os_user: {}, roles: [oncall] }}\n", me()));
    let mut talk = Talk::begin(&place);
    let asked = json!({ "runbook": "put", "inputs": { "text": "x" }, "target": "dev" });
    let mut start = asked.clone();
    start["plan_hash"] = talk.does("plan_run", asked)["plan_hash"].clone();
    let place = team(place, "  ben: { os_user: nobody-here }\n");
    assert!(talk.refused("start_run", start).contains("is no person of this project"));
    talk.does("start_run", json!({ "runbook": "look" }));
    std::fs::write(place.project().join("rerail.yaml"), "people: {").unwrap();
    let said = talk.refused("find_runbooks", json!({}));
    assert!(said.contains("problems"), "who may act is never guessed: {said}");
}

#[test]
fn an_event_in_which_a_program_approves_does_not_fold() {
    let place = project();
    let mut talk = Talk::begin(&place);
    let run = talk.starts("put", &json!({ "text": "x" }), "dev");
    talk.until_status(&run, "waiting");
    let facts = place.facts();
    let open = facts.approvals.open().next().unwrap().request.clone();
    let actor = facts.started.as_ref().unwrap().actor.clone();
    let why = facts.refuses_approval(&open.step, &open.change, &actor, jiff::Timestamp::now(), true).unwrap();
    assert!(why.contains("a program that acts for"), "{why}");
    assert!(facts.refuses_rejection(&open.step, &open.change, &actor).unwrap().contains("a program that acts for"));
    let person = rerail::engine::event::Actor::new(actor.id.as_str(), "cli");
    assert_eq!(facts.refuses_approval(&open.step, &open.change, &person, jiff::Timestamp::now(), true), None);
}

#[test]
fn with_its_client_a_program_leaves_its_runs_and_takes_up_nobody_elses() {
    let place = project();
    // A run that somebody else left, which no program takes up.
    place.ask(&["run", "ask", "--no-input"]).exits(13);
    let left = place.json(&["runs"])[0]["run"].as_str().unwrap().to_owned();
    place.ask(&["answer", &left, "answer=yes"]).exits(0);
    let mut talk = Talk::begin(&place);
    let run = talk.does("start_run", json!({ "runbook": "nap" }))["run"].as_str().unwrap().to_owned();
    let pid = talk.pid();
    let (status, heard, stderr) = talk.closes();
    assert!(status.success() && heard.is_empty() && stderr.is_empty(), "{status} {heard:?} {stderr}");
    until("the process is gone", || {
        kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), Signal::WINCH).is_err()
    });
    assert_eq!(place.json(&["show", &left])["status"], "waiting");
    let resumed = |run: &str| place.ask(&["export", run, "--format", "jsonl"]).stdout.contains("\"run.resumed\"");
    assert!(!resumed(&left));
    // Its own run is there to be taken up, and stops as it is told.
    place.ask(&["cancel", &run]).exits(0);
    place.ask(&["resume", &run]);
    assert_eq!(place.json(&["show", &run])["status"], "cancelled");
    place.assert_journal_is_whole("after a program has left");
}

#[test]
fn asked_to_go_it_leaves_its_runs_as_well() {
    let place = project();
    let mut talk = Talk::begin(&place);
    let run = talk.does("start_run", json!({ "runbook": "nap" }))["run"].as_str().unwrap().to_owned();
    kill_process(Pid::from_raw(i32::try_from(talk.pid()).unwrap()).unwrap(), Signal::TERM).unwrap();
    let (status, _, _) = talk.closes();
    assert!(status.success(), "{status}");
    let events = place.events();
    assert!(!events.iter().any(|event| matches!(event.body, Body::RunFinished { .. })), "{run} is left, not ended");
}

#[test]
fn what_a_secret_is_no_tool_says() {
    let value = "tok-mcp-example-42";
    let place = project()
        .file("token.txt", value)
        .file("app.log", format!("started with {value}\n"))
        .file(
            "targets/dev.yaml",
            "version: 1\nsecrets: { TOKEN: { from: file, path: token.txt, hosts: [127.0.0.1] } }\npolicy: { agents: { max_effect: write } }\n",
        )
        .runbook(
            "tell",
            "secrets: [TOKEN]\nsteps:\n  - { id: read, uses: file.read, with: { path: app.log } }\n  - { id: same, script: 'secrets.TOKEN.same_as(secrets.TOKEN)' }\n",
        )
        .file("rerail.yaml", "version: 1\nallow: { file_write: [out] }\n");
    let mut talk = Talk::begin(&place);
    let run = talk.does("start_run", json!({ "runbook": "tell", "target": "dev" }))["run"].clone();
    talk.call("get_run", json!({ "run": run, "wait_seconds": 20 })).unwrap();
    talk.call("get_run", json!({ "run": run, "step": "read" })).unwrap();
    talk.ask("resources/read", json!({ "uri": format!("run://{}/transcript", run.as_str().unwrap()) }));
    talk.refused("add_note", json!({ "run": run, "text": format!("it is {value}") }));
    let heard: Vec<&String> = talk.said.iter().filter(|line| line.starts_with('<')).collect();
    assert!(heard.iter().any(|line| line.contains("[redacted:TOKEN]")), "{heard:?}");
    assert!(!heard.iter().any(|line| line.contains(value)), "{heard:?}");
}
