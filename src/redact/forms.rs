//! The forms in which a system may send a secret back: encodings, escapes, and pieces of it.
//!
//! Line breaks and colours inside a form are skipped by the search: see [`crate::redact::gaps`]. Not covered, and
//! said so in the documentation: hashes, other case, compression, and whatever else a remote system may compute.

mod escapes;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::{GeneralPurpose, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::redact::redactor::SECRET_BYTES_MIN;

/// How often JSON is put into JSON: a body we sent, in the answer of a proxy, in its log, in the document that has
/// the log. Each level escapes again, and only secrets with quotes, backslashes or line ends differ.
const JSON_LEVELS: usize = 4;
/// Levels of a secret document whose strings are secrets too: real ones have three.
const DOCUMENT_LEVELS: usize = 32;

/// What RFC 3986 escapes: all but letters, digits and `-._~`.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// What JavaScript's `encodeURIComponent` escapes.
const COMPONENT: &AsciiSet = &RESERVED.remove(b'!').remove(b'\'').remove(b'(').remove(b')').remove(b'*');
/// What URL libraries escape in a query.
const QUERY: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'<').add(b'>').add(b'\'');
/// What URL libraries escape in a path.
const PATH: &AsciiSet = &QUERY.add(b'?').add(b'`').add(b'{').add(b'}').remove(b'\'');

/// Every text to look for when `value` is a secret; none is shorter than [`SECRET_BYTES_MIN`].
pub(super) fn of(value: &str) -> BTreeSet<String> {
    let mut parts = BTreeSet::new();
    pieces(value, &mut parts);
    let mut forms = BTreeSet::new();
    for part in &parts {
        encodings(part, &mut forms);
    }
    forms.retain(|form| form.len() >= SECRET_BYTES_MIN);
    forms
}

/// The value, its lines, itself with other line ends or on one line, and the same of each string inside if it is a
/// document.
fn pieces(value: &str, parts: &mut BTreeSet<String>) {
    lines(value, parts);
    let mut strings = Vec::new();
    document_strings(value, &mut strings);
    for string in strings {
        lines(&string, parts);
    }
    parts.retain(|part| part.len() >= SECRET_BYTES_MIN);
}

fn lines(value: &str, parts: &mut BTreeSet<String>) {
    parts.extend([value.to_owned(), value.trim().to_owned()]);
    if !value.contains('\n') {
        return;
    }
    let lines: Vec<&str> = value.lines().map(str::trim).collect();
    for end in ["", " ", "\n", "\r\n"] {
        let joined = lines.join(end);
        parts.insert(joined.trim().to_owned());
        parts.insert(joined);
    }
    // Armour such as `-----BEGIN PRIVATE KEY-----` is no secret and stands in many texts.
    parts.extend(lines.iter().filter(|line| !line.starts_with("-----")).map(|line| (*line).to_owned()));
}

/// The strings in a value that is a JSON or YAML document.
fn document_strings(value: &str, strings: &mut Vec<String>) {
    // Nearly every text is a YAML scalar; a document has a separator.
    let yaml = |value: &str| value.contains(": ") || value.contains(":\n") || value.contains("- ");
    let document: Option<serde_json::Value> = match value.trim_start().starts_with(['{', '[']) {
        true => serde_json::from_str(value).ok().or_else(|| serde_yaml::from_str(value).ok()),
        false if yaml(value) => serde_yaml::from_str(value).ok(),
        false => None,
    };
    if let Some(document) = document.filter(|document| document.is_object() || document.is_array()) {
        leaves(&document, DOCUMENT_LEVELS, strings);
    }
}

fn leaves(document: &serde_json::Value, levels: usize, strings: &mut Vec<String>) {
    let Some(levels) = levels.checked_sub(1) else { return };
    match document {
        serde_json::Value::String(text) => strings.push(text.clone()),
        serde_json::Value::Array(items) => items.iter().for_each(|item| leaves(item, levels, strings)),
        serde_json::Value::Object(object) => object.values().for_each(|item| leaves(item, levels, strings)),
        _ => {}
    }
}

fn encodings(text: &str, forms: &mut BTreeSet<String>) {
    forms.insert(text.to_owned());
    for alignment in 0..3 {
        let once = base64_core(text, alignment, &STANDARD_NO_PAD);
        // A basic-auth header inside a document that is base64 as a whole.
        forms.extend((0..3).map(|outer| base64_core(&once, outer, &STANDARD_NO_PAD)));
        // In a query, and as PHP writes it into JSON.
        forms.insert(once.replace('+', "%2B").replace('/', "%2F"));
        forms.insert(once.replace('+', "%2b").replace('/', "%2f"));
        forms.insert(once.replace('/', "\\/"));
        forms.insert(once);
        forms.insert(base64_core(text, alignment, &URL_SAFE_NO_PAD));
    }
    let form = url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let sets = [NON_ALPHANUMERIC, RESERVED, COMPONENT, QUERY, PATH];
    for upper in sets.iter().map(|set| utf8_percent_encode(text, set).to_string()).chain([form]) {
        // An address in the query of another, as in `?next=…`.
        let twice = upper.replace('%', "%25");
        forms.insert(lower_escapes(&upper).replace('%', "%25"));
        forms.insert(lower_escapes(&upper));
        forms.extend([upper, twice]);
    }
    let everything: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
    forms.insert(everything.to_lowercase());
    forms.insert(everything);
    let hex = crate::script::hex::hex(text.as_bytes());
    forms.insert(hex.to_uppercase());
    forms.insert(hex);
    for mut escaped in escapes::json(text) {
        for _ in 0..JSON_LEVELS {
            let deeper = escapes::json_plain(&escaped);
            // Whoever wraps it last may be the one who writes `\/`.
            forms.insert(escaped.replace('/', "\\/"));
            forms.insert(std::mem::replace(&mut escaped, deeper));
        }
    }
    let printed = [escapes::shell(text), escapes::debug(text), escapes::markup(text), escapes::quoted_printable(text)];
    for form in printed.into_iter().flatten() {
        // The log of a command, a page or a mail, as an API gives it.
        forms.insert(escapes::json_plain(&form));
        forms.insert(form);
    }
}

/// The characters of a base64 text that depend on the secret alone, when `alignment` bytes (modulo 3)
/// stand before it.
fn base64_core(text: &str, alignment: usize, engine: &GeneralPurpose) -> String {
    let mut bytes = vec![0; alignment];
    bytes.extend_from_slice(text.as_bytes());
    let whole_characters = bytes.len() * 8 / 6;
    let encoded = engine.encode(&bytes);
    encoded[(alignment * 8).div_ceil(6)..whole_characters].to_owned()
}

/// `%2F` as `%2f`, leaving all else alone.
fn lower_escapes(text: &str) -> String {
    let mut lower = String::with_capacity(text.len());
    let mut left = 0_u8;
    for c in text.chars() {
        let digit = left > 0;
        left = if c == '%' { 2 } else { left.saturating_sub(1) };
        lower.push(if digit { c.to_ascii_lowercase() } else { c });
    }
    lower
}
