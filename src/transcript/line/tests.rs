use super::*;
use crate::engine::event::Suggest;
use crate::engine::outcome::FailureKind;
use crate::runbook::spec::Effect;
use crate::transcript::hostile::{CORPUS, assert_plain, run};
use crate::transcript::story::{Story, map};
use serde_json::{Value as Json, json};

fn incident() -> Story {
    let mut story = Story::begun();
    story.read("health", "http.probe").after_ms(40).done("health", json!({"ok": false, "status": 502, "ms": 40}));
    story.starts("gap", None, "script", Effect::Pure, json!({})).done("gap", json!({"copy": [1, 2], "nowhere": []}));
    story.tell(Body::StepSkipped {
        step: "rare".into(),
        condition: "steps.gap.outputs.nowhere.len() > 0".into(),
        values: map(json!({"steps.gap.outputs.nowhere": "[]"})),
    });
    story.asks("schema", "Is the old code safe?").after_ms(41_000).answered("schema", "safe", "bob");
    story.done("schema", json!({"answer": "safe", "by": "bob"}));
    story.write("copy").after_ms(1_204).done("copy", json!({"status": 201, "ms": 1204}));
    let suggest = Suggest { runbook: "rollback-backend".into(), with: map(json!({"service": "back end"})) };
    story.finds("verdict", Level::Critical, "Variables are missing.", Some(suggest));
    story.notes("TODO: add an alert");
    story.read("verify", "http.probe").after_ms(90_000).fails("verify", "expected status 200, got 502");
    story.failed_at("verify", "expected status 200, got 502");
    story
}

#[test]
fn a_run_reads_top_down() {
    insta::assert_snapshot!(incident().shown(Marks::Unicode, Detail::Steps));
}

#[test]
fn every_event_has_its_time_in_a_log() {
    let text = incident().shown(Marks::Ascii, Detail::Events);
    assert!(text.is_ascii(), "{text}");
    assert!(text.lines().all(|line| line.starts_with("14:0")), "{text}");
    insta::assert_snapshot!(text);
}

#[test]
fn quiet_shows_what_needs_eyes() {
    insta::assert_snapshot!(incident().shown(Marks::Unicode, Detail::Quiet));
}

#[test]
fn a_failure_is_drawn_once_with_its_picture_and_the_values_read() {
    let failure = Failure {
        picture: "error[R0410]: the list has a wildcard\n --> runbooks/cors.yaml:40:24\n   |\n40 | throw\n   | ^^^^^\n"
            .into(),
        values: map(json!({"inputs.variable": "ALLOWED\nORIGINS", "inputs.n": 3})),
        ..Failure::new(FailureKind::Script, "the list has a wildcard")
    };
    let mut story = Story::begun();
    story.starts("fix", Some("cors.fix"), "uses", Effect::Write, json!({}));
    story.starts("fix/edit", None, "script", Effect::Pure, json!({}));
    story.ends("fix/edit", Outcome::Failed, Json::Null, Some(failure.clone()));
    let outer = Failure { message: "`fix/edit`: the list has a wildcard".into(), ..failure };
    story.ends("fix", Outcome::Failed, Json::Null, Some(outer));
    let shown = story.shown(Marks::Unicode, Detail::Steps);
    assert_eq!(shown.matches("R0410").count(), 1);
    insta::assert_snapshot!(shown);
}

#[test]
fn nothing_from_outside_reaches_the_terminal_as_a_command() {
    for evil in CORPUS.into_iter().chain(["x\r\u{202e}evil\n  ✓ fake"]) {
        let story = run(evil);
        for detail in [Detail::Quiet, Detail::Steps, Detail::Log, Detail::Events] {
            let shown = story.shown(Marks::Unicode, detail);
            assert_plain(&shown);
            // Only a failure's message may take lines of its own, and those are indented deeper than a step's.
            assert!(!shown.lines().any(|line| line.starts_with("  ✓ fake")), "{shown}");
        }
        let drawn = crate::transcript::timeline::lines(&story.events, &story.facts, 40, Marks::Unicode);
        let next = crate::transcript::summary::next_steps(&story.facts);
        drawn.iter().chain(&next).for_each(|line| assert_plain(&line.plain()));
    }
    insta::assert_snapshot!(run(CORPUS[9]).shown(Marks::Unicode, Detail::Steps));
}

#[test]
fn how_an_action_does_what_it_does_is_told_where_it_changes_something_or_fails() {
    let mut story = Story::begun();
    story.starts("fix", Some("railway.fix"), "uses", Effect::Write, json!({}));
    story.starts("fix/at", None, "script", Effect::Pure, json!({})).done("fix/at", json!({}));
    story.read("fix/look", "http.probe").fails("fix/look", "refused");
    story.starts("fix/add", Some("railway.add"), "uses", Effect::Write, json!({}));
    story.write("fix/add/set").done("fix/add/set", json!({})).done("fix/add", json!({}));
    story.done("fix", json!({}));
    // A script, and another runbook, are as good as the runbook itself.
    story.starts("sum", None, "script", Effect::Read, json!({}));
    story.read("sum/http.probe#1", "http.probe").done("sum/http.probe#1", json!({"ok": true})).done("sum", json!({}));
    story.starts("child", Some("runbook"), "uses", Effect::Read, json!({}));
    story.read("child/health", "http.probe").done("child/health", json!({"ok": true})).done("child", json!({}));
    let steps = |detail| -> Vec<String> {
        let shown = story.shown(Marks::Unicode, detail);
        let words = shown.lines().filter_map(|line| {
            let words = line.split_whitespace().filter(|word| !word.contains(':'));
            words.skip_while(|word| !["·", "✓", "✗"].contains(word)).nth(1)
        });
        words.map(str::to_owned).collect()
    };
    let ended = ["fix/look", "fix/add/set", "fix", "sum/http.probe#1", "sum", "child/health", "child"];
    assert_eq!(steps(Detail::Steps), ended);
    let log = steps(Detail::Log);
    assert_eq!(log.iter().filter(|step| !ended.contains(&step.as_str())).count(), 0, "{log:?}");
    assert!(log.iter().filter(|step| *step == "fix").count() == 2, "its beginning and its end: {log:?}");
    let all = steps(Detail::Events);
    assert!(all.contains(&"fix/at".to_owned()) && all.len() == 18, "{all:?}");
}

#[test]
fn an_unknown_outcome_is_neither_done_nor_failed() {
    let mut story = Story::begun();
    story.write("copy").after_ms(10_000).doubts("copy");
    let shown = story.shown(Marks::Unicode, Detail::Steps);
    assert!(shown.contains("  ? copy") && shown.contains("outcome unknown"), "{shown}");
}
