//! Success and failure of each command that drives no run.

use crate::cli::kit::{Backend, Place};

#[test]
fn list_shows_runbooks_with_what_they_may_do() {
    let place = Place::new();
    let done = place.run(&["list", "OWN-look"]).expect(0);
    insta::assert_snapshot!(done.shown());
    let rows = place.run(&["list", "--json"]).expect(0).json();
    let look = rows.as_array().unwrap().iter().find(|row| row["name"] == "look").unwrap();
    insta::assert_snapshot!(serde_json::to_string_pretty(look).unwrap());
    assert_eq!(place.run(&["list", "nothing", "like", "this", "--json"]).expect(0).json(), serde_json::json!([]));
}

#[test]
fn list_names_files_with_problems_instead_of_failing() {
    let place = Place::new();
    place.file("runbooks/broken.yaml", "version: 1\ntitle: x\nsteps:\n  - use: http.probe\n");
    let done = place.run(&["list"]).expect(0);
    assert!(done.out.contains("broken") && done.out.contains("(has problems)"), "{}", done.out);
    assert!(done.err.contains("rerail check"), "{}", done.err);
}

#[test]
fn describe_says_what_a_runbook_means_needs_and_may_change() {
    let place = Place::new();
    insta::assert_snapshot!(place.run(&["describe", "look"]).expect(0).shown());
    let json = place.run(&["describe", "fix", "--json"]).expect(0).json();
    assert_eq!(json["steps"][1]["effect"], "write");
    assert_eq!(json["steps"][1]["if"], r#"steps.sure.outputs.answer == "safe""#);
}

#[test]
fn describe_says_how_often_and_how_long_a_step_runs() {
    let place = Place::new();
    let text = "version: 1
title: Rounds
timeout: 10m
concurrency: { group: \"rounds-${{ run.target }}\", if_busy: wait }
steps:
  - id: rounds
    foreach: 1..=3
    max_parallel: 2
    uses: http.probe
    with: { url: \"https://example.com\" }
    retry: { attempts: 3, on: [dns, \"5xx\"] }
    timeout: 5s
    within: 1m
  - id: hosts
    foreach: [a, b]
    steps:
      - { id: look, uses: runbook, with: { name: look, inputs: { base_url: \"https://example.com\" } } }
";
    place.file("runbooks/rounds.yaml", text);
    let shown = place.run(&["describe", "rounds"]).expect(0).out;
    for line in [
        "timeout   10m",
        "group     rounds-${{ run.target }}, wait if busy",
        "http.probe   foreach 1..=3   max_parallel 2   retry 3 attempts on dns, 5xx   timeout 5s   within 1m",
        "steps   foreach [a, b]",
        "runbook look",
    ] {
        assert!(shown.contains(line), "{line}\n{shown}");
    }
    let json = place.run(&["describe", "rounds", "--json"]).expect(0).json();
    assert_eq!(json["concurrency"]["if_busy"], "wait");
    assert_eq!(json["steps"][0]["foreach"], "1..=3");
    assert_eq!(json["steps"][1]["steps"][0]["what"], "runbook look");
}

#[test]
fn an_unknown_runbook_gets_the_nearest_name() {
    let done = Place::new().run(&["describe", "lok"]).expect(2);
    assert_eq!(done.err, "error: there is no runbook `lok`\nhint: did you mean `look`?\n");
}

#[test]
fn check_is_clean_or_draws_every_problem_and_exits_3() {
    let place = Place::new();
    let clean = place.run(&["check"]).expect(0);
    assert_eq!(clean.err, "");
    place.file("runbooks/broken.yaml", "version: 1\ntitle: x\nsteps:\n  - use: http.probe\n");
    insta::assert_snapshot!(place.run(&["check", "broken"]).expect(3).shown());
    let rows = place.run(&["check", "runbooks", "--json"]).expect(3).json();
    assert_eq!(rows[0]["path"], "runbooks/broken.yaml");
    assert_eq!(rows[0]["code"], "E0103");
}

#[test]
fn check_fails_on_warnings_only_if_asked_to() {
    let place = Place::new();
    place.file(
        "runbooks/warned.yaml",
        "version: 1\ntitle: x\nowner: o\nreviewed: 2026-11-01\ninputs:\n  unused: { type: string }\nsteps:\n  - uses: time.now\n",
    );
    place.run(&["check", "warned"]).expect(0);
    place.run(&["check", "warned", "--deny", "warnings"]).expect(3);
}

#[test]
fn check_looks_at_the_project_file_targets_and_uncalled_actions_too() {
    let place = Place::new();
    place.file("actions/team/broken.yaml", "version: 1\ntitle: x\nsteps:\n  - use: http.probe\n");
    place.file("targets/production.yaml", "version: 1\nnonsense: 1\n");
    let done = place.run(&["check"]).expect(3);
    assert!(done.out.contains("actions/team/broken.yaml"), "{}", done.out);
    assert!(done.out.contains("targets/production.yaml"), "{}", done.out);
    place.file("rerail.yaml", "version: 1\nnonsense: 1\n");
    assert!(place.run(&["check"]).expect(3).out.contains("rerail.yaml"));
}

#[test]
fn actions_are_listed_and_explained() {
    let place = Place::new();
    place.file(
        "actions/team/look.yaml",
        "version: 1\ntitle: Look the team's way\ninputs:\n  url: { type: url, description: Where }\nsteps:\n  - id: p\n    uses: http.probe\n    with: { url: \"${{ inputs.url }}\" }\noutputs:\n  ok: \"${{ steps.p.outputs.ok }}\"\n",
    );
    let rows = place.run(&["actions", "--json"]).expect(0).json();
    let names: Vec<&str> = rows.as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"http.probe") && names.contains(&"team.look"), "{names:?}");
    insta::assert_snapshot!(place.run(&["actions", "team.look"]).expect(0).shown());
    let wrong = place.run(&["actions", "http.prob"]).expect(2);
    assert!(wrong.err.contains("did you mean `http.probe`?"), "{}", wrong.err);
}

#[test]
fn version_names_the_formats() {
    let json = Place::new().run(&["version", "--json"]).expect(0).json();
    assert_eq!(json["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(json["events"], 1);
}

#[test]
fn a_run_that_is_not_there_is_wrong_usage_everywhere() {
    let place = Place::new();
    for args in [
        &["show", "zzzzzz"][..],
        &["resume", "zzzzzz"],
        &["cancel", "zzzzzz"],
        &["answer", "zzzzzz", "answer=x"],
        &["note", "zzzzzz", "x"],
        &["export", "zzzzzz"],
        &["verify", "zzzzzz"],
    ] {
        let done = place.run(args).expect(2);
        assert!(done.err.starts_with("error: no run `zzzzzz`\nhint: "), "{args:?}: {}", done.err);
    }
    assert!(place.run(&["runs", "--status", "bad"]).expect(2).err.contains("in_doubt"));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let place = Place::new();
    let mut child = place
        .command(&["actions", "--json"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8(output.stderr).unwrap()), (Some(0), String::new()));
}

#[test]
fn the_log_goes_to_standard_error_and_only_when_asked_for() {
    let place = Place::new();
    let backend = Backend::start();
    let loud =
        place.command(&["run", "look", "-i", &backend.input(), "-q"]).env("RERAIL_LOG", "trace").output().unwrap();
    assert_eq!(loud.status.code(), Some(12));
    assert!(!String::from_utf8_lossy(&loud.stdout).contains("TRACE"));
    let wrong = place.command(&["list"]).env("RERAIL_LOG", "rerail=loud").output().unwrap();
    assert_eq!(wrong.status.code(), Some(2));
}
