//! Sealed values: what of a step's outputs is one, and what can't be done with it.

use std::collections::{BTreeMap, BTreeSet};

use crate::runbook::model::{Body, Step};
use crate::runbook::nearest::{did_you_mean, listed};
use crate::runbook::sealing::{PathStep, SealedPath, Sealing};
use crate::runbook::sites;
use crate::runbook::snippet::{Snippet, Template, TemplateNode};
use crate::runbook::source::Spanned;
use crate::runbook::spec::{ActionSpec, OutputSpec, SEALED, Seal};
use crate::runbook::types::Type;
use crate::script::compile::Read;
use crate::script::value::Value;

use super::facts::Callee;
use super::file::{Checker, View};
use super::place::Place;
use super::reads::{dotted, only_read, whole};
use super::scope::{Given, Output};

/// Methods of a text that a secret has as well.
const METHODS: [&str; 6] = ["base64", "url_encode", "json", "to_json", "hmac", "same_as"];

/// A read of something sealed.
pub(super) struct SealedRead {
    /// The key it stands at: what it is revealed by.
    name: String,
    /// It is one text, and no list or map of them.
    text: bool,
}

/// What a call gives, and what of it is sealed.
pub(super) fn outputs(step: &Step, spec: &ActionSpec) -> BTreeMap<String, Output> {
    let sealing = sealing_of(step);
    let all = matches!(sealing, Some(Sealing::Whole));
    // Where a name is computed, which of them come in the clear is known at run time only.
    let (revealed, computed) = match revealed(step) {
        Some(names) => (names, false),
        None => (BTreeSet::new(), true),
    };
    let output = |output: &OutputSpec| {
        let seals = match (&sealing, output.sealed) {
            _ if computed => None,
            (_, Seal::Always) => Some(Sealing::Whole),
            (_, Seal::Body) if all => Some(Sealing::Whole),
            (Some(Sealing::At(_)), Seal::Body) if output.ty == Type::String => Some(Sealing::Whole),
            (Some(Sealing::At(paths)), _) => {
                let of = paths.iter().filter(|path| path.output == output.name);
                Some(Sealing::At(of.cloned().collect()))
            }
            _ => None,
        };
        (output.name.clone(), Output { ty: output.ty.clone(), sealed: seals, revealed: revealed.clone() })
    };
    spec.outputs.iter().map(output).collect()
}

/// What `sealed` says where it is written out.
fn sealing_of(step: &Step) -> Option<Sealing> {
    let Body::Uses { with, .. } = &step.body else { return None };
    let (_, template) = with.iter().find(|(key, _)| key.value == SEALED)?;
    Sealing::read(&template.literal()?).ok().flatten()
}

/// The names a step reveals; `None` if one of them is computed.
fn revealed(step: &Step) -> Option<BTreeSet<String>> {
    step.reveal.iter().map(|name| name.literal()?.as_text().map(str::to_owned)).collect()
}

impl<'a> Checker<'a> {
    /// What is sealed of what a read reads, if it is certain that something is.
    pub(super) fn sealed_read(&self, read: &Read, view: &View<'_, 'a>) -> Option<SealedRead> {
        let path: Vec<&str> = read.path.iter().map(|(name, _)| name.as_str()).collect();
        let (given, output, rest) = match (read.root.as_str(), path.as_slice()) {
            ("steps", [id, "outputs", output, rest @ ..]) => (&view.scope.get(id)?.given, output, rest),
            ("result", [output, rest @ ..]) => (view.result.as_ref()?, output, rest),
            _ => return None,
        };
        let Given::Closed(outputs) = given else { return None };
        let output = outputs.get(*output)?;
        let name = *path.last()?;
        if output.revealed.contains(name) {
            return None;
        }
        let text = rest.is_empty() && (output.ty.is_text() || output.ty == Type::Secret);
        let sealed = match output.sealed.as_ref()? {
            Sealing::Whole => true,
            Sealing::At(paths) => paths.iter().any(|path| holds(path, rest)),
        };
        sealed.then(|| SealedRead { name: name.to_owned(), text })
    }

    /// What can't be done with a sealed value and is certain to be tried: shown, looked into.
    pub(super) fn sealed_use(&mut self, snippet: &'a Snippet, read: &'a Read, place: Place, view: &View<'_, 'a>) {
        let Some(sealed) = self.sealed_read(read, view) else { return };
        let span = whole(snippet, read);
        let name = dotted(read);
        let reveal = format!("to have its text, write `reveal: [{}]` on the step that reads it", sealed.name);
        if let (Some((method, position)), true) = (&read.method, sealed.text)
            && !METHODS.contains(&method.as_str())
        {
            let at = snippet.locate_text(*position, method);
            let message = format!("sealed value `{name}` is looked into by `{method}`");
            self.push(self.error("E0218", at, message, "nothing looks into a secret").help(reveal));
            return;
        }
        // Of a map the keys are no secret: what is done with it decides.
        if let (Place::Items(_), false) = (place, sealed.text) {
            // Each item is one reference.
            return;
        }
        let bare = !read.computed && read.method.is_none() && snippet.text.trim() == name;
        if let (Err(why), true) =
            (place.takes_secrets(), bare || (sealed.text && read.method.is_none() && !tells_apart(snippet)))
        {
            let message = format!("sealed value `{name}` can't stand in `{}`", place.key());
            self.push(self.error("E0218", span, message, why).help(reveal));
        }
    }

    /// `sealed` of a call: written out, it names places in outputs that there are.
    pub(super) fn sealing(&mut self, spec: &ActionSpec, with: &'a [(Spanned<String>, Template)]) {
        let Some((_, template)) = with.iter().find(|(key, _)| key.value == SEALED) else { return };
        if !self.facts.is_primitive(&spec.name) || spec.arg(SEALED).is_none() {
            return;
        }
        let Some(value) = template.literal() else { return };
        match Sealing::read(&value) {
            Err(why) => {
                self.push(self.error("E0206", template.span, format!("argument `{SEALED}`: {why}"), "seals nothing"));
            }
            Ok(Some(Sealing::At(paths))) => {
                for path in paths.iter().filter(|path| spec.output(&path.output).is_none()) {
                    let names = || spec.outputs.iter().map(|output| output.name.as_str());
                    let help = did_you_mean(&path.output, names())
                        .unwrap_or_else(|| format!("a place begins with one of {}", listed(names())));
                    let message = format!("argument `{SEALED}`: `{}` gives no `{}`", spec.name, path.output);
                    let at = item(template, &path.to_string()).map_or(template.span, |item| item.span);
                    self.push(self.error("E0206", at, message, "matches nothing").help(help));
                }
            }
            Ok(_) => {}
        }
    }

    /// `reveal` of a step: there is something sealed to reveal.
    pub(super) fn reveal(&mut self, step: &'a Step, view: &View<'_, 'a>) {
        for name in &step.reveal {
            self.template(name, Place::Reveal, view);
        }
        let (Some(first), Body::Uses { action, .. }) = (step.reveal.first(), &step.body) else { return };
        let child = sites::of_step(step).iter().find_map(sites::Site::child);
        let callee = child.map_or_else(|| self.facts.callee(&action.value), |child| self.facts.child(&child.value));
        let Callee::Known(spec) = callee else { return };
        let always = spec.outputs.iter().any(|output| output.sealed == Seal::Always);
        let primitive = self.facts.is_primitive(&spec.name);
        let asked = match &step.body {
            Body::Uses { with, .. } => with.iter().any(|(key, _)| key.value == SEALED),
            _ => false,
        };
        // What an action gives without a word may be sealed all the same: by the steps inside it.
        if primitive && !always && !asked {
            let help = match spec.arg(SEALED) {
                Some(_) => "say what is secret first: `sealed: true`, or places, in `with`",
                None => "this action seals nothing: leave `reveal` out",
            };
            let message = format!("`reveal` on a step whose outputs are not sealed: `{}`", spec.name);
            self.push(self.error("E0245", first.span, message, "nothing is sealed here").help(help));
            return;
        }
        let Some(known) = self.sealed_names(step, spec, primitive) else { return };
        for template in &step.reveal {
            let Some(Value::Text(name)) = template.literal() else { continue };
            if !known.contains(&name) {
                let names = || known.iter().map(String::as_str);
                let help = did_you_mean(&name, names()).unwrap_or_else(|| format!("sealed is {}", listed(names())));
                let message = format!("`reveal`: nothing named `{name}` is sealed by this step");
                self.push(self.error("E0245", template.span, message, "unknown name").help(help));
            }
        }
    }

    /// All names that can be revealed; `None` if some are known at run time only.
    fn sealed_names(&self, step: &Step, spec: &ActionSpec, primitive: bool) -> Option<BTreeSet<String>> {
        if !primitive {
            return None;
        }
        let mut names = BTreeSet::new();
        let is_text = |ty: &Type| ty.is_text() || *ty == Type::Secret;
        for output in spec.outputs.iter().filter(|output| output.sealed == Seal::Always) {
            is_text(&output.ty).then(|| names.insert(output.name.clone()))?;
        }
        match sealing_of(step) {
            None => (!names.is_empty()).then_some(names),
            Some(Sealing::Whole) => {
                for output in spec.outputs.iter().filter(|output| output.sealed == Seal::Body) {
                    is_text(&output.ty).then(|| names.insert(output.name.clone()))?;
                }
                Some(names)
            }
            // What stands at a place may be a map, with names of its own.
            Some(Sealing::At(_)) => None,
        }
    }

    /// The outputs of a file that say `sealed`: no plain text may stand there.
    pub(super) fn sealed_outputs(&mut self, view: &View<'_, 'a>) {
        let file = self.file;
        for (name, template) in file.outputs.iter().filter(|(name, _)| file.sealed.contains(&name.value)) {
            let plain = match &template.node {
                TemplateNode::Literal(Value::Null) => None,
                TemplateNode::Literal(_) => Some("a plain value"),
                TemplateNode::Expression(snippet) => self.plain_read(snippet, view),
                TemplateNode::Mixed(_) | TemplateNode::List(_) | TemplateNode::Map(_) => None,
            };
            if let Some(plain) = plain {
                let message = format!("output `{}` says `sealed` and gives {plain}", name.value);
                let help = "seal it where it is read: `sealed: true`, or the places that are secret, in the `with` of that \
                            step; here it would stand in the journal already";
                self.push(self.error("E0246", template.span, message, "not sealed").help(help));
            }
        }
    }

    /// Why a snippet that is one read gives plain text for certain.
    fn plain_read(&self, snippet: &Snippet, view: &View<'_, 'a>) -> Option<&'static str> {
        let read = only_read(snippet)?;
        let path: Vec<&str> = read.path.iter().map(|(name, _)| name.as_str()).collect();
        match (read.root.as_str(), path.as_slice()) {
            ("inputs", [name]) => {
                let input = self.file.inputs.iter().find(|input| input.name.value == *name)?;
                (!matches!(input.ty, Type::Secret | Type::List | Type::Map | Type::String | Type::Url))
                    .then_some("an input that is no secret")
            }
            ("steps", [id, "outputs", name, ..]) => {
                let seen = view.scope.get(id)?;
                let Body::Uses { action, with } = &seen.step.body else { return None };
                let (Callee::Known(spec), true) =
                    (self.facts.callee(&action.value), self.facts.is_primitive(&action.value))
                else {
                    return None;
                };
                let output = spec.output(name)?;
                let asked = with.iter().any(|(key, _)| key.value == SEALED);
                let sealable = spec.arg(SEALED).is_some() && output.sealed != Seal::Always;
                (sealable && !asked && seen.step.outputs.is_none()).then_some("what a step reads in the clear")
            }
            _ => None,
        }
    }
}

/// Whether a snippet only asks if secrets are the same, whose answer is none.
pub(super) fn tells_apart(snippet: &Snippet) -> bool {
    snippet.code.calls.iter().any(|call| call.name == "same_as")
}

/// The item of a list that is this text.
fn item<'t>(template: &'t Template, text: &str) -> Option<&'t Template> {
    let TemplateNode::List(items) = &template.node else { return None };
    items.iter().find(|item| item.literal().is_some_and(|value| value.as_text() == Some(text)))
}

/// Whether what stands behind `rest` is inside a sealed place.
fn holds(path: &SealedPath, rest: &[&str]) -> bool {
    path.steps.len() <= rest.len()
        && path.steps.iter().zip(rest).all(|(step, key)| match step {
            PathStep::Key(wanted) => wanted == key,
            PathStep::Each => true,
            PathStep::Item(_) => false,
        })
}
