//! The sealed values that events name: what a store has to keep with them, and a driver to know again.

use crate::engine::event::{Body, Event};
use crate::engine::outcome::Failure;
use crate::script::secret::Sealed;
use crate::script::value::{Map, Value};

/// Every sealed value an event names, in order; one that is named twice is there twice.
pub fn sealed_in(event: &Event) -> Vec<&Sealed> {
    let mut found = Vec::new();
    let (value, maps) = values_of(&event.body);
    let inside = maps.into_iter().flatten().flat_map(Map::values);
    value.into_iter().chain(inside).for_each(|value| value.sealed(&mut found));
    found
}

/// What of an event a run can read again, and so send.
fn values_of(body: &Body) -> (Option<&Value>, [Option<&Map>; 3]) {
    match body {
        Body::RunStarted(started) => {
            let previous = started.previous.as_ref().map(|previous| &previous.outputs);
            (None, [Some(&started.vars), previous, None])
        }
        Body::RunFinished { outputs, error, .. } => (None, [Some(outputs), values_at(error), None]),
        Body::StepStarted(started) => (None, [Some(&started.with), Some(&started.vars), Some(&started.why)]),
        Body::StepObserved { result, .. } => (Some(result), [None; 3]),
        Body::StepFinished(finished) => (Some(&finished.outputs), [values_at(&finished.error), None, None]),
        Body::StepRetrying(retrying) => (Some(&retrying.result), [values_at(&retrying.error), None, None]),
        Body::StepSettled { outputs, values, .. } => (None, [Some(outputs), Some(values), None]),
        Body::StepSkipped { values, .. } => (None, [Some(values), None, None]),
        Body::Finding { suggest, .. } => (None, [suggest.as_ref().map(|suggest| &suggest.with), None, None]),
        Body::OutcomeSet { outputs, .. } => (None, [Some(outputs), None, None]),
        Body::AskAsked { fields, .. } => (None, [Some(fields), None, None]),
        // What people say, what is shown, and what another driver saw.
        Body::RunResumed { .. } | Body::RunCancelled { .. } | Body::RunPaused { .. } => (None, [None; 3]),
        Body::AskAnswered { .. } | Body::Note { .. } | Body::Log { .. } | Body::RunTaken { .. } => (None, [None; 3]),
        Body::ApprovalRequested(_) | Body::ApprovalGiven { .. } | Body::ApprovalRejected { .. } => (None, [None; 3]),
        Body::ApprovalExpired { .. } | Body::ApprovalVoid { .. } | Body::ApprovalReminded { .. } => (None, [None; 3]),
        Body::UndoStarted(_) | Body::UndoFinished { .. } => (None, [None; 3]),
        Body::ConcurrencyWaiting { .. } | Body::ConcurrencyBusy { .. } | Body::ConcurrencyClaimed { .. } => {
            (None, [None; 3])
        }
        Body::HoldOn(_) | Body::HoldOff { .. } | Body::Evidence { .. } => (None, [None; 3]),
    }
}

fn values_at(error: &Option<Failure>) -> Option<&Map> {
    error.as_ref().map(|error| &error.values)
}
