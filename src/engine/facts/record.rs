//! What is known of one step.

use std::sync::Arc;

use jiff::Timestamp;

use crate::engine::event::{Actor, Queued, StepFinished, StepStarted};
use crate::engine::ids::StepPath;
use crate::engine::outcome::{Failure, Outcome};
use crate::script::value::{Map, Value};

/// A question while it is open, or a doubt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    pub step: StepPath,
    pub from: Timestamp,
    /// When it was answered, ran out or was settled.
    pub until: Option<Timestamp>,
}

/// A person wants another attempt of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedAgain {
    pub step: StepPath,
    /// When the step had begun: a limit that was up by then had stopped what it stops.
    pub began: Timestamp,
    pub at: Timestamp,
}

/// What is known of one step instance.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record {
    pub started: Option<Started>,
    pub finished: Option<Arc<StepFinished>>,
    pub finished_at: Option<Timestamp>,
    pub skipped: Option<Skipped>,
    /// Another attempt is due that has not started yet.
    pub resend: Option<Resend>,
    /// It waits for that attempt, by its own `retry` or `until`.
    pub pause: Option<Pause>,
    /// Failed attempts that `retry` has followed up.
    pub tries: u32,
    /// Looks in a row that met `until`, when it has to hold several times.
    pub in_a_row: u32,
    /// Looks of its settling reads that could not tell.
    pub untold: u32,
    /// Who settled or reopened it last, and why.
    pub settled: Option<(Actor, String)>,
    pub asked: Option<Asked>,
    /// Who keeps the runbook it calls from its group.
    pub queued: Option<Queued>,
    /// The answer, by whom, and when it was given.
    pub answered: Option<(Value, Actor, Timestamp)>,
    /// Attempts in a row that the other side left without an answer; a process that died doesn't count.
    pub unanswered: u32,
    /// Lines of its script that are in the journal.
    pub logged: usize,
    /// The last journaled look of a poll.
    pub observed: Option<Value>,
    /// What a person passed over by saying "skip".
    pub passed: Option<Outcome>,
    /// Position of the event that gave it its end.
    pub ended_seq: u64,
    /// Position of its first event, for reading order.
    pub seq: u64,
}

/// A pause between two attempts.
#[derive(Clone, Debug, PartialEq)]
pub struct Pause {
    /// When the next attempt begins.
    pub at: Timestamp,
    /// What the last one failed with; `None` after a look that was not enough.
    pub error: Option<Failure>,
}

/// The latest attempt.
#[derive(Clone, Debug, PartialEq)]
pub struct Started {
    pub intent: Arc<StepStarted>,
    /// When the step began; deadlines count from here, over restarts. A person's retry begins anew.
    pub first_at: Timestamp,
    /// When anything was first sent under this path: the window of an idempotency key counts from here.
    pub sent_first_at: Timestamp,
    pub at: Timestamp,
    pub leg: u32,
}

/// A step whose `if` was false.
#[derive(Clone, Debug, PartialEq)]
pub struct Skipped {
    pub condition: String,
    pub values: Map,
}

/// How the next attempt of a settled step is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resend {
    /// The same bytes again.
    Same,
    /// Arguments are evaluated again.
    Fresh,
}

/// An open question.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    pub text: String,
    pub choices: Vec<String>,
    /// As in [`crate::runbook::fields`]; empty for a question with one answer.
    pub fields: Map,
    pub by: Vec<String>,
    pub expires: Option<Timestamp>,
}

impl Record {
    /// The step's end, if it has ended for good: not in doubt, not reopened.
    pub fn end(&self) -> Option<&StepFinished> {
        self.ended().map(|finished| &**finished)
    }

    /// As [`Record::end`], to be kept.
    pub fn ended(&self) -> Option<&Arc<StepFinished>> {
        self.finished.as_ref().filter(|finished| finished.outcome != Outcome::InDoubt && self.resend.is_none())
    }

    /// Whether its last attempt may have happened and nobody has settled it.
    pub fn in_doubt(&self) -> bool {
        self.resend.is_none() && self.finished.as_ref().is_some_and(|finished| finished.outcome == Outcome::InDoubt)
    }

    /// Whether an attempt was started and has no outcome yet. A group is never open: its state follows from
    /// its steps.
    pub fn is_open(&self) -> bool {
        self.started.as_ref().is_some_and(|started| !is_group(&started.intent.body))
            && self.finished.is_none()
            && self.resend.is_none()
    }

    /// Whether a write's intent is recorded and its outcome is not.
    pub fn is_sending(&self) -> bool {
        self.is_open() && self.started.as_ref().is_some_and(|started| started.intent.key.is_some())
    }

    /// Whether it waits for a person's answer.
    pub fn is_asking(&self) -> bool {
        self.is_open() && self.asked.is_some() && self.answered.is_none()
    }

    /// The number of the latest attempt.
    pub fn attempt(&self) -> Option<u32> {
        self.started.as_ref().map(|started| started.intent.attempt)
    }

    /// The number the next attempt gets.
    pub fn next_attempt(&self) -> u32 {
        self.started.as_ref().map_or(1, |started| started.intent.attempt + 1)
    }
}

/// Whether a step of this body has no state of its own.
fn is_group(body: &str) -> bool {
    matches!(body, "steps" | "parallel")
}
