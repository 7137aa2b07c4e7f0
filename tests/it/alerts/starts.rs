//! From an alert to a run, a proposal, or nothing.

use serde_json::{Value as Json, json};

use super::kit::{LOOK, TOKEN, alert, alerts, group, place, runs, send, single, until_done};
use crate::binary::kit::{Ledger, Place, answer, until};
use crate::serve::kit::Served;

const SINCE: &str = "2026-11-21T08:41:25.332Z";

fn done(place: &Place) -> Vec<String> {
    let mut done: Vec<String> = alerts(place)
        .iter()
        .map(|alert| format!("{} {} {}", alert["alert"], alert["status"], alert["done"]).replace('"', ""))
        .collect();
    done.sort();
    done
}

#[test]
fn what_only_looks_begins_at_once_and_once_and_its_end_begins_nothing() {
    let place = place().runbook("look", LOOK);
    let server = Served::start(&place, "a.sock");
    let labels = json!({ "alertname": "Down", "service": "backend", "incident": "INC-42" });
    let firing = single("firing", "f1", SINCE, &labels);
    send(&server, &firing).is(202);
    until_done(&place, 1);
    // The same again; in other words, as a reminder has it; and by another delivery of the same group.
    send(&server, &firing).is(202);
    let mut reminder = firing.clone();
    reminder["notification_reason"] = json!("repeat");
    send(&server, &reminder).is(202);
    until("the run ends", || runs(&place).first().is_some_and(|run| run["status"] == "success"));
    send(&server, &single("resolved", "f1", SINCE, &labels)).is(202);
    until("its end is known", || done(&place) == ["Down resolved started"]);
    // What fires again after it was over is a new one only if it began anew.
    reminder["notification_reason"] = json!("again");
    send(&server, &reminder).is(202);
    send(&server, &single("firing", "f1", "2026-11-21T09:00:00Z", &labels)).is(202);
    until_done(&place, 2);
    until("both have ended", || runs(&place).iter().all(|run| run["status"] == "success"));
    let all = runs(&place);
    assert_eq!(all.len(), 2, "{all:?}");
    let story = place.ask(&["export", all[1]["id"].as_str().unwrap(), "--format", "jsonl"]).exits(0).stdout;
    for part in [
        "looked at backend",
        "\"incident\":\"INC-42\"",
        "alert Down of alertmanager since 2026-11-21T08:41:25.332Z",
        "alertmanager says that alert Down is over",
        "\"via\":\"alertmanager\"",
    ] {
        assert!(story.contains(part), "{part}: {story}");
    }
    place.assert_journal_is_whole("after alerts");
}

#[test]
fn within_a_group_what_comes_to_the_same_begins_once() {
    let place = place().runbook("look", LOOK);
    let server = Served::start(&place, "a.sock");
    let of = |fingerprint: &str, service: &str, since: &str| {
        alert(
            "firing",
            fingerprint,
            since,
            &json!({ "alertname": "Down", "service": service, "instance": fingerprint }),
        )
    };
    let two = [of("f1", "backend", SINCE), of("f2", "backend", "2026-11-21T08:41:26Z"), of("f3", "frontend", SINCE)];
    send(&server, &group("g", "firing", &two)).is(202);
    until_done(&place, 3);
    // A later one of the same group.
    send(&server, &group("g", "firing", &[of("f4", "backend", "2026-11-21T08:50:00Z")])).is(202);
    until_done(&place, 4);
    assert_eq!(runs(&place).len(), 2);
    let mut words = done(&place);
    words.dedup();
    assert_eq!(words, ["Down firing shared", "Down firing started"]);
    // Once the group is over, it is a new one.
    let over: Vec<Json> = ["f1", "f4"]
        .iter()
        .map(|fingerprint| {
            let since = if *fingerprint == "f1" { SINCE } else { "2026-11-21T08:50:00Z" };
            alert("resolved", fingerprint, since, &json!({ "alertname": "Down", "service": "backend" }))
        })
        .collect();
    send(&server, &group("g", "resolved", &over)).is(202);
    until("it is over", || done(&place).iter().filter(|alert| alert.contains("resolved")).count() == 2);
    send(&server, &group("g", "firing", &[of("f5", "backend", "2026-11-21T10:00:00Z")])).is(202);
    until_done(&place, 5);
    assert_eq!(runs(&place).len(), 3);
}

#[test]
fn a_group_whose_alerts_are_over_one_after_another_begins_anew_with_each_of_them() {
    let place = place().runbook("look", LOOK);
    let server = Served::start(&place, "a.sock");
    let of = |status: &str, service: &str, since: &str| {
        alert(status, service, since, &json!({ "alertname": "Down", "service": service }))
    };
    let later = "2026-11-21T10:00:00Z";
    send(&server, &group("g", "firing", &[of("firing", "backend", SINCE), of("firing", "frontend", SINCE)])).is(202);
    until_done(&place, 2);
    // As Alertmanager has it: what was said to be over isn't said again when the last one is.
    send(&server, &group("g", "firing", &[of("resolved", "backend", SINCE), of("firing", "frontend", SINCE)])).is(202);
    send(&server, &group("g", "resolved", &[of("resolved", "frontend", SINCE)])).is(202);
    until("both are over", || done(&place) == ["Down resolved started", "Down resolved started"]);
    send(&server, &group("g", "firing", &[of("firing", "backend", later), of("firing", "frontend", later)])).is(202);
    until_done(&place, 4);
    assert_eq!(runs(&place).len(), 4, "{:?}", done(&place));
}

#[test]
fn what_is_over_before_it_is_heard_of_and_what_fits_nothing_begins_nothing() {
    let place = place().runbook("look", LOOK);
    let server = Served::start(&place, "a.sock");
    let labels = json!({ "alertname": "Down", "service": "backend" });
    send(&server, &single("resolved", "f1", SINCE, &labels)).is(202);
    until_done(&place, 1);
    send(&server, &single("firing", "f1", SINCE, &labels)).is(202);
    send(&server, &single("firing", "f2", SINCE, &json!({ "alertname": "Slow" }))).is(202);
    // It lacks what the trigger's input is made of.
    send(&server, &single("firing", "f3", SINCE, &json!({ "alertname": "Down" }))).is(202);
    until_done(&place, 3);
    assert_eq!(done(&place), ["Down firing refused", "Down resolved over", "Slow firing unmatched"]);
    assert_eq!(runs(&place).len(), 0);
    // Once there is a trigger for it, the next reminder finds it.
    let text = std::fs::read_to_string(place.project().join("runbooks/look.yaml")).unwrap();
    std::fs::write(place.project().join("runbooks/look.yaml"), text.replace("alertname: Down", "alertname: Slow"))
        .unwrap();
    let mut reminder = single("firing", "f2", SINCE, &json!({ "alertname": "Slow", "service": "x" }));
    reminder["n"] = json!(2);
    send(&server, &reminder).is(202);
    until("it begins", || runs(&place).len() == 1);
}

#[test]
fn what_an_alert_says_is_never_an_expression_or_a_path() {
    let look = LOOK.replace("    incident:", "    target: '${{ alert.labels.get(\"env\") ?? () }}'\n    incident:");
    let place = place().runbook("look", &look).file("targets/production.yaml", "version: 1\n");
    let server = Served::start(&place, "a.sock");
    let hostile = ["${{ 1 + 1 }}", "\"; throw 1; //", "$${{ x }}", "`x`", "{{ x }}", "a: &b", "\u{202e}x", "re:.*"];
    for (n, text) in hostile.iter().enumerate() {
        let labels = json!({ "alertname": "Down", "service": text });
        send(&server, &single("firing", &format!("f{n}"), SINCE, &labels)).is(202);
    }
    until_done(&place, hostile.len());
    until("all have ended", || {
        let all = runs(&place);
        all.len() == hostile.len() && all.iter().all(|run| run["status"] == "success")
    });
    let mut seen = 0;
    for run in runs(&place) {
        let shown = place.json(&["show", run["id"].as_str().unwrap()]);
        let service = shown["inputs"]["service"].as_str().unwrap().to_owned();
        assert!(hostile.contains(&service.as_str()), "{service:?}");
        seen += 1;
    }
    assert_eq!(seen, hostile.len());
    for (n, target) in ["../rerail", "targets/production.yaml", "/etc/passwd", "a b"].iter().enumerate() {
        let labels = json!({ "alertname": "Down", "service": "x", "env": target });
        send(&server, &single("firing", &format!("t{n}"), SINCE, &labels)).is(202);
    }
    until_done(&place, hostile.len() + 4);
    assert_eq!(runs(&place).len(), hostile.len(), "no path is a target");
}

fn fix(auto: bool, url: &str) -> String {
    format!(
        "triggers:\n  - alert: {{ alertname: Down }}\n    target: production\n    auto: {auto}\nsteps:\n  - id: set\n    uses: http.request\n    with: {{ method: POST, url: '{url}/', text: set }}\n"
    )
}

#[test]
fn what_may_write_waits_with_its_plan_unless_trigger_and_target_both_say_otherwise() {
    let ledger = Ledger::serve(|_, stream| answer(stream, &json!({})));
    let policy = "policy: { auto: { max_effect: write, per_hour: 2 } }";
    for (auto, policy, begins) in [(true, "", 0), (false, policy, 0), (true, policy, 2)] {
        let place = place()
            .runbook("fix", &fix(auto, &ledger.url))
            .file("targets/production.yaml", format!("version: 1\n{policy}\n"));
        let server = Served::start(&place, "a.sock");
        for n in 0..3 {
            send(&server, &single("firing", &format!("f{n}"), SINCE, &json!({ "alertname": "Down", "n": n }))).is(202);
        }
        until_done(&place, 3);
        until("plans are made", || {
            let listed = place.json(&["triggers"]);
            let open = listed["proposals"].as_array().unwrap().clone();
            open.len() == 3 - begins && open.iter().all(|proposal| proposal["plan"]["state"] == "made")
        });
        assert_eq!(runs(&place).len(), begins, "{auto} {policy:?}");
        let listed = place.json(&["triggers"]);
        let proposal = &listed["proposals"][0];
        assert!(proposal["plan"]["plan"].to_string().contains("http.request"), "{proposal}");
        assert!(proposal["why"].as_str().unwrap().starts_with("it may write, and"), "{proposal}");
        until("what began has ended", || runs(&place).iter().all(|run| run["status"] == "success"));
    }
    assert_eq!(ledger.times("set"), 2);
}

#[test]
fn somebody_of_the_project_stands_behind_what_begins() {
    let uid = rustix::process::getuid().as_raw();
    let yaml = |acts_as: &str| {
        format!(
            "version: 1\npeople: {{ ana: {{ os_user: uid-{uid} }}, ben: {{ os_user: ben-b }} }}\nhooks: {{ alertmanager: {{ secret: {{ from: env, name: HOOK_TOKEN }}, acts_as: {acts_as} }} }}\n"
        )
    };
    let place = Place::new().file("rerail.yaml", yaml("ben")).env("HOOK_TOKEN", TOKEN).runbook("look", LOOK);
    let server = Served::start(&place, "a.sock");
    send(&server, &single("firing", "f1", SINCE, &json!({ "alertname": "Down", "service": "x" }))).is(202);
    until_done(&place, 1);
    assert_eq!(runs(&place)[0]["operator"], "ben");
    // Who has left stands behind nothing.
    std::fs::write(place.project().join("rerail.yaml"), yaml("eve")).unwrap();
    assert_eq!(send(&server, &json!({})).status, 503, "a project that is not right lets nobody in");
}

#[test]
fn a_proposal_is_started_or_dismissed_in_the_terminal_and_alerts_are_counted() {
    let ledger = Ledger::serve(|_, stream| answer(stream, &json!({})));
    let place = place()
        .runbook("fix", &fix(false, &ledger.url))
        .file("targets/production.yaml", "version: 1\n")
        .runbook("look", &LOOK.replace("Down", "Slow"));
    let server = Served::start(&place, "a.sock");
    for name in ["f1", "f2"] {
        send(&server, &single("firing", name, SINCE, &json!({ "alertname": "Down", "n": name }))).is(202);
    }
    send(&server, &single("firing", "f3", SINCE, &json!({ "alertname": "Other" }))).is(202);
    send(&server, &single("firing", "f4", SINCE, &json!({ "alertname": "Slow" }))).is(202);
    send(&server, &single("firing", "f5", SINCE, &json!({ "alertname": "Slow", "service": "x" }))).is(202);
    until_done(&place, 5);
    // What is over before it was looked at begins nothing, so it is over only then.
    send(&server, &single("resolved", "f5", SINCE, &json!({ "alertname": "Slow", "service": "x" }))).is(202);
    let open = || place.json(&["triggers"])["proposals"].as_array().unwrap().clone();
    until("plans are made", || open().len() == 2 && open().iter().all(|one| one["plan"]["state"] == "made"));
    let ids: Vec<String> = open().iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect();
    place.ask(&["triggers"]).exits(0).says(&["PROPOSAL", &ids[0], "fix", "--start PROPOSAL"]);
    place.ask(&["triggers", "--start", "zzzzzz"]).says(&["no proposal `zzzzzz`"]);
    place.ask(&["triggers", "--start", &ids[0]]).says(&["may change something"]);
    assert!(ledger.writes().is_empty());
    place.ask(&["triggers", "--start", &ids[0], "--yes"]).exits(0);
    assert_eq!(ledger.times("set"), 1);
    place.ask(&["triggers", "--start", &ids[0], "--yes"]).exits(0).says(&["has started it"]);
    assert_eq!(ledger.times("set"), 1, "started twice it is one run");
    place.ask(&["triggers", "--dismiss", &ids[0]]).says(&["has started it"]);
    place.ask(&["triggers", "--dismiss", &ids[1]]).exits(0).says(&["is dismissed"]);
    place.ask(&["triggers", "--start", &ids[1], "--yes"]).says(&["has dismissed it"]);
    assert_eq!((open().len(), ledger.times("set")), (0, 1));
    let figures = server.unix().get("/metrics").is(200).body;
    let figure = |name: &str| -> u64 {
        let line = figures.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {name} in {figures}")).parse().unwrap()
    };
    for (name, count) in [
        ("rerail_alerts_done_total{done=\"proposed\"}", 2),
        ("rerail_alerts_done_total{done=\"started\"}", 1),
        ("rerail_alerts_done_total{done=\"shared\"}", 0),
        ("rerail_alerts_refused_total{reason=\"policy\"}", 0),
        ("rerail_proposals{state=\"open\"}", 0),
        ("rerail_proposals{state=\"started\"}", 1),
        ("rerail_proposals{state=\"dismissed\"}", 1),
    ] {
        assert_eq!(figure(name), count, "{name} in {figures}");
    }
    // A delivery that a busy machine makes wait is worked through again, and what it says counted again.
    for (name, least) in [
        ("rerail_alerts_received_total{status=\"firing\"}", 5),
        ("rerail_alerts_received_total{status=\"resolved\"}", 1),
        ("rerail_alerts_matched_total", 4),
        ("rerail_alerts_done_total{done=\"unmatched\"}", 1),
        ("rerail_alerts_done_total{done=\"refused\"}", 1),
        ("rerail_alerts_refused_total{reason=\"input\"}", 1),
    ] {
        assert!(figure(name) >= least, "{name} in {figures}");
    }
    assert!(!figures.contains("Down") && !figures.contains("production"), "no label comes from outside");
}

#[test]
fn a_channel_that_nobody_can_be_told_in_is_named_where_it_stands() {
    let yaml = "version: 1\nchat: { generic: { secret: { from: env }, url: \"https://bot.example.com/x\", channels: [ops, staff] } }\nhooks:\n  alertmanager: { secret: { from: env, name: HOOK_TOKEN }, tell: { generic: opss } }\ntriggers:\n  - schedule: { cron: '@daily' }\n    doctor: true\n    tell: { slack: C1 }\n  - schedule: { cron: '@daily' }\n    doctor: true\n    runbook: look\n";
    let place = place().file("rerail.yaml", yaml).runbook("look", LOOK);
    let said = place.ask(&["check"]);
    said.says(&["E0254", "`opss` is no channel that generic may speak in", "did you mean `ops`"]);
    let fixed = yaml.replace("opss", "ops").replace("    runbook: look\n", "");
    let place = place.file("rerail.yaml", &fixed);
    place.ask(&["check"]).says(&["E0254", "nobody can be told in `slack`: this project has no such chat"]);
    let place = place.file("rerail.yaml", fixed.replace("slack: C1", "generic: staff"));
    place.ask(&["check"]).exits(0);
}
