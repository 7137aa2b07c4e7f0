//! Requests that are sent again, because their client has not heard the answer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use serde_json::{Value as Json, json};

use super::kit::Served;
use crate::binary::kit::Place;

const LOOK: &str = "
inputs: { n: { type: int } }
steps:
  - { id: twice, script: 'inputs.n * 2' }
outputs: { twice: '${{ steps.twice.outputs }}' }
";

#[test]
fn of_starts_with_many_duplicates_each_begins_one_run_and_is_answered_alike() {
    let place = Place::new().runbook("look", LOOK);
    let server = Served::start(&place, "a.sock");
    // Three of ten are sent again, some at once and some later.
    let requests: Vec<u32> = (0..30_u32).flat_map(|n| std::iter::repeat_n(n, if n % 10 < 3 { 2 } else { 1 })).collect();
    let answers: Mutex<BTreeMap<u32, Vec<Json>>> = Mutex::default();
    let next = Mutex::new(requests.iter());
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                loop {
                    let Some(n) = next.lock().unwrap().next() else { return };
                    let body = json!({ "runbook": "look", "inputs": { "n": n } });
                    let reply = server.unix().post("/api/v1/runs", &format!("key-{n}"), &body).is(201);
                    let json = reply.json();
                    assert_eq!(
                        reply.header("location"),
                        Some(format!("/api/v1/runs/{}", json["id"].as_str().unwrap()).as_str())
                    );
                    answers.lock().unwrap().entry(*n).or_default().push(json);
                }
            });
        }
    });
    let answers = answers.into_inner().unwrap();
    assert_eq!(answers.len(), 30);
    assert!(answers.values().all(|same| same.iter().all(|answer| *answer == same[0])), "{answers:?}");
    let started: BTreeSet<&str> = answers.values().map(|same| same[0]["id"].as_str().unwrap()).collect();
    let runs = server.unix().get("/api/v1/runs?limit=500").is(200).json();
    let there: BTreeSet<&str> = runs.as_array().unwrap().iter().map(|run| run["id"].as_str().unwrap()).collect();
    assert_eq!(there, started, "one run a key");
    // The first page links to the next, until all have been seen once.
    let (mut path, mut seen) = ("/api/v1/runs?limit=7".to_owned(), Vec::new());
    loop {
        let page = server.unix().get(&path).is(200);
        seen.extend(page.json().as_array().unwrap().iter().map(|run| run["id"].as_str().unwrap().to_owned()));
        let Some(link) = page.header("link") else { break };
        path = link.split(['<', '>']).nth(1).unwrap().to_owned();
    }
    assert_eq!(seen.len(), 30);
    assert_eq!(seen.iter().map(String::as_str).collect::<BTreeSet<_>>(), started);
}

#[test]
fn a_key_stands_for_its_request_also_after_the_server_was_killed() {
    let place = Place::new().runbook("look", LOOK);
    let server = Served::start(&place, "a.sock");
    let ask = |server: &Served, key: &str, n: u32| {
        server.unix().post("/api/v1/runs", key, &json!({ "runbook": "look", "inputs": { "n": n } }))
    };
    let first = ask(&server, "k", 1).is(201).json();
    let run = first["id"].as_str().unwrap();
    server.unix().until_status(run, "success");
    assert!(ask(&server, "k", 2).is(409).body.contains("was used for another request"));
    // What was refused may be put right under the same key.
    assert_eq!(server.unix().post("/api/v1/runs", "r", &json!({ "runbook": "look" })).status, 400);
    ask(&server, "r", 3).is(201);
    let note = json!({ "text": "called the provider" });
    let path = format!("/api/v1/runs/{run}/note");
    server.unix().post(&path, "n", &note).is(201);
    server.kill();
    let server = Served::start(&place, "a.sock");
    let again = ask(&server, "k", 1).is(201);
    assert_eq!((again.json(), again.header("idempotency-replayed")), (first.clone(), Some("true")));
    assert_eq!(server.unix().post(&path, "n", &note).is(201).header("idempotency-replayed"), Some("true"));
    let export = place.ask(&["export", run, "--format", "jsonl"]).exits(0).stdout;
    assert_eq!(export.matches("called the provider").count(), 1, "{export}");
    assert_eq!(server.unix().get("/api/v1/runs").json().as_array().unwrap().len(), 2);
}
