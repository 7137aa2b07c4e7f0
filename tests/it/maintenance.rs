//! `maintenance-weekly`: a world from a table for each finding, and one real round on loopback.

use rerail::engine::outcome::{Attempt, RunOutcome};
use rerail::runbook::model::Level;
use rerail::script::value::Value;
use serde_json::{Value as Json, json};

use crate::runbooks::{Place, ended, levels, outcome, output};
use crate::scenario::Scenario;
use crate::servers::{Http, healthy};

fn done(outputs: Json) -> Attempt {
    Attempt::done(Value::from_data(&outputs))
}

fn certificate(days_left: i64) -> Attempt {
    let error = (days_left < 0).then(|| json!({ "kind": "tls", "message": "the certificate expired" }));
    done(json!({ "ok": days_left >= 0, "days_left": days_left, "hostname_ok": true, "error": error }))
}

fn answer(status: i64, ms: i64, word: &str) -> Attempt {
    let headers = json!({
        "content-security-policy": "default-src 'self'", "strict-transport-security": "max-age=31536000",
        "x-content-type-options": "nosniff", "x-frame-options": "DENY",
    });
    let ok = status == 200;
    done(
        json!({ "ok": ok, "status": status, "ms": ms, "json": { "status": word }, "text": "", "headers": headers, "error": null }),
    )
}

/// A backend and two further hosts in order, but for what differs.
fn place(differs: &[(&str, Attempt)]) -> Scenario {
    let mut scenario = Scenario::shipped("maintenance-weekly", include_str!("../../runbooks/maintenance-weekly.yaml"))
        .input("base_url", "https://api.example.com")
        .input("hosts", Value::List(vec!["www.example.com".into(), "app.example.com".into()]));
    let well = [
        ("dns.resolve", done(json!({ "addresses": ["192.0.2.7"], "records": ["192.0.2.7"], "ttl_s": 60, "ms": 1 }))),
        ("tls", certificate(60)),
        ("health", answer(200, 10, "ok")),
        ("http.probe", answer(200, 20, "ok")),
        ("time.now", done(json!({ "iso": "2026-11-21T14:00:00Z", "unix_ms": 1_795_269_600_000_i64 }))),
        ("others[0]", certificate(50)),
        ("others[1]", certificate(40)),
    ];
    let well = well.into_iter().filter(|(at, _)| !differs.iter().any(|(other, _)| other == at));
    for (at, attempt) in differs.iter().cloned().chain(well) {
        scenario = scenario.answers(at, [attempt]);
    }
    scenario
}

/// Findings of a run that ended well, as `level: text`.
fn findings(scenario: &Scenario) -> Vec<String> {
    let ended = scenario.run();
    assert_eq!(ended.end().outcome, RunOutcome::Success, "{:?}", ended.end());
    ended.facts().findings.iter().map(|finding| format!("{:?}: {}", finding.level, finding.say)).collect()
}

#[test]
fn a_week_in_which_nothing_is_late_is_told_in_one_line() {
    let found = findings(&place(&[]));
    let says = "Ok: Nothing to do: 20 ms on average and 20 ms at worst over 5 answers, 2 further hosts in order, \
                certificates good for 40 days at least.";
    assert_eq!(found, [says]);
    let ended = place(&[]).run();
    assert_eq!(ended.end().outputs["clean"], Value::from(true));
    assert_eq!(ended.world.count("http.probe"), 6, "one look and five samples");
}

#[test]
fn each_thing_that_is_broken_or_late_has_its_own_finding() {
    let nowhere = done(json!({ "addresses": [], "records": [], "ttl_s": null, "ms": 1 }));
    let bare =
        done(json!({ "ok": true, "status": 200, "ms": 1, "json": null, "text": "", "headers": {}, "error": null }));
    for (differs, level, says, suggests) in [
        (("dns.resolve", nowhere), Level::Critical, "api.example.com does not resolve", "backend-down"),
        (("tls", certificate(-1)), Level::Critical, "refuse the certificate of api.example.com", "backend-down"),
        (("health", answer(503, 1, "ok")), Level::Critical, "/health gives status 503.", "backend-down"),
        (("health", answer(200, 1, "degraded")), Level::Critical, "calls itself \"degraded\"", "backend-down"),
        (("others[1]", certificate(-1)), Level::Critical, "of app.example.com (the certificate expired)", ""),
        (("tls", certificate(20)), Level::Warning, "has 20 days left, expected at least 21", ""),
        (("others[0]", certificate(20)), Level::Warning, "www.example.com (20 days)", ""),
        (("http.probe", answer(500, 1, "ok")), Level::Warning, "5 of 5 health checks failed", "watch"),
        (("http.probe", answer(200, 501, "ok")), Level::Warning, "501 ms on average and 501 ms at worst", ""),
        (("health", bare), Level::Warning, "missing or weak: content-security-policy is missing", ""),
    ] {
        let scenario = place(&[differs]);
        let found = findings(&scenario);
        assert!(
            found.len() == 1 && found[0].starts_with(&format!("{level:?}: ")) && found[0].contains(says),
            "{says}: {found:?}"
        );
        let ended = scenario.run();
        let suggested = ended.facts().findings[0].suggest.as_ref().map_or("", |suggest| suggest.runbook.as_str());
        assert_eq!(suggested, suggests, "{says}");
        assert_eq!(ended.end().outputs["clean"], Value::from(false), "{says}");
    }
    let edge = place(&[("tls", certificate(21)), ("http.probe", answer(200, 500, "ok"))]);
    assert!(matches!(&findings(&edge)[..], [ok] if ok.starts_with("Ok: ")), "just inside the limits");
}

#[test]
fn a_round_without_a_limit_is_refused() {
    let many = Value::List(vec!["www.example.com".into(); 51]);
    for (name, value, says) in [
        ("samples", Value::Int(0), "samples is 0, expected 1 to 20"),
        ("samples", Value::Int(21), "samples is 21, expected 1 to 20"),
        ("hosts", many, "hosts has 51 entries, expected at most 50"),
    ] {
        let ended = place(&[]).input(name, value).run();
        assert_eq!(ended.end().outcome, RunOutcome::Failed);
        assert!(format!("{:?}", ended.end().error).contains(says), "{:?}", ended.end());
        assert!(ended.world.calls.is_empty(), "{says}: nothing was looked at");
    }
}

#[test]
fn a_real_round_over_plain_http_says_what_it_could_not_see() {
    let server = Http::serve(healthy());
    let facts = ended(Place::new().run("maintenance-weekly", &[("base_url", &server.url), ("samples", "20")]));
    assert_eq!(outcome(&facts), RunOutcome::Success, "{:?}", facts.finished);
    assert_eq!(levels(&facts), [Level::Warning, Level::Info], "{:?}", facts.findings);
    assert!(facts.findings[1].say.contains("is plain http"), "{:?}", facts.findings);
    assert_eq!(output(&facts, "certificate_days_left"), Value::Null);
    let gone = format!("http://127.0.0.1:{}", crate::servers::refused_port());
    let facts = ended(Place::new().run("maintenance-weekly", &[("base_url", &gone)]));
    assert_eq!(levels(&facts), [Level::Critical, Level::Info], "{:?}", facts.findings);
    assert!(facts.findings[0].say.starts_with("The backend is not well"), "{:?}", facts.findings);
}
