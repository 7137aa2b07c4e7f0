//! What a snippet calls and defines: functions, step calls, names that must stay free.

use crate::runbook::habits;
use crate::runbook::nearest::did_you_mean;
use crate::runbook::sites;
use crate::runbook::snippet::Snippet;
use crate::runbook::source::Span;
use crate::script::compile::{CONTEXTS, Call, known_functions};
use crate::script::functions::{TAKE_A_PATTERN, pattern_fault};

use super::facts::Callee;
use super::file::Checker;
use super::place::Place;

/// Step calls in one script from which on a warning is due: replay is quadratic in them.
const CALL_SITES_LINT: usize = 200;

impl<'a> Checker<'a> {
    /// Checks the calls of any snippet, and the names it defines.
    pub(super) fn names(&mut self, snippet: &'a Snippet, place: Place) {
        let code = &snippet.code;
        for call in &code.calls {
            let span = snippet.locate(Some(call.position));
            if call.name == "Fn" && !call.namespaced {
                let help = "write a closure, `|x| f(x)`, whose calls can be checked";
                self.push(self.error("E0217", span, "a function is chosen by its name", "can't be checked").help(help));
                continue;
            }
            let own = code.functions.iter().any(|(name, _)| *name == call.name);
            if !own {
                self.pattern(snippet, call);
            }
            if !call.namespaced && (own || known_functions().contains(&call.name)) {
                continue;
            }
            // Asked before bindings: a variable of that name doesn't keep Rhai from calling the action.
            if self.facts.is_action(&call.name) {
                self.step_call(snippet, call, span, place);
            } else if call.namespaced {
                self.namespaced(snippet, call, span);
            } else if !code.bindings.iter().any(|(name, _)| *name == call.name) {
                self.unknown_function(snippet, call, span);
            }
        }
        for (name, position) in &code.functions {
            let span = snippet.locate(Some(*position));
            if CONTEXTS.contains(&name.as_str()) {
                self.taken(name, "a context", span);
            } else if self.facts.is_action(name) {
                self.taken(name, "an action", span);
            }
        }
        for (name, position) in &code.bindings {
            if CONTEXTS.contains(&name.as_str()) {
                self.taken(name, "a context", snippet.locate(Some(*position)));
            }
        }
    }

    /// A pattern that is written out must be one.
    fn pattern(&mut self, snippet: &'a Snippet, call: &'a Call) {
        let Some((pattern, position)) = &call.last_text else { return };
        if call.namespaced || !TAKE_A_PATTERN.contains(&call.name.as_str()) {
            return;
        }
        if let Some(fault) = pattern_fault(pattern) {
            let help = "a character with a meaning of its own is taken as it is behind two backslashes: `\\\\.`";
            let span = snippet.locate_text(*position, pattern);
            self.push(self.error("E0240", span, fault, "not a pattern").help(help));
        }
    }

    /// Checks what only a script as a whole can be asked.
    pub(super) fn script(&mut self, snippet: &'a Snippet) {
        let sites = sites::of_script(snippet);
        let steps: Vec<Span> =
            sites.iter().filter(|site| self.facts.is_action(site.name)).map(|site| site.span).collect();
        if let Some(over) = steps.get(CALL_SITES_LINT) {
            let message = format!("this script has {} step calls, more than {CALL_SITES_LINT}", steps.len());
            let help = "a script is replayed from its start after each call: divide it into several steps";
            self.push(self.warning("W0402", *over, message, "one too many").help(help));
        }
    }

    fn step_call(&mut self, snippet: &'a Snippet, call: &'a Call, span: Span, place: Place) {
        let name = call.name.replace('.', "::");
        if place != Place::Script {
            let message = format!("`{}` calls step `{name}`: only a `script` can", place.key());
            let help = "make it a step of its own and read its outputs here";
            self.push(self.error("E0219", span, message, "a step call").help(help));
            return;
        }
        if call.method || call.arity != 1 {
            let message = match call.method {
                true => format!("action `{}` is called like a method", call.name),
                false => format!("action `{}` is called with {} arguments instead of one map", call.name, call.arity),
            };
            let help = format!("write `{name}(#{{ … }})`");
            self.push(self.error("E0215", span, message, "needs one map of arguments").help(help));
            return;
        }
        let (Callee::Known(spec), Some(keys)) = (self.facts.callee(&call.name), &call.keys) else { return };
        for (key, position) in keys {
            let key_span = snippet.locate(Some(*position));
            if let Some(arg) = self.argument(spec, key, key_span)
                && let Some(value) = call.literals.get(key)
            {
                self.literal(arg, value, key_span);
            }
        }
        let given: Vec<&str> = keys.iter().map(|(key, _)| key.as_str()).collect();
        self.missing_arguments(spec, &given, span);
        self.special_call(snippet, call, span);
    }

    /// `a::b(…)` that is no action: a function of a module, or a mistake.
    fn namespaced(&mut self, snippet: &'a Snippet, call: &'a Call, span: Span) {
        let space = call.name.split('.').next().unwrap_or_default();
        if !snippet.code.bindings.iter().any(|(alias, _)| alias == space) {
            self.unknown_action(&call.name, "::", span);
            return;
        }
        let function = call.name.rsplit('.').next().unwrap_or_default();
        if !self.facts.reached.modules.define(function) {
            let message = format!("no imported module defines `{function}`");
            let help = did_you_mean(function, self.facts.reached.modules.functions());
            self.push(self.error("E0214", span, message, "unknown function").maybe_help(help));
        }
    }

    fn unknown_function(&mut self, snippet: &'a Snippet, call: &'a Call, span: Span) {
        let own = snippet.code.functions.iter().map(|(name, _)| name.as_str());
        let known = known_functions().iter().map(String::as_str).chain(own);
        let actions = self.facts.action_names();
        let help = habits::function(&call.name).map(str::to_owned).or_else(|| did_you_mean(&call.name, known));
        let help = help.or_else(|| {
            let suffix = format!(".{}", call.name);
            let action = actions.iter().find(|action| **action == call.name || action.ends_with(&suffix))?;
            Some(format!("the action is called `{}(#{{ … }})`", action.replace('.', "::")))
        });
        let message = format!("no function `{}`", call.name);
        self.push(self.error("E0214", span, message, "unknown function").maybe_help(help));
    }

    fn taken(&mut self, name: &str, owner: &str, span: Span) {
        let message = format!("`{name}` is the name of {owner}");
        self.push(self.error("E0216", span, message, "hides it").help("take another name"));
    }
}
