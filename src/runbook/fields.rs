//! The fields of a question (`human.ask`): declared like inputs, but as a value, because arguments are.

use crate::runbook::model::Input;
use crate::runbook::nearest::did_you_mean;
use crate::runbook::source::{Span, Spanned};
use crate::runbook::types::Type;
use crate::runbook::words::{quoted, snake_case_fault};
use crate::script::value::{Map, Value};

/// Fields of one question: more than anybody fills in during an incident, and a bound for the screen.
pub const FIELDS_MAX: usize = 32;

/// What a field may say of itself.
const KEYS: [&str; 5] = ["type", "description", "required", "default", "choices"];

/// Reads `fields`: a map of name to declaration, with the keys and types of `inputs` but for `secret`, which is never
/// typed in.
///
/// # Errors
/// Names the field and what is wrong with it: ``field `port`: expected int, got string``. What is unknown in a
/// rehearsal is an error as well: there is nobody to ask.
pub fn read(value: &Value) -> Result<Vec<Input>, String> {
    let Value::Map(fields) = value else {
        return Err(format!("expected a map such as {{ port: {{ type: int }} }}, got {}", value.kind()));
    };
    if fields.is_empty() {
        return Err("expected at least one field".to_owned());
    }
    if fields.len() > FIELDS_MAX {
        return Err(format!("{} fields, more than {FIELDS_MAX}", fields.len()));
    }
    fields.iter().map(|(name, field)| one(name, field).map_err(|fault| format!("field `{name}`: {fault}"))).collect()
}

/// Reads what a person typed, field by field, into an answer.
///
/// # Errors
/// What is missing, unknown or of the wrong type, in a sentence.
pub fn answer(fields: &[Input], typed: &[(String, String)]) -> Result<Map, String> {
    let mut answer = Map::new();
    for (name, text) in typed {
        let Some(field) = fields.iter().find(|field| field.name.value == *name) else {
            let known: Vec<&str> = fields.iter().map(|field| field.name.value.as_str()).collect();
            return Err(format!("there is no field `{name}`; it asks for {}", known.join(", ")));
        };
        let value = field.ty.read(text).map_err(|why| format!("`{name}`: {why}"))?;
        if answer.insert(name.clone(), value).is_some() {
            return Err(format!("`{name}` is given twice"));
        }
    }
    for field in fields {
        let name = &field.name.value;
        if answer.contains_key(name) {
            continue;
        }
        match &field.default {
            Some(default) => drop(answer.insert(name.clone(), default.clone())),
            None if field.required => return Err(format!("`{name}` is missing ({})", field.ty.name())),
            None => drop(answer.insert(name.clone(), Value::Null)),
        }
    }
    Ok(answer)
}

fn one(name: &str, field: &Value) -> Result<Input, String> {
    if let Some(why) = snake_case_fault(name) {
        return Err(format!("it {why}"));
    }
    let Value::Map(keys) = field else {
        return Err(format!("expected a map such as {{ type: string }}, got {}", field.kind()));
    };
    if let Some(unknown) = keys.keys().find(|key| !KEYS.contains(&key.as_str())) {
        let help = did_you_mean(unknown, KEYS).unwrap_or_else(|| format!("a field has the keys {}", KEYS.join(" ")));
        return Err(format!("unknown key {}: {help}", quoted(unknown)));
    }
    let ty = field_type(keys)?;
    let default = keys.get("default").map(|value| ty.accept(value).map_err(|fault| format!("default: {fault}")));
    let default = default.transpose()?;
    let required = match keys.get("required") {
        None => default.is_none(),
        Some(Value::Bool(true)) if default.is_some() => {
            return Err("a field with a `default` is never required".to_owned());
        }
        Some(Value::Bool(required)) => *required,
        Some(other) => return Err(format!("expected true or false for `required`, got {}", other.kind())),
    };
    let description = match keys.get("description") {
        None => None,
        Some(Value::Text(text)) => Some(text.clone()),
        Some(other) => return Err(format!("expected text for `description`, got {}", other.kind())),
    };
    Ok(Input { name: Spanned::new(name.to_owned(), Span::default()), ty, required, default, description })
}

fn field_type(keys: &Map) -> Result<Type, String> {
    let word = match keys.get("type") {
        Some(Value::Text(word)) => word.as_str(),
        Some(other) => return Err(format!("expected a word for `type`, got {}", other.kind())),
        None => return Err("`type` is missing".to_owned()),
    };
    let choices = match keys.get("choices") {
        None => None,
        Some(Value::List(items)) => {
            let words = items.iter().map(|item| match item {
                Value::Text(word) => Ok(word.clone()),
                other => Err(format!("expected texts in `choices`, got {}", other.kind())),
            });
            Some(words.collect::<Result<Vec<_>, _>>()?)
        }
        Some(other) => return Err(format!("expected a list for `choices`, got {}", other.kind())),
    };
    match (word, &choices) {
        ("secret", _) => return Err("a secret is never typed in: a target says where it comes from".to_owned()),
        ("choice", None) => return Err("`choices` is missing for a field of type choice".to_owned()),
        ("choice", Some(words)) if words.is_empty() => return Err("`choices` is empty".to_owned()),
        (word, Some(_)) if word != "choice" => {
            return Err(format!("`choices` belongs to a field of type choice, not {word}"));
        }
        _ => {}
    }
    Type::from_word(word, choices.unwrap_or_default()).map_err(|fault| match did_you_mean(word, Type::WORDS) {
        Some(help) => format!("{fault}: {help}"),
        None => fault,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(entries: &[(&str, Value)]) -> Value {
        Value::map([("port", Value::map(entries.iter().cloned()))])
    }

    #[test]
    fn fields_are_declared_like_inputs() {
        let fields = read(&field(&[("type", "int".into()), ("default", Value::Int(80))])).unwrap();
        assert_eq!((fields[0].name.value.as_str(), &fields[0].ty, fields[0].required), ("port", &Type::Int, false));
        let choice = field(&[("type", "choice".into()), ("choices", Value::List(vec!["a".into(), "b".into()]))]);
        assert_eq!(read(&choice).unwrap()[0].ty, Type::Choice(vec!["a".into(), "b".into()]));
        assert!(read(&field(&[("type", "string".into())])).unwrap()[0].required);
    }

    #[test]
    fn every_mistake_names_its_field_and_what_was_expected() {
        let words = |items: &[&str]| Value::List(items.iter().map(|item| Value::from(*item)).collect());
        for (keys, expected) in [
            (vec![], "field `port`: `type` is missing"),
            (vec![("type", "strng".into())], "field `port`: unknown type `strng`: did you mean `string`?"),
            (vec![("type", "secret".into())], "field `port`: a secret is never typed in"),
            (vec![("type", "int".into()), ("default", "x".into())], "field `port`: default: expected int, got \"x\""),
            (vec![("type", "choice".into())], "field `port`: `choices` is missing"),
            (vec![("type", "choice".into()), ("choices", words(&[]))], "field `port`: `choices` is empty"),
            (vec![("type", "int".into()), ("choices", words(&["a"]))], "field `port`: `choices` belongs to"),
            (
                vec![("type", "int".into()), ("requird", true.into())],
                "field `port`: unknown key `requird`: did you mean",
            ),
            (vec![("type", "int".into()), ("required", "no".into())], "field `port`: expected true or false"),
            (
                vec![("type", "int".into()), ("required", true.into()), ("default", Value::Int(1))],
                "field `port`: a field with a `default` is never required",
            ),
        ] {
            let fault = read(&field(&keys)).unwrap_err();
            assert!(fault.starts_with(expected), "{fault}\n{expected}");
        }
        assert!(read(&Value::Null).unwrap_err().starts_with("expected a map"));
        assert_eq!(read(&Value::Map(Map::new())).unwrap_err(), "expected at least one field");
        let named = |name: &str| Value::map([(name, Value::map([("type", Value::from("int"))]))]);
        assert!(read(&named("Port")).unwrap_err().starts_with("field `Port`: it "));
        let many = |count: usize| {
            let fields = (0..count).map(|n| (format!("f{n}"), Value::map([("type", Value::from("int"))])));
            read(&Value::Map(fields.collect()))
        };
        assert_eq!(many(FIELDS_MAX).unwrap().len(), FIELDS_MAX);
        assert_eq!(many(FIELDS_MAX + 1).unwrap_err(), "33 fields, more than 32");
    }

    #[test]
    fn an_answer_is_read_by_the_types_of_its_fields() {
        let declared = serde_json::json!({
            "replicas": {"type": "int"},
            "window": {"type": "duration", "default": "15m"},
            "side": {"type": "choice", "choices": ["blue", "green"]},
            "note": {"type": "string", "required": false},
        });
        let fields = read(&Value::from_data(&declared)).unwrap();
        let typed = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
        };
        let given = answer(&fields, &typed(&[("replicas", "3"), ("side", "blue")])).unwrap();
        let expected = serde_json::json!({"replicas": 3, "window": "15m", "side": "blue", "note": null});
        assert_eq!(Value::Map(given).to_plain(), expected);
        for (pairs, why) in [
            (typed(&[("side", "blue")]), "`replicas` is missing (int)"),
            (typed(&[("replicas", "many"), ("side", "blue")]), "`replicas`: "),
            (typed(&[("replicas", "3"), ("side", "red")]), "`side`: "),
            (typed(&[("replicas", "3"), ("replicas", "4")]), "`replicas` is given twice"),
            (typed(&[("replica", "3")]), "there is no field `replica`; it asks for "),
        ] {
            let said = answer(&fields, &pairs).unwrap_err();
            assert!(said.starts_with(why), "{said}");
        }
    }
}
