//! Events as they happen, over connections that break.

use std::io::Read;

use serde_json::{Value as Json, json};

use super::kit::{Client, Served};
use crate::binary::gate::Gate;
use crate::binary::kit::Place;

const STEPS: &str = "
inputs: { base: { type: url } }
steps:
  - { id: a, script: '1' }
  - { id: one, uses: http.probe, with: { url: '${{ inputs.base }}/held/one', timeout: 1m } }
  - { id: b, script: '2' }
  - { id: two, uses: http.probe, with: { url: '${{ inputs.base }}/held/two', timeout: 1m } }
  - { id: c, script: '3' }
";

/// What one connection has told: numbers of events, and whether it told the end.
fn listen(client: &Client, run: &str, last: Option<u64>, enough: impl Fn(&[u64], bool) -> bool) -> (Vec<u64>, bool) {
    let last = last.map(|last| last.to_string());
    let headers: Vec<(&str, &str)> = last.iter().map(|last| ("last-event-id", last.as_str())).collect();
    let mut wire = client.open("GET", &format!("/api/v1/runs/{run}/events"), &headers, "").unwrap();
    let (mut text, mut chunk) = (Vec::new(), [0_u8; 256]);
    loop {
        let count = wire.read(&mut chunk).unwrap();
        text.extend_from_slice(&chunk[..count]);
        let whole = String::from_utf8_lossy(&text).into_owned();
        let (head, body) = whole.split_once("\r\n\r\n").unwrap_or((&whole, ""));
        if count == 0 {
            assert!(head.contains(" 200 ") || head.contains(" 204 "), "{head}");
        }
        let frames = body.split("\n\n").filter(|frame| frame.starts_with("id: "));
        // The last one may be cut.
        let complete = frames.take(body.matches("\n\n").count());
        let mut seen = Vec::new();
        for frame in complete {
            let (id, data) = frame.split_once('\n').unwrap_or((frame, ""));
            let Some(data) = data.strip_prefix("data: ") else { continue };
            let Ok(json) = serde_json::from_str::<Json>(data) else { continue };
            let number: u64 = id.strip_prefix("id: ").unwrap().parse().unwrap();
            assert_eq!(json["seq"], number);
            seen.push(number);
        }
        let ended = body.contains("event: end\ndata: {\"status\":\"success\"}\n\n");
        if count == 0 || enough(&seen, ended) {
            return (seen, ended);
        }
    }
}

#[test]
fn a_client_that_comes_back_misses_nothing_and_sees_nothing_twice() {
    let gate = Gate::serve();
    let place = Place::new().runbook("steps", STEPS);
    let server = Served::start(&place, "a.sock");
    let client = server.unix();
    let run = client.start("steps", &json!({ "base": gate.ledger.url }), "k");
    let mut all = Vec::new();
    // Broken off before the first held look, between both, and never.
    for (held, broken_after) in [("one", 2), ("two", 1), ("", usize::MAX)] {
        if !held.is_empty() {
            gate.arrived(held);
        }
        let (seen, ended) =
            listen(&client, &run, all.last().copied(), |seen, ended| ended || seen.len() >= broken_after);
        assert_eq!(ended, held.is_empty(), "{seen:?}");
        all.extend(seen);
        if !held.is_empty() {
            gate.opens(held);
        }
    }
    let export = place.ask(&["export", &run, "--format", "jsonl"]).exits(0).stdout;
    assert_eq!(all, (0..export.lines().count() as u64).collect::<Vec<_>>());
    // Who has seen the end is told not to come back.
    let last = all.last().unwrap().to_string();
    let reply = client.send("GET", &format!("/api/v1/runs/{run}/events"), &[("last-event-id", &last)], "");
    assert_eq!(reply.status, 204);
    let wrong = client.send("GET", &format!("/api/v1/runs/{run}/events"), &[("last-event-id", "x")], "");
    assert_eq!(wrong.status, 400);
}

#[test]
fn a_stream_follows_a_run_that_another_process_drives() {
    let gate = Gate::serve();
    let place = Place::new().runbook("steps", STEPS);
    let server = Served::start(&place, "a.sock");
    let living = crate::binary::kit::Living::start(&place, &["run", "steps", "-i", &gate.input()]);
    gate.arrived("one");
    let run = place.json(&["show", "@last"])["id"].as_str().unwrap().to_owned();
    gate.opens("one");
    gate.opens("two");
    let (seen, ended) = listen(&server.unix(), &run, None, |_, ended| ended);
    assert!(ended && seen == (0..seen.len() as u64).collect::<Vec<_>>(), "{seen:?}");
    living.ends().exits(0);
}

#[test]
fn of_many_who_speak_at_once_a_stream_loses_nobody_and_tells_nothing_twice() {
    let ask = "steps:\n  - { id: ready, uses: human.ask, with: { text: Ready?, choices: [go] } }\n";
    let place = Place::new().runbook("ask", ask);
    let server = Served::start(&place, "a.sock");
    let client = server.unix();
    let run = client.start("ask", &json!({}), "k");
    client.until_status(&run, "waiting");
    const SPEAKERS: usize = 6;
    const NOTES: usize = 20;
    let (seen, ended) = std::thread::scope(|scope| {
        let listens = scope.spawn(|| listen(&client, &run, None, |_, ended| ended));
        for speaker in 0..SPEAKERS {
            let (client, run) = (&client, &run);
            scope.spawn(move || {
                for note in 0..NOTES {
                    let text = format!("{speaker}-{note}");
                    client.post(&format!("/api/v1/runs/{run}/note"), &text, &json!({ "text": text })).is(201);
                }
            });
        }
        let texts: Vec<String> =
            (0..SPEAKERS).flat_map(|one| (0..NOTES).map(move |n| format!("\"{one}-{n}\""))).collect();
        crate::binary::kit::until("all has been noted", || {
            let export = place.ask(&["export", &run, "--format", "jsonl"]).exits(0).stdout;
            texts.iter().all(|text| export.contains(text))
        });
        let answer = json!({ "step": "ready", "answer": "go" });
        client.post(&format!("/api/v1/runs/{run}/answer"), "go", &answer).is(202);
        listens.join().unwrap()
    });
    let export = place.ask(&["export", &run, "--format", "jsonl"]).exits(0).stdout;
    assert!(ended);
    assert_eq!(seen, (0..export.lines().count() as u64).collect::<Vec<_>>());
}
