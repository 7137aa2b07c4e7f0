//! The parts of an address that expressions can name.

use url::Url;

use crate::script::value::Value;

/// What stands behind an address's dot.
pub const PARTS: [&str; 6] = ["scheme", "host", "port", "path", "query", "origin"];

/// A part by name; `()` for one this address doesn't have, `None` for a name that is no part.
pub fn part(url: &Url, name: &str) -> Option<Value> {
    let text = |text: &str| Value::from(text);
    Some(match name {
        "scheme" => text(url.scheme()),
        "host" => url.host_str().map_or(Value::Null, text),
        "port" => url.port_or_known_default().map_or(Value::Null, |port| Value::Int(i64::from(port))),
        "path" => text(url.path()),
        "query" => url.query().map_or(Value::Null, text),
        "origin" => Value::from(url.origin().ascii_serialization()),
        _ => return None,
    })
}
