//! Whether a test file fits what it tests: steps, actions, inputs and outputs that are there, of their types.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::runbook::cases::model::{Ends, Mock, Test, TestFile};
use crate::runbook::cases::places::find;
use crate::runbook::model::{Body, Runbook, walk};
use crate::runbook::nearest::{did_you_mean, listed};
use crate::runbook::problem::{Problem, sort};
use crate::runbook::program::Program;
use crate::runbook::source::{Source, Spanned};
use crate::runbook::spec::{ActionSpec, RUN_CHILD};
use crate::runbook::types::Type;
use crate::runbook::words::quoted;
use crate::script::value::Value;

/// What a file tests.
pub struct Subject<'a> {
    /// The runbook or action.
    pub book: &'a Runbook,
    /// What runs: the runbook, or a caller of the action.
    pub program: &'a Program,
    /// Where the paths of its steps start, with a `/` at the end; empty for a runbook.
    pub below: &'a str,
}

impl Subject<'_> {
    fn word(&self) -> &'static str {
        if self.below.is_empty() { "runbook" } else { "action" }
    }
}

/// Holds a file against what it tests.
pub fn fit(file: &TestFile, subject: &Subject<'_>) -> Vec<Problem> {
    let mut fitting = Fitting { source: &file.source, subject, problems: Vec::new() };
    for test in &file.tests {
        fitting.test(test);
    }
    sort(&mut fitting.problems);
    fitting.problems
}

struct Fitting<'a> {
    source: &'a Arc<Source>,
    subject: &'a Subject<'a>,
    problems: Vec<Problem>,
}

impl Fitting<'_> {
    fn test(&mut self, test: &Test) {
        self.inputs(test);
        for mock in &test.mocks {
            self.mock(mock);
        }
        let expect = &test.expect;
        let calls = expect.calls.iter().chain(expect.writes.iter().flat_map(|writes| &writes.value));
        for wanted in calls {
            self.call(&wanted.key);
        }
        let steps = test.answer.iter().map(|(step, _)| step);
        let steps = steps.chain(test.approve.iter().map(|(step, _)| step));
        let steps = steps.chain(test.reject.iter().map(|(step, _)| step)).chain(&test.expire);
        let steps = steps.chain(test.decide.iter().map(|(step, _)| step));
        let steps = steps.chain(test.crash.iter().map(|crash| &crash.step));
        let steps = steps.chain(expect.steps.iter().map(|(step, _)| step));
        let steps = steps.chain(expect.error.iter().filter_map(|error| error.step.as_ref()));
        for step in steps {
            self.step(step);
        }
        for (name, _) in &expect.outputs {
            let names = self.subject.book.outputs.iter().map(|(name, _)| name.value.as_str());
            if !names.clone().any(|known| known == name.value) {
                let word = self.subject.word();
                let message = format!("this {word} has no output {}", quoted(&name.value));
                let help =
                    did_you_mean(&name.value, names.clone()).unwrap_or_else(|| format!("it gives {}", listed(names)));
                self.problems
                    .push(Problem::error("E0205", self.source, name.span, message).label("unknown output").help(help));
            }
        }
    }

    fn inputs(&mut self, test: &Test) {
        let inputs = &self.subject.book.inputs;
        for (name, given) in &test.inputs {
            let Some(input) = inputs.iter().find(|input| input.name.value == name.value) else {
                let word = self.subject.word();
                let message = format!("this {word} has no input {}", quoted(&name.value));
                let help = did_you_mean(&name.value, inputs.iter().map(|input| input.name.value.as_str()));
                let problem = Problem::error("E0208", self.source, name.span, message).label("unknown input");
                self.problems.push(problem.maybe_help(help));
                continue;
            };
            if given.value.is_null() {
                continue;
            }
            if let Err(why) = input.ty.accept(&given.value) {
                let message = format!("input `{}`: {why}", name.value);
                let problem = Problem::error("E0206", self.source, self.source.first_line(given.span), message);
                let help = (input.ty == Type::Secret).then(|| "name one: `{ $secret: NAME }`".to_owned());
                self.problems.push(problem.label("of another type").maybe_help(help));
            }
        }
    }

    /// A step, or an action it calls.
    fn call(&mut self, key: &Spanned<String>) {
        if !self.subject.program.specs.contains_key(&key.value) {
            self.step(key);
        }
    }

    fn step(&mut self, key: &Spanned<String>) {
        if find(self.subject.program, self.subject.below, &key.value).is_some() {
            return;
        }
        let Subject { book, program, .. } = self.subject;
        let mut known = BTreeSet::new();
        for (prefix, block) in [("", &book.steps), ("on_failure/", &book.on_failure), ("finally/", &book.finally)] {
            walk(block, &mut |step| {
                known.insert(format!("{prefix}{}", step.id));
            });
        }
        known.extend(program.specs.keys().cloned());
        let help = did_you_mean(&key.value, known.iter().map(String::as_str));
        let message = format!(
            "this {} has no step {}, and calls no action of that name",
            self.subject.word(),
            quoted(&key.value)
        );
        let span = self.source.first_line(key.span);
        let problem = Problem::error("E0503", self.source, span, message).label("neither step nor action");
        self.problems.push(problem.maybe_help(help));
    }

    fn mock(&mut self, mock: &Mock) {
        let Subject { program, below, .. } = self.subject;
        let spec = match program.specs.get(&mock.key.value) {
            Some(spec) => Some(Arc::clone(spec)),
            None => {
                self.step(&mock.key);
                called(program, below, &mock.key.value)
            }
        };
        let Some(spec) = spec else { return };
        if spec.name == RUN_CHILD {
            let message = "a called runbook is gone into: its steps are answered, not the call";
            let problem = Problem::error("E0503", self.source, mock.key.span, message).label("goes into a runbook");
            self.problems.push(problem.help(format!("name a step inside: `{}/STEP`", mock.key.value)));
            return;
        }
        for answer in mock.cases.iter().flat_map(|case| &case.answers) {
            for name in &answer.places {
                self.output(&spec, name, answer.outputs.get(&name.value), answer.ends == Ends::Done);
            }
        }
    }

    fn output(&mut self, spec: &ActionSpec, name: &Spanned<String>, given: Option<&Value>, done: bool) {
        let span = self.source.first_line(name.span);
        let names = || spec.outputs.iter().map(|output| output.name.as_str());
        let Some(output) = spec.output(&name.value) else {
            let message = format!("`{}` gives no {}", spec.name, quoted(&name.value));
            let help = did_you_mean(&name.value, names()).unwrap_or_else(|| format!("it gives {}", listed(names())));
            let problem = Problem::error("E0205", self.source, span, message).label("unknown output");
            self.problems.push(problem.help(help));
            return;
        };
        let Some(value) = given.filter(|value| !value.is_null() && done && output.ty != Type::Secret) else { return };
        if let Err(why) = output.ty.accept(value) {
            let message = format!("output `{}` of `{}`: {why}", name.value, spec.name);
            self.problems.push(Problem::error("E0206", self.source, span, message).label("of another type"));
        }
    }
}

/// What the call at a path calls.
fn called(program: &Program, below: &str, written: &str) -> Option<Arc<ActionSpec>> {
    let located = find(program, below, written)?;
    let name = match &located.step.body {
        Body::Uses { action, .. } => action.value.clone(),
        Body::Script(_) => {
            let last = written.rsplit('/').next().unwrap_or_default();
            last.split('#').next().unwrap_or_default().to_owned()
        }
        _ => return None,
    };
    program.specs.get(&name).map(Arc::clone)
}
