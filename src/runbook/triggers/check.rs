//! What is wrong with a trigger beyond its form: what its expressions read and call, and whether the inputs it gives are
//! those that its runbook takes.

use std::sync::Arc;

use crate::runbook::check::{fits, only_read};
use crate::runbook::contexts::ALERT_FIELDS;
use crate::runbook::habits;
use crate::runbook::model::Input;
use crate::runbook::nearest::{did_you_mean, listed};
use crate::runbook::problem::Problem;
use crate::runbook::snippet::{Snippet, Template, TemplateNode};
use crate::runbook::source::Source;
use crate::runbook::triggers::read::{On, Trigger};
use crate::runbook::types::Type;
use crate::script::compile::{Call, Read, known_functions};

/// Checks a trigger against the inputs of the runbook it starts, called `runbook`. Without inputs, because that runbook is
/// not to be used, only what it says by itself.
pub fn check(trigger: &Trigger, source: &Arc<Source>, runbook: &str, inputs: Option<&[Input]>) -> Vec<Problem> {
    let mut checker = Checker { source, on: &trigger.on, problems: Vec::new() };
    for (key, template) in trigger.templates() {
        let mut snippets = Vec::new();
        template.snippets(&mut snippets);
        snippets.into_iter().for_each(|snippet| checker.snippet(snippet, key));
    }
    if let Some(inputs) = inputs {
        checker.given(trigger, runbook, inputs);
    }
    checker.problems
}

struct Checker<'c> {
    source: &'c Arc<Source>,
    on: &'c On,
    problems: Vec<Problem>,
}

impl Checker<'_> {
    fn snippet(&mut self, snippet: &Snippet, key: &str) {
        for read in &snippet.code.reads {
            self.read(snippet, read, key);
        }
        for call in &snippet.code.calls {
            self.call(snippet, call, key);
        }
    }

    fn read(&mut self, snippet: &Snippet, read: &Read, key: &str) {
        let span = snippet.locate(Some(read.position));
        if read.root != "alert" || matches!(self.on, On::Schedule(_)) {
            let message = format!("`{}` can't be read in `{key}` of a trigger", read.root);
            let help = match self.on {
                On::Alert(_) => format!("what can be read here: alert, with {}", listed(ALERT_FIELDS)),
                On::Schedule(_) => "a schedule has nothing to read: write the value itself".to_owned(),
            };
            self.problems.push(Problem::error("E0207", self.source, span, message).label("not known here").help(help));
            return;
        }
        let Some((field, position)) = read.path.first() else { return };
        if !ALERT_FIELDS.contains(&field.as_str()) {
            let help = did_you_mean(field, ALERT_FIELDS).unwrap_or_else(|| format!("it has {}", listed(ALERT_FIELDS)));
            let span = snippet.locate(Some(*position));
            let message = format!("an alert has no field `{field}`");
            self.problems.push(Problem::error("E0208", self.source, span, message).label("unknown field").help(help));
        }
    }

    fn call(&mut self, snippet: &Snippet, call: &Call, key: &str) {
        let own = snippet.code.functions.iter().any(|(name, _)| *name == call.name);
        let bound = snippet.code.bindings.iter().any(|(name, _)| *name == call.name);
        if !call.namespaced && (own || bound || known_functions().contains(&call.name)) {
            return;
        }
        let span = snippet.locate(Some(call.position));
        let problem = match call.namespaced {
            true => {
                let message =
                    format!("`{key}` of a trigger calls `{}`: nothing is looked at before a start", call.name);
                Problem::error("E0219", self.source, span, message).label("a call")
            }
            false => {
                let known = known_functions().iter().map(String::as_str);
                let help = habits::function(&call.name).map(str::to_owned).or_else(|| did_you_mean(&call.name, known));
                let message = format!("no function `{}`", call.name);
                Problem::error("E0214", self.source, span, message).label("unknown function").maybe_help(help)
            }
        };
        self.problems.push(problem);
    }

    /// Whether the inputs it gives are those that are taken, and of their types.
    fn given(&mut self, trigger: &Trigger, runbook: &str, inputs: &[Input]) {
        for (name, template) in &trigger.inputs {
            let Some(input) = inputs.iter().find(|input| input.name.value == name.value) else {
                let names = || inputs.iter().map(|input| input.name.value.as_str());
                let help = did_you_mean(&name.value, names()).unwrap_or_else(|| match inputs.is_empty() {
                    true => "it takes none".to_owned(),
                    false => format!("it takes {}", listed(names())),
                });
                let message = format!("runbook `{runbook}` has no input `{}`", name.value);
                let problem = Problem::error("E0202", self.source, name.span, message);
                self.problems.push(problem.label("unknown input").help(help));
                continue;
            };
            self.value(input, template);
        }
        let misspelt =
            trigger.inputs.iter().any(|(name, _)| !inputs.iter().any(|input| input.name.value == name.value));
        // A target may give what is missing, and so may the input that a misspelt name was meant to be.
        if trigger.target.is_some() || misspelt {
            return;
        }
        let given = |input: &&Input| trigger.inputs.iter().any(|(name, _)| name.value == input.name.value);
        let missing: Vec<&str> = inputs
            .iter()
            .filter(|input| input.required && !given(input))
            .map(|input| input.name.value.as_str())
            .collect();
        if !missing.is_empty() {
            let message = format!("this trigger doesn't give what runbook `{runbook}` needs: {}", listed(missing));
            let problem = Problem::error("E0203", self.source, trigger.span, message).label("needs `inputs`");
            self.problems.push(problem.help("give them under `inputs`, or name a `target` that has them"));
        }
    }

    fn value(&mut self, input: &Input, template: &Template) {
        let name = &input.name.value;
        let fault = match (&input.ty, template.literal()) {
            (Type::Secret, _) => Some("a secret is never given by an alert or a schedule: a target has it".to_owned()),
            (ty, Some(value)) => ty.accept(&value).err(),
            (ty, None) => type_of(template)
                .filter(|given| !fits(given, ty))
                .map(|given| format!("expected {}, got {}", ty.name(), given.name())),
        };
        if let Some(fault) = fault {
            let span = self.source.first_line(template.span);
            let help = match (template.literal(), &input.ty) {
                (None, Type::Int) => Some("labels are texts: `parse_int(…)` makes a number of one".to_owned()),
                (None, Type::List) => {
                    Some("labels are texts: `[…]` makes a list, `.split(\",\")` takes one apart".to_owned())
                }
                _ => None,
            };
            let problem = Problem::error("E0206", self.source, span, format!("input `{name}`: {fault}"));
            self.problems.push(problem.label("wrong type or value").maybe_help(help));
        }
    }
}

/// The type of what a template gives, if its text says it.
fn type_of(template: &Template) -> Option<Type> {
    match &template.node {
        TemplateNode::Literal(_) => None,
        TemplateNode::Mixed(_) => Some(Type::String),
        TemplateNode::List(_) => Some(Type::List),
        TemplateNode::Map(_) => Some(Type::Map),
        TemplateNode::Expression(snippet) => {
            let read = only_read(snippet)?;
            match (read.path.first().map(|(field, _)| field.as_str())?, read.path.len()) {
                ("labels" | "annotations", 1) => Some(Type::Map),
                ("labels" | "annotations", 2) => Some(Type::String),
                (_, 1) => Some(Type::String),
                _ => None,
            }
        }
    }
}
