//! What a program may tell a run for its person: an answer, a note, that it stops. Never yes or no to a change.

use std::collections::BTreeMap;

use rmcp::schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value as Json, json};

use crate::runs::{Delivered, RunRow};
use crate::surfaces::mcp::call::Call;
use crate::surfaces::mcp::said::{Refused, Said};

/// An answer.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(crate = "rmcp::schemars")]
pub struct Answer {
    /// Id of the run, six letters or all of it
    run: String,
    /// Path of the step that asks; may be left out if only one does
    step: Option<String>,
    /// The answer: one of the choices where there are any
    answer: Option<String>,
    /// A value for each field, of a question that has fields
    #[serde(default)]
    fields: BTreeMap<String, String>,
}

/// A note.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(crate = "rmcp::schemars")]
pub struct Note {
    /// Id of the run, six letters or all of it
    run: String,
    /// What is to stand in its timeline
    text: String,
}

/// A run that is to stop.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(crate = "rmcp::schemars")]
pub struct Cancel {
    /// Id of the run, six letters or all of it
    run: String,
    /// Why, for the record
    reason: String,
}

/// Answers a question of a run; recorded as given by a program.
pub fn answer(call: &Call, given: Answer) -> Result<Said, Refused> {
    call.may_run()?;
    let run = call.run(&given.run)?;
    let typed: Vec<(String, String)> =
        given.answer.map(|text| ("answer".to_owned(), text)).into_iter().chain(given.fields).collect();
    if typed.is_empty() {
        return Err(Refused::usage("the answer is empty", "give `answer`, or `fields` for a question that has them"));
    }
    let (step, delivered) = call.runs.answer(&run, given.step.as_deref(), &typed, &call.actor_on(&run)?)?;
    Ok(told(&run, &delivered, &format!("`{step}` is answered"), json!({ "step": step.as_str() })))
}

/// Adds to a run's timeline.
pub fn note(call: &Call, given: Note) -> Result<Said, Refused> {
    call.may_run()?;
    let run = call.run(&given.run)?;
    let delivered = call.runs.note(&run, &given.text, &call.actor_on(&run)?)?;
    Ok(told(&run, &delivered, "the note is on its way into the timeline", json!({ "note": given.text })))
}

/// Asks a run to stop at its next safe point.
pub fn cancel(call: &Call, given: Cancel) -> Result<Said, Refused> {
    call.may_run()?;
    let run = call.run(&given.run)?;
    let delivered = call.runs.cancel(&run, &call.actor_on(&run)?, Some(given.reason))?;
    Ok(told(&run, &delivered, "it was asked to stop: what is running ends first", json!({})))
}

fn told(run: &RunRow, delivered: &Delivered, said: &str, mut data: Json) -> Said {
    let driven = *delivered == Delivered::ToDriver;
    data["run"] = json!(run.run.short());
    data["driven"] = json!(driven);
    let next = match driven {
        true => "call get_run with wait_seconds to see what becomes of it".to_owned(),
        false => format!(
            "call get_run to see whether it is taken up; if no process drives it, a person does (rerail resume {})",
            run.run
        ),
    };
    Said { data, text: format!("{}/{}: {said}.", run.runbook, run.run), next, rest: "call get_run" }
}
