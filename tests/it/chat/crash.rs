//! A server that is killed between acknowledging and starting, or right after: one run, one card.

use rerail::engine::event::Body;

use super::standin::{Slack, signed};
use super::story::{PEOPLE, world};
use crate::binary::kit::until;
use crate::serve::kit::Served;

/// Asks first: a write that is under way when its server is killed is in doubt, which is another story.
const WRITE: &str = "
inputs: { base: { type: url } }
steps:
  - { id: ready, uses: human.ask, with: { text: Ready?, choices: [go, stop] } }
  - { id: write, uses: http.request, with: { method: POST, url: '${{ inputs.base }}/', text: once } }
";

#[test]
fn a_start_that_was_acknowledged_is_done_once_whenever_the_server_is_killed() {
    for point in ["chat.pressed", "chat.started"] {
        let (slack, world) = (Slack::new(), world());
        let place = slack.project(PEOPLE, false).runbook("write", WRITE).env("RERAIL_CRASH_NAMED", point);
        let first = Served::start(&place, "a.sock");
        slack.command(&first, "UANA", &format!("run write base={}", world.url));
        let plan = slack.post_with("plan: write");
        let press = slack.press_body("UANA", &plan, &plan.button("Start").unwrap());
        signed(&first, &press).is(200);
        assert_eq!(first.ends(), None, "{point}: killed");
        let place = place.env("RERAIL_CRASH_NAMED", "");
        let second = Served::start(&place, "b.sock");
        let asks = slack.post_with("asks: ready");
        slack.press(&second, "UBEN", &asks, "go");
        slack.post_with("finished after");
        // Sent again, as by an impatient finger or a proxy, and signed anew.
        signed(&second, &press).is(200);
        slack.command(&second, "UANA", "runs");
        slack.whisper_with("UANA", "newest runs");
        world.settle();
        assert_eq!(world.times("once"), 1, "{point}");
        let starts = place.events().iter().filter(|event| matches!(event.body, Body::RunStarted(_))).count();
        assert_eq!(starts, 1, "{point}");
        assert_eq!(slack.posts().len(), 3, "{point}: the card, the question, the end");
    }
}

#[test]
fn a_chat_that_is_down_stops_nothing_and_is_told_once_it_is_back() {
    let (slack, world) = (Slack::new(), world());
    let ask = "steps:\n  - { id: ready, uses: human.ask, with: { text: Ready? } }\n";
    let place = slack.project(PEOPLE, false).runbook("ask", ask);
    let server = Served::start(&place, "a.sock");
    slack.command(&server, "UANA", "run ask");
    slack.post_with("asks: ready");
    slack.state.lock().unwrap().is_down = true;
    let run = place.json(&["runs", "--json"])[0]["run"].as_str().unwrap().to_owned();
    slack.command(&server, "UANA", &format!("answer {run} yes"));
    until("the run ends while the chat is down", || place.json(&["show", &run, "--json"])["status"] == "success");
    slack.state.lock().unwrap().is_down = false;
    slack.post_with("finished after");
    drop(world);
}
