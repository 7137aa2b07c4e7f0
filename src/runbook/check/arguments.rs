//! Calls of actions: does it exist, does it take these arguments, are literal values of its types.

use crate::runbook::nearest::{did_you_mean, listed, nearest};
use crate::runbook::snippet::{Template, TemplateNode};
use crate::runbook::source::{Span, Spanned};
use crate::runbook::spec::{ActionSpec, ArgSpec, RUN_CHILD};
use crate::runbook::types::Type;
use crate::script::value::Value;

use super::facts::Callee;
use super::file::{Checker, View, article};
use super::place::Place;

impl<'a> Checker<'a> {
    /// A step's `uses` and `with`.
    pub(super) fn uses(
        &mut self,
        action: &'a Spanned<String>,
        with: &'a [(Spanned<String>, Template)],
        view: &View<'_, 'a>,
    ) {
        let spec = match self.facts.callee(&action.value) {
            Callee::Known(spec) => Some(spec),
            Callee::Unusable => None,
            Callee::Unknown => {
                self.unknown_action(&action.value, ".", action.span);
                None
            }
        };
        match spec {
            Some(spec) => {
                self.arguments(spec, with, action.span, view);
                self.sealing(spec, with);
            }
            None => with.iter().for_each(|(_, value)| self.template(value, Place::Argument { secrets: Ok(()) }, view)),
        }
        self.special(action, with, view);
    }

    /// Arguments as templates, against the contract of what takes them.
    pub(super) fn arguments(
        &mut self,
        spec: &ActionSpec,
        with: &'a [(Spanned<String>, Template)],
        at: Span,
        view: &View<'_, 'a>,
    ) {
        for (key, value) in with {
            let arg = self.argument(spec, &key.value, key.span);
            // The inputs of a runbook are looked at one by one, against its own contract.
            let inputs = spec.name == RUN_CHILD && key.value == "inputs" && matches!(value.node, TemplateNode::Map(_));
            if !inputs {
                self.template(value, self.argument_place(&spec.name, arg), view);
            }
            if let Some(arg) = arg {
                self.argument_value(arg, value, view);
            }
        }
        // Behind a mistake of form may stand what seems to be missing.
        if self.gaps.hides_step_at(at) {
            return;
        }
        let given: Vec<&str> = with.iter().map(|(key, _)| key.value.as_str()).collect();
        self.missing_arguments(spec, &given, at);
    }

    /// What a contract and its arguments are called: a runbook has inputs.
    fn words(&self, spec: &ActionSpec) -> (&'static str, &'static str) {
        let child = self.facts.reached.children.get(&spec.name);
        match child.is_some_and(|child| std::ptr::eq(child.spec.as_ref(), spec)) {
            true => ("runbook", "input"),
            false => ("action", "argument"),
        }
    }

    /// Says that a name is no action, and what may have been meant. `dot` is what separates the parts of
    /// a name at this place.
    pub(super) fn unknown_action(&mut self, name: &str, dot: &str, span: Span) {
        let written = |name: &str| name.replace('.', dot);
        let names = self.facts.action_names();
        let runbooks = self.facts.runbook_names();
        let help = if runbooks.iter().any(|runbook| runbook == name) {
            Some(format!("`{name}` is a runbook: write `uses: runbook` with `name: {name}`"))
        } else if let Some(near) = nearest(name, names.iter().map(String::as_str)) {
            Some(format!("did you mean `{}`?", written(near)))
        } else {
            let space = name.split('.').next().unwrap_or_default();
            let siblings = names.iter().filter(|known| known.split_once('.').is_some_and(|(first, _)| first == space));
            let siblings: Vec<String> = siblings.map(|sibling| written(sibling)).collect();
            (!siblings.is_empty()).then(|| format!("`{space}` has {}", listed(siblings.iter().map(String::as_str))))
        };
        let message = format!("unknown action `{}`", written(name));
        self.push(self.error("E0201", span, message, "no such action").maybe_help(help));
    }

    /// The argument of this name; says so if there is none.
    pub(super) fn argument<'s>(&mut self, spec: &'s ActionSpec, key: &str, span: Span) -> Option<&'s ArgSpec> {
        let found = spec.arg(key);
        if found.is_none() {
            let names = || spec.args.iter().map(|arg| arg.name.as_str());
            let help = did_you_mean(key, names()).unwrap_or_else(|| match spec.args.is_empty() {
                true => String::from("it takes none"),
                false => format!("it takes {}", listed(names())),
            });
            let (what, part) = self.words(spec);
            let message = format!("{what} `{}` has no {part} `{key}`", spec.name);
            self.push(self.error("E0202", span, message, &format!("unknown {part}")).help(help));
        }
        found
    }

    /// Says which required arguments aren't given.
    pub(super) fn missing_arguments(&mut self, spec: &ActionSpec, given: &[&str], span: Span) {
        // A misspelt name has said what it was meant to be.
        let misspelt = given.iter().filter(|key| spec.arg(key).is_none());
        let meant: Vec<&str> =
            misspelt.filter_map(|key| nearest(key, spec.args.iter().map(|arg| arg.name.as_str()))).collect();
        let missing: Vec<&ArgSpec> = spec
            .args
            .iter()
            .filter(|arg| arg.required && arg.default.is_none())
            .filter(|arg| !given.contains(&arg.name.as_str()) && !meant.contains(&arg.name.as_str()))
            .collect();
        if missing.is_empty() {
            return;
        }
        let names = listed(missing.iter().map(|arg| arg.name.as_str()));
        let (what, part) = self.words(spec);
        let plural = if missing.len() == 1 { "" } else { "s" };
        let docs = missing.iter().map(|arg| match arg.doc.is_empty() {
            true => format!("`{}`: {}", arg.name, arg.ty.name()),
            false => format!("`{}`: {}, {}", arg.name, arg.ty.name(), arg.doc),
        });
        let help = docs.collect::<Vec<_>>().join("; ");
        let message = format!("{what} `{}` needs {part}{plural} {names}", spec.name);
        self.push(self.error("E0203", span, message, "called without").help(help));
    }

    /// A literal value must be of the argument's type.
    pub(super) fn literal(&mut self, arg: &ArgSpec, value: &Value, span: Span) {
        let judged = arg.fault.zip(value.as_text());
        let fault = arg.ty.accept(value).err().or_else(|| judged.and_then(|(judge, text)| judge(text)));
        if let Some(fault) = fault {
            let message = format!("argument `{}`: {fault}", arg.name);
            self.push(self.error("E0206", span, message, "wrong type or value"));
        }
    }

    fn argument_value(&mut self, arg: &ArgSpec, template: &'a Template, view: &View<'_, 'a>) {
        if let Some(value) = template.literal() {
            return self.literal(arg, &value, template.span);
        }
        let given = match &template.node {
            TemplateNode::Expression(snippet) => self.type_of(snippet, view),
            // A part of it may be secret, which makes a secret of the whole.
            TemplateNode::Mixed(_) if arg.ty == Type::Secret => None,
            TemplateNode::Mixed(_) => Some(Type::String),
            TemplateNode::List(_) => Some(Type::List),
            TemplateNode::Map(_) => Some(Type::Map),
            TemplateNode::Literal(_) => None,
        };
        let Some(given) = given else { return };
        // A secret at such a place has its own error.
        if given != Type::Secret && !fits(&given, &arg.ty) {
            let message = format!(
                "argument `{}`: expected {}, got {} {}",
                arg.name,
                arg.ty.name(),
                article(&given),
                given.name()
            );
            let help = match arg.ty {
                Type::String => Some(String::from("`.to_string()` makes a text of it")),
                Type::Secret => Some(String::from("it takes `secrets.NAME`, or what a step has sealed")),
                _ => None,
            };
            self.push(self.error("E0206", template.span, message, "wrong type").maybe_help(help));
        }
    }

    /// Whether secrets may stand in an argument; without a spec nothing is held against them.
    fn argument_place(&self, action: &str, arg: Option<&ArgSpec>) -> Place {
        let secrets = match arg {
            Some(arg) if self.facts.shows(action, &arg.name) => Err("what is given here is shown or kept as text"),
            Some(arg) if !takes_secrets(&arg.ty) => Err("this argument is looked into"),
            _ => Ok(()),
        };
        Place::Argument { secrets }
    }
}

/// Types whose values may be, or hold, the text of a secret.
fn takes_secrets(ty: &Type) -> bool {
    matches!(ty, Type::Any | Type::String | Type::Url | Type::Map | Type::List | Type::Secret)
}

/// Whether a value of one type can pass for another; what its text says is seen at run time.
pub(in crate::runbook) fn fits(given: &Type, wanted: &Type) -> bool {
    let text = |ty: &Type| {
        matches!(ty, Type::String | Type::Duration | Type::Url | Type::Email | Type::Choice(_) | Type::Secret)
    };
    match (given, wanted) {
        (Type::Any, _) | (_, Type::Any) | (Type::Int, Type::Float) => true,
        // A secret is never given by value: a plain text can't become one.
        (_, Type::Secret) => *given == Type::Secret,
        _ => given == wanted || (text(given) && text(wanted)),
    }
}
