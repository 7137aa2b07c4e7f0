//! Where private addresses are refused, no step of any kind connects to one: by its address, by a name that leads there, by
//! a name that leads elsewhere a moment later. Real servers count who knocks.

use std::time::{Duration, Instant};

use rerail::engine::outcome::FailureKind;
use rerail::runbook::egress::Egress;
use rerail::runbook::settings::Settings;
use rerail::steps::world::{World, WorldSettings};
use serde_json::{Value as Json, json};

use crate::steps::kit::{Server, answer, args, hurried, perform};
use crate::steps::mail::{Post, Script};
use crate::steps::names::name_server;

/// A name that leads to this machine, at the name server of the tests.
const NAME: &str = "loop.example.com";

fn denying(allow: &[&str]) -> Egress {
    Egress { deny_private: Some(true), allow: allow.iter().map(|network| network.parse().unwrap()).collect() }
}

/// A world under a rule of the project and one of the target.
async fn world(project: Egress, target: Option<Egress>) -> World {
    let settings = WorldSettings {
        settings: Settings { egress: project, ..Settings::default() },
        egress: target,
        name_servers: vec![name_server().await],
        ..WorldSettings::default()
    };
    World::new(settings).gated(|| Ok(()))
}

/// Every step that opens a connection, to this host and port.
fn steps(host: &str, port: u16) -> Vec<(&'static str, Json)> {
    let url = format!("http://{host}:{port}/");
    vec![
        ("http.request", json!({"method": "GET", "url": url})),
        ("http.request", json!({"method": "POST", "url": url, "text": "x"})),
        ("http.probe", json!({"url": url})),
        ("graphql.query", json!({"url": url, "document": "{ a }"})),
        ("graphql.mutate", json!({"url": url, "document": "mutation { a }"})),
        ("chat.post", json!({"url": url, "text": "x"})),
        ("tcp.connect", json!({"host": host, "port": port})),
        ("tls.inspect", json!({"host": host, "port": port})),
        ("redis.ping", json!({"host": host, "port": port})),
        ("mongo.ping", json!({"url": format!("mongodb://{host}:{port}/a"), "tls": false})),
        ("postgres.query", json!({"url": format!("postgres://a@{host}:{port}/a"), "sql": "SELECT 1", "tls": "off"})),
    ]
}

#[tokio::test]
async fn no_step_connects_to_a_private_address_where_these_are_refused() {
    let server = Server::answering(answer("200 OK", &[], "{}")).await;
    let port = server.address.port();
    for (project, target) in [(denying(&[]), None), (Egress::default(), Some(denying(&["10.0.0.0/8"])))] {
        let closed = world(project, target).await;
        for host in ["127.0.0.1", NAME] {
            for (action, given) in steps(host, port) {
                let attempt = perform(&hurried(&closed, 3000), action, &args(given)).await;
                let said = format!("{:?} {}", attempt.failure, attempt.outputs);
                assert!(said.contains("not a public address"), "{action} {host}: {said}");
                if let Some(failure) = &attempt.failure {
                    assert_eq!(failure.kind, FailureKind::Policy, "{action} {host}: {said}");
                }
            }
        }
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn what_is_allowed_and_whatever_is_not_refused_is_connected_to() {
    let server = Server::answering(answer("200 OK", &[], "{}")).await;
    let port = server.address.port();
    let allowed = world(denying(&["127.0.0.0/8"]), Some(denying(&["127.0.0.1"]))).await;
    for open in [allowed, world(Egress::default(), None).await] {
        for host in ["127.0.0.1", NAME] {
            for (action, given) in steps(host, port) {
                let before = server.connections();
                let attempt = perform(&hurried(&open, 1000), action, &args(given)).await;
                // Who only knocks may be gone before the server has looked.
                let began = Instant::now();
                while server.connections() == before && began.elapsed() < Duration::from_secs(5) {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                assert!(server.connections() > before, "{action} {host}: {:?} {}", attempt.failure, attempt.outputs);
            }
        }
    }
}

#[tokio::test]
async fn no_mail_is_handed_to_a_server_at_a_private_address() {
    let post = Post::start(Script::default()).await;
    let world = post.world_under(denying(&[]));
    let attempt = post.send(&hurried(&world, 3000), json!({})).await;
    let failure = attempt.failure.unwrap();
    assert_eq!(failure.kind, FailureKind::Policy, "{}", failure.message);
    assert_eq!(post.server.connections(), 0);
}
