//! What a test expected against what came: every difference, at its place in the file.

use std::sync::Arc;

use crate::engine::event::Body;
use crate::engine::facts::Record;
use crate::engine::ids::StepPath;
use crate::engine::outcome::Failure;
use crate::runbook::cases::{Expect, Test, Wanted, fits, generic, shown};
use crate::runbook::problem::Problem;
use crate::runbook::source::{Source, Span, Spanned};
use crate::runbook::spec::{ActionSpec, Effect};
use crate::runbook::types::Type;
use crate::runbook::words::quoted;
use crate::runs::testing::play::Played;
use crate::runs::testing::world::{Call, Stuck};
use crate::script::value::{Map, Value};

/// Lines told beside one problem: arguments of a call, or calls that were made.
const LINES_MAX: usize = 40;
/// Outputs of a call that are proposed for an answer: those that matter stand first in its contract.
const PROPOSED_MAX: usize = 4;

/// Why a test failed.
#[derive(Clone, Debug)]
pub struct Failed {
    pub problem: Problem,
    /// What helps to understand it.
    pub notes: Vec<String>,
    /// Expected and come, line by line, where there is more than one line to compare.
    pub diff: Option<(Vec<String>, Vec<String>)>,
    /// What would have to stand at that place for it to hold.
    pub update: Option<(Span, Value)>,
    /// The run did not end as expected, which is told before, and this may follow from it.
    pub follows: bool,
}

impl Failed {
    pub(super) fn of(problem: Problem) -> Failed {
        Failed { problem, notes: Vec::new(), diff: None, update: None, follows: false }
    }
}

/// All that is wrong with a test that was played.
pub(super) fn judge(source: &Arc<Source>, test: &Test, played: &Played<'_>, exit: u8, behind: bool) -> Vec<Failed> {
    let mut judge = Judge { source, test, played, behind, failed: Vec::new(), ended_otherwise: false };
    if let Some(stuck) = &played.world.stuck {
        judge.stuck(stuck);
        return judge.failed;
    }
    if let Some(crash) = test.crash.as_ref().filter(|_| played.never_crashed) {
        let message = format!("the run never came to the end of `{}`, so nothing crashed", crash.step.value);
        judge.fail(crash.step.span, message, "never ended");
    }
    judge.ends(exit);
    judge.failed
}

/// Answers and words of people that nothing asked for.
pub(super) fn unasked(source: &Arc<Source>, test: &Test, played: &Played<'_>) -> Vec<Problem> {
    let world = &played.world;
    let means = |key: &str, path: &StepPath| {
        let shown = world.shown(path);
        key == shown || key == generic(&shown)
    };
    let approved = |key: &str| played.facts.approvals.all().any(|approval| means(key, &approval.request.step));
    let answered = |key: &str| {
        played.events.iter().any(|event| matches!(&event.body, Body::AskAsked { step, .. } if means(key, step)))
    };
    let decided = |key: &str| {
        played.events.iter().any(|event| matches!(&event.body, Body::OutcomeSet { step, .. } if means(key, step)))
    };
    let mut unasked: Vec<&Spanned<String>> = Vec::new();
    unasked.extend(test.approve.iter().map(|(key, _)| key).filter(|key| !approved(&key.value)));
    unasked.extend(test.reject.iter().map(|(key, _)| key).filter(|key| !approved(&key.value)));
    unasked.extend(test.expire.iter().filter(|key| !approved(&key.value) && !answered(&key.value)));
    unasked.extend(test.answer.iter().map(|(key, _)| key).filter(|key| !answered(&key.value)));
    unasked.extend(test.decide.iter().map(|(key, _)| key).filter(|key| !decided(&key.value)));
    let warning = |key: &Spanned<String>, message: String| {
        Problem::warning("W0505", source, source.first_line(key.span), message).label("nothing asked for it")
    };
    let said = unasked.into_iter().map(|key| warning(key, format!("`{}` asked nobody in this test", key.value)));
    let mocks = test.mocks.iter().enumerate().filter(|(number, mock)| !mock.shared && !world.asked.contains(number));
    let mocks =
        mocks.map(|(_, mock)| warning(&mock.key, format!("no call was answered by `{}` in this test", mock.key.value)));
    said.chain(mocks).collect()
}

struct Judge<'a> {
    source: &'a Arc<Source>,
    test: &'a Test,
    played: &'a Played<'a>,
    behind: bool,
    failed: Vec<Failed>,
    /// The run did not end as expected.
    ended_otherwise: bool,
}

impl Judge<'_> {
    fn fail(&mut self, span: Span, message: String, label: &str) -> &mut Failed {
        let span = self.source.first_line(span);
        let problem = Problem::error("E0501", self.source, span, message).label(label);
        self.failed.push(Failed { follows: self.ended_otherwise, ..Failed::of(problem) });
        let last = self.failed.len() - 1;
        &mut self.failed[last]
    }

    /// A value that is not like the expected one.
    fn differs(&mut self, what: &str, expected: &Spanned<Value>, got: Option<&Value>) {
        if fits(&expected.value, got) {
            return;
        }
        let got = got.cloned().unwrap_or_default();
        let short = |value: &Value| match shown(value).as_slice() {
            [line] if line.chars().count() <= 60 => Some(format!("`{line}`")),
            _ => None,
        };
        let (lines, came) = (shown(&expected.value), shown(&got));
        let message = match short(&got) {
            Some(short) if lines.len() == 1 => format!("{what} is {short}"),
            _ => format!("{what} is another one"),
        };
        let failed = self.fail(expected.span, message, "expected");
        failed.update = Some((expected.span, got));
        if lines.len() > 1 || came.len() > 1 || lines.iter().chain(&came).any(|line| line.chars().count() > 60) {
            failed.diff = Some((lines, came));
        }
    }

    fn word(&mut self, what: &str, expected: &Spanned<String>, got: &str) {
        if expected.value != got {
            let failed = self.fail(expected.span, format!("{what} `{got}`"), "expected");
            failed.update = Some((expected.span, Value::from(got)));
        }
    }

    fn stuck(&mut self, stuck: &Stuck) {
        match stuck {
            Stuck::Unanswered(call, others) => {
                let span = others.first().copied().unwrap_or(self.test.name.span);
                let what = if call.step.ends_with(&call.uses) { String::new() } else { format!(" ({})", call.uses) };
                let message = format!("nothing answers `{}`{what}", call.step);
                let label = if others.is_empty() { "this test has no answer for it" } else { "wants other arguments" };
                let problem = Problem::error("E0502", self.source, self.source.first_line(span), message).label(label);
                self.failed.push(Failed { notes: self.call_notes(call), ..Failed::of(problem) });
            }
            Stuck::Said(span, why) => {
                self.fail(*span, why.clone(), "said here");
            }
            Stuck::Endless => {
                let message = format!("the run made {} calls and would go on", self.played.world.calls.len());
                self.fail(self.test.name.span, message, "doesn't end");
            }
        }
    }

    fn call_notes(&self, call: &Call) -> Vec<String> {
        let mut notes = vec![format!("{} was called with", call.uses)];
        let args: Map =
            call.args.iter().filter(|(_, value)| !value.is_null()).map(|(k, v)| (k.clone(), v.clone())).collect();
        notes.extend(shown(&Value::Map(args)).into_iter().take(LINES_MAX).map(|line| format!("  {line}")));
        notes.push("an answer under `mocks` could be".to_owned());
        let spec = self.played.world.spec(&call.uses);
        let given = spec.map(proposed).unwrap_or_else(|| "{}".to_owned());
        notes.push(format!("  {}: {given}", generic(&call.step)));
        notes
    }

    fn ends(&mut self, exit: u8) {
        let expect: &Expect = &self.test.expect;
        let facts = &self.played.facts;
        let state = facts.state().word();
        let end = facts.finished.as_ref();
        match &expect.outcome {
            Some(outcome) => self.word("the run is", outcome, state),
            // A test that expects a failure says so in one way or another.
            None if expect.exit.is_none() && expect.error.is_none() && expect.undo.is_none() && state != "success" => {
                let failed =
                    self.fail(self.test.name.span, format!("the run is `{state}`"), "this test expects success");
                failed.problem.help = Some("if that is right, say so: `expect: { outcome: … }`".to_owned());
            }
            None => {}
        }
        if !self.failed.is_empty() {
            let notes = self.trouble_notes();
            if let Some(failed) = self.failed.last_mut() {
                failed.notes = notes;
            }
            self.ended_otherwise = true;
        }
        if let Some(code) = expect.exit.as_ref().filter(|code| code.value != exit) {
            let notes = if expect.error.is_none() { self.trouble_notes() } else { Vec::new() };
            let unexpected = !notes.is_empty();
            let failed = self.fail(code.span, format!("the exit code is {exit}"), "expected");
            failed.update = Some((code.span, Value::Int(i64::from(exit))));
            failed.notes = notes;
            self.ended_otherwise |= unexpected;
        }
        self.error();
        if let Some(message) = &expect.message {
            let said = end.and_then(|end| end.message.as_deref()).map(Value::from);
            self.differs("the message", message, said.as_ref());
        }
        self.findings();
        let outputs = self.outputs();
        for (name, value) in &expect.outputs {
            self.differs(&format!("output `{}`", name.value), value, outputs.get(&name.value));
        }
        for (step, outcome) in &expect.steps {
            self.step(step, outcome);
        }
        for wanted in &expect.calls {
            self.called(wanted);
        }
        self.writes();
        if let Some(undo) = &expect.undo {
            let ended =
                facts.undo_of_run().and_then(|undo| undo.end.as_ref()).map_or("nothing", |end| end.outcome.word());
            self.word("taking it back ended as", undo, ended);
        }
    }

    /// What the run gave; of an action, what its call gave.
    fn outputs(&self) -> Map {
        let facts = &self.played.facts;
        if !self.behind {
            return facts.finished.as_ref().map(|end| end.outputs.clone()).unwrap_or_default();
        }
        let end = facts.step(&StepPath::new(crate::runbook::cases::PREFIX)).and_then(Record::end);
        end.and_then(|end| end.outputs.as_map().cloned()).unwrap_or_default()
    }

    fn trouble(&self) -> Option<(String, Failure)> {
        let end = self.played.facts.finished.as_ref()?;
        let error = end.error.clone()?;
        let step = end.failed_step.as_ref()?;
        // An action's own step says more than the step that calls it.
        let inner = self.played.facts.step(step).and_then(|record| record.finished.as_ref()?.broken_at.clone());
        let step = inner.unwrap_or_else(|| step.clone());
        let innermost = self.played.facts.step(&step).and_then(|record| record.finished.as_ref()?.error.clone());
        Some((self.played.world.shown(&step), innermost.unwrap_or(error)))
    }

    fn trouble_notes(&self) -> Vec<String> {
        let facts = &self.played.facts;
        let mut notes = Vec::new();
        if let Some((step, failure)) = self.trouble() {
            notes.push(format!("step `{step}`: {}", failure.message));
            let read =
                failure.values.iter().take(LINES_MAX).map(|(path, value)| format!("  {path} = {}", value.to_plain()));
            notes.extend(read);
        }
        let waits = facts.approvals.open().map(|approval| ("approve", &approval.request.step));
        let waits = waits.chain(facts.questions().map(|(step, _)| ("answer", step)));
        for (word, step) in waits.chain(facts.doubts().map(|(step, _)| ("decide", step))) {
            notes.push(format!(
                "`{}` waits for people: the test says nothing about it under `{word}`",
                self.played.world.shown(step)
            ));
        }
        notes
    }

    fn error(&mut self) {
        let Some(expected) = &self.test.expect.error else { return };
        let Some((step, failure)) = self.trouble() else {
            self.fail(expected.span, "the run has no error".to_owned(), "expected");
            return;
        };
        if let Some(wanted) =
            expected.step.as_ref().filter(|wanted| wanted.value != generic(&step) && wanted.value != step)
        {
            let failed = self.fail(wanted.span, format!("it failed at step `{step}`"), "expected");
            failed.update = Some((wanted.span, Value::from(step.as_str())));
        }
        if let Some(kind) = &expected.kind {
            self.word("the error is of kind", kind, failure.kind.word());
        }
        if let Some(message) = &expected.message {
            self.differs("the error", message, Some(&Value::from(failure.message.as_str())));
        }
    }

    fn findings(&mut self) {
        let Some(expected) = &self.test.expect.findings else { return };
        let found = &self.played.facts.findings;
        let same = expected.value.len() == found.len()
            && expected.value.iter().zip(found).all(|(expected, found)| {
                let suggested = found.suggest.as_ref().map(|suggest| suggest.runbook.as_str());
                expected.level == found.level
                    && expected.say.as_ref().is_none_or(|say| fits(say, Some(&Value::from(found.say.as_str()))))
                    && expected.suggest.as_deref().is_none_or(|suggest| suggested == Some(suggest))
            });
        if same {
            return;
        }
        let word = |level: crate::runbook::model::Level| format!("{level:?}").to_lowercase();
        let line = |level, say: &str, suggest: Option<&str>| {
            let suggest = suggest.map(|suggest| format!(" → {suggest}")).unwrap_or_default();
            format!("{}: {say}{suggest}", word(level))
        };
        // What isn't looked at is shown as it came, so that only real differences stand out.
        let wanted = expected.value.iter().enumerate().map(|(at, expected)| {
            let there = found.get(at).filter(|found| found.level == expected.level);
            let came = there.map(|found| Value::from(found.say.as_str()));
            let say = match (&expected.say, &came) {
                (Some(say), came) if !fits(say, came.as_ref()) => say.to_string(),
                (Some(say), None) => say.to_string(),
                (_, Some(came)) => came.to_string(),
                (None, None) => "…".to_owned(),
            };
            let there = there.and_then(|found| found.suggest.as_ref()).map(|suggest| suggest.runbook.as_str());
            line(expected.level, &say, expected.suggest.as_deref().or(there))
        });
        let wanted: Vec<String> = wanted.collect();
        let suggested =
            |found: &crate::engine::facts::Finding| found.suggest.as_ref().map(|suggest| suggest.runbook.clone());
        let came: Vec<String> =
            found.iter().map(|found| line(found.level, &found.say, suggested(found).as_deref())).collect();
        let update = found.iter().map(|found| {
            let mut row = vec![("level", Value::from(word(found.level))), ("say", Value::from(found.say.as_str()))];
            row.extend(suggested(found).map(|suggest| ("suggest", Value::from(suggest))));
            Value::map(row)
        });
        let update = Value::List(update.collect());
        let failed = self.fail(expected.span, "the findings are others".to_owned(), "expected");
        failed.update = Some((expected.span, update));
        failed.diff = Some((wanted, came));
    }

    fn step(&mut self, step: &Spanned<String>, expected: &Spanned<String>) {
        let world = &self.played.world;
        let records = self.played.facts.steps.iter().filter(|(path, _)| {
            let shown = world.shown(path);
            shown == step.value || generic(&shown) == step.value
        });
        let mut outcomes: Vec<&str> = records
            .map(|(_, record)| match (&record.skipped, &record.finished) {
                (Some(_), _) => "skipped",
                (None, Some(finished)) => finished.outcome.word(),
                (None, None) => "not_run",
            })
            .collect();
        if outcomes.is_empty() {
            outcomes.push("not_run");
        }
        let other = outcomes.into_iter().find(|outcome| *outcome != expected.value);
        if let Some(other) = other {
            self.word(&format!("step `{}` is", step.value), expected, other);
        }
    }

    /// Calls of a step or an action, in their order.
    fn calls_of(&self, key: &str) -> Vec<&Call> {
        let calls = self.played.world.calls.iter();
        calls.filter(|call| call.uses == key || call.step == key || generic(&call.step) == key).collect()
    }

    fn called(&mut self, wanted: &Wanted) {
        let all = self.calls_of(&wanted.key.value);
        let like = |call: &Call| {
            wanted.with.as_ref().is_none_or(|with| fits(&with.value, Some(&Value::Map(call.args.clone()))))
        };
        let count = all.iter().filter(|call| like(call)).count();
        let good = match &wanted.times {
            Some(times) => usize::try_from(times.value).is_ok_and(|times| times == count),
            None => count > 0,
        };
        if good {
            return;
        }
        let with = if wanted.with.is_some() { " with these arguments" } else { "" };
        let message = format!("`{}` was called {}{with}", wanted.key.value, times(count));
        let lines: Vec<String> = all.iter().take(LINES_MAX).map(|call| told(call)).collect();
        let span = wanted.times.as_ref().map_or(wanted.key.span, |times| times.span);
        let update =
            wanted.times.as_ref().map(|times| (times.span, Value::Int(i64::try_from(count).unwrap_or(i64::MAX))));
        let failed = self.fail(span, message, "expected");
        failed.notes = lines;
        failed.update = update;
    }

    fn writes(&mut self) {
        let Some(expected) = &self.test.expect.writes else { return };
        let calls = self.played.world.calls.iter();
        let came: Vec<&Call> = calls.filter(|call| call.effect >= Effect::Notify).collect();
        let is = |wanted: &Wanted, call: &Call| {
            let key = &wanted.key.value;
            let same = call.uses == *key || call.step == *key || generic(&call.step) == *key;
            same && wanted.with.as_ref().is_none_or(|with| fits(&with.value, Some(&Value::Map(call.args.clone()))))
        };
        let same = expected.value.len() == came.len()
            && expected.value.iter().zip(&came).all(|(wanted, call)| is(wanted, call));
        if same {
            return;
        }
        // Arguments that nothing is expected of are left out, so that only real differences stand out.
        let lines = came.iter().enumerate().map(|(at, call)| {
            let with = expected.value.get(at).and_then(|wanted| wanted.with.as_ref());
            line(&generic(&call.step), with.map(|with| part_of(&call.args, &with.value)))
        });
        let lines: Vec<String> = lines.collect();
        let wanted = expected.value.iter().enumerate().map(|(at, wanted)| match came.get(at) {
            Some(call) if is(wanted, call) => lines[at].clone(),
            _ => line(&wanted.key.value, wanted.with.as_ref().map(|with| with.value.clone())),
        });
        let wanted = wanted.collect();
        let update = Value::List(came.iter().map(|call| Value::from(generic(&call.step))).collect());
        let failed = self.fail(expected.span, "the writes are others".to_owned(), "expected, in this order");
        failed.diff = Some((wanted, lines));
        failed.update = Some((expected.span, update));
    }
}

fn times(count: usize) -> String {
    match count {
        0 => "never".to_owned(),
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        count => format!("{count} times"),
    }
}

/// A write in one line, with the arguments that matter.
fn line(name: &str, with: Option<Value>) -> String {
    with.map_or_else(|| name.to_owned(), |with| format!("{name}: {}", with.to_plain()))
}

/// What is there of a map in the places where something is expected.
fn part_of(args: &Map, expected: &Value) -> Value {
    let Value::Map(expected) = expected else { return Value::Null };
    let part = expected.iter().map(|(key, wanted)| {
        let there = args.get(key).cloned().unwrap_or_default();
        match (&there, wanted) {
            (Value::Map(inner), Value::Map(_)) => (key.clone(), part_of(inner, wanted)),
            _ => (key.clone(), there),
        }
    });
    Value::Map(part.collect())
}

/// A call in one line.
fn told(call: &Call) -> String {
    let args: Map =
        call.args.iter().filter(|(_, value)| !value.is_null()).map(|(k, v)| (k.clone(), v.clone())).collect();
    format!("{}: {}", call.step, quoted(&Value::Map(args).to_plain().to_string()).trim_matches('`'))
}

/// An answer that a call could get: its first outputs, of their types.
fn proposed(spec: &ActionSpec) -> String {
    let outputs = spec.outputs.iter().take(PROPOSED_MAX).map(|output| {
        let value = match &output.ty {
            Type::Bool => "true".to_owned(),
            Type::Int if output.name == "status" => "200".to_owned(),
            Type::Int | Type::Float => "1".to_owned(),
            Type::List => "[]".to_owned(),
            Type::Secret => "{ $secret: NAME }".to_owned(),
            Type::Map | Type::Any => "{}".to_owned(),
            _ => "text".to_owned(),
        };
        format!("{}: {value}", output.name)
    });
    let outputs: Vec<String> = outputs.collect();
    if outputs.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", outputs.join(", ")) }
}
