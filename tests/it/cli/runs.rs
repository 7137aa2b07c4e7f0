//! Runs through the binary, without a terminal.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::Value as Json;

use crate::cli::kit::{Backend, Done, Place};

#[test]
fn a_diagnosis_ends_with_its_findings_and_their_exit_code() {
    let (place, backend) = (Place::new(), Backend::start());
    let done = place.run(&["run", "look", "-i", &backend.input(), "--incident", "INC-42"]).expect(12);
    insta::assert_snapshot!(done.shown());
    assert_eq!(place.run(&["run", "look", "-i", &backend.input(), "-i", "want=502"]).expect(0).code, 0);
}

#[test]
fn one_object_says_what_came_of_a_run() {
    let (place, backend) = (Place::new(), Backend::start());
    let done = place.run(&["run", "look", "-i", &backend.input(), "-o", "json"]).expect(12);
    assert_eq!(done.json()["exit_code"], 12);
    insta::assert_snapshot!(Done { err: String::new(), ..done }.shown());
}

#[test]
fn the_stream_of_a_run_is_its_transcript() {
    let (place, backend) = (Place::new(), Backend::start());
    let done = place.run(&["run", "look", "-i", &backend.input(), "-o", "jsonl"]).expect(12);
    let live = lines(&done.out);
    assert_eq!(live.first().unwrap()["type"], "run.started");
    assert_eq!(live.last().unwrap()["type"], "run.finished");
    assert_eq!(done.err, "");

    let stored = lines(&place.run(&["export", "@last", "--format", "jsonl"]).expect(0).out);
    assert_eq!(stored.len(), live.len());
    for (at, (live, stored)) in live.iter().zip(&stored).enumerate() {
        assert_eq!(stored["seq"], at);
        assert_eq!((&live["seq"], &live["type"], &live["run"]), (&stored["seq"], &stored["type"], &stored["run"]));
    }
    assert_eq!(stored[0]["prev"], Json::Null);
    for pair in stored.windows(2) {
        assert_eq!(pair[1]["prev"], pair[0]["hash"]);
    }
}

fn lines(text: &str) -> Vec<Json> {
    text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
}

#[test]
fn a_write_is_not_started_without_a_yes() {
    let (place, backend) = (Place::new(), Backend::start());
    insta::assert_snapshot!(place.run(&["run", "set", "-i", &backend.input()]).expect(2).shown());
    assert_eq!(backend.posted(), 0);
    assert_eq!(place.run(&["runs", "--json"]).expect(0).json(), serde_json::json!([]));
    place.run(&["run", "set", "-i", &backend.input(), "--yes"]).expect(0);
    assert_eq!(backend.posted(), 1);
}

#[test]
fn a_rehearsal_changes_nothing_and_says_so() {
    let (place, backend) = (Place::new(), Backend::start());
    insta::assert_snapshot!(place.run(&["run", "fix", "-i", &backend.input(), "--dry-run"]).expect(0).shown());
    place.run(&["run", "fix", "-i", &backend.input(), "--dry-run", "--detailed-exitcode"]).expect(20);
    place.run(&["run", "look", "-i", &backend.input(), "--dry-run", "--detailed-exitcode"]).expect(0);
    let plan = place.run(&["run", "fix", "-i", &backend.input(), "--dry-run", "--json"]).expect(0).json();
    assert_eq!((&plan["writes"], &plan["questions"]), (&Json::from(1), &Json::from(1)));
    assert_eq!(backend.posted(), 0);
    assert!(!place.path().join("state").exists(), "a rehearsal leaves no journal");
}

#[test]
fn wrong_inputs_are_named_all_at_once() {
    let done = Place::new().run(&["run", "look", "-i", "bse_url=x", "-i", "want=many"]).expect(2);
    insta::assert_snapshot!(done.shown());
}

#[test]
fn a_runbook_with_problems_is_drawn_and_not_started() {
    let place = Place::new();
    place.file("runbooks/broken.yaml", "version: 1\ntitle: x\nsteps:\n  - use: http.probe\n");
    let done = place.run(&["run", "broken"]).expect(3);
    assert!(done.err.contains("error[E0103]") && done.err.contains("runbooks/broken.yaml:4:5"), "{}", done.err);
}

#[test]
fn a_question_leaves_the_run_waiting_until_it_is_answered() {
    let (place, backend) = (Place::new(), Backend::start());
    let left = place.run(&["run", "fix", "-i", &backend.input(), "--yes", "-q"]).expect(13);
    insta::assert_snapshot!(left.shown());
    let run = place.last();
    let wrong = place.run(&["answer", &run, "answer=maybe"]).expect(2);
    assert!(wrong.err.contains("hint: choices: safe, not safe"), "{}", wrong.err);
    let kept = place.run(&["answer", &run, "answer=safe"]).expect(0);
    assert!(kept.err.contains(&format!("rerail resume {run}")), "{}", kept.err);
    let shown = place.run(&["show", &run]).expect(0);
    assert!(shown.out.contains("not taken up yet: answer `safe`"), "{}", shown.out);
    assert!(shown.out.contains("Answered, and not taken up yet: sure"), "{}", shown.out);
    assert!(!shown.out.contains("rerail answer"), "{}", shown.out);
    let listed = place.run(&["runs"]).expect(0);
    assert!(
        listed.err.contains(&format!("`sure` is answered, and not taken up yet; rerail resume {run}")),
        "{}",
        listed.err
    );
    assert_eq!(backend.posted(), 0);
    place.run(&["resume", &run]).expect(0);
    assert_eq!(backend.posted(), 1);
}

#[test]
fn a_swallowed_answer_leaves_the_outcome_unknown_and_both_decisions_work() {
    let (place, backend) = (Place::new(), Backend::start());
    let start = |expected| {
        place.run(&["run", "set", "-i", &backend.input(), "-i", "path=/swallow", "--yes", "-q"]).expect(expected)
    };
    insta::assert_snapshot!(start(16).shown());
    let run = place.last();
    insta::assert_snapshot!(place.run(&["show", &run]).expect(0).shown());
    assert!(place.run(&["runs", "--status", "in_doubt"]).expect(0).out.contains(&run));
    place.run(&["resume", &run, "--set-outcome", "set=done", "--reason", "saw it there"]).expect(0);
    assert_eq!(backend.posted(), 1, "what is settled as done is not sent again");

    start(16);
    assert_eq!(backend.posted(), 2);
    let run = place.last();
    // Sent again, and swallowed again: asked for again.
    place.run(&["resume", &run, "--set-outcome", "set=not-done", "--reason", "not there"]).expect(16);
    assert_eq!(backend.posted(), 3);
    place.run(&["resume", &run, "--skip", "set", "--reason", "set by hand"]).expect(0);
    assert_eq!(backend.posted(), 3);
}

#[test]
fn a_decision_needs_a_step_that_can_be_decided() {
    let (place, backend) = (Place::new(), Backend::start());
    place.run(&["run", "set", "-i", &backend.input(), "--yes", "-i", "well=false", "-q"]).expect(11);
    let wrong = place.run(&["resume", "@last", "--retry", "rigt", "--reason", "x"]).expect(2);
    assert!(wrong.err.contains("did you mean `right`?"), "{}", wrong.err);
    place.run(&["resume", "@last", "--retry", "set", "--reason", "x"]).expect(2);
    place.run(&["resume", "@last"]).expect(2);
    place.run(&["resume", "@last", "--skip", "right", "--reason", "known"]).expect(0);
}

#[test]
fn a_refused_write_fails_the_run_and_says_how_to_go_on() {
    let (place, backend) = (Place::new(), Backend::start());
    let done = place.run(&["run", "set", "-i", &backend.input(), "-i", "path=/no", "--yes", "-q"]).expect(10);
    insta::assert_snapshot!(done.shown());
}

#[test]
fn a_run_is_stopped_from_another_process_and_its_finally_runs() {
    let (place, backend) = (Place::new(), Backend::start());
    let mut child = place
        .command(&["run", "wait", "-i", &backend.input()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut progress = BufReader::new(child.stderr.take().unwrap());
    wait_for(&mut progress, "look 1");
    // What is read is committed within a second; until then nobody else knows of the run.
    while place.run(&["runs", "--json"]).json() == serde_json::json!([]) {}
    let busy = place.run(&["resume", "@last"]).expect(18);
    assert!(busy.err.contains("driven by") && busy.err.contains("--follow"), "{}", busy.err);
    assert!(!busy.err.contains("resuming"), "what is refused is not announced: {}", busy.err);
    place.run(&["note", "@last", "TODO: add an alert"]).expect(0);
    place.run(&["cancel", "@last", "--reason", "wrong target"]).expect(0);
    wait_for(&mut progress, "tidied up");
    assert_eq!(child.wait().unwrap().code(), Some(15));
    let page = place.run(&["export", "@last"]).expect(0).out;
    assert!(page.contains("- [ ] add an alert") && page.contains("wrong target"), "{page}");
    place.run(&["cancel", "@last"]).expect(2);
}

fn wait_for(progress: &mut impl BufRead, text: &str) {
    let mut line = String::new();
    while !line.contains(text) {
        line.clear();
        assert_ne!(progress.read_line(&mut line).expect("a pipe can be read"), 0, "`{text}` never came");
    }
}

#[test]
fn the_list_of_runs_is_an_array_of_plain_objects() {
    let (place, backend) = (Place::new(), Backend::start());
    place.run(&["run", "look", "-i", &backend.input(), "--incident", "INC-42", "-q"]).expect(12);
    insta::assert_snapshot!(place.run(&["runs", "--json"]).expect(0).shown());
    let table = place.run(&["runs"]).expect(0).out;
    let (heading, row) = table.split_once('\n').unwrap();
    let columns: Vec<&str> = heading.split_whitespace().collect();
    assert_eq!(columns, ["RUN", "STATUS", "TARGET", "BY", "STARTED", "TOOK", "INCIDENT"]);
    assert!(row.starts_with("look/") && row.contains("success") && row.ends_with("INC-42\n"), "{table}");
    assert_eq!(place.run(&["runs", "--json", "--runbook", "fix"]).expect(0).json(), serde_json::json!([]));
    assert_eq!(place.run(&["runs", "--json", "--since", "1h"]).expect(0).json().as_array().unwrap().len(), 1);
    assert_eq!(lines(&place.run(&["runs", "-o", "jsonl"]).expect(0).out).len(), 1);
}

#[test]
fn a_run_is_shown_whole_by_step_and_as_a_picture() {
    let (place, backend) = (Place::new(), Backend::start());
    place.run(&["run", "look", "-i", &backend.input(), "-q"]).expect(12);
    insta::assert_snapshot!(place.run(&["show"]).expect(0).shown());
    insta::assert_snapshot!(place.run(&["show", "--step", "facts"]).expect(0).shown());
    assert!(place.run(&["show", "--timeline", "--ascii"]).expect(0).out.contains("+ health "));
    let json = place.run(&["show", "--json"]).expect(0).json();
    assert_eq!(json["steps"][1]["outputs"]["tried"], serde_json::json!([1, 2, 3]));
    assert!(place.run(&["show", "--step", "fact"]).expect(2).err.contains("did you mean `facts`?"));
    assert_eq!(place.run(&["show", "--step", "facts", "--json"]).expect(0).json()["outcome"], "done");
}

#[test]
fn an_export_goes_to_a_new_file_only() {
    let (place, backend) = (Place::new(), Backend::start());
    place.run(&["run", "look", "-i", &backend.input(), "-q"]).expect(12);
    place.run(&["export", "@last", "--out", "pm.md"]).expect(0);
    let page = std::fs::read_to_string(place.path().join("pm.md")).unwrap();
    assert!(page.starts_with("# Look at a backend\n"), "{page}");
    let again = place.run(&["export", "@last", "--out", "pm.md"]).expect(1);
    assert!(again.err.contains("pm.md"), "{}", again.err);
}

#[test]
fn verify_finds_one_changed_byte() {
    let (place, backend) = (Place::new(), Backend::start());
    place.run(&["run", "look", "-i", &backend.input(), "-q"]).expect(12);
    let clean = place.run(&["verify"]).expect(0);
    assert!(clean.out.contains("1 run, "), "{}", clean.out);

    let database = std::fs::read_dir(place.path().join("state")).unwrap().flatten().map(|entry| entry.path());
    let database = database.into_iter().find(|path| path.extension().is_some_and(|name| name == "db")).unwrap();
    let db = rusqlite::Connection::open(database).unwrap();
    let forge = "UPDATE events SET body = replace(body, 'with 502.', 'with 402.')
                 WHERE body LIKE '%with 502.%'";
    assert_eq!(db.execute(forge, []).unwrap(), 1);
    drop(db);
    let damaged = place.run(&["verify", "--json"]).expect(5).json();
    assert_eq!(damaged["clean"], false);
    place.run(&["show"]).expect(5);
}

#[test]
fn a_secret_a_server_gives_back_is_nowhere_to_be_seen() {
    const SECRET: &str = "s3cr3t-\"token\"/with+signs";
    let (place, backend) = (Place::new(), Backend::start());
    place.file("targets/here.yaml", "version: 1\nsecrets:\n  TOKEN: { from: env, name: OWN_TOKEN }\n");
    place.file(
        "runbooks/echo.yaml",
        "version: 1\ntitle: Echo\nowner: o\nreviewed: 2026-11-01\ninputs:\n  base_url: { type: url }\nsecrets: [TOKEN]\nsteps:\n  - id: asked\n    uses: http.probe\n    with:\n      url: \"${{ inputs.base_url }}/echo?q=${{ url_encode(secrets.TOKEN) }}\"\n      headers: { Authorization: \"Bearer ${{ secrets.TOKEN }}\" }\n  - id: say\n    findings:\n      - when: steps.asked.outputs.ok\n        level: info\n        say: \"It said ${{ steps.asked.outputs.text }}\"\noutputs:\n  text: \"${{ steps.asked.outputs.text }}\"\n",
    );
    let mut seen = String::new();
    let mut look = |args: &[&str]| {
        let mut command = place.command(args);
        let output = command.env("OWN_TOKEN", SECRET).env("RERAIL_LOG", "trace").output().expect("the binary runs");
        let done = Done::of(output).expect(0);
        seen.extend([done.out, done.err]);
    };
    let input = backend.input();
    for form in ["human", "json", "jsonl"] {
        look(&["run", "echo", "-i", &input, "--target", "here", "-v", "-o", form]);
    }
    look(&["run", "echo", "-i", &input, "--target", "here", "--dry-run"]);
    look(&["show", "--json"]);
    look(&["export", "@last"]);
    look(&["export", "@last", "--format", "jsonl"]);
    assert!(seen.contains("[redacted:TOKEN]"), "the server's echo was read: {seen}");
    for form in [SECRET, r#"s3cr3t-\"token"#, "s3cr3t-%22token", "with+signs", "with%2Bsigns"] {
        assert!(!seen.contains(form), "{form} in {seen}");
    }
    for entry in std::fs::read_dir(place.path().join("state")).expect("there is a journal").flatten() {
        let Ok(bytes) = std::fs::read(entry.path()) else { continue };
        assert!(!String::from_utf8_lossy(&bytes).contains("s3cr3t-"), "{:?}", entry.path());
    }
}

#[test]
fn a_result_that_cannot_be_written_is_an_error() {
    let place = Place::new();
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let ended = place.command(&["list"]).stdout(full).output().unwrap();
    assert_eq!(ended.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&ended.stderr).contains("writing the result failed"));
}

#[test]
fn a_resumed_run_says_what_is_not_repeated_once_it_is_taken_up() {
    let (place, backend) = (Place::new(), Backend::start());
    place.run(&["run", "set", "-i", &backend.input(), "--yes", "-i", "well=false", "-q"]).expect(11);
    let ended = place.run(&["resume", "@last"]).expect(2);
    assert!(!ended.err.contains("resuming"), "{}", ended.err);
    let again = place.run(&["resume", "@last", "--retry", "right", "--reason", "known"]).expect(11);
    assert!(again.err.starts_with("resuming; 1 step done before are not repeated (set)\n"), "{}", again.err);
}

#[test]
fn secrets_that_cannot_be_read_are_named_all_at_once_with_the_cause() {
    let place = Place::new();
    place.file("empty", "\n");
    place.file(
        "targets/here.yaml",
        "version: 1\nsecrets:\n  A_TOKEN: { from: env }\n  B_TOKEN: { from: file, path: empty }\n  C_TOKEN: { from: file, path: gone }\n  D_TOKEN: { from: env }\n",
    );
    place.file(
        "runbooks/four.yaml",
        "version: 1\ntitle: Four\nowner: o\nreviewed: 2026-11-01\nsecrets: [A_TOKEN, B_TOKEN, C_TOKEN, D_TOKEN]\nsteps:\n  - uses: http.probe\n    with:\n      url: https://api.example.com\n      headers: { a: \"${{ secrets.A_TOKEN }}\", b: \"${{ secrets.B_TOKEN }}\", c: \"${{ secrets.C_TOKEN }}\", d: \"${{ secrets.D_TOKEN }}\" }\n",
    );
    let output = place.command(&["run", "four", "--target", "here"]).env("D_TOKEN", "").output().unwrap();
    let done = Done::of(output).expect(2);
    for cause in [
        "secret A_TOKEN comes from the environment variable A_TOKEN, not set",
        "secret B_TOKEN comes from empty, which is empty",
        "secret C_TOKEN can't be read from gone: ",
        "secret D_TOKEN comes from the environment variable D_TOKEN, which is empty",
        "hint: `rerail doctor --target NAME`",
    ] {
        assert!(done.err.contains(cause), "{cause}: {}", done.err);
    }
}

#[test]
fn a_number_where_a_text_is_wanted_comes_with_the_way_to_write_it() {
    let place = Place::new();
    let book = |text: &str| {
        let front = "version: 1\ntitle: Say\nowner: o\nreviewed: 2026-11-01\nsteps:\n";
        let steps = format!(
            "  - id: seen\n    script: \"parse_json(\\\"{{\\\\\\\"n\\\\\\\": 7}}\\\")\"\n  - uses: run.note\n    with: {{ text: \"{text}\" }}\n"
        );
        place.file("runbooks/say.yaml", &format!("{front}{steps}"));
    };
    book("${{ steps.seen.outputs.n }}");
    let done = place.run(&["run", "say"]).expect(10);
    assert!(done.err.contains("expected string, got int 7; `.to_string()` makes a text of it"), "{}", done.err);
    book("${{ steps.seen.outputs.n.to_string() }}");
    assert!(place.run(&["run", "say"]).expect(0).err.contains("note: 7"));
}

#[test]
fn an_error_is_an_object_for_programs_and_leaves_the_result_empty() {
    let place = Place::new();
    place.file("runbooks/broken.yaml", "version: 1\ntitle: x\nsteps:\n  - use: http.probe\n");
    for (args, code) in [(&["show", "zzzzzz"][..], 2), (&["run", "broken"], 3), (&["describe", "nothing"], 2)] {
        let done = place.run(&[args, &["-o", "json"]].concat()).expect(code);
        assert_eq!(done.out, "", "{args:?}");
        let error: Json = serde_json::from_str(done.err.lines().last().unwrap()).expect("the last line is JSON");
        assert_eq!(error["error"]["exit_code"], code, "{args:?}");
        assert!(error["error"]["message"].as_str().is_some_and(|text| !text.is_empty()), "{error}");
    }
    let done = place.run(&["run", "broken", "-o", "json"]);
    let error: Json = serde_json::from_str(&done.err).expect("all of it is JSON");
    assert_eq!(
        (&error["error"]["problems"][0]["code"], &error["error"]["problems"][0]["line"]),
        (&"E0103".into(), &4.into())
    );
}

#[test]
fn what_was_found_is_told_once_also_without_a_terminal() {
    let (place, backend) = (Place::new(), Backend::start());
    let done = place.run(&["run", "look", "-i", &backend.input()]).expect(12);
    assert_eq!((done.out.matches("It answers with 502.").count(), done.err.matches("It answers").count()), (1, 0));
    assert!(done.err.contains("verdict       finding: critical"), "{}", done.err);
}
