use super::*;
use crate::engine::event::{Body, Decision};
use crate::runbook::spec::Effect;
use crate::script::value::{Map, Value};
use crate::transcript::hostile::{CORPUS, assert_inert, assert_plain, run};
use crate::transcript::story::{Story, ana, map};
use serde_json::json;

fn drawn(story: &Story) -> String {
    svg(&story.events, &story.facts)
}

fn incident() -> Story {
    let mut story = Story::begun();
    story.read("have", "railway.variables").after_ms(600).done("have", json!({}));
    story.starts("fix", Some("railway.fix"), "uses", Effect::Write, json!({}));
    story.write("fix/set").after_ms(8_000).doubts("fix/set").after_ms(20_000);
    let (step, decision) = ("fix/set".into(), Decision::NotDone);
    story.tell(Body::OutcomeSet { step, decision, outputs: Map::new(), actor: ana(), reason: "not there".into() });
    story.write("fix/set").after_ms(4_000).done("fix/set", json!({})).done("fix", json!({}));
    story.asks("schema", "safe?").after_ms(41_000).answered("schema", "safe", "bob").done("schema", json!({}));
    story.read("active", "http.probe").after_ms(1_000);
    story.tell(Body::StepObserved { step: "active".into(), attempt: 1, look: 22, result: Value::Null });
    story.after_ms(90_000).done("active", json!({}));
    story.tell(Body::StepSkipped { step: "rare".into(), condition: "false".into(), values: map(json!({})) });
    story.read("verify", "http.probe").after_ms(200).fails("verify", "expected status 200, got 502");
    story.failed_at("verify", "expected status 200, got 502");
    story
}

#[test]
fn a_run_is_drawn_with_a_shape_for_everything() {
    let picture = drawn(&incident());
    insta::assert_snapshot!(picture);
    let tree = roxmltree::Document::parse(&picture).unwrap();
    let with = |class: &str| tree.descendants().filter(|node| node.attribute("class") == Some(class)).count();
    assert_eq!((with("wait"), with("poll"), with("tick"), with("group")), (2, 1, 1, 1));
    assert_eq!(with("said"), 2, "the answer and the decision");
    assert_eq!(tree.root_element().attribute("viewBox").map(|size| size.starts_with("0 0 960 ")), Some(true));
    let titles = tree.descendants().filter(|node| node.has_tag_name(("http://www.w3.org/2000/svg", "title"))).count();
    assert_eq!(titles, 8, "one a row, and one of the picture");
}

#[test]
fn nothing_from_outside_becomes_markup_in_a_picture() {
    for evil in CORPUS {
        let picture = drawn(&run(evil));
        assert!(roxmltree::Document::parse(&picture).is_ok(), "{picture}");
        assert_inert(&picture);
        assert_plain(&picture);
    }
    insta::assert_snapshot!(drawn(&run(CORPUS[1])));
}

#[test]
fn ten_thousand_steps_are_a_picture_that_says_what_it_leaves_out() {
    let story = crate::transcript::html::tests::long(10_000);
    let begun = std::time::Instant::now();
    let picture = drawn(&story);
    assert!(begun.elapsed() < std::time::Duration::from_secs(10), "{:?}", begun.elapsed());
    assert!(picture.len() < 400_000, "{} bytes", picture.len());
    assert!(picture.contains("9600 steps more, done or without news, are not drawn"), "the reader is told");
    assert!(picture.contains("s7777"), "what failed is drawn");
}

#[test]
fn a_run_without_steps_and_no_run_at_all_are_pictures_too() {
    let story = Story::begun();
    assert!(roxmltree::Document::parse(&drawn(&story)).is_ok());
    assert!(roxmltree::Document::parse(&svg(&[], &Facts::default())).is_ok());
}
