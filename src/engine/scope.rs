//! What expressions of one runbook or action instance can see.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::engine::event::{Previous, StepFinished};
use crate::engine::facts::{Facts, Record};
use crate::engine::ids::StepPath;
use crate::engine::outcome::{Attempt, Failure, Outcome, RunOutcome};
use crate::runbook::model::Runbook;
use crate::runbook::providers::PROVIDERS;
use crate::runbook::types::Type;
use crate::script::compile::Code;
use crate::script::sandbox::Readable;
use crate::script::secret::SecretText;
use crate::script::value::{Map, Unknown, Value};

/// One running instance of a runbook or action.
#[derive(Clone, Debug)]
pub struct Scope {
    pub runbook: Arc<Runbook>,
    /// Where its steps' paths start: empty for the run itself, `deploy` for an action called there.
    pub prefix: StepPath,
    pub inputs: Arc<Map>,
    pub vars: Arc<Map>,
    /// Ended steps by id; shared, because each round of a loop has a scope of its own.
    pub results: Arc<BTreeMap<String, Arc<StepResult>>>,
    /// The first failure of the main steps, for `run.failed_step` and `run.error`.
    pub failure: Option<Broken>,
    /// How the run is ending, in `on_failure` and `finally`.
    pub ending: Option<RunOutcome>,
    /// The item of the loop this scope is one round of.
    pub each: Option<Arc<Each>>,
}

impl Scope {
    /// That of an instance of which no step has ended, whose steps' paths start at `prefix`.
    pub fn new(runbook: &Arc<Runbook>, prefix: StepPath, inputs: Map, vars: Map) -> Scope {
        Scope {
            runbook: Arc::clone(runbook),
            prefix,
            inputs: Arc::new(inputs),
            vars: Arc::new(vars),
            results: Arc::default(),
            failure: None,
            ending: None,
            each: None,
        }
    }
}

/// `each` in a loop.
#[derive(Clone, Debug, PartialEq)]
pub struct Each {
    pub value: Value,
    pub index: usize,
    /// Outputs of the round before; `None` where rounds have no order.
    pub previous: Option<Value>,
}

/// The step a scope broke at.
#[derive(Clone, Debug, PartialEq)]
pub struct Broken {
    pub step: StepPath,
    pub outcome: Outcome,
    pub failure: Failure,
}

/// An ended step, as `steps.x` shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct StepResult {
    pub path: StepPath,
    pub outcome: Outcome,
    outputs: Outputs,
    pub error: Option<Failure>,
    pub started_at: Option<Timestamp>,
    pub ms: u64,
    /// What the rounds of a loop came to; its outputs are then a list as well, and readable whatever its outcome.
    outcomes: Option<Vec<Outcome>>,
}

/// Outputs that are in the facts are not held twice.
#[derive(Clone, Debug, PartialEq)]
enum Outputs {
    Own(Value),
    Of(Arc<StepFinished>),
}

impl StepResult {
    /// A result without an attempt.
    pub fn bare(path: &StepPath, outcome: Outcome) -> StepResult {
        StepResult {
            path: path.clone(),
            outcome,
            outputs: Outputs::Own(Value::Null),
            error: None,
            started_at: None,
            ms: 0,
            outcomes: None,
        }
    }

    /// The end of a step that is not recorded because it follows from its steps.
    pub fn of_attempt(path: &StepPath, attempt: Attempt) -> StepResult {
        let result = StepResult::bare(path, attempt.outcome).with_outputs(attempt.outputs);
        StepResult { error: attempt.failure, ..result }
    }

    /// The same with these outputs.
    #[must_use]
    pub fn with_outputs(self, outputs: Value) -> StepResult {
        StepResult { outputs: Outputs::Own(outputs), ..self }
    }

    /// The same as something that a rehearsal can't know.
    #[must_use]
    pub fn unknown(self) -> StepResult {
        let outputs = Value::Unknown(Unknown { origin: self.path.to_string() });
        StepResult { error: None, outcome: Outcome::Planned, ..self }.with_outputs(outputs)
    }

    /// The same as the result of a loop with these rounds.
    #[must_use]
    pub fn of_rounds(self, outcomes: Vec<Outcome>, outputs: Vec<Value>) -> StepResult {
        StepResult { outcomes: Some(outcomes), ..self.with_outputs(Value::List(outputs)) }
    }

    /// What a record says, if its step has ended.
    pub fn of(path: &StepPath, record: &Record) -> Option<StepResult> {
        if record.skipped.is_some() {
            return Some(StepResult::bare(path, Outcome::Skipped));
        }
        let finished = record.ended()?;
        Some(StepResult {
            path: path.clone(),
            outcome: finished.outcome,
            outputs: Outputs::Of(Arc::clone(finished)),
            error: finished.error.clone(),
            started_at: record.started.as_ref().map(|started| started.first_at),
            ms: finished.ms,
            outcomes: None,
        })
    }

    /// What it gave.
    pub fn outputs(&self) -> &Value {
        match &self.outputs {
            Outputs::Own(value) => value,
            Outputs::Of(finished) => &finished.outputs,
        }
    }

    fn readable(&self) -> Readable {
        let unknown = || Readable::Value(Value::Unknown(Unknown { origin: self.path.to_string() }));
        let given = || Readable::Value(self.outputs().clone());
        let word = || Readable::Value(self.outcome.word().into());
        let (outcome, outputs) = match self.outcome {
            Outcome::Done => (word(), given()),
            Outcome::Planned => (unknown(), given()),
            _ if self.outcomes.is_some() => (word(), given()),
            other => (
                word(),
                Readable::Refused(format!(
                    "`{}` has no outputs: it is {}; guard this with `steps.….outcome == \"done\"`",
                    self.path,
                    other.word()
                )),
            ),
        };
        // How it will end, and when, is as little known of a planned step as what it will give.
        let known = |value: Value| if self.outcome == Outcome::Planned { unknown() } else { Readable::Value(value) };
        let error = self.error.as_ref().map_or(Value::Null, Failure::to_value);
        let started_at = self.started_at.map_or(Value::Null, |at| Value::Text(at.to_string()));
        let mut fields = BTreeMap::from([
            ("outcome".to_owned(), outcome),
            ("outputs".to_owned(), outputs),
            ("error".to_owned(), known(error)),
            ("started_at".to_owned(), known(started_at)),
            ("ms".to_owned(), known(Value::Int(i64::try_from(self.ms).unwrap_or(i64::MAX)))),
        ]);
        if let Some(outcomes) = &self.outcomes {
            let word = |outcome: &Outcome| match outcome {
                Outcome::Planned => Value::Unknown(Unknown { origin: self.path.to_string() }),
                known => Value::from(known.word()),
            };
            let words = outcomes.iter().map(word).collect();
            fields.insert("outcomes".to_owned(), Readable::Value(Value::List(words)));
        }
        Readable::Map(fields)
    }
}

impl Scope {
    /// The contexts `code` reads, and nothing it doesn't: an evaluation costs what it uses.
    pub fn contexts(&self, code: &Code, facts: &Facts, result: Option<&Value>) -> BTreeMap<&'static str, Readable> {
        let mut contexts = BTreeMap::new();
        for root in ["inputs", "vars", "steps", "secrets", "run", "each", "result"] {
            let mut wanted = Wanted::default();
            let reads: Vec<_> = code.reads.iter().filter(|read| read.root == root).collect();
            if reads.is_empty() {
                continue;
            }
            for read in reads {
                wanted.add(read.path.first().map(|(key, _)| key.as_str()));
            }
            let readable = match root {
                "inputs" => wanted.pick(&self.inputs, |name, value| self.input(name, value)),
                "vars" => wanted.pick(&self.vars, |_, value| Readable::Value(value.clone())),
                "steps" => wanted.pick(&self.results, |_, result| result.readable()),
                "secrets" => Readable::Map(
                    self.runbook
                        .secrets
                        .iter()
                        .map(|name| {
                            (name.value.clone(), Readable::Value(Value::Secret(SecretText::named(&name.value))))
                        })
                        .collect(),
                ),
                "run" => Readable::Value(self.run(facts)),
                "each" => match &self.each {
                    Some(each) => each.readable(),
                    None => continue,
                },
                _ => match result {
                    Some(value) => Readable::Value(value.clone()),
                    None => continue,
                },
            };
            contexts.insert(root, readable);
        }
        contexts
    }

    fn input(&self, name: &str, value: &Value) -> Readable {
        let declared = self.runbook.inputs.iter().find(|input| input.name.value == name);
        match (declared.map(|input| &input.ty), value) {
            (Some(Type::Url), Value::Text(text)) => Readable::Url(text.clone()),
            _ => Readable::Value(value.clone()),
        }
    }

    fn run(&self, facts: &Facts) -> Value {
        let Some(started) = &facts.started else { return Value::Null };
        let text = |text: &Option<String>| text.as_deref().map_or(Value::Null, Value::from);
        let mut providers = started.providers.clone();
        for name in PROVIDERS {
            providers.entry(name.to_owned()).or_default();
        }
        let broken = self.failure.as_ref();
        let outcome = self.ending.map_or(Value::Null, |ending| Value::from(ending.word()));
        Value::map([
            ("id", Value::from(started.run.short())),
            ("name", Value::from(started.runbook.as_str())),
            ("url", Value::from(format!("rerail:{}", started.run.uuid()))),
            ("target", text(&started.target)),
            ("operator", Value::from(started.actor.id.as_str())),
            ("started_at", Value::from(facts.started_at.to_string())),
            ("dry_run", Value::from(started.rehearsal)),
            ("incident", text(&started.incident)),
            ("fence", Value::Int(i64::try_from(facts.fence).unwrap_or(i64::MAX))),
            ("previous", started.previous.as_deref().map_or(Value::Null, previous)),
            ("outcome", outcome),
            ("failed_step", broken.map_or(Value::Null, |b| Value::from(b.step.as_str()))),
            ("providers", Value::Map(providers)),
            ("error", broken.map_or(Value::Null, |b| Value::from(b.failure.message.as_str()))),
        ])
    }
}

/// `run.previous`.
fn previous(previous: &Previous) -> Value {
    Value::map([
        ("id", Value::from(previous.run.short())),
        ("outcome", Value::from(previous.outcome.word())),
        ("outputs", Value::Map(previous.outputs.clone())),
        ("ended_at", Value::from(previous.ended_at.to_string())),
    ])
}

impl Each {
    fn readable(&self) -> Readable {
        let previous = match &self.previous {
            Some(value) => Readable::Value(value.clone()),
            None => Readable::Refused("`each.previous` is not known here: the items run side by side".to_owned()),
        };
        Readable::Map(BTreeMap::from([
            ("value".to_owned(), Readable::Value(self.value.clone())),
            ("index".to_owned(), Readable::Value(Value::Int(i64::try_from(self.index).unwrap_or(i64::MAX)))),
            ("previous".to_owned(), previous),
        ]))
    }
}

/// Which keys of a context are read; all of them when one read can't be told.
#[derive(Default)]
struct Wanted<'a> {
    keys: Vec<&'a str>,
    all: bool,
}

impl<'a> Wanted<'a> {
    fn add(&mut self, key: Option<&'a str>) {
        match key {
            Some(key) => self.keys.push(key),
            None => self.all = true,
        }
    }

    fn pick<T>(&self, from: &BTreeMap<String, T>, make: impl Fn(&str, &T) -> Readable) -> Readable {
        let chosen: Vec<&String> = if self.all {
            from.keys().collect()
        } else {
            from.keys().filter(|key| self.keys.contains(&key.as_str())).collect()
        };
        Readable::Map(chosen.into_iter().map(|key| (key.clone(), make(key, &from[key]))).collect())
    }
}
