//! What can go wrong for a person, with a way out.

use crate::drivers::pinned::PinnedError;
use crate::drivers::watch::Parting;
use crate::engine::outcome::Failure;
use crate::journal::{Busy, Error as JournalError};
use crate::project::ProjectError;
use crate::runbook::problem::Problem;

/// An error of the door, for a surface to show.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct RunsError {
    pub kind: ErrorKind,
    pub message: String,
    /// The way out.
    pub hints: Vec<String>,
    /// For [`ErrorKind::Invalid`]: what is wrong, with places.
    pub problems: Vec<Problem>,
}

/// Classes of errors, each with an exit code in the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The request itself is wrong.
    Usage,
    /// A runbook, target, project file or plan has problems.
    Invalid,
    /// What a plan was made for is no longer so.
    Stale,
    NotFound,
    /// Whoever asks may not do it, or can't prove who they are.
    NotAllowed,
    /// Somebody else drives the run, or holds what it excludes.
    Busy,
    /// Somebody walked away before anything began: by Ctrl-C, or with the process.
    Interrupted(Option<Parting>),
    /// The journal can't be opened, read or written.
    Storage,
    /// There is no room for the journal: with some, the same request works.
    Full,
    /// The journal is not what was written.
    Damaged,
    /// A bug or a broken environment.
    Internal,
}

impl RunsError {
    /// An error of this kind.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> RunsError {
        RunsError { kind, message: message.into(), hints: Vec::new(), problems: Vec::new() }
    }

    /// The same with a way out.
    pub fn hint(mut self, hint: impl Into<String>) -> RunsError {
        self.hints.push(hint.into());
        self
    }

    pub(super) fn invalid(what: &str, problems: Vec<Problem>) -> RunsError {
        RunsError { problems, ..RunsError::new(ErrorKind::Invalid, format!("{what} has problems")) }
    }

    pub(super) fn failed(what: &str, failure: &Failure) -> RunsError {
        RunsError::new(ErrorKind::Usage, format!("{what}: {}", failure.message))
    }
}

impl From<JournalError> for RunsError {
    fn from(error: JournalError) -> Self {
        let kind = match &error {
            JournalError::Damaged { .. } | JournalError::DamagedFile { .. } => ErrorKind::Damaged,
            JournalError::NoRun { .. } => ErrorKind::NotFound,
            // It did in the moment between the look at it and the word to it.
            JournalError::Ended { .. } => ErrorKind::Usage,
            JournalError::Full { .. } => ErrorKind::Full,
            JournalError::Os { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => ErrorKind::Full,
            JournalError::GroupTaken { .. } => ErrorKind::Busy,
            // Somebody else has taken the run since.
            JournalError::Fenced { .. } | JournalError::Conflict { .. } => ErrorKind::Busy,
            _ => ErrorKind::Storage,
        };
        let said = RunsError::new(kind, error.to_string());
        match error {
            JournalError::Damaged { .. } => said.hint("`rerail verify` says what is damaged; other runs stay usable"),
            JournalError::DamagedFile { .. } => said.hint("`rerail verify` says what is damaged"),
            JournalError::Ended { run } => said.hint(format!("see how:  rerail show {run}")),
            JournalError::Fenced { run, .. } | JournalError::Conflict { run, .. } => {
                said.hint(format!("follow it:  rerail show {run} --follow"))
            }
            _ if kind == ErrorKind::Full => said.hint("make room on that disk, then do the same again"),
            _ => said,
        }
    }
}

impl From<PinnedError> for RunsError {
    fn from(error: PinnedError) -> Self {
        match error {
            PinnedError::Journal(error) => error.into(),
            PinnedError::Missing { .. } => RunsError::new(ErrorKind::Damaged, error.to_string()),
            other => RunsError::new(ErrorKind::Storage, other.to_string()),
        }
    }
}

impl From<Busy> for RunsError {
    fn from(busy: Busy) -> Self {
        match busy {
            Busy::Store(error) => error.into(),
            held => RunsError::new(ErrorKind::Busy, held.to_string())
                .hint("follow it with `rerail show RUN --follow`, or stop it with `rerail cancel RUN`"),
        }
    }
}

impl From<ProjectError> for RunsError {
    fn from(error: ProjectError) -> Self {
        let message = error.to_string();
        match error {
            ProjectError::Invalid(problems) => RunsError { problems, ..RunsError::new(ErrorKind::Invalid, message) },
            ProjectError::NoFile { .. } => RunsError::new(ErrorKind::Usage, message),
            ProjectError::NotFound { what, nearest, deeper, .. } => {
                let said = RunsError::new(ErrorKind::NotFound, message);
                match (deeper, nearest) {
                    (Some(file), _) => said.hint(format!(
                        "`{file}` lies deeper: names are those of files directly in {what}s/, others are given by path"
                    )),
                    (None, Some(near)) => said.hint(format!("did you mean `{near}`?")),
                    (None, None) if what == "runbook" => said.hint("`rerail list` shows all of them"),
                    (None, None) => said.hint("targets stand in `targets/NAME.yaml` beside `rerail.yaml`"),
                }
            }
        }
    }
}
