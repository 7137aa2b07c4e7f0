//! What goes out and what comes back when nothing breaks.

use rerail::engine::outcome::{FailureKind, Outcome};
use rerail::runbook::spec::Repeat;
use rerail::script::value::Value;
use rerail::steps::{Primitive, catalog};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncWriteExt as _;

use crate::steps::kit::{Server, answer, args, open_world, perform, read_request};

#[tokio::test]
async fn a_request_carries_its_body_headers_and_key() {
    let server = Server::answering(answer("201 Created", &["ETag: \"7\"", "set-cookie: s=1"], "{\"id\": 7}")).await;
    let args = args(json!({
        "method": "POST", "url": server.url("/things?x=1"), "headers": {"X-Trace": "abc"}, "json": {"$secret": "plain", "n": 1},
        "idempotency": {"header": "Idempotency-Key", "window": "24h"}, "expect": {"status": 201},
    }));
    let attempt = perform(&open_world(), "http.request", &args).await;
    assert_eq!(attempt.outcome, Outcome::Done, "{attempt:?}");
    let outputs = attempt.outputs.to_plain();
    assert_eq!((&outputs["status"], &outputs["json"]), (&json!(201), &json!({"id": 7})));
    assert_eq!(outputs["headers"], json!({"content-length": "9", "etag": "\"7\""}), "cookies are not kept");
    let sent = server.received();
    assert!(sent.starts_with("POST /things?x=1 HTTP/1.1\r\n"), "{sent}");
    for line in ["x-trace: abc", "idempotency-key: key-1", "content-type: application/json"] {
        assert!(sent.contains(&format!("\r\n{line}\r\n")), "{line} in {sent}");
    }
    assert!(sent.ends_with("{\"$secret\":\"plain\",\"n\":1}"), "{sent}");
}

#[tokio::test]
async fn a_form_repeats_the_field_of_a_list() {
    let server = Server::answering(answer("200 OK", &[], "")).await;
    let args = args(json!({"method": "POST", "url": server.url("/"), "form": {"a": "x y&z", "b": [1, true]}}));
    perform(&open_world(), "http.request", &args).await;
    assert!(server.received().ends_with("\r\n\r\na=x+y%26z&b=1&b=true"), "{}", server.received());
}

#[tokio::test]
async fn a_request_that_could_hide_another_is_refused_before_connecting() {
    let server = Server::answering(answer("200 OK", &[], "")).await;
    for (headers, url) in [
        (json!({"X-A": "a\r\nX-B: b"}), "/"),
        (json!({"X-A": "a\nb"}), "/"),
        (json!({"X-A\r\nX-B": "b"}), "/"),
        (json!({"X A": "b"}), "/"),
        (json!({"": "b"}), "/"),
        (json!({"Host": "other.example"}), "/"),
        (json!({"Content-Length": "0"}), "/"),
        (json!({"transfer-encoding": "chunked"}), "/"),
        (json!({"X-A": ["list"]}), "/"),
    ] {
        let args = args(json!({"method": "POST", "url": server.url(url), "headers": headers, "text": "b"}));
        let attempt = perform(&open_world(), "http.request", &args).await;
        assert_eq!(attempt.outcome, Outcome::Refused, "{args:?}");
        assert_eq!(attempt.failure.unwrap().kind, FailureKind::Argument, "{args:?}");
    }
    for url in ["ftp://127.0.0.1/", "http://user:pass@127.0.0.1/", "http://", "not a url", "file:///etc/passwd"] {
        let attempt = perform(&open_world(), "http.request", &args(json!({"method": "POST", "url": url}))).await;
        assert_eq!(attempt.failure.unwrap().kind, FailureKind::Argument, "{url}");
    }
    assert_eq!(server.connections(), 0);
    let line = args(json!({"method": "POST", "url": server.url("/a\r\nX-Injected: 1")}));
    perform(&open_world(), "http.request", &line).await;
    assert!(!server.received().contains("\r\nX-Injected"), "{}", server.received());
}

#[tokio::test]
async fn a_big_body_is_counted_and_hashed_and_its_start_is_kept() {
    const SIZE: usize = 10 * 1024 * 1024;
    let server = Server::start(|mut stream| async move {
        read_request(&mut stream).await;
        stream.write_all(format!("HTTP/1.1 200 OK\r\ncontent-length: {SIZE}\r\n\r\n").as_bytes()).await.ok();
        for _ in 0..SIZE / 4096 {
            stream.write_all(&[b'x'; 4096]).await.ok();
        }
    })
    .await;
    let args = args(json!({"method": "POST", "url": server.url("/")}));
    let attempt = perform(&open_world(), "http.request", &args).await;
    assert_eq!(attempt.outcome, Outcome::Done);
    let outputs = attempt.outputs.to_plain();
    assert_eq!(outputs["text"].as_str().unwrap().len(), 1024 * 1024);
    assert_eq!(outputs["body_bytes"], json!(SIZE));
    let hash: String = Sha256::digest(vec![b'x'; SIZE]).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(outputs["body_sha256"], json!(hash));
}

#[tokio::test]
async fn json_that_is_none_is_nothing_and_text_is_kept() {
    for (body, json) in [
        ("{\"a\": [1, 2.5, null]}".to_owned(), json!({"a": [1, 2.5, null]})),
        ("<html>".to_owned(), json!(null)),
        ("{\"a\": 1".to_owned(), json!(null)),
        ("[".repeat(5000), json!(null)),
        (format!("{}1{}", "[".repeat(100), "]".repeat(100)), json!(null)),
    ] {
        let server = Server::answering(answer("200 OK", &[], &body)).await;
        let outputs = perform(&open_world(), "http.probe", &args(json!({"url": server.url("/")}))).await.outputs;
        assert_eq!(outputs.to_plain()["json"], json);
        assert_eq!(outputs.to_plain()["text"], json!(body));
    }
}

#[tokio::test]
async fn reads_share_a_connection_and_writes_never_do() {
    let server = Server::start(|mut stream| async move {
        while !read_request(&mut stream).await.is_empty() {
            stream.write_all(&answer("200 OK", &[], "")).await.ok();
        }
    })
    .await;
    let world = open_world();
    for _ in 0..3 {
        let look = args(json!({"method": "GET", "url": server.url("/")}));
        assert_eq!(perform(&world, "http.request", &look).await.outcome, Outcome::Done);
    }
    assert_eq!(server.connections(), 1);
    for _ in 0..3 {
        let write = args(json!({"method": "POST", "url": server.url("/")}));
        assert_eq!(perform(&world, "http.request", &write).await.outcome, Outcome::Done);
    }
    assert_eq!(server.connections(), 4);
}

#[tokio::test]
async fn expectations_judge_an_answer_that_was_whole() {
    let created = Server::answering(answer("200 OK", &[], "{\"state\": \"queued\"}")).await;
    for (expect, outcome) in [
        (json!({"status": 201}), Outcome::Failed),
        (json!({"json": {"state": "done"}}), Outcome::Failed),
        (json!({"json": {"state": "queued"}}), Outcome::Done),
    ] {
        let args = args(json!({"method": "POST", "url": created.url("/"), "expect": expect}));
        assert_eq!(perform(&open_world(), "http.request", &args).await.outcome, outcome, "{args:?}");
    }
    let gone = Server::answering(answer("404 Not Found", &[], "")).await;
    let args = args(json!({"method": "DELETE", "url": gone.url("/"), "expect": {"status": [204, 404]}}));
    assert_eq!(perform(&open_world(), "http.request", &args).await.outcome, Outcome::Done);
}

#[test]
fn a_write_is_repeatable_only_if_that_was_said_and_can_be() {
    let entry = catalog::find("http.request").unwrap();
    let repeat = |json| entry.spec.repeat_with(&args(json));
    assert_eq!(repeat(json!({"method": "PUT"})), Repeat::Once);
    assert_eq!(repeat(json!({"method": "PUT", "repeatable": true})), Repeat::Once, "no reason");
    assert_eq!(repeat(json!({"method": "PUT", "repeatable": true, "reason": "sets it"})), Repeat::Repeatable);
    assert_eq!(repeat(json!({"method": "POST", "repeatable": true, "reason": "no"})), Repeat::Once);
    let keyed = json!({"method": "POST", "idempotency": {"header": "Idempotency-Key", "window": "24h"}});
    assert_eq!(repeat(keyed), Repeat::Keyed { window_s: 24 * 3600 });
    assert_eq!(repeat(json!({"method": "POST", "idempotency": {"header": "K"}})), Repeat::Once);
}

#[test]
fn a_plan_says_what_would_be_sent_without_secrets() {
    let Primitive::ReadOrWrite(_, write) = catalog::find("http.request").unwrap().primitive else {
        panic!("http.request reads or writes")
    };
    let mut args = args(json!({"method": "POST", "url": "https://api.example.com/pause", "json": {"a": 1}}));
    assert_eq!(write.plan(&open_world(), &args), "POST https://api.example.com/pause (json {\"a\":1})");
    let secret = rerail::script::secret::SecretText::named("TOKEN");
    args.insert("json".into(), Value::map([("t", Value::Secret(secret))]));
    assert_eq!(
        write.plan(&open_world(), &args),
        "POST https://api.example.com/pause (json body {\"t\":\"[secret TOKEN]\"})"
    );
}
