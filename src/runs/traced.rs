//! A run that is driven here as a trace: what is shown of it is told, and its requests as parts of it.

use crate::drivers::watch::{Foreground, InLine, Watcher};
use crate::engine::event::Event;
use crate::engine::facts::Facts;
use crate::engine::ids::{RunId, StepPath};
use crate::engine::machine::Waits;
use crate::engine::outcome::Attempt;
use crate::engine::traceparent::Traceparent;
use crate::redact::Redactor;
use crate::steps::world::World;
use crate::traces::Trace;

/// The same world and foreground for a run that goes on after `events`, told to whoever wants traces.
pub(super) fn traced(
    run: RunId,
    parent: Option<&Traceparent>,
    redactor: &Redactor,
    events: &[Event],
    world: World,
    foreground: Foreground,
) -> (World, Foreground) {
    let Some(trace) = Trace::of(run, parent, redactor) else { return (world, foreground) };
    trace.recall(events);
    let watcher = Told { watcher: foreground.watcher, trace: trace.clone() };
    (world.traced(trace), Foreground { watcher: Box::new(watcher), ..foreground })
}

/// Tells what it shows.
struct Told {
    watcher: Box<dyn Watcher>,
    trace: Trace,
}

impl Watcher for Told {
    fn events(&mut self, events: &[Event], facts: &Facts) {
        self.trace.tell(events);
        self.watcher.events(events, facts);
    }

    fn looked(&mut self, step: &StepPath, result: &Attempt) {
        self.watcher.looked(step, result);
    }

    fn waiting(&mut self, waits: &Waits, facts: &Facts) {
        self.watcher.waiting(waits, facts);
    }

    fn winding_down(&mut self) {
        self.watcher.winding_down();
    }

    fn in_line(&mut self, line: &InLine) {
        self.watcher.in_line(line);
    }
}
