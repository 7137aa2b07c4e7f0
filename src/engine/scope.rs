//! What expressions of one runbook or action instance can see.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::engine::facts::{Facts, Record};
use crate::engine::ids::StepPath;
use crate::engine::outcome::{Failure, Outcome, RunOutcome};
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
    pub inputs: Map,
    pub vars: Map,
    /// Ended steps by id.
    pub results: BTreeMap<String, Arc<StepResult>>,
    /// The first failure of the main steps, for `run.failed_step` and `run.error`.
    pub failure: Option<Broken>,
    /// How the run is ending, in `on_failure` and `finally`.
    pub ending: Option<RunOutcome>,
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
    pub outputs: Value,
    pub error: Option<Failure>,
    pub started_at: Option<Timestamp>,
    pub ms: u64,
}

impl StepResult {
    /// A result without an attempt.
    pub fn bare(path: &StepPath, outcome: Outcome) -> StepResult {
        StepResult { path: path.clone(), outcome, outputs: Value::Null, error: None, started_at: None, ms: 0 }
    }

    /// What a record says, if its step has ended.
    pub fn of(path: &StepPath, record: &Record) -> Option<StepResult> {
        if record.skipped.is_some() {
            return Some(StepResult::bare(path, Outcome::Skipped));
        }
        let finished = record.end()?;
        Some(StepResult {
            path: path.clone(),
            outcome: finished.outcome,
            outputs: finished.outputs.clone(),
            error: finished.error.clone(),
            started_at: record.started.as_ref().map(|started| started.first_at),
            ms: finished.ms,
        })
    }

    fn readable(&self) -> Readable {
        let unknown = || Readable::Value(Value::Unknown(Unknown { origin: self.path.to_string() }));
        let (outcome, outputs) = match self.outcome {
            Outcome::Done => (Readable::Value("done".into()), Readable::Value(self.outputs.clone())),
            Outcome::Planned => (unknown(), Readable::Value(self.outputs.clone())),
            other => (
                Readable::Value(other.word().into()),
                Readable::Refused(format!(
                    "`{}` has no outputs: it is {}; guard this with `steps.….outcome == \"done\"`",
                    self.path,
                    other.word()
                )),
            ),
        };
        let error = self.error.as_ref().map_or(Value::Null, Failure::to_value);
        let started_at = self.started_at.map_or(Value::Null, |at| Value::Text(at.to_string()));
        Readable::Map(BTreeMap::from([
            ("outcome".to_owned(), outcome),
            ("outputs".to_owned(), outputs),
            ("error".to_owned(), Readable::Value(error)),
            ("started_at".to_owned(), Readable::Value(started_at)),
            ("ms".to_owned(), Readable::Value(Value::Int(i64::try_from(self.ms).unwrap_or(i64::MAX)))),
        ]))
    }
}

impl Scope {
    /// The contexts `code` reads, and nothing it doesn't: an evaluation costs what it uses.
    pub fn contexts(&self, code: &Code, facts: &Facts, result: Option<&Value>) -> BTreeMap<&'static str, Readable> {
        let mut contexts = BTreeMap::new();
        for root in ["inputs", "vars", "steps", "secrets", "run", "result"] {
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
        let provider = |name: &&str| ((*name).to_owned(), started.providers.get(*name).cloned().unwrap_or_default());
        let providers = PROVIDERS.iter().map(provider).collect();
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
            ("outcome", outcome),
            ("failed_step", broken.map_or(Value::Null, |b| Value::from(b.step.as_str()))),
            ("providers", Value::Map(providers)),
            ("error", broken.map_or(Value::Null, |b| Value::from(b.failure.message.as_str()))),
        ])
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
