//! Values that were written down before anybody knew that they are secret: a step read them openly, and a later one sealed
//! them. What is recorded stays as it is, so the record itself says what it holds, and what helps.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::engine::event::{Body, Event};
use crate::redact::Redactor;

/// Looking back takes at most one part in so many of a driver's time, so that a loop that seals at every round doesn't
/// read its growing journal at every round.
const SHARE: u32 = 20;
/// Numbers of events that are named; the rest is counted.
const NAMED_MAX: usize = 5;

/// How far a driver has looked back.
#[derive(Default)]
pub(super) struct LookBack {
    /// Values it has looked for, by their count.
    seen: usize,
    /// Not again before then.
    not_before: Option<Instant>,
}

/// When to look.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    /// If it is not too soon after the last time.
    InTime,
    /// The driver is about to stop.
    AtTheEnd,
}

impl LookBack {
    /// What to note of values that were learned since the last look and stand in the events of a run. Nothing is read
    /// unless there are any.
    pub(super) fn notes(
        &mut self,
        redactor: &Redactor,
        when: When,
        events: impl FnOnce() -> Vec<Event>,
    ) -> Vec<String> {
        let learned = redactor.learned();
        let too_soon = when == When::InTime && self.not_before.is_some_and(|at| Instant::now() < at);
        if learned == self.seen || too_soon {
            return Vec::new();
        }
        let began = Instant::now();
        let notes = notes(&redactor.since(self.seen), &events());
        self.seen = learned;
        self.not_before = Some(Instant::now() + began.elapsed().max(Duration::from_millis(1)) * SHARE);
        notes
    }
}

/// A note for each name whose value stands in events, unless they say so already.
fn notes(known: &Redactor, events: &[Event]) -> Vec<String> {
    let mut places: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for event in events {
        // As it is written: also names of outputs, and texts inside texts.
        let Ok(line) = serde_json::to_string(event) else { continue };
        for name in known.names_in(&line) {
            places.entry(name).or_default().push(event.seq);
        }
    }
    let said =
        |note: &String| events.iter().any(|event| matches!(&event.body, Body::Note { text, .. } if text == note));
    places.iter().map(|(name, seqs)| note(name, seqs)).filter(|note| !said(note)).collect()
}

fn note(name: &str, seqs: &[u64]) -> String {
    let named: Vec<String> = seqs.iter().take(NAMED_MAX).map(u64::to_string).collect();
    let more = match seqs.len().saturating_sub(NAMED_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let events = if seqs.len() == 1 { "event" } else { "events" };
    format!(
        "{name} became known as a secret after it had been written down: {events} {}{more} of this run can be read with its \
         value. Rotate it; once the run has ended, `rerail prune RUN --reason TEXT` removes the record",
        named.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::event::EVENT_VERSION;
    use crate::engine::ids::StepPath;

    fn logged(seq: u64, text: &str) -> Event {
        let body = Body::Log { step: StepPath::new("look"), text: text.to_owned() };
        Event { v: EVENT_VERSION, seq, ts: crate::drivers::clock::now(), body }
    }

    #[test]
    fn what_was_written_before_it_was_known_is_told_once_with_its_places() {
        let redactor = Redactor::new();
        redactor.register("EARLY", "early-value-1");
        let mut look = LookBack::default();
        let mut events = vec![logged(1, "it is late/value=1"), logged(2, "nothing"), logged(3, "bGF0ZS92YWx1ZT0x")];
        assert_eq!(look.notes(&redactor, When::InTime, || events.clone()), Vec::<String>::new());
        redactor.register_sealed([("LATE", "late/value=1")]);
        look.not_before = Some(Instant::now() + Duration::from_secs(3600));
        assert_eq!(look.notes(&redactor, When::InTime, || panic!("too soon")), Vec::<String>::new());
        let notes = look.notes(&redactor, When::AtTheEnd, || events.clone());
        let [note] = notes.as_slice() else { panic!("{notes:?}") };
        assert!(note.starts_with("LATE became known as a secret") && note.contains("events 1, 3 of"), "{note}");
        assert_eq!(look.notes(&redactor, When::AtTheEnd, || panic!("nothing new")), Vec::<String>::new());
        // Another process that takes the run up finds it said.
        let body = Body::Note { text: note.clone(), actor: None, step: None };
        events.push(Event { v: EVENT_VERSION, seq: 4, ts: crate::drivers::clock::now(), body });
        assert_eq!(LookBack::default().notes(&redactor, When::InTime, || events.clone()), Vec::<String>::new());
    }

    #[test]
    fn many_places_are_counted() {
        let note = note("A", &[1, 2, 3, 4, 5, 6, 7]);
        assert!(note.contains("events 1, 2, 3, 4, 5 and 2 more of"), "{note}");
        assert!(super::note("A", &[9]).contains("event 9 of"));
    }
}
