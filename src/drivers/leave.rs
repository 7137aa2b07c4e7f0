//! How a driver stops although the run has not: what is in the air lands, what has happened is recorded, and
//! what is told is what is durable.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::drivers::book::Book;
use crate::drivers::clock::now;
use crate::drivers::local::{Commit, Local, Lost, Meanwhile, RENEW_EVERY, status};
use crate::drivers::perform::Flights;
use crate::drivers::watch::{Control, Why};
use crate::engine::event::{Actor, Body, EVENT_VERSION, Event};
use crate::engine::facts::Facts;
use crate::engine::machine::{Completion, Machine};
use crate::engine::outcome::{Attempt, Failure, FailureKind};
use crate::engine::sealed::sealed_in;
use crate::journal::{Append, Blob, Error as JournalError, Journal, Signal, SignalId};

/// How long a process that is asked to go lets its writes come to their end: those who ask kill after 10 s or
/// later, and the rest is for the commit.
const LEAVE_WITHIN: Duration = Duration::from_secs(8);

/// What is recorded last: why the run stands.
struct Pause {
    reason: String,
    actor: Option<Actor>,
    /// The request it answers.
    signal: Option<SignalId>,
}

impl Local<'_> {
    /// Records what may still be recorded, and stops.
    pub(super) async fn leave(
        mut self,
        mut machine: Machine,
        mut book: Book,
        mut flights: Flights,
        lost: Lost,
    ) -> (Facts, Why) {
        let lost = match lost {
            // Everything decided so far has been begun, and nothing keeps it from being recorded as it is.
            Lost::Pause { .. } | Lost::Leave(_) => match self.commit(&machine, &mut book, Meanwhile::Steps, true).await
            {
                Ok(Commit::Done | Commit::Empty | Commit::SignalWaiting) => lost,
                Err(worse) => worse,
            },
            other => other,
        };
        let until = match &lost {
            Lost::Patience => Some(Instant::now()),
            Lost::Leave(_) => Some(Instant::now() + LEAVE_WITHIN),
            Lost::Storage(_) | Lost::Run(_) | Lost::Pause { .. } => None,
        };
        if flights.due().is_some() && until.is_none_or(|until| until > Instant::now()) {
            self.foreground.watcher.winding_down();
        }
        let records = matches!(lost, Lost::Pause { .. } | Lost::Leave(_));
        self.wait_for(&mut flights, &mut machine, &mut book, until, records).await;
        while let Some(flight) = flights.landed() {
            self.land(&mut machine, flight);
        }
        if !matches!(lost, Lost::Run(_)) {
            doubt_what_is_open(&mut machine);
        }
        // For the outcomes; what it would perform next is never begun, and so never recorded.
        self.note(&mut book, machine.decide(now()).events);
        let (pause, why) = match lost {
            Lost::Run(why) => {
                self.leave_evidence(&machine, &book).await;
                return (self.durable().unwrap_or_default(), Why::Paused(why));
            }
            Lost::Storage(why) => (Some(Pause { reason: why.clone(), actor: None, signal: None }), Why::Paused(why)),
            Lost::Pause { actor, reason, signal } => {
                let why = match reason.is_empty() {
                    true => format!("asked by {}", actor.id),
                    false => format!("asked by {}: {reason}", actor.id),
                };
                (Some(Pause { reason, actor: Some(*actor), signal }), Why::Paused(why))
            }
            Lost::Patience => (None, Why::Interrupted),
            Lost::Leave(parting) => (None, Why::Left(parting)),
        };
        // Nothing is known to be durable in a store that can't be read.
        let Some(mut durable) = self.durable() else { return (Facts::default(), why) };
        if durable.started.is_some() {
            self.salvage(&mut durable, &mut book, pause.as_ref()).await;
        }
        let why = match why {
            _ if durable.finished.is_some() => Why::Ended,
            Why::Paused(why) if durable.started.is_none() => Why::Paused(format!("the run has not begun: {why}")),
            why => why,
        };
        (durable, why)
    }

    /// Waits until everything in the air has landed, bounded by its own limits and by `until`; Ctrl-C twice cuts it
    /// short. What lands is recorded at once if it still can be: the wait may be long, and the process may not live
    /// to its end.
    async fn wait_for(
        &mut self,
        flights: &mut Flights,
        machine: &mut Machine,
        book: &mut Book,
        mut until: Option<Instant>,
        records: bool,
    ) {
        let mut interrupted = false;
        let mut renew_at = Instant::now();
        while let Some(due) = flights.due() {
            let due = until.map_or(due, |until| until.min(due));
            if due <= Instant::now() {
                return;
            }
            tokio::select! {
                Some(flight) = flights.next() => {
                    self.land(machine, flight);
                    if records && flights.due().is_some() && let Some(mut durable) = self.durable() {
                        self.note(book, machine.decide(now()).events);
                        self.salvage(&mut durable, book, None).await;
                    }
                }
                Some(control) = self.foreground.control.recv() => match control {
                    Control::Interrupt if interrupted => return,
                    Control::Interrupt => interrupted = true,
                    Control::Leave(_) if until.is_some() => return,
                    Control::Leave(_) => until = Some(Instant::now() + LEAVE_WITHIN),
                    Control::Answer { .. } | Control::Approve { .. } | Control::Reject { .. } | Control::Pause => {}
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
    async fn salvage(&mut self, durable: &mut Facts, book: &mut Book, pause: Option<&Pause>) {
        let mut kept = book.happened(durable);
        let shown_before = book.unshown().first().map_or(u64::MAX, |event| event.seq);
        loop {
            let mut facts = durable.clone();
            let mut events: Vec<Event> = kept.iter().map(|(_, event)| event.clone()).collect();
            for event in &events {
                facts.apply(event).expect("what has happened was folded in this order when it was picked");
            }
            let mut consumed = book.heard_in(durable, &kept);
            if let Some(Pause { reason, actor, signal }) = pause {
                let body = Body::RunPaused { reason: reason.clone(), actor: actor.clone() };
                let event = Event { v: EVENT_VERSION, seq: facts.next_seq, ts: now(), body };
                // A run that has ended has nothing to pause.
                if facts.apply(&event).is_ok() {
                    events.push(event);
                }
                consumed.extend(signal);
            }
            if events.is_empty() {
                return;
            }
            let append = Append {
                status: Some(status(&facts)),
                consumed: consumed.clone(),
                blobs: named_by(&book.blobs, &events),
                ..Append::events(self.drive.run(), self.drive.fence(), events.clone())
            };
            match self.store.append(append).await {
                Ok(_) => {
                    *durable = facts;
                    let unseen = kept.iter().filter(|(had, _)| *had >= shown_before).count();
                    let pauses = events.len() - kept.len();
                    let fresh = &events[events.len() - unseen - pauses..];
                    self.foreground.watcher.events(fresh, durable);
                    book.recorded(&kept, &consumed);
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
        for event in book.uncommitted() {
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

/// The sealed values that these events name; what else would be stored takes room that there may not be.
fn named_by(blobs: &[Blob], events: &[Event]) -> Vec<Blob> {
    let named: BTreeSet<&str> = events.iter().flat_map(sealed_in).map(|sealed| sealed.digest.as_str()).collect();
    blobs.iter().filter(|blob| named.contains(blob.digest())).cloned().collect()
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
        machine.complete(&step, Completion::of(attempt, Attempt::in_doubt(failure)));
    }
}
