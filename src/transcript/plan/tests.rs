use super::*;
use crate::engine::event::Planned;
use crate::runbook::model::{Kind as FileKind, Runbook};
use crate::transcript::story::Story;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;

fn program() -> Program {
    let runbook = Runbook {
        name: "crash-loop".into(),
        kind: FileKind::Runbook,
        title: String::new(),
        owner: None,
        reviewed: None,
        tags: Vec::new(),
        meaning: None,
        impact: None,
        inputs: Vec::new(),
        secrets: Vec::new(),
        timeout: None,
        concurrency: None,
        plan: None,
        overlay: None,
        defaults: Default::default(),
        vars: Vec::new(),
        steps: Arc::new([]),
        on_failure: Arc::new([]),
        finally: Arc::new([]),
        outputs: Vec::new(),
        sealed: Default::default(),
    };
    Program {
        runbook: Arc::new(runbook),
        actions: BTreeMap::new(),
        children: BTreeMap::new(),
        specs: BTreeMap::new(),
        modules: Vec::new(),
        files: Vec::new(),
        effects: Vec::new(),
    }
}

fn planned(summary: &str) -> Option<Planned> {
    Some(Planned { summary: summary.into(), ..Planned::default() })
}

fn unknown(origin: &str) -> serde_json::Value {
    json!({ "$unknown": origin })
}

fn rehearsal() -> Story {
    let mut story = Story::begun();
    story.read("have", "http.probe").done("have", json!({"ok": true, "status": 200, "ms": 12}));
    story.write("copy");
    let summary = "POST https://api.example.com/vars (12 bytes of JSON, not sent)";
    story.ends_planned("copy", Outcome::Planned, unknown("copy"), None, planned(summary));
    story.read("healthy", "http.probe");
    story.ends_planned("healthy", Outcome::Planned, unknown("healthy"), None, planned("now: 502 in 40ms"));
    story.maybe = true;
    story.starts("next", Some("http.request"), "uses", Effect::Write, json!({"url": unknown("copy")}));
    let summary = "needs what is known after `copy`";
    story.ends_planned("next", Outcome::Planned, unknown("next"), None, planned(summary));
    story.starts("facts", None, "script", Effect::Write, json!({}));
    let may =
        Planned { summary: "goes on after `copy`".into(), may_call: vec!["email.send".into()], ..Planned::default() };
    story.ends_planned("facts", Outcome::Planned, unknown("facts"), None, Some(may));
    story.finished();
    story
}

#[test]
fn a_plan_counts_what_it_knows_and_says_what_it_does_not() {
    let story = rehearsal();
    let plan = Plan::of(&story.events, &story.facts, &program());
    let text: Vec<String> = plan.lines(&story.facts, Marks::Unicode, true).iter().map(Line::plain).collect();
    insta::assert_snapshot!(text.join("\n"));
    assert!(plan.changes_something() && !plan.complete);
    assert_eq!(plan.counts, Counts { writes: 2, unknown: 1, maybe: 1, ..Counts::default() });
}

#[test]
fn a_plan_of_reads_changes_nothing() {
    let mut story = Story::begun();
    story.read("have", "http.probe").done("have", json!({"ok": true, "status": 200})).finished();
    let plan = Plan::of(&story.events, &story.facts, &program());
    assert!(!plan.changes_something() && plan.complete && plan.stopped.is_none());
}

#[test]
fn a_rehearsal_that_fails_says_where_it_stopped() {
    let mut story = Story::begun();
    story.read("have", "http.probe").fails("have", "connection refused").failed_at("have", "connection refused");
    let plan = Plan::of(&story.events, &story.facts, &program());
    assert_eq!(plan.stopped, Some(("have".into(), "connection refused".into())));
    assert!(plan.not_covered.is_empty());
}

#[test]
fn how_an_action_would_look_is_listed_where_everything_is() {
    let mut story = Story::begun();
    story.starts("fix", Some("railway.fix"), "uses", Effect::Write, json!({}));
    story.read("fix/look", "http.probe").done("fix/look", json!({"ok": true}));
    story.write("fix/set");
    story.ends_planned("fix/set", Outcome::Planned, unknown("fix/set"), None, planned("POST"));
    story.done("fix", json!({})).finished();
    let plan = Plan::of(&story.events, &story.facts, &program());
    let listed = |whole| -> String {
        plan.lines(&story.facts, Marks::Unicode, whole).iter().map(|line| line.plain() + "\n").collect()
    };
    let (short, whole) = (listed(false), listed(true));
    assert!(!short.contains("fix/look") && short.contains("fix/set"), "{short}");
    assert!(short.contains("and 1 step inside actions, which change nothing: see them with -v"), "{short}");
    assert!(whole.contains("fix/look") && !whole.contains("see them with"), "{whole}");
}

#[test]
fn an_action_around_a_change_is_not_counted_twice() {
    let mut story = Story::begun();
    story.starts("fix", Some("railway.fix"), "uses", Effect::Write, json!({}));
    story.write("fix/set");
    story.ends_planned("fix/set", Outcome::Planned, unknown("fix/set"), None, planned("POST"));
    story.done("fix", json!({})).finished();
    let mut program = program();
    program.actions.insert("railway.fix".into(), Arc::clone(&program.runbook));
    let plan = Plan::of(&story.events, &story.facts, &program);
    assert_eq!(plan.counts.writes, 1);
    assert_eq!(plan.rows.last().map(|row| row.kind), Some(Kind::Change));
    let listed = |plan: &Plan, whole| plan.lines(&story.facts, Marks::Unicode, whole).iter().map(Line::plain).collect();
    let shown: Vec<String> = listed(&plan, false);
    assert!(shown.iter().any(|line| line.contains("fix/set")), "what it changes is always listed: {shown:?}");
    assert!(!shown.iter().any(|line| line.contains("see them with -v")), "{shown:?}");
}

#[test]
fn the_announced_change_of_an_action_stands_behind_its_summary() {
    let change = |before: Value, after: Value, reversible: Value| PlannedChange { before, after, reversible };
    let unknown = Value::Unknown(crate::script::value::Unknown { origin: "x".into() });
    for (change, said) in [
        (change("open".into(), "closed".into(), Value::Bool(true)), ": open → closed, can be undone"),
        (change(Value::Null, "closed".into(), Value::Bool(false)), ": then closed, can't be undone"),
        (change(unknown, "closed".into(), Value::Null), ": ? → closed"),
        (change(Value::Null, Value::Null, Value::Null), ""),
    ] {
        assert_eq!(announced(&change), said);
    }
}
