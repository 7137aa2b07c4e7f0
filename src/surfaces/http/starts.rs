//! Rehearsing, starting and taking up runs.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map as JsonMap, Value as Json, json};

use crate::engine::event::{Actor, Decision};
use crate::engine::ids::{RunId, StepPath};
use crate::runbook::spec::Effect;
use crate::runs::{Began, DecideRequest, Foreground, Prepared, Rehearsed, RunRow, StartRequest};
use crate::script::value::{Map, Value};
use crate::surfaces::http::call::{Answer, Call, plain_name};
use crate::surfaces::http::problem::Problem;
use crate::surfaces::shapes::plan::of_plan;
use crate::transcript::Plan;
use crate::transcript::words::count;

/// What is to be done, and to what.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    pub runbook: String,
    #[serde(default)]
    pub inputs: JsonMap<String, Json>,
    /// Inputs as somebody typed them, who has no types at hand: the fields of a form.
    #[serde(skip)]
    pub typed: Vec<(String, String)>,
    pub target: Option<String>,
    pub reason: Option<String>,
    pub incident: Option<String>,
}

/// The same, with what a person says to what it may change.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Start {
    runbook: String,
    #[serde(default)]
    inputs: JsonMap<String, Json>,
    target: Option<String>,
    reason: Option<String>,
    incident: Option<String>,
    #[serde(default)]
    yes: bool,
    confirm: Option<String>,
}

/// How a run goes on.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GoOn {
    #[serde(default)]
    retry: Vec<String>,
    #[serde(default)]
    skip: Vec<String>,
    #[serde(default)]
    done: Vec<Done>,
    #[serde(default)]
    not_done: Vec<String>,
    reason: Option<String>,
}

/// A step that somebody says has happened.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Done {
    step: String,
    #[serde(default)]
    outputs: JsonMap<String, Json>,
}

impl Asked {
    fn prepare(self, call: &Call<'_>) -> Result<Prepared, Problem> {
        plain_name("runbook", &self.runbook)?;
        self.target.as_deref().map(|target| plain_name("target", target)).transpose()?;
        let inputs = Json::Object(self.inputs);
        Ok(call.runs.prepare(&StartRequest {
            runbook: self.runbook,
            inputs: self.typed,
            // Read like a file, by the reader of everything that people write.
            inputs_file: Some(("inputs".to_owned(), inputs.to_string())),
            target: self.target,
            reason: self.reason,
            incident: self.incident,
        })?)
    }
}

/// Rehearses, as `rerail run --dry-run`.
pub fn plan(call: &Call<'_>) -> Result<Answer, Problem> {
    let rehearsed = rehearse(call, call.read()?)?;
    let plan = Plan::of(&rehearsed.events, &rehearsed.facts, &rehearsed.program);
    Ok(Answer::json(200, &of_plan(&plan, &rehearsed)))
}

/// A rehearsal of what is asked for.
///
/// # Errors
/// What is wrong with it.
pub fn rehearse(call: &Call<'_>, asked: Asked) -> Result<Rehearsed, Problem> {
    let prepared = asked.prepare(call)?;
    let actor = call.runs.identify(&call.principal.caller)?;
    Ok(call.runs.rehearse(&prepared, Foreground::unheard(actor))?)
}

/// Starts a run under this name, as `rerail run`; it goes on after the answer.
pub fn start(call: &Call<'_>, run: RunId) -> Result<Answer, Problem> {
    let Start { runbook, inputs, target, reason, incident, yes, confirm } = call.read()?;
    let asked = Asked { runbook, inputs, typed: Vec::new(), target, reason, incident };
    let row = begin(call, run, asked, yes, confirm.as_deref())?;
    Ok(match row.run == run {
        true => started(&row),
        false => Answer::json(200, &json!({ "run": row.run.short(), "id": row.run.uuid(), "attached": true })),
    })
}

/// Starts it; gives the run of this name, or another that does the same already.
///
/// # Errors
/// What is wrong with it, or who may not.
pub fn begin(call: &Call<'_>, run: RunId, asked: Asked, yes: bool, confirm: Option<&str>) -> Result<RunRow, Problem> {
    if let Some(row) = call.runs.existing(run)? {
        return Ok(row);
    }
    let prepared = asked.prepare(call)?;
    let actor = call.runs.identify(&call.principal.caller)?;
    within(call, &prepared.effects, &actor)?;
    call.runs.may_start(&prepared, &actor)?;
    consent(&prepared, yes, confirm)?;
    match call.server.fleet.start(Arc::clone(&call.runs), prepared.called(run), actor)? {
        Began::Attach(row) => Ok(*row),
        Began::Run(run) => {
            let gone = || Problem::new(500, "the run that was started is not in the journal");
            call.runs.existing(run)?.ok_or_else(gone)
        }
    }
}

/// The same for the same run whenever it is asked.
fn started(row: &RunRow) -> Answer {
    let json = json!({
        "run": row.run.short(),
        "id": row.run.uuid(),
        "runbook": row.runbook,
        "target": row.target,
        "operator": row.actor.id,
        "started_at": row.started_at.to_string(),
    });
    Answer::json(201, &json)
}

/// What the terminal asks before it starts what may change something, has to stand in the request.
fn consent(prepared: &Prepared, yes: bool, confirm: Option<&str>) -> Result<(), Problem> {
    let worst = prepared.effects.iter().max().copied().unwrap_or(Effect::Pure);
    let name = &prepared.program.runbook.name;
    let place = prepared.target.as_ref().unwrap_or(name);
    let changes = || {
        let steps = prepared.changes.iter().filter(|change| change.effect >= Effect::Write).count();
        count(steps, "step")
    };
    match (worst, confirm) {
        (Effect::Destructive, Some(given)) if given == place => Ok(()),
        (Effect::Destructive, Some(given)) => {
            Err(Problem::new(400, format!("confirmed for `{given}`, but this runs on `{place}`")))
        }
        (Effect::Destructive, None) => Err(Problem::new(400, format!("`{name}` may destroy something"))
            .hint(format!("look first with POST /api/v1/plans, then start it with \"confirm\": \"{place}\""))),
        (Effect::Write, _) if !yes => Err(Problem::new(400, format!("`{name}` may change something in {}", changes()))
            .hint("look first with POST /api/v1/plans, then start it with \"yes\": true")),
        _ => Ok(()),
    }
}

/// Takes a run up again, as `rerail resume`; it goes on after the answer.
pub fn resume(call: &Call<'_>, _: RunId) -> Result<Answer, Problem> {
    let run = call.run()?;
    let GoOn { retry, skip, done, not_done, reason } = call.read()?;
    let actor = call.actor_on(&run)?;
    within(call, &call.runs.program(&run)?.effects, &actor)?;
    let said = reason.clone().unwrap_or_default();
    let decide = |step: String, decision: Decision, outputs: Map| DecideRequest {
        step: StepPath::new(step),
        decision,
        outputs,
        reason: said.clone(),
    };
    let done = done.into_iter().map(|Done { step, outputs }| {
        let outputs = outputs.iter().map(|(name, json)| (name.clone(), Value::from_data(json))).collect();
        decide(step, Decision::Done, outputs)
    });
    let all = |steps: Vec<String>, decision: Decision| steps.into_iter().map(move |step| (step, decision));
    let others = all(not_done, Decision::NotDone).chain(all(retry, Decision::Retry)).chain(all(skip, Decision::Skip));
    let decisions: Vec<DecideRequest> =
        done.chain(others.map(|(step, decision)| decide(step, decision, Map::new()))).collect();
    let short = run.run.short();
    call.server.fleet.resume(Arc::clone(&call.runs), run, decisions, reason, actor)?;
    Ok(Answer::json(202, &json!({ "run": short, "driven": true })))
}

/// A token is for runs up to its effect.
fn within(call: &Call<'_>, effects: &[Effect], actor: &Actor) -> Result<(), Problem> {
    let worst = effects.iter().max().copied().unwrap_or(Effect::Pure);
    let most = call.principal.max_effect;
    if worst <= most {
        return Ok(());
    }
    let said = format!(
        "this token of `{}` is for runs that may {} at most, and this one may {}",
        actor.id,
        most.word(),
        worst.word()
    );
    Err(Problem::new(403, said).hint("`max_effect` of the token in rerail.yaml says so"))
}
