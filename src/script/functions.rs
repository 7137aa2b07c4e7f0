//! Functions a script can call without a namespace: the names of all, and those that are ours.
//!
//! All are pure: what needs the world, a clock or chance is a step.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use rhai::{Dynamic, ImmutableString, Map, Module};

use crate::script::current::{self, Failure, failure};
use crate::script::leaves::{self, Secret, Url};
use crate::script::secret::{self, SecretText};
use crate::script::value::Value;
use crate::script::{convert, limits, lists, operators};

/// Bytes of a pattern: the time to match grows with pattern times text.
const PATTERN_BYTES_MAX: usize = 1_024;
/// Bytes of a compiled pattern: keeps `(a{50}){50}` from being a page of states.
const PATTERN_COMPILED_BYTES_MAX: usize = 64 * 1024;

/// Names of Rhai's packages that are kept, by what they are for.
const STANDARD: &[&str] = &[
    "Fn call curry is_anonymous is_def_fn name print debug to_string to_debug type_of",
    "E PI abs acos acosh asin asinh atan atanh ceiling cos cosh exp floor fraction hypot int is_even is_finite",
    "is_infinite is_nan is_odd is_zero ln log max min parse_float parse_int range round sign sin sinh sqrt tan tanh",
    "to_binary to_degrees to_float to_hex to_int to_octal to_radians bits get_bit get_bits set_bit set_bits",
    "start end is_exclusive is_inclusive contains is_empty len clear get set index_of insert remove pop push pad crop",
    "append bytes chars ends_with starts_with make_lower make_upper to_lower to_upper split split_rev sub_string",
    "to_chars trim truncate all some filter find find_map map reduce reduce_rev for_each sort sort_by sort_desc order",
    "order_by order_desc dedup drain retain reverse shift splice extract chop zip keys values mixin fill_with",
];

/// Names of our own, and of those we replace.
const OURS: &str = "base64 duration find get hmac join json matches not parse_json pick replace same_as sh to_json url \
                    url_encode sleep timestamp exit";

/// Every name that can be called without a namespace: Rhai's and ours, without operators. `sleep`,
/// `timestamp` and `exit` are among them because their error says what to use instead.
pub fn known_functions() -> &'static BTreeSet<String> {
    static NAMES: OnceLock<BTreeSet<String>> = OnceLock::new();
    let words = || STANDARD.iter().chain([&OURS]).flat_map(|line| line.split_whitespace());
    NAMES.get_or_init(|| words().map(str::to_owned).collect())
}

/// Registers ours.
pub(super) fn register(module: &mut Module) {
    module.set_native_fn("not", |truth: bool| Ok(!truth));
    // Also as a function: `get(map, "key")`.
    module.set_native_fn("get", |map: &mut Map, key: &str| Ok(map.get(key).cloned().unwrap_or(Dynamic::UNIT)));
    module.set_native_fn("pick", |map: Map, names: rhai::Array| pick(map, names));
    module.set_native_fn("same_as", |a: Dynamic, b: Dynamic| same_as(a, b));
    module.set_native_fn("sh", |words: Dynamic| shell(words));
    module.set_native_fn("url", |text: &str| Url::checked(text));
    module.set_native_fn("url", |url: Url| Ok(url));
    module.set_native_fn("matches", |text: &str, pattern: &str| Ok(regex(pattern)?.is_match(text)));
    module.set_native_fn("find", |text: &str, pattern: &str| {
        Ok(regex(pattern)?.find(text).map_or(Dynamic::UNIT, |found| found.as_str().to_owned().into()))
    });
    module.set_native_fn("duration", |text: &str| duration_ms(text));

    module.set_native_fn("base64", |text: &str| Ok(secret::base64(text)));
    module.set_native_fn("url_encode", |text: &str| Ok(secret::url_encode(text)));
    module.set_native_fn("hmac", |key: &str, text: &str| Ok(secret::hmac_sha256_hex(key, text)));
    module.set_native_fn("base64", |secret: Secret| Ok(Secret(SecretText::Base64(Box::new(secret.0)))));
    module.set_native_fn("url_encode", |secret: Secret| Ok(Secret(SecretText::UrlEncode(Box::new(secret.0)))));
    module.set_native_fn("hmac", |key: Secret, text: &str| {
        Ok(Secret(SecretText::Hmac { key: Box::new(key.0), text: text.to_owned() }))
    });
    for name in ["json", "to_json"] {
        module.set_native_fn(name, |value: Dynamic| json(value));
        module.set_native_fn(name, |secret: Secret| Ok(Secret(SecretText::Json(Box::new(secret.0)))));
        // Rhai has its own for maps, and an exact match wins.
        module.set_native_fn(name, |map: Map| json(map.into()));
    }
    module.set_native_fn("parse_json", |text: &str| parse_json(text));

    // Rhai's own multiplies without a limit, and a limit checked afterwards is too late.
    module.set_native_fn("replace", |text: &mut ImmutableString, from: &str, to: &str| replace(text, from, to));
    module.set_native_fn("replace", |text: &mut ImmutableString, from: char, to: &str| {
        replace(text, from.encode_utf8(&mut [0; 4]), to)
    });
    module.set_native_fn("replace", |text: &mut ImmutableString, from: &str, to: char| {
        replace(text, from, to.encode_utf8(&mut [0; 4]))
    });
    module.set_native_fn("replace", |text: &mut ImmutableString, from: char, to: char| {
        replace(text, from.encode_utf8(&mut [0; 4]), to.encode_utf8(&mut [0; 4]))
    });

    for name in ["sleep", "timestamp", "exit"] {
        module.set_native_fn(name, move || elsewhere(name));
        module.set_native_fn(name, move |_: Dynamic| elsewhere(name));
    }
}

/// Says what to use in place of functions that a replayed script can't have.
fn elsewhere(name: &str) -> Result<(), Failure> {
    Err(failure(match name {
        "sleep" => "`sleep` would block the engine: use the step `time::sleep(#{ duration: \"30s\" })`",
        "timestamp" => "`timestamp` would differ on replay: use the step `time::now(#{})`",
        _ => "`exit` is not available: use `return`, or `throw` to fail",
    }))
}

fn replace(text: &mut ImmutableString, from: &str, to: &str) -> Result<(), Failure> {
    if from.is_empty() {
        return Err(failure("`replace` needs something to look for, not an empty string"));
    }
    let found = text.matches(from).count();
    let bytes = text.len() - found * from.len() + found * to.len();
    if bytes > limits::STRING_BYTES_MAX {
        return Err(too_long());
    }
    if found > 0 {
        *text = text.replace(from, to).into();
    }
    Ok(())
}

fn too_long() -> Failure {
    current::exceeded(format!("a string has more than {} KiB", limits::STRING_BYTES_MAX >> 10))
}

fn pick(mut map: Map, names: rhai::Array) -> Result<Map, Failure> {
    let mut picked = Map::new();
    for name in names {
        leaves::readable(&name, "`pick`")?;
        let Ok(name) = name.into_immutable_string() else {
            return Err(failure("`pick` takes a map and a list of keys, which are strings"));
        };
        match map.remove(name.as_str()) {
            Some(value) => picked.insert(name.as_str().into(), value),
            None if picked.contains_key(name.as_str()) => continue,
            None => {
                let known: Vec<&str> = map.keys().map(|key| key.as_str()).collect();
                return Err(failure(no_key(&known, &name)));
            }
        };
    }
    Ok(picked)
}

/// The sentence for a key that isn't there: names the nearest that is.
pub(super) fn no_key(known: &[&str], key: &str) -> String {
    /// More keys than this are not a help but a page.
    const LISTED_MAX: usize = 5;
    let nearest = known
        .iter()
        .map(|known| (strsim::damerau_levenshtein(known, key), known))
        .filter(|(distance, known)| *distance <= known.chars().count().max(3) / 2)
        .min();
    match nearest {
        Some((_, known)) => format!("no key `{key}`; there is `{known}`"),
        None if !known.is_empty() && known.len() <= LISTED_MAX => {
            let known: Vec<String> = known.iter().map(|known| format!("`{known}`")).collect();
            format!("no key `{key}`; there is {}", known.join(", "))
        }
        None => format!("no key `{key}`"),
    }
}

fn same_as(a: Dynamic, b: Dynamic) -> Result<bool, Failure> {
    let (left, right) = (convert::to_value(a.clone())?, convert::to_value(b.clone())?);
    if !left.has_secret() && !right.has_secret() {
        return operators::equal(&a, &b);
    }
    if let Some(unknown) = left.unknown().or(right.unknown()) {
        return Err(leaves::NotKnown(unknown.clone()).read());
    }
    same(&left, &right)
}

/// As `==`, but for secrets by what can be told of them without their texts.
fn same(left: &Value, right: &Value) -> Result<bool, Failure> {
    match (left, right) {
        (Value::Secret(left), Value::Secret(right)) => left.same(right).ok_or_else(|| {
            failure("these secrets can't be compared before they are resolved: use the step `secret::compare`")
        }),
        (Value::Secret(_), Value::Null) | (Value::Null, Value::Secret(_)) => Ok(false),
        (Value::Secret(secret), other) | (other, Value::Secret(secret)) => Err(failure(format!(
            "`same_as` compares secrets with each other, and {secret} stands against {}: use the step `secret::compare`",
            other.kind()
        ))),
        (Value::List(left), Value::List(right)) => same_in_order(left.iter(), right.iter()),
        (Value::Map(left), Value::Map(right)) => match left.keys().eq(right.keys()) {
            true => same_in_order(left.values(), right.values()),
            false => Ok(false),
        },
        (left, right) => operators::equal(&convert::to_dynamic(left.clone()), &convert::to_dynamic(right.clone())),
    }
}

fn same_in_order<'v>(
    left: impl ExactSizeIterator<Item = &'v Value>,
    right: impl ExactSizeIterator<Item = &'v Value>,
) -> Result<bool, Failure> {
    if left.len() != right.len() {
        return Ok(false);
    }
    for (left, right) in left.zip(right) {
        if current::progress() {
            return Err(current::terminated());
        }
        if !same(left, right)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn shell(words: Dynamic) -> Result<String, Failure> {
    leaves::readable_throughout(&words, "`sh`")?;
    let kind = operators::kind(&words);
    let Ok(words) = words.into_array() else {
        return Err(failure(format!("`sh` takes a list of words, not {kind}")));
    };
    let mut line = String::new();
    for (index, word) in words.iter().enumerate() {
        if !matches!(operators::kind(word), "string" | "int" | "float" | "bool" | "url") {
            return Err(failure(format!("`sh` takes strings and numbers, not {}", operators::kind(word))));
        }
        if index > 0 {
            line.push(' ');
        }
        line.push_str(&quoted(&lists::plain(word))?);
        if line.len() > limits::STRING_BYTES_MAX {
            return Err(too_long());
        }
    }
    Ok(line)
}

/// A word for a POSIX shell.
fn quoted(word: &str) -> Result<String, Failure> {
    if word.contains('\0') {
        return Err(failure("a word for a shell can't contain a zero byte"));
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return Ok(word.to_owned());
    }
    Ok(format!("'{}'", word.replace('\'', r"'\''")))
}

/// Functions whose last argument is a pattern.
pub const TAKE_A_PATTERN: [&str; 2] = ["matches", "find"];

/// Why a text is no pattern for [`TAKE_A_PATTERN`]; `None` if it is one.
pub fn pattern_fault(pattern: &str) -> Option<String> {
    regex(pattern).err().map(|failure| failure.to_string())
}

fn regex(pattern: &str) -> Result<regex_lite::Regex, Failure> {
    if pattern.len() > PATTERN_BYTES_MAX {
        return Err(failure(format!(
            "a pattern has at most {PATTERN_BYTES_MAX} bytes, this one has {}",
            pattern.len()
        )));
    }
    regex_lite::RegexBuilder::new(pattern)
        .size_limit(PATTERN_COMPILED_BYTES_MAX)
        .build()
        .map_err(|error| failure(format!("\"{pattern}\" is not a pattern: {error}")))
}

fn json(value: Dynamic) -> Result<String, Failure> {
    leaves::readable_throughout(&value, "`json` inside a list or map")?;
    let text = convert::to_value(value)?.to_plain().to_string();
    if text.len() > limits::STRING_BYTES_MAX {
        return Err(too_long());
    }
    Ok(text)
}

fn parse_json(text: &str) -> Result<Dynamic, Failure> {
    let parsed: serde_json::Value =
        serde_json::from_str(text).map_err(|error| failure(format!("not JSON: {error}")))?;
    let value = Value::from_data(&parsed);
    if value.depth() > limits::VALUE_DEPTH_MAX {
        return Err(current::exceeded(format!("a value is nested more than {} deep", limits::VALUE_DEPTH_MAX)));
    }
    Ok(convert::to_dynamic(value))
}

/// Reads `1m30s` as milliseconds.
fn duration_ms(text: &str) -> Result<i64, Failure> {
    let wrong = || failure(format!("expected a duration such as 30s or 1m30s, got \"{text}\""));
    let mut total: i64 = 0;
    let mut rest = text;
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let number: i64 = rest[..digits].parse().map_err(|_| wrong())?;
        rest = &rest[digits..];
        let letters = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_alphabetic()).len();
        let unit = match &rest[..letters] {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(wrong()),
        };
        rest = &rest[letters..];
        total = number.checked_mul(unit).and_then(|part| total.checked_add(part)).ok_or_else(wrong)?;
    }
    Ok(total)
}

#[cfg(test)]
mod tests;
