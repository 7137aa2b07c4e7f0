//! What `docs/` says is held to the program: examples are checked and run, keys are all there, promises name tests
//! that exist.
//!
//! In `docs/language.md` a block with a path is a file of one project; `version: 1 # runs: ARGUMENTS` starts it as well,
//! `# runs, exit N` says how it ends. A block of `yaml` without a path is a fragment: a list of steps.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use regex_lite::Regex;
use rerail::runbook::contexts::{
    ALERT_FIELDS, EACH_FIELDS, FAILURE_KINDS, FOREACH_FIELDS, OUTCOMES, PREVIOUS_FIELDS, RETRY_WORDS, RUN_FIELDS,
    RUN_OUTCOMES,
};
use serde_json::Value;

use crate::house::{files_below, root};
use crate::readme::{Block, PORT, blocks, document, serve, type_in, write_file};

const LANGUAGE: &str = "docs/language.md";
const ALERTS: &str = "docs/alerts.md";
const PEOPLE: &str = "docs/approvals.md";
const RAILWAY: &str = "docs/providers/railway.md";
const BACKUPS: &str = "docs/backups.md";
const TESTING: &str = "docs/testing.md";

/// Where pages about providers are, a file for each; what they say is held to the folder of its name in `stdlib/`.
const PROVIDERS: &str = "docs/providers/";

/// The documents under test beside those; each must stand here.
const DOCUMENTS: [&str; 16] = [
    "docs/agents.md",
    ALERTS,
    BACKUPS,
    PEOPLE,
    "docs/chat.md",
    "docs/install.md",
    LANGUAGE,
    "docs/operating.md",
    "docs/plans.md",
    "docs/promises.md",
    "docs/secrets.md",
    "docs/server.md",
    TESTING,
    "docs/tutorial.md",
    "docs/web.md",
    "docs/writing-a-provider.md",
];

/// Writes the examples of a document as one project, fragments as runbooks around them; gives those with a path.
fn project(name: &str, home: &Path) -> Vec<Block> {
    let mut named = Vec::new();
    for (number, block) in blocks(&document(name)).into_iter().enumerate() {
        match (block.language.as_str(), block.argument.is_empty()) {
            ("yaml" | "rhai", false) => {
                write_file(&block, home);
                named.push(block);
            }
            ("yaml", true) => {
                assert!(block.text.starts_with("- "), "{name}: a file needs its path:\n{}", block.text);
                let steps: String = block.text.lines().map(|line| format!("  {line}\n")).collect();
                let head = "version: 1\ntitle: A fragment\nowner: docs\nreviewed: 2026-11-01\nsteps:\n";
                let argument = format!("runbooks/fragment-{number}.yaml");
                write_file(&Block { argument, text: format!("{head}{steps}"), ..block }, home);
            }
            _ => {}
        }
    }
    named
}

/// What an example says of its run: its arguments and its exit code.
fn marked(block: &Block) -> Option<(String, i32)> {
    let (_, mark) = block.text.lines().next()?.split_once("# runs")?;
    let (exit, arguments) = mark.split_once(": ").unwrap_or((mark, ""));
    let code = exit.strip_prefix(", exit ").map_or(0, |code| code.parse().expect("an exit code is a number"));
    Some((arguments.to_owned(), code))
}

#[test]
fn every_example_of_the_language_passes_the_check() {
    let home = tempfile::tempdir().unwrap();
    let named = project(LANGUAGE, home.path());
    assert!(named.len() >= 10, "only {} files in {LANGUAGE}", named.len());
    let (printed, code) = type_in("rerail check --deny warnings", home.path());
    assert_eq!(code, 0, "{printed}");
}

#[test]
fn what_is_said_of_people_passes_the_check_and_names_every_key() {
    let home = tempfile::tempdir().unwrap();
    assert_eq!(project(PEOPLE, home.path()).len(), 2);
    let (printed, code) = type_in("rerail check --deny warnings", home.path());
    assert_eq!(code, 0, "{printed}");
    let text = document(PEOPLE);
    for (kind, definitions) in [("project", ["person"].as_slice()), ("target", &["policy", "need"])] {
        let (printed, _) = type_in(&format!("rerail schema {kind}"), home.path());
        let schema: Value = serde_json::from_str(&printed).unwrap();
        for definition in definitions {
            let keys = schema.pointer(&format!("/definitions/{definition}/properties")).and_then(Value::as_object);
            for key in keys.expect("the schema has it").keys() {
                assert!(text.contains(&format!("`{key}`")), "{PEOPLE} lacks `{key}`");
            }
        }
    }
}

#[test]
fn what_is_said_of_alerts_passes_the_check_and_names_every_key() {
    let home = tempfile::tempdir().unwrap();
    assert_eq!(project(ALERTS, home.path()).len(), 4);
    let (printed, code) = type_in("rerail check --deny warnings", home.path());
    assert_eq!(code, 0, "{printed}");
    let text = document(ALERTS);
    let (printed, _) = type_in("rerail schema project", home.path());
    let schema: Value = serde_json::from_str(&printed).unwrap();
    for definition in ["hooks", "hook", "trigger", "schedule"] {
        let keys = schema.pointer(&format!("/definitions/{definition}/properties")).and_then(Value::as_object);
        for key in keys.expect("the schema has it").keys() {
            assert!(
                text.contains(&format!("`{key}`")) || text.contains(&format!("  {key}:")),
                "{ALERTS} lacks `{key}`"
            );
        }
    }
    for field in ALERT_FIELDS {
        assert!(text.contains(&format!("`{field}`")), "{ALERTS} lacks `{field}`");
    }
}

#[test]
fn what_is_said_of_railway_names_every_key_of_its_places() {
    let home = tempfile::tempdir().unwrap();
    let text = document(RAILWAY);
    let (printed, _) = type_in("rerail schema target", home.path());
    let schema: Value = serde_json::from_str(&printed).unwrap();
    let keys = schema.pointer("/definitions/railway_place/properties").and_then(Value::as_object);
    for word in keys.expect("the schema has it").keys() {
        assert!(text.contains(&format!("`{word}`")), "{RAILWAY} lacks `{word}`");
    }
}

#[test]
fn what_is_said_of_backups_passes_the_check_and_names_every_action_and_runbook() {
    let home = tempfile::tempdir().unwrap();
    assert_eq!(project(BACKUPS, home.path()).len(), 2);
    let (printed, code) = type_in("rerail check --deny warnings", home.path());
    assert_eq!(code, 0, "{printed}");
    let text = document(BACKUPS);
    let shipped = ["stdlib/postgres", "stdlib/mongo", "stdlib/backup", "runbooks"].into_iter().flat_map(files_below);
    let names = shipped.filter_map(|path| {
        let name = path.strip_suffix(".yaml")?;
        match name.strip_prefix("runbooks/") {
            Some(runbook) => {
                let of_databases = ["backup-", "restore-", "rollback-database"];
                of_databases.iter().any(|of| runbook.starts_with(of)).then(|| runbook.to_owned())
            }
            None => Some(name.strip_prefix("stdlib/")?.replace('/', ".")),
        }
    });
    for name in names {
        assert!(text.contains(&format!("`{name}")), "{BACKUPS} lacks `{name}`");
    }
}

#[test]
fn what_is_said_of_each_provider_passes_the_check_and_names_every_action() {
    for page in files_below(PROVIDERS) {
        let home = tempfile::tempdir().unwrap();
        assert!(project(&page, home.path()).len() >= 3, "{page} shows a target and a runbook that uses it");
        let (printed, code) = type_in("rerail check --deny warnings", home.path());
        assert_eq!(code, 0, "{page}: {printed}");
        let provider = page.rsplit('/').next().and_then(|name| name.strip_suffix(".md")).expect("pages are Markdown");
        let text = document(&page);
        for path in files_below(&format!("stdlib/{provider}")) {
            let Some(name) = path.strip_prefix("stdlib/").and_then(|path| path.strip_suffix(".yaml")) else { continue };
            let action = name.replace('/', ".");
            assert!(text.contains(&format!("`{action}`")), "{page} lacks `{action}`");
        }
    }
}

#[test]
fn the_examples_that_run_end_as_they_say() {
    let home = tempfile::tempdir().unwrap();
    let port = serve(&home.path().join("site")).to_string();
    let mut ran = 0;
    // Their service listens elsewhere, so what they are checked with is not what they run with.
    for mut block in project(LANGUAGE, home.path()) {
        block.text = block.text.replace(PORT, &port);
        write_file(&block, home.path());
    }
    for block in blocks(&document(LANGUAGE)) {
        let Some((arguments, expected)) = marked(&block) else { continue };
        let name = Path::new(&block.argument).file_stem().and_then(|stem| stem.to_str()).unwrap();
        let command = format!("rerail run {name} --yes {}", arguments.replace(PORT, &port));
        let (printed, code) = type_in(&command, home.path());
        assert_eq!(code, expected, "$ {command}\n{printed}");
        ran += 1;
    }
    assert!(ran >= 7, "only {ran} examples ran");
}

/// Every name of a property below a JSON Schema.
fn properties(schema: &Value, found: &mut BTreeSet<String>) {
    match schema {
        Value::Object(map) => {
            for (key, value) in map {
                if let ("properties", Value::Object(properties)) = (key.as_str(), value) {
                    found.extend(properties.keys().cloned());
                }
                properties(value, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| properties(item, found)),
        _ => {}
    }
}

#[test]
fn the_language_reference_names_every_key_and_word() {
    let home = tempfile::tempdir().unwrap();
    let (printed, _) = type_in("rerail schema runbook", home.path());
    let mut schema: Value = serde_json::from_str(&printed).unwrap();
    let definitions =
        schema.pointer_mut("/definitions").and_then(Value::as_object_mut).expect("a schema has definitions");
    // Arguments of actions are explained by `rerail actions NAME`.
    definitions.retain(|name, _| !name.starts_with("with "));
    let mut keys = BTreeSet::new();
    properties(&schema, &mut keys);
    let lists: [&[&str]; 9] = [
        &ALERT_FIELDS,
        &EACH_FIELDS,
        &FAILURE_KINDS,
        &FOREACH_FIELDS,
        &OUTCOMES,
        &PREVIOUS_FIELDS,
        &RETRY_WORDS,
        &RUN_FIELDS,
        &RUN_OUTCOMES,
    ];
    keys.extend(lists.into_iter().flatten().map(|word| (*word).to_owned()));
    let text = document(LANGUAGE);
    let words: BTreeSet<&str> = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').collect();
    let lacking: Vec<&String> = keys.iter().filter(|key| !words.contains(key.as_str())).collect();
    assert!(lacking.is_empty(), "{LANGUAGE} lacks {lacking:?}");
    for key in ["foreach", "max_parallel", "if_busy", "not_happened", "backoff"] {
        assert!(keys.contains(key), "the schema is not read: no `{key}`");
    }
}

#[test]
fn the_page_about_tests_names_every_key() {
    let home = tempfile::tempdir().unwrap();
    let (printed, _) = type_in("rerail schema test", home.path());
    let mut keys = BTreeSet::new();
    properties(&serde_json::from_str(&printed).unwrap(), &mut keys);
    assert!(keys.contains("crash_during") && keys.contains("$takes"), "{keys:?}");
    let text = document(TESTING);
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '$');
    let words: BTreeSet<&str> = text.split(|c: char| !word(c)).collect();
    let lacking: Vec<&String> = keys.iter().filter(|key| !words.contains(key.as_str())).collect();
    assert!(lacking.is_empty(), "{TESTING} lacks {lacking:?}");
}

#[test]
fn every_promise_names_a_test_that_is_there() {
    let text = document("docs/promises.md");
    let (kept, _) = text.split_once("\n## Not promised yet").expect("it says what is not promised");
    let sources: Vec<String> = ["src", "tests"]
        .into_iter()
        .flat_map(files_below)
        .filter(|path| path.ends_with(".rs"))
        .map(|path| fs::read_to_string(root().join(path)).unwrap())
        .collect();
    let test = Regex::new("`([a-z0-9]+(?:_[a-z0-9]+){3,})`").expect("the pattern is fixed");
    let mut named = 0;
    for row in kept.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| promise")) {
        let tests: Vec<String> = test.captures_iter(row).map(|found| found[1].to_owned()).collect();
        assert!(!tests.is_empty(), "a promise without a test:\n{row}");
        for test in tests {
            let is_test = |source: &String| {
                source
                    .match_indices(&format!("fn {test}("))
                    .any(|(at, _)| source[..at].lines().rev().take(4).any(|line| line.trim().ends_with("test]")))
            };
            assert!(sources.iter().any(is_test), "promises.md names `{test}`, which is no test");
            named += 1;
        }
    }
    assert!(named >= 20, "only {named} tests are named");
}

#[test]
fn every_document_is_tested_and_its_links_lead_somewhere() {
    let found: Vec<String> = files_below("docs");
    let (of_providers, others): (Vec<&str>, Vec<&str>) =
        found.iter().map(String::as_str).partition(|path| path.starts_with(PROVIDERS));
    assert_eq!(others.into_iter().collect::<BTreeSet<_>>(), DOCUMENTS.into_iter().collect());
    let link = Regex::new(r"\]\(([^)#:]*)(?:#([^)]*))?\)").expect("the pattern is fixed");
    for name in DOCUMENTS.into_iter().chain(of_providers).chain(["README.md"]) {
        let folder = root().join(name).parent().expect("a file is in a directory").to_owned();
        for found in link.captures_iter(&document(name)) {
            let (path, anchor) = (&found[1], found.get(2).map(|anchor| anchor.as_str()));
            let target = if path.is_empty() { root().join(name) } else { folder.join(path) };
            assert!(target.exists(), "{name} leads to `{path}`, which is not there");
            let Some(anchor) = anchor else { continue };
            let text = fs::read_to_string(&target).unwrap();
            let anchors = text.lines().filter(|line| line.starts_with('#')).map(|line| {
                let kept = line.trim_start_matches('#').trim().to_lowercase();
                kept.replace(' ', "-").replace(|c: char| !c.is_ascii_alphanumeric() && c != '-', "")
            });
            assert!(anchors.into_iter().any(|known| known == anchor), "{name}: no heading `#{anchor}` in `{path}`");
        }
    }
}
