//! What a target answers is text wherever a run is shown: in the terminal, in a postmortem, on a page, in a picture.

use pulldown_cmark::{Event, Options, Parser, Tag};
use rerail::runbook::render::is_invisible;
use serde_json::json;

use super::kit::{Ledger, Place, answer};

#[path = "../../../src/transcript/corpus.rs"]
mod corpus;

use corpus::{CORPUS, assert_inert};

/// Everything a runbook can make of an answer that people read.
const ECHO: &str = "
inputs: { base: { type: url } }
steps:
  - id: said
    uses: http.probe
    with: { url: '${{ inputs.base }}/' }
  - id: printed
    script: |
      for text in steps.said.outputs.json.texts { print(text); }
      #{ texts: steps.said.outputs.json.texts }
  - id: noted
    name: '${{ each.value }}'
    foreach: steps.said.outputs.json.texts
    uses: run.note
    with: { text: '${{ each.value }}' }
  - id: found
    name: '${{ each.value }}'
    foreach: steps.said.outputs.json.texts
    findings:
      - { when: 'each.value != \"\"', level: warning, say: '${{ each.value }}' }
  - id: sent
    foreach: steps.said.outputs.json.texts
    uses: http.request
    with: { method: POST, url: '${{ inputs.base }}/', text: '${{ each.value }}' }
  - id: unlike
    foreach: steps.said.outputs.json.texts
    continue_on_failure: true
    assert: [{ that: each.value == \"expected\" }]
  - id: over
    uses: run.fail
    with: { message: \"${{ steps.said.outputs.json.texts.reduce(|all, text| `${all} ${text}`, ``) }}\" }
outputs:
  texts: '${{ steps.said.outputs.json.texts }}'
";

/// Panics if a screen would obey, hide or reorder something of `text`.
#[track_caller]
fn assert_plain(what: &str, text: &str) {
    let bad: Vec<char> = text.chars().filter(|c| *c != '\n' && (c.is_control() || is_invisible(*c))).collect();
    assert!(bad.is_empty(), "{bad:?} in {what}: {text}");
}

/// Panics if a reader of Markdown would make more than text of what isn't ours.
#[track_caller]
fn assert_passive(page: &str) {
    for event in Parser::new_ext(page, Options::ENABLE_TABLES | Options::ENABLE_TASKLISTS) {
        match event {
            Event::Html(text) | Event::InlineHtml(text) => panic!("{text} in {page}"),
            Event::Start(tag @ (Tag::Link { .. } | Tag::Image { .. } | Tag::HtmlBlock)) => panic!("{tag:?} in {page}"),
            _ => {}
        }
    }
}

#[test]
fn whatever_a_target_answers_is_inert_in_every_form_a_run_is_shown_in() {
    let ledger = Ledger::serve(|_, stream| answer(stream, &json!({ "texts": CORPUS })));
    let place = Place::new().runbook("echo", ECHO);
    let run = place.ask(&["run", "echo", "-i", &format!("base={}", ledger.url), "--yes", "--verbose"]).exits(10);
    assert_eq!(ledger.writes().len(), CORPUS.len(), "it came as far as the writes: {}", run.stderr);
    let show = place.ask(&["show", "@last", "--verbose"]).exits(0);
    let why = place.ask(&["why", "@last", "over"]);
    for said in [&run, &show, &why] {
        assert_plain(&format!("standard output of {}", said.args), &said.stdout);
        assert_plain(&format!("standard error of {}", said.args), &said.stderr);
    }
    // It was shown, in words a person can read, and not just left out.
    assert!(run.stderr.contains("<script>alert(1)</script>"), "{}", run.stderr);
    assert!(run.stderr.contains("owned"), "{}", run.stderr);

    let export = |format: &str| place.ask(&["export", "@last", "--format", format]).exits(0).stdout;
    let (md, html, svg) = (export("md"), export("html"), export("svg"));
    for (format, page) in [("md", &md), ("html", &html), ("svg", &svg)] {
        assert_plain(format, page);
    }
    assert_passive(&md);
    assert_inert(&html);
    assert_inert(&svg);
    assert!(md.contains("owned") && html.contains("owned"), "the texts are in the exports");
    let tree = roxmltree::Document::parse(&svg).unwrap();
    assert!(tree.descendants().all(|node| !node.has_tag_name("script")), "{svg}");
    // A line each, however many lines a text has.
    for line in export("jsonl").lines() {
        assert!(!line.contains(|c: char| c < ' '), "{line}");
        assert!(serde_json::from_str::<serde_json::Value>(line).is_ok(), "{line}");
    }
}
