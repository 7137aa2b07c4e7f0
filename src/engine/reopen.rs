//! What takes facts back: a person's decision, another attempt, a cancel. The journal keeps every event; only
//! what follows from them changes.

use std::sync::Arc;

use crate::engine::event::{Decision, StepFinished, Verdict};
use crate::engine::facts::{Facts, Record, Resend, Started};
use crate::engine::ids::StepPath;
use crate::engine::outcome::{Failure, FailureKind, Outcome};
use crate::script::value::{Map, Value};

/// Blocks that run after the main steps of a runbook or action.
pub(super) const AFTERWARDS: [&str; 2] = ["on_failure", "finally"];

impl Facts {
    /// What was to be sent again and has not been is not sent any more: the run is being stopped. A step that
    /// pauses by its own `retry` ends where the walk finds it.
    pub(super) fn take_back_repeats(&mut self) {
        let undoes = self.is_undoing();
        for (path, record) in &mut self.steps {
            if record.resend == Some(Resend::Same)
                && record.pause.is_none()
                && !goes_on(path, undoes)
                && let Some(finished) = &mut record.finished
            {
                Arc::make_mut(finished).outcome = Outcome::Cancelled;
                record.resend = None;
            }
        }
    }

    /// A hold stopped it before its first byte: it has not begun, and begins when the hold is lifted.
    pub(super) fn hold_back(&mut self, path: &StepPath) {
        let stopping = self.cancelled.is_some() && !goes_on(path, self.is_undoing());
        let Some(record) = self.steps.get_mut(path) else { return };
        match record.finished.as_mut().map(Arc::make_mut) {
            Some(finished) if stopping => finished.outcome = Outcome::Cancelled,
            _ => record.resend = Some(Resend::Same),
        }
    }

    /// Forgets a step with everything below it.
    pub(super) fn forget(&mut self, path: &StepPath) {
        self.steps.remove(path);
        self.findings.retain(|finding| finding.step != *path);
        self.forget_below(path);
    }

    /// Forgets everything below a step.
    pub(super) fn forget_below(&mut self, path: &StepPath) {
        self.undos.retain(|call, _| !call.is_below(path));
        let gone: Vec<StepPath> = self.below(path).map(|(below, _)| below.clone()).collect();
        for below in &gone {
            self.steps.remove(below);
        }
        if !gone.is_empty() {
            self.findings.retain(|finding| !finding.step.is_below(path));
        }
    }

    /// Takes over what reads said of a write in doubt.
    pub(super) fn settle(&mut self, path: &StepPath, verdict: Verdict, outputs: &Map) {
        self.forget_below(&path.join("settle"));
        let stopping = self.cancelled.is_some() && !goes_on(path, self.is_undoing());
        let Some(record) = self.steps.get_mut(path) else { return };
        let Some(finished) = record.finished.as_mut().map(Arc::make_mut) else { return };
        match verdict {
            Verdict::Happened => happened(finished, outputs),
            Verdict::NotHappened if stopping => finished.outcome = Outcome::Cancelled,
            Verdict::NotHappened => record.resend = Some(Resend::Same),
            Verdict::Unknown => record.untold += 1,
        }
    }

    /// Carries out what a person decided: the step, those it stands in, and the run are open again.
    pub(super) fn decide_step(&mut self, path: &StepPath, decision: Decision, outputs: &Map) {
        let stopping = self.cancelled.is_some() && !goes_on(path, self.is_undoing());
        if let Some(record) = self.steps.get_mut(path) {
            record.pause = None;
            record.passed = record.finished.as_ref().map(|end| end.outcome).filter(|_| decision == Decision::Skip);
            match (decision, record.finished.as_mut().map(Arc::make_mut)) {
                (Decision::Done, Some(finished)) => happened(finished, outputs),
                (Decision::Skip, Some(finished)) => finished.outcome = Outcome::Skipped,
                // It did not happen, and the run is being stopped: then it will not happen.
                (Decision::NotDone, Some(finished)) if stopping => finished.outcome = Outcome::Cancelled,
                (Decision::NotDone, _) => record.resend = Some(Resend::Same),
                (Decision::Retry, _) => record.resend = Some(Resend::Fresh),
                (Decision::Done | Decision::Skip, None) => {}
            }
        }
        if decision == Decision::Retry {
            // Somebody who wants another attempt takes a cancel back.
            (self.cancelled, self.cancelled_at) = (None, None);
            self.forget_what_may_be_done_again(path);
            self.findings.retain(|finding| finding.step != *path && !finding.step.is_below(path));
        }
        self.reopen_around(path);
        self.forget_conclusions_after(path);
        if path.is_undo() && self.finished.is_some() {
            self.go_on_with_undo();
        } else if self.finished.take().is_some() {
            self.reopened += 1;
            (self.cancelled, self.cancelled_at) = (None, None);
            self.forget_afterwards_of(&StepPath::root(), path);
        }
        self.paused = None;
    }

    /// Forgets what is below a step that is tried again, but for its writes that are done.
    pub(super) fn forget_what_may_be_done_again(&mut self, path: &StepPath) {
        self.steps.retain(|below, record| !below.is_below(path) || keeps_on_retry(record));
    }

    /// Opens the composites a step stands in again.
    fn reopen_around(&mut self, path: &StepPath) {
        let mut reopened = Vec::new();
        for (ancestor, record) in &mut self.steps {
            if path.is_below(ancestor) && record.finished.as_ref().is_some_and(|f| f.outcome != Outcome::InDoubt) {
                record.finished = None;
                record.finished_at = None;
                record.pause = None;
                record.resend = None;
                reopened.push(ancestor.clone());
            }
        }
        for ancestor in reopened {
            self.forget_afterwards_of(&ancestor, path);
        }
    }

    /// What ran because a runbook had ended runs again when it ends anew; but a decision about one of those
    /// steps reopens just that part, and what is done there stays done.
    fn forget_afterwards_of(&mut self, book: &StepPath, decided: &StepPath) {
        let blocks = AFTERWARDS.map(|block| book.join(block));
        if !blocks.iter().any(|block| decided.is_below(block)) {
            for block in &blocks {
                self.forget_below(block);
                // What is done there once more is another change, though it looks the same.
                self.forget_approvals(block, self.last_at);
            }
        }
    }

    /// What was concluded from a step's end is concluded anew when the end changes: pure steps after it, and
    /// those that were skipped. What is inside an ended composite was concluded from its own steps.
    fn forget_conclusions_after(&mut self, path: &StepPath) {
        let Some(seq) = self.steps.get(path).map(|record| record.seq) else { return };
        // In a run that is being stopped nothing is concluded any more.
        if self.cancelled.is_some() {
            return;
        }
        let concluded = |record: &Record| {
            let pure = |started: &Started| matches!(started.intent.body.as_str(), "assert" | "findings");
            record.seq > seq && (record.skipped.is_some() || record.started.as_ref().is_some_and(pure))
        };
        let is_over = |around: StepPath| self.steps.get(&around).is_some_and(|record| record.end().is_some());
        let gone: Vec<StepPath> = self
            .steps
            .iter()
            .filter(|(after, record)| !is_afterwards(after) && concluded(record))
            .filter(|(after, _)| !after.ancestors().any(is_over))
            .map(|(after, _)| after.clone())
            .collect();
        for after in gone {
            self.steps.remove(&after);
            self.findings.retain(|finding| finding.step != after);
        }
    }
}

fn happened(finished: &mut StepFinished, outputs: &Map) {
    finished.outcome = Outcome::Done;
    finished.outputs = Value::Map(outputs.clone());
    finished.error = None;
}

/// A script or action tried again replays its writes and looks again at everything else.
fn keeps_on_retry(record: &Record) -> bool {
    let wrote = record.started.as_ref().is_some_and(|started| started.intent.effect.changes_the_world());
    wrote && record.finished.as_ref().is_some_and(|finished| is_done_in_the_world(finished))
}

/// Whether a step did what it does, even if its `outputs:` then failed.
pub fn is_done_in_the_world(finished: &StepFinished) -> bool {
    let shaped = |error: &Failure| error.kind == FailureKind::Outputs;
    finished.outcome == Outcome::Done || finished.error.as_ref().is_some_and(shaped)
}

/// Whether a step is not stopped by a cancel: it belongs to what runs afterwards, or to a `run.undo` in there.
fn goes_on(path: &StepPath, undoes_the_run: bool) -> bool {
    if path.is_undo() { !undoes_the_run } else { is_afterwards(path) }
}

/// Whether a step belongs to what runs after the main steps, of the run or of a runbook called in it.
pub fn is_afterwards(path: &StepPath) -> bool {
    path.as_str().split('/').any(|segment| AFTERWARDS.contains(&segment))
}
