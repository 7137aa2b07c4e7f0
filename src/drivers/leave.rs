//! How a driver stops although the run has not: what is in the air lands, what has happened is recorded, and
//! what is told is what is durable.

use std::time::Instant;

use crate::drivers::book::Book;
use crate::drivers::clock::now;
use crate::drivers::local::{Local, Lost, RENEW_EVERY, status};
use crate::drivers::perform::Flights;
use crate::drivers::watch::{Control, Why};
use crate::engine::event::{Body, EVENT_VERSION, Event};
use crate::engine::facts::Facts;
use crate::engine::machine::{Completion, Machine};
use crate::engine::outcome::{Attempt, Failure, FailureKind};
use crate::journal::{Append, Error as JournalError, Journal, Signal};

impl Local<'_> {
    /// Records what may still be recorded, and stops.
    pub(super) async fn leave(
        mut self,
        mut machine: Machine,
        mut book: Book,
        mut flights: Flights,
        lost: Lost,
    ) -> (Facts, Why) {
        match &lost {
            Lost::Storage(_) | Lost::Run(_) => self.wait_for(&mut flights, &mut machine).await,
            Lost::Patience => {}
        }
        while let Some(flight) = flights.landed() {
            self.land(&mut machine, flight);
        }
        if !matches!(lost, Lost::Run(_)) {
            doubt_what_is_open(&mut machine);
        }
        // For the outcomes; what it would perform next is never begun, and so never recorded.
        book.note(machine.decide(now()).events);
        let pause = match lost {
            Lost::Run(why) => {
                self.leave_evidence(&machine, &book).await;
                return (self.durable().unwrap_or_default(), Why::Paused(why));
            }
            Lost::Storage(why) => Some(why),
            Lost::Patience => None,
        };
        // Nothing is known to be durable in a store that can't be read.
        let Some(mut durable) = self.durable() else {
            return (Facts::default(), pause.map_or(Why::Interrupted, Why::Paused));
        };
        if durable.started.is_some() {
            self.salvage(&mut durable, &book, pause.as_deref()).await;
        }
        let why = match pause {
            _ if durable.finished.is_some() => Why::Ended,
            None => Why::Interrupted,
            Some(why) if durable.started.is_none() => Why::Paused(format!("the run has not begun: {why}")),
            Some(why) => Why::Paused(why),
        };
        (durable, why)
    }

    /// Waits until everything in the air has landed, bounded by its own limits; Ctrl-C twice cuts it short.
    async fn wait_for(&mut self, flights: &mut Flights, machine: &mut Machine) {
        let mut interrupted = false;
        let mut renew_at = Instant::now();
        while let Some(due) = flights.due() {
            tokio::select! {
                Some(flight) = flights.next() => self.land(machine, flight),
                Some(control) = self.foreground.control.recv() => match control {
                    Control::Interrupt if interrupted => return,
                    Control::Interrupt => interrupted = true,
                    Control::Answer { .. } => {}
                },
                () = tokio::time::sleep_until(renew_at.into()) => {
                    // Keeps others from taking the run over meanwhile. If that fails too, they may.
                    drop(self.drive.renew());
                    renew_at = Instant::now() + RENEW_EVERY;
                }
                () = tokio::time::sleep_until(due.into()) => return,
            }
        }
    }

    /// The run as its journal tells it; `None` if that can't be read.
    fn durable(&self) -> Option<Facts> {
        match self.store.load(self.drive.run()) {
            Ok(events) => Facts::fold(&events).ok(),
            Err(JournalError::NoRun { .. }) => Some(Facts::default()),
            Err(_) => None,
        }
    }

    /// Records what has happened, as much as fits into the space kept for it, and shows it.
    async fn salvage(&mut self, durable: &mut Facts, book: &Book, pause: Option<&str>) {
        let mut kept = book.happened(durable);
        let shown_before = book.unshown.first().map_or(u64::MAX, |event| event.seq);
        loop {
            let mut facts = durable.clone();
            let mut events: Vec<Event> = kept.iter().map(|(_, event)| event.clone()).collect();
            for event in &events {
                facts.apply(event).expect("what has happened was folded in this order when it was picked");
            }
            if let Some(why) = pause {
                let body = Body::RunPaused { reason: why.to_owned(), actor: None };
                let event = Event { v: EVENT_VERSION, seq: facts.next_seq, ts: now(), body };
                // A run that has ended has nothing to pause.
                if facts.apply(&event).is_ok() {
                    events.push(event);
                }
            }
            if events.is_empty() {
                return;
            }
            let append = Append {
                status: Some(status(&facts)),
                consumed: book.heard_in(durable, &kept),
                ..Append::events(self.drive.run(), self.drive.fence(), events.clone())
            };
            match self.store.append(append).await {
                Ok(_) => {
                    *durable = facts;
                    let unseen = kept.iter().filter(|(had, _)| *had >= shown_before).count();
                    let pauses = events.len() - kept.len();
                    let fresh = &events[events.len() - unseen - pauses..];
                    self.foreground.watcher.events(fresh, durable);
                    return;
                }
                // The oldest outcomes first; one that doesn't fit stays open, and so in doubt.
                Err(JournalError::Full { .. }) if kept.pop().is_some() => {}
                Err(_) => return,
            }
        }
    }

    /// Leaves outcomes of writes for whoever drives the run now: the next to look must not have to guess.
    async fn leave_evidence(&self, machine: &Machine, book: &Book) {
        for event in &book.uncommitted {
            let Body::StepFinished(finished) = &event.body else { continue };
            let record = machine.facts().step(&finished.step).and_then(|record| record.started.as_ref());
            if record.is_none_or(|started| started.intent.key.is_none()) {
                continue;
            }
            let body = Body::Evidence {
                step: finished.step.clone(),
                attempt: finished.attempt,
                outcome: finished.outcome,
                outputs: finished.outputs.clone(),
            };
            if let Ok(signal) = Signal::new(body) {
                // The run is somebody else's; there is no better place left to say that this failed.
                self.store.signal(self.drive.run(), &signal).await.ok();
            }
        }
    }
}

/// Writes nobody waits for any more may have happened.
fn doubt_what_is_open(machine: &mut Machine) {
    let open: Vec<_> = machine
        .facts()
        .steps
        .iter()
        .filter(|(_, record)| record.is_open())
        .filter_map(|(path, record)| {
            let intent = &record.started.as_ref()?.intent;
            (intent.key.is_some() && machine.is_in_flight(path)).then(|| (path.clone(), intent.attempt))
        })
        .collect();
    for (step, attempt) in open {
        let failure = Failure::new(FailureKind::Stopped, "left before its answer was known");
        machine.complete(&step, Completion { attempt, result: Attempt::in_doubt(failure), planned: None, ms: 0 });
    }
}
