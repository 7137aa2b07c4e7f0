//! One event as one line of JSON, for machines: `export --format jsonl` and `run -o jsonl`.
//!
//! A line is the stored line with fields added at its end, so that the stored bytes, and with them the
//! hash chain, can be had back by cutting at `,"run":` or `,"prev":`. Fields are only ever added.

use serde_json::json;

use crate::engine::event::{Body, Event};
use crate::engine::ids::RunId;

/// The links of one line to the chain of its run.
#[derive(Clone, Copy, Debug)]
pub struct Links<'a> {
    /// Hash of the line before; nothing at the first.
    pub prev: Option<&'a str>,
    pub hash: &'a str,
}

/// An event that is not read back from a store.
pub fn event(event: &Event, run: RunId) -> String {
    let stored = serde_json::to_string(event).expect("an event has text keys only and nothing else fails");
    line(&stored, run, matches!(event.body, Body::RunStarted(_)), None)
}

/// A stored line, its run and its place in the chain. The first event names its run by itself.
pub fn line(stored: &str, run: RunId, names_its_run: bool, links: Option<Links>) -> String {
    let Some(open) = stored.trim_end().strip_suffix('}') else { return stored.to_owned() };
    let mut line = open.to_owned();
    if !names_its_run {
        line.push_str(&format!(",\"run\":{}", json!(run.uuid())));
    }
    if let Some(links) = links {
        line.push_str(&format!(",\"prev\":{},\"hash\":{}", json!(links.prev), json!(links.hash)));
    }
    line.push('}');
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::event::EVENT_VERSION;
    use crate::transcript::story::{RUN, run_id, started};

    #[test]
    fn a_line_has_the_common_fields_and_the_stored_bytes_in_front() {
        let note = Body::Note { text: "a \"quoted\"\nline".into(), actor: None, step: None };
        let event = Event { v: EVENT_VERSION, seq: 4, ts: "2026-11-21T14:03:02.113Z".parse().unwrap(), body: note };
        let stored = serde_json::to_string(&event).unwrap();
        let line = line(&stored, run_id(), false, Some(Links { prev: Some("aa"), hash: "bb" }));
        assert!(line.starts_with(stored.strip_suffix('}').unwrap()));
        let json: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(json["v"], 1);
        assert_eq!(json["seq"], 4);
        assert_eq!(json["ts"], "2026-11-21T14:03:02.113Z");
        assert_eq!(json["type"], "note");
        assert_eq!(json["run"], RUN);
        assert_eq!((&json["prev"], &json["hash"]), (&json!("aa"), &json!("bb")));
        assert!(!line.contains('\n'));
    }

    #[test]
    fn the_first_line_names_its_run_once() {
        let line = event(&started(), run_id());
        assert_eq!(line.matches("\"run\":").count(), 1);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&line).unwrap()["run"], RUN);
    }
}
