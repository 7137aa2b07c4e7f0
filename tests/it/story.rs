//! One story over all surfaces: asked for in a chat, agreed to on a page, watched in a terminal; and what the doctor says of a
//! server while it works. Both leave a text for people in the directory of tests' files.

use std::path::{Path, PathBuf};

use serde_json::{Value as Json, json};

use crate::binary::kit::{Ledger, Place, answer, until};
use crate::chat::standin::{Post, Slack, text_of};
use crate::client::kit::Elsewhere;
use crate::client::tls::Files;
use crate::serve::kit::{Served, Team, soon};
use crate::web::chrome::{Chrome, ENTER};

/// Looks, and then changes what somebody else must agree to.
const FIX: &str = "
inputs: { base: { type: url }, service: { type: string, description: What to put right } }
steps:
  - { id: look, uses: http.probe, with: { url: '${{ inputs.base }}/health' } }
  - id: change
    approval: { by: [oncall, lead], message: 'Set the variable of ${{ inputs.service }}' }
    uses: http.request
    with: { method: POST, url: '${{ inputs.base }}/', text: '${{ inputs.service }}' }
  - { id: well, uses: http.probe, with: { url: '${{ inputs.base }}/health' } }
outputs: { status: '${{ steps.well.outputs.status }}' }
";

/// What happened where, in its order.
#[derive(Default)]
struct Told(String);

impl Told {
    fn tell(&mut self, who: &str, text: &str) {
        self.0.push_str(&format!("== {who}\n{}\n\n", text.trim_end()));
    }

    /// Leaves it for people to read.
    fn leaves(&self, name: &str) -> PathBuf {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::write(&path, &self.0).unwrap();
        path
    }
}

fn signs_in(chrome: &Chrome, token: &str) {
    chrome.goes("/login");
    chrome.types("#token", token);
    chrome.types("#token", ENTER);
    chrome.sees("Waits for people");
}

/// The message as it stands now.
fn now(slack: &Slack, post: &Post) -> Post {
    slack.posts().into_iter().find(|known| known.ts == post.ts).unwrap()
}

#[test]
fn asked_for_in_a_chat_agreed_to_on_a_page_and_watched_in_a_terminal() {
    let team = Team::new()
        .and("ana", "oncall", "read, run, approve", &soon(), "")
        .and("ben", "lead", "read, run, approve", &soon(), "")
        .and("cleo", "", "read", &soon(), "");
    let people = team.yaml.replace("version: 1\n", "");
    let people = people.replace("  ana:\n", "  ana:\n    chat: { slack: T1/UANA }\n");
    let people = people.replace("  ben:\n", "  ben:\n    chat: { slack: T1/UBEN }\n");
    let slack = Slack::new();
    let world = Ledger::serve(|_, stream| answer(stream, &json!({ "ok": true })));
    let place = slack.project(&people, false).runbook("fix", FIX);
    let server = Served::start(&place, "a.sock");
    let Some(of_ana) = Chrome::start(&server) else { return };
    let mut told = Told::default();

    // Ana asks in the chat; what she left out is asked in a form; the plan has a button that is hers.
    let words = format!("run fix base={}", world.url);
    slack.command(&server, "UANA", &words);
    told.tell("ana types in Slack", &format!("/rerail {words}"));
    let view = slack.view(1);
    assert_eq!(view["blocks"][0]["block_id"], "service");
    told.tell("Slack shows ana a form", &form(&view));
    slack.submit(&server, "UANA", &view, &[("service", "backend")]);
    let card = slack.post_with("plan: fix");
    told.tell("Slack shows everybody the plan", &card.text());
    assert!(world.writes().is_empty(), "a plan changes nothing");
    slack.press(&server, "UANA", &card, "Start");
    let waits = slack.post_with("needs an approval: change");
    told.tell("ana presses Start; the run waits, says Slack", &waits.text());
    let run = place.json(&["runs", "--json"])[0]["run"].as_str().unwrap().to_owned();

    // Cleo, who may only look, follows it from her machine from here on.
    let cleo = Elsewhere::of(&server, team.token("cleo"));
    let mut terminal = cleo.begins(&["show", &run, "--follow"]);
    terminal.hears("Set the variable of backend");

    // On the page ana is who asked, and can't agree; nor by sending the form all the same.
    signs_in(&of_ana, team.token("ana"));
    let page = format!("/runs/{run}/approve/change");
    of_ana.goes(&page);
    of_ana.sees("Not for you to say yes");
    assert_eq!(of_ana.js("return document.querySelectorAll('button.yes').length"), 0);
    told.tell("the page says to ana", &of_ana.text());
    let change = place.json(&["approvals", "--json"])[0]["change"].as_str().unwrap().to_owned();
    let body = json!({ "step": "change", "change": change });
    let api = server.tcp().bearer(team.token("ana"));
    api.post(&format!("/api/v1/runs/{run}/approve"), "1", &body).is(403);
    assert!(world.writes().is_empty() && now(&slack, &waits).button("Approve").is_some());

    // Ben agrees on the page; it goes on there, in the chat and in the terminal.
    let of_ben = Chrome::start(&server).unwrap();
    signs_in(&of_ben, team.token("ben"));
    of_ben.goes(&page);
    of_ben.sees("Set the variable of backend");
    told.tell("the page says to ben", &of_ben.text());
    of_ben.clicks("button.yes");
    of_ben.sees("success");
    told.tell("ben presses Approve; the page goes on", &of_ben.text());
    let end = slack.post_with("finished after");
    until("the card says how it ended", || {
        now(&slack, &waits).text().contains("approved by ben") && now(&slack, &card).text().contains("finished")
    });
    let (card, waits) = (now(&slack, &card), now(&slack, &waits));
    assert!(card.edits > 0 && card.button("Start").is_none() && waits.button("Approve").is_none(), "{}", card.text());
    for (what, post) in [("the card", &card), ("what waited", &waits), ("the end", &end)] {
        told.tell(&format!("Slack at the end: {what}"), &post.text());
    }
    let whispers: Vec<String> =
        slack.state.lock().unwrap().whispers.iter().map(|(who, body)| format!("to {who}: {}", text_of(body))).collect();
    told.tell("Slack said to one alone", &whispers.join("\n"));
    let said = terminal.ends().exits(0);
    for part in ["look", "change", "approved by ben", "well"] {
        assert!(said.stderr.contains(part), "no `{part}` in\n{}", said.stderr);
    }
    assert!(said.stdout.contains("status"), "{}", said.stdout);
    told.tell("cleo's terminal: rerail show RUN --follow --server …", &format!("{}{}", said.stderr, said.stdout));
    assert_eq!((world.writes().len(), world.times("backend")), (1, 1));
    assert_eq!(slack.wrong(), Vec::<String>::new());

    // The record says by which way each of them spoke.
    let shown = place.ask(&["show", &run]).exits(0).stdout;
    assert!(shown.contains("ana via slack"), "{shown}");
    let record = place.ask(&["export", &run]).exits(0).stdout;
    assert!(record.contains("ben"), "{record}");
    told.tell("the record: rerail export RUN", &record);
    for (name, _) in [("ana", 0), ("ben", 0), ("cleo", 0)] {
        assert!(!told.0.contains(team.token(name)), "a token is in the story");
    }
    told.leaves("story.txt");
}

/// A form as people read it.
fn form(view: &Json) -> String {
    let labels = view["blocks"].as_array().unwrap().iter().filter_map(|block| block["label"]["text"].as_str());
    let title = view["title"]["text"].as_str().unwrap();
    format!("{title}\n{}\n[{}]", labels.collect::<Vec<_>>().join("\n"), view["submit"]["text"].as_str().unwrap())
}

/// Starts at a time, and when an alert says so.
const NIGHTLY: &str = "
triggers: [{ schedule: { cron: '0 3 * * *', time_zone: Europe/Berlin } }]
steps:
  - { id: said, uses: run.note, with: { text: done } }
";

#[test]
fn the_doctor_looks_at_a_server_while_it_works_here_and_from_elsewhere() {
    let next_week = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date() + jiff::Span::new().days(7);
    let team = Team::new()
        .and("ana", "oncall", "read, run", &soon(), "")
        .and("ben", "oncall", "read", &next_week.to_string(), "")
        .here("ana");
    let hooks = "hooks:\n  alertmanager: { secret: { from: file, path: hook }, acts_as: ana }\n  pagerduty: { secret: { from: file, path: nowhere }, acts_as: ana }\n";
    let nightly = NIGHTLY.replace("triggers: [{ schedule", "triggers: [{ acts_as: ana, schedule");
    let place = Place::new().file("rerail.yaml", format!("{}{hooks}", team.yaml)).file("hook", "fake-secret-of-a-hook");
    let place = place.runbook("nightly", &nightly);
    // Nobody serves: nothing is said of a server, and what is wrong with the project is said all the same.
    let before = place.ask(&["doctor"]).exits(1);
    assert!(!before.stdout.contains("  server"), "{}", before.stdout);
    let files = Files::beside(&place, &["localhost"]);
    let server = Served::with(&place, "state/server.sock", &files.args("127.0.0.1:0"));
    let mut told = Told::default();
    let here = place.ask(&["doctor"]);
    let ca = files.cert.to_str().unwrap();
    let address = format!("https://localhost:{}", server.port);
    let elsewhere = Elsewhere::of(&server, team.token("ben"));
    let there = elsewhere.place.ask(&["doctor", "--server", &address, "--ca", ca]);
    for (how, said) in [("rerail doctor", &here), ("rerail doctor --server https://…", &there)] {
        told.tell(how, &said.stdout);
        assert_eq!(said.code(), Some(1), "the secret of a hook is missing: {}{}", said.stdout, said.stderr);
        for part in [
            "hooks.alertmanager",
            "acts for ana",
            "hooks.pagerduty",
            "whatever is sent there is refused",
            "people: 2, tokens for a server: 2",
            "token ben/t",
            "in days: 7",
            "schedule nightly",
            "(Europe/Berlin), next ",
            "server ",
            "0 runs driven",
            "server.socket",
            "server.tls",
            "good until ",
            "server.version",
        ] {
            assert!(said.stdout.contains(part), "{how}: no `{part}` in\n{}", said.stdout);
        }
        assert!(!said.stdout.contains("fake-secret"), "{}", said.stdout);
    }
    let project = place.project().canonicalize().unwrap();
    assert!(there.stdout.contains(project.to_str().unwrap()), "of the server's machine:\n{}", there.stdout);
    let json = elsewhere.place.ask(&["doctor", "--server", &address, "--ca", ca, "-o", "json"]).exits(1).json();
    let of = |what: &str| {
        let found = json["checks"].as_array().unwrap().iter().find(|check| check["what"] == what);
        found.unwrap_or_else(|| panic!("no {what} in {json}"))["state"].clone()
    };
    assert_eq!((of("server"), of("server.tls"), of("token ben/t")), (json!("well"), json!("well"), json!("doubtful")));
    assert_eq!((of("hooks.pagerduty"), of("server.version")), (json!("broken"), json!("well")));
    elsewhere.place.ask(&["doctor", "--server", &address, "--ca", ca, "--target", "nowhere"]).exits(2);
    told.leaves("doctor-served.txt");
    // One that is gone is missed: its socket is still there.
    server.kill();
    let gone = place.ask(&["doctor"]).exits(1);
    assert!(gone.stdout.contains("can't be reached") && gone.stdout.contains("rerail serve"), "{}", gone.stdout);
}
