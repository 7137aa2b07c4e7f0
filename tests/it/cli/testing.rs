//! `rerail test`: what holds, what doesn't, and how that is told.

#![expect(clippy::unwrap_used, reason = "a test that can't be set up has failed")]

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::cli::kit::{Done, Place};

/// Looks, sets, waits for it and tells; every kind of branch once.
const BOOK: &str = r#"version: 1
title: Set a variable
owner: platform
reviewed: 2026-11-01
inputs:
  url: { type: url, default: "https://api.example.com" }
steps:
  - id: look
    uses: http.probe
    with: { url: "${{ inputs.url }}/health" }
  - id: set
    if: not(steps.look.outputs.ok)
    uses: http.request
    with: { method: PUT, url: "${{ inputs.url }}/vars", json: { a: 1 }, repeatable: true, reason: the same value }
    retry: { attempts: 3, delay: 1m }
    undo:
      uses: http.request
      with: { method: DELETE, url: "${{ inputs.url }}/vars" }
  - id: well
    uses: http.probe
    with: { url: "${{ inputs.url }}/health" }
    until: result.ok
    every: 1m
    within: 1h
  - id: verdict
    findings:
      - when: steps.set.outcome == "done"
        level: warning
        say: It was set.
on_failure:
  - id: tell
    uses: run.note
    with: { text: it did not work }
outputs:
  well: "${{ steps.well.outputs.ok }}"
"#;

/// A project with the runbook above and tests for it.
fn place(tests: &str) -> Place {
    let place = Place::new();
    place.file("runbooks/book.yaml", BOOK);
    place.file("runbooks/book.test.yaml", &format!("version: 1\ntests:\n{tests}"));
    place
}

fn test(tests: &str, code: i32) -> Done {
    place(tests).run(&["test", "book"]).expect(code)
}

fn results(tests: &str) -> Value {
    let done = place(tests).run(&["test", "book", "--json"]);
    done.json()
}

/// The messages of all failures of the first test.
fn failures(tests: &str) -> Vec<String> {
    let json = results(tests);
    let failures = json["tests"][0]["failures"].as_array().unwrap();
    failures.iter().map(|failure| failure["problem"]["message"].as_str().unwrap().to_owned()).collect()
}

const WELL: &str = "{ ok: true, status: 200 }";
const ILL: &str = "{ ok: false, status: 502 }";

#[test]
fn a_test_that_holds_passes_in_no_time_however_long_its_run_waits() {
    let looks = format!("[{}{WELL}]", format!("{ILL}, ").repeat(50));
    let tests = format!(
        "  - name: it waits\n    mocks: {{ look: {ILL}, set: {{ status: 200 }}, well: {looks} }}\n    expect:\n      outputs: {{ well: true }}\n      \
         findings: [{{ level: warning, say: It was set. }}]\n      calls: {{ well: 51, set: 1 }}\n"
    );
    let began = Instant::now();
    let json = results(&tests);
    assert!(began.elapsed() < Duration::from_secs(60), "nothing really waits");
    assert_eq!((&json["failed"], &json["exit_code"]), (&json!(0), &json!(0)));
    assert_eq!(json["tests"][0]["virtual_ms"], json!(50 * 60_000));
}

#[test]
fn what_does_not_hold_is_shown_at_its_place() {
    let done = test(
        "  - name: wrong in many ways\n    mocks: { look: { ok: true }, well: { ok: true } }\n    expect:\n      outputs: { well: false }\n      exit: 12\n      \
         findings: [{ level: critical, say: Nothing. }]\n      steps: { set: done }\n      writes: [set]\n      calls: { http.probe: 1 }\n",
        11,
    );
    for part in [
        "error[E0501]: output `well` is `true`",
        "error[E0501]: the exit code is 0",
        "error[E0501]: the findings are others",
        "- critical: Nothing.",
        "error[E0501]: step `set` is `skipped`",
        "error[E0501]: the writes are others",
        "error[E0501]: `http.probe` was called twice",
        "runbooks/book.test.yaml:6:24",
        "1 of 1 test failed",
    ] {
        assert!(done.out.contains(part), "{part}:\n{}", done.out);
    }
}

#[test]
fn a_run_that_ends_otherwise_is_told_with_what_it_failed_at_and_the_rest_is_left_out() {
    let tests = format!(
        "  - name: broken\n    mocks: {{ look: {ILL}, set: {{ $outcome: failed, $error: no room }} }}\n    expect: {{ outputs: {{ well: true }} }}\n"
    );
    let done = test(&tests, 11);
    assert!(done.out.contains("the run is `failed`") && done.out.contains("step `set`: no room"), "{}", done.out);
    assert!(!done.out.contains("output `well`") && done.out.contains("1 other difference may follow"), "{}", done.out);
}

#[test]
fn a_call_that_nothing_answers_is_named_with_its_arguments_and_an_answer_to_paste() {
    let done = test(&format!("  - name: blind\n    mocks: {{ look: {ILL} }}\n"), 11);
    for part in [
        "error[E0502]: nothing answers `set` (http.request)",
        "http.request was called with",
        "method: PUT",
        "url: https://api.example.com/vars",
        "an answer under `mocks` could be",
        "set: { ",
        "status: 200",
    ] {
        assert!(done.out.contains(part), "{part}:\n{}", done.out);
    }
    // One that wants other arguments is pointed at.
    let other = format!(
        "  - name: choosy\n    mocks:\n      look: {ILL}\n      set: [{{ with: {{ method: POST }}, give: {{ status: 200 }} }}]\n"
    );
    let done = test(&other, 11);
    assert!(done.out.contains("wants other arguments") && done.out.contains("book.test.yaml:6:13"), "{}", done.out);
}

#[test]
fn the_proposed_answer_fits() {
    let place = place("  - name: blind\n    mocks: { look: { ok: false } }\n");
    let json = place.run(&["test", "book", "--json"]).expect(11).json();
    let notes = json["tests"][0]["failures"][0]["notes"].as_array().unwrap();
    let answer = notes.last().unwrap().as_str().unwrap().trim();
    place.file(
        "runbooks/book.test.yaml",
        &format!("version: 1\ntests:\n  - name: seeing\n    mocks:\n      look: {{ ok: false }}\n      well: {{ ok: true }}\n      {answer}\n"),
    );
    place.run(&["test", "book"]).expect(0);
}

#[test]
fn answers_are_chosen_by_arguments_and_taken_in_turn() {
    let tests = format!(
        "  - name: by arguments\n    inputs: {{ url: \"https://b.example.com\" }}\n    mocks:\n      http.probe:\n        - {{ with: {{ url: \"…a.example…\" }}, give: {WELL} }}\n        \
         - {{ with: {{ url: \"https://b…\" }}, give: [{ILL}, {ILL}, {WELL}] }}\n      set: {{ status: 200 }}\n    expect: {{ calls: {{ http.probe: 3 }}, steps: {{ set: done }} }}\n"
    );
    test(&tests, 0);
    // The step's own path comes before its action.
    let tests = format!(
        "  - name: by path\n    mocks: {{ http.probe: {ILL}, look: {WELL}, well: {WELL} }}\n    expect: {{ steps: {{ set: skipped }} }}\n"
    );
    let json = results(&tests);
    assert_eq!(json["failed"], json!(0), "{json}");
    assert_eq!(json["problems"][0]["code"], "W0505", "`http.probe` answered nothing: {json}");
}

#[test]
fn an_answer_that_nothing_asks_for_is_a_warning_and_a_failure_if_strict() {
    let tests = format!(
        "  - name: too much\n    mocks: {{ look: {WELL}, well: {WELL}, set: {{ status: 200 }} }}\n    approve: [set]\n"
    );
    let place = place(&tests);
    let done = place.run(&["test", "book"]).expect(0);
    assert!(done.out.contains("warning[W0505]: no call was answered by `set`"), "{}", done.out);
    assert!(done.out.contains("warning[W0505]: `set` asked nobody"), "{}", done.out);
    place.run(&["test", "book", "--strict"]).expect(11);
}

#[test]
fn a_crash_that_repeats_a_write_is_seen() {
    let mocks = format!("mocks: {{ look: {ILL}, set: {{ status: 200 }}, well: {WELL} }}");
    // Recorded before the crash: not sent again.
    test(
        &format!(
            "  - name: after\n    {mocks}\n    crash_after: set\n    expect: {{ calls: {{ set: 1 }}, outputs: {{ well: true }} }}\n"
        ),
        0,
    );
    // Sent and not recorded: a repeatable write goes out a second time, and the test says so.
    let during =
        format!("  - name: during\n    {mocks}\n    crash_during: set\n    expect: {{ calls: {{ set: 1 }} }}\n");
    assert_eq!(failures(&during), ["`set` was called twice"]);
    let nowhere = format!("  - name: nowhere\n    mocks: {{ look: {WELL}, well: {WELL} }}\n    crash_after: set\n");
    assert_eq!(failures(&nowhere), ["the run never came to the end of `set`, so nothing crashed"]);
}

/// A write that needs somebody, and a question.
const GATED: &str = r#"version: 1
title: Ask first
owner: platform
reviewed: 2026-11-01
steps:
  - id: sure
    uses: human.ask
    with: { text: "Which one?", choices: [blue, green], expires: 10m }
  - id: set
    approval: { by: [oncall], count: 2, expires: 20m }
    uses: http.request
    with: { method: POST, url: "https://api.example.com/${{ steps.sure.outputs.answer }}" }
"#;

fn gated(test: &str) -> Value {
    let place = Place::new();
    place.file("runbooks/gated.yaml", GATED);
    place.file(
        "runbooks/gated.test.yaml",
        &format!("version: 1\nmocks: {{ set: {{ status: 200 }} }}\ntests:\n  - name: people\n{test}"),
    );
    place.run(&["test", "gated", "--json"]).json()
}

#[test]
fn people_answer_agree_refuse_or_say_nothing() {
    let holds = |test: &str| {
        let json = gated(test);
        assert_eq!(json["failed"], json!(0), "{test}: {json:#}");
    };
    let sent = "expect: { writes: [{ set: { url: \"https://api.example.com/blue\" } }] }";
    holds(&format!("    answer: {{ sure: blue }}\n    approve: [set]\n    {sent}\n"));
    holds(&format!("    answer: {{ sure: blue }}\n    approve: {{ set: [bob, carla] }}\n    {sent}\n"));
    holds(
        "    answer: { sure: blue }\n    approve: { set: bob }\n    expect: { outcome: waiting, exit: 13, writes: [] }\n",
    );
    // Whoever starts it doesn't count.
    holds(
        "    operator: bob\n    answer: { sure: blue }\n    approve: { set: [bob, carla] }\n    expect: { outcome: waiting }\n",
    );
    holds(
        "    answer: { sure: blue }\n    reject: { set: too risky }\n    expect: { outcome: rejected, exit: 14, error: { message: \"…too risky…\" }, writes: [] }\n",
    );
    holds(
        "    answer: { sure: blue }\n    expire: [set]\n    expect: { outcome: rejected, error: { step: set, kind: expired } }\n",
    );
    holds("    expire: sure\n    expect: { outcome: rejected, error: { step: sure, kind: expired } }\n");
    let told = gated("    expect: { writes: [set] }\n").to_string();
    assert!(told.contains("the run is `waiting`") && told.contains("nothing about it under `answer`"), "{told}");
    let told = gated("    answer: { sure: red }\n").to_string();
    assert!(told.contains("expected one of blue, green, got `red`"), "{told}");
}

#[test]
fn a_doubt_stands_until_the_test_decides_it() {
    let place = Place::new();
    let book = BOOK
        .replace(", repeatable: true, reason: the same value", "")
        .replace("    retry: { attempts: 3, delay: 1m }\n", "");
    place.file("runbooks/book.yaml", &book);
    let tests = |decide: &str, expect: &str| {
        let mocks = format!(
            "mocks: {{ look: {ILL}, set: [{{ $outcome: in_doubt }}, {{ status: 200 }}], undo/set: {{ status: 200 }}, well: {WELL} }}"
        );
        place.file(
            "runbooks/book.test.yaml",
            &format!("version: 1\ntests:\n  - name: doubt\n    {mocks}\n{decide}    expect: {expect}\n"),
        );
        place.run(&["test", "book"]).expect(0);
    };
    tests("", "{ outcome: in_doubt, exit: 16, calls: { set: 1 } }");
    tests("    decide: { set: done }\n", "{ calls: { set: 1 }, steps: { set: done } }");
    tests("    decide: { set: not-done }\n", "{ calls: { set: 2 }, steps: { set: done } }");
    tests("    decide: { set: done }\n    undo: true\n", "{ undo: done, writes: [set, undo/set] }");
}

#[test]
fn what_takes_longer_than_its_limit_is_timed_out() {
    let place = Place::new();
    place.file(
        "runbooks/slow.yaml",
        "version: 1\ntitle: Slow\nowner: o\nreviewed: 2026-11-01\nsteps:\n  - id: look\n    uses: http.probe\n    timeout: 5s\n    \
         with: { url: \"https://api.example.com\" }\n  - id: now\n    uses: time.now\n",
    );
    place.file(
        "runbooks/slow.test.yaml",
        "version: 1\nat: 2026-03-01T12:00:00Z\ntests:\n  - name: in time\n    mocks: { look: { $takes: 4s, $outputs: { ok: true } } }\n    \
         expect: { calls: { time.now: 1 } }\n  - name: too slow\n    mocks: { look: { $takes: 6s, $outputs: { ok: true } } }\n    \
         expect: { outcome: failed, error: { step: look, kind: timeout } }\n",
    );
    let json = place.run(&["test", "slow", "--json"]).expect(0).json();
    assert_eq!((&json["tests"][0]["virtual_ms"], &json["tests"][1]["virtual_ms"]), (&json!(4000), &json!(5000)));
}

#[test]
fn coverage_counts_steps_and_both_sides_of_every_branch() {
    let one = format!("  - name: nothing to do\n    mocks: {{ look: {WELL}, well: {WELL} }}\n");
    let all = format!(
        "{one}  - name: everything\n    mocks: {{ look: {ILL}, set: [{{ $outcome: refused, $error: {{ kind: connect }} }}, {{ status: 200 }}], \
         undo/set: {{ status: 200 }}, well: [{ILL}, {WELL}] }}\n    undo: true\n    expect: {{ undo: done }}\n  - name: at once\n    \
         mocks: {{ look: {ILL}, set: {{ status: 200 }}, well: {WELL} }}\n  - name: fails\n    \
         mocks: {{ look: {{ $error: away }} }}\n    expect: {{ outcome: failed }}\n"
    );
    let counts = |tests: &str| {
        let json = results(tests);
        assert_eq!(json["failed"], json!(0), "{json:#}");
        let coverage = &json["coverage"][0];
        let count = |what: &str| (coverage[what]["seen"].as_u64().unwrap(), coverage[what]["all"].as_u64().unwrap());
        (count("steps"), count("branches"), coverage["unseen"].to_string())
    };
    // `if` and `retry` and `until` and `on_failure` have two sides each, and there is one `undo`.
    let (steps, branches, unseen) = counts(&one);
    assert_eq!((steps, branches), ((3, 5), (3, 9)), "{unseen}");
    assert!(unseen.contains("its `if` was never true") && unseen.contains("its `undo` never ran"), "{unseen}");
    let (steps, branches, unseen) = counts(&all);
    assert_eq!((steps, branches, unseen.as_str()), ((5, 5), (9, 9), "[]"));
    let place = place(&one);
    place.run(&["test", "book", "--min", "33"]).expect(0);
    let done = place.run(&["test", "book", "--min", "34"]).expect(11);
    assert!(done.out.contains("3 of 9 branches; expected 34 %"), "{}", done.out);
    let shown = place.run(&["test", "book", "--coverage"]).expect(0);
    assert!(shown.out.contains("set: never ran"), "{}", shown.out);
}

#[test]
fn expectations_are_written_anew_on_demand() {
    let place = place(&format!(
        "  - name: stale\n    mocks: {{ look: {ILL}, set: {{ status: 200 }}, well: {WELL} }}\n    expect:\n      exit: 12 # a comment stays\n      \
         findings: []\n      outputs:\n        well: false\n      writes: []\n      calls: {{ set: 7 }}\n"
    ));
    place.run(&["test", "book"]).expect(11);
    let done = place.run(&["test", "book", "--update"]);
    assert!(done.out.contains("updated runbooks/book.test.yaml"), "{}", done.out);
    place.run(&["test", "book"]).expect(0);
    let text = std::fs::read_to_string(place.path().join("runbooks/book.test.yaml")).unwrap();
    for line in [
        "exit: 0 # a comment stays",
        "findings: [{ level: warning, say: \"It was set.\" }]",
        "well: true",
        "writes: [set]",
        "{ set: 1 }",
    ] {
        assert!(text.contains(line), "{line}:\n{text}");
    }
}

#[test]
fn tests_are_chosen_by_name() {
    let tests = format!(
        "  - name: first\n    mocks: {{ look: {WELL}, well: {WELL} }}\n  - name: second\n    mocks: {{ look: {WELL}, well: {WELL} }}\n    expect: {{ exit: 1 }}\n"
    );
    let place = place(&tests);
    let names = |args: &[&str]| {
        let json = place.run(&[&["test", "--json"], args].concat()).json();
        json["tests"]
            .as_array()
            .unwrap()
            .iter()
            .map(|test| test["name"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&["-k", "first"]), ["first"]);
    assert_eq!(names(&["-k", "book: sec"]), ["second"]);
    assert_eq!(names(&["runbooks"]), ["first", "second"]);
    assert_eq!(names(&["./runbooks/book.yaml"]), ["first", "second"]);
    assert_eq!(names(&[]), ["first", "second"]);
    let none = place.run(&["test", "-k", "third"]).expect(2);
    assert!(none.err.contains("no test has `third` in its name"), "{}", none.err);
    place.run(&["test", "look"]).expect(2);
    place.run(&["test", "none.test.yaml"]).expect(2);
}

#[test]
fn a_test_file_is_no_runbook_and_is_checked_with_everything() {
    let place = place(
        "  - name: wrong\n    inputs: { ur: 1, url: nowhere }\n    mocks: { lok: { ok: true }, look: { okay: true, status: x } }\n    \
                       approve: [gone]\n    expect: { outputs: { wel: 1 }, steps: { sett: done }, calls: { http.prob: 1 } }\n",
    );
    let names = place.run(&["list", "--json"]).expect(0).json().to_string();
    assert!(!names.contains("book.test"), "{names}");
    let everything = place.run(&["check", "--json"]).expect(3).json();
    let alone = place.run(&["check", "runbooks/book.test.yaml", "--json"]).expect(3).json();
    let codes = |json: &Value| {
        let rows = json.as_array().unwrap().iter().filter(|row| row["path"] == "runbooks/book.test.yaml");
        rows.map(|row| format!("{} {}", row["code"].as_str().unwrap(), row["message"].as_str().unwrap()))
            .collect::<Vec<_>>()
    };
    assert_eq!(codes(&everything), codes(&alone));
    let told = codes(&alone).join("\n");
    for part in [
        "E0208 this runbook has no input `ur`",
        "E0206 input `url`",
        "E0503 this runbook has no step `lok`",
        "E0205 `http.probe` gives no `okay`",
        "E0206 output `status` of `http.probe`: expected int",
        "E0503 this runbook has no step `gone`",
        "E0205 this runbook has no output `wel`",
        "E0503 this runbook has no step `sett`",
        "E0503 this runbook has no step `http.prob`",
    ] {
        assert!(told.contains(part), "{part}:\n{told}");
    }
    assert!(
        alone.to_string().contains("did you mean `look`?") && alone.to_string().contains("did you mean `http.probe`?")
    );
    place.run(&["test", "book"]).expect(3);
    place.file("runbooks/nothing.test.yaml", "version: 1\ntests:\n  - name: x\n");
    let orphan = place.run(&["check", "runbooks/nothing.test.yaml"]).expect(3);
    assert!(orphan.out.contains("E0504") && orphan.out.contains("there is no runbook `nothing`"), "{}", orphan.out);
}

/// Files of this repository that are runbooks or actions for everybody, as they are shown.
fn shipped() -> Vec<String> {
    let files = ["runbooks", "stdlib"].into_iter().flat_map(crate::house::files_below);
    files.filter(|path| path.ends_with(".yaml")).map(|path| format!("embedded:{path}")).collect()
}

#[test]
fn every_step_of_what_is_shipped_is_tested_and_nearly_every_branch() {
    let mut command = Place::new().command(&["test", "tests/runbooks", "tests/stdlib", "--strict", "--json"]);
    let done = Done::of(command.current_dir(crate::house::root()).output().unwrap());
    assert_eq!(done.code, 0, "{}{}", done.out, done.err);
    let json = done.json();
    let mut seen = Vec::new();
    for file in json["coverage"].as_array().unwrap() {
        let count = |what: &str, of: &str| file[what][of].as_u64().unwrap();
        assert_eq!(count("steps", "seen"), count("steps", "all"), "{file:#}");
        assert!(count("branches", "seen") * 100 >= count("branches", "all") * 90, "{file:#}");
        seen.push(file["file"].as_str().unwrap().to_owned());
    }
    let untested: Vec<String> = shipped().into_iter().filter(|file| !seen.contains(file)).collect();
    assert!(untested.is_empty(), "without a test file: {untested:?}");
}
