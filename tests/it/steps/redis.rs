//! A ping at a real Redis and at servers that only look like one.

use std::collections::BTreeMap;

use rerail::engine::outcome::{FailureKind, Outcome};
use rerail::runbook::settings::{From, SecretSource};
use rerail::script::secret::SecretText;
use rerail::script::value::{Map, Value};
use rerail::steps::world::{World, WorldSettings};
use serde_json::{Value as Json, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::services::Redis;
use crate::steps::kit::{Server, args, hurried, open_world, perform};

fn ping(port: u16, more: Json) -> Map {
    let mut ping = args(json!({"host": "localhost", "port": port}));
    ping.extend(args(more));
    ping
}

fn with_password(mut ping: Map, name: &str) -> Map {
    ping.insert("password".into(), Value::Secret(SecretText::named(name)));
    ping
}

/// A world whose secrets are the password of the default user, of `looker`, and a wrong one.
fn world(ca: Option<String>) -> (World, TempDir) {
    let project = tempfile::tempdir().unwrap();
    let mut secrets = BTreeMap::new();
    for (name, text) in [("RIGHT", Redis::PASSWORD), ("LOOKER", Redis::LOOKER), ("WRONG", "not-the-password")] {
        std::fs::write(project.path().join(name), text).unwrap();
        let source = SecretSource { from: From::File { path: name.into() }, hosts: vec!["localhost".into()] };
        secrets.insert(name.to_owned(), source);
    }
    (World::new(WorldSettings { project: project.path().into(), secrets, ca, ..WorldSettings::default() }), project)
}

async fn seen(world: &World, ping: &Map) -> Json {
    let attempt = perform(world, "redis.ping", ping).await;
    assert_eq!(attempt.outcome, Outcome::Done, "{attempt:?}");
    let outputs = attempt.outputs.to_plain();
    assert_eq!(outputs["ok"], json!(outputs["error"].is_null()), "{outputs}");
    assert!(!outputs.to_string().contains("not-a-real"), "{outputs}");
    outputs
}

#[tokio::test]
async fn a_redis_says_pong_and_its_version_with_and_without_tls() {
    let Some(redis) = Redis::shared() else { return };
    let (world, _project) = world(Some(redis.ca.clone()));
    for (port, tls) in [(redis.port, false), (redis.tls_port, true)] {
        let outputs = seen(&world, &with_password(ping(port, json!({"tls": tls, "expect": true})), "RIGHT")).await;
        assert_eq!(outputs["ok"], json!(true), "{outputs}");
        assert!(outputs["version"].as_str().unwrap().starts_with(char::is_numeric), "{outputs}");
    }
    let looker = with_password(ping(redis.port, json!({"user": "looker"})), "LOOKER");
    let outputs = seen(&world, &looker).await;
    assert_eq!((&outputs["ok"], &outputs["version"]), (&json!(true), &json!(null)), "it may ping and nothing else");
}

#[tokio::test]
async fn what_goes_wrong_is_seen_and_fails_only_where_it_is_expected() {
    let Some(redis) = Redis::shared() else { return };
    let (world, _project) = world(None);
    let gone = crate::servers::refused_port();
    for (ping, kind, said) in [
        (ping(redis.port, json!({})), FailureKind::Status, "NOAUTH"),
        (with_password(ping(redis.port, json!({})), "WRONG"), FailureKind::Status, "WRONGPASS"),
        (with_password(ping(redis.port, json!({"user": "nobody"})), "RIGHT"), FailureKind::Status, "WRONGPASS"),
        (with_password(ping(redis.tls_port, json!({"tls": true})), "RIGHT"), FailureKind::Tls, "handshake"),
        (with_password(ping(redis.tls_port, json!({})), "RIGHT"), FailureKind::Network, "localhost"),
        (ping(gone, json!({})), FailureKind::Connect, "can't be reached"),
    ] {
        let outputs = seen(&world, &ping).await;
        assert_eq!((&outputs["ok"], &outputs["error"]["kind"]), (&json!(false), &json!(kind.word())), "{outputs}");
        assert!(outputs["error"]["message"].as_str().unwrap().contains(said), "{outputs}");
        let mut expecting = ping;
        expecting.insert("expect".into(), Value::Bool(true));
        let attempt = perform(&world, "redis.ping", &expecting).await;
        assert_eq!((attempt.outcome, attempt.failure.unwrap().kind), (Outcome::Failed, kind));
    }
}

#[tokio::test]
async fn servers_that_lie_stall_or_talk_without_end_are_no_redis() {
    let endless = format!("+{}", "x".repeat(1_000_000));
    let huge = format!("${}\r\n{}", 70_000, "x".repeat(70_002));
    for (reply, kind) in [
        ("HTTP/1.1 400 Bad Request\r\n\r\n", "network"),
        ("+OK\r\n", "network"),
        ("+PONG", "network"),
        (":1\r\n", "network"),
        ("$-1\r\n", "network"),
        ("$9999999999999999999999\r\n", "network"),
        ("$5\r\nPO", "network"),
        ("*0\r\n", "network"),
        ("\r\n", "network"),
        ("", "network"),
        (endless.as_str(), "network"),
        (huge.as_str(), "network"),
        ("-LOADING Redis is loading the dataset in memory\r\n", "status"),
        ("-ERR \u{1b}[2Jmax number of clients reached\r\n", "status"),
    ] {
        let reply = reply.to_owned();
        let server = Server::start(move |mut stream| {
            let reply = reply.clone();
            async move {
                let mut command = [0; 14];
                stream.read_exact(&mut command).await.unwrap();
                assert_eq!(&command, b"*1\r\n$4\r\nPING\r\n");
                stream.write_all(reply.as_bytes()).await.ok();
            }
        })
        .await;
        let outputs = seen(&open_world(), &ping(server.address.port(), json!({}))).await;
        assert_eq!(outputs["error"]["kind"], json!(kind), "{outputs}");
        assert!(!outputs.to_string().contains("u001b"), "{outputs}");
    }
    let silent = Server::start(|stream| async move {
        let _open = stream;
        std::future::pending::<()>().await;
    })
    .await;
    let outputs = seen(&hurried(&open_world(), 300), &ping(silent.address.port(), json!({}))).await;
    assert_eq!(outputs["error"]["kind"], json!("timeout"), "{outputs}");
    // It answered, and what came after is not what was asked for.
    let shy = Server::start(|mut stream| async move {
        stream.write_all(b"+PONG\r\n").await.ok();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await.ok();
    })
    .await;
    let outputs = seen(&hurried(&open_world(), 500), &ping(shy.address.port(), json!({}))).await;
    assert_eq!((&outputs["ok"], &outputs["version"]), (&json!(true), &json!(null)), "{outputs}");
}

#[tokio::test]
async fn half_a_login_and_wrong_arguments_are_refused() {
    for wrong in [json!({"user": "looker"}), json!({"port": 0}), json!({"host": "a b"}), json!({"tls": "yes"})] {
        let attempt = perform(&open_world(), "redis.ping", &ping(6379, wrong.clone())).await;
        assert_eq!(
            (attempt.outcome, attempt.failure.unwrap().kind),
            (Outcome::Refused, FailureKind::Argument),
            "{wrong}"
        );
    }
}
