//! `expect`: what an answer must look like.

use crate::engine::outcome::Failure;
use crate::script::value::{Map, Value};
use crate::steps::args::{invalid, map};
use crate::steps::classify::Expected;
use crate::steps::http::answer::Answer;

/// Characters of a value shown when it is not what was expected.
const SHOWN_CHARS: usize = 80;

/// Expectations, read from `expect: {status, json, text, headers}`.
#[derive(Debug, Default, PartialEq)]
pub(in crate::steps) struct Expect {
    /// Any of these; empty = any 2xx.
    status: Vec<u16>,
    /// Must be contained in the body's JSON: maps by key, everything else equal. A body that is no JSON isn't the one
    /// that was asked for.
    json: Option<Value>,
    /// Must stand in the body.
    text: Option<String>,
    /// Must stand in the header of this name.
    headers: Vec<(String, String)>,
}

impl Expect {
    /// Reads the argument.
    pub(in crate::steps) fn read(args: &Map) -> Result<Option<Expect>, Failure> {
        let Some(given) = map(args, "expect")? else { return Ok(None) };
        let mut expect = Expect::default();
        for (key, value) in given {
            match (key.as_str(), value) {
                ("status", Value::List(codes)) => {
                    expect.status = codes.iter().map(code).collect::<Result<_, _>>()?;
                }
                ("status", single) => expect.status = vec![code(single)?],
                ("json", value) => expect.json = Some(value.clone()),
                ("text", Value::Text(text)) => expect.text = Some(text.clone()),
                ("headers", Value::Map(headers)) => {
                    expect.headers =
                        headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.to_string())).collect();
                }
                ("text" | "headers", other) => {
                    return Err(invalid("expect", &format!("`{key}` can't be {}", other.kind())));
                }
                _ => {
                    return Err(invalid("expect", &format!("expected status, json, text or headers, got `{key}`")));
                }
            }
        }
        Ok(Some(expect))
    }

    /// Compares an answer; the text says what does not hold.
    pub(in crate::steps) fn judge(&self, answer: &Answer) -> (Expected, String) {
        if self.json.is_some() && (200..300).contains(&answer.status) && !answer.is_json() {
            return (Expected::Foreign, format!("status {}, and no JSON: somebody else has answered", answer.status));
        }
        match self.unmet(answer) {
            Some(problem) => (Expected::Unmet, problem),
            None if self.status.is_empty() => (Expected::Unsaid, String::new()),
            None => (Expected::Named, String::new()),
        }
    }

    fn unmet(&self, answer: &Answer) -> Option<String> {
        let status = answer.status;
        if !self.status.is_empty() && !self.status.contains(&status) {
            let codes: Vec<String> = self.status.iter().map(u16::to_string).collect();
            return Some(format!("status {status}, expected {}", codes.join(" or ")));
        }
        if self.status.is_empty() && !(200..300).contains(&status) {
            return Some(format!("status {status}, expected 2xx"));
        }
        if let Some(wanted) = &self.json
            && let Some(problem) = difference("json", wanted, &answer.json())
        {
            return Some(problem);
        }
        if let Some(wanted) = &self.text
            && !answer.text().is_some_and(|text| text.contains(wanted.as_str()))
        {
            return Some(format!("the body does not contain {wanted:?}"));
        }
        let seen = answer.headers();
        self.headers.iter().find_map(|(name, wanted)| match seen.get(name) {
            Some(Value::Text(value)) if value.contains(wanted.as_str()) => None,
            Some(value) => Some(format!("header {name} is {}, expected {wanted:?} in it", brief(value))),
            None => Some(format!("header {name} is missing, expected {wanted:?} in it")),
        })
    }
}

fn code(value: &Value) -> Result<u16, Failure> {
    match value {
        Value::Int(code @ 100..=599) => Ok(u16::try_from(*code).unwrap_or_default()),
        other => Err(invalid("expect", &format!("status: expected 100 to 599, got {}", brief(other)))),
    }
}

/// The first place where `seen` does not contain `wanted`.
fn difference(path: &str, wanted: &Value, seen: &Value) -> Option<String> {
    match (wanted, seen) {
        (Value::Map(wanted), Value::Map(seen)) => wanted.iter().find_map(|(key, wanted)| match seen.get(key) {
            Some(seen) => difference(&format!("{path}.{key}"), wanted, seen),
            None => Some(format!("{path}.{key} is missing")),
        }),
        (wanted, seen) if wanted == seen => None,
        (wanted, seen) => Some(format!("{path} is {}, expected {}", brief(seen), brief(wanted))),
    }
}

fn brief(value: &Value) -> String {
    let text = match value {
        Value::Null => "()".to_owned(),
        other => other.to_plain().to_string(),
    };
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderMap, HeaderValue};
    use serde_json::json;

    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        let mut headers = HeaderMap::new();
        headers.insert("X-Frame-Options", HeaderValue::from_static("DENY"));
        headers.insert("set-cookie", HeaderValue::from_static("session=abc"));
        let kept = body.as_bytes().to_vec();
        Answer { status, headers, bytes: kept.len() as u64, kept, sha256: String::new(), ms: 1 }
    }

    fn judge(expect: serde_json::Value, status: u16, body: &str) -> (Expected, String) {
        let args = Map::from([("expect".to_owned(), Value::from_data(&expect))]);
        Expect::read(&args).unwrap().unwrap().judge(&answer(status, body))
    }

    #[test]
    fn status_text_headers_and_a_part_of_the_json_can_be_expected() {
        let body = r#"{"status": "healthy", "checks": {"db": true, "n": 3}}"#;
        assert_eq!(judge(json!({"status": 200}), 200, body).0, Expected::Named);
        assert_eq!(judge(json!({"status": [401, 403]}), 403, body).0, Expected::Named);
        assert_eq!(judge(json!({"json": {"checks": {"db": true}}, "text": "healthy"}), 200, body).0, Expected::Unsaid);
        assert_eq!(judge(json!({"headers": {"X-Frame-Options": "DENY"}}), 200, body).0, Expected::Unsaid);
        for (expect, status, problem) in [
            (json!({"status": [200, 204]}), 503, "status 503, expected 200 or 204"),
            (json!({"text": "healthy"}), 503, "status 503, expected 2xx"),
            (json!({"json": {"checks": {"db": false}}}), 200, "json.checks.db is true, expected false"),
            (json!({"json": {"gone": 1}}), 200, "json.gone is missing"),
            (
                json!({"headers": {"set-cookie": "session"}}),
                200,
                "header set-cookie is missing, expected \"session\" in it",
            ),
        ] {
            assert_eq!(judge(expect, status, body), (Expected::Unmet, problem.to_owned()));
        }
    }

    #[test]
    fn an_answer_without_the_json_that_is_expected_is_of_somebody_else() {
        let page = "<html>one moment</html>";
        for (expect, status, body, expected) in [
            (json!({"json": {}}), 200, page, Expected::Foreign),
            (json!({"json": {}}), 204, "", Expected::Foreign),
            (json!({"json": {}, "status": 201}), 200, page, Expected::Foreign),
            (json!({"json": {}}), 200, "[]", Expected::Unmet),
            (json!({"json": {}}), 200, "{\"a\": 1}", Expected::Unsaid),
            (json!({"json": {}}), 502, page, Expected::Unmet),
            (json!({"status": 201}), 200, page, Expected::Unmet),
            (json!({"status": 200}), 200, page, Expected::Named),
        ] {
            assert_eq!(judge(expect.clone(), status, body).0, expected, "{expect} {status} {body}");
        }
    }

    #[test]
    fn an_unknown_expectation_is_an_error() {
        for wrong in [r#"{"code": 200}"#, r#"{"status": "200"}"#, r#"{"status": 20}"#, r#"{"text": 1}"#] {
            let args = Map::from([("expect".to_owned(), Value::from_data(&serde_json::from_str(wrong).unwrap()))]);
            assert!(Expect::read(&args).is_err(), "{wrong}");
        }
    }
}
