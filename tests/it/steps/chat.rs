//! Messages to webhooks: what is posted, what a webhook's answer means, and what may not stand in one.

use std::collections::BTreeMap;

use rerail::engine::outcome::{FailureKind, Outcome};
use rerail::redact::Redactor;
use rerail::runbook::settings::{From, SecretSource};
use rerail::runbook::spec::Effect;
use rerail::script::secret::SecretText;
use rerail::script::value::{Map, Value};
use rerail::steps::catalog;
use rerail::steps::world::{World, WorldSettings};
use serde_json::json;

use crate::steps::kit::{Server, answer, args, open_world, perform};

fn post(server: &Server, more: serde_json::Value) -> Map {
    let mut post = args(more);
    post.insert("url".into(), Value::from(server.url("/hooks/private-path")));
    post
}

#[tokio::test]
async fn a_message_is_posted_as_text_and_channel_or_as_the_body_given() {
    for (given, sent) in [
        (json!({"text": "all is <well>"}), "{\"text\":\"all is <well>\"}"),
        (json!({"text": "well", "channel": "#ops"}), "{\"channel\":\"#ops\",\"text\":\"well\"}"),
        (json!({"json": {"content": "well"}}), "{\"content\":\"well\"}"),
    ] {
        let server = Server::answering(answer("200 OK", &[], "ok")).await;
        let attempt = perform(&open_world(), "chat.post", &post(&server, given)).await;
        assert_eq!((attempt.outcome, &attempt.outputs.to_plain()["text"]), (Outcome::Done, &json!("ok")));
        let received = server.received();
        assert!(received.starts_with("POST /hooks/private-path HTTP/1.1\r\n"), "{received}");
        assert!(received.ends_with(sent), "{received}");
    }
}

#[tokio::test]
async fn a_webhooks_answer_decides_as_for_every_write() {
    use Outcome::{Done, InDoubt, Refused};
    for (status, outcome) in [
        ("204 No Content", Done),
        ("404 Not Found", Refused),
        ("429 Too Many Requests", Refused),
        ("302 Found", InDoubt),
        ("500 Oops", InDoubt),
    ] {
        let server = Server::answering(answer(status, &[], "no_service")).await;
        let attempt = perform(&open_world(), "chat.post", &post(&server, json!({"text": "well"}))).await;
        assert_eq!(attempt.outcome, outcome, "{status}");
        assert_eq!(server.connections(), 1, "posted once");
        let message = attempt.failure.map(|failure| failure.message).unwrap_or_default();
        assert!(!message.contains("private-path"), "{message}");
    }
    let cut = Server::answering("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\no").await;
    let attempt = perform(&open_world(), "chat.post", &post(&cut, json!({"text": "well"}))).await;
    assert_eq!(attempt.outcome, Outcome::InDoubt);
}

#[tokio::test]
async fn blank_huge_and_twofold_messages_are_refused_before_connecting() {
    let server = Server::answering(answer("200 OK", &[], "ok")).await;
    for wrong in [
        json!({}),
        json!({"text": " \n"}),
        json!({"text": "x".repeat(40_001)}),
        json!({"text": "a", "json": {"content": "b"}}),
        json!({"channel": "#ops", "json": {"content": "b"}}),
    ] {
        let attempt = perform(&open_world(), "chat.post", &post(&server, wrong)).await;
        assert_eq!(attempt.outcome, Outcome::Refused);
        assert_eq!(attempt.failure.unwrap().kind, FailureKind::Argument);
    }
    let most = post(&server, json!({"text": "x".repeat(40_000)}));
    assert_eq!(perform(&open_world(), "chat.post", &most).await.outcome, Outcome::Done);
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn the_webhook_may_be_a_secret_and_the_message_may_hold_none() {
    let server = Server::answering(answer("200 OK", &[], "ok")).await;
    let project = tempfile::tempdir().unwrap();
    std::fs::write(project.path().join("hook"), server.url("/services/T000/B000/not-a-real-hook")).unwrap();
    let hook = SecretSource { from: From::File { path: "hook".into() }, hosts: vec!["127.0.0.1".into()] };
    let redactor = Redactor::new();
    let settings = WorldSettings {
        project: project.path().into(),
        secrets: BTreeMap::from([("HOOK".to_owned(), hook)]),
        redactor: redactor.clone(),
        ..WorldSettings::default()
    };
    let world = World::new(settings).gated(|| Ok(()));
    let secret = || Value::Secret(SecretText::named("HOOK"));
    let message = |name: &str, value: Value| {
        Map::from([("url".to_owned(), secret()), ("text".to_owned(), Value::from("well")), (name.to_owned(), value)])
    };
    assert_eq!(perform(&world, "chat.post", &message("timeout", Value::from("5s"))).await.outcome, Outcome::Done);
    assert!(server.received().starts_with("POST /services/T000/B000/not-a-real-hook "));
    for name in ["text", "channel", "json"] {
        let value = if name == "json" { Value::map([("a", secret())]) } else { secret() };
        let attempt = perform(&world, "chat.post", &message(name, value)).await;
        assert_eq!(attempt.failure.unwrap().kind, FailureKind::Secret, "{name}");
    }
    assert_eq!(server.connections(), 1);
    // The webhook's address is known by now, so that not even its text gets out.
    let echoed = Value::from(format!("posting to {} failed", server.url("/services/T000/B000/not-a-real-hook")));
    assert_eq!(perform(&world, "chat.post", &message("text", echoed)).await.outcome, Outcome::Done);
    assert!(server.received().ends_with("{\"text\":\"posting to [redacted:HOOK] failed\"}"), "{}", server.received());
    let plan = plan(&world, &message("timeout", Value::from("5s")));
    assert_eq!(plan, "post to [secret HOOK]: well");
}

fn plan(world: &World, args: &Map) -> String {
    let entry = catalog::find("chat.post").unwrap();
    assert_eq!(entry.spec.effect, Effect::Notify);
    match entry.primitive {
        rerail::steps::Primitive::Write(write) => write.plan(world, args),
        _ => panic!("a message is a write"),
    }
}
