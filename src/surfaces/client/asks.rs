//! What a server is asked with: what commands know, as the bodies of its requests.

use serde_json::{Value as Json, json};

use crate::engine::event::Decision;
use crate::runbook::spec::Effect;
use crate::runs::{DecideRequest, ErrorKind, RunsError, StartRequest, Waiting};
use crate::script::value::Value;
use crate::surfaces::door::{Ready, Way, elsewhere};
use crate::surfaces::shapes::lines::word_of;
use crate::surfaces::shapes::plan::Telling;

/// A request with what the person said to what was listed; destroying is agreed to by its name.
pub fn agreed(mut body: Json, worst: Effect, place: &str) -> Json {
    body["yes"] = json!(true);
    if worst == Effect::Destructive {
        body["confirm"] = json!(place);
    }
    body
}

/// A request for a rehearsal with how it is to be told.
pub fn telling_of(mut body: Json, telling: Telling) -> Json {
    body["told"] = json!(word_of(telling.marks));
    body["whole"] = json!(telling.whole);
    body
}

/// A start, as it was typed.
pub fn start(request: &StartRequest) -> Result<Json, RunsError> {
    let typed: Vec<Json> = request.inputs.iter().map(|(name, text)| json!({ "name": name, "text": text })).collect();
    let mut body = json!({ "runbook": named(&request.runbook)?, "typed": typed });
    let texts = [("target", &request.target), ("reason", &request.reason), ("incident", &request.incident)];
    for (name, value) in texts {
        if let Some(value) = value {
            body[name] = json!(value);
        }
    }
    if let Some((name, text)) = &request.inputs_file {
        body["file"] = json!({ "name": name, "text": text });
    }
    Ok(body)
}

/// What is decided about the steps of a run that is to go on.
pub fn go_on(decisions: &[DecideRequest], reason: Option<String>) -> Json {
    let of = |wanted: Decision| {
        let those = decisions.iter().filter(|decision| decision.decision == wanted);
        those.map(|decision| decision.step.as_str()).collect::<Vec<_>>()
    };
    let done = decisions
        .iter()
        .filter(|decision| decision.decision == Decision::Done)
        .map(|decision| json!({ "step": decision.step, "outputs": Value::Map(decision.outputs.clone()).to_plain() }));
    let mut body = json!({
        "retry": of(Decision::Retry),
        "skip": of(Decision::Skip),
        "not_done": of(Decision::NotDone),
        "done": done.collect::<Vec<_>>(),
    });
    if let Some(reason) = reason {
        body["reason"] = json!(reason);
    }
    body
}

/// A server knows runbooks by their names.
pub fn named(runbook: &str) -> Result<&str, RunsError> {
    if !runbook.contains('/') && !runbook.ends_with(".yaml") {
        return Ok(runbook);
    }
    let said = format!("`{runbook}` is a file of this machine, and the server has runbooks of its own");
    Err(RunsError::new(ErrorKind::Usage, said)
        .hint("name one of those:  rerail list")
        .hint("to run this file leave --server and RERAIL_SERVER out"))
}

pub fn body_of(ready: &Ready) -> Result<&Json, RunsError> {
    match &ready.way {
        Way::There { body, .. } => Ok(body),
        Way::Here(_) => Err(elsewhere()),
    }
}

pub fn because(reason: Option<String>) -> Json {
    reason.map_or_else(|| json!({}), |reason| json!({ "reason": reason }))
}

/// An answer as the server takes it: one text, or one for each field.
pub fn answer(step: Option<&str>, typed: &[(String, String)]) -> Json {
    let mut body = match typed {
        [(key, text)] if key == "answer" => json!({ "answer": text }),
        fields => {
            let fields = fields.iter().map(|(key, text)| (key.clone(), Json::from(text.as_str()))).collect();
            json!({ "fields": Json::Object(fields) })
        }
    };
    if let Some(step) = step {
        body["step"] = json!(step);
    }
    body
}

pub fn word(waiting: &Waiting, reason: Option<&str>) -> Json {
    let request = &waiting.approval.request;
    let mut body = json!({ "step": request.step, "change": request.change });
    if let Some(reason) = reason {
        body["reason"] = json!(reason);
    }
    body
}
