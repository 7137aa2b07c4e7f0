//! Looks for canaries in each of the 24 forms, also cut and wrapped; the forms are made by other code than the product's.

use std::collections::BTreeMap;

use aho_corasick::AhoCorasick;
use base64::Engine as _;
use base64::engine::general_purpose::{GeneralPurpose, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value as Json, json};

/// Bytes of a form that count as it: a piece this long is no accident.
const PIECE: usize = 12;

/// A canary for `slot`: nothing else looks like it, and it has a character for every kind of escape.
pub fn canary(slot: &str) -> String {
    let hash = slot
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let other = hash.rotate_left(29) ^ 0x9e37_79b9_7f4a_7c15;
    format!("Fake{hash:016x}/+?~\"q'é<&>\\$`={other:016x}")
}

/// Every form of a value, by its number in the list of forms.
pub fn forms(value: &str) -> Vec<(u8, String)> {
    let mut forms = vec![(1, value.to_owned())];
    for pad in 0..3_u8 {
        let once = core(value, pad, &STANDARD_NO_PAD);
        forms.extend((0..3).map(|outer| (2 + pad, core(&once, outer, &STANDARD_NO_PAD))));
        forms.push((2 + pad, once));
        forms.push((5 + pad, core(value, pad, &URL_SAFE_NO_PAD)));
    }
    let percent = utf8_percent_encode(value, NON_ALPHANUMERIC).to_string();
    forms.push((9, lower_escapes(&percent)));
    forms.push((8, percent.replace('%', "%25")));
    forms.push((8, percent));
    forms.push((10, url::form_urlencoded::byte_serialize(value.as_bytes()).collect()));
    let every = |one: &dyn Fn(u8) -> String| value.bytes().map(one).collect::<String>();
    forms.push((11, every(&|byte| format!("%{byte:02X}"))));
    let json = inside(&json!(value));
    forms.push((13, json.replace('/', "\\/")));
    forms.push((14, json.replace('é', "\\u00e9")));
    forms.push((15, inside(&json!(json))));
    forms.push((12, json));
    forms.push((16, every(&|byte| format!("{byte:02x}"))));
    forms.push((17, every(&|byte| format!("{byte:02X}"))));
    forms.push((18, value.replace('\'', "'\\''")));
    forms.push((19, escaped(value, "\\\"$`", |c| format!("\\{c}"))));
    forms.push((20, format!("{value:?}").trim_matches('"').to_owned()));
    forms.push((21, escaped(value, "&<>\"'", |c| format!("&#{};", u32::from(c)))));
    forms.push((21, escaped(value, "&<>\"'", |c| format!("&#x{:X};", u32::from(c)))));
    forms.push((21, html(value)));
    forms.push((
        22,
        every(&|byte| match byte {
            b' '..=b'~' if byte != b'=' => char::from(byte).to_string(),
            _ => format!("={byte:02X}"),
        }),
    ));
    forms.extend(value.lines().filter(|line| !line.starts_with("-----")).map(|line| (23, line.trim().to_owned())));
    if let Ok(Json::Object(document)) = serde_json::from_str(value) {
        forms.extend(document.values().filter_map(Json::as_str).map(|leaf| (24, leaf.to_owned())));
        // Its punctuation is no secret.
        forms.retain(|(number, _)| matches!(number, 2..=7 | 16 | 17 | 24));
    }
    forms
}

/// The characters of a base64 text that the value alone decides.
fn core(value: &str, pad: u8, engine: &GeneralPurpose) -> String {
    let bytes = [vec![b'x'; usize::from(pad)], value.as_bytes().to_vec()].concat();
    let whole = bytes.len() * 8 / 6;
    engine.encode(&bytes).get((usize::from(pad) * 8).div_ceil(6)..whole).unwrap_or_default().to_owned()
}

fn lower_escapes(text: &str) -> String {
    text.split('%')
        .enumerate()
        .map(|(at, part)| match at {
            0 => part.to_owned(),
            _ => format!("%{}{}", part[..2].to_lowercase(), &part[2..]),
        })
        .collect()
}

/// A JSON text without its quotes.
fn inside(json: &Json) -> String {
    let text = json.to_string();
    text[1..text.len() - 1].to_owned()
}

fn escaped(value: &str, which: &str, how: impl Fn(char) -> String) -> String {
    value.chars().map(|c| if which.contains(c) { how(c) } else { c.to_string() }).collect()
}

/// As pages have it.
pub fn html(value: &str) -> String {
    value.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

/// Finds canaries.
pub struct Search {
    automaton: AhoCorasick,
    /// Whose piece each pattern is.
    owners: Vec<String>,
}

impl Search {
    /// For values by their names.
    pub fn of(values: &BTreeMap<String, String>) -> Search {
        let mut pieces: BTreeMap<Vec<u8>, String> = BTreeMap::new();
        for (name, value) in values {
            for (number, form) in forms(value) {
                // Armour stands in many texts.
                let form = form.replace("-----BEGIN FAKE KEY-----", "").replace("-----END FAKE KEY-----", "");
                for piece in form.as_bytes().windows(PIECE) {
                    pieces.entry(piece.to_vec()).or_insert_with(|| format!("{name} in form {number}"));
                }
            }
        }
        let automaton = AhoCorasick::new(pieces.keys()).unwrap();
        Search { automaton, owners: pieces.into_values().collect() }
    }

    /// The first canary in `bytes`, as they are or without line ends, indentation and colours.
    pub fn hit(&self, bytes: &[u8]) -> Option<String> {
        [bytes.to_vec(), without_gaps(bytes)].iter().find_map(|bytes| {
            let found = self.automaton.find(bytes)?;
            let around = &bytes[found.start().saturating_sub(60)..(found.end() + 60).min(bytes.len())];
            let owner = &self.owners[found.pattern().as_usize()];
            Some(format!("{owner}: …{}…", String::from_utf8_lossy(around)))
        })
    }

    #[track_caller]
    pub fn assert_clean(&self, what: &str, bytes: &[u8]) {
        if let Some(hit) = self.hit(bytes) {
            panic!("{what} holds {hit}");
        }
    }
}

fn without_gaps(bytes: &[u8]) -> Vec<u8> {
    let mut left = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((first, after)) = rest.split_first() {
        rest = match rest {
            [b'\\', b'n' | b'r' | b't', after @ ..] | [b'=', b'\r', b'\n', after @ ..] => after,
            [b'\x1b', b'[', after @ ..] => {
                let end = after.iter().position(u8::is_ascii_alphabetic).map_or(after.len(), |end| end + 1);
                &after[end..]
            }
            [b'\n' | b'\r' | b'\t' | b' ', after @ ..] => after,
            _ => {
                left.push(*first);
                after
            }
        };
    }
    left
}

#[test]
fn a_canary_is_found_in_each_of_the_24_forms_whole_and_in_pieces() {
    let key = "-----BEGIN FAKE KEY-----\nMIIEfakeBADANBg0\nkqhkiG9fakeQEFxy\n-----END FAKE KEY-----\n";
    let account = json!({"type": "fake", "key": canary("leaf")}).to_string();
    let values = BTreeMap::from(
        [("PLAIN", canary("plain")), ("KEY", key.to_owned()), ("ACCOUNT", account)]
            .map(|(name, value)| (name.to_owned(), value)),
    );
    let search = Search::of(&values);
    let mut seen = std::collections::BTreeSet::new();
    for form in values.values().flat_map(|value| forms(value)).filter(|(_, form)| form.len() >= PIECE) {
        seen.insert(form.0);
        assert!(search.hit(format!("before {} after", form.1).as_bytes()).is_some(), "{form:?}");
        // The beginning of armour is no secret.
        if form.1.starts_with("-----") {
            continue;
        }
        let cut = (PIECE..form.1.len()).find(|at| form.1.is_char_boundary(*at)).unwrap_or(form.1.len());
        assert!(search.hit(&form.1.as_bytes()[..cut]).is_some(), "{form:?}");
    }
    assert_eq!(seen, (1..=24).collect());
    assert_eq!(search.hit(b"nothing of it: -----BEGIN FAKE KEY----- \"type\": \"fake\""), None);
    assert!(search.hit(b"MIIEfake\n   \x1b[31mBADANBg0").is_some());
}
