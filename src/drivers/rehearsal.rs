//! The dry-run: real looks, planned writes, nothing stored.
//!
//! It can't write, by type: everything it calls is a [`Read`](crate::steps::Read). It touches no
//! store, flushes nothing and never waits: timers pass at once, people are not asked.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::drivers::clock::now;
use crate::drivers::perform::{Performer, guarded, look, performer};
use crate::drivers::seal::Wanted;
use crate::drivers::signals::clean_attempt;
use crate::drivers::vault::Vault;
use crate::drivers::watch::{Control, Foreground};
use crate::engine::evaluate::quote;
use crate::engine::event::{Event, Planned};
use crate::engine::look_ahead::Previewed;
use crate::engine::machine::{Completion, LAY, Machine, Perform, REVEAL, Signal};
use crate::engine::outcome::{Attempt, Failure, FailureKind, Outcome};
use crate::engine::overlay::Overlay;
use crate::redact::Redactor;
use crate::script::value::{Map, Unknown, Value};
use crate::steps::world::World;
use crate::steps::{GENERATE, Read};

/// Rehearses a run to its end, or to where it can't be known any more. Ctrl-C ends the look it is at and cancels.
/// What it would write is asked of the machine it gives back.
pub async fn rehearse(
    mut machine: Machine,
    world: World,
    redactor: Redactor,
    vault: &Vault,
    foreground: &mut Foreground,
) -> (Vec<Event>, Machine) {
    let mut events = Vec::new();
    let mut at = now();
    let eyes = Eyes { world: &world, redactor: &redactor, vault };
    loop {
        let decided = machine.decide(at);
        foreground.watcher.events(&decided.events, machine.facts());
        events.extend(decided.events);
        if decided.waits.finished.is_some() || decided.waits.paused.is_some() {
            break;
        }
        let mut wrote = machine.overlay().wrote();
        for perform in &decided.perform {
            wrote |= perform.effect.changes_the_world();
            let looked = match performer(perform) {
                Ok(Performer::Read(read)) if is_looked_at(perform) => {
                    Some(look_or_stop(&world, read, perform, foreground).await)
                }
                _ => None,
            };
            if looked.as_ref().is_some_and(|looked| looked.stopped) {
                let actor = foreground.actor.clone();
                machine.signal(Signal::Cancel { actor, reason: Some("Ctrl-C".to_owned()) }, at);
            }
            let completion = come_to(perform, looked, &eyes, machine.overlay(), wrote);
            machine.complete(&perform.step, completion);
        }
        let Some(next) = next_moment(&decided.perform, decided.waits.until, at) else { break };
        at = next;
    }
    (events, machine)
}

/// Looks ahead below one step of a run: real looks, planned writes, and nothing of it is recorded or shown. Dropping
/// it ends the look it is at.
pub async fn look_ahead(mut machine: Machine, world: World, redactor: Redactor, vault: Arc<Vault>) -> Previewed {
    let mut at = now();
    let eyes = Eyes { world: &world, redactor: &redactor, vault: &vault };
    loop {
        let decided = machine.decide(at);
        let over = decided.waits.looked_ahead || decided.waits.finished.is_some() || decided.waits.paused.is_some();
        if over {
            break;
        }
        let mut wrote = machine.overlay().wrote();
        for perform in &decided.perform {
            wrote |= perform.effect.changes_the_world();
            let looked = match performer(perform) {
                Ok(Performer::Read(read)) if is_looked_at(perform) => {
                    let started = Instant::now();
                    let (world, look_at) = (world.clone(), perform.clone());
                    let seen = guarded(async move { look(&world, read, &look_at).await }).await;
                    Some(Looked { seen: seen.unwrap_or_else(Attempt::failed), took: started.elapsed(), stopped: false })
                }
                _ => None,
            };
            let completion = come_to(perform, looked, &eyes, machine.overlay(), wrote);
            machine.complete(&perform.step, completion);
        }
        let Some(next) = next_moment(&decided.perform, decided.waits.until, at) else { break };
        at = next;
    }
    machine.found()
}

/// When to decide again: at once with what was performed, else when the next timer is up, without waiting for it;
/// nothing if there is none.
fn next_moment(performed: &[Perform], until: Option<Timestamp>, at: Timestamp) -> Option<Timestamp> {
    let next = if performed.is_empty() { until? } else { at };
    Some(next.max(now()))
}

/// A look that was made.
struct Looked {
    seen: Attempt,
    took: Duration,
    /// Somebody ended it.
    stopped: bool,
}

/// What stands between an effect and the engine.
struct Eyes<'a> {
    world: &'a World,
    redactor: &'a Redactor,
    vault: &'a Vault,
}

/// Whether there is something in the world to look at: what is generated or opened is not there.
fn is_looked_at(perform: &Perform) -> bool {
    ![GENERATE, REVEAL, LAY].contains(&perform.uses.as_str())
}

/// What an effect comes to here: a look as it was, a write as it would be. `wrote` says whether a write is planned before it.
fn come_to(perform: &Perform, looked: Option<Looked>, eyes: &Eyes, overlay: &Overlay, wrote: bool) -> Completion {
    match perform.uses.as_str() {
        REVEAL => return Completion::of(perform.attempt, eyes.vault.reveal(perform)),
        LAY => return Completion::of(perform.attempt, eyes.vault.lay(perform, eyes.world)),
        _ => {}
    }
    match (performer(perform), looked) {
        (Ok(Performer::Write(write)), _) => {
            let summary = eyes.redactor.redact(&write.plan(eyes.world, &perform.args)).into_owned();
            // As one text: a secret of several lines is found only whole.
            let detail = write.detail(eyes.world, &perform.args).join("\n");
            let detail = eyes.redactor.redact(&detail).lines().map(str::to_owned).collect();
            let completion = planned(perform, summary);
            let planned = completion.planned.map(|planned| Planned { detail, ..planned });
            Completion { planned, leaves: write.leaves(eyes.world, &perform.args), ..completion }
        }
        (Ok(Performer::Read(_)), _) if perform.uses == GENERATE => planned(perform, "generated at apply".to_owned()),
        (Ok(Performer::Read(read)), Some(looked)) => {
            let left = left_for(perform, read, eyes.world, overlay).filter(|_| !perform.poll);
            let as_planned = left.is_some();
            let mut result = left.map_or(looked.seen, Attempt::done);
            eyes.vault.seal_attempt(&Wanted::of(perform), &mut result);
            clean_attempt(&mut result, eyes.redactor);
            let seen = format!("now: {}", seen(&result));
            let ms = u64::try_from(looked.took.as_millis()).unwrap_or(u64::MAX);
            if as_planned {
                let said = Planned { summary: seen.replacen("now", "as planned", 1), ..Planned::default() };
                let result = Attempt { outcome: Outcome::Planned, ..result };
                return Completion { planned: Some(said), ms, ..Completion::of(perform.attempt, result) };
            }
            match (wrote, perform.poll) {
                // The action around it lays over this what is planned.
                (true, _) if perform.laid_over && result.outcome == Outcome::Done => Completion {
                    planned: Some(Planned { summary: seen, ..Planned::default() }),
                    ms,
                    ..Completion::of(perform.attempt, result)
                },
                (true, _) => planned(perform, seen),
                (false, true) => Completion {
                    planned: Some(Planned { summary: seen, ..Planned::default() }),
                    ms,
                    ..Completion::of(perform.attempt, result)
                },
                (false, false) => Completion { ms, ..Completion::of(perform.attempt, result) },
            }
        }
        (Ok(Performer::Read(_)), None) => {
            Completion::of(perform.attempt, Attempt::failed(Failure::new(FailureKind::Stopped, "stopped")))
        }
        (Err(failure), _) => Completion::of(perform.attempt, Attempt::refused(failure)),
    }
}

/// What a read will give after the writes that are planned, if its primitive knows their place and that is known.
fn left_for(perform: &Perform, read: &dyn Read, world: &World, overlay: &Overlay) -> Option<Value> {
    read.with(&perform.args, overlay.whole(&read.place(world, &perform.args)?)?)
}

/// Looks until there is an answer or somebody stops it. A panic ends the look only.
async fn look_or_stop(
    world: &World,
    read: &'static dyn Read,
    perform: &Perform,
    foreground: &mut Foreground,
) -> Looked {
    let started = Instant::now();
    let ended = |seen, stopped| Looked { seen, took: started.elapsed(), stopped };
    let (world, perform) = (world.clone(), perform.clone());
    let mut looking = pin!(guarded(async move { look(&world, read, &perform).await }));
    loop {
        tokio::select! {
            seen = &mut looking => return ended(seen.unwrap_or_else(Attempt::failed), false),
            Some(control) = foreground.control.recv() => match control {
                Control::Interrupt | Control::Leave(_) => {
                    let failure = Failure::new(FailureKind::Stopped, "stopped");
                    return ended(Attempt { outcome: Outcome::Cancelled, ..Attempt::failed(failure) }, true);
                }
                // A rehearsal asks nobody, and has nothing to come back to.
                Control::Answer { .. } | Control::Approve { .. } | Control::Reject { .. } | Control::Pause => {}
            },
        }
    }
}

fn planned(perform: &Perform, summary: String) -> Completion {
    let outputs = Value::Unknown(Unknown { origin: perform.step.to_string() });
    let result = Attempt { outcome: Outcome::Planned, outputs, failure: None };
    Completion { planned: Some(Planned { summary, ..Planned::default() }), ..Completion::of(perform.attempt, result) }
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
