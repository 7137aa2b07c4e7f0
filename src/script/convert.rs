//! Values in and out of the interpreter, and the contexts a snippet reads.
//!
//! A context is converted as far as the code reads it: `steps.audit.outputs.names` brings in that one
//! value, not the outputs of every step.

use std::collections::BTreeMap;
use std::ops::{Range, RangeInclusive};

use rhai::{Array, Dynamic};

use crate::script::compile::Read;
use crate::script::current::{self, Failure};
use crate::script::leaves::{NotKnown, Refused, Secret, Url};
use crate::script::limits;
use crate::script::sandbox::Readable;
use crate::script::value::{Map, Value};

/// A value as Rhai has it.
pub(super) fn to_dynamic(value: Value) -> Dynamic {
    match value {
        Value::Null => Dynamic::UNIT,
        Value::Bool(truth) => truth.into(),
        Value::Int(number) => number.into(),
        Value::Float(number) => number.into(),
        Value::Text(text) => text.into(),
        Value::List(items) => Dynamic::from_array(items.into_iter().map(to_dynamic).collect()),
        Value::Map(map) => {
            Dynamic::from_map(map.into_iter().map(|(key, value)| (key.into(), to_dynamic(value))).collect())
        }
        Value::Secret(secret) => Dynamic::from(Secret(secret)),
        Value::Unknown(unknown) => {
            current::saw(&unknown);
            Dynamic::from(NotKnown(unknown))
        }
    }
}

/// A value of Rhai as the engine has it: checked, because it is journaled.
pub(super) fn to_value(value: Dynamic) -> Result<Value, Failure> {
    outward(value, 1)
}

fn outward(value: Dynamic, depth: usize) -> Result<Value, Failure> {
    if depth > limits::VALUE_DEPTH_MAX {
        return Err(current::exceeded(format!("a value is nested more than {} deep", limits::VALUE_DEPTH_MAX)));
    }
    let value = value.flatten();
    let elements = |count: usize| {
        if count > limits::ELEMENTS_MAX {
            return Err(current::exceeded(format!("a list or map has more than {} elements", limits::ELEMENTS_MAX)));
        }
        Ok(())
    };
    if value.is_unit() {
        return Ok(Value::Null);
    }
    if let Ok(truth) = value.as_bool() {
        return Ok(Value::Bool(truth));
    }
    if let Ok(number) = value.as_int() {
        return Ok(Value::Int(number));
    }
    if let Ok(number) = value.as_float() {
        return Ok(Value::Float(number));
    }
    if let Ok(letter) = value.as_char() {
        return Ok(Value::Text(letter.to_string()));
    }
    if value.is_string() {
        let text = value.into_string().unwrap_or_default();
        if text.len() > limits::STRING_BYTES_MAX {
            return Err(current::exceeded(format!("a string has more than {} KiB", limits::STRING_BYTES_MAX >> 10)));
        }
        return Ok(Value::Text(text));
    }
    if value.is_array() {
        let items: Array = value.cast();
        elements(items.len())?;
        return items.into_iter().map(|item| outward(item, depth + 1)).collect::<Result<_, _>>().map(Value::List);
    }
    if value.is_map() {
        let map: rhai::Map = value.cast();
        elements(map.len())?;
        let map: Result<Map, Failure> = map
            .into_iter()
            .map(|(key, value)| outward(value, depth + 1).map(|value| (key.to_string(), value)))
            .collect();
        return map.map(Value::Map);
    }
    if let Some(secret) = value.read_lock::<Secret>() {
        return Ok(Value::Secret(secret.0.clone()));
    }
    if let Some(unknown) = value.read_lock::<NotKnown>() {
        return Ok(Value::Unknown(unknown.0.clone()));
    }
    if let Some(url) = value.read_lock::<Url>() {
        return Ok(Value::Text(url.text().to_owned()));
    }
    if let Some(refused) = value.read_lock::<Refused>() {
        return Err(refused.used());
    }
    if let Some(numbers) = numbers(&value) {
        elements(usize::try_from(numbers.end.saturating_sub(numbers.start)).unwrap_or(usize::MAX))?;
        return Ok(Value::List(numbers.map(Value::Int).collect()));
    }
    let what = if value.is_fnptr() { "a function" } else { "this value" };
    Err(current::failure(format!("{what} can't leave a script: only data can")))
}

/// The numbers of a range: outside it is the list of them. An empty one if it goes backwards.
fn numbers(value: &Dynamic) -> Option<Range<i64>> {
    let range = value.read_lock::<Range<i64>>().map(|range| range.clone());
    let range = range.or_else(|| {
        let range = value.read_lock::<RangeInclusive<i64>>()?;
        Some(*range.start()..range.end().saturating_add(1))
    })?;
    Some(range.start..range.end.max(range.start))
}

/// Which part of a context is read.
#[derive(Default)]
struct Wanted<'a> {
    whole: bool,
    keys: BTreeMap<&'a str, Wanted<'a>>,
}

/// The context `root` as far as `reads` go.
pub(super) fn context(root: &str, readable: &Readable, reads: &[Read]) -> Dynamic {
    let mut wanted = Wanted::default();
    for read in reads.iter().filter(|read| read.root == root) {
        let mut at = &mut wanted;
        for (key, _) in &read.path {
            at = at.keys.entry(key).or_default();
        }
        at.whole = true;
    }
    inward(readable, &wanted)
}

fn inward(readable: &Readable, wanted: &Wanted) -> Dynamic {
    match readable {
        Readable::Url(text) => Dynamic::from(Url::typed(text)),
        Readable::Refused(why) => Dynamic::from(Refused(why.clone())),
        Readable::Map(map) => prune(map, wanted, inward),
        Readable::Value(Value::Map(map)) => prune(map, wanted, inward_value),
        Readable::Value(value) => to_dynamic(value.clone()),
    }
}

fn inward_value(value: &Value, wanted: &Wanted) -> Dynamic {
    match value {
        Value::Map(map) => prune(map, wanted, inward_value),
        other => to_dynamic(other.clone()),
    }
}

fn prune<T>(map: &BTreeMap<String, T>, wanted: &Wanted, inward: fn(&T, &Wanted) -> Dynamic) -> Dynamic {
    // A key that isn't there needs its neighbours: the error names the nearest.
    let whole = wanted.whole || wanted.keys.keys().any(|key| !map.contains_key(*key));
    let all = Wanted { whole: true, keys: BTreeMap::new() };
    let mut built = rhai::Map::new();
    if whole {
        for (key, value) in map {
            built.insert(key.as_str().into(), inward(value, &all));
        }
    } else {
        for (key, wanted) in &wanted.keys {
            if let Some(value) = map.get(*key) {
                built.insert((*key).into(), inward(value, wanted));
            }
        }
    }
    Dynamic::from_map(built)
}
