//! What a runbook reaches: its actions, theirs, the runbooks they run, and the modules their scripts import.
//!
//! Reads each file once and says what follows for all of them together: effects, nesting, cycles,
//! number of steps. What stands inside a file is judged in `check/`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::runbook::defaults;
use crate::runbook::effects::{self, Callees};
use crate::runbook::gaps::Gaps;
use crate::runbook::lower::{Reading, read_partly};
use crate::runbook::model::{Block, Body, IfBusy, Kind, Runbook, Step};
use crate::runbook::modules::Modules;
use crate::runbook::problem::Problem;
use crate::runbook::program::{Library, Looked};
use crate::runbook::sites::{self, Site};
use crate::runbook::snippet::TemplateNode;
use crate::runbook::source::{Source, Span};
use crate::runbook::spec::{ActionSpec, ArgSpec, By, Effect, OutputSpec, RUN_UNDO, Repeat, Seal};
use crate::runbook::types::Type;
use crate::runbook::words;
use crate::script::compile::known_functions;

/// Actions and runbooks inside each other below a runbook: deeper than anything a person can follow during an
/// outage, and a bound for every recursion over them.
pub const ACTION_DEPTH_MAX: usize = 16;

/// Steps of one run, those of its actions included: bounds journal, plan and screen.
pub const STEPS_MAX: u64 = 10_000;

/// The file of an action or a called runbook, and what follows from it.
pub struct Action {
    pub runbook: Arc<Runbook>,
    pub source: Arc<Source>,
    pub spec: Arc<ActionSpec>,
    pub totals: Totals,
}

/// An action file with mistakes of form.
pub struct Partial {
    pub runbook: Runbook,
    pub source: Arc<Source>,
    pub gaps: Gaps,
}

/// What a file amounts to with everything below it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Effects of its steps, each once.
    pub effects: BTreeSet<Effect>,
    /// Levels of actions below it.
    pub depth: usize,
    /// Steps if every one of them runs; those of a `foreach` as often as its list is long, where that is known.
    pub steps: u64,
    /// Effects of what takes its steps back: had only by whoever asks for it.
    pub undo: BTreeSet<Effect>,
    /// It takes its own steps back (`run.undo`).
    pub undoes: bool,
    /// A write that may not be sent again at will: it can't be done again as a whole.
    pub has_unrepeatable: bool,
}

/// Everything a runbook reaches.
#[derive(Default)]
pub struct Reached {
    pub actions: BTreeMap<String, Action>,
    /// Runbooks it runs by `uses: runbook`.
    pub children: BTreeMap<String, Action>,
    /// Specs of all actions that are reached, primitives included.
    pub specs: BTreeMap<String, Arc<ActionSpec>>,
    /// Actions that exist but have no usable spec: their own problems are told, none that would follow.
    pub unusable: BTreeSet<String>,
    /// Those of the unusable that could be read in part: the rest of them is checked all the same.
    pub partial: Vec<Partial>,
    /// Runbooks likewise.
    pub unusable_children: BTreeSet<String>,
    pub modules: Modules,
}

impl Callees for Reached {
    fn action(&self, name: &str) -> Option<&ActionSpec> {
        self.specs.get(name).map(Arc::as_ref)
    }

    fn child(&self, name: &str) -> Option<&ActionSpec> {
        self.children.get(name).map(|child| child.spec.as_ref())
    }

    fn is_yaml(&self, name: &str) -> bool {
        self.actions.contains_key(name)
    }
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
    let path = vec![(runbook.kind, runbook.name.clone())];
    let mut walker = Walker { library, primitives, reached: Reached::default(), path, too_deep_told: false, problems };
    let totals = walker.file(runbook, source);
    (walker.reached, totals)
}

struct Walker<'a> {
    library: &'a dyn Library,
    primitives: BTreeMap<&'a str, &'a ActionSpec>,
    reached: Reached,
    /// The files being read, outermost first.
    path: Vec<(Kind, String)>,
    /// Depth is told once: every caller above would repeat it.
    too_deep_told: bool,
    problems: &'a mut Vec<Problem>,
}

/// Something a site calls that has a file.
struct Called<'s> {
    kind: Kind,
    name: &'s str,
    span: Span,
}

impl Walker<'_> {
    fn file(&mut self, file: &Runbook, source: &Arc<Source>) -> Totals {
        let mut totals = Totals::default();
        for block in sites::blocks(file) {
            self.block(block, source, &mut totals, 1);
        }
        if let Some(overlay) = &file.overlay {
            self.reached.modules.import(&overlay.script, self.library, self.problems);
        }
        if totals.undoes {
            totals.effects.extend(totals.undo.iter().copied());
        }
        totals
    }

    /// Adds what a block amounts to, if it runs so many times.
    fn block(&mut self, block: &Block, source: &Arc<Source>, totals: &mut Totals, times: u64) {
        for step in block.iter() {
            self.step(step, source, totals, times);
        }
    }

    fn step(&mut self, step: &Step, source: &Arc<Source>, totals: &mut Totals, times: u64) {
        let before = totals.steps;
        if step.body.inner().is_none() && !matches!(step.body, Body::Uses { .. }) {
            totals.effects.insert(Effect::Pure);
        }
        let times = match known_items(step) {
            // The list is a step beside its items.
            Some(items) => {
                totals.steps = totals.steps.saturating_add(times);
                times.saturating_mul(items)
            }
            None => times,
        };
        let mut own: u64 = 1;
        let mut greatest = 0;
        for site in sites::of_step(step) {
            totals.undoes |= site.name == RUN_UNDO;
            let inside = self.site(&site, source, totals);
            let is_a_step_of_its_own = matches!(step.body, Body::Script(_));
            own = own.saturating_add(inside + u64::from(is_a_step_of_its_own));
            greatest = greatest.max(inside);
        }
        totals.steps = totals.steps.saturating_add(own.saturating_mul(times));
        if let Body::Script(snippet) = &step.body {
            self.reached.modules.import(snippet, self.library, self.problems);
        }
        if step.body.inner().is_none() {
            effects::calls(step, &self.reached, &mut |call| {
                totals.effects.insert(call.effect);
                let again = !call.effect.changes_the_world() || call.repeat == Repeat::Repeatable;
                totals.has_unrepeatable |= !again;
            });
        }
        // Told where the count passes the limit, once: not again by everything that calls this file.
        if before <= STEPS_MAX && totals.steps > STEPS_MAX && greatest <= STEPS_MAX {
            let message = format!("this file comes to more than {STEPS_MAX} steps, its actions included");
            let help = "split it into runbooks that `suggest` each other";
            self.problem("E0225", message, source, step.span, "the limit is passed here", Some(help));
        }
        if let Some(inner) = step.body.inner() {
            self.block(inner, source, totals, times);
        }
        if let Some(settle) = &step.settle {
            self.block(&settle.steps, source, totals, times);
        }
        if let Some(undo) = &step.undo {
            let own = (std::mem::take(&mut totals.effects), totals.has_unrepeatable);
            self.block(&undo.block, source, totals, times);
            totals.undo.extend(std::mem::take(&mut totals.effects));
            (totals.effects, totals.has_unrepeatable) = own;
        }
    }

    /// Follows one call; gives the number of steps inside of what it calls.
    fn site(&mut self, site: &Site<'_>, source: &Arc<Source>, totals: &mut Totals) -> u64 {
        let child = site.child();
        let called = match &child {
            Some(child) => {
                self.primitive_called(site.name);
                Called { kind: Kind::Runbook, name: &child.value, span: child.span }
            }
            None if self.primitive_called(site.name) => return 0,
            None => Called { kind: Kind::Action, name: site.name, span: site.span },
        };
        let same = |(kind, name): &(Kind, String)| *kind == called.kind && name == called.name;
        if let Some(start) = self.path.iter().position(same) {
            self.circle(&called, start, source);
            return 0;
        }
        let Some(text) = self.known_or_new(&called) else { return 0 };
        self.called(&called, text, source);
        let Some(below) = self.read(&called).map(|below| below.totals.clone()) else { return 0 };
        totals.effects.extend(&below.effects);
        totals.undo.extend(&below.undo);
        totals.depth = totals.depth.max(below.depth + 1);
        if self.path.len() + below.depth > ACTION_DEPTH_MAX {
            self.too_deep(&called, source);
        }
        below.steps
    }

    /// Notes a primitive that is called; whether the name is one of a primitive.
    fn primitive_called(&mut self, name: &str) -> bool {
        let Some(spec) = self.primitives.get(name).copied() else { return false };
        self.primitive(spec);
        true
    }

    /// The contract of a primitive on this host.
    fn primitive(&mut self, spec: &ActionSpec) -> Arc<ActionSpec> {
        if let Some(known) = self.reached.specs.get(&spec.name) {
            return Arc::clone(known);
        }
        let here = Arc::new(spec.under(&self.library.commands()));
        self.reached.specs.insert(spec.name.clone(), Arc::clone(&here));
        if let Ok(Some(shadow)) = self.library.action(&spec.name) {
            let message = format!("action `{}` carries the name of a primitive", spec.name);
            let help = "a primitive can't be replaced: give the action another name";
            self.problem("E0226", message, &shadow, Span::default(), "never used", Some(help));
        }
        here
    }

    /// What is known of a called file, if it was read and can be used.
    fn read(&self, called: &Called<'_>) -> Option<&Action> {
        match called.kind {
            Kind::Action => self.reached.actions.get(called.name),
            Kind::Runbook => self.reached.children.get(called.name),
        }
    }

    fn unusable(&mut self, kind: Kind) -> &mut BTreeSet<String> {
        match kind {
            Kind::Action => &mut self.reached.unusable,
            Kind::Runbook => &mut self.reached.unusable_children,
        }
    }

    /// The text of a file that isn't read yet, or nothing to read if it is; `None` if there is no such file.
    fn known_or_new(&mut self, called: &Called<'_>) -> Option<Option<Arc<Source>>> {
        if self.read(called).is_some() || self.unusable(called.kind).contains(called.name) {
            return Some(None);
        }
        match look(self.library, called) {
            Ok(found) => found.map(Some),
            Err(problem) => {
                self.problems.push(*problem);
                self.unusable(called.kind).insert(called.name.to_owned());
                Some(None)
            }
        }
    }

    fn called(&mut self, called: &Called<'_>, text: Option<Arc<Source>>, caller: &Arc<Source>) {
        let Some(source) = text else { return };
        if self.path.len() > ACTION_DEPTH_MAX {
            self.too_deep(called, caller);
            self.unusable(called.kind).insert(called.name.to_owned());
            return;
        }
        let Reading { runbook, gaps, problems } = match self.library.readings() {
            Some(readings) => Arc::unwrap_or_clone(readings.file(called.kind, called.name, &source)),
            None => read_partly(called.name, called.kind, &source),
        };
        self.problems.extend(problems);
        let Some(runbook) = runbook else {
            self.unusable(called.kind).insert(called.name.to_owned());
            return;
        };
        let attaches = runbook.concurrency.as_ref().is_some_and(|concurrency| concurrency.if_busy == IfBusy::Attach);
        if called.kind == Kind::Runbook && attaches {
            let message = format!(
                "`{}` has `if_busy: attach`, and a step can't go on as another run: its outputs are not this run's",
                called.name
            );
            let help = "give it `if_busy: wait` or `refuse`, or start it by itself";
            self.problem("E0237", message, caller, called.span, "can't be attached to", Some(help));
        }
        if called.kind == Kind::Action && known_functions().contains(called.name) {
            let message = format!("action `{}` carries the name of a built-in function", called.name);
            let help = "scripts couldn't tell the two apart: give the action another name";
            self.problem("E0226", message, &source, Span::default(), "name taken", Some(help));
        }
        self.path.push((called.kind, called.name.to_owned()));
        let totals = self.file(&runbook, &source);
        self.path.pop();
        if gaps.any() {
            self.unusable(called.kind).insert(called.name.to_owned());
            self.reached.partial.push(Partial { runbook, source, gaps });
            return;
        }
        let runbook = Arc::new(defaults::applied(runbook, &self.reached));
        let spec = Arc::new(spec_of(&runbook, &totals));
        let read = Action { runbook, source, spec: spec.clone(), totals };
        match called.kind {
            Kind::Action => {
                self.reached.specs.insert(called.name.to_owned(), spec);
                self.reached.actions.insert(called.name.to_owned(), read);
            }
            Kind::Runbook => drop(self.reached.children.insert(called.name.to_owned(), read)),
        }
    }

    fn circle(&mut self, called: &Called<'_>, start: usize, caller: &Arc<Source>) {
        let names = self.path[start..].iter().map(|(_, name)| name.as_str());
        let circle: Vec<&str> = names.chain([called.name]).collect();
        let message = format!("{} `{}` calls itself: {}", word(called.kind), called.name, circle.join(" → "));
        let help = match called.kind {
            Kind::Action => "actions can't be recursive: repeat with `until`, or with a loop in a script",
            Kind::Runbook => "a run can't contain itself: repeat with `until` or `foreach`, or `suggest` it",
        };
        self.problem("E0223", message, caller, called.span, "closes the circle", Some(help));
        // The outermost file is in no list of what is called.
        self.unusable(called.kind).insert(called.name.to_owned());
    }

    fn too_deep(&mut self, called: &Called<'_>, caller: &Arc<Source>) {
        if std::mem::replace(&mut self.too_deep_told, true) {
            return;
        }
        let message = format!("{} `{}` is nested more than {ACTION_DEPTH_MAX} deep", word(called.kind), called.name);
        let label = "one level too many";
        self.problem("E0224", message, caller, called.span, label, None);
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

fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Action => "action",
        Kind::Runbook => "runbook",
    }
}

fn look(library: &dyn Library, called: &Called<'_>) -> Looked {
    match called.kind {
        Kind::Action => library.action(called.name),
        // What can't be a name is asked of no folder.
        Kind::Runbook if words::kebab_case_fault(called.name).is_some() => Ok(None),
        Kind::Runbook => library.runbook(called.name),
    }
}

/// The number of items of a `foreach`, if it stands in the text: a list, or a range of numbers.
fn known_items(step: &Step) -> Option<u64> {
    match &step.foreach.as_ref()?.items.node {
        TemplateNode::List(items) => Some(items.len() as u64),
        TemplateNode::Expression(snippet) => {
            let (first, last) = snippet.text.split_once("..")?;
            let (last, inclusive) = last.strip_prefix('=').map_or((last, false), |last| (last, true));
            let (first, last): (i64, i64) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
            let count = u64::try_from(last.checked_sub(first)?).unwrap_or(0);
            Some(count.saturating_add(u64::from(inclusive && last >= first)))
        }
        _ => None,
    }
}

/// The contract of an action or a called runbook, read off its file.
fn spec_of(file: &Runbook, totals: &Totals) -> ActionSpec {
    let args = file.inputs.iter().map(|input| ArgSpec {
        name: input.name.value.clone(),
        ty: input.ty.clone(),
        required: input.required && input.default.is_none(),
        default: input.default.clone(),
        doc: input.description.clone().unwrap_or_default(),
        fault: None,
    });
    let outputs = file.outputs.iter().map(|(name, _)| OutputSpec {
        name: name.value.clone(),
        ty: Type::Any,
        doc: String::new(),
        sealed: if file.sealed.contains(&name.value) { Seal::Always } else { Seal::Named },
    });
    let docs = [&file.meaning, &file.impact].into_iter().flatten().map(String::as_str).collect::<Vec<_>>();
    ActionSpec {
        name: file.name.clone(),
        title: file.title.clone(),
        effect: totals.effects.last().copied().unwrap_or(Effect::Pure),
        effect_of: None,
        // Only what holds for every write inside holds for the whole.
        repeat_of: (!totals.has_unrepeatable).then_some(By::Arguments(|_| Repeat::Repeatable)),
        args: args.collect(),
        outputs: outputs.collect(),
        docs: docs.join("\n\n"),
    }
}

#[cfg(test)]
mod tests;
