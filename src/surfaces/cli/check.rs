//! `rerail check`: what is wrong with runbooks, actions, targets and the project file.

use std::path::Path;

use clap::{Args, ValueEnum};

use crate::runbook::problem::{Problem, Severity, has_errors, render, sort, summary};
use crate::surfaces::cli::args::Output;
use crate::surfaces::cli::error::CliError;
use crate::surfaces::cli::exit::Exit;
use crate::surfaces::cli::files::below;
use crate::surfaces::cli::sarif::Log;
use crate::surfaces::cli::session::Session;
use crate::transcript::{Line, Tone, words};

#[derive(Args, Debug)]
pub struct CheckArgs {
    /// Runbooks, actions or targets by name, files or directories; everything in the project without it
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
        Err(error) if !error.problems.is_empty() => return show(session, args, 1, error.problems),
        Err(error) => return Err(error),
    };
    let mut problems = Vec::new();
    let names = if args.paths.is_empty() { Vec::new() } else { expand(&args.paths)? };
    let mut files = names.len();
    for name in &names {
        match runs.check_any(name) {
            Ok(found) => problems.extend(found),
            // A file that can't be read is one result among others.
            Err(error) if !error.problems.is_empty() => problems.extend(error.problems),
            Err(error) => return Err(error.into()),
        }
    }
    if args.paths.is_empty() {
        let checked = runs.check_everything()?;
        files = checked.files;
        problems.extend(checked.problems);
    }
    if files == 0 && ui.human() {
        ui.remark("nothing to check");
    }
    show(session, args, files, problems)
}

fn show(session: &Session, args: &CheckArgs, files: usize, mut problems: Vec<Problem>) -> Result<Exit, CliError> {
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
    } else if ui.output == Output::Sarif {
        match serde_json::to_value(Log::of(&problems)) {
            Ok(log) => ui.result_json(&log),
            Err(error) => return Err(CliError::new(Exit::TOOL_FAILED, format!("writing SARIF failed: {error}"))),
        }
    } else {
        ui.result_rows(problems.iter().map(Problem::to_json).collect());
    }
    let warned = problems.iter().any(|problem| problem.severity == Severity::Warning);
    Ok(match has_errors(&problems) || (warned && args.deny == Some(Deny::Warnings)) {
        true => Exit::INVALID,
        false => Exit::SUCCESS,
    })
}

/// Directories become the files below them, but for hidden ones.
fn expand(arguments: &[String]) -> Result<Vec<String>, CliError> {
    let mut names = Vec::new();
    for argument in arguments {
        match Path::new(argument).is_dir() {
            true => names.extend(below(argument, is_ours)?),
            false => names.push(argument.clone()),
        }
    }
    Ok(names)
}

fn is_ours(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml" || extension == "rhai")
}
