//! Waiting: what may be repeated, what can time out, and for how long.

use crate::runbook::model::{Body, Foreach, Step};
use crate::runbook::snippet::{Template, TemplateNode};
use crate::runbook::source::Span;
use crate::runbook::spec::Effect;
use crate::runbook::types::{Type, parse_duration};
use crate::script::value::Value;

use super::facts::Callee;
use super::file::{Checker, View, article};
use super::place::Place;

impl<'a> Checker<'a> {
    /// Checks the list of a `foreach` and how many of its items run at a time.
    pub(super) fn foreach(&mut self, foreach: &'a Foreach, view: &View<'_, 'a>) {
        self.number(&foreach.items, "foreach", &[Type::List], "a list, or a range such as 1..=6", view);
        if let Some(width) = &foreach.max_parallel {
            self.number(width, "max_parallel", &[Type::Int], "a whole number", view);
        }
    }

    fn number(
        &mut self,
        template: &'a Template,
        key: &'static str,
        types: &[Type],
        expected: &str,
        view: &View<'_, 'a>,
    ) {
        self.template(template, Place::Items(key), view);
        if let TemplateNode::Expression(snippet) = &template.node
            && let Some(ty) = self.type_of(snippet, view)
            && !types.contains(&ty)
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
            self.only_reads_are_polled(step, poll.until.locate(None));
            if let Some(every) = &poll.every {
                self.time(every, "every", view);
            }
        }
        if let Some(fail_if) = &step.fail_if {
            self.condition(fail_if, Place::FailIf, view);
        }
        if let Some(timeout) = &step.timeout {
            self.time(timeout, "timeout", view);
            self.only_attempts_time_out(step, timeout.span);
        }
        if let Some(retry) = &step.retry {
            for (pause, key) in [(&retry.delay, "delay"), (&retry.max_delay, "max_delay")] {
                if let Some(pause) = pause {
                    self.time(pause, key, view);
                }
            }
        }
    }

    fn only_reads_are_polled(&mut self, step: &'a Step, span: Span) {
        let why = match &step.body {
            Body::Uses { action, with } => match self.facts.callee(&action.value) {
                Callee::Unknown | Callee::Unusable => return,
                Callee::Known(spec) if !self.facts.is_primitive(&spec.name) => {
                    format!("`{}` is an action, and this release repeats single primitives only", spec.name)
                }
                Callee::Known(spec) if !self.facts.has_attempts(spec) => {
                    format!("`{}` doesn't look at anything that could change", spec.name)
                }
                Callee::Known(spec) => match crate::runbook::sites::Args::With(with).effect(spec) {
                    effect if effect <= Effect::Read => return,
                    effect => format!("`{}` is a {} here, and only a read may be repeated", spec.name, effect.word()),
                },
            },
            other => format!("`{}` can't be repeated, only `uses` of a read", other.key()),
        };
        let help = "put the read into a step of its own and wait there";
        self.push(self.error("E0211", span, format!("`until` on this step: {why}"), "can't wait here").help(help));
    }

    fn only_attempts_time_out(&mut self, step: &'a Step, span: Span) {
        let why = match &step.body {
            Body::Uses { action, .. } => match self.facts.callee(&action.value) {
                Callee::Unknown | Callee::Unusable => return,
                Callee::Known(spec) if self.facts.has_attempts(spec) => return,
                Callee::Known(spec) => format!("`{}` makes none", spec.name),
            },
            other => format!("`{}` makes none", other.key()),
        };
        let message = format!("`timeout` limits one attempt, and {why}");
        let help = "put it on the steps that reach out; `within` limits a wait";
        self.push(self.error("E0213", span, message, "limits nothing").help(help));
    }

    /// Checks one duration.
    pub(super) fn time(&mut self, template: &'a Template, key: &'static str, view: &View<'_, 'a>) {
        let place = Place::Time(key);
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
