//! The routes of alerts: each proves its sender, keeps what was sent, and works through it afterwards.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::json;

use crate::runbook::hooks::Hook as Settings;
use crate::runs::{Delivery, ErrorKind, Runs, RunsError};
use crate::surfaces::alerts::prometheus::Told;
use crate::surfaces::alerts::proof::proven;
use crate::surfaces::alerts::{generic, pagerduty, prometheus, work};
use crate::surfaces::http::{Answer, Heard, Hook, Problem, Sent, Server};

/// A kind of sender.
pub struct Sender(&'static str);

pub const ALERTMANAGER: Sender = Sender("alertmanager");
pub const GRAFANA: Sender = Sender("grafana");
pub const PAGERDUTY: Sender = Sender("pagerduty");
/// Any other, by the name in its path.
pub const GENERIC: Sender = Sender("generic");

/// What stands between the name of a generic sender and that of its delivery.
const BETWEEN: char = '\n';

impl Hook for Sender {
    fn source(&self) -> &'static str {
        self.0
    }

    fn prove(&self, runs: &Runs, sent: &Sent) -> Result<Heard, Problem> {
        let source = match (self.0, sent.subject.as_deref()) {
            ("generic", Some(name)) => format!("generic/{name}"),
            (source, _) => source.to_owned(),
        };
        // One that nobody has named is told what a wrong proof is told.
        let Some(hook) = runs.project().settings.hooks.of(&source) else { return Err(unproven()) };
        let secret = runs.own_secret(&secret_name(&source), &hook.secret).map_err(|error| {
            tracing::warn!(%source, %error, "the secret of a hook can't be read");
            Problem::new(503, "what proves it can't be read here now").after(60)
        })?;
        let id = proven(&source, hook, &secret, sent).ok_or_else(unproven)?;
        let body = String::from_utf8(sent.body.clone()).map_err(|_| Problem::new(400, "the body is not UTF-8"))?;
        // What it says is read when it is worked through, and by then as it is kept; what is nothing at all is said at once.
        if serde_json::from_str::<serde::de::IgnoredAny>(&body).is_err() {
            return Err(Problem::new(400, "the body is no JSON"));
        }
        let answer = Answer::json(202, &json!({ "received": true }));
        let matters = matters(&source, hook, &body);
        Ok(match self.0 {
            "generic" => {
                let (id, body) = (format!("{source}:{id}"), format!("{source}{BETWEEN}{body}"));
                Heard::Keep { id, body, matters, answer }
            }
            _ => Heard::Keep { id, body, matters, answer },
        })
    }

    fn work(&self, server: &Arc<Server>, runs: &Arc<Runs>, delivery: &Delivery) -> Result<String, RunsError> {
        let (source, body) = match self.0 {
            "generic" => delivery.body.split_once(BETWEEN).unwrap_or(("generic", "")),
            source => (source, delivery.body.as_str()),
        };
        let Some(hook) = runs.project().settings.hooks.of(source) else {
            return Err(RunsError::new(ErrorKind::NotFound, format!("`{source}` is no hook any more")));
        };
        let told = alerts_of(source, Some(hook), body).map_err(|why| RunsError::new(ErrorKind::Usage, why))?;
        work::work(server, runs, hook, &told, delivery.received_at)
    }
}

/// What a sender says.
///
/// # Errors
/// Why it says nothing that can be read.
pub fn alerts_of(source: &str, hook: Option<&Settings>, body: &str) -> Result<Told, String> {
    match source {
        "alertmanager" | "grafana" => prometheus::read(source, body),
        "pagerduty" => pagerduty::read(source, body),
        other => match hook.and_then(|hook| hook.map.as_ref()) {
            Some(map) => generic::read(other, map, body),
            None => Err(format!("`{other}` has no mapping")),
        },
    }
}

/// What a message is about: the groups of its alerts, and of those without a group the alerts themselves. Of nothing, if it
/// can't be read: whoever works through it says why.
fn matters(source: &str, hook: &Settings, body: &str) -> BTreeSet<String> {
    let groups = match source {
        "alertmanager" | "grafana" => prometheus::group(body).map(|group| BTreeSet::from([group])),
        _ => None,
    };
    let about = groups.unwrap_or_else(|| {
        let told = alerts_of(source, Some(hook), body).unwrap_or_default();
        told.alerts.into_iter().map(|alert| alert.circle().to_owned()).collect()
    });
    about.into_iter().map(|about| format!("{source}{BETWEEN}{about}")).collect()
}

fn secret_name(source: &str) -> String {
    source.to_ascii_uppercase().replace(['/', '-'], "_")
}

/// The same for whatever is wrong.
fn unproven() -> Problem {
    Problem::new(401, "nothing proves who sent this")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runbook::hooks::Proof;
    use crate::runbook::mapping::Mapping;
    use crate::runbook::settings::{From, SecretSource};

    #[test]
    fn a_message_is_about_its_group_or_else_about_each_of_its_alerts() {
        let map = Some(Mapping::read(".[] | { id: . }").unwrap());
        let secret = SecretSource { from: From::Env { name: "X".into() }, hosts: Vec::new() };
        let hook = Settings { secret, proof: Proof::Bearer, user: None, acts_as: None, map, tell: Vec::new() };
        let of = |source: &str, body: &str| matters(source, &hook, body).into_iter().collect::<Vec<_>>();
        let alert = |name: &str| json!({ "status": "firing", "fingerprint": name });
        let two = json!([alert("a"), alert("b"), alert("a")]);
        let group = json!({ "groupKey": "g", "alerts": two }).to_string();
        assert_eq!(of("alertmanager", &group), ["alertmanager\ng"]);
        assert_eq!(of("grafana", &group), ["grafana\ng"]);
        for none in [
            json!({ "alerts": two }),
            json!({ "groupKey": "", "alerts": two }),
            json!({ "groupKey": null, "alerts": two }),
        ] {
            assert_eq!(of("alertmanager", &none.to_string()), ["alertmanager\na", "alertmanager\nb"], "{none}");
        }
        let event = |kind: &str| json!({ "event": { "event_type": kind, "data": { "id": "P1" } } }).to_string();
        assert_eq!(of("pagerduty", &event("incident.resolved")), ["pagerduty\nP1"]);
        assert_eq!(of("pagerduty", &event("incident.annotated")), [""; 0], "it says nothing");
        assert_eq!(of("generic/up", "[\"a\",\"b\"]"), ["generic/up\na", "generic/up\nb"]);
        for (source, bad) in [("alertmanager", "[]"), ("pagerduty", "{}"), ("generic/up", "[{}]"), ("generic/up", "3")]
        {
            let about = of(source, bad);
            assert!(about.is_empty(), "{source} {bad}: {about:?}");
        }
    }
}
