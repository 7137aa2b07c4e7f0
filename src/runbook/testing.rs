//! A small world for tests of the checks: a few primitives and a shelf of texts.

use std::collections::BTreeMap;

use crate::runbook::problem::Problem;
use crate::runbook::program::{Library, Looked, Program, load};
use crate::runbook::source::Source;
use crate::runbook::spec::{ActionSpec, ArgSpec, By, Effect, OutputSpec, RUN_CHILD, RUN_UNDO, Repeat, Seal};
use crate::runbook::types::Type;
use crate::script::value::{Map, Value};

/// Texts by name.
#[derive(Default)]
pub(crate) struct Shelf {
    actions: BTreeMap<String, String>,
    runbooks: BTreeMap<String, String>,
    modules: BTreeMap<String, String>,
}

impl Shelf {
    pub(crate) fn action(mut self, name: &str, body: &str) -> Shelf {
        self.actions.insert(name.to_owned(), format!("version: 1\ntitle: {name}\n{body}"));
        self
    }

    pub(crate) fn runbook(mut self, name: &str, body: &str) -> Shelf {
        self.runbooks.insert(name.to_owned(), format!("version: 1\ntitle: {name}\n{body}"));
        self
    }

    pub(crate) fn module(mut self, path: &str, text: &str) -> Shelf {
        self.modules.insert(path.to_owned(), text.to_owned());
        self
    }

    /// Checks a runbook that has this body after `version` and `title`.
    pub(crate) fn load(&self, body: &str) -> (Option<Program>, Vec<Problem>) {
        let specs = primitives();
        let text = format!("version: 1\ntitle: Test\n{body}");
        load("test", Source::new("test.yaml", text), self, &specs.iter().collect::<Vec<_>>())
    }

    /// Code and the text under the caret of each problem: `E0204 audti`.
    pub(crate) fn problems(&self, body: &str) -> Vec<String> {
        let (_, problems) = self.load(body);
        let under = |problem: &Problem| problem.source.text[problem.span.start..problem.span.end].to_owned();
        problems.iter().map(|problem| format!("{} {}", problem.code, under(problem))).collect()
    }
}

impl Library for Shelf {
    fn action(&self, name: &str) -> Looked {
        Ok(self.actions.get(name).map(|text| Source::new(format!("actions/{name}.yaml"), text.clone())))
    }

    fn runbook(&self, name: &str) -> Looked {
        Ok(self.runbooks.get(name).map(|text| Source::new(format!("runbooks/{name}.yaml"), text.clone())))
    }

    fn module(&self, path: &str) -> Looked {
        Ok(self.modules.get(path).map(|text| Source::new(format!("modules/{path}.rhai"), text.clone())))
    }

    fn action_names(&self) -> Vec<String> {
        self.actions.keys().cloned().collect()
    }

    fn runbook_names(&self) -> Vec<String> {
        self.runbooks.keys().cloned().chain([String::from("known-one")]).collect()
    }
}

/// Code and place of each problem of a runbook that uses only primitives.
pub(crate) fn problems(body: &str) -> Vec<String> {
    Shelf::default().problems(body)
}

/// `look.at` reads, `change.it` writes unless its method is GET, `set.it` writes and is repeatable, `run.note` and
/// `run.finish` are pure; `runbook`, `run.undo`, `time.sleep` and `human.ask` are as in the catalog.
pub(crate) fn primitives() -> Vec<ActionSpec> {
    let look = spec("look.at", Effect::Read, &[("url", Type::Url, true), ("tries", Type::Int, false)]);
    let change = spec("change.it", Effect::Write, &[("url", Type::Url, true), ("method", Type::String, false)]);
    let note = spec("run.note", Effect::Pure, &[("text", Type::String, true)]);
    let finish = spec("run.finish", Effect::Pure, &[("message", Type::String, false)]);
    let set = spec("set.it", Effect::Write, &[("url", Type::Url, true)]);
    let child = spec(RUN_CHILD, Effect::Destructive, &[("name", Type::String, true), ("inputs", Type::Map, false)]);
    let undo = spec(RUN_UNDO, Effect::Write, &[]);
    let sleep = spec("time.sleep", Effect::Read, &[("duration", Type::Duration, true)]);
    let args = [("text", Type::String, true), ("choices", Type::List, false), ("fields", Type::Map, false)];
    let ask = spec("human.ask", Effect::Read, &args);
    let answers = vec![output("answer", Type::Any), output("by", Type::String)];
    let outputs = vec![output("ok", Type::Bool), output("status", Type::Int)];
    vec![
        ActionSpec { outputs: outputs.clone(), ..look },
        ActionSpec { outputs, effect_of: Some(By::Arguments(by_method)), ..change },
        ActionSpec { repeat_of: Some(By::Arguments(|_| Repeat::Repeatable)), ..set },
        note,
        finish,
        child,
        undo,
        sleep,
        ActionSpec { outputs: answers, ..ask },
    ]
}

fn by_method(args: &Map) -> Effect {
    match args.get("method") {
        Some(Value::Text(method)) if method == "GET" => Effect::Read,
        _ => Effect::Write,
    }
}

fn spec(name: &str, effect: Effect, args: &[(&str, Type, bool)]) -> ActionSpec {
    let args = args.iter().map(|(name, ty, required)| ArgSpec {
        name: (*name).to_owned(),
        ty: ty.clone(),
        required: *required,
        default: None,
        doc: String::new(),
        fault: None,
    });
    ActionSpec {
        name: name.to_owned(),
        title: String::from("for tests"),
        effect,
        effect_of: None,
        repeat_of: None,
        args: args.collect(),
        outputs: Vec::new(),
        docs: String::new(),
    }
}

fn output(name: &str, ty: Type) -> OutputSpec {
    OutputSpec { name: name.to_owned(), ty, doc: String::new(), sealed: Seal::Named }
}
