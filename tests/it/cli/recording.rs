//! `rerail record` and `rerail replay`: real runs become tests that pass and hold no secret, and changed runbooks are
//! asked whether they would have decided the same.

#![expect(clippy::unwrap_used, reason = "a test that can't be set up has failed")]

use crate::cli::kit::{Backend, Place};

/// Records the last run as the test file of a runbook, in a folder of its own.
fn record(place: &Place, runbook: &str) -> String {
    let file = format!("recorded/runbooks/{runbook}.test.yaml");
    std::fs::create_dir_all(place.path().join("recorded/runbooks")).unwrap();
    drop(std::fs::remove_file(place.path().join(&file)));
    place.run(&["record", "@last", "--out", &file]).expect(0);
    std::fs::read_to_string(place.path().join(&file)).unwrap()
}

/// Runs a runbook, records it, and runs the record.
fn round_trip(place: &Place, arguments: &[&str]) -> String {
    let runbook = arguments[0];
    place.run(&[&["run"], arguments].concat());
    let text = record(place, runbook);
    let done = place.run(&["test", &format!("recorded/runbooks/{runbook}.test.yaml"), "--strict"]);
    assert_eq!(done.code, 0, "{arguments:?}\n{}\n{}\n{text}", done.out, done.err);
    assert!(done.out.contains("1 test passed"), "{}", done.out);
    // By its own texts and by those there are, all is decided the same.
    place.run(&["replay", "@last"]).expect(0);
    place.run(&["replay", "@last", "--against", runbook]).expect(0);
    text
}

#[test]
fn runs_of_shipped_runbooks_become_tests_that_pass() {
    let (place, backend) = (Place::new(), Backend::start());
    let base = backend.input();
    let health = format!("url={}/health", backend.url);
    for ill in [true, false] {
        if !ill {
            place.run(&["run", "set", "-i", &base, "--yes"]).expect(0);
        }
        round_trip(&place, &["backend-down", "-i", &base]);
        round_trip(&place, &["verify-deployment", "-i", &base, "-i", "within=2s", "-i", "samples=3"]);
        round_trip(&place, &["maintenance-weekly", "-i", &base, "-i", "hosts=127.0.0.1"]);
        round_trip(&place, &["cors-errors", "-i", &base, "-i", "origins=https://app.example.com"]);
        let text = round_trip(&place, &["watch", "-i", &health, "-i", "every=1ms", "-i", "looks=4"]);
        assert!(text.contains(if ill { "Down: " } else { "Steady: 4 looks" }), "{text}");
    }
}

#[test]
fn people_writes_and_failures_are_recorded() {
    let (place, backend) = (Place::new(), Backend::start());
    let base = backend.input();
    // It waits for an answer, which a test says nothing about.
    let waiting = round_trip(&place, &["fix", "-i", &base, "--yes"]);
    assert!(waiting.contains("outcome: waiting") && waiting.contains("exit: 13"), "{waiting}");
    place.run(&["answer", "@last", "sure=safe"]).expect(0);
    place.run(&["resume", "@last"]).expect(0);
    let answered = record(&place, "fix");
    assert!(answered.contains("sure: safe") && answered.contains("writes:\n        - set"), "{answered}");
    place.run(&["test", "recorded/runbooks/fix.test.yaml", "--strict"]).expect(0);

    let refused = round_trip(&place, &["set", "-i", &base, "-i", "path=/no", "--yes"]);
    assert!(refused.contains("$outcome: refused") && refused.contains("step: set"), "{refused}");
    let doubt = round_trip(&place, &["set", "-i", &base, "-i", "path=/swallow", "--yes"]);
    assert!(doubt.contains("$outcome: in_doubt") && doubt.contains("exit: 16"), "{doubt}");
    place.run(&["resume", "@last", "--set-outcome", "set=done", "--reason", "seen"]).expect(0);
    let decided = record(&place, "set");
    assert!(decided.contains("decide:\n      set: done"), "{decided}");
    place.run(&["test", "recorded/runbooks/set.test.yaml", "--strict"]).expect(0);
}

#[test]
fn no_secret_is_in_a_recorded_file() {
    const VALUE: &str = "hunter2-hunter2-hunter2";
    let (place, backend) = (Place::new(), Backend::start());
    place.file("token", VALUE);
    place.file("targets/here.yaml", "version: 1\nsecrets: { API_TOKEN: { from: file, path: token } }\n");
    place.file(
        "runbooks/echo.yaml",
        "version: 1\ntitle: Echo\nowner: o\nreviewed: 2026-11-01\ninputs: { base_url: { type: url } }\nsecrets: [API_TOKEN]\nsteps:\n  - id: plain\n    uses: http.probe\n    \
         with: { url: \"${{ inputs.base_url }}/echo\", headers: { Authorization: \"Bearer ${{ secrets.API_TOKEN }}\" } }\n  - id: closed\n    uses: http.probe\n    \
         with: { url: \"${{ inputs.base_url }}/echo-sealed-path\", sealed: [json.path] }\n  - id: opened\n    uses: http.probe\n    \
         with: { url: \"${{ inputs.base_url }}/echo-revealed-path\", sealed: [json.path] }\n    reveal: [path]\n  - id: sent\n    uses: http.request\n    \
         with: { method: POST, url: \"${{ inputs.base_url }}/vars\", headers: { X-Value: \"${{ steps.closed.outputs.json.path }}\" }, json: { seen: \"${{ steps.opened.outputs.json.path }}\" } }\n\
         outputs:\n  seen: \"${{ steps.opened.outputs.json.path }}\"\n",
    );
    let text = round_trip(&place, &["echo", "-i", &backend.input(), "--target", "here", "--yes"]);
    for secret in [VALUE, "/echo-sealed-path", "/echo-revealed-path"] {
        // Addresses that the runbook itself asks are no secrets; here they are what is answered.
        assert!(!text.contains(&format!("path: \"{secret}\"")) && !text.contains(VALUE), "{text}");
    }
    assert!(
        text.contains("path: fake-path") && text.contains("target: here") && text.contains("seen: fake-path"),
        "{text}"
    );
}

#[test]
fn what_can_not_be_recorded_is_said() {
    let (place, backend) = (Place::new(), Backend::start());
    place.file(
        "runbooks/shaped.yaml",
        "version: 1\ntitle: Shaped\nowner: o\nreviewed: 2026-11-01\ninputs: { base_url: { type: url } }\nsteps:\n  - id: look\n    uses: http.probe\n    \
         with: { url: \"${{ inputs.base_url }}/health\" }\n    outputs: { fine: \"${{ result.ok }}\" }\n",
    );
    place.run(&["run", "shaped", "-i", &backend.input()]).expect(0);
    let done = place.run(&["record", "@last"]).expect(0);
    assert!(done.err.contains("`look` gives `outputs` of its own"), "{}", done.err);
    // Nothing is overwritten.
    place.file("there.test.yaml", "mine");
    place.run(&["record", "@last", "--out", "there.test.yaml"]).expect(1);
    assert_eq!(std::fs::read_to_string(place.path().join("there.test.yaml")).unwrap(), "mine");
    let json = place.run(&["record", "@last", "--json"]).expect(0).json();
    assert_eq!((&json["tests"], &json["file"]), (&"shaped".into(), &serde_json::Value::Null));
    assert!(json["text"].as_str().unwrap().contains("as in shaped/"), "{json}");
}

#[test]
fn a_changed_runbook_is_asked_where_it_first_differs() {
    let (place, backend) = (Place::new(), Backend::start());
    place.run(&["run", "look", "-i", &backend.input()]).expect(12);
    let text = std::fs::read_to_string(place.path().join("runbooks/look.yaml")).unwrap();
    // Other words for people decide nothing else.
    place.file("runbooks/look.yaml", &text.replace("title: Look at a backend", "title: Another title"));
    let same = place.run(&["replay", "@last", "--against", "look"]).expect(0);
    assert!(same.out.contains("is decided the same, on 1 recorded answer"), "{}", same.out);
    place.file("runbooks/look.yaml", &text.replace("timeout: 5s", "timeout: 6s"));
    let other = place.run(&["replay", "@last", "--against", "look"]).expect(21);
    for part in ["decided otherwise at step `health`, event 1", "-   timeout: 5s", "+   timeout: 6s"] {
        assert!(other.out.contains(part), "{part}\n{}", other.out);
    }
    place.file("runbooks/look.yaml", &text.replace("- id: facts", "- id: pause\n    uses: time.now\n  - id: facts"));
    let json = place.run(&["replay", "@last", "--against", "./runbooks/look.yaml", "--json"]).expect(21).json();
    assert_eq!(json["differs"]["step"], "facts", "{json}");
    assert!(json["differs"]["decided"].to_string().contains("step: pause"), "{json}");
    // The run itself has not changed, whatever its file says now.
    place.run(&["replay", "@last"]).expect(0);
    place.file("runbooks/look.yaml", "version: 1\n");
    place.run(&["replay", "@last", "--against", "look"]).expect(3);
    place.run(&["replay", "@last", "--against", "nothing"]).expect(2);
}
