//! Large values of events, kept beside their line: one rule for every event, whatever its type.
//!
//! A line says what was taken out of it, `"apart": {"/outputs/text": "sha256:…"}`, and has `null` in each such
//! place. The names stand beside the event and never inside its values, so no data can look like one. Readers get
//! whole events; they don't know that this exists.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::engine::event::Event;
use crate::engine::ids::RunId;
use crate::journal::append::Blob;
use crate::journal::chain;
use crate::journal::error::{Error, Failure};
use crate::journal::read::{Blobs, Line};

/// JSON bytes of a value that stands in its line: lines are read whole and often, large values seldom.
const VALUE_BYTES_MAX: usize = 256 * 1024;

/// The key beside an event's own that names what was taken out.
const KEY: &str = "apart";

/// Where values were, as JSON pointers, and the digests of their blobs.
pub(super) type Names = BTreeMap<String, String>;

/// The stored form of an event: one line of JSON, and the blobs it names.
pub(super) fn to_line(event: &Event) -> (String, Vec<Blob>) {
    const HOLDS: &str = "events are maps with text keys, which JSON can always hold";
    let line = serde_json::to_string(event).expect(HOLDS);
    if line.len() <= VALUE_BYTES_MAX {
        return (line, Vec::new());
    }
    let mut json = serde_json::to_value(event).expect(HOLDS);
    let mut taken = Taken::default();
    if let Json::Object(fields) = &mut json {
        for (name, value) in fields.iter_mut() {
            taken.walk(value, &step("", name));
        }
        if !taken.names.is_empty() {
            fields.insert(KEY.to_owned(), serde_json::to_value(&taken.names).expect(HOLDS));
        }
    }
    (json.to_string(), taken.blobs)
}

/// The whole event of a line from which `names` were taken.
pub(super) fn put_back(run: RunId, line: &Line, names: &Names, blob: Blobs<'_>) -> Result<Event, Failure> {
    let damaged = |why: String| Failure::from(Error::Damaged { run, seq: line.seq, why });
    let mut json: Json =
        serde_json::from_str(&line.json).map_err(|e| damaged(format!("this rerail can't read it: {e}")))?;
    if let Json::Object(fields) = &mut json {
        fields.remove(KEY);
    }
    // In order, so that what was taken out of a value that was itself taken out comes after it.
    for (place, digest) in names {
        let bytes = blob(digest)?.ok_or_else(|| damaged(format!("its value at `{place}` is missing ({digest})")))?;
        if chain::digest(&bytes) != *digest {
            return Err(damaged(format!("its value at `{place}` is not what was stored ({digest})")));
        }
        let value = serde_json::from_slice(&bytes).map_err(|e| damaged(format!("its value at `{place}`: {e}")))?;
        match json.pointer_mut(place) {
            Some(found) => *found = value,
            None => return Err(damaged(format!("it has no place `{place}` for a value kept apart"))),
        }
    }
    serde_json::from_value(json).map_err(|e| damaged(format!("this rerail can't read it: {e}")))
}

#[derive(Default)]
struct Taken {
    names: Names,
    blobs: Vec<Blob>,
}

impl Taken {
    /// Takes the innermost values that are too large, so that what is small stays readable in the line. Gives the
    /// bytes that are left.
    fn walk(&mut self, value: &mut Json, place: &str) -> usize {
        let bytes = match value {
            Json::Array(items) => {
                items.iter_mut().enumerate().map(|(i, item)| self.walk(item, &step(place, &i.to_string())) + 1).sum()
            }
            Json::Object(fields) => fields
                .iter_mut()
                .map(|(name, value)| name.len() + 4 + self.walk(value, &step(place, name)))
                .sum::<usize>(),
            ref scalar => scalar.to_string().len(),
        };
        if bytes <= VALUE_BYTES_MAX {
            return bytes;
        }
        let blob = Blob::new("value", value.take().to_string().into_bytes());
        self.names.insert(place.to_owned(), blob.digest().to_owned());
        self.blobs.push(blob);
        4
    }
}

/// A place one level further in, as a JSON pointer.
fn step(place: &str, name: &str) -> String {
    format!("{place}/{}", name.replace('~', "~0").replace('/', "~1"))
}

#[cfg(test)]
mod tests {
    use crate::engine::event::{Body, Event};
    use crate::engine::ids::StepPath;
    use crate::journal::append::{Append, Journal};
    use crate::journal::error::Error;
    use crate::journal::memory::Memory;
    use crate::journal::testkit::{append, event, new_run, sql, start, started, store};
    use crate::journal::verify::verify;
    use crate::script::value::{Map, Value};

    fn text(bytes: usize) -> Value {
        Value::from("x".repeat(bytes))
    }

    /// Large texts, a large list of small things, and data that looks like a name of something kept apart.
    fn large() -> Vec<Event> {
        let list = Value::List((0..40_000).map(|i| Value::from(format!("item {i}"))).collect());
        let observed = Value::map([
            ("a/b~c", text(300_000)),
            ("status", Value::from(200)),
            ("list", Value::List(vec![text(300_000), list])),
            ("apart", Value::map([("/status", Value::from("sha256:00"))])),
        ]);
        let outputs = Map::from([("apart".to_owned(), Value::from("x")), ("big".to_owned(), text(300_000))]);
        vec![
            event(1, Body::StepObserved { step: StepPath::new("look"), attempt: 1, look: 1, result: observed }),
            event(2, Body::Note { text: "y".repeat(400_000), actor: None, step: None }),
            event(
                3,
                Body::RunFinished {
                    outcome: crate::engine::outcome::RunOutcome::Success,
                    failed_step: None,
                    error: None,
                    outputs,
                    message: None,
                },
            ),
        ]
    }

    #[test]
    fn a_large_value_in_any_event_stands_beside_its_line_and_comes_back_whole() {
        let (_base, store) = store();
        let drive = start(&store, "backend-down");
        append(&store, &drive, large()).unwrap();
        assert_eq!(store.events(drive.run()).unwrap()[1..], large());
        assert_eq!(store.events_from(drive.run(), 2).unwrap(), large()[1..]);
        for line in &store.lines(drive.run()).unwrap()[1..] {
            assert!(line.json.len() < 2000, "{} bytes", line.json.len());
            assert!(line.json.contains("\"apart\":{\"/"), "{}", line.json);
        }
        let lines = store.lines(drive.run()).unwrap();
        assert!(lines[1].json.contains("\"status\":200"), "what is small stays: {}", lines[1].json);
        assert!(verify(&store, None).unwrap().is_clean());

        let memory = Memory::new();
        let run = new_run();
        let events = std::iter::once(started(run, "x")).chain(large()).collect();
        memory.append(Append::events(run, 1, events)).wait().unwrap();
        assert_eq!(memory.load(run).unwrap()[1..], large());
    }

    #[test]
    fn a_value_that_is_missing_or_changed_shows_as_damage_of_its_run() {
        for change in ["DELETE FROM blobs WHERE kind = 'value'", "UPDATE blobs SET bytes = x'31'"] {
            let (_base, store) = store();
            let drive = start(&store, "backend-down");
            append(&store, &drive, large()).unwrap();
            sql(&store).execute_batch(change).unwrap();
            let error = store.events(drive.run()).unwrap_err();
            assert!(matches!(error, Error::Damaged { seq: 1, .. }), "{error}");
            assert!(!verify(&store, Some(drive.run())).unwrap().is_clean());
        }
    }
}
