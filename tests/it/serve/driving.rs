//! The server as a driver: killed, asked to go, taken over, and with runs that wait.

use std::time::{Duration, Instant};

use rerail::engine::event::Body;
use rustix::process::Signal;
use serde_json::json;

use super::kit::{ASKS_EVERY, Served, Team, soon};
use crate::binary::gate::Gate;
use crate::binary::kit::{Ledger, Living, Place, answer, until};

/// A write, a look that is held, a write.
const SLOW: &str = "
inputs: { base: { type: url } }
steps:
  - { id: first, uses: http.request, with: { method: POST, url: '${{ inputs.base }}/', text: first } }
  - { id: look, uses: http.probe, with: { url: '${{ inputs.base }}/held/look', timeout: 1m } }
  - { id: last, uses: http.request, with: { method: POST, url: '${{ inputs.base }}/', text: last } }
";

/// A write that is held, and one after it.
const HELD: &str = "
inputs: { base: { type: url } }
steps:
  - { id: held, uses: http.request, with: { method: POST, url: '${{ inputs.base }}/held/write', text: held, timeout: 1m } }
  - { id: last, uses: http.request, with: { method: POST, url: '${{ inputs.base }}/', text: last } }
";

const ASK: &str = "
steps:
  - { id: ready, uses: human.ask, with: { text: Ready? } }
outputs: { said: '${{ steps.ready.outputs.answer }}' }
";

fn resumed(place: &Place) -> Vec<String> {
    let reasons = place.events().into_iter().filter_map(|event| match event.body {
        Body::RunResumed { actor, reason, .. } => {
            Some(format!("{} {} {}", actor.id, actor.via, reason.unwrap_or_default()))
        }
        _ => None,
    });
    reasons.collect()
}

#[test]
fn a_killed_server_is_followed_by_another_within_three_seconds_and_nothing_is_done_twice() {
    let gate = Gate::serve();
    let place = Place::new().runbook("slow", SLOW);
    let first = Served::start(&place, "a.sock");
    let second = Served::start(&place, "b.sock");
    let run = first.unix().start("slow", &json!({ "base": gate.ledger.url }), "k");
    gate.arrived("look");
    assert!(resumed(&place).is_empty(), "nobody takes what is driven");
    let began = Instant::now();
    first.kill();
    until("the other server takes it up", || !resumed(&place).is_empty());
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    assert_eq!(resumed(&place), ["rerail serve taken up by the server: nobody drove it"]);
    gate.opens("look");
    second.unix().until_status(&run, "success");
    assert_eq!(["first", "last"].map(|body| gate.ledger.times(body)), [1, 1]);
    place.assert_journal_is_whole("after two servers");
}

#[test]
fn a_run_that_a_killed_terminal_left_goes_on() {
    let gate = Gate::serve();
    let place = Place::new().runbook("slow", SLOW);
    let mut living = Living::start(&place, &["run", "slow", "-i", &gate.input(), "--yes"]);
    gate.arrived("look");
    living.signal(Signal::KILL);
    living.ends();
    gate.opens("look");
    let server = Served::start(&place, "a.sock");
    let run = server.unix().get("/api/v1/runs").is(200).json()[0]["id"].as_str().unwrap().to_owned();
    server.unix().until_status(&run, "success");
    assert_eq!(["first", "last"].map(|body| gate.ledger.times(body)), [1, 1]);
}

#[test]
fn a_server_that_is_asked_to_go_lets_a_write_end_and_starts_nothing_new() {
    let gate = Gate::serve();
    let place = Place::new().runbook("held", HELD);
    let server = Served::start(&place, "a.sock");
    let client = server.unix();
    let run = client.start("held", &json!({ "base": gate.ledger.url }), "k");
    gate.arrived("write");
    server.signal(Signal::TERM);
    until("it takes no more connections", || client.try_send("GET", "/healthz", &[], "").is_err());
    gate.opens("write");
    assert_eq!(server.ends(), Some(0));
    let shown = place.json(&["show", &run]);
    assert_eq!((&shown["status"], &shown["in_doubt"]), (&json!("running"), &json!([])), "{shown}");
    assert_eq!(["held", "last"].map(|body| gate.ledger.times(body)), [1, 0]);
    let next = Served::start(&place, "a.sock");
    next.unix().until_status(&run, "success");
    assert_eq!(["held", "last"].map(|body| gate.ledger.times(body)), [1, 1]);
}

#[test]
fn runs_that_wait_for_people_need_no_threads_and_go_on_when_somebody_speaks() {
    let place = Place::new().runbook("ask", ASK);
    let server = Served::start(&place, "a.sock");
    let client = server.unix();
    let runs: Vec<String> = (0..20).map(|n| client.start("ask", &json!({}), &format!("k{n}"))).collect();
    for run in &runs {
        client.until_status(run, "waiting");
    }
    until("no driver is left", || {
        std::thread::sleep(ASKS_EVERY);
        client.get("/readyz").is(200).json()["driven"] == 0
    });
    until("no thread waits", || {
        std::thread::sleep(ASKS_EVERY);
        server.threads("driver") + server.threads("engine") == 0
    });
    assert!(server.threads("journal") <= 1, "one writer for the store");
    client.post(&format!("/api/v1/runs/{}/answer", runs[7]), "a", &json!({ "answer": "now" })).is(202);
    client.until_status(&runs[7], "success");
    // From the terminal as well.
    place.ask(&["answer", &runs[3], "answer=later"]).exits(0);
    client.until_status(&runs[3], "success");
    client.post(&format!("/api/v1/runs/{}/cancel", runs[5]), "c", &json!({ "reason": "enough" })).is(202);
    client.until_status(&runs[5], "cancelled");
    assert_eq!(client.status(&runs[0]), "waiting");
    assert_eq!(client.get("/api/v1/runs?status=waiting").json().as_array().unwrap().len(), 17);
}

#[test]
fn what_somebody_paused_stands_until_it_is_resumed() {
    let gate = Gate::serve();
    let place = Place::new().runbook("slow", SLOW);
    let server = Served::start(&place, "a.sock");
    let client = server.unix();
    let run = client.start("slow", &json!({ "base": gate.ledger.url }), "k");
    gate.arrived("look");
    assert_eq!((server.threads("driver"), server.threads("engine")), (1, 1));
    let path = |what: &str| format!("/api/v1/runs/{run}/{what}");
    client.post(&path("pause"), "p", &json!({ "reason": "wait for ben" })).is(202);
    gate.opens("look");
    client.until_status(&run, "paused");
    // Longer than the server takes to find a run that nobody drives.
    let until_then = Instant::now() + Duration::from_millis(2500);
    until("some looks have gone by", || Instant::now() >= until_then);
    assert_eq!((client.status(&run).as_str(), gate.ledger.times("last")), ("paused", 0));
    client.post(&path("resume"), "r", &json!({ "reason": "ben is here" })).is(202);
    client.until_status(&run, "success");
    assert_eq!(client.post(&path("resume"), "r2", &json!({})).status, 400, "it has ended");
}

#[test]
fn what_a_hold_stops_goes_on_once_it_is_lifted() {
    let gate = Gate::serve();
    let place = Place::new().runbook("held", HELD);
    let server = Served::start(&place, "a.sock");
    let client = server.unix();
    client.post("/api/v1/hold", "on", &json!({ "on": true, "reason": "freeze" })).is(200);
    let run = client.start("held", &json!({ "base": gate.ledger.url }), "k");
    until("its driver has left it", || {
        std::thread::sleep(ASKS_EVERY);
        client.get("/readyz").is(200).json()["driven"] == 0
    });
    let until_then = Instant::now() + Duration::from_millis(2500);
    until("some looks have gone by", || Instant::now() >= until_then);
    assert_eq!((client.status(&run).as_str(), resumed(&place).len()), ("paused", 0), "it is not tried in vain");
    gate.opens("write");
    client.post("/api/v1/hold", "off", &json!({ "on": false })).is(200);
    client.until_status(&run, "success");
    assert_eq!((resumed(&place).len(), gate.ledger.times("held")), (1, 1));
}

#[test]
fn what_nobody_answers_in_time_ends_although_nobody_drives_it() {
    let ask = "steps:\n  - { id: ready, uses: human.ask, with: { text: Ready?, expires: 2s } }\n";
    let place = Place::new().runbook("ask", ask);
    let server = Served::start(&place, "a.sock");
    let run = server.unix().start("ask", &json!({}), "k");
    server.unix().until_status(&run, "rejected");
}

#[test]
fn people_are_reminded_of_an_approval_although_nobody_drives_its_run() {
    let ledger = Ledger::serve(|_, stream| answer(stream, &json!({})));
    let set = "
inputs: { base: { type: url } }
steps:
  - id: set
    uses: http.request
    with: { method: POST, url: '${{ inputs.base }}/', text: set }
    approval: { by: [oncall], remind: 10s }
";
    let place = Place::new().runbook("set", set);
    let server = Served::start(&place, "a.sock");
    let run = server.unix().start("set", &json!({ "base": ledger.url }), "k");
    until("its driver has left it", || {
        std::thread::sleep(ASKS_EVERY);
        server.unix().get("/readyz").is(200).json()["driven"] == 0
    });
    let reminded = || {
        let events = place.events();
        events.iter().filter(|event| matches!(event.body, Body::ApprovalReminded { .. })).count()
    };
    assert_eq!(reminded(), 0);
    until("somebody is reminded", || {
        std::thread::sleep(ASKS_EVERY);
        reminded() == 1
    });
    server.unix().until_status(&run, "waiting");
    assert_eq!(ledger.times("set"), 0);
}

#[test]
fn nothing_is_taken_up_for_somebody_who_may_no_longer_drive_it() {
    let gate = Gate::serve();
    let both = Team::new().and("ana", "", "read", &soon(), "").here("ana").and("ben", "", "read, run", &soon(), "");
    let place = Place::new().file("rerail.yaml", &both.yaml).runbook("slow", SLOW);
    let mut living = Living::start(&place, &["run", "slow", "-i", &gate.input(), "--yes"]);
    gate.arrived("look");
    living.signal(Signal::KILL);
    living.ends();
    let ben = Team::new().and("ben", "", "read, run", &soon(), "");
    std::fs::write(place.project().join("rerail.yaml"), &ben.yaml).unwrap();
    let server = Served::start(&place, "a.sock");
    let client = server.tcp().bearer(ben.token("ben"));
    gate.opens("look");
    let until_then = Instant::now() + Duration::from_millis(2500);
    until("some looks have gone by", || Instant::now() >= until_then);
    let run = client.get("/api/v1/runs").is(200).json()[0]["id"].as_str().unwrap().to_owned();
    assert_eq!((client.status(&run).as_str(), resumed(&place).len()), ("running", 0));
    // Ben may, and says so.
    client.post(&format!("/api/v1/runs/{run}/resume"), "r", &json!({ "reason": "ana has left" })).is(202);
    client.until_status(&run, "success");
    assert_eq!(["first", "last"].map(|body| gate.ledger.times(body)), [1, 1]);
}
