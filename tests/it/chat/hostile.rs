//! What somebody tries who means no good: words that would call everybody, texts too large, requests of yesterday and of
//! others, buttons of another room, what rerail itself has said.

use serde_json::{Value as Json, json};

use super::rooms::{ALL, ANA, BEN, CLEO, Kind, Room};
use super::story::{FIX, LOOK, world};
use crate::binary::kit::until;

/// Would call everybody, lead elsewhere, or look like something of the chat's own.
const HOSTILE: &str = "@everyone @here @channel <@1> <@&2> <#3> [x](https://evil.example) www.evil.example mailto:a@evil.example ``` **b** ~~~";

#[test]
fn no_text_from_outside_calls_anybody_leads_anywhere_or_is_too_long() {
    for kind in ALL {
        let (room, world) = (Room::new(kind), world());
        let say = json!(format!("{HOSTILE} {}", "@".repeat(400)));
        let body = format!(
            "inputs: {{ base: {{ type: url }} }}\nsteps:\n  - id: f\n    findings: [{{ when: 'inputs.base.host != \"\"', level: critical, say: {say} }}]\n"
        );
        let place = room.project("").runbook("evil", &body);
        let server = room.server(&place, "a.sock");
        room.command(&server, ANA, &format!("run evil base={}", world.url));
        let end = room.post_with("finished after");
        room.command(&server, ANA, &format!("run \"{HOSTILE}\""));
        room.whisper_with(ANA, "no such runbook");
        // What is no command stands in a title, and a title of signs is three times as long as it was.
        room.command(&server, ANA, &format!("\"{HOSTILE}\""));
        room.command(&server, ANA, &"@".repeat(3000));
        until("both are refused", || {
            room.state().whispers.iter().filter(|(_, post)| post.text.contains("no command")).count() >= 2
        });
        let state = room.state();
        let whispers = state.whispers.iter().map(|(_, post)| post);
        if kind != Kind::Generic {
            for post in state.posts.iter().chain(whispers) {
                is_only_text(&post.text);
            }
            assert!(end.text.contains("evil.example"), "{}", end.text);
        }
        assert_eq!(state.wrong, Vec::<String>::new(), "{kind:?}");
    }
}

/// Whether nothing outside of its block of code is a mention or a link to elsewhere.
fn is_only_text(text: &str) {
    let blocks: Vec<&str> = text.split("```").collect();
    assert!(blocks.len() == 1 || blocks.len() == 3, "a block of code ends early: {text}");
    for outside in blocks.iter().step_by(2) {
        let own = outside.replace("(<https://ops.example.com/", "");
        for bad in ["@everyone", "@here", "@channel", "<@", "<#", "](", "://", "www.evil", "mailto:a"] {
            assert!(!own.contains(bad), "{bad}: {text}");
        }
    }
}

#[test]
fn what_comes_again_late_early_or_signed_by_another_does_nothing() {
    for kind in [Kind::Discord, Kind::Generic] {
        let (room, other) = (Room::new(kind), Room::new(kind));
        let place = room.project("");
        let server = room.server(&place, "a.sock");
        let body = said(&room, "77", "runs");
        let sign = |moment: i64, text: &str| room.sign(&moment.to_string(), text);
        let now = jiff::Timestamp::now().as_second();
        let text = body.to_string();
        for off in [-400, 400] {
            room.send_with(&server, &text, &(now + off).to_string(), &sign(now + off, &text)).is(401);
        }
        room.send_with(&server, &text, &(now + 1).to_string(), &sign(now, &text)).is(401);
        room.send_with(&server, &format!("{text} "), &now.to_string(), &sign(now, &text)).is(401);
        let stranger = other.sign_as_stranger(&now.to_string(), &text);
        room.send_with(&server, &text, &now.to_string(), &stranger).is(401);
        assert!(room.state().whispers.is_empty());
        for _ in 0..4 {
            let reply = room.send(&server, &body);
            assert!(reply.status == 200 || reply.status == 202, "{reply:?}");
            room.replied("77", reply.status);
        }
        room.whisper_with(ANA, "newest runs");
        room.command(&server, BEN, "runs");
        room.whisper_with(BEN, "newest runs");
        assert_eq!(room.state().whispers.iter().filter(|(who, _)| who == ANA).count(), 1, "{kind:?}");
    }
}

fn said(room: &Room, id: &str, line: &str) -> Json {
    match room.kind {
        Kind::Discord => {
            let data = json!({ "name": "rerail", "options": [{ "name": "args", "type": 3, "value": line }] });
            room.interaction(id, 2, ANA, &data, None)
        }
        _ => json!({ "id": id, "user": ANA, "channel": room.kind.channel(), "text": line }),
    }
}

#[test]
fn a_button_counts_in_a_channel_that_may_be_used_and_a_form_for_whom_it_was_shown_to() {
    for kind in ALL {
        let (room, world) = (Room::new(kind), world());
        let place = room.project("").runbook("fix", FIX);
        let server = room.server(&place, "a.sock");
        room.command(&server, ANA, &format!("run fix base={} service=x", world.url));
        let plan = room.post_with_button("plan: fix", "Start");
        let holds = plan.button("Start").unwrap().clone();
        match kind {
            Kind::Mattermost => {
                let body = |channel: &str, holds: &Json| json!({ "user_id": ANA, "channel_id": channel, "post_id": plan.id, "trigger_id": "t", "context": holds });
                room.send(&server, &body("elsewhere", &holds)).is(401);
                for part in ["thread", "channel", "holds"] {
                    let mut other = holds.clone();
                    other[part] = json!("elsewhere");
                    room.send(&server, &body("ops", &other)).is(401);
                }
            }
            Kind::Discord => {
                let mut body = room.interaction("88", 3, ANA, &json!({ "custom_id": holds }), Some(&plan.id));
                body["channel_id"] = json!("71");
                let reply = room.send(&server, &body).is(202);
                room.replied("88", reply.status);
                room.whisper_with(ANA, "not one of those that may be used");
            }
            Kind::Generic => {
                room.send(&server, &json!({ "id": "88", "user": ANA, "channel": "elsewhere", "button": holds }))
                    .is(202);
                room.whisper_with(ANA, "not one of those that may be used");
            }
        }
        // The form for the reason of one is nobody else's, and what it asks about is not for another message.
        room.press(&server, ANA, &plan, "Start");
        let waits = room.post_with_button("needs an approval: change", "Reject");
        room.press(&server, BEN, &waits, "Reject");
        let form = room.form(1);
        match kind {
            Kind::Mattermost => {
                let state = form.body["dialog"]["state"].as_str().unwrap().to_owned();
                let filled = |user: &str, state: &str| json!({ "user_id": user, "channel_id": "ops", "state": state, "submission": { "reason": "no" } });
                room.send(&server, &filled(CLEO, &state)).is(401);
                let mut moved: Json = serde_json::from_str(&state).unwrap();
                moved["message"] = json!(plan.id);
                room.send(&server, &filled(BEN, &moved.to_string())).is(401);
            }
            _ => {
                room.fill(&server, CLEO, &form, &[("reason", "no")]);
                room.whisper_with(CLEO, "this button is for ben, not for cleo");
            }
        }
        room.press(&server, CLEO, &waits, "Approve");
        room.post_with("finished after");
        assert_eq!(world.times("x"), 1, "{kind:?}");
    }
}

#[test]
fn what_rerail_says_to_a_program_is_no_request_of_one() {
    let (room, world) = (Room::new(Kind::Generic), world());
    let place = room.project("").runbook("look", LOOK).runbook("fix", FIX);
    let server = room.server(&place, "a.sock");
    room.command(&server, ANA, &format!("run fix base={} service=x", world.url));
    room.post_with_button("plan: fix", "Start");
    room.command(&server, ANA, "run look");
    room.form(1);
    let told = room.ledger.entries();
    assert!(told.len() >= 2);
    for request in told {
        let header = |name: &str| request.header(name).unwrap().to_owned();
        let (moment, signature) = (header("x-rerail-timestamp"), header("x-rerail-signature"));
        room.send_with(&server, &request.body, &moment, &signature).is(400);
    }
}
