//! Secrets as symbols: what a script may build from a secret without ever seeing it.
//!
//! The text of a secret never enters this module; [`SecretText::resolve`] is called by the driver
//! with a lookup of its own, at the moment a step sends the value. A secret is one that a target names, or a
//! *sealed* value: one that a step has read, and of which the journal holds a reference only.

use std::fmt;

use base64::Engine as _;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value as Json, json};

use crate::script::hex::hex;

/// A text built from at least one secret, as an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretText {
    /// `secrets.NAME`
    Name(String),
    /// A value that a step has read.
    Sealed(Sealed),
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

/// What the journal holds of a sealed value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// The key or output it stood at, as people see it.
    pub name: String,
    /// Digest of the encrypted text, under which the store keeps it.
    pub digest: String,
    /// [`FINGERPRINT_DIGITS`] hex digits: equal for equal texts of one store, and keyed, so that guessing a text and
    /// comparing takes the store's key.
    pub fingerprint: String,
    /// It is a whole answer, of which the secret parts are sealed by themselves: they are searched for, it is not.
    pub answer: bool,
}

/// Hex digits of a fingerprint: 64 bits, so that two of a million values don't meet by chance.
pub const FINGERPRINT_DIGITS: usize = 16;
/// Hex digits of it that people see.
const SHOWN_DIGITS: usize = 8;

/// What an expression is built from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaf<'a> {
    /// A secret of the target, by its name.
    Named(&'a str),
    Sealed(&'a Sealed),
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

    /// Names of the target's secrets it is built from, in order of appearance, each once.
    pub fn names(&self) -> Vec<&str> {
        let named = |leaf| match leaf {
            Leaf::Named(name) => Some(name),
            Leaf::Sealed(_) => None,
        };
        self.leaves().into_iter().filter_map(named).collect()
    }

    /// What it is built from, in order of appearance, each once.
    pub fn leaves(&self) -> Vec<Leaf<'_>> {
        let mut leaves = Vec::new();
        self.collect(&mut leaves);
        leaves
    }

    fn collect<'a>(&'a self, leaves: &mut Vec<Leaf<'a>>) {
        let leaf = match self {
            SecretText::Name(name) => Leaf::Named(name),
            SecretText::Sealed(sealed) => Leaf::Sealed(sealed),
            SecretText::Concat(parts) => {
                for part in parts {
                    if let Part::Secret(secret) = part {
                        secret.collect(leaves);
                    }
                }
                return;
            }
            SecretText::Base64(inner) | SecretText::UrlEncode(inner) | SecretText::Json(inner) => {
                return inner.collect(leaves);
            }
            SecretText::Hmac { key, .. } => return key.collect(leaves),
        };
        if !leaves.contains(&leaf) {
            leaves.push(leaf);
        }
    }

    /// Whether both stand for the same text; `None` if that can't be told without it.
    pub fn same(&self, other: &SecretText) -> Option<bool> {
        match self.differences(other)? {
            0 => Some(true),
            // Everything around the one is equal, and keeps different texts different.
            1 => Some(false),
            // `a + b` and `c + d` can be one text all the same.
            _ => None,
        }
    }

    /// In how many leaves two expressions of the same form certainly differ.
    fn differences(&self, other: &SecretText) -> Option<usize> {
        match (self, other) {
            (SecretText::Name(a), SecretText::Name(b)) => (a == b).then_some(0),
            (SecretText::Sealed(a), SecretText::Sealed(b)) => Some(usize::from(a.fingerprint != b.fingerprint)),
            (SecretText::Base64(a), SecretText::Base64(b))
            | (SecretText::UrlEncode(a), SecretText::UrlEncode(b))
            | (SecretText::Json(a), SecretText::Json(b)) => a.differences(b),
            // A key and the same with zero bytes behind it sign alike.
            (SecretText::Hmac { key: a, text }, SecretText::Hmac { key: b, text: other }) if text == other => {
                a.differences(b).filter(|differences| *differences == 0)
            }
            (SecretText::Concat(a), SecretText::Concat(b)) if a.len() == b.len() => {
                let differences = a.iter().zip(b).map(|parts| match parts {
                    (Part::Text(a), Part::Text(b)) => (a == b).then_some(0),
                    (Part::Secret(a), Part::Secret(b)) => a.differences(b),
                    _ => None,
                });
                differences.sum()
            }
            _ => None,
        }
    }

    /// Computes the text. Only a driver calls this.
    ///
    /// # Errors
    /// Whatever `lookup` says of a leaf it can't or won't give.
    pub fn resolve<E>(&self, lookup: &mut dyn FnMut(Leaf<'_>) -> Result<String, E>) -> Result<String, E> {
        Ok(match self {
            SecretText::Name(name) => lookup(Leaf::Named(name))?,
            SecretText::Sealed(sealed) => lookup(Leaf::Sealed(sealed))?,
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
            SecretText::Sealed(sealed) => json!({ "sealed": sealed.to_json() }),
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
                        .or_else(|| inner("json").map(SecretText::Json))
                        .or_else(|| object.get("sealed").and_then(Sealed::from_json).map(SecretText::Sealed)),
                    _ => None,
                }
            }
            _ => None,
        }
    }
}

impl Sealed {
    fn from_json(json: &Json) -> Option<Sealed> {
        let text = |key: &str| json.get(key)?.as_str().map(str::to_owned);
        let answer = json.get("answer").is_some_and(|answer| *answer == true);
        let fields = 3 + usize::from(answer);
        json.as_object().filter(|object| object.len() == fields)?;
        Some(Sealed { name: text("name")?, digest: text("digest")?, fingerprint: text("fingerprint")?, answer })
    }

    fn to_json(&self) -> Json {
        let mut json = json!({ "name": self.name, "digest": self.digest, "fingerprint": self.fingerprint });
        if self.answer {
            json["answer"] = Json::Bool(true);
        }
        json
    }
}

/// `DATABASE_URL 9c1f41aa`
impl fmt::Display for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.fingerprint.get(..SHOWN_DIGITS).unwrap_or(&self.fingerprint);
        write!(f, "{} {digits}", self.name)
    }
}

/// `[secret TOKEN]`, `[sealed DATABASE_URL 9c1f41aa]`, `[secret TOKEN, sealed PASSWORD 9c1f41aa]`
impl fmt::Display for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        let mut before = None;
        for leaf in self.leaves() {
            let (kind, shown) = match leaf {
                Leaf::Named(name) => ("secret", name.to_owned()),
                Leaf::Sealed(sealed) => ("sealed", sealed.to_string()),
            };
            match before.replace(kind) {
                None => write!(f, "{kind} {shown}")?,
                Some(same) if same == kind => write!(f, ", {shown}")?,
                Some(_) => write!(f, ", {kind} {shown}")?,
            }
        }
        f.write_str("]")
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
        let lookup = &mut |leaf: Leaf| match leaf {
            Leaf::Named(name) => Ok(format!("<{name}>")),
            Leaf::Sealed(sealed) => Ok(format!("<<{}>>", sealed.name)),
        };
        secret.resolve::<()>(lookup).unwrap()
    }

    fn sealed(name: &str, fingerprint: &str) -> SecretText {
        let digest = format!("sha256:{name}");
        SecretText::Sealed(Sealed { name: name.into(), digest, fingerprint: fingerprint.into(), answer: false })
    }

    #[test]
    fn transforms_stay_symbolic_until_resolved() {
        let basic = SecretText::Base64(Box::new(SecretText::named("PASSWORD").prefixed("ana:"))).prefixed("Basic ");
        assert_eq!(basic.names(), ["PASSWORD"]);
        assert_eq!(resolve(&basic), format!("Basic {}", base64("ana:<PASSWORD>")));
        let signed = SecretText::Hmac { key: Box::new(SecretText::named("KEY")), text: "body".into() };
        assert_eq!(resolve(&signed), hmac_sha256_hex("<KEY>", "body"));
        let read = sealed("DATABASE_URL", "9c1f41aa00000000").prefixed("url=");
        assert_eq!(resolve(&read), "url=<<DATABASE_URL>>");
        let SecretText::Sealed(one) = sealed("text", "00") else { unreachable!("it is sealed") };
        let answer = SecretText::Sealed(Sealed { answer: true, ..one });
        for secret in [
            basic,
            signed,
            read,
            answer,
            SecretText::UrlEncode(Box::new(SecretText::Json(Box::new(SecretText::named("A"))))),
        ] {
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

    #[test]
    fn people_see_a_name_and_the_first_digits_of_a_fingerprint() {
        let one = sealed("DATABASE_URL", "9c1f41aa12345678");
        assert_eq!(one.to_string(), "[sealed DATABASE_URL 9c1f41aa]");
        let both = SecretText::concat(vec![
            Part::Secret(SecretText::named("TOKEN")),
            Part::Secret(SecretText::named("KEY")),
            Part::Secret(one),
        ]);
        assert_eq!(both.to_string(), "[secret TOKEN, KEY, sealed DATABASE_URL 9c1f41aa]");
        assert_eq!(both.names(), ["TOKEN", "KEY"]);
    }

    #[test]
    fn sealed_values_are_the_same_by_fingerprint_and_expressions_by_their_form() {
        let (a, b, c) = (sealed("A", "1"), sealed("B", "1"), sealed("C", "2"));
        let base64 = |secret: &SecretText| SecretText::Base64(Box::new(secret.clone()));
        let hmac = |secret: &SecretText| SecretText::Hmac { key: Box::new(secret.clone()), text: "t".into() };
        let pair = |left: &SecretText, right: &SecretText| {
            SecretText::concat(vec![Part::Secret(left.clone()), Part::Text("@".into()), Part::Secret(right.clone())])
        };
        assert_eq!((a.same(&b), a.same(&c)), (Some(true), Some(false)), "names don't count");
        assert_eq!((base64(&a).same(&base64(&b)), base64(&a).same(&base64(&c))), (Some(true), Some(false)));
        assert_eq!((pair(&a, &c).same(&pair(&b, &c)), pair(&a, &c).same(&pair(&a, &b))), (Some(true), Some(false)));
        assert_eq!(pair(&a, &c).same(&pair(&c, &a)), None, "two differences may cancel out");
        assert_eq!((hmac(&a).same(&hmac(&b)), hmac(&a).same(&hmac(&c))), (Some(true), None));
        assert_eq!(a.clone().prefixed("x").same(&a.clone().prefixed("y")), None);
        let named = SecretText::named("A");
        assert_eq!((named.same(&named), named.same(&SecretText::named("B")), named.same(&a)), (Some(true), None, None));
    }
}
