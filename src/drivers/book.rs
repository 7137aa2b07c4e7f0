//! The books of a driver: what is decided and not yet durable, and what is not yet shown.
//!
//! Pure: writes nothing. It knows who may rely on which event, and what of its events stays true when not all of
//! them can be recorded.

use std::time::Instant;

use crate::engine::event::{Body, Event, StoreLink};
use crate::engine::facts::Facts;
use crate::journal::{Blob, SignalId};

/// What is decided but not yet durable, and what is not yet shown.
#[derive(Default)]
pub struct Book {
    /// What is not yet both durable and shown, each event once: a loop can decide tens of thousands at a time.
    events: Vec<Event>,
    /// How many of `events` are durable already.
    durable: usize,
    /// How many of `events` were shown already.
    shown: usize,
    /// Texts to be stored with the next commit.
    pub blobs: Vec<Blob>,
    /// Signals taken up, with the number of the event each has become.
    pub heard: Vec<(SignalId, u64)>,
    /// When the oldest of what is not durable was decided.
    pub since: Option<Instant>,
    /// How many of the uncommitted, from the first, nobody relies on: looked at once, not at every decision.
    unrelied: usize,
}

impl Book {
    /// Books whose first commit stores these texts.
    pub fn of(blobs: Vec<Blob>) -> Book {
        Book { blobs, ..Book::default() }
    }

    /// Enters what was decided.
    pub fn note(&mut self, events: Vec<Event>) {
        if !events.is_empty() {
            self.since.get_or_insert_with(Instant::now);
            self.events.extend(events);
        }
    }

    /// What is decided and not yet durable, in its order.
    pub fn uncommitted(&self) -> &[Event] {
        &self.events[self.durable..]
    }

    /// What is decided and not yet shown, in its order.
    pub fn unshown(&self) -> &[Event] {
        &self.events[self.shown..]
    }

    /// Everything was shown.
    pub fn show_all(&mut self) {
        self.shown = self.events.len();
        self.forget();
    }

    /// Lets go of what is durable and shown.
    fn forget(&mut self) {
        let both = self.durable.min(self.shown);
        if both == self.events.len() {
            // The room of a long loop is not kept for the rest of the run.
            self.events = Vec::new();
        } else {
            self.events.drain(..both);
        }
        (self.durable, self.shown) = (self.durable - both, self.shown - both);
    }

    /// Whether a signal was taken up already.
    pub fn has_heard(&self, id: SignalId) -> bool {
        self.heard.iter().any(|(heard, _)| *heard == id)
    }

    /// Signals that go with the first `count` events: those that became them or, with the last event, all.
    pub fn heard_until(&self, count: usize) -> Vec<SignalId> {
        let next = self.uncommitted().get(count).map_or(u64::MAX, |event| event.seq);
        self.heard.iter().filter(|(_, seq)| *seq < next).map(|(id, _)| *id).collect()
    }

    /// Forgets the first `count` events, which have become durable, with the texts and signals that went with them.
    pub fn committed(&mut self, count: usize) {
        let next = self.uncommitted().get(count).map_or(u64::MAX, |event| event.seq);
        self.heard.retain(|(_, seq)| *seq >= next);
        self.blobs.clear();
        self.durable += count;
        if self.uncommitted().is_empty() {
            self.since = None;
        }
        self.unrelied = self.unrelied.saturating_sub(count);
        self.forget();
    }

    /// Writes into the beginning of the run which one of its store it is: known once it is durable, and shown as it is
    /// recorded.
    pub fn linked(&mut self, store: Option<StoreLink>) {
        let first = self.events.iter_mut().find_map(|event| match &mut event.body {
            Body::RunStarted(started) => Some(started),
            _ => None,
        });
        if let (Some(started), Some(store)) = (first, store) {
            started.store = Some(store);
        }
    }

    /// Whether it holds something somebody may rely on once it is shown: the run's id, a person's word, the
    /// outcome of a write, an end.
    pub fn acknowledges(&mut self, facts: &Facts) -> bool {
        let relied_on = |event: &Event| match &event.body {
            Body::RunStarted(_) | Body::RunFinished { .. } | Body::RunCancelled { .. } => true,
            Body::UndoStarted(_) | Body::UndoFinished { .. } => true,
            Body::RunPaused { .. } | Body::RunResumed { .. } | Body::RunTaken { .. } => true,
            Body::HoldOn(_) | Body::HoldOff { .. } | Body::ConcurrencyClaimed { .. } => true,
            Body::AskAnswered { .. } | Body::OutcomeSet { .. } | Body::Evidence { .. } => true,
            Body::ApprovalGiven { .. } | Body::ApprovalRejected { .. } => true,
            Body::Note { actor, .. } => actor.is_some(),
            Body::StepFinished(finished) => facts
                .step(&finished.step)
                .and_then(|record| record.started.as_ref())
                .is_some_and(|started| started.intent.effect.changes_the_world()),
            _ => false,
        };
        let new = &self.uncommitted()[self.unrelied..];
        let found = new.iter().position(relied_on);
        let looked_at = found.unwrap_or(new.len());
        self.unrelied += looked_at;
        found.is_some()
    }

    /// Forgets what was recorded by a driver that stops, out of those decided.
    pub fn recorded(&mut self, kept: &[(u64, Event)], consumed: &[SignalId]) {
        self.unrelied = 0;
        let is_kept = |event: &Event| kept.iter().any(|(had, _)| *had == event.seq);
        // Only what was not durable is picked, so what stands before it stays.
        self.shown -= self.events[..self.shown].iter().filter(|event| is_kept(event)).count();
        self.events.retain(|event| !is_kept(event));
        self.heard.retain(|(id, _)| !consumed.contains(id));
    }

    /// What may still be recorded behind `durable` by a driver that stops, with the numbers the events had.
    ///
    /// Nothing that would start: what has not begun can't be left open. Behind the first such event only what has
    /// happened outside (outcomes of attempts whose intent is durable, and what people said), because everything
    /// else was decided from events that are not recorded; the next driver decides it again.
    pub fn happened(&self, durable: &Facts) -> Vec<(u64, Event)> {
        let mut facts = durable.clone();
        let mut kept = Vec::new();
        let mut cut = false;
        for event in self.uncommitted() {
            if event.seq < durable.next_seq {
                // The commit that seemed to fail had reached the disk.
                continue;
            }
            let outside = match &event.body {
                Body::RunStarted(_) | Body::StepStarted(_) | Body::UndoStarted(_) => {
                    cut = true;
                    continue;
                }
                Body::StepFinished(finished) => {
                    let started = facts.step(&finished.step).and_then(|record| record.started.as_ref());
                    started.is_some_and(|started| started.intent.key.is_some())
                }
                Body::RunResumed { .. } | Body::RunCancelled { .. } | Body::AskAnswered { .. } => true,
                Body::RunTaken { .. } | Body::OutcomeSet { .. } | Body::Evidence { .. } => true,
                Body::ApprovalGiven { .. } | Body::ApprovalRejected { .. } => true,
                Body::Note { step, .. } => step.is_none(),
                _ => false,
            };
            if cut && !outside {
                continue;
            }
            let as_recorded = Event { seq: facts.next_seq, ..event.clone() };
            if facts.apply(&as_recorded).is_ok() {
                kept.push((event.seq, as_recorded));
            }
        }
        kept
    }

    /// Signals whose events are among `kept`, or that have become none.
    pub fn heard_in(&self, durable: &Facts, kept: &[(u64, Event)]) -> Vec<SignalId> {
        let noted = |seq: &u64| self.uncommitted().iter().any(|event| event.seq == *seq);
        self.heard
            .iter()
            .filter(|(_, seq)| *seq >= durable.next_seq)
            .filter(|(_, seq)| !noted(seq) || kept.iter().any(|(had, _)| had == seq))
            .map(|(id, _)| *id)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::drivers::clock::now;
    use crate::engine::event::{Actor, EVENT_VERSION, RunStarted, StepFinished, StepStarted};
    use crate::engine::ids::{RunId, StepPath};
    use crate::engine::outcome::Outcome;
    use crate::runbook::spec::{Effect, Repeat};
    use crate::script::value::{Map, Value};

    fn actor() -> Actor {
        Actor::new("ana", "test")
    }

    fn begun(step: &str, body: &str, key: Option<&str>) -> Body {
        Body::StepStarted(Arc::new(StepStarted {
            step: StepPath::new(step),
            attempt: 1,
            name: None,
            body: body.into(),
            uses: None,
            effect: Effect::Write,
            repeat: Repeat::Once,
            with: Map::new(),
            vars: Map::new(),
            key: key.map(str::to_owned),
            timeout_ms: None,
            within_ms: None,
            why: Map::new(),
            reveal: Vec::new(),
            given: None,
            maybe: false,
        }))
    }

    fn over(step: &str) -> Body {
        Body::StepFinished(Arc::new(StepFinished {
            step: StepPath::new(step),
            attempt: 1,
            outcome: Outcome::Done,
            outputs: Value::Null,
            error: None,
            broken_at: None,
            ms: 0,
            planned: None,
        }))
    }

    fn numbered(from: u64, bodies: Vec<Body>) -> Vec<Event> {
        (from..).zip(bodies).map(|(seq, body)| Event { v: EVENT_VERSION, seq, ts: now(), body }).collect()
    }

    #[test]
    fn what_is_recorded_in_parts_takes_its_own_signals_along_and_is_shown_whole() {
        let note = |text: &str| Body::Note { text: text.into(), actor: Some(actor()), step: None };
        let seqs = |events: &[Event]| events.iter().map(|event| event.seq).collect::<Vec<_>>();
        let mut book = Book::of(vec![Blob::new("text", b"a text".to_vec())]);
        let (early, late) = (SignalId::of(1), SignalId::of(2));
        book.heard = vec![(early, 1), (late, 4)];
        book.note(numbered(0, ["a", "b", "c", "d", "e"].map(note).into()));

        assert_eq!(book.heard_until(3), [early]);
        book.committed(3);
        assert_eq!((seqs(book.uncommitted()), seqs(book.unshown())), (vec![3, 4], vec![0, 1, 2, 3, 4]));
        assert!(book.blobs.is_empty() && !book.has_heard(early) && book.has_heard(late) && book.since.is_some());
        book.show_all();
        assert_eq!((seqs(book.uncommitted()), seqs(book.unshown())), (vec![3, 4], vec![]));

        // A driver that stops records the first of the two by itself.
        let kept = [(3, numbered(3, vec![note("d")]).remove(0))];
        book.recorded(&kept, &[]);
        assert_eq!((seqs(book.uncommitted()), seqs(book.unshown())), (vec![4], vec![]));
        assert_eq!(book.heard_until(1), [late]);
        book.committed(1);
        assert!(book.uncommitted().is_empty() && book.heard.is_empty() && book.since.is_none());
        book.note(numbered(5, vec![note("f")]));
        assert_eq!((seqs(book.uncommitted()), seqs(book.unshown())), (vec![5], vec![5]));
    }

    #[test]
    fn a_driver_that_stops_keeps_what_happened_outside_and_nothing_that_follows_from_what_it_drops() {
        let start = Body::RunStarted(Box::new(RunStarted {
            semantics: 1,
            run: RunId::new(uuid::Uuid::nil()),
            runbook: "test".into(),
            title: "A test".into(),
            files: Vec::new(),
            target: None,
            root: None,
            inputs: Map::new(),
            vars: Map::new(),
            providers: Map::new(),
            actor: actor(),
            reason: None,
            incident: None,
            effects: Vec::new(),
            fence: 0,
            group: None,
            previous: None,
            timeout_ms: None,
            floors: None,
            cover: None,
            plan: None,
            traceparent: None,
            rehearsal: false,
            store: None,
        }));
        let durable = numbered(
            0,
            vec![
                start,
                begun("group", "steps", None),
                begun("group/a", "uses", Some("a")),
                begun("b", "uses", Some("b")),
            ],
        );
        let durable = Facts::fold(&durable).unwrap();
        let mut book = Book::default();
        book.note(numbered(
            4,
            vec![
                over("group/a"),
                begun("group/look", "uses", None),
                over("group/look"),
                over("group"),
                over("b"),
                Body::RunCancelled { actor: actor(), reason: None },
            ],
        ));
        let kept = book.happened(&durable);
        let told: Vec<(u64, u64, Option<&str>)> = kept
            .iter()
            .map(|(had, event)| match &event.body {
                Body::StepFinished(finished) => (*had, event.seq, Some(finished.step.as_str())),
                _ => (*had, event.seq, None),
            })
            .collect();
        // The group's end was decided from a look that is not recorded.
        assert_eq!(told, [(4, 4, Some("group/a")), (8, 5, Some("b")), (9, 6, None)]);
    }
}
