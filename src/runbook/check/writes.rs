//! What a step says of its write: trust that is raised needs a reason, a doubt is settled by looking, and two
//! branches don't do the same.

use std::collections::BTreeMap;

use crate::runbook::effects;
use crate::runbook::model::{Block, Body, Step};
use crate::runbook::problem::Problem;
use crate::runbook::sites::Args;
use crate::runbook::source::Span;
use crate::runbook::spec::{ActionSpec, Effect, Repeat};
use crate::script::value::Value;

use super::facts::Callee;
use super::file::Checker;

impl<'a> Checker<'a> {
    /// Checks `effect`, `repeat` and `settle` of a step.
    pub(super) fn trust(&mut self, step: &'a Step) {
        let Body::Uses { action, with } = &step.body else { return };
        let Callee::Known(spec) = self.facts.callee(&action.value) else { return };
        let said = step.effect.as_ref();
        let site = &crate::runbook::sites::of_step(step)[0];
        if site.child().is_some() || !self.facts.is_primitive(site.name) {
            return self.of_steps_below(step, effects::of_site(site, self.facts.reached), site.name);
        }
        if !effects::has_attempts(site, spec, self.facts.reached) {
            return self.nothing_to_say(step, &format!("`{}` reaches nothing outside", spec.name));
        }
        let own = Args::With(with).effect(spec);
        if let Some(said) = said.filter(|said| said.value < own) {
            self.milder(step, spec, own, said.value, said.span);
        }
        let effect = said.map_or(own, |said| said.value);
        if !effect.changes_the_world() {
            let why = format!("`{}` only reads here", spec.name);
            return self.of_no_write(step, &why);
        }
        if let Some(repeat) = &step.repeat {
            self.repeated(step, Args::With(with).repeat(spec), repeat.value, repeat.span);
        }
        for look in step.settle.iter().flat_map(|settle| settle.steps.iter()) {
            if let Some(write) = effects::first_write(look, self.facts.reached) {
                let message = format!("`{}` is a {} here, inside a `settle`", write.site.name, write.effect.word());
                let help = "a doubt is settled by looking: only reads stand here";
                self.push(self.error("E0232", write.step.span, message, "would change what is in doubt").help(help));
            }
        }
    }

    /// An effect below the one of the primitive.
    fn milder(&mut self, step: &'a Step, spec: &ActionSpec, own: Effect, said: Effect, span: Span) {
        let name = &spec.name;
        if said == Effect::Pure || (spec.effect_of.is_none() && !said.changes_the_world()) {
            let message = format!("`{name}` is a {} whatever it is given: never just `{}`", own.word(), said.word());
            self.push(self.error("E0231", span, message, "too mild"));
        } else if step.reason.is_none() {
            let message = format!("`{name}` is a {} here, and `effect: {}` says less", own.word(), said.word());
            self.push(self.without_reason(span, message));
        }
    }

    /// Whether a write may be sent again, as the step says it.
    fn repeated(&mut self, step: &'a Step, own: Repeat, said: Repeat, span: Span) {
        if said == Repeat::Verifiable && step.settle.is_none() {
            let message = "`settle` is missing beside `repeat: verifiable`";
            let help = "say how it is found out: `settle: { steps: […], happened: … }`";
            self.push(self.error("E0106", span, message, "how?").help(help));
        } else if said != Repeat::Verifiable && is_trusted_more(said, own) && step.reason.is_none() {
            let message = format!("`repeat: {}` trusts this write more than it says of itself", word(said));
            self.push(self.without_reason(span, message));
        }
    }

    fn without_reason(&self, span: Span, message: String) -> Problem {
        let help = "say why that is right here: `reason: \"…\"`";
        self.error("E0230", span, message, "needs a `reason`").help(help)
    }

    /// Keys about a write, on a call of something that has steps of its own.
    fn of_steps_below(&mut self, step: &'a Step, own: Effect, name: &str) {
        if let Some(said) = step.effect.as_ref().filter(|said| said.value < own) {
            let message = format!("`{name}` is a {} by its own steps: who calls it can't make it milder", own.word());
            let help = "`effect` stands on the step inside";
            self.push(self.error("E0231", said.span, message, "too mild").help(help));
        }
        let why = format!("`{name}` has steps of its own");
        self.of_no_write(step, &why);
    }

    /// `repeat`, `settle` and `leaves`, where there is no single write.
    fn of_no_write(&mut self, step: &'a Step, why: &str) {
        let repeat = step.repeat.as_ref().map(|repeat| ("repeat", repeat.span));
        let leaves = step.leaves.as_ref().map(|leaves| ("leaves", leaves.place.span));
        let settle = step.settle.as_ref().map(|settle| ("settle", settle.happened.locate(None)));
        for (key, span) in [repeat, settle, leaves].into_iter().flatten() {
            self.misplaced(key, span, why);
        }
    }

    fn nothing_to_say(&mut self, step: &'a Step, why: &str) {
        if let Some(effect) = &step.effect {
            self.misplaced("effect", effect.span, why);
        }
        self.of_no_write(step, why);
    }

    fn misplaced(&mut self, key: &'static str, span: Span, why: &str) {
        let message = format!("`{key}` speaks of one write, and {why}");
        let help = "it stands on the step that writes";
        self.push(self.error("E0231", span, message, "no write of its own").help(help));
    }

    /// Two branches that make the same write race each other, or do it twice.
    pub(super) fn same_writes(&mut self, branches: &'a Block) {
        let mut first: BTreeMap<String, (usize, &'a Step)> = BTreeMap::new();
        let mut twice = Vec::new();
        for (number, branch) in branches.iter().enumerate() {
            effects::calls(branch, self.facts.reached, &mut |call| {
                if !call.effect.changes_the_world() {
                    return;
                }
                let Some(args) = call.site.args.all_literal() else { return };
                let key = format!("{} {}", call.site.name, Value::Map(args));
                match first.get(&key) {
                    Some((other, before)) if *other != number => {
                        if before.reason.is_none() && call.step.reason.is_none() {
                            twice.push((call.site.span, call.site.name.to_owned(), before.id.clone()));
                        }
                    }
                    Some(_) => {}
                    None => drop(first.insert(key, (number, call.step))),
                }
            });
        }
        for (span, name, before) in twice {
            let message = format!("`{name}` makes the same write as step `{before}`, in a branch beside it");
            let help = "do it once, or one after the other; if both are meant, say why: `reason: \"…\"`";
            self.push(self.error("E0233", span, message, "the same arguments").help(help));
        }
    }
}

/// Whether one word lets a write be sent again more freely than another.
fn is_trusted_more(said: Repeat, own: Repeat) -> bool {
    let rank = |repeat: Repeat| match repeat {
        Repeat::Once => (0, 0),
        Repeat::Verifiable => (1, 0),
        Repeat::Keyed { window_s } => (2, window_s),
        Repeat::Repeatable => (3, 0),
    };
    rank(said) > rank(own)
}

fn word(repeat: Repeat) -> &'static str {
    match repeat {
        Repeat::Once => "once",
        Repeat::Verifiable => "verifiable",
        Repeat::Keyed { .. } => "keyed",
        Repeat::Repeatable => "repeatable",
    }
}
