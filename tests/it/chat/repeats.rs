//! Messages whose answer nobody saw: cut off after they were taken, or with a server that is killed before it has written
//! down what came back. Where a chat can tell repeats they stand there once, as the newest.

use super::news::{fix, world_that_says};
use super::rooms::{ALL, ANA, BEN, CLEO, Kind, Room};
use super::story::{FIX, world};
use crate::alerts::kit::{TOKEN, send, single};
use crate::binary::kit::{Place, until};
use crate::serve::kit::Served;

fn starts(place: &Place) -> usize {
    place.json(&["runs", "--json"]).as_array().unwrap().len()
}

#[test]
fn a_message_that_was_taken_and_not_answered_stands_there_once() {
    for kind in ALL {
        let (room, world) = (Room::new(kind), world());
        let place = room.project("").runbook("fix", FIX);
        let server = room.server(&place, "a.sock");
        let swallowed_once = |answered: usize| {
            until("it was cut off, and said again", || room.state().answered == answered);
            assert_eq!(room.state().swallow, 0, "{kind:?}");
        };
        room.state().swallow = 1;
        room.command(&server, ANA, &format!("run fix base={} service=x", world.url));
        swallowed_once(1);
        let plan = room.post_with_button("plan: fix", "Start");
        if kind == Kind::Discord {
            room.whisper_with(ANA, "fix is planned");
        }
        room.state().swallow = 1;
        room.press(&server, ANA, &plan, "Start");
        swallowed_once(2);
        // Said again with buttons of its own, which take the place of the others.
        until("with its buttons of now", || room.state().posts[1].edits > 0);
        room.state().swallow = 1;
        room.press(&server, BEN, &room.post_with("needs an approval: change"), "Approve");
        swallowed_once(3);
        room.post_with("finished after");
        room.command(&server, ANA, "runs");
        room.whisper_with(ANA, "newest runs");
        let state = room.state();
        let said: Vec<&str> = state.posts.iter().map(|post| post.text.as_str()).collect();
        assert_eq!(said.len(), 3, "{kind:?}: the card, what waits, the end: {said:#?}");
        assert_eq!((state.wrong.clone(), world.times("x")), (Vec::new(), 1), "{kind:?}");
    }
}

#[test]
fn killed_between_saying_it_and_writing_that_down_it_stands_there_once() {
    for kind in ALL {
        for point in ["chat.planned", "chat.told", "chat.ended"] {
            let (room, world) = (Room::new(kind), world());
            let place = room.project("").runbook("fix", FIX).env("RERAIL_CRASH_NAMED", point);
            let first = room.server(&place, "a.sock");
            let start = |server: &Served| {
                let plan = room.post_with_button("plan: fix", "Start");
                room.press(server, ANA, &plan, "Start");
            };
            let approve = |server: &Served| {
                let waits = room.post_with_button("needs an approval: change", "Approve");
                room.press(server, BEN, &waits, "Approve");
            };
            room.command(&first, ANA, &format!("run fix base={} service=x", world.url));
            if point != "chat.planned" {
                start(&first);
            }
            if point == "chat.ended" {
                approve(&first);
            }
            assert_eq!(first.ends(), None, "{kind:?} {point}: killed");
            let place = place.env("RERAIL_CRASH_NAMED", "");
            let second = room.server(&place, "b.sock");
            // Where it has buttons, those of now take the place of those from before.
            match point {
                "chat.planned" => {
                    until("it is said again", || room.tries_to_post("plan: fix") >= 2);
                    until("with its buttons of now", || room.state().posts[0].edits > 0);
                    start(&second);
                    approve(&second);
                }
                "chat.told" => {
                    until("it is said again", || room.tries_to_post("needs an approval: change") >= 2);
                    until("with its buttons of now", || room.state().posts[1].edits > 0);
                    approve(&second);
                }
                _ => until("it is said again", || room.tries_to_post("finished after") >= 2),
            }
            room.post_with("finished after");
            let state = room.state();
            let said: Vec<&str> = state.posts.iter().map(|post| post.text.as_str()).collect();
            assert_eq!(said.len(), 3, "{kind:?} {point}: {said:#?}");
            assert_eq!(state.wrong, Vec::<String>::new(), "{kind:?} {point}");
            drop(state);
            assert_eq!((starts(&place), world.times("x")), (1, 1), "{kind:?} {point}");
        }
    }
}

#[test]
fn killed_before_what_nobody_asked_for_was_written_down_it_stands_there_once() {
    for kind in ALL {
        for point in ["news.posted", "news.hung"] {
            let (room, (world, _)) = (Room::new(kind), world_that_says("bad"));
            let hooks = format!(
                "hooks:\n  alertmanager: {{ secret: {{ from: env, name: HOOK_TOKEN }}, acts_as: ana, tell: {{ {}: \"{}\" }} }}\n",
                kind.word(),
                kind.channel()
            );
            let place = room.project(&hooks).env("HOOK_TOKEN", TOKEN).runbook("fix", &fix(&world));
            let place = place.env("RERAIL_CRASH_NAMED", point);
            let first = room.server(&place, "a.sock");
            let labels = serde_json::json!({ "alertname": "Down", "service": "backend" });
            send(&first, &single("firing", "f1", "2026-11-21T08:41:25.332Z", &labels)).is(202);
            if point == "news.hung" {
                let card = room.post_with_button("waits for somebody to start it", "Start");
                room.press(&first, BEN, &card, "Start");
            }
            assert_eq!(first.ends(), None, "{kind:?} {point}: killed");
            let place = place.env("RERAIL_CRASH_NAMED", "");
            let second = room.server(&place, "b.sock");
            if point == "news.posted" {
                until("it is said again", || room.tries_to_post("waits for somebody to start it") >= 2);
                let card = room.post_with_button("waits for somebody to start it", "Start");
                room.press(&second, BEN, &card, "Start");
            }
            let waits = room.post_with_button("needs an approval: change", "Approve");
            room.press(&second, CLEO, &waits, "Approve");
            room.post_with("finished after");
            let said: Vec<String> = room.state().posts.iter().map(|post| post.text.clone()).collect();
            assert_eq!(said.len(), 3, "{kind:?} {point}: {said:#?}");
            assert_eq!((starts(&place), world.times("backend was bad")), (1, 1), "{kind:?} {point}");
        }
    }
}
