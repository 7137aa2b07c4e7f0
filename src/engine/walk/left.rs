//! Rehearsal: what planned writes leave behind, by `leaves`, and what actions give that read it, by `overlay`.

use crate::engine::evaluate::quote;
use crate::engine::event::Planned;
use crate::engine::ids::StepPath;
use crate::engine::machine::Env;
use crate::engine::outcome::{Failure, FailureKind, Outcome};
use crate::engine::overlay::{Entries, Left};
use crate::engine::scope::Scope;
use crate::runbook::model::{Leaves, Overlay, Step};
use crate::runbook::snippet::Template;
use crate::runbook::spec::Effect;
use crate::script::value::{Map, Unknown, Value};

/// Names of planned entries that one line tells; the rest is counted.
const NAMES_SHOWN: usize = 8;

/// Takes in a write that is planned, with what its primitive says it leaves. Gives a line for people where the step's
/// `leaves` can't be understood.
pub(crate) fn planned_write(
    env: &mut Env,
    scope: &Scope,
    step: Option<&Step>,
    effect: Effect,
    known: Option<(String, Value)>,
) -> Option<String> {
    let maybe = env.maybe > 0;
    let said = step.and_then(|step| step.leaves.as_deref()).map(|leaves| left_by(env, scope, leaves));
    let mut trouble = None;
    let left = match said {
        Some(Err(failure)) => {
            trouble = Some(format!("what it leaves behind can't be told: {}", failure.message));
            None
        }
        Some(Ok(left)) => left,
        None => None,
    };
    match (left, known) {
        (None, None) if effect < Effect::Write => env.overlay.tell(),
        (None, None) => env.overlay.forget(),
        (left, known) => {
            let whole = known.map(|(place, content)| (place, Left::Whole(content)));
            for (place, left) in left.into_iter().chain(whole) {
                env.overlay.leave(place, left, maybe);
            }
        }
    }
    trouble
}

/// What `leaves` says; nothing if the place or the names depend on what isn't known yet.
fn left_by(env: &Env, scope: &Scope, leaves: &Leaves) -> Result<Option<(String, Left)>, Failure> {
    let evaluator = env.evaluator(scope, None);
    let given =
        |template: &Option<Template>| template.as_ref().map(|template| evaluator.template(template)).transpose();
    let place = match evaluator.template(&leaves.place)? {
        Value::Unknown(_) => return Ok(None),
        place => place_name(place)?,
    };
    let map = |key: &str, value: Option<Value>| match value {
        None | Some(Value::Null) => Ok(Some(Map::new())),
        Some(Value::Map(map)) => Ok(Some(map)),
        Some(Value::Unknown(_)) => Ok(None),
        Some(other) => Err(wrong(key, "a map of entries by name", &other)),
    };
    let (sets, was) = (map("sets", given(&leaves.sets)?)?, map("was", given(&leaves.was)?)?);
    let removes = match given(&leaves.removes)? {
        None => Some(Vec::new()),
        Some(Value::List(names)) => {
            let name = |name| match name {
                Value::Text(name) => Ok(Some(name)),
                Value::Unknown(_) => Ok(None),
                other => Err(wrong("removes", "names", &other)),
            };
            names.into_iter().map(name).collect::<Result<Option<Vec<String>>, Failure>>()?
        }
        Some(Value::Unknown(_)) => None,
        Some(other) => return Err(wrong("removes", "a list of names", &other)),
    };
    let (Some(sets), Some(removes), Some(was)) = (sets, removes, was) else { return Ok(None) };
    let removes = removes.into_iter().filter(|name| !sets.contains_key(name)).collect();
    Ok(Some((place, Left::Entries(Entries { sets, removes, was }))))
}

fn place_name(place: Value) -> Result<String, Failure> {
    match place {
        Value::Text(place) if !place.trim().is_empty() => Ok(place),
        other => Err(wrong("place", "a text that names what is changed or read", &other)),
    }
}

fn wrong(key: &str, wanted: &str, seen: &Value) -> Failure {
    let message = format!("`{key}`: expected {wanted}, got {} `{}`", seen.kind(), quote(seen));
    Failure::new(FailureKind::Script, message)
}

/// The entries that are planned for what an action of this scope reads.
fn planned_entries<'e>(env: &'e Env, scope: &Scope, overlay: &Overlay) -> Option<&'e Entries> {
    if !env.is_rehearsal() || !env.overlay.wrote() {
        return None;
    }
    // Before its own steps have told where it reads, nothing of it is covered.
    let place = env.evaluator(scope, None).template(&overlay.place).ok()?;
    env.overlay.entries(place.as_text()?)
}

/// Whether a read of this scope, made now, is what the run will find but for what lies over it.
pub(crate) fn is_laid_over(env: &Env, scope: &Scope) -> bool {
    scope.runbook.overlay.as_ref().is_some_and(|overlay| planned_entries(env, scope, overlay).is_some())
}

/// What an action gives behind planned writes of what it has read.
pub(crate) struct Laid {
    pub outputs: Map,
    pub planned: Planned,
}

/// Lays what is planned over what an action at `path` has read; nothing if that isn't concerned by it.
pub(crate) fn lay(env: &Env, scope: &Scope, path: &StepPath, read: &Map) -> Option<Laid> {
    let overlay = scope.runbook.overlay.as_ref().filter(|_| env.is_rehearsal())?;
    let unknown = || Value::Unknown(Unknown { origin: path.to_string() });
    let untold = |summary: String| {
        let outputs = read.keys().map(|name| (name.clone(), unknown())).collect();
        Laid { outputs, planned: Planned { summary, ..Planned::default() } }
    };
    let Some(entries) = planned_entries(env, scope, overlay) else {
        // It was made as one that something lies over, and another write came in between.
        let covered = env
            .facts
            .below(path)
            .any(|(_, record)| record.end().is_some_and(|end| end.outcome == Outcome::Done && end.planned.is_some()));
        return covered.then(|| untold("known after the writes that are planned".to_owned()));
    };
    let failed = |failure: Failure| untold(format!("what is planned can't be laid over it: {}", failure.message));
    let given = env.evaluator(scope, Some(&seen(read, entries))).value(&overlay.script).and_then(given_by);
    let (mut outputs, hidden) = match given {
        Ok(given) => given,
        Err(failure) => return Some(failed(failure)),
    };
    for (output, name) in hidden {
        if let Some(Value::Map(entries)) = outputs.get_mut(&output) {
            entries.insert(name, unknown());
        }
    }
    let outputs = read.keys().map(|name| (name.clone(), outputs.remove(name).unwrap_or_else(unknown))).collect();
    let planned = Planned { summary: format!("as planned: {}", told(entries)), ..Planned::default() };
    Some(Laid { outputs, planned })
}

/// `result` in the script of an `overlay`.
fn seen(read: &Map, entries: &Entries) -> Value {
    let removes = entries.removes.iter().map(|name| Value::from(name.as_str())).collect();
    let is_plain = |value: &Value| !value.has_secret() && value.unknown().is_none();
    let plain = entries.sets.iter().filter(|(_, value)| is_plain(value));
    Value::map([
        ("now", Value::Map(read.clone())),
        ("sets", Value::Map(entries.sets.clone())),
        ("plain", Value::Map(plain.map(|(name, value)| (name.clone(), value.clone())).collect())),
        ("removes", Value::List(removes)),
        ("was", Value::Map(entries.was.clone())),
    ])
}

/// What the script of an `overlay` gives: outputs, and which entries of them nobody can tell, each with its output.
fn given_by(given: Value) -> Result<(Map, Vec<(String, String)>), Failure> {
    let Value::Map(mut given) = given else {
        return match given {
            Value::Unknown(_) => Ok((Map::new(), Vec::new())),
            other => Err(wrong("script", "a map with `outputs`", &other)),
        };
    };
    let outputs = match given.remove("outputs") {
        Some(Value::Map(outputs)) => outputs,
        other => return Err(wrong("outputs", "a map of outputs by name", &other.unwrap_or_default())),
    };
    let mut hidden = Vec::new();
    match given.remove("unknown") {
        None | Some(Value::Null) => {}
        Some(Value::Map(unknown)) => {
            for (output, names) in unknown {
                let Value::List(names) = names else { return Err(wrong("unknown", "lists of names", &names)) };
                for name in names {
                    let Value::Text(name) = name else { return Err(wrong("unknown", "names of entries", &name)) };
                    hidden.push((output.clone(), name));
                }
            }
        }
        Some(other) => return Err(wrong("unknown", "a map from outputs to names of entries", &other)),
    }
    match given.keys().next() {
        None => Ok((outputs, hidden)),
        Some(extra) => {
            let message = format!("the script gives `outputs` and `unknown`, and this one gives `{extra}` as well");
            Err(Failure::new(FailureKind::Script, message))
        }
    }
}

/// `A, B set; C removed`.
fn told(entries: &Entries) -> String {
    let names = |names: Vec<&String>, what: &str| match names.len() {
        0 => None,
        count => {
            let shown: Vec<&str> = names.into_iter().take(NAMES_SHOWN).map(String::as_str).collect();
            let more = count.saturating_sub(NAMES_SHOWN);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            Some(format!("{}{more} {what}", shown.join(", ")))
        }
    };
    let parts = [names(entries.sets.keys().collect(), "set"), names(entries.removes.iter().collect(), "removed")];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() { "as it is now".to_owned() } else { parts.join("; ") }
}
