//! Whether a value is like what somebody wrote down: parts of maps, and texts with something left out.

use crate::script::value::{Map, Value};

/// Stands for any text in an expected one.
pub const ANY: char = '…';

/// Whether `got` is like `expected`: a map has at least these keys, a list exactly these items, a text may leave out
/// parts with `…`, and what is nothing may be absent. A secret is its name.
pub fn fits(expected: &Value, got: Option<&Value>) -> bool {
    let got = got.unwrap_or(&Value::Null);
    match (expected, got) {
        (Value::Map(expected), Value::Map(got)) => has(expected, got),
        (Value::List(expected), Value::List(got)) => {
            expected.len() == got.len() && expected.iter().zip(got).all(|(expected, got)| fits(expected, Some(got)))
        }
        (Value::Text(expected), Value::Text(got)) => like(expected, got),
        (Value::Text(expected), secret @ Value::Secret(_)) => like(expected, &secret.to_string()),
        (Value::Secret(_), secret @ Value::Secret(_)) => expected.to_string() == secret.to_string(),
        #[expect(clippy::cast_precision_loss, reason = "somebody wrote 1 where 1.0 came, or the other way round")]
        (Value::Int(int), Value::Float(float)) | (Value::Float(float), Value::Int(int)) => *int as f64 == *float,
        (expected, got) => expected == got,
    }
}

/// Whether a map has at least what is expected of it.
fn has(expected: &Map, got: &Map) -> bool {
    expected.iter().all(|(key, value)| fits(value, got.get(key)))
}

/// Whether a text is the expected one, where each `…` stands for any text.
fn like(expected: &str, got: &str) -> bool {
    let mut parts = expected.split(ANY);
    let Some(rest) = parts.next().and_then(|first| got.strip_prefix(first)) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    let mut rest = rest;
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// The lines of a value as a test file has it: one for each entry, so that two can be compared line by line.
pub fn shown(value: &Value) -> Vec<String> {
    let text = match value {
        Value::Map(_) | Value::List(_) => serde_yaml::to_string(&value.to_plain()).unwrap_or_default(),
        Value::Text(text) => text.clone(),
        Value::Null => "nothing".to_owned(),
        scalar => scalar.to_string(),
    };
    text.lines().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::secret::SecretText;
    use serde_json::json;

    fn fit(expected: serde_json::Value, got: serde_json::Value) -> bool {
        fits(&Value::from_data(&expected), Some(&Value::from_data(&got)))
    }

    #[test]
    fn a_map_has_at_least_and_a_list_exactly_what_is_expected() {
        assert!(fit(json!({"a": {"b": 1}}), json!({"a": {"b": 1, "c": 2}, "d": 3})));
        assert!(!fit(json!({"a": {"b": 1}}), json!({"a": {"b": 2}})));
        assert!(!fit(json!({"a": 1}), json!({})));
        assert!(fit(json!({"a": null}), json!({})));
        assert!(fit(json!([1, {"a": 2}]), json!([1, {"a": 2, "b": 3}])));
        assert!(!fit(json!([1]), json!([1, 2])));
        assert!(!fit(json!([2, 1]), json!([1, 2])));
        assert!(fit(json!(1), json!(1.0)) && fit(json!(1.0), json!(1)) && !fit(json!(1), json!("1")));
        assert!(fits(&Value::Null, None) && !fits(&Value::Bool(false), None));
    }

    #[test]
    fn a_text_may_leave_out_parts() {
        for (expected, got, yes) in [
            ("502", "502", true),
            ("502", "502 ", false),
            ("…", "", true),
            ("…502…", "it says 502 now", true),
            ("it…now", "it says 502 now", true),
            ("it…now", "it now then", false),
            ("…a…a", "a", false),
            ("…a…a", "aa", true),
            ("a…b…c", "a c b c", true),
            ("a…b…c", "a c", false),
            ("é…", "éx", true),
        ] {
            assert_eq!(fit(json!(expected), json!(got)), yes, "{expected} {got}");
        }
    }

    #[test]
    fn a_secret_is_its_name() {
        let bearer = Value::Secret(SecretText::named("TOKEN").prefixed("Bearer "));
        assert!(fits(&Value::from("[secret TOKEN]"), Some(&bearer)));
        assert!(!fits(&Value::from("[secret OTHER]"), Some(&bearer)));
        let named = Value::Secret(SecretText::named("TOKEN"));
        assert!(fits(&named, Some(&Value::Secret(SecretText::named("TOKEN")))));
        assert!(!fits(&named, Some(&Value::Secret(SecretText::named("OTHER")))));
    }
}
