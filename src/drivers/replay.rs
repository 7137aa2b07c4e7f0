//! A finished or open journal walked again: every decision is made anew and compared.
//!
//! Performs nothing. A divergence means that the engine or a runbook text is not what wrote the journal.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use crate::engine::change::Change;
use crate::engine::event::{Body, Event};
use crate::engine::facts::FoldError;
use crate::engine::ids::StepPath;
use crate::engine::look_ahead::{Found, Previewed};
use crate::engine::machine::{Machine, Start};
use crate::engine::outcome::Failure;
use crate::runbook::program::Program;
use crate::script::sandbox::Sandbox;

/// Why a journal can't be replayed.
#[derive(Debug, thiserror::Error)]
pub enum Divergence {
    #[error("the journal is empty or does not begin with `run.started`")]
    NoStart,
    #[error("starting it again failed: {}", .0.message)]
    Start(Failure),
    #[error(transparent)]
    Fold(#[from] FoldError),
    #[error("event {seq}: the journal has `{recorded}`, the engine decides {decided}")]
    Different { seq: u64, recorded: String, decided: String },
}

/// Replays events; gives the number of effects that were answered from the journal.
///
/// # Errors
/// The first divergence.
pub fn replay(program: Arc<Program>, sandbox: Arc<Sandbox>, events: &[Event]) -> Result<usize, Divergence> {
    let Some(first) = events.first() else { return Err(Divergence::NoStart) };
    let Body::RunStarted(started) = &first.body else { return Err(Divergence::NoStart) };
    let start = Start {
        run: started.run,
        inputs: started.inputs.clone(),
        target: started.target.clone(),
        root: started.root.clone(),
        files: started.files.clone(),
        providers: started.providers.clone(),
        actor: started.actor.clone(),
        reason: started.reason.clone(),
        incident: started.incident.clone(),
        fence: started.fence,
        group: started.group.clone(),
        previous: started.previous.clone(),
        floors: started.floors.clone(),
        cover: started.cover.clone(),
        rehearsal: started.rehearsal,
    };
    let mut machine =
        Machine::start(Arc::clone(&program), Arc::clone(&sandbox), start, first.ts).map_err(Divergence::Start)?;
    let mut at = first.ts;
    let mut answered = 0;
    let mut left = events.iter().collect::<VecDeque<_>>();
    while !left.is_empty() {
        let decided = machine.decide(at);
        for event in &decided.events {
            // Past its last event an open run would simply go on.
            let Some(recorded) = left.front().copied() else { return Ok(answered) };
            if from_outside(&recorded.body) && without_times(&recorded.body) != without_times(&event.body) {
                // A crash or a failed commit lost the rest of this decision: go on as the journal did.
                let kept = usize::try_from(recorded.seq).unwrap_or(usize::MAX).min(events.len());
                machine = Machine::load(Arc::clone(&program), Arc::clone(&sandbox), &events[..kept])?;
                machine.apply_recorded(recorded)?;
                left.pop_front();
                break;
            }
            compare(recorded, event)?;
            left.pop_front();
        }
        let Some(next) = left.front().copied() else { break };
        if !decided.events.is_empty() {
            continue;
        }
        if at < next.ts {
            at = next.ts;
            continue;
        }
        match &next.body {
            Body::StepFinished(finished) if machine.is_in_flight(&finished.step) => {
                for event in take_answers(&machine, &mut left) {
                    // What follows from the first ones may stand between them; they were there before it.
                    let seq = machine.facts().next_seq;
                    machine.apply_recorded(&Event { seq, ..event.clone() })?;
                    answered += 1;
                }
                continue;
            }
            Body::StepObserved { step, .. } if machine.is_in_flight(step) => {}
            body if !from_outside(body) && !decided.waits.looks.is_empty() => {
                look_ahead(&mut machine, &decided.waits.looks, body);
                continue;
            }
            body if from_outside(body) => {}
            _ => return Err(different(next, "nothing")),
        }
        machine.apply_recorded(next)?;
        left.pop_front();
    }
    Ok(answered)
}

/// What looks ahead had found is in the request that followed; one that asked nobody had found nothing to ask.
fn look_ahead(machine: &mut Machine, looks: &[StepPath], next: &Body) {
    for step in looks {
        let seen = match next {
            Body::ApprovalRequested(request) if request.step == *step => {
                machine.single_operator(request.single);
                let found = |change: &Change| Found {
                    change: change.clone(),
                    needs: request.needs.clone(),
                    policy: request.policy,
                };
                Previewed { found: request.changes.iter().map(found).collect(), complete: request.complete }
            }
            Body::ApprovalRequested(_) => continue,
            _ => Previewed::default(),
        };
        machine.previewed(step, seen);
    }
}

/// Takes out the answers that were there together: they were decided on together, and have one time.
///
/// Answers of two decisions in the same millisecond can't be told from those of one.
fn take_answers<'e>(machine: &Machine, left: &mut VecDeque<&'e Event>) -> Vec<&'e Event> {
    let Some(time) = left.front().map(|event| event.ts) else { return Vec::new() };
    let together = left.iter().take_while(|event| event.ts == time && !from_outside(&event.body)).count();
    let mut known = BTreeSet::new();
    let mut found = Vec::new();
    let mut at = 0;
    for _ in 0..together {
        // A second answer of a step is that to another attempt.
        let answer = left.get(at).is_some_and(|event| match &event.body {
            Body::StepFinished(finished) => machine.is_in_flight(&finished.step) && known.insert(&finished.step),
            _ => false,
        });
        match answer {
            true => found.extend(left.remove(at)),
            false => at += 1,
        }
    }
    found
}

/// Events that no decision makes: people, other drivers, storage.
fn from_outside(body: &Body) -> bool {
    match body {
        Body::RunCancelled { .. } | Body::AskAnswered { .. } | Body::OutcomeSet { .. } | Body::RunResumed { .. } => {
            true
        }
        Body::RunPaused { .. } | Body::Evidence { .. } | Body::HoldOn(_) | Body::HoldOff { .. } => true,
        Body::ApprovalGiven { .. } | Body::ApprovalRejected { .. } => true,
        Body::Note { actor, step, .. } => actor.is_some() || step.is_none(),
        _ => false,
    }
}

fn compare(recorded: &Event, decided: &Event) -> Result<(), Divergence> {
    let (a, b) = (without_times(&recorded.body), without_times(&decided.body));
    if a == b { Ok(()) } else { Err(different(recorded, &format!("`{}` {b}", decided.body.word()))) }
}

/// What must be equal: everything but durations and the store's link.
fn without_times(body: &Body) -> String {
    let mut body = body.clone();
    match &mut body {
        Body::RunStarted(started) => started.store = None,
        Body::StepFinished(finished) => {
            finished.ms = 0;
        }
        _ => {}
    }
    serde_json::to_string(&body).unwrap_or_default()
}

fn different(recorded: &Event, decided: &str) -> Divergence {
    let recorded_text = without_times(&recorded.body);
    Divergence::Different { seq: recorded.seq, recorded: recorded_text, decided: decided.to_owned() }
}
