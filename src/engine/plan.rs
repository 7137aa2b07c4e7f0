//! A saved plan: what a rehearsal found, to be agreed to, kept, and applied later as it stands.
//!
//! Plain data, and what differs between two of them. The file around it, its signature and when it is refused are in
//! `runs/`; that nothing else is written is the gate's, see [`crate::engine::change::Cover`].

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::engine::change::{Change, Cover, difference};
use crate::engine::evaluate::quote;
use crate::engine::event::{Actor, PinnedFile};
use crate::engine::facts::{Facts, Record};
use crate::engine::ids::{RunId, StepPath};
use crate::engine::look_ahead::Previewed;
use crate::engine::outcome::Outcome;
use crate::runbook::approval::Need;
use crate::runbook::spec::Effect;
use crate::script::value::{Map, Value};

/// Parts of one read that are kept to be shown: more than that nobody compares by eye, and the fingerprint tells the
/// rest.
pub const LEAVES_MAX: usize = 100;

/// Outputs of reads that differ at every look. What a text says its `json` says as well, if it has one.
const VOLATILE: [&str; 2] = ["ms", "headers"];

/// The clock is read to be another one.
const CLOCK: &str = "time.now";

/// Everything a plan says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedPlan {
    /// Of the meaning of runbooks: [`ENGINE_SEMANTICS`](crate::engine::event::ENGINE_SEMANTICS) of whoever made it.
    pub semantics: u32,
    /// The version that made it, for people.
    pub rerail: String,
    /// The run it is for: what it would write may name it.
    pub run: RunId,
    pub made_at: Timestamp,
    /// From then on it is not applied.
    pub expires: Timestamp,
    /// Who made it.
    pub by: Actor,
    /// As it was asked for: a name, or a path.
    pub asked: String,
    pub runbook: String,
    pub title: String,
    pub target: Option<String>,
    /// The directory it was made in: relative paths start there.
    pub root: String,
    /// Typed and complete, secrets as references.
    pub inputs: Map,
    pub reason: Option<String>,
    pub incident: Option<String>,
    /// Texts of runbook, actions, modules, target and project.
    pub files: Vec<PinnedFile>,
    /// What was read for it, before its first write.
    pub reads: Vec<Seen>,
    /// What would be written, in that order.
    pub changes: Vec<Write>,
    /// Steps at or below which it names writes without knowing what they will be.
    pub open: Vec<StepPath>,
    /// What may be changed only if it fails.
    pub if_it_fails: Vec<Afterwards>,
    /// Whether `changes` are all there is when nothing fails.
    pub complete: bool,
    pub radius: Radius,
}

/// A read as it was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    pub step: StepPath,
    pub uses: String,
    pub outcome: Outcome,
    /// Keyed fingerprint of all it gave but what differs at every look.
    pub fingerprint: String,
    /// Its parts in a few words, by path; secrets as references. At most [`LEAVES_MAX`].
    pub leaves: BTreeMap<String, String>,
}

/// One write that would be made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Write {
    #[serde(flatten)]
    pub change: Change,
    /// Who would have to agree.
    pub needs: Vec<Need>,
    /// Whether a step's `undo` takes it back.
    pub undo: bool,
}

/// A step of `on_failure` that may change something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Afterwards {
    pub step: String,
    pub uses: String,
    pub effect: Effect,
}

/// How far it reaches.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Radius {
    /// Writes, and those of them that nothing takes back.
    pub writes: usize,
    pub for_good: usize,
    /// Messages to people.
    pub messages: usize,
    /// Hosts that are written to, and what else is named as a place: a file, a program, a service.
    pub places: Vec<String>,
}

/// What has changed since a plan was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drift {
    /// Writes that are other ones now: applying it would not do what it says.
    pub writes: Vec<Moved>,
    /// Reads that gave something else, whether that matters or not.
    pub reads: Vec<Moved>,
}

/// One step that is not as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    pub step: StepPath,
    /// One sentence each: `with.json.seen: 503 → 200`.
    pub how: Vec<String>,
}

impl SavedPlan {
    /// What a run that applies it may write. What people were shown below each change stays in the plan.
    pub fn cover(&self, digest: &str) -> Cover {
        let changes = self.changes.iter().map(|write| Change { detail: Vec::new(), ..write.change.clone() }).collect();
        Cover { plan: digest.to_owned(), changes, open: self.open.clone() }
    }

    /// What it says and a rehearsal of now doesn't, or the other way round.
    pub fn drift(&self, now: &Previewed, reads: &[Seen]) -> Drift {
        Drift { writes: writes(self, now), reads: moved_reads(&self.reads, reads) }
    }
}

fn writes(then: &SavedPlan, now: &Previewed) -> Vec<Moved> {
    let mut moved = Vec::new();
    for Write { change: then, .. } in &then.changes {
        let how = match now.found.iter().find(|found| found.change.step == then.step) {
            Some(found) if found.change.digest == then.digest => continue,
            Some(found) => different(then, &found.change),
            None => vec![format!("{} would not be made any more", then.uses)],
        };
        moved.push(Moved { step: then.step.clone(), how });
    }
    for found in &now.found {
        if !then.changes.iter().any(|write| write.change.step == found.change.step) {
            let how = vec![format!("{} would be made as well", found.change.uses)];
            moved.push(Moved { step: found.change.step.clone(), how });
        }
    }
    for step in now.open.iter().filter(|step| !then.open.contains(step)) {
        let how = vec!["what it would write can't be known any more".to_owned()];
        moved.push(Moved { step: step.clone(), how });
    }
    moved
}

fn different(then: &Change, now: &Change) -> Vec<String> {
    let how = difference(then, now);
    if how.is_empty() { vec!["the text of an action on the way is another one".to_owned()] } else { how }
}

/// Reads that gave something else. A read that only one of the two made is none: the writes tell what that means.
pub fn moved_reads(then: &[Seen], now: &[Seen]) -> Vec<Moved> {
    let mut moved = Vec::new();
    for old in then {
        let Some(new) = now.iter().find(|new| new.step == old.step) else { continue };
        if new.fingerprint == old.fingerprint && new.outcome == old.outcome {
            continue;
        }
        let mut how = Vec::new();
        if new.outcome != old.outcome {
            how.push(format!("outcome: {} → {}", old.outcome.word(), new.outcome.word()));
        }
        let paths: std::collections::BTreeSet<&String> = old.leaves.keys().chain(new.leaves.keys()).collect();
        for path in paths {
            let (before, after) = (old.leaves.get(path), new.leaves.get(path));
            if before != after {
                let said = |leaf: Option<&String>| leaf.map_or("nothing", String::as_str).to_owned();
                how.push(format!("{path}: {} → {}", said(before), said(after)));
            }
        }
        if how.is_empty() {
            how.push("something in it that is too long to show".to_owned());
        }
        moved.push(Moved { step: old.step.clone(), how });
    }
    moved
}

/// The reads of a rehearsal or a run, in the order in which they were made; `fingerprint` is keyed. What runs afterwards and
/// what takes steps back is not among them.
pub fn reads(facts: &Facts, fingerprint: &dyn Fn(&[u8]) -> String) -> Vec<Seen> {
    let mut records: Vec<(&StepPath, &Record)> = facts.steps.iter().filter(|(path, _)| !path.is_undo()).collect();
    records.sort_by_key(|(_, record)| record.seq);
    records.into_iter().filter_map(|(path, record)| seen(path, record, fingerprint)).collect()
}

fn seen(path: &StepPath, record: &Record, fingerprint: &dyn Fn(&[u8]) -> String) -> Option<Seen> {
    let (started, end) = (record.started.as_ref()?, record.end()?);
    let uses = started.intent.uses.clone()?;
    let is_read = started.intent.effect == Effect::Read && uses != CLOCK;
    // What it gave is not what it saw: planned writes lie over it.
    let is_read = is_read && end.planned.is_none();
    if !is_read || matches!(end.outcome, Outcome::Planned | Outcome::Cancelled) || end.outputs.unknown().is_some() {
        return None;
    }
    let lasting = lasting(&end.outputs);
    let mut leaves = BTreeMap::new();
    spread("", &lasting, &mut leaves);
    let known = crate::engine::change::known(&lasting).to_string();
    Some(Seen { step: path.clone(), uses, outcome: end.outcome, fingerprint: fingerprint(known.as_bytes()), leaves })
}

/// What a read gave, without what is another one at every look.
fn lasting(outputs: &Value) -> Value {
    let Value::Map(outputs) = outputs else { return outputs.clone() };
    let has_json = outputs.get("json").is_some_and(|json| !json.is_null());
    let said_twice = |name: &str| has_json && name == "text";
    let lasts = |name: &str| !VOLATILE.contains(&name) && !said_twice(name);
    Value::Map(outputs.iter().filter(|(name, _)| lasts(name)).map(|(k, v)| (k.clone(), v.clone())).collect())
}

fn spread(path: &str, value: &Value, leaves: &mut BTreeMap<String, String>) {
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match value {
        _ if leaves.len() >= LEAVES_MAX => {}
        Value::Map(map) if !map.is_empty() => map.iter().for_each(|(key, value)| spread(&below(key), value, leaves)),
        Value::List(items) if !items.is_empty() => {
            items.iter().enumerate().for_each(|(at, value)| spread(&format!("{path}[{at}]"), value, leaves));
        }
        Value::Text(text) => {
            drop(leaves.insert(path.to_owned(), format!("\"{}\"", quote(&Value::from(text.as_str())))))
        }
        leaf => drop(leaves.insert(path.to_owned(), quote(leaf))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(step: &str, outputs: serde_json::Value) -> Seen {
        let lasting = lasting(&Value::from_data(&outputs));
        let mut leaves = BTreeMap::new();
        spread("", &lasting, &mut leaves);
        let fingerprint = crate::engine::change::known(&lasting).to_string();
        Seen { step: step.into(), uses: "http.probe".into(), outcome: Outcome::Done, fingerprint, leaves }
    }

    #[test]
    fn a_read_is_another_one_if_what_lasts_of_it_is() {
        let then = [read(
            "a",
            json!({ "status": 503, "ms": 3, "headers": { "date": "1" }, "json": { "n": [1] }, "text": "{}" }),
        )];
        let later = read("a", json!({ "status": 503, "ms": 9, "headers": {}, "json": { "n": [1] }, "text": "{ }" }));
        assert_eq!(moved_reads(&then, &[later]), []);
        let other = read("a", json!({ "status": 200, "ms": 3, "json": { "n": [1, "two"] } }));
        let moved = moved_reads(&then, &[other]);
        assert_eq!(moved[0].how, ["json.n[1]: nothing → \"two\"", "status: 503 → 200"]);
        // Without `json` its text is all there is.
        assert_eq!(moved_reads(&[read("a", json!({ "text": "x" }))], &[read("a", json!({ "text": "y" }))]).len(), 1);
        assert_eq!(moved_reads(&then, &[]), [], "a read that is not made is told by what is written");
    }

    #[test]
    fn what_is_too_long_to_show_is_still_another_one() {
        let many = |last: i64| {
            read("a", json!({ "rows": (0..300).map(|n| if n == 299 { last } else { n }).collect::<Vec<_>>() }))
        };
        let (then, now) = (many(1), many(2));
        assert_eq!(then.leaves.len(), LEAVES_MAX);
        assert_eq!(moved_reads(&[then], &[now])[0].how, ["something in it that is too long to show"]);
    }
}
