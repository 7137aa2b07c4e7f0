//! Rehearsing, starting and taking up runs.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map as JsonMap, Value as Json, json};

use crate::engine::event::{Actor, Decision};
use crate::engine::ids::{RunId, StepPath};
use crate::runbook::problem::{Problem as Fault, render};
use crate::runbook::spec::Effect;
use crate::runs::{Began, DecideRequest, Foreground, Prepared, Rehearsed, RunRow, StartRequest, Why};
use crate::script::value::{Map, Value};
use crate::surfaces::cli::exit::Exit;
use crate::surfaces::http::call::{Answer, Call, plain_name};
use crate::surfaces::http::problem::Problem;
use crate::surfaces::shapes::lines::{marks_of, of_lines};
use crate::surfaces::shapes::plan::{Telling, Told, lasts, of_changes, of_saved};
use crate::transcript::words::count;
use crate::transcript::{Marks, saved};

/// What is to be done, and to what.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    pub runbook: String,
    #[serde(default)]
    pub inputs: JsonMap<String, Json>,
    /// Values as texts, each read by the type of its input, as `-i NAME=TEXT`.
    #[serde(default)]
    pub typed: Vec<Typed>,
    /// Values in a text of YAML or JSON, as `--inputs FILE`; instead of `inputs`.
    pub file: Option<Written>,
    pub target: Option<String>,
    pub reason: Option<String>,
    pub incident: Option<String>,
    /// For a rehearsal: the signs of the lines that tell it, if they are wanted beside it.
    pub told: Option<String>,
    /// Whether those lines also say how actions do what they do.
    #[serde(default)]
    pub whole: bool,
    /// For a rehearsal: how long it may be applied, if it is to be saved.
    pub save: Option<String>,
    /// For a start: it may change something, and that is meant.
    #[serde(default)]
    pub yes: bool,
    /// For a start: the target, or the runbook without one, because it may destroy something.
    pub confirm: Option<String>,
}

/// A value as somebody typed it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Typed {
    pub name: String,
    pub text: String,
}

/// A text with the name it has in messages.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Written {
    pub name: String,
    pub text: String,
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
        // Read like a file, by the reader of everything that people write.
        let inputs = match self.file {
            Some(file) if self.inputs.is_empty() => Some((file.name, file.text)),
            Some(_) => return Err(Problem::new(400, "the inputs are given twice, as `inputs` and as `file`")),
            None if self.inputs.is_empty() => None,
            None => Some(("inputs".to_owned(), Json::Object(self.inputs).to_string())),
        };
        Ok(call.runs.prepare(&StartRequest {
            runbook: self.runbook,
            inputs: self.typed.into_iter().map(|Typed { name, text }| (name, text)).collect(),
            inputs_file: inputs,
            target: self.target,
            reason: self.reason,
            incident: self.incident,
        })?)
    }

    /// What a request has that only another one may have.
    fn without(&self, what: &[(&str, bool)]) -> Result<(), Problem> {
        match what.iter().find(|(_, given)| *given) {
            Some((name, _)) => Err(Problem::new(400, format!("`{name}` means nothing here"))),
            None => Ok(()),
        }
    }
}

/// Checks a start whole, as `rerail run` does before it asks anybody: what it may change, what is doubtful about its
/// texts, and whether whoever asks may start it. Nothing is looked at or recorded.
pub fn check(call: &Call<'_>) -> Result<Answer, Problem> {
    let asked = call.read::<Asked>()?;
    asked.without(&[("save", asked.save.is_some()), ("told", asked.told.is_some()), ("yes", asked.yes)])?;
    let prepared = asked.prepare(call)?;
    let actor = call.runs.identify(&call.principal.caller)?;
    let may = within(call, &prepared.effects, &actor).and_then(|()| Ok(call.runs.may_start(&prepared, &actor)?));
    let json = json!({
        "runbook": prepared.program.runbook.name,
        "target": prepared.target,
        "effects": prepared.effects,
        "changes": of_changes(&prepared.changes),
        "warnings": prepared.warnings.iter().map(Fault::to_json).collect::<Vec<_>>(),
        "picture": render(&prepared.warnings, false),
        "refused": may.err().map(|problem| problem.to_json()),
    });
    Ok(Answer::json(200, &json))
}

/// Rehearses, as `rerail run --dry-run`; saved, as `rerail plan`.
pub fn plan(call: &Call<'_>) -> Result<Answer, Problem> {
    let asked = call.read::<Asked>()?;
    asked.without(&[("yes", asked.yes), ("confirm", asked.confirm.is_some())])?;
    let (told, save, named) = (asked.told.clone(), asked.save.clone(), asked.runbook.clone());
    let telling = telling(told.as_deref(), asked.whole)?;
    let prepared = asked.prepare(call)?;
    let actor = call.runs.identify(&call.principal.caller)?;
    let (rehearsed, made) = match save.as_deref().map(lasts).transpose().map_err(|why| Problem::new(400, why))? {
        None => (call.runs.rehearse(&prepared, Foreground::unheard(actor))?, None),
        Some(lasts) => {
            let made = call.runs.plan(&prepared, &named, lasts, Foreground::unheard(actor))?;
            (made.rehearsed, Some(made.plan))
        }
    };
    let said = Told::of(&rehearsed, telling);
    let mut json = if told.is_some() { said.to_json() } else { said.json };
    if let Some(made) = made {
        json["saved"] = match &made {
            Some((plan, text)) => {
                let mut saved = of_saved(plan);
                saved["text"] = json!(text);
                saved["beside"] = of_lines(&saved::beside(plan));
                saved
            }
            // The rehearsal did not come to a good end.
            None => Json::Null,
        };
        json["exit_code"] = json!(Exit::of_run(&rehearsed.facts, &Why::Ended).0);
    }
    Ok(Answer::json(200, &json))
}

/// The signs for lines; those of a terminal of today where nobody asks for any.
pub fn marks(word: Option<&str>) -> Result<Marks, Problem> {
    let word = word.unwrap_or("unicode");
    marks_of(word)
        .ok_or_else(|| Problem::new(400, format!("expected `unicode` or `ascii` for the signs, got `{word}`")))
}

/// How a rehearsal is told.
pub fn telling(word: Option<&str>, whole: bool) -> Result<Telling, Problem> {
    Ok(Telling { marks: marks(word)?, whole })
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
    let asked = call.read::<Asked>()?;
    asked.without(&[("save", asked.save.is_some()), ("told", asked.told.is_some())])?;
    Ok(begun(&begin(call, run, asked)?, run))
}

/// Starts what is asked for; gives the run of this name, or another that does the same already.
///
/// # Errors
/// What is wrong with it, or who may not.
pub fn begin(call: &Call<'_>, run: RunId, asked: Asked) -> Result<RunRow, Problem> {
    if let Some(row) = call.runs.existing(run)? {
        return Ok(row);
    }
    let (yes, confirm) = (asked.yes, asked.confirm.clone());
    let prepared = asked.prepare(call)?;
    let actor = call.runs.identify(&call.principal.caller)?;
    within(call, &prepared.effects, &actor)?;
    call.runs.may_start(&prepared, &actor)?;
    consent(&prepared, yes, confirm.as_deref())?;
    drive(call, prepared.called(run), actor)
}

/// Starts what is prepared; gives that run, or another that does the same already.
///
/// # Errors
/// If it can't begin now.
pub fn drive(call: &Call<'_>, prepared: Prepared, actor: Actor) -> Result<RunRow, Problem> {
    let prepared = prepared.below(call.traceparent.clone());
    match call.server.fleet.start(Arc::clone(&call.runs), prepared, actor)? {
        Began::Attach(row) => Ok(*row),
        Began::Run(run) => {
            let gone = || Problem::new(500, "the run that was started is not in the journal");
            call.runs.existing(run)?.ok_or_else(gone)
        }
    }
}

/// What whoever wanted to start `run` is told of the run that there is.
pub fn begun(row: &RunRow, run: RunId) -> Answer {
    match row.run == run {
        true => started(row),
        false => Answer::json(200, &json!({ "run": row.run.short(), "id": row.run.uuid(), "attached": true })),
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
pub fn consent(prepared: &Prepared, yes: bool, confirm: Option<&str>) -> Result<(), Problem> {
    let name = &prepared.program.runbook.name;
    let place = prepared.place();
    let changes = || {
        let steps = prepared.changes.iter().filter(|change| change.effect >= Effect::Write).count();
        count(steps, "step")
    };
    match (prepared.worst(), confirm) {
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
pub fn within(call: &Call<'_>, effects: &[Effect], actor: &Actor) -> Result<(), Problem> {
    let worst = Effect::worst(effects);
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
