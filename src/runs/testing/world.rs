//! The world of one test: its answers, its people, and what it was asked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::drivers::mock::Answers;
use crate::engine::approvals::Approval;
use crate::engine::event::{Actor, Decision};
use crate::engine::facts::{Asked, Facts};
use crate::engine::ids::StepPath;
use crate::engine::machine::groups::Standing;
use crate::engine::machine::{Completion, Perform, Signal, Waits};
use crate::engine::outcome::{Attempt, Failure, FailureKind};
use crate::runbook::cases::{Answer, Case, Deed, Ends, Test, fits, generic, without_prefix};
use crate::runbook::fields;
use crate::runbook::people::People;
use crate::runbook::program::Program;
use crate::runbook::source::Span;
use crate::runbook::spec::{ActionSpec, Effect, RUN_CHILD};
use crate::runbook::types::Type;
use crate::script::value::{Map, Value};
use crate::steps::{GENERATE, catalog};

/// Calls of one test. A poll of a second over four hours fits; one of a millisecond doesn't, and would fill the memory.
const CALLS_MAX: usize = 20_000;
/// The surface of people in a test.
const VIA: &str = "test";
/// The action that reads the clock: it is answered by virtual time.
const NOW: &str = "time.now";
/// What a test has for a secret that is generated.
const GENERATED: &str = "generated-in-a-test-0123456789abcdef";

/// A call that was made.
#[derive(Clone, Debug)]
pub(super) struct Call {
    /// As test files write it.
    pub step: String,
    pub uses: String,
    pub effect: Effect,
    pub args: Map,
}

/// Why a test can't go on.
#[derive(Clone, Debug)]
pub(super) enum Stuck {
    /// Nothing answers this call; answers for it that need other arguments.
    Unanswered(Call, Vec<Span>),
    /// What somebody says can't be said here.
    Said(Span, String),
    Endless,
}

#[derive(Clone)]
pub(super) struct TestWorld<'t> {
    test: &'t Test,
    program: &'t Program,
    people: &'t People,
    /// Whether an action is tested, whose caller nobody sees.
    behind: bool,
    /// Answers taken, by mock and case.
    taken: BTreeMap<(usize, usize), usize>,
    /// Keys of mocks that have answered.
    pub asked: BTreeSet<usize>,
    pub calls: Vec<Call>,
    pub stuck: Option<Stuck>,
    took: Duration,
    /// What people have said, so that each says it once.
    said: BTreeSet<String>,
}

impl<'t> TestWorld<'t> {
    pub(super) fn new(test: &'t Test, program: &'t Program, people: &'t People, behind: bool) -> TestWorld<'t> {
        TestWorld {
            test,
            program,
            people,
            behind,
            taken: BTreeMap::new(),
            asked: BTreeSet::new(),
            calls: Vec::new(),
            stuck: None,
            took: Duration::ZERO,
            said: BTreeSet::new(),
        }
    }

    /// The contract of an action.
    pub(super) fn spec(&self, uses: &str) -> Option<&'t ActionSpec> {
        self.program.specs.get(uses).map(Arc::as_ref)
    }

    /// A path as test files write it.
    pub(super) fn shown(&self, path: &StepPath) -> String {
        if self.behind { without_prefix(path.as_str()) } else { path.as_str().to_owned() }
    }

    /// Whether a key of the test means this step.
    fn means(&self, key: &str, path: &StepPath) -> bool {
        let shown = self.shown(path);
        key == shown || key == generic(&shown)
    }

    /// The answer to a call: of its path, of its path in every round, of its action.
    fn answer(&mut self, call: &Call) -> Option<&'t Answer> {
        let args = Value::Map(call.args.clone());
        let keys = [call.step.clone(), generic(&call.step), call.uses.clone()];
        for key in &keys {
            for (number, mock) in self.test.mocks.iter().enumerate().filter(|(_, mock)| mock.key.value == *key) {
                let fitting = |case: &&Case| case.with.as_ref().is_none_or(|with| fits(with, Some(&args)));
                let Some(at) = mock.cases.iter().position(|case| fitting(&case)) else { continue };
                let taken = self.taken.entry((number, at)).or_default();
                let answers = &mock.cases[at].answers;
                let answer = answers.get(*taken).or(answers.last())?;
                *taken += 1;
                self.asked.insert(number);
                return Some(answer);
            }
        }
        None
    }

    /// Where answers for a call stand that wanted other arguments.
    fn others(&self, call: &Call) -> Vec<Span> {
        let keys = [call.step.clone(), generic(&call.step), call.uses.clone()];
        let mocks = self.test.mocks.iter().filter(|mock| keys.contains(&mock.key.value));
        mocks.flat_map(|mock| mock.cases.iter().map(|case| case.span)).collect()
    }

    fn attempt(&mut self, perform: &Perform, answer: &Answer) -> (Attempt, Duration) {
        if let Some(limit) = perform.timeout.filter(|limit| answer.takes > *limit) {
            let failure = Failure::transient(FailureKind::Timeout, format!("no end within {limit:?}"));
            let writes = perform.effect.changes_the_world();
            return (if writes { Attempt::in_doubt(failure) } else { Attempt::failed(failure) }, limit);
        }
        let mut outputs = answer.outputs.clone();
        if let (Ends::Done, Some(spec)) = (answer.ends, self.program.specs.get(&perform.uses)) {
            fill(&mut outputs, spec, answer.takes);
        }
        let failure = answer.error.as_ref().map(|error| Failure {
            transient: error.transient,
            ..Failure::new(kind_of(&error.kind), error.message.clone())
        });
        let outputs = if outputs.is_empty() { Value::Null } else { Value::Map(outputs) };
        let attempt = match (answer.ends, failure) {
            (Ends::Refused, Some(failure)) => Attempt::refused(failure),
            (Ends::Failed, Some(failure)) => Attempt::failed(failure),
            (Ends::InDoubt, Some(failure)) if perform.effect.changes_the_world() => Attempt::in_doubt(failure),
            // A read in that place is just failed.
            (Ends::InDoubt, Some(failure)) => Attempt::failed(failure),
            (Ends::Rejected, Some(failure)) => {
                Attempt { outcome: crate::engine::outcome::Outcome::Rejected, ..Attempt::failed(failure) }
            }
            (_, _) => Attempt::done(Value::Null),
        };
        (attempt.with_outputs(outputs), answer.takes)
    }

    /// Who says yes, with the roles that are asked for unless the project knows them.
    fn approver(&self, name: &str, approval: &Approval) -> Actor {
        if let Some(person) = self.people.named(name) {
            return Actor::person(name, VIA, person.roles.clone());
        }
        let roles = approval.request.needs.iter().flat_map(|need| need.by.clone()).filter(|role| role != name);
        Actor::person(name, VIA, roles.collect())
    }

    fn approve(&mut self, step: &StepPath, facts: &Facts) -> Option<Signal> {
        let (_, people) = self.test.approve.iter().find(|(key, _)| self.means(&key.value, step))?;
        let approval = facts.approvals.at(step)?;
        let change = approval.request.change.clone();
        let anybody: Vec<String> = (1..=approval.request.needs.iter().map(|need| need.by.len().max(1)).sum::<usize>()
            + 10)
            .map(|number| format!("approver-{number}"))
            .collect();
        let people = if people.is_empty() { &anybody } else { people };
        let name = people.iter().find(|name| !self.said.contains(&format!("{step} {change} {name}")))?.clone();
        self.said.insert(format!("{step} {change} {name}"));
        let actor = self.approver(&name, approval);
        Some(Signal::Approve { step: step.clone(), change, actor, at: None, shown: None })
    }

    fn reject(&mut self, step: &StepPath, facts: &Facts) -> Option<Signal> {
        let (_, reason) = self.test.reject.iter().find(|(key, _)| self.means(&key.value, step))?;
        let approval = facts.approvals.at(step)?;
        let change = approval.request.change.clone();
        let actor = self.approver("approver-1", approval);
        let new = self.said.insert(format!("{step} {change}"));
        new.then(|| Signal::Reject { step: step.clone(), change, actor, reason: reason.clone() })
    }

    fn answer_question(&mut self, step: &StepPath, facts: &Facts) -> Option<Signal> {
        let (_, given) = self.test.answer.iter().find(|(key, _)| self.means(&key.value, step))?;
        if !self.said.insert(format!("{step} {}", facts.step(step)?.attempt().unwrap_or_default())) {
            return None;
        }
        let asked = facts.step(step)?.asked.as_ref()?;
        match typed_answer(asked, &given.value) {
            Ok(answer) => {
                let by = asked.by.first().map_or("somebody", String::as_str);
                let actor = Actor::person(by, VIA, asked.by.clone());
                Some(Signal::Answer { step: step.clone(), answer, actor, at: None })
            }
            Err(why) => {
                let why = format!("this can't be answered to `{}`: {why}", self.shown(step));
                self.stuck.get_or_insert(Stuck::Said(given.span, why));
                None
            }
        }
    }

    /// What a person decides about a write in doubt.
    fn decide(&mut self, step: &StepPath, facts: &Facts) -> Option<Signal> {
        let (_, decided) = self.test.decide.iter().find(|(key, _)| self.means(&key.value, step))?;
        let attempt = facts.step(step)?.attempt().unwrap_or_default();
        if !self.said.insert(format!("{step} {attempt}")) {
            return None;
        }
        Some(Signal::Decide {
            step: step.clone(),
            decision: match decided.deed {
                Deed::Done => Decision::Done,
                Deed::NotDone => Decision::NotDone,
                Deed::Retry => Decision::Retry,
                Deed::Skip => Decision::Skip,
            },
            outputs: decided.outputs.clone(),
            actor: Actor::person("somebody", VIA, Vec::new()),
            reason: "a test says so".to_owned(),
        })
    }

    /// What a person decides about the step a run has failed at.
    pub(super) fn reopen(&mut self, facts: &Facts) -> Option<Signal> {
        let failed = facts.finished.as_ref()?.failed_step.clone()?;
        self.decide(&failed, facts)
    }
}

impl Answers for TestWorld<'_> {
    fn perform(&mut self, perform: &Perform, now: Timestamp) -> Completion {
        let step = self.shown(&perform.step);
        let call = Call { step, uses: perform.uses.clone(), effect: perform.effect, args: perform.args.clone() };
        let done = |result| Completion::of(perform.attempt, result);
        if self.calls.len() >= CALLS_MAX {
            self.stuck.get_or_insert(Stuck::Endless);
            return done(Attempt::failed(Failure::new(FailureKind::Limit, "the test doesn't end")));
        }
        let answer = self.answer(&call);
        let result = match (answer, perform.uses.as_str()) {
            (Some(answer), _) => {
                let (attempt, took) = self.attempt(perform, answer);
                self.took = self.took.max(took);
                attempt
            }
            (None, NOW) => Attempt::done(moment(now)),
            (None, GENERATE) => Attempt::done(Value::map([("value", Value::from(GENERATED))])),
            (None, _) => {
                let others = self.others(&call);
                self.stuck.get_or_insert(Stuck::Unanswered(call.clone(), others));
                Attempt::failed(Failure::new(FailureKind::Mismatch, "nothing in the test answers this call"))
            }
        };
        self.calls.push(call);
        done(result)
    }

    fn took(&mut self) -> Duration {
        std::mem::take(&mut self.took)
    }

    fn say(&mut self, waits: &Waits, facts: &Facts, _now: Timestamp) -> Option<Signal> {
        for step in &waits.approvals {
            if let Some(signal) = self.reject(step, facts).or_else(|| self.approve(step, facts)) {
                return Some(signal);
            }
        }
        for step in &waits.questions {
            if let Some(signal) = self.answer_question(step, facts) {
                return Some(signal);
            }
        }
        waits.doubts.iter().find_map(|step| self.decide(step, facts))
    }

    fn is_silent(&self, waits: &Waits) -> bool {
        let silent = |step: &StepPath| self.test.expire.iter().any(|key| self.means(&key.value, step));
        waits.approvals.iter().chain(&waits.questions).any(silent)
    }

    fn standing(&mut self, _group: &str, asked: usize) -> Option<Standing> {
        (asked == 0).then_some(Standing::Held)
    }
}

/// What the clock says.
fn moment(now: Timestamp) -> Value {
    Value::map([
        ("iso", Value::from(now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())),
        ("unix_ms", Value::from(now.as_millisecond())),
    ])
}

/// Gives what a call always gives and a test didn't write down: nothing of its type.
fn fill(outputs: &mut Map, spec: &ActionSpec, took: Duration) {
    let primitive = catalog::find(&spec.name).is_some() && spec.name != RUN_CHILD;
    for output in &spec.outputs {
        if outputs.contains_key(&output.name) {
            continue;
        }
        let nothing = match &output.ty {
            _ if !primitive => Value::Null,
            Type::List => Value::List(Vec::new()),
            Type::Map if output.name != "error" => Value::Map(Map::new()),
            Type::Int if output.name == "ms" => Value::Int(i64::try_from(took.as_millis()).unwrap_or(i64::MAX)),
            _ => Value::Null,
        };
        outputs.insert(output.name.clone(), nothing);
    }
}

/// An answer as the question takes it.
fn typed_answer(asked: &Asked, given: &Value) -> Result<Value, String> {
    if asked.fields.is_empty() {
        let text = given.to_string();
        let known = asked.choices.is_empty() || asked.choices.contains(&text);
        return match known {
            true => Ok(Value::Text(text)),
            false => Err(format!("expected one of {}, got `{text}`", asked.choices.join(", "))),
        };
    }
    let Value::Map(given) = given else { return Err(format!("expected a map of its fields, got {}", given.kind())) };
    let declared = fields::read(&Value::Map(asked.fields.clone()))?;
    if let Some(unknown) = given.keys().find(|name| !declared.iter().any(|field| field.name.value == **name)) {
        return Err(format!("it has no field `{unknown}`"));
    }
    let mut answer = Map::new();
    for field in &declared {
        let name = &field.name.value;
        let value = match (given.get(name), &field.default) {
            (Some(value), _) => field.ty.accept(value).map_err(|why| format!("`{name}`: {why}"))?,
            (None, Some(default)) => default.clone(),
            (None, None) if field.required => return Err(format!("`{name}` is missing ({})", field.ty.name())),
            (None, None) => Value::Null,
        };
        answer.insert(name.clone(), value);
    }
    Ok(Value::Map(answer))
}

/// The kind of this word; the reader has held it against the list.
fn kind_of(word: &str) -> FailureKind {
    serde_json::from_value(serde_json::Value::from(word)).unwrap_or(FailureKind::Status)
}
