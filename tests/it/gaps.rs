//! A mistake of form does not hide the mistakes of meaning beside it, and is not followed by ones that
//! nobody made.

use std::fs;
use std::path::Path;

use rerail::project::Project;
use rerail::runbook::problem::{Problem, render};
use rerail::runbook::program::load;
use rerail::runbook::source::Source;
use rerail::steps::catalog;

use crate::checks::{corpus, library_of};

fn problems(text: &str) -> Vec<Problem> {
    let library = library_of(&corpus().join("clean.yaml"));
    load("book", Source::new("book.yaml", text), &library, &catalog::specs()).1
}

fn codes(text: &str) -> Vec<&'static str> {
    problems(text).iter().map(|problem| problem.code).collect()
}

fn book(rest: &str) -> String {
    format!("version: 1\ntitle: T\n{rest}")
}

const PROBE: &str = "uses: http.probe\n    with: { url: https://example.com }";

#[test]
fn mistakes_of_form_and_of_meaning_are_told_together() {
    let text = book(&format!(
        "steps:\n  - id: a\n    {PROBE}\n    conitnue_on_failure: true\n  - id: b\n    if: steps.missing.outputs.ok\n    uses: http.prope\n    with: {{ url: https://example.com }}\n"
    ));
    assert_eq!(codes(&text), ["E0103", "E0204", "E0201"]);
    // Also in the very step.
    let text =
        book("steps:\n  - id: a\n    uses: http.probe\n    nmae: x\n    with: { url: https://example.com, uri: x }\n");
    assert_eq!(codes(&text), ["E0103", "E0202"]);
    // And without a title, an owner that is a list, or a version.
    assert_eq!(codes("version: 2\nowner: []\nsteps:\n  - run: x\n  - uses: nothing\n").len(), 5);
}

#[test]
fn a_step_that_could_not_be_read_is_not_said_to_be_missing() {
    let reads = "  - id: z\n    assert:\n      - that: steps.a.outputs.ok\n";
    for broken in [
        "  - id: a\n    use: http.probe\n",
        "  - id: a\n    uses: http probe\n",
        "  - id: a\n    uses: http.probe\n    with: [1]\n",
        "  - id: a\n    uses: http.probe\n    with: { url: \"${{ 1 + }}\" }\n",
        "  - id: a\n    script: let\n",
        "  - id: a\n    steps: 5\n",
        "  - id: a\n",
        "  - name: Group\n    stepps:\n      - id: a\n        uses: http.probe\n",
    ] {
        let found = codes(&book(&format!("steps:\n{broken}{reads}")));
        assert!(!found.is_empty() && !found.iter().any(|code| *code > "E0200" && *code < "E0300"), "{broken}{found:?}");
    }
    // One that got its id from its action.
    let text =
        book("steps:\n  - uses: http.probe\n    with: 7\n  - assert:\n      - that: steps.http_probe.outputs.ok\n");
    assert_eq!(codes(&text), ["E0107"]);
    // But a name that nobody wrote is as unknown as ever.
    let text = book("steps:\n  - id: a\n    use: http.probe\n  - assert:\n      - that: steps.b.outputs.ok\n");
    assert_eq!(codes(&text), ["E0103", "E0204"]);
}

#[test]
fn what_a_broken_declaration_declares_counts_as_declared() {
    let steps = "steps:\n  - run: x\n  - uses: run.note\n    with: { text: \"${{ inputs.a }} ${{ vars.v }}\" }\n";
    for broken in ["inputs: { a: string }\nvars: { v: 1 }\n", "inputs: { a: { type: strng } }\nvars: { v: 1 }\n"] {
        let found = codes(&book(&format!("{broken}{steps}")));
        assert!(!found.contains(&"E0208"), "{found:?}");
    }
    let found =
        codes(&book(&format!("input: {{ a: {{ type: string }} }}\nvars: {{ v: \"${{{{ 1 + }}}}\" }}\n{steps}")));
    assert!(!found.contains(&"E0208"), "{found:?}");
    let found = codes(&book(&format!("inputs: {{ b: {{ type: strng }} }}\nvars: {{ v: 1 }}\n{steps}")));
    assert!(found.contains(&"E0208"), "{found:?}");
}

/// What no shipped file needs: loops, branches, retries, limits of a whole run.
const LOOPS: &str = r#"version: 1
title: Loops
timeout: 1h
concurrency: { group: "restart ${{ inputs.service }}", if_busy: wait }
defaults:
  timeout: 10s
inputs:
  service: { type: string }
steps:
  - id: sides
    parallel:
      - id: left
        uses: http.probe
        with: { url: "https://example.com/left" }
        retry: { attempts: 3, delay: 2s, backoff: 1.5, max_delay: 10s, on: [timeout, network] }
      - id: right
        uses: http.probe
        with: { url: "https://example.com/right" }
        fail_if: result.status == 500
        within: 1m
  - id: every_one
    foreach: ["a", "b"]
    max_parallel: 2
    uses: http.probe
    with: { url: "https://example.com/${{ each.value }}" }
  - id: send
    uses: http.request
    with: { method: PUT, url: "https://example.com/${{ inputs.service }}", json: { on: true } }
    effect: destructive
    settle:
      steps:
        - id: now
          uses: http.probe
          with: { url: "https://example.com/now" }
      happened: steps.now.outputs.status == 200
      not_happened: steps.now.outputs.status == 404
  - id: verdict
    findings:
      - when: steps.left.outputs.ok && steps.right.outputs.ok
        level: ok
        say: "${{ steps.every_one.outputs.len() }} of them, ${{ steps.send.outcome }}"
"#;

/// Keys of the language in one line of YAML, as what stands before a colon.
fn keys_in(line: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    for (colon, _) in line.match_indices(": ").chain(line.strip_suffix(':').map(|rest| (rest.len(), ":"))) {
        let start = line[..colon].rfind(|c: char| !c.is_ascii_lowercase() && c != '_').map_or(0, |at| at + 1);
        if start < colon {
            found.push((start, colon));
        }
    }
    found
}

#[test]
fn a_misspelt_key_has_no_follow_ups() {
    let known = rerail::runbook::schema::known_keys();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let shipped = Project::default();
    let mut tried = 0;
    let files = ["tests/checks/clean.yaml", "runbooks/backend-down.yaml", "runbooks/verify-deployment.yaml"];
    let files = files.map(|file| (file, fs::read_to_string(root.join(file)).unwrap()));
    let loops = ("loops", LOOPS.to_owned());
    assert_eq!(render(&problems(LOOPS), false), "");
    for (file, text) in files.into_iter().chain([loops]) {
        let mut start = 0;
        for line in text.split_inclusive('\n') {
            let at = start;
            start += line.len();
            if line.trim_start().starts_with('#') {
                continue;
            }
            for (from, to) in keys_in(line.trim_end()) {
                if !known.contains(&line[from..to]) {
                    continue;
                }
                let misspelt = format!("{}{}q{}", &text[..at + from], &line[from..to], &text[at + to..]);
                let found = match file.starts_with("runbooks/") {
                    false => problems(&misspelt),
                    true => load("book", Source::new("book.yaml", misspelt), &shipped, &catalog::specs()).1,
                };
                let follow_up = |problem: &Problem| matches!(&problem.code[..3], "E02" | "W04");
                // An argument or field may carry a key's name: then it is the mistake itself.
                let own = |problem: &Problem| matches!(problem.code, "E0202" | "E0203" | "E0205" | "E0208" | "W0403");
                let is_key = found.iter().any(|problem| problem.code == "E0103");
                let wrong: Vec<Problem> = found.into_iter().filter(|p| follow_up(p) && (is_key || !own(p))).collect();
                assert!(wrong.is_empty(), "{file}: {}:\n{}", line.trim_end(), render(&wrong, false));
                tried += usize::from(is_key);
            }
        }
    }
    assert!(tried > 100, "{tried} keys misspelt");
}
