//! `rerail check`: what is wrong with runbooks, actions, targets and the project file.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use crate::project::Origin;
use crate::runbook::problem::{Problem, Severity, has_errors, render, sort, summary};
use crate::runs::Runs;
use crate::surfaces::cli::error::CliError;
use crate::surfaces::cli::exit::Exit;
use crate::surfaces::cli::session::Session;
use crate::transcript::{Line, Tone, words};

#[derive(Args, Debug)]
pub struct CheckArgs {
    /// Runbooks by name, files or directories; everything in the project without it
    #[arg(value_name = "PATHS")]
    paths: Vec<String>,
    /// Fail on warnings too
    #[arg(long, value_enum, value_name = "WHAT")]
    deny: Option<Deny>,
}

/// What else makes a check fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Deny {
    Warnings,
}

/// Checks files.
pub fn check(session: &Session, args: &CheckArgs) -> Result<Exit, CliError> {
    let ui = &session.ui;
    let runs = match session.runs() {
        Ok(runs) => runs,
        // The project file itself: its problems are the result, not an error of the tool.
        Err(error) if !error.problems.is_empty() => return Ok(show(session, args, 1, error.problems)),
        Err(error) => return Err(error),
    };
    let mut problems = Vec::new();
    let names = if args.paths.is_empty() { Vec::new() } else { expand(&args.paths)? };
    let mut files = names.len();
    for name in &names {
        match runs.check(name) {
            Ok((_, found)) => problems.extend(found),
            // A file that can't be read is one result among others.
            Err(error) if !error.problems.is_empty() => problems.extend(error.problems),
            Err(error) => return Err(not_a_runbook(&runs, name, error.into())),
        }
    }
    if args.paths.is_empty() {
        let checked = runs.check_everything();
        files = checked.files;
        problems.extend(checked.problems);
    }
    if files == 0 && ui.human() {
        ui.remark("nothing to check");
    }
    Ok(show(session, args, files, problems))
}

/// Actions have no place among the names of runbooks, and are easily taken for one.
fn not_a_runbook(runs: &Runs, name: &str, error: CliError) -> CliError {
    if runs.actions().iter().all(|action| action.spec.name != name) {
        return error;
    }
    let own = runs.project().actions().into_iter().find(|listed| listed.name == name);
    let said = CliError { hints: Vec::new(), ..error };
    let way_out = match own.filter(|listed| listed.origin == Origin::Project) {
        Some(listed) => {
            format!("check it with everything, `rerail check`, or by its file, `rerail check {}`", listed.source.shown)
        }
        None => format!("it came with this rerail; `rerail actions {name}` explains it"),
    };
    said.hint(format!("`{name}` is an action: {way_out}"))
}

fn show(session: &Session, args: &CheckArgs, files: usize, mut problems: Vec<Problem>) -> Exit {
    let ui = &session.ui;
    sort(&mut problems);
    if ui.human() {
        if !problems.is_empty() {
            ui.result_text(&render(&problems, ui.colours_results()));
            ui.result(&Line::new());
        }
        let tone = if has_errors(&problems) { Tone::Bad } else { Tone::Good };
        ui.result(
            &Line::of(tone, &summary(&problems)).add(Tone::Plain, &format!(" in {}", words::count(files, "file"))),
        );
    } else {
        ui.result_rows(problems.iter().map(Problem::to_json).collect());
    }
    let warned = problems.iter().any(|problem| problem.severity == Severity::Warning);
    match has_errors(&problems) || (warned && args.deny == Some(Deny::Warnings)) {
        true => Exit::INVALID,
        false => Exit::SUCCESS,
    }
}

/// Directories become the runbooks below them.
fn expand(arguments: &[String]) -> Result<Vec<String>, CliError> {
    let mut names = Vec::new();
    for argument in arguments {
        if !Path::new(argument).is_dir() {
            names.push(argument.clone());
            continue;
        }
        let mut open = vec![PathBuf::from(argument)];
        let mut found = Vec::new();
        while let Some(dir) = open.pop() {
            let entries = std::fs::read_dir(&dir).map_err(|error| CliError::io("reading", argument, &error))?;
            for entry in entries.flatten() {
                let path = entry.path();
                // Links are not followed, so no circle can trap the walk.
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => open.push(path),
                    Ok(kind) if kind.is_file() && is_yaml(&path) => found.push(as_path_argument(&path)),
                    _ => {}
                }
            }
        }
        found.sort();
        names.extend(found);
    }
    Ok(names)
}

fn is_yaml(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml")
}

/// With a `/`, so that it can't be taken for a name.
fn as_path_argument(path: &Path) -> String {
    let text = path.display().to_string();
    if text.contains('/') { text } else { format!("./{text}") }
}
