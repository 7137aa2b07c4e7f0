//! Proposals of alerts in every room: the card, who starts it, who may not, what was dismissed, and what nobody decided about
//! in a week.

use rerail::runs::Token;
use serde_json::json;

use super::news::{fix, world_that_says};
use super::rooms::{ALL, ANA, BEN, CLEO, Kind, Room};
use crate::alerts::kit::{TOKEN, send, single};
use crate::binary::kit::Place;
use crate::serve::kit::{Served, soon};
use crate::web::kit::Browser;

const SINCE: &str = "2026-11-21T08:41:25.332Z";
/// Somebody whom nobody has linked.
const STRANGER: &str = "9";

fn place(room: &Room, more: &str) -> Place {
    let hooks = format!(
        "hooks:\n  alertmanager: {{ secret: {{ from: env, name: HOOK_TOKEN }}, acts_as: ana, tell: {{ {}: \"{}\" }} }}\n{more}",
        room.kind.word(),
        room.kind.channel()
    );
    room.project(&hooks).env("HOOK_TOKEN", TOKEN)
}

fn fire(server: &Served, status: &str, name: &str) {
    let labels = json!({ "alertname": "Down", "service": "backend" });
    send(server, &single(status, name, SINCE, &labels)).is(202);
}

fn starters(place: &Place) -> Vec<String> {
    let runs = place.json(&["runs", "--json"]);
    let who =
        |row: &serde_json::Value| format!("{} {}", row["operator"].as_str().unwrap(), row["via"].as_str().unwrap());
    runs.as_array().unwrap().iter().map(who).collect()
}

#[test]
fn an_alert_is_proposed_started_by_one_and_approved_by_another_in_every_room() {
    for kind in ALL {
        let (room, (world, _)) = (Room::new(kind), world_that_says("bad"));
        let place = place(&room, "").runbook("fix", &fix(&world));
        let server = room.server(&place, "a.sock");
        fire(&server, "firing", "f1");
        let card = room.post_with_button("waits for somebody to start it", "Start");
        for part in ["alert Down of alertmanager", "it may write, and its trigger", "service=backend", "change"] {
            assert!(card.text.contains(part), "{kind:?}: {part}: {}", card.text);
        }
        assert!(card.button("Dismiss").is_some() && world.writes().is_empty(), "{kind:?}");
        // A stranger, and what was made up.
        room.press(&server, STRANGER, &card, "Start");
        room.whisper_with(STRANGER, "link first");
        if kind != Kind::Mattermost {
            room.press_with(&server, BEN, &card.id, &json!("0".repeat(64)));
            room.whisper_with(BEN, "too old, or not one of ours");
        }
        assert!(starters(&place).is_empty());
        // Again, and over: one card, which says so in its place.
        fire(&server, "firing", "f1");
        fire(&server, "resolved", "f1");
        let over = room.post_with("the alert is over; it may be started all the same");
        assert!(over.id == card.id && over.edits > 0, "{kind:?}: in its place");
        room.press(&server, BEN, &over, "Start");
        let waits = room.post_with_button("needs an approval: change", "Approve");
        assert_eq!(waits.thread.as_deref(), Some(card.id.as_str()), "{kind:?}: in the thread of the card");
        room.press(&server, CLEO, &over, "Start");
        room.whisper_with(CLEO, "ben was first, at ");
        room.press(&server, BEN, &waits, "Approve");
        room.whisper_with(BEN, "not for ben");
        room.press(&server, CLEO, &waits, "Approve");
        let end = room.post_with("finished after");
        assert!(end.text.contains("warning: It was the disk."), "{kind:?}: {}", end.text);
        assert_eq!(end.thread.as_deref(), Some(card.id.as_str()));
        assert_eq!(starters(&place), [format!("ben {}", kind.word())]);
        let card = room.post_now(&card.id);
        assert!(card.buttons.is_empty() && card.text.contains("finished"), "{kind:?}: {}", card.text);
        let state = room.state();
        assert_eq!(
            (state.posts.len(), state.wrong.clone()),
            (3, Vec::new()),
            "{kind:?}: the card, what waits, the end"
        );
        drop(state);
        assert_eq!(world.times("backend was bad"), 1);
    }
}

#[test]
fn a_plan_out_of_date_starts_nothing_and_is_shown_anew_in_its_place_and_dismissed_it_is_over() {
    for kind in ALL {
        let (room, (world, state)) = (Room::new(kind), world_that_says("bad"));
        let place = place(&room, "").runbook("fix", &fix(&world));
        let server = room.server(&place, "a.sock");
        fire(&server, "firing", "f1");
        let old = room.post_with_button("/of-bad", "Start");
        "worse".clone_into(&mut state.lock().unwrap());
        room.press(&server, BEN, &old, "Start");
        room.whisper_with(BEN, "the plan is out of date");
        let new = room.post_with_button("/of-worse", "Start");
        assert_eq!(new.id, old.id, "{kind:?}: in the same message");
        room.press(&server, BEN, &old, "Start");
        room.whisper_with(BEN, "planned anew since it was shown");
        room.press(&server, BEN, &new, "Dismiss");
        let said = room.post_with("was dismissed by ben at ");
        assert!(said.id == old.id && said.buttons.is_empty(), "{kind:?}: {said:?}");
        room.press(&server, CLEO, &new, "Dismiss");
        room.whisper_with(CLEO, "ben was first, at ");
        room.press(&server, CLEO, &new, "Start");
        room.whisper_with(CLEO, "ben has dismissed it");
        assert!(starters(&place).is_empty() && world.writes().is_empty());
        assert_eq!(
            (place.json(&["triggers"])["proposals"].clone(), room.state().posts.len()),
            (json!([]), 1),
            "{kind:?}"
        );
        assert_eq!(room.state().wrong, Vec::<String>::new(), "{kind:?}");
    }
}

/// Proposals, their plans, their buttons and what is still to be told of them have stood for a week.
fn a_week_later(place: &Place) {
    let db = rusqlite::Connection::open(place.state().join("journal.db")).unwrap();
    db.busy_timeout(std::time::Duration::from_secs(20)).unwrap();
    let sql = "UPDATE shelves SET until = until - 7 * 24 * 3600 * 1000
               WHERE name LIKE 'proposals%' OR name LIKE 'chat.buttons%' OR name LIKE 'chat.news%'";
    assert!(db.execute(sql, []).unwrap() > 0);
}

#[test]
fn a_proposal_that_nobody_decides_about_is_over_after_a_week_on_its_card_its_page_and_in_the_terminal() {
    for kind in ALL {
        let (room, (world, _)) = (Room::new(kind), world_that_says("bad"));
        let token = Token::new().unwrap();
        let place = place(&room, "").runbook("fix", &fix(&world));
        let path = place.project().join("rerail.yaml");
        let uid = rustix::process::getuid().as_raw();
        let keys = format!(
            "ana: {{ os_user: uid-{uid}, tokens: {{ t: {{ hash: \"{}\", scopes: [read, run], expires: {} }} }}, ",
            token.hash().text(),
            soon()
        );
        let yaml = std::fs::read_to_string(&path).unwrap().replace("ana: { ", &keys);
        std::fs::write(&path, yaml).unwrap();
        let server = room.server(&place, "a.sock");
        let browser = Browser::of(&server, token.text());
        fire(&server, "firing", "f1");
        let card = room.post_with_button("waits for somebody to start it", "Start");
        let open = place.json(&["triggers"])["proposals"][0].clone();
        let (page, id) = (open["page"].as_str().unwrap(), open["id"].as_str().unwrap());
        assert!(browser.get(page).is(200).body.contains("alert Down"));
        a_week_later(&place);
        let over = room.post_with("fix expired: nobody has started it in a week");
        assert!(
            over.id == card.id && over.buttons.is_empty() && over.text.contains("alert Down"),
            "{kind:?}: {over:?}"
        );
        // Those who have the old card on their screen.
        room.press(&server, BEN, &card, "Start");
        room.whisper_with(BEN, "this button is too old");
        room.press(&server, CLEO, &card, "Dismiss");
        room.whisper_with(CLEO, "this button is too old");
        let gone = browser.get(page);
        assert!(gone.status == 404 && gone.body.contains("a proposal stands for a week"), "{}", gone.body);
        assert!(!browser.get("/").is(200).body.contains(page));
        assert_eq!(place.json(&["triggers"])["proposals"], json!([]));
        for act in ["--start", "--dismiss"] {
            place.ask(&["triggers", act, id, "--yes"]).says(&["it may have expired: a proposal stands for a week"]);
        }
        assert!(starters(&place).is_empty() && world.writes().is_empty());
        // The alert that fires on is known, and a new one is proposed anew.
        fire(&server, "firing", "f2");
        let again = room.post_with_button("waits for somebody to start it", "Start");
        assert_ne!(again.id, card.id);
        room.press(&server, ANA, &again, "Dismiss");
        room.post_with("was dismissed by ana at ");
        assert_eq!(room.state().wrong, Vec::<String>::new(), "{kind:?}");
    }
}
