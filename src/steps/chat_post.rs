//! `chat.post`: one message to a chat's incoming webhook (Slack, Mattermost, Discord, Teams … all take a
//! POST of JSON). What a message looks like there is the webhook's business; this sends it exactly once.

use std::time::Duration;

use crate::engine::outcome::{Attempt, Failure, FailureKind};
use crate::runbook::spec::{ActionSpec, Effect};
use crate::runbook::types::Type;
use crate::script::value::{Map, Value};
use crate::steps::args::{duration, given, invalid, map, optional_text};
use crate::steps::classify::{Nature, classify};
use crate::steps::http::exchange::send;
use crate::steps::http::message::{build, shown};
use crate::steps::schema::{defaulted, optional, output, required};
use crate::steps::world::World;
use crate::steps::{Entry, Pending, Primitive, Write};

/// How long a webhook may take unless told otherwise: longer, and nobody reads it in time anyway.
const TIMEOUT: Duration = Duration::from_secs(15);
/// Bytes of a message: Slack cuts at 40,000 characters, and nobody reads more in a chat.
const TEXT_BYTES_MAX: usize = 40_000;

struct ChatPost;

/// The catalog's line.
pub(super) fn entry() -> Entry {
    Entry { spec: spec(), primitive: Primitive::Write(&ChatPost) }
}

fn spec() -> ActionSpec {
    ActionSpec {
        name: "chat.post".to_owned(),
        title: "Post a message to a chat's incoming webhook".to_owned(),
        effect: Effect::Notify,
        effect_of: None,
        repeat_of: None,
        args: vec![
            required("url", Type::Url, "address of the webhook; usually a secret as a whole"),
            optional("text", Type::String, "the message, sent as `text`; at most 40,000 bytes"),
            optional("channel", Type::String, "sent as `channel`, where the webhook allows another than its own"),
            optional("json", Type::Map, "the whole body instead of `text` and `channel`"),
            optional("headers", Type::Map, "request headers"),
            defaulted("timeout", Type::Duration, "15s", "time for the whole exchange; reaching it leaves it in doubt"),
        ],
        outputs: vec![
            output("status", Type::Int, "status code"),
            output(
                "text",
                Type::String,
                "what the webhook answered, at most 1 MiB; `()` if it is compressed or binary",
            ),
            output("ms", Type::Int, "milliseconds until the end of the answer"),
        ],
        docs: "\
```yaml
- id: tell
  uses: chat.post
  with:
    url: \"${{ secrets.CHAT_HOOK }}\"
    text: \"The backend is well again: ${{ steps.health.outputs.status }}\"
```
Posted once and never repeated unasked. `done` after a 2xx, `refused` when no connection stood or the webhook says no \
(4xx), `in_doubt` after anything else. Text is sent as it is: what the chat makes of `@all` or of links in it is the \
chat's rule. A chat is read by people, so no secret may stand in `text`, `channel` or `json`."
            .to_owned(),
    }
}

impl Write for ChatPost {
    fn plan(&self, _world: &World, args: &Map) -> String {
        let url = args.get("url").map(Value::to_string).unwrap_or_default();
        match (given(args, "json"), given(args, "text")) {
            (Some(json), _) => format!("post to {url}: {json}"),
            (None, text) => format!("post to {url}: {}", text.map(Value::to_string).unwrap_or_default()),
        }
    }

    fn perform<'a>(&'a self, world: &'a World, args: &'a Map, _key: &'a str) -> Pending<'a> {
        Box::pin(async move { post(world, args).await.unwrap_or_else(Attempt::refused) })
    }
}

/// An `Err` means that nothing was sent.
async fn post(world: &World, args: &Map) -> Result<Attempt, Failure> {
    let timeout = duration(args, "timeout", TIMEOUT)?;
    let mut request = Map::from([("json".to_owned(), Value::Map(world.for_people(&body(args)?)))]);
    for name in ["url", "headers"] {
        if let Some(value) = given(args, name) {
            request.insert(name.to_owned(), value.clone());
        }
    }
    let message = build(world, "POST", &request)?;
    let what = shown(&message);
    let exchange = send(world, message, Nature::Write, world.deadline(timeout)).await;
    let verdict = classify(Nature::Write, &exchange.evidence);
    let Some(answer) = &exchange.answer else {
        return Ok(verdict.attempt(exchange.failure.map(|failure| failure.message).unwrap_or(what)));
    };
    let reason = match exchange.failure {
        Some(failure) if (200..300).contains(&answer.status) => failure.message,
        _ => format!("{what}: status {}, expected 2xx", answer.status),
    };
    Ok(verdict.attempt(reason).with_outputs(Value::map([
        ("status", Value::from(i64::from(answer.status))),
        ("text", answer.text_kept(&world.shared.redactor).map(Value::from).unwrap_or_default()),
        ("ms", Value::from(answer.ms)),
    ])))
}

/// What is posted: `json`, or a map of `text` and `channel`.
fn body(args: &Map) -> Result<Map, Failure> {
    for name in ["text", "channel", "json"] {
        if given(args, name).is_some_and(Value::has_secret) {
            let message = format!("argument `{name}`: holds a secret, and a chat is read by people");
            return Err(Failure::new(FailureKind::Secret, message));
        }
    }
    let (text, channel) = (optional_text(args, "text")?, optional_text(args, "channel")?);
    if let Some(json) = map(args, "json")? {
        return match (text, channel) {
            (None, None) => Ok(json.clone()),
            _ => Err(invalid("json", "is the whole body: leave `text` and `channel` out")),
        };
    }
    let text = text.filter(|text| !text.trim().is_empty());
    let text = text.ok_or_else(|| invalid("text", "is required, and not blank, unless `json` is given"))?;
    if text.len() > TEXT_BYTES_MAX {
        return Err(invalid("text", &format!("{} bytes, at most {TEXT_BYTES_MAX}", text.len())));
    }
    let mut body = Map::from([("text".to_owned(), Value::from(text))]);
    body.extend(channel.map(|channel| ("channel".to_owned(), Value::from(channel))));
    Ok(body)
}
