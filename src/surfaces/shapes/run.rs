//! A run as plain objects: what it came to, its steps, what waits to be taken up. Additive only.

use serde_json::{Value as Json, json};

use crate::engine::facts::{Facts, Finding, RunState};
use crate::engine::outcome::Failure;
use crate::runs::{RunRow, Runs, RunsError};
use crate::script::value::Value;
use crate::transcript::{line, summary};

/// A run with its steps and what waits to be taken up, as one plain object.
///
/// # Errors
/// If the journal can't be read.
pub fn whole(runs: &Runs, run: &RunRow) -> Result<Json, RunsError> {
    let facts = runs.facts(run)?;
    let mut json = of_run(&facts);
    json["steps"] = steps(&facts);
    json["pending"] = json!(runs.pending(run)?);
    json["answered"] = json!(runs.answered(run)?);
    json["driven"] = json!(runs.is_driven(run)?);
    json["driver"] = json!(runs.holder(run)?.map(|holder| holder.to_string()));
    json["checkpoint"] = json!(runs.signed(run.run)?.map(|line| line.to_string()));
    Ok(json)
}

/// A run as one plain object.
pub fn of_run(facts: &Facts) -> Json {
    let started = facts.started.as_ref();
    let end = facts.finished.as_ref();
    let outcome = match facts.state() {
        RunState::Ended(outcome) => Some(outcome.word()),
        _ => None,
    };
    json!({
        "run": started.map(|started| started.run.short()),
        "id": started.map(|started| started.run.uuid()),
        "runbook": started.map(|started| started.runbook.as_str()),
        "target": started.and_then(|started| started.target.as_deref()),
        "incident": started.and_then(|started| started.incident.as_deref()),
        "plan": started.and_then(|started| started.plan.as_ref()),
        "operator": started.map(|started| started.actor.id.as_str()),
        "status": summary::status(facts),
        "outcome": outcome,
        "started_at": facts.started_at.to_string(),
        "ended_at": end.map(|end| end.at.to_string()),
        "inputs": started.map(|started| Value::Map(started.inputs.clone()).to_plain()),
        "findings": summary::ranked(facts).into_iter().map(|found| finding(found, facts)).collect::<Vec<_>>(),
        "outputs": end.map(|end| Value::Map(end.outputs.clone()).to_plain()),
        "message": end.and_then(|end| end.message.as_deref()),
        "failed_step": end.and_then(|end| end.failed_step.as_ref()).map(|step| step.as_str()),
        "error": end.and_then(|end| end.error.as_ref()).map(failure),
        "undo": undo(facts),
        "in_doubt": facts.doubts().map(|(path, _)| path.as_str()).collect::<Vec<_>>(),
        "running": summary::under_way(facts).filter(|(_, record)| !record.is_asking())
            .map(|(path, _)| path.as_str()).collect::<Vec<_>>(),
        "questions": facts.questions().map(|(path, record)| {
            let asked = record.asked.as_ref();
            json!({
                "step": path.as_str(),
                "text": asked.map(|asked| asked.text.as_str()),
                "choices": asked.map(|asked| asked.choices.as_slice()),
                "fields": asked.map(|asked| Value::Map(asked.fields.clone()).to_plain()),
                "expires": asked.and_then(|asked| asked.expires).map(|at| at.to_string()),
            })
        }).collect::<Vec<_>>(),
    })
}

/// How taking the run back stands; null if nobody began it.
fn undo(facts: &Facts) -> Json {
    let Some(undo) = facts.undo_of_run() else { return Json::Null };
    json!({
        "by": undo.actor.as_ref().map(|actor| actor.id.as_str()),
        "reason": undo.reason,
        "steps": undo.steps,
        "without_undo": undo.without_undo,
        "outcome": undo.end.as_ref().map(|end| end.outcome.word()),
        "left": undo.end.as_ref().map(|end| end.left.as_slice()),
    })
}

/// The steps of a run as plain objects, in the order they began.
pub fn steps(facts: &Facts) -> Json {
    let mut records: Vec<_> = facts.steps.iter().collect();
    records.sort_by_key(|(_, record)| record.seq);
    let rows = records.into_iter().map(|(path, record)| {
        let started = record.started.as_ref();
        let end = record.finished.as_ref();
        let outcome = match (end, &record.skipped) {
            (Some(end), _) => Some(end.outcome.word()),
            (None, Some(_)) => Some("skipped"),
            (None, None) => None,
        };
        json!({
            "step": path.as_str(),
            "uses": started.and_then(|started| started.intent.uses.as_deref()),
            "effect": started.map(|started| started.intent.effect.word()),
            "attempt": started.map(|started| started.intent.attempt),
            "outcome": outcome,
            "condition": record.skipped.as_ref().map(|skipped| skipped.condition.as_str()),
            "why": record.skipped.as_ref().map(|skipped| &skipped.values)
                .or_else(|| started.map(|started| &started.intent.why).filter(|why| !why.is_empty()))
                .map(|values| Value::Map(values.clone()).to_plain()),
            "started_at": started.map(|started| started.first_at.to_string()),
            "ms": end.map(|end| end.ms),
            "inputs": started.map(|started| Value::Map(started.intent.with.clone()).to_plain()),
            "outputs": end.map(|end| end.outputs.to_plain()),
            "error": end.and_then(|end| end.error.as_ref()).map(failure),
        })
    });
    Json::Array(rows.collect())
}

fn finding(found: &Finding, facts: &Facts) -> Json {
    json!({
        "step": found.step.as_str(),
        "level": found.level,
        "say": found.say,
        "suggest": found.suggest.as_ref().map(|suggest| json!({
            "runbook": suggest.runbook,
            "with": Value::Map(suggest.with.clone()).to_plain(),
            "command": line::suggestion(suggest, facts),
        })),
    })
}

fn failure(failure: &Failure) -> Json {
    json!({ "kind": failure.kind.word(), "message": failure.message, "transient": failure.transient })
}
