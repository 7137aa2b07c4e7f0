//! The way of every request: name and origin, proof, authority, pace, body, key; then the route, and the redactor on the
//! way out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{RawPathParams, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::engine::traceparent::Traceparent;
use crate::runs::{Keyed, Once, Runs, Twice};
use crate::surfaces::http::authority::{Authority, Credential, Peer, Principal, authenticate};
use crate::surfaces::http::body::{Brought, read_usual};
use crate::surfaces::http::call::{Answer, Call};
use crate::surfaces::http::hooks::{Hook, Sent, hear};
use crate::surfaces::http::problem::Problem;
use crate::surfaces::http::routes::{Does, Route};
use crate::surfaces::http::serve::Server;
use crate::surfaces::http::stream::Listener;
use crate::surfaces::http::{browser, events};

/// How long a request may take; a start waits up to half of it for its group.
pub(super) const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// How long a rehearsal may take: it looks at the world.
pub(super) const REHEARSE_WITHIN: Duration = Duration::from_secs(120);
/// Letters of a key: a UUID, or what a client makes of two.
const KEY_CHARS_MAX: usize = 128;
/// The header with the key of a request.
const KEY: &str = "idempotency-key";
/// Who pays for requests that nothing proves.
pub(super) const NOBODY: &str = "(nobody)";

/// Answers a request to a route.
pub async fn answer(server: Arc<Server>, route: &'static Route, params: RawPathParams, request: Request) -> Response {
    let began = Instant::now();
    let mut params = params.iter().map(|(_, value)| value.to_owned());
    let (subject, rest) = (params.next(), params.next());
    let response = match route.is_page() {
        true => browser::answer(&server, route, subject, rest, request).await,
        false => match through(&server, route, subject, request).await {
            Ok(response) => response,
            Err(problem) => refuse(&server, &problem),
        },
    };
    let status = response.status().as_u16();
    server.tally.answered(status);
    let method = if route.is_post() { "POST" } else { "GET" };
    // Nothing a client has said: the path is that of the table.
    tracing::info!(method, route = route.path, status, ms = elapsed_ms(began), "answered");
    response
}

fn elapsed_ms(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// Answers a request that no route is for.
pub async fn elsewhere(server: Arc<Server>, status: u16, request: Request) -> Response {
    let problem = match server.hosts.admit(request.headers()) {
        Err(problem) => problem,
        Ok(()) if status == 405 => Problem::new(405, "this can't be asked so: look with GET, act with POST"),
        Ok(()) => Problem::new(404, "there is nothing here").hint("GET /api/v1/openapi.json says what there is"),
    };
    let response = refuse(&server, &problem);
    server.tally.answered(response.status().as_u16());
    response
}

async fn through(
    server: &Arc<Server>,
    route: &'static Route,
    subject: Option<String>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    server.hosts.admit(&parts.headers)?;
    if route.authority == Authority::Anybody {
        return Ok((StatusCode::OK, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], "ok\n").into_response());
    }
    if let (Authority::Signed, Does::Hear(hook)) = (route.authority, route.does) {
        return listen(server, hook, subject, parts, body).await;
    }
    let peer = parts.extensions.get::<Peer>().copied().unwrap_or(Peer::Network);
    let credential = Credential { peer, header: one(&parts.headers, header::AUTHORIZATION)?, session: None };
    let (asked, proof) = (Arc::clone(server), credential.clone());
    let (runs, principal) = blocking(ANSWER_WITHIN, move || admit(&asked, &proof, route.authority)).await?;
    let brought = match route.is_post() {
        true => {
            is_json(&parts.headers)?;
            server.large.read(route.size, &parts.headers, body).await?
        }
        false => Brought::default(),
    };
    // What is large takes its place until the work on it has ended, also if nobody waits for that any more.
    let Brought { bytes: body, place } = brought;
    let query = parts.uri.query().map(str::to_owned);
    let path = parts.uri.path().to_owned();
    let headers = parts.headers;
    let asked = Arc::clone(server);
    match route.does {
        Does::Look(look) => {
            let work = move || {
                let call = Call::new(&asked, runs, principal, subject, query, body);
                if route.query.is_empty() {
                    call.parameters(&[])?;
                }
                look(&call)
            };
            Ok(say(server, blocking(ANSWER_WITHIN, work).await?))
        }
        Does::Rehearse(rehearse) => {
            key(&headers)?;
            let work = move || {
                let _place = place;
                rehearse(&Call::new(&asked, runs, principal, subject, query, body))
            };
            Ok(say(server, blocking(REHEARSE_WITHIN, work).await?))
        }
        Does::Converse(converse) => {
            let work = move || converse(&Call::new(&asked, runs, principal, subject, query, body));
            Ok(say(server, blocking(REHEARSE_WITHIN, work).await?))
        }
        Does::Act(act, twice) => {
            let key = key(&headers)?;
            let traceparent = traceparent(&headers);
            let work = move || {
                let _place = place;
                let call = Call { traceparent, ..Call::new(&asked, runs, principal, subject, query, body) };
                let digest = digest(&path, &call.body);
                let keyed = Keyed { person: call.principal.name.clone(), key, digest, twice };
                call.parameters(&[])?;
                once(&call, &keyed, act)
            };
            Ok(say(server, blocking(ANSWER_WITHIN, work).await?))
        }
        // Declared for people, who have no signature; or for browsers, whose way is another: nobody comes in here.
        Does::Hear(_)
        | Does::Page(_)
        | Does::Form(_)
        | Does::Preview(_)
        | Does::Live(_)
        | Does::Entrance(_)
        | Does::Door(_)
        | Does::Asset(..) => Err(Problem::new(403, "nobody may call this")),
        Does::Tell => {
            let last = one(&headers, HeaderName::from_static("last-event-id"))?;
            let name = principal.name.clone();
            let found = Arc::clone(&runs);
            let find = move || {
                let call = Call::new(&asked, runs, principal, subject, query, body);
                call.parameters(&[])?;
                call.run()
            };
            let run = blocking(ANSWER_WITHIN, find).await?;
            let listener = Listener { name, credential, authority: route.authority };
            events::tell(server, found, listener, run, last)
        }
    }
}

/// The span of whoever asks. One that can't be read is none, as the standard has it: it may come from anywhere on the way.
fn traceparent(headers: &HeaderMap) -> Option<Traceparent> {
    let text = one(headers, HeaderName::from_static("traceparent")).ok()??;
    text.parse().ok()
}

/// Lets somebody in, with the project as it is at this moment.
pub fn admit(
    server: &Server,
    credential: &Credential,
    authority: Authority,
) -> Result<(Arc<Runs>, Principal), Problem> {
    let runs = server.door()?;
    let slow = |seconds| slowed(server, seconds);
    match authenticate(&runs, server.local.as_ref(), credential) {
        Ok(principal) => {
            server.rates.take(&principal.name, Instant::now()).map_err(slow)?;
            principal.may(authority)?;
            Ok((runs, principal))
        }
        Err(problem) => {
            server.rates.take(NOBODY, Instant::now()).map_err(slow)?;
            Err(problem)
        }
    }
}

pub(super) fn slowed(server: &Server, seconds: u32) -> Problem {
    server.tally.slowed.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    Problem::new(429, "too many requests").hint("wait a second, then go on more slowly").after(seconds)
}

pub(super) type Act = fn(&Call<'_>, crate::engine::ids::RunId) -> Result<Answer, Problem>;

/// Does it once for its key.
pub(super) fn once(call: &Call<'_>, keyed: &Keyed, act: Act) -> Result<Answer, Problem> {
    if call.runs.redactor().redact(&keyed.key) != keyed.key {
        return Err(Problem::new(400, "the key of the request holds the value of a secret"));
    }
    let mut refused = None;
    let done = call.server.requests.once(&call.runs, keyed, |run| match act(call, run) {
        Ok(answer) => Ok((answer.status, call.runs.redactor().redact(&answer.body).into_owned())),
        Err(problem) => {
            let kind = problem.kind();
            let error = crate::runs::RunsError::new(kind, problem.message.clone());
            refused = Some(problem);
            Err(error)
        }
    });
    let done = match (done, refused) {
        (Err(_), Some(problem)) => return Err(problem),
        (done, _) => done?,
    };
    match done {
        Once::Answered { status, body, again } => {
            let location = (keyed.twice == Twice::Same).then(|| location(&body)).flatten();
            let mut answer = Answer { status, body, media_type: "application/json", headers: Vec::new() };
            answer.headers.extend(location.map(|location| ("location", location)));
            Ok(if again { answer.with("idempotency-replayed", "true".to_owned()) } else { answer })
        }
        Once::Other => Err(Problem::new(409, format!("the key `{}` was used for another request", keyed.key))
            .hint("choose a new key for each request; the same one only to send the same again")),
        Once::Unknown => Err(Problem::new(409, "this request was begun and never answered: it may have been done")
            .hint("look whether it was; to do it anyway send it with a new key")),
    }
}

/// Where the run is that an answer names.
fn location(body: &str) -> Option<String> {
    let json: serde_json::Value = serde_json::from_str(body).ok()?;
    Some(format!("/api/v1/runs/{}", json["id"].as_str()?))
}

/// Works on a thread that may wait for the disk and the world.
pub(super) async fn blocking<T: Send + 'static>(
    within: Duration,
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    match tokio::time::timeout(within, tokio::task::spawn_blocking(work)).await {
        Ok(Ok(done)) => done,
        Ok(Err(_)) => Err(Problem::new(500, "the request ended in a panic; this is a bug")),
        Err(_) => Err(Problem::new(503, format!("it takes longer than {} s, and may still be done", within.as_secs()))
            .hint("send it again with the same key")
            .after(5)),
    }
}

/// Takes in what a program sends. One that proves nothing pays like everybody whom nothing proves.
async fn listen(
    server: &Arc<Server>,
    hook: &'static dyn Hook,
    subject: Option<String>,
    parts: axum::http::request::Parts,
    body: axum::body::Body,
) -> Result<Response, Problem> {
    let body = read_usual(&parts.headers, body).await?;
    let query = parts.uri.query().map(str::to_owned);
    let sent = Sent { headers: parts.headers, subject, query, body, at: Timestamp::now() };
    let asked = Arc::clone(server);
    let work = move || match hear(&asked, hook, &sent) {
        Err(problem) if problem.status == 401 => {
            asked.rates.take(NOBODY, Instant::now()).map_err(|seconds| slowed(&asked, seconds))?;
            Err(problem)
        }
        heard => heard,
    };
    Ok(say(server, blocking(ANSWER_WITHIN, work).await?))
}

fn is_json(headers: &HeaderMap) -> Result<(), Problem> {
    let media_type = one(headers, header::CONTENT_TYPE)?.unwrap_or_default();
    let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if essence != "application/json" {
        return Err(Problem::new(415, "the body must be `application/json`, also if it is only {}"));
    }
    Ok(())
}

/// The one value of a header, if it is there.
pub(super) fn one(headers: &HeaderMap, name: HeaderName) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all(&name).iter();
    let first = values.next().map(|value| value.to_str().map(str::to_owned));
    if values.next().is_some() {
        return Err(Problem::new(400, format!("the header `{name}` is given twice")));
    }
    first.transpose().map_err(|_| Problem::new(400, format!("the header `{name}` is not text")))
}

fn key(headers: &HeaderMap) -> Result<String, Problem> {
    let key = one(headers, HeaderName::from_static(KEY))?.unwrap_or_default();
    match is_key(&key) {
        true => Ok(key),
        false => Err(Problem::new(400, format!("the header `{KEY}` is missing, or not 1 to {KEY_CHARS_MAX} letters"))
            .hint("choose one for each request, such as a UUID, and keep it when you send the request again")),
    }
}

/// Whether this may be the key of a request.
pub(super) fn is_key(key: &str) -> bool {
    (1..=KEY_CHARS_MAX).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic())
}

pub(super) fn digest(path: &str, body: &[u8]) -> String {
    let mut digest = Sha256::new();
    digest.update(path.as_bytes());
    digest.update([0]);
    digest.update(body);
    crate::script::hex::hex(&digest.finalize())
}

pub(super) fn say(server: &Server, answer: Answer) -> Response {
    let text = server.redactor().redact(&answer.body).into_owned();
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, [(header::CONTENT_TYPE, answer.media_type)], text).into_response();
    for (name, value) in answer.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
    closed(response)
}

pub(super) fn refuse(server: &Server, problem: &Problem) -> Response {
    let text = problem.to_json().to_string();
    closed(problem.respond(server.redactor().redact(&text).into_owned() + "\n"))
}

/// What a browser may do with what it gets: what is ours, from here, and nothing that stands in the page itself.
const POLICY: &str = "default-src 'self'; base-uri 'none'; object-src 'none'; form-action 'self'; frame-ancestors 'none'; \
                      require-trusted-types-for 'script'; trusted-types rerail";

/// What no cache keeps, no page shows as something else, and nobody else's page holds or hears of.
pub(super) fn closed(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // Others hear of no address. Our own forms have to say where they come from, which `no-referrer` keeps from us too.
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    for name in ["cross-origin-opener-policy", "cross-origin-resource-policy"] {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static("same-origin"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_one_word_of_bounded_length() {
        let with = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.append(KEY, value.parse().unwrap());
            key(&headers)
        };
        assert_eq!(with("k-1").unwrap(), "k-1");
        assert_eq!(with(&"k".repeat(128)).unwrap().len(), 128);
        for bad in ["", "a b", "ä"] {
            assert_eq!(with(bad).unwrap_err().status, 400, "{bad}");
        }
        assert!(with(&"k".repeat(129)).is_err() && key(&HeaderMap::new()).is_err());
        let mut twice = HeaderMap::new();
        twice.append(KEY, "a".parse().unwrap());
        twice.append(KEY, "b".parse().unwrap());
        assert!(key(&twice).unwrap_err().message.contains("twice"));
    }

    #[test]
    fn another_path_or_body_is_another_request() {
        let all = [digest("/a", b"b"), digest("/ab", b""), digest("/a", b""), digest("/", b"ab")];
        for (at, one) in all.iter().enumerate() {
            assert!(all[at + 1..].iter().all(|other| other != one));
        }
        assert_eq!(location("{\"id\": \"x\"}").as_deref(), Some("/api/v1/runs/x"));
        assert_eq!(location("{}"), None);
    }
}
