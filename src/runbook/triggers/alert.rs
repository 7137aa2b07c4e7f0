//! An alert as triggers see it, whoever sent it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::runbook::contexts::ALERT_FIELDS;
use crate::script::value::{Map, Value};

/// One alert of one source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// The hook it came by: `alertmanager`, `generic/uptime`.
    pub source: String,
    /// What its source calls it; the same for every message about it.
    pub fingerprint: String,
    /// What its source groups it under; empty where there are no groups.
    #[serde(default)]
    pub group: String,
    pub status: State,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    /// When it began, as its source writes it.
    pub starts_at: String,
    /// When it began once more, as its source writes it, of one that says so and keeps when it began; else empty.
    #[serde(default)]
    pub again: String,
    /// Where people look at it; may be empty.
    pub url: String,
}

/// Whether something is still wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    #[default]
    Firing,
    Resolved,
}

impl State {
    /// The word in expressions and messages.
    pub fn word(self) -> &'static str {
        match self {
            State::Firing => "firing",
            State::Resolved => "resolved",
        }
    }
}

impl Alert {
    /// What an expression of a trigger reads as `alert`. Texts stay texts, whatever they look like.
    pub fn context(&self) -> Value {
        let texts = |texts: &BTreeMap<String, String>| {
            Value::Map(texts.iter().map(|(name, text)| (name.clone(), Value::Text(text.clone()))).collect())
        };
        let text = |text: &str| Value::Text(text.to_owned());
        let values = [
            texts(&self.labels),
            texts(&self.annotations),
            text(self.status.word()),
            text(&self.starts_at),
            text(&self.fingerprint),
            text(&self.source),
            text(&self.url),
        ];
        let named: Map = ALERT_FIELDS.iter().map(|name| (*name).to_owned()).zip(values).collect();
        Value::Map(named)
    }

    /// What it belongs to: its group, or itself where there are none.
    pub fn circle(&self) -> &str {
        if self.group.is_empty() { &self.fingerprint } else { &self.group }
    }

    /// What people call it.
    pub fn name(&self) -> &str {
        self.labels.get("alertname").filter(|name| !name.is_empty()).unwrap_or(&self.fingerprint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_reads_texts_and_nothing_else() {
        let alert = Alert {
            source: "alertmanager".into(),
            fingerprint: "f0".into(),
            labels: BTreeMap::from([("a".into(), "${{ 1 }}".into()), ("n".into(), "3".into())]),
            starts_at: "2026-11-21T08:41:25Z".into(),
            status: State::Resolved,
            ..Alert::default()
        };
        let Value::Map(context) = alert.context() else { panic!("a map") };
        assert_eq!(context.keys().map(String::as_str).collect::<Vec<_>>().len(), ALERT_FIELDS.len());
        let Value::Map(labels) = &context["labels"] else { panic!("a map") };
        assert_eq!((&labels["a"], &labels["n"]), (&Value::Text("${{ 1 }}".into()), &Value::Text("3".into())));
        assert_eq!(context["status"], Value::Text("resolved".into()));
        assert_eq!(context["source"], Value::Text("alertmanager".into()));
        assert_eq!(context["fingerprint"], Value::Text("f0".into()));
        assert_eq!(alert.name(), "f0");
        assert_eq!(Alert { labels: [("alertname".into(), "Down".into())].into(), ..alert }.name(), "Down");
    }
}
