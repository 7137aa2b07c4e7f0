//! What runs of a server connect to where nobody has said anything: public addresses alone. It is the server's rule and not
//! the run's, so a run that moves is under that of whoever drives it now.

use serde_json::{Value as Json, json};

use super::kit::{ASKS_EVERY, Client, Served, Team, soon};
use crate::binary::kit::{Ledger, Living, Place, answer, until};
use crate::mcp::kit::Talk;

const LOOK: &str = "
inputs: { base: { type: url } }
steps:
  - { id: look, uses: http.request, with: { method: GET, url: '${{ inputs.base }}/look' } }
";

/// A question, and then a write.
const ASK: &str = "
inputs: { base: { type: url } }
steps:
  - { id: ready, uses: human.ask, with: { text: Ready? } }
  - { id: send, uses: http.request, with: { method: POST, url: '${{ inputs.base }}/', text: sent } }
";

fn ledger() -> Ledger {
    Ledger::serve(|_, stream| answer(stream, &json!({})))
}

/// A project with a runbook for each of these ways to knock at a port of this machine.
fn place(port: u16) -> (Place, Vec<String>) {
    let url = format!("http://127.0.0.1:{port}/");
    let steps = [
        ("http.request", format!("method: POST, url: '{url}', text: x")),
        ("graphql.query", format!("url: '{url}', document: '{{ a }}'")),
        ("chat.post", format!("url: '{url}', text: x")),
        ("tcp.connect", format!("host: localhost, port: {port}")),
        ("redis.ping", format!("host: 127.0.0.1, port: {port}")),
        ("postgres.query", format!("url: 'postgres://a@127.0.0.1:{port}/a', sql: SELECT 1, tls: 'off'")),
        ("email.send", "to: [ana@example.com], subject: x, text: x".to_owned()),
    ];
    let place = Place::new().runbook("look", LOOK).runbook("ask", ASK);
    let place = place.file("rerail.yaml", project(port, ""));
    let names = steps.iter().map(|(action, _)| action.replace('.', "-")).collect();
    let place = steps.iter().fold(place, |place, (action, with)| {
        place.runbook(
            &action.replace('.', "-"),
            &format!("steps:\n  - {{ id: knock, uses: {action}, with: {{ {with} }} }}\n"),
        )
    });
    (place, names)
}

/// A project that hands its mail to this port, with these lines as well.
fn project(port: u16, more: &str) -> String {
    format!(
        "version: 1\nmail:\n  from: ops@example.com\n  allow_domains: [example.com]\n  smtp: {{ host: 127.0.0.1, port: {port}, security: none }}\n{more}"
    )
}

/// Drives a runbook to its end; says what became of it, all of it.
#[track_caller]
fn ended(client: &Client, runbook: &str, inputs: &Json, key: &str, status: &str) -> String {
    let run = client.start(runbook, inputs, key);
    client.until_status(&run, status);
    client.get(&format!("/api/v1/runs/{run}/events")).is(200).body
}

#[test]
fn runs_of_a_server_knock_at_no_private_address_until_the_project_lists_it() {
    let ledger = ledger();
    let (place, names) = place(ledger.port);
    let server = Served::as_it_is(&place, "a.sock", &["--listen", "127.0.0.1:0"]);
    let client = server.unix();
    for name in &names {
        let run = client.start(name, &json!({}), name);
        until(&format!("{name} has ended"), || {
            std::thread::sleep(ASKS_EVERY);
            !["running", "waiting"].contains(&client.status(&run).as_str())
        });
        let shown = client.get(&format!("/api/v1/runs/{run}")).is(200).body;
        let events = place.events();
        let told = format!("{events:?}");
        assert!(told.contains("not a public address"), "{name}: {shown}\n{told}");
        assert!(told.contains("runs of a server") && told.contains("egress: { allow: ["), "{name}: {told}");
    }
    let inputs = json!({ "base": ledger.url });
    let input = format!("base={}", ledger.url);
    ended(&client, "look", &inputs, "l", "failed");
    // A rehearsal is one of the server as well.
    let address = format!("unix://{}", server.socket.display());
    place.ask(&["--server", &address, "run", "look", "-i", &input, "--dry-run"]).says(&["not a public address"]);
    assert_eq!(ledger.bytes(), 0);
    // The terminal looks where it always did.
    place.ask(&["run", "look", "-i", &input]).exits(0);
    assert_eq!(ledger.entries().len(), 1);
    // The line that was named, and no restart; then the whole rule off.
    for (key, more) in [("m", "egress: { allow: [\"127.0.0.1\"] }\n"), ("n", "egress: { deny_private: false }\n")] {
        std::fs::write(place.project().join("rerail.yaml"), project(ledger.port, more)).unwrap();
        ended(&client, "look", &inputs, key, "success");
    }
    std::fs::write(place.project().join("rerail.yaml"), project(ledger.port, "egress: { allow: [10.0.0.0/8] }\n"))
        .unwrap();
    ended(&client, "look", &inputs, "o", "failed");
    assert_eq!(ledger.entries().len(), 3);
}

#[test]
fn what_a_program_starts_over_http_is_under_the_same_rule_and_its_terminal_is_not() {
    let ledger = ledger();
    let team = Team::new().and("ana", "oncall", "read, run", &soon(), "");
    let place =
        Place::new().file("rerail.yaml", &team.yaml).runbook("look", LOOK).file("targets/dev.yaml", "version: 1\n");
    let server = Served::as_it_is(&place, "a.sock", &["--listen", "127.0.0.1:0"]);
    let client = server.tcp().bearer(team.token("ana"));
    let arguments = json!({ "runbook": "look", "inputs": { "base": ledger.url }, "target": "dev" });
    let message = json!({
        "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "start_run", "arguments": arguments.clone() },
    });
    let reply = client.send("POST", "/mcp", &[("content-type", "application/json")], &message.to_string()).is(200);
    let run = reply.json()["result"]["structuredContent"]["data"]["run"].as_str().unwrap().to_owned();
    client.until_status(&run, "failed");
    assert!(format!("{:?}", place.events()).contains("runs of a server"));
    assert_eq!(ledger.bytes(), 0);
    // Over standard input it is a process of the person who asked for it.
    let own = Place::new().runbook("look", LOOK).file("targets/dev.yaml", "version: 1\n");
    let mut talk = Talk::begin(&own);
    let run = talk.does("start_run", arguments)["run"].clone();
    until("it has looked", || talk.does("get_run", json!({ "run": run }))["status"] == "success");
    assert!(ledger.bytes() > 0);
}

#[test]
fn a_run_that_moves_is_under_the_rule_of_whoever_drives_it_now() {
    let ledger = ledger();
    let (place, _) = place(ledger.port);
    let input = format!("base={}", ledger.url);
    // Asked in a terminal, answered to a server.
    place.ask(&["run", "ask", "-i", &input, "--yes"]);
    let server = Served::as_it_is(&place, "a.sock", &["--listen", "127.0.0.1:0"]);
    let client = server.unix();
    let run = client.get("/api/v1/runs").is(200).json()[0]["id"].as_str().unwrap().to_owned();
    client.until_status(&run, "waiting");
    client.post(&format!("/api/v1/runs/{run}/answer"), "a", &json!({ "answer": "yes" })).is(202);
    client.until_status(&run, "failed");
    assert!(format!("{:?}", place.events()).contains("runs of a server"));
    // And the other way round.
    let run = client.start("ask", &json!({ "base": ledger.url }), "k");
    client.until_status(&run, "waiting");
    server.kill();
    assert_eq!(ledger.bytes(), 0);
    place.ask(&["answer", &run, "answer=yes"]).exits(0);
    place.ask(&["resume", &run]).exits(0);
    assert_eq!(ledger.times("sent"), 1);
}

#[test]
fn a_server_says_at_its_start_what_its_runs_connect_to_and_the_doctor_says_it_too() {
    let place = Place::new();
    let doctor = |place: &Place| {
        let seen = place.json(&["doctor"]);
        let row = seen["checks"].as_array().unwrap().iter().find(|row| row["what"] == "egress").cloned();
        row.unwrap_or_else(|| panic!("{seen}"))["says"].as_str().unwrap().to_owned()
    };
    for (egress, serves, says) in [
        (
            "",
            "public addresses alone",
            "runs of a server connect to public addresses alone, those of a terminal to any",
        ),
        (
            "egress: { allow: [10.1.0.0/16, 10.2.3.4] }\n",
            "public addresses, 10.1.0.0/16 and 10.2.3.4",
            "10.2.3.4, those",
        ),
        ("egress: { deny_private: false }\n", "any address", "steps connect to any address"),
        ("egress: { deny_private: true }\n", "public addresses alone", "steps connect to public addresses alone"),
    ] {
        let place = Place::new().file("rerail.yaml", format!("version: 1\n{egress}")).env("RERAIL_LOG", "info");
        let socket = place.beside("a.sock");
        let socket = socket.to_str().unwrap();
        // To people as a remark, to a log as a line of it.
        for args in [["serve", "--socket", socket].as_slice(), &["serve", "--socket", socket, "-o", "jsonl"]] {
            let mut server = Living::start(&place, args);
            server.hears(&format!("runs connect to {serves}"));
        }
        let said = doctor(&place);
        assert!(said.contains(says), "{said}");
    }
    assert!(doctor(&place).contains("public addresses alone"));
}
