//! One file from top to bottom: every snippet at its place, with what it can see there.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::runbook::model::{Block, Body, Foreach, Runbook, Step};
use crate::runbook::nearest::{did_you_mean, listed};
use crate::runbook::problem::Problem;
use crate::runbook::sites;
use crate::runbook::snippet::{Snippet, Template};
use crate::runbook::source::{Source, Span};
use crate::runbook::types::Type;
use crate::script::value::Value;

use super::facts::Facts;
use super::place::Place;
use super::scope::{self, Given, Scope};
use super::unused::Used;

/// Checks one file against its surroundings.
pub fn check(file: &Runbook, source: &Arc<Source>, facts: &Facts<'_>) -> Vec<Problem> {
    let mut blocks_of_steps = BTreeMap::new();
    for (block, name) in sites::blocks(file).into_iter().zip(BLOCKS) {
        crate::runbook::model::walk(block, &mut |step| {
            blocks_of_steps.insert(step.id.clone(), name);
        });
    }
    let mut checker =
        Checker { file, source, facts, blocks_of_steps, vars_known: 0, used: Used::default(), problems: Vec::new() };
    checker.run();
    checker.problems
}

/// The keys of the blocks of [`sites::blocks`].
const BLOCKS: [&str; 3] = ["steps", "on_failure", "finally"];

/// A file being checked.
pub(super) struct Checker<'a> {
    pub(super) file: &'a Runbook,
    pub(super) source: &'a Arc<Source>,
    pub(super) facts: &'a Facts<'a>,
    /// Every step id with the key of the block it stands in.
    pub(super) blocks_of_steps: BTreeMap<String, &'static str>,
    /// Vars computed before the one being checked.
    pub(super) vars_known: usize,
    pub(super) used: Used<'a>,
    problems: Vec<Problem>,
}

/// What can be seen from one place.
pub(super) struct View<'v, 'a> {
    pub(super) scope: &'v Scope<'a>,
    /// Conditions that hold here.
    pub(super) guards: &'v [&'a Snippet],
    /// Ids of the groups around this place.
    pub(super) around: &'v [&'a str],
    /// The key of the block this place stands in.
    pub(super) block: &'static str,
    /// The step this place belongs to.
    pub(super) step: Option<&'a str>,
    /// What `result` is here.
    pub(super) result: Option<Given>,
    /// How the items of the innermost `foreach` around this place are gone through; `None` outside of one.
    pub(super) each: Option<Items>,
}

/// How a `foreach` goes through its items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Items {
    OneByOne,
    SideBySide,
}

/// The way down to a step.
struct Way<'a> {
    block: &'static str,
    guards: Vec<&'a Snippet>,
    around: Vec<&'a str>,
    each: Option<Items>,
}

impl<'a> Way<'a> {
    fn new(block: &'static str) -> Way<'a> {
        Way { block, guards: Vec::new(), around: Vec::new(), each: None }
    }

    fn view<'v>(&'v self, scope: &'v Scope<'a>, step: Option<&'a str>, result: Option<Given>) -> View<'v, 'a> {
        View { scope, guards: &self.guards, around: &self.around, block: self.block, step, result, each: self.each }
    }
}

impl<'a> Checker<'a> {
    fn run(&mut self) {
        let file = self.file;
        let nothing = Scope::default();
        for (index, (_, template)) in file.vars.iter().enumerate() {
            self.vars_known = index;
            self.template(template, Place::Var, &Way::new("vars").view(&nothing, None, None));
        }
        self.vars_known = file.vars.len();

        let [main, on_failure, finally] = sites::blocks(file);
        let mut after_main = Scope::default();
        self.block(main, &mut after_main, &mut Way::new(BLOCKS[0]));
        self.block(on_failure, &mut after_main.after_the_run(), &mut Way::new(BLOCKS[1]));
        self.block(finally, &mut after_main.after_the_run(), &mut Way::new(BLOCKS[2]));

        let scope = after_main.after_success();
        let way = Way::new("outputs");
        for (_, template) in &file.outputs {
            self.template(template, Place::Outputs, &way.view(&scope, None, None));
        }
        self.unused();
    }

    fn block(&mut self, block: &'a Block, scope: &mut Scope<'a>, way: &mut Way<'a>) {
        for step in block.iter() {
            self.step(step, scope, way);
        }
    }

    fn step(&mut self, step: &'a Step, scope: &mut Scope<'a>, way: &mut Way<'a>) {
        let id = Some(step.id.as_str());
        let view = way.view(scope, id, None);
        if let Some(condition) = &step.condition {
            self.condition(condition, Place::If, &view);
            self.constant(condition);
        }
        if let Some(foreach) = &step.foreach {
            self.foreach(foreach, &view);
        }
        if let Some(within) = &step.within {
            self.time(within, "within", &view);
        }
        let mark = scope.mark();
        way.guards.extend(&step.condition);
        let each = way.each;
        way.each = step.foreach.as_ref().map(items).or(each);
        if let Some(name) = &step.name {
            self.template(name, Place::Name, &way.view(scope, id, None));
        }
        if let Some(inner) = step.body.inner() {
            way.around.push(&step.id);
            self.block(inner, scope, way);
            way.around.pop();
        }
        self.body(step, &way.view(scope, id, None));
        let result = Some(scope::result_of(step, self.facts));
        self.timing(step, &way.view(scope, id, result.clone()));
        for (_, template) in step.outputs.iter().flatten() {
            self.template(template, Place::StepOutputs, &way.view(scope, id, result.clone()));
        }
        way.each = each;
        way.guards.truncate(way.guards.len() - usize::from(step.condition.is_some()));
        if step.body.inner().is_some() {
            scope.leave_group(step, mark);
        }
        scope.leave(step, self.facts);
    }

    fn body(&mut self, step: &'a Step, view: &View<'_, 'a>) {
        match &step.body {
            Body::Uses { action, with } => self.uses(action, with, view),
            Body::Script(snippet) => {
                self.snippet(snippet, Place::Script, view);
                self.script(snippet);
            }
            Body::Assert(assertions) => {
                for assertion in assertions {
                    self.condition(&assertion.that, Place::Assert, view);
                    if let Some(otherwise) = &assertion.otherwise {
                        self.template(otherwise, Place::Else, view);
                    }
                }
            }
            Body::Findings(rules) => {
                for rule in rules {
                    self.condition(&rule.when, Place::When, view);
                    // What is said is evaluated only where `when` holds.
                    let guards: Vec<&Snippet> = view.guards.iter().copied().chain([&rule.when]).collect();
                    let view = View { guards: &guards, result: None, ..*view };
                    self.template(&rule.say, Place::Say, &view);
                    let Some(suggest) = &rule.suggest else { continue };
                    self.suggested(&suggest.runbook.value, suggest.runbook.span);
                    for (_, template) in &suggest.with {
                        self.template(template, Place::Suggest, &view);
                    }
                }
            }
            Body::Steps(_) | Body::Parallel(_) => {}
        }
    }

    /// A snippet that must give a bool.
    pub(super) fn condition(&mut self, snippet: &'a Snippet, place: Place, view: &View<'_, 'a>) {
        self.snippet(snippet, place, view);
        if let Some(ty) = self.type_of(snippet, view)
            && !matches!(ty, Type::Bool | Type::Any | Type::Secret)
        {
            let message = format!("`{}` needs true or false, got {} {}", place.key(), article(&ty), ty.name());
            let help = "nothing is true by itself here: compare it with something";
            self.push(self.error("E0227", snippet.locate(None), message, "never a bool").help(help));
        }
    }

    fn constant(&mut self, condition: &'a Snippet) {
        let word = condition.text.trim();
        if word == "true" || word == "false" {
            let message = format!("`if` is always {word}");
            let help = if word == "true" { "leave the key out" } else { "take the step out" };
            self.push(self.warning("W0404", condition.locate(None), message, "depends on nothing").help(help));
        }
    }

    /// Every snippet of a template.
    pub(super) fn template(&mut self, template: &'a Template, place: Place, view: &View<'_, 'a>) {
        let mut snippets = Vec::new();
        template.snippets(&mut snippets);
        for snippet in snippets {
            self.snippet(snippet, place, view);
        }
    }

    fn snippet(&mut self, snippet: &'a Snippet, place: Place, view: &View<'_, 'a>) {
        self.reads(snippet, place, view);
        self.names(snippet, place);
    }

    fn suggested(&mut self, runbook: &str, span: Span) {
        let names = self.facts.library.runbook_names();
        if !names.iter().any(|name| name == runbook) {
            let message = format!("no runbook `{runbook}`");
            let known = names.iter().map(String::as_str);
            let help = did_you_mean(runbook, known.clone()).or_else(|| match names.is_empty() {
                true => None,
                false => Some(format!("there are {}", listed(known))),
            });
            self.push(self.warning("W0405", span, message, "unknown runbook").maybe_help(help));
        }
    }

    pub(super) fn push(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    pub(super) fn error(&self, code: &'static str, span: Span, message: impl Into<String>, label: &str) -> Problem {
        Problem::error(code, self.source, span, message).label(label)
    }

    pub(super) fn warning(&self, code: &'static str, span: Span, message: impl Into<String>, label: &str) -> Problem {
        Problem::warning(code, self.source, span, message).label(label)
    }
}

/// How a `foreach` goes through its items: one by one only if that is certain.
fn items(foreach: &Foreach) -> Items {
    match &foreach.max_parallel {
        None => Items::OneByOne,
        Some(width) if width.literal() == Some(Value::Int(1)) => Items::OneByOne,
        Some(_) => Items::SideBySide,
    }
}

/// `a` or `an` before the word of a type.
pub(super) fn article(ty: &Type) -> &'static str {
    if ty.name().starts_with(['a', 'e', 'i', 'o']) { "an" } else { "a" }
}
