//! `http.probe`: looks at an address and says what it saw. A connection that fails is an observation, not a
//! failure of the step; only `expect` judges.

use std::time::Duration;

use crate::engine::outcome::{Attempt, Failure, FailureKind};
use crate::runbook::spec::{ActionSpec, Effect};
use crate::runbook::types::Type;
use crate::script::value::{Map, Value};
use crate::steps::args::{duration, invalid, optional_text};
use crate::steps::classify::{Evidence, Expected, Nature, classify};
use crate::steps::http::answer::Answer;
use crate::steps::http::exchange::{Exchange, send};
use crate::steps::http::expect::Expect;
use crate::steps::http::message::{READ_METHODS, build, shown};
use crate::steps::schema::{body, choice, defaulted, optional, output, required, sealed};
use crate::steps::world::World;
use crate::steps::{Entry, Pending, Primitive, Read};

/// How long a look takes at most unless told otherwise: what health checks of platforms allow.
const TIMEOUT: Duration = Duration::from_secs(10);

struct HttpProbe;

/// The catalog's line.
pub(super) fn entry() -> Entry {
    Entry { spec: spec(), primitive: Primitive::Read(&HttpProbe) }
}

fn spec() -> ActionSpec {
    ActionSpec {
        name: "http.probe".to_owned(),
        title: "Look at an address and report what it answers".to_owned(),
        effect: Effect::Read,
        effect_of: None,
        repeat_of: None,
        args: vec![
            required("url", Type::Url, "address to look at"),
            defaulted("method", choice(&READ_METHODS), "GET", "a method that changes nothing"),
            optional("headers", Type::Map, "request headers"),
            defaulted("timeout", Type::Duration, "10s", "time for the whole look"),
            optional("expect", Type::Map, "`status` (code or list), `json`, `text`, `headers`: fail unless met"),
            sealed(),
        ],
        outputs: vec![
            output("ok", Type::Bool, "it answered 2xx, or what `expect` says"),
            output("status", Type::Int, "status code; `()` without an answer"),
            output("ms", Type::Int, "milliseconds until the end of the answer, or of the attempt"),
            body("json", Type::Any, "the body as JSON; `()` if it is none"),
            body("text", Type::String, "the body, at most 1 MiB; `()` if it is compressed or binary"),
            output("headers", Type::Map, "known response headers by lower-case name"),
            output("error", Type::Map, "`kind` and `message` of what went wrong; `()` after a whole answer"),
        ],
        docs: "\
```yaml
- id: health
  uses: http.probe
  with: { url: \"${{ inputs.base_url }}/health\", timeout: 5s }
```
Without `expect` it never fails on what it sees: a refused connection, an expired certificate or a time-out gives \
`ok: false` and `error.kind` (`dns`, `connect`, `tls`, `timeout`, `network`). With `expect` the step fails unless all \
of it holds. Redirects are not followed: `status` is then 3xx and `headers.location` says where it points."
            .to_owned(),
    }
}

impl Read for HttpProbe {
    fn perform<'a>(&'a self, world: &'a World, args: &'a Map) -> Pending<'a> {
        Box::pin(async move { probe(world, args).await.unwrap_or_else(Attempt::refused) })
    }
}

async fn probe(world: &World, args: &Map) -> Result<Attempt, Failure> {
    let method = optional_text(args, "method")?.unwrap_or("GET");
    if !READ_METHODS.contains(&method) {
        return Err(invalid("method", &format!("a probe uses {}, got {method:?}", READ_METHODS.join(", "))));
    }
    let expect = Expect::read(args)?;
    let timeout = duration(args, "timeout", TIMEOUT)?;
    let message = build(world, method, args)?;
    let what = shown(&message);
    let exchange = send(world, message, Nature::Read, world.deadline(timeout)).await;
    if let Some(failure) = &exchange.failure
        && matches!(failure.kind, FailureKind::Policy | FailureKind::Secret)
    {
        return Err(failure.clone());
    }
    let (expected, problem) = match (&expect, &exchange.answer) {
        (Some(expect), Some(answer)) => expect.judge(answer),
        _ => (Expected::Unsaid, String::new()),
    };
    let (evidence, status) = match exchange.evidence {
        Evidence::Answered { status, cut, retry_after_s, .. } => {
            (Evidence::Answered { status, cut, retry_after_s, expected }, Some(status))
        }
        broken @ Evidence::Broken { .. } => (broken, None),
    };
    let verdict = classify(Nature::Read, &evidence);
    let ok = verdict.kind.is_none();
    let outputs = outputs(&exchange, ok);
    if expect.is_none() || ok {
        return Ok(Attempt::done(outputs));
    }
    let (kind, message) = match &exchange.failure {
        Some(failure) => (failure.kind, failure.message.clone()),
        None => (FailureKind::Expect, format!("{what}: {problem}")),
    };
    let transient = verdict.transient || status.is_some_and(|status| status >= 500);
    let failure = Failure { transient, retry_after_s: verdict.retry_after_s, ..Failure::new(kind, message) };
    Ok(Attempt::failed(failure).with_outputs(outputs))
}

fn outputs(exchange: &Exchange, ok: bool) -> Value {
    let error = exchange.failure.as_ref().map(Failure::to_value).unwrap_or_default();
    let answer = exchange.answer.as_ref();
    Value::map([
        ("ok", Value::from(ok)),
        ("status", answer.map(|answer| Value::from(i64::from(answer.status))).unwrap_or_default()),
        ("ms", Value::from(exchange.ms)),
        ("json", answer.map(|answer| answer.json()).unwrap_or_default()),
        ("text", answer.map_or(Some(String::new()), Answer::text).map(Value::from).unwrap_or_default()),
        ("headers", Value::Map(answer.map(|answer| answer.headers()).unwrap_or_default())),
        ("error", error),
    ])
}
