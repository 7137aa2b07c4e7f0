//! What planned writes would leave behind, for the reads of a rehearsal that come after them.
//!
//! Honest by forgetting: after a write that doesn't say what it leaves, or one of which only the place in the runbook
//! is known, nothing is known of any place any more.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::event::{Body, Event};
use crate::engine::facts::Facts;
use crate::engine::ids::StepPath;
use crate::engine::machine::Perform;
use crate::engine::outcome::Outcome;
use crate::runbook::spec::Effect;
use crate::script::value::Value;
use crate::steps::world::World;
use crate::steps::{Read, Write};

/// The world as far as planned writes would change it.
#[derive(Default)]
pub(super) struct Overlay {
    /// Whether a write was planned: from then on the world is not as the run would find it.
    wrote: bool,
    left: BTreeMap<String, Value>,
    /// Writes that were asked what they leave.
    asked: BTreeSet<StepPath>,
    /// Steps that may not happen at all.
    maybe: BTreeSet<StepPath>,
}

impl Overlay {
    pub(super) fn wrote(&self) -> bool {
        self.wrote
    }

    /// Takes in what the engine decided: a write whose arguments nobody knows is planned by the engine itself.
    pub(super) fn hear(&mut self, events: &[Event], facts: &Facts) {
        for event in events {
            match &event.body {
                Body::StepStarted(intent) if intent.maybe => drop(self.maybe.insert(intent.step.clone())),
                Body::StepFinished(end) if end.outcome == Outcome::Planned => {
                    let started = facts.step(&end.step).and_then(|record| record.started.as_ref());
                    let Some(intent) = started.map(|started| &started.intent) else { continue };
                    if !intent.effect.changes_the_world() {
                        continue;
                    }
                    self.wrote = true;
                    // A call of an action has said by its steps what it leaves.
                    let by_its_steps = intent.key.is_none() && intent.body == "uses";
                    if !by_its_steps && !self.asked.contains(&end.step) {
                        self.left.clear();
                    }
                }
                _ => {}
            }
        }
    }

    /// Takes in a planned write.
    pub(super) fn write(&mut self, perform: &Perform, write: &dyn Write, world: &World) {
        self.wrote = true;
        self.asked.insert(perform.step.clone());
        match write.leaves(world, &perform.args) {
            Some((place, _)) if self.maybe.contains(&perform.step) => drop(self.left.remove(&place)),
            Some((place, content)) => drop(self.left.insert(place, content)),
            None if perform.effect >= Effect::Write => self.left.clear(),
            // A message changes no place.
            None => {}
        }
    }

    /// What a read will give after the writes that are planned, if that is known.
    pub(super) fn read(&self, perform: &Perform, read: &dyn Read, world: &World) -> Option<Value> {
        let content = self.left.get(&read.place(world, &perform.args)?)?;
        read.with(&perform.args, content)
    }
}
