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
    place.file("drafts/book.yaml", "version: 1\ntitle: x\nsteps:\n  - uses: time.now\n");
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
