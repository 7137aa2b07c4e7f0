//! What planned sets and removals leave for the reads behind them, and that a plan which builds on it is done as it stands.

use serde_json::{Value as Json, json};

use super::kit::{assert_no_secret, assert_no_secret_below, broken, target};
use crate::binary::kit::Place;
use crate::world::railway::{Railway, State, id};

/// A set, a removal, and what is read and done behind them. What stands at `MORE` is done at the end.
const RUNBOOK: &str = r#"
version: 1
title: Set, read, and go on
owner: tests
reviewed: 2026-11-01
secrets: [OTHER_KEY]
steps:
  - id: source
    uses: railway.variables
    with: { service: Postgres, place: data }
  - id: now
    uses: railway.variables
    with: { AT }
  - id: set
    uses: railway.set_variables
    with:
      AT
      values:
        JWT_COPY: "${{ steps.source.outputs.values.JWT_SECRET }}"
        KEY: "${{ secrets.OTHER_KEY }}"
        JOINED: "${{ steps.source.outputs.values.JWT_SECRET + \"-and-more\" }}"
        COUNTED: plain-for-all-to-see
  - id: unset
    uses: railway.unset_variables
    with: { AT, names: [OLD, NOT_THERE] }
  - id: read
    uses: railway.variables
    with: { AT, unrendered: true }
"#;

/// Sets again what was read behind the first set.
const AGAIN: &str = r#"
  - id: again
    uses: railway.set_variables
    with:
      AT
      values:
        FROM_SET: "${{ steps.read.outputs.values.JWT_COPY }}"
        FROM_SECRET: "${{ steps.read.outputs.values.KEY }}"
        FROM_JOINED: "${{ steps.read.outputs.values.JOINED }}"
        FROM_PLAIN: "${{ steps.read.outputs.values.COUNTED }}"
        FROM_BEFORE: "${{ steps.read.outputs.values.SENTRY_DSN }}"
        JWT_COPY: "${{ steps.read.outputs.names.join(\",\") }}"
"#;

const KEY: &str = "hunter2-other-key-example";

fn world(change: impl FnOnce(&mut State)) -> Railway {
    let mut state = broken(false);
    state.service("backend").variables.insert("OLD".into(), "hunter2-old-example".into());
    change(&mut state);
    Railway::serve(state)
}

fn place(railway: &Railway, more: &str) -> Place {
    let place = Place::new();
    std::fs::write(place.beside("home").join("other"), KEY).unwrap();
    let home = place.beside("home");
    let source =
        format!("  OTHER_KEY: {{ from: file, path: {}/other, hosts: [127.0.0.1] }}\nproviders:", home.display());
    let target = target(railway, &home).replacen("providers:", &source, 1);
    let at = format!("service: \"{}\", environment: \"{}\", place: main", id(0x5, 1), id(0xe, 1));
    let text = format!("{RUNBOOK}{}", more.trim_start_matches('\n'));
    let text = text
        .replace("{ AT", &format!("{{ {at}"))
        .replace("      AT\n", &format!("      {}\n", at.replace(", ", "\n      ")));
    place.file("targets/here.yaml", target).file("runbooks/one.yaml", text.trim_start())
}

fn plan(place: &Place) -> Json {
    let made = place.ask(&["plan", "one", "--target", "here", "--out", "one.plan", "-o", "json"]);
    assert_no_secret("what is said of the plan", made.stdout.as_bytes());
    assert_no_secret("the plan", &std::fs::read(place.project().join("one.plan")).unwrap_or_default());
    made.exits(0).json()
}

fn row(plan: &Json, step: &str) -> Json {
    let rows = plan["steps"].as_array().unwrap();
    rows.iter().find(|row| row["step"] == step).unwrap_or_else(|| panic!("{step}: {plan:#}")).clone()
}

/// Nobody knows what this read will give.
#[track_caller]
fn assert_untold(row: &Json) {
    assert!(row["summary"].as_str().unwrap().contains("names [unknown: known after"), "{row:#}");
}

#[test]
fn a_set_that_builds_on_what_a_planned_one_leaves_is_planned_and_applied_as_it_stands() {
    let railway = world(|_| ());
    let place = place(&railway, AGAIN);
    let plan = plan(&place);
    assert_eq!((&plan["complete"], railway.effects("set")), (&json!(true), 0), "{plan:#}");
    assert_eq!(row(&plan, "read")["summary"], "as planned: COUNTED, JOINED, JWT_COPY, KEY set; OLD removed");
    let again = row(&plan, "again")["summary"].to_string();
    assert!(again.contains("set already: JWT_COPY"), "{again}");
    assert_eq!(plan["saved"]["open"], json!([]), "{plan:#}");

    place.ask(&["apply", "one.plan", "--yes"]).exits(0);
    let set = railway.state().service("backend").variables.clone();
    let source = railway.state().service("Postgres").variables.clone();
    assert_eq!((set["FROM_SET"].as_str(), set["FROM_SECRET"].as_str()), (source["JWT_SECRET"].as_str(), KEY));
    assert_eq!(set["FROM_JOINED"], format!("{}-and-more", source["JWT_SECRET"]));
    assert_eq!(
        (set["FROM_PLAIN"].clone(), set["FROM_BEFORE"].clone()),
        (set["COUNTED"].clone(), set["SENTRY_DSN"].clone())
    );
    assert!(!set.contains_key("OLD") && set["JWT_COPY"].contains("COUNTED,"), "{set:?}");
    assert_eq!(railway.effects("set"), 2);
    assert_no_secret_below(place.state());
}

#[test]
fn a_plain_text_that_is_planned_is_no_secret_of_the_plan() {
    let railway = world(|_| ());
    let more = AGAIN.replace("FROM_PLAIN:", "NUMBER: 12345678\n        FROM_PLAIN:");
    let place = place(&railway, &more);
    let path = place.project().join("runbooks/one.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    // What is computed stands in no text of the run.
    std::fs::write(
        path,
        text.replace("plain-for-all-to-see", "\"computed-${{ steps.now.outputs.names.len() }}-example\""),
    )
    .unwrap();
    assert_eq!(plan(&place)["complete"], json!(true));
}

const RENDERED: &str = r#"
  - id: written
    uses: railway.set_variables
    with:
      AT
      values: { REFERRING: "$${{ KEPT }}" }
  - id: rendered
    uses: railway.variables
    with: { AT }
  - id: told
    assert:
      - that: not("OLD" in steps.rendered.outputs.names) && "REFERRING" in steps.rendered.outputs.names
      - that: same_as(steps.rendered.outputs.values.JWT_COPY, steps.source.outputs.values.JWT_SECRET)
      - that: same_as(steps.rendered.outputs.values.KEPT, steps.now.outputs.values.KEPT)
  - id: of_a_reference
    assert:
      - that: same_as(steps.rendered.outputs.values.LINKED, steps.now.outputs.values.LINKED)
  - id: of_a_planned_reference
    assert:
      - that: same_as(steps.rendered.outputs.values.REFERRING, steps.now.outputs.values.KEPT)
"#;

#[test]
fn what_refers_to_other_variables_is_unknown_until_it_is_rendered_anew() {
    let railway = world(|state| {
        let variables = &mut state.service("backend").variables;
        variables.insert("KEPT".into(), "hunter2-kept-example".into());
        variables.insert("LINKED".into(), "https://${{OLD}}.example.com".into());
    });
    let plan = plan(&place(&railway, RENDERED));
    let told = |step: &str| row(&plan, step)["summary"].as_str().unwrap().to_owned();
    assert_eq!(told("told"), "holds");
    assert!(told("of_a_reference").contains("can't be told"), "{plan:#}");
    assert!(told("of_a_planned_reference").contains("can't be told"), "{}", told("of_a_planned_reference"));
}

#[test]
fn behind_a_write_that_says_nothing_of_it_nothing_is_as_planned() {
    let deploy = "\n  - id: deploy\n    uses: railway.deploy\n    with: { AT, grace: 20ms }\n";
    let read = "  - { id: later, uses: railway.variables, with: { AT, unrendered: true } }\n";
    let railway = world(|_| ());
    let plan = plan(&place(&railway, &format!("{deploy}{read}{AGAIN}")));
    assert!(row(&plan, "read")["summary"].as_str().unwrap().starts_with("as planned"));
    assert_untold(&row(&plan, "later"));
    // What was read before that is still as it was planned; what the action itself would read is not.
    assert_untold(&row(&plan, "again/before"));
}

#[test]
fn another_service_is_not_covered_by_what_is_planned_for_this_one() {
    let worker = format!("service: \"{}\", environment: \"{}\", place: main", id(0x5, 3), id(0xe, 1));
    let railway = world(|_| ());
    let more = format!("  - {{ id: other, uses: railway.variables, with: {{ {worker} }} }}\n");
    let plan = plan(&place(&railway, &more));
    assert_untold(&row(&plan, "other"));
}
