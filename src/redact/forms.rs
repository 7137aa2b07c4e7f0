//! The forms in which a system may send a secret back: encodings, escapes, and pieces of it.
//!
//! Not covered, and said so in the documentation: hashes, other case, compression, wrapped base64 and
//! whatever else a remote system may compute.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::redact::redactor::SECRET_BYTES_MIN;

/// How often JSON is put into JSON: a body we sent, in the answer of a proxy, in its log, in the document that has
/// the log. Each level escapes again, and only secrets with quotes, backslashes or line ends differ.
const JSON_LEVELS: usize = 4;

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
    let mut forms = BTreeSet::new();
    for part in parts(value) {
        encodings(&part, &mut forms);
    }
    forms.retain(|form| form.len() >= SECRET_BYTES_MIN);
    forms
}

/// The value, its lines, itself on one line, and the strings inside if it is a JSON document.
fn parts(value: &str) -> BTreeSet<String> {
    let mut parts = BTreeSet::from([value.to_owned(), value.trim().to_owned()]);
    if value.contains('\n') {
        let lines: Vec<&str> = value.lines().map(str::trim).collect();
        parts.extend([lines.concat(), lines.join(" "), lines.join("\r\n")]);
        // Armour such as `-----BEGIN PRIVATE KEY-----` is no secret and stands in many texts.
        parts.extend(lines.iter().filter(|line| !line.starts_with("-----")).map(|line| (*line).to_owned()));
    }
    if value.trim_start().starts_with(['{', '['])
        && let Ok(document) = serde_json::from_str(value)
    {
        leaves(&document, &mut parts);
    }
    parts.retain(|part| part.len() >= SECRET_BYTES_MIN);
    parts
}

fn leaves(document: &serde_json::Value, parts: &mut BTreeSet<String>) {
    match document {
        serde_json::Value::String(text) => {
            parts.insert(text.clone());
        }
        serde_json::Value::Array(items) => items.iter().for_each(|item| leaves(item, parts)),
        serde_json::Value::Object(object) => object.values().for_each(|item| leaves(item, parts)),
        _ => {}
    }
}

fn encodings(text: &str, forms: &mut BTreeSet<String>) {
    forms.insert(text.to_owned());
    for alignment in 0..3 {
        forms.insert(base64_core(text, alignment, &STANDARD_NO_PAD));
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
    let json = json_escaped(text);
    for mut escaped in [json.replace('/', "\\/"), ascii_only(&json), json] {
        for _ in 1..JSON_LEVELS {
            let deeper = json_escaped(&escaped);
            forms.insert(std::mem::replace(&mut escaped, deeper));
        }
        forms.insert(escaped);
    }
    let debug = format!("{text:?}");
    forms.insert(debug[1..debug.len() - 1].to_owned());
    forms.insert(text.replace('\'', "'\\''"));
    forms.insert(escape_with(text, |c| match c {
        '\\' | '"' | '$' | '`' => Some(format!("\\{c}")),
        _ => None,
    }));
    for quotes in [("&quot;", "&#39;"), ("&quot;", "&apos;"), ("&#34;", "&#39;"), ("&#x22;", "&#x27;")] {
        forms.insert(escape_with(text, |c| match c {
            '&' => Some("&amp;".to_owned()),
            '<' => Some("&lt;".to_owned()),
            '>' => Some("&gt;".to_owned()),
            '"' => Some(quotes.0.to_owned()),
            '\'' => Some(quotes.1.to_owned()),
            _ => None,
        }));
    }
}

/// The characters of a base64 text that depend on the secret alone, when `alignment` bytes (modulo 3)
/// stand before it.
fn base64_core(text: &str, alignment: usize, engine: &base64::engine::GeneralPurpose) -> String {
    let mut bytes = vec![0; alignment];
    bytes.extend_from_slice(text.as_bytes());
    let whole_characters = bytes.len() * 8 / 6;
    let encoded = engine.encode(&bytes);
    encoded[(alignment * 8).div_ceil(6)..whole_characters].to_owned()
}

fn json_escaped(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// `é` as `\u00e9`, beyond the basic plane as two of them: what Python and PHP write.
fn ascii_only(json: &str) -> String {
    escape_with(json, |c| {
        (!c.is_ascii()).then(|| c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect())
    })
}

fn escape_with(text: &str, escape: impl Fn(char) -> Option<String>) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match escape(c) {
            Some(replacement) => escaped.push_str(&replacement),
            None => escaped.push(c),
        }
    }
    escaped
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_cores_stand_in_every_text_that_holds_the_secret() {
        let secret = "p/ss+w?rd~é";
        for before in ["", "a", "ab", "abc", "user:"] {
            for after in ["", "z", "zz", "zzz"] {
                let text = format!("{before}{secret}{after}");
                for (engine, name) in [(&STANDARD_NO_PAD, "standard"), (&URL_SAFE_NO_PAD, "url-safe")] {
                    let encoded = engine.encode(&text);
                    assert!(of(secret).iter().any(|form| encoded.contains(form)), "{name} {text}");
                }
            }
        }
    }

    #[test]
    fn escapes_of_other_languages_are_known() {
        let secret = "a\"b'c/d é\\f&g";
        let known = of(secret);
        for form in [
            "a\\\"b'c/d é\\\\f&g",
            "a\\\"b'c\\/d é\\\\f&g",
            "a\\\"b'c/d \\u00e9\\\\f&g",
            "a\\\\\\\"b'c/d é\\\\\\\\f&g",
            "a%22b%27c%2Fd%20%C3%A9%5Cf%26g",
            "a%22b%27c%2fd%20%c3%a9%5cf%26g",
            "a%22b%27c%2Fd+%C3%A9%5Cf%26g",
            "612262276", // a prefix of the hex form
            "a&quot;b&#39;c/d é\\f&amp;g",
            "a\"b'\\''c/d é\\f&g",
        ] {
            assert!(known.iter().any(|known| known.starts_with(form)), "{form}");
        }
    }

    #[test]
    fn lines_and_json_leaves_are_secrets_of_their_own() {
        let key = "-----BEGIN KEY-----\nMIIEvQIBADANBg\n  kqhkiG9w0BAQ\nshort\n-----END KEY-----\n";
        let known = of(key);
        assert!(known.contains("MIIEvQIBADANBg") && known.contains("kqhkiG9w0BAQ"));
        assert!(!known.contains("short") && !known.contains("-----BEGIN KEY-----"));
        let account = "{\"type\": \"service_account\", \"keys\": [\"abcdefghij\", \"tiny\"]}";
        assert!(of(account).contains("abcdefghij") && !of(account).contains("tiny"));
    }
}
