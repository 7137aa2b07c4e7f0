//! Waiting and repeating: what may be looked at again, what can time out, what gets another attempt, and for how long.

use crate::runbook::effects;
use crate::runbook::model::{Body, Foreach, Retry, Step};
use crate::runbook::sites;
use crate::runbook::snippet::{Template, TemplateNode};
use crate::runbook::source::Span;
use crate::runbook::spec::Effect;
use crate::runbook::types::{Type, parse_duration};
use crate::script::value::Value;

use super::facts::Callee;
use super::file::{Checker, Items, View, article, items};
use super::place::Place;

impl<'a> Checker<'a> {
    /// Checks the list of a `foreach` and how many of its items run at a time.
    pub(super) fn foreach(&mut self, foreach: &'a Foreach, view: &View<'_, 'a>) {
        self.counted(&foreach.items, "foreach", &Type::List, "a list, or a range such as 1..=6", view);
        if let Some(width) = &foreach.max_parallel {
            self.counted(width, "max_parallel", &Type::Int, "a whole number", view);
        }
    }

    fn counted(
        &mut self,
        template: &'a Template,
        key: &'static str,
        wanted: &Type,
        expected: &str,
        view: &View<'_, 'a>,
    ) {
        self.template(template, Place::Items(key), view);
        if let TemplateNode::Expression(snippet) = &template.node
            && let Some(ty) = self.type_of(snippet, view)
            && ty != *wanted
            && !matches!(ty, Type::Any | Type::Secret)
        {
            let message = format!("`{key}`: expected {expected}, got {} {}", article(&ty), ty.name());
            self.push(self.error("E0228", template.span, message, "wrong type"));
        }
    }

    /// Checks `until`, `fail_if`, `every`, `timeout` and `retry` of a step.
    pub(super) fn timing(&mut self, step: &'a Step, view: &View<'_, 'a>) {
        if let Some(poll) = &step.poll {
            self.condition(&poll.until, Place::Until, view);
            let at = poll.until.locate(None);
            match &step.foreach {
                // It goes on to the next item: nothing is looked at twice.
                Some(foreach) => self.one_item_at_a_time(foreach, at),
                None if self.looks_at_something(step, at) => self.only_reads(step, "until", at),
                None => {}
            }
            if let Some(every) = &poll.every {
                self.time(every, "every", view);
            }
        }
        if let Some(fail_if) = &step.fail_if {
            self.condition(fail_if, Place::FailIf, view);
            self.only_reads(step, "fail_if", fail_if.locate(None));
        }
        if let Some(timeout) = &step.timeout {
            self.time(timeout, "timeout", view);
            if let Some(name) = self.without_attempts(step) {
                let message = format!("`timeout` limits one attempt, and `{name}` makes none");
                let help = "put it on the steps that reach out; `within` limits a wait";
                self.push(self.error("E0213", timeout.span, message, "limits nothing").help(help));
            }
        }
        if let Some(retry) = &step.retry {
            self.retry(step, retry, view);
        }
    }

    fn one_item_at_a_time(&mut self, foreach: &'a Foreach, at: Span) {
        if items(foreach) == Items::SideBySide {
            let message = "`until` beside `max_parallel`: items that run side by side have no next one to stop before";
            let help = "leave `max_parallel` out";
            self.push(self.error("E0115", at, message, "needs one item at a time").help(help));
        }
    }

    /// The primitive a step calls, if the engine makes no attempt at it.
    fn without_attempts(&self, step: &'a Step) -> Option<&'a str> {
        let Body::Uses { action, .. } = &step.body else { return None };
        let Callee::Known(spec) = self.facts.callee(&action.value) else { return None };
        let sites = sites::of_step(step);
        let none = sites.iter().all(|site| !effects::has_attempts(site, spec, self.facts.reached));
        none.then_some(action.value.as_str())
    }

    /// Whether what a step sees could change; says so if not.
    fn looks_at_something(&mut self, step: &'a Step, span: Span) -> bool {
        let name = match &step.body {
            Body::Script(_) if self.calls_nothing_outside(step) => "script",
            _ => match self.without_attempts(step) {
                Some(name) => name,
                None => return true,
            },
        };
        let message = format!("`until` on this step: `{name}` doesn't look at anything that could change");
        let help = "put the read into a step of its own and wait there";
        self.push(self.error("E0211", span, message, "can't wait here").help(help));
        false
    }

    /// Whether all calls of a script are known, and none of them reaches out.
    fn calls_nothing_outside(&self, step: &'a Step) -> bool {
        let known = |site: &sites::Site<'_>| effects::spec_at(site, self.facts.reached).is_some();
        sites::of_step(step).iter().all(known) && effects::of_step(step, self.facts.reached) == Effect::Pure
    }

    /// `until` and `fail_if` judge what a read gave.
    fn only_reads(&mut self, step: &'a Step, key: &'static str, span: Span) {
        if let Some(write) = effects::first_write(step, self.facts.reached) {
            let inside = if std::ptr::eq(write.step, step) { "" } else { " inside" };
            let name = write.site.child().map_or_else(|| write.site.name.to_owned(), |child| child.value);
            let word = write.effect.word();
            let (why, label, help) = match key {
                "until" => (
                    "and only a read may be repeated",
                    "can't wait here",
                    "put the read into a step of its own and wait there",
                ),
                _ => (
                    "and a write has an outcome of its own",
                    "can't fail here",
                    "look at its outputs in an `assert`, or in a step behind it",
                ),
            };
            let message = format!("`{key}` on this step: `{name}`{inside} is a {word} here, {why}");
            self.push(self.error("E0211", span, message, label).help(help));
        }
        if matches!(step.body, Body::Steps(_)) && step.outputs.is_none() {
            let message = format!("`outputs` is missing beside this `{key}`: a group gives nothing by itself");
            let help = "say what is looked at: `outputs: { ok: \"${{ steps.ID.outputs.ok }}\" }`, then `result.ok`";
            self.push(self.error("E0106", span, message, "`result` would be empty").help(help));
        }
    }

    /// Another attempt must be possible, and must not repeat a write that may have happened.
    fn retry(&mut self, step: &'a Step, retry: &'a Retry, view: &View<'_, 'a>) {
        for (pause, key) in [(&retry.delay, "delay"), (&retry.max_delay, "max_delay")] {
            if let Some(pause) = pause {
                self.time(pause, key, view);
            }
        }
        let span = self.source.first_line(retry.span);
        if let Some(name) = self.without_attempts(step) {
            let message = format!("`retry` on this step: `{name}` makes no attempt that could fail and be repeated");
            self.push(self.error("E0229", span, message, "repeats nothing").help("put it on the steps that reach out"));
            return;
        }
        let whole = |site: &sites::Site<'_>| site.child().is_some() || !self.facts.is_primitive(site.name);
        let primitive = matches!(step.body, Body::Uses { .. }) && !sites::of_step(step).iter().any(whole);
        if primitive {
            return;
        }
        let Some(write) = effects::first_unrepeatable(step, self.facts.reached) else { return };
        let name = write.site.child().map_or_else(|| write.site.name.to_owned(), |child| child.value);
        let message = match std::ptr::eq(write.step, step) && matches!(step.body, Body::Uses { .. }) {
            true => {
                format!("`retry` on this step would do all of `{name}` again, and a write in it may not be repeated")
            }
            false => format!("`retry` on this step would do everything in it again, and `{name}` may not be repeated"),
        };
        let help = "put `retry` on the steps inside, or say of each write `repeat: repeatable` with a `reason`";
        self.push(self.error("E0229", span, message, "would write twice").help(help));
    }

    /// Checks one duration.
    pub(super) fn time(&mut self, template: &'a Template, key: &'static str, view: &View<'_, 'a>) {
        self.time_at(template, key, Place::Time(key), view);
    }

    pub(super) fn time_at(&mut self, template: &'a Template, key: &str, place: Place, view: &View<'_, 'a>) {
        self.template(template, place, view);
        if let TemplateNode::Expression(snippet) = &template.node {
            if let Some(ty) = self.type_of(snippet, view)
                && !matches!(ty, Type::Duration | Type::String | Type::Choice(_) | Type::Any | Type::Secret)
            {
                let message = format!("`{key}`: expected a duration such as 30s, got {}", ty.name());
                self.push(self.error("E0212", template.span, message, "not a duration"));
            }
            return;
        }
        // That a literal is a duration at all has been seen when the file was read.
        let Some(Value::Text(text)) = template.literal() else { return };
        if parse_duration(&text).is_ok_and(|duration| duration.is_zero()) {
            let message = format!("`{key}` is 0: it is over before it begins");
            self.push(self.error("E0212", template.span, message, "no time at all"));
        }
    }
}
