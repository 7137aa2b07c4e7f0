//! Two servers on one journal that are killed at random moments while clients and terminals start runs: every request
//! that is sent until it is answered begins one run, every run ends, and every write is made once.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::kit::{ASKS_EVERY, Client, Served};
use crate::binary::kit::{Ledger, Place, answer, from_env, until};

/// Runs one client or terminal starts at most: what matters is when servers die, not how many runs there are.
const RUNS_EACH: usize = 40;
/// How long a pair of servers lives at most until one is killed, in milliseconds: some starts, and parts of one.
const LIVES_FOR: u64 = 300;

const PAIR: &str = "
inputs: { base: { type: url }, name: { type: string } }
steps:
  - { id: first, uses: http.request, with: { method: POST, url: '${{ inputs.base }}/', text: 'first ${{ inputs.name }}' } }
  - { id: look, uses: http.probe, with: { url: '${{ inputs.base }}/look' } }
  - { id: last, uses: http.request, with: { method: POST, url: '${{ inputs.base }}/', text: 'last ${{ inputs.name }}' } }
";

/// A start of this name, sent under one key to whichever server is there until it is answered. Gives the run.
fn start(clients: &[Client; 2], base: &str, name: &str) -> String {
    let body = json!({ "runbook": "pair", "inputs": { "base": base, "name": name }, "yes": true }).to_string();
    let headers = [("idempotency-key", name), ("content-type", "application/json")];
    let mut run = None;
    let mut tries = 0;
    until(&format!("the start of {name} is answered"), || {
        tries += 1;
        let Ok(reply) = clients[tries % 2].try_send("POST", "/api/v1/runs", &headers, &body) else {
            std::thread::sleep(ASKS_EVERY);
            return false;
        };
        match reply.status {
            201 => run = Some(reply.json()["id"].as_str().unwrap().to_owned()),
            // Under way elsewhere, too fast, or about to end: to be sent again.
            409 | 429 | 503 => std::thread::sleep(ASKS_EVERY),
            _ => panic!("{name}: {}\n{}", reply.head, reply.body),
        }
        run.is_some()
    });
    run.unwrap()
}

/// Says of every write in doubt what the ledger knows of it, until the run has ended. Gives how often somebody had to.
fn bring_to_its_end(client: &Client, ledger: &Ledger, run: &str, name: &str) -> usize {
    let mut decided = 0;
    until(&format!("{name} has ended"), || {
        std::thread::sleep(ASKS_EVERY);
        let reply = client.get(&format!("/api/v1/runs/{run}"));
        if reply.status == 429 {
            return false;
        }
        let shown = reply.is(200).json();
        if shown["status"] == "in_doubt" {
            let step = shown["in_doubt"][0].as_str().unwrap_or_else(|| panic!("{shown}")).to_owned();
            ledger.settle();
            let decision = match ledger.times(&format!("{step} {name}")) {
                0 => json!({ "retry": [step], "reason": "it is not in the ledger" }),
                _ => json!({ "done": [{ "step": step }], "reason": "it is in the ledger" }),
            };
            let key = format!("{name}-{step}-{decided}");
            let reply = client.post(&format!("/api/v1/runs/{run}/resume"), &key, &decision);
            // A server may have taken it up at the same moment.
            assert!([200, 201, 202, 409, 429].contains(&reply.status), "{name}: {}\n{}", reply.head, reply.body);
            decided += 1;
        }
        shown["status"] == "success"
    });
    decided
}

#[test]
fn servers_killed_at_random_moments_lose_nothing_and_do_nothing_twice() {
    let kills = from_env("RERAIL_SERVER_KILLS", 20);
    let seed = from_env("RERAIL_SEED", u64::from(std::process::id()));
    println!("RERAIL_SEED={seed} RERAIL_SERVER_KILLS={kills}");
    let mut random = seed | 1;
    let mut next = move |below: u64| {
        // xorshift: reproducible, and good enough for moments.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % below
    };
    let ledger = Ledger::serve(|_, stream| answer(stream, &json!({})));
    let place = Place::new().runbook("pair", PAIR);
    let names = ["a.sock", "b.sock"];
    let mut servers = names.map(|name| Some(Served::start(&place, name)));
    let clients = servers.each_ref().map(|server| server.as_ref().unwrap().unix());
    let stop = AtomicBool::new(false);
    let may_go_on = |count: usize| !stop.load(Ordering::SeqCst) && count < RUNS_EACH;

    let started: BTreeMap<String, Option<String>> = std::thread::scope(|scope| {
        let over_http = |who: &'static str| {
            let (clients, base) = (&clients, &ledger.url);
            move || {
                let mut runs = Vec::new();
                while may_go_on(runs.len()) {
                    let name = format!("{who}-{}", runs.len());
                    let run = start(clients, base, &name);
                    runs.push((name, Some(run)));
                }
                runs
            }
        };
        let at_a_terminal = || {
            let mut runs = Vec::new();
            while may_go_on(runs.len()) {
                let name = format!("terminal-{}", runs.len());
                let (base, input) = (format!("base={}", ledger.url), format!("name={name}"));
                place.ask(&["run", "pair", "-i", &base, "-i", &input, "--yes"]).exits(0);
                runs.push((name, None));
            }
            runs
        };
        let people = [scope.spawn(over_http("ana")), scope.spawn(over_http("ben"))];
        let terminal = scope.spawn(at_a_terminal);
        for _ in 0..kills {
            std::thread::sleep(Duration::from_millis(next(LIVES_FOR)));
            let at = usize::try_from(next(2)).unwrap();
            servers[at].take().unwrap().kill();
            servers[at] = Some(Served::start(&place, names[at]));
        }
        stop.store(true, Ordering::SeqCst);
        let all = people.into_iter().flat_map(|one| one.join().unwrap());
        all.chain(terminal.join().unwrap()).collect()
    });

    let rows = place.json(&["runs", "--limit", "500"]);
    let rows: Vec<&Json> = rows.as_array().unwrap().iter().collect();
    let mut by_http: Vec<&str> = started.values().flatten().map(String::as_str).collect();
    let terminals = started.values().filter(|run| run.is_none()).count();
    assert!(by_http.len() >= 4 && terminals > 0, "too little happened to mean something: {started:?}");
    assert_eq!(rows.len(), started.len(), "as many runs as were asked for");
    by_http.sort_unstable();
    by_http.dedup();
    assert_eq!(by_http.len() + terminals, started.len(), "no two requests share a run");
    let mut decided = 0;
    for (name, run) in &started {
        if let Some(run) = run {
            decided += bring_to_its_end(&clients[0], &ledger, run, name);
        }
    }
    ledger.settle();
    let wrong: Vec<String> = started
        .keys()
        .flat_map(|name| ["first", "last"].map(|step| format!("{step} {name}")))
        .filter(|body| ledger.times(body) != 1)
        .map(|body| format!("`{body}` came {} times", ledger.times(&body)))
        .collect();
    assert!(wrong.is_empty(), "RERAIL_SEED={seed}\n{}", wrong.join("\n"));
    eprintln!("{} runs over {kills} kills, {decided} writes in doubt", started.len());
    drop(servers);
    place.assert_journal_is_whole("after all kills");
}
