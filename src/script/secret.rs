//! Secrets as symbols: what a script may build from a secret without ever seeing it.
//!
//! The text of a secret never enters this module; [`SecretText::resolve`] is called by the driver
//! with a lookup of its own, at the moment a step sends the value.

use base64::Engine as _;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value as Json, json};

use crate::script::hex::hex;

/// A text built from at least one secret, as an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretText {
    /// `secrets.NAME`
    Name(String),
    /// `"Bearer " + secrets.NAME`
    Concat(Vec<Part>),
    Base64(Box<SecretText>),
    UrlEncode(Box<SecretText>),
    /// The secret as a JSON string literal, with its quotes.
    Json(Box<SecretText>),
    /// HMAC-SHA256 of `text` in hex.
    Hmac {
        key: Box<SecretText>,
        text: String,
    },
}

/// A piece of a concatenation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    Text(String),
    Secret(SecretText),
}

impl SecretText {
    /// The secret of this name as it is.
    pub fn named(name: &str) -> SecretText {
        SecretText::Name(name.to_owned())
    }

    /// `text + self`
    pub fn prefixed(self, text: &str) -> SecretText {
        SecretText::concat(vec![Part::Text(text.to_owned()), Part::Secret(self)])
    }

    /// `self + text`
    pub fn suffixed(self, text: &str) -> SecretText {
        SecretText::concat(vec![Part::Secret(self), Part::Text(text.to_owned())])
    }

    /// Joins parts, flattening nested concatenations so that equal texts are equal values.
    pub fn concat(parts: Vec<Part>) -> SecretText {
        let mut flat: Vec<Part> = Vec::new();
        for part in parts {
            let pieces = match part {
                Part::Secret(SecretText::Concat(inner)) => inner,
                other => vec![other],
            };
            for piece in pieces {
                match (flat.last_mut(), piece) {
                    (_, Part::Text(text)) if text.is_empty() => {}
                    (Some(Part::Text(before)), Part::Text(text)) => before.push_str(&text),
                    (_, piece) => flat.push(piece),
                }
            }
        }
        match flat.as_slice() {
            [Part::Secret(only)] => only.clone(),
            _ => SecretText::Concat(flat),
        }
    }

    /// Names of the secrets it is built from, in order of appearance, each once.
    pub fn names(&self) -> Vec<String> {
        let mut names = Vec::new();
        self.collect_names(&mut names);
        names
    }

    fn collect_names(&self, names: &mut Vec<String>) {
        match self {
            SecretText::Name(name) => {
                if !names.contains(name) {
                    names.push(name.clone());
                }
            }
            SecretText::Concat(parts) => {
                for part in parts {
                    if let Part::Secret(secret) = part {
                        secret.collect_names(names);
                    }
                }
            }
            SecretText::Base64(inner) | SecretText::UrlEncode(inner) | SecretText::Json(inner) => {
                inner.collect_names(names);
            }
            SecretText::Hmac { key, .. } => key.collect_names(names),
        }
    }

    /// Computes the text. Only a driver calls this.
    ///
    /// # Errors
    /// Whatever `lookup` says of a name it can't or won't give.
    pub fn resolve<E>(&self, lookup: &mut dyn FnMut(&str) -> Result<String, E>) -> Result<String, E> {
        Ok(match self {
            SecretText::Name(name) => lookup(name)?,
            SecretText::Concat(parts) => {
                let mut text = String::new();
                for part in parts {
                    match part {
                        Part::Text(plain) => text.push_str(plain),
                        Part::Secret(secret) => text.push_str(&secret.resolve(lookup)?),
                    }
                }
                text
            }
            SecretText::Base64(inner) => base64(&inner.resolve(lookup)?),
            SecretText::UrlEncode(inner) => url_encode(&inner.resolve(lookup)?),
            SecretText::Json(inner) => json!(inner.resolve(lookup)?).to_string(),
            SecretText::Hmac { key, text } => hmac_sha256_hex(&key.resolve(lookup)?, text),
        })
    }

    /// The journal's form of the expression.
    pub fn to_json(&self) -> Json {
        match self {
            SecretText::Name(name) => Json::String(name.clone()),
            SecretText::Concat(parts) => Json::Array(
                parts
                    .iter()
                    .map(|part| match part {
                        Part::Text(text) => json!({ "text": text }),
                        Part::Secret(secret) => secret.to_json(),
                    })
                    .collect(),
            ),
            SecretText::Base64(inner) => json!({ "base64": inner.to_json() }),
            SecretText::UrlEncode(inner) => json!({ "url_encode": inner.to_json() }),
            SecretText::Json(inner) => json!({ "json": inner.to_json() }),
            SecretText::Hmac { key, text } => json!({ "hmac": key.to_json(), "text": text }),
        }
    }

    /// Reads the journal's form; `None` if it isn't one.
    pub fn from_json(json: &Json) -> Option<SecretText> {
        match json {
            Json::String(name) => Some(SecretText::Name(name.clone())),
            Json::Array(items) => {
                let parts: Option<Vec<Part>> = items
                    .iter()
                    .map(|item| match item.get("text") {
                        Some(Json::String(text)) if item.as_object().is_some_and(|o| o.len() == 1) => {
                            Some(Part::Text(text.clone()))
                        }
                        _ => SecretText::from_json(item).map(Part::Secret),
                    })
                    .collect();
                parts.filter(|parts| parts.iter().any(|p| matches!(p, Part::Secret(_)))).map(SecretText::Concat)
            }
            Json::Object(object) => {
                let inner = |key: &str| object.get(key).and_then(SecretText::from_json).map(Box::new);
                match (object.len(), object.get("text")) {
                    (2, Some(Json::String(text))) => {
                        inner("hmac").map(|key| SecretText::Hmac { key, text: text.clone() })
                    }
                    (1, None) => inner("base64")
                        .map(SecretText::Base64)
                        .or_else(|| inner("url_encode").map(SecretText::UrlEncode))
                        .or_else(|| inner("json").map(SecretText::Json)),
                    _ => None,
                }
            }
            _ => None,
        }
    }
}

/// Standard base64 with padding.
pub fn base64(text: &str) -> String {
    base64::engine::general_purpose::STANDARD.encode(text)
}

/// Percent-encodes everything but letters, digits and `-._~` (RFC 3986, unreserved).
pub fn url_encode(text: &str) -> String {
    const KEEP: percent_encoding::AsciiSet =
        percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    percent_encoding::utf8_percent_encode(text, &KEEP).to_string()
}

/// HMAC-SHA256 in lower-case hex.
pub fn hmac_sha256_hex(key: &str, text: &str) -> String {
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(key.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(text.as_bytes());
    hex(&mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(secret: &SecretText) -> String {
        secret.resolve::<()>(&mut |name| Ok(format!("<{name}>"))).unwrap()
    }

    #[test]
    fn transforms_stay_symbolic_until_resolved() {
        let basic = SecretText::Base64(Box::new(SecretText::named("PASSWORD").prefixed("ana:"))).prefixed("Basic ");
        assert_eq!(basic.names(), ["PASSWORD"]);
        assert_eq!(resolve(&basic), format!("Basic {}", base64("ana:<PASSWORD>")));
        let signed = SecretText::Hmac { key: Box::new(SecretText::named("KEY")), text: "body".into() };
        assert_eq!(resolve(&signed), hmac_sha256_hex("<KEY>", "body"));
        for secret in
            [basic, signed, SecretText::UrlEncode(Box::new(SecretText::Json(Box::new(SecretText::named("A")))))]
        {
            assert_eq!(SecretText::from_json(&secret.to_json()), Some(secret));
        }
    }

    #[test]
    fn nested_concatenations_are_one() {
        let left = SecretText::named("A").prefixed("x").prefixed("y").suffixed("z");
        assert_eq!(
            left,
            SecretText::Concat(vec![
                Part::Text("yx".into()),
                Part::Secret(SecretText::named("A")),
                Part::Text("z".into())
            ])
        );
    }
}
