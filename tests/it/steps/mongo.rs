//! `mongo.ping` against servers on loopback that answer as a MongoDB does, in TLS and in the clear, and others that don't.

use rerail::engine::outcome::{Attempt, FailureKind, Outcome};
use rerail::redact::Redactor;
use rerail::runbook::settings::{From, SecretSource};
use rerail::script::secret::SecretText;
use rerail::script::value::Value;
use rerail::steps::world::{World, WorldSettings};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::kit::{Server, args, perform};

/// What a primary of the set `rs0` says, as MongoDB 7.0 writes it.
fn hello() -> Vec<u8> {
    let document: Vec<u8> = [
        &b"\x08isWritablePrimary\0\x01"[..],
        b"\x02setName\0\x04\0\0\0rs0\0",
        b"\x10maxWireVersion\0\x15\0\0\0",
        b"\x01ok\0\0\0\0\0\0\0\xf0\x3f",
    ]
    .concat();
    message(&document)
}

fn message(document: &[u8]) -> Vec<u8> {
    let number = |number: usize| i32::try_from(number).unwrap().to_le_bytes();
    let document = [&number(document.len() + 5)[..], document, b"\0"].concat();
    let body = [[7, 1, 2013, 0].map(number).concat(), vec![0], document].concat();
    [&number(body.len() + 4)[..], &body].concat()
}

/// A server that reads the question and says this.
async fn saying(answer: Vec<u8>) -> Server {
    let server = Server::start(move |mut stream| {
        let answer = answer.clone();
        async move {
            let mut question = [0; 52];
            stream.read_exact(&mut question).await.ok();
            stream.write_all(&answer).await.ok();
            stream.shutdown().await.ok();
        }
    });
    server.await
}

async fn ping(url: &str, more: serde_json::Value) -> Attempt {
    let mut given = args(more);
    given.insert("url".into(), Value::from(url));
    perform(&World::new(WorldSettings::default()), "mongo.ping", &given).await
}

fn output<'a>(attempt: &'a Attempt, name: &str) -> &'a Value {
    attempt.outputs.get(name).unwrap_or_else(|| panic!("{attempt:?}"))
}

fn kind(attempt: &Attempt) -> &Value {
    output(attempt, "error").get("kind").unwrap_or_else(|| panic!("{attempt:?}"))
}

#[tokio::test]
async fn a_server_that_is_well_says_what_it_is() {
    let server = saying(hello()).await;
    let seen = ping(&format!("mongodb://user:not-a-password@{}/shop", server.address), json!({})).await;
    assert_eq!(seen.outcome, Outcome::Done, "{seen:?}");
    assert_eq!((output(&seen, "ok"), output(&seen, "primary")), (&Value::from(true), &Value::from(true)));
    assert_eq!((output(&seen, "set"), output(&seen, "wire")), (&Value::from("rs0"), &Value::Int(21)));
    assert_eq!((output(&seen, "error"), output(&seen, "servers")), (&Value::Null, &Value::Int(1)));
}

#[tokio::test]
async fn the_first_server_that_answers_counts() {
    let (gone, server) = (crate::servers::refused_port(), saying(hello()).await);
    let url = format!("mongodb://127.0.0.1:{gone},{}/?replicaSet=rs0", server.address);
    let seen = ping(&url, json!({ "expect": true })).await;
    assert_eq!((seen.outcome, output(&seen, "servers")), (Outcome::Done, &Value::Int(2)), "{seen:?}");
    let none = ping(&format!("mongodb://127.0.0.1:{gone},127.0.0.1:{gone}"), json!({})).await;
    assert_eq!((none.outcome, kind(&none)), (Outcome::Done, &Value::from("connect")));
    let expected = ping(&format!("mongodb://127.0.0.1:{gone}"), json!({ "expect": true })).await;
    assert_eq!(expected.failure.unwrap().kind, FailureKind::Connect);
    assert_eq!(expected.outcome, Outcome::Failed);
}

#[tokio::test]
async fn each_way_to_answer_otherwise_has_a_kind() {
    let error = [&b"\x02errmsg\0\x09\0\0\0shutting\0"[..], b"\x01ok\0\0\0\0\0\0\0\0\0"].concat();
    let huge = [&[0xff, 0xff, 0xff, 0x7f][..], &hello()[4..]].concat();
    for (answer, expected, says) in [
        (message(&error), "status", "shutting"),
        (b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n".to_vec(), "network", "not MongoDB"),
        (huge, "network", "not MongoDB"),
        (message(b"\x10other\0\x01\0\0\0"), "network", "not MongoDB"),
        (hello()[..30].to_vec(), "network", "broke off"),
        (Vec::new(), "network", "broke off"),
    ] {
        let server = saying(answer).await;
        let seen = ping(&format!("mongodb://{}", server.address), json!({})).await;
        assert_eq!((seen.outcome, kind(&seen)), (Outcome::Done, &Value::from(expected)), "{seen:?}");
        let message = output(&seen, "error").get("message").unwrap().to_string();
        assert!(message.contains(says), "{message}");
    }
    let silent = Server::start(|stream| async move {
        tokio::time::sleep(std::time::Duration::from_secs(60)).await;
        drop(stream);
    });
    let silent = silent.await;
    let seen = ping(&format!("mongodb://{}", silent.address), json!({ "timeout": "200ms" })).await;
    assert_eq!(kind(&seen), &Value::from("timeout"));
}

#[tokio::test]
async fn tls_wants_a_certificate_that_is_trusted_and_no_option_switches_that_off() {
    // It speaks no TLS at all, and its certificate would be nobody's.
    let server = saying(hello()).await;
    let url = format!("mongodb://{}/?tls=true&tlsAllowInvalidCertificates=true", server.address);
    let seen = ping(&url, json!({})).await;
    assert_eq!((seen.outcome, kind(&seen)), (Outcome::Done, &Value::from("tls")), "{seen:?}");
}

#[tokio::test]
async fn an_address_that_is_a_secret_goes_to_its_hosts_and_is_never_shown() {
    let root = tempfile::tempdir().unwrap();
    let server = saying(hello()).await;
    let gone = crate::servers::refused_port();
    let redactor = Redactor::new();
    for (address, hosts, outcome) in [
        (format!("mongodb://u:hunter2-example@{}", server.address), "127.0.0.1", Outcome::Done),
        (format!("mongodb://u:hunter2-example@127.0.0.1:{gone}"), "127.0.0.1", Outcome::Done),
        (format!("mongodb://u:hunter2-example@{}", server.address), "db.example.com", Outcome::Refused),
        (format!("mongodb://u:hunter2-example@{},other.example.com", server.address), "127.0.0.1", Outcome::Refused),
    ] {
        std::fs::write(root.path().join("uri"), address).unwrap();
        let source = SecretSource { from: From::File { path: "uri".into() }, hosts: vec![hosts.to_owned()] };
        let world = World::new(WorldSettings {
            project: root.path().into(),
            secrets: [("URI".to_owned(), source)].into(),
            redactor: redactor.clone(),
            ..WorldSettings::default()
        });
        let mut given = args(json!({}));
        given.insert("url".into(), Value::Secret(SecretText::named("URI")));
        let seen = perform(&world, "mongo.ping", &given).await;
        assert_eq!(seen.outcome, outcome, "{hosts}: {seen:?}");
        assert!(!format!("{seen:?}").contains("hunter2"), "{seen:?}");
    }
}
