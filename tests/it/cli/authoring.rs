//! What an author uses: checks of any file, schemas, SARIF, new files.

use crate::cli::kit::Place;

const BROKEN: &str = "version: 1\ntitle: x\nsteps:\n  - use: http.probe\n";

#[test]
fn check_reads_each_file_as_what_it_is() {
    let place = Place::new();
    place.file("targets/production.yaml", "version: 1\nsecrets: { A_TOKEN: { from: env } }\n");
    place.file("actions/team/restart.yaml", "version: 1\ntitle: x\nsteps:\n  - uses: time.now\n");
    place.file("modules/text.rhai", "fn shout(t) { t + \"!\" }\n");
    place.file("drafts/target.yaml", "version: 1\nallow_hosts: [a.example.com]\n");
    place
        .file("drafts/book.yaml", "version: 1\ntitle: x\nowner: o\nreviewed: 2026-11-01\nsteps:\n  - uses: time.now\n");
    for path in [
        "targets/production.yaml",
        "actions/team/restart.yaml",
        "modules/text.rhai",
        "rerail.yaml",
        "./drafts/target.yaml",
        "drafts/book.yaml",
        ".",
        "team.restart",
        "production",
        "look",
    ] {
        let done = place.run(&["check", path]).expect(0);
        assert!(done.out.starts_with("no problems in "), "{path}: {}", done.out);
    }
    assert!(place.run(&["check", "."]).expect(0).out.contains("no problems in 10 files"));

    place.file("targets/production.yaml", "version: 1\nsecrets: [A]\n");
    place.file("actions/team/restart.yaml", BROKEN);
    place.file("modules/text.rhai", "let x = 1;\n");
    place.file("drafts/target.yaml", "version: 1\nallow_hosts: [\"*\"]\n");
    for (path, code) in [
        ("targets/production.yaml", "E0107"),
        ("actions/team/restart.yaml", "E0103"),
        ("modules/text.rhai", "E0221"),
        ("drafts/target.yaml", "E0105"),
        ("team.restart", "E0103"),
    ] {
        let rows = place.run(&["check", path, "--json"]).expect(3).json();
        assert_eq!(rows.as_array().unwrap().len(), 1, "{path}: {rows}");
        assert_eq!(rows[0]["code"], code, "{path}");
    }
    let all: Vec<String> = {
        let rows = place.run(&["check", ".", "--json"]).expect(3).json();
        rows.as_array().unwrap().iter().map(|row| row["path"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(all.len(), 4, "{all:?}");
}

#[test]
fn check_finds_modules_nobody_imports_and_files_with_impossible_names() {
    let place = Place::new();
    place.file("modules/alone.rhai", "fn f( {\n");
    let done = place.run(&["check"]).expect(3);
    assert!(done.out.contains("modules/alone.rhai"), "{}", done.out);
    let place = Place::new();
    place.file("actions/Restart.yaml", "version: 1\ntitle: x\nsteps:\n  - uses: time.now\n");
    let done = place.run(&["check", "actions/Restart.yaml"]).expect(3);
    assert!(done.out.contains("E0105") && done.out.contains("actions/Restart.yaml"), "{}", done.out);
}

#[test]
fn check_of_what_has_no_file_says_why() {
    let place = Place::new();
    let done = place.run(&["check", "http.probe"]).expect(2);
    assert!(done.err.contains("built in") && done.err.contains("rerail actions http.probe"), "{}", done.err);
    assert!(place.run(&["check", "lok"]).expect(2).err.contains("did you mean `look`?"));
    assert!(place.run(&["check", "nowhere/x.yaml"]).expect(2).err.contains("nowhere/x.yaml"));
}

#[test]
fn a_runbook_nobody_keeps_true_is_warned_of_in_check_and_not_when_it_is_needed() {
    let place = Place::new();
    place.file("runbooks/orphan.yaml", "version: 1\ntitle: x\nowner: o\nsteps:\n  - uses: time.now\n");
    let rows = place.run(&["check", "orphan", "--json"]).expect(0).json();
    assert_eq!(
        (&rows[0]["code"], &rows[0]["line"], &rows[0]["severity"]),
        (&"W0407".into(), &2.into(), &"warning".into())
    );
    assert!(rows[0]["message"].as_str().unwrap().ends_with("no `reviewed`"), "{rows}");
    let ran = place.run(&["run", "orphan"]).expect(0);
    assert!(!ran.err.contains("reviewed") && !ran.out.contains("reviewed"), "{}", ran.shown());
    // Actions are looked after with the runbooks that call them.
    place.file("actions/bare.yaml", "version: 1\ntitle: x\nsteps:\n  - uses: time.now\n");
    assert_eq!(place.run(&["check", "bare", "--json"]).expect(0).json(), serde_json::json!([]));
}

#[test]
fn check_skips_hidden_folders() {
    let place = Place::new();
    place.file(".github/workflows/ci.yml", "on: push\n");
    place.run(&["check", "."]).expect(0);
}

#[test]
fn sarif_comes_from_check_and_only_from_there() {
    let place = Place::new();
    place.file("runbooks/broken.yaml", BROKEN);
    let log = place.run(&["check", "-o", "sarif"]).expect(3).json();
    assert_eq!(log["version"], "2.1.0");
    let result = &log["runs"][0]["results"][0];
    assert_eq!((&result["ruleId"], &result["level"]), (&"E0103".into(), &"error".into()));
    let place_of = &result["locations"][0]["physicalLocation"];
    assert_eq!(place_of["artifactLocation"]["uri"], "runbooks/broken.yaml");
    assert_eq!(place_of["region"]["startLine"], 4);
    let done = place.run(&["list", "-o", "sarif"]).expect(2);
    assert!(done.err.contains("only `check` writes SARIF"), "{}", done.err);
    place.file("rerail.yaml", "version: 1\nnonsense: 1\n");
    let log = place.run(&["check", "-o", "sarif"]).expect(3).json();
    assert_eq!(log["runs"][0]["results"][0]["ruleId"], "E0103");
}

#[test]
fn schema_knows_the_actions_of_the_project() {
    let place = Place::new();
    place.file(
        "actions/team/look.yaml",
        "version: 1\ntitle: Look\ninputs:\n  url: { type: url, description: Where }\nsteps:\n  - uses: time.now\n",
    );
    let schema = place.run(&["schema"]).expect(0).json();
    assert_eq!(schema["$schema"], "http://json-schema.org/draft-07/schema#");
    assert_eq!(schema["definitions"]["with team.look"]["properties"]["url"]["description"], "Where");
    for kind in ["runbook", "action", "target", "project"] {
        let schema = place.run(&["schema", kind]).expect(0).json();
        assert_eq!(schema["title"], format!("rerail {kind}, version 1"));
    }
    assert_eq!(place.run(&["schema", "nonsense"]).expect(2).out, "");
}

#[test]
fn what_new_writes_passes_check_and_runs() {
    let place = Place::new();
    for (kind, name, path) in [
        ("runbook", "restart-api", "runbooks/restart-api.yaml"),
        ("action", "team.web.look", "actions/team/web/look.yaml"),
        ("target", "staging", "targets/staging.yaml"),
    ] {
        let done = place.run(&["new", kind, name]).expect(0);
        let test = path.replace(".yaml", ".test.yaml");
        let tested = kind != "target";
        let wrote = if tested { format!("wrote {path}\nwrote {test}\n") } else { format!("wrote {path}\n") };
        assert_eq!(done.out, wrote);
        if tested {
            place.run(&["check", &test, "--deny", "warnings"]).expect(0);
            place.run(&["test", name, "--strict", "--min", "100"]).expect(0);
        }
        assert!(done.err.contains(&format!("rerail check {name}")), "{}", done.err);
        let checked = place.run(&["check", name, "--deny", "warnings"]).expect(0);
        assert!(checked.out.contains("no problems"), "{}", checked.out);
        let text = std::fs::read_to_string(place.path().join(path)).unwrap();
        assert!(text.starts_with("# yaml-language-server: $schema=../"), "{text}");
        // A second one is refused, and the first is as it was.
        let again = place.run(&["new", kind, name]).expect(2);
        assert!(again.err.contains("already"), "{}", again.err);
        assert_eq!(std::fs::read_to_string(place.path().join(path)).unwrap(), text);
        assert!(place.path().join(format!(".rerail/{kind}.v1.schema.json")).is_file());
    }
    // Nothing answers there: it finds that out, and that is a success.
    let done = place.run(&["run", "restart-api", "-i", "url=http://127.0.0.1:1/"]).expect(0);
    assert!(done.out.contains("does not answer"), "{}", done.shown());
    place.run(&["run", "restart-api", "--target", "staging", "--dry-run", "-i", "url=http://127.0.0.1:1/"]).expect(0);
}

#[test]
fn a_new_project_runs_at_once() {
    let place = Place::new();
    let done = place.run(&["new", "project", "book"]).expect(0);
    assert_eq!(
        done.out,
        "wrote book/rerail.yaml\nwrote book/runbooks/first-look.yaml\nwrote book/runbooks/first-look.test.yaml\nwrote book/targets/example.yaml\n"
    );
    let inside = |args: &[&str]| {
        let mut command = place.command(args);
        crate::cli::kit::Done::of(command.current_dir(place.path().join("book")).output().unwrap())
    };
    assert!(inside(&["check", "--deny", "warnings"]).expect(0).out.contains("no problems"));
    inside(&["check", ".", "--deny", "warnings"]).expect(0);
    inside(&["run", "first-look"]).expect(0);
    assert!(inside(&["test", "--min", "100", "--strict"]).expect(0).out.contains("2 tests passed"));
    assert!(place.run(&["new", "project", "book"]).expect(2).err.contains("`rerail.yaml` is there already"));
}

#[test]
fn new_needs_a_project_and_a_usable_name() {
    let place = Place::new();
    let refused = |args: &[&str], why: &str| {
        let done = place.run(args).expect(2);
        assert!(done.err.contains(why), "{args:?}: {}", done.err);
    };
    refused(&["new", "runbook", "Restart API"], "must be kebab-case");
    refused(&["new", "action", "restart-api"], "must be dotted snake_case");
    refused(&["new", "action", "http.probe"], "there is an action `http.probe` already");
    refused(&["new", "runbook", "demo"], "there is a runbook `demo` already");
    refused(&["new", "target", "../x"], "must be kebab-case");
    std::fs::remove_file(place.path().join("rerail.yaml")).unwrap();
    refused(&["new", "runbook", "x"], "there is no project here");
}

#[test]
fn every_action_has_an_example_that_check_accepts() {
    let place = Place::new();
    place.file(
        "actions/team/look.yaml",
        "version: 1\ntitle: Look\ninputs:\n  url: { type: url }\n  mode: { type: choice, choices: [fast, slow] }\n  deep: { type: bool, default: false }\nsteps:\n  - uses: run.note\n    with: { text: \"${{ inputs.url }} ${{ inputs.mode }} ${{ inputs.deep }}\" }\n",
    );
    let all = place.run(&["actions", "--json"]).expect(0).json();
    for action in all.as_array().unwrap() {
        let docs = action["docs"].as_str().unwrap();
        let example = docs.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next());
        assert!(example.is_some_and(|example| example.contains("uses: ")), "{}: {docs}", action["name"]);
    }
    let look = place.run(&["actions", "team.look", "--json"]).expect(0).json();
    assert_eq!((&look["arguments"][1]["choices"][0], &look["repeat"]), (&"fast".into(), &serde_json::Value::Null));
    let example = look["docs"].as_str().unwrap().split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    let steps: String = example.lines().map(|line| format!("  {line}\n")).collect();
    place
        .file("runbooks/tried.yaml", &format!("version: 1\ntitle: x\nowner: o\nreviewed: 2026-11-01\nsteps:\n{steps}"));
    place.run(&["check", "tried", "--deny", "warnings"]).expect(0);
    let shown = place.run(&["actions", "http.request"]).expect(0).out;
    assert!(shown.contains("sent again only if its arguments allow it") && shown.contains("(GET, HEAD, "), "{shown}");
}
