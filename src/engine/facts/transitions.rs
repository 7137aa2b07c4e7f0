//! Which events may follow which.

use crate::engine::event::{Body, EVENT_VERSION, Event};
use crate::engine::facts::{Facts, Record};
use crate::engine::ids::StepPath;
use crate::runbook::spec::Repeat;

impl Facts {
    /// Every legal transition, on one screen.
    pub(super) fn fits(&self, event: &Event) -> Result<(), String> {
        if event.v != EVENT_VERSION {
            return Err(format!("event version {} is not {EVENT_VERSION}", event.v));
        }
        if event.seq != self.next_seq {
            return Err(format!("expected number {}", self.next_seq));
        }
        let record = |path: &StepPath| self.steps.get(path);
        let open = |path: &StepPath| record(path).is_some_and(Record::is_open);
        let ended = self.finished.is_some();
        let ok = match &event.body {
            Body::RunStarted(_) => self.started.is_none() && event.seq == 0,
            _ if self.started.is_none() => false,
            Body::Note { .. } | Body::Evidence { .. } | Body::RunResumed { .. } => true,
            Body::OutcomeSet { step, decision, .. } => {
                let has_end = record(step).is_some_and(|r| r.finished.is_some() && r.resend.is_none());
                has_end && self.may_be_decided(step, *decision).is_ok()
            }
            Body::UndoStarted(undo) if undo.by.is_none() => ended && self.doubts.is_empty(),
            _ if ended => false,
            Body::RunCancelled { .. } | Body::RunPaused { .. } | Body::RunTaken { .. } => true,
            Body::HoldOn(_) => self.held.is_none(),
            Body::HoldOff { .. } => self.held.is_some(),
            // A run doesn't end over a write that may have happened.
            Body::RunFinished { .. } => !self.steps.values().any(|r| r.in_doubt() || r.is_sending()),
            Body::StepStarted(intent) => record(&intent.step).is_none_or(|r| {
                let next = intent.attempt == r.next_attempt();
                match &r.started {
                    None => r.skipped.is_none() && next,
                    Some(started) => {
                        let settled_by_repeat = r.in_doubt() && started.intent.repeat != Repeat::Once;
                        next && (r.resend.is_some() || settled_by_repeat || (r.is_open() && started.leg < self.leg))
                    }
                }
            }),
            Body::StepFinished(finished) => record(&finished.step)
                .is_some_and(|r| (r.is_open() || r.pause.is_some()) && r.attempt() == Some(finished.attempt)),
            Body::StepRetrying(retrying) => record(&retrying.step).is_some_and(|r| {
                !r.in_doubt() && !r.is_sending() && r.resend.is_none() && r.attempt() == Some(retrying.attempt)
            }),
            Body::StepSettled { step, attempt, .. } => {
                record(step).is_some_and(|r| r.in_doubt() && r.attempt() == Some(*attempt))
            }
            Body::StepSkipped { step, .. } => record(step).is_none_or(|r| r.started.is_none() && r.skipped.is_none()),
            Body::StepObserved { step, .. } | Body::AskAsked { step, .. } | Body::Log { step, .. } => open(step),
            Body::AskAnswered { step, .. } => record(step).is_some_and(Record::is_asking),
            Body::ConcurrencyWaiting { step, group, .. }
            | Body::ConcurrencyBusy { step, group, .. }
            | Body::ConcurrencyClaimed { step, group } => open(step) && !self.holds(group),
            Body::ApprovalRequested(request) => self.may_request(request),
            Body::ApprovalGiven { step, change, actor, at, single, .. } => {
                self.refuses_approval(step, change, actor, at.unwrap_or(event.ts), *single).is_none()
            }
            Body::ApprovalRejected { step, change, actor, .. } => self.refuses_rejection(step, change, actor).is_none(),
            Body::ApprovalExpired { step, change } | Body::ApprovalReminded { step, change, .. } => {
                self.is_open_approval(step, change)
            }
            Body::ApprovalVoid { step, change, .. } => self.may_void(step, change),
            Body::Finding { step, .. } => open(step),
            Body::UndoStarted(undo) => undo.by.as_ref().is_some_and(open),
            Body::UndoFinished { by, .. } => self.undo_at(by.as_ref()).is_some_and(|undo| undo.end.is_none()),
        };
        if ok { Ok(()) } else { Err(format!("`{}` is not possible here", event.body.word())) }
    }
}
