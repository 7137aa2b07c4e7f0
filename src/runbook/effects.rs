//! What a step may do to the world and whether that may be done again, as far as the text says. One place, so
//! that checks, totals and descriptions can't disagree.

use crate::runbook::model::Step;
use crate::runbook::sites::{self, Args, Site};
use crate::runbook::snippet::Template;
use crate::runbook::source::Spanned;
use crate::runbook::spec::{ActionSpec, Effect, RUN_CHILD, Repeat};

/// Where the contracts of called things are known.
pub trait Callees {
    /// The contract of a primitive or YAML action.
    fn action(&self, name: &str) -> Option<&ActionSpec>;
    /// The contract of a runbook that is called by `uses: runbook`.
    fn child(&self, name: &str) -> Option<&ActionSpec>;
    /// Whether the name is one of a YAML action.
    fn is_yaml(&self, name: &str) -> bool;
}

/// The contract of what a site calls; for `runbook`, that of the runbook it names.
pub fn spec_at<'c>(site: &Site<'_>, callees: &'c dyn Callees) -> Option<&'c ActionSpec> {
    match site.child() {
        Some(child) => callees.child(&child.value).or_else(|| callees.action(site.name)),
        None => callees.action(site.name),
    }
}

/// The effect of one call as written, without what its step says of it.
pub fn of_site(site: &Site<'_>, callees: &dyn Callees) -> Effect {
    spec_at(site, callees).map_or(Effect::Pure, |spec| site.args.effect(spec))
}

/// The greatest effect a step can have, with everything inside it.
pub fn of_step(step: &Step, callees: &dyn Callees) -> Effect {
    let mut greatest = Effect::Pure;
    calls(step, callees, &mut |call| greatest = greatest.max(call.effect));
    greatest
}

/// One call below a step, with what the step that makes it says of it.
pub struct CallSite<'s> {
    pub site: Site<'s>,
    /// The step that makes the call.
    pub step: &'s Step,
    pub effect: Effect,
    /// Whether it may be done again; of no interest for what changes nothing.
    pub repeat: Repeat,
}

/// Visits every call of a step and of the steps inside it; not those that settle a doubt or undo it.
pub fn calls<'s>(step: &'s Step, callees: &dyn Callees, visit: &mut dyn FnMut(CallSite<'s>)) {
    for site in sites::of_step(step) {
        let Some(spec) = spec_at(&site, callees) else { continue };
        let own = site.args.effect(spec);
        let whole = site.child().is_some() || callees.is_yaml(site.name);
        let effect = match &step.effect {
            None => own,
            // What happens inside of an action stands in its own file: a caller can't make it milder.
            Some(said) if whole => own.max(said.value),
            Some(said) => said.value,
        };
        let repeat = match &site.args {
            Args::With(with) if !whole => repeat_of(step, spec, with),
            args => args.repeat(spec),
        };
        visit(CallSite { site, step, effect, repeat });
    }
    for inner in step.body.inner().into_iter().flat_map(|inner| inner.iter()) {
        calls(inner, callees, visit);
    }
}

/// Whether the write of a step may be sent again: what the step says, else its primitive; a `settle` can find out.
pub fn repeat_of(step: &Step, spec: &ActionSpec, with: &[(Spanned<String>, Template)]) -> Repeat {
    let own = step.repeat.as_ref().map_or_else(|| Args::With(with).repeat(spec), |repeat| repeat.value);
    match own {
        Repeat::Once if step.settle.is_some() => Repeat::Verifiable,
        own => own,
    }
}

/// The first call below a step that changes the world.
pub fn first_write<'s>(step: &'s Step, callees: &dyn Callees) -> Option<CallSite<'s>> {
    first(step, callees, |call| call.effect.changes_the_world())
}

/// The first write below a step that may not be sent again at will: what is around it can't be done again as a whole.
pub fn first_unrepeatable<'s>(step: &'s Step, callees: &dyn Callees) -> Option<CallSite<'s>> {
    first(step, callees, |call| call.effect.changes_the_world() && call.repeat != Repeat::Repeatable)
}

fn first<'s>(step: &'s Step, callees: &dyn Callees, wanted: fn(&CallSite<'s>) -> bool) -> Option<CallSite<'s>> {
    let mut found = None;
    calls(step, callees, &mut |call| {
        if found.is_none() && wanted(&call) {
            found = Some(call);
        }
    });
    found
}

/// Primitives the engine carries out itself: they make no attempt at anything outside, so a time-out of
/// one attempt, another attempt, and a look repeated until it pleases mean nothing there.
const WITHOUT_ATTEMPTS: [&str; 2] = ["human.ask", "time.sleep"];

/// Whether the engine makes attempts at what a site calls: at what is made of steps, and at primitives that reach out.
pub fn has_attempts(site: &Site<'_>, spec: &ActionSpec, callees: &dyn Callees) -> bool {
    callees.is_yaml(site.name)
        || site.name == RUN_CHILD
        || (spec.effect != Effect::Pure && !WITHOUT_ATTEMPTS.contains(&site.name))
}
