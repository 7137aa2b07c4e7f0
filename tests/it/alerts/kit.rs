//! A served project that hears of alerts, and messages to send to it.

use serde_json::{Value as Json, json};

use crate::binary::kit::{Place, until};
use crate::serve::kit::{Reply, Served};

pub const TOKEN: &str = "obviously-fake-hook-token-0001";

/// Looks and changes nothing; takes what an alert says.
pub const LOOK: &str = "
triggers:
  - alert: { alertname: Down }
    inputs: { service: '${{ alert.labels.service }}' }
    incident: '${{ alert.labels.get(\"incident\") ?? \"\" }}'
inputs: { service: { type: string } }
steps:
  - uses: run.note
    with: { text: 'looked at ${{ inputs.service }}' }
";

/// A project with one operator, whose Alertmanager has a token.
pub fn place() -> Place {
    Place::new()
        .file("rerail.yaml", "version: 1\nhooks: { alertmanager: { secret: { from: env, name: HOOK_TOKEN } } }\n")
        .env("HOOK_TOKEN", TOKEN)
}

/// One alert of a group as Alertmanager sends it.
pub fn alert(status: &str, fingerprint: &str, since: &str, labels: &Json) -> Json {
    json!({
        "status": status, "labels": labels, "annotations": { "summary": "it is down" }, "startsAt": since,
        "endsAt": "0001-01-01T00:00:00Z", "generatorURL": "http://prometheus.example.com/g", "fingerprint": fingerprint,
    })
}

/// A group of them.
pub fn group(key: &str, status: &str, alerts: &[Json]) -> Json {
    json!({
        "receiver": "rerail", "status": status, "alerts": alerts, "groupLabels": {}, "commonLabels": {}, "version": "4",
        "commonAnnotations": {}, "externalURL": "http://alertmanager.example.com", "groupKey": key, "truncatedAlerts": 0,
    })
}

/// One alert that is a group by itself.
pub fn single(status: &str, fingerprint: &str, since: &str, labels: &Json) -> Json {
    group(fingerprint, status, &[alert(status, fingerprint, since, labels)])
}

pub fn send(server: &Served, body: &Json) -> Reply {
    let headers = [("content-type", "application/json")];
    server.tcp().bearer(TOKEN).send("POST", "/hooks/alertmanager", &headers, &body.to_string())
}

/// What `rerail triggers` says of alerts.
pub fn alerts(place: &Place) -> Vec<Json> {
    place.json(&["triggers"])["alerts"].as_array().unwrap().clone()
}

/// Waits until something was done about so many alerts.
pub fn until_done(place: &Place, count: usize) {
    until("all alerts are worked through", || {
        let alerts = alerts(place);
        alerts.len() == count && alerts.iter().all(|alert| alert["done"] != "beginning")
    });
}

/// All runs, newest first.
pub fn runs(place: &Place) -> Vec<Json> {
    place.json(&["runs"]).as_array().unwrap().clone()
}
