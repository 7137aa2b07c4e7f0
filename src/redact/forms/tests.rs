//! Each promised form by its number, written by hand or by other code than the product's.

use std::fmt::Write as _;

use base64::engine::general_purpose::{STANDARD, URL_SAFE};

use super::*;
use crate::redact::Redactor;

/// Holds a character for every kind of escape.
const SECRET: &str = "p/s+w?d~é\"'<&>\\=$`_end-of it";
const KEY: &str = "-----BEGIN KEY-----\nMIIEvQIBADANBg\nkqhkiG9w0BAQEF\nAASCBKcwggSjAg==\n-----END KEY-----\n";
const ACCOUNT: &str = r#"{"type": "account", "key": "first-line-of-it\nsecond-line-of-it", "ids": ["id-12345678"]}"#;
const ACCOUNT_YAML: &str = "type: account\nkeys:\n  - abcdefghij-yaml\n  - tiny\n";

fn bytes(text: &str, one: impl Fn(u8) -> String) -> String {
    text.bytes().map(one).collect()
}

fn wrapped(text: &str, columns: usize, end: &str) -> String {
    let mut lines = String::new();
    for (at, c) in text.chars().enumerate() {
        if at > 0 && at % columns == 0 {
            lines.push_str(end);
        }
        lines.push(c);
    }
    lines
}

/// The number in the list of forms, the secret, how it comes back, and how many of those bytes may stay: base64 shares
/// characters with what stands beside the secret.
fn rows() -> Vec<(u8, &'static str, String, usize)> {
    let mut rows = Vec::new();
    for (at, before) in ["", "u", "u:", "usr"].iter().enumerate() {
        let at = u8::try_from(at % 3).unwrap();
        rows.push((2 + at, SECRET, STANDARD.encode(format!("{before}{SECRET}")), 8));
        rows.push((5 + at, SECRET, URL_SAFE.encode(format!("{before}{SECRET}")), 8));
        let twice = STANDARD.encode(format!("{{{}", STANDARD.encode(format!("{before}{SECRET}"))));
        rows.push((2 + at, SECRET, twice.clone(), 16));
        rows.push((2 + at, SECRET, wrapped(&twice, 20, "\n    "), 24));
        rows.push((
            2 + at,
            SECRET,
            wrapped(&STANDARD.encode(format!("{}{before}{SECRET}", "x".repeat(42))), 64, "\r\n"),
            64,
        ));
        rows.push((
            2 + at,
            SECRET,
            wrapped(&STANDARD.encode(format!("{}{before}{SECRET}", "x".repeat(54))), 76, "\\n"),
            80,
        ));
    }
    let plain = [
        (1, "p/s+w?d~é\"'<&>\\=$`_end-of it"),
        (1, "p/s+w?d~é\x1b[1;31m\"'<&>\x1b[0m\\=$`_end-of it"),
        (8, "p%2Fs%2Bw%3Fd~%C3%A9%22%27%3C%26%3E%5C%3D%24%60_end-of%20it"),
        (9, "p%2fs%2bw%3fd~%c3%a9%22%27%3c%26%3e%5c%3d%24%60_end-of%20it"),
        (10, "p%2Fs%2Bw%3Fd%7E%C3%A9%22%27%3C%26%3E%5C%3D%24%60_end-of+it"),
        (12, "p/s+w?d~é\\\"'<&>\\\\=$`_end-of it"),
        (13, "p\\/s+w?d~é\\\"'<&>\\\\=$`_end-of it"),
        (13, "p\\/s+w?d~\\u00e9\\\"'<&>\\\\=$`_end-of it"),
        (14, "p/s+w?d~\\u00e9\\\"'<&>\\\\=$`_end-of it"),
        (14, "p/s+w?d~\\u00E9\\\"'<&>\\\\=$`_end-of it"),
        (14, "p/s+w?d~é\\\"'\\u003c\\u0026\\u003e\\\\=$`_end-of it"),
        (15, "p/s+w?d~é\\\\\\\"'<&>\\\\\\\\=$`_end-of it"),
        (18, "p/s+w?d~é\"'\\''<&>\\=$`_end-of it"),
        (18, "p/s+w?d~é\"'\"'\"'<&>\\=$`_end-of it"),
        (19, "p/s+w?d~é\\\"'<&>\\\\=\\$\\`_end-of it"),
        (20, "p/s+w?d~é\\\"'<&>\\\\=$`_end-of it"),
        (21, "p/s+w?d~é&quot;&#39;&lt;&amp;&gt;\\=$`_end-of it"),
        (21, "p/s+w?d~é\"'&lt;&amp;&gt;\\=$`_end-of it"),
        (21, "p/s+w?d~é&#34;&#39;&#60;&#38;&#62;\\=$`_end-of it"),
        (21, "p/s+w?d~&#233;&#34;&#39;&#60;&#38;&#62;\\=$`_end-of it"),
        (21, "p/s+w?d~&#xe9;&#x22;&#x27;&#x3c;&#x26;&#x3e;\\=$`_end-of it"),
        (21, "p/s+w?d~é&#x22;&#x27;&#x3C;&#x26;&#x3E;\\=$`_end-of it"),
        (22, "p/s+w?d~=C3=A9\"'<&>\\=3D$`_end-of it"),
        (22, "p/s+w?d~=C3=A9\"'<&>=\r\n\\=3D$`_end-of it"),
        (22, "p=2Fs=2Bw=3Fd=7E=C3=A9=22=27=3C=26=3E=5C=3D=24=60=5Fend=2Dof_it"),
    ];
    rows.extend(plain.map(|(number, text)| (number, SECRET, text.to_owned(), 0)));
    rows.push((11, SECRET, bytes(SECRET, |byte| format!("%{byte:02X}")), 0));
    rows.push((11, SECRET, bytes(SECRET, |byte| format!("%{byte:02x}")), 0));
    rows.push((16, SECRET, bytes(SECRET, |byte| format!("{byte:02x}")), 0));
    rows.push((17, SECRET, bytes(SECRET, |byte| format!("{byte:02X}")), 0));
    // What Go and Rust make of a control character.
    rows.push((20, "abc\x1bdef\x07ghi", "abc\\x1bdef\\aghi".to_owned(), 0));
    rows.push((20, "abc\x1bdef\x07ghi", "abc\\u{1b}def\\u{7}ghi".to_owned(), 0));
    for text in ["MIIEvQIBADANBg", "> kqhkiG9w0BAQEF", "    AASCBKcwggSjAg==\r"] {
        rows.push((23, KEY, text.to_owned(), 6));
    }
    for end in ["", " ", "\\n", "\r\n"] {
        rows.push((23, KEY, KEY.trim_end().replace('\n', end), 0));
    }
    // Indented it is found line by line; the armour stays.
    rows.push((23, KEY, KEY.trim_end().replace('\n', "\r\n> "), 52));
    rows.push((24, ACCOUNT, "first-line-of-it\\nsecond-line-of-it".to_owned(), 0));
    rows.push((24, ACCOUNT, "second-line-of-it".to_owned(), 0));
    rows.push((24, ACCOUNT, "id-12345678".to_owned(), 0));
    rows.push((24, ACCOUNT_YAML, "abcdefghij-yaml".to_owned(), 0));
    rows
}

#[test]
fn each_of_the_24_forms_is_taken_out() {
    let mut leaks = String::new();
    let mut numbers = BTreeSet::new();
    for (number, secret, text, stays) in rows() {
        numbers.insert(number);
        let redactor = Redactor::new();
        redactor.register("S", secret);
        let mut texts = vec![text.clone()];
        // As a text in an answer. Colours and line ends that are escaped once more are no gaps.
        if !text.contains(['\x1b', '\r']) && !text.contains("\\n") {
            let json = serde_json::Value::from(text).to_string();
            texts.push(json[1..json.len() - 1].to_owned());
        }
        for text in texts {
            let redacted = redactor.redact(&format!("<<{text}>>")).into_owned();
            let rest = redacted.replace("[redacted:S]", "");
            // Each line end that stays is one longer there.
            let stays = stays + text.matches("\\n").count();
            if rest == redacted || rest.len() > "<<>>".len() + stays {
                writeln!(leaks, "form {number}: {text:?} became {redacted:?}").unwrap();
            }
        }
    }
    assert_eq!(numbers, (1..=24).collect::<BTreeSet<u8>>());
    assert!(leaks.is_empty(), "{leaks}");
}

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
