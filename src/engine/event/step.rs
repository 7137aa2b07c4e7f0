//! What events say of a step: its intent, its end, another attempt, and what a rehearsal saw instead.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::engine::ids::StepPath;
use crate::engine::outcome::{Failure, Outcome};
use crate::runbook::spec::{Effect, Repeat};
use crate::script::value::{Map, Value};

/// The intent of an attempt, or the start of a composite.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepStarted {
    pub step: StepPath,
    /// From 1.
    pub attempt: u32,
    /// Rendered `name:`, if the step has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `uses script assert findings steps parallel foreach`, or `iteration` for a group as one item of a loop.
    pub body: String,
    /// The action, for `uses` and calls from scripts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uses: Option<String>,
    pub effect: Effect,
    #[serde(default, skip_serializing_if = "is_once")]
    pub repeat: Repeat,
    /// Resolved arguments, secrets as references. For an action: its inputs. For a loop: `items` and `max_parallel`.
    pub with: Map,
    /// Digest of the arguments as a script gave them, before they were typed and completed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given: Option<String>,
    /// `vars` of an action's scope.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub vars: Map,
    /// Idempotency key of a write: run, path and digest of the arguments, without the attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Limit of this attempt in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// Deadline of the whole step, for polls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within_ms: Option<u64>,
    /// Rehearsal only: below an `if`, or after an end, that could not be decided.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub maybe: bool,
    /// The values that made its `if` true, by path.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub why: Map,
    /// Names of sealed outputs that come as plain text all the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reveal: Vec<String>,
}

fn is_once(repeat: &Repeat) -> bool {
    *repeat == Repeat::Once
}

/// The end of an attempt or of a composite.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepFinished {
    pub step: StepPath,
    pub attempt: u32,
    pub outcome: Outcome,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub outputs: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
    /// The innermost step an action broke at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broken_at: Option<StepPath>,
    /// Duration of the attempt.
    pub ms: u64,
    /// Rehearsal only: what it would change or what it sees now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planned: Option<Planned>,
}

/// Another attempt of a step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepRetrying {
    pub step: StepPath,
    /// The attempt that is over.
    pub attempt: u32,
    /// When the next one begins.
    pub at: Timestamp,
    /// What it failed with; absent after a look that ended well and was not enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
    /// What the look saw.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub result: Value,
    /// Whether `until` held and has to hold again (`in_a_row`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub met: bool,
    /// Steps inside that run anew; those below the step's own path do anyway.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forget: Vec<StepPath>,
}

/// What a rehearsal says of a step instead of performing or waiting.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Planned {
    /// `would POST https://… (not sent)`, `now: 502 in 40 ms`.
    pub summary: String,
    /// What people want to see before they agree, a line each: a diff, the size of what would be sent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub detail: Vec<String>,
    /// What an action's `plan` says of the change; absent where it says nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<PlannedChange>,
    /// Who would have to agree, and within what time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<String>,
    /// What a script may call after the place where the rehearsal had to stop.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub may_call: Vec<String>,
}

/// The change an action announces, as its `plan` words it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlannedChange {
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub before: Value,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub after: Value,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub reversible: Value,
}

/// A suggested next run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Suggest {
    pub runbook: String,
    pub with: Map,
}
