//! Names of runs, steps and attempts. All are stable: none counts unrelated things.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A run. UUIDv7, so that ids sort by start time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(uuid::Uuid);

impl RunId {
    /// Wraps a version 7 UUID made by the caller: the engine has no clock and no randomness.
    pub fn new(uuid: uuid::Uuid) -> RunId {
        RunId(uuid)
    }

    /// Six characters of Crockford base32 from the random part: no look-alike letters, to be said aloud
    /// on a call. Unique enough for a store; commands accept any unique prefix of it or of the UUID.
    pub fn short(&self) -> String {
        const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
        let mut bits = u128::from_be_bytes(*self.0.as_bytes());
        let mut text = [0u8; 6];
        for slot in text.iter_mut().rev() {
            *slot = ALPHABET[(bits & 31) as usize];
            bits >>= 5;
        }
        String::from_utf8_lossy(&text).into_owned()
    }

    /// The full UUID in its usual text form.
    pub fn uuid(&self) -> String {
        self.0.to_string()
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.short())
    }
}

impl FromStr for RunId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(RunId)
    }
}

/// What paths of steps begin with that take others back.
const UNDO: &str = "undo/";

/// The place of a step instance in a run: step ids joined by `/`, `[i]` for an item of a loop, `#n` for the n-th
/// call of that name in a script, with the prefixes `on_failure/`, `finally/` and `undo/`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StepPath(String);

impl StepPath {
    /// The path of this text.
    pub fn new(text: impl Into<String>) -> StepPath {
        StepPath(text.into())
    }

    /// `self/segment`, or just `segment` at the root.
    pub fn join(&self, segment: &str) -> StepPath {
        if self.0.is_empty() { StepPath(segment.to_owned()) } else { StepPath(format!("{}/{segment}", self.0)) }
    }

    /// The empty path: the scope of the runbook itself.
    pub fn root() -> StepPath {
        StepPath(String::new())
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Where this step instance is taken back.
    pub fn undo(&self) -> StepPath {
        StepPath(format!("{UNDO}{}", self.0))
    }

    /// Whether it is a step that takes another one back, or stands inside of one.
    pub fn is_undo(&self) -> bool {
        self.0.starts_with(UNDO)
    }

    /// The path of one item of the loop at `self`.
    pub fn item(&self, index: usize) -> StepPath {
        StepPath(format!("{}[{index}]", self.0))
    }

    /// Whether `self` lies strictly below `ancestor`: a step inside, or an item of it.
    pub fn is_below(&self, ancestor: &StepPath) -> bool {
        ancestor.0.is_empty() || self.0.strip_prefix(&ancestor.0).is_some_and(|rest| rest.starts_with(['/', '[']))
    }

    /// What the paths below `self` start with.
    pub fn starts_below(&self) -> Vec<String> {
        if self.0.is_empty() { vec![String::new()] } else { vec![format!("{}/", self.0), format!("{}[", self.0)] }
    }

    /// The paths this one is below, innermost first.
    pub fn ancestors(&self) -> impl Iterator<Item = StepPath> {
        self.0.rmatch_indices(['/', '[']).map(|(at, _)| StepPath(self.0[..at].to_owned()))
    }

    /// Number of segments.
    pub fn depth(&self) -> usize {
        if self.0.is_empty() { 0 } else { self.0.split('/').count() }
    }
}

impl Borrow<str> for StepPath {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StepPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for StepPath {
    fn from(text: &str) -> Self {
        StepPath(text.to_owned())
    }
}
