use axum::http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;

use super::*;
use crate::runbook::settings::{From, SecretSource};

const SECRET: &str = "obviously-fake-hook-secret-0001";
const BODY: &str = "{\"a\":\"\u{fc}\"}";
type Headers = Vec<(&'static str, String)>;
const NOW: i64 = 1_795_250_485;

fn hook(proof: Proof) -> Hook {
    let secret = SecretSource { from: From::Env { name: "X".into() }, hosts: vec![] };
    Hook { secret, proof, user: Some("prom".into()), acts_as: None, map: None, tell: Vec::new() }
}

fn sent(headers: &[(&str, &str)], body: &[u8]) -> Sent {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        map.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    let at = Timestamp::from_second(NOW).unwrap();
    Sent { headers: map, subject: None, query: None, body: body.to_vec(), at }
}

fn lets_in(source: &str, proof: Proof, headers: &[(&str, &str)], body: &[u8]) -> bool {
    proven(source, &hook(proof), SECRET, &sent(headers, body)).is_some()
}

fn hmac(parts: &[&[u8]]) -> String {
    hex(&tag(SECRET.as_bytes(), parts))
}

/// One good request of each way, by source.
fn good() -> Vec<(&'static str, Proof, Headers)> {
    let now = NOW.to_string();
    let body = BODY.as_bytes();
    vec![
        ("alertmanager", Proof::Bearer, vec![("authorization", format!("Bearer {SECRET}"))]),
        (
            "alertmanager",
            Proof::Basic,
            vec![("authorization", format!("Basic {}", STANDARD.encode(format!("prom:{SECRET}"))))],
        ),
        ("pagerduty", Proof::Signature, vec![("x-pagerduty-signature", format!("v1={}", hmac(&[body])))]),
        (
            "grafana",
            Proof::Signature,
            vec![
                ("x-grafana-alerting-signature", hmac(&[now.as_bytes(), b":", body])),
                ("x-grafana-alerting-timestamp", now.clone()),
            ],
        ),
        ("grafana", Proof::Signature, vec![("x-grafana-alerting-signature", hmac(&[body]))]),
        (
            "generic/up",
            Proof::Signature,
            vec![
                ("x-rerail-signature", format!("v1={}", hmac(&[now.as_bytes(), b".", body]))),
                ("x-rerail-timestamp", now.clone()),
            ],
        ),
    ]
}

fn borrowed<'h>(headers: &'h [(&'static str, String)]) -> Vec<(&'static str, &'h str)> {
    headers.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

#[test]
fn who_has_the_secret_is_let_in_and_what_is_signed_is_called_the_same_when_it_comes_again() {
    for (source, proof, headers) in good() {
        let headers = borrowed(&headers);
        let first = proven(source, &hook(proof), SECRET, &sent(&headers, BODY.as_bytes()));
        assert!(first.is_some(), "{source} {proof:?}");
        let again = proven(source, &hook(proof), SECRET, &sent(&headers, BODY.as_bytes()));
        assert_eq!(again == first, proof == Proof::Signature, "{source} {proof:?}: {again:?}");
        assert!(again.is_some_and(|again| again.len() <= 200));
    }
}

#[test]
fn of_two_signatures_one_is_enough_and_all_of_them_are_bounded() {
    let right = hmac(&[BODY.as_bytes()]);
    let wrong = "0".repeat(64);
    let with =
        |value: &str| lets_in("pagerduty", Proof::Signature, &[("x-pagerduty-signature", value)], BODY.as_bytes());
    assert!(with(&format!("v1={wrong},v1={right}")));
    assert!(with(&format!("v1={wrong}, v1={right}")));
    assert!(!with(&format!("v1={wrong},v1={wrong}")));
    assert!(!with(&format!("{}v1={right}", format!("v1={wrong},").repeat(8))));
}

#[test]
fn the_name_of_a_delivery_is_its_senders_or_made_from_what_was_signed() {
    let right = format!("v1={}", hmac(&[BODY.as_bytes()]));
    let with = |id: &str| {
        let headers = [("x-pagerduty-signature", right.as_str()), ("x-webhook-id", id)];
        proven("pagerduty", &hook(Proof::Signature), SECRET, &sent(&headers, BODY.as_bytes())).unwrap()
    };
    assert_eq!(with("6cada963"), "6cada963");
    assert_eq!(with("").len(), 64);
    assert_eq!(with(&"x".repeat(129)).len(), 64);
}

#[test]
fn five_hundred_malformed_proofs_let_nobody_in() {
    let mut tried = 0;
    for (source, proof, headers) in good() {
        let body = BODY.as_bytes();
        let mut no = |what: &str, headers: &[(&str, &str)], body: &[u8]| {
            assert!(!lets_in(source, proof, headers, body), "{source} {proof:?}: {what}");
            tried += 1;
        };
        let whole = borrowed(&headers);
        no("none", &[], body);
        if proof == Proof::Signature {
            no("another body", &whole, b"{\"a\":\"u\"}");
            no("no body", &whole, b"");
            no("the body encoded anew", &whole, "{\"a\":\"\\u00fc\"}".as_bytes());
            no("a byte more", &whole, format!("{BODY}\n").as_bytes());
        }
        for (at, (name, value)) in whole.iter().enumerate() {
            let with = |value: &str| -> Vec<(&str, String)> {
                whole
                    .iter()
                    .enumerate()
                    .map(|(n, (name, old))| (*name, if n == at { value.to_owned() } else { (*old).to_owned() }))
                    .collect()
            };
            let mut twice = whole.clone();
            twice.push((name, value));
            no(&format!("{name} twice"), &twice, body);
            let without: Vec<_> = whole.iter().filter(|(other, _)| other != name).copied().collect();
            no(&format!("without {name}"), &without, body);
            let mut bad: Vec<String> = vec![
                String::new(),
                " ".into(),
                value.to_ascii_uppercase(),
                format!("{value}0"),
                format!("0{value}"),
                value[1..].to_owned(),
                value[..value.len() - 1].to_owned(),
                value.replace('=', ":"),
                value.replace("v1", "v0"),
                value.replace("v1=", "v1=0x"),
                value.replace("v1=", "V1="),
                value.replace(' ', ""),
                format!("{value};"),
                value.chars().rev().collect(),
                "x".repeat(1024 * 1024),
                "v1=".into(),
                "Bearer ".into(),
                "Basic ".into(),
                "Basic !!!!".into(),
                format!("Bearer {SECRET} "),
                format!("bearer {SECRET}"),
                format!("Token {SECRET}"),
                SECRET.to_owned(),
                format!("v1={}", "\u{661}".repeat(32)),
                "-1".into(),
                "+1".into(),
                (NOW - 301).to_string(),
                (NOW + 301).to_string(),
                format!("0x{NOW:x}"),
                format!("{NOW}.0"),
                "99999999999999999999".into(),
            ];
            // Each of its digits changed.
            let letters: Vec<char> = value.chars().collect();
            bad.extend((0..letters.len()).map(|n| {
                let other = if letters[n] == 'f' { 'e' } else { 'f' };
                letters.iter().enumerate().map(|(m, c)| if m == n { other } else { *c }).collect::<String>()
            }));
            for bad in bad.iter().filter(|bad| bad != value && bad.is_ascii()) {
                let headers = with(bad);
                let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
                no(&format!("{name}: {}", &bad[..bad.len().min(80)]), &headers, body);
            }
        }
    }
    assert!(tried >= 500, "{tried}");
}

#[test]
fn a_moment_is_near_on_both_sides() {
    for (moment, good) in
        [(NOW, true), (NOW - 300, true), (NOW + 300, true), (NOW - 301, false), (NOW + 301, false), (0, false)]
    {
        let text = moment.to_string();
        let signature = format!("v1={}", hmac(&[text.as_bytes(), b".", BODY.as_bytes()]));
        let headers = [("x-rerail-signature", signature.as_str()), ("x-rerail-timestamp", text.as_str())];
        assert_eq!(lets_in("generic/up", Proof::Signature, &headers, BODY.as_bytes()), good, "{moment}");
    }
}

#[test]
fn standard_webhooks_are_signed_with_a_key_in_base64_under_either_name() {
    let secret = format!("whsec_{}", STANDARD.encode("obviously-fake-key-0007"));
    let now = NOW.to_string();
    let signature =
        STANDARD.encode(tag(b"obviously-fake-key-0007", &[b"msg_1.", now.as_bytes(), b".", BODY.as_bytes()]));
    let try_with = |family: &str, signatures: &str, id: &str, moment: &str| {
        let names = [format!("{family}-id"), format!("{family}-timestamp"), format!("{family}-signature")];
        let headers = [(names[0].as_str(), id), (names[1].as_str(), moment), (names[2].as_str(), signatures)];
        proven("generic/up", &hook(Proof::Standard), &secret, &sent(&headers, BODY.as_bytes()))
    };
    let good = format!("v1,{signature}");
    assert_eq!(try_with("svix", &good, "msg_1", &now).as_deref(), Some("msg_1"));
    assert_eq!(try_with("webhook", &format!("v1a,xx v1,AAAA {good}"), "msg_1", &now).as_deref(), Some("msg_1"));
    for (signatures, id, moment) in [
        (signature.as_str(), "msg_1", now.as_str()),
        (&good, "msg_2", &now),
        (&good, "", &now),
        (&good, "msg_1", "1"),
        ("v1,", "msg_1", &now),
        (&good.replace("v1", "v2"), "msg_1", &now),
    ] {
        assert_eq!(try_with("svix", signatures, id, moment), None, "{signatures} {id} {moment}");
    }
}
