//! Why a command did not do what it was asked to, with the way out.

use serde_json::json;

use crate::project::ProjectError;
use crate::runbook::problem::{Problem, render};
use crate::runs::RunsError;
use crate::surfaces::cli::exit::Exit;
use crate::surfaces::cli::ui::Ui;

/// An error as the terminal shows it.
#[derive(Debug)]
pub struct CliError {
    pub exit: Exit,
    /// Lower-case fragment.
    pub message: String,
    pub hints: Vec<String>,
    pub problems: Vec<Problem>,
}

impl CliError {
    /// An error with this code.
    pub fn new(exit: Exit, message: impl Into<String>) -> CliError {
        CliError { exit, message: message.into(), hints: Vec::new(), problems: Vec::new() }
    }

    /// The request itself is wrong.
    pub fn usage(message: impl Into<String>) -> CliError {
        CliError::new(Exit::USAGE, message)
    }

    /// The same with a way out.
    pub fn hint(mut self, hint: impl Into<String>) -> CliError {
        self.hints.push(hint.into());
        self
    }

    /// Reading or writing a file failed.
    pub fn io(doing: &str, path: &str, error: &std::io::Error) -> CliError {
        CliError::new(Exit::TOOL_FAILED, format!("{doing} `{path}` failed: {error}"))
    }

    /// `error: …`, `hint: …`, and pictures of problems before them; for programs one object on one line. Both go to
    /// standard error, as kubectl and gh do it: standard output has results only, whole or not at all.
    pub fn show(&self, ui: &Ui) {
        if !ui.human() {
            ui.progress_text(&self.to_json().to_string());
            return;
        }
        if !self.problems.is_empty() {
            ui.progress_text(&render(&self.problems, ui.colours_progress()));
            ui.progress_text("");
        }
        ui.error(&self.message);
        for hint in &self.hints {
            ui.hint(hint);
        }
    }
}

impl CliError {
    fn to_json(&self) -> serde_json::Value {
        let problems: Vec<_> = self.problems.iter().map(Problem::to_json).collect();
        let said =
            json!({ "message": self.message, "hints": self.hints, "exit_code": self.exit.0, "problems": problems });
        json!({ "error": said })
    }
}

impl From<RunsError> for CliError {
    fn from(error: RunsError) -> Self {
        let RunsError { kind, message, hints, problems } = error;
        CliError { exit: Exit::of_error(kind), message, hints, problems }
    }
}

impl From<ProjectError> for CliError {
    fn from(error: ProjectError) -> Self {
        RunsError::from(error).into()
    }
}
