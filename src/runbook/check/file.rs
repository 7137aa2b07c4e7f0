//! One file from top to bottom: every snippet at its place, with what it can see there.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::runbook::effects;
use crate::runbook::gaps::Gaps;
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

/// Checks one file against its surroundings. Nothing is said that may follow from what `gaps` hide.
pub fn check(file: &Runbook, source: &Arc<Source>, gaps: &Gaps, facts: &Facts<'_>) -> Vec<Problem> {
    let mut stands = BTreeMap::new();
    for (block, name) in sites::blocks(file).into_iter().zip(BLOCKS) {
        stand(block, name, None, None, &mut stands);
    }
    let used = Used::default();
    let mut checker = Checker { file, source, gaps, facts, stands, vars_known: 0, used, problems: Vec::new() };
    checker.run();
    checker.problems.retain(|problem| !gaps.speaks_of(problem.span));
    checker.problems
}

/// The key of what is said of an action before it writes.
pub(super) const PLAN: &str = "plan";

/// The key of what takes a step back.
pub(super) const UNDO: &str = "undo";

/// Where a step stands in its file.
pub(super) struct Stand<'a> {
    /// The key of the block.
    pub(super) block: &'static str,
    /// The step it stands in.
    pub(super) parent: Option<&'a Step>,
    /// The key of that step it stands below, if that is not its body: `settle` or `undo`.
    pub(super) aside: Option<&'static str>,
}

fn stand<'a>(
    block: &'a Block,
    name: &'static str,
    parent: Option<&'a Step>,
    aside: Option<&'static str>,
    stands: &mut BTreeMap<&'a str, Stand<'a>>,
) {
    for step in block.iter() {
        stands.insert(&step.id, Stand { block: name, parent, aside });
        if let Some(inner) = step.body.inner() {
            stand(inner, name, Some(step), None, stands);
        }
        if let Some(settle) = &step.settle {
            stand(&settle.steps, name, Some(step), Some("settle"), stands);
        }
        // Its own step goes by the id of the one it takes back.
        if let Some(inner) = step.undo.as_ref().and_then(|undo| undo.step().body.inner()) {
            stand(inner, name, Some(step), Some(UNDO), stands);
        }
    }
}

/// The keys of the blocks of [`sites::blocks`].
const BLOCKS: [&str; 3] = ["steps", "on_failure", "finally"];

/// A file being checked.
pub(super) struct Checker<'a> {
    pub(super) file: &'a Runbook,
    pub(super) source: &'a Arc<Source>,
    pub(super) gaps: &'a Gaps,
    pub(super) facts: &'a Facts<'a>,
    /// Every step of the file by id.
    pub(super) stands: BTreeMap<&'a str, Stand<'a>>,
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
pub(super) struct Way<'a> {
    pub(super) block: &'static str,
    guards: Vec<&'a Snippet>,
    around: Vec<&'a str>,
    each: Option<Items>,
    /// It leads through what takes a step back.
    pub(super) undoes: bool,
}

impl<'a> Way<'a> {
    fn new(block: &'static str) -> Way<'a> {
        Way { block, guards: Vec::new(), around: Vec::new(), each: None, undoes: false }
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
        self.whole(&Way::new("steps").view(&nothing, None, None));

        let [main, on_failure, finally] = sites::blocks(file);
        let mut after_main = Scope::default();
        let before_writing = self.main(main, &mut after_main);
        for (block, name) in [(on_failure, BLOCKS[1]), (finally, BLOCKS[2])] {
            if !block.is_empty() {
                self.block(block, &mut after_main.after_the_run(), &mut Way::new(name));
            }
        }

        let scope = after_main.after_success();
        let way = Way::new("outputs");
        for (_, template) in &file.outputs {
            self.template(template, Place::Outputs, &way.view(&scope, None, None));
        }
        self.sealed_outputs(&way.view(&scope, None, None));
        if let Some(plan) = &file.plan {
            let before_writing = before_writing.as_ref().unwrap_or(&after_main);
            self.plan(plan, &Way::new(PLAN).view(before_writing, None, None));
        }
        if let Some(overlay) = &file.overlay {
            self.overlay(overlay, &Way::new("overlay").view(&scope, None, None));
        }
        // What could not be read may be what reads them.
        if !self.gaps.any() {
            self.unused();
        }
    }

    /// The main steps; gives what was to be seen before the first of them that writes, if the file has a `plan` and writes.
    fn main(&mut self, block: &'a Block, scope: &mut Scope<'a>) -> Option<Scope<'a>> {
        let mut way = Way::new(BLOCKS[0]);
        let mut before_writing = None;
        for step in block.iter() {
            let wanted = before_writing.is_none() && self.file.plan.is_some();
            if wanted && effects::first_write(step, self.facts.reached).is_some() {
                before_writing = Some(scope.clone());
            }
            self.step(step, scope, &mut way);
        }
        before_writing
    }

    fn block(&mut self, block: &'a Block, scope: &mut Scope<'a>, way: &mut Way<'a>) {
        for step in block.iter() {
            self.step(step, scope, way);
        }
    }

    pub(super) fn step(&mut self, step: &'a Step, scope: &mut Scope<'a>, way: &mut Way<'a>) {
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
        self.approval(step, &view);
        let mark = scope.mark();
        way.guards.extend(&step.condition);
        let each = way.each;
        way.each = step.foreach.as_ref().map(items).or(each);
        if let Some(name) = &step.name {
            self.template(name, Place::Name, &way.view(scope, id, None));
        }
        self.inside(step, scope, way);
        // What a step with a mistake of form takes and gives is not known.
        let hidden = self.gaps.hides_step_at(step.span);
        self.body(step, &way.view(scope, id, None));
        self.of_undo(step, way);
        self.reveal(step, &way.view(scope, id, None));
        self.of_a_write(step, scope, way);
        let result = if hidden { Given::Open } else { scope::result_of(step, self.facts) };
        let looked_at = if hidden { Given::Open } else { scope::looked_at(step, &result) };
        self.timing(step, &way.view(scope, id, Some(looked_at)));
        for (_, template) in step.outputs.iter().flatten() {
            self.template(template, Place::StepOutputs, &way.view(scope, id, Some(result.clone())));
        }
        self.taken_back(step, scope, way);
        way.each = each;
        way.guards.truncate(way.guards.len() - usize::from(step.condition.is_some()));
        if step.foreach.is_some() {
            // Each item has steps of its own: seen from outside there is only the list of their outputs.
            scope.take_since(mark);
        } else if step.body.inner().is_some() {
            scope.leave_group(step, mark);
        }
        scope.leave(step, hidden, &result);
    }

    /// The steps inside a group, each with what it can see.
    fn inside(&mut self, step: &'a Step, scope: &mut Scope<'a>, way: &mut Way<'a>) {
        way.around.push(&step.id);
        match &step.body {
            Body::Steps(inner) => self.block(inner, scope, way),
            Body::Parallel(branches) => {
                let (mark, before) = (scope.mark(), scope.finished());
                let mut finished = before;
                let mut hidden = Vec::new();
                for branch in branches.iter() {
                    self.step(branch, scope, way);
                    hidden.extend(scope.take_since(mark));
                    finished |= scope.finished();
                    scope.set_finished(before);
                }
                scope.put_back(hidden);
                scope.set_finished(finished);
                self.same_writes(branches);
            }
            Body::Uses { .. } | Body::Script(_) | Body::Assert(_) | Body::Findings(_) => {}
        }
        way.around.pop();
    }

    /// What a step says of its write; the steps that settle its doubts see what it sees.
    fn of_a_write(&mut self, step: &'a Step, scope: &mut Scope<'a>, way: &mut Way<'a>) {
        self.trust(step);
        if let Some(leaves) = &step.leaves {
            self.leaves(leaves, &way.view(scope, Some(&step.id), None));
        }
        let Some(settle) = &step.settle else { return };
        let mark = scope.mark();
        way.around.push(&step.id);
        self.block(&settle.steps, scope, way);
        way.around.pop();
        let view = way.view(scope, Some(&step.id), None);
        self.condition(&settle.happened, Place::Settles("happened"), &view);
        if let Some(not_happened) = &settle.not_happened {
            self.condition(not_happened, Place::Settles("not_happened"), &view);
        }
        for (_, template) in &settle.outputs {
            self.template(template, Place::Adopted, &view);
        }
        scope.take_since(mark);
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

    pub(super) fn snippet(&mut self, snippet: &'a Snippet, place: Place, view: &View<'_, 'a>) {
        self.reads(snippet, place, view);
        self.names(snippet, place);
    }

    fn suggested(&mut self, runbook: &str, span: Span) {
        let names = self.facts.runbook_names();
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
pub(super) fn items(foreach: &Foreach) -> Items {
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
