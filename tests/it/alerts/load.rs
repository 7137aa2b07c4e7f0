//! Many messages at once, some again, some forged, and a server that is killed in the middle.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use serde_json::json;

use super::kit::{TOKEN, place, runs, single};
use crate::binary::kit::{Place, from_env, until};
use crate::serve::kit::Served;

const PURE: &str = "
triggers: [{ alert: { alertname: Down }, inputs: { n: '${{ alert.labels.n }}' } }]
inputs: { n: { type: string } }
steps: [{ uses: run.note, with: { text: '${{ inputs.n }}' } }]
";

/// How many alerts; the figures of the documents are with 7,000, which are 10,000 messages.
fn unique() -> usize {
    usize::try_from(from_env("RERAIL_HOOKS", 120)).unwrap()
}

fn message(n: usize) -> String {
    single("firing", &format!("f{n}"), "2026-11-21T08:41:25Z", &json!({ "alertname": "Down", "n": n.to_string() }))
        .to_string()
}

/// Sends it until it is answered, by whichever server is there.
fn send(server: &Mutex<Option<Served>>, token: &str, body: &str) -> u16 {
    loop {
        let client = server.lock().unwrap().as_ref().map(|server| server.tcp().bearer(token));
        let headers = [("content-type", "application/json")];
        match client.map(|client| client.try_send("POST", "/hooks/alertmanager", &headers, body)) {
            Some(Ok(reply)) if reply.status != 503 && reply.status != 429 => return reply.status,
            _ => std::thread::yield_now(),
        }
    }
}

/// Sends all of them over many connections, three in ten twice, one in ten with a wrong proof beside; `halfway` is called
/// once half of them are answered.
fn storm(server: &Mutex<Option<Served>>, halfway: impl Fn() + Sync) {
    let (next, sent) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let all = unique();
    let connections = 200.min(all);
    std::thread::scope(|scope| {
        for _ in 0..connections {
            scope.spawn(|| {
                loop {
                    let n = next.fetch_add(1, Ordering::SeqCst);
                    if n >= all {
                        return;
                    }
                    let body = message(n);
                    assert_eq!(send(server, TOKEN, &body), 202);
                    if n % 7 < 3 {
                        assert_eq!(send(server, TOKEN, &body), 202);
                    }
                    if n % 10 == 0 {
                        assert_eq!(send(server, "obviously-wrong-token-0002", &body), 401);
                    }
                    if sent.fetch_add(1, Ordering::SeqCst) == all / 2 {
                        halfway();
                    }
                }
            });
        }
    });
}

/// Waits for the end of all of them; each has begun once.
fn settle(place: &Place, server: &Mutex<Option<Served>>) {
    let began = Instant::now();
    let metrics = || {
        let token = std::fs::read_to_string(place.state().join("server.token")).unwrap();
        let client = server.lock().unwrap().as_ref().unwrap().tcp().bearer(token.trim());
        client.get("/metrics").body
    };
    while !metrics().contains("\nrerail_deliveries_waiting 0\n") {
        assert!(began.elapsed().as_secs() < 600, "deliveries are not worked through");
        std::thread::sleep(crate::serve::kit::ASKS_EVERY);
    }
    let exported = |limit: &str| place.json(&["runs", "--limit", limit]).as_array().unwrap().clone();
    let limit = (unique() * 2).to_string();
    until("all have ended", || exported(&limit).iter().all(|run| run["status"] == "success"));
    let all = exported(&limit);
    let reasons: BTreeSet<String> = all
        .iter()
        .map(|run| {
            let shown = place.json(&["show", run["id"].as_str().unwrap()]);
            shown["inputs"]["n"].as_str().unwrap().to_owned()
        })
        .take(200)
        .collect();
    assert_eq!(all.len(), unique());
    assert_eq!(reasons.len(), unique().min(200), "each alert has a run of its own");
    assert_eq!(place.json(&["verify"])["damaged"].as_array().map_or(0, Vec::len), 0);
}

#[test]
fn of_many_alerts_each_begins_one_run() {
    let place = place().runbook("pure", PURE);
    let server = Mutex::new(Some(Served::start(&place, "a.sock")));
    let began = Instant::now();
    storm(&server, || {});
    let answered = began.elapsed();
    settle(&place, &server);
    eprintln!("{} alerts, 30 % twice: answered in {answered:?}, ended in {:?}", unique(), began.elapsed());
}

#[test]
fn killed_in_the_middle_nothing_is_lost_and_nothing_begins_twice() {
    let place = place().runbook("pure", PURE);
    let server = Mutex::new(Some(Served::start(&place, "a.sock")));
    storm(&server, || {
        let mut server = server.lock().unwrap();
        server.take().unwrap().kill();
        *server = Some(Served::start(&place, "b.sock"));
    });
    settle(&place, &server);
    assert!(runs(&place).iter().all(|run| run["status"] == "success"));
}
