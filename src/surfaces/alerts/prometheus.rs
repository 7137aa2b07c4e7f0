//! What Alertmanager (webhook version 4) and Grafana (version 1, of the same family) send: groups of alerts.
//!
//! Fields that nobody here needs may be there or not, and of any form: senders add some with every release.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value as Json;

use crate::runbook::triggers::{Alert, State};

/// Alerts of one group that are looked at: beyond it the group is the trouble, and its first ones tell as much.
pub const ALERTS_MAX: usize = 1_000;

#[derive(Deserialize)]
struct Group {
    #[serde(default)]
    alerts: Vec<Json>,
    #[serde(default, rename = "groupKey")]
    group_key: Option<String>,
    #[serde(default)]
    status: Option<String>,
}

/// By which group a message is known, without looking at its alerts; nothing if that takes a closer look.
pub fn group(body: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Named {
        #[serde(rename = "groupKey")]
        group_key: String,
    }
    let named: Named = serde_json::from_str(body).ok()?;
    Some(named.group_key).filter(|key| !key.is_empty())
}

/// What one delivery says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Told {
    pub alerts: Vec<Alert>,
    /// Nothing of its group fires any more.
    pub over: bool,
    /// Alerts that can't be read, or are too many: told to whoever looks.
    pub left_out: usize,
}

/// Reads a group.
///
/// # Errors
/// If it is none.
pub fn read(source: &str, body: &str) -> Result<Told, String> {
    let no_group = |error: serde_json::Error| format!("it is no group of alerts: {error}");
    let json: Json = serde_json::from_str(body).map_err(no_group)?;
    if !json.is_object() {
        return Err("it is no group of alerts: it is no object".to_owned());
    }
    let group: Group = serde_json::from_value(json).map_err(no_group)?;
    let key = group.group_key.unwrap_or_default();
    let all = group.alerts.len();
    let read = group.alerts.iter().take(ALERTS_MAX).filter_map(|alert| one(source, &key, alert));
    let alerts: Vec<Alert> = read.collect();
    Ok(Told { over: group.status.as_deref() == Some("resolved"), left_out: all - alerts.len(), alerts })
}

fn one(source: &str, group: &str, alert: &Json) -> Option<Alert> {
    let status = match alert["status"].as_str()? {
        "firing" => State::Firing,
        "resolved" => State::Resolved,
        _ => return None,
    };
    let text = |name: &str| alert[name].as_str().unwrap_or_default().to_owned();
    let labels = texts(&alert["labels"]);
    let fingerprint = match text("fingerprint") {
        none if none.is_empty() => serde_json::to_string(&labels).ok()?,
        fingerprint => fingerprint,
    };
    Some(Alert {
        source: source.to_owned(),
        fingerprint,
        group: group.to_owned(),
        status,
        labels,
        annotations: texts(&alert["annotations"]),
        starts_at: text("startsAt"),
        again: String::new(),
        url: text("generatorURL"),
    })
}

/// Names to texts; what is neither text nor number is left out.
pub fn texts(json: &Json) -> BTreeMap<String, String> {
    let entries = json.as_object().into_iter().flatten();
    let text = |value: &Json| match value {
        Json::String(text) => Some(text.clone()),
        Json::Number(number) => Some(number.to_string()),
        Json::Bool(truth) => Some(truth.to_string()),
        Json::Null | Json::Array(_) | Json::Object(_) => None,
    };
    entries.filter_map(|(name, value)| Some((name.clone(), text(value)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn group(alerts: &Json) -> String {
        json!({ "version": "4", "status": "firing", "groupKey": "{}:{a=\"b\"}", "alerts": alerts, "truncatedAlerts": 3, "new": [1] })
            .to_string()
    }

    #[test]
    fn a_group_is_read_and_what_is_new_in_it_is_passed_over() {
        let told = read(
            "alertmanager",
            &group(&json!([
                { "status": "firing", "labels": { "alertname": "Down", "n": 3, "x": null }, "annotations": { "summary": "s" },
                  "startsAt": "2026-11-21T08:41:25.332Z", "fingerprint": "f1", "generatorURL": "http://p.example.com", "later": {} },
                { "status": "resolved", "labels": {}, "startsAt": "2026-11-21T08:00:00Z" },
            ])),
        )
        .unwrap();
        assert_eq!((told.alerts.len(), told.over, told.left_out), (2, false, 0));
        let alert = &told.alerts[0];
        assert_eq!((alert.name(), alert.group.as_str(), alert.labels["n"].as_str()), ("Down", "{}:{a=\"b\"}", "3"));
        assert_eq!(
            (alert.fingerprint.as_str(), alert.url.as_str(), alert.labels.len()),
            ("f1", "http://p.example.com", 2)
        );
        assert_eq!((told.alerts[1].status, told.alerts[1].fingerprint.as_str()), (State::Resolved, "{}"));
    }

    #[test]
    fn what_is_no_alert_is_left_out_and_told_and_what_is_no_group_refused() {
        let told =
            read("grafana", &group(&json!([1, {}, { "status": "odd" }, { "status": 3 }, { "status": "firing" }])))
                .unwrap();
        assert_eq!((told.alerts.len(), told.left_out), (1, 4));
        let many: Vec<Json> = (0..1001).map(|n| json!({ "status": "firing", "fingerprint": n.to_string() })).collect();
        let told = read("grafana", &group(&Json::Array(many))).unwrap();
        assert_eq!((told.alerts.len(), told.left_out), (1000, 1));
        for bad in ["", "[]", "3", "{\"alerts\": 3}", "{\"alerts\": [}", "{\"groupKey\": {}}"] {
            assert!(read("grafana", bad).is_err(), "{bad}");
        }
        assert!(read("grafana", "{}").unwrap().alerts.is_empty());
        assert!(read("grafana", "{\"status\": \"resolved\"}").unwrap().over);
    }
}
