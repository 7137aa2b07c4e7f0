//! Secrets go where they may, are read when they are needed, and don't come back.

use std::collections::BTreeMap;
use std::path::Path;

use rerail::engine::outcome::{FailureKind, Outcome};
use rerail::redact::Redactor;
use rerail::runbook::settings::{From, SecretSource};
use rerail::script::secret::SecretText;
use rerail::script::value::{Map, Value};
use rerail::steps::world::{World, WorldSettings};
use serde_json::json;
use tokio::io::AsyncWriteExt as _;

use crate::steps::kit::{Server, args, perform, read_request};

const TOKEN: &str = "s3cr3t/t0ken+with=signs";

fn file(path: &str, hosts: &[&str]) -> SecretSource {
    let hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
    SecretSource { from: From::File { path: path.to_owned() }, hosts }
}

fn world(project: &Path, sources: &[(&str, SecretSource)], redactor: &Redactor) -> World {
    let secrets: BTreeMap<String, SecretSource> =
        sources.iter().map(|(name, source)| ((*name).to_owned(), source.clone())).collect();
    let settings =
        WorldSettings { project: project.into(), secrets, redactor: redactor.clone(), ..WorldSettings::default() };
    World::new(settings).gated(|| Ok(()))
}

fn with_token(mut args: Map, header: SecretText) -> Map {
    args.insert("headers".into(), Value::map([("Authorization", Value::Secret(header))]));
    args
}

/// Answers with the whole request as text, in JSON, and in base64.
async fn echo() -> Server {
    Server::start(|mut stream| async move {
        let request = String::from_utf8(read_request(&mut stream).await).unwrap();
        let body = json!({"raw": request, "base64": rerail::script::secret::base64(&request)}).to_string();
        let head = format!(
            "HTTP/1.1 200 OK\r\nlocation: /?{}\r\ncontent-length: {}\r\n\r\n",
            request.lines().find_map(|line| line.strip_prefix("authorization: ")).unwrap_or("-"),
            body.len()
        );
        stream.write_all(format!("{head}{body}").as_bytes()).await.ok();
    })
    .await
}

#[tokio::test]
async fn an_echo_of_header_query_and_body_comes_back_redacted() {
    let project = tempfile::tempdir().unwrap();
    std::fs::write(project.path().join("token"), format!("{TOKEN}\n")).unwrap();
    let redactor = Redactor::new();
    let world = world(project.path(), &[("TOKEN", file("token", &[]))], &redactor);
    let server = echo().await;
    let token = SecretText::named("TOKEN");
    let url = SecretText::UrlEncode(Box::new(token.clone())).prefixed(&server.url("/hook?key="));
    let basic = SecretText::Base64(Box::new(token.clone().prefixed("ana:"))).prefixed("Basic ");
    let mut args = with_token(args(json!({"method": "POST"})), basic);
    args.insert("url".into(), Value::Secret(url));
    args.insert("form".into(), Value::map([("token", Value::Secret(token))]));
    let attempt = perform(&world, "http.request", &args).await;
    assert_eq!(attempt.outcome, Outcome::Done, "{attempt:?}");

    let raw = attempt.outputs.to_plain().to_string();
    let forms = ["s3cr3t%2Ft0ken%2Bwith%3Dsigns", &rerail::script::secret::base64(&format!("ana:{TOKEN}"))[6..]];
    assert!(forms.iter().all(|form| raw.contains(form)), "the echo is real: {raw}");
    let redacted = redactor.redact_value(&attempt.outputs).to_plain().to_string();
    assert!(forms.iter().all(|form| !redacted.contains(form)), "{redacted}");
    assert!(!redacted.contains("s3cr3t") && redacted.contains("[redacted:TOKEN]"), "{redacted}");
}

#[tokio::test]
async fn a_bound_secret_is_refused_elsewhere_before_connecting_and_sent_where_it_belongs() {
    let project = tempfile::tempdir().unwrap();
    std::fs::write(project.path().join("token"), TOKEN).unwrap();
    let server = echo().await;
    for (hosts, allowed) in [
        (vec!["api.example.com"], false),
        (vec!["*.example.com", "127.0.0.2"], false),
        (vec!["*.0.0.1"], true),
        (vec!["api.example.com", "127.0.0.1"], true),
        (vec![], true),
    ] {
        let world = world(project.path(), &[("TOKEN", file("token", &hosts))], &Redactor::new());
        let before = server.connections();
        let args = with_token(
            args(json!({"method": "POST", "url": server.url("/")})),
            SecretText::named("TOKEN").prefixed("Bearer "),
        );
        let attempt = perform(&world, "http.request", &args).await;
        assert_eq!(attempt.outcome == Outcome::Done, allowed, "{hosts:?}: {:?}", attempt.failure);
        assert_eq!(server.connections() - before, usize::from(allowed), "{hosts:?}");
        if !allowed {
            let failure = attempt.failure.unwrap();
            assert_eq!(failure.kind, FailureKind::Secret);
            assert!(!failure.message.contains("s3cr3t"), "{}", failure.message);
        }
    }
}

#[tokio::test]
async fn a_secret_in_the_address_is_held_to_its_hosts_too() {
    let project = tempfile::tempdir().unwrap();
    let server = echo().await;
    std::fs::write(project.path().join("hook"), server.url("/services/T000/B000/xyz")).unwrap();
    let hook = |hosts: &[&str]| world(project.path(), &[("HOOK", file("hook", hosts))], &Redactor::new());
    let post = |url: SecretText| {
        let mut args = args(json!({"method": "POST"}));
        args.insert("url".into(), Value::Secret(url));
        args
    };
    let whole = post(SecretText::named("HOOK"));
    assert_eq!(perform(&hook(&["127.0.0.1"]), "http.request", &whole).await.outcome, Outcome::Done);
    let refused = perform(&hook(&["hooks.example.com"]), "http.request", &whole).await;
    assert_eq!(refused.failure.unwrap().kind, FailureKind::Secret);
    let in_host = post(SecretText::named("HOOK").prefixed("http://").suffixed(".example.com/"));
    let refused = perform(&hook(&[]), "http.request", &in_host).await;
    assert_eq!(refused.failure.unwrap().message, "argument `url`: a secret can't be a part of the host name");
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_secret_that_is_missing_short_or_no_file_is_refused() {
    let project = tempfile::tempdir().unwrap();
    std::fs::write(project.path().join("short"), "1234567\n").unwrap();
    std::fs::write(project.path().join("binary"), [0xff; 20]).unwrap();
    std::fs::write(project.path().join("huge"), vec![b'x'; 70_000]).unwrap();
    let unset = SecretSource { from: From::Env { name: "RERAIL_TEST_UNSET".into() }, hosts: Vec::new() };
    let set = SecretSource { from: From::Env { name: "CARGO_MANIFEST_DIR".into() }, hosts: Vec::new() };
    let sources = [
        ("SHORT", file("short", &[])),
        ("BINARY", file("binary", &[])),
        ("HUGE", file("huge", &[])),
        ("GONE", file("gone", &[])),
        ("UNSET", unset),
        ("SET", set),
    ];
    let world = world(project.path(), &sources, &Redactor::new());
    for (name, problem) in [
        ("SHORT", "is shorter than 8 bytes"),
        ("BINARY", "not UTF-8"),
        ("HUGE", "more than 65536 bytes"),
        ("GONE", "can't be read from gone"),
        ("UNSET", "RERAIL_TEST_UNSET, not set"),
        ("UNKNOWN", "has no source in this target"),
    ] {
        let failure = world.reveal(&Value::Secret(SecretText::named(name)), None).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Secret);
        assert!(failure.message.contains(problem), "{}", failure.message);
    }
    let revealed = world.reveal(&Value::Secret(SecretText::named("SET")), None).unwrap();
    assert_eq!(revealed, Value::from(env!("CARGO_MANIFEST_DIR")));
}

#[tokio::test]
async fn a_rotated_secret_is_current_and_its_old_value_stays_hidden() {
    let project = tempfile::tempdir().unwrap();
    let redactor = Redactor::new();
    let world = world(project.path(), &[("TOKEN", file("token", &[]))], &redactor);
    let token = Value::List(vec![Value::Secret(SecretText::named("TOKEN"))]);
    for value in ["first-value\n\n", "second-value"] {
        std::fs::write(project.path().join("token"), value).unwrap();
        let expected = value.strip_suffix('\n').unwrap_or(value);
        assert_eq!(world.reveal(&token, Some("127.0.0.1")).unwrap(), Value::List(vec![Value::from(expected)]));
    }
    assert_eq!(redactor.redact("first-value second-value"), "[redacted:TOKEN] [redacted:TOKEN]");
}
