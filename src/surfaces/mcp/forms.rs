//! A question of a run as a form that a client shows its person, and what they fill in.

use rmcp::model::{
    BooleanSchema, ElicitRequest, ElicitRequestParams, ElicitResult, ElicitationAction, ElicitationSchema, EnumSchema,
    InputRequest, IntegerSchema, NumberSchema, PrimitiveSchemaDefinition, StringSchema,
};
use serde_json::Value as Json;

use crate::engine::event::{Body, Event};
use crate::engine::facts::Asked;
use crate::engine::ids::StepPath;
use crate::redact::Redactor;
use crate::runbook::fields;
use crate::runbook::model::Input;
use crate::runbook::types::Type;
use crate::runs::RunRow;
use crate::script::value::Value;
use crate::surfaces::mcp::said::{Refused, clean_text};

/// What the answer is called where a question has no fields.
const ANSWER: &str = "answer";

/// What a question is called in its task: no other one of the run, and it itself asked anew, is called so.
pub fn key(events: &[Event], step: &StepPath) -> String {
    let asks = |event: &&Event| matches!(&event.body, Body::AskAsked { step: other, .. } if other == step);
    let seq = events.iter().rev().find(asks).map(|event| event.seq);
    format!("{step}@{}", seq.unwrap_or_default())
}

/// The form of a question. Nothing if it can't be one: then it is answered elsewhere.
pub fn request(run: &RunRow, asked: &Asked, redactor: &Redactor) -> Option<InputRequest> {
    let message = clean_text(&format!("{}/{} asks: {}", run.runbook, run.run, asked.text), redactor);
    let requested_schema = schema(asked, redactor)?;
    let params = ElicitRequestParams::FormElicitationParams { meta: None, message, requested_schema };
    Some(InputRequest::Elicitation(ElicitRequest::new(params)))
}

fn schema(asked: &Asked, redactor: &Redactor) -> Option<ElicitationSchema> {
    let form = ElicitationSchema::builder();
    if asked.fields.is_empty() {
        let answer = match asked.choices.as_slice() {
            [] => PrimitiveSchemaDefinition::String(StringSchema::new()),
            choices => choice(choices, None, redactor)?,
        };
        return form.required_property(ANSWER, answer).build().ok();
    }
    let fields = fields::read(&Value::Map(asked.fields.clone())).ok()?;
    let filled = fields.iter().try_fold(form, |form, field| {
        let (name, kind) = (field.name.value.clone(), kind(field, redactor)?);
        Some(if field.required { form.required_property(name, kind) } else { form.property(name, kind) })
    });
    filled?.build().ok()
}

fn kind(field: &Input, redactor: &Redactor) -> Option<PrimitiveSchemaDefinition> {
    let about = match (&field.description, field.ty.name()) {
        (Some(about), ty) => format!("{about} ({ty})"),
        (None, ty) => ty.to_owned(),
    };
    let about = clean_text(&about, redactor);
    Some(match &field.ty {
        Type::Int => PrimitiveSchemaDefinition::Integer(IntegerSchema::new().description(about)),
        Type::Float => PrimitiveSchemaDefinition::Number(NumberSchema::new().description(about)),
        Type::Bool => PrimitiveSchemaDefinition::Boolean(BooleanSchema::new().description(about)),
        Type::Choice(choices) => choice(choices, Some(about), redactor)?,
        // What has no form of its own there is typed as at a terminal, and read by its type.
        _ => PrimitiveSchemaDefinition::String(StringSchema::new().description(about)),
    })
}

/// Choices as they are, because one of them comes back: none if they can't be shown so.
fn choice(choices: &[String], about: Option<String>, redactor: &Redactor) -> Option<PrimitiveSchemaDefinition> {
    let plain = choices.iter().all(|choice| clean_text(choice, redactor) == *choice);
    let words = EnumSchema::builder(choices.to_vec());
    plain.then(|| match about {
        Some(about) => PrimitiveSchemaDefinition::Enum(words.description(about).build()),
        None => PrimitiveSchemaDefinition::Enum(words.build()),
    })
}

/// What a person filled in, as it would be typed at a terminal; nothing if they would not answer.
///
/// # Errors
/// If it is no answer to a form.
pub fn typed(step: &StepPath, response: &Json) -> Result<Option<Vec<(String, String)>>, Refused> {
    let wrong = |why: &str| Refused::usage(format!("the answer to `{step}` is not right: {why}"), "fill in its form");
    let result: ElicitResult = serde_json::from_value(response.clone())
        .map_err(|_| wrong("expected `action`, and `content` with `accept`"))?;
    if result.action != ElicitationAction::Accept {
        return Ok(None);
    }
    let Some(Json::Object(content)) = result.content else { return Err(wrong("expected an object as `content`")) };
    let mut typed = Vec::new();
    for (name, value) in content {
        match value {
            Json::Null => {}
            Json::String(text) => typed.push((name, text)),
            Json::Bool(_) | Json::Number(_) => typed.push((name, value.to_string())),
            Json::Array(_) | Json::Object(_) => return Err(wrong("expected a text, a number or a yes or no")),
        }
    }
    Ok(Some(typed))
}
