//! What may stand behind a key, as JSON Schema.

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};

use crate::runbook::approval::Need;
use crate::runbook::contexts::{FAILURE_KINDS, NEVER_RETRIED, RETRY_WORDS};
use crate::runbook::model::{Foreach, Retry};
use crate::runbook::spec::ArgSpec;
use crate::runbook::types::Type;
use crate::runbook::words::NAME_CHARS_MAX;

/// `inputs`, ids, arguments.
pub(super) const SNAKE: &str = "^[a-z][a-z0-9_]*$";
/// Runbooks.
const KEBAB: &str = "^[a-z0-9]+(-[a-z0-9]+)*$";
/// People and roles.
const PERSON: &str = "^[a-z][a-z0-9_-]*$";
/// Actions.
const DOTTED: &str = "^[a-z][a-z0-9_]*([.][a-z][a-z0-9_]*)*$";
/// `1m30s`, in the order of their size. Without its two characters at least it would take an empty text.
const DURATION: &str = "^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$";
/// Text with an expression in it: what it will be is known at run time.
const TEMPLATE: &str = "[$][{][{]";
const DATE: &str = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$";
const URL: &str = "^[A-Za-z][A-Za-z0-9+.-]*://";

/// What may stand behind a key.
#[derive(Clone, Copy, Debug)]
pub(super) enum Form {
    /// The number 1.
    Version,
    /// Text; a plain number or word is text as well.
    Text,
    /// `true` or `false`, and no other word for it.
    Bool,
    Date,
    /// A whole number from this one on.
    Count(u32),
    /// The same, or an expression that gives one.
    CountOrTemplate(u32),
    /// Attempts of a `retry`.
    Attempts,
    /// A number from 1 on.
    Factor,
    /// `30s`, or an expression that gives one.
    Duration,
    /// One Rhai expression.
    Expression,
    /// Any value, with expressions in it or not.
    Any,
    /// A step's id.
    Id,
    /// An action's name.
    Action,
    /// A runbook's name.
    Runbook,
    /// A list of texts.
    Texts,
    /// A list of texts, or a map of title to text.
    Links,
    /// Names to anything.
    Named,
    /// Names to anything, or to a map with known keys that says more of it.
    NamedOr(&'static str),
    /// Arguments of a call, or inputs of a runbook.
    With,
    /// Items to go through.
    Items,
    /// Kinds of failure that may be tried again.
    Failures,
    /// One of these words.
    Words(&'static [&'static str]),
    /// One of these words, or a map with known keys.
    WordsOrMap(&'static [&'static str], &'static str),
    /// A role or person, or a map with known keys.
    NameOrMap(&'static str),
    /// A role or person, or a list of them.
    Names,
    /// A whole number of this range.
    Between(u32, u32),
    /// A map with known keys.
    Map(&'static str),
    /// A list of such maps, with at least one.
    List(&'static str),
    /// Free names to such maps.
    Maps(&'static str),
    /// Names of people, at least one, to such maps.
    People(&'static str),
    /// Text, or a map with known keys.
    TextOrMap(&'static str),
    /// Text, or any map.
    TextOrAny,
    /// A list of maps with known keys, which may be empty.
    Lists(&'static str),
    /// A map with known keys, or anything else.
    MapOrAny(&'static str),
    /// Names of steps or actions to such maps, or to anything else.
    Answers(&'static str),
    /// Names of labels, at least one, to a text or a list of texts.
    Patterns,
    /// `30s`.
    PlainDuration,
}

impl Form {
    /// The definition it refers to.
    pub(super) fn refers_to(self) -> Option<&'static str> {
        match self {
            Form::Map(name) | Form::List(name) | Form::Maps(name) | Form::WordsOrMap(_, name) => Some(name),
            Form::NamedOr(name) | Form::NameOrMap(name) => Some(name),
            Form::People(name) | Form::TextOrMap(name) => Some(name),
            Form::Lists(name) | Form::MapOrAny(name) | Form::Answers(name) => Some(name),
            _ => None,
        }
    }

    /// The form as a schema: an object, so that a description can be added.
    pub(super) fn schema(self) -> Json {
        let refer = |name: &str| json!({ "$ref": format!("#/definitions/{name}") });
        let scalar = json!(["string", "number", "boolean"]);
        match self {
            Form::Version => json!({ "const": 1 }),
            Form::Text | Form::Expression => json!({ "type": scalar }),
            Form::Bool => json!({ "type": "boolean" }),
            Form::Date => json!({ "type": "string", "pattern": DATE }),
            Form::Count(least) => json!({ "type": "integer", "minimum": least }),
            Form::CountOrTemplate(least) => template_or(json!({ "type": "integer", "minimum": least })),
            Form::Attempts => json!({ "type": "integer", "minimum": 1, "maximum": Retry::ATTEMPTS_MAX }),
            Form::Factor => json!({ "type": "number", "minimum": 1 }),
            Form::Items => json!({ "type": ["array", "string"], "minItems": 1, "maxItems": Foreach::ITEMS_MAX }),
            Form::Failures => {
                let kinds = RETRY_WORDS.into_iter().chain(FAILURE_KINDS).filter(|kind| !NEVER_RETRIED.contains(kind));
                json!({ "type": "array", "minItems": 1, "items": { "enum": kinds.collect::<BTreeSet<_>>() } })
            }
            Form::Duration => template_or(json!({ "type": "string", "pattern": DURATION, "minLength": 2 })),
            Form::Any => json!({}),
            Form::Id => json!({ "type": "string", "pattern": SNAKE, "maxLength": NAME_CHARS_MAX }),
            Form::Action => json!({ "type": "string", "pattern": DOTTED }),
            Form::Runbook => json!({ "type": "string", "pattern": KEBAB, "maxLength": NAME_CHARS_MAX }),
            Form::Texts => json!({ "type": "array", "items": { "type": scalar } }),
            Form::Links => json!({ "type": ["array", "object"], "items": { "type": scalar } }),
            Form::Named => json!({ "type": "object", "propertyNames": { "pattern": SNAKE } }),
            Form::NamedOr(name) => {
                let value = json!({ "anyOf": [refer(name), {}] });
                json!({ "type": "object", "propertyNames": { "pattern": SNAKE }, "additionalProperties": value })
            }
            Form::With => json!({ "type": ["object", "null"], "propertyNames": { "pattern": SNAKE } }),
            Form::Words(words) => json!({ "enum": words }),
            Form::WordsOrMap(words, name) => json!({ "anyOf": [{ "enum": words }, refer(name)] }),
            Form::NameOrMap(name) => json!({ "anyOf": [name_form(), refer(name)] }),
            Form::Names => json!({ "anyOf": [name_form(), {
                "type": "array", "items": name_form(), "minItems": 1, "maxItems": Need::BY_MAX, "uniqueItems": true,
            }] }),
            Form::Between(least, most) => json!({ "type": "integer", "minimum": least, "maximum": most }),
            // A reference takes no neighbours in draft 7.
            Form::Map(name) => json!({ "allOf": [refer(name)] }),
            Form::List(name) => json!({ "type": "array", "minItems": 1, "items": refer(name) }),
            Form::Maps(name) => json!({ "type": "object", "additionalProperties": refer(name) }),
            Form::People(name) => json!({
                "type": "object",
                "minProperties": 1,
                "propertyNames": { "pattern": PERSON },
                "additionalProperties": refer(name),
            }),
            Form::TextOrMap(name) => json!({ "anyOf": [{ "type": scalar }, refer(name)] }),
            Form::TextOrAny => json!({ "type": ["string", "object"] }),
            Form::Patterns => json!({ "type": "object", "minProperties": 1, "additionalProperties": { "anyOf": [
                { "type": scalar }, { "type": "array", "minItems": 1, "items": { "type": scalar } },
            ] } }),
            Form::PlainDuration => json!({ "type": "string", "pattern": DURATION, "minLength": 2 }),
            Form::Lists(name) => json!({ "type": "array", "items": refer(name) }),
            Form::MapOrAny(name) => json!({ "anyOf": [refer(name), {}] }),
            Form::Answers(name) => {
                json!({ "type": "object", "additionalProperties": { "anyOf": [refer(name), {}] } })
            }
        }
    }
}

fn name_form() -> Json {
    json!({ "type": "string", "pattern": PERSON, "maxLength": NAME_CHARS_MAX })
}

/// The words of a closed list with their meanings.
pub(super) const fn words<T, const N: usize>(list: &[(&'static str, T); N]) -> [&'static str; N] {
    let mut words = [""; N];
    let mut at = 0;
    while at < N {
        words[at] = list[at].0;
        at += 1;
    }
    words
}

/// This, or text that gives it at run time.
pub(super) fn template_or(form: Json) -> Json {
    json!({ "anyOf": [form, { "type": "string", "pattern": TEMPLATE }] })
}

/// An argument of an action.
pub(super) fn argument(arg: &ArgSpec) -> Json {
    let mut form = match &arg.ty {
        Type::Any => json!({}),
        Type::String | Type::Secret => json!({ "type": "string" }),
        Type::Int => template_or(json!({ "type": "integer" })),
        Type::Float => template_or(json!({ "type": "number" })),
        Type::Bool => template_or(json!({ "type": "boolean" })),
        Type::Duration => template_or(json!({ "type": "string", "pattern": DURATION, "minLength": 2 })),
        Type::Url => template_or(json!({ "type": "string", "pattern": URL })),
        Type::Email => template_or(json!({ "type": "string", "pattern": "@" })),
        Type::List => template_or(json!({ "type": "array" })),
        Type::Map => template_or(json!({ "type": "object" })),
        Type::Choice(words) => template_or(json!({ "enum": words })),
    };
    if let Some(default) = &arg.default {
        form["default"] = default.to_plain();
    }
    form
}
