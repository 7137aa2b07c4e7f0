use serde_json::json;

use super::*;
use crate::engine::ids::{RunId, StepPath};
use crate::journal::StoreKey;
use crate::redact::Redactor;
use crate::runbook::spec::Effect;

fn vault(redactor: &Redactor) -> Vault {
    Vault::in_memory(StoreKey::ephemeral(), RunId::new(uuid::Uuid::nil()), redactor)
}

fn value(json: serde_json::Value) -> Value {
    Value::from_data(&json)
}

fn wanted(uses: &str, sealed: serde_json::Value, reveal: &[&str]) -> Wanted {
    let reveal = reveal.iter().map(|name| (*name).to_owned()).collect();
    Wanted { uses: uses.to_owned(), sealed: value(sealed), reveal }
}

/// An answer of `http.request` with this body.
fn answer(body: serde_json::Value) -> Attempt {
    let text = body.to_string();
    Attempt::done(value(json!({
        "status": 200, "json": body, "text": text, "headers": { "server": "test" }, "ms": 3,
        "body_bytes": text.len(), "body_sha256": "0".repeat(64),
    })))
}

fn at<'v>(attempt: &'v Attempt, path: &str) -> &'v Value {
    let missing = || panic!("no {path} in {}", attempt.outputs);
    path.split('.').fold(&attempt.outputs, |value, key| match (value, key.parse::<usize>()) {
        (Value::List(items), Ok(index)) => &items[index],
        (value, _) => value.get(key).unwrap_or_else(missing),
    })
}

fn sealed_name(value: &Value) -> Option<String> {
    match value {
        Value::Secret(SecretText::Sealed(sealed)) => Some(sealed.name.clone()),
        _ => None,
    }
}

#[test]
fn a_whole_answer_is_sealed_leaf_by_leaf_and_what_stands_around_it_is_not() {
    let redactor = Redactor::new();
    let vault = vault(&redactor);
    let mut attempt = answer(json!({"A": "first-secret-value", "B": [12_345_678, true, null], "C": {}}));
    vault.seal_attempt(&wanted("http.request", json!(true), &[]), &mut attempt);
    assert_eq!(attempt.outcome, Outcome::Done);
    assert_eq!(sealed_name(at(&attempt, "json.A")).as_deref(), Some("A"));
    assert_eq!(sealed_name(at(&attempt, "json.B.0")).as_deref(), Some("B"), "a list's items have its name");
    assert_eq!(sealed_name(at(&attempt, "json.B.1")).as_deref(), Some("B"));
    assert_eq!((at(&attempt, "json.B.2"), at(&attempt, "json.C")), (&Value::Null, &Value::Map(Map::new())));
    assert_eq!(sealed_name(at(&attempt, "text")).as_deref(), Some("text"));
    assert_eq!(sealed_name(at(&attempt, "body_sha256")).as_deref(), Some("body_sha256"), "a hash can be guessed at");
    assert_eq!((at(&attempt, "status"), at(&attempt, "headers.server")), (&Value::Int(200), &"test".into()));

    assert_eq!(redactor.redact("first-secret-value and 12345678"), "[redacted:A] and [redacted:B]");
    let Value::Secret(SecretText::Sealed(sealed)) = at(&attempt, "json.B.0") else { panic!("{attempt:?}") };
    assert_eq!(vault.open(sealed).unwrap(), "12345678");
    let plain = attempt.outputs.to_json().to_string();
    assert!(!plain.contains("first-secret") && !plain.contains("12345678"), "{plain}");
}

#[test]
fn places_are_sealed_and_so_is_the_text_that_holds_the_same() {
    let vault = vault(&Redactor::new());
    let body = json!({"user": "ana", "items": [{"key": "A", "value": "value-of-a"}, {"key": "B", "value": "value-of-b"}, {"key": "C"}]});
    let mut attempt = answer(body.clone());
    vault.seal_attempt(&wanted("http.request", json!(["json.items[*].value"]), &[]), &mut attempt);
    assert_eq!(at(&attempt, "json.user"), &"ana".into());
    assert_eq!(at(&attempt, "json.items.1.key"), &"B".into());
    for (sealed, name) in [("json.items.0.value", "A"), ("json.items.1.value", "B"), ("text", "text")] {
        assert_eq!(sealed_name(at(&attempt, sealed)).as_deref(), Some(name), "the name stands beside it");
    }
    // A place may be a map: everything inside is sealed. And two may overlap.
    let mut attempt = answer(body);
    vault.seal_attempt(
        &wanted("http.request", json!(["json.items", "json.items[0]", "headers.server"]), &[]),
        &mut attempt,
    );
    for sealed in ["json.items.0.key", "json.items.2.key", "headers.server"] {
        assert!(sealed_name(at(&attempt, sealed)).is_some(), "{sealed}");
    }
    assert_eq!(at(&attempt, "json.user"), &"ana".into());
}

#[test]
fn a_place_that_is_not_there_fails_the_step_and_seals_everything() {
    let body = json!({"data": {"tokens": "a-token-of-a-server"}, "list": [{"a": 1}], "none": []});
    for path in ["json.data.token", "json.data[*].x", "json.list[1]", "json.list[*].b", "json.data.tokens.x", "rows"] {
        let vault = vault(&Redactor::new());
        let mut attempt = answer(body.clone());
        vault.seal_attempt(&wanted("http.request", json!([path, "json.list"]), &[]), &mut attempt);
        assert_eq!(attempt.outcome, Outcome::Failed, "{path}");
        let failure = attempt.failure.as_ref().unwrap();
        assert_eq!(failure.kind, FailureKind::Outputs);
        assert!(failure.message.contains(&format!("`{path}` matches nothing")), "{}", failure.message);
        assert!(!attempt.outputs.to_json().to_string().contains("a-token-of"), "{path}: {}", attempt.outputs);
    }
    // Nothing to be found in an empty list is not a mistake.
    let mut attempt = answer(body);
    vault(&Redactor::new()).seal_attempt(&wanted("http.request", json!(["json.none[*].value"]), &[]), &mut attempt);
    assert_eq!(attempt.outcome, Outcome::Done);
}

#[test]
fn a_failure_that_quotes_the_answer_quotes_nothing_of_what_is_sealed() {
    let redactor = Redactor::new();
    let secret = "tok-0123456789-abcdefghijklmnopqrstuvwxyz";
    for outcome in [Attempt::failed, Attempt::in_doubt] {
        let message = format!("json.token is \"{}…, expected \"x\"", &secret[..20]);
        let mut attempt = outcome(Failure::new(FailureKind::Expect, message));
        attempt.outputs = answer(json!({"token": secret})).outputs;
        vault(&redactor).seal_attempt(&wanted("http.request", json!(["json.token"]), &[]), &mut attempt);
        assert_eq!(attempt.failure.as_ref().unwrap().message, "json.token is [redacted:text]…, expected \"x\"");
        assert_eq!(sealed_name(at(&attempt, "json.token")).as_deref(), Some("token"));
    }
    let mut probe = Attempt::done(value(json!({
        "ok": false, "status": 200, "json": {"token": secret}, "text": "x", "headers": {},
        "error": {"kind": "expect", "message": format!("json.token is \"{}…", &secret[..20])},
    })));
    vault(&redactor).seal_attempt(&wanted("http.probe", json!(true), &[]), &mut probe);
    assert_eq!(at(&probe, "error.message"), &"json.token is \"[redacted:token]…".into());
    // Without an answer there is nothing to seal, and nothing that could be missing.
    let mut nothing = Attempt::refused(Failure::new(FailureKind::Dns, "no such name"));
    vault(&redactor).seal_attempt(&wanted("http.request", json!(["json.token"]), &[]), &mut nothing);
    assert_eq!((nothing.outcome, nothing.failure.unwrap().message.as_str()), (Outcome::Refused, "no such name"));
}

#[test]
fn what_is_revealed_stays_a_text_and_is_shown_also_where_it_is_sealed_elsewhere() {
    let redactor = Redactor::new();
    let vault = vault(&redactor);
    let mut attempt = answer(json!({"ORIGINS": "https://a.example.com", "KEY": "some-key-value", "n": {"ORIGINS": 5}}));
    vault.seal_attempt(&wanted("http.request", json!(true), &["ORIGINS", "not there"]), &mut attempt);
    assert_eq!(at(&attempt, "json.ORIGINS"), &"https://a.example.com".into());
    assert_eq!(at(&attempt, "json.n.ORIGINS"), &Value::Int(5));
    assert_eq!(sealed_name(at(&attempt, "json.KEY")).as_deref(), Some("KEY"));
    assert_eq!(redactor.redact("https://a.example.com some-key-value"), "https://a.example.com [redacted:KEY]");
}

#[test]
fn an_action_step_opens_what_it_reveals_and_no_secret_of_the_target() {
    let redactor = Redactor::new();
    let vault = vault(&redactor);
    let mut attempt = answer(json!({"A": "first-secret-value", "B": "other-secret-value"}));
    vault.seal_attempt(&wanted("http.request", json!(true), &[]), &mut attempt);
    let values = at(&attempt, "json").clone();
    let Some(Value::Secret(a)) = values.get("A").cloned() else { panic!("{values}") };
    let joined = Value::Secret(a.prefixed("x="));
    let token = Value::Secret(SecretText::named("TOKEN"));
    let perform = |reveal: &[&str]| Perform {
        step: StepPath::new("vars"),
        attempt: 1,
        look: 1,
        poll: false,
        uses: crate::engine::machine::REVEAL.to_owned(),
        effect: Effect::Read,
        args: [("values", values.clone()), ("joined", joined.clone()), ("token", token.clone())]
            .map(|(name, value)| (name.to_owned(), value))
            .into(),
        key: String::new(),
        timeout: None,
        reveal: reveal.iter().map(|name| (*name).to_owned()).collect(),
        laid_over: false,
    };
    let revealed = vault.reveal(&perform(&["A", "joined"]));
    assert_eq!(at(&revealed, "values.A"), &"first-secret-value".into());
    assert_eq!(at(&revealed, "joined"), &"x=first-secret-value".into());
    assert_eq!((at(&revealed, "values.B"), at(&revealed, "token")), (values.get("B").unwrap(), &token));
    assert_eq!(redactor.redact("first-secret-value other-secret-value"), "first-secret-value [redacted:B]");
    let refused = vault.reveal(&perform(&["token"]));
    assert!(refused.failure.unwrap().message.contains("secret TOKEN of the target"));
}

#[test]
fn what_a_server_says_in_the_place_of_data_can_be_read() {
    let redactor = Redactor::new();
    let answer = |outcome: fn(Failure) -> Attempt| {
        let outputs = json!({ "data": null, "errors": [{ "message": "Not Authorized" }], "status": 200, "ms": 1 });
        outcome(Failure::new(FailureKind::Status, "Not Authorized")).with_outputs(Value::from_data(&outputs))
    };
    let mut no = answer(Attempt::failed);
    vault(&redactor).seal_attempt(&wanted("graphql.query", json!(["data.variables"]), &[]), &mut no);
    assert_eq!(no.failure.unwrap().message, "Not Authorized");
    assert!(no.outputs.to_json().to_string().contains("Not Authorized"), "{:?}", no.outputs);
    // One that is done without what was to be sealed is sealed whole, as ever.
    let mut odd = answer(Attempt::failed);
    (odd.outcome, odd.failure) = (Outcome::Done, None);
    vault(&redactor).seal_attempt(&wanted("graphql.query", json!(["data.variables"]), &[]), &mut odd);
    assert!(odd.failure.unwrap().message.contains("matches nothing"));
}

#[test]
fn more_than_can_be_searched_for_is_a_failure_that_keeps_nothing() {
    for (count, bytes, outcome) in
        [(VALUES_MAX - 1, 8, Outcome::Done), (VALUES_MAX + 1, 8, Outcome::Failed), (2, BYTES_MAX, Outcome::Failed)]
    {
        let body =
            serde_json::Value::Array((0..count).map(|n| json!(format!("{n:08}{}", "x".repeat(bytes - 8)))).collect());
        let mut attempt = answer(body);
        vault(&Redactor::new()).seal_attempt(&wanted("http.request", json!(true), &[]), &mut attempt);
        assert_eq!(attempt.outcome, outcome, "{count} values of {bytes} bytes");
        if outcome == Outcome::Failed {
            let message = attempt.failure.unwrap().message;
            assert!(
                message.contains("at most 1000 with 64 KiB") && message.contains("sealed: [json.data.token]"),
                "{message}"
            );
            assert_eq!(attempt.outputs, Value::Null);
        }
    }
}

#[test]
fn a_mistaken_argument_is_refused_before_anything_is_sent() {
    let failure = wanted("http.request", json!(["json..a"]), &[]).sealing().unwrap_err();
    assert!(failure.message.starts_with("argument `sealed`: `json..a` is no place"), "{}", failure.message);
}

#[test]
fn names_come_from_outside_and_are_held_within_bounds() {
    let redactor = Redactor::new();
    let long = "k".repeat(500);
    let mut attempt = answer(
        json!({"a\u{1b}[31mb": "first-value", "key of first-value": "second-value", long.as_str(): "third-value"}),
    );
    vault(&redactor).seal_attempt(&wanted("http.request", json!(["json"]), &[]), &mut attempt);
    let Value::Map(sealed) = at(&attempt, "json") else { panic!("{attempt:?}") };
    let names: Vec<String> = sealed.values().filter_map(sealed_name).collect();
    assert_eq!(names, ["a_[31mb", "key of [redacted:a__31mb]", &"k".repeat(NAME_CHARS_MAX)]);
}
