//! One run, met in the terminal and over the network; and what is said of secrets there.

use serde_json::json;

use super::kit::{Served, Team, soon};
use crate::binary::kit::{Ledger, Place, answer};

const SET: &str = "
inputs: { base: { type: url } }
steps:
  - id: set
    uses: http.request
    with: { method: POST, url: '${{ inputs.base }}/', text: set }
    approval: { by: [oncall], message: Set it now? }
";

const DESTROY: &str = "
steps:
  - { id: gone, uses: http.request, with: { method: DELETE, url: 'https://api.example.com/x' }, effect: destructive }
";

fn team() -> Team {
    Team::new()
        .and("ana", "oncall", "read, run, approve", &soon(), "")
        .here("ana")
        .and("ben", "oncall", "read, run, approve", &soon(), "")
        .and("cleo", "lead", "read, run, approve", &soon(), "")
        .and("look", "oncall", "read, run", &soon(), ", max_effect: read")
}

#[test]
fn four_eyes_are_two_people_wherever_they_look_from() {
    let ledger = Ledger::serve(|_, stream| answer(stream, &json!({})));
    let team = team();
    let place = Place::new().file("rerail.yaml", &team.yaml).runbook("set", SET);
    let server = Served::start(&place, "a.sock");
    let of = |name: &str| server.tcp().bearer(team.token(name));
    // Ana starts it in the terminal, where nobody can be asked.
    place.ask(&["run", "set", "-i", &format!("base={}", ledger.url), "--yes"]).exits(13);
    let waiting = of("ben").get("/api/v1/approvals?mine=true").is(200).json();
    assert_eq!((waiting.as_array().unwrap().len(), &waiting[0]["asked_by"]), (1, &json!("ana")));
    let change = waiting[0]["change"].as_str().unwrap().to_owned();
    let run = place.json(&["show", "@last"])["id"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/runs/{run}/approve");
    // The same person by another way, by her socket as well; somebody of another role; another change.
    for (client, key) in [(of("ana"), "1"), (server.unix(), "2")] {
        let refused = client.post(&path, key, &json!({ "change": change })).is(403).json();
        assert!(refused["detail"].as_str().unwrap().contains("can't be approved"), "{refused}");
    }
    of("cleo").post(&path, "3", &json!({ "change": change })).is(403);
    let other = format!("sha256:{}", "0".repeat(64));
    assert!(of("ben").post(&path, "4", &json!({ "change": other })).is(409).body.contains("another change"));
    assert_eq!(of("ben").post(&path, "5", &json!({})).status, 400, "a word without what it is about");
    assert_eq!(ledger.times("set"), 0);
    of("ben").post(&path, "6", &json!({ "change": change, "reason": "looks right" })).is(202);
    of("ben").until_status(&run, "success");
    assert_eq!(ledger.times("set"), 1);
    let story = place.ask(&["export", &run, "--format", "jsonl"]).exits(0).stdout;
    assert!(story.contains("\"approval.given\"") && story.contains("\"id\":\"ben\",\"via\":\"http\""), "{story}");
}

#[test]
fn what_may_change_something_is_started_only_by_who_says_so_and_may() {
    let team = team();
    let place = Place::new().file("rerail.yaml", &team.yaml).runbook("set", SET).runbook("destroy", DESTROY);
    let server = Served::start(&place, "a.sock");
    let of = |name: &str| server.tcp().bearer(team.token(name));
    let set = json!({ "runbook": "set", "inputs": { "base": "https://api.example.com" } });
    let no = of("ana").post("/api/v1/runs", "1", &set).is(400).json();
    assert!(no["hints"][0].as_str().unwrap().contains("\"yes\": true"), "{no}");
    for (body, says) in [
        (json!({ "runbook": "destroy", "yes": true }), "may destroy something"),
        (json!({ "runbook": "destroy", "confirm": "set" }), "confirmed for `set`, but this runs on `destroy`"),
    ] {
        assert!(of("ana").post("/api/v1/runs", "2", &body).is(400).body.contains(says));
    }
    let mut yes = set.clone();
    yes["yes"] = json!(true);
    assert!(of("look").post("/api/v1/runs", "3", &yes).is(403).body.contains("may read at most"));
    let plan = of("look").post("/api/v1/plans", "4", &set).is(200).json();
    assert!(plan["reach"].is_object(), "{plan}");
    assert_eq!(of("ana").get("/api/v1/runs").is(200).json(), json!([]), "nothing of this started anything");
    // The shapes are those of the terminal.
    assert_eq!(of("ana").get("/api/v1/runbooks/set").is(200).json(), place.json(&["describe", "set"]));
    assert_eq!(of("ana").get("/api/v1/runbooks").is(200).json(), place.json(&["list"]));
    assert_eq!(of("ana").get("/api/v1/hold").is(200).json(), place.json(&["hold", "status"]));
}

#[test]
fn no_answer_holds_a_secret() {
    const SECRET: &str = "correct-horse-battery-staple";
    const BOOK: &str = "
inputs: { base: { type: url } }
secrets: [TOKEN]
steps:
  - id: echo
    uses: http.request
    with: { method: GET, url: '${{ inputs.base }}/', headers: { authorization: '${{ \"Bearer \" + secrets.TOKEN }}' } }
  - { id: noted, uses: run.note, with: { text: '${{ steps.echo.outputs.text }}' } }
outputs: { seen: '${{ steps.echo.outputs.text }}' }
";
    let ledger = Ledger::serve(|request, stream| answer(stream, &json!({ "head": request.head })));
    let place = Place::new()
        .runbook("echo", BOOK)
        .file("targets/here.yaml", "version: 1\nsecrets: { TOKEN: { from: file, path: secret.txt } }\n")
        .file("secret.txt", SECRET);
    let server = Served::start(&place, "a.sock");
    let client = server.unix();
    let body = json!({ "runbook": "echo", "inputs": { "base": ledger.url }, "target": "here", "yes": true });
    let run = client.post("/api/v1/runs", "k", &body).is(201).json()["id"].as_str().unwrap().to_owned();
    client.until_status(&run, "success");
    assert!(ledger.entries()[0].head.contains(SECRET), "it was sent");
    let mut said = String::new();
    for path in ["/readyz", "/metrics", "/api/v1/whoami", "/api/v1/runbooks", "/api/v1/runs", "/api/v1/approvals"] {
        said.push_str(&client.get(path).is(200).body);
    }
    said.push_str(&client.get(&format!("/api/v1/runs/{run}")).is(200).body);
    said.push_str(&client.get(&format!("/api/v1/runs/{run}/events")).is(200).body);
    said.push_str(&client.get("/api/v1/runbooks/echo").is(200).body);
    said.push_str(
        &client
            .post(
                "/api/v1/plans",
                "p",
                &json!({ "runbook": "echo", "inputs": { "base": ledger.url }, "target": "here" }),
            )
            .is(200)
            .body,
    );
    // Somebody who pastes it is refused without hearing it again.
    let pasted = client.post(&format!("/api/v1/runs/{run}/note"), "n", &json!({ "text": SECRET })).is(400);
    said.push_str(&pasted.body);
    let other = client.post("/api/v1/runs", "o", &json!({ "runbook": SECRET }));
    said.push_str(&other.body);
    assert!(said.contains("TOKEN") && !said.contains(SECRET), "{said}");
}

#[test]
fn the_sign_of_life_and_the_figures_are_as_their_readers_expect() {
    let place = Place::new();
    let server = Served::start(&place, "a.sock");
    assert_eq!(server.tcp().get("/healthz").is(200).body, "ok\n");
    let figures = server.unix().get("/metrics").is(200);
    assert_eq!(figures.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert!(figures.body.contains("\nrerail_driven_runs 0\n"), "{}", figures.body);
    assert_eq!(figures.header("cache-control"), Some("no-store"));
    let document = server.unix().get("/api/v1/openapi.json").is(200).json();
    assert_eq!(document["openapi"], "3.1.0");
}
