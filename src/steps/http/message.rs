//! Builds a request from arguments, with its secrets put in at the last moment.

use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use sha2::{Digest as _, Sha256};
use url::Url;

use crate::engine::outcome::Failure;
use crate::script::hex::hex;
use crate::script::value::{Map, Value};
use crate::steps::args::{given, invalid, map, text};
use crate::steps::world::World;

/// Methods that change nothing, by their definition.
pub(in crate::steps) const READ_METHODS: [&str; 3] = ["GET", "HEAD", "OPTIONS"];

/// Headers that frame a message or route it: set by the client, or a second request could hide inside.
const RESERVED_HEADERS: [&str; 10] = [
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "proxy-connection",
    "upgrade",
    "te",
    "trailer",
    "expect",
];

/// Digits of a digest that people compare by eye.
const DIGEST_DIGITS: usize = 12;

/// A request ready to be sent. Holds secrets: it is neither printed nor kept.
pub(in crate::steps) struct Message {
    pub method: Method,
    pub url: Url,
    /// As in messages and rules.
    pub host: String,
    pub headers: HeaderMap,
    pub body: Option<Vec<u8>>,
}

/// Builds the request of `method` that `args` describe.
pub(in crate::steps) fn build(world: &World, method: &str, args: &Map) -> Result<Message, Failure> {
    let url = given(args, "url").ok_or_else(|| invalid("url", "is required"))?;
    let (url, host) = world.reveal_url(url)?;
    let mut headers = HeaderMap::new();
    for (name, value) in map(args, "headers")?.into_iter().flatten() {
        let (name, value) = header(name, &world.reveal(value, Some(&host))?)?;
        headers.append(name, value);
    }
    let body = body(world, &host, args)?;
    if let Some((content_type, _)) = &body {
        headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static(content_type));
    }
    let method = Method::from_bytes(method.as_bytes())
        .map_err(|_| invalid("method", &format!("expected an HTTP method, got {method:?}")))?;
    Ok(Message { method, url, host, headers, body: body.map(|(_, bytes)| bytes) })
}

/// Reads a header; the message never shows the value, which may be a secret.
pub(in crate::steps) fn header(name: &str, value: &Value) -> Result<(HeaderName, HeaderValue), Failure> {
    let parsed = HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| invalid("headers", &format!("{name:?} is not a header name")))?;
    if RESERVED_HEADERS.contains(&parsed.as_str()) {
        return Err(invalid("headers", &format!("{parsed} is set by the client and can't be given")));
    }
    let text = match value {
        Value::Text(_) | Value::Int(_) | Value::Float(_) | Value::Bool(_) => value.to_string(),
        other => return Err(invalid("headers", &format!("{parsed}: expected string, got {}", other.kind()))),
    };
    let mut value = HeaderValue::from_str(&text)
        .map_err(|_| invalid("headers", &format!("the value of {parsed} has a line break or a control character")))?;
    value.set_sensitive(true);
    Ok((parsed, value))
}

fn body(world: &World, host: &str, args: &Map) -> Result<Option<(&'static str, Vec<u8>)>, Failure> {
    let given: Vec<(&str, &Value)> =
        ["json", "form", "text"].into_iter().filter_map(|name| given(args, name).map(|value| (name, value))).collect();
    let (name, value) = match given.as_slice() {
        [] => return Ok(None),
        [only] => *only,
        [first, second, ..] => {
            return Err(invalid(second.0, &format!("a request has one body, and `{}` is given too", first.0)));
        }
    };
    let revealed = world.reveal(value, Some(host))?;
    Ok(Some(match (name, &revealed) {
        ("json", value) => ("application/json", value.to_plain().to_string().into_bytes()),
        ("form", Value::Map(fields)) => ("application/x-www-form-urlencoded", form(fields).into_bytes()),
        ("text", Value::Text(text)) => ("text/plain; charset=utf-8", text.clone().into_bytes()),
        ("form", other) => return Err(invalid("form", &format!("expected map, got {}", other.kind()))),
        (name, other) => return Err(invalid(name, &format!("expected string, got {}", other.kind()))),
    }))
}

/// The size and digest of the body that `args` describe, for people who compare it with what they know; nothing if
/// there is none, or it holds a secret, whose value a digest would give to whoever tries.
pub(in crate::steps) fn sent_body(world: &World, args: &Map) -> Option<String> {
    let hides = |name: &str| given(args, name).is_some_and(|value| value.has_secret() || value.unknown().is_some());
    if ["json", "form", "text"].into_iter().any(hides) {
        return None;
    }
    let (kind, bytes) = body(world, "", args).ok()??;
    let digest = hex(&Sha256::digest(&bytes));
    Some(format!("body: {} bytes of {kind}, sha256 {}…", bytes.len(), &digest[..DIGEST_DIGITS]))
}

fn form(fields: &Map) -> String {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in fields {
        match value {
            Value::List(items) => items.iter().for_each(|item| {
                form.append_pair(name, &item.to_string());
            }),
            single => {
                form.append_pair(name, &single.to_string());
            }
        }
    }
    form.finish()
}

/// `POST to api.example.com`: what may be said of a request in a message.
pub(in crate::steps) fn shown(message: &Message) -> String {
    format!("{} to {}", message.method, message.host)
}

/// The method among the arguments.
pub(in crate::steps) fn method(args: &Map) -> Result<&str, Failure> {
    text(args, "method")
}
