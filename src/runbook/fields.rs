//! The fields of a question: what a person is asked for, declared like inputs, as data.
//!
//! A question's arguments may be computed, so its fields are read where it is put, and again by whoever answers.

use crate::runbook::types::Type;
use crate::script::value::{Map, Value};

/// Fields of one question: more is a form, not a question at 3 a.m.
pub const FIELDS_MAX: usize = 20;

/// One value a person is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    pub name: String,
    pub ty: Type,
    /// Required unless it has a default or says `required: false`.
    pub required: bool,
    pub default: Option<Value>,
    pub description: String,
}

/// Reads `fields: { name: { type: …, description: …, default: …, choices: […], required: … } }`.
///
/// # Errors
/// The first field that can't be asked for, and why.
pub fn fields(declared: &Map) -> Result<Vec<Field>, String> {
    if declared.len() > FIELDS_MAX {
        return Err(format!("{} fields, more than {FIELDS_MAX}", declared.len()));
    }
    declared.iter().map(|(name, value)| field(name, value).map_err(|why| format!("field `{name}`: {why}"))).collect()
}

fn field(name: &str, declared: &Value) -> Result<Field, String> {
    let Value::Map(keys) = declared else { return Err("expected a map such as { type: string }".to_owned()) };
    let known = ["type", "description", "required", "default", "choices"];
    if let Some(strange) = keys.keys().find(|key| !known.contains(&key.as_str())) {
        return Err(format!("unknown key `{strange}`; there are {}", known.join(", ")));
    }
    let choices = match keys.get("choices") {
        None => Vec::new(),
        Some(Value::List(words)) => words.iter().map(Value::to_string).collect(),
        Some(other) => return Err(format!("`choices`: expected a list, got {}", other.kind())),
    };
    let word = keys.get("type").and_then(Value::as_text).unwrap_or("string");
    if (word == "choice") == choices.is_empty() {
        return Err("`choices` belongs to `type: choice`, and that needs it".to_owned());
    }
    let ty = Type::from_word(word, choices)?;
    if ty == Type::Secret {
        return Err("a secret is never typed into a question".to_owned());
    }
    let default = match keys.get("default") {
        None | Some(Value::Null) => None,
        Some(value) => Some(ty.accept(value).map_err(|why| format!("`default`: {why}"))?),
    };
    let required = match keys.get("required") {
        None => default.is_none(),
        Some(Value::Bool(required)) => *required && default.is_none(),
        Some(other) => return Err(format!("`required`: expected true or false, got {}", other.kind())),
    };
    let description = keys.get("description").map(Value::to_string).unwrap_or_default();
    Ok(Field { name: name.to_owned(), ty, required, default, description })
}

/// Reads what a person typed, field by field, into an answer.
///
/// # Errors
/// What is missing, unknown or of the wrong type, in a sentence.
pub fn answer(fields: &[Field], typed: &[(String, String)]) -> Result<Map, String> {
    let mut answer = Map::new();
    for (name, text) in typed {
        let Some(field) = fields.iter().find(|field| field.name == *name) else {
            let known: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
            return Err(format!("there is no field `{name}`; it asks for {}", known.join(", ")));
        };
        if answer.contains_key(name) {
            return Err(format!("`{name}` is given twice"));
        }
        answer.insert(name.clone(), field.ty.read(text).map_err(|why| format!("`{name}`: {why}"))?);
    }
    for field in fields.iter().filter(|field| !typed.iter().any(|(name, _)| *name == field.name)) {
        match &field.default {
            Some(default) => drop(answer.insert(field.name.clone(), default.clone())),
            None if field.required => return Err(format!("`{}` is missing ({})", field.name, field.ty.name())),
            None => drop(answer.insert(field.name.clone(), Value::Null)),
        }
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn declared(fields: serde_json::Value) -> Result<Vec<Field>, String> {
        match Value::from_data(&fields) {
            Value::Map(map) => super::fields(&map),
            other => panic!("{other:?}"),
        }
    }

    fn typed(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    }

    #[test]
    fn an_answer_is_read_by_the_types_of_its_fields() {
        let fields = declared(json!({
            "replicas": {"type": "int"},
            "window": {"type": "duration", "default": "15m"},
            "side": {"type": "choice", "choices": ["blue", "green"]},
            "note": {"required": false},
        }))
        .unwrap();
        let given = answer(&fields, &typed(&[("replicas", "3"), ("side", "blue")])).unwrap();
        assert_eq!(Value::Map(given).to_plain(), json!({"replicas": 3, "window": "15m", "side": "blue", "note": null}));
        for (pairs, why) in [
            (typed(&[("side", "blue")]), "`replicas` is missing (int)"),
            (typed(&[("replicas", "many"), ("side", "blue")]), "`replicas`: "),
            (typed(&[("replicas", "3"), ("side", "red")]), "`side`: "),
            (typed(&[("replicas", "3"), ("replicas", "4")]), "`replicas` is given twice"),
            (typed(&[("replica", "3")]), "there is no field `replica`"),
        ] {
            let said = answer(&fields, &pairs).unwrap_err();
            assert!(said.starts_with(why), "{said}");
        }
    }

    #[test]
    fn what_can_not_be_asked_for_is_named() {
        for (fields, why) in [
            (json!({"a": 1}), "field `a`: expected a map"),
            (json!({"a": {"type": "strng"}}), "field `a`: unknown type"),
            (json!({"a": {"type": "secret"}}), "field `a`: a secret is never typed"),
            (json!({"a": {"typ": "int"}}), "field `a`: unknown key `typ`"),
            (json!({"a": {"type": "choice"}}), "field `a`: `choices` belongs to"),
            (json!({"a": {"type": "int", "default": "x"}}), "field `a`: `default`: "),
        ] {
            let said = declared(fields).unwrap_err();
            assert!(said.starts_with(why), "{said}");
        }
    }
}
