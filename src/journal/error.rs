//! What can go wrong with a journal, as callers branch on it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::engine::ids::RunId;
use crate::journal::key::PublicKey;
use crate::journal::lease::Holder;
use crate::journal::schema::BUSY_TIMEOUT;

/// Why a store could not be opened, read or written. After a failed write nothing of it is acknowledged.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The place is not fit for a journal; the message ends with what to do.
    #[error("journal `{}` {why}", path.display())]
    Refused { path: PathBuf, why: String },
    /// No space left. The writer is whole and goes on by itself once there is space: pause the run, then append
    /// first what has already happened (outcomes, `run.paused`), for which some space is kept in reserve.
    #[error("disk of journal `{}` is full: nothing of this was recorded", file.display())]
    Full { file: PathBuf },
    /// A read, write or flush failed. The writer reopens the file and checks its runs before it goes on; events
    /// of the failed append may or may not be there, so load the run again.
    #[error("input or output on journal `{}` failed: {source}", file.display())]
    Io { file: PathBuf, source: Arc<rusqlite::Error> },
    /// The operating system refused something around the database.
    #[error("{doing} `{}` failed: {source}", path.display())]
    Os { doing: &'static str, path: PathBuf, source: Arc<std::io::Error> },
    /// Another process kept the write lock; nothing was written, trying again is safe.
    #[error("journal `{}` stayed locked by another process for {} s", file.display(), BUSY_TIMEOUT.as_secs())]
    Locked { file: PathBuf },
    /// The run is driven by somebody else now, or by nobody: this driver has lost it.
    #[error("run {run} is no longer driven from here: {}", taken_by(holder.as_ref()))]
    Fenced { run: RunId, holder: Option<Holder> },
    /// The run has moved on: load it again.
    #[error("event {found} does not follow: run {run} expects event {expected} next")]
    Conflict { run: RunId, expected: u64, found: u64 },
    /// A signal was consumed twice.
    #[error("signal {id} of run {run} is not pending")]
    NotPending { run: RunId, id: u64 },
    /// A run ends only after its driver has taken up what people told it: read the inbox, then append again.
    #[error("a signal waits for the driver of run {run}")]
    SignalWaiting { run: RunId },
    /// Nobody is left to hear it.
    #[error("run {run} has ended")]
    Ended { run: RunId },
    /// Only what is over can be removed.
    #[error("run {run} has not ended")]
    NotEnded { run: RunId },
    /// Too many signals wait for a driver.
    #[error("run {run} has {limit} signals waiting already: nobody drives it")]
    InboxFull { run: RunId, limit: u64 },
    /// Only some events may come from outside.
    #[error("a `{word}` event is not a signal")]
    NotASignal { word: &'static str },
    /// A run that excludes others can't begin or go on beside this one.
    #[error("`{group}` is held by run {run}")]
    GroupTaken { group: String, run: RunId },
    /// No such run.
    #[error("no run {run} in this journal")]
    NoRun { run: RunId },
    /// An event is not what was written. The run is refused; all others stay usable.
    #[error("run {run} is damaged at event {seq}: {why}")]
    Damaged { run: RunId, seq: u64, why: String },
    /// The database file itself is damaged.
    #[error("journal `{}` is damaged: {why}", file.display())]
    DamagedFile { file: PathBuf, why: String },
    /// The store's key can't be used; the message ends with what to do.
    #[error("key of the store `{}` {why}", file.display())]
    Key { file: PathBuf, why: String },
    /// A sealed value can't be opened here.
    #[error("sealed value does not open with {key}: another store sealed it, or it was changed")]
    Unsealed { key: PublicKey },
    /// Written by a newer rerail.
    #[error("{what} has format {found}, this rerail knows up to {known}: use the newer rerail that wrote it")]
    TooNew { what: String, found: u64, known: u64 },
    /// The linked SQLite has a known corruption bug.
    #[error("SQLite {found} can corrupt its log; at least {needed} is needed")]
    OldSqlite { found: String, needed: &'static str },
    /// The writer thread is gone.
    #[error("the journal's writer has stopped")]
    Stopped,
}

fn taken_by(holder: Option<&Holder>) -> String {
    match holder {
        Some(holder) => format!("taken over by {holder}"),
        None => "released".to_owned(),
    }
}

impl Error {
    pub(super) fn os(doing: &'static str, path: &Path, source: std::io::Error) -> Error {
        Error::Os { doing, path: path.to_owned(), source: Arc::new(source) }
    }

    /// An error of SQLite on `file`, by class.
    pub(super) fn sqlite(file: &Path, error: rusqlite::Error) -> Error {
        use rusqlite::ErrorCode as Code;
        let file = file.to_owned();
        match error.sqlite_error() {
            Some(e) if e.code == Code::DiskFull || e.extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE => {
                Error::Full { file }
            }
            Some(e) if matches!(e.code, Code::DatabaseBusy | Code::DatabaseLocked) => Error::Locked { file },
            Some(e) if matches!(e.code, Code::DatabaseCorrupt | Code::NotADatabase) => {
                Error::DamagedFile { file, why: error.to_string() }
            }
            _ => Error::Io { file, source: Arc::new(error) },
        }
    }

    /// Whether the connection that met it may go on without being opened and checked anew.
    pub(super) fn leaves_the_file_trusted(&self) -> bool {
        !matches!(self, Error::Io { .. } | Error::DamagedFile { .. } | Error::Os { .. })
    }
}

/// An error below the store's edge, where the file's name isn't at hand.
#[derive(Debug)]
pub(super) enum Failure {
    Sqlite(rusqlite::Error),
    /// A refusal of this request alone; the database is fine.
    Refusal(Error),
}

impl Failure {
    /// Whether the rest of a transaction may go on without this request.
    pub(super) fn is_of_one_request(&self) -> bool {
        use rusqlite::ErrorCode as Code;
        match self {
            Failure::Refusal(_) => true,
            Failure::Sqlite(error) => {
                matches!(error.sqlite_error_code(), Some(Code::TooBig | Code::ConstraintViolation | Code::TypeMismatch))
            }
        }
    }

    pub(super) fn at(self, file: &Path) -> Error {
        match self {
            Failure::Sqlite(error) => Error::sqlite(file, error),
            Failure::Refusal(error) => error,
        }
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Failure::Sqlite(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Refusal(error)
    }
}
