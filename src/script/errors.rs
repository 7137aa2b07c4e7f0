//! Rhai's errors in the words of the language: no names of Rust types, the position in the snippet.

use std::collections::BTreeMap;

use rhai::{Dynamic, EvalAltResult, Map};

use crate::script::compile::{Code, Position};
use crate::script::sandbox::{Readable, ScriptError, ScriptErrorKind};
use crate::script::value::Value;
use crate::script::{analysis, convert, functions, limits, operators};

/// What an evaluation that failed with `error` reports.
pub(super) fn describe(code: &Code, contexts: &BTreeMap<&'static str, Readable>, error: EvalAltResult) -> ScriptError {
    let (error, position) = innermost(error);
    let position = position.map(|position| code.original(position));
    match error {
        EvalAltResult::ErrorPropertyNotFound(name, _) => {
            let neighbours = position.and_then(|position| neighbours(code, contexts, &name, position));
            let message = functions::no_key(neighbours.as_deref().unwrap_or(&[]), &name);
            ScriptError { kind: ScriptErrorKind::Error, message, position, thrown: None }
        }
        EvalAltResult::ErrorRuntime(thrown, _) => {
            let message = thrown_message(&thrown);
            let thrown = convert::to_value(thrown).ok();
            ScriptError { kind: ScriptErrorKind::Thrown, message, position, thrown }
        }
        error => {
            let (kind, message) = words(&error);
            ScriptError { kind, message, position, thrown: None }
        }
    }
}

/// The keys beside the one that `code` reads at `position` and that isn't there. Rhai doesn't say which
/// map it looked in; where it is a context, the code does.
fn neighbours<'a>(
    code: &Code,
    contexts: &'a BTreeMap<&'static str, Readable>,
    key: &str,
    position: Position,
) -> Option<Vec<&'a str>> {
    let (read, depth) = code.reads.iter().find_map(|read| {
        let depth = read.path.iter().position(|(name, at)| name == key && code.original(*at) == position)?;
        Some((read, depth))
    })?;
    let mut at = contexts.get(read.root.as_str())?;
    let mut walked = read.path[..depth].iter();
    let mut value = loop {
        match at {
            Readable::Value(value) => break value,
            Readable::Map(map) => match walked.next() {
                Some((key, _)) => at = map.get(key)?,
                None => return Some(map.keys().map(String::as_str).collect()),
            },
            Readable::Url(_) | Readable::Refused(_) => return None,
        }
    };
    for (key, _) in walked {
        value = value.get(key)?;
    }
    Some(value.as_map()?.keys().map(String::as_str).collect())
}

/// The position of the innermost frame that lies in the snippet itself.
pub(super) fn position(error: &EvalAltResult) -> Option<Position> {
    let mut error = error;
    let mut at = error.position();
    while let EvalAltResult::ErrorInFunctionCall(_, source, inner, position) = error {
        at = *position;
        if !source.is_empty() {
            break;
        }
        error = inner;
        if !error.position().is_none() {
            at = error.position();
        }
    }
    (!at.is_none()).then(|| analysis::at(at))
}

fn innermost(error: EvalAltResult) -> (EvalAltResult, Option<Position>) {
    let position = position(&error);
    let mut error = error;
    loop {
        match error {
            EvalAltResult::ErrorInFunctionCall(_, _, inner, _) | EvalAltResult::ErrorInModule(_, inner, _) => {
                error = *inner;
            }
            other => return (other, position),
        }
    }
}

/// Whether somewhere inside, the error names the type of unknown values.
pub(super) fn mentions(error: &EvalAltResult, is_it: fn(&str) -> bool) -> bool {
    match error {
        EvalAltResult::ErrorInFunctionCall(_, _, inner, _) | EvalAltResult::ErrorInModule(_, inner, _) => {
            mentions(inner, is_it)
        }
        EvalAltResult::ErrorRuntime(..) => false,
        other => is_it(&other.to_string()),
    }
}

fn thrown_message(thrown: &Dynamic) -> String {
    if let Some(map) = thrown.read_lock::<Map>()
        && let Some(message) = map.get("message")
        && message.is_string()
    {
        return message.to_string();
    }
    match convert::to_value(thrown.clone()) {
        Ok(Value::Null) => "thrown without a message".to_owned(),
        Ok(value) => value.to_string(),
        Err(_) => format!("thrown: {}", operators::kind(thrown)),
    }
}

fn words(error: &EvalAltResult) -> (ScriptErrorKind, String) {
    use EvalAltResult as E;
    let limit = |message: String| (ScriptErrorKind::Limit, message);
    let plain = |message: String| (ScriptErrorKind::Error, message);
    match error {
        E::ErrorStackOverflow(_) => {
            limit(format!("functions call each other more than {} deep", limits::CALL_DEPTH_MAX))
        }
        E::ErrorTooManyVariables(_) => limit(format!("more than {} variables are in use", limits::VARIABLES_MAX)),
        E::ErrorTooManyOperations(_) => limit(format!("it took more than {} operations", limits::OPERATIONS_MAX)),
        E::ErrorDataTooLarge(what, _) if what.contains("string") => {
            limit(format!("a string has more than {} KiB", limits::STRING_BYTES_MAX >> 10))
        }
        E::ErrorDataTooLarge(..) => limit(format!("a list or map has more than {} elements", limits::ELEMENTS_MAX)),
        E::ErrorFunctionNotFound(signature, _) => plain(no_function(signature)),
        E::ErrorMismatchDataType(expected, actual, _) | E::ErrorMismatchOutputType(expected, actual, _) => {
            plain(format!("expected {}, got {}", type_word(expected), type_word(actual)))
        }
        E::ErrorVariableNotFound(name, _) => plain(format!("unknown variable `{name}`")),
        E::ErrorModuleNotFound(path, _) => plain(format!("no module or action `{path}`")),
        E::ErrorArrayBounds(0, index, _) => plain(format!("no element {index}: the list is empty")),
        E::ErrorArrayBounds(length, index, _) => plain(format!("no element {index}: the list has {length}")),
        E::ErrorStringBounds(length, index, _) => plain(format!("no character {index}: the string has {length}")),
        E::ErrorBitFieldBounds(bits, index, _) => plain(format!("no bit {index}: an int has {bits}")),
        E::ErrorIndexingType(what, _) => {
            plain(format!("{} has no keys", type_word(what.split(" [").next().unwrap_or(what))))
        }
        E::ErrorDotExpr(message, _) => plain(reworded(message)),
        E::ErrorFor(_) => plain("`for` needs a list, a range or a string".to_owned()),
        E::ErrorAssignmentToConstant(name, _) => plain(format!("`{name}` can't be changed")),
        E::ErrorNonPureMethodCallOnConstant(name, _) => {
            plain(format!("`{name}` would change what can't be changed; copy it with `let` first"))
        }
        E::ErrorUnboundThis(_) => plain("`this` has no value here".to_owned()),
        E::ErrorDataRace(name, _) => plain(format!("`{name}` is already in use by the function that called this one")),
        E::ErrorParsing(kind, _) => plain(lower_first(&kind.to_string())),
        E::ErrorArithmetic(message, _) => plain(lower_first(message)),
        E::LoopBreak(..) => plain("`break` or `continue` outside of a loop".to_owned()),
        other => plain(reworded(&other.to_string())),
    }
}

/// `len (int)`: what Rhai says of a call no function fits.
fn no_function(signature: &str) -> String {
    let Some((name, args)) = signature.split_once(" (") else {
        return lower_first(&type_words(signature));
    };
    let args = args.trim_end_matches(')');
    let args: Vec<String> = split_types(args).iter().map(|arg| type_word(arg)).collect();
    if name.starts_with(analysis::ANONYMOUS) {
        return format!("this function doesn't take the arguments it is called with: {}", args.join(", "));
    }
    if let Some(property) = name.strip_prefix("get$") {
        return format!("{} has no `{property}`", args.first().map_or("it", String::as_str));
    }
    if name.chars().all(|c| c.is_ascii_punctuation() && c != '_') {
        return match args.as_slice() {
            [one] => format!("`{name}` can't be used with {one}"),
            _ => format!("`{name}` can't be used with {}", args.join(" and ")),
        };
    }
    match args.is_empty() {
        true => format!("no function `{name}` without arguments"),
        false => format!("no function `{name}` for {}", args.join(", ")),
    }
}

/// Splits at commas outside of `<…>`.
fn split_types(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut depth, mut start) = (0, 0);
    for (index, letter) in text.char_indices() {
        match letter {
            '<' => depth += 1,
            '>' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(text[start..index].trim());
                start = index + 1;
            }
            _ => {}
        }
    }
    let last = text[start..].trim();
    if !last.is_empty() {
        parts.push(last);
    }
    parts
}

/// One of Rhai's names of a type, in the language's words.
fn type_word(name: &str) -> String {
    let name = name.trim();
    let word = match name {
        "i64" | "INT" => "int",
        "f64" | "FLOAT" => "float",
        "array" | "Array" => "list",
        "Map" => "map",
        "Fn" | "FnPtr" | "Fn*" => "function",
        "char" => "string",
        "()" => "()",
        _ if name.contains("String") || name.contains("&str") => "string",
        _ if name.contains("range") || name.contains("Range") => "range",
        _ if name.contains("Dynamic") => "any value",
        // A path is a type of ours or Rhai's that no author knows.
        _ => return name.rsplit("::").next().unwrap_or(name).to_lowercase(),
    };
    word.to_owned()
}

/// Replaces names of types in a sentence.
fn type_words(text: &str) -> String {
    text.split(' ')
        .map(|word| {
            let bare = word.trim_matches(|c: char| "'(),:".contains(c));
            if matches!(bare, "i64" | "f64" | "array" | "Fn" | "char")
                || bare.contains("::")
                || bare == "ImmutableString"
            {
                word.replace(bare, &type_word(bare))
            } else {
                word.to_owned()
            }
        })
        .collect::<Vec<_>>()
        .join(" ")
}

/// The message of an error of the interpreter that a script caught; `None` for a thrown value.
pub(super) fn message_of_caught(error: &Dynamic) -> Option<String> {
    let map = error.read_lock::<Map>()?;
    // Rhai names the variant; a script would have to forge this to lose its own thrown map.
    let variant = map.get("error")?;
    if !variant.is_string() || !variant.to_string().starts_with("Error") {
        return None;
    }
    map.get("message").filter(|message| message.is_string()).map(Dynamic::to_string)
}

/// One of Rhai's sentences, in the words of the language.
pub(super) fn reworded(message: &str) -> String {
    if let Some(signature) = message.strip_prefix("Function not found: ") {
        return no_function(signature);
    }
    if let Some(name) = message.strip_prefix("Property not found: ") {
        return format!("no key `{name}`");
    }
    if let Some(rest) = message.strip_prefix("Unknown property '")
        && let Some((name, rest)) = rest.split_once('\'')
        && let Some((_, kind)) = rest.trim_end_matches('\'').rsplit_once('\'')
    {
        return format!("{} has no `{name}`", type_word(kind));
    }
    lower_first(&type_words(message))
}

/// As the text of an error starts.
pub(super) fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}
