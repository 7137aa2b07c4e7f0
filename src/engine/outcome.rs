//! What can be said of an attempt and of a run. The words are those of the language and never change.

use serde::{Deserialize, Serialize};

use crate::script::value::{Map, Value};

/// What is known of one attempt, or of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It happened, on the other side's own word.
    Done,
    /// Proof that it did not happen.
    Refused,
    /// It ended, with proof of a partial or wrong effect; or a read that gave no answer.
    Failed,
    /// A write that may have happened.
    InDoubt,
    /// Its `if` was false.
    Skipped,
    /// The run ended before it.
    NotRun,
    Rejected,
    Cancelled,
    /// Rehearsal only: would be performed; its outputs are unknown.
    Planned,
}

impl Outcome {
    /// The word in journal, expressions and terminal.
    pub fn word(self) -> &'static str {
        match self {
            Outcome::Done => "done",
            Outcome::Refused => "refused",
            Outcome::Failed => "failed",
            Outcome::InDoubt => "in_doubt",
            Outcome::Skipped => "skipped",
            Outcome::NotRun => "not_run",
            Outcome::Rejected => "rejected",
            Outcome::Cancelled => "cancelled",
            Outcome::Planned => "planned",
        }
    }

    /// Words an expression may compare an outcome with.
    pub const WORDS: [&'static str; 8] =
        ["done", "refused", "failed", "in_doubt", "skipped", "not_run", "rejected", "cancelled"];

    /// Whether the steps after it go on.
    pub fn lets_the_run_go_on(self) -> bool {
        matches!(self, Outcome::Done | Outcome::Skipped | Outcome::Planned)
    }
}

/// Why an attempt, step or run did not end well.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    pub kind: FailureKind,
    /// Lower-case fragment; names the thing, the value seen, the value expected.
    pub message: String,
    /// The other side may answer differently soon (429, 503, connect refused).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub transient: bool,
    /// Seconds the other side asked to wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_s: Option<u64>,
    /// A picture of the place in the runbook, with a caret; empty when there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub picture: String,
    /// What the failing expression read, by path.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub values: Map,
}

impl Failure {
    /// A permanent failure of this kind.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Failure {
        Failure {
            kind,
            message: message.into(),
            transient: false,
            retry_after_s: None,
            picture: String::new(),
            values: Map::new(),
        }
    }

    /// The same, marked as worth another try.
    pub fn transient(kind: FailureKind, message: impl Into<String>) -> Failure {
        Failure { transient: true, ..Failure::new(kind, message) }
    }

    /// What `steps.x.error` and a script's `catch` see.
    pub fn to_value(&self) -> Value {
        Value::map([("kind", Value::from(self.kind.word())), ("message", Value::from(self.message.as_str()))])
    }
}

/// Classes of failure; a closed list, because people and scripts branch on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// Name did not resolve.
    Dns,
    /// No connection: refused, unreachable, timed out before it stood.
    Connect,
    /// TLS handshake or certificate.
    Tls,
    /// A limit in time was reached.
    Timeout,
    /// Connection lost, truncated or not the protocol.
    Network,
    /// A status or reply that says no.
    Status,
    /// `expect` was not met.
    Expect,
    /// An `assert` that does not hold.
    Assertion,
    /// An expression or script failed, or threw.
    Script,
    /// An argument of the wrong type or value.
    Argument,
    /// A rule of this host or target forbids it.
    Policy,
    /// A secret is missing, too short, or may not go there.
    Secret,
    /// File system.
    File,
    /// The step is done, but its own `outputs:` could not be computed.
    Outputs,
    /// `run.fail`.
    Stopped,
    /// The process that performed it died before its outcome was known.
    EngineDied,
    /// A person did not answer in time.
    Expired,
    /// A person said no.
    Rejected,
    /// The write is not in the plan that the run applies.
    Stale,
    /// Replay met another call than the journal has.
    Mismatch,
    /// A named limit of the engine.
    Limit,
    /// A hold was on directly before the first byte; the attempt is made again when it is lifted.
    Held,
    /// Another run holds the group of a called runbook.
    Busy,
}

impl FailureKind {
    /// The word in journal, expressions and terminal.
    pub fn word(self) -> &'static str {
        match self {
            FailureKind::Dns => "dns",
            FailureKind::Connect => "connect",
            FailureKind::Tls => "tls",
            FailureKind::Timeout => "timeout",
            FailureKind::Network => "network",
            FailureKind::Status => "status",
            FailureKind::Expect => "expect",
            FailureKind::Assertion => "assertion",
            FailureKind::Script => "script",
            FailureKind::Argument => "argument",
            FailureKind::Policy => "policy",
            FailureKind::Secret => "secret",
            FailureKind::File => "file",
            FailureKind::Outputs => "outputs",
            FailureKind::Stopped => "stopped",
            FailureKind::EngineDied => "engine_died",
            FailureKind::Expired => "expired",
            FailureKind::Rejected => "rejected",
            FailureKind::Stale => "stale",
            FailureKind::Mismatch => "mismatch",
            FailureKind::Limit => "limit",
            FailureKind::Held => "held",
            FailureKind::Busy => "busy",
        }
    }
}

/// What one attempt gave: the only thing a step hands back.
#[derive(Clone, Debug, PartialEq)]
pub struct Attempt {
    pub outcome: Outcome,
    pub outputs: Value,
    pub failure: Option<Failure>,
}

impl Attempt {
    /// It happened.
    pub fn done(outputs: Value) -> Attempt {
        Attempt { outcome: Outcome::Done, outputs, failure: None }
    }

    /// It certainly did not happen.
    pub fn refused(failure: Failure) -> Attempt {
        Attempt { outcome: Outcome::Refused, outputs: Value::Null, failure: Some(failure) }
    }

    /// It ended wrongly, or a read gave no answer.
    pub fn failed(failure: Failure) -> Attempt {
        Attempt { outcome: Outcome::Failed, outputs: Value::Null, failure: Some(failure) }
    }

    /// A write that may have happened.
    pub fn in_doubt(failure: Failure) -> Attempt {
        Attempt { outcome: Outcome::InDoubt, outputs: Value::Null, failure: Some(failure) }
    }

    /// The same with outputs, for failures that still saw something.
    pub fn with_outputs(self, outputs: Value) -> Attempt {
        Attempt { outputs, ..self }
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunOutcome {
    Success,
    Failed,
    Rejected,
    Cancelled,
}

impl RunOutcome {
    /// The word in journal and terminal.
    pub fn word(self) -> &'static str {
        match self {
            RunOutcome::Success => "success",
            RunOutcome::Failed => "failed",
            RunOutcome::Rejected => "rejected",
            RunOutcome::Cancelled => "cancelled",
        }
    }
}

/// How taking steps back ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UndoOutcome {
    /// All of them are taken back.
    Done,
    /// One could not be, or time was up: the rest waits for a person.
    Stuck,
    /// Somebody stopped it.
    Cancelled,
}

impl UndoOutcome {
    /// The word in journal and terminal.
    pub fn word(self) -> &'static str {
        match self {
            UndoOutcome::Done => "done",
            UndoOutcome::Stuck => "stuck",
            UndoOutcome::Cancelled => "cancelled",
        }
    }
}
