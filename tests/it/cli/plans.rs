//! Saved plans through the binary: made, applied once, refused when anything they say is no longer so.

use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use crate::cli::kit::{Backend, Done, Place};
use crate::cli::people::{As, Team};

/// Writes what it has read in one place, beside something it has read that nothing hangs on.
const COPY: &str = r#"
version: 1
title: Copy a value
owner: platform
reviewed: 2026-11-01
inputs:
  name: { type: string, default: one }
  fails: { type: bool, default: false }
steps:
  - id: wanted
    uses: file.read
    with: { path: in/wanted.txt }
  - id: beside
    uses: file.read
    with: { path: in/beside.txt }
  - id: copy
    uses: file.write
    with: { path: "out/${{ inputs.name }}.txt", text: "${{ steps.wanted.outputs.text }}" }
  - id: right
    assert:
      - that: not(inputs.fails)
        else: it is not right
on_failure:
  - id: back
    uses: file.write
    with: { path: out/back.txt, text: "after ${{ run.failed_step }}" }
"#;

/// The same behind an approval.
fn guarded() -> String {
    COPY.replace("  - id: right", "    approval: oncall\n  - id: right")
}

fn project() -> Place {
    let place = Place::new();
    furnish(&place);
    place.file("rerail.yaml", "version: 1\nallow:\n  file_write: [out]\n");
    place
}

fn furnish(place: &Place) {
    place.file("runbooks/copy.yaml", COPY.trim_start());
    place.file("in/wanted.txt", "first");
    place.file("in/beside.txt", "left");
    place.file("out/.keep", "");
}

fn plan(place: &Place, more: &[&str]) -> Done {
    place.run(&[&["plan", "copy", "--out", "copy.plan"], more].concat())
}

fn apply(place: &Place, more: &[&str]) -> Done {
    place.run(&[&["apply", "copy.plan", "--yes"], more].concat())
}

fn written(place: &Place, name: &str) -> Option<String> {
    std::fs::read_to_string(place.path().join("out").join(name)).ok()
}

fn runs(place: &Place) -> usize {
    place.run(&["runs", "--json"]).json().as_array().unwrap().len()
}

#[track_caller]
fn refused(done: Done, code: i32, says: &str) -> Done {
    let done = done.expect(code);
    assert!(done.err.contains(says), "expected {says:?}:\n{}", done.err);
    assert!(done.err.contains("hint: "), "a way out: {}", done.err);
    done
}

#[test]
fn what_is_planned_is_done_as_it_stands_and_remembered() {
    let place = project();
    let made = plan(&place, &[]).expect(0);
    assert!(made.out.contains("Only if it fails: on_failure/back (file.write, write)"), "{}", made.out);
    assert!(made.out.contains("file out/one.txt"), "{}", made.out);
    assert!(made.err.contains("rerail apply copy.plan"), "{}", made.err);
    assert_eq!((written(&place, "one.txt"), runs(&place)), (None, 0));
    let mode = std::fs::metadata(place.path().join("copy.plan")).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0, "{mode:o}");

    let done = apply(&place, &[]).expect(0);
    assert!(done.err.contains("Saved plan"), "{}", done.err);
    assert_eq!(written(&place, "one.txt").as_deref(), Some("first"));
    let shown = place.run(&["show"]).expect(0);
    assert!(shown.out.contains("applies plan"), "{}", shown.out);
    let recorded = place.run(&["show", "--json"]).json();
    assert!(recorded["plan"]["digest"].as_str().unwrap().starts_with("sha256:"), "{recorded}");
    let same = place.run(&["diff", "copy.plan", "@last", "--exit-code"]).expect(0);
    assert!(same.out.contains("all that the plan says was done"), "{}", same.out);
    place.run(&["verify"]).expect(0);
}

#[test]
fn a_world_that_has_moved_is_told_by_path_and_nothing_is_started() {
    let place = project();
    plan(&place, &[]).expect(0);
    place.file("in/wanted.txt", "second");
    let done = refused(apply(&place, &[]), 17, "the plan is out of date");
    assert!(done.out.contains("with.text: \"first\" → \"second\""), "{}", done.out);
    assert!(done.out.contains("wanted") && done.out.contains("text: \"first\" → \"second\""), "{}", done.out);
    assert_eq!((written(&place, "one.txt"), runs(&place)), (None, 0));
    let json = place.run(&["apply", "copy.plan", "--yes", "--json"]).expect(17).json();
    assert_eq!(json["moved"]["writes"][0], json!({ "step": "copy", "how": ["with.text: \"first\" → \"second\""] }));
    assert_eq!(json["moved"]["reads"][0]["step"], "wanted");

    // As it was again, it is the plan again; what nothing hangs on is told and no more.
    place.file("in/wanted.txt", "first");
    place.file("in/beside.txt", "right");
    let done = apply(&place, &[]).expect(0);
    assert!(
        done.err.contains("what is written is the same") && done.err.contains("\"left\" → \"right\""),
        "{}",
        done.err
    );
    assert_eq!(written(&place, "one.txt").as_deref(), Some("first"));
    let differs = place.run(&["diff", "copy.plan", "@last", "--exit-code", "--json"]).expect(21).json();
    assert_eq!((&differs["moved"]["writes"], &differs["moved"]["reads"][0]["step"]), (&json!([]), &json!("beside")));
}

#[test]
fn a_plan_is_spent_once_it_was_done_and_not_before() {
    let place = project();
    plan(&place, &[]).expect(0);
    // Declined, because nobody can be asked: nothing was done, so nothing is spent.
    refused(place.run(&["apply", "copy.plan"]), 2, "nobody can be asked");
    apply(&place, &[]).expect(0);
    let by = place.last();
    let done = refused(apply(&place, &[]), 17, "the plan is spent");
    assert!(done.err.contains(&format!("copy/{by}")), "{}", done.err);
    assert_eq!(runs(&place), 1);
    apply(&place, &["--again"]).expect(0);
    assert_ne!(place.last(), by);
    assert_eq!(runs(&place), 2);
    place.run(&["verify"]).expect(0);
}

#[test]
fn what_it_depends_on_is_named_when_it_is_another_one() {
    let place = project();
    plan(&place, &[]).expect(0);
    let keep = std::fs::read_to_string(place.path().join("copy.plan")).unwrap();
    place.file("runbooks/copy.yaml", &format!("{}# a comment\n", COPY.trim_start()));
    let done = refused(apply(&place, &[]), 17, "has changed since: runbooks/copy.yaml");
    assert!(!done.err.contains("rerail.yaml"), "{}", done.err);
    place.file("runbooks/copy.yaml", COPY.trim_start());
    place.file("rerail.yaml", "version: 1\nallow:\n  file_write: [out, in]\n");
    refused(apply(&place, &[]), 17, "has changed since: rerail.yaml");
    place.file("rerail.yaml", "version: 1\nallow:\n  file_write: [out]\n");

    // Another store, another directory, and a plan that is none.
    let elsewhere = Done::of(
        place
            .command(&["apply", "copy.plan", "--yes"])
            .env("RERAIL_STATE_DIR", place.path().join("other"))
            .output()
            .unwrap(),
    );
    refused(elsewhere, 3, "was made with another store");
    let edited = keep.replace("\"first\"", "\"other\"");
    assert_ne!(edited, keep);
    place.file("copy.plan", &edited);
    refused(apply(&place, &[]), 3, "it was edited");
    place.file("copy.plan", &keep[..keep.len() / 2]);
    refused(apply(&place, &[]), 3, "is no plan");
    place.file("copy.plan", "");
    place.run(&["apply", "copy.plan", "--yes"]).expect(3);
    place.run(&["apply", "missing.plan", "--yes"]).expect(2);
    place.file("copy.plan", &keep);
    std::fs::rename(place.path().join("runbooks"), place.path().join("moved")).unwrap();
    place.run(&["apply", "copy.plan", "--yes"]).expect(2);
    std::fs::rename(place.path().join("moved"), place.path().join("runbooks")).unwrap();
    assert_eq!((written(&place, "one.txt"), runs(&place)), (None, 0));
    apply(&place, &[]).expect(0);
}

#[test]
fn a_plan_belongs_to_its_directory_and_to_its_time() {
    let place = project();
    plan(&place, &["--expires", "1s"]).expect(0);
    let made = std::fs::read_to_string(place.path().join("copy.plan")).unwrap();
    let made: serde_json::Value = serde_json::from_str(&made).unwrap();
    let expires: jiff::Timestamp = made["plan"]["expires"].as_str().unwrap().parse().unwrap();
    while jiff::Timestamp::now() < expires {
        std::thread::yield_now();
    }
    refused(apply(&place, &[]), 17, "the plan expired at");
    plan(&place, &[]).expect(0);
    let other = project();
    let from = |file: &str| {
        let args = ["apply", file, "--yes"];
        Done::of(other.command(&args).env("RERAIL_STATE_DIR", place.path().join("state")).output().unwrap())
    };
    refused(from(place.path().join("copy.plan").to_str().unwrap()), 17, "was made in");
    for wrong in ["0s", "31d", "soon"] {
        plan(&place, &["--expires", wrong]).expect(2);
    }
}

#[test]
fn only_a_plan_is_written_over_and_only_by_one_that_came_to_an_end() {
    let place = project();
    place.file("copy.plan", "my notes");
    refused(plan(&place, &[]), 2, "is there and is no plan");
    assert_eq!(std::fs::read_to_string(place.path().join("copy.plan")).unwrap(), "my notes");
    std::fs::remove_file(place.path().join("copy.plan")).unwrap();
    plan(&place, &["--detailed-exitcode"]).expect(20);
    plan(&place, &["-i", "name=two"]).expect(0);
    assert!(std::fs::read_to_string(place.path().join("copy.plan")).unwrap().contains("out/two.txt"));
    let before = std::fs::read(place.path().join("copy.plan")).unwrap();
    refused(plan(&place, &["-i", "fails=true"]), 11, "no plan was saved");
    assert_eq!(std::fs::read(place.path().join("copy.plan")).unwrap(), before);
    let saved = plan(&place, &["--json"]).expect(0).json();
    assert_eq!((&saved["saved"]["complete"], &saved["saved"]["radius"]["writes"]), (&json!(true), &json!(1)));
    assert_eq!(saved["saved"]["if_it_fails"][0]["step"], "on_failure/back");
}

#[test]
fn what_has_to_be_approved_still_is_by_somebody_else() {
    let team = Team::new();
    furnish(&team.place);
    team.place.file("runbooks/copy.yaml", guarded().trim_start());
    team.people(|text| format!("{text}allow:\n  file_write: [out]\n"));
    As(&team, "ana").run(&["plan", "copy", "--out", "copy.plan"]).expect(0);
    // Made by one, applied by another.
    As(&team, "ben").run(&["apply", "copy.plan", "--yes"]).expect(13);
    let run = team.place.last();
    let asked = As(&team, "cleo").run(&["approvals", "--json"]).json();
    let change = asked[0]["change"].as_str().unwrap().to_owned();
    assert_eq!((written(&team.place, "one.txt"), asked[0]["run"].as_str()), (None, Some(run.as_str())));
    refused(As(&team, "cleo").run(&["apply", "copy.plan", "--yes"]), 18, "is applying this plan");
    As(&team, "ben").run(&["approve", &run, "--yes", "--change", &change]).expect(4);
    As(&team, "cleo").run(&["approve", &run, "--yes", "--change", &change]).expect(0);
    As(&team, "ben").run(&["resume", &run]).expect(0);
    assert_eq!(written(&team.place, "one.txt").as_deref(), Some("first"));
    let recorded = As(&team, "ana").run(&["show", &run, "--json"]).json();
    assert_eq!((recorded["operator"].as_str(), recorded["plan"]["by"]["id"].as_str()), (Some("ben"), Some("ana")));
}

#[test]
fn a_secret_is_in_no_plan_and_a_destructive_one_wants_its_name() {
    let place = Place::new();
    let backend = Backend::start();
    place.file("token.txt", "obviously-fake-token-1234");
    place.file(
        "targets/here.yaml",
        "version: 1\ntitle: Here\nsecrets:\n  TOKEN: { from: file, path: token.txt, hosts: [127.0.0.1] }\n",
    );
    place.file(
        "runbooks/drop.yaml",
        r#"version: 1
title: Drop it
owner: platform
reviewed: 2026-11-01
inputs:
  base_url: { type: url }
secrets: [TOKEN]
steps:
  - id: seen
    uses: http.request
    with:
      method: GET
      url: "${{ inputs.base_url }}/echo"
      headers: { authorization: "${{ secrets.TOKEN }}" }
      sealed: [json.path]
  - id: drop
    uses: http.request
    with:
      method: DELETE
      url: "${{ inputs.base_url }}/echo/all"
      headers: { authorization: "Bearer ${{ secrets.TOKEN }}", x-seen: "${{ steps.seen.outputs.json.path }}" }
    effect: destructive
"#,
    );
    let input = backend.input();
    let args = ["plan", "drop", "--out", "drop.plan", "--target", "here", "-i", &input];
    place.run(&args).expect(0);
    let text = std::fs::read_to_string(place.path().join("drop.plan")).unwrap();
    assert!(!text.contains("obviously-fake") && text.contains("$secret") && text.contains("fingerprint"), "{text}");
    assert!(!text.contains("\"/echo\""), "what was sealed is in the plan:\n{text}");
    refused(place.run(&["apply", "drop.plan", "--yes"]), 2, "it may destroy something");
    place.run(&["apply", "drop.plan", "--confirm", "there"]).expect(2);
    // Sealed values have the same fingerprint in every run of a store.
    place.run(&["apply", "drop.plan", "--confirm", "here"]).expect(0);
    place.run(&["verify"]).expect(0);
    let shown = place.run(&["show", "--json"]).expect(0);
    assert!(!shown.out.contains("obviously-fake"), "{}", shown.out);
}

#[test]
fn a_rehearsal_shows_what_would_be_different_and_what_later_reads_would_find() {
    let place = project();
    place.file("out/app.conf", "port = 80\nhost = a\n");
    place.file(
        "runbooks/configure.yaml",
        r#"version: 1
title: Configure it
owner: platform
reviewed: 2026-11-01
steps:
  - id: change
    uses: file.write
    with: { path: ./out/app.conf, text: "port = 8080\nhost = a\n" }
  - id: seen
    uses: file.read
    with: { path: out/app.conf }
  - id: other
    uses: file.read
    with: { path: in/wanted.txt }
  - id: copy
    uses: file.write
    with: { path: out/copy.conf, text: "${{ steps.seen.outputs.text }}" }
  - id: told
    uses: http.request
    with: { method: POST, url: "http://127.0.0.1:9/told", json: { a: 1 } }
    continue_on_failure: true
  - id: forgotten
    uses: file.read
    with: { path: out/app.conf }
"#,
    );
    let plan = place.run(&["run", "configure", "--dry-run", "--json"]).expect(0).json();
    let row = |step: &str| {
        let rows = plan["steps"].as_array().unwrap().iter();
        rows.clone().find(|row| row["step"] == step).unwrap_or_else(|| panic!("no {step} in {plan}")).clone()
    };
    assert_eq!(row("change")["detail"], json!(["- port = 80", "+ port = 8080"]));
    assert_eq!((&row("change")["repeat"], &row("told")["repeat"]), (&json!("repeatable"), &json!("once")));
    assert!(row("seen")["summary"].as_str().unwrap().starts_with("as planned: "), "{}", row("seen"));
    assert!(row("other")["summary"].as_str().unwrap().starts_with("now: "), "{}", row("other"));
    // What it would write is known, because what it reads is.
    assert_eq!(row("copy")["detail"], json!(["+ port = 8080", "+ host = a"]));
    assert_eq!(row("told")["detail"], json!(["body: 7 bytes of application/json, sha256 015abd7f5cc5…"]));
    // Nobody knows what a request does to a file.
    assert!(row("forgotten")["summary"].as_str().unwrap().starts_with("now: "), "{}", row("forgotten"));
    assert_eq!((plan["complete"].as_bool(), plan["unknown"].as_u64()), (Some(true), Some(0)));
    assert_eq!(written(&place, "app.conf").as_deref(), Some("port = 80\nhost = a\n"));
}

#[test]
fn what_may_not_happen_leaves_nothing_to_read_and_a_diff_shows_no_secret() {
    let place = project();
    place.file("token.txt", "obviously-fake-token-1234");
    place.file("out/old.txt", "obviously-fake-token-1234\nthe rest\n");
    place.file("targets/here.yaml", "version: 1\ntitle: Here\nsecrets:\n  TOKEN: { from: file, path: token.txt }\n");
    place.file(
        "runbooks/configure.yaml",
        r#"version: 1
title: Configure it
owner: platform
reviewed: 2026-11-01
secrets: [TOKEN]
steps:
  - id: first
    uses: file.write
    with: { path: out/old.txt, text: "new" }
  - id: maybe
    if: steps.first.outcome == "done"
    uses: file.write
    with: { path: out/old.txt, text: "newer" }
  - id: seen
    uses: file.read
    with: { path: out/old.txt }
"#,
    );
    let done = place.run(&["run", "configure", "--dry-run", "--target", "here"]).expect(0);
    assert!(!done.out.contains("obviously-fake") && !done.err.contains("obviously-fake"), "{}{}", done.out, done.err);
    assert!(done.out.contains("- the rest") && done.out.contains("+ new"), "{}", done.out);
    assert!(!done.out.contains("as planned"), "{}", done.out);
}
