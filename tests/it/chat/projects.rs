//! Two projects in one store, each with a server and a chat of its own: who has a name in one is nobody in the other.

use rerail::runs::Token;
use serde_json::{Value as Json, json};

use super::standin::Slack;
use super::story::{FIX, LOOK, PEOPLE, world};
use crate::binary::kit::{Place, until};
use crate::serve::kit::{Served, Team, soon};

/// People of another project who happen to be called like ours.
const OTHERS: &str =
    "people:\n  ana: { roles: [lead], chat: { slack: T1/UEVE } }\n  ben: { roles: [lead], chat: { slack: T1/UMAX } }\n";

#[test]
fn who_is_called_alike_in_another_project_of_the_store_is_nobody_here() {
    let (ours, theirs, world) = (Slack::new(), Slack::new(), world());
    let shop = ours.project(PEOPLE, false).runbook("fix", FIX);
    let bank = theirs.project(OTHERS, false).state_at(shop.state());
    let (of_shop, of_bank) = (Served::start(&shop, "a.sock"), Served::start(&bank, "b.sock"));
    ours.command(&of_shop, "UANA", &format!("run fix base={} service=backend", world.url));
    let plan = ours.post_with("plan: fix");
    ours.press(&of_shop, "UANA", &plan, "Start");
    let waits = ours.post_with("needs an approval: change");
    let run = shop.json(&["runs", "--json"])[0]["run"].as_str().unwrap().to_owned();
    for words in ["approve", "cancel", "note", "reject"] {
        let before = theirs.state.lock().unwrap().whispers.len();
        theirs.command(&of_bank, "UMAX", &format!("{words} {run} because"));
        until(&format!("`{words}` is refused"), || {
            let state = theirs.state.lock().unwrap();
            state.whispers[before..].iter().any(|(_, body)| super::standin::text_of(body).contains("another project"))
        });
    }
    // A button of one server is none of the other's.
    let holds = waits.button("Approve").unwrap();
    super::standin::signed(&of_bank, &theirs.press_body("UMAX", &waits, &holds)).is(200);
    theirs.whisper_with("UMAX", "too old, or not one of ours");
    assert!(world.writes().is_empty(), "{:?}", world.writes());
    assert_eq!(shop.json(&["show", &run, "--json"])["status"], "waiting");
    ours.press(&of_shop, "UBEN", &waits, "Approve");
    until("the change is made", || world.times("backend") == 1);
}

#[test]
fn what_was_sent_to_one_server_is_worked_through_by_it_whoever_else_shares_its_store() {
    let (ours, theirs, world) = (Slack::new(), Slack::new(), world());
    let shop = ours.project(PEOPLE, false).runbook("look", LOOK);
    let bank = theirs.project(OTHERS, false).state_at(shop.state());
    // The other one is there first, and would take up all there is.
    let _of_bank = Served::start(&bank, "b.sock");
    let of_shop = Served::start(&shop, "a.sock");
    for _ in 0..4 {
        ours.command(&of_shop, "UANA", &format!("run look base={}", world.url));
    }
    until("all four have ended", || {
        ours.posts().iter().filter(|post| post.text().contains("finished after")).count() == 4
    });
    assert!(theirs.posts().is_empty(), "{:?}", theirs.posts());
    let rows = shop.json(&["runs", "--json"]);
    assert!(rows.as_array().unwrap().iter().all(|row| row["operator"] == "ana" && row["via"] == "slack"), "{rows}");
}

#[test]
fn a_link_that_was_proved_for_one_project_counts_in_no_other() {
    let slack = Slack::new();
    let token = Token::new().unwrap();
    let people = format!("people:\n  ana: {{ token_hash: \"{}\", roles: [oncall] }}\n", token.hash().text());
    let shop = slack.project(&people, false).file("ana.token", token.text());
    let path = shop.project().join("ana.token");
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let other = Slack::new();
    let bank = other.project("people:\n  ana: { os_user: somebody-else }\n", false).state_at(shop.state());
    let (of_shop, of_bank) = (Served::start(&shop, "a.sock"), Served::start(&bank, "b.sock"));
    slack.command(&of_shop, "UNEW", "link");
    let whisper = super::standin::text_of(&slack.whisper_with("UNEW", "rerail link "));
    let code = whisper.lines().find_map(|line| line.strip_prefix("rerail link ")).unwrap().to_owned();
    // The code is for its own project as well.
    bank.ask(&["link", &code, "--yes"]).exits(4);
    shop.ask(&["link", &code, "--yes", "--as", "ana", "--token-file", path.to_str().unwrap()]).exits(0);
    slack.command(&of_shop, "UNEW", "help");
    slack.whisper_with("UNEW", "rerail knows you as ana (oncall)");
    other.command(&of_bank, "UNEW", "help");
    other.whisper_with("UNEW", "link first");
    assert_eq!(bank.json(&["link", "--list", "--json"]), json!([]));
}

#[test]
fn a_token_and_a_key_of_one_project_are_worth_nothing_to_the_other() {
    let people = || Team::new().and("ana", "oncall", "read, run, approve", &soon(), "");
    let (here, there) = (people(), people());
    let steps = "steps:\n  - { id: sure, uses: human.ask, with: { text: Sure?, choices: [a, b] } }\n";
    let shop = Place::new().file("rerail.yaml", &here.yaml).runbook("ask", steps).runbook("fix", FIX);
    let bank = Place::new().file("rerail.yaml", &there.yaml).runbook("ask", steps).state_at(shop.state());
    let (of_shop, of_bank) = (Served::start(&shop, "a.sock"), Served::start(&bank, "b.sock"));
    of_bank.tcp().bearer(here.token("ana")).get("/api/v1/whoami").is(401);
    let (ana, other) = (of_shop.tcp().bearer(here.token("ana")), of_bank.tcp().bearer(there.token("ana")));
    let run = ana.start("ask", &json!({}), "one-key");
    ana.until_status(&run, "waiting");
    other.post(&format!("/api/v1/runs/{run}/answer"), "k", &json!({ "answer": "a" })).is(403);
    other.post(&format!("/api/v1/runs/{run}/cancel"), "k", &json!({})).is(403);
    // The same request under the same key is another one's.
    assert_ne!(other.start("ask", &json!({}), "one-key"), run);
    // What waits in the other project makes nobody's list unreadable.
    let inputs = json!({ "base": "http://127.0.0.1:9", "service": "x" });
    let waits = ana.start("fix", &inputs, "another-key");
    ana.until_status(&waits, "waiting");
    let mine = ana.get("/api/v1/approvals").is(200).json();
    let waiting: Json = other.get("/api/v1/approvals").is(200).json();
    assert_eq!((&mine[0]["step"], &waiting[0]["step"]), (&json!("change"), &json!("change")));
    assert!(waiting[0]["why_not"].is_string(), "{waiting}");
}
