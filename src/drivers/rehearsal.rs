//! The dry-run: real looks, planned writes, nothing stored.
//!
//! It can't write, by type: everything it calls is a [`Read`](crate::steps::Read). It touches no
//! store, flushes nothing and never waits: timers pass at once, people are not asked.

use std::pin::pin;

use crate::drivers::clock::now;
use crate::drivers::perform::{Performer, guarded, look, performer};
use crate::drivers::seal::Wanted;
use crate::drivers::signals::clean_attempt;
use crate::drivers::vault::Vault;
use crate::drivers::watch::{Control, Foreground};
use crate::engine::evaluate::quote;
use crate::engine::event::{Body, Event, Planned};
use crate::engine::facts::Facts;
use crate::engine::machine::{Completion, Machine, Perform, REVEAL, Signal};
use crate::engine::outcome::{Attempt, Failure, FailureKind, Outcome};
use crate::redact::Redactor;
use crate::script::value::{Map, Unknown, Value};
use crate::steps::world::World;
use crate::steps::{GENERATE, Read};

/// Rehearses a run to its end, or to where it can't be known any more. Ctrl-C ends the look it is at and cancels.
pub async fn rehearse(
    mut machine: Machine,
    world: World,
    redactor: Redactor,
    vault: &Vault,
    foreground: &mut Foreground,
) -> (Vec<Event>, Facts) {
    let mut events = Vec::new();
    let mut at = now();
    // After the first planned write the world is not as the run would find it.
    let mut wrote = false;
    loop {
        let decided = machine.decide(at);
        // A write the engine itself had to plan, because not even its arguments are known, counts as well.
        wrote |= decided.events.iter().any(|event| plans_a_write(event, machine.facts()));
        foreground.watcher.events(&decided.events, machine.facts());
        events.extend(decided.events);
        if decided.waits.finished.is_some() || decided.waits.paused.is_some() {
            break;
        }
        for perform in &decided.perform {
            if perform.uses == REVEAL {
                machine.complete(&perform.step, plain(perform, vault.reveal(perform)));
                continue;
            }
            let completion = match performer(perform) {
                Err(failure) => plain(perform, Attempt::refused(failure)),
                Ok(Performer::Write(write)) => {
                    wrote = true;
                    planned(perform, redactor.redact(&write.plan(&world, &perform.args)).into_owned())
                }
                Ok(Performer::Read(_)) if perform.uses == GENERATE => planned(perform, "generated at apply".to_owned()),
                Ok(Performer::Read(read)) => {
                    let started = std::time::Instant::now();
                    let (mut result, stopped) = look_or_stop(&world, read, perform, foreground).await;
                    if stopped {
                        let actor = foreground.actor.clone();
                        machine.signal(Signal::Cancel { actor, reason: Some("Ctrl-C".to_owned()) }, at);
                    }
                    vault.seal_attempt(&Wanted::of(perform), &mut result);
                    clean_attempt(&mut result, &redactor);
                    let seen = format!("now: {}", seen(&result));
                    let ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
                    match (wrote, perform.poll) {
                        (true, _) => planned(perform, seen),
                        (false, true) => Completion {
                            planned: Some(Planned { summary: seen, ..Planned::default() }),
                            ms,
                            ..plain(perform, result)
                        },
                        (false, false) => Completion { ms, ..plain(perform, result) },
                    }
                }
            };
            machine.complete(&perform.step, completion);
        }
        match (decided.perform.is_empty(), decided.waits.until) {
            (false, _) => {}
            (true, Some(until)) => at = until,
            (true, None) => break,
        }
        at = at.max(now());
    }
    let facts = machine.facts().clone();
    (events, facts)
}

/// Looks until there is an answer or somebody stops it. A panic ends the look only.
async fn look_or_stop(
    world: &World,
    read: &'static dyn Read,
    perform: &Perform,
    foreground: &mut Foreground,
) -> (Attempt, bool) {
    let (world, perform) = (world.clone(), perform.clone());
    let mut looking = pin!(guarded(async move { look(&world, read, &perform).await }));
    loop {
        tokio::select! {
            seen = &mut looking => return (seen.unwrap_or_else(Attempt::failed), false),
            Some(control) = foreground.control.recv() => match control {
                Control::Interrupt | Control::Leave(_) => {
                    let failure = Failure::new(FailureKind::Stopped, "stopped");
                    return (Attempt { outcome: Outcome::Cancelled, ..Attempt::failed(failure) }, true);
                }
                // A rehearsal asks nobody, and has nothing to come back to.
                Control::Answer { .. } | Control::Pause => {}
            },
        }
    }
}

fn plans_a_write(event: &Event, facts: &Facts) -> bool {
    let Body::StepFinished(finished) = &event.body else { return false };
    let started = facts.step(&finished.step).and_then(|record| record.started.as_ref());
    finished.outcome == Outcome::Planned && started.is_some_and(|started| started.intent.effect.changes_the_world())
}

fn plain(perform: &Perform, result: Attempt) -> Completion {
    Completion { attempt: perform.attempt, result, planned: None, ms: 0 }
}

fn planned(perform: &Perform, summary: String) -> Completion {
    let outputs = Value::Unknown(Unknown { origin: perform.step.to_string() });
    let result = Attempt { outcome: Outcome::Planned, outputs, failure: None };
    Completion { planned: Some(Planned { summary, ..Planned::default() }), ..plain(perform, result) }
}

/// A look in a few words.
fn seen(result: &Attempt) -> String {
    if let Some(failure) = &result.failure {
        return failure.message.clone();
    }
    match &result.outputs {
        Value::Map(outputs) => match (outputs.get("status"), outputs.get("ms")) {
            (Some(Value::Int(status)), Some(ms)) => format!("{status} in {ms} ms"),
            _ => {
                let few: Map = outputs.iter().take(4).map(|(k, v)| (k.clone(), v.clone())).collect();
                quote(&Value::Map(few))
            }
        },
        other => quote(other),
    }
}
