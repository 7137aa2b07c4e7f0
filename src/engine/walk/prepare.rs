//! What a call is made with: arguments rendered, checked and completed, its effect, and its times.

use std::sync::Arc;

use crate::engine::evaluate::{Evaluator, quote};
use crate::engine::machine::{Env, NESTING_MAX, STEPS_MAX, STEPS_RESERVE, compute_vars};
use crate::engine::outcome::{Failure, FailureKind};
use crate::engine::scope::Scope;
use crate::engine::walk::instance;
use crate::engine::walk::invocation::{Arguments, Invocation, Manner, RUNBOOK};
use crate::runbook::program::{Child, Program};
use crate::runbook::snippet::Template;
use crate::runbook::spec::{ActionSpec, Effect, Repeat, shows};
use crate::runbook::types::{Type, parse_duration};
use crate::script::value::{Map, Value};

/// A call that may begin.
pub(super) struct Prepared {
    pub(super) effect: Effect,
    pub(super) repeat: Repeat,
    pub(super) with: Map,
    pub(super) vars: Map,
    pub(super) timeout_ms: Option<u64>,
    pub(super) within_ms: Option<u64>,
    pub(super) reveal: Vec<String>,
}

/// Renders, checks and completes the arguments of a call, with its effect and its times.
pub(super) fn prepare(
    call: &Invocation,
    env: &Env,
    scope: &Scope,
    spec: &ActionSpec,
    arguments: &Arguments,
    manner: &Manner,
) -> Result<Prepared, Failure> {
    let most = if env.afterwards { STEPS_MAX + STEPS_RESERVE } else { STEPS_MAX };
    if env.facts.steps.len() >= most {
        return Err(Failure::new(FailureKind::Limit, format!("the run has reached {most} steps")));
    }
    if call.path().depth() > NESTING_MAX {
        let message = format!("calls nest more than {NESTING_MAX} deep at `{}`", call.path());
        return Err(Failure::new(FailureKind::Limit, message));
    }
    let evaluator = env.evaluator(scope, None);
    let given = match arguments {
        Arguments::Templates(templates) => evaluator.named(templates)?,
        Arguments::Given(args) => (*args).clone(),
    };
    let mut with = typed(spec, given)?;
    let times = match manner.step {
        Some(step) => instance::times(env, scope, step, manner.round)?,
        None => instance::Times::default(),
    };
    let mut effect = spec.effect_with(&with);
    let called = match call.uses() {
        RUNBOOK => {
            let child = child_of(env, &with)?;
            effect = child.spec.effect;
            let inputs = match with.remove("inputs") {
                Some(Value::Map(inputs)) => inputs,
                _ => Map::new(),
            };
            let inputs = typed(&child.spec, inputs)?;
            with.insert("inputs".to_owned(), Value::Map(inputs.clone()));
            Some((&child.runbook, inputs))
        }
        uses => env.program.actions.get(uses).map(|action| (action, with.clone())),
    };
    let mut timeout_ms = times.timeout_ms;
    let vars = match called {
        Some((book, inputs)) => {
            let inner = Scope::new(book, call.path().clone(), inputs, Map::new());
            let vars = compute_vars(env.sandbox, env.facts, inner.clone())?;
            if let Some(limit) = &book.timeout {
                // A called runbook's own limit is one of the step that calls it.
                let inner = Scope { vars: Arc::new(vars.clone()), ..inner };
                let own = duration_ms(&env.evaluator(&inner, None), limit, "timeout")?;
                timeout_ms = timeout_ms.into_iter().chain(own).min();
            }
            vars
        }
        None => Map::new(),
    };
    effect = manner.step.and_then(|step| step.effect.as_ref()).map_or(effect, |declared| declared.value);
    let declared = manner.step.and_then(|step| step.repeat.as_ref()).map(|repeat| repeat.value);
    let repeat = match effect.changes_the_world() {
        true => declared.unwrap_or_else(|| spec.repeat_with(&with)),
        false => Repeat::Once,
    };
    let reveal = match manner.step {
        Some(step) => revealed(&evaluator, &step.reveal)?,
        None => Vec::new(),
    };
    Ok(Prepared { effect, repeat, with, vars, timeout_ms, within_ms: times.within_ms, reveal })
}

/// The runbook these arguments call.
pub(super) fn child_of<'p>(env: &Env<'p>, with: &Map) -> Result<&'p Child, Failure> {
    let name = with.get("name").and_then(Value::as_text).unwrap_or_default();
    let program: &'p Program = env.program;
    program
        .children
        .get(name)
        .ok_or_else(|| Failure::new(FailureKind::Argument, format!("there is no runbook `{name}` in this run")))
}

/// The names a step reveals.
fn revealed(evaluator: &Evaluator, names: &[Template]) -> Result<Vec<String>, Failure> {
    let read = |name: &Template| match evaluator.template(name)? {
        Value::Text(name) if !name.is_empty() => Ok(name),
        other => {
            let message = format!("`reveal`: expected the name of a sealed output, got {}", quote(&other));
            Err(Failure::new(FailureKind::Argument, message))
        }
    };
    names.iter().map(read).collect()
}

/// How a number gets into a text: a template that is the whole text keeps its type.
fn as_text(value: &Value) -> &'static str {
    match value {
        Value::Int(_) | Value::Float(_) | Value::Bool(_) => "; `.to_string()` makes a text of it",
        _ => "",
    }
}

/// Arguments checked and completed by an action's spec.
pub(crate) fn typed(spec: &ActionSpec, mut given: Map) -> Result<Map, Failure> {
    let mut with = Map::new();
    for arg in &spec.args {
        let value = given.remove(&*arg.name).filter(|value| *value != Value::Null).or_else(|| arg.default.clone());
        match value {
            Some(value) => {
                let value = arg.ty.accept(&value).map_err(|why| {
                    let hint = if arg.ty == Type::String { as_text(&value) } else { "" };
                    Failure::new(FailureKind::Argument, format!("`{}` of `{}`: {why}{hint}", arg.name, spec.name))
                })?;
                // What can be seen in the text of a runbook is refused by the check; the rest is seen only here.
                if value.has_secret() && shows(&spec.name, &arg.name) {
                    let message =
                        format!("`{}` of `{}` holds a secret, and is shown or kept as text", arg.name, spec.name);
                    return Err(Failure::new(FailureKind::Secret, message));
                }
                with.insert(arg.name.to_string(), value);
            }
            None if arg.required => {
                let message = format!("`{}` needs `{}`", spec.name, arg.name);
                return Err(Failure::new(FailureKind::Argument, message));
            }
            None => {}
        }
    }
    match given.keys().next() {
        Some(extra) => Err(Failure::new(FailureKind::Argument, format!("`{}` takes no `{extra}`", spec.name))),
        None => Ok(with),
    }
}

/// A duration in a template; `None` when a rehearsal can't know it.
pub(crate) fn duration_ms(evaluator: &Evaluator, template: &Template, key: &str) -> Result<Option<u64>, Failure> {
    match evaluator.template(template)? {
        Value::Unknown(_) => Ok(None),
        value => {
            let text = value.to_string();
            let duration =
                parse_duration(&text).map_err(|why| Failure::new(FailureKind::Argument, format!("`{key}`: {why}")))?;
            Ok(Some(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
        }
    }
}
