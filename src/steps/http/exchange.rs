//! One exchange: send, wait, read to the end, and say how far it came. Nothing is repeated here.

use std::sync::atomic::Ordering;

use reqwest::Response;
use reqwest::header::{HeaderValue, RETRY_AFTER};
use sha2::{Digest, Sha256};
use tokio::time::{Instant, timeout_at};

use crate::engine::outcome::{Failure, FailureKind};
use crate::failpoint;
use crate::script::hex::hex;
use crate::steps::classify::{Evidence, Expected, Nature, Progress};
use crate::steps::http::answer::Answer;
use crate::steps::http::message::{Message, shown};
use crate::steps::refusal::{Refusal, cause, chain};
use crate::steps::world::World;

/// Bytes of a body that are kept; the rest is counted and hashed.
pub(in crate::steps) const BODY_BYTES_MAX: usize = 1024 * 1024;
/// Which span a request is, as the W3C has it.
const TRACEPARENT: &str = "traceparent";
/// Longest wait taken from a server: beyond a day a person should look.
const RETRY_AFTER_S_MAX: u64 = 24 * 3600;

/// What came of an exchange.
pub(in crate::steps) struct Exchange {
    /// `Expected` is unsaid here; the caller knows what was asked for.
    pub evidence: Evidence,
    pub answer: Option<Answer>,
    /// What broke it, if something did.
    pub failure: Option<Failure>,
    pub ms: i64,
}

/// Sends `message` and reads the answer, all before `deadline`.
pub(in crate::steps) async fn send(world: &World, mut message: Message, nature: Nature, deadline: Instant) -> Exchange {
    let Some(span) = world.request(message.method.as_str(), &message.url, &message.host) else {
        return send_untold(world, message, nature, deadline).await;
    };
    if world.tells_its_span_to(&message.host)
        && let Ok(value) = HeaderValue::from_str(&span.traceparent())
    {
        // Whoever has written one means it.
        message.headers.entry(TRACEPARENT).or_insert(value);
    }
    let exchange = send_untold(world, message, nature, deadline).await;
    let status = exchange.answer.as_ref().map(|answer| answer.status);
    span.end(status, exchange.failure.as_ref().map(|failure| failure.kind));
    exchange
}

async fn send_untold(world: &World, message: Message, nature: Nature, deadline: Instant) -> Exchange {
    let started = Instant::now();
    let what = shown(&message);
    let broken = |progress: Progress, failure: Failure| Exchange {
        evidence: Evidence::Broken { progress, kind: failure.kind },
        answer: None,
        failure: Some(failure),
        ms: ms_since(started),
    };
    let client = match nature {
        Nature::Read => world.read_client().map(|client| (client, None)),
        Nature::Write => world.write_client().map(|(client, stood)| (client, Some(stood))),
    };
    let (client, stood) = match client {
        Ok(client) => client,
        Err(failure) => return broken(Progress::Unconnected, failure),
    };
    let tls = message.url.scheme() == "https";
    let mut request = reqwest::Request::new(message.method, message.url);
    *request.headers_mut() = message.headers;
    *request.body_mut() = message.body.map(reqwest::Body::from);

    failpoint::hit("http.before_connect");
    let sent = timeout_at(deadline, client.execute(request)).await;
    // For reads the error has to tell; for writes the flag was set by the connection itself.
    let progress = |connect_error: bool| match &stood {
        Some(stood) if stood.load(Ordering::SeqCst) => Progress::Connected,
        Some(_) => Progress::Unconnected,
        None if connect_error => Progress::Unconnected,
        None => Progress::Connected,
    };
    let response = match sent {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => {
            let progress = progress(error.is_connect() || error.is_builder());
            return broken(progress, failure_of(&what, &error, progress, tls));
        }
        Err(_) => {
            let progress = progress(false);
            return broken(progress, timed_out(&what, started, progress, stood.is_some()));
        }
    };
    // Its head is here, so the last byte of the request had left.
    failpoint::hit("http.last_byte");
    let status = response.status().as_u16();
    let retry_after_s = retry_after_s(&response);
    let (answer, failure) = read(&what, response, started, deadline, tls).await;
    failpoint::hit("http.answered");
    let cut = failure.as_ref().map(|failure| failure.kind);
    let evidence = Evidence::Answered { status, cut, retry_after_s, expected: Expected::Unsaid };
    Exchange { evidence, ms: answer.ms, answer: Some(answer), failure }
}

/// Reads the body to its end or to the deadline.
async fn read(
    what: &str,
    mut response: Response,
    started: Instant,
    deadline: Instant,
    tls: bool,
) -> (Answer, Option<Failure>) {
    let status = response.status().as_u16();
    let headers = response.headers().clone();
    let mut hash = Sha256::new();
    let mut kept: Vec<u8> = Vec::new();
    let mut bytes: u64 = 0;
    let failure = loop {
        match timeout_at(deadline, response.chunk()).await {
            Ok(Ok(Some(chunk))) => {
                hash.update(&chunk);
                bytes += chunk.len() as u64;
                let room = BODY_BYTES_MAX - kept.len();
                kept.extend_from_slice(&chunk[..chunk.len().min(room)]);
            }
            Ok(Ok(None)) => break None,
            Ok(Err(error)) => break Some(failure_of(what, &error, Progress::Connected, tls)),
            Err(_) => break Some(timed_out(what, started, Progress::Connected, true)),
        }
    };
    let sha256 = hex(&hash.finalize());
    (Answer { status, headers, kept, bytes, sha256, ms: ms_since(started) }, failure)
}

/// The failure behind a library's error. Its text never holds a path or query.
fn failure_of(what: &str, error: &reqwest::Error, progress: Progress, tls: bool) -> Failure {
    if let Some(Refusal(failure)) = cause::<Refusal>(error) {
        return failure.clone();
    }
    let kind = match progress {
        Progress::Connected => FailureKind::Network,
        Progress::Unconnected if cause::<rustls::Error>(error).is_some() => FailureKind::Tls,
        // The handshake ended without a TLS alert.
        Progress::Unconnected if tls && is_cut_off(error) => FailureKind::Tls,
        Progress::Unconnected => FailureKind::Connect,
    };
    let reason = match cause::<rustls::Error>(error) {
        Some(tls) => tls.to_string(),
        // The innermost, not the library's sentence: that one may name the address.
        None => chain(error).last().map(ToString::to_string).unwrap_or_default(),
    };
    let verb = if progress == Progress::Connected { "broke off" } else { "got no connection" };
    let message = format!("{what} {verb}: {reason}");
    match kind {
        FailureKind::Tls => Failure::new(kind, message),
        _ => Failure::transient(kind, message),
    }
}

fn is_cut_off(error: &reqwest::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    chain(error)
        .filter_map(|link| link.downcast_ref::<std::io::Error>())
        .any(|io| matches!(io.kind(), UnexpectedEof | ConnectionReset | ConnectionAborted | BrokenPipe))
}

fn timed_out(what: &str, started: Instant, progress: Progress, certain: bool) -> Failure {
    let reason = match progress {
        Progress::Unconnected => "got no connection",
        Progress::Connected if certain => "got no whole answer",
        Progress::Connected => "got no answer",
    };
    Failure::transient(FailureKind::Timeout, format!("{what} {reason} within {}", rounded(started.elapsed())))
}

/// A time as a limit is written: a timer fires a little late, and nobody has set 10001 ms.
fn rounded(took: std::time::Duration) -> String {
    let ms = took.as_millis();
    let tenths = (ms + 50) / 100;
    match (ms, tenths % 10) {
        (..1_000, _) => format!("{ms}ms"),
        (_, 0) => format!("{}s", tenths / 10),
        _ => format!("{}.{}s", tenths / 10, tenths % 10),
    }
}

/// Seconds of a Retry-After in either form; garbage is the same as none.
fn retry_after_s(response: &Response) -> Option<u64> {
    let text = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim();
    let seconds = match text.parse::<u64>() {
        Ok(seconds) => seconds,
        Err(_) => {
            let at = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
            let wait = at.duration_since(jiff::Timestamp::now()).as_secs();
            u64::try_from(wait).unwrap_or(0)
        }
    };
    Some(seconds.min(RETRY_AFTER_S_MAX))
}

fn ms_since(started: Instant) -> i64 {
    i64::try_from(started.elapsed().as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_was_reached_is_told_as_it_was_set() {
        let shown: Vec<String> =
            [40, 2_504, 10_001].into_iter().map(|ms| rounded(std::time::Duration::from_millis(ms))).collect();
        assert_eq!(shown, ["40ms", "2.5s", "10s"]);
    }
}
