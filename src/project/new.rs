//! New files for people to start from: each passes `check` as it stands, and runs.
//!
//! Writes only what is not there yet. What it names in a project's `.rerail/` is made by the program and
//! may be made again at any time.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use crate::project::library::PROJECT_FILE;
use crate::runbook::schema::SchemaKind;
use crate::runbook::words::{action_fault, kebab_case_fault, quoted};

/// Where editors find the schemas, below the project.
const SCHEMAS: &str = ".rerail";
/// The runbook of a new project.
const FIRST: &str = "first-look";
/// The target of a new project.
const EXAMPLE: &str = "example";

/// Why nothing, or not all, was written.
#[derive(Debug, thiserror::Error)]
pub enum NewError {
    #[error("{name} can't name a {what}: it {fault}")]
    Name { what: &'static str, name: String, fault: String },
    #[error("`{shown}` is there already")]
    Exists { shown: String },
    #[error("writing `{shown}` failed: {error}")]
    Io { shown: String, error: std::io::Error },
}

/// A file to be written, by its path below the project.
struct Draft {
    path: String,
    text: String,
}

/// Writes a runbook or action with a test, or a target, into the project at `root`; gives the paths below it.
///
/// `today` stands in the file as the day of its review, schemas are written for its editor.
///
/// # Errors
/// If the name can't be one, the file is there already, or the disk refuses.
pub fn new_file(
    root: &Path,
    kind: SchemaKind,
    name: &str,
    today: &str,
    schema: impl Fn(SchemaKind) -> String,
) -> Result<Vec<String>, NewError> {
    let mut drafts = vec![draft(kind, name, today)?];
    let test = test_of(&drafts[0], kind);
    let tested = test.is_some().then_some(SchemaKind::Test);
    drafts.extend(test);
    refuse_existing(root, &drafts)?;
    for kind in [kind].into_iter().chain(tested) {
        write_schema(root, kind, &schema(kind))?;
    }
    for draft in &drafts {
        write(root, draft)?;
    }
    Ok(drafts.into_iter().map(|draft| draft.path).collect())
}

/// Makes a project in `root`, which may be there: settings, a runbook that runs at once, and a target.
///
/// # Errors
/// As [`new_file`]; what is there is left alone, and nothing is written beside it.
pub fn new_project(root: &Path, today: &str, schema: impl Fn(SchemaKind) -> String) -> Result<Vec<String>, NewError> {
    let first = draft(SchemaKind::Runbook, FIRST, today)?;
    let mut drafts = vec![draft(SchemaKind::Project, "rerail", today)?];
    let test = test_of(&first, SchemaKind::Runbook);
    drafts.push(first);
    drafts.extend(test);
    drafts.push(draft(SchemaKind::Target, EXAMPLE, today)?);
    refuse_existing(root, &drafts)?;
    for kind in SchemaKind::ALL {
        write_schema(root, kind, &schema(kind))?;
    }
    for draft in &drafts {
        write(root, draft)?;
    }
    Ok(drafts.into_iter().map(|draft| draft.path).collect())
}

/// The runbook that a new project starts with.
pub fn first_runbook() -> &'static str {
    FIRST
}

/// The texts that [`new_file`] would write for a runbook, without the line for editors: the runbook, and its test.
/// Writes nothing.
///
/// # Errors
/// If the name can't be one.
pub fn new_runbook_texts(name: &str, today: &str) -> Result<(String, String), NewError> {
    draft(SchemaKind::Runbook, name, today)?;
    Ok((runbook(name, today), RUNBOOK_TEST.to_owned()))
}

fn draft(kind: SchemaKind, name: &str, today: &str) -> Result<Draft, NewError> {
    let fault = match kind {
        SchemaKind::Action => action_fault(name),
        SchemaKind::Runbook | SchemaKind::Target => kebab_case_fault(name),
        SchemaKind::Project | SchemaKind::Test => None,
    };
    if let Some(fault) = fault {
        return Err(NewError::Name { what: kind.word(), name: quoted(name), fault });
    }
    let (path, body) = match kind {
        SchemaKind::Runbook => (format!("runbooks/{name}.yaml"), runbook(name, today)),
        SchemaKind::Action => (format!("actions/{}.yaml", name.replace('.', "/")), action(name)),
        SchemaKind::Target => (format!("targets/{name}.yaml"), target(name)),
        SchemaKind::Project => (PROJECT_FILE.to_owned(), PROJECT.to_owned()),
        SchemaKind::Test => (format!("runbooks/{name}.test.yaml"), RUNBOOK_TEST.to_owned()),
    };
    Ok(with_modeline(kind, path, &body))
}

fn with_modeline(kind: SchemaKind, path: String, body: &str) -> Draft {
    let up = "../".repeat(path.matches('/').count());
    let text = format!("# yaml-language-server: $schema={up}{SCHEMAS}/{}\n{body}", kind.file_name());
    Draft { path, text }
}

/// The test beside a new runbook or action.
fn test_of(draft: &Draft, kind: SchemaKind) -> Option<Draft> {
    let body = match kind {
        SchemaKind::Runbook => RUNBOOK_TEST,
        SchemaKind::Action => ACTION_TEST,
        SchemaKind::Target | SchemaKind::Project | SchemaKind::Test => return None,
    };
    let path = format!("{}.test.yaml", draft.path.strip_suffix(".yaml")?);
    Some(with_modeline(SchemaKind::Test, path, body))
}

/// `restart-api` as a sentence begins.
fn sentence(name: &str) -> String {
    let words = name.replace(['-', '_', '.'], " ");
    let mut chars = words.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

fn runbook(name: &str, today: &str) -> String {
    format!(
        r#"version: 1
title: {title}
owner: platform
reviewed: {today}
meaning: The service does not answer as it should.
impact: Nobody can use it.

inputs:
  url: {{ type: url, description: Address that must answer, default: "http://127.0.0.1:8080/health" }}

steps:
  - id: health
    name: Ask as a user would
    uses: http.probe
    with: {{ url: "${{{{ inputs.url }}}}", timeout: 5s }}

  - id: verdict
    findings:
      - when: steps.health.outputs.ok
        level: ok
        say: "${{{{ inputs.url }}}} answers in ${{{{ steps.health.outputs.ms }}}} ms."
      - when: not(steps.health.outputs.ok)
        level: warning
        say: "${{{{ inputs.url }}}} does not answer as it should."
"#,
        title = sentence(name)
    )
}

fn action(name: &str) -> String {
    format!(
        r#"# A step calls it by `uses: {name}`. Its inputs are the arguments, its outputs what the step gives.
version: 1
title: {title}

inputs:
  url: {{ type: url, description: Address to look at }}

steps:
  - id: look
    uses: http.probe
    with: {{ url: "${{{{ inputs.url }}}}", timeout: 5s }}

outputs:
  ok: "${{{{ steps.look.outputs.ok }}}}"
  status: "${{{{ steps.look.outputs.status }}}}"
"#,
        title = sentence(name)
    )
}

fn target(name: &str) -> String {
    format!(
        r#"# The values of one place: `rerail run RUNBOOK --target {name}`.
version: 1
title: {title}

# Values for the inputs of runbooks; each takes those it declares, and `-i` still wins.
inputs:
  url: https://example.com/health

# Where secrets come from; their text never stands here:
# secrets:
#   API_TOKEN: {{ from: env, hosts: [api.example.com] }}

# Steps connect to these hosts only:
# allow_hosts: [example.com]
"#,
        title = sentence(name)
    )
}

const RUNBOOK_TEST: &str = r#"# Nothing real is called: `mocks` answer, by step or action. `rerail test` runs it.
version: 1
inputs: { url: "https://api.example.com/health" }

tests:
  - name: a service that answers is well
    mocks: { health: { ok: true, status: 200, ms: 40 } }
    expect:
      findings: [{ level: ok, say: "https://api.example.com/health answers in 40 ms." }]

  - name: a service that does not answer is a warning
    mocks: { health: { ok: false, error: { kind: connect, message: connection refused } } }
    expect:
      findings: [{ level: warning, say: "… does not answer as it should." }]
"#;

const ACTION_TEST: &str = r#"# Nothing real is called: `mocks` answer, by step or action. `rerail test` runs it.
version: 1
inputs: { url: "https://api.example.com/health" }

tests:
  - name: it gives what it sees
    mocks: { look: { ok: true, status: 200 } }
    expect:
      outputs: { ok: true, status: 200 }
      calls: { look: { times: 1, with: { url: "https://api.example.com/health" } } }
"#;

const PROJECT: &str = r#"# This directory is a project: runbooks/, actions/, modules/ and targets/ beside this file have names here.
version: 1

# What runs may do on this host beyond the network is off until it is listed:
# allow:
#   env: [PATH]
#   file_write: [reports]
"#;

fn refuse_existing(root: &Path, drafts: &[Draft]) -> Result<(), NewError> {
    for draft in drafts {
        // Also what can't be looked at is not known to be absent.
        if crate::project::files::is_there(&root.join(&draft.path)) {
            return Err(NewError::Exists { shown: draft.path.clone() });
        }
    }
    Ok(())
}

fn write(root: &Path, draft: &Draft) -> Result<(), NewError> {
    let path = root.join(&draft.path);
    let failed = |error: std::io::Error| match error.kind() {
        // Somebody was faster.
        ErrorKind::AlreadyExists => NewError::Exists { shown: draft.path.clone() },
        _ => NewError::Io { shown: draft.path.clone(), error },
    };
    make_folder(&path).map_err(failed)?;
    let mut file = OpenOptions::new().write(true).create_new(true).open(&path).map_err(failed)?;
    file.write_all(draft.text.as_bytes()).map_err(failed)
}

fn write_schema(root: &Path, kind: SchemaKind, schema: &str) -> Result<(), NewError> {
    let shown = format!("{SCHEMAS}/{}", kind.file_name());
    let path = root.join(&shown);
    let written = make_folder(&path).and_then(|()| std::fs::write(&path, schema));
    written.map_err(|error| NewError::Io { shown, error })
}

fn make_folder(path: &Path) -> std::io::Result<()> {
    path.parent().map_or(Ok(()), |parent: &Path| std::fs::create_dir_all(PathBuf::from(parent)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_judged_before_anything_is_written() {
        let dir = tempfile::tempdir().unwrap();
        for (kind, name) in [
            (SchemaKind::Runbook, "Restart"),
            (SchemaKind::Runbook, "../up"),
            (SchemaKind::Runbook, ""),
            (SchemaKind::Action, "re-start"),
            (SchemaKind::Action, "team.match"),
            (SchemaKind::Target, "a/b"),
        ] {
            let error = new_file(dir.path(), kind, name, "2026-11-01", |_| "{}".to_owned()).unwrap_err();
            assert!(matches!(error, NewError::Name { .. }), "{name}: {error}");
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_is_there_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("runbooks/x.yaml");
        std::fs::create_dir(dir.path().join("runbooks")).unwrap();
        std::fs::write(&path, "mine").unwrap();
        let error = new_file(dir.path(), SchemaKind::Runbook, "x", "2026-11-01", |_| "{}".to_owned()).unwrap_err();
        assert_eq!(error.to_string(), "`runbooks/x.yaml` is there already");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
        // A project is written whole or not at all.
        std::fs::create_dir(dir.path().join("targets")).unwrap();
        std::fs::write(dir.path().join("targets/example.yaml"), "mine").unwrap();
        assert!(new_project(dir.path(), "2026-11-01", |_| "{}".to_owned()).is_err());
        assert!(!dir.path().join("rerail.yaml").exists() && !dir.path().join(".rerail").exists());
    }

    #[test]
    fn the_modeline_leads_to_the_schema() {
        let dir = tempfile::tempdir().unwrap();
        let files =
            new_file(dir.path(), SchemaKind::Action, "team.web.look", "2026-11-01", |_| "{}".to_owned()).unwrap();
        assert_eq!(files, ["actions/team/web/look.yaml", "actions/team/web/look.test.yaml"]);
        let path = dir.path().join(&files[0]);
        let text = std::fs::read_to_string(&path).unwrap();
        let schema = text.lines().next().and_then(|line| line.split_once("$schema=")).unwrap().1;
        assert!(path.parent().unwrap().join(schema).is_file(), "{schema}");
    }
}
