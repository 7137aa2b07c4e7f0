//! `inputs:`: names, types and defaults.

use crate::runbook::model::Input;
use crate::runbook::nearest::did_you_mean;
use crate::runbook::node::{Node, NodeKind, Scalar, Style};
use crate::runbook::problem::Problem;
use crate::runbook::reader::{Fields, Keys, Reader};
use crate::runbook::scalar::{self, Core};
use crate::runbook::types::Type;
use crate::runbook::words;
use crate::script::value::Value;

pub(super) const INPUT: Keys = Keys {
    what: "input",
    known: &["type", "description", "required", "default", "choices"],
    later: &[],
    foreign: &[("options", "write `choices`"), ("enum", "write `type: choice` and `choices`")],
};

/// Reads `inputs:`.
pub fn inputs(reader: &mut Reader, node: &Node) -> Vec<Input> {
    let mut read = vec![];
    for entry in reader.map(node, "`inputs`") {
        reader.name(&entry.key, words::snake_case_fault);
        if !matches!(entry.value.kind, NodeKind::Map(_)) {
            let thing = format!("input `{}`", entry.key.value);
            reader.wrong(&entry.value, &thing, "a map such as { type: string }");
            continue;
        }
        let Some(fields) = reader.fields(&entry.value, &INPUT) else { continue };
        let Some(ty) = input_type(reader, &fields) else { continue };
        let required = fields.get("required").and_then(|node| reader.boolean(node, "`required`"));
        let default = match fields.get("default") {
            Some(node) => match default(reader, node, &ty) {
                Some(value) => Some(value),
                None => continue,
            },
            None => None,
        };
        if required == Some(true) && default.is_some() {
            let span = fields.entry("required").map_or(fields.span, |entry| entry.key.span);
            reader.error("E0115", span, "an input with a `default` is never required", "leave one of them out");
        }
        let description = reader.optional_text(&fields, "description");
        let required = required.unwrap_or(true) && default.is_none();
        read.push(Input { name: entry.key.clone(), ty, required, default, description });
    }
    read
}

fn input_type(reader: &mut Reader, fields: &Fields<'_>) -> Option<Type> {
    let word = reader.required(fields, "type").and_then(|node| reader.text(node, "`type`"))?;
    let choices = fields.entry("choices");
    let words = choices.map(|entry| reader.names(&entry.value, "`choices`", |_| None)).unwrap_or_default();
    let words: Vec<String> = words.into_iter().map(|word| word.value).collect();
    match (word.value.as_str(), choices) {
        ("choice", None) => {
            reader.error("E0106", word.span, "`choices` is missing for an input of type choice", "needs `choices`");
            return None;
        }
        ("choice", Some(entry)) if words.is_empty() => {
            let span = reader.first_line(entry.key.span);
            reader.error("E0107", span, "`choices` is empty: nothing could be chosen", "list the words");
            return None;
        }
        (other, Some(entry)) if other != "choice" => {
            let message = format!("`choices` belongs to an input of type choice, not {other}");
            reader.error("E0115", entry.key.span, message, "does not go with this type");
        }
        _ => {}
    }
    match Type::from_word(&word.value, words) {
        Ok(ty) => Some(ty),
        Err(message) => {
            let span = reader.first_line(word.span);
            let help = did_you_mean(&word.value, Type::WORDS)
                .unwrap_or_else(|| format!("types are {}", Type::WORDS.join(", ")));
            reader.push(Problem::error("E0107", &reader.source, span, message).label("not a type").help(help));
            None
        }
    }
}

/// A default is read by its input's type: `1.10` for a string stays `1.10`.
fn default(reader: &mut Reader, node: &Node, ty: &Type) -> Option<Value> {
    let textual =
        matches!(ty, Type::String | Type::Duration | Type::Url | Type::Email | Type::Choice(_) | Type::Secret);
    let value = match &node.kind {
        NodeKind::Scalar(scalar) if textual && is_word(scalar) => Value::Text(scalar.text.clone()),
        NodeKind::Scalar(_) if *ty == Type::Bool => Value::Bool(reader.boolean(node, "`default`")?),
        _ => reader.value(node, "`default`")?,
    };
    match ty.accept(&value) {
        Ok(value) => Some(value),
        Err(message) => {
            let span = reader.first_line(node.span);
            reader.error("E0107", span, message, "does not fit the type");
            None
        }
    }
}

/// A plain scalar that is text for a field of text, whatever it would be elsewhere.
fn is_word(scalar: &Scalar) -> bool {
    scalar.style == Style::Plain && scalar::core(&scalar.text) != Core::Null && !scalar.text.contains("${{")
}
