//! `http.request`: one HTTP request, a read or a write by its method.

use std::time::Duration;

use reqwest::header::{HeaderName, HeaderValue};

use crate::engine::outcome::{Attempt, Failure};
use crate::redact::Redactor;
use crate::runbook::spec::{ActionSpec, By, Effect, Repeat};
use crate::runbook::types::{Type, parse_duration};
use crate::script::value::{Map, Value};
use crate::steps::args::{duration, flag, given, invalid, map, optional_text};
use crate::steps::classify::{Evidence, Expected, Nature, classify};
use crate::steps::http::answer::Answer;
use crate::steps::http::exchange::send;
use crate::steps::http::expect::Expect;
use crate::steps::http::message::{READ_METHODS, build, header, method, sent_body, shown};
use crate::steps::schema::{body, choice, defaulted, optional, output, required, sealed};
use crate::steps::world::World;
use crate::steps::{Entry, Pending, Primitive, Read, Write};

/// How long an exchange takes at most unless told otherwise: slow APIs answer, lost ones don't hold a run.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Methods that say by definition that a second request changes nothing more.
const REPEATABLE_METHODS: [&str; 2] = ["PUT", "DELETE"];

struct HttpRequest;

/// The catalog's line.
pub(super) fn entry() -> Entry {
    Entry { spec: spec(), primitive: Primitive::ReadOrWrite(&HttpRequest, &HttpRequest) }
}

fn spec() -> ActionSpec {
    ActionSpec {
        name: "http.request".to_owned(),
        title: "Send one HTTP request".to_owned(),
        effect: Effect::Write,
        effect_of: Some(By::Arguments(effect_of)),
        repeat_of: Some(By::Arguments(repeat_of)),
        args: vec![
            required(
                "method",
                choice(&["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"]),
                "GET, HEAD and OPTIONS are reads, all others writes",
            ),
            required("url", Type::Url, "address to send to"),
            optional("headers", Type::Map, "request headers"),
            optional("json", Type::Any, "body, sent as JSON"),
            optional("form", Type::Map, "body, sent as form fields; a list repeats its field"),
            optional("text", Type::String, "body, sent as it is"),
            defaulted("timeout", Type::Duration, "30s", "time for the whole exchange; a write that reaches it is in doubt"),
            optional("expect", Type::Map, "`status` (code or list), `json`, `text`, `headers`: fail unless met"),
            optional("idempotency", Type::Map, "`header` that carries the key, `window` in which the other side keeps it"),
            optional("repeatable", Type::Bool, "PUT or DELETE only: sending it again leads to the same state"),
            optional("reason", Type::String, "why `repeatable` is true"),
            sealed(),
        ],
        outputs: vec![
            output("status", Type::Int, "status code"),
            body("json", Type::Any, "the body as JSON; `()` if it is none"),
            body("text", Type::String, "the body, at most 1 MiB; `()` if it is compressed or binary"),
            output("headers", Type::Map, "known response headers by lower-case name"),
            output("ms", Type::Int, "milliseconds until the end of the answer"),
            output("body_bytes", Type::Int, "size of the whole body"),
            body("body_sha256", Type::String, "hash of the whole body, in hex"),
        ],
        docs: "\
```yaml
- id: pause
  uses: http.request
  with:
    method: POST
    url: https://api.example.com/monitors/7/pause
    headers: { Authorization: \"Bearer ${{ secrets.API_TOKEN }}\" }
    json: { reason: \"${{ inputs.reason }}\" }
    idempotency: { header: Idempotency-Key, window: 24h }
```
Sent exactly once: no redirects, no retries, no proxies, and for a write a connection of its own. A write is `done` \
after a whole 2xx, `refused` when no connection stood or the answer is a 4xx that says no, and `in_doubt` after anything \
else: a time-out, a broken connection, 3xx, 5xx, 408, 409, 425, a 2xx without JSON where `expect` names `json` (`{}` is any \
object): a proxy's page proves nothing. A 4xx named in `expect.status` counts as done. A write \
in doubt is sent again only with `idempotency` inside its window, or with `repeatable: true` and a `reason`."
            .to_owned(),
    }
}

fn effect_of(args: &Map) -> Effect {
    match args.get("method") {
        Some(Value::Text(method)) if READ_METHODS.contains(&method.as_str()) => Effect::Read,
        _ => Effect::Write,
    }
}

fn repeat_of(args: &Map) -> Repeat {
    match (idempotency(args), repeatable(args)) {
        (Ok(Some((_, window))), _) => Repeat::Keyed { window_s: window.as_secs() },
        (Ok(None), Ok(true)) => Repeat::Repeatable,
        _ => Repeat::Once,
    }
}

impl Read for HttpRequest {
    fn perform<'a>(&'a self, world: &'a World, args: &'a Map) -> Pending<'a> {
        Box::pin(async move { exchange(world, args, Nature::Read, None).await.unwrap_or_else(Attempt::refused) })
    }
}

impl Write for HttpRequest {
    fn plan(&self, _world: &World, args: &Map) -> String {
        let method = method(args).unwrap_or("?");
        let url = args.get("url").map(Value::to_string).unwrap_or_default();
        let body = ["json", "form", "text"].into_iter().find_map(|name| given(args, name).map(|value| (name, value)));
        let body = match body {
            None => "no body".to_owned(),
            Some((name, value)) if value.has_secret() || value.unknown().is_some() => format!("{name} body {value}"),
            Some(("text", value)) => format!("{} bytes of text", value.to_string().len()),
            Some((name, value)) => format!("{name} {value}"),
        };
        format!("{method} {url} ({body})")
    }

    fn detail(&self, world: &World, args: &Map) -> Vec<String> {
        sent_body(world, args).into_iter().collect()
    }

    fn perform<'a>(&'a self, world: &'a World, args: &'a Map, key: &'a str) -> Pending<'a> {
        Box::pin(async move { exchange(world, args, Nature::Write, Some(key)).await.unwrap_or_else(Attempt::refused) })
    }
}

/// An `Err` means that nothing was sent.
async fn exchange(world: &World, args: &Map, nature: Nature, key: Option<&str>) -> Result<Attempt, Failure> {
    let expect = Expect::read(args)?;
    let timeout = duration(args, "timeout", TIMEOUT)?;
    repeatable(args)?;
    let mut message = build(world, method(args)?, args)?;
    if let (Some((name, _)), Some(key)) = (idempotency(args)?, key) {
        let value = HeaderValue::from_str(key)
            .map_err(|_| invalid("idempotency", "the key of this step can't stand in a header"))?;
        message.headers.insert(name, value);
    }
    let what = shown(&message);
    let exchange = send(world, message, nature, world.deadline(timeout)).await;
    let Some(answer) = &exchange.answer else {
        let reason = exchange.failure.map(|failure| failure.message).unwrap_or(what);
        return Ok(classify(nature, &exchange.evidence).attempt(reason));
    };
    let (expected, problem) = expect.map_or((Expected::Unsaid, String::new()), |expect| expect.judge(answer));
    let evidence = match exchange.evidence {
        Evidence::Answered { status, cut, retry_after_s, .. } => {
            Evidence::Answered { status, cut, retry_after_s, expected }
        }
        broken @ Evidence::Broken { .. } => broken,
    };
    let reason = match exchange.failure {
        Some(failure) if (200..300).contains(&answer.status) => failure.message,
        _ if problem.is_empty() => format!("{what}: status {}, expected 2xx", answer.status),
        _ => format!("{what}: {problem}"),
    };
    Ok(classify(nature, &evidence).attempt(reason).with_outputs(outputs(answer, &world.shared.redactor)))
}

fn outputs(answer: &Answer, redactor: &Redactor) -> Value {
    Value::map([
        ("status", Value::from(i64::from(answer.status))),
        ("json", answer.json()),
        ("text", answer.text_kept(redactor).map(Value::from).unwrap_or_default()),
        ("headers", Value::Map(answer.headers())),
        ("ms", Value::from(answer.ms)),
        ("body_bytes", Value::from(i64::try_from(answer.bytes).unwrap_or(i64::MAX))),
        ("body_sha256", Value::from(answer.sha256.as_str())),
    ])
}

/// The header of the key and how long the other side remembers it.
pub(super) fn idempotency(args: &Map) -> Result<Option<(HeaderName, Duration)>, Failure> {
    let Some(given) = map(args, "idempotency")? else { return Ok(None) };
    if let Some(unknown) = given.keys().find(|key| !matches!(key.as_str(), "header" | "window")) {
        return Err(invalid("idempotency", &format!("expected header and window, got `{unknown}`")));
    }
    let name = optional_text(given, "header")?.ok_or_else(|| invalid("idempotency", "needs `header`"))?;
    let window = optional_text(given, "window")?.ok_or_else(|| invalid("idempotency", "needs `window`"))?;
    let window = parse_duration(window).map_err(|problem| invalid("idempotency", &problem))?;
    let (name, _) = header(name, &Value::from(""))?;
    Ok(Some((name, window)))
}

fn repeatable(args: &Map) -> Result<bool, Failure> {
    if !flag(args, "repeatable")? {
        return Ok(false);
    }
    let method = method(args)?;
    if !REPEATABLE_METHODS.contains(&method) {
        return Err(invalid("repeatable", &format!("is for PUT and DELETE, got {method}")));
    }
    match optional_text(args, "reason")? {
        Some(reason) if !reason.trim().is_empty() => Ok(true),
        _ => Err(invalid("repeatable", "needs a `reason`")),
    }
}
