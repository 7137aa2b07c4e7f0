//! A secret that is bound to a host goes to that host and to no other, whatever the other one says, however an address is
//! spelled, and wherever a name leads: real servers that record every byte they get.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rerail::engine::outcome::{FailureKind, Outcome};
use rerail::redact::Redactor;
use rerail::runbook::settings::{From, SecretSource};
use rerail::script::secret::SecretText;
use rerail::script::value::{Map, Value};
use rerail::steps::world::{World, WorldSettings};
use serde_json::{Value as Json, json};
use tempfile::TempDir;
use tokio::net::UdpSocket;

use crate::steps::kit::{Server, answer, args, hurried, perform};
use crate::steps::mail::{PASSWORD, Post, Script};

const TOKEN: &str = "tok-fake-0123456789-example";

/// The world of a target whose secret TOKEN is bound to these hosts.
fn bound_to(hosts: &[&str], name_servers: Vec<SocketAddr>) -> (World, TempDir) {
    let project = tempfile::tempdir().unwrap();
    std::fs::write(project.path().join("token"), TOKEN).unwrap();
    let hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
    let source = SecretSource { from: From::File { path: "token".into() }, hosts };
    let settings = WorldSettings {
        project: project.path().into(),
        secrets: BTreeMap::from([("TOKEN".to_owned(), source)]),
        redactor: Redactor::new(),
        name_servers,
        ..WorldSettings::default()
    };
    (World::new(settings).gated(|| Ok(())), project)
}

fn token() -> Value {
    Value::Secret(SecretText::named("TOKEN"))
}

fn bearer() -> Value {
    Value::map([("Authorization", Value::Secret(SecretText::named("TOKEN").prefixed("Bearer ")))])
}

fn with(mut args: Map, name: &str, value: Value) -> Map {
    args.insert(name.to_owned(), value);
    args
}

/// A name server of ours: what a name leads to is decided at each question, counted from 0.
async fn names(lead: impl Fn(&str, usize) -> Vec<[u8; 4]> + Send + 'static) -> (SocketAddr, Arc<AtomicUsize>) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    tokio::spawn(async move {
        let mut query = [0; 512];
        while let Ok((length, client)) = socket.recv_from(&mut query).await {
            let query = &query[..length];
            let (mut labels, mut at) = (Vec::new(), 12);
            while query[at] != 0 {
                let length = usize::from(query[at]);
                labels.push(String::from_utf8_lossy(&query[at + 1..at + 1 + length]).to_lowercase());
                at += length + 1;
            }
            let wants_v4 = query[at + 1..at + 3] == [0, 1];
            let addresses = match wants_v4 {
                true => lead(&labels.join("."), counted.fetch_add(1, Ordering::SeqCst)),
                false => Vec::new(),
            };
            let count = u8::try_from(addresses.len()).unwrap();
            let mut reply = vec![query[0], query[1], 0x81, 0x80, 0, 1, 0, count, 0, 0, 0, 0];
            reply.extend_from_slice(&query[12..at + 5]);
            for address in addresses {
                // Nothing to keep: whoever asks again gets another answer.
                reply.extend_from_slice(&[0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4]);
                reply.extend_from_slice(&address);
            }
            socket.send_to(&reply, client).await.ok();
        }
    });
    (address, asked)
}

#[tokio::test]
async fn no_redirect_takes_a_secret_along() {
    let other = Server::answering(answer("200 OK", &[], "{}")).await;
    let port = other.address.port();
    for status in
        ["301 Moved Permanently", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent Redirect"]
    {
        for to in [
            format!("http://localhost:{port}/"),
            // The same host at another port, by another scheme, as a path that is none, with a login.
            format!("http://127.0.0.1:{port}/"),
            format!("https://127.0.0.1:{port}/"),
            format!("//127.0.0.1:{port}/"),
            format!("http://127.0.0.1@localhost:{port}/"),
            "/elsewhere".to_owned(),
        ] {
            let server = Server::answering(answer(status, &[&format!("location: {to}")], "")).await;
            let (world, _project) = bound_to(&["127.0.0.1"], Vec::new());
            for method in ["GET", "POST"] {
                let request = args(
                    json!({"method": method, "url": server.url("/"), "expect": {"status": [301, 302, 303, 307, 308]}}),
                );
                let attempt = perform(&world, "http.request", &with(request, "headers", bearer())).await;
                // A write that is sent elsewhere is in doubt; a read has seen what it has seen.
                let expected = if method == "GET" { Outcome::Done } else { Outcome::InDoubt };
                assert_eq!(attempt.outcome, expected, "{status} {to}: {:?}", attempt.failure);
                assert_eq!(attempt.outputs.to_plain()["status"], json!(status[..3].parse::<u16>().unwrap()));
            }
            let probe = args(json!({"url": server.url("/")}));
            perform(&world, "http.probe", &with(probe, "headers", bearer())).await;
            assert_eq!(server.connections(), 3, "{to}: asked once each, also where it points back to itself");
            assert!(server.received().matches(TOKEN).count() == 3);
        }
    }
    assert_eq!(other.connections(), 0, "{}", other.received());
}

#[tokio::test]
async fn an_address_goes_where_it_says_however_it_is_written() {
    let server = Server::answering(answer("200 OK", &[], "{}")).await;
    let port = server.address.port();
    // (the host the secret is bound to, the address, whether it goes there)
    let table: Vec<(&str, String, bool)> = vec![
        ("localhost", format!("http://localhost:{port}/"), true),
        ("localhost", format!("http://LOCALHOST:{port}/"), true),
        ("LocalHost", format!("http://localhost:{port}/"), true),
        ("localhost.", format!("http://localhost:{port}/"), true),
        ("localhost", format!("http://localhost.:{port}/"), true),
        ("localhost", format!("http://%6cocalhost:{port}/"), true),
        ("localhost", format!("http://ｌｏｃａｌｈｏｓｔ:{port}/"), true),
        ("127.0.0.1", format!("http://127.1:{port}/"), true),
        ("127.0.0.1", format!("http://2130706433:{port}/"), true),
        ("127.0.0.1", format!("http://0x7f.0.0.1:{port}/"), true),
        // Another host, whatever stands before or after it.
        ("localhost", format!("http://127.0.0.1:{port}/"), false),
        ("127.0.0.1", format!("http://localhost:{port}/"), false),
        ("localhost", format!("http://localhost@127.0.0.1:{port}/"), false),
        ("localhost", format!("http://localhost:x@127.0.0.1:{port}/"), false),
        ("localhost", format!("http://localhost%40127.0.0.1:{port}/"), false),
        ("localhost", format!("http://127.0.0.1:{port}\\@localhost/"), false),
        ("localhost", format!("http://127.0.0.1:{port}#@localhost/"), false),
        ("localhost", format!("http://127.0.0.1:{port}?@localhost/"), false),
        ("localhost", format!("http:\\\\127.0.0.1:{port}\\localhost"), false),
        ("localhost", format!("http:/127.0.0.1:{port}/localhost"), false),
        ("localhost", format!("http://localhost.127.0.0.1:{port}/"), false),
        ("localhost", format!("http://xlocalhost:{port}/"), false),
        ("localhost", format!("http://localhost%00.example.com:{port}/"), false),
        ("localhost", format!("http://localhost\t.example.com:{port}/"), false),
        ("*.localhost", format!("http://localhost:{port}/"), false),
        ("bücher.example.com", "http://bucher.example.com/".to_owned(), false),
        // Cyrillic letters that look like others.
        ("localhost", format!("http://lоcalhost:{port}/"), false),
    ];
    for (host, address, goes) in table {
        let (world, _project) = bound_to(&[host], vec![names(|_, _| vec![[127, 0, 0, 1]]).await.0]);
        let before = server.received().len();
        for method in ["GET", "POST"] {
            let request = args(json!({"method": method, "url": address}));
            let attempt = perform(&hurried(&world, 3000), "http.request", &with(request, "headers", bearer())).await;
            assert_eq!(attempt.outcome == Outcome::Done, goes, "{host} {address}: {:?}", attempt.failure);
            if let Some(failure) = attempt.failure {
                assert!(matches!(failure.kind, FailureKind::Secret | FailureKind::Argument), "{address}: {failure:?}");
                assert!(!failure.message.contains(TOKEN), "{}", failure.message);
            }
        }
        let got = server.received().len() - before;
        assert_eq!(got > 0, goes, "{host} {address}: {got} bytes");
    }
}

#[tokio::test]
async fn a_name_is_resolved_once_and_what_was_checked_is_connected_to() {
    let server = Server::answering(answer("200 OK", &[], "{}")).await;
    // The first answer is harmless, every later one leads to where nobody may go.
    let first_only = |_: &str, asked: usize| match asked {
        0 => vec![[127, 0, 0, 1]],
        _ => vec![[169, 254, 169, 254]],
    };
    for action in ["http.request", "http.probe", "graphql.query", "chat.post"] {
        let (name_server, asked) = names(first_only).await;
        let (world, _project) = bound_to(&["api.example.com"], vec![name_server]);
        let before = server.connections();
        let request = match action {
            "http.request" => json!({"method": "POST", "text": "x"}),
            "graphql.query" => json!({"document": "{ a }"}),
            "chat.post" => json!({"text": "x"}),
            _ => json!({}),
        };
        let url = Value::from(format!("http://api.example.com:{}/", server.address.port()));
        let request = with(with(args(request), "url", url), "headers", bearer());
        perform(&hurried(&world, 3000), action, &request).await;
        assert_eq!((asked.load(Ordering::SeqCst), server.connections() - before), (1, 1), "{action}");
        // And the other way round: refused before anything is connected to.
        let refused = perform(&hurried(&world, 3000), action, &request).await;
        assert_eq!(server.connections() - before, 1, "{action}: {refused:?}");
        let said = format!("{:?} {}", refused.failure, refused.outputs);
        assert!(said.contains("169.254.169.254") && said.contains("never connected to"), "{action}: {said}");
    }
}

/// Proxies are for those who set them: a process of ours asks none. In a process of its own, since the environment is
/// everybody's.
#[test]
fn no_proxy_of_the_environment_is_asked() {
    use crate::binary::kit::{Ledger, Place, answer};
    let proxy = Ledger::serve(|_, stream| answer(stream, &json!({"proxied": true})));
    let server = Ledger::serve(|_, stream| answer(stream, &json!({"ok": true})));
    let mut place = Place::new()
        .file("targets/here.yaml", "version: 1\nsecrets: { TOKEN: { from: file, path: token, hosts: [localhost] } }\n")
        .file("token", TOKEN)
        .runbook(
            "send",
            &format!(
                "secrets: [TOKEN]\nsteps:\n  - {{ id: read, uses: http.probe, with: {{ url: 'http://localhost:{0}/', headers: {{ X-Key: '${{{{ secrets.TOKEN }}}}' }} }} }}\n  \
                 - {{ id: write, uses: http.request, with: {{ method: POST, url: 'http://localhost:{0}/', text: '${{{{ secrets.TOKEN }}}}' }} }}\n",
                server.port
            ),
        );
    for name in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
        place = place.env(name, &proxy.url);
    }
    place.ask(&["run", "send", "--target", "here", "--yes"]).exits(0);
    assert_eq!((proxy.bytes(), server.entries().len()), (0, 2));
}

#[tokio::test]
async fn every_step_that_logs_in_asks_where_the_secret_may_go() {
    let server = Server::answering(answer("200 OK", &[], "{}")).await;
    let port = server.address.port();
    let url = server.url("/");
    let steps: Vec<(&str, Json, &str, Value)> = vec![
        ("http.request", json!({"method": "GET", "url": url}), "headers", bearer()),
        ("http.request", json!({"method": "POST", "url": url}), "text", token()),
        ("http.request", json!({"method": "POST", "url": url}), "form", Value::map([("t", token())])),
        ("http.request", json!({"method": "PUT", "url": url}), "json", Value::List(vec![Value::map([("t", token())])])),
        ("http.request", json!({"method": "GET"}), "url", Value::Secret(SecretText::named("TOKEN").prefixed(&url))),
        ("http.probe", json!({"url": url}), "headers", bearer()),
        ("graphql.query", json!({"url": url, "document": "{ a }"}), "headers", bearer()),
        (
            "graphql.query",
            json!({"url": url, "document": "query($t: String) { a(t: $t) }"}),
            "variables",
            Value::map([("t", token())]),
        ),
        ("graphql.mutate", json!({"url": url, "document": "mutation { a }"}), "headers", bearer()),
        ("chat.post", json!({"url": url, "text": "x"}), "headers", bearer()),
        (
            "postgres.query",
            json!({"url": format!("postgres://a@127.0.0.1:{port}/a"), "sql": "SELECT 1", "tls": "off"}),
            "password",
            token(),
        ),
        (
            "postgres.query",
            json!({"sql": "SELECT 1", "tls": "off"}),
            "url",
            Value::Secret(
                SecretText::named("TOKEN").prefixed("postgres://a:").suffixed(&format!("@127.0.0.1:{port}/a")),
            ),
        ),
        (
            "postgres.query",
            json!({"url": format!("postgres://a@127.0.0.1:{port}/a"), "sql": "SELECT $1", "tls": "off"}),
            "params",
            Value::List(vec![token()]),
        ),
        ("redis.ping", json!({"host": "127.0.0.1", "port": port}), "password", token()),
    ];
    for (action, given, name, value) in steps {
        let request = with(args(given), name, value);
        for (host, goes) in [("api.example.com", false), ("127.0.0.1", true)] {
            let (world, _project) = bound_to(&[host], Vec::new());
            let before = server.connections();
            let attempt = perform(&hurried(&world, 1000), action, &request).await;
            assert_eq!(server.connections() > before, goes, "{action} {name} {host}: {:?}", attempt.failure);
            if !goes {
                let failure = attempt.failure.unwrap_or_else(|| panic!("{action} {name} was not refused"));
                assert_eq!(failure.kind, FailureKind::Secret, "{action} {name}: {}", failure.message);
                assert!(
                    failure.message.contains("bound to api.example.com and does not go to 127.0.0.1"),
                    "{}",
                    failure.message
                );
            }
        }
    }
}

#[tokio::test]
async fn a_mail_server_gets_no_password_that_is_bound_to_another() {
    let login = rerail::script::secret::base64(&format!("\0rerail\0{PASSWORD}"));
    // (what the password is bound to, whether it goes to `localhost`)
    for (hosts, goes) in [
        (vec!["mail.example.com"], false),
        // The same machine, but not what somebody agreed to.
        (vec!["127.0.0.1"], false),
        (vec!["*.localhost"], false),
        (vec!["localhost.example.com", "xlocalhost"], false),
        (vec!["mail.example.com", "localhost"], true),
    ] {
        let post = Post::start(Script::default()).await;
        let world = post.world_bound_to(&hosts);
        let attempt = post.send(&hurried(&world, 3000), json!({})).await;
        if goes {
            assert_eq!(attempt.outcome, Outcome::Done, "{hosts:?}: {:?}", attempt.failure);
            assert!(post.log.secured().contains(&format!("AUTH PLAIN {login}\r\n")), "{}", post.log.secured());
            continue;
        }
        let failure = attempt.failure.unwrap_or_else(|| panic!("{hosts:?}: not refused"));
        assert_eq!((attempt.outcome, failure.kind), (Outcome::Refused, FailureKind::Secret), "{}", failure.message);
        let says = format!("is bound to {} and does not go to localhost", hosts.join(", "));
        assert!(failure.message.contains(&says), "{}", failure.message);
        let heard = format!("{}{}", post.log.plain(), post.log.secured());
        assert_eq!((post.server.connections(), heard.as_str()), (0, ""), "{hosts:?}: nobody is bothered");
    }
}
