//! Waiting: what may be repeated, what can time out, and for how long.

use crate::runbook::model::{Body, Step};
use crate::runbook::snippet::{Template, TemplateNode};
use crate::runbook::source::Span;
use crate::runbook::spec::Effect;
use crate::runbook::types::{Type, parse_duration};
use crate::script::value::Value;

use super::facts::Callee;
use super::file::{Checker, View};
use super::place::Place;

impl<'a> Checker<'a> {
    /// Checks `until`, `every`, `within` and `timeout` of a step.
    pub(super) fn timing(&mut self, step: &'a Step, view: &View<'_, 'a>) {
        if let Some(poll) = &step.poll {
            self.condition(&poll.until, Place::Until, view);
            self.only_reads_are_polled(step, poll.until.locate(None));
            if let Some(every) = &poll.every {
                self.time(every, "every", view);
            }
        }
        if let Some(within) = &step.within {
            self.time(within, "within", view);
        }
        if let Some(timeout) = &step.timeout {
            self.time(timeout, "timeout", view);
            self.only_attempts_time_out(step, timeout.span);
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

    fn time(&mut self, template: &'a Template, key: &'static str, view: &View<'_, 'a>) {
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
