//! Proposals of alerts on the pages: seen where one looks first, read, started, dismissed, planned anew; and what changes on
//! a page without loading it again.

use std::io::Read;

use serde_json::json;

use super::chrome::Chrome;
use super::kit::{Browser, next, team};
use crate::alerts::kit::{TOKEN, send, single};
use crate::binary::kit::{Ledger, Place, answer, until};
use crate::chat::standin::{CHANNEL, Slack};
use crate::serve::kit::{Served, Team};

const SINCE: &str = "2026-11-21T08:41:25.332Z";

fn fix(url: &str) -> String {
    format!(
        "triggers:\n  - alert: {{ alertname: Down }}\n    target: production\nsteps:\n  - id: set\n    uses: http.request\n    with: {{ method: POST, url: '{url}/fix', text: set }}\n"
    )
}

fn place(team: &Team, url: &str) -> Place {
    let hooks = "hooks: { alertmanager: { secret: { from: env, name: HOOK_TOKEN }, acts_as: ben } }\n";
    Place::new()
        .file("rerail.yaml", format!("{}{hooks}", team.yaml))
        .file("targets/production.yaml", "version: 1\n")
        .env("HOOK_TOKEN", TOKEN)
        .runbook("fix", &fix(url))
}

/// Sends an alert and waits for the plan of its proposal; gives the address of its page.
#[track_caller]
fn proposed(place: &Place, server: &Served, name: &str) -> String {
    send(server, &single("firing", name, SINCE, &json!({ "alertname": "Down", "service": name }))).is(202);
    let open = || place.json(&["triggers"])["proposals"].as_array().unwrap().clone();
    until("it is planned", || open().first().is_some_and(|first| first["plan"]["state"] == "made"));
    open()[0]["page"].as_str().unwrap().to_owned()
}

fn ledger() -> Ledger {
    Ledger::serve(|_, stream| answer(stream, &json!({ "ok": true })))
}

#[test]
fn a_proposal_is_found_where_one_looks_first_and_started_once_by_who_may() {
    let (ledger, team) = (ledger(), team());
    let place = place(&team, &ledger.url);
    let server = Served::start(&place, "a.sock");
    let (ana, ben) = (Browser::of(&server, team.token("ana")), Browser::of(&server, team.token("ben")));
    let eve = Browser::of(&server, team.token("eve"));
    let page = proposed(&place, &server, "f1");
    let home = ana.get("/").is(200).body;
    for part in ["<title>(1) Now", "1 waits for people", &page, "alert Down of alertmanager", "on production"] {
        assert!(home.contains(part), "{part}: {home}");
    }
    let shown = ana.get(&page).is(200).body;
    for part in ["/fix", "it may write, and its trigger", "It may change something in 1 step", "production"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let start = format!("{page}/start");
    eve.submits(&page, &start, &[("yes", "true")]).is(403);
    let refused = ana.submits(&page, &start, &[]).is(400).body;
    assert!(refused.contains("may change something in 1 step") && refused.contains("Not done:"), "{refused}");
    let other = ana.submits(&page, &start, &[("yes", "true"), ("plan", "sha256:00")]);
    assert!(other.status == 409 || other.status == 422, "{}", other.status);
    assert!(other.body.contains("planned anew since it was shown"), "{}", other.body);
    assert!(ledger.writes().is_empty());
    let run = next(ana.submits(&page, &start, &[("yes", "true")]));
    until("it has written", || ledger.times("set") == 1);
    // Whoever comes second is led to the same run, and what was shown before starts no other.
    assert!(ben.get(&page).is(200).body.contains("started by ana"));
    assert!(ben.get(&page).body.contains(&run));
    until("it has ended", || place.json(&["runs"])[0]["status"] == "success");
    assert_eq!((place.json(&["runs"]).as_array().unwrap().len(), ledger.times("set")), (1, 1));
    assert!(!ana.get("/").body.contains(&page));
    for (path, status) in [("/proposals/zzzzzz", 404), ("/proposals/..", 404), (&*format!("{page}?x=1"), 400)] {
        ana.get(path).is(status);
    }
}

#[test]
fn a_plan_whose_runbook_has_changed_is_out_of_date_and_is_made_anew() {
    let (ledger, team) = (ledger(), team());
    let place = place(&team, &ledger.url);
    let server = Served::start(&place, "a.sock");
    let ana = Browser::of(&server, team.token("ana"));
    let page = proposed(&place, &server, "f1");
    let path = place.project().join("runbooks/fix.yaml");
    let text = std::fs::read_to_string(&path).unwrap().replace("/fix'", "/other'");
    std::fs::write(&path, text).unwrap();
    let shown = ana.get(&page).is(200).body;
    assert!(shown.contains("The plan is out of date:") && shown.contains("runbooks/fix.yaml"), "{shown}");
    assert!(!shown.contains(&format!("{page}/start")), "{shown}");
    next(ana.submits(&page, &format!("{page}/plan"), &[]));
    until("the new plan is there", || {
        let shown = ana.get(&page).body;
        shown.contains("/other") && shown.contains(&format!("{page}/start"))
    });
    next(ana.submits(&page, &format!("{page}/start"), &[("yes", "true")]));
    until("it has written", || ledger.entries().iter().any(|request| request.path == "/other"));
    assert!(ledger.entries().iter().all(|request| request.path != "/fix"));
}

#[test]
fn dismissed_on_a_page_the_room_sees_it_and_the_terminal_too() {
    let (slack, ledger) = (Slack::new(), ledger());
    let team = team();
    let people = team.yaml.replace("version: 1\n", "");
    let people = format!(
        "{people}hooks:\n  alertmanager: {{ secret: {{ from: env, name: HOOK_TOKEN }}, acts_as: ben, tell: {{ slack: {CHANNEL} }} }}\n"
    );
    let place = slack
        .project(&people, false)
        .env("HOOK_TOKEN", TOKEN)
        .file("targets/production.yaml", "version: 1\n")
        .runbook("fix", &fix(&ledger.url));
    let server = Served::start(&place, "a.sock");
    let page = proposed(&place, &server, "f1");
    let card = slack.post_with("waits for somebody to start it");
    let ana = Browser::of(&server, team.token("ana"));
    // From the list of the first page, where it stands beside it.
    let answer = ana.submits("/", &format!("{page}/dismiss"), &[]).is(303);
    assert_eq!(answer.header("location"), Some(page.as_str()));
    let said = slack.post_with("was dismissed by ana");
    assert!(said.ts == card.ts && said.button("Start").is_none(), "{}", said.text());
    assert!(ana.get(&page).body.contains("dismissed by ana"));
    assert_eq!(place.json(&["triggers"])["proposals"], json!([]));
    assert!(ledger.writes().is_empty());
}

/// Reads a stream until it has told this.
#[track_caller]
fn told(wire: &mut dyn Read, text: &str) {
    let (mut all, mut part) = (Vec::new(), [0_u8; 4096]);
    while !String::from_utf8_lossy(&all).contains(text) {
        let read = wire.read(&mut part).unwrap();
        assert!(read > 0, "the stream ended without {text}: {}", String::from_utf8_lossy(&all));
        all.extend(&part[..read]);
    }
}

#[test]
fn the_first_page_and_that_of_a_run_are_told_what_has_come_without_being_loaded_again() {
    let (ledger, team) = (ledger(), team());
    let place = place(&team, &ledger.url).runbook(
        "look",
        "steps:\n  - { id: first, uses: human.ask, with: { text: Ready?, choices: [go, stop] } }\n  - id: say\n    findings: [{ when: 'true', level: critical, say: The disk is full. }]\n  - { id: last, uses: human.ask, with: { text: Done?, choices: [go, stop] } }\n",
    );
    let server = Served::start(&place, "a.sock");
    let ana = Browser::of(&server, team.token("ana"));
    let mut home = ana.client.open("GET", "/live", &[], "").unwrap();
    told(&mut home, "data-waits=\\\"0\\\"");
    let page = proposed(&place, &server, "f1");
    told(&mut home, "data-waits=\\\"1\\\"");
    let mut proposal = ana.client.open("GET", &format!("{page}/live"), &[], "").unwrap();
    told(&mut proposal, "p-proposal");
    next(ana.submits(&page, &format!("{page}/dismiss"), &[]));
    told(&mut proposal, "dismissed by ana");
    told(&mut home, "data-waits=\\\"0\\\"");
    let run = next(ana.submits("/runbooks/look", "/runbooks/look/run", &[]));
    until("it asks", || ana.get(&run).body.contains("Ready?"));
    let mut live = ana.client.open("GET", &format!("{run}/live"), &[], "").unwrap();
    let id = run.strip_prefix("/runs/").unwrap();
    place.ask(&["answer", id, "answer=go"]).exits(0);
    told(&mut live, "The disk is full.");
    place.ask(&["note", id, "seen by many"]).exits(0);
    told(&mut live, "seen by many");
}

#[test]
fn a_browser_keeps_the_count_in_its_title() {
    let (ledger, team) = (ledger(), team());
    let place = place(&team, &ledger.url);
    let server = Served::start(&place, "a.sock");
    let Some(chrome) = Chrome::start(&server) else { return };
    let link = place.json(&["login-link"])["url"].as_str().unwrap().to_owned();
    chrome.goes(&link);
    chrome.clicks("main button");
    chrome.sees("nothing waits");
    let title = |chrome: &Chrome| chrome.js("return document.title").as_str().unwrap_or_default().to_owned();
    assert_eq!(title(&chrome), "Now · rerail");
    let page = proposed(&place, &server, "f1");
    chrome.until("the title counts it", |chrome| title(chrome) == "(1) Now · rerail");
    // The list is written anew once its plan is made, and stands still from then on.
    chrome.sees("planned: it may write");
    chrome.clicks(&format!("form[action=\"{page}/dismiss\"] button"));
    chrome.sees("dismissed by ana");
    chrome.goes("/");
    chrome.until("nothing is counted any more", |chrome| title(chrome) == "Now · rerail");
}
