//! Samples of signed requests, judged at the moment they were received.

use std::path::PathBuf;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use rerail::project::Project;
use rerail::redact::Redactor;
use rerail::runs::Runs;
use rerail::surfaces::alerts::{ALERTMANAGER, GENERIC, GRAFANA, PAGERDUTY, alerts_of};
use rerail::surfaces::http::{Heard, Hook, Sent};
use serde_json::Value as Json;

use crate::services::skipped;

fn samples() -> Option<PathBuf> {
    let Some(contracts) = std::env::var_os("RERAIL_CONTRACTS") else {
        skipped("RERAIL_CONTRACTS is not set, samples of signed requests were NOT judged");
        return None;
    };
    Some(PathBuf::from(contracts).join("samples"))
}

fn sent(vector: &Json, subject: Option<&str>) -> Sent {
    let mut headers = HeaderMap::new();
    for (name, value) in vector["headers"].as_object().unwrap() {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        headers.append(name, HeaderValue::from_str(value.as_str().unwrap()).unwrap());
    }
    Sent {
        headers,
        subject: subject.map(str::to_owned),
        query: None,
        body: vector["body"].as_str().unwrap().as_bytes().to_vec(),
        at: Timestamp::from_second(vector["received_at"].as_i64().unwrap()).unwrap(),
    }
}

#[test]
fn of_the_signed_samples_none_is_taken_or_refused_wrongly() {
    let Some(samples) = samples() else { return };
    let text = std::fs::read_to_string(samples.join("signed-requests.json")).unwrap();
    let vectors: Json = serde_json::from_str(&text).unwrap();
    let mut judged = 0;
    for vector in vectors["vectors"].as_array().unwrap() {
        let (hook, subject): (&dyn Hook, _) = match vector["scheme"].as_str().unwrap() {
            "pagerduty-v1" => (&PAGERDUTY, None),
            "svix-v1" => (&GENERIC, Some("mail")),
            _ => continue,
        };
        let dir = tempfile::tempdir().unwrap();
        let secret = "{ from: file, path: secret }";
        std::fs::write(dir.path().join("secret"), vector["key"].as_str().unwrap()).unwrap();
        std::fs::write(
            dir.path().join("rerail.yaml"),
            format!(
                "version: 1\nhooks:\n  pagerduty: {{ secret: {secret} }}\n  generic: {{ mail: {{ secret: {secret}, proof: standard, map: . }} }}\n"
            ),
        )
        .unwrap();
        let runs = Runs::open(dir.path().join("state"), Project::open(dir.path()).unwrap(), Redactor::new());
        let heard = hook.prove(&runs, &sent(vector, subject));
        let accepted = matches!(heard, Ok(Heard::Keep { .. }));
        assert_eq!(accepted, vector["expect"] == "accept", "{}: {heard:?}", vector["name"]);
        if let Err(problem) = heard {
            assert_eq!(problem.status, 401, "{}", vector["name"]);
        }
        judged += 1;
    }
    assert!(judged >= 6, "{judged}");
}

#[test]
fn the_samples_of_alerts_are_read() {
    let Some(samples) = samples() else { return };
    let read = |source: &str, name: &str| {
        let body = std::fs::read_to_string(samples.join(name)).unwrap();
        alerts_of(source, None, &body).unwrap()
    };
    let firing = read("alertmanager", "alertmanager-firing.json");
    let resolved = read("alertmanager", "alertmanager-resolved.json");
    assert_eq!((firing.alerts.len(), firing.over, resolved.over), (1, false, true));
    assert_eq!(firing.alerts[0].labels["service"], "steady-otter");
    assert_eq!(firing.alerts[0].fingerprint, resolved.alerts[0].fingerprint);
    let grafana = read("grafana", "grafana-firing.json");
    assert_eq!((grafana.alerts[0].name(), grafana.alerts[0].group.as_str()), ("High error rate", "{}:{}"));
}

#[test]
fn a_hook_that_nobody_has_named_answers_as_one_with_a_wrong_proof() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("rerail.yaml"), "version: 1\n").unwrap();
    let runs = Runs::open(dir.path().join("state"), Project::open(dir.path()).unwrap(), Redactor::new());
    let hooks: [(&dyn Hook, Option<&str>); 5] =
        [(&ALERTMANAGER, None), (&GRAFANA, None), (&PAGERDUTY, None), (&GENERIC, Some("x")), (&GENERIC, None)];
    for (hook, subject) in hooks {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", HeaderValue::from_static("Bearer obviously-fake"));
        let subject = subject.map(str::to_owned);
        let sent = Sent { headers, subject, query: None, body: b"{}".to_vec(), at: Timestamp::now() };
        assert_eq!(hook.prove(&runs, &sent).unwrap_err().status, 401, "{}", hook.source());
    }
}
