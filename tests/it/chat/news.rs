//! What nobody in a room has asked for: proposals of alerts, the runs they begin, and what comes of schedules.

use rerail::engine::event::Body;
use serde_json::json;

use super::standin::{CHANNEL, Post, Slack, signed};
use super::story::{PEOPLE, world};
use crate::alerts::kit::{TOKEN, send, single};
use crate::binary::kit::{Ledger, Place, answer, until};
use crate::serve::kit::Served;

const SINCE: &str = "2026-11-21T08:41:25.332Z";
const URL: [&str; 4] = ["--listen", "127.0.0.1:0", "--url", "https://ops.example.com"];

/// Changes something that others must agree to, and finds something.
pub fn fix(world: &Ledger) -> String {
    format!(
        "
triggers:
  - alert: {{ alertname: Down }}
    inputs: {{ service: '${{{{ alert.labels.service }}}}' }}
inputs: {{ service: {{ type: string }} }}
steps:
  - {{ id: look, uses: http.request, with: {{ method: GET, url: '{0}/state' }} }}
  - id: change
    approval: {{ by: [oncall, lead] }}
    uses: http.request
    with: {{ method: POST, url: '{0}/of-${{{{ steps.look.outputs.json.state }}}}', text: '${{{{ inputs.service }}}} was ${{{{ steps.look.outputs.json.state }}}}' }}
  - id: say
    findings: [{{ when: 'steps.change.outcome == \"done\"', level: warning, say: It was the disk. }}]
",
        world.url
    )
}

/// A project whose Alertmanager acts for ana and is told of in the channel.
fn place(slack: &Slack) -> Place {
    let hooks = format!(
        "hooks:\n  alertmanager: {{ secret: {{ from: env, name: HOOK_TOKEN }}, acts_as: ana, tell: {{ slack: {CHANNEL} }} }}\n"
    );
    slack.project(&format!("{PEOPLE}{hooks}"), false).env("HOOK_TOKEN", TOKEN)
}

fn fire(server: &Served, status: &str, name: &str) {
    let labels = json!({ "alertname": "Down", "service": "backend" });
    send(server, &single(status, name, SINCE, &labels)).is(202);
}

/// The message as it is now, once it has this text and this button.
#[track_caller]
fn with_button(slack: &Slack, text: &str, label: &str) -> Post {
    until("the button is there", || {
        slack.posts().iter().any(|post| post.text().contains(text) && post.button(label).is_some())
    });
    slack.posts().into_iter().find(|post| post.text().contains(text) && post.button(label).is_some()).unwrap()
}

fn starts(place: &Place) -> Vec<String> {
    let who = place.events().into_iter().filter_map(|event| match event.body {
        Body::RunStarted(started) => Some(format!("{} {}", started.actor.id, started.actor.via)),
        _ => None,
    });
    who.collect()
}

#[test]
fn an_alert_is_proposed_started_by_one_approved_by_another_and_its_findings_are_told() {
    let (slack, world) = (Slack::new(), world_that_says("bad").0);
    let place = place(&slack).runbook("fix", &fix(&world));
    let server = Served::with(&place, "a.sock", &URL);
    fire(&server, "firing", "f1");
    let card = with_button(&slack, "waits for somebody to start it", "Start");
    let text = card.text();
    for part in ["fix / ", "alert Down of alertmanager", "it may write, and its trigger", "service=backend", "change"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(card.body.to_string().contains("https://ops.example.com/proposals/"), "{}", card.body);
    assert!(card.button("Dismiss").is_some() && world.writes().is_empty());
    // Strangers, and what was made up.
    slack.press(&server, "USTRANGER", &card, "Start");
    slack.whisper_with("USTRANGER", "link first");
    signed(&server, &slack.press_body("UBEN", &card, &"0".repeat(64))).is(200);
    slack.whisper_with("UBEN", "too old, or not one of ours");
    assert!(starts(&place).is_empty());
    // The alert again, and over: still one card, which says so.
    fire(&server, "firing", "f1");
    fire(&server, "resolved", "f1");
    slack.post_with("the alert is over; it may be started all the same");
    slack.press(&server, "UBEN", &card, "Start");
    let waits = slack.post_with("needs an approval: change");
    assert_eq!(waits.thread.as_deref(), Some(card.ts.as_str()), "in the thread of the card");
    slack.press(&server, "UCLEO", &card, "Start");
    slack.whisper_with("UCLEO", "ben was first, at ");
    slack.press(&server, "UBEN", &waits, "Approve");
    slack.whisper_with("UBEN", "not for ben");
    slack.press(&server, "UCLEO", &waits, "Approve");
    let end = slack.post_with("finished after");
    assert!(end.text().contains("warning: It was the disk."), "{}", end.text());
    assert_eq!(end.thread.as_deref(), Some(card.ts.as_str()));
    assert_eq!((starts(&place), world.times("backend was bad")), (vec!["ben slack".to_owned()], 1));
    let card = slack.posts().into_iter().find(|post| post.ts == card.ts).unwrap();
    assert!(card.button("Start").is_none() && card.button("Dismiss").is_none(), "{}", card.text());
    assert_eq!(slack.posts().len(), 3, "the card, what waits, the end");
    assert_eq!(slack.wrong(), Vec::<String>::new());
}

/// A service whose state is a word that can be changed.
pub fn world_that_says(word: &str) -> (Ledger, std::sync::Arc<std::sync::Mutex<String>>) {
    let state = std::sync::Arc::new(std::sync::Mutex::new(word.to_owned()));
    let shared = std::sync::Arc::clone(&state);
    let world = Ledger::serve(move |_, stream| answer(stream, &json!({ "state": *shared.lock().unwrap() })));
    (world, state)
}

#[test]
fn what_would_be_written_has_changed_so_nothing_starts_and_a_new_plan_is_shown() {
    let slack = Slack::new();
    let (world, state) = world_that_says("bad");
    let place = place(&slack).runbook("fix", &fix(&world));
    let server = Served::with(&place, "a.sock", &URL);
    fire(&server, "firing", "f1");
    let old = with_button(&slack, "/of-bad", "Start");
    "worse".clone_into(&mut state.lock().unwrap());
    slack.press(&server, "UBEN", &old, "Start");
    slack.whisper_with("UBEN", "the plan is out of date");
    let new = with_button(&slack, "/of-worse", "Start");
    assert_eq!(new.ts, old.ts, "in the same message");
    // The button of the old plan starts nothing either.
    slack.press(&server, "UBEN", &old, "Start");
    slack.whisper_with("UBEN", "planned anew since it was shown");
    assert!(starts(&place).is_empty());
    slack.press(&server, "UBEN", &new, "Start");
    slack.post_with("needs an approval: change");
    assert_eq!(starts(&place), ["ben slack"]);
}

#[test]
fn one_dismisses_it_and_nobody_starts_it_any_more() {
    let (slack, world) = (Slack::new(), world());
    let place = place(&slack).runbook("fix", &fix(&world).replace("GET, url", "GET, expect: { status: [200] }, url"));
    let server = Served::with(&place, "a.sock", &URL);
    fire(&server, "firing", "f1");
    let card = with_button(&slack, "waits for somebody to start it", "Dismiss");
    slack.press(&server, "UBEN", &card, "Dismiss");
    let said = slack.post_with("was dismissed by ben at ");
    assert!(said.ts == card.ts && said.button("Start").is_none() && said.button("Dismiss").is_none());
    slack.press(&server, "UCLEO", &card, "Dismiss");
    slack.whisper_with("UCLEO", "ben was first, at ");
    assert!(starts(&place).is_empty() && world.writes().is_empty());
    assert_eq!(place.json(&["triggers"])["proposals"], json!([]));
}

#[test]
fn what_only_looks_is_told_with_its_findings_and_a_schedule_only_if_there_is_something_to_say() {
    let slack = Slack::new();
    let look = |name: &str, say: bool| {
        format!(
            "triggers:\n  - {name}\nsteps:\n  - id: say\n    findings: [{{ when: '{say}', level: critical, say: The {} is full. }}]\n",
            if say { "disk" } else { "cup" }
        )
    };
    let every = format!("schedule: {{ cron: '* * * * *' }}\n    acts_as: ana\n    tell: {{ slack: {CHANNEL} }}");
    let place = place(&slack)
        .runbook("look", &look("alert: { alertname: Down }", true))
        .runbook("noisy", &look(&every, true))
        .runbook("quiet", &look(&every, false));
    // A time may come at any moment: the alert is waited for first.
    let server = Served::start(&place, "a.sock");
    fire(&server, "firing", "f1");
    until("its end is told", || {
        let posts = slack.posts();
        posts.iter().any(|post| post.thread.is_some() && post.text().contains("critical: The disk is full."))
    });
    until("both schedules have come", || {
        let runs = place.json(&["runs"]);
        let ended = |name: &str| {
            runs.as_array().unwrap().iter().any(|run| run["runbook"] == name && run["status"] == "success")
        };
        ended("noisy") && ended("quiet")
    });
    let noisy = slack.post_with("noisy / ");
    assert!(noisy.text().contains("critical: The disk is full.") && noisy.thread.is_none(), "{}", noisy.text());
    assert!(slack.posts().iter().all(|post| !post.text().contains("quiet")));
}

#[test]
fn killed_between_any_two_steps_nothing_is_lost_and_it_is_told_once() {
    // Where the server dies; how many messages may stand there twice: only that whose answer nobody has seen.
    for (point, twice) in
        [("news.posted", 1), ("chat.pressed", 0), ("proposal.started", 0), ("chat.started", 0), ("news.hung", 0)]
    {
        let slack = Slack::new();
        let (world, _) = world_that_says("bad");
        let place = place(&slack).runbook("fix", &fix(&world)).env("RERAIL_CRASH_NAMED", point);
        let first = Served::with(&place, "a.sock", &URL);
        fire(&first, "firing", "f1");
        let survivor = if point == "news.posted" {
            None
        } else {
            let card = with_button(&slack, "waits for somebody to start it", "Start");
            slack.press(&first, "UBEN", &card, "Start");
            Some(card)
        };
        assert_eq!(first.ends(), None, "{point}: killed");
        let place = place.env("RERAIL_CRASH_NAMED", "");
        let second = Served::with(&place, "b.sock", &URL);
        if survivor.is_none() {
            until("it is told again", || slack.posts().len() == 2);
            let card = with_button(&slack, "waits for somebody to start it", "Start");
            slack.press(&second, "UBEN", &card, "Start");
        }
        let waits = slack.post_with("needs an approval: change");
        slack.press(&second, "UCLEO", &waits, "Approve");
        slack.post_with("finished after");
        assert_eq!((starts(&place).len(), world.times("backend was bad")), (1, 1), "{point}");
        let said: Vec<String> = slack.posts().iter().map(Post::text).collect();
        assert_eq!(said.len(), 3 + twice, "{point}: {said:#?}");
    }
}
