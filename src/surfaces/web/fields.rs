//! Inputs of a runbook, and fields of a question, as fields of a form.

use serde_json::{Value as Json, json};

use crate::runbook::model::Input;
use crate::runbook::types::Type;
use crate::surfaces::web::view;
use crate::transcript::words;

/// What the names of inputs begin with in a form, so that none is taken for something else.
pub const INPUT: &str = "input.";

/// A field for each input; `given` says what stands in it already. `prefix` stands before its name.
pub fn of(inputs: &[Input], prefix: &str, given: impl Fn(&str) -> Option<String>) -> Json {
    Json::Array(inputs.iter().map(|input| one(input, prefix, given(&input.name.value))).collect())
}

fn one(input: &Input, prefix: &str, given: Option<String>) -> Json {
    let (kind, step, choices) = match &input.ty {
        Type::Int => ("number", "1", Vec::new()),
        Type::Float => ("number", "any", Vec::new()),
        Type::Url => ("url", "", Vec::new()),
        Type::Email => ("email", "", Vec::new()),
        Type::Bool => ("choice", "", vec!["true".to_owned(), "false".to_owned()]),
        Type::Choice(choices) => ("choice", "", choices.clone()),
        Type::Map | Type::List => ("long", "", Vec::new()),
        Type::String | Type::Duration | Type::Secret | Type::Any => ("text", "", Vec::new()),
    };
    let required = input.required && input.default.is_none();
    let empty = match (&input.default, required) {
        (Some(default), _) => words::value(default),
        (None, true) if kind == "choice" => "choose…".to_owned(),
        (None, true) => example(&input.ty).to_owned(),
        (None, false) => "none".to_owned(),
    };
    json!({
        "key": format!("{prefix}{}", input.name.value),
        "name": input.name.value,
        "type": input.ty.name(),
        "kind": kind,
        "step": step,
        "required": required,
        "about": input.description.as_deref().map(view::clipped).unwrap_or_default(),
        "empty": view::clipped(&empty),
        "choices": choices,
        "value": given.unwrap_or_default(),
    })
}

fn example(ty: &Type) -> &'static str {
    match ty {
        Type::Duration => "30s",
        Type::List => "a, b",
        Type::Map => "{\"a\": 1}",
        _ => "",
    }
}

/// The typed ones of these pairs of a form, without the empty ones: an empty field is one that is not given.
pub fn typed(pairs: &[(String, String)], prefix: &str) -> Vec<(String, String)> {
    let given = pairs.iter().filter_map(|(name, text)| Some((name.strip_prefix(prefix)?.to_owned(), text.clone())));
    given.filter(|(_, text)| !text.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runbook::fields::read;
    use crate::script::value::Value;

    #[test]
    fn a_field_fits_the_type_of_its_input() {
        let declared = json!({
            "n": { "type": "int", "default": 3 }, "u": { "type": "url" }, "b": { "type": "bool", "required": false },
            "c": { "type": "choice", "choices": ["x", "y"] }, "m": { "type": "map", "required": false },
        });
        let inputs = read(&Value::from_data(&declared)).unwrap();
        let fields = of(&inputs, INPUT, |name| (name == "c").then(|| "y".to_owned()));
        let by_name =
            |name: &str| fields.as_array().unwrap().iter().find(|field| field["name"] == name).unwrap().clone();
        assert_eq!((&by_name("n")["kind"], &by_name("n")["empty"]), (&json!("number"), &json!("3")));
        assert_eq!(by_name("n")["required"], false, "it has a default");
        assert_eq!((&by_name("u")["kind"], &by_name("u")["required"]), (&json!("url"), &json!(true)));
        assert_eq!(by_name("b")["choices"], json!(["true", "false"]));
        assert_eq!((&by_name("c")["key"], &by_name("c")["value"]), (&json!("input.c"), &json!("y")));
        assert_eq!(by_name("m")["kind"], "long");
    }

    #[test]
    fn an_empty_field_is_not_given() {
        let pairs: Vec<(String, String)> =
            [("input.a", "1"), ("input.b", ""), ("target", "x")].map(|(a, b)| (a.to_owned(), b.to_owned())).into();
        assert_eq!(typed(&pairs, INPUT), [("a".to_owned(), "1".to_owned())]);
    }
}
