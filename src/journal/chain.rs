//! The hash chain of a run: what makes a changed, missing, swapped or added event show.
//!
//! hash(n) = SHA-256(hash(n-1) ‖ n as 8 bytes big-endian ‖ the stored line). The first link hangs on the
//! run's id, so that events can't move between runs. Pure: knows no database.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::engine::event::{Body, Event, StoreLink};
use crate::engine::ids::RunId;
use crate::journal::apart::to_line;
use crate::journal::append::Blob;
use crate::journal::error::Error;

/// What a chain starts from, together with the run's id. Changing it orphans every journal.
const ORIGIN: &[u8] = b"rerail journal chain 1\n";

/// A SHA-256 hash; hex as text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Hash([u8; 32]);

impl Hash {
    /// The link before the first event of a run.
    pub fn origin(run: RunId) -> Hash {
        let mut sha = Sha256::new();
        sha.update(ORIGIN);
        sha.update(run.uuid());
        Hash(sha.finalize().into())
    }

    /// The hash of these bytes alone.
    pub fn of(bytes: &[u8]) -> Hash {
        Hash(Sha256::digest(bytes).into())
    }

    /// The link of event `seq`, stored as `line`, after `self`.
    pub fn next(&self, seq: u64, line: &[u8]) -> Hash {
        let mut sha = Sha256::new();
        sha.update(self.0);
        sha.update(seq.to_be_bytes());
        sha.update(line);
        Hash(sha.finalize().into())
    }

    /// The hash in these bytes, if there are 32.
    pub fn from_bytes(bytes: &[u8]) -> Option<Hash> {
        bytes.try_into().ok().map(Hash)
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0 {
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<Hash> for String {
    fn from(hash: Hash) -> Self {
        hash.to_string()
    }
}

impl TryFrom<String> for Hash {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let wrong = || format!("`{text}` is not a hash of 64 hex digits");
        if text.len() != 64 || !text.is_ascii() {
            return Err(wrong());
        }
        let mut bytes = [0; 32];
        for (i, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).map_err(|_| wrong())?;
        }
        Ok(Hash(bytes))
    }
}

/// The name of a blob or a pinned file: the same for both, so that one finds the other.
pub use crate::engine::digest::name as digest;

/// The end of a run's chain: its last event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    pub seq: u64,
    pub hash: Hash,
}

/// An event as it is stored.
pub(super) struct Link {
    pub(super) line: String,
    pub(super) hash: Hash,
    /// Large values that the line names.
    pub(super) apart: Vec<Blob>,
}

/// Turns events into links behind `head`. A `run.started` gets `store` before it is hashed.
///
/// # Errors
/// [`Error::Conflict`] if they don't follow the head without a gap; [`Error::NoRun`] if the first event of a
/// run is not its `run.started`.
pub(super) fn extend(
    run: RunId,
    head: Option<Head>,
    events: &[Event],
    store: &StoreLink,
) -> Result<(Option<Head>, Vec<Link>), Error> {
    let mut head = head;
    let mut links = Vec::with_capacity(events.len());
    for event in events {
        let expected = head.map_or(0, |head| head.seq + 1);
        if event.seq != expected {
            return Err(Error::Conflict { run, expected, found: event.seq });
        }
        let (line, apart) = match &event.body {
            Body::RunStarted(started) if head.is_none() && started.run == run => {
                let mut event = event.clone();
                if let Body::RunStarted(started) = &mut event.body {
                    started.store = Some(store.clone());
                }
                to_line(&event)
            }
            Body::RunStarted(_) => return Err(Error::Conflict { run, expected, found: event.seq }),
            _ if head.is_none() => return Err(Error::NoRun { run }),
            _ => to_line(event),
        };
        let prev = head.map_or_else(|| Hash::origin(run), |head| head.hash);
        let hash = prev.next(event.seq, line.as_bytes());
        head = Some(Head { seq: event.seq, hash });
        links.push(Link { line, hash, apart });
    }
    Ok((head, links))
}
