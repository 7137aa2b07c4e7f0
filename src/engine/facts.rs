//! The fold: what a sequence of events says, and which events may follow which.
//!
//! Total: any sequence folds or is refused with a [`FoldError`]; it never panics. Nothing here looks
//! at the runbook, so a reader needs only the journal.

mod record;
mod transitions;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use crate::engine::approvals::{ApprovalState, Approvals, Given};
use crate::engine::event::{Actor, Body, Decision, Event, Hold, RunStarted, StepFinished, Suggest, Verdict};
use crate::engine::ids::StepPath;
use crate::engine::outcome::{Failure, FailureKind, Outcome, RunOutcome};
use crate::engine::undo::Undoing;
use crate::runbook::model::Level;
use crate::runbook::spec::Effect;
use crate::script::value::{Map, Value};

pub use record::{Asked, Pause, Record, Resend, Skipped, Started, Wait, WantedAgain};

/// The state of a run as its events tell it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    pub started: Option<Box<RunStarted>>,
    pub started_at: Timestamp,
    pub steps: BTreeMap<StepPath, Record>,
    pub findings: Vec<Finding>,
    pub cancelled: Option<Actor>,
    /// When it was, if it is: what a limit had stopped before, that cancel did not stop.
    pub cancelled_at: Option<Timestamp>,
    /// Why the run paused; cleared when it is resumed.
    pub paused: Option<String>,
    /// The hold it has met and that was not lifted yet.
    pub held: Option<Hold>,
    pub finished: Option<RunEnd>,
    /// Groups held for called runbooks, until the run has ended.
    pub groups: BTreeSet<String>,
    /// How often the run was taken over. Attempts open from an earlier leg are lost.
    pub leg: u32,
    /// When the run was taken over last.
    pub resumed_at: Timestamp,
    /// Each time it was taken over: which event said so, and when.
    pub resumed: Vec<(u64, Timestamp)>,
    /// How often a decision reopened the ended run.
    pub reopened: u32,
    /// The attempts people wanted, in order: limits of what is around such a step count anew from there.
    pub wanted_again: Vec<WantedAgain>,
    /// When people were asked or a write was in doubt, and until when: neither uses up a limit.
    pub asked: Vec<Wait>,
    /// What people were asked to agree to.
    pub approvals: Approvals,
    /// Fencing number of the current driver.
    pub fence: u64,
    /// What was taken back last, by the call of `run.undo`; of the run as a whole at its root.
    pub undos: BTreeMap<StepPath, Undoing>,
    /// Runbooks and actions of which something was taken back, by where their steps' paths start.
    pub(super) undone: BTreeSet<StepPath>,
    /// How often something was to be taken back.
    pub undo_starts: u32,
    /// Number of events folded, which is the next sequence number.
    pub next_seq: u64,
    /// Time of the last event.
    pub last_at: Timestamp,
    /// Paths of the records in doubt and of those that ask, kept so that nobody looks through all of them.
    pub(super) doubts: BTreeSet<StepPath>,
    pub(super) questions: BTreeSet<StepPath>,
}

/// A finding as journaled.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    pub step: StepPath,
    pub level: Level,
    pub say: String,
    pub suggest: Option<Suggest>,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub struct RunEnd {
    pub outcome: RunOutcome,
    pub failed_step: Option<StepPath>,
    pub error: Option<Failure>,
    pub outputs: Map,
    pub message: Option<String>,
    pub at: Timestamp,
}

/// The state word of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunState {
    Running,
    Waiting,
    Paused,
    InDoubt,
    /// What it did is taken back in part only, and nothing goes on by itself.
    Stuck,
    Ended(RunOutcome),
}

impl RunState {
    /// The word in listings and expressions.
    pub fn word(self) -> &'static str {
        match self {
            RunState::Running => "running",
            RunState::Waiting => "waiting",
            RunState::Paused => "paused",
            RunState::InDoubt => "in_doubt",
            RunState::Stuck => "stuck",
            RunState::Ended(outcome) => outcome.word(),
        }
    }
}

/// An event that can't follow those before it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("event {seq} does not fit: {why}")]
pub struct FoldError {
    pub seq: u64,
    pub why: String,
}

impl Facts {
    /// Folds a whole journal.
    ///
    /// # Errors
    /// The first event that can't follow those before it.
    pub fn fold(events: &[Event]) -> Result<Facts, FoldError> {
        let mut facts = Facts::default();
        for event in events {
            facts.apply(event)?;
        }
        Ok(facts)
    }

    /// The record of a step, if anything is known of it.
    pub fn step(&self, path: &StepPath) -> Option<&Record> {
        self.steps.get(path)
    }

    /// The records strictly below a path: those of its steps, then those of its items.
    pub fn below<'a>(&'a self, path: &'a StepPath) -> impl Iterator<Item = (&'a StepPath, &'a Record)> {
        path.starts_below().into_iter().flat_map(|start| {
            let from = StepPath::new(start.as_str());
            self.steps.range(from..).take_while(move |(below, _)| below.as_str().starts_with(&start))
        })
    }

    /// Whether a write was not made because the plan that is applied doesn't have it so.
    pub fn is_stale(&self) -> bool {
        let stopped = |record: &Record| {
            let error = record.finished.as_ref().and_then(|end| end.error.as_ref());
            error.is_some_and(|error| error.kind == FailureKind::Stale)
        };
        self.steps.values().any(stopped)
    }

    /// Whether it has changed the world, as far as anybody knows: a write that was sent and not refused.
    pub fn has_written(&self) -> bool {
        let wrote = |record: &Record| {
            let sent = record
                .started
                .as_ref()
                .is_some_and(|started| started.intent.key.is_some() && started.intent.effect >= Effect::Write);
            sent && record.finished.as_ref().is_none_or(|end| end.outcome != Outcome::Refused)
        };
        self.steps.values().any(wrote)
    }

    /// Paths of all writes that may have happened.
    pub fn doubts(&self) -> impl Iterator<Item = (&StepPath, &Record)> {
        self.doubts.iter().filter_map(|path| self.steps.get_key_value(path))
    }

    /// Paths of all open questions.
    pub fn questions(&self) -> impl Iterator<Item = (&StepPath, &Record)> {
        self.questions.iter().filter_map(|path| self.steps.get_key_value(path))
    }

    /// Whether the run holds a group, for itself or for a runbook it calls.
    pub fn holds(&self, group: &str) -> bool {
        let own = self.started.as_ref().and_then(|started| started.group.as_deref());
        own == Some(group) || self.groups.contains(group)
    }

    /// The run's state word. Whether a process drives it right now is the lease's business.
    pub fn state(&self) -> RunState {
        match &self.finished {
            Some(_) if self.is_stuck() => RunState::Stuck,
            Some(end) => RunState::Ended(end.outcome),
            None if !self.doubts.is_empty() => RunState::InDoubt,
            None if self.paused.is_some() || self.held.is_some() => RunState::Paused,
            None if !self.questions.is_empty() || self.approvals.is_waiting() => RunState::Waiting,
            None => RunState::Running,
        }
    }

    /// Folds one event.
    ///
    /// # Errors
    /// If it can't follow those before it; the state is then unchanged.
    pub fn apply(&mut self, event: &Event) -> Result<(), FoldError> {
        self.fits(event).map_err(|why| FoldError { seq: event.seq, why })?;
        let at = event.ts;
        match &event.body {
            Body::RunStarted(started) => {
                self.started = Some(started.clone());
                self.started_at = at;
                self.fence = started.fence;
            }
            Body::RunResumed { fence, .. } => {
                self.leg += 1;
                self.resumed_at = at;
                self.resumed.push((event.seq, at));
                self.fence = *fence;
                self.paused = None;
            }
            Body::RunCancelled { actor, .. } => {
                if self.cancelled.is_none() {
                    self.cancelled_at = Some(at);
                }
                self.cancelled = Some(actor.clone());
                self.take_back_repeats();
            }
            Body::RunPaused { reason, actor: None } => self.paused = Some(reason.clone()),
            Body::RunPaused { reason, actor: Some(actor) } => self.paused = Some(paused_by(actor, reason)),
            Body::HoldOn(hold) => self.held = Some(hold.clone()),
            Body::HoldOff { .. } => self.held = None,
            Body::RunFinished { outcome, failed_step, error, outputs, message } => {
                self.held = None;
                self.finished = Some(RunEnd {
                    outcome: *outcome,
                    failed_step: failed_step.clone(),
                    error: error.clone(),
                    outputs: outputs.clone(),
                    message: message.clone(),
                    at,
                });
            }
            Body::StepStarted(intent) => {
                self.undos.remove(&intent.step);
                // A step that was cut off in the middle of its findings finds them again.
                self.findings.retain(|finding| finding.step != intent.step);
                let leg = self.leg;
                let record = self.record(&intent.step, event.seq);
                let before = record.started.as_ref();
                let sent_first_at = before.map_or(at, |started| started.sent_first_at);
                let anew = record.resend == Some(Resend::Fresh);
                let first_at = before.filter(|_| !anew).map_or(at, |started| started.first_at);
                if anew {
                    record.logged = 0;
                    record.observed = None;
                    (record.unanswered, record.tries, record.in_a_row, record.untold) = (0, 0, 0, 0);
                }
                record.started = Some(Started { intent: Arc::clone(intent), first_at, sent_first_at, at, leg });
                record.pause = None;
                record.finished = None;
                record.finished_at = None;
                record.resend = None;
                record.asked = None;
                record.queued = None;
                record.answered = None;
                self.stop_asking(&intent.step, at);
            }
            Body::StepObserved { step, result, .. } => {
                self.record(step, event.seq).observed = Some(result.clone());
            }
            Body::StepFinished(finished) => {
                let record = self.record(&finished.step, event.seq);
                let died = finished.error.as_ref().is_some_and(|error| error.kind == FailureKind::EngineDied);
                record.unanswered += u32::from(finished.outcome == Outcome::InDoubt && !died);
                record.finished = Some(Arc::clone(finished));
                record.finished_at = Some(at);
                record.ended_seq = event.seq;
                record.queued = None;
                if record.pause.take().is_some() {
                    record.resend = None;
                }
                self.stop_asking(&finished.step, at);
                if finished.outcome == Outcome::InDoubt {
                    self.asked.push(Wait { step: finished.step.clone(), from: at, until: None });
                }
                if is_held_back(finished) {
                    self.hold_back(&finished.step);
                }
            }
            Body::StepRetrying(retrying) => {
                self.forget_undone(&retrying.step);
                for root in std::iter::once(&retrying.step).chain(&retrying.forget) {
                    self.forget_below(root);
                    if root != &retrying.step {
                        self.forget(root);
                    }
                }
                let record = self.record(&retrying.step, event.seq);
                record.tries += u32::from(retrying.error.is_some());
                record.in_a_row = if retrying.met { record.in_a_row + 1 } else { 0 };
                record.resend = Some(Resend::Same);
                record.pause = Some(Pause { at: retrying.at, error: retrying.error.clone() });
                record.logged = 0;
                if retrying.result != Value::Null {
                    record.observed = Some(retrying.result.clone());
                }
            }
            Body::StepSettled { step, verdict, outputs, .. } => {
                self.settle(step, *verdict, outputs);
                self.record(step, event.seq).ended_seq = event.seq;
                if *verdict == Verdict::Happened {
                    self.stop_asking(step, at);
                }
            }
            Body::StepSkipped { step, condition, values } => {
                self.record(step, event.seq).skipped =
                    Some(Skipped { condition: condition.clone(), values: values.clone() });
            }
            Body::AskAsked { step, text, choices, fields, by, expires } => {
                self.record(step, event.seq).asked = Some(Asked {
                    text: text.clone(),
                    choices: choices.clone(),
                    fields: fields.clone(),
                    by: by.clone(),
                    expires: *expires,
                });
                self.asked.push(Wait { step: step.clone(), from: at, until: None });
            }
            Body::AskAnswered { step, answer, actor, at } => {
                let given = at.unwrap_or(event.ts);
                self.record(step, event.seq).answered = Some((answer.clone(), actor.clone(), given));
                self.stop_asking(step, event.ts);
            }
            Body::ApprovalRequested(request) => self.request(request, at),
            Body::ApprovalGiven { step, actor, at: given, shown, single, .. } => {
                let (actor, shown) = (actor.clone(), shown.clone());
                self.give(step, Given { actor, at: given.unwrap_or(at), shown, single: *single }, at);
            }
            Body::ApprovalRejected { step, actor, reason, .. } => {
                let state = ApprovalState::Rejected { actor: actor.clone(), reason: reason.clone() };
                self.withdraw(step, state, at);
            }
            Body::ApprovalExpired { step, .. } => self.withdraw(step, ApprovalState::Expired, at),
            Body::ApprovalVoid { step, why, .. } => self.withdraw(step, ApprovalState::Void { why: why.clone() }, at),
            Body::ApprovalReminded { step, times, .. } => self.remind(step, *times),
            Body::Finding { step, level, say, suggest } => self.findings.push(Finding {
                step: step.clone(),
                level: *level,
                say: say.clone(),
                suggest: suggest.clone(),
            }),
            Body::Log { step, .. } => self.record(step, event.seq).logged += 1,
            Body::UndoStarted(started) => self.begin_undo(started, at),
            Body::UndoFinished { by, outcome, left } => self.end_undo(by.as_ref(), *outcome, left, at),
            Body::Note { .. } | Body::Evidence { .. } | Body::RunTaken { .. } => {}
            Body::ConcurrencyWaiting { step, queued, .. } | Body::ConcurrencyBusy { step, queued, .. } => {
                self.record(step, event.seq).queued = Some(queued.clone());
            }
            Body::ConcurrencyClaimed { step, group } => {
                self.groups.insert(group.clone());
                self.record(step, event.seq).queued = None;
            }
            Body::OutcomeSet { step, decision, outputs, actor, reason } => {
                self.decide_step(step, *decision, outputs);
                let record = self.record(step, event.seq);
                record.settled = Some((actor.clone(), reason.clone()));
                record.ended_seq = event.seq;
                self.stop_asking(step, at);
                if *decision == Decision::Retry {
                    let began = self.step(step).and_then(|record| record.started.as_ref());
                    let began = began.map_or(at, |started| started.first_at);
                    self.wanted_again.push(WantedAgain { step: step.clone(), began, at });
                    self.forget_approvals(step, at);
                }
            }
        }
        self.index(event);
        self.next_seq = event.seq + 1;
        self.last_at = at;
        Ok(())
    }

    fn record(&mut self, path: &StepPath, seq: u64) -> &mut Record {
        self.steps.entry(path.clone()).or_insert_with(|| Record { seq, ..Record::default() })
    }

    pub(super) fn stop_asking(&mut self, step: &StepPath, at: Timestamp) {
        if let Some(wait) = self.asked.iter_mut().rfind(|wait| wait.step == *step && wait.until.is_none()) {
            wait.until = Some(at);
        }
    }

    /// Keeps the sets of doubts and questions true.
    fn index(&mut self, event: &Event) {
        let step = match &event.body {
            Body::StepStarted(intent) => &intent.step,
            Body::StepFinished(finished) => &finished.step,
            Body::StepSettled { step, .. } | Body::AskAsked { step, .. } | Body::AskAnswered { step, .. } => step,
            Body::OutcomeSet { .. } | Body::RunCancelled { .. } | Body::StepRetrying(_) | Body::UndoStarted(_) => {
                let steps = &self.steps;
                self.doubts.retain(|path| steps.get(path).is_some_and(Record::in_doubt));
                self.questions.retain(|path| steps.get(path).is_some_and(Record::is_asking));
                return;
            }
            _ => return,
        };
        let record = self.steps.get(step);
        for (set, member) in [
            (&mut self.doubts, record.is_some_and(Record::in_doubt)),
            (&mut self.questions, record.is_some_and(Record::is_asking)),
        ] {
            match member {
                true => drop(set.insert(step.clone())),
                false => drop(set.remove(step)),
            }
        }
    }
}

/// Whether an attempt was stopped by a hold directly before its first byte: proof that nothing was sent, and no
/// verdict on the step.
pub fn is_held_back(finished: &StepFinished) -> bool {
    finished.outcome == Outcome::Refused && finished.error.as_ref().is_some_and(|error| error.kind == FailureKind::Held)
}

fn paused_by(actor: &Actor, reason: &str) -> String {
    if reason.is_empty() { format!("asked by {}", actor.id) } else { format!("asked by {}: {reason}", actor.id) }
}
