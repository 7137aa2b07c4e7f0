//! What PagerDuty sends (webhooks version 3): one event of an incident.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::runbook::triggers::{Alert, State};
use crate::surfaces::alerts::prometheus::Told;

/// Events after which something is wrong.
const FIRES: [&str; 4] = ["incident.triggered", REOPENS, "incident.escalated", "incident.priority_updated"];
/// The event after which it is wrong once more: one incident, with the beginning that it had.
const REOPENS: &str = "incident.reopened";
/// The event after which nothing is any more.
const RESOLVES: &str = "incident.resolved";

/// Reads an event. One that says neither that something is wrong nor that it is over says nothing.
///
/// # Errors
/// If it is none.
pub fn read(source: &str, body: &str) -> Result<Told, String> {
    let whole: Json = serde_json::from_str(body).map_err(|error| format!("it is no event: {error}"))?;
    let event = &whole["event"];
    let kind = event["event_type"].as_str().ok_or("it is no event: it has no `event.event_type`")?;
    let status = match kind {
        RESOLVES => State::Resolved,
        kind if FIRES.contains(&kind) => State::Firing,
        _ => return Ok(Told::default()),
    };
    let data = &event["data"];
    let text = |json: &Json| json.as_str().map(str::to_owned).filter(|text| !text.is_empty());
    let id = text(&data["id"]).ok_or("it is no event of an incident: it has no `event.data.id`")?;
    let labels = [
        ("alertname", text(&data["incident_key"]).or_else(|| text(&data["title"]))),
        ("title", text(&data["title"])),
        ("service", text(&data["service"]["summary"])),
        ("urgency", text(&data["urgency"])),
        ("priority", text(&data["priority"]["summary"])),
        ("incident", data["number"].as_u64().map(|number| number.to_string())),
    ];
    let named = labels.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text?)));
    let labels: BTreeMap<String, String> = named.collect();
    // Of another event of the same incident the moment differs, and its beginning doesn't.
    let starts_at = text(&data["created_at"]).unwrap_or_default();
    // The same when this event is sent again, and another one for the next reopening.
    let moment = || text(&event["occurred_at"]).or_else(|| text(&event["id"])).unwrap_or_else(|| kind.to_owned());
    let again = if kind == REOPENS { moment() } else { String::new() };
    let alert = Alert {
        source: source.to_owned(),
        fingerprint: id,
        group: String::new(),
        status,
        annotations: text(&data["title"]).map(|title| ("summary".to_owned(), title)).into_iter().collect(),
        labels,
        starts_at,
        again,
        url: text(&data["html_url"]).unwrap_or_default(),
    };
    Ok(Told { over: status == State::Resolved, alerts: vec![alert], left_out: 0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn event(kind: &str) -> String {
        json!({ "event": { "event_type": kind, "occurred_at": "2026-11-21T09:00:00Z", "data": {
            "id": "P1", "number": 42, "incident_key": "backend-down", "title": "Backend down — 502", "urgency": "high",
            "service": { "summary": "steady-otter" }, "html_url": "https://pd.example.com/P1", "created_at": "2026-11-21T08:41:25Z",
        } } })
        .to_string()
    }

    #[test]
    fn an_incident_is_an_alert_from_its_beginning_to_its_end() {
        let told = read("pagerduty", &event("incident.triggered")).unwrap();
        let alert = &told.alerts[0];
        assert_eq!((alert.name(), alert.fingerprint.as_str(), alert.status), ("backend-down", "P1", State::Firing));
        assert_eq!((alert.labels["service"].as_str(), alert.labels["incident"].as_str()), ("steady-otter", "42"));
        let again = read("pagerduty", &event("incident.escalated")).unwrap();
        assert_eq!(again.alerts[0].starts_at, alert.starts_at, "the same incident");
        let reopened = read("pagerduty", &event("incident.reopened")).unwrap().alerts.remove(0);
        assert_eq!((&reopened.starts_at, reopened.status), (&alert.starts_at, State::Firing), "the same incident");
        assert_eq!((alert.again.as_str(), again.alerts[0].again.as_str()), ("", ""));
        assert_eq!(reopened.again, "2026-11-21T09:00:00Z");
        let over = read("pagerduty", &event("incident.resolved")).unwrap();
        assert!(over.over && over.alerts[0].status == State::Resolved);
    }

    #[test]
    fn other_events_say_nothing_and_what_is_none_is_refused() {
        for kind in ["incident.acknowledged", "pagey.ping", "service.updated", "incident.annotated"] {
            assert_eq!(read("pagerduty", &event(kind)).unwrap(), Told::default(), "{kind}");
        }
        for bad in ["", "{}", "[]", "{\"event\": 3}", "{\"event\":{\"event_type\":\"incident.triggered\"}}"] {
            assert!(read("pagerduty", bad).is_err(), "{bad}");
        }
    }
}
