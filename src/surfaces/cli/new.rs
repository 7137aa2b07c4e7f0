//! `rerail new`: files to start from. Asks nothing and overwrites nothing.

use std::path::Path;

use clap::{Args, ValueEnum};
use serde_json::json;

use crate::project::{NewError, Project, first_runbook, new_file, new_project};
use crate::runbook::program::Library;
use crate::runbook::schema::SchemaKind;
use crate::runs::Runs;
use crate::surfaces::cli::error::CliError;
use crate::surfaces::cli::exit::Exit;
use crate::surfaces::cli::session::Session;
use crate::transcript::{Line, Tone};

#[derive(Args, Debug)]
pub struct NewArgs {
    /// What to write
    #[arg(value_enum, value_name = "KIND")]
    kind: Kind,
    /// Its name; the directory of a project
    #[arg(value_name = "NAME")]
    name: String,
}

/// What can be new.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// A runbook in runbooks/
    Runbook,
    /// An action in actions/; dots are folders
    Action,
    /// A target in targets/
    Target,
    /// A directory with all of it, and a runbook that runs at once
    Project,
}

/// Writes what was asked for, and says what to do with it.
pub fn new(session: &Session, args: &NewArgs) -> Result<Exit, CliError> {
    let today = jiff::Zoned::now().date().to_string();
    let runs = session.runs()?;
    let written = match args.kind {
        Kind::Project => {
            let embedded = Runs::open(session.state_dir()?, Project::default(), session.ui.redactor().clone());
            let files = new_project(Path::new(&args.name), &today, |kind| schema(&embedded, kind))?;
            files.into_iter().map(|file| Path::new(&args.name).join(file).display().to_string()).collect()
        }
        Kind::Runbook => in_project(&runs, SchemaKind::Runbook, &args.name, &today)?,
        Kind::Action => in_project(&runs, SchemaKind::Action, &args.name, &today)?,
        Kind::Target => in_project(&runs, SchemaKind::Target, &args.name, &today)?,
    };
    let ui = &session.ui;
    if ui.human() {
        for file in &written {
            ui.result(&Line::of(Tone::Good, "wrote ").add(Tone::Plain, file));
        }
        ui.hint(&next(args));
    } else {
        ui.result_json(&json!({ "files": written }));
    }
    Ok(Exit::SUCCESS)
}

fn in_project(runs: &Runs, kind: SchemaKind, name: &str, today: &str) -> Result<Vec<String>, CliError> {
    let Some(root) = &runs.project().root else {
        return Err(CliError::usage("there is no project here: no `rerail.yaml` in this directory or above")
            .hint("`rerail new project NAME` makes one"));
    };
    if kind == SchemaKind::Action && runs.actions().iter().any(|action| action.spec.name == name) {
        return Err(CliError::usage(format!("there is an action `{name}` already"))
            .hint(format!("`rerail actions {name}` explains it; take another name")));
    }
    if kind == SchemaKind::Runbook && runs.project().runbook_names().iter().any(|known| known == name) {
        return Err(CliError::usage(format!("there is a runbook `{name}` already"))
            .hint(format!("`rerail describe {name}` shows it; take another name")));
    }
    Ok(new_file(root, kind, name, today, |kind| schema(runs, kind))?)
}

fn schema(runs: &Runs, kind: SchemaKind) -> String {
    format!("{:#}\n", runs.schema(kind))
}

fn next(args: &NewArgs) -> String {
    let name = &args.name;
    match args.kind {
        Kind::Runbook => {
            format!("change it, `rerail check {name}`, `rerail test {name}`, then `rerail run {name} --dry-run`")
        }
        Kind::Action => {
            format!("change it, `rerail check {name}`, `rerail test {name}`, then call it by `uses: {name}`")
        }
        Kind::Target => format!("change it, `rerail check {name}`, then `rerail run RUNBOOK --target {name}`"),
        Kind::Project => format!("`cd {name} && rerail run {}`", first_runbook()),
    }
}

impl From<NewError> for CliError {
    fn from(error: NewError) -> Self {
        match &error {
            NewError::Name { .. } => CliError::usage(error.to_string()),
            NewError::Exists { .. } => CliError::usage(error.to_string())
                .hint("nothing is overwritten: take another name, or move the file away"),
            NewError::Io { .. } => CliError::new(Exit::TOOL_FAILED, error.to_string()),
        }
    }
}
