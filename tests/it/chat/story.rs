//! Whole stories in Slack: asked, planned, started, approved by another, finished; and everything that must not work.

use rerail::engine::event::Body;
use rerail::runs::Token;

use super::standin::{CHANNEL, Slack, signed};
use crate::binary::kit::{Ledger, Place, answer, until};
use crate::serve::kit::Served;

pub const PEOPLE: &str = "people:\n  ana: { roles: [oncall], chat: { slack: T1/UANA } }\n  ben: { roles: [lead], chat: { slack: T1/UBEN } }\n  cleo: { roles: [oncall], chat: { slack: T1/UCLEO } }\n";

/// A write that others must agree to.
pub const FIX: &str = "
inputs: { base: { type: url }, service: { type: string, description: What to put right } }
steps:
  - id: change
    approval: { by: [oncall, lead] }
    uses: http.request
    with: { method: POST, url: '${{ inputs.base }}/', text: '${{ inputs.service }}' }
";

/// One that only looks.
pub const LOOK: &str = "
inputs: { base: { type: url } }
steps:
  - { id: look, uses: http.probe, with: { url: '${{ inputs.base }}/health' } }
";

pub fn world() -> Ledger {
    Ledger::serve(|_, stream| answer(stream, &serde_json::json!({ "ok": true })))
}

fn actors(place: &Place) -> Vec<String> {
    let who = place.events().into_iter().filter_map(|event| match event.body {
        Body::RunStarted(started) => Some(format!("started {} {}", started.actor.id, started.actor.via)),
        Body::ApprovalGiven { actor, .. } => Some(format!("approved {} {}", actor.id, actor.via)),
        Body::ApprovalRejected { actor, reason, .. } => Some(format!("rejected {} {reason}", actor.id)),
        Body::Note { text, actor: Some(actor), .. } => Some(format!("note {} {text}", actor.id)),
        _ => None,
    });
    who.collect()
}

#[test]
fn asked_in_slack_completed_in_a_form_started_approved_by_another_and_finished() {
    let (slack, world) = (Slack::new(), world());
    let place = slack.project(PEOPLE, false).runbook("fix", FIX);
    let server = Served::start(&place, "a.sock");
    slack.command(&server, "UANA", &format!("run fix base={}", world.url));
    let view = slack.view(1);
    assert_eq!(view["blocks"][0]["block_id"], "service");
    assert_eq!(view["blocks"].as_array().unwrap().len(), 1, "what was typed is not asked again");
    slack.submit(&server, "UANA", &view, &[("service", "backend")]);
    let plan = slack.post_with("plan: fix");
    assert!(plan.text().contains("change") && plan.thread.is_none(), "{}", plan.text());
    // Who asked starts it, and nobody else.
    slack.press(&server, "UBEN", &plan, "Start");
    slack.whisper_with("UBEN", "this button is for ana, not for ben");
    slack.press(&server, "UANA", &plan, "Start");
    let waits = slack.post_with("needs an approval: change");
    assert_eq!(waits.thread.as_deref(), Some(plan.ts.as_str()), "in the thread of the card");
    assert!(waits.text().contains("needs oncall or lead"), "{}", waits.text());
    assert!(world.writes().is_empty());
    let card = slack.posts().into_iter().find(|post| post.ts == plan.ts).unwrap();
    assert!(
        card.edits > 0 && card.text().contains("waits: change") && card.button("Start").is_none(),
        "{}",
        card.text()
    );
    // Whoever asked, strangers, and what was made up.
    slack.press(&server, "UANA", &waits, "Approve");
    slack.whisper_with("UANA", "this button is for ben, cleo, not for ana");
    slack.press(&server, "USTRANGER", &waits, "Approve");
    slack.whisper_with("USTRANGER", "link first");
    signed(&server, &slack.press_body("UBEN", &waits, &"0".repeat(64))).is(200);
    slack.whisper_with("UBEN", "too old, or not one of ours");
    slack.command(&server, "UANA", "approve");
    slack.whisper_with("UANA", "can't be approved");
    assert!(world.writes().is_empty());
    // Two who may, at once.
    slack.press(&server, "UBEN", &waits, "Approve");
    slack.press(&server, "UCLEO", &waits, "Approve");
    slack.post_with("finished after");
    until("one of two was first", || {
        let state = slack.state.lock().unwrap();
        state.whispers.iter().any(|(who, body)| {
            (who == "UBEN" || who == "UCLEO") && super::standin::text_of(body).contains(" was first, at ")
        })
    });
    assert_eq!((world.writes().len(), world.times("backend")), (1, 1));
    let told = slack.posts().into_iter().find(|post| post.ts == waits.ts).unwrap();
    assert!(told.text().contains("approved by ") && told.button("Approve").is_none(), "{}", told.text());
    let told = actors(&place);
    assert_eq!(told[0], "started ana slack");
    assert!(told.len() == 2 && (told[1] == "approved ben slack" || told[1] == "approved cleo slack"), "{told:?}");
    assert_eq!(slack.wrong(), Vec::<String>::new());
    assert_eq!(slack.posts().len(), 3, "the card, what waits, the end");
}

#[test]
fn who_asked_in_the_terminal_is_not_who_agrees_in_the_chat() {
    let (slack, world) = (Slack::new(), world());
    let uid = rustix::process::getuid().as_raw();
    let people = PEOPLE.replace("ana: {", &format!("ana: {{ os_user: uid-{uid},"));
    let place = slack.project(&people, false).runbook("fix", FIX);
    let server = Served::start(&place, "a.sock");
    let base = format!("base={}", world.url);
    let said = place.ask(&["run", "fix", "-i", &base, "-i", "service=x", "--yes", "--no-input"]);
    assert_ne!(said.code(), Some(0));
    let run = place.json(&["runs", "--json"])[0]["run"].as_str().unwrap().to_owned();
    slack.command(&server, "UANA", &format!("approve {run}"));
    slack.whisper_with("UANA", "can't be approved");
    slack.command(&server, "UBEN", &format!("approve {run}"));
    let whisper = slack.whisper_with("UBEN", "needs an approval: change");
    let holds = super::standin::button_of(&whisper, "Approve").unwrap();
    let post = super::standin::Post { ts: "1.1".into(), thread: None, body: whisper, edits: 0 };
    // A button that was shown to one is not good for who asked.
    signed(&server, &slack.press_body("UANA", &post, &holds)).is(200);
    slack.whisper_with("UANA", "this button is for ben, cleo, not for ana");
    assert!(world.writes().is_empty());
    signed(&server, &slack.press_body("UBEN", &post, &holds)).is(200);
    slack.whisper_with("UBEN", "is approved by ben");
    until("the change is made", || world.times("x") == 1);
}

#[test]
fn what_only_looks_starts_at_once_and_words_find_the_run_of_their_channel() {
    let (slack, world) = (Slack::new(), world());
    let ask = "steps:\n  - { id: ready, uses: human.ask, with: { text: Ready?, choices: [go, stop] } }\n";
    let place = slack.project(PEOPLE, false).runbook("look", LOOK).runbook("ask", ask);
    let server = Served::start(&place, "a.sock");
    slack.command(&server, "UANA", &format!("run look base={}", world.url));
    slack.post_with("finished after");
    slack.command(&server, "UANA", "run ask");
    let asks = slack.post_with("asks: ready");
    slack.command(&server, "UBEN", "note \"the provider is slow\"");
    slack.whisper_with("UBEN", "noted in ask /");
    slack.press(&server, "UBEN", &asks, "go");
    until("both have ended", || {
        slack.posts().iter().filter(|post| post.text().contains("finished after")).count() == 2
    });
    assert!(actors(&place).contains(&"note ben the provider is slow".to_owned()));
    slack.command(&server, "UBEN", "hold on the database moves");
    slack.post_with("all writes are on hold by ben");
    slack.command(&server, "UANA", "hold off");
    slack.post_with("the hold is lifted by ana");
    place.ask(&["doctor"]).says(&["chat.slack", "over HTTP, channels: 1, people named for it: 3"]);
    slack.command(&server, "UANA", "find look");
    slack.whisper_with("UANA", "look — A test");
    slack.command(&server, "UANA", "runs");
    slack.whisper_with("UANA", "newest runs");
}

#[test]
fn a_code_from_the_chat_proves_in_the_terminal_who_somebody_is() {
    let slack = Slack::new();
    let token = Token::new().unwrap();
    let people = format!("people:\n  ana: {{ token_hash: \"{}\", roles: [oncall] }}\n", token.hash().text());
    let place = slack.project(&people, false).file("ana.token", token.text());
    let path = place.project().join("ana.token");
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let server = Served::start(&place, "a.sock");
    slack.command(&server, "UNEW", "runs");
    slack.whisper_with("UNEW", "link first");
    slack.command(&server, "UNEW", "link");
    let whisper = super::standin::text_of(&slack.whisper_with("UNEW", "rerail link "));
    let code = whisper.lines().find_map(|line| line.strip_prefix("rerail link ")).unwrap().to_owned();
    let ana = ["--as", "ana", "--token-file", path.to_str().unwrap()];
    let link = |more: &[&str]| place.ask(&[&["link"], more, &ana[..]].concat());
    place.ask(&["link", &code, "--yes"]).exits(4).says(&["is no person of this project"]);
    link(&["aaaaa-aaaaa", "--yes"]).exits(4).says(&["this code is nobody's"]);
    link(&[&code, "--yes"]).exits(0);
    link(&[&code, "--yes"]).exits(4);
    slack.command(&server, "UNEW", "help");
    slack.whisper_with("UNEW", "rerail knows you as ana (oncall)");
    place.ask(&["link", "--list"]).exits(0).says(&["slack:T1/UNEW", "ana"]);
    link(&["--remove", "slack:T1/UNEW"]).exits(0);
    slack.command(&server, "UNEW", "status");
    until("the link is gone", || {
        let state = slack.state.lock().unwrap();
        super::standin::text_of(&state.whispers.last().unwrap().1).contains("link first")
    });
}

#[test]
fn hostile_text_stays_text_and_other_channels_stay_closed() {
    let (slack, world) = (Slack::new(), world());
    let hostile = "<!channel> <@UBEN> <https://evil.example|click> ``` *b*";
    let say = serde_json::json!(hostile);
    let body = format!(
        "inputs: {{ base: {{ type: url }} }}\nsteps:\n  - {{ id: say, uses: run.note, with: {{ text: x }} }}\n  - id: f\n    findings: [{{ when: 'inputs.base.host != \"\"', level: critical, say: {say} }}]\n"
    );
    let place = slack.project(PEOPLE, false).runbook("evil", &body);
    let server = Served::start(&place, "a.sock");
    slack.command(&server, "UANA", &format!("run evil base={}", world.url));
    slack.post_with("evil.example");
    slack.command(&server, "UANA", "run <!channel> a=b");
    slack.whisper_with("UANA", "no such runbook");
    slack.command(&server, "UANA", "run ../../etc/passwd");
    slack.whisper_with("UANA", "no such runbook");
    let elsewhere = slack.command_body("UANA", "runs").replace(CHANNEL, "C0OTHER");
    signed(&server, &elsewhere).is(200);
    slack.whisper_with("UANA", "not one of those that may be used");
    assert_eq!(slack.wrong(), Vec::<String>::new());
}

#[test]
fn what_looks_again_and_again_speaks_when_something_changes() {
    let slack = Slack::new();
    let bad = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let shared = std::sync::Arc::clone(&bad);
    let world = Ledger::serve(move |_, stream| {
        let ok = !shared.load(std::sync::atomic::Ordering::SeqCst);
        answer(stream, &serde_json::json!({ "ok": ok }))
    });
    let watch = "
inputs: { base: { type: url } }
steps:
  - { id: look, uses: http.probe, with: { url: '${{ inputs.base }}/health' } }
  - id: say
    findings:
      - { when: '!steps.look.outputs.json.ok', level: critical, say: It is down. }
      - { when: 'steps.look.outputs.json.ok', level: ok, say: It is well. }
";
    let place = slack.project(PEOPLE, false).runbook("watch", watch).runbook("fix", FIX);
    let server = Served::start(&place, "a.sock");
    let stalk = |name: &str, more: &str| {
        slack.command(
            &server,
            "UANA",
            &format!("stalk {name} base={} service=x {more}", world.url)
                .replace(" service=x", if name == "fix" { " service=x" } else { "" }),
        );
    };
    stalk("fix", "");
    slack.whisper_with("UANA", "may do more than look");
    stalk("watch", "every=1s");
    slack.whisper_with("UANA", "expected 10 s to 2h");
    stalk("watch", "every=10s");
    slack.post_with("It is well.");
    until("it has looked twice", || world.entries().len() >= 2);
    bad.store(true, std::sync::atomic::Ordering::SeqCst);
    slack.post_with("It is down.");
    let said = slack.posts().iter().filter(|post| post.text().contains("It is")).count();
    assert_eq!(said, 2, "only what changed was said");
    slack.command(&server, "UBEN", "stalk stop");
    slack.whisper_with("UBEN", "no longer looks: watch");
}
