//! Keys that speak of a file as a whole: evaluated before its first step, or shown instead of its steps.

use crate::runbook::model::Plan;
use crate::runbook::snippet::TemplateNode;
use crate::runbook::types::Type;

use super::file::{Checker, View, article};
use super::place::Place;

impl<'a> Checker<'a> {
    /// Checks `timeout` and `concurrency` of a runbook.
    pub(super) fn whole(&mut self, view: &View<'_, 'a>) {
        let file = self.file;
        if let Some(timeout) = &file.timeout {
            self.time_at(timeout, "timeout", Place::Whole("timeout"), view);
        }
        let Some(concurrency) = &file.concurrency else { return };
        let group = &concurrency.group;
        self.template(group, Place::Whole("group"), view);
        if let TemplateNode::Expression(snippet) = &group.node
            && let Some(ty) = self.type_of(snippet, view)
            && !ty.is_text()
            && !matches!(ty, Type::Any | Type::Secret)
        {
            let message = format!("`group`: expected text, got {} {}", article(&ty), ty.name());
            let help = "put words around it: `group: \"deploy-${{ … }}\"`";
            self.push(self.error("E0235", group.span, message, "not text").help(help));
        }
        if group.literal().is_some_and(|text| text.to_string().trim().is_empty()) {
            let message = "`group` is blank: every runbook that leaves it so would wait for the others";
            self.push(self.error("E0235", group.span, message, "name what is shared"));
        }
    }

    /// Checks `plan` of an action, which sees the reads before its first write.
    pub(super) fn plan(&mut self, plan: &'a Plan, view: &View<'_, 'a>) {
        let parts = [Some(&plan.summary), plan.before.as_ref(), plan.after.as_ref(), plan.reversible.as_ref()];
        for template in parts.into_iter().flatten() {
            self.template(template, Place::Plan, view);
        }
    }
}
