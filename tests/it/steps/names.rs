//! Names, addresses and ports, against a name server of our own.

use std::net::{Ipv4Addr, SocketAddr};

use rerail::engine::outcome::{FailureKind, Outcome};
use rerail::steps::world::{World, WorldSettings};
use serde_json::json;
use tokio::net::UdpSocket;

use crate::steps::kit::{Server, answer, args, hurried, open_world, perform};

/// A name server that knows a few names.
pub async fn name_server() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut query = [0; 512];
        while let Ok((length, client)) = socket.recv_from(&mut query).await {
            socket.send_to(&reply(&query[..length]), client).await.ok();
        }
    });
    address
}

/// Header, the question again, and an answer for what is known (RFC 1035).
fn reply(query: &[u8]) -> Vec<u8> {
    let mut labels = Vec::new();
    let mut at = 12;
    while query[at] != 0 {
        let length = usize::from(query[at]);
        labels.push(String::from_utf8_lossy(&query[at + 1..at + 1 + length]).to_lowercase());
        at += length + 1;
    }
    let kind = u16::from_be_bytes([query[at + 1], query[at + 2]]);
    let question = &query[12..at + 5];
    let name = labels.join(".");
    let a = |address: [u8; 4]| (1_u16, address.to_vec());
    let answers: Vec<(u16, Vec<u8>)> = match (name.as_str(), kind) {
        ("api.example.com", 1) => vec![a([10, 0, 0, 8]), a([10, 0, 0, 7])],
        ("loop.example.com", 1) => vec![a([127, 0, 0, 1])],
        ("rebound.example.com", 1) => vec![a([127, 0, 0, 1]), a([169, 254, 169, 254])],
        ("example.com", 15) => vec![(15, b"\x00\x0a\x04mail\xc0\x0c".to_vec())],
        ("example.com", 16) => vec![(16, b"\x06v=spf1\x05 -all".to_vec())],
        _ => Vec::new(),
    };
    let code = if name.ends_with("gone.example.com") { 3 } else { u8::from(name.starts_with("broken.")) * 2 };
    let mut reply = vec![query[0], query[1], 0x81, 0x80 | code, 0, 1, 0, answers.len() as u8, 0, 0, 0, 0];
    reply.extend_from_slice(question);
    for (kind, data) in answers {
        reply.extend_from_slice(&[0xc0, 0x0c]);
        reply.extend_from_slice(&kind.to_be_bytes());
        reply.extend_from_slice(&[0, 1, 0, 0, 0, 60]);
        reply.extend_from_slice(&(data.len() as u16).to_be_bytes());
        reply.extend_from_slice(&data);
    }
    reply
}

async fn world(allow_hosts: &[&str]) -> World {
    let settings = WorldSettings {
        name_servers: vec![name_server().await],
        allow_hosts: allow_hosts.iter().map(|host| (*host).to_owned()).collect(),
        ..WorldSettings::default()
    };
    World::new(settings).gated(|| Ok(()))
}

#[tokio::test]
async fn records_of_each_kind_are_read() {
    let world = world(&[]).await;
    for (name, kind, addresses, records) in [
        ("api.example.com.", "A", json!(["10.0.0.7", "10.0.0.8"]), json!(["10.0.0.7", "10.0.0.8"])),
        ("example.com.", "MX", json!([]), json!(["10 mail.example.com"])),
        ("example.com.", "TXT", json!([]), json!(["v=spf1 -all"])),
    ] {
        let attempt = perform(&world, "dns.resolve", &args(json!({"name": name, "type": kind}))).await;
        assert_eq!(attempt.outcome, Outcome::Done, "{attempt:?}");
        let outputs = attempt.outputs.to_plain();
        assert_eq!((&outputs["addresses"], &outputs["records"]), (&addresses, &records));
        assert_eq!(outputs["ttl_s"], json!(60));
    }
}

#[tokio::test]
async fn a_name_that_does_not_exist_has_no_addresses_and_a_broken_server_fails() {
    let world = world(&[]).await;
    for name in ["gone.example.com.", "example.com."] {
        let outputs = perform(&world, "dns.resolve", &args(json!({"name": name}))).await.outputs.to_plain();
        assert_eq!((&outputs["addresses"], &outputs["ttl_s"]), (&json!([]), &json!(null)), "{name}");
    }
    let attempt = perform(&world, "dns.resolve", &args(json!({"name": "broken.example.com."}))).await;
    assert_eq!((attempt.outcome, attempt.failure.unwrap().kind), (Outcome::Failed, FailureKind::Dns));
}

#[tokio::test]
async fn a_name_is_connected_to_by_what_it_resolves_to_unless_that_is_forbidden() {
    let world = world(&[]).await;
    let server = Server::answering(answer("200 OK", &[], "")).await;
    let port = server.address.port();
    let url = |host: &str| args(json!({"method": "POST", "url": format!("http://{host}:{port}/")}));
    assert_eq!(perform(&world, "http.request", &url("loop.example.com")).await.outcome, Outcome::Done);
    assert_eq!(server.connections(), 1);
    for action in ["http.request", "http.probe", "tcp.connect", "tls.inspect"] {
        let mut args = url("rebound.example.com");
        if action != "http.request" {
            args.remove("method");
        }
        args.insert("host".into(), "rebound.example.com".into());
        args.insert("port".into(), i64::from(port).into());
        let attempt = perform(&world, action, &args).await;
        assert_eq!(attempt.outcome, Outcome::Refused, "{action}");
        let failure = attempt.failure.unwrap();
        assert_eq!(failure.kind, FailureKind::Policy, "{action}: {}", failure.message);
        assert!(failure.message.contains("169.254.169.254"), "{}", failure.message);
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn every_connecting_step_keeps_to_the_hosts_of_the_target() {
    let world = world(&["*.example.com"]).await;
    let server = Server::answering(answer("200 OK", &[], "")).await;
    let port = server.address.port();
    for (action, json) in [
        ("http.probe", json!({"url": server.url("/")})),
        ("http.request", json!({"method": "POST", "url": server.url("/")})),
        ("tcp.connect", json!({"host": "127.0.0.1", "port": port})),
        ("tls.inspect", json!({"host": "127.0.0.1", "port": port})),
        ("dns.resolve", json!({"name": "example.org"})),
    ] {
        let attempt = perform(&world, action, &args(json)).await;
        assert_eq!(attempt.failure.map(|failure| failure.kind), Some(FailureKind::Policy), "{action}");
    }
    assert_eq!(server.connections(), 0);
    let look = args(json!({"url": format!("http://loop.example.com:{port}/")}));
    assert_eq!(perform(&world, "http.probe", &look).await.outputs.to_plain()["ok"], json!(true));
}

#[tokio::test]
async fn a_port_is_open_closed_or_silent() {
    let server = Server::answering("").await;
    let outputs =
        perform(&open_world(), "tcp.connect", &args(json!({"host": "localhost", "port": server.address.port()})))
            .await
            .outputs
            .to_plain();
    assert_eq!((&outputs["ok"], &outputs["address"]), (&json!(true), &json!(server.address.to_string())));
    let closed = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    let attempt =
        perform(&open_world(), "tcp.connect", &args(json!({"host": "127.0.0.1", "port": closed.port()}))).await;
    let outputs = attempt.outputs.to_plain();
    assert_eq!(
        (attempt.outcome, &outputs["ok"], &outputs["error"]["kind"]),
        (Outcome::Done, &json!(false), &json!("connect"))
    );
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let lost = World::new(WorldSettings { name_servers: vec![silent.local_addr().unwrap()], ..Default::default() });
    let look = args(json!({"host": "lost.example.com", "port": 80}));
    let outputs = perform(&hurried(&lost, 200), "tcp.connect", &look).await.outputs.to_plain();
    assert_eq!(outputs["error"]["kind"], json!("timeout"));
    for port in [json!(0), json!(65536), json!(-1), json!("80"), json!(null)] {
        let attempt = perform(&open_world(), "tcp.connect", &args(json!({"host": "127.0.0.1", "port": port}))).await;
        assert_eq!(attempt.failure.unwrap().kind, FailureKind::Argument);
    }
}
