//! Bodies that only look at what is known: `assert`, `findings`, and the end by `run.finish`.

use crate::engine::evaluate::Truth;
use crate::engine::event::{Body as Fact, Planned, Suggest};
use crate::engine::facts::Record;
use crate::engine::ids::StepPath;
use crate::engine::machine::Env;
use crate::engine::outcome::{Attempt, Failure, FailureKind, Outcome};
use crate::engine::scope::Scope;
use crate::engine::walk::Finish;
use crate::runbook::model::{Assertion, FindingRule};
use crate::script::value::Value;

/// Checks every assertion; all that don't hold are named, the first one with its picture.
pub(crate) fn check(env: &Env, scope: &Scope, assertions: &[Assertion]) -> (Attempt, Option<Planned>) {
    let evaluator = env.evaluator(scope, None);
    let mut broken: Option<Failure> = None;
    let mut unknown = None;
    for assertion in assertions {
        let failure = match evaluator.truth(&assertion.that) {
            Ok(Truth::Yes) => continue,
            Ok(Truth::Unknown(origin)) => {
                unknown.get_or_insert(origin);
                continue;
            }
            Ok(Truth::No) => {
                let said = assertion.otherwise.as_ref().map(|template| evaluator.shown(template));
                let message = match said {
                    Some(Ok(value)) => value.to_string(),
                    Some(Err(failure)) => failure.message,
                    None => format!("`{}` does not hold", assertion.that.text.trim()),
                };
                evaluator.failure(&assertion.that, FailureKind::Assertion, &message, None)
            }
            Err(failure) => failure,
        };
        broken = Some(match broken {
            None => failure,
            Some(first) => Failure { message: format!("{}; {}", first.message, failure.message), ..first },
        });
    }
    match (broken, unknown) {
        (Some(failure), _) => (Attempt::failed(failure), None),
        (None, Some(origin)) => {
            let summary = format!("can't be told before `{}`", origin.origin);
            let attempt = Attempt { outcome: Outcome::Planned, outputs: Value::Null, failure: None };
            (attempt, Some(Planned { summary, ..Planned::default() }))
        }
        (None, None) => (Attempt::done(Value::Null), None),
    }
}

/// Records every finding that applies.
pub(crate) fn find(env: &mut Env, scope: &Scope, path: &StepPath, rules: &[FindingRule]) -> (Attempt, Option<Planned>) {
    let mut unknown = Vec::new();
    let mut unsure = Vec::new();
    for rule in rules {
        let evaluator = env.evaluator(scope, None);
        let said = match evaluator.truth(&rule.when) {
            Ok(Truth::No) => continue,
            Ok(Truth::Unknown(origin)) => {
                unknown.push(origin.origin);
                continue;
            }
            Ok(Truth::Yes) => evaluator.shown(&rule.say).and_then(|say| {
                let suggest = rule.suggest.as_ref().map(|suggest| {
                    let with =
                        suggest.with.iter().map(|(name, value)| Ok((name.value.clone(), evaluator.shown(value)?)));
                    let with = with.collect::<Result<_, Failure>>()?;
                    Ok::<_, Failure>(Suggest { runbook: suggest.runbook.value.clone(), with })
                });
                Ok((say.to_string(), suggest.transpose()?))
            }),
            Err(failure) => Err(failure),
        };
        match said {
            Ok((say, _)) if env.maybe > 0 => unsure.push(say),
            Ok((say, suggest)) => {
                env.emit(Fact::Finding { step: path.clone(), level: rule.level, say, suggest });
            }
            Err(failure) => return (Attempt::failed(failure), None),
        }
    }
    if unknown.is_empty() && unsure.is_empty() {
        return (Attempt::done(Value::Null), None);
    }
    if unknown.is_empty() {
        let planned = Planned { summary: format!("may find: {}", unsure.join("; ")), ..Planned::default() };
        return (Attempt { outcome: Outcome::Planned, outputs: Value::Null, failure: None }, Some(planned));
    }
    let summary = format!("{} finding(s) can't be told before `{}`", unknown.len(), unknown.join("`, `"));
    let attempt = Attempt { outcome: Outcome::Planned, outputs: Value::Null, failure: None };
    (attempt, Some(Planned { summary, ..Planned::default() }))
}

/// Whether an end of the runbook inside is one of what is around it as well.
fn is_transparent(record: &Record) -> bool {
    let body = record.started.as_ref().map(|started| started.intent.body.as_str());
    matches!(body, Some("iteration" | "foreach" | "script"))
}

/// Whether the step at `path` was `run.finish` or is a script that called it, and what that said.
pub(crate) fn finish_of(env: &Env, path: &StepPath) -> Option<Finish> {
    let record = env.facts.step(path)?;
    let intent = &record.started.as_ref()?.intent;
    if matches!(intent.body.as_str(), "iteration" | "foreach") {
        // One in an action ends that action only.
        let only_groups = |call: &StepPath| {
            let around = call.ancestors().take_while(|around| around != path);
            around.into_iter().all(|around| env.facts.step(&around).is_none_or(is_transparent))
        };
        let done = |record: &Record| record.end().is_some_and(|end| end.outcome == Outcome::Done);
        let (call, _) = env.facts.below(path).find(|(call, record)| {
            let uses = record.started.as_ref().and_then(|started| started.intent.uses.as_deref());
            uses == Some("run.finish") && done(record) && only_groups(call)
        })?;
        return finish_of(env, call);
    }
    if intent.body == "script" {
        let calls = StepPath::new(format!("{path}/run.finish#"));
        let (call, _) = env.facts.below(path).find(|(below, record)| {
            below.as_str().starts_with(calls.as_str()) && record.end().is_some_and(|end| end.outcome == Outcome::Done)
        })?;
        return finish_of(env, call);
    }
    (intent.uses.as_deref() == Some("run.finish"))
        .then(|| Finish { message: intent.with.get("message").and_then(Value::as_text).map(str::to_owned) })
}
