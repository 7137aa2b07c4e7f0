use super::*;
use crate::runbook::model::Level;
use crate::transcript::hostile::{CORPUS, assert_inert, assert_plain, run};
use crate::transcript::story::Story;
use serde_json::json;

fn drawn(story: &Story) -> String {
    page(
        &story.events,
        &story.facts,
        &Evidence { head: Some("00ff".into()), checkpoint: Some("rerail-checkpoint-1 example".into()) },
    )
}

#[test]
fn nothing_from_outside_becomes_markup_in_a_page() {
    for evil in CORPUS {
        let page = drawn(&run(evil));
        assert_inert(&page);
        assert_plain(&page);
    }
    insta::assert_snapshot!(drawn(&run(CORPUS[1])));
}

#[test]
fn the_policy_allows_the_one_style_and_nothing_else() {
    let mut story = Story::begun();
    story.finished();
    let page = drawn(&story);
    let style = page.split("<style>").nth(1).and_then(|rest| rest.split("</style>").next()).unwrap();
    let hash = STANDARD.encode(Sha256::digest(style.as_bytes()));
    let policy = format!("default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'");
    assert!(page.contains(&format!("content=\"{policy}\"")), "{page}");
    assert!(!style.contains("url(") && !style.contains("@import") && !page.contains(" style="), "{style}");
}

#[test]
fn what_was_found_comes_first_and_the_evidence_last() {
    let mut story = Story::begun();
    story.read("health", "http.probe").after_ms(40).fails("health", "expected status 200, got 502");
    story.finds("verdict", Level::Warning, "Variables are missing.", None).finished();
    let page = drawn(&story);
    let headings: Vec<&str> = page.split("<h2>").skip(1).filter_map(|rest| rest.split("</h2>").next()).collect();
    let expected = ["Findings", "Where the time went", "Steps", "Errors", "Transcript (UTC)", "Inputs", "Evidence"];
    assert_eq!(headings, expected);
    assert!(page.contains("<dt>Hash of the last event</dt><dd>00ff</dd>"), "{page}");
}

#[test]
fn a_run_that_stands_says_how_to_go_on() {
    let mut story = Story::begun();
    story.write("copy").doubts("copy");
    let page = drawn(&story);
    assert!(page.contains("<span class=\"status warn\">outcome unknown</span>"), "{page}");
    assert!(page.contains("rerail resume 04bc3t --set-outcome copy=done --reason TEXT"), "{page}");
}

#[test]
fn a_run_of_ten_thousand_steps_is_a_page_a_browser_opens() {
    let story = long(10_000);
    let begun = std::time::Instant::now();
    let page = drawn(&story);
    // Generous for a busy machine; one pass over pairs of steps would take minutes.
    assert!(begun.elapsed() < std::time::Duration::from_secs(20), "{:?}", begun.elapsed());
    assert!(page.len() < 8_000_000, "{} bytes", page.len());
    assert!(page.contains("8000 steps more are left out here"), "the reader is told");
    assert!(page.contains("15002 events more are left out here"), "the reader is told");
    assert!(page.contains("s7777") && page.contains("Errors"), "what failed is there whatever is left out");
}

#[test]
fn a_huge_text_is_cut_and_its_size_is_said() {
    let mut story = Story::begun();
    let huge = "x".repeat(3_000_000);
    story.finds("f", Level::Info, &huge, None).notes(&huge);
    story.starts("s", None, "script", crate::runbook::spec::Effect::Pure, json!({})).done("s", json!({ "all": huge }));
    let page = drawn(&story);
    assert!(page.len() < 100_000, "{} bytes", page.len());
    assert!(page.contains("… (3000000 characters)"), "the reader is told");
}

/// Steps in a row, one of them failed.
pub(crate) fn long(steps: usize) -> Story {
    let mut story = Story::begun();
    for at in 0..steps {
        let step = format!("s{at}");
        story.read(&step, "http.probe").after_ms(1);
        if at == 7_777 {
            story.fails(&step, "expected status 200, got 502")
        } else {
            story.done(&step, json!({}))
        };
    }
    story.finished();
    story
}
