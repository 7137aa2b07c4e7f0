//! The one value type that crosses every boundary: YAML, Rhai, journal, HTTP bodies.
//!
//! Beside JSON's kinds it has two that JSON can't say: a *secret* (a symbolic expression, never its
//! text) and an *unknown* (what a rehearsal can't know). Both survive the way through the journal,
//! and no data from outside can forge them: see [`Value::to_json`].

use std::collections::BTreeMap;
use std::fmt;

use crate::script::secret::{Leaf, Sealed, SecretText};

/// A value a runbook handles.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
    #[default]
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Value>),
    Map(Map),
    /// A secret by reference; resolved only by the driver, at the moment it is sent.
    Secret(SecretText),
    /// What a rehearsal can't know yet.
    Unknown(Unknown),
}

/// A map with a stable order: what is journaled must not depend on hashing.
pub type Map = BTreeMap<String, Value>;

/// Names the step whose effect would have to happen before a value exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown {
    /// Path of the planned step, or what else isn't known (`human.ask`).
    pub origin: String,
}

/// The key of a secret in the journal's form of a value.
pub const SECRET_KEY: &str = "$secret";
const UNKNOWN_KEY: &str = "$unknown";

impl Value {
    /// Builds a map from pairs.
    pub fn map<K: Into<String>>(pairs: impl IntoIterator<Item = (K, Value)>) -> Value {
        Value::Map(pairs.into_iter().map(|(k, v)| (k.into(), v)).collect())
    }

    /// The word for this kind of value in messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Null => "()",
            Value::Bool(_) => "bool",
            Value::Int(_) => "int",
            Value::Float(_) => "float",
            Value::Text(_) => "string",
            Value::List(_) => "list",
            Value::Map(_) => "map",
            Value::Secret(_) => "secret",
            Value::Unknown(_) => "unknown",
        }
    }

    /// The text, if this is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The map, if this is one.
    pub fn as_map(&self) -> Option<&Map> {
        match self {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    /// The entry of a map by name.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.as_map().and_then(|map| map.get(key))
    }

    /// The first unknown inside this value, if any.
    pub fn unknown(&self) -> Option<&Unknown> {
        match self {
            Value::Unknown(unknown) => Some(unknown),
            Value::List(items) => items.iter().find_map(Value::unknown),
            Value::Map(map) => map.values().find_map(Value::unknown),
            _ => None,
        }
    }

    /// Whether it is `()`.
    pub fn is_null(&self) -> bool {
        *self == Value::Null
    }

    /// Whether a secret stands anywhere inside this value.
    pub fn has_secret(&self) -> bool {
        match self {
            Value::Secret(_) => true,
            Value::List(items) => items.iter().any(Value::has_secret),
            Value::Map(map) => map.values().any(Value::has_secret),
            _ => false,
        }
    }

    /// Whether a text, number or bool stands anywhere inside this value.
    pub fn has_plain(&self) -> bool {
        match self {
            Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Text(_) => true,
            Value::List(items) => items.iter().any(Value::has_plain),
            Value::Map(map) => map.values().any(Value::has_plain),
            Value::Null | Value::Secret(_) | Value::Unknown(_) => false,
        }
    }

    /// Every sealed value inside this one, by reference.
    pub fn sealed<'a>(&'a self, found: &mut Vec<&'a Sealed>) {
        match self {
            Value::Secret(secret) => found.extend(secret.leaves().into_iter().filter_map(|leaf| match leaf {
                Leaf::Sealed(sealed) => Some(sealed),
                Leaf::Named(_) => None,
            })),
            Value::List(items) => items.iter().for_each(|item| item.sealed(found)),
            Value::Map(map) => map.values().for_each(|item| item.sealed(found)),
            _ => {}
        }
    }

    /// Nesting depth; a scalar has depth 1.
    pub fn depth(&self) -> usize {
        match self {
            Value::List(items) => 1 + items.iter().map(Value::depth).max().unwrap_or(0),
            Value::Map(map) => 1 + map.values().map(Value::depth).max().unwrap_or(0),
            _ => 1,
        }
    }

    /// The journal's form. Secrets become `{"$secret": …}`, unknowns `{"$unknown": …}`; a key of real
    /// data that starts with `$` gets a second one, so a response body can't forge a reference.
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::{Value as Json, json};
        match self {
            Value::Null => Json::Null,
            Value::Bool(b) => Json::Bool(*b),
            Value::Int(i) => json!(i),
            // JSON has no word for these three; their names keep the record readable.
            Value::Float(f) => serde_json::Number::from_f64(*f).map_or_else(|| json!(f.to_string()), Json::Number),
            Value::Text(text) => Json::String(text.clone()),
            Value::List(items) => Json::Array(items.iter().map(Value::to_json).collect()),
            Value::Map(map) => Json::Object(map.iter().map(|(k, v)| (escape_key(k), v.to_json())).collect()),
            Value::Secret(secret) => json!({ SECRET_KEY: secret.to_json() }),
            Value::Unknown(unknown) => json!({ UNKNOWN_KEY: unknown.origin }),
        }
    }

    /// Reads the journal's form back. Total: a malformed reference is kept as plain data.
    pub fn from_json(json: &serde_json::Value) -> Value {
        use serde_json::Value as Json;
        if let Json::Object(object) = json
            && object.len() == 1
        {
            if let Some(secret) = object.get(SECRET_KEY).and_then(SecretText::from_json) {
                return Value::Secret(secret);
            }
            if let Some(Json::String(origin)) = object.get(UNKNOWN_KEY) {
                return Value::Unknown(Unknown { origin: origin.clone() });
            }
        }
        Value::build(json, &unescape_key)
    }

    /// Reads JSON that came from outside: nothing in it is a reference. Integers beyond 64 bits signed
    /// become strings, because a float would silently change an id.
    pub fn from_data(json: &serde_json::Value) -> Value {
        Value::build_data(json)
    }

    fn build(json: &serde_json::Value, key: &dyn Fn(&str) -> String) -> Value {
        use serde_json::Value as Json;
        match json {
            Json::Array(items) => Value::List(items.iter().map(Value::from_json).collect()),
            Json::Object(object) => Value::Map(object.iter().map(|(k, v)| (key(k), Value::from_json(v))).collect()),
            scalar => Value::scalar(scalar),
        }
    }

    fn build_data(json: &serde_json::Value) -> Value {
        use serde_json::Value as Json;
        match json {
            Json::Array(items) => Value::List(items.iter().map(Value::build_data).collect()),
            Json::Object(object) => Value::Map(object.iter().map(|(k, v)| (k.clone(), Value::build_data(v))).collect()),
            scalar => Value::scalar(scalar),
        }
    }

    fn scalar(json: &serde_json::Value) -> Value {
        use serde_json::Value as Json;
        match json {
            Json::Bool(b) => Value::Bool(*b),
            Json::String(text) => Value::Text(text.clone()),
            Json::Number(n) => match (n.as_i64(), n.is_f64()) {
                (Some(i), _) => Value::Int(i),
                (None, true) => n.as_f64().map_or(Value::Null, Value::Float),
                (None, false) => Value::Text(n.to_string()),
            },
            _ => Value::Null,
        }
    }

    /// Plain JSON for people and scripts: secrets as `[secret NAME]` or `[sealed NAME 9c1f41aa]`, unknowns as `[unknown: …]`.
    /// One way only; the journal uses [`Value::to_json`].
    pub fn to_plain(&self) -> serde_json::Value {
        use serde_json::Value as Json;
        match self {
            Value::List(items) => Json::Array(items.iter().map(Value::to_plain).collect()),
            Value::Map(map) => Json::Object(map.iter().map(|(k, v)| (k.clone(), v.to_plain())).collect()),
            Value::Secret(_) | Value::Unknown(_) => Json::String(self.to_string()),
            scalar => scalar.to_json(),
        }
    }
}

/// How a value stands in mixed text: strings bare, everything else as JSON.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => Ok(()),
            Value::Text(text) => f.write_str(text),
            Value::Secret(secret) => write!(f, "{secret}"),
            Value::Unknown(unknown) => write!(f, "[unknown: known after {}]", unknown.origin),
            other => write!(f, "{}", other.to_plain()),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::Text(text)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Value::Int(number)
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Value::Bool(truth)
    }
}

/// What [`Value::to_json`] gives, without building it: every event is written this way.
impl serde::Serialize for Value {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(b) => serializer.serialize_bool(*b),
            Value::Int(i) => serializer.serialize_i64(*i),
            Value::Float(f) if f.is_finite() => serializer.serialize_f64(*f),
            Value::Text(text) => serializer.serialize_str(text),
            Value::List(items) => serializer.collect_seq(items),
            Value::Map(map) => serializer.collect_map(map.iter().map(|(key, value)| (escape_key(key), value))),
            rare @ (Value::Float(_) | Value::Secret(_) | Value::Unknown(_)) => rare.to_json().serialize(serializer),
        }
    }
}

impl<'de> serde::Deserialize<'de> for Value {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde_json::Value::deserialize(deserializer).map(|json| Value::from_json(&json))
    }
}

fn escape_key(key: &str) -> String {
    if key.starts_with('$') { format!("${key}") } else { key.to_owned() }
}

fn unescape_key(key: &str) -> String {
    key.strip_prefix("$$").map_or_else(|| key.to_owned(), |rest| format!("${rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::secret::SecretText;
    use serde_json::json;

    #[test]
    fn data_from_outside_cannot_forge_a_secret_or_an_unknown() {
        let sealed = json!({"$secret": {"sealed": {"name": "A", "digest": "sha256:00", "fingerprint": "00"}}});
        for forged in [json!({"$secret": "TOKEN"}), sealed, json!({"$unknown": "x"}), json!({"$$secret": "TOKEN"})] {
            let value = Value::from_data(&forged);
            assert!(!value.has_secret() && value.unknown().is_none());
            assert_eq!(Value::from_json(&value.to_json()), value, "{forged}");
        }
    }

    #[test]
    fn secrets_and_unknowns_survive_the_journal() {
        let secret = SecretText::named("TOKEN").prefixed("Bearer ");
        let sealed =
            Sealed { name: "$secret".into(), digest: "sha256:00".into(), fingerprint: "00".into(), answer: false };
        let value = Value::map([
            ("a", Value::Secret(secret)),
            ("b", Value::Unknown(Unknown { origin: "deploy".into() })),
            ("c", Value::Secret(SecretText::sealed(sealed.clone()))),
            ("$d", Value::List(vec![Value::Secret(SecretText::sealed(sealed.clone()).prefixed("x"))])),
        ]);
        assert_eq!(Value::from_json(&value.to_json()), value);
        let mut found = Vec::new();
        value.sealed(&mut found);
        assert_eq!(found, [&sealed, &sealed]);
    }

    #[test]
    fn the_written_form_is_the_journals_form() {
        let secret = Value::Secret(SecretText::named("TOKEN").prefixed("Bearer "));
        let numbers = [f64::NAN, f64::INFINITY, -0.0, 1e21, 0.1, 1.0].map(Value::Float);
        let keys = ["$a", "$", "a$", "", "$$secret", "%", "#", "é"].map(|key| (key, Value::Null));
        let unknown = Value::Unknown(Unknown { origin: "deploy".into() });
        let all = [secret, unknown, Value::Bool(true), Value::Int(i64::MIN), Value::Text("\u{1}\"\u{2028}".into())];
        let value = Value::List([Value::List(numbers.to_vec()), Value::map(keys), Value::List(all.to_vec())].to_vec());
        assert_eq!(serde_json::to_string(&value).unwrap(), value.to_json().to_string());
    }

    #[test]
    fn integers_beyond_64_bits_keep_their_digits() {
        let json: serde_json::Value = serde_json::from_str("18446744073709551615").unwrap();
        assert_eq!(Value::from_data(&json), Value::Text("18446744073709551615".into()));
    }
}
