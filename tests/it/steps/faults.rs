//! The outcome table against servers that break in every way: before the connection stands a write is
//! refused, after it in doubt, and done only after a whole answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rerail::engine::outcome::{Failure, FailureKind, Outcome};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::Instant;

use crate::steps::kit::{Server, answer, args, hurried, open_world, perform, read_request};

const PATH: &str = "/private-path?token=private-query";

/// What a POST and a GET to `server` end as; the error never shows path or query.
async fn outcomes(server: &Server, ms: u64) -> [(Outcome, Option<FailureKind>); 2] {
    let world = open_world();
    let mut ended = Vec::new();
    for method in ["POST", "GET"] {
        let text = if method == "POST" { json!("a body of some length") } else { json!(null) };
        let args = args(json!({"method": method, "url": server.url(PATH), "text": text}));
        let started = Instant::now();
        let attempt = perform(&hurried(&world, ms), "http.request", &args).await;
        assert!(started.elapsed().as_millis() < u128::from(ms) + 10_000, "ends by itself, not by the other side");
        let message = attempt.failure.as_ref().map(|failure| failure.message.clone()).unwrap_or_default();
        assert!(!message.contains("private"), "{message}");
        ended.push((attempt.outcome, attempt.failure.map(|failure| failure.kind)));
    }
    [ended[0], ended[1]]
}

const IN_DOUBT_NETWORK: [(Outcome, Option<FailureKind>); 2] =
    [(Outcome::InDoubt, Some(FailureKind::Network)), (Outcome::Failed, Some(FailureKind::Network))];
const IN_DOUBT_TIMEOUT: [(Outcome, Option<FailureKind>); 2] =
    [(Outcome::InDoubt, Some(FailureKind::Timeout)), (Outcome::Failed, Some(FailureKind::Timeout))];
const DONE: [(Outcome, Option<FailureKind>); 2] = [(Outcome::Done, None), (Outcome::Done, None)];

#[tokio::test]
async fn a_closed_port_refuses() {
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], crate::servers::refused_port()));
    let server = Server { address, connections: Arc::default(), received: Arc::default() };
    let refused = (Outcome::Refused, Some(FailureKind::Connect));
    assert_eq!(outcomes(&server, 5000).await, [refused, refused]);
}

#[tokio::test]
async fn a_name_server_that_never_answers_refuses() {
    let silent = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let world = rerail::steps::world::World::new(rerail::steps::world::WorldSettings {
        name_servers: vec![silent.local_addr().unwrap()],
        ..Default::default()
    })
    .gated(|| Ok(()));
    let args = args(json!({"method": "POST", "url": "http://lost.example.com/"}));
    let attempt = perform(&hurried(&world, 300), "http.request", &args).await;
    assert_eq!(attempt.outcome, Outcome::Refused);
    assert_eq!(attempt.failure.unwrap().kind, FailureKind::Timeout);
}

#[tokio::test]
async fn a_handshake_that_hangs_refuses_and_one_that_is_cut_off_too() {
    let mute = Server::start(|stream| async move {
        let _open = stream;
        std::future::pending::<()>().await;
    })
    .await;
    let closing = Server::start(|mut stream| async move {
        stream.read_u8().await.ok();
    })
    .await;
    let plain = Server::start(|mut stream| async move {
        stream.write_all(b"220 mail.example.com ESMTP\r\n").await.ok();
        stream.read_u8().await.ok();
    })
    .await;
    for (server, kind) in [(mute, FailureKind::Timeout), (closing, FailureKind::Tls), (plain, FailureKind::Tls)] {
        let args = args(json!({"method": "POST", "url": format!("https://{}/", server.address), "text": "body"}));
        let attempt = perform(&hurried(&open_world(), 500), "http.request", &args).await;
        let failure = attempt.failure.unwrap();
        assert_eq!((attempt.outcome, failure.kind), (Outcome::Refused, kind), "{}", failure.message);
    }
}

#[tokio::test]
async fn silence_after_the_connection_is_in_doubt() {
    let mute = Server::start(|mut stream| async move {
        read_request(&mut stream).await;
        std::future::pending::<()>().await;
    })
    .await;
    assert_eq!(outcomes(&mute, 300).await, IN_DOUBT_TIMEOUT);
    let deaf = Server::start(|stream| async move {
        let _open = stream;
        std::future::pending::<()>().await;
    })
    .await;
    assert_eq!(outcomes(&deaf, 300).await, IN_DOUBT_TIMEOUT);
}

#[tokio::test]
async fn a_reset_at_any_byte_of_the_request_is_in_doubt() {
    // The shorter of the two requests has 113 bytes.
    for bytes in 0..110 {
        let server = Server::start(move |mut stream| async move {
            let mut read = vec![0; bytes];
            stream.read_exact(&mut read).await.ok();
            stream.set_zero_linger().unwrap();
        })
        .await;
        assert_eq!(outcomes(&server, 5000).await, IN_DOUBT_NETWORK, "reset after {bytes} bytes");
    }
}

#[tokio::test]
async fn an_answer_cut_off_at_any_byte_is_in_doubt_until_it_is_whole() {
    let whole = answer("200 OK", &["x-request-id: 7"], "{\"ok\":true}");
    for end in 0..whole.len() {
        let server = Server::answering(&whole[..end]).await;
        assert_eq!(outcomes(&server, 5000).await, IN_DOUBT_NETWORK, "ended after {end} bytes");
    }
    assert_eq!(outcomes(&Server::answering(whole).await, 5000).await, DONE);
}

#[tokio::test]
async fn an_answer_reset_at_any_byte_is_in_doubt_until_it_is_whole() {
    let whole = answer("200 OK", &["x-request-id: 7"], "{\"ok\":true}");
    for end in 0..whole.len() {
        let start = whole[..end].to_vec();
        let server = Server::start(move |mut stream| {
            let start = start.clone();
            async move {
                read_request(&mut stream).await;
                stream.write_all(&start).await.ok();
                stream.set_zero_linger().unwrap();
            }
        })
        .await;
        assert_eq!(outcomes(&server, 5000).await, IN_DOUBT_NETWORK, "reset after {end} bytes");
        assert_eq!(server.connections(), 2, "one connection each, nothing repeated");
    }
}

#[tokio::test]
async fn a_no_holds_as_soon_as_its_head_is_there() {
    let head = "HTTP/1.1 422 Unprocessable\r\ncontent-length: 100\r\n\r\n";
    let refused = (Outcome::Refused, Some(FailureKind::Status));
    assert_eq!(outcomes(&Server::answering(format!("{head}cut off")).await, 5000).await, [refused, refused]);
    assert_eq!(outcomes(&Server::answering(&head[..head.len() - 3]).await, 5000).await, IN_DOUBT_NETWORK);
}

#[tokio::test]
async fn what_is_not_the_protocol_is_in_doubt() {
    for bytes in [
        "garbage\r\n\r\n",
        "HTTP/1.1 OK\r\n\r\n",
        "SSH-2.0-OpenSSH_9.7\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nnot a size\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!",
        "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
    ] {
        assert_eq!(outcomes(&Server::answering(bytes).await, 5000).await, IN_DOUBT_NETWORK, "{bytes}");
    }
}

#[tokio::test]
async fn endless_heads_and_interim_answers_end_by_themselves() {
    let flood = Server::start(|mut stream| async move {
        read_request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\n").await.ok();
        let mut number = 0;
        while stream.write_all(format!("x-{number}: y\r\n").as_bytes()).await.is_ok() {
            number += 1;
        }
    })
    .await;
    assert_eq!(outcomes(&flood, 5000).await, IN_DOUBT_NETWORK);
    let interim = Server::start(|mut stream| async move {
        read_request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.ok();
        std::future::pending::<()>().await;
    })
    .await;
    assert_eq!(outcomes(&interim, 300).await, IN_DOUBT_TIMEOUT);
    let interims = Server::start(|mut stream| async move {
        read_request(&mut stream).await;
        while stream.write_all(b"HTTP/1.1 102 Processing\r\n\r\n").await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(outcomes(&interims, 300).await, IN_DOUBT_TIMEOUT);
}

#[tokio::test]
async fn a_slow_body_ends_with_the_deadline() {
    let slow = Server::start(|mut stream| async move {
        read_request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n").await.ok();
        loop {
            if stream.write_all(b"x").await.is_err() {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    })
    .await;
    assert_eq!(outcomes(&slow, 300).await, IN_DOUBT_TIMEOUT);
}

#[tokio::test]
async fn statuses_decide_as_the_table_says() {
    use Outcome::{Done, Failed, InDoubt, Refused};
    for (status, headers, write, read) in [
        ("200 OK", vec![], Done, Done),
        ("204 No Content", vec![], Done, Done),
        ("207 Multi-Status", vec![], Failed, Failed),
        ("302 Found", vec!["location: http://169.254.169.254/"], InDoubt, Failed),
        ("401 Unauthorized", vec![], Refused, Refused),
        ("408 Request Timeout", vec![], InDoubt, Failed),
        ("409 Conflict", vec![], InDoubt, Failed),
        ("425 Too Early", vec![], InDoubt, Failed),
        ("429 Too Many Requests", vec![], Refused, Refused),
        ("500 Oops", vec![], InDoubt, Failed),
        ("503 Busy", vec![], InDoubt, Failed),
        ("503 Busy", vec!["retry-after: soon"], InDoubt, Failed),
        ("503 Busy", vec!["retry-after: 30"], Refused, Refused),
    ] {
        let server = Server::answering(answer(status, &headers, "")).await;
        assert_eq!(outcomes(&server, 5000).await.map(|(outcome, _)| outcome), [write, read], "{status} {headers:?}");
        assert_eq!(server.connections(), 2, "one connection each, nothing repeated or followed");
    }
}

#[tokio::test]
async fn retry_after_is_read_in_both_forms_and_bounded() {
    let past = "retry-after: Sun, 06 Nov 1994 08:49:37 GMT";
    for (header, seconds) in [
        ("retry-after: 0", Some(0)),
        ("retry-after: 120", Some(120)),
        ("retry-after: 1000000000", Some(24 * 3600)),
        (past, Some(0)),
        ("retry-after: -5", None),
        ("retry-after: tomorrow", None),
    ] {
        let server = Server::answering(answer("429 Too Many Requests", &[header], "")).await;
        let args = args(json!({"method": "POST", "url": server.url("/")}));
        let failure = perform(&open_world(), "http.request", &args).await.failure.unwrap();
        assert!(failure.transient);
        assert_eq!(failure.retry_after_s, seconds, "{header}");
    }
}

#[tokio::test]
async fn a_shut_gate_lets_no_byte_out_and_is_asked_once_the_connection_stands() {
    let seen = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&seen);
    let (closed, mut was_closed) = tokio::sync::mpsc::unbounded_channel();
    let server = Server::start(move |mut stream| {
        let (count, closed) = (Arc::clone(&count), closed.clone());
        async move {
            let mut bytes = Vec::new();
            stream.read_to_end(&mut bytes).await.ok();
            count.fetch_add(bytes.len(), Ordering::SeqCst);
            closed.send(()).ok();
        }
    })
    .await;
    let asked = Arc::new(AtomicUsize::new(0));
    let asks = Arc::clone(&asked);
    let world = open_world().gated(move || {
        asks.fetch_add(1, Ordering::SeqCst);
        Err(Failure::new(FailureKind::Policy, "another process drives this run"))
    });
    let args = args(json!({"method": "POST", "url": server.url("/"), "text": "body"}));
    let attempt = perform(&world, "http.request", &args).await;
    assert_eq!(attempt.outcome, Outcome::Refused);
    let failure = attempt.failure.unwrap();
    assert_eq!((failure.kind, failure.message.as_str()), (FailureKind::Policy, "another process drives this run"));
    was_closed.recv().await.unwrap();
    assert_eq!((asked.load(Ordering::SeqCst), server.connections(), seen.load(Ordering::SeqCst)), (1, 1, 0));
}

#[tokio::test]
async fn a_world_without_a_gate_performs_no_write() {
    let server = Server::answering(answer("200 OK", &[], "")).await;
    let world = rerail::steps::world::World::new(Default::default());
    let args = args(json!({"method": "POST", "url": server.url("/"), "text": "body"}));
    assert_eq!(perform(&world, "http.request", &args).await.outcome, Outcome::Refused);
    assert_eq!(server.received(), "");
}

#[tokio::test]
async fn a_probe_observes_what_breaks_and_fails_only_by_expectation() {
    let cut = Server::answering("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\ncut").await;
    let down = Server::answering(answer("503 Busy", &[], "{\"db\": false}")).await;
    for (server, kind, status) in [(&cut, json!("network"), json!(200)), (&down, json!(null), json!(503))] {
        let look = args(json!({"url": server.url(PATH)}));
        let attempt = perform(&open_world(), "http.probe", &look).await;
        assert_eq!(attempt.outcome, Outcome::Done);
        let outputs = attempt.outputs.to_plain();
        assert_eq!((&outputs["ok"], &outputs["status"]), (&json!(false), &status));
        assert_eq!(outputs["error"].get("kind").cloned().unwrap_or_default(), kind);
        let judged = args(json!({"url": server.url(PATH), "expect": {"status": 200}}));
        let attempt = perform(&open_world(), "http.probe", &judged).await;
        assert_eq!(attempt.outcome, Outcome::Failed);
        assert_eq!(attempt.outputs.to_plain()["status"], status, "outputs are kept");
    }
    let expected = args(json!({"url": down.url("/"), "expect": {"status": [503], "json": {"db": false}}}));
    let attempt = perform(&open_world(), "http.probe", &expected).await;
    assert_eq!((attempt.outcome, &attempt.outputs.to_plain()["ok"]), (Outcome::Done, &json!(true)));
}
