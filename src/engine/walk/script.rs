//! A script as a task: replayed from its start with recorded answers until it needs a new one.

use crate::engine::evaluate::{kind_of, quote};
use crate::engine::event::{Body as Fact, Planned};
use crate::engine::facts::{Facts, Record};
use crate::engine::ids::StepPath;
use crate::engine::machine::Env;
use crate::engine::outcome::{Attempt, Failure, Outcome};
use crate::engine::scope::{Scope, StepResult};
use crate::engine::walk::again::{self, Place};
use crate::engine::walk::invocation::{Arguments, Invocation, Manner};
use crate::engine::walk::limits::Inside;
use crate::engine::walk::step::End;
use crate::engine::walk::{Progress, StepEnd, limits, pure, step};
use crate::runbook::program::Program;
use crate::runbook::sites;
use crate::runbook::snippet::Snippet;
use crate::runbook::spec::Effect;
use crate::script::answers::{Answers, Recorded, Reply, arguments_digest};
use crate::script::compile::Code;
use crate::script::sandbox::{Evaluated, Input, Wanted};
use crate::script::value::{Map, Unknown, Value};

/// A script being run; at most one of its calls is open.
#[derive(Default)]
pub(crate) struct ScriptTask {
    call: Option<(Box<Invocation>, Wanted)>,
    /// What its calls came to; read from the facts at the first evaluation, then grown call by call.
    answers: Option<Answers>,
}

impl ScriptTask {
    /// Goes on; ended without an end when another look follows.
    pub(crate) fn advance(
        &mut self,
        env: &mut Env,
        scope: &Scope,
        place: &Place,
        snippet: &Snippet,
    ) -> Progress<Option<StepEnd>> {
        let path = place.path;
        loop {
            if env.decided.waits.paused.is_some() {
                return Progress::Pending;
            }
            if let Some((invocation, wanted)) = &mut self.call {
                let manner = Manner { step: None, why: &Map::new(), round: false };
                let end = match invocation.advance(env, scope, &Arguments::Given(&wanted.args), &manner) {
                    Progress::Pending => return Progress::Pending,
                    Progress::Ended(end) => end,
                };
                if let Some(((call, wanted), answers)) = self.call.take().zip(self.answers.as_mut())
                    && let Some(recorded) = env.facts.step(call.path()).and_then(|record| recorded(call.path(), record))
                {
                    answers.insert(&wanted.name, wanted.count, recorded);
                }
                // Neither a cancel nor a refusal by people can be caught: the script ends as its call did.
                let outcome = end.map(|end| (end.result.outcome, end.result.error));
                match outcome {
                    Some((Outcome::Cancelled, _)) => return cancelled(env, path),
                    Some((Outcome::Rejected, failure)) => {
                        let attempt = Attempt { outcome: Outcome::Rejected, outputs: Value::Null, failure };
                        return recorded_end(env, path, attempt);
                    }
                    _ => {}
                }
            }
            // `run::finish` ends the script where it stands, also when the script is replayed.
            if pure::finish_of(env, path).is_some() {
                return recorded_end(env, path, Attempt::done(Value::Null));
            }
            // A cancelled script is not even replayed, unless a call of it is still to be settled.
            if env.stopping() && !env.facts.below(path).any(|(_, record)| record.is_open() || record.in_doubt()) {
                return cancelled(env, path);
            }
            let contexts = scope.contexts(&snippet.code, env.facts, None);
            let recorded = self.answers.get_or_insert_with(|| answers(env.facts, path)).clone();
            let evaluation = env.sandbox.evaluate(&snippet.code, Input { contexts, recorded });
            let logged = env.facts.step(path).map_or(0, |record| record.logged);
            for text in evaluation.printed.into_iter().skip(logged) {
                env.emit(Fact::Log { step: path.clone(), text });
            }
            match evaluation.result {
                Evaluated::Value(value) => {
                    return match again::look(env, scope, place, Attempt::done(value)) {
                        None => Progress::Ended(None),
                        Some((attempt, planned)) => {
                            Progress::Ended(Some(step::finish(env, scope, place.step, path, attempt, planned)))
                        }
                    };
                }
                Evaluated::Call(wanted) => {
                    let call = path.join(&format!("{}#{}", wanted.name, wanted.count));
                    if env.stopping() && env.facts.step(&call).is_none() {
                        return cancelled(env, path);
                    }
                    self.call = Some((Box::new(Invocation::new(call, wanted.name.clone())), wanted));
                }
                Evaluated::Unknown(unknown) => {
                    if effect_of(env.program, snippet).changes_the_world() {
                        env.find_unknown(path);
                    }
                    let outputs = Value::Unknown(Unknown { origin: path.to_string() });
                    let planned = Planned {
                        summary: format!("goes on after `{}`", unknown.origin),
                        may_call: may_call(env.program, &snippet.code),
                        ..Planned::default()
                    };
                    let attempt = Attempt { outcome: Outcome::Planned, outputs, failure: None };
                    return Progress::Ended(Some(step::end(env, path, attempt, Some(planned), End::default())));
                }
                Evaluated::Mismatch { name, count, recorded, now } => {
                    env.pause(format!(
                        "the journal has another call at `{path}/{name}#{count}`: {}; cancel the run, or resume it \
                         with the rerail that started it",
                        difference(&recorded, &now)
                    ));
                    return Progress::Pending;
                }
                Evaluated::Error(error) => {
                    let evaluator = env.evaluator(scope, None);
                    let failure = evaluator.failure(snippet, kind_of(error.kind), &error.message, error.position);
                    return match again::look(env, scope, place, Attempt::failed(failure)) {
                        None => Progress::Ended(None),
                        Some((attempt, _)) => recorded_end(env, path, attempt),
                    };
                }
            }
        }
    }
}

/// The greatest effect a script's calls can have.
pub(crate) fn effect_of(program: &Program, snippet: &Snippet) -> Effect {
    let effects = sites::of_script(snippet)
        .into_iter()
        .filter_map(|site| program.specs.get(site.name).map(|spec| site.args.effect(spec)));
    effects.max().unwrap_or(Effect::Pure)
}

fn may_call(program: &Program, code: &Code) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for call in code.calls.iter().filter(|call| program.specs.contains_key(&call.name)) {
        if !names.contains(&call.name) {
            names.push(call.name.clone());
        }
    }
    names
}

/// Ends a script that was stopped between two calls.
fn cancelled(env: &mut Env, path: &StepPath) -> Progress<Option<StepEnd>> {
    let attempt = limits::stopped(env, path, Inside::Below(path));
    recorded_end(env, path, attempt)
}

fn recorded_end(env: &mut Env, path: &StepPath, attempt: Attempt) -> Progress<Option<StepEnd>> {
    Progress::Ended(Some(step::end(env, path, attempt, None, End::default())))
}

/// The arguments in which two calls differ.
fn difference(recorded: &Map, now: &Map) -> String {
    let said =
        |value: Option<&Value>| value.map_or_else(|| "nothing".to_owned(), |value| format!("`{}`", quote(value)));
    let mut names: Vec<&String> = recorded.keys().chain(now.keys()).collect();
    names.sort();
    names.dedup();
    let different = names.into_iter().filter(|name| now.contains_key(*name) && recorded.get(*name) != now.get(*name));
    let parts: Vec<String> = different
        .map(|name| format!("`{name}` was {}, is {}", said(recorded.get(name)), said(now.get(name))))
        .collect();
    if parts.is_empty() { "its arguments differ".to_owned() } else { parts.join(", ") }
}

/// The answers to a script's calls so far.
fn answers(facts: &Facts, path: &StepPath) -> Answers {
    let calls = facts.below(path).filter_map(|(below, record)| {
        let call = &below.as_str()[path.as_str().len() + 1..];
        let (name, count) = call.split_once('#')?;
        // Deeper paths are the inner life of an action, not calls of this script.
        let count = count.parse::<u32>().ok()?;
        Some(((name.to_owned(), count), recorded(below, record)?))
    });
    calls.collect()
}

/// How a call goes on, if it has ended.
fn recorded(path: &StepPath, record: &Record) -> Option<Recorded> {
    let started = record.started.as_ref()?;
    let result = StepResult::of(path, record)?;
    let reply = match result.outcome {
        Outcome::Done => Reply::Answer(result.outputs().clone()),
        Outcome::Skipped => Reply::Answer(Value::Null),
        Outcome::Planned => match result.outputs() {
            Value::Unknown(unknown) => Reply::Unknown(unknown.clone()),
            outputs => Reply::Answer(outputs.clone()),
        },
        outcome => Reply::Throw(thrown(path, outcome, result.error.as_ref())),
    };
    let args = started.intent.with.clone();
    let digest = started.intent.given.clone().unwrap_or_else(|| arguments_digest(&args));
    Some(Recorded::new(args, digest, reply))
}

/// What a refused or failed call throws.
fn thrown(path: &StepPath, outcome: Outcome, failure: Option<&Failure>) -> Value {
    Value::map([
        ("outcome", Value::from(outcome.word())),
        ("kind", failure.map_or(Value::Null, |failure| Value::from(failure.kind.word()))),
        ("message", failure.map_or(Value::Null, |failure| Value::from(failure.message.as_str()))),
        ("step", Value::from(path.as_str())),
    ])
}
