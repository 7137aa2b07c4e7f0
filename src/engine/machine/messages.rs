//! What passes between a machine and its driver: effects to perform, what they came to, waits, and what people did.

use std::time::Duration;

use jiff::Timestamp;

use crate::engine::event::{Actor, Decision, Hold, Planned};
use crate::engine::ids::StepPath;
use crate::engine::machine::groups::Wanted;
use crate::engine::outcome::{Attempt, Outcome, RunOutcome};
use crate::runbook::spec::Effect;
use crate::script::value::{Map, Value};

/// An effect to perform.
#[derive(Clone, Debug, PartialEq)]
pub struct Perform {
    pub step: StepPath,
    pub attempt: u32,
    /// Number of this look, from 1; more than 1 only in a poll.
    pub look: u32,
    /// Whether it is a look of a poll: a rehearsal looks once and says so.
    pub poll: bool,
    pub uses: String,
    pub effect: Effect,
    pub args: Map,
    /// Idempotency key; empty for reads.
    pub key: String,
    pub timeout: Option<Duration>,
    /// Names of sealed outputs that come as plain text all the same.
    pub reveal: Vec<String>,
    /// Rehearsal: a read behind planned writes of what it reads, over which the action around it lays what they leave. What
    /// it sees now is taken as it is.
    pub laid_over: bool,
}

/// Stands for a primitive in [`Perform::uses`]: open the sealed values in `args` that `reveal` names, and give it all
/// back as outputs. What an action gives was sealed by steps inside it, and only the driver can open it.
pub const REVEAL: &str = "reveal";

/// Stands for a primitive as well: seal what is plain or symbolic in the `sealed` of `args`, as if it had been read, and open
/// what `reveal` names. What planned writes leave was never read from anywhere, and the run will read it sealed.
pub const LAY: &str = "lay";
/// The outputs in the `args` of a [`LAY`] that leave an action sealed.
pub const SEALED_PART: &str = "sealed";
/// The others.
pub const OPEN_PART: &str = "open";

/// What an effect came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Completion {
    pub attempt: u32,
    pub result: Attempt,
    /// What a rehearsal says instead of performing.
    pub planned: Option<Planned>,
    /// Of a write that is planned: a place, and all that will stand there, if its primitive can tell.
    pub leaves: Option<(String, Value)>,
    pub ms: u64,
}

impl Completion {
    /// What was performed came to this, in no time worth telling.
    pub fn of(attempt: u32, result: Attempt) -> Completion {
        Completion { attempt, result, planned: None, leaves: None, ms: 0 }
    }
}

/// What a run waits for when nothing can be decided.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Waits {
    /// Effects being performed.
    pub in_flight: usize,
    /// The next timer.
    pub until: Option<Timestamp>,
    /// When the time of something that is being walked is up; not a timer either.
    pub limit: Option<Timestamp>,
    /// When the first open question or approval expires, or is to be called to mind; not a timer, because a run may be
    /// left until then.
    pub expires: Option<Timestamp>,
    pub questions: Vec<StepPath>,
    pub doubts: Vec<StepPath>,
    /// Steps that wait for people to agree.
    pub approvals: Vec<StepPath>,
    pub finished: Option<RunOutcome>,
    /// The hold that keeps a write from starting.
    pub held: Option<Hold>,
    /// Groups that called runbooks need before they begin.
    pub groups: Vec<Wanted>,
    /// Why the run can't go on without a person, beside questions and doubts.
    pub paused: Option<String>,
    /// Steps that somebody looks ahead of.
    pub looks: Vec<StepPath>,
    /// A look ahead has come to the end of its step.
    pub looked_ahead: bool,
}

impl Waits {
    pub(crate) fn timer(&mut self, at: Timestamp) {
        self.until = Some(self.until.map_or(at, |until| until.min(at)));
    }

    pub(crate) fn limit(&mut self, at: Timestamp) {
        self.limit = Some(self.limit.map_or(at, |limit| limit.min(at)));
    }

    pub(crate) fn question(&mut self, step: &StepPath, expires: Option<Timestamp>) {
        self.questions.push(step.clone());
        self.person_until(expires);
    }

    /// An approval that is to be looked at again then.
    pub(crate) fn approval(&mut self, step: &StepPath, until: Timestamp) {
        if !self.approvals.contains(step) {
            self.approvals.push(step.clone());
        }
        self.person_until(Some(until));
    }

    fn person_until(&mut self, until: Option<Timestamp>) {
        self.expires = [self.expires, until].into_iter().flatten().min();
    }

    /// Whether only a person can move the run.
    pub fn only_people(&self) -> bool {
        let moves = self.in_flight > 0 || self.until.is_some() || !self.groups.is_empty();
        let people = !self.questions.is_empty() || !self.doubts.is_empty() || !self.approvals.is_empty();
        people && !moves
    }
}

/// What a person did.
#[derive(Clone, Debug, PartialEq)]
pub enum Signal {
    Cancel {
        actor: Actor,
        reason: Option<String>,
    },
    Answer {
        step: StepPath,
        answer: Value,
        actor: Actor,
        /// When it was given, if not just now.
        at: Option<Timestamp>,
    },
    /// Agrees to what a step asks.
    Approve {
        step: StepPath,
        /// The digest of what the person was shown: see [`crate::engine::event::ApprovalRequested::change`].
        change: String,
        actor: Actor,
        /// When it was given, if not just now.
        at: Option<Timestamp>,
        /// What the person saw, if the surface says so.
        shown: Option<String>,
    },
    Reject {
        step: StepPath,
        change: String,
        actor: Actor,
        reason: String,
    },
    Decide {
        step: StepPath,
        decision: Decision,
        outputs: Map,
        actor: Actor,
        reason: String,
    },
    Note {
        text: String,
        actor: Actor,
    },
    /// Start nothing new. The driver lets what is running end first.
    Pause {
        actor: Actor,
        /// Empty if none was given.
        reason: String,
    },
    Resume {
        actor: Actor,
        reason: Option<String>,
        fence: u64,
    },
    /// Take the ended run back.
    Undo {
        actor: Actor,
        reason: Option<String>,
        fence: u64,
    },
    /// Who resumed it has taken it over.
    Take {
        actor: Actor,
        from: Actor,
        reason: Option<String>,
    },
    /// What an earlier driver saw after it had lost the run.
    Evidence {
        step: StepPath,
        attempt: u32,
        outcome: Outcome,
        outputs: Value,
    },
}
