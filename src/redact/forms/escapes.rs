//! How languages, shells and mark-up write a text: every variant in wide use, not every possible one.

/// JSON as serializers write it: with `/` or `\/`, letters beyond ASCII as they are or as `\u00e9` in either case (Python,
/// PHP, .NET), and `<`, `>`, `&` escaped for pages (Go).
pub(super) fn json(text: &str) -> Vec<String> {
    let plain = json_plain(text);
    let for_pages = escape_with(&plain, |c| matches!(c, '<' | '>' | '&').then(|| unit_escapes(c, false)));
    let mut all = Vec::new();
    for escaped in [plain, for_pages] {
        for upper in [false, true] {
            let ascii = escape_with(&escaped, |c| (!c.is_ascii()).then(|| unit_escapes(c, upper)));
            all.extend([ascii.replace('/', "\\/"), ascii]);
        }
        all.extend([escaped.replace('/', "\\/"), escaped]);
    }
    all
}

/// The inside of a JSON string, with no more escapes than JSON asks for.
pub(super) fn json_plain(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// Inside single quotes as `set -x` and as Python's `shlex.quote` write it, and inside double quotes.
pub(super) fn shell(text: &str) -> Vec<String> {
    let double = escape_with(text, |c| matches!(c, '\\' | '"' | '$' | '`').then(|| format!("\\{c}")));
    vec![text.replace('\'', "'\\''"), text.replace('\'', "'\"'\"'"), double]
}

/// What `{:?}` of Rust, `%q` of Go and `repr` of Python write between the quotes.
pub(super) fn debug(text: &str) -> Vec<String> {
    let rust = format!("{text:?}");
    let rust = rust[1..rust.len() - 1].to_owned();
    let go = escape_with(text, |c| match c {
        '\\' | '"' => Some(format!("\\{c}")),
        '\n' => Some("\\n".to_owned()),
        '\r' => Some("\\r".to_owned()),
        '\t' => Some("\\t".to_owned()),
        '\x07' => Some("\\a".to_owned()),
        '\x08' => Some("\\b".to_owned()),
        '\x0b' => Some("\\v".to_owned()),
        '\x0c' => Some("\\f".to_owned()),
        c if c.is_ascii_control() => Some(format!("\\x{:02x}", u32::from(c))),
        _ => None,
    });
    let python = escape_with(text, |c| match c {
        '\\' | '\'' => Some(format!("\\{c}")),
        '\n' => Some("\\n".to_owned()),
        '\r' => Some("\\r".to_owned()),
        '\t' => Some("\\t".to_owned()),
        c if c.is_ascii_control() => Some(format!("\\x{:02x}", u32::from(c))),
        _ => None,
    });
    vec![rust, go, python]
}

/// HTML and XML: named, decimal and hexadecimal entities, in an attribute and in a text, letters beyond ASCII as they
/// are or as numbers.
pub(super) fn markup(text: &str) -> Vec<String> {
    /// How `"` and `'` are written where `&`, `<` and `>` have names.
    const QUOTES: [(&str, &str); 8] = [
        ("\"", "'"),
        ("&quot;", "'"),
        ("&quot;", "&#39;"),
        ("&quot;", "&#039;"),
        ("&quot;", "&apos;"),
        ("&quot;", "&#x27;"),
        ("&#34;", "&#39;"),
        ("&#x22;", "&#x27;"),
    ];
    let special = |c: char| matches!(c, '&' | '<' | '>' | '"' | '\'');
    let mut all: Vec<String> = QUOTES
        .iter()
        .map(|(double, single)| {
            escape_with(text, |c| match c {
                '&' => Some("&amp;".to_owned()),
                '<' => Some("&lt;".to_owned()),
                '>' => Some("&gt;".to_owned()),
                '"' => Some((*double).to_owned()),
                '\'' => Some((*single).to_owned()),
                _ => None,
            })
        })
        .collect();
    let numbers: [fn(char) -> String; 3] = [
        |c| format!("&#{};", u32::from(c)),
        |c| format!("&#x{:x};", u32::from(c)),
        |c| format!("&#x{:X};", u32::from(c)),
    ];
    for number in numbers {
        all.push(escape_with(text, |c| special(c).then(|| number(c))));
        all.push(text.chars().map(number).collect());
    }
    if !text.is_ascii() {
        let named = all.clone();
        for number in numbers {
            all.extend(named.iter().map(|text| escape_with(text, |c| (!c.is_ascii()).then(|| number(c)))));
        }
    }
    all
}

/// Quoted-printable of bodies and of header words, where a space is `_` or `=20`. Soft line breaks are skipped by the
/// search.
pub(super) fn quoted_printable(text: &str) -> Vec<String> {
    let quoted = |plain: &dyn Fn(u8) -> bool| -> String {
        text.bytes()
            .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("={byte:02X}") })
            .collect()
    };
    let body = quoted(&|byte| matches!(byte, b' '..=b'~') && byte != b'=');
    // Line ends stay line ends in a body.
    let lines = body.replace("=0D=0A", "\r\n").replace("=0A", "\r\n");
    let word = quoted(&|byte| byte.is_ascii_alphanumeric());
    let word_readable = quoted(&|byte| matches!(byte, b'!'..=b'~') && !matches!(byte, b'=' | b'?' | b'_'));
    let underscored = [word.replace("=20", "_"), word_readable.replace("=20", "_")];
    [body, lines, word, word_readable].into_iter().chain(underscored).collect()
}

/// `é` as `\u00e9`, beyond the basic plane as two of them.
fn unit_escapes(c: char, upper: bool) -> String {
    let units = c.encode_utf16(&mut [0; 2]).to_vec();
    units.iter().map(|unit| if upper { format!("\\u{unit:04X}") } else { format!("\\u{unit:04x}") }).collect()
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
