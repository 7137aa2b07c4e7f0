//! What expressions could see in a run: at its end, or just before a step began.
//!
//! From the events and the pinned program alone, so it can be asked a year later, and of a run somebody else drives.

use std::sync::Arc;

use crate::engine::evaluate::Evaluator;
use crate::engine::event::{Body as Fact, Event, StepStarted};
use crate::engine::facts::{Facts, FoldError};
use crate::engine::ids::StepPath;
use crate::engine::outcome::Outcome;
use crate::engine::scope::{Broken, Each, Scope, StepResult};
use crate::engine::walk::foreach::result_of;
use crate::runbook::locate::{Located, Part, locate};
use crate::runbook::model::{Block, Step};
use crate::runbook::program::Program;
use crate::runbook::spec::RUN_CHILD;
use crate::script::sandbox::Sandbox;
use crate::script::value::{Map, Value};

/// A moment of a run.
#[derive(Debug)]
pub struct Moment {
    pub facts: Facts,
    pub scope: Scope,
}

/// Why there is no such moment.
#[derive(Debug, thiserror::Error)]
pub enum LookBackError {
    #[error(transparent)]
    Fold(#[from] FoldError),
    #[error("the journal has no `run.started`")]
    NoStart,
    #[error("step `{0}` never began in this run")]
    NeverBegan(StepPath),
    #[error("step `{0}` is not in the runbook this run is pinned to")]
    NotInProgram(StepPath),
}

/// The moment just before `at` began for the last time, or the last one of the run.
///
/// # Errors
/// If the events don't fold, or the step never began.
pub fn moment(
    program: &Program,
    sandbox: &Sandbox,
    events: &[Event],
    at: Option<&StepPath>,
) -> Result<Moment, LookBackError> {
    let whole = Facts::fold(events)?;
    let Some(at) = at else {
        let scope = root(program, &whole)?;
        let over = whole.finished.is_some();
        let mut past = Past { sandbox, facts: &whole, scope };
        for part in [Part::Main, Part::OnFailure, Part::Finally] {
            past.part(part, &StepPath::root(), over);
        }
        let scope = ending(past.scope, &whole);
        return Ok(Moment { facts: whole, scope });
    };
    let began = |event: &Event| match &event.body {
        Fact::StepStarted(intent) => intent.step == *at,
        Fact::StepSkipped { step, .. } => step == at,
        _ => false,
    };
    let number = events.iter().rposition(began).ok_or_else(|| LookBackError::NeverBegan(at.clone()))?;
    let facts = Facts::fold(&events[..number])?;
    let place = locate(program, at.as_str()).ok_or_else(|| LookBackError::NotInProgram(at.clone()))?;
    if let Some(owner) = &place.undoes {
        let undone = to_undo(program, sandbox, &facts, &StepPath::new(owner.as_str()));
        let (scope, step) = undone.ok_or_else(|| LookBackError::NotInProgram(at.clone()))?;
        let prefix = scope.prefix.clone();
        let mut past = Past { sandbox, facts: &facts, scope };
        if let Some(inner) = step.body.inner() {
            past.block(inner, &prefix, false);
        }
        let scope = Scope { prefix: StepPath::new(place.prefix), ..past.scope };
        return Ok(Moment { facts, scope });
    }
    let base = StepPath::new(place.base.as_str());
    let mut scope = root(program, &facts)?;
    if place.part != Part::Main && base == StepPath::root() {
        scope = ending(scope, &whole);
    }
    if let Some(started) = facts.step(&base).and_then(|record| record.started.as_ref()) {
        scope = Scope::new(place.book, StepPath::root(), inputs_of(&started.intent), started.intent.vars.clone());
    }
    scope.prefix = base.clone();
    let mut past = Past { sandbox, facts: &facts, scope };
    for part in [Part::Main, Part::OnFailure, Part::Finally].into_iter().filter(|part| *part <= place.part) {
        past.part(part, &base, part < place.part);
    }
    past.rounds(&place);
    let mut scope = past.scope;
    scope.prefix = StepPath::new(place.prefix);
    Ok(Moment { facts, scope })
}

/// What the `undo` of a step instance sees, with its body: what that step saw, and what it gave. `None` if the
/// program has none there.
pub(crate) fn to_undo(
    program: &Program,
    sandbox: &Sandbox,
    facts: &Facts,
    owner: &StepPath,
) -> Option<(Scope, Arc<Step>)> {
    let place = locate(program, owner.as_str())?;
    let undo = place.step.undo.as_ref()?;
    let base = StepPath::new(place.base.as_str());
    let mut scope = root(program, facts).ok()?;
    if place.part != Part::Main && base == StepPath::root() {
        scope = ending(scope, facts);
    }
    if let Some(started) = facts.step(&base).and_then(|record| record.started.as_ref()) {
        scope = Scope::new(place.book, StepPath::root(), inputs_of(&started.intent), started.intent.vars.clone());
    }
    scope.prefix = base.clone();
    let mut past = Past { sandbox, facts, scope };
    for part in [Part::Main, Part::OnFailure, Part::Finally].into_iter().filter(|part| *part <= place.part) {
        past.part(part, &base, true);
    }
    past.rounds(&place);
    if let Some(record) = facts.step(owner)
        && let Some(result) = StepResult::of(owner, record)
    {
        Arc::make_mut(&mut past.scope.results).insert(place.step.id.clone(), Arc::new(result));
    }
    let scope = Scope { prefix: owner.undo(), ..past.scope };
    Some((scope, Arc::clone(undo.step())))
}

fn root(program: &Program, facts: &Facts) -> Result<Scope, LookBackError> {
    let started = facts.started.as_ref().ok_or(LookBackError::NoStart)?;
    Ok(Scope::new(&program.runbook, StepPath::root(), started.inputs.clone(), started.vars.clone()))
}

/// The inputs of an action or a called runbook.
fn inputs_of(intent: &StepStarted) -> Map {
    match (intent.uses.as_deref(), intent.with.get("inputs")) {
        (Some(RUN_CHILD), Some(Value::Map(inputs))) => inputs.clone(),
        _ => intent.with.clone(),
    }
}

/// What `run.outcome`, `run.failed_step` and `run.error` say once the run is ending.
fn ending(scope: Scope, whole: &Facts) -> Scope {
    let Some(end) = whole.end_of_run() else { return scope };
    let failure = end.failed_step.clone().zip(end.error.clone());
    let failure = failure.map(|(step, failure)| Broken { step, outcome: Outcome::Failed, failure });
    Scope { failure, ending: Some(end.outcome), ..scope }
}

/// A scope being filled with what had ended.
struct Past<'a> {
    sandbox: &'a Sandbox,
    facts: &'a Facts,
    scope: Scope,
}

impl Past<'_> {
    fn part(&mut self, part: Part, base: &StepPath, over: bool) {
        let book = Arc::clone(&self.scope.runbook);
        let (block, prefix) = match part {
            Part::Main => (&book.steps, base.clone()),
            Part::OnFailure => (&book.on_failure, base.join("on_failure")),
            Part::Finally => (&book.finally, base.join("finally")),
        };
        self.block(block, &prefix, over);
    }

    /// Rounds of loops around the step: `each`, and what had ended in them.
    fn rounds(&mut self, place: &Located) {
        for round in &place.rounds {
            let path = StepPath::new(round.path.as_str());
            let intent = self.facts.step(&path).and_then(|record| record.started.as_ref()).map(|s| &s.intent.with);
            let items = match intent.and_then(|with| with.get("items")) {
                Some(Value::List(items)) => items.as_slice(),
                _ => &[],
            };
            let in_order = intent.and_then(|with| with.get("max_parallel")).is_none_or(|most| *most == Value::Int(1));
            let before = round.index.checked_sub(1).map(|index| path.item(index));
            let before = before.and_then(|path| self.facts.step(&path)?.end());
            let previous =
                before.filter(|end| end.outcome == Outcome::Done).map_or(Value::Null, |end| end.outputs.clone());
            let value = items.get(round.index).cloned().unwrap_or_default();
            let each = Each { value, index: round.index, previous: in_order.then_some(previous) };
            self.scope.each = Some(Arc::new(each));
            if let Some(inner) = round.step.body.inner() {
                self.block(inner, &path.item(round.index), false);
            }
        }
    }

    /// Takes in what the facts say of a block's steps; what never began is `not_run` if the block is over.
    fn block(&mut self, block: &Block, prefix: &StepPath, over: bool) {
        for step in block.iter() {
            let path = prefix.join(&step.id);
            let known = result_of(self.facts, &path);
            let inner = step.body.inner().filter(|_| step.foreach.is_none());
            match (&known, inner) {
                (Some(result), Some(inner)) if result.outcome == Outcome::Skipped => self.skip(inner, prefix),
                (_, Some(inner)) => self.block(inner, prefix, over),
                _ => {}
            }
            let result = known.or_else(|| inner.and_then(|inner| self.group(step, inner, &path)));
            let result = result.or_else(|| over.then(|| StepResult::bare(&path, Outcome::NotRun)));
            Arc::make_mut(&mut self.scope.results).extend(result.map(|result| (step.id.clone(), Arc::new(result))));
        }
    }

    fn skip(&mut self, block: &Block, prefix: &StepPath) {
        for step in block.iter() {
            let result = StepResult::bare(&prefix.join(&step.id), Outcome::Skipped);
            Arc::make_mut(&mut self.scope.results).insert(step.id.clone(), Arc::new(result));
            if let Some(inner) = step.body.inner().filter(|_| step.foreach.is_none()) {
                self.skip(inner, prefix);
            }
        }
    }

    /// A group's end follows from its steps, if they have all ended.
    fn group(&self, step: &Step, inner: &Block, path: &StepPath) -> Option<StepResult> {
        let mut outcome = Outcome::Done;
        for step in inner.iter() {
            let end = self.scope.results.get(&step.id)?;
            let broken = !end.outcome.lets_the_run_go_on() && !step.continue_on_failure;
            if broken && outcome == Outcome::Done {
                outcome = end.outcome;
            }
        }
        let result = StepResult::bare(path, outcome);
        let Some(outputs) = step.outputs.as_ref().filter(|_| outcome == Outcome::Done) else { return Some(result) };
        let evaluator = Evaluator { sandbox: self.sandbox, facts: self.facts, scope: &self.scope, result: None };
        Some(match evaluator.named(outputs) {
            Ok(values) => result.with_outputs(Value::Map(values)),
            Err(_) => StepResult::bare(path, Outcome::Failed),
        })
    }
}
