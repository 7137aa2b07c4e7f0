//! What is said of one alert after another is heard in that order, whoever works on it, and whatever is slow or dies.

use std::path::{Path, PathBuf};

use serde_json::{Value as Json, json};

use super::kit::{LOOK, TOKEN, alert, alerts, group, place, runs, send, single};
use crate::binary::kit::{Place, until};
use crate::serve::kit::Served;

const SINCE: &str = "2026-11-21T08:41:25Z";

/// A server that stands still just before an alert begins a run, as long as the file is there.
fn held(place: Place, name: &str) -> (Place, PathBuf) {
    let file = place.project().join(name);
    std::fs::write(&file, "").unwrap();
    let at = format!("alert.announced={}", file.display());
    (place.env("RERAIL_WAIT_AT", at), file)
}

fn labels(service: &str) -> Json {
    json!({ "alertname": "Down", "service": service })
}

fn unmatched(n: usize) -> Json {
    single("firing", &format!("other{n}"), SINCE, &json!({ "alertname": "Other" }))
}

/// How often each delivery was taken up, and whether it is done, in the order in which they came.
fn deliveries(state: &Path) -> Vec<(u32, bool)> {
    let db = rusqlite::Connection::open(state.join("journal.db")).unwrap();
    let mut select = db.prepare("SELECT tries, done_at IS NOT NULL FROM deliveries ORDER BY number").unwrap();
    select.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect()
}

fn dues(place: &Place) {
    let db = rusqlite::Connection::open(place.state().join("journal.db")).unwrap();
    db.busy_timeout(std::time::Duration::from_secs(5)).unwrap();
    db.execute("UPDATE deliveries SET not_before = 0 WHERE done_at IS NULL AND taker IS NULL", []).unwrap();
}

fn is_over_and_told(place: &Place) {
    until("the end is known", || {
        let alerts = alerts(place);
        alerts
            .iter()
            .any(|alert| alert["alert"] == "Down" && alert["status"] == "resolved" && alert["done"] == "started")
    });
    assert_eq!(runs(place).len(), 1);
    until("its run was told", || {
        let story = place.ask(&["export", "@last", "--format", "jsonl"]).stdout;
        story.contains("alertmanager says that alert Down is over")
    });
}

#[test]
fn an_end_waits_for_its_beginning_and_what_is_of_another_group_does_not() {
    let (place, file) = held(place().runbook("look", LOOK), "hold");
    let server = Served::start(&place, "a.sock");
    send(&server, &single("firing", "f1", SINCE, &labels("backend"))).is(202);
    until("it is begun", || deliveries(place.state()).first().is_some_and(|(tries, _)| *tries == 1));
    send(&server, &single("resolved", "f1", SINCE, &labels("backend"))).is(202);
    send(&server, &unmatched(1)).is(202);
    // They are taken up in their order, so what is done here was taken up after the end was passed over.
    until("another group is done", || deliveries(place.state()).get(2).is_some_and(|(_, done)| *done));
    assert_eq!(deliveries(place.state())[..2], [(1, false), (0, false)]);
    assert!(runs(&place).is_empty());
    std::fs::remove_file(file).unwrap();
    is_over_and_told(&place);
    place.assert_journal_is_whole("after both");
}

#[test]
fn the_order_holds_over_two_servers_and_when_the_first_is_killed_in_the_middle() {
    let (slow, file) = held(place().runbook("look", LOOK), "hold");
    let first = Served::start(&slow, "a.sock");
    send(&first, &single("firing", "f1", SINCE, &labels("backend"))).is(202);
    until("it is begun", || deliveries(slow.state()).first().is_some_and(|(tries, _)| *tries == 1));
    // The other one doesn't stand still.
    let other = slow.env("RERAIL_WAIT_AT", "");
    let second = Served::start(&other, "b.sock");
    send(&second, &single("resolved", "f1", SINCE, &labels("backend"))).is(202);
    send(&second, &unmatched(1)).is(202);
    until("another group is done", || deliveries(other.state()).get(2).is_some_and(|(_, done)| *done));
    assert_eq!(deliveries(other.state())[..2], [(1, false), (0, false)], "the second server has nothing else to do");
    first.kill();
    is_over_and_told(&other);
    assert_eq!(deliveries(other.state()), [(2, true), (1, true), (1, true)]);
    assert!(file.exists());
    other.assert_journal_is_whole("after the kill");
}

/// Waits for a person, and lets nobody beside it.
const ALONE: &str = "
triggers: [{ alert: { alertname: Down } }]
concurrency: { group: alone, if_busy: refuse }
steps: [{ id: wait, uses: human.ask, with: { text: 'Go on?' } }]
";

#[test]
fn what_is_busy_is_waited_for_a_while_and_begins_nothing_once_it_is_over() {
    let place = place().runbook("alone", ALONE);
    let server = Served::start(&place, "a.sock");
    send(&server, &single("firing", "f1", SINCE, &json!({ "alertname": "Down" }))).is(202);
    until("the first one waits", || runs(&place).first().is_some_and(|run| run["status"] == "waiting"));
    // In one group, so that the second waits for the first in line, and both for the run that has the place.
    let of = |status: &str, name: &str| alert(status, name, SINCE, &json!({ "alertname": "Down", "n": name }));
    send(&server, &group("g", "firing", &[of("firing", "f2")])).is(202);
    until("it is busy", || deliveries(place.state()).get(1).is_some_and(|(tries, _)| *tries >= 1));
    send(&server, &group("g", "resolved", &[of("resolved", "f2")])).is(202);
    until("it was tried until it is waited for no more", || {
        let now = deliveries(place.state());
        let (tries, done) = now[1];
        assert!(!done, "{now:?}");
        if tries < 7 {
            assert_eq!(now[2], (0, false), "it waits: {now:?}");
        }
        dues(&place);
        now[2].1
    });
    let run = runs(&place)[0]["id"].as_str().unwrap().to_owned();
    place.ask(&["cancel", &run, "--reason", "a test"]);
    until("the place is free", || runs(&place)[0]["status"] == "cancelled");
    until("what came late is done", || {
        dues(&place);
        deliveries(place.state())[1].1
    });
    assert_eq!(runs(&place).len(), 1, "what is over begins nothing");
    let late = alerts(&place).into_iter().find(|alert| alert["labels"]["n"] == "f2").unwrap();
    assert_eq!((late["status"].as_str(), late["done"].as_str()), (Some("resolved"), Some("over")));
    // Of the same group the next one is a new one.
    let later = alert("firing", "f2", "2026-11-21T10:00:00Z", &json!({ "alertname": "Down", "n": "f2" }));
    send(&server, &group("g", "firing", &[later])).is(202);
    until("it begins", || runs(&place).len() == 2);
}

#[test]
fn firing_resolved_and_firing_in_the_same_words_are_three_deliveries() {
    let map = "map: '{ id: .id, status: .state, labels: { alertname: \"Down\", service: .id } }'";
    let hook = format!(
        "hooks: {{ generic: {{ up: {{ secret: {{ from: env, name: HOOK_TOKEN }}, proof: bearer, {map} }} }} }}"
    );
    let place = place().file("rerail.yaml", format!("version: 1\n{hook}\n")).runbook("look", LOOK);
    let server = Served::start(&place, "a.sock");
    let say = |state: &str| {
        let headers = [("content-type", "application/json")];
        let body = json!({ "id": "backend", "state": state }).to_string();
        server.tcp().bearer(TOKEN).send("POST", "/hooks/generic/up", &headers, &body).is(202);
    };
    let ended = |many: usize| {
        until("the runs have ended", || {
            let all = runs(&place);
            all.len() == many && all.iter().all(|run| run["status"] == "success")
        });
    };
    say("firing");
    ended(1);
    say("firing");
    say("resolved");
    say("firing");
    ended(2);
    say("resolved");
    until("all are worked through", || deliveries(place.state()).iter().all(|(_, done)| *done));
    assert_eq!((deliveries(place.state()).len(), runs(&place).len()), (5, 2), "what is sent again starts nothing");
}
