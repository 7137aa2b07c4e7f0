//! What planned writes leave for the reads of a rehearsal, as `leaves` and `overlay` say it, in a project of its own.

use serde_json::{Value as Json, json};

use crate::cli::kit::Place;

/// Reads entries from a file; says what they will be.
const ENTRIES: &str = r#"version: 1
title: The entries of a file
inputs:
  at: { type: string, default: a }
steps:
  - id: read
    uses: file.read
    with: { path: in/entries.json }
    outputs: { entries: "${{ parse_json(result.text) }}" }
overlay:
  place: entries of ${{ inputs.at }}
  script: |
    let entries = result.now.entries + result.sets;
    let gone = result.removes;
    entries = entries.pick(entries.keys().filter(|name| not(name in gone)));
    #{ outputs: #{ entries: entries, names: entries.keys() }, unknown: #{ entries: ["HIDDEN"] } }
outputs:
  entries: "${{ steps.read.outputs.entries }}"
  names: "${{ steps.read.outputs.entries.keys() }}"
  beside: "${{ steps.read.outputs.entries.len() }}"
"#;

/// A write that is never sent, and says what it leaves.
fn write(id: &str, more: &str) -> String {
    format!(
        "  - id: {id}\n    uses: http.request\n    with: {{ method: POST, url: 'http://127.0.0.1:9/{id}' }}\n{more}"
    )
}

fn leaves(id: &str, leaves: &str) -> String {
    write(id, &format!("    leaves: {{ {leaves} }}\n"))
}

fn told(id: &str, that: &str) -> String {
    format!("  - id: {id}\n    assert:\n      - that: {that}\n")
}

const READ: &str = "  - { id: read, uses: entries }\n";

fn project() -> Place {
    let place = Place::new();
    place.file("rerail.yaml", "version: 1\nallow: { file_write: [out] }\n");
    place.file("in/entries.json", r#"{"A": "1", "B": "2", "HIDDEN": "3"}"#);
    place.file("out/.keep", "");
    place.file("actions/entries.yaml", ENTRIES);
    place
}

/// What a rehearsal of these steps says of each.
fn rehearse(place: &Place, steps: &str) -> impl Fn(&str) -> Json + use<> {
    let head = "version: 1\ntitle: Write and read\nowner: tests\nreviewed: 2026-11-01\nsteps:\n";
    place.file("runbooks/one.yaml", &format!("{head}{steps}"));
    let plan = place.run(&["run", "one", "--dry-run", "--json"]).expect(0).json();
    move |step| {
        let rows = plan["steps"].as_array().unwrap();
        rows.iter().find(|row| row["step"] == step).unwrap_or_else(|| panic!("no {step} in {plan:#}")).clone()
    }
}

fn said(row: &Json) -> &str {
    row["summary"].as_str().unwrap()
}

#[track_caller]
fn assert_unknown(row: &Json) {
    assert!(said(row).contains("can't be told"), "{row:#}");
}

#[test]
fn entries_that_are_planned_lie_over_those_that_are_read() {
    let steps = [
        leaves("one", "place: entries of a, sets: { A: x, C: x, D: x }"),
        leaves("two", "place: entries of a, sets: { C: y }, removes: [B, D]"),
        READ.to_owned(),
        told("names", r#"steps.read.outputs.names == ["A", "C", "HIDDEN"]"#),
        told("values", r#"steps.read.outputs.entries.A == "x" && steps.read.outputs.entries.C == "y""#),
        told("outcome", r#"steps.read.outcome == "done""#),
        told("hidden", r#"steps.read.outputs.entries.HIDDEN == "3""#),
        told("beside", "steps.read.outputs.beside == 3"),
    ];
    let row = rehearse(&project(), &steps.concat());
    assert_eq!(said(&row("read")), "as planned: A, C set; B, D removed");
    for known in ["names", "values", "outcome"] {
        assert_eq!(said(&row(known)), "holds", "{known}");
    }
    // What the overlay says nobody can tell, and an output it doesn't give.
    assert_unknown(&row("hidden"));
    assert_unknown(&row("beside"));
}

#[test]
fn what_covers_nothing_leaves_a_read_unknown() {
    let names = told("names", r#"("A" in steps.read.outputs.names)"#);
    let covered = leaves("one", "place: entries of a, sets: { A: x }");
    let behind = |second: &str| format!("{covered}{second}");
    let maybe = "    if: steps.one.outputs.status == 200\n    leaves: { place: entries of a, sets: { B: x } }\n";
    let second = "  - id: two\n    uses: http.request\n    with: { method: POST, url: 'http://127.0.0.1:9/', json: \"${{ steps.one.outputs.json }}\" }\n    leaves: { place: entries of c, sets: { A: x } }\n";
    let each = "  - id: two\n    foreach: steps.one.outputs.json\n    uses: http.request\n    with: { method: POST, url: \"http://127.0.0.1:9/${{ each.value }}\" }\n";
    let script = "  - id: two\n    script: |\n      if steps.one.outputs.status == 200 { http::request(#{ method: \"POST\", url: \"http://127.0.0.1:9/\" }); }\n";
    for (why, between) in [
        ("another place", leaves("one", "place: entries of b, sets: { A: x }")),
        ("a write that says nothing", behind(&write("two", ""))),
        ("one that comes before", format!("{}{covered}", write("zero", ""))),
        ("one that may happen", behind(&write("two", maybe))),
        ("arguments nobody knows", behind(second)),
        ("a place nobody knows", behind(&leaves("two", "place: \"${{ steps.one.outputs.text }}\", sets: { A: x }"))),
        ("a loop over what nobody knows", behind(each)),
        ("a script that waits for it", behind(script)),
    ] {
        let row = rehearse(&project(), &[between.as_str(), READ, &names].concat());
        assert!(!said(&row("read")).starts_with("as planned"), "{why}: {}", row("read"));
        assert!(said(&row("names")).contains("can't be told"), "{why}: {}", row("names"));
    }
    // A message changes no place, and a place of its own nothing else.
    let beside = leaves("two", "place: entries of b, removes: [A]");
    let row = rehearse(&project(), &[covered.as_str(), &beside, READ, &names].concat());
    assert_eq!(said(&row("names")), "holds");
}

#[test]
fn a_place_is_written_once_for_each_item_of_a_loop() {
    let each = "  - id: all\n    foreach: [A, B]\n    uses: http.request\n    with: { method: DELETE, url: \"http://127.0.0.1:9/${{ each.value }}\" }\n    leaves: { place: entries of a, removes: [\"${{ each.value }}\"] }\n";
    let names = told("names", r#"steps.read.outputs.names == ["HIDDEN"]"#);
    let row = rehearse(&project(), &[each, READ, &names].concat());
    assert_eq!((said(&row("read")), said(&row("names"))), ("as planned: A, B removed", "holds"));
}

#[test]
fn what_is_said_badly_is_told_and_never_known() {
    let names = told("names", r#"("A" in steps.read.outputs.names)"#);
    for (leaves_of, why) in [
        (
            "place: \"${{ 1 + 1 }}\", sets: { A: x }",
            "`place`: expected a text that names what is changed or read, got int `2`",
        ),
        (
            "place: entries of a, sets: \"${{ [1].map(|n| n) }}\"",
            "`sets`: expected a map of entries by name, got list `[1]`",
        ),
        ("place: entries of a, removes: \"${{ [1].map(|n| n) }}\"", "`removes`: expected names, got int `1`"),
        ("place: entries of a, sets: { A: \"${{ 1 / 0 }}\" }", "what it leaves behind can't be told: "),
    ] {
        let row = rehearse(&project(), &[&leaves("one", leaves_of), READ, &names].concat());
        let detail = row("one")["detail"].to_string();
        assert!(detail.contains(why), "{why}: {detail}");
        assert_unknown(&row("names"));
    }
    let one = leaves("one", "place: entries of a, sets: { A: x }");
    let script =
        ENTRIES.split("  script: |\n").nth(1).unwrap().split("outputs:\n  entries: \"${{ steps").next().unwrap();
    for (given, why) in [
        ("    1", "`script`: expected a map with `outputs`, got int `1`"),
        ("    #{ outputs: [] }", "`outputs`: expected a map of outputs by name, got list"),
        ("    #{ outputs: #{}, unknown: #{ entries: 1 } }", "`unknown`: expected lists of names, got int"),
        ("    #{ outputs: #{}, sets: #{} }", "this one gives `sets` as well"),
        ("    throw \"as an example\"", "as an example"),
    ] {
        let place = project();
        place.file("actions/entries.yaml", &ENTRIES.replace(script, &format!("{given}\n")));
        let row = rehearse(&place, &[&one, READ, &names].concat());
        assert!(said(&row("read")).starts_with("what is planned can't be laid over it: "), "{}", row("read"));
        assert!(said(&row("read")).contains(why), "{why}: {}", row("read"));
        assert_unknown(&row("names"));
    }
}

#[test]
fn what_is_laid_into_a_sealed_output_is_sealed_and_revealed_like_it() {
    let place = project();
    let sealed = ENTRIES
        .replace(
            "with: { path: in/entries.json }",
            "with: { path: in/entries.json, sealed: true }\n    outputs: { entries: \"${{ #{ A: result.text } }}\" }",
        )
        .replace("    outputs: { entries: \"${{ parse_json(result.text) }}\" }\n", "")
        .replace(
            "  entries: \"${{ steps.read.outputs.entries }}\"",
            "  entries: { value: \"${{ steps.read.outputs.entries }}\", sealed: true }",
        )
        .replace(", unknown: #{ entries: [\"HIDDEN\"] }", "");
    place.file("actions/entries.yaml", &sealed);
    let steps = [
        leaves(
            "one",
            "place: entries of a, sets: { NEW: plain-for-all-to-see, COPY: \"${{ steps.key.outputs.value }}\" }",
        ),
        READ.to_owned(),
        "  - { id: again, uses: entries }\n".to_owned(),
        "  - { id: open, uses: entries, reveal: [NEW] }\n".to_owned(),
        told("same", "same_as(steps.read.outputs.entries.NEW, steps.again.outputs.entries.NEW)"),
        told("other", "not(same_as(steps.read.outputs.entries.NEW, steps.read.outputs.entries.COPY))"),
        told("opened", "steps.open.outputs.entries.NEW == \"plain-for-all-to-see\""),
        told("copied", "same_as(steps.read.outputs.entries.COPY, steps.again.outputs.entries.COPY)"),
        "  - id: looked_into\n    script: \"steps.read.outputs.entries.NEW.len()\"\n    continue_on_failure: true\n"
            .to_owned(),
    ];
    let key = "  - id: key\n    uses: file.read\n    with: { path: in/key.txt, sealed: true }\n    outputs: { value: \"${{ result.text }}\" }\n";
    place.file("in/key.txt", "obviously-fake-key-1234");
    let row = rehearse(&place, &format!("{key}{}", steps.concat()));
    for known in ["same", "other", "opened", "copied"] {
        assert_eq!(said(&row(known)), "holds", "{known}: {}", row(known));
    }
    assert_eq!(row("looked_into")["kind"], "failed", "{}", row("looked_into"));
}

#[test]
fn what_is_read_as_planned_is_given_as_the_step_says() {
    let steps = "  - id: write\n    uses: file.write\n    with: { path: out/a.txt, text: hello }\n  - id: read\n    uses: file.read\n    with: { path: out/a.txt }\n    outputs: { said: \"${{ result.text }}\" }\n";
    let row = rehearse(&project(), &format!("{steps}{}", told("told", "steps.read.outputs.said == \"hello\"")));
    assert!(said(&row("read")).starts_with("as planned: "), "{}", row("read"));
    assert_eq!((said(&row("told")), row("told")["kind"].clone()), ("holds", json!("done")));
}
