//! What moves a run beyond its start: a saved plan that is applied, an ended run that is taken back, a run that changes
//! hands. Each may be looked at first; consent stands in the request.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::json;

use crate::engine::ids::RunId;
use crate::runbook::spec::Effect;
use crate::runs::{Foreground, PreparedUndo};
use crate::surfaces::door::out_of_date;
use crate::surfaces::http::call::{Answer, Call};
use crate::surfaces::http::problem::Problem;
use crate::surfaces::http::starts::{begun, consent, drive, telling, within};
use crate::surfaces::shapes::lines::of_lines;
use crate::surfaces::shapes::plan::{Told, before_applying, of_changes, of_saved};
use crate::transcript::words::count;
use crate::transcript::{line, saved, summary};

/// What a saved plan is called in messages where nobody says: the server never sees its file.
const PLAN: &str = "the plan";

/// A saved plan that is held against now.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LookAtPlan {
    /// The text of its file.
    plan: String,
    /// The name of its file in messages.
    name: Option<String>,
    #[serde(default)]
    again: bool,
    told: Option<String>,
    #[serde(default)]
    whole: bool,
}

/// A saved plan that is applied, and what a person says to it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Apply {
    plan: String,
    name: Option<String>,
    #[serde(default)]
    again: bool,
    #[serde(default)]
    yes: bool,
    confirm: Option<String>,
    reason: Option<String>,
}

/// How a rehearsal is told.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct LookAtUndo {
    told: Option<String>,
    #[serde(default)]
    whole: bool,
}

/// What a person says to taking something back.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Undo {
    #[serde(default)]
    yes: bool,
    confirm: Option<String>,
    reason: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Take {
    reason: Option<String>,
}

/// Holds a saved plan against now, as `rerail apply` does before it asks: what has moved, and what would be done.
pub fn look_at_plan(call: &Call<'_>) -> Result<Answer, Problem> {
    let LookAtPlan { plan, name, again, told, whole } = call.read()?;
    let telling = telling(told.as_deref(), whole)?;
    let apply = call.runs.prepare_apply(name.as_deref().unwrap_or(PLAN), &plan, again)?;
    let prepared = &apply.prepared;
    let actor = call.runs.identify(&call.principal.caller)?;
    let may = within(call, &prepared.effects, &actor).and_then(|()| Ok(call.runs.may_start(prepared, &actor)?));
    let (rehearsed, drift) = call.runs.rehearse_apply(&apply, Foreground::unheard(actor))?;
    let said = Told::of(&rehearsed, telling);
    let mut applies = json!({
        "runbook": prepared.program.runbook.name,
        "target": prepared.target,
        "effects": prepared.effects,
        "changes": of_changes(&prepared.changes),
        "refused": may.err().map(|problem| problem.to_json()),
    });
    if told.is_some() {
        applies["lines"] = of_lines(&before_applying(&apply.saved, &said, &drift, telling.marks));
        applies["drift"] = of_lines(&saved::drift(&drift, telling.marks));
    }
    let mut json = if told.is_some() { said.to_json() } else { said.json };
    json["applies"] = applies;
    json["saved"] = of_saved(&apply.saved);
    json["stale"] = json!(!drift.writes.is_empty());
    json["moved"] = saved::drift_json(&drift);
    Ok(Answer::json(200, &json))
}

/// Does exactly what a saved plan says, or nothing, as `rerail apply`.
pub fn apply(call: &Call<'_>, _: RunId) -> Result<Answer, Problem> {
    let Apply { plan, name, again, yes, confirm, reason } = call.read()?;
    let mut apply = call.runs.prepare_apply(name.as_deref().unwrap_or(PLAN), &plan, again)?;
    if reason.is_some() {
        apply.prepared.reason = reason;
    }
    let actor = call.runs.identify(&call.principal.caller)?;
    within(call, &apply.prepared.effects, &actor)?;
    call.runs.may_start(&apply.prepared, &actor)?;
    consent(&apply.prepared, yes, confirm.as_deref())?;
    let (_, drift) = call.runs.rehearse_apply(&apply, Foreground::unheard(actor.clone()))?;
    if !drift.writes.is_empty() {
        return Err(out_of_date(apply.saved.made_at).hint("nothing was started; plan again").into());
    }
    let run = apply.run();
    Ok(begun(&drive(call, apply.prepared.called(run), actor)?, run))
}

/// Says what taking a run back would do, rehearsed, as `rerail undo --dry-run`.
pub fn look_at_undo(call: &Call<'_>) -> Result<Answer, Problem> {
    let run = call.run()?;
    let LookAtUndo { told, whole } = call.read()?;
    let telling = telling(told.as_deref(), whole)?;
    let prepared = call.runs.prepare_undo(&run, None)?;
    let beside = json!({
        "run": run.run.short(),
        "steps": of_changes(&prepared.steps),
        "without_undo": prepared.without_undo,
        "unknown": prepared.unknown,
    });
    if prepared.steps.is_empty() {
        return Ok(Answer::json(200, &json!({ "undo": beside })));
    }
    let rehearsed = call.runs.rehearse_undo(&prepared, Foreground::unheard(call.actor_on(&run)?))?;
    let said = Told::of(&rehearsed, telling);
    let mut json = if told.is_some() { said.to_json() } else { said.json };
    json["undo"] = beside;
    Ok(Answer::json(200, &json))
}

/// Takes an ended run back, as `rerail undo`; it goes on after the answer.
pub fn undo(call: &Call<'_>, _: RunId) -> Result<Answer, Problem> {
    let run = call.run()?;
    let Undo { yes, confirm, reason } = call.read()?;
    let prepared = call.runs.prepare_undo(&run, reason)?;
    let actor = call.actor_on(&run)?;
    if prepared.steps.is_empty() {
        return Ok(Answer::json(200, &json!({ "run": run.run.short(), "steps": [], "driven": false })));
    }
    within(call, &[prepared.worst()], &actor)?;
    agreed(&prepared, yes, confirm.as_deref())?;
    let steps = of_changes(&prepared.steps);
    call.server.fleet.undo(Arc::clone(&call.runs), prepared, actor)?;
    Ok(Answer::json(202, &json!({ "run": run.run.short(), "steps": steps, "driven": true })))
}

/// What the terminal asks before it takes something back, has to stand in the request.
fn agreed(prepared: &PreparedUndo, yes: bool, confirm: Option<&str>) -> Result<(), Problem> {
    let run = &prepared.run;
    let name = format!("{}/{}", run.runbook, run.run);
    let place = run.target.as_ref().unwrap_or(&run.runbook);
    let first = "look first with POST …/undo/plan, then begin with";
    match (prepared.worst(), confirm) {
        (Effect::Destructive, Some(given)) if given == place => Ok(()),
        (Effect::Destructive, Some(given)) => {
            Err(Problem::new(400, format!("confirmed for `{given}`, but this runs on `{place}`")))
        }
        (Effect::Destructive, None) => Err(Problem::new(400, format!("taking {name} back may destroy something"))
            .hint(format!("{first} \"confirm\": \"{place}\""))),
        (Effect::Write, _) if !yes => {
            let steps = count(prepared.steps.len(), "step");
            Err(Problem::new(400, format!("this takes {steps} of {name} back")).hint(format!("{first} \"yes\": true")))
        }
        _ => Ok(()),
    }
}

/// Where a run stands for whoever takes it over, as `rerail take` says it before it asks.
pub fn handover(call: &Call<'_>) -> Result<Answer, Problem> {
    let run = call.run()?;
    let handover = call.runs.handover(&run)?;
    let json = json!({
        "run": run.run.short(),
        "from": handover.from.id,
        "via": handover.from.via,
        "agent": handover.from.agent,
        "person": line::person(&handover.from),
        "driven": handover.driven,
        "next": handover.next,
        "lines": of_lines(&summary::handover(&handover.facts, handover.next.as_ref())),
    });
    Ok(Answer::json(200, &json))
}

/// Takes a run over from whoever drives it, as `rerail take`; the server drives it on for whoever asks.
pub fn take(call: &Call<'_>, _: RunId) -> Result<Answer, Problem> {
    let run = call.run()?;
    let Take { reason } = call.read()?;
    let actor = call.actor_on(&run)?;
    within(call, &call.runs.program(&run)?.effects, &actor)?;
    let short = run.run.short();
    call.server.fleet.take(Arc::clone(&call.runs), run, reason, actor)?;
    Ok(Answer::json(202, &json!({ "run": short, "driven": true })))
}
