//! Calls with rules of their own: a runbook that runs another one, a question with fields.

use crate::runbook::fields;
use crate::runbook::nearest::{did_you_mean, listed};
use crate::runbook::snippet::{Snippet, Template, TemplateNode};
use crate::runbook::source::{Span, Spanned};
use crate::runbook::spec::{ActionSpec, RUN_CHILD, RUN_UNDO};
use crate::script::compile::Call;
use crate::script::value::{Map, Value};

use super::facts::Callee;
use super::file::{Checker, View};

/// The one primitive that asks people.
const ASK: &str = "human.ask";

impl<'a> Checker<'a> {
    /// What a `uses` of these needs beyond its schema.
    pub(super) fn special(
        &mut self,
        action: &'a Spanned<String>,
        with: &'a [(Spanned<String>, Template)],
        view: &View<'_, 'a>,
    ) {
        let given = |name: &str| with.iter().find(|(key, _)| key.value == name);
        match action.value.as_str() {
            RUN_CHILD => {
                let Some((_, name)) = given("name") else { return };
                let text = name.literal();
                let Some(spec) = self.child_named(text.as_ref(), name.span) else { return };
                let inputs = given("inputs").map(|(_, inputs)| inputs);
                self.child_inputs(spec, inputs, action.span, view);
            }
            ASK => {
                let both = given("fields").filter(|_| given("choices").is_some());
                if let Some((key, _)) = both {
                    let message = "`fields` beside `choices`: a question has one form of answer";
                    self.push(self.error("E0115", key.span, message, "one of the two"));
                }
                if let Some((_, template)) = given("fields")
                    && let Some(value) = template.literal()
                {
                    self.question(&value, template.span);
                }
            }
            _ => {}
        }
    }

    /// The same of a call in a script.
    pub(super) fn special_call(&mut self, snippet: &'a Snippet, call: &'a Call, span: Span) {
        let place = |name: &str| {
            let key = call.keys.iter().flatten().find(|(key, _)| key == name);
            key.map(|(_, position)| snippet.locate(Some(*position)))
        };
        match call.name.as_str() {
            RUN_CHILD => {
                let at = place("name").unwrap_or(span);
                let Some(spec) = self.child_named(call.literals.get("name"), at) else { return };
                match (call.literals.get("inputs"), place("inputs")) {
                    (Some(Value::Map(inputs)), Some(at)) => self.literal_inputs(spec, inputs, at, span),
                    (None, None) => self.missing_arguments(spec, &[], span),
                    // Computed: looked at when it runs.
                    _ => {}
                }
            }
            RUN_UNDO => self.undo_in_a_script(span),
            ASK => {
                if let (Some(value), Some(at)) = (call.literals.get("fields"), place("fields")) {
                    self.question(value, at);
                }
            }
            _ => {}
        }
    }

    /// The contract of the runbook of this name; says why there is none.
    fn child_named(&mut self, name: Option<&Value>, span: Span) -> Option<&'a ActionSpec> {
        let Some(Value::Text(name)) = name else {
            let message = "which runbook runs here can't be told before the run";
            let help = "write its name; to choose one, make a step for each, with an `if`";
            self.push(self.error("E0234", span, message, "needs the name of a runbook").help(help));
            return None;
        };
        match self.facts.child(name) {
            Callee::Known(spec) => Some(spec),
            Callee::Unusable => None,
            Callee::Unknown => {
                let names = self.facts.library.runbook_names();
                let known = || names.iter().map(String::as_str);
                let help = match self.facts.is_action(name) {
                    true => Some(format!("`{name}` is an action: write `uses: {name}`")),
                    false => did_you_mean(name, known())
                        .or_else(|| (!names.is_empty()).then(|| format!("there are {}", listed(known())))),
                };
                self.push(
                    self.error("E0234", span, format!("no runbook `{name}`"), "unknown runbook").maybe_help(help),
                );
                None
            }
        }
    }

    /// The inputs of a child as templates: its declarations are their schema.
    fn child_inputs(&mut self, spec: &'a ActionSpec, inputs: Option<&'a Template>, at: Span, view: &View<'_, 'a>) {
        let entries: &[(Spanned<String>, Template)] = match inputs.map(|inputs| &inputs.node) {
            Some(TemplateNode::Map(entries)) => entries,
            None => &[],
            // A whole map that is computed: looked at when it runs.
            Some(_) => return,
        };
        self.arguments(spec, entries, at, view);
    }

    fn literal_inputs(&mut self, spec: &'a ActionSpec, inputs: &Map, at: Span, call: Span) {
        for (name, value) in inputs {
            if let Some(arg) = self.argument(spec, name, at) {
                self.literal(arg, value, at);
            }
        }
        let given: Vec<&str> = inputs.keys().map(String::as_str).collect();
        self.missing_arguments(spec, &given, call);
    }

    /// The fields of a question, as far as they stand in the text.
    fn question(&mut self, value: &Value, span: Span) {
        if let Err(fault) = fields::read(value) {
            let span = self.source.first_line(span);
            self.push(self.error("E0206", span, format!("argument `fields`: {fault}"), "wrong type or value"));
        }
    }
}
