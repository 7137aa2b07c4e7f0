//! What a snippet reads: contexts of its place, declared names, earlier steps, known fields.

use crate::runbook::contexts::{
    EACH_FIELDS, ERROR_FIELDS, FOREACH_FIELDS, OUTCOMES, PREVIOUS_FIELDS, RUN_FIELDS, RUN_OUTCOMES, STEP_FIELDS,
};
use crate::runbook::model::Body;
use crate::runbook::nearest::{did_you_mean, listed};
use crate::runbook::providers::PROVIDERS;
use crate::runbook::sealing::Sealing;
use crate::runbook::snippet::Snippet;
use crate::runbook::source::Span;
use crate::runbook::types::Type;
use crate::script::address;
use crate::script::compile::Read;

use super::file::{Checker, Items, PLAN, UNDO, View};
use super::place::Place;
use super::scope::{Given, Seen};
use super::sealed::tells_apart;

impl<'a> Checker<'a> {
    /// Checks every read of a snippet.
    pub(super) fn reads(&mut self, snippet: &'a Snippet, place: Place, view: &View<'_, 'a>) {
        for read in &snippet.code.reads {
            self.read(snippet, read, place, view);
        }
        for (read, word, position) in &snippet.code.comparisons {
            let span = snippet.locate_text(*position, word);
            if read.method.is_none() && self.sealed_read(read, view).is_some() {
                let message = format!("sealed value `{}` is compared with a text", dotted(read));
                let help = "the step `secret.compare` compares it; `same_as` tells two sealed values apart";
                self.push(self.error("E0218", span, message, "compared with this").help(help));
                continue;
            }
            if self.is_secret(read) {
                // A place that takes no secrets at all has said so already.
                if place.takes_secrets().is_ok() {
                    self.push(
                        self.error(
                            "E0218",
                            span,
                            format!("secret `{}` is compared", dotted(read)),
                            "compared with this",
                        )
                        .help("nothing looks into a secret; it can only be passed on"),
                    );
                }
                continue;
            }
            self.compared_outcome(read, word, span);
        }
    }

    fn read(&mut self, snippet: &'a Snippet, read: &'a Read, place: Place, view: &View<'_, 'a>) {
        let at = snippet.locate(Some(read.position));
        let root = read.root.as_str();
        if !place.sees(root) {
            let message = format!("`{root}` can't be read in `{}`", place.key());
            let help = match root {
                "alert" => {
                    "a run may have started without one: pass what it needs as an input, in `triggers`".to_owned()
                }
                _ => format!("what can be read here: {}", listed(place.contexts(view.each.is_some()))),
            };
            self.push(self.error("E0207", at, message, "not known here").help(help));
            return;
        }
        match root {
            "inputs" => self.input(snippet, read, place),
            "vars" => self.var(snippet, read, place),
            "secrets" => self.secret(snippet, read, place),
            "steps" => {
                self.step_read(snippet, read, view);
                self.sealed_use(snippet, read, place, view);
            }
            "run" => self.run_read(snippet, read),
            "result" => {
                self.result_read(snippet, read, view);
                self.sealed_use(snippet, read, place, view);
            }
            "each" => self.each_read(snippet, read, view),
            _ => {}
        }
    }

    fn input(&mut self, snippet: &'a Snippet, read: &'a Read, place: Place) {
        let Some((name, position)) = read.path.first() else {
            self.used.all_inputs = true;
            return;
        };
        let span = snippet.locate(Some(*position));
        let file = self.file;
        let Some(input) = file.inputs.iter().find(|input| input.name.value == *name) else {
            if self.gaps.may_declare("inputs", name) {
                return;
            }
            let known = file.inputs.iter().map(|input| input.name.value.as_str());
            let help = did_you_mean(name, known);
            self.push(
                self.error("E0208", span, format!("no input `{name}` is declared"), "unknown input").maybe_help(help),
            );
            return;
        };
        self.used.inputs.insert(&input.name.value);
        if input.ty == Type::Secret && !tells_apart(snippet) {
            self.shown_secret(whole(snippet, read), &dotted(read), place);
        }
        if let (Type::Url, Some((field, position))) = (&input.ty, read.path.get(1)) {
            self.field(field, snippet.locate(Some(*position)), "a url", &address::PARTS);
        }
    }

    fn var(&mut self, snippet: &'a Snippet, read: &'a Read, place: Place) {
        let Some((name, position)) = read.path.first() else {
            self.used.all_vars = true;
            return;
        };
        let span = snippet.locate(Some(*position));
        let file = self.file;
        let Some(index) = file.vars.iter().position(|(var, _)| var.value == *name) else {
            if self.gaps.may_declare("vars", name) {
                return;
            }
            let help = did_you_mean(name, file.vars.iter().map(|(var, _)| var.value.as_str()));
            self.push(
                self.error("E0208", span, format!("no var `{name}` is declared"), "unknown var").maybe_help(help),
            );
            return;
        };
        self.used.vars.insert(&file.vars[index].0.value);
        if place == Place::Var && index >= self.vars_known {
            let message = format!("var `{name}` is read before it is computed");
            self.push(
                self.error("E0208", span, message, "not computed yet")
                    .help("vars are computed in the order they are written"),
            );
        }
    }

    fn secret(&mut self, snippet: &'a Snippet, read: &'a Read, place: Place) {
        let Some((name, position)) = read.path.first() else {
            let span = snippet.locate(Some(read.position));
            self.push(
                self.error("E0208", span, String::from("`secrets` is read without a name"), "which one?")
                    .help("name the secret: `secrets.NAME`"),
            );
            self.used.all_secrets = true;
            return;
        };
        let span = snippet.locate(Some(*position));
        let file = self.file;
        let Some(declared) = file.secrets.iter().find(|secret| secret.value == *name) else {
            if self.gaps.may_declare("secrets", name) {
                return;
            }
            let help = did_you_mean(name, file.secrets.iter().map(|secret| secret.value.as_str()))
                .unwrap_or_else(|| format!("list it on top: `secrets: [{name}]`"));
            self.push(
                self.error("E0208", span, format!("no secret `{name}` is declared"), "unknown secret").help(help),
            );
            return;
        };
        self.used.secrets.insert(&declared.value);
        if !tells_apart(snippet) {
            self.shown_secret(whole(snippet, read), &dotted(read), place);
        }
        if let Some((field, position)) = read.path.get(1) {
            let span = snippet.locate(Some(*position));
            self.push(
                self.error("E0218", span, format!("secret `{name}` has no field `{field}`"), "a secret is one text")
                    .help("nothing looks into a secret; it can only be passed on"),
            );
        }
    }

    /// A secret at a place that takes none is an error.
    fn shown_secret(&mut self, span: Span, name: &str, place: Place) {
        if let Err(why) = place.takes_secrets() {
            let message = format!("secret `{name}` can't stand in `{}`", place.key());
            self.push(
                self.error("E0218", span, message, why)
                    .help("pass it to the argument of a step that sends it, such as `headers`"),
            );
        }
    }

    fn is_secret(&self, read: &Read) -> bool {
        match (read.root.as_str(), read.path.first()) {
            ("secrets", _) => true,
            ("inputs", Some((name, _))) => {
                self.file.inputs.iter().any(|input| input.name.value == *name && input.ty == Type::Secret)
            }
            _ => false,
        }
    }

    fn step_read(&mut self, snippet: &'a Snippet, read: &'a Read, view: &View<'_, 'a>) {
        let Some((id, position)) = read.path.first() else {
            let span = snippet.locate(Some(read.position));
            let message = String::from("which step is read here can't be told before the run");
            self.push(
                self.error("E0209", span, message, "needs the id of a step")
                    .help("write `steps.ID`, or `steps[\"ID\"]`"),
            );
            return;
        };
        let span = snippet.locate(Some(*position));
        let Some(seen) = view.scope.get(id) else {
            self.unseen_step(id, span, view);
            return;
        };
        let Some((field, position)) = read.path.get(1) else { return };
        let field_span = snippet.locate(Some(*position));
        let known = if seen.step.foreach.is_some() { FOREACH_FIELDS.as_slice() } else { STEP_FIELDS.as_slice() };
        self.field(field, field_span, &format!("step `{id}`"), known);
        match (field.as_str(), read.path.get(2)) {
            ("error", Some((key, position))) => {
                let span = snippet.locate(Some(*position));
                self.field(key, span, &format!("the error of step `{id}`"), &ERROR_FIELDS);
            }
            ("outputs", key) => {
                if let Some(doubt) = unguarded(seen, snippet, view)
                    && !self.may_be_guarded(field_span, view)
                {
                    let message = format!("outputs of step `{id}` are read, but it {doubt}");
                    self.push(
                        self.warning("W0401", field_span, message, "reading them is an error then")
                            .help(format!("ask `steps.{id}.outcome == \"done\"` first")),
                    );
                }
                let key = key.map(|(name, position)| (name.as_str(), snippet.locate(Some(*position))));
                self.output(&seen.given, &format!("step `{id}`"), key, field_span);
            }
            _ => {}
        }
    }

    /// Whether a mistake of form may hide the condition that guards a place.
    fn may_be_guarded(&self, place: Span, view: &View<'_, 'a>) -> bool {
        let mut asked = view.guards.iter().flat_map(|guard| asked_for_done(guard));
        let lost = |step: &str| match view.scope.get(step) {
            Some(seen) => self.gaps.hides_conditions_at(seen.step.span),
            None => self.gaps.any(),
        };
        self.gaps.hides_conditions_at(place) || asked.any(lost)
    }

    /// An id that can't be read here: says whether it stands elsewhere or nowhere.
    fn unseen_step(&mut self, id: &str, span: Span, view: &View<'_, 'a>) {
        let (message, label, help) = if view.step == Some(id) {
            let help = "in `until` and `outputs`, `result` is what the step itself gave";
            (format!("step `{id}` can't read itself"), "this step", Some(help.to_owned()))
        } else if let Some(stand) = self.stands.get(id) {
            match stand.block == view.block {
                true if view.around.contains(&id) => {
                    (format!("step `{id}` stands around this place"), "not over yet", None)
                }
                true => self.hidden(id, view),
                false if view.block == PLAN => {
                    let help = "a plan is made before anything changes: it sees the steps before the first that writes";
                    (format!("step `{id}` has not run when the plan is made"), "too late", Some(help.to_owned()))
                }
                false => (format!("step `{id}` stands in `{}`", stand.block), "not visible here", None),
            }
        } else if self.gaps.may_hold_step(id) {
            return;
        } else {
            let help = did_you_mean(id, view.scope.ids());
            (format!("no step with id `{id}` before this one"), "unknown step", help)
        };
        self.push(self.error("E0204", span, message, label).maybe_help(help));
    }

    /// Why a step of the same block can't be read: what it stands in keeps it, or it comes later.
    fn hidden(&self, id: &str, view: &View<'_, 'a>) -> (String, &'static str, Option<String>) {
        let mut keeper = None;
        let mut at = id;
        while let Some(stand) = self.stands.get(at)
            && let Some(parent) = stand.parent
        {
            if view.around.contains(&parent.id.as_str()) {
                if matches!(parent.body, Body::Parallel(_)) && stand.aside.is_none() {
                    let message = format!("step `{id}` stands in another branch of `{}`", parent.id);
                    let help = "branches run side by side: read it behind them";
                    return (message, "may not have run yet", Some(help.to_owned()));
                }
                break;
            }
            if stand.aside.is_some() || parent.foreach.is_some() {
                keeper = Some((parent, stand.aside));
            }
            at = &parent.id;
        }
        match keeper {
            Some((step, Some(UNDO))) => {
                (format!("step `{id}` stands in the `undo` of `{}`", step.id), "runs only to take it back", None)
            }
            Some((step, Some(_))) => {
                let message = format!("step `{id}` stands in the `settle` of `{}`", step.id);
                let help =
                    format!("what it found is in the `outputs` of that `settle`: read `steps.{}.outputs`", step.id);
                (message, "runs only in doubt", Some(help))
            }
            Some((step, None)) => {
                let message = format!("step `{id}` runs once for each item of `{}`", step.id);
                let help = match (&step.outputs, step.body.inner()) {
                    (None, Some(_)) => {
                        format!("give `{}` `outputs`, and read the list `steps.{}.outputs`", step.id, step.id)
                    }
                    _ => format!("read `steps.{}.outputs`, the list of what each item gave", step.id),
                };
                (message, "visible only inside", Some(help))
            }
            None => (format!("step `{id}` runs after this place"), "not run yet", None),
        }
    }

    /// A name behind `outputs.` or `result.`
    fn output(&mut self, given: &Given, owner: &str, key: Option<(&str, Span)>, at: Span) {
        match (given, key) {
            (Given::Nothing(body), _) => {
                let message = format!("{owner} has no outputs: `{body}` gives none");
                self.push(self.error("E0205", at, message, "nothing to read"));
            }
            (Given::List, Some((name, span))) => {
                let message = format!("{owner} has a list of outputs, one for each item: it has no field `{name}`");
                let help = format!("take one of them, `outputs[0].{name}`, or all: `outputs.map(|it| it.{name})`");
                self.push(self.error("E0205", span, message, "a list").help(help));
            }
            (Given::Closed(outputs), Some((name, span))) if !outputs.contains_key(name) => {
                let names = || outputs.keys().map(String::as_str);
                let help = did_you_mean(name, names()).unwrap_or_else(|| match outputs.is_empty() {
                    true => String::from("it gives no outputs"),
                    false => format!("it gives {}", listed(names())),
                });
                self.push(
                    self.error("E0205", span, format!("{owner} has no output `{name}`"), "unknown output").help(help),
                );
            }
            _ => {}
        }
    }

    fn result_read(&mut self, snippet: &'a Snippet, read: &'a Read, view: &View<'_, 'a>) {
        let Some(result) = &view.result else { return };
        let at = snippet.locate(Some(read.position));
        let key = read.path.first().map(|(name, position)| (name.as_str(), snippet.locate(Some(*position))));
        self.output(result, "this step", key, at);
    }

    fn each_read(&mut self, snippet: &'a Snippet, read: &'a Read, view: &View<'_, 'a>) {
        let Some(items) = view.each else {
            let at = snippet.locate(Some(read.position));
            // The `foreach` may be what could not be read.
            if self.gaps.hides_conditions_at(at) {
                return;
            }
            let message = "`each` is read outside of a `foreach`";
            let help = "`each` is the item a `foreach` is at; in `foreach` and `if` beside it there is none yet";
            self.push(self.error("E0207", at, message, "no item here").help(help));
            return;
        };
        let Some((name, position)) = read.path.first() else { return };
        let span = snippet.locate(Some(*position));
        self.field(name, span, "`each`", &EACH_FIELDS);
        if name == "previous" && items == Items::SideBySide {
            let message = "`each.previous` is read, but items run side by side here";
            let help = "leave `max_parallel` out, or go without the item before";
            self.push(self.error("E0207", span, message, "none is before the other").help(help));
        }
    }

    fn run_read(&mut self, snippet: &'a Snippet, read: &'a Read) {
        let Some((name, position)) = read.path.first() else { return };
        let span = snippet.locate(Some(*position));
        self.field(name, span, "`run`", &RUN_FIELDS);
        match (name.as_str(), read.path.get(1)) {
            ("previous", Some((field, position))) => {
                self.field(field, snippet.locate(Some(*position)), "`run.previous`", &PREVIOUS_FIELDS);
            }
            ("providers", Some((provider, position))) => {
                let span = snippet.locate(Some(*position));
                if did_you_mean(provider, PROVIDERS).is_some() {
                    self.field(provider, span, "`run.providers`", &PROVIDERS);
                } else if !PROVIDERS.contains(&provider.as_str()) {
                    let message = format!("`run.providers` need not have `{provider}`");
                    let help = format!("`run.providers.get(\"{provider}\")` is `()` where the target doesn't name it");
                    self.push(self.error("E0209", span, message, "may be missing").help(help));
                }
            }
            _ => {}
        }
    }

    /// One word of a closed list behind a dot.
    fn field(&mut self, name: &str, span: Span, owner: &str, known: &[&str]) {
        if !known.contains(&name) {
            let help = did_you_mean(name, known.iter().copied())
                .unwrap_or_else(|| format!("it has {}", listed(known.iter().copied())));
            self.push(self.error("E0209", span, format!("{owner} has no field `{name}`"), "unknown field").help(help));
        }
    }

    fn compared_outcome(&mut self, read: &Read, word: &str, span: Span) {
        let path: Vec<&str> = read.path.iter().map(|(name, _)| name.as_str()).collect();
        let words: &[&str] = match (read.root.as_str(), path.as_slice(), read.computed) {
            ("steps", [_, "outcome"], false) => &OUTCOMES,
            ("run", ["outcome"] | ["previous", "outcome"], false) => &RUN_OUTCOMES,
            _ => return,
        };
        if !words.contains(&word) {
            let help = did_you_mean(word, words.iter().copied())
                .unwrap_or_else(|| format!("outcomes are {}", listed(words.iter().copied())));
            self.push(self.error("E0210", span, format!("`{word}` is never an outcome"), "always unequal").help(help));
        }
    }

    /// The type of a snippet that is nothing but one read of something with a known type.
    pub(super) fn type_of(&self, snippet: &Snippet, view: &View<'_, 'a>) -> Option<Type> {
        let read = only_read(snippet)?;
        let path: Vec<&str> = read.path.iter().map(|(name, _)| name.as_str()).collect();
        match (read.root.as_str(), path.as_slice()) {
            ("inputs", [name]) => {
                let input = self.file.inputs.iter().find(|input| input.name.value == *name)?;
                Some(input.ty.clone())
            }
            ("secrets", [_]) => Some(Type::Secret),
            ("run", ["fence"]) => Some(Type::Int),
            ("steps", [_, "outcome"]) => Some(Type::String),
            ("steps", [id, "outputs" | "outcomes"]) => view.scope.get(id)?.step.foreach.is_some().then_some(Type::List),
            ("each", ["index"]) => Some(Type::Int),
            ("steps", [id, "outputs", name]) => known_type(&view.scope.get(id)?.given, name),
            ("result", [name]) => known_type(view.result.as_ref()?, name),
            _ => None,
        }
    }
}

fn known_type(given: &Given, name: &str) -> Option<Type> {
    match given {
        Given::Closed(outputs) => outputs.get(name).map(|output| match &output.sealed {
            // A text that is sealed is one secret; a map or list of them stays what it is.
            Some(Sealing::Whole) if output.ty.is_text() => Type::Secret,
            _ => output.ty.clone(),
        }),
        Given::Open | Given::List | Given::Nothing(_) => None,
    }
}

/// Why outputs may be missing, unless the reader has asked first.
///
/// It has asked if the snippet itself looks at the step's outcome, or if a condition that holds here looks
/// for `done`; or if the very conditions of the step hold here, which give the same answer twice.
fn unguarded(seen: &Seen<'_>, snippet: &Snippet, view: &View<'_, '_>) -> Option<&'static str> {
    if !seen.doubt.any() {
        return None;
    }
    let id = seen.step.id.as_str();
    let outcome = |read: &Read| match read.path.as_slice() {
        [(step, _), (field, _), ..] => read.root == "steps" && step == id && field == "outcome",
        _ => false,
    };
    let guards = with_what_they_imply(view);
    if snippet.code.reads.iter().any(outcome) || guards.iter().any(|guard| asked_for_done(guard).any(|step| step == id))
    {
        return None;
    }
    let only_skipped = !seen.doubt.failed && !seen.doubt.not_run;
    let holds = |condition: &&Snippet| guards.iter().any(|guard| guard.text.trim() == condition.text.trim());
    if only_skipped && seen.doubt.conditions.iter().all(holds) {
        return None;
    }
    Some(seen.doubt.reason())
}

/// The place of a read with its path.
pub(super) fn whole(snippet: &Snippet, read: &Read) -> Span {
    let root = snippet.locate(Some(read.position));
    let end = read.path.last().map_or(root.end, |(_, position)| snippet.locate(Some(*position)).end);
    Span::new(root.start, end)
}

/// The steps whose outcome a condition compares with `done`.
fn asked_for_done(condition: &Snippet) -> impl Iterator<Item = &str> {
    condition.code.comparisons.iter().filter_map(|(read, word, _)| match read.path.as_slice() {
        [(step, _), (field, _)] if read.root == "steps" && field == "outcome" && word == "done" => Some(step.as_str()),
        _ => None,
    })
}

/// The conditions that hold at a place: those around it, and those of every step they say is done.
fn with_what_they_imply<'a>(view: &View<'_, 'a>) -> Vec<&'a Snippet> {
    let mut guards = view.guards.to_vec();
    let mut next = 0;
    while let Some(guard) = guards.get(next).copied() {
        next += 1;
        for seen in asked_for_done(guard).filter_map(|step| view.scope.get(step)) {
            for condition in &seen.doubt.conditions {
                if !guards.iter().any(|known| std::ptr::eq(*known, *condition)) {
                    guards.push(condition);
                }
            }
        }
    }
    guards
}

/// The read that is all of a snippet, written with dots; nothing if it computes anything.
pub(in crate::runbook) fn only_read(snippet: &Snippet) -> Option<&Read> {
    let [read] = snippet.code.reads.as_slice() else { return None };
    (!read.computed && snippet.text.trim() == dotted(read)).then_some(read)
}

/// A read as it is written with dots.
pub(super) fn dotted(read: &Read) -> String {
    let path = read.path.iter().map(|(name, _)| name.as_str());
    [read.root.as_str()].into_iter().chain(path).collect::<Vec<_>>().join(".")
}
