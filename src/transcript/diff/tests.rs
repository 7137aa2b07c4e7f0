use super::*;
use crate::runbook::model::Level;
use crate::transcript::hostile::{CORPUS, assert_plain, run};
use crate::transcript::story::Story;

fn told(diff: &Diff) -> String {
    diff.lines(Marks::Unicode).iter().map(Line::plain).collect::<Vec<_>>().join("\n")
}

fn story(status: i64, text: &str) -> Story {
    let mut story = Story::begun();
    story.read("health", "http.probe").after_ms(40);
    story.done("health", json!({"status": status, "ms": status, "text": text, "headers": { "x": 1 }}));
    story
}

#[test]
fn a_run_does_not_differ_from_itself_or_by_its_times() {
    let mut story = story(200, "ok");
    story.finished();
    let diff = Diff::of(&story.facts, &story.facts);
    assert!(diff.is_empty());
    assert_eq!(told(&diff), "nothing was different");

    let mut fast = Story::begun();
    fast.read("look", "http.probe").after_ms(10).done("look", json!({"ms": 10})).finished();
    let mut slow = Story::begun();
    slow.read("look", "http.probe").after_ms(5_000).done("look", json!({"ms": 5_000})).finished();
    let diff = Diff::of(&fast.facts, &slow.facts);
    assert!(diff.is_empty(), "time alone is a remark");
    assert_eq!(told(&diff), "step look  took: \"10ms\" → \"5.0s\"");
}

#[test]
fn what_differs_is_told_by_its_path_and_texts_line_by_line() {
    let mut bad = story(502, "a\nb\nc\n");
    bad.finds("verdict", Level::Critical, "It is down.", None).write("fix").doubts("fix");
    let mut good = story(200, "a\nB\nc\n");
    good.finds("verdict", Level::Ok, "It is well.", None).read("extra", "http.probe").done("extra", json!({}));
    good.finished();
    let diff = Diff::of(&bad.facts, &good.facts);
    assert!(!diff.is_empty());
    insta::assert_snapshot!(told(&diff));
    assert_eq!(diff.to_json()["equal"], false);
}

#[test]
fn huge_runs_and_texts_are_bounded_and_say_so() {
    let long = crate::transcript::html::tests::long(10_000);
    let begun = std::time::Instant::now();
    let diff = Diff::of(&long.facts, &Story::begun().facts);
    assert!(begun.elapsed() < std::time::Duration::from_secs(10), "{:?}", begun.elapsed());
    assert!(told(&diff).contains("steps more differ; -o json of both runs has all"));
    let (one, other) = (story(200, &"a\n".repeat(100_000)), story(200, &"b\n".repeat(100_000)));
    assert!(told(&Diff::of(&one.facts, &other.facts)).contains("200.0 kB and 200.0 kB"));
    let (one, other) = (story(200, &"a\n".repeat(100)), story(200, &"b\n".repeat(100)));
    assert!(told(&Diff::of(&one.facts, &other.facts)).contains("160 lines more"));
}

#[test]
fn a_difference_is_text_whoever_wrote_it() {
    for evil in CORPUS {
        let diff = Diff::of(&run("x").facts, &run(evil).facts);
        diff.lines(Marks::Unicode).iter().for_each(|line| assert_plain(&line.plain()));
    }
}
