//! The journal's vocabulary. Additive only: old journals are fixtures and must fold for ever.
//!
//! An event states a fact. What is *performed* follows from it: a committed `step.started` of a
//! primitive is the intent, and a driver performs exactly those.

mod actor;
mod step;

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::engine::change::{Change, Cover};
use crate::engine::ids::{RunId, StepPath};
use crate::engine::outcome::{Failure, Outcome, RunOutcome, UndoOutcome};
use crate::engine::traceparent::Traceparent;
use crate::runbook::approval::{Floors, Need, OnExpiry};
use crate::runbook::model::Level;
use crate::runbook::program::FileKind;
use crate::runbook::spec::Effect;
use crate::script::value::{Map, Value};

pub use actor::{AGENT, Actor};
pub use step::{Planned, PlannedChange, StepFinished, StepRetrying, StepStarted, Suggest};

/// Version of the event format.
pub const EVENT_VERSION: u32 = 1;

/// Version of the meaning of a runbook: language, engine and the pinned Rhai. A run is resumed only by
/// an engine of the same number.
pub const ENGINE_SEMANTICS: u32 = 1;

/// One line of a run's journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    pub v: u32,
    /// Position in the run, from 0 without gaps.
    pub seq: u64,
    /// When it was decided, UTC; for people and waits, never for order.
    pub ts: Timestamp,
    #[serde(flatten)]
    pub body: Body,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum Body {
    /// The first event: everything a run depends on.
    #[serde(rename = "run.started")]
    RunStarted(Box<RunStarted>),
    /// A driver took the run over; attempts open until here are lost.
    #[serde(rename = "run.resumed")]
    RunResumed { actor: Actor, reason: Option<String>, fence: u64 },
    /// Who drives it has changed hands, as somebody wanted; follows the `run.resumed` of the new driver.
    #[serde(rename = "run.taken")]
    RunTaken {
        actor: Actor,
        /// Who had started it or taken it up before.
        from: Actor,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Somebody asked to stop: no new step starts.
    #[serde(rename = "run.cancelled")]
    RunCancelled { actor: Actor, reason: Option<String> },
    /// Nothing more can be recorded or decided for now, or a person wants nothing new to start.
    #[serde(rename = "run.paused")]
    RunPaused {
        reason: String,
        /// Who asked for it; nobody if the run could not go on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        actor: Option<Actor>,
    },
    #[serde(rename = "run.finished")]
    RunFinished {
        outcome: RunOutcome,
        failed_step: Option<StepPath>,
        error: Option<Failure>,
        outputs: Map,
        message: Option<String>,
    },
    #[serde(rename = "step.started")]
    StepStarted(Arc<StepStarted>),
    /// A poll saw something new.
    #[serde(rename = "step.observed")]
    StepObserved { step: StepPath, attempt: u32, look: u32, result: Value },
    #[serde(rename = "step.finished")]
    StepFinished(Arc<StepFinished>),
    /// The attempt is over and another one begins: after a failure, or because `until` was not met.
    #[serde(rename = "step.retrying")]
    StepRetrying(Box<StepRetrying>),
    /// Reads told what had become of an in-doubt write, or could not tell.
    #[serde(rename = "step.settled")]
    StepSettled { step: StepPath, attempt: u32, verdict: Verdict, outputs: Map, values: Map },
    #[serde(rename = "step.skipped")]
    StepSkipped { step: StepPath, condition: String, values: Map },
    #[serde(rename = "ask.asked")]
    AskAsked {
        step: StepPath,
        text: String,
        choices: Vec<String>,
        /// What is asked for by name, declared like inputs; empty for a question with one answer.
        #[serde(default, skip_serializing_if = "Map::is_empty")]
        fields: Map,
        by: Vec<String>,
        expires: Option<Timestamp>,
    },
    #[serde(rename = "ask.answered")]
    AskAnswered {
        step: StepPath,
        answer: Value,
        actor: Actor,
        /// When the person gave it, if that was before the driver took it up, which is the event's own time.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<Timestamp>,
    },
    /// A write waits for people: exactly these changes, and no others, are made once they agree.
    #[serde(rename = "approval.requested")]
    ApprovalRequested(Box<ApprovalRequested>),
    /// One person agreed. The approval is given when all its needs are met.
    #[serde(rename = "approval.given")]
    ApprovalGiven {
        step: StepPath,
        /// What was agreed to: [`ApprovalRequested::change`].
        change: String,
        actor: Actor,
        /// When it was given, if that was before the driver took it up, which is the event's own time.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<Timestamp>,
        /// What the person was shown, as they saw it; absent where a surface doesn't say.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        shown: Option<String>,
        /// Nobody else is configured: the operator agreed with themselves.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        single: bool,
    },
    #[serde(rename = "approval.rejected")]
    ApprovalRejected { step: StepPath, change: String, actor: Actor, reason: String },
    /// Nobody, or not enough, agreed in time.
    #[serde(rename = "approval.expired")]
    ApprovalExpired { step: StepPath, change: String },
    /// What was asked for or agreed to is not what would be done.
    #[serde(rename = "approval.void")]
    ApprovalVoid { step: StepPath, change: String, why: String },
    /// It still waits.
    #[serde(rename = "approval.reminded")]
    ApprovalReminded {
        step: StepPath,
        change: String,
        /// How many times `remind` has gone by.
        times: u32,
    },
    #[serde(rename = "finding")]
    Finding { step: StepPath, level: Level, say: String, suggest: Option<Suggest> },
    #[serde(rename = "note")]
    Note { text: String, actor: Option<Actor>, step: Option<StepPath> },
    /// What a script printed.
    #[serde(rename = "log")]
    Log { step: StepPath, text: String },
    /// A person settled what the engine can't know, or reopened a step.
    #[serde(rename = "outcome.set")]
    OutcomeSet { step: StepPath, decision: Decision, outputs: Map, actor: Actor, reason: String },
    /// What was done is being taken back: of the ended run, or by `run.undo` in it.
    #[serde(rename = "undo.started")]
    UndoStarted(Box<UndoStarted>),
    #[serde(rename = "undo.finished")]
    UndoFinished {
        /// The call of `run.undo`; none if the ended run was taken back.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<StepPath>,
        outcome: UndoOutcome,
        /// Steps that are not taken back, the next one first.
        left: Vec<StepPath>,
    },
    /// The run met a hold of its store: no write starts until it is lifted.
    #[serde(rename = "hold.on")]
    HoldOn(Hold),
    /// The hold was lifted, and the run goes on.
    #[serde(rename = "hold.off")]
    HoldOff {
        /// Who lifted it, as far as that is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        actor: Option<Actor>,
    },
    /// A called runbook waits for its group, which other runs hold.
    #[serde(rename = "concurrency.waiting")]
    ConcurrencyWaiting {
        step: StepPath,
        group: String,
        #[serde(flatten)]
        queued: Queued,
    },
    /// A called runbook doesn't begin, because another run holds its group.
    #[serde(rename = "concurrency.busy")]
    ConcurrencyBusy {
        step: StepPath,
        group: String,
        #[serde(flatten)]
        queued: Queued,
    },
    /// The run holds a group for a called runbook, until the run is over.
    #[serde(rename = "concurrency.claimed")]
    ConcurrencyClaimed { step: StepPath, group: String },
    /// A result that arrived after its driver had lost the run: kept as evidence, changes nothing.
    #[serde(rename = "evidence")]
    Evidence { step: StepPath, attempt: u32, outcome: Outcome, outputs: Value },
}

impl Body {
    /// The type word of this event, as in the journal.
    pub fn word(&self) -> &'static str {
        match self {
            Body::RunStarted(_) => "run.started",
            Body::RunResumed { .. } => "run.resumed",
            Body::RunTaken { .. } => "run.taken",
            Body::RunCancelled { .. } => "run.cancelled",
            Body::RunPaused { .. } => "run.paused",
            Body::RunFinished { .. } => "run.finished",
            Body::StepStarted(_) => "step.started",
            Body::StepObserved { .. } => "step.observed",
            Body::StepFinished(_) => "step.finished",
            Body::StepRetrying(_) => "step.retrying",
            Body::StepSettled { .. } => "step.settled",
            Body::StepSkipped { .. } => "step.skipped",
            Body::AskAsked { .. } => "ask.asked",
            Body::AskAnswered { .. } => "ask.answered",
            Body::ApprovalRequested(_) => "approval.requested",
            Body::ApprovalGiven { .. } => "approval.given",
            Body::ApprovalRejected { .. } => "approval.rejected",
            Body::ApprovalExpired { .. } => "approval.expired",
            Body::ApprovalVoid { .. } => "approval.void",
            Body::ApprovalReminded { .. } => "approval.reminded",
            Body::Finding { .. } => "finding",
            Body::Note { .. } => "note",
            Body::Log { .. } => "log",
            Body::OutcomeSet { .. } => "outcome.set",
            Body::UndoStarted(_) => "undo.started",
            Body::UndoFinished { .. } => "undo.finished",
            Body::HoldOn(_) => "hold.on",
            Body::HoldOff { .. } => "hold.off",
            Body::ConcurrencyWaiting { .. } => "concurrency.waiting",
            Body::ConcurrencyBusy { .. } => "concurrency.busy",
            Body::ConcurrencyClaimed { .. } => "concurrency.claimed",
            Body::Evidence { .. } => "evidence",
        }
    }
}

/// Everything a run depends on, pinned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunStarted {
    pub semantics: u32,
    pub run: RunId,
    pub runbook: String,
    pub title: String,
    /// Texts of runbook, actions, modules and target; the bytes are blobs under their digest.
    pub files: Vec<PinnedFile>,
    pub target: Option<String>,
    /// The project's directory, or where the run was started without one: relative paths start here, and what
    /// is allowed is asked here again at every resumption. Absent in journals from before it was recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<String>,
    pub inputs: Map,
    pub vars: Map,
    /// What the target says under `providers`, secrets by name: `run.providers`.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub providers: Map,
    pub actor: Actor,
    pub reason: Option<String>,
    pub incident: Option<String>,
    /// What the operator was shown before the start: the effects the run may have.
    pub effects: Vec<Effect>,
    /// Fencing number of the driver that started it; 0 in journals from before it was recorded.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub fence: u64,
    /// What the run holds against others until it has ended: the text of `concurrency.group`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The run of its kind that had ended last when this one started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Box<Previous>>,
    /// Limit of the whole run in milliseconds; absent in journals from before there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// What its target asks for before a write; absent if it asks for nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub floors: Option<Box<Floors>>,
    /// The plan it applies: it makes no other writes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cover: Option<Box<Cover>>,
    /// Where that comes from; absent in runs without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Box<AppliedPlan>>,
    /// The span of whoever started it, which it goes on from; absent if they have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<Traceparent>,
    /// Rehearsal only, never in a store.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rehearsal: bool,
    /// Number and hash of the run started before in this store; written by the journal at commit, so
    /// that a removed run shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<StoreLink>,
}

/// How the last ended run of the same runbook, target and group ended: what expressions see as `run.previous`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Previous {
    pub run: RunId,
    pub outcome: RunOutcome,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub outputs: Map,
    pub ended_at: Timestamp,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// A saved plan that a run applies. Its text is a blob under the digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppliedPlan {
    /// `sha256:` over the bytes of the file.
    pub digest: String,
    pub made_at: Timestamp,
    /// Who made it.
    pub by: Actor,
}

/// A hold: while it is on, no write starts in any run of its store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    pub actor: Actor,
    pub since: Timestamp,
    pub reason: String,
}

/// Who keeps a run from a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queued {
    /// The run that holds it; none if it is free and others came first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// As of then, for people: `is held by …`.
    pub said: String,
    /// How many wait longer.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub ahead: u64,
    /// Whether that run waits for this one, itself or over others: waiting for it would never end.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub circle: bool,
}

impl Queued {
    /// Whether it says the same: where the other run is by now is no news.
    pub fn is_same(&self, other: &Queued) -> bool {
        (self.run, self.ahead, self.circle) == (other.run, other.ahead, other.circle)
    }
}

/// A file as it was when the run started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PinnedFile {
    pub kind: FileKind,
    /// `backend-down`, `railway.redeploy`, `railway/common`, `production`.
    pub name: String,
    /// As shown in diagnostics: a path, or `embedded:runbooks/backend-down.yaml`.
    pub shown: String,
    /// `sha256:` and 64 hex digits.
    pub digest: String,
}

/// A link of the store-wide chain of runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreLink {
    /// 1 for the first run of a store.
    pub number: u64,
    /// Hash of the `run.started` of run `number - 1`; empty for the first.
    pub prev: String,
}

/// What people are asked to agree to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ApprovalRequested {
    /// The step the approval stands on, or the write that nothing covers.
    pub step: StepPath,
    /// Who must agree: all of these are to be met.
    pub needs: Vec<Need>,
    pub message: String,
    /// What is agreed to, in the order in which it would be done.
    pub changes: Vec<Change>,
    /// Whether these are all; else the step may do more, and asks again for it.
    pub complete: bool,
    /// Digest of all changes: who agrees names it.
    pub change: String,
    pub expires: Timestamp,
    /// How often it is called to mind, in milliseconds.
    pub remind_ms: u64,
    #[serde(default, skip_serializing_if = "is_fail")]
    pub on_expiry: OnExpiry,
    /// Nobody is configured who could agree: the operator may do so themselves.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub single: bool,
    /// Whether the target asks for it as well.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub policy: bool,
}

fn is_fail(on_expiry: &OnExpiry) -> bool {
    *on_expiry == OnExpiry::Fail
}

/// What reads said of an in-doubt write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Happened,
    NotHappened,
    Unknown,
}

/// The beginning of taking steps back.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct UndoStarted {
    /// The call of `run.undo`; none if the ended run is taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<StepPath>,
    /// Who wants it; nobody if the runbook says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<Actor>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Fencing number of the driver that takes an ended run up for this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fence: Option<u64>,
    /// What is taken back, in this order. The body of each runs at `undo/` and its path.
    pub steps: Vec<StepPath>,
    /// Changes that nothing takes back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without_undo: Vec<StepPath>,
    /// Writes a person passed over: nobody knows whether they happened, so they are left alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<StepPath>,
}

/// What a person decided about a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// It happened; outputs may be given.
    Done,
    /// It did not happen: the same bytes are sent again.
    NotDone,
    /// Start the step anew; arguments are evaluated again.
    Retry,
    /// Go on as if it had been skipped.
    Skip,
}
