//! Short words for times, sizes, values, arguments and outputs.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::engine::outcome::Failure;
use crate::runbook::model::Level;
use crate::script::value::{Map, Value};
use crate::transcript::escape;

/// Characters of one value on a line; the whole is in the journal.
const VALUE_CHARS_MAX: usize = 60;
/// Outputs named on a line.
const OUTPUTS_MAX: usize = 4;
/// Characters of a main argument: a long URL must not push the result off the screen.
const SUBJECT_CHARS_MAX: usize = 72;

/// `40ms`, `1.2s`, `4m12s`, `2h03m`.
pub fn duration(ms: u64) -> String {
    let seconds = ms / 1000;
    match ms {
        0 => "0s".to_owned(),
        1..1_000 => format!("{ms}ms"),
        1_000..60_000 => format!("{}.{}s", seconds, ms % 1000 / 100),
        60_000..3_600_000 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
    }
}

/// `0:07`, `1:22`, `10:00`, `1:02:03`: a time that runs, or the one it runs towards.
pub fn stopwatch(ms: u64) -> String {
    let seconds = ms / 1000;
    match seconds {
        0..3600 => format!("{}:{:02}", seconds / 60, seconds % 60),
        _ => format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60),
    }
}

/// Time between two moments; nothing if the clock went back.
pub fn between(from: Timestamp, to: Timestamp) -> u64 {
    u64::try_from(to.as_millisecond() - from.as_millisecond()).unwrap_or(0)
}

/// `14:03:02Z`
pub fn clock(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%H:%M:%SZ").to_string()
}

/// `2026-11-21 14:03:02Z`
pub fn date_time(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// `512 bytes`, `1.2 kB`, `3.4 MB`.
pub fn bytes(count: u64) -> String {
    match count {
        0..1_000 => format!("{count} bytes"),
        1_000..1_000_000 => format!("{}.{} kB", count / 1_000, count % 1_000 / 100),
        _ => format!("{}.{} MB", count / 1_000_000, count % 1_000_000 / 100_000),
    }
}

/// The text, or its beginning with its whole length in characters.
pub fn shorten(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        None => text.to_owned(),
        Some((cut, _)) => format!("{}… ({} characters)", &text[..cut], text.chars().count()),
    }
}

/// A value as a few words.
pub fn value(value: &Value) -> String {
    let text = match value {
        Value::Null => "()".to_owned(),
        Value::Text(text) => text.clone(),
        other => other.to_string(),
    };
    shorten(&text, VALUE_CHARS_MAX)
}

/// A value whole, as it would be typed: text in quotes.
pub fn quoted(value: &Value) -> String {
    match value {
        Value::Null => "()".to_owned(),
        Value::Text(text) => format!("{:?}", shorten(text, 200)),
        other => shorten(&other.to_string(), 200),
    }
}

/// The level of a finding.
pub fn level(level: Level) -> &'static str {
    match level {
        Level::Ok => "ok",
        Level::Info => "info",
        Level::Warning => "warning",
        Level::Critical => "critical",
    }
}

/// `1 write`, `2 writes`.
pub fn count(n: usize, one: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {one}s") }
}

/// The argument that tells one call of an action from another.
pub fn subject(uses: &str, with: &Map) -> String {
    let text = |name: &str| with.get(name).filter(|value| **value != Value::Null).map(Value::to_string);
    let subject = match uses {
        "http.probe" | "http.request" => {
            let method = text("method").filter(|method| method != "GET");
            [method, text("url")].into_iter().flatten().collect::<Vec<_>>().join(" ")
        }
        "tcp.connect" | "tls.inspect" => {
            let port = text("port").map(|port| format!(":{port}"));
            format!("{}{}", text("host").unwrap_or_default(), port.unwrap_or_default())
        }
        "dns.resolve" => {
            let record = text("type").filter(|record| record != "A");
            [record, text("name")].into_iter().flatten().collect::<Vec<_>>().join(" ")
        }
        "human.ask" | "run.note" => text("text").unwrap_or_default(),
        "run.fail" | "run.finish" => text("message").unwrap_or_default(),
        "file.read" | "file.write" => text("path").unwrap_or_default(),
        "time.sleep" => text("duration").unwrap_or_default(),
        _ => first_scalar(with),
    };
    shorten(&subject, SUBJECT_CHARS_MAX)
}

/// For actions nobody knows here: the first argument that is one word.
fn first_scalar(with: &Map) -> String {
    let scalar = |value: &&Value| matches!(value, Value::Text(_) | Value::Int(_) | Value::Bool(_));
    with.values().find(scalar).map(Value::to_string).unwrap_or_default()
}

/// What came out of a call, in a few words.
pub fn result(uses: &str, outputs: &Value) -> String {
    let Value::Map(map) = outputs else {
        return match outputs {
            Value::Null => String::new(),
            Value::List(items) => count(items.len(), "item"),
            other => value(other),
        };
    };
    let said = |name: &str| map.get(name).filter(|value| **value != Value::Null);
    let text = |name: &str| said(name).map(value);
    let number = |name: &str| match said(name) {
        Some(Value::Int(n)) => u64::try_from(*n).ok(),
        _ => None,
    };
    match uses {
        "http.probe" | "http.request" => match (text("status"), said("error")) {
            (Some(status), _) => status,
            (None, Some(error)) => trouble(error),
            (None, None) => named(map),
        },
        "tcp.connect" => match said("error") {
            Some(error) => trouble(error),
            None => "open".to_owned(),
        },
        "tls.inspect" => match (text("days_left"), said("error")) {
            (Some(days), error) => {
                let trouble = error.map(|error| format!(", {}", trouble(error)));
                format!("{days} days left{}", trouble.unwrap_or_default())
            }
            (None, Some(error)) => trouble(error),
            (None, None) => named(map),
        },
        "dns.resolve" => match said("addresses").or_else(|| said("records")) {
            Some(Value::List(items)) if items.is_empty() => "no such record".to_owned(),
            Some(Value::List(items)) => {
                let shown: Vec<String> = items.iter().take(3).map(value).collect();
                let more = items.len().saturating_sub(3);
                format!("{}{}", shown.join(" "), if more > 0 { format!(" and {more} more") } else { String::new() })
            }
            _ => named(map),
        },
        "file.read" | "file.write" => match number("size").or_else(|| number("bytes")) {
            Some(size) => bytes(size),
            None => named(map),
        },
        "human.ask" => {
            let by = text("by").map(|by| format!(" by {by}"));
            format!("{}{}", text("answer").unwrap_or_default(), by.unwrap_or_default())
        }
        "time.now" => text("iso").unwrap_or_default(),
        _ => named(map),
    }
}

/// `{kind, message}`, as outputs of probes have it.
fn trouble(error: &Value) -> String {
    error.get("message").or_else(|| error.get("kind")).map_or_else(|| value(error), value)
}

/// `copy 6, nowhere 0`: lists and maps by their length.
fn named(map: &Map) -> String {
    let word = |item: &Value| match item {
        Value::List(items) => items.len().to_string(),
        Value::Map(entries) => format!("{{{}}}", entries.len()),
        other => shorten(&value(other), 24),
    };
    let mut shown: Vec<String> =
        map.iter().take(OUTPUTS_MAX).map(|(key, item)| format!("{} {}", shorten(key, 24), word(item))).collect();
    if map.len() > OUTPUTS_MAX {
        shown.push(format!("{} more", map.len() - OUTPUTS_MAX));
    }
    shown.join(", ")
}

/// The values an expression read, as one line each: `inputs.url = "https://…"`.
pub fn values(values: &Map) -> Vec<String> {
    values.iter().map(|(path, read)| format!("{path} = {}", quoted(read))).collect()
}

/// A failure as one sentence.
pub fn failure(failure: &Failure) -> String {
    let retry = failure.retry_after_s.map(|s| format!(" (asked to wait {s} s)"));
    format!("{}{}", failure.message, retry.unwrap_or_default())
}

/// `-i key=value` for each input that can be typed; a secret is never given by value.
pub fn inputs(with: &Map) -> String {
    let mut words = String::new();
    for (key, given) in with.iter().filter(|(_, given)| !given.has_secret() && given.unknown().is_none()) {
        let text = match given {
            Value::Null => continue,
            Value::Text(text) => text.clone(),
            other => other.to_plain().to_string(),
        };
        words.push_str(&format!(" -i {}", escape::shell(&format!("{key}={text}"))));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(json: serde_json::Value) -> Map {
        Value::from_data(&json).as_map().cloned().unwrap()
    }

    #[test]
    fn durations_read_like_a_clock() {
        let shown: Vec<String> = [0, 40, 1_249, 59_999, 252_000, 7_380_000].into_iter().map(duration).collect();
        assert_eq!(shown, ["0s", "40ms", "1.2s", "59.9s", "4m12s", "2h03m"]);
    }

    #[test]
    fn a_running_time_reads_like_a_stopwatch() {
        let shown: Vec<String> = [0, 999, 7_000, 82_400, 600_000, 3_723_000].into_iter().map(stopwatch).collect();
        assert_eq!(shown, ["0:00", "0:00", "0:07", "1:22", "10:00", "1:02:03"]);
    }

    #[test]
    fn a_cut_value_states_its_whole_length() {
        assert_eq!(shorten("ééé", 3), "ééé");
        assert_eq!(shorten("éééé", 3), "ééé… (4 characters)");
    }

    #[test]
    fn results_speak_the_words_of_their_action() {
        use serde_json::json;
        let cases = [
            ("http.probe", json!({"ok": true, "status": 200, "ms": 40, "error": null}), "200"),
            ("http.probe", json!({"ok": false, "status": null, "error": {"message": "no route"}}), "no route"),
            ("dns.resolve", json!({"addresses": []}), "no such record"),
            ("dns.resolve", json!({"addresses": ["a", "b", "c", "d"]}), "a b c and 1 more"),
            ("tls.inspect", json!({"days_left": -3, "error": {"message": "expired"}}), "-3 days left, expired"),
            ("human.ask", json!({"answer": "safe", "by": "ana"}), "safe by ana"),
            ("file.write", json!({"bytes": 12}), "12 bytes"),
            ("script", json!({"copy": [1, 2], "nowhere": [], "ok": true}), "copy 2, nowhere 0, ok true"),
        ];
        for (uses, outputs, expected) in cases {
            assert_eq!(result(uses, &Value::from_data(&outputs)), expected);
        }
    }

    #[test]
    fn subjects_tell_calls_apart() {
        let with = map(serde_json::json!({"method": "POST", "url": "https://a.test/x"}));
        assert_eq!(subject("http.request", &with), "POST https://a.test/x");
        assert_eq!(subject("railway.redeploy", &map(serde_json::json!({"names": [], "service": "api"}))), "api");
    }

    #[test]
    fn suggested_inputs_are_words_of_a_shell_and_never_secrets() {
        let mut with = map(serde_json::json!({"a": "x; rm -rf /", "b": ["p", "q"], "c": null}));
        with.insert("t".into(), Value::Secret(crate::script::secret::SecretText::named("TOKEN")));
        assert_eq!(inputs(&with), r#" -i 'a=x; rm -rf /' -i 'b=["p","q"]'"#);
    }
}
