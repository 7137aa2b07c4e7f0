//! Sessions of browsers, and the codes that begin one from a terminal.
//!
//! A browser keeps a random secret; the store keeps its digest alone, with how its owner proved who they are. That is asked
//! anew at every request: a token that is taken out of the project ends its sessions with it, and so does a person who
//! has left. The shelves are the project's own: people of another one in the same store may have the same names.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::runbook::people::TokenHash;
use crate::runs::{ErrorKind, Runs, RunsError, Shelf, Token, token_digest};
use crate::script::hex;

/// How long a session lasts: a shift.
pub const LASTS: SignedDuration = SignedDuration::from_hours(12);
/// How long a code may be used: long enough to follow a link, too short to be found in a history.
pub const CODE_LASTS: SignedDuration = SignedDuration::from_secs(60);
/// Where sessions are kept, by the digest of their secret.
const SESSIONS: &str = "web.sessions";
/// Where codes are kept, by their digest.
const CODES: &str = "web.codes";
/// Where a server says under which address it is called.
const SERVERS: &str = "web.servers";
/// Of the one that said so last.
const LAST: &str = "last";

/// How the owner of a session proved who they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// By a token: its digest, compared anew at every request.
    Token(TokenHash),
    /// By being a user of this machine, who made a link on its terminal: every name the operating system has for them.
    User(Vec<String>),
}

/// As it is kept.
#[derive(Debug, Deserialize, Serialize)]
struct Kept {
    until: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<[u8; 32]>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    users: Vec<String>,
}

impl Kept {
    fn of(who: &Who, until: Timestamp) -> Kept {
        let kept = Kept { until, token: None, users: Vec::new() };
        match who {
            Who::Token(digest) => Kept { token: Some(digest.0), ..kept },
            Who::User(names) => Kept { users: names.clone(), ..kept },
        }
    }

    fn who(self, now: Timestamp) -> Option<Who> {
        if self.until <= now {
            return None;
        }
        match self.token {
            Some(digest) => Some(Who::Token(TokenHash(digest))),
            None => (!self.users.is_empty()).then_some(Who::User(self.users)),
        }
    }
}

fn key(secret: &str) -> String {
    hex::hex(&token_digest(secret).0)
}

fn keep(shelf: &Shelf<'_>, who: &Who, lasts: SignedDuration) -> Result<String, RunsError> {
    let until = Timestamp::now().checked_add(lasts).unwrap_or(Timestamp::MAX);
    let secret = Token::new()?;
    let text = serde_json::to_string(&Kept::of(who, until))
        .map_err(|error| RunsError::new(ErrorKind::Internal, format!("a session can't be written down: {error}")))?;
    shelf.put(&key(secret.text()), &text, Some(until))?;
    Ok(secret.text().to_owned())
}

fn read(text: Option<String>) -> Option<Who> {
    serde_json::from_str::<Kept>(&text?).ok()?.who(Timestamp::now())
}

/// Begins a session; gives the secret that the browser keeps.
///
/// # Errors
/// If the journal can't take it.
pub fn begin(runs: &Runs, who: &Who) -> Result<String, RunsError> {
    keep(&runs.shelf(SESSIONS), who, LASTS)
}

/// Whose session this is; nobody's if it has ended.
///
/// # Errors
/// If the journal can't be read.
pub fn find(runs: &Runs, secret: &str) -> Result<Option<Who>, RunsError> {
    Ok(read(runs.shelf(SESSIONS).get(&key(secret))?))
}

/// Ends a session.
///
/// # Errors
/// If the journal can't take it.
pub fn end(runs: &Runs, secret: &str) -> Result<(), RunsError> {
    runs.shelf(SESSIONS).take(&key(secret)).map(drop)
}

/// A code that begins one session, soon and once.
///
/// # Errors
/// If the journal can't take it.
pub fn make_code(runs: &Runs, who: &Who) -> Result<String, RunsError> {
    keep(&runs.shelf(CODES), who, CODE_LASTS)
}

/// Whom a code lets in; nobody if it was used or is too old. After this it is used.
///
/// # Errors
/// If the journal can't take it.
pub fn take_code(runs: &Runs, code: &str) -> Result<Option<Who>, RunsError> {
    Ok(read(runs.shelf(CODES).take(&key(code))?))
}

/// What a form of this session has in it: nobody who can't read its pages knows it.
pub fn csrf(secret: &str) -> String {
    let mut digest = Sha256::new();
    digest.update(b"rerail form\0");
    digest.update(secret.as_bytes());
    hex::hex(&digest.finalize())
}

/// Says under which address this project's server is called now.
///
/// # Errors
/// If the journal can't take it.
pub fn serves_at(runs: &Runs, address: &str) -> Result<(), RunsError> {
    runs.shelf(SERVERS).put(LAST, address, None)
}

/// Under which address the project's last server was called.
///
/// # Errors
/// If the journal can't be read.
pub fn served_at(runs: &Runs) -> Result<Option<String>, RunsError> {
    runs.shelf(SERVERS).get(LAST)
}
