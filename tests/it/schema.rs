//! The schemas for editors agree with what `check` says of real files.

use std::fs;
use std::path::{Path, PathBuf};

use boon::{Compiler, SchemaIndex, Schemas};
use rerail::project::Project;
use rerail::redact::Redactor;
use rerail::runbook::problem::has_errors;
use rerail::runbook::schema::SchemaKind;
use rerail::runbook::settings::{read_settings, read_target};
use rerail::runbook::source::Source;
use rerail::runs::Runs;
use serde_json::Value as Json;

use crate::checks::corpus;

/// A compiled schema of the embedded actions.
struct Compiled {
    schemas: Schemas,
    index: SchemaIndex,
}

impl Compiled {
    fn of(kind: SchemaKind) -> Compiled {
        let written = Runs::open(PathBuf::new(), Project::default(), Redactor::new()).schema(kind);
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        compiler.add_resource("schema.json", written).unwrap();
        let index = compiler.compile("schema.json", &mut schemas).unwrap();
        Compiled { schemas, index }
    }

    /// What the schema has against a text; `None` if nothing.
    fn refuses(&self, yaml: &str) -> Option<String> {
        let value: Json = serde_yaml::from_str(yaml).unwrap_or(Json::Null);
        self.schemas.validate(&value, self.index).err().map(|error| error.to_string())
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every YAML file of a folder, with its text.
fn texts(folder: &Path) -> Vec<(String, String)> {
    let entries = fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path());
    let files = entries.filter(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    files.map(|path| (path.display().to_string(), fs::read_to_string(&path).unwrap())).collect()
}

#[test]
fn every_shipped_file_fits_its_schema() {
    for (kind, folder) in
        [(SchemaKind::Runbook, "runbooks"), (SchemaKind::Action, "stdlib"), (SchemaKind::Target, "targets")]
    {
        let compiled = Compiled::of(kind);
        for (name, text) in texts(&root().join(folder)) {
            assert_eq!(compiled.refuses(&text), None, "{name}");
        }
    }
    let test = Compiled::of(SchemaKind::Test);
    for folder in [
        "tests/runbooks",
        "tests/stdlib",
        "tests/stdlib/cors",
        "tests/stdlib/github",
        "tests/stdlib/resend",
        "tests/stdlib/slack",
    ] {
        for (name, text) in texts(&root().join(folder)) {
            assert_eq!(test.refuses(&text), None, "{name}");
        }
    }
    for bad in [
        "tests: [{ name: x }]",
        "version: 1\ntests: []\n",
        "version: 1\ntests: [{ nam: x }]\n",
        "version: 1\ntests: [{ name: x, mock: {} }]\n",
        "version: 1\ntests: [{ name: x, expect: { outcome: good } }]\n",
        "version: 1\ntests: [{ name: x, expect: { findings: [{ say: x }] } }]\n",
    ] {
        assert!(test.refuses(bad).is_some(), "{bad}");
        assert!(has_errors(&rerail::runbook::cases::read(&Source::new("x.test.yaml", bad)).1), "{bad}");
    }
    let project = Compiled::of(SchemaKind::Project);
    assert_eq!(project.refuses("version: 1\nallow: { env: [PATH], file_write: [out] }\n"), None);
    let whole = "version: 1\nallow:\n  exec: [{ argv: [pg_dump, \"*\"], effect: write, repeat: repeatable, env: [PGHOST] }]\nmail:\n  smtp: { host: mail.example.com, port: 587, security: starttls, user: u, password_secret: MAIL_KEY }\n  from: rerail@example.com\n  allow_domains: [example.com]\n";
    assert_eq!(project.refuses(whole), None);
    assert!(!has_errors(&read_settings(&Source::new("rerail.yaml", whole)).1));
    assert!(
        project.refuses("version: 1\nmail: { smtp: { host: a.example, user: u }, from: a@example.com }\n").is_some()
    );
    let chat = "version: 1\npeople: { ana: { chat: { slack: T1/U1 } } }\nchat:\n  slack: { app_token: { from: env }, bot_token: { from: file, path: bot }, channels: [C1] }\n";
    assert_eq!(project.refuses(chat), None);
    assert!(!has_errors(&read_settings(&Source::new("rerail.yaml", chat)).1));
    assert!(project.refuses("version: 1\nchat: { slack: { bot_token: { from: env } } }\n").is_some());
    let people =
        "version: 1\npeople:\n  ana: { os_user: ana, roles: [oncall, lead] }\n  jo-s: { token_hash: \"sha256:0\" }\n";
    assert_eq!(project.refuses(people), None);
    assert!(project.refuses("version: 1\npeople: {}\n").is_some());
    assert!(project.refuses("version: 1\npeople: { Ana: { os_user: ana } }\n").is_some());
    let target = Compiled::of(SchemaKind::Target);
    let policy = "version: 1\npolicy:\n  notify: { approval: none }\n  write: { approval: oncall }\n  destructive: { approval: { by: [lead], count: 2, self: true } }\n  single_operator: false\n  agents: { max_effect: read }\n";
    assert_eq!(target.refuses(policy), None);
    assert!(!has_errors(&read_target(&Source::new("targets/p.yaml", policy)).1));
    assert!(target.refuses("version: 1\npolicy: { write: { approval: { count: 2 } } }\n").is_some());
    assert_eq!(Compiled::of(SchemaKind::Action).refuses(ACTION), None);
}

const ACTION: &str = "version: 1\ntitle: T\ninputs: { service: { type: string } }\nsteps:\n  - uses: run.note\n    with: { text: x }\noutputs: { a: 1 }\n";

/// In texts or pictures of mistakes beyond a schema: it knows no Rhai, no action of the corpus, no inputs of a runbook that
/// is run, and not that one word of `repeat`, or a wait on a group, needs a key beside it.
const BEYOND: [&str; 5] = ["script:", "uses: restart", "uses: runbook", "repeat: verifiable", "a group gives nothing"];

#[test]
fn what_check_accepts_no_schema_refuses() {
    let runbook = Compiled::of(SchemaKind::Runbook);
    let (mut refused, mut passed) = (0, Vec::new());
    for (name, text) in texts(&corpus()) {
        let pictures = fs::read_to_string(Path::new(&name).with_extension("stderr")).unwrap();
        match runbook.refuses(&text) {
            // Where it says no, `check` has found an error too: an editor shows no mistake that isn't one.
            Some(why) => {
                refused += 1;
                assert!(pictures.contains("error["), "{name}: {why}");
            }
            None => {
                // What stands in a file that this one calls is not for this file's schema to see.
                let place = pictures.lines().find_map(|line| line.trim_start().strip_prefix("--> ")).unwrap_or("");
                let here = place.split(':').next().is_some_and(|file| Path::new(&name).ends_with(file));
                let found = ["E0103", "E0106", "E0202", "E0203"]
                    .iter()
                    .any(|code| pictures.starts_with(&format!("error[{code}]")));
                if here && found && !BEYOND.iter().any(|part| text.contains(part) || pictures.contains(part)) {
                    passed.push(name);
                }
            }
        }
    }
    assert!(passed.is_empty(), "mistakes of form that no schema sees: {passed:?}");
    assert!(refused >= 10, "{refused} files of the corpus are refused");
}

#[test]
fn a_schema_finds_what_can_be_found_without_expressions() {
    let runbook = Compiled::of(SchemaKind::Runbook);
    let book = |step: &str| format!("version: 1\ntitle: T\nsteps:\n  - {step}\n");
    for good in [
        "{ uses: http.probe, with: { url: \"${{ inputs.a }}\" } }",
        "{ uses: http.probe, with: { url: \"https://example.com\", timeout: 1m30s } }",
        "{ uses: newer.action, with: { whatever: 1 } }",
        "{ uses: time.now }",
        "{ if: true, script: 1 + 1 }",
    ] {
        assert_eq!(runbook.refuses(&book(good)), None, "{good}");
    }
    for bad in [
        "{ use: http.probe }",
        "{ uses: http.probe }",
        "{ uses: http.probe, with: { uri: \"https://example.com\" } }",
        "{ uses: http.probe, with: { url: example.com } }",
        "{ uses: http.probe, with: { url: \"https://example.com\", timeout: 5 } }",
        "{ uses: http.request, with: { url: \"https://example.com\", method: get } }",
        "{ uses: http.probe, script: \"1\", with: { url: \"https://example.com\" } }",
        "{ script: \"1\", with: {} }",
        "{ uses: time.now, every: 5s }",
        "{ id: set-vars, uses: time.now }",
        "{ uses: time.now, continue_on_failure: yes please }",
        "{ findings: [{ when: \"true\", level: bad, say: x }] }",
        "{ steps: [] }",
        "{}",
    ] {
        assert!(runbook.refuses(&book(bad)).is_some(), "{bad}");
    }
    let target = Compiled::of(SchemaKind::Target);
    assert!(target.refuses("version: 1\nsecrets: { A: { from: env, value: hunter2 } }\n").is_some());
    assert!(target.refuses("version: 2\n").is_some());
    assert!(Compiled::of(SchemaKind::Project).refuses("version: 1\nallow: [PATH]\n").is_some());
}
