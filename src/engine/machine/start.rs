//! The start of a run: its inputs become `vars`, a time limit, and the event `run.started`.

use std::sync::Arc;

use jiff::Timestamp;

use crate::engine::change::Cover;
use crate::engine::evaluate::Evaluator;
use crate::engine::event::{Actor, AppliedPlan, ENGINE_SEMANTICS, PinnedFile, Previous, RunStarted};
use crate::engine::facts::Facts;
use crate::engine::ids::{RunId, StepPath};
use crate::engine::outcome::Failure;
use crate::engine::scope::Scope;
use crate::engine::traceparent::Traceparent;
use crate::engine::walk::prepare::duration_ms;
use crate::runbook::approval::Floors;
use crate::runbook::model::Runbook;
use crate::runbook::program::Program;
use crate::script::sandbox::Sandbox;
use crate::script::value::Map;

/// What a run is started with; inputs are typed and complete.
#[derive(Clone, Debug)]
pub struct Start {
    pub run: RunId,
    pub inputs: Map,
    pub target: Option<String>,
    /// See [`RunStarted::root`].
    pub root: Option<String>,
    pub files: Vec<PinnedFile>,
    /// See [`RunStarted::providers`].
    pub providers: Map,
    pub actor: Actor,
    pub reason: Option<String>,
    pub incident: Option<String>,
    /// See [`RunStarted::fence`].
    pub fence: u64,
    /// See [`RunStarted::group`].
    pub group: Option<String>,
    /// See [`RunStarted::previous`].
    pub previous: Option<Box<Previous>>,
    /// See [`RunStarted::floors`].
    pub floors: Option<Box<Floors>>,
    /// See [`RunStarted::cover`].
    pub cover: Option<Box<Cover>>,
    /// See [`RunStarted::plan`].
    pub plan: Option<Box<AppliedPlan>>,
    /// See [`RunStarted::traceparent`].
    pub traceparent: Option<Traceparent>,
    pub rehearsal: bool,
}

/// What a run starts with, and the scope of its first expressions, `vars` included.
pub(super) fn before_start(
    program: &Program,
    sandbox: &Sandbox,
    start: Start,
    now: Timestamp,
) -> Result<(RunStarted, Scope), Failure> {
    let started = RunStarted {
        semantics: ENGINE_SEMANTICS,
        run: start.run,
        runbook: program.runbook.name.clone(),
        title: program.runbook.title.clone(),
        files: start.files,
        target: start.target,
        root: start.root,
        inputs: start.inputs,
        vars: Map::new(),
        providers: start.providers,
        actor: start.actor,
        reason: start.reason,
        incident: start.incident,
        effects: program.effects.clone(),
        fence: start.fence,
        group: start.group,
        previous: start.previous,
        timeout_ms: None,
        floors: start.floors,
        cover: start.cover,
        plan: start.plan,
        traceparent: start.traceparent,
        rehearsal: start.rehearsal,
        store: None,
    };
    let facts =
        Facts { started: Some(Box::new(started.clone())), started_at: now, fence: started.fence, ..Facts::default() };
    let scope = Scope::new(&program.runbook, StepPath::root(), started.inputs.clone(), Map::new());
    let vars = compute_vars(sandbox, &facts, scope.clone())?;
    let scope = Scope { vars: Arc::new(vars), ..scope };
    let timeout_ms = Some(run_timeout(sandbox, &facts, &scope)?);
    Ok((RunStarted { timeout_ms, ..started }, scope))
}

/// Computes the `vars` of a scope in order, each seeing those before it.
pub(crate) fn compute_vars(sandbox: &Sandbox, facts: &Facts, mut scope: Scope) -> Result<Map, Failure> {
    let runbook = Arc::clone(&scope.runbook);
    for (name, template) in &runbook.vars {
        let value = Evaluator { sandbox, facts, scope: &scope, result: None }.template(template)?;
        Arc::make_mut(&mut scope.vars).insert(name.value.clone(), value);
    }
    Ok(Arc::unwrap_or_clone(scope.vars))
}

/// The time a run has, in milliseconds.
fn run_timeout(sandbox: &Sandbox, facts: &Facts, scope: &Scope) -> Result<u64, Failure> {
    let evaluator = Evaluator { sandbox, facts, scope, result: None };
    let given = scope.runbook.timeout.as_ref().map(|template| duration_ms(&evaluator, template, "timeout"));
    let default = u64::try_from(Runbook::TIMEOUT_DEFAULT.as_millis()).unwrap_or(u64::MAX);
    Ok(given.transpose()?.flatten().unwrap_or(default))
}
