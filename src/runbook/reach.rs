//! What a runbook reaches: its actions, theirs, and the modules their scripts import.
//!
//! Reads each file once and says what follows for all of them together: effects, nesting, cycles,
//! number of steps. What stands inside a file is judged in `check/`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::runbook::lower::read_runbook;
use crate::runbook::model::{Body, Kind, Runbook};
use crate::runbook::modules::Modules;
use crate::runbook::problem::Problem;
use crate::runbook::program::Library;
use crate::runbook::sites::{self, Site};
use crate::runbook::source::{Source, Span};
use crate::runbook::spec::{ActionSpec, ArgSpec, Effect, OutputSpec};
use crate::runbook::types::Type;
use crate::script::compile::known_functions;

/// Actions inside actions below a runbook: deeper than anything a person can follow during an outage,
/// and a bound for every recursion over them.
pub const ACTION_DEPTH_MAX: usize = 16;

/// Steps of one run, those of its actions included: bounds journal, plan and screen.
pub const STEPS_MAX: u64 = 10_000;

/// An action file and what follows from it.
pub struct Action {
    pub runbook: Arc<Runbook>,
    pub source: Arc<Source>,
    pub spec: Arc<ActionSpec>,
    pub totals: Totals,
}

/// What a file amounts to with everything below it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Effects of its steps, each once.
    pub effects: BTreeSet<Effect>,
    /// Levels of actions below it.
    pub depth: usize,
    /// Steps if every one of them runs.
    pub steps: u64,
}

/// Everything a runbook reaches.
#[derive(Default)]
pub struct Reached {
    pub actions: BTreeMap<String, Action>,
    /// Specs of all actions that are reached, primitives included.
    pub specs: BTreeMap<String, Arc<ActionSpec>>,
    /// Actions that exist but have no usable spec: their own problems are told, none that would follow.
    pub unusable: BTreeSet<String>,
    pub modules: Modules,
}

/// Reads all that `runbook` reaches.
pub fn reach(
    runbook: &Runbook,
    source: &Arc<Source>,
    library: &dyn Library,
    primitives: &[&ActionSpec],
    problems: &mut Vec<Problem>,
) -> (Reached, Totals) {
    let primitives = primitives.iter().map(|spec| (spec.name.as_str(), *spec)).collect();
    let mut walker =
        Walker { library, primitives, reached: Reached::default(), path: Vec::new(), too_deep_told: false, problems };
    let totals = walker.file(runbook, source);
    (walker.reached, totals)
}

struct Walker<'a> {
    library: &'a dyn Library,
    primitives: BTreeMap<&'a str, &'a ActionSpec>,
    reached: Reached,
    /// The actions being read, outermost first.
    path: Vec<String>,
    /// Depth is told once: every caller above would repeat it.
    too_deep_told: bool,
    problems: &'a mut Vec<Problem>,
}

impl Walker<'_> {
    fn file(&mut self, file: &Runbook, source: &Arc<Source>) -> Totals {
        let mut totals = Totals::default();
        for step in sites::steps(file) {
            let before = totals.steps;
            totals.steps = totals.steps.saturating_add(1);
            if step.body.inner().is_none() && !matches!(step.body, Body::Uses { .. }) {
                totals.effects.insert(Effect::Pure);
            }
            let mut greatest = 0;
            for site in sites::of_step(step) {
                let inside = self.site(&site, source, &mut totals);
                let is_a_step_of_its_own = matches!(step.body, Body::Script(_));
                totals.steps = totals.steps.saturating_add(inside + u64::from(is_a_step_of_its_own));
                greatest = greatest.max(inside);
            }
            if let Body::Script(snippet) = &step.body {
                self.reached.modules.import(snippet, self.library, self.problems);
            }
            // Told where the count passes the limit, once: not again by everything that calls this file.
            if before <= STEPS_MAX && totals.steps > STEPS_MAX && greatest <= STEPS_MAX {
                let message = format!("this file comes to more than {STEPS_MAX} steps, its actions included");
                let help = "split it into runbooks that `suggest` each other";
                self.problem("E0225", message, source, step.span, "the limit is passed here", Some(help));
            }
        }
        totals
    }

    /// Follows one call; gives the number of steps inside the action.
    fn site(&mut self, site: &Site<'_>, source: &Arc<Source>, totals: &mut Totals) -> u64 {
        if let Some(spec) = self.primitives.get(site.name).copied() {
            totals.effects.insert(site.args.effect(spec));
            self.primitive(spec);
            return 0;
        }
        let Some(text) = self.known_or_new(site.name) else { return 0 };
        self.action(site, text, source);
        let Some(action) = self.reached.actions.get(site.name) else { return 0 };
        totals.effects.extend(&action.totals.effects);
        totals.depth = totals.depth.max(action.totals.depth + 1);
        if self.path.len() + 1 + action.totals.depth > ACTION_DEPTH_MAX {
            self.too_deep(site, source);
        }
        self.reached.actions.get(site.name).map_or(0, |action| action.totals.steps)
    }

    fn primitive(&mut self, spec: &ActionSpec) {
        if self.reached.specs.contains_key(&spec.name) {
            return;
        }
        self.reached.specs.insert(spec.name.clone(), Arc::new(spec.clone()));
        if let Ok(Some(shadow)) = self.library.action(&spec.name) {
            let message = format!("action `{}` carries the name of a primitive", spec.name);
            let help = "a primitive can't be replaced: give the action another name";
            self.problem("E0226", message, &shadow, Span::default(), "never used", Some(help));
        }
    }

    /// The text of an action that isn't read yet, or nothing to read if it is; `None` if there is no such action.
    fn known_or_new(&mut self, name: &str) -> Option<Option<Arc<Source>>> {
        if self.reached.actions.contains_key(name) || self.reached.unusable.contains(name) {
            return Some(None);
        }
        match self.library.action(name) {
            Ok(found) => found.map(Some),
            Err(problem) => {
                self.problems.push(*problem);
                self.reached.unusable.insert(name.to_owned());
                Some(None)
            }
        }
    }

    fn action(&mut self, site: &Site<'_>, text: Option<Arc<Source>>, caller: &Arc<Source>) {
        if let Some(start) = self.path.iter().position(|name| name == site.name) {
            let circle: Vec<&str> = self.path[start..].iter().map(String::as_str).chain([site.name]).collect();
            let message = format!("action `{}` calls itself: {}", site.name, circle.join(" → "));
            let help = "actions can't be recursive: repeat with `until`, or with a loop in a script";
            self.problem("E0223", message, caller, site.span, "closes the circle", Some(help));
            return;
        }
        let Some(source) = text else { return };
        if self.path.len() >= ACTION_DEPTH_MAX {
            self.too_deep(site, caller);
            self.reached.unusable.insert(site.name.to_owned());
            return;
        }
        let (runbook, found) = read_runbook(site.name, Kind::Action, &source);
        self.problems.extend(found);
        let Some(runbook) = runbook else {
            self.reached.unusable.insert(site.name.to_owned());
            return;
        };
        if known_functions().contains(site.name) {
            let message = format!("action `{}` carries the name of a built-in function", site.name);
            let help = "scripts couldn't tell the two apart: give the action another name";
            self.problem("E0226", message, &source, Span::default(), "name taken", Some(help));
        }
        self.path.push(site.name.to_owned());
        let totals = self.file(&runbook, &source);
        self.path.pop();
        let spec = Arc::new(spec_of(&runbook, &totals));
        self.reached.specs.insert(runbook.name.clone(), spec.clone());
        let action = Action { runbook: Arc::new(runbook), source, spec, totals };
        self.reached.actions.insert(site.name.to_owned(), action);
    }

    fn too_deep(&mut self, site: &Site<'_>, caller: &Arc<Source>) {
        if std::mem::replace(&mut self.too_deep_told, true) {
            return;
        }
        let message = format!("action `{}` is nested more than {ACTION_DEPTH_MAX} deep", site.name);
        let label = "one level too many";
        self.problem("E0224", message, caller, site.span, label, None);
    }

    fn problem(
        &mut self,
        code: &'static str,
        message: String,
        source: &Arc<Source>,
        span: Span,
        label: &str,
        help: Option<&str>,
    ) {
        let problem = Problem::error(code, source, span, message).label(label);
        self.problems.push(problem.maybe_help(help.map(str::to_owned)));
    }
}

/// The contract of an action, read off its file.
fn spec_of(file: &Runbook, totals: &Totals) -> ActionSpec {
    let args = file.inputs.iter().map(|input| ArgSpec {
        name: input.name.value.clone(),
        ty: input.ty.clone(),
        required: input.required && input.default.is_none(),
        default: input.default.clone(),
        doc: input.description.clone().unwrap_or_default(),
        fault: None,
    });
    let outputs =
        file.outputs.iter().map(|(name, _)| OutputSpec { name: name.value.clone(), ty: Type::Any, doc: String::new() });
    let docs = [&file.meaning, &file.impact].into_iter().flatten().map(String::as_str).collect::<Vec<_>>();
    ActionSpec {
        name: file.name.clone(),
        title: file.title.clone(),
        effect: totals.effects.last().copied().unwrap_or(Effect::Pure),
        effect_of: None,
        repeat_of: None,
        args: args.collect(),
        outputs: outputs.collect(),
        docs: docs.join("\n\n"),
    }
}

#[cfg(test)]
mod tests;
