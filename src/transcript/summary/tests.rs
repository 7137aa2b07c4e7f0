use super::*;
use crate::engine::event::Body;
use crate::runbook::model::Level;
use crate::runbook::spec::Effect;
use crate::transcript::story::{Story, ana};
use serde_json::json;

fn text(facts: &Facts) -> String {
    next_steps(facts).iter().map(Line::plain).collect::<Vec<_>>().join("\n")
}

#[test]
fn an_unknown_outcome_names_every_decision_and_what_it_means() {
    let mut story = Story::begun();
    story.starts("deploy", Some("redeploy"), "uses", crate::runbook::spec::Effect::Write, json!({}));
    story.write("deploy/http.request#1").after_ms(10_000).doubts("deploy/http.request#1");
    insta::assert_snapshot!(text(&story.facts));
}

#[test]
fn a_question_comes_with_one_command_an_answer() {
    let mut story = Story::begun();
    story.asks("schema", "Is the old code safe?");
    insta::assert_snapshot!(text(&story.facts));
}

#[test]
fn a_question_with_fields_names_them_their_types_and_what_may_be_left_out() {
    let mut story = Story::begun();
    story.starts("plan", Some("human.ask"), "uses", Effect::Read, json!({ "text": "How?" }));
    let fields = [
        ("count", json!({ "type": "int", "description": "Replicas" })),
        ("side", json!({ "type": "choice", "choices": ["blue", "green"] })),
        ("note", json!({ "type": "string", "required": false })),
    ];
    let fields = fields.map(|(name, field)| (name.to_owned(), Value::from_data(&field))).into();
    let (step, by) = (StepPath::new("plan"), Vec::new());
    story.tell(Body::AskAsked { step, text: "How?".into(), choices: Vec::new(), fields, by, expires: None });
    let alone = text(&story.facts);
    assert!(alone.contains(" count=INT [note=STRING] side=CHOICE"), "{alone}");
    assert!(alone.contains("count   Replicas") && alone.contains("side    blue, green"), "{alone}");
    story.asks("sure", "safe?");
    let several = text(&story.facts);
    assert!(several.contains(" --step plan count=INT"), "{several}");
}

#[test]
fn several_questions_name_their_step() {
    let mut story = Story::begun();
    story.asks("a", "first?").asks("b", "second?");
    let text = text(&story.facts);
    assert!(text.contains(" a=safe") && text.contains(" 'b=not safe'"), "{text}");
}

#[test]
fn a_failed_run_can_be_retried_where_it_failed() {
    let mut story = Story::begun();
    story.read("verify", "http.probe").fails("verify", "expected status 200, got 502");
    story.failed_at("verify", "expected status 200, got 502");
    insta::assert_snapshot!(text(&story.facts));
}

#[test]
fn a_failure_outside_all_steps_offers_no_decision_on_one() {
    let mut story = Story::begun();
    story.failed_at("outputs", "no such key");
    assert_eq!(text(&story.facts), "Failed: `outputs`: no such key");
}

#[test]
fn a_paused_run_says_why_and_how_to_go_on() {
    let mut story = Story::begun();
    story.tell(crate::engine::event::Body::RunPaused { reason: "disk full".into(), actor: None });
    let text = text(&story.facts);
    assert!(text.starts_with("Paused: disk full\n") && text.contains("rerail resume "), "{text}");
}

#[test]
fn a_cancelled_run_says_what_it_had_changed() {
    let mut story = Story::begun();
    story.write("copy").done("copy", json!({"status": 201}));
    story.tell(crate::engine::event::Body::RunCancelled { actor: ana(), reason: None });
    story.ended(RunOutcome::Cancelled, None, None);
    assert_eq!(text(&story.facts), "Changed before it was stopped: copy");
}

#[test]
fn a_run_that_ended_well_asks_for_nothing() {
    assert!(next_steps(&Story::begun().finished().facts).is_empty());
}

#[test]
fn the_worst_finding_comes_first() {
    let mut story = Story::begun();
    story.finds("a", Level::Ok, "fine", None).finds("b", Level::Critical, "broken", None);
    let levels: Vec<Level> = ranked(&story.facts).iter().map(|finding| finding.level).collect();
    assert_eq!(levels, [Level::Critical, Level::Ok]);
}

#[test]
fn resuming_names_what_is_not_repeated() {
    let mut story = Story::begun();
    story.read("have", "http.probe").done("have", json!({})).write("copy").doubts("copy");
    assert_eq!(resuming(&story.facts).plain(), "resuming; 1 step done before are not repeated (have)");
}

#[test]
fn a_question_that_is_answered_or_too_late_is_not_asked_again() {
    let mut story = Story::begun();
    story.asks("q", "safe?");
    let told = |at: &str, answered: &[StepPath]| {
        let lines = next_steps_now(&story.facts, Some(at.parse().unwrap()), answered);
        lines.iter().map(Line::plain).collect::<Vec<_>>().join("\n")
    };
    let before = told("2026-11-21T14:18:01Z", &[]);
    assert!(before.contains("Waiting for an answer: q") && before.contains("rerail answer"), "{before}");
    let late = told("2026-11-21T14:18:02Z", &[]);
    assert!(late.starts_with("Nobody answered in time: q  safe? (until 2026-11-21 14:18:02Z)"), "{late}");
    assert!(late.contains("rerail resume 04bc3t") && !late.contains("rerail answer"), "{late}");
    let answered = told("2026-11-21T15:00:00Z", &["q".into()]);
    assert!(answered.starts_with("Answered, and not taken up yet: q"), "{answered}");
    assert!(!answered.contains("rerail answer"), "{answered}");
}
