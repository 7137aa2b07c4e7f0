//! Planning and starting. What may be started, from what and by whom is asked in `runs/agents.rs`.

use std::sync::Arc;

use rmcp::schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map as JsonMap, Value as Json, json};

use crate::engine::digest;
use crate::engine::ids::RunId;
use crate::runs::{Began, ByAgent, ErrorKind, Keyed, Once, Planned, RunRow, RunsError, StartRequest, Twice};
use crate::surfaces::mcp::call::{Call, plain};
use crate::surfaces::mcp::looks;
use crate::surfaces::mcp::said::{Refused, Said, lines};
use crate::surfaces::shapes::plan::of_plan;
use crate::transcript::{Marks, Plan, saved};

/// What an answered start is kept as: any number of the hundreds that HTTP has would do.
const BEGAN: u16 = 201;
/// The same for a run that others had begun.
const ATTACHED: u16 = 200;

/// What is to be planned.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(crate = "rmcp::schemars")]
pub struct PlanRun {
    /// Name of the runbook
    runbook: String,
    /// Its inputs by name, as describe_runbook lists them
    #[serde(default)]
    inputs: JsonMap<String, Json>,
    /// Name of the target, such as production; without one there are no secrets
    target: Option<String>,
}

/// What is to be started.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(crate = "rmcp::schemars")]
pub struct StartRun {
    /// Name of the runbook
    runbook: String,
    /// Its inputs by name, as describe_runbook lists them
    #[serde(default)]
    inputs: JsonMap<String, Json>,
    /// Name of the target, such as production; without one there are no secrets
    target: Option<String>,
    /// plan_hash of a plan_run with the same runbook, inputs and target, at most 10 minutes old; not needed by what only looks
    plan_hash: Option<String>,
    /// Why it is started, for the record
    reason: Option<String>,
    /// Name of the incident it belongs to
    incident: Option<String>,
}

/// What the terminal would be asked.
fn request(runbook: &str, inputs: &JsonMap<String, Json>, target: Option<&str>) -> Result<StartRequest, Refused> {
    plain("runbook", runbook)?;
    target.map(|target| plain("target", target)).transpose()?;
    Ok(StartRequest {
        runbook: runbook.to_owned(),
        inputs: Vec::new(),
        // Read like a file, by the reader of everything that people write.
        inputs_file: Some(("inputs".to_owned(), Json::Object(inputs.clone()).to_string())),
        target: target.map(str::to_owned),
        reason: None,
        incident: None,
    })
}

/// Rehearses: looks are real, nothing is changed.
pub fn plan(call: &Call, asked: PlanRun) -> Result<Said, Refused> {
    let prepared = call.runs.prepare(&request(&asked.runbook, &asked.inputs, asked.target.as_deref())?)?;
    let actor = call.actor()?;
    let Planned { made, hash } = call.runs.plan_for_agent(&call.desk.plans, &prepared, &actor)?;
    let rehearsed = &made.rehearsed;
    let plan = Plan::of(&rehearsed.events, &rehearsed.facts, &rehearsed.program);
    let mut data = of_plan(&plan, rehearsed);
    let reach = saved::reach(&rehearsed.radius());
    let text = lines(plan.lines(&rehearsed.facts, Marks::Unicode, false).iter().chain(&reach));
    let hash = hash.and_then(|hash| call.within(&prepared.effects).map(|()| hash));
    let next = match hash {
        Ok((hash, expires)) => {
            data["plan_hash"] = json!(hash);
            data["plan_expires"] = json!(expires.to_string());
            format!(
                "show this plan to the person you act for; if they want it, call start_run with the same runbook, inputs \
                 and target and plan_hash {hash} before {expires:.0}. It stops before its first write until a person approves"
            )
        }
        Err(error) => {
            let hints = error.hints.join("; ");
            data["plan_hash"] = Json::Null;
            data["no_hash_because"] = json!(error.message);
            format!("{}: {hints}", error.message)
        }
    };
    Ok(Said { data, text, next, rest: "a person sees all of it with  rerail run RUNBOOK --dry-run" })
}

/// Starts a run; it goes on after the answer. The same start on one connection is one run.
pub fn start(call: &Call, asked: StartRun) -> Result<Said, Refused> {
    started(call, &begun(call, asked)?)
}

/// A run that was to begin, and what became of that.
pub struct Begun {
    pub row: RunRow,
    /// Others had begun it.
    pub attached: bool,
    /// The same start had begun it before.
    again: bool,
}

/// Starts a run, and says no more than which it is.
pub fn begun(call: &Call, asked: StartRun) -> Result<Begun, Refused> {
    call.may_run()?;
    let StartRun { runbook, inputs, target, plan_hash, reason, incident } = asked;
    let request = StartRequest { reason, incident, ..request(&runbook, &inputs, target.as_deref())? };
    let Some(connection) = &call.desk.connection else {
        let (row, attached) = begin(call, &request, plan_hash.as_deref(), RunId::new(uuid::Uuid::now_v7()))?;
        return Ok(Begun { row, attached, again: false });
    };
    let all = json!([runbook, inputs, target, plan_hash, request.reason, request.incident]);
    let digest = digest::name(all.to_string().as_bytes());
    let keyed = Keyed {
        person: call.actor()?.id,
        key: format!("mcp {} {digest}", connection.name),
        digest,
        twice: Twice::Same,
    };
    let once = connection.requests.once(&call.runs, &keyed, |run| {
        if let Some(row) = call.runs.existing(run)? {
            return Ok((BEGAN, row.run.uuid()));
        }
        let (row, attached) = begin(call, &request, plan_hash.as_deref(), run)?;
        Ok((if attached { ATTACHED } else { BEGAN }, row.run.uuid()))
    })?;
    match once {
        Once::Answered { status, body, again } => {
            Ok(Begun { row: call.runs.find(&body)?, attached: status == ATTACHED, again })
        }
        Once::Other | Once::Unknown => {
            let said = RunsError::new(ErrorKind::Busy, "the same start is under way");
            Err(Refused(said.hint("call list_runs to see what has begun")))
        }
    }
}

/// The run that begins, and whether others had begun it.
fn begin(call: &Call, request: &StartRequest, hash: Option<&str>, run: RunId) -> Result<(RunRow, bool), RunsError> {
    let actor = call.actor()?;
    let prepared = match call.runs.prepare_for_agent(&call.desk.plans, request, hash, &actor)? {
        ByAgent::Began(row) => return Ok((*row, false)),
        ByAgent::Begins(prepared) => prepared.called_unless_named(run),
    };
    call.within(&prepared.effects)?;
    match call.desk.fleet.start(Arc::clone(&call.runs), prepared, actor)? {
        Began::Attach(row) => Ok((*row, true)),
        Began::Run(run) => {
            let gone = || RunsError::new(ErrorKind::Internal, "the run that was started is not in the journal");
            Ok((call.runs.existing(run)?.ok_or_else(gone)?, false))
        }
    }
}

/// What is said of a run that was to begin.
pub fn started(call: &Call, begun: &Begun) -> Result<Said, Refused> {
    let Begun { row, attached, again } = begun;
    let (attached, again) = (*attached, *again);
    let said = looks::told(call, row)?;
    let mut text = match (attached, again) {
        (true, _) => "Nothing was started: this run does the same already.\n".to_owned(),
        (_, true) => {
            "This is the run that the same start_run began before; to run it anew, give another `reason`.\n".to_owned()
        }
        _ => format!("Started {}/{}.\n", row.runbook, row.run),
    };
    text.push_str(&said.text);
    let mut data = said.data;
    data["started"] = json!(!attached && !again);
    data["again"] = json!(again);
    Ok(Said { data, text, ..said })
}
