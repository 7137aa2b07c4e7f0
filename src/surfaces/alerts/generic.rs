//! What any other sender sends, made into alerts by the mapping of its hook.

use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value as Json;

use crate::runbook::mapping::Mapping;
use crate::runbook::triggers::{Alert, State};
use crate::surfaces::alerts::prometheus::{Told, texts};

/// How long a mapping may take: it is simple, and what is sent is small.
const MAPS_WITHIN: Duration = Duration::from_secs(2);
/// Stack of the thread it has: it goes down as deep as what is sent.
const STACK_BYTES: usize = 8 * 1024 * 1024;
/// What a mapping gives.
const FIELDS: [&str; 6] = ["id", "labels", "annotations", "status", "starts_at", "url"];

/// Makes alerts of a message.
///
/// # Errors
/// If it is no JSON, the mapping fails on it or takes too long, or what it gives is no alert.
pub fn read(source: &str, mapping: &Mapping, body: &str) -> Result<Told, String> {
    let values = mapped(mapping.clone(), body.to_owned())?;
    let alerts = values.iter().map(|value| alert(source, value)).collect::<Result<Vec<_>, _>>()?;
    let over = !alerts.is_empty() && alerts.iter().all(|alert| alert.status == State::Resolved);
    Ok(Told { alerts, over, left_out: 0 })
}

/// On a thread of its own: one that takes too long is left to its end, which it has, and nobody waits for it.
fn mapped(mapping: Mapping, body: String) -> Result<Vec<Json>, String> {
    let (tell, told) = sync_channel(1);
    let work = move || {
        tell.send(mapping.apply(&body)).ok();
    };
    let thread = std::thread::Builder::new().name("mapping".into()).stack_size(STACK_BYTES).spawn(work);
    thread.map_err(|error| format!("no thread for the mapping: {error}"))?;
    match told.recv_timeout(MAPS_WITHIN) {
        Ok(values) => values,
        Err(RecvTimeoutError::Timeout) => Err(format!("the mapping takes longer than {} s", MAPS_WITHIN.as_secs())),
        Err(RecvTimeoutError::Disconnected) => Err("the mapping ended in a panic; this is a bug".to_owned()),
    }
}

fn alert(source: &str, value: &Json) -> Result<Alert, String> {
    let given = value.as_object().ok_or_else(|| format!("the mapping gives {}, expected an object", kind(value)))?;
    if let Some(strange) = given.keys().find(|key| !FIELDS.contains(&key.as_str())) {
        return Err(format!("the mapping gives `{strange}`, expected {}", FIELDS.join(", ")));
    }
    let text = |name: &str| match &value[name] {
        Json::String(text) => Ok(text.clone()),
        Json::Number(number) => Ok(number.to_string()),
        Json::Null => Ok(String::new()),
        other => Err(format!("the mapping gives {} for `{name}`, expected text", kind(other))),
    };
    let fingerprint = text("id")?;
    if fingerprint.is_empty() {
        return Err("the mapping gives no `id`, by which an alert is known when it comes again".to_owned());
    }
    for name in ["labels", "annotations"] {
        if !matches!(value[name], Json::Object(_) | Json::Null) {
            return Err(format!("the mapping gives {} for `{name}`, expected an object", kind(&value[name])));
        }
    }
    let status = match text("status")?.as_str() {
        "firing" | "" => State::Firing,
        "resolved" => State::Resolved,
        other => return Err(format!("the mapping gives {other:?} for `status`, expected firing or resolved")),
    };
    Ok(Alert {
        source: source.to_owned(),
        fingerprint,
        group: String::new(),
        status,
        labels: texts(&value["labels"]),
        annotations: texts(&value["annotations"]),
        starts_at: starts_at(&value["starts_at"], text("starts_at")?),
        again: String::new(),
        url: text("url")?,
    })
}

/// Seconds since 1970 are a moment too.
fn starts_at(json: &Json, text: String) -> String {
    let seconds = json.as_i64().and_then(|seconds| Timestamp::from_second(seconds).ok());
    seconds.map_or(text, |at| at.to_string())
}

fn kind(value: &Json) -> &'static str {
    match value {
        Json::Null => "nothing",
        Json::Bool(_) => "true or false",
        Json::Number(_) => "a number",
        Json::String(_) => "text",
        Json::Array(_) => "a list",
        Json::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(filter: &str, body: &str) -> Result<Told, String> {
        read("generic/up", &Mapping::read(filter).unwrap(), body)
    }

    #[test]
    fn what_the_mapping_gives_is_an_alert() {
        let read = told(
            "{ id: .id, labels: { service: .svc, code: .code }, status: .state, starts_at: .at, url: .link }",
            r#"{"id":7,"svc":"api","code":503,"state":"firing","at":1795250485,"link":"https://up.example.com/7"}"#,
        )
        .unwrap();
        let alert = &read.alerts[0];
        assert_eq!((alert.fingerprint.as_str(), alert.labels["code"].as_str()), ("7", "503"));
        assert_eq!((alert.starts_at.as_str(), alert.source.as_str()), ("2026-11-21T08:41:25Z", "generic/up"));
        assert!(!read.over && told("empty", "{}").unwrap().alerts.is_empty());
        assert!(told("{ id: \"a\", status: \"resolved\" }", "{}").unwrap().over);
        assert_eq!(told(".[] | { id: . }", "[\"a\",\"b\"]").unwrap().alerts.len(), 2);
    }

    #[test]
    fn what_is_none_says_why() {
        for (filter, body, says) in [
            (".", "{", "it is no JSON"),
            (".", "[]", "gives a list"),
            ("{}", "{}", "gives no `id`"),
            ("{ id: [] }", "{}", "a list for `id`"),
            ("{ id: 1, labels: [] }", "{}", "a list for `labels`"),
            ("{ id: 1, status: \"down\" }", "{}", "\"down\" for `status`"),
            ("{ id: 1, severity: 3 }", "{}", "gives `severity`"),
            (".a.b.c", "{\"a\": 3}", "the filter fails"),
        ] {
            let error = told(filter, body).unwrap_err();
            assert!(error.contains(says), "{filter}: {error}");
        }
    }

    #[test]
    fn a_mapping_that_takes_too_long_is_left() {
        let lists = format!("[{}1]", "1,".repeat(400));
        let began = std::time::Instant::now();
        let error = told("[.[] as $a | .[] as $b | .[] | select(. == $a + $b)] | length", &lists).unwrap_err();
        assert!(error.contains("longer than 2 s") && began.elapsed() < Duration::from_secs(20), "{error}");
    }
}
