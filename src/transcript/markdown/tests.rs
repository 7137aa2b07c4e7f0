use super::*;
use crate::runbook::model::Level;
use crate::transcript::hostile::{CORPUS, assert_plain, run};
use crate::transcript::story::Story;
use serde_json::json;
use std::sync::Arc;

#[test]
fn a_postmortem_is_filled_in_as_far_as_the_engine_knows() {
    let mut story = Story::begun();
    story.read("health", "http.probe").after_ms(40).done("health", json!({"ok": false, "status": 502, "ms": 40}));
    story.finds("verdict", Level::Critical, "Variables are missing.", None);
    story.asks("schema", "Safe?").after_ms(41_000).answered("schema", "safe", "bob");
    story.done("schema", json!({"answer": "safe", "by": "bob"}));
    story.write("copy").after_ms(1_204).done("copy", json!({"status": 201, "ms": 1204}));
    story.notes("TODO: add an alert").notes("looks better").after_ms(2_000).finished();
    insta::assert_snapshot!(postmortem(&story.events, &story.facts, &Evidence::default()));
}

#[test]
fn nothing_from_outside_becomes_markup() {
    for evil in CORPUS.into_iter().chain([PIPES]) {
        let story = run(evil);
        let page = postmortem(&story.events, &story.facts, &Evidence::default());
        let found = active(&page);
        assert!(found.is_empty(), "{found:?}\n{page}");
        assert_plain(&page);
        assert_rows(&page);
    }
    let story = run(CORPUS[7]);
    insta::assert_snapshot!(postmortem(&story.events, &story.facts, &Evidence::default()));
}

/// Marks of Markdown that only count together with others.
const PIPES: &str = "a|b `c` \\| **d**\n# h\n| x | y |\n$x$ ~~y~~ 1. z @ana #1";
/// Headings of a postmortem below its title.
const SECTIONS: usize = 10;

#[track_caller]
fn assert_rows(page: &str) {
    // A table row keeps its six columns.
    for row in page.lines().filter(|line| line.starts_with("| ") && line.contains("14:0") && line.contains("step.")) {
        let borders = row.replace("\\|", "").matches('|').count();
        assert_eq!(borders, 7, "{row}");
    }
}

/// Markup that a reader's browser would act on, and headings that are not ours.
fn active(page: &str) -> Vec<String> {
    use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag};
    let mut found = Vec::new();
    let mut sections = 0;
    for (event, range) in Parser::new_ext(page, Options::ENABLE_TABLES | Options::ENABLE_TASKLISTS).into_offset_iter() {
        match event {
            Event::Html(text) | Event::InlineHtml(text) => found.push(text.to_string()),
            Event::Start(tag @ (Tag::Link { .. } | Tag::Image { .. } | Tag::HtmlBlock | Tag::CodeBlock(_))) => {
                found.push(format!("{tag:?}"));
            }
            Event::Start(Tag::Heading { level, .. }) => sections += usize::from(level != HeadingLevel::H1),
            // GitHub makes links of bare addresses, but not of escaped ones, which are in pieces here.
            Event::Text(_) => {
                let signs = ["http://", "https://", "www."].into_iter();
                found.extend(signs.filter(|sign| page[range.clone()].contains(*sign)).map(str::to_owned));
            }
            _ => {}
        }
    }
    if sections != SECTIONS {
        found.push(format!("{sections} sections"));
    }
    found
}

#[test]
fn a_run_in_doubt_says_so_in_its_resolution() {
    let mut story = Story::begun();
    story.write("copy").doubts("copy");
    let page = postmortem(&story.events, &story.facts, &Evidence::default());
    assert!(page.contains("The run has not ended: outcome unknown."), "{page}");
    assert!(page.contains("- `copy` may have happened: nobody has settled it"), "{page}");
}

#[test]
fn a_write_that_was_begun_is_not_passed_over() {
    let mut story = Story::begun();
    story.write("copy");
    let mut facts = story.facts.clone();
    let started = facts.steps.get_mut("copy").and_then(|record| record.started.as_mut()).unwrap();
    Arc::make_mut(&mut started.intent).key = Some("run:copy:digest".into());
    let page = postmortem(&story.events, &facts, &Evidence::default());
    assert!(page.contains("`copy` was begun, and its outcome is not known"), "{page}");
    assert!(!page.contains("changed nothing"), "{page}");
    let next: Vec<String> = crate::transcript::summary::next_steps(&facts).iter().map(|line| line.plain()).collect();
    assert!(next[0].contains("Under way") && next[0].contains("copy"), "{next:?}");
}

#[test]
fn ten_thousand_steps_and_a_huge_text_are_a_page_one_can_open() {
    let mut story = crate::transcript::html::tests::long(10_000);
    story.notes(&"x".repeat(1_000_000));
    let begun = std::time::Instant::now();
    let page = postmortem(&story.events, &story.facts, &Evidence::default());
    assert!(begun.elapsed() < std::time::Duration::from_secs(10), "{:?}", begun.elapsed());
    assert!(page.len() < 3_000_000, "{} bytes", page.len());
    assert!(page.contains("… (10000"), "the size of what is cut is said");
}

#[test]
fn a_signed_checkpoint_stands_at_the_end_to_be_copied() {
    let story = Story::begun();
    let evidence = Evidence { checkpoint: Some("rerail-checkpoint-1 example".into()), ..Evidence::default() };
    let page = postmortem(&story.events, &story.facts, &evidence);
    assert!(page.ends_with("```text\nrerail-checkpoint-1 example\n```\n"), "{page}");
}
