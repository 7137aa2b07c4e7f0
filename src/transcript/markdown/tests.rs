use super::*;
use crate::runbook::model::Level;
use crate::transcript::story::{Story, map};
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
    insta::assert_snapshot!(postmortem(&story.events, &story.facts));
}

#[test]
fn nothing_from_outside_becomes_markup() {
    let evil = "a|b <img src=x> ![i](http://evil.test/i.png) [l](http://evil.test) `c` **d**\n# h\n| x | y |\n\x1b[31m https://evil.test";
    let mut story = Story::begun();
    story.starts("s|<b>", Some("http.probe"), "uses", crate::runbook::spec::Effect::Write, json!({ "url": evil }));
    story.fails("s|<b>", evil);
    let suggest = crate::engine::event::Suggest { runbook: evil.into(), with: map(json!({ "k": evil })) };
    story.finds("f", Level::Warning, evil, Some(suggest)).asks("q", evil).answered("q", evil, evil);
    story.notes(&format!("TODO: {evil}")).failed_at("s|<b>", evil);
    let page = postmortem(&story.events, &story.facts);

    let events = pulldown(&page);
    assert!(events.is_empty(), "{events:?}\n{page}");
    assert!(!page.chars().any(|c| c != '\n' && c.is_control()));
    // A table row keeps its six columns.
    for row in page.lines().filter(|line| line.starts_with("| ") && line.contains("14:0") && line.contains("step.")) {
        let borders = row.replace("\\|", "").matches('|').count();
        assert_eq!(borders, 7, "{row}");
    }
}

/// Markup outside code spans that a reader's browser would act on.
fn pulldown(page: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in page.lines() {
        let text = without_code(line);
        let mut plain = text.replace("\\\\", "");
        for escaped in ["\\<", "\\[", "\\]", "\\!", "\\:"] {
            plain = plain.replace(escaped, "");
        }
        for sign in ["<", "](", "![", "http://", "https://"] {
            if plain.contains(sign) {
                found.push(format!("{sign} in {line}"));
            }
        }
        if line.trim_start().starts_with("# h") {
            found.push(line.to_owned());
        }
    }
    found
}

/// The line without its code spans, which end at a run of backticks of the same length.
fn without_code(line: &str) -> String {
    let mut rest = line;
    let mut text = String::new();
    while let Some(at) = rest.find('`') {
        if rest[..at].ends_with('\\') {
            text.push_str(&rest[..=at]);
            rest = &rest[at + 1..];
            continue;
        }
        let ticks = rest[at..].chars().take_while(|c| *c == '`').count();
        text.push_str(&rest[..at]);
        let inside = &rest[at + ticks..];
        let fence = "`".repeat(ticks);
        let mut from = 0;
        let end = loop {
            let Some(found) = inside[from..].find(&fence).map(|found| from + found) else { break None };
            let run = inside[found..].chars().take_while(|c| *c == '`').count();
            if run == ticks {
                break Some(found);
            }
            from = found + run;
        };
        match end {
            Some(end) => rest = &inside[end + ticks..],
            None => {
                text.push_str(&fence);
                rest = inside;
            }
        }
    }
    text + rest
}

#[test]
fn a_run_in_doubt_says_so_in_its_resolution() {
    let mut story = Story::begun();
    story.write("copy").doubts("copy");
    let page = postmortem(&story.events, &story.facts);
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
    let page = postmortem(&story.events, &facts);
    assert!(page.contains("`copy` was begun, and its outcome is not known"), "{page}");
    assert!(!page.contains("changed nothing"), "{page}");
    let next: Vec<String> = crate::transcript::summary::next_steps(&facts).iter().map(|line| line.plain()).collect();
    assert!(next[0].contains("Under way") && next[0].contains("copy"), "{next:?}");
}
