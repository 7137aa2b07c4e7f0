use std::sync::Arc;

use super::*;
use crate::runbook::model::Runbook;
use crate::runbook::testing::Shelf;
use crate::transcript::hostile::{CORPUS, assert_inert, assert_plain};

const BODY: &str = "
steps:
  - id: seen
    uses: look.at
    with: { url: https://api.example.com }
  - id: again
    if: not(steps.seen.outputs.ok)
    steps:
      - id: fix
        uses: change.it
        with: { method: POST, url: \"https://api.example.com/${{ steps.seen.outputs.status }}\" }
      - id: well
        uses: look.at
        with: { url: https://api.example.com }
        until: result.ok
        within: 5m
  - id: verdict
    findings:
      - when: steps.seen.outputs.ok
        level: ok
        say: It is well.
finally:
  - id: last
    script: 1
";

fn program() -> Program {
    let (program, problems) = Shelf::default().load(BODY);
    program.unwrap_or_else(|| panic!("{problems:?}"))
}

/// The same with what the group holds side by side, and for each item.
fn side_by_side() -> Program {
    let group = "parallel:\n      # again";
    let looped = BODY
        .replace("    if: not(steps.seen.outputs.ok)\n    steps:\n", &format!("    continue_on_failure: true\n    {group}\n"))
        .replace(
            "  - id: verdict\n",
            "  - id: all\n    foreach: \"${{ [1, 2, steps.seen.outputs.status] }}\"\n    max_parallel: 3\n    \
             retry: { attempts: 3 }\n    uses: look.at\n    with: { url: \"https://api.example.com/${{ each.value }}\" }\n  \
             - id: verdict\n",
        );
    let (program, problems) = Shelf::default().load(&looped);
    program.unwrap_or_else(|| panic!("{problems:?}"))
}

#[test]
fn a_runbook_is_drawn_with_what_it_reads_and_may_change() {
    let graph = Graph::of(&program());
    insta::assert_snapshot!(mermaid(&graph));
    let drawn = svg(&graph);
    assert!(roxmltree::Document::parse(&drawn).is_ok());
    insta::assert_snapshot!(drawn);
}

#[test]
fn branches_stand_side_by_side_and_follow_nobody() {
    let text = mermaid(&Graph::of(&side_by_side()));
    insta::assert_snapshot!(text);
    assert!(!text.contains("n3 --> n4"), "{text}");
}

#[test]
fn nothing_from_a_file_becomes_markup_or_a_command_of_the_diagram() {
    for evil in CORPUS {
        let mut graph = Graph::of(&program());
        graph.title = evil.into();
        for node in &mut graph.nodes {
            (node.name, node.what, node.notes) = (evil.into(), evil.into(), vec![evil.into()]);
        }
        let drawn = svg(&graph);
        assert!(roxmltree::Document::parse(&drawn).is_ok(), "{drawn}");
        assert_inert(&drawn);
        assert_plain(&drawn);
        let text = mermaid(&graph);
        assert_plain(&text);
        for line in text.lines() {
            let words = line.trim().replace("<br/>", " ");
            let known = ["subgraph", "end", "n", "classDef", "flowchart"].iter().any(|word| words.starts_with(word));
            assert!(known && words.matches('"').count() % 2 == 0 && !words.contains('<'), "{line}");
        }
    }
}

#[test]
fn a_runbook_too_long_to_be_read_is_cut_and_says_so() {
    let mut program = program();
    let mut book: Runbook = (*program.runbook).clone();
    let step = Arc::clone(&book.steps[0]);
    book.steps = (0..10_000).map(|_| Arc::clone(&step)).collect();
    program.runbook = Arc::new(book);
    let graph = Graph::of(&program);
    assert!(graph.nodes.len() <= NODES_MAX + 1 && graph.left_out > 9_000, "{}", graph.nodes.len());
    assert!(svg(&graph).contains(&format!("{} steps more are not drawn", graph.left_out)));
    assert!(mermaid(&graph).contains(&format!("{} more steps are not drawn", graph.left_out)));
}
