//! What people said and what effects came to, made fit for the journal: the one door that takes secrets out.

use crate::engine::event::{Actor, Body};
use crate::engine::machine::Signal;
use crate::engine::outcome::Attempt;
use crate::journal::PendingSignal;
use crate::redact::Redactor;

/// What another process left for this run. One that can't be read becomes a note: dropped silently it would be
/// missed, kept it would be met again at every resumption.
pub fn as_signal(pending: PendingSignal, redactor: &Redactor) -> Option<Signal> {
    let signal = match pending.body {
        Ok(Body::RunCancelled { actor, reason }) => Signal::Cancel { actor, reason },
        Ok(Body::AskAnswered { step, answer, actor, at }) => Signal::Answer { step, answer, actor, at },
        Ok(Body::ApprovalGiven { step, change, actor, at, shown, .. }) => {
            Signal::Approve { step, change, actor, at, shown }
        }
        Ok(Body::ApprovalRejected { step, change, actor, reason }) => Signal::Reject { step, change, actor, reason },
        Ok(Body::OutcomeSet { step, decision, outputs, actor, reason }) => {
            Signal::Decide { step, decision, outputs, actor, reason }
        }
        Ok(Body::RunPaused { reason, actor: Some(actor) }) => Signal::Pause { actor, reason },
        Ok(Body::Note { text, actor: Some(actor), .. }) => Signal::Note { text, actor },
        Ok(Body::Evidence { step, attempt, outcome, outputs }) => Signal::Evidence { step, attempt, outcome, outputs },
        Ok(_) => return None,
        Err(why) => {
            let actor = Actor::new("rerail", "journal");
            Signal::Note { text: format!("signal {} can't be read and was dropped: {why}", pending.id.number()), actor }
        }
    };
    Some(clean(signal, redactor))
}

/// The same without secrets in what was typed.
pub fn clean(signal: Signal, redactor: &Redactor) -> Signal {
    let text = |text: String| redactor.redact(&text).into_owned();
    match signal {
        Signal::Cancel { actor, reason } => Signal::Cancel { actor, reason: reason.map(text) },
        Signal::Answer { step, answer, actor, at } => {
            Signal::Answer { step, answer: redactor.redact_value(&answer), actor, at }
        }
        Signal::Approve { step, change, actor, at, shown } => {
            Signal::Approve { step, change, actor, at, shown: shown.map(text) }
        }
        Signal::Reject { step, change, actor, reason } => Signal::Reject { step, change, actor, reason: text(reason) },
        Signal::Decide { step, decision, outputs, actor, reason } => {
            Signal::Decide { step, decision, outputs: redactor.redact_map(&outputs), actor, reason: text(reason) }
        }
        Signal::Note { text: note, actor } => Signal::Note { text: text(note), actor },
        Signal::Pause { actor, reason } => Signal::Pause { actor, reason: text(reason) },
        Signal::Undo { actor, reason, fence } => Signal::Undo { actor, reason: reason.map(text), fence },
        Signal::Resume { actor, reason, fence } => Signal::Resume { actor, reason: reason.map(text), fence },
        Signal::Take { actor, from, reason } => Signal::Take { actor, from, reason: reason.map(text) },
        Signal::Evidence { step, attempt, outcome, outputs } => {
            Signal::Evidence { step, attempt, outcome, outputs: redactor.redact_value(&outputs) }
        }
    }
}

/// Takes secrets out of what an attempt came to, before anything else sees it.
pub fn clean_attempt(attempt: &mut Attempt, redactor: &Redactor) {
    attempt.outputs = redactor.redact_value(&attempt.outputs);
    if let Some(failure) = &mut attempt.failure {
        failure.message = redactor.redact(&failure.message).into_owned();
        failure.picture = redactor.redact(&failure.picture).into_owned();
        failure.values = redactor.redact_map(&failure.values);
    }
}
