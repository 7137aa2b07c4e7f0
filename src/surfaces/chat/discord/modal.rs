//! A form as Discord shows it: a modal of a few labelled fields, and what comes back from it.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use crate::surfaces::chat::card::{Field, FieldKind, Form, cut};

/// Fields of a modal; Discord refuses a sixth.
pub const FIELDS_MAX: usize = 5;
/// Letters of its title, and of the label of a field.
const LABEL_CHARS_MAX: usize = 45;
/// Letters of what stands below a label.
const HINT_CHARS_MAX: usize = 100;
/// Letters that may be typed into a field, and that it may begin with.
const TYPED_CHARS_MAX: usize = 4000;
/// Choices of one select, and letters of each.
const CHOICES_MAX: usize = 25;
const CHOICE_CHARS_MAX: usize = 100;
/// Levels at which a field stands in what comes back: a label, or a row as modals had them before, around a field.
const NESTED_MAX: usize = 2;

const SELECT: u8 = 3;
const TEXT: u8 = 4;
const LABEL: u8 = 18;

/// The modal of a form; nothing if it has no fields or too many.
pub fn of(form: &Form) -> Option<Json> {
    if form.fields.is_empty() || form.fields.len() > FIELDS_MAX {
        return None;
    }
    let fields: Vec<Json> = form.fields.iter().map(labelled).collect();
    Some(json!({ "custom_id": form.holds, "title": cut(&form.title, LABEL_CHARS_MAX), "components": fields }))
}

fn labelled(field: &Field) -> Json {
    let (mut inner, choices) = match &field.kind {
        FieldKind::Choice(choices) if fits(choices) => (select(choices, field.initial.as_deref()), None),
        FieldKind::Choice(choices) => (text(field, 1), Some(format!("one of {}", choices.join(", ")))),
        FieldKind::Long => (text(field, 2), None),
        FieldKind::Text | FieldKind::Number { .. } | FieldKind::Url | FieldKind::Email => (text(field, 1), None),
    };
    inner["custom_id"] = json!(field.name);
    inner["required"] = json!(field.required);
    let mut label = json!({ "type": LABEL, "label": cut(&field.name, LABEL_CHARS_MAX), "component": inner });
    // The door holds what is typed against the choices, all of them.
    let hint = choices.or_else(|| field.hint.clone()).unwrap_or_default();
    let below = field.below(&hint, HINT_CHARS_MAX);
    if !below.trim().is_empty() {
        label["description"] = json!(below);
    }
    label
}

/// Whether a select takes all of them; they must differ.
fn fits(choices: &[String]) -> bool {
    let short = |choice: &String| (1..=CHOICE_CHARS_MAX).contains(&choice.chars().count());
    (1..=CHOICES_MAX).contains(&choices.len()) && choices.iter().all(short)
}

fn select(choices: &[String], initial: Option<&str>) -> Json {
    let option = |choice: &String| {
        let mut option = json!({ "label": choice, "value": choice });
        if initial == Some(choice.as_str()) {
            option["default"] = json!(true);
        }
        option
    };
    json!({ "type": SELECT, "options": choices.iter().map(option).collect::<Vec<_>>() })
}

fn text(field: &Field, style: u8) -> Json {
    let mut input = json!({ "type": TEXT, "style": style, "max_length": TYPED_CHARS_MAX });
    // Half a value would be another one.
    if let Some(initial) = field.initial.as_deref().filter(|initial| initial.chars().count() <= TYPED_CHARS_MAX) {
        input["value"] = json!(initial);
    }
    input
}

/// What was filled in, by field; what was left empty is left out.
pub fn values(components: &Json) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    gather(components, 0, &mut found);
    found
}

fn gather(components: &Json, level: usize, found: &mut BTreeMap<String, String>) {
    for component in components.as_array().into_iter().flatten() {
        let typed = component["value"].as_str().or_else(|| component["values"][0].as_str());
        if let (Some(name), Some(text)) = (component["custom_id"].as_str(), typed.filter(|text| !text.is_empty())) {
            found.insert(name.to_owned(), text.to_owned());
        }
        if level + 1 < NESTED_MAX {
            gather(&component["components"], level + 1, found);
            gather(&json!([component["component"]]), level + 1, found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(name: &str, kind: FieldKind, initial: Option<&str>) -> Field {
        Field {
            name: name.into(),
            hint: Some("h".repeat(500)),
            kind,
            initial: initial.map(str::to_owned),
            required: true,
            left_out: Vec::new(),
        }
    }

    fn form(fields: Vec<Field>) -> Form {
        Form { title: "t".repeat(100), submit: "Go".into(), holds: "f".repeat(64), fields }
    }

    #[test]
    fn the_largest_form_keeps_every_limit_and_a_larger_one_is_none() {
        let long = "n".repeat(64);
        let all = |count: usize| form((0..count).map(|_| field(&long, FieldKind::Text, Some("v"))).collect());
        let modal = of(&all(FIELDS_MAX)).unwrap();
        let chars = |json: &Json| json.as_str().unwrap().chars().count();
        assert_eq!((chars(&modal["title"]), chars(&modal["custom_id"])), (45, 64));
        for label in modal["components"].as_array().unwrap() {
            assert_eq!((chars(&label["label"]), chars(&label["description"])), (45, 100));
            assert_eq!(label["component"]["custom_id"], json!(long), "the name of the input is whole");
        }
        assert_eq!((of(&all(FIELDS_MAX + 1)), of(&all(0))), (None, None));
    }

    #[test]
    fn choices_are_selected_if_a_select_takes_them_and_else_typed() {
        let choices =
            |count: usize, chars: usize| -> Vec<String> { (0..count).map(|at| format!("{at:0chars$}")).collect() };
        let inner = |choices: &[String], initial: Option<&str>| {
            of(&form(vec![field("n", FieldKind::Choice(choices.to_vec()), initial)])).unwrap()["components"][0].clone()
        };
        let few = choices(25, 100);
        let select = inner(&few, Some(&few[3]));
        assert_eq!(
            (&select["component"]["type"], &select["component"]["options"][3]["default"]),
            (&json!(3), &json!(true))
        );
        assert_eq!(select["component"]["options"].as_array().unwrap().len(), 25);
        for too in [choices(26, 2), choices(2, 101), vec![String::new()]] {
            let typed = inner(&too, None);
            assert_eq!(typed["component"]["type"], json!(4));
            assert!(typed["description"].as_str().unwrap().starts_with("one of "), "{typed}");
        }
    }

    #[test]
    fn choices_that_are_typed_hide_nothing_that_was_left_out() {
        let choices = (0..26).map(|at| format!("choice-{at}")).collect();
        let mut last = field("n", FieldKind::Choice(choices), None);
        last.left_out = vec!["region".into(), "n".repeat(64)];
        let modal = of(&form(vec![last])).unwrap();
        let below = modal["components"][0]["description"].as_str().unwrap();
        assert!(below.starts_with("one of choice-0, ") && below.chars().count() <= HINT_CHARS_MAX, "{below}");
        assert!(below.ends_with("… (as they are unless typed: region and 1 more input)"), "{below}");
    }

    #[test]
    fn a_value_too_long_for_a_field_is_not_half_there() {
        let value = |chars: usize| {
            let form = form(vec![field("n", FieldKind::Long, Some(&"v".repeat(chars)))]);
            of(&form).unwrap()["components"][0]["component"]["value"].clone()
        };
        assert_eq!((value(4000).is_string(), value(4001)), (true, Json::Null));
    }

    #[test]
    fn what_comes_back_is_read_from_labels_and_from_rows() {
        let came = json!([
            { "type": 18, "id": 1, "component": { "type": 4, "id": 2, "custom_id": "a", "value": "x" } },
            { "type": 18, "component": { "type": 3, "custom_id": "b", "values": ["y"] } },
            { "type": 1, "components": [{ "type": 4, "custom_id": "c", "value": "z" }] },
            { "type": 18, "component": { "type": 4, "custom_id": "empty", "value": "" } },
            { "type": 18, "component": { "type": 3, "custom_id": "none", "values": [] } },
            { "type": 1, "components": [{ "type": 1, "components": [{ "type": 4, "custom_id": "deep", "value": "z" }] }] },
            "nothing", 7, null,
        ]);
        let pair = |name: &str, text: &str| (name.to_owned(), text.to_owned());
        assert_eq!(values(&came), [pair("a", "x"), pair("b", "y"), pair("c", "z")].into());
        assert_eq!(values(&Json::Null), BTreeMap::new());
    }
}
