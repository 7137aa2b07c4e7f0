//! Why something of a project can't be had.

use crate::runbook::problem::Problem;

/// Why a file can't be had.
#[derive(Debug, thiserror::Error)]
pub enum ProjectError {
    #[error("there is no {what} `{name}`")]
    NotFound {
        what: &'static str,
        name: String,
        nearest: Option<String>,
        /// A file of that name which lies deeper than names reach.
        deeper: Option<String>,
    },
    /// A path that was given leads nowhere.
    #[error("there is no file `{shown}`")]
    NoFile { shown: String },
    /// It is there and can't be used. Never passed over for an embedded one of its name.
    #[error("{} has problems", shown(.0))]
    Invalid(Vec<Problem>),
}

fn shown(problems: &[Problem]) -> String {
    problems.first().map_or_else(|| "the file".to_owned(), |problem| format!("`{}`", problem.source.shown))
}
