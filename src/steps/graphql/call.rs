//! One GraphQL call over HTTP and what its answer means. A status of 200 proves nothing here: the errors
//! in the body decide.
//!
//! | answer | mutation | query |
//! |---|---|---|
//! | not 2xx, broken off, cut off | as every HTTP exchange | as every HTTP exchange |
//! | 2xx, no errors, `data` | done | done |
//! | 2xx, neither errors nor `data`, or no JSON | in_doubt | failed |
//! | errors, all of them of validation, no `data` | refused | refused |
//! | errors, no `data` key at all (nothing was executed, says the specification) | refused | refused |
//! | other errors with `data: null` | in_doubt | failed |
//! | errors beside `data` | in_doubt | done, with `errors` |

use std::time::Duration;

use reqwest::header::{HeaderName, HeaderValue};

use crate::engine::outcome::{Attempt, Failure, FailureKind, Outcome};
use crate::script::value::{Map, Value};
use crate::steps::args::{duration, given, invalid, map, optional_text, text};
use crate::steps::classify::{Nature, Verdict, classify};
use crate::steps::graphql::document::{self, Kind, Operation};
use crate::steps::http::answer::Answer;
use crate::steps::http::exchange::send;
use crate::steps::http::message::{build, shown};
use crate::steps::world::World;

/// How long a call takes at most unless told otherwise, as for `http.request`.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Codes by which servers say that a document or its variables were refused before anything was executed.
const VALIDATION_CODES: [&str; 3] = ["GRAPHQL_PARSE_FAILED", "GRAPHQL_VALIDATION_FAILED", BAD_USER_INPUT];
/// Also given by code that runs while fields are executed, so it proves something for a single field only.
const BAD_USER_INPUT: &str = "BAD_USER_INPUT";
/// Characters of a server's message that are shown; the rest is in the outputs.
const SHOWN_CHARS: usize = 300;

/// Makes a call. `key` is a header that carries the idempotency key. An `Err` means that nothing was sent.
pub(in crate::steps) async fn call(
    world: &World,
    args: &Map,
    kind: Kind,
    key: Option<(HeaderName, HeaderValue)>,
) -> Result<Attempt, Failure> {
    let document = text(args, "document")?;
    let operation = document::read(document, kind, optional_text(args, "operation")?)
        .map_err(|fault| invalid("document", &fault))?;
    let timeout = duration(args, "timeout", TIMEOUT)?;
    let mut message = build(world, "POST", &request(args, document, &operation)?)?;
    message.headers.extend(key);
    let what = shown(&message);
    let nature = if kind == Kind::Query { Nature::Read } else { Nature::Write };
    let exchange = send(world, message, nature, world.deadline(timeout)).await;
    let verdict = classify(nature, &exchange.evidence);
    let Some(answer) = &exchange.answer else {
        return Ok(verdict.attempt(exchange.failure.map(|failure| failure.message).unwrap_or(what)));
    };
    let body = Body::of(answer);
    let attempt = match exchange.failure {
        Some(cut) if verdict.outcome != Outcome::Refused => verdict.attempt(cut.message),
        _ => judge(nature, verdict, &body, &operation, &what, answer.status),
    };
    Ok(attempt.with_outputs(Value::map([
        ("data", body.data.unwrap_or_default()),
        ("errors", Value::List(body.errors)),
        ("status", Value::from(i64::from(answer.status))),
        ("ms", Value::from(answer.ms)),
    ])))
}

fn request(args: &Map, document: &str, operation: &Operation) -> Result<Map, Failure> {
    let mut body = Map::from([("query".to_owned(), Value::from(document))]);
    if let Some(variables) = map(args, "variables")? {
        body.insert("variables".to_owned(), Value::Map(variables.clone()));
    }
    if let Some(name) = &operation.name {
        body.insert("operationName".to_owned(), Value::from(name.as_str()));
    }
    let mut request = Map::from([("json".to_owned(), Value::Map(body))]);
    for name in ["url", "headers"] {
        if let Some(value) = given(args, name) {
            request.insert(name.to_owned(), value.clone());
        }
    }
    Ok(request)
}

/// What a GraphQL server said.
struct Body {
    /// `None` without the key; `()` for `null`.
    data: Option<Value>,
    errors: Vec<Value>,
}

impl Body {
    fn of(answer: &Answer) -> Body {
        let Value::Map(mut body) = answer.json() else { return Body { data: None, errors: Vec::new() } };
        let errors = match body.remove("errors") {
            Some(Value::List(errors)) => errors,
            _ => Vec::new(),
        };
        Body { data: body.remove("data"), errors }
    }

    fn has_data(&self) -> bool {
        self.data.as_ref().is_some_and(|data| *data != Value::Null)
    }

    /// Whether the errors prove that nothing was executed.
    fn was_not_executed(&self, operation: &Operation) -> bool {
        if self.has_data() || self.errors.is_empty() {
            return false;
        }
        self.data.is_none()
            || self.errors.iter().all(|error| match code(error) {
                Some(BAD_USER_INPUT) => operation.root_fields == Some(1),
                Some(code) => VALIDATION_CODES.contains(&code),
                None => false,
            })
    }

    /// `Not Authorized (UNAUTHENTICATED), and 2 more`.
    fn summary(&self) -> String {
        let Some(first) = self.errors.first() else { return "neither data nor errors".to_owned() };
        let message = field(first, "message").unwrap_or("an error without a message");
        let mut text: String = message.chars().take(SHOWN_CHARS).collect();
        if let Some(code) = code(first) {
            text.push_str(&format!(" ({code})"));
        }
        match self.errors.len() {
            1 => text,
            more => format!("{text}, and {} more", more - 1),
        }
    }
}

fn judge(nature: Nature, verdict: Verdict, body: &Body, operation: &Operation, what: &str, status: u16) -> Attempt {
    if verdict.outcome != Outcome::Done {
        let said = if body.errors.is_empty() { "expected 2xx".to_owned() } else { body.summary() };
        return verdict.attempt(format!("{what}: status {status}: {said}"));
    }
    let failure = |kind| Failure::new(kind, format!("{what}: {}", body.summary()));
    let unclear = |failure| match nature {
        Nature::Read => Attempt::failed(failure),
        Nature::Write => Attempt::in_doubt(failure),
    };
    if body.errors.is_empty() {
        return match body.data {
            Some(_) => Attempt::done(Value::Null),
            None => unclear(failure(FailureKind::Network)),
        };
    }
    if body.was_not_executed(operation) {
        return Attempt::refused(failure(FailureKind::Status));
    }
    if nature == Nature::Read && body.has_data() {
        return Attempt::done(Value::Null);
    }
    unclear(failure(FailureKind::Status))
}

fn code(error: &Value) -> Option<&str> {
    let Value::Map(error) = error else { return None };
    field(error.get("extensions")?, "code")
}

fn field<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    match value {
        Value::Map(map) => map.get(name)?.as_text(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn body(json: serde_json::Value) -> Body {
        let kept = json.to_string().into_bytes();
        let bytes = kept.len() as u64;
        let headers = reqwest::header::HeaderMap::new();
        Body::of(&Answer { status: 200, headers, kept, bytes, sha256: String::new(), ms: 1 })
    }

    fn error(code: &str) -> serde_json::Value {
        json!({"message": "no", "extensions": {"code": code}})
    }

    #[test]
    fn only_errors_of_validation_prove_that_nothing_was_executed() {
        let one = Operation { name: None, root_fields: Some(1) };
        let two = Operation { name: None, root_fields: Some(2) };
        let validation = error("GRAPHQL_VALIDATION_FAILED");
        for (answer, operation, proof) in [
            (json!({"errors": [validation.clone()], "data": null}), &two, true),
            (json!({"errors": [error("GRAPHQL_PARSE_FAILED")]}), &two, true),
            (json!({"errors": [{"message": "no"}]}), &two, true),
            (json!({"errors": [error("BAD_USER_INPUT")], "data": null}), &one, true),
            (json!({"errors": [error("BAD_USER_INPUT")], "data": null}), &two, false),
            (json!({"errors": [validation.clone(), error("OTHER")], "data": null}), &one, false),
            (json!({"errors": [validation.clone()], "data": {"a": 1}}), &one, false),
            (json!({"errors": [{"message": "Not Authorized"}], "data": null}), &one, false),
            (json!({"errors": [], "data": null}), &one, false),
            (json!({"errors": "no", "data": null}), &one, false),
        ] {
            assert_eq!(body(answer.clone()).was_not_executed(operation), proof, "{answer}");
        }
    }

    #[test]
    fn a_summary_is_one_short_line_of_the_first_error() {
        let long = json!({"errors": [{"message": "é".repeat(1000)}, error("A"), error("B")]});
        assert_eq!(body(long).summary(), format!("{}, and 2 more", "é".repeat(SHOWN_CHARS)));
        assert_eq!(body(json!({"errors": [error("A")]})).summary(), "no (A)");
        assert_eq!(body(json!({"errors": [7]})).summary(), "an error without a message");
        assert_eq!(body(json!([])).summary(), "neither data nor errors");
    }
}
