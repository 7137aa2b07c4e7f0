//! Groups that exclude other runs: the text of one, and what a driver says of those that called runbooks need.
//!
//! The group of the run itself is claimed before its first event. That of a called runbook is claimed when it starts,
//! by the driver, and what came of it is an event: so the walk decides the same when it is done again.

use jiff::Timestamp;

use crate::engine::evaluate::{Evaluator, quote};
use crate::engine::event::{Body, EVENT_VERSION, Event, Queued};
use crate::engine::ids::StepPath;
use crate::engine::machine::Machine;
use crate::engine::outcome::{Failure, FailureKind};
use crate::runbook::model::{Concurrency, IfBusy};
use crate::script::value::Value;

/// Characters of `concurrency.group`: a name people read in a message.
pub const GROUP_CHARS_MAX: usize = 200;

/// A group that a step needs before it goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub step: StepPath,
    pub group: String,
    pub if_busy: IfBusy,
}

/// What came of asking for a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The run holds it.
    Held,
    /// Somebody else does, or comes first.
    Busy(Queued),
}

impl Machine {
    /// Says what came of asking for a group that a step wants; true if that is news.
    pub fn stand(&mut self, wanted: &Wanted, standing: Standing, now: Timestamp) -> bool {
        let (step, group) = (wanted.step.clone(), wanted.group.clone());
        let body = match standing {
            Standing::Held => Body::ConcurrencyClaimed { step, group },
            Standing::Busy(queued) => {
                let before = self.facts.step(&step).and_then(|record| record.queued.as_ref());
                // Where the holder is changes with each of its steps; who it is, and how many come first, is news.
                if before.is_some_and(|before| before.is_same(&queued)) {
                    return false;
                }
                match wanted.if_busy {
                    IfBusy::Wait if !queued.circle => Body::ConcurrencyWaiting { step, group, queued },
                    _ => Body::ConcurrencyBusy { step, group, queued },
                }
            }
        };
        let event = Event { v: EVENT_VERSION, seq: self.facts.next_seq, ts: now, body };
        let fits = self.facts.apply(&event).is_ok();
        if fits {
            self.recorded.push(event);
        }
        fits
    }
}

/// The text of a group.
///
/// # Errors
/// If its expression fails, or gives no text of 1 to [`GROUP_CHARS_MAX`] characters without a secret.
pub(crate) fn text_of(concurrency: &Concurrency, evaluator: &Evaluator) -> Result<String, Failure> {
    let value = evaluator.template(&concurrency.group)?;
    let wrong = |why: &str| Failure::new(FailureKind::Argument, format!("`concurrency.group` {why}"));
    if value.has_secret() {
        return Err(wrong("holds a secret, and is kept as text"));
    }
    let Value::Text(text) = value else {
        return Err(wrong(&format!("gives {}, expected a text", quote(&value))));
    };
    match text.chars().count() {
        _ if text.trim().is_empty() => Err(wrong("gives an empty text")),
        long if long > GROUP_CHARS_MAX => Err(wrong(&format!("has {long} characters, at most {GROUP_CHARS_MAX}"))),
        _ => Ok(text),
    }
}
