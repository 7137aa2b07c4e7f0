//! A run as a test file: what the world and people answered, and what came of it. Secrets become named fakes; nothing of
//! a file is the value of one.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::event::{Body, Decision, Event, StepFinished};
use crate::engine::facts::Facts;
use crate::engine::ids::StepPath;
use crate::engine::outcome::{Failure, FailureKind, Outcome};
use crate::journal::RunRow;
use crate::runbook::cases::generic;
use crate::runbook::contexts::FAILURE_KINDS;
use crate::runbook::locate::locate;
use crate::runbook::program::Program;
use crate::runbook::spec::{ActionSpec, RUN_CHILD, RUN_UNDO};
use crate::runs::Runs;
use crate::runs::error::{ErrorKind, RunsError};
use crate::runs::testing::play::why;
use crate::runs::testing::suite::ExitOf;
use crate::runs::testing::written::{flow, key};
use crate::script::secret::{Leaf, SecretText};
use crate::script::value::{Map, SECRET_KEY, Value};
use crate::steps::{GENERATE, catalog};

/// Actions that the engine itself answers.
const OWN: [&str; 7] = ["time.sleep", "human.ask", "run.note", "run.finish", "run.fail", RUN_CHILD, RUN_UNDO];
/// Characters of a revealed text that is replaced wherever it stands: shorter ones stand in everything.
const REVEALED_CHARS_MIN: usize = 4;
/// Stands for any text in an expected one.
const ANY: &str = "…";

/// A run as a test file.
#[derive(Clone, Debug)]
pub struct Recorded {
    pub text: String,
    /// How the file has to begin to test the runbook: `NAME` of `NAME.test.yaml`.
    pub name: String,
    /// What could not be recorded, a sentence each.
    pub left_out: Vec<String>,
}

impl Runs {
    /// Writes a run as a test file.
    ///
    /// # Errors
    /// If it was cancelled, which no test can say, or its journal can't be read.
    pub fn record(&self, run: &RunRow, exit_of: ExitOf) -> Result<Recorded, RunsError> {
        let (events, facts) = self.story(run)?;
        if facts.cancelled.is_some() {
            let said = format!("{}/{} was cancelled, and a test can't be", run.runbook, run.run);
            return Err(RunsError::new(ErrorKind::Usage, said).hint("record a run that came to its own end"));
        }
        let program = self.program(run)?;
        let mut recorder = Recorder::new(&program, &events, &facts);
        let target = facts.started.as_ref().and_then(|started| started.target.clone());
        let target = target.filter(|name| self.project().target(name).is_ok());
        let exit = exit_of(&facts, &why(&facts));
        let text = recorder.file(run, target.as_deref(), exit);
        // The last net: what is known to be secret now is in no file.
        let text = self.knowing(run).redact(&text).into_owned();
        Ok(Recorded { text, name: run.runbook.clone(), left_out: recorder.left_out })
    }
}

struct Recorder<'r> {
    program: &'r Program,
    events: &'r [Event],
    facts: &'r Facts,
    /// Texts that were sealed and then revealed, with the name of their fake.
    revealed: BTreeMap<String, String>,
    left_out: Vec<String>,
}

/// Answers of one step path, in order.
struct Answers {
    path: String,
    given: Vec<String>,
}

impl<'r> Recorder<'r> {
    fn new(program: &'r Program, events: &'r [Event], facts: &'r Facts) -> Recorder<'r> {
        let mut recorder = Recorder { program, events, facts, revealed: BTreeMap::new(), left_out: Vec::new() };
        let mut names: BTreeMap<&str, &[String]> = BTreeMap::new();
        for event in events {
            match &event.body {
                Body::StepStarted(started) if !started.reveal.is_empty() => {
                    names.insert(started.step.as_str(), &started.reveal);
                }
                Body::StepFinished(finished) => {
                    if let Some(names) = names.get(finished.step.as_str()) {
                        recorder.reveal(&finished.outputs, "", names);
                    }
                }
                _ => {}
            }
        }
        recorder
    }

    /// Learns the plain texts below names that a step reveals.
    fn reveal(&mut self, value: &Value, name: &str, names: &[String]) {
        match value {
            Value::Map(map) => {
                for (key, item) in map {
                    let name = if names.contains(key) { key } else { name };
                    self.reveal(item, name, names);
                }
            }
            Value::List(items) => items.iter().for_each(|item| self.reveal(item, name, names)),
            Value::Text(text) if !name.is_empty() && text.chars().count() >= REVEALED_CHARS_MIN => {
                self.revealed.insert(text.clone(), fake(name));
            }
            _ => {}
        }
    }

    fn file(&mut self, run: &RunRow, target: Option<&str>, exit: u8) -> String {
        let name = format!("{}/{}", run.runbook, run.run);
        let at = self.facts.started_at;
        let mut text = format!(
            "# Recorded from {name} of {}. Secrets are fakes; change what it is to prove.\nversion: 1\n\ntests:\n  - name: as in {name}\n    at: {at}\n",
            at.strftime("%Y-%m-%d")
        );
        if let Some(target) = target {
            text.push_str(&format!("    target: {}\n", key(target)));
        }
        let inputs = self.facts.started.as_ref().map(|started| started.inputs.clone()).unwrap_or_default();
        let inputs: Vec<(String, String)> = inputs
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| (key(name), self.given(value)))
            .collect();
        block(&mut text, 4, "inputs", &inputs);
        self.mocks(&mut text);
        self.people(&mut text);
        self.expect(&mut text, exit);
        text
    }

    /// A value as a test gives it: what was secret is a fake.
    fn given(&self, value: &Value) -> String {
        flow(&self.faked(value))
    }

    fn faked(&self, value: &Value) -> Value {
        match value {
            Value::Text(text) => Value::Text(self.without_revealed(text)),
            Value::List(items) => Value::List(items.iter().map(|item| self.faked(item)).collect()),
            Value::Map(map) => {
                Value::Map(map.iter().map(|(key, item)| (self.without_revealed(key), self.faked(item))).collect())
            }
            Value::Secret(secret) => faked_secret(secret),
            other => other.clone(),
        }
    }

    fn without_revealed(&self, text: &str) -> String {
        self.revealed.iter().fold(text.to_owned(), |text, (secret, fake)| text.replace(secret, fake))
    }

    /// A value as a test expects it: what is another one each time may be any.
    fn expected(&self, value: &Value) -> Value {
        match value {
            Value::Text(text) => Value::Text(self.expected_text(text)),
            Value::List(items) => Value::List(items.iter().map(|item| self.expected(item)).collect()),
            Value::Map(map) => Value::Map(map.iter().map(|(key, item)| (key.clone(), self.expected(item))).collect()),
            Value::Secret(secret) => Value::Text(without_fingerprints(&secret.to_string())),
            other => other.clone(),
        }
    }

    fn expected_text(&self, text: &str) -> String {
        let text = without_fingerprints(&self.without_revealed(text));
        match self.facts.started.as_ref().map(|started| started.run) {
            Some(run) => text.replace(&run.uuid(), ANY).replace(&run.short(), ANY),
            None => text,
        }
    }

    fn mocks(&mut self, text: &mut String) {
        let mut answers: Vec<Answers> = Vec::new();
        let mut uses: BTreeMap<&StepPath, &str> = BTreeMap::new();
        let mut shaped = BTreeSet::new();
        for event in self.events {
            let (step, answer) = match &event.body {
                Body::StepStarted(started) => {
                    if let Some(name) = started.uses.as_deref().filter(|name| is_call(name)) {
                        uses.insert(&started.step, name);
                    }
                    continue;
                }
                Body::StepObserved { step, result, .. } => {
                    (step, uses.get(step).and_then(|uses| self.looked(uses, result)))
                }
                Body::StepFinished(finished) => {
                    let uses = uses.get(&finished.step).copied().filter(|_| !self.is_end_of_poll(finished));
                    let failure = finished.error.as_ref();
                    (
                        &finished.step,
                        uses.and_then(|uses| self.came(uses, finished.outcome, &finished.outputs, failure)),
                    )
                }
                _ => continue,
            };
            let Some(answer) = answer else { continue };
            if self.shapes(step) {
                shaped.insert(step.to_string());
            }
            match answers.iter_mut().find(|answers| answers.path == step.as_str()) {
                Some(answers) => answers.given.push(answer),
                None => answers.push(Answers { path: step.to_string(), given: vec![answer] }),
            }
        }
        for step in shaped {
            self.left_out.push(format!(
                "`{step}` gives `outputs` of its own, and what it was answered is not in the journal: write that answer by hand"
            ));
        }
        let rows: Vec<(String, String)> = together(answers)
            .into_iter()
            .map(|(path, given)| match given.as_slice() {
                [one] => (key(&path), one.clone()),
                several => (key(&path), several.iter().map(|one| format!("\n        - {one}")).collect()),
            })
            .collect();
        block(text, 4, "mocks", &rows);
    }

    /// Whether a step's outputs are others than those of its call.
    fn shapes(&self, step: &StepPath) -> bool {
        let in_script = step.as_str().rsplit('/').next().is_some_and(|last| last.contains('#'));
        !in_script && locate(self.program, step.as_str()).is_some_and(|located| located.step.outputs.is_some())
    }

    /// Whether a step ended because its `within` was over: nobody answered that.
    fn is_end_of_poll(&self, finished: &StepFinished) -> bool {
        let over = finished.error.as_ref().is_some_and(|error| error.kind == FailureKind::Timeout);
        let polls = || locate(self.program, finished.step.as_str()).is_some_and(|located| located.step.poll.is_some());
        over && finished.outputs.is_null() && polls()
    }

    /// A look of a poll that was not enough.
    fn looked(&self, uses: &str, result: &Value) -> Option<String> {
        let text = |name: &str| result.get(name).and_then(Value::as_text);
        let spec = catalog::find(uses).map(|entry| &entry.spec)?;
        match (text("kind"), text("message")) {
            (Some(kind), Some(message)) if spec.output("kind").is_none() => {
                let error = error(kind, &self.without_revealed(message), true);
                Some(flow(&Value::map([("$outcome", Value::from("failed")), ("$error", error)])))
            }
            _ => Some(self.outputs(spec, result)),
        }
    }

    /// The end of an attempt.
    fn came(&self, uses: &str, outcome: Outcome, outputs: &Value, failure: Option<&Failure>) -> Option<String> {
        let spec = catalog::find(uses).map(|entry| &entry.spec)?;
        let word = match outcome {
            Outcome::Done => return Some(self.outputs(spec, outputs)),
            Outcome::Refused | Outcome::Failed | Outcome::InDoubt => outcome.word(),
            _ => return None,
        };
        let failure = failure?;
        // What a hold kept back was never sent, and what the limits of a poll end is no answer.
        if !FAILURE_KINDS.contains(&failure.kind.word()) {
            return None;
        }
        let message = self.without_revealed(&failure.message);
        let mut answer = vec![
            ("$outcome".to_owned(), Value::from(word)),
            ("$error".to_owned(), error(failure.kind.word(), &message, failure.transient)),
        ];
        if let Value::Map(outputs) = outputs {
            let known = outputs.iter().filter(|(name, _)| spec.output(name).is_some());
            let known: Map = known.map(|(name, value)| (name.clone(), self.faked(value))).collect();
            answer.extend((!known.is_empty()).then(|| ("$outputs".to_owned(), Value::Map(known))));
        }
        Some(flow(&Value::map(answer)))
    }

    /// Outputs of a call, without those that are nothing.
    fn outputs(&self, spec: &ActionSpec, outputs: &Value) -> String {
        let Value::Map(outputs) = outputs else { return "{}".to_owned() };
        let known = outputs.iter().filter(|(name, value)| spec.output(name).is_some() && !value.is_null());
        self.given(&Value::Map(known.map(|(name, value)| (name.clone(), value.clone())).collect()))
    }

    fn people(&self, text: &mut String) {
        let mut answered = Vec::new();
        let (mut approved, mut rejected, mut expired, mut decided) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut undo = false;
        for event in self.events {
            match &event.body {
                Body::AskAnswered { step, answer, .. } => answered.push((key(step.as_str()), self.given(answer))),
                Body::ApprovalGiven { step, .. } if !approved.contains(&key(step.as_str())) => {
                    approved.push(key(step.as_str()))
                }
                Body::ApprovalRejected { step, reason, .. } => {
                    rejected.push((key(step.as_str()), flow(&Value::from(self.without_revealed(reason)))));
                }
                Body::ApprovalExpired { step, .. } => expired.push(key(step.as_str())),
                Body::StepFinished(finished)
                    if finished.error.as_ref().is_some_and(|error| error.kind.word() == "expired")
                        && self.facts.step(&finished.step).is_some_and(|record| record.asked.is_some()) =>
                {
                    expired.push(key(finished.step.as_str()));
                }
                Body::OutcomeSet { step, decision, outputs, .. } => {
                    let word = match decision {
                        Decision::Done => "done",
                        Decision::NotDone => "not-done",
                        Decision::Retry => "retry",
                        Decision::Skip => "skip",
                    };
                    let given = match outputs.is_empty() {
                        true => word.to_owned(),
                        false => format!("{{ as: {word}, outputs: {} }}", self.given(&Value::Map(outputs.clone()))),
                    };
                    decided.push((key(step.as_str()), given));
                }
                Body::UndoStarted(started) => undo |= started.by.is_none(),
                _ => {}
            }
        }
        block(text, 4, "answer", &answered);
        for (word, steps) in [("approve", approved), ("expire", expired)] {
            if !steps.is_empty() {
                text.push_str(&format!("    {word}: [{}]\n", steps.join(", ")));
            }
        }
        block(text, 4, "reject", &rejected);
        block(text, 4, "decide", &decided);
        if undo {
            text.push_str("    undo: true\n");
        }
    }

    fn expect(&self, text: &mut String, exit: u8) {
        let facts = self.facts;
        text.push_str(&format!("    expect:\n      outcome: {}\n      exit: {exit}\n", facts.state().word()));
        if let Some(undo) = facts.undo_of_run().and_then(|undo| undo.end.as_ref()) {
            text.push_str(&format!("      undo: {}\n", undo.outcome.word()));
        }
        let end = facts.finished.as_ref();
        if let Some((step, failure)) = end.and_then(|end| Some((end.failed_step.as_ref()?, end.error.as_ref()?))) {
            let inner = facts.step(step).and_then(|record| record.finished.as_ref()?.broken_at.clone());
            let step = inner.unwrap_or_else(|| step.clone());
            let failure =
                facts.step(&step).and_then(|record| record.finished.as_ref()?.error.as_ref()).unwrap_or(failure);
            let error = Value::map([
                ("step", Value::from(generic(step.as_str()))),
                ("kind", Value::from(failure.kind.word())),
                ("message", Value::from(self.expected_text(&failure.message))),
            ]);
            text.push_str(&format!("      error: {}\n", flow(&error)));
        }
        if let Some(message) = end.and_then(|end| end.message.as_deref()) {
            text.push_str(&format!("      message: {}\n", flow(&Value::from(self.expected_text(message)))));
        }
        let findings = facts.findings.iter().map(|found| {
            let level = format!("{:?}", found.level).to_lowercase();
            let mut row = vec![("level", Value::from(level)), ("say", Value::from(self.expected_text(&found.say)))];
            row.extend(found.suggest.as_ref().map(|suggest| ("suggest", Value::from(suggest.runbook.as_str()))));
            flow(&Value::map(row))
        });
        list(text, "findings", findings.collect());
        let outputs: Vec<(String, String)> = end
            .map(|end| end.outputs.iter().map(|(name, value)| (key(name), flow(&self.expected(value)))).collect())
            .unwrap_or_default();
        block(text, 6, "outputs", &outputs);
        list(text, "writes", self.writes());
    }

    /// Calls that change something, in order: those that were sent.
    fn writes(&self) -> Vec<String> {
        let mut sent: Vec<String> = Vec::new();
        for event in self.events {
            if let Body::StepStarted(started) = &event.body
                && started.key.is_some()
                && started.uses.as_deref().is_some_and(is_call)
            {
                sent.push(key(&generic(started.step.as_str())));
            }
        }
        sent
    }
}

/// Whether an action asks the world, which a test has to answer.
fn is_call(uses: &str) -> bool {
    catalog::find(uses).is_some() && !OWN.contains(&uses) && uses != GENERATE
}

/// Answers by path: one path where every round and call of it was answered alike.
fn together(answers: Vec<Answers>) -> Vec<(String, Vec<String>)> {
    let mut rows: Vec<(String, Vec<String>)> = Vec::new();
    let short = |mut given: Vec<String>| {
        // The last answer stays.
        while given.len() > 1 && given.last() == given.get(given.len() - 2) {
            given.pop();
        }
        given
    };
    let all: Vec<(String, Vec<String>)> = answers.into_iter().map(|one| (one.path, short(one.given))).collect();
    for (path, given) in &all {
        let name = generic(path);
        let alike = all.iter().filter(|(other, _)| generic(other) == name).all(|(_, other)| other == given);
        let row = if alike && given.len() == 1 { name } else { path.clone() };
        if !rows.iter().any(|(known, _)| *known == row) {
            rows.push((row, given.clone()));
        }
    }
    rows
}

fn error(kind: &str, message: &str, transient: bool) -> Value {
    let message = if message.trim().is_empty() { "no message" } else { message };
    Value::map([("kind", Value::from(kind)), ("message", Value::from(message)), ("transient", Value::Bool(transient))])
}

/// What stands for the value of a secret in a test.
fn fake(name: &str) -> String {
    format!("fake-{name}")
}

/// A secret by its name; what was sealed is sealed again by the step that reads its fake.
fn faked_secret(secret: &SecretText) -> Value {
    match secret.leaves().into_iter().next() {
        Some(Leaf::Named(name)) => Value::map([(SECRET_KEY, Value::from(name))]),
        Some(Leaf::Sealed(sealed)) => Value::from(fake(&sealed.name)),
        None => Value::Null,
    }
}

/// Fingerprints are made with a key that no test has: `[sealed NAME …]`.
fn without_fingerprints(text: &str) -> String {
    const SEALED: &str = "[sealed ";
    let mut parts = text.split(SEALED);
    let mut found = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        found.push_str(SEALED);
        match part.find(']').and_then(|end| part[..end].rfind(' ').map(|space| (space, end))) {
            Some((space, end)) => found.push_str(&format!("{} {ANY}{}", &part[..space], &part[end..])),
            None => found.push_str(part),
        }
    }
    found
}

/// A map with a line for each entry; nothing if there is none.
fn block(text: &mut String, indent: usize, name: &str, rows: &[(String, String)]) {
    if rows.is_empty() {
        return;
    }
    let indent = " ".repeat(indent);
    text.push_str(&format!("{indent}{name}:\n"));
    for (key, value) in rows {
        let between = if value.starts_with('\n') { "" } else { " " };
        text.push_str(&format!("{indent}  {key}:{between}{value}\n"));
    }
}

/// A list of what is expected, also if it is empty.
fn list(text: &mut String, name: &str, items: Vec<String>) {
    if items.is_empty() {
        text.push_str(&format!("      {name}: []\n"));
        return;
    }
    text.push_str(&format!("      {name}:\n"));
    for item in items {
        text.push_str(&format!("        - {item}\n"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_may_be_any() {
        assert_eq!(without_fingerprints("a [sealed DATABASE_URL 9c1f41aa] b"), "a [sealed DATABASE_URL …] b");
        assert_eq!(without_fingerprints("[sealed A 00][sealed B 11]"), "[sealed A …][sealed B …]");
        assert_eq!(without_fingerprints("[sealed"), "[sealed");
    }

    #[test]
    fn what_is_answered_alike_is_written_once() {
        let answers = |rows: &[(&str, &[&str])]| {
            let rows = rows.iter().map(|(path, given)| Answers {
                path: (*path).to_owned(),
                given: given.iter().map(|one| (*one).to_owned()).collect(),
            });
            together(rows.collect())
        };
        let alike = answers(&[("a/x#1", &["1", "1"]), ("a/x#2", &["1"]), ("b[0]", &["1"]), ("b[1]", &["2"])]);
        let paths: Vec<&str> = alike.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(paths, ["a/x", "b[0]", "b[1]"]);
    }
}
