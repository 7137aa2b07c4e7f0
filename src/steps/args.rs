//! Reads typed arguments. The schema was checked before; this keeps a mistake there from being a panic here.

use std::time::Duration;

use crate::engine::outcome::{Failure, FailureKind};
use crate::runbook::types::parse_duration;
use crate::script::value::{Map, Value};

/// The value of an argument; `()` is the same as leaving it out.
pub(super) fn given<'a>(args: &'a Map, name: &str) -> Option<&'a Value> {
    args.get(name).filter(|value| **value != Value::Null)
}

/// A text that must be there.
pub(super) fn text<'a>(args: &'a Map, name: &str) -> Result<&'a str, Failure> {
    optional_text(args, name)?.ok_or_else(|| missing(name))
}

/// A text, if given.
pub(super) fn optional_text<'a>(args: &'a Map, name: &str) -> Result<Option<&'a str>, Failure> {
    match given(args, name) {
        None => Ok(None),
        Some(Value::Text(text)) => Ok(Some(text)),
        Some(other) => Err(wrong(name, "string", other)),
    }
}

/// A duration, else `default`.
pub(super) fn duration(args: &Map, name: &str, default: Duration) -> Result<Duration, Failure> {
    match optional_text(args, name)? {
        None => Ok(default),
        Some(text) => parse_duration(text).map_err(|problem| invalid(name, &problem)),
    }
}

/// A whole number, else `default`.
pub(super) fn int(args: &Map, name: &str, default: i64) -> Result<i64, Failure> {
    match given(args, name) {
        None => Ok(default),
        Some(Value::Int(number)) => Ok(*number),
        Some(other) => Err(wrong(name, "int", other)),
    }
}

/// A truth value, false when left out.
pub(super) fn flag(args: &Map, name: &str) -> Result<bool, Failure> {
    match given(args, name) {
        None => Ok(false),
        Some(Value::Bool(truth)) => Ok(*truth),
        Some(other) => Err(wrong(name, "bool", other)),
    }
}

/// A map, if given.
pub(super) fn map<'a>(args: &'a Map, name: &str) -> Result<Option<&'a Map>, Failure> {
    match given(args, name) {
        None => Ok(None),
        Some(Value::Map(map)) => Ok(Some(map)),
        Some(other) => Err(wrong(name, "map", other)),
    }
}

/// A list of texts that must be there.
pub(super) fn texts<'a>(args: &'a Map, name: &str) -> Result<Vec<&'a str>, Failure> {
    let items = match given(args, name) {
        None => return Err(missing(name)),
        Some(Value::List(items)) => items,
        Some(other) => return Err(wrong(name, "list", other)),
    };
    items.iter().map(|item| item.as_text().ok_or_else(|| wrong(name, "list of strings", item))).collect()
}

/// A port of TCP.
pub(super) fn port(args: &Map, default: Option<u16>) -> Result<u16, Failure> {
    if given(args, "port").is_none() {
        return default.ok_or_else(|| missing("port"));
    }
    let number = int(args, "port", 0)?;
    u16::try_from(number)
        .ok()
        .filter(|port| *port > 0)
        .ok_or_else(|| invalid("port", &format!("expected 1 to 65535, got {number}")))
}

/// `argument `url`: …`
pub(super) fn invalid(name: &str, problem: &str) -> Failure {
    Failure::new(FailureKind::Argument, format!("argument `{name}`: {problem}"))
}

fn missing(name: &str) -> Failure {
    invalid(name, "is required")
}

fn wrong(name: &str, expected: &str, got: &Value) -> Failure {
    invalid(name, &format!("expected {expected}, got {}", got.kind()))
}
