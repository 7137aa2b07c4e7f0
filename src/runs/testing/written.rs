//! Values as they are written into test files: in one line, and so that reading gives the same value again.

use crate::runbook::render::is_invisible;
use crate::script::value::{SECRET_KEY, Value};

/// Words that some readers take for something else than text.
const RESERVED: [&str; 10] = ["true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan"];

/// A value in one line. JSON is YAML; words that mean nothing else need no quotes.
pub(super) fn flow(value: &Value) -> String {
    match value {
        Value::Text(text) if is_plain(text) => text.clone(),
        Value::Text(text) => quoted(&text.replace("${{", "$${{")),
        Value::List(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Value::Map(entries) if !entries.is_empty() => {
            let entries = entries.iter().map(|(key, item)| format!("{}: {}", self::key(key), flow(item)));
            format!("{{ {} }}", entries.collect::<Vec<_>>().join(", "))
        }
        value => value.to_plain().to_string(),
    }
}

/// A key as it stands before its `:`.
pub(super) fn key(key: &str) -> String {
    if is_plain(key) || key == SECRET_KEY || matches!(key, "$outcome" | "$error" | "$outputs") {
        key.to_owned()
    } else {
        quoted(key)
    }
}

fn is_plain(text: &str) -> bool {
    let letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '/' | '.');
    let last = text.chars().last().is_some_and(|c| c.is_ascii_alphanumeric());
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && last
        && text.chars().all(letter)
        && !RESERVED.contains(&text.to_lowercase().as_str())
}

/// In double quotes, with everything spelled out that hides or reorders text.
fn quoted(text: &str) -> String {
    let mut quoted = String::new();
    for c in serde_json::json!(text).to_string().chars() {
        match u32::from(c) {
            _ if !is_invisible(c) && !c.is_control() => quoted.push(c),
            code @ 0..=0xffff => quoted.push_str(&format!("\\u{code:04x}")),
            code => quoted.push_str(&format!("\\U{code:08x}")),
        }
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runbook::cases::read;
    use crate::runbook::source::Source;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn words_that_readers_take_for_something_else_are_quoted() {
        for (value, text) in [("no", "\"no\""), ("1", "\"1\""), ("a b", "\"a b\""), ("a-b", "a-b"), ("", "\"\"")] {
            assert_eq!(flow(&Value::from(value)), text);
        }
        assert_eq!(flow(&Value::from_data(&json!({"a": [1, null, {}]}))), "{ a: [1, null, {}] }");
    }

    #[test]
    fn what_hides_is_spelled_out() {
        assert_eq!(flow(&Value::from("a\u{202e}b\u{7f}\u{e0001}")), r#""a\u202eb\u007f\U000e0001""#);
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let scalar = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::Int),
            any::<String>().prop_map(Value::Text),
            "[$]{0,3}[{]{0,3}[a-z.:# -]{0,6}[}]{0,3}".prop_map(Value::Text),
        ];
        scalar.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::List),
                prop::collection::btree_map("[a-z ${#:-]{1,8}", inner, 0..4).prop_map(Value::Map),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(value in any_value()) {
            let text = format!("version: 1\ntests:\n  - name: one\n    inputs:\n      a: {}\n", flow(&value));
            let (file, problems) = read(&Source::new("a.test.yaml", text.as_str()));
            prop_assert!(problems.is_empty(), "{text}\n{problems:?}");
            prop_assert_eq!(&file.tests[0].inputs[0].1.value, &value);
        }
    }
}
