use std::sync::Arc;

use super::*;
use crate::engine::event::StepFinished;
use crate::runbook::spec::Effect;
use crate::script::value::{Map, Value};
use crate::transcript::story::{Story, ana};
use serde_json::json;

fn row(story: &Story, step: &str) -> Row {
    let picture = Picture::of(&story.events, &story.facts);
    picture.rows.into_iter().find(|row| row.step.as_str() == step).unwrap()
}

fn fills(row: &Row) -> Vec<(u64, Fill)> {
    row.parts.iter().map(|part| (words::between(part.from, part.to), part.fill)).collect()
}

#[test]
fn a_question_splits_the_time_into_asking_and_waiting() {
    let mut story = Story::begun();
    story.asks("q", "safe?").after_ms(40_000).answered("q", "safe", "bob");
    story.after_ms(1_000).done("q", json!({})).finished();
    let row = row(&story, "q");
    assert_eq!(fills(&row), [(40_000, Fill::Waiting), (1_000, Fill::Working)]);
    assert_eq!(row.summary(), "done 41.0s, answered by bob via chat");
}

#[test]
fn a_poll_is_known_by_its_looks_not_by_its_deadline() {
    let mut story = Story::begun();
    story.read("active", "http.probe").after_ms(1_000);
    let (step, result) = (StepPath::new("active"), Value::Null);
    story.tell(Body::StepObserved { step, attempt: 1, look: 22, result });
    story.after_ms(1_000).done("active", json!({})).read("once", "http.probe").done("once", json!({}));
    assert_eq!(fills(&row(&story, "active")), [(2_000, Fill::Polling)]);
    assert_eq!(row(&story, "active").summary(), "done 2.0s, 22 looks");
    assert_eq!(fills(&row(&story, "once")), [(0, Fill::Working)]);
}

#[test]
fn a_write_in_doubt_waits_for_the_person_who_settles_it() {
    let mut story = Story::begun();
    story.write("copy").after_ms(2_000).doubts("copy").after_ms(60_000);
    assert_eq!(row(&story, "copy").state, State::Ended(Outcome::InDoubt));
    let (step, decision) = (StepPath::new("copy"), Decision::Done);
    story.tell(Body::OutcomeSet { step, decision, outputs: Map::new(), actor: ana(), reason: "seen".into() });
    let row = row(&story, "copy");
    assert_eq!(fills(&row), [(2_000, Fill::Working), (60_000, Fill::Waiting)]);
    assert_eq!(row.state, State::Ended(Outcome::Done));
    assert_eq!(row.spoken[0].1, "settled as done by ana");
}

#[test]
fn what_encloses_others_is_a_group_also_in_a_loop() {
    let mut story = Story::begun();
    story.starts("all", None, "steps", Effect::Pure, json!({}));
    for step in ["all[0]", "all[0]/look", "fix", "fix/set"] {
        story.starts(step, Some("x"), "uses", Effect::Read, json!({}));
    }
    let picture = Picture::of(&story.events, &story.facts);
    let seen: Vec<(&str, usize, bool)> =
        picture.rows.iter().map(|row| (row.step.as_str(), row.depth, row.group)).collect();
    let expected =
        [("all", 0, true), ("all[0]", 1, true), ("all[0]/look", 2, false), ("fix", 0, true), ("fix/set", 1, false)];
    assert_eq!(seen, expected);
}

#[test]
fn rows_that_need_eyes_are_the_last_to_be_left_out() {
    let mut story = Story::begun();
    for at in 0..20 {
        story.read(&format!("s{at}"), "http.probe");
        if at == 17 {
            story.fails("s17", "no")
        } else {
            story.done(&format!("s{at}"), json!({}))
        };
    }
    let picture = Picture::of(&story.events, &story.facts);
    let (shown, left_out) = picture.shown(3);
    let names: Vec<&str> = shown.iter().map(|row| row.step.as_str()).collect();
    assert_eq!((names.as_slice(), left_out), (&["s0", "s1", "s17"][..], 17));
}

#[test]
fn a_clock_that_goes_back_makes_no_negative_bar() {
    let mut story = Story::begun();
    story.read("s", "http.probe").after_ms(-5_000);
    let end = StepFinished {
        step: "s".into(),
        attempt: 1,
        outcome: Outcome::Done,
        outputs: Value::Null,
        error: None,
        broken_at: None,
        ms: 3,
        planned: None,
    };
    story.tell(Body::StepFinished(Arc::new(end)));
    assert_eq!(fills(&row(&story, "s")), [(0, Fill::Working)]);
}
