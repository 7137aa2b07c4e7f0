//! The stage between what performs a step and the engine: what is secret of an answer becomes a sealed value before
//! anything of it is kept, shown, or looked at by a script.
//!
//! Fails closed: where a place that should be secret isn't found, the whole answer is sealed.

use std::collections::BTreeMap;

use crate::drivers::vault::{Vault, called};
use crate::engine::machine::{Perform, SEALED_PART};
use crate::engine::outcome::{Attempt, Failure, FailureKind, Outcome};
use crate::redact::redact_pieces;
use crate::runbook::sealing::{PathStep, SealedPath, Sealing};
use crate::runbook::spec::{ActionSpec, OutputSpec, SEALED, Seal};
use crate::runbook::types::Type;
use crate::script::secret::{Leaf, SecretText};
use crate::script::value::{Map, Unknown, Value};
use crate::steps::catalog;
use crate::steps::world::World;

/// Values of one answer that can be sealed: each is searched for in all that follows, in dozens of forms.
const VALUES_MAX: usize = 1_000;
/// Bytes they may have together, for the same reason.
const BYTES_MAX: usize = 64 * 1024;
/// Characters of a name: it is shown wherever the value is.
const NAME_CHARS_MAX: usize = 64;
/// What a GraphQL server was asked for.
const DATA: &str = "data";
/// Outputs that quote the answer in words of ours or the server's.
const QUOTING: [&str; 2] = ["error", "errors"];

/// What is secret of what an effect gives.
#[derive(Clone, Debug)]
pub struct Wanted {
    uses: String,
    sealed: Value,
    reveal: Vec<String>,
}

impl Wanted {
    /// As its arguments say.
    pub fn of(perform: &Perform) -> Wanted {
        let sealed = perform.args.get(SEALED).cloned().unwrap_or_default();
        Wanted { uses: perform.uses.clone(), sealed, reveal: perform.reveal.clone() }
    }

    /// What is sealed of the answer; asked before anything is sent, so that a mistake costs nothing.
    ///
    /// # Errors
    /// What is wrong with the argument.
    pub(super) fn sealing(&self) -> Result<Option<Sealing>, Failure> {
        Sealing::read(&self.sealed)
            .map_err(|why| Failure::new(FailureKind::Argument, format!("argument `{SEALED}`: {why}")))
    }
}

/// What is secret of an answer.
#[derive(Default)]
struct Found {
    secrets: BTreeMap<Place, Secret>,
    /// Texts that are left as they are.
    revealed: Vec<String>,
}

/// The way to a value in outputs.
type Place = Vec<Segment>;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Segment {
    Key(String),
    Item(usize),
}

struct Secret {
    name: String,
    text: String,
    /// It is the answer as it came, beside the same answer read: its parts are looked for, not the whole.
    copy: bool,
}

impl Vault {
    /// Seals what is secret of an attempt. Whatever fails here, no text that should be sealed is left in it.
    pub fn seal_attempt(&self, wanted: &Wanted, attempt: &mut Attempt) {
        let Some(spec) = catalog::find(&wanted.uses).map(|entry| &entry.spec) else { return };
        // One that can't be read is refused before anything is sent.
        let sealing = wanted.sealing().unwrap_or(Some(Sealing::Whole));
        if sealing.is_none() && spec.outputs.iter().all(|output| output.sealed != Seal::Always) {
            return;
        }
        let Value::Map(mut outputs) = std::mem::take(&mut attempt.outputs) else { return };
        let done = attempt.outcome == Outcome::Done;
        let (found, missing) = find(spec, sealing.as_ref(), &wanted.reveal, &outputs, done);
        let parts = || found.secrets.values().filter(|secret| !secret.copy);
        let names_and_texts = parts().map(|secret| (secret.name.as_str(), secret.text.as_str()));
        let learned = within_limits(parts()).and_then(|()| self.learn(names_and_texts));
        self.release(found.revealed.iter().map(String::as_str));

        let sealed = learned.and_then(|()| {
            found.secrets.iter().try_for_each(|(place, secret)| {
                let sealed = self.seal(&secret.name, &secret.text, secret.copy)?;
                put(&mut outputs, place, Value::Secret(SecretText::sealed(sealed)));
                Ok(())
            })
        });
        let pieces: Vec<(&str, &str)> =
            found.secrets.values().map(|secret| (secret.name.as_str(), secret.text.as_str())).collect();
        if let Some(failure) = &mut attempt.failure {
            failure.message = redact_pieces(&failure.message, &pieces);
        }
        match (sealed, missing) {
            (Err(failure), _) if done => *attempt = Attempt::failed(failure),
            // It has a failure of its own.
            (Err(_), _) => {}
            (Ok(()), missing) => {
                for name in QUOTING {
                    outputs.entry(name.to_owned()).and_modify(|value| scrub(value, &pieces));
                }
                if let Some(path) = missing.filter(|_| done) {
                    let message = format!("`{SEALED}`: `{path}` matches nothing in the answer, which was sealed whole");
                    *attempt = Attempt::failed(Failure::new(FailureKind::Outputs, message));
                }
                attempt.outputs = Value::Map(outputs);
            }
        }
    }

    /// Opens what a step reveals of what the steps inside it have sealed.
    pub fn reveal(&self, perform: &Perform) -> Attempt {
        let mut outputs = Value::Map(perform.args.clone());
        let mut opened = Vec::new();
        match self.open_named(&mut outputs, "", &perform.reveal, &mut opened) {
            Ok(()) => {
                self.release(opened.iter().map(String::as_str));
                Attempt::done(outputs)
            }
            Err(failure) => Attempt::failed(failure),
        }
    }

    /// Seals what planned writes leave, as if a step had read it: under the key it stands at, so that the run will read
    /// the same value. What `reveal` names comes in the clear; what can't be had is unknown.
    pub(super) fn lay(&self, perform: &Perform, world: &World) -> Attempt {
        let mut parts = perform.args.clone();
        if let Some(sealed) = parts.get_mut(SEALED_PART) {
            self.seal_below(sealed, "", perform, world);
        }
        self.reveal(&Perform { args: parts, ..perform.clone() })
    }

    fn seal_below(&self, value: &mut Value, name: &str, perform: &Perform, world: &World) {
        match value {
            Value::Null | Value::Unknown(_) => {}
            Value::List(items) => items.iter_mut().for_each(|item| self.seal_below(item, name, perform, world)),
            Value::Map(map) => {
                let called: Vec<String> = map.keys().map(|key| called(map, key).to_owned()).collect();
                map.values_mut().zip(&called).for_each(|(item, name)| self.seal_below(item, name, perform, world));
            }
            leaf => {
                let name = shown(name);
                let text = match &*leaf {
                    Value::Secret(SecretText::Sealed(sealed)) if sealed.name == name => return,
                    Value::Secret(secret) => world.text_to_seal(secret).and_then(|text| {
                        self.learn([(name.as_str(), text.as_str())])?;
                        Ok(text)
                    }),
                    // It stands in the clear already, in the write that is planned.
                    plain => Ok(plain.to_string()),
                };
                let sealed = text.and_then(|text| self.seal(&name, &text, false));
                *leaf = match sealed {
                    Ok(sealed) => Value::Secret(SecretText::sealed(sealed)),
                    Err(_) => Value::Unknown(Unknown { origin: perform.step.to_string() }),
                };
            }
        }
    }

    fn open_named(
        &self,
        value: &mut Value,
        name: &str,
        names: &[String],
        opened: &mut Vec<String>,
    ) -> Result<(), Failure> {
        match value {
            Value::List(items) => items.iter_mut().try_for_each(|item| self.open_named(item, name, names, opened)),
            Value::Map(map) => {
                let called: Vec<String> = map.keys().map(|key| called(map, key).to_owned()).collect();
                let mut items = map.values_mut().zip(&called);
                items.try_for_each(|(item, name)| self.open_named(item, name, names, opened))
            }
            Value::Secret(secret) if names.iter().any(|wanted| wanted == name) => {
                let text = secret.resolve(&mut |leaf| match leaf {
                    Leaf::Sealed(sealed) => self.open(sealed),
                    Leaf::Named(secret) => {
                        let message =
                            format!("`reveal`: `{name}` holds secret {secret} of the target, which nobody sees");
                        Err(Failure::new(FailureKind::Secret, message))
                    }
                })?;
                opened.push(text.clone());
                *value = Value::Text(text);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// Every secret text of outputs, and the first place that `sealing` names and that isn't there.
fn find<'s>(
    spec: &ActionSpec,
    sealing: Option<&'s Sealing>,
    reveal: &[String],
    outputs: &Map,
    done: bool,
) -> (Found, Option<&'s SealedPath>) {
    let mut found = Found::default();
    let paths: &[SealedPath] = match sealing {
        Some(Sealing::At(paths)) => paths,
        _ => &[],
    };
    let mut missing = None;
    for path in paths {
        let mut at = vec![Segment::Key(path.output.clone())];
        let value = outputs.get(&path.output);
        let there = value.is_some_and(|value| {
            // A server that answers with errors has left the data out, and what it says of that is no part of it.
            if !done && path.output == DATA && *value == Value::Null {
                return true;
            }
            reach(value, &path.steps, &mut at, &mut |value, at| leaves(value, at, false, &mut found.secrets))
        });
        if !there {
            missing = missing.or(Some(path));
        }
    }
    let whole = matches!(sealing, Some(Sealing::Whole)) || missing.is_some();
    let seals = |output: &&OutputSpec| match output.sealed {
        Seal::Always => true,
        Seal::Body => whole || (!paths.is_empty() && output.ty == Type::String),
        Seal::Named => false,
    };
    let is_read = outputs.get("json").is_some_and(|json| *json != Value::Null);
    for output in spec.outputs.iter().filter(seals) {
        let Some(value) = outputs.get(&output.name) else { continue };
        let copy = is_read && output.name == "text";
        leaves(value, &mut vec![Segment::Key(output.name.clone())], copy, &mut found.secrets);
    }
    let names: Vec<(Place, String)> =
        found.secrets.keys().map(|place| (place.clone(), name_of(place, outputs, &found.secrets))).collect();
    for (place, name) in names {
        if reveal.contains(&name) {
            found.revealed.extend(found.secrets.remove(&place).map(|secret| secret.text));
        } else if let Some(secret) = found.secrets.get_mut(&place) {
            secret.name = shown(&name);
        }
    }
    (found, missing)
}

/// What a value is called: its key, or what [`called`] finds beside it, unless that is secret as well.
fn name_of(place: &[Segment], outputs: &Map, secrets: &BTreeMap<Place, Secret>) -> String {
    let last = place.iter().rposition(|segment| matches!(segment, Segment::Key(_)));
    let (Some(last), Some(Segment::Key(output))) = (last, place.first()) else { return String::new() };
    let Segment::Key(key) = &place[last] else { return String::new() };
    let around = place[1..last.max(1)].iter().try_fold(outputs.get(output), |value, segment| match (value, segment) {
        (Some(Value::Map(map)), Segment::Key(key)) => Some(map.get(key)),
        (Some(Value::List(items)), Segment::Item(index)) => Some(items.get(*index)),
        _ => None,
    });
    let Some(Some(Value::Map(map))) = around.filter(|_| last > 0) else { return key.clone() };
    let secret = |name: &str| secrets.contains_key(&[&place[..last], &[Segment::Key(name.to_owned())]].concat());
    match secret("key") || secret("name") {
        true => key.clone(),
        false => called(map, key).to_owned(),
    }
}

/// Visits what stands at a path; whether anything does. An empty list has nothing that could be missed.
fn reach(value: &Value, steps: &[PathStep], at: &mut Place, visit: &mut dyn FnMut(&Value, &mut Place)) -> bool {
    let Some((step, rest)) = steps.split_first() else {
        visit(value, at);
        return true;
    };
    let mut inside = |segment: Segment, value: &Value| {
        at.push(segment);
        let there = reach(value, rest, at, visit);
        at.pop();
        there
    };
    match (step, value) {
        (PathStep::Key(key), Value::Map(map)) => {
            map.get(key).is_some_and(|value| inside(Segment::Key(key.clone()), value))
        }
        (PathStep::Item(index), Value::List(items)) => {
            items.get(*index).is_some_and(|value| inside(Segment::Item(*index), value))
        }
        (PathStep::Each, Value::List(items)) => {
            let there = items.iter().enumerate().map(|(index, value)| inside(Segment::Item(index), value));
            there.fold(items.is_empty(), |any, there| any | there)
        }
        (PathStep::Each, Value::Map(map)) => {
            let there = map.iter().map(|(key, value)| inside(Segment::Key(key.clone()), value));
            there.fold(map.is_empty(), |any, there| any | there)
        }
        _ => false,
    }
}

/// Collects the texts, numbers and bools in a value.
fn leaves(value: &Value, at: &mut Place, copy: bool, found: &mut BTreeMap<Place, Secret>) {
    match value {
        Value::List(items) => {
            for (index, item) in items.iter().enumerate() {
                at.push(Segment::Item(index));
                leaves(item, at, copy, found);
                at.pop();
            }
        }
        Value::Map(map) => {
            for (key, item) in map {
                at.push(Segment::Key(key.clone()));
                leaves(item, at, copy, found);
                at.pop();
            }
        }
        Value::Null | Value::Secret(_) | Value::Unknown(_) => {}
        Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Text(_) => {
            found.insert(at.clone(), Secret { name: String::new(), text: value.to_string(), copy });
        }
    }
}

/// A key as the name of a value: it comes from outside.
fn shown(key: &str) -> String {
    let plain = key.chars().take(NAME_CHARS_MAX).map(|c| if c.is_control() { '_' } else { c });
    plain.collect()
}

fn within_limits<'s>(secrets: impl Iterator<Item = &'s Secret>) -> Result<(), Failure> {
    let (count, bytes) = secrets.fold((0, 0), |(count, bytes), secret| (count + 1, bytes + secret.text.len()));
    if count <= VALUES_MAX && bytes <= BYTES_MAX {
        return Ok(());
    }
    let message = format!(
        "the answer has {count} values with {} KiB to seal, at most {VALUES_MAX} with {} KiB can be: name the places that \
         are secret, such as `{SEALED}: [json.data.token]`",
        bytes.div_ceil(1024),
        BYTES_MAX / 1024
    );
    Err(Failure::new(FailureKind::Limit, message))
}

fn put(outputs: &mut Map, place: &[Segment], sealed: Value) {
    let Some((Segment::Key(output), rest)) = place.split_first() else { return };
    let inside = rest.iter().try_fold(outputs.get_mut(output), |value, segment| match (value, segment) {
        (Some(Value::Map(map)), Segment::Key(key)) => Some(map.get_mut(key)),
        (Some(Value::List(items)), Segment::Item(index)) => Some(items.get_mut(*index)),
        _ => None,
    });
    if let Some(Some(value)) = inside {
        *value = sealed;
    }
}

fn scrub(value: &mut Value, pieces: &[(&str, &str)]) {
    match value {
        Value::Text(text) => *text = redact_pieces(text, pieces),
        Value::List(items) => items.iter_mut().for_each(|item| scrub(item, pieces)),
        Value::Map(map) => map.values_mut().for_each(|item| scrub(item, pieces)),
        _ => {}
    }
}

#[cfg(test)]
mod tests;
