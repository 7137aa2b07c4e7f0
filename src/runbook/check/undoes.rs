//! What takes steps back: `undo` stands where something is written, sees what its step sees, and isn't taken back
//! itself; `run.undo` stands where a runbook has ended.

use crate::runbook::effects;
use crate::runbook::model::{Body, Step, walk};
use crate::runbook::source::Span;
use crate::runbook::spec::RUN_UNDO;

use super::facts::Callee;
use super::file::{Checker, Way};
use super::scope::Scope;

/// Blocks in which `run.undo` may stand: the steps it takes back are over there.
const AFTERWARDS: [&str; 2] = ["on_failure", "finally"];

impl<'a> Checker<'a> {
    /// Checks the `undo` of a step, behind what it gives.
    pub(super) fn taken_back(&mut self, step: &'a Step, scope: &Scope<'a>, way: &mut Way<'a>) {
        let Some(undo) = &step.undo else { return };
        let span = undo.step().span;
        if way.undoes {
            let message = format!("`undo` of step `{}`, which itself takes a step back", step.id);
            let help = "what takes a step back isn't taken back: leave it out";
            self.push(self.error("E0236", span, message, "never used").help(help));
            return;
        }
        if !self.may_write(step) {
            let message = format!("`undo` takes back what a step changed, and `{}` changes nothing", step.id);
            let help = "it stands on the step that writes, or on one that is made of such steps";
            self.push(self.error("E0231", span, message, "nothing to take back").help(help));
        }
        let mut inside = scope.clone();
        inside.leave_to_undo(step, self.gaps.hides_step_at(step.span), self.facts);
        way.undoes = true;
        self.step(undo.step(), &mut inside, way);
        way.undoes = false;
    }

    /// Whether a step changes something, or calls what isn't known.
    fn may_write(&self, step: &'a Step) -> bool {
        let mut unknown = self.gaps.hides_step_at(step.span);
        let mut look = |step: &Step| {
            unknown |= match &step.body {
                Body::Uses { action, .. } => !matches!(self.facts.callee(&action.value), Callee::Known(_)),
                Body::Script(snippet) => crate::runbook::sites::of_script(snippet)
                    .iter()
                    .any(|site| effects::spec_at(site, self.facts.reached).is_none()),
                _ => false,
            };
        };
        look(step);
        if let Some(inner) = step.body.inner() {
            walk(inner, &mut |step| look(step));
        }
        unknown || effects::first_write(step, self.facts.reached).is_some()
    }

    /// Where `run.undo` stands.
    pub(super) fn of_undo(&mut self, step: &'a Step, way: &Way<'a>) {
        let Body::Uses { action, .. } = &step.body else { return };
        if action.value != RUN_UNDO {
            return;
        }
        let (message, help) = if way.undoes {
            (format!("`{RUN_UNDO}` inside an `undo`"), "what takes a step back takes only that step back")
        } else if !AFTERWARDS.contains(&way.block) {
            let message = format!("`{RUN_UNDO}` among the steps it would take back");
            (message, "it stands in `on_failure` or `finally`, where they are over")
        } else if step.foreach.is_some() {
            (format!("`{RUN_UNDO}` once for each item"), "it takes everything back at once: leave `foreach` out")
        } else {
            return;
        };
        self.push(self.error("E0236", action.span, message, "not here").help(help));
    }

    /// `run::undo(…)` in a script.
    pub(super) fn undo_in_a_script(&mut self, span: Span) {
        let message = format!("`{RUN_UNDO}` called by a script");
        let help = "make it a step of `on_failure` or `finally`: `uses: run.undo`";
        self.push(self.error("E0236", span, message, "not here").help(help));
    }
}

#[cfg(test)]
mod tests;
