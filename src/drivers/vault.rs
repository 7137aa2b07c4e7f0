//! Where the sealed values of a run are: encrypted with the key of its store, stored with the event that first names
//! them, opened at the moment a step sends them.
//!
//! Whatever is sealed or opened here is known to the redactor before anybody else has it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::engine::event::{Body, Event};
use crate::engine::ids::RunId;
use crate::engine::outcome::{Failure, FailureKind};
use crate::engine::sealed::sealed_in;
use crate::journal::{Blob, Error as JournalError, Journal, Store, StoreKey};
use crate::redact::Redactor;
use crate::script::secret::Sealed;
use crate::script::value::{Map, Value};

/// The kind of a sealed value among the blobs of a store.
const KIND: &str = "sealed";

/// The sealed values of one run.
pub struct Vault {
    run: RunId,
    keys: Keys,
    redactor: Redactor,
    /// What the run shows anyway: its inputs and the texts it is pinned to.
    open: Vec<String>,
    /// What is not in the store, by digest.
    held: Mutex<Held>,
}

enum Keys {
    /// Made when the first value is sealed.
    Store(Store),
    /// Of a rehearsal or a test: nothing is stored.
    Own(StoreKey),
}

#[derive(Default)]
struct Held {
    /// Sealed since the last decision; most looks of a poll are in no event.
    fresh: BTreeMap<String, Blob>,
    /// Named by an event, and stored with it.
    named: BTreeMap<String, Blob>,
}

impl Vault {
    /// Of a run in a store.
    pub fn of_store(store: &Store, run: RunId, redactor: &Redactor) -> Vault {
        Vault::new(Keys::Store(store.clone()), run, redactor)
    }

    /// Of a run that is stored nowhere. Its values end with it.
    pub fn in_memory(key: StoreKey, run: RunId, redactor: &Redactor) -> Vault {
        Vault::new(Keys::Own(key), run, redactor)
    }

    fn new(keys: Keys, run: RunId, redactor: &Redactor) -> Vault {
        Vault { run, keys, redactor: redactor.clone(), open: Vec::new(), held: Mutex::default() }
    }

    /// The same, not looking for values that stand in one of these texts: who can read the run can read them, and a
    /// variable whose value is `production` must not take that word out of everything.
    #[must_use]
    pub fn beside(mut self, open: impl IntoIterator<Item = String>) -> Vault {
        self.open.extend(open);
        self
    }

    /// Seals a text, with the name people see of it, and whether it is a whole answer beside its parts.
    ///
    /// # Errors
    /// If the store's key can't be had.
    pub(super) fn seal(&self, name: &str, text: &str, answer: bool) -> Result<Sealed, Failure> {
        let key = self.key().map_err(|error| Failure::new(FailureKind::Secret, error.to_string()))?;
        let blob = Blob::new(KIND, key.seal(&self.context(), text.as_bytes()));
        let digest = blob.digest().to_owned();
        let mut held = self.held();
        if !held.named.contains_key(&digest) {
            held.fresh.insert(digest.clone(), blob);
        }
        // A key can hold what another value is.
        let name = self.redactor.redact(name).into_owned();
        Ok(Sealed { name, digest, fingerprint: key.fingerprint(text.as_bytes()).to_string(), answer })
    }

    /// The text of a sealed value, known to the redactor.
    ///
    /// # Errors
    /// It is not there, or was sealed by another run or store.
    pub fn open(&self, sealed: &Sealed) -> Result<String, Failure> {
        let text = self.read(sealed).map_err(|why| {
            Failure::new(FailureKind::Secret, format!("sealed value {sealed} can't be opened: {why}"))
        })?;
        if !sealed.answer {
            self.learn([(sealed.name.as_str(), text.as_str())]);
        }
        Ok(text)
    }

    fn read(&self, sealed: &Sealed) -> Result<String, String> {
        let key = self.key().map_err(|error| error.to_string())?;
        let held = self.held();
        let blob = held.fresh.get(&sealed.digest).or_else(|| held.named.get(&sealed.digest));
        let bytes = blob.map(|blob| blob.bytes().to_vec());
        drop(held);
        let bytes = match (bytes, &self.keys) {
            (Some(bytes), _) => bytes,
            (None, Keys::Store(store)) => store
                .blob(&sealed.digest)
                .map_err(|error| error.to_string())?
                .ok_or_else(|| format!("the store has no {}", sealed.digest))?,
            (None, Keys::Own(_)) => return Err("it is of another run".to_owned()),
        };
        let text = key.open(&self.context(), &bytes).map_err(|error| error.to_string())?;
        String::from_utf8(text).map_err(|_| "it is no text".to_owned())
    }

    /// Lets values be seen that the runbook reveals.
    pub(super) fn release<'v>(&self, texts: impl IntoIterator<Item = &'v str>) {
        self.redactor.release(texts);
    }

    /// What has to be stored with these events, which are decided but not yet recorded. What was sealed for none of
    /// them is forgotten.
    pub fn stored_with(&self, events: &[Event]) -> Vec<Blob> {
        let mut held = self.held();
        if held.fresh.is_empty() {
            return Vec::new();
        }
        let fresh = std::mem::take(&mut held.fresh);
        let wanted: BTreeSet<&str> = events.iter().flat_map(sealed_in).map(|sealed| sealed.digest.as_str()).collect();
        let named: BTreeMap<_, _> = fresh.into_iter().filter(|(digest, _)| wanted.contains(digest.as_str())).collect();
        let blobs = named.values().cloned().collect();
        held.named.extend(named);
        blobs
    }

    /// Everything that events name is in the store.
    pub fn stored(&self) {
        self.held().named.clear();
    }

    /// Makes the sealed values of a run known again that another process had sealed, and those seen that it had
    /// revealed.
    ///
    /// # Errors
    /// A value can't be opened.
    pub fn recall(&self, events: &[Event]) -> Result<(), Failure> {
        let mut values: BTreeMap<&str, (&str, String)> = BTreeMap::new();
        // What the run before gave, as `run.previous`, was sealed for that one, and no other opens it.
        let first = events.iter().filter(|event| matches!(event.body, Body::RunStarted(_)));
        let foreign: BTreeSet<&str> = first.flat_map(sealed_in).map(|sealed| sealed.digest.as_str()).collect();
        let mut answers = BTreeSet::new();
        for sealed in events.iter().flat_map(sealed_in) {
            if sealed.answer && !foreign.contains(sealed.digest.as_str()) && answers.insert(&sealed.digest) {
                self.open_quietly(sealed)?;
            } else if !sealed.answer
                && !foreign.contains(sealed.digest.as_str())
                && !values.contains_key(sealed.digest.as_str())
            {
                values.insert(&sealed.digest, (&sealed.name, self.open_quietly(sealed)?));
            }
        }
        self.learn(values.values().map(|(name, text)| (*name, text.as_str())));
        let mut revealing: BTreeMap<&str, &[String]> = BTreeMap::new();
        let mut seen = Vec::new();
        for event in events {
            match &event.body {
                Body::StepStarted(started) if !started.reveal.is_empty() => {
                    revealing.insert(started.step.as_str(), &started.reveal);
                }
                Body::StepFinished(finished) => {
                    if let Some(names) = revealing.get(finished.step.as_str()) {
                        plain_texts(&finished.outputs, "", names, &mut seen);
                    }
                }
                _ => {}
            }
        }
        self.release(seen.iter().map(String::as_str));
        Ok(())
    }

    fn open_quietly(&self, sealed: &Sealed) -> Result<String, Failure> {
        self.read(sealed).map_err(|why| {
            Failure::new(FailureKind::Secret, format!("sealed value {sealed} of this run can't be opened: {why}"))
        })
    }

    /// Tells the redactor of values, each with its name.
    pub(super) fn learn<'v>(&self, values: impl IntoIterator<Item = (&'v str, &'v str)>) {
        let secret = |text: &str| !self.open.iter().any(|open| open.contains(text));
        self.redactor.register_sealed(values.into_iter().filter(|(_, text)| secret(text)));
    }

    fn key(&self) -> Result<StoreKey, JournalError> {
        match &self.keys {
            Keys::Store(store) => store.key(),
            Keys::Own(key) => Ok(key.clone()),
        }
    }

    /// What a value is sealed for: no other run can open it.
    fn context(&self) -> Vec<u8> {
        format!("{} sealed", self.run.uuid()).into_bytes()
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a value in a map is called: by its key, or by the name that stands beside it, as in
/// `{"key": "API_KEY", "value": "…"}`.
pub(super) fn called<'m>(map: &'m Map, key: &'m str) -> &'m str {
    let beside = || ["key", "name"].into_iter().find_map(|name| map.get(name)?.as_text());
    if key == "value" { beside().unwrap_or(key) } else { key }
}

/// Texts of the values in `value` whose key is one of `names`.
fn plain_texts(value: &Value, name: &str, names: &[String], found: &mut Vec<String>) {
    match value {
        Value::List(items) => items.iter().for_each(|item| plain_texts(item, name, names, found)),
        Value::Map(map) => map.iter().for_each(|(key, item)| plain_texts(item, called(map, key), names, found)),
        Value::Null | Value::Secret(_) | Value::Unknown(_) => {}
        scalar if names.iter().any(|wanted| wanted == name) => found.push(scalar.to_string()),
        _ => {}
    }
}
