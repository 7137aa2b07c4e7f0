//! A run that is driven here as a trace: what is shown of it is told, and its requests as parts of it.

use crate::drivers::watch::Foreground;
use crate::engine::event::Event;
use crate::engine::ids::RunId;
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
    let told = trace.clone();
    (world.traced(trace), foreground.first_heard_by(move |events| told.tell(events)))
}
