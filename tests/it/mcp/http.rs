//! The same tools behind the server's gate: one message, one answer, no further than a token reaches.

use serde_json::{Value as Json, json};

use super::kit::{hello, project, result_of, written};
use crate::serve::kit::{Client, Reply, Served, Team, soon};

fn post(client: &Client, message: &Json) -> Reply {
    client.send("POST", "/mcp", &[("content-type", "application/json")], &message.to_string())
}

fn ask(client: &Client, method: &str, params: Json) -> Json {
    let reply = post(client, &json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params })).is(200);
    assert_eq!(reply.header("content-type"), Some("application/json"));
    reply.json()
}

fn call(client: &Client, tool: &str, arguments: Json) -> Result<Json, Json> {
    result_of(&ask(client, "tools/call", json!({ "name": tool, "arguments": arguments })))
}

#[test]
fn a_token_reaches_as_far_as_its_scopes_and_its_effect() {
    let team = Team::new()
        .and("ana", "oncall", "read, run", &soon(), ", max_effect: write")
        .and("ben", "oncall", "read, run, approve", &soon(), ", max_effect: destructive")
        .and("looker", "", "read", &soon(), "")
        .and("careful", "", "read, run", &soon(), ", max_effect: read");
    let place = project();
    let yaml = team.yaml.replace("version: 1\n", "version: 1\nallow: { file_write: [out] }\n");
    let place = place.file("rerail.yaml", yaml);
    let server = Served::start(&place, "a.sock");
    let with = |name: &str| server.tcp().bearer(team.token(name));
    let hello = ask(&with("looker"), "initialize", hello("robot", "1"));
    assert_eq!(hello["result"]["serverInfo"]["name"], "rerail", "{hello}");
    let notified = post(&with("looker"), &json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })).is(202);
    assert_eq!(notified.body, "");
    assert_eq!(ask(&with("looker"), "tools/list", json!({}))["result"]["tools"].as_array().unwrap().len(), 13);
    call(&with("looker"), "find_runbooks", json!({})).unwrap();
    for tool in ["start_run", "answer", "add_note", "cancel_run"] {
        let arguments = match tool {
            "start_run" => json!({ "runbook": "look" }),
            "add_note" => json!({ "run": "zzzzzz", "text": "x" }),
            "cancel_run" => json!({ "run": "zzzzzz", "reason": "x" }),
            _ => json!({ "run": "zzzzzz", "answer": "x" }),
        };
        let refused = call(&with("looker"), tool, arguments).unwrap_err();
        assert_eq!(refused["data"]["message"], "this token is not for `run`", "{tool}: {refused}");
    }
    let asked = json!({ "runbook": "put", "inputs": { "text": "x" }, "target": "dev" });
    let plan = call(&with("careful"), "plan_run", asked.clone()).unwrap();
    assert!(
        plan["data"]["no_hash_because"].as_str().unwrap().contains("this token is for runs that may read"),
        "{plan}"
    );
    let mut start = asked.clone();
    start["plan_hash"] = call(&with("ana"), "plan_run", asked).unwrap()["data"]["plan_hash"].clone();
    // Neither the hash of somebody else, nor beyond the token.
    let refused = call(&with("ben"), "start_run", start.clone()).unwrap_err();
    assert!(refused["data"]["message"].as_str().unwrap().contains("made for somebody else"), "{refused}");
    let run = call(&with("ana"), "start_run", start.clone()).unwrap()["data"]["run"].clone();
    let again = call(&with("ana"), "start_run", start).unwrap();
    assert_eq!(again["data"]["run"], run, "one plan is one run");
    server.tcp().bearer(team.token("ana")).until_status(run.as_str().unwrap(), "waiting");
    let seen = call(&with("ana"), "get_run", json!({ "run": run })).unwrap();
    assert_eq!((&seen["data"]["by"], written(&place)), (&json!("a program for ana"), None));
    // A person with a token for it, who is somebody else or not.
    let change = seen["data"]["approvals"][0]["change"].as_str().unwrap();
    let id = run.as_str().unwrap();
    with("ben").post(&format!("/api/v1/runs/{id}/approve"), "k", &json!({ "change": change })).is(202);
    with("ben").until_status(id, "success");
    assert_eq!(written(&place).as_deref(), Some("x"));
}

#[test]
fn what_is_no_message_is_refused_as_everywhere() {
    let place = project();
    let server = Served::start(&place, "a.sock");
    let client = server.unix();
    for body in ["", "[]", "{}", "x", "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}"] {
        let reply = client.send("POST", "/mcp", &[("content-type", "application/json")], body);
        assert_eq!((reply.status, reply.header("content-type")), (400, Some("application/problem+json")), "{body}");
    }
    client.send("POST", "/mcp", &[("content-type", "text/plain")], "{}").is(415);
    client.get("/mcp").is(405);
    let unknown = ask(&client, "tools/call", json!({ "name": "approve", "arguments": {} }));
    assert_eq!(unknown["error"]["code"], -32602, "{unknown}");
    server.tcp().send("POST", "/mcp", &[("content-type", "application/json")], "{}").is(401);
}
