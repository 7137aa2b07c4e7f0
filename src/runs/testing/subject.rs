//! What a test file tests, ready to be run: a runbook as it is, an action behind a caller of ours.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::project::{Listed, Origin, TestText};
use crate::runbook::cases::{Mock, PREFIX, Subject, Test, TestFile, fit, read};
use crate::runbook::model::{Body, Runbook};
use crate::runbook::problem::{Problem, Severity, has_errors};
use crate::runbook::program::{FileKind, Library as _, Program, load};
use crate::runbook::settings::Target;
use crate::runbook::source::{Source, Span};
use crate::runbook::spec::ActionSpec;
use crate::runs::Runs;
use crate::runs::checking::Overlay;
use crate::runs::inputs;
use crate::script::secret::Leaf;
use crate::script::value::{Map, Value};
use crate::steps::catalog;

/// A test file with what it tests.
pub(super) struct Tested {
    pub file: TestFile,
    pub listed: Listed,
    pub kind: FileKind,
    /// The program of the runbook; of an action, that of a caller without arguments worth a name.
    pub program: Program,
}

/// A program and what it starts with, for one test.
pub(super) struct Ready {
    pub program: Arc<Program>,
    pub inputs: Map,
}

impl Tested {
    /// The runbook or action itself.
    pub(super) fn book(&self) -> &Arc<Runbook> {
        match self.kind {
            FileKind::Action => self.program.actions.get(&self.listed.name).unwrap_or(&self.program.runbook),
            _ => &self.program.runbook,
        }
    }

    /// Where the paths of its steps start.
    pub(super) fn below(&self) -> String {
        if self.kind == FileKind::Action { format!("{PREFIX}/") } else { String::new() }
    }
}

impl Runs {
    /// What is wrong with a test file, without running it.
    pub(in crate::runs) fn check_test(&self, text: &TestText) -> Vec<Problem> {
        self.tested(text).1
    }

    /// Reads a test file and holds it against what it tests. Problems without a file to run say why there is none;
    /// with one they are warnings.
    pub(super) fn tested(&self, text: &TestText) -> (Option<Tested>, Vec<Problem>) {
        let (file, mut problems) = read(&text.source);
        let listed = match self.subject(text) {
            Ok(listed) => listed,
            Err(found) => {
                problems.extend(found);
                return (None, problems);
            }
        };
        let (program, found) = match text.kind {
            FileKind::Action => self.load_caller(&listed, None),
            _ => load(&listed.name, Arc::clone(&listed.source), self.project(), &catalog::specs()),
        };
        // Its warnings are told by whoever checks it.
        problems.extend(found.into_iter().filter(|problem| problem.severity == Severity::Error));
        let Some(program) = program else { return (None, problems) };
        let tested = Tested { file, listed, kind: text.kind, program };
        if !has_errors(&problems) {
            let below = tested.below();
            let subject = Subject { book: tested.book(), program: &tested.program, below: &below };
            problems.extend(fit(&tested.file, &subject));
        }
        match has_errors(&problems) {
            true => (None, problems),
            false => (Some(tested), problems),
        }
    }

    fn subject(&self, text: &TestText) -> Result<Listed, Vec<Problem>> {
        if let Some(beside) = &text.beside {
            return Ok(beside.clone());
        }
        let missing = |what: &str| {
            let message = format!("there is no {what} `{}` to test", text.name);
            let help = "a test file lies beside what it tests: `NAME.test.yaml` beside `NAME.yaml`";
            vec![
                Problem::error("E0504", &text.source, Span::default(), message)
                    .label("tests what its name says")
                    .help(help),
            ]
        };
        match text.kind {
            FileKind::Action => match self.project().action(&text.name) {
                Ok(Some(source)) => Ok(Listed { name: text.name.clone(), origin: Origin::Embedded, source }),
                Ok(None) => Err(missing("action")),
                Err(problem) => Err(vec![*problem]),
            },
            _ => match self.project().runbook(&text.name) {
                Ok(listed) => Ok(listed),
                Err(_) => Err(missing("runbook")),
            },
        }
    }

    /// A runbook whose one step calls an action, with these arguments; without any, whatever is missing.
    fn load_caller(&self, listed: &Listed, given: Option<&Map>) -> (Option<Program>, Vec<Problem>) {
        let library = Overlay { listed, below: self.project() };
        let caller = caller(&listed.name, given);
        let (program, problems) = load(PREFIX, Arc::clone(&caller), &library, &catalog::specs());
        if program.is_some() || given.is_some() {
            return (program, problems);
        }
        let own: Vec<Problem> = problems.into_iter().filter(|problem| problem.source.shown != caller.shown).collect();
        if has_errors(&own) {
            return (None, own);
        }
        // Only arguments are missing: any will do to know its steps.
        let spec = self.actions().into_iter().find(|action| action.spec.name == listed.name).map(|action| action.spec);
        let needed = spec.map(|spec| needed(&spec)).unwrap_or_default();
        load(PREFIX, self::caller(&listed.name, Some(&needed)), &library, &catalog::specs())
    }

    /// The program of one test: what it mocks of YAML actions is not gone into.
    ///
    /// # Errors
    /// What is wrong with its inputs, at its name.
    pub(super) fn ready(&self, tested: &Tested, test: &Test, target: &Target) -> Result<Ready, Problem> {
        let at_name =
            |message: String| Problem::error("E0203", &tested.file.source, test.name.span, message).label("this test");
        let given: Map = test
            .inputs
            .iter()
            .filter(|(_, value)| !value.value.is_null())
            .map(|(name, value)| (name.value.clone(), value.value.clone()))
            .collect();
        if tested.kind != FileKind::Action {
            let inputs = inputs::complete(&tested.program.runbook, &[], Some(given), target);
            let inputs = inputs.map_err(|error| at_name(error.message))?;
            return Ok(Ready { program: Arc::new(without_mocked(tested.program.clone(), tested, test)), inputs });
        }
        let missing = tested.book().inputs.iter().filter(|input| input.required && input.default.is_none());
        for input in missing {
            if !given.contains_key(&input.name.value) {
                return Err(at_name(format!("input `{}` ({}) is missing", input.name.value, input.ty.name())));
            }
        }
        let (program, problems) = self.load_caller(&tested.listed, Some(&given));
        let why = || problems.first().map_or_else(String::new, |problem| problem.message.clone());
        let program =
            program.ok_or_else(|| at_name(format!("`{}` can't be called so: {}", tested.listed.name, why())))?;
        Ok(Ready { program: Arc::new(without_mocked(program, tested, test)), inputs: Map::new() })
    }
}

/// The program without the YAML actions that the test answers for: they are calls like any other then.
fn without_mocked(mut program: Program, tested: &Tested, test: &Test) -> Program {
    let below = tested.below();
    let mocked: BTreeSet<String> = test.mocks.iter().filter_map(|mock| action_of(&program, &below, mock)).collect();
    program.actions.retain(|name, _| !mocked.contains(name));
    program
}

/// The YAML action a mock stands for.
fn action_of(program: &Program, below: &str, mock: &Mock) -> Option<String> {
    let key = &mock.key.value;
    if program.actions.contains_key(key) {
        return Some(key.clone());
    }
    let located = crate::runbook::cases::find(program, below, key)?;
    match &located.step.body {
        Body::Uses { action, .. } => Some(action.value.clone()),
        Body::Script(_) => Some(key.rsplit('/').next()?.split('#').next()?.to_owned()),
        _ => None,
    }
}

/// Values for the inputs an action can't do without, of their types. Nothing is run with them.
fn needed(spec: &ActionSpec) -> Map {
    use crate::runbook::types::Type;
    let value = |ty: &Type| match ty {
        Type::Int => Value::Int(1),
        Type::Float => Value::Float(1.0),
        Type::Bool => Value::Bool(true),
        Type::Duration => Value::from("1s"),
        Type::Url => Value::from("https://example.com"),
        Type::Email => Value::from("team@example.com"),
        Type::List => Value::List(vec![Value::from("a")]),
        Type::Map => Value::map([("a", Value::from("a"))]),
        Type::Choice(words) => words.first().map(|word| Value::from(word.as_str())).unwrap_or_default(),
        Type::Secret => Value::Secret(crate::script::secret::SecretText::named("ANY")),
        Type::String | Type::Any => Value::from("a"),
    };
    let needed = spec.args.iter().filter(|arg| arg.required && arg.default.is_none());
    needed.map(|arg| (arg.name.clone(), value(&arg.ty))).collect()
}

/// The text of a runbook that calls an action.
fn caller(action: &str, given: Option<&Map>) -> Arc<Source> {
    let mut secrets = BTreeSet::new();
    let with = given.map(|given| written(&Value::Map(given.clone()), &mut secrets).to_string());
    let mut text = String::from("version: 1\ntitle: a test\nowner: tests\nreviewed: 2026-01-01\n");
    if !secrets.is_empty() {
        text.push_str(&format!("secrets: {}\n", serde_json::json!(secrets)));
    }
    text.push_str(&format!("steps:\n  - id: {PREFIX}\n    uses: {action}\n"));
    if let Some(with) = with {
        text.push_str(&format!("    with: {with}\n"));
    }
    Source::new("(a test)", text)
}

/// A value as YAML of a runbook: nothing in it is an expression but secrets.
fn written(value: &Value, secrets: &mut BTreeSet<String>) -> serde_json::Value {
    use serde_json::Value as Json;
    match value {
        Value::Text(text) => Json::String(text.replace("${{", "$${{")),
        Value::List(items) => Json::Array(items.iter().map(|item| written(item, secrets)).collect()),
        Value::Map(map) => Json::Object(map.iter().map(|(key, item)| (key.clone(), written(item, secrets))).collect()),
        Value::Secret(secret) => {
            let name = secret.leaves().into_iter().find_map(|leaf| match leaf {
                Leaf::Named(name) => Some(name.to_owned()),
                Leaf::Sealed(_) => None,
            });
            let name = name.unwrap_or_default();
            let text = format!("${{{{ secrets.{name} }}}}");
            secrets.insert(name);
            Json::String(text)
        }
        scalar => scalar.to_plain(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::secret::SecretText;

    #[test]
    fn what_stands_in_a_test_is_no_expression_for_the_action() {
        let given = Map::from([
            ("a".to_owned(), Value::from("${{ secrets.OTHER }}")),
            ("b".to_owned(), Value::Secret(SecretText::named("TOKEN"))),
        ]);
        let text = caller("x.y", Some(&given)).text.clone();
        assert!(text.contains(r#"secrets: ["TOKEN"]"#), "{text}");
        assert!(
            text.contains(r#""a":"$${{ secrets.OTHER }}""#) && text.contains(r#""b":"${{ secrets.TOKEN }}""#),
            "{text}"
        );
    }
}
