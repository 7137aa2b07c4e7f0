//! `approval` of a step: it guards a write, and what it says can be evaluated before that.

use crate::runbook::effects;
use crate::runbook::model::{Body, Step};

use super::facts::Callee;
use super::file::{Checker, View};
use super::place::Place;

impl<'a> Checker<'a> {
    /// Checks what stands below `approval`, which sees what the step's `if` sees.
    pub(super) fn approval(&mut self, step: &'a Step, view: &View<'_, 'a>) {
        let Some(approval) = &step.approval else { return };
        if let Some(message) = &approval.message {
            self.template(message, Place::Message, view);
        }
        for (time, key) in [(&approval.expires, "expires"), (&approval.remind, "remind")] {
            if let Some(time) = time {
                self.time(time, key, view);
            }
        }
        if self.is_known(step) && !effects::of_step(step, self.facts.reached).changes_the_world() {
            let message = "`approval` on a step that changes nothing";
            let help = "it stands on what writes, or around it; a question to people is `uses: human.ask`";
            self.push(self.error("E0231", approval.span, message, "nothing to agree to").help(help));
        }
    }

    /// Whether all that a step calls is known: what isn't is said elsewhere, and may write.
    fn is_known(&self, step: &Step) -> bool {
        let known = crate::runbook::sites::of_step(step).iter().all(|site| match site.child() {
            Some(child) => matches!(self.facts.child(&child.value), Callee::Known(_)),
            None => matches!(self.facts.callee(site.name), Callee::Known(_)),
        });
        let inner = match &step.body {
            Body::Steps(inner) | Body::Parallel(inner) => inner.iter().all(|step| self.is_known(step)),
            _ => true,
        };
        known && inner && !self.gaps.hides_step_at(step.span)
    }
}
