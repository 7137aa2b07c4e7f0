//! What a file is checked against: the actions and modules around it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::runbook::modules::Modules;
use crate::runbook::program::Library;
use crate::runbook::reach::Reached;
use crate::runbook::spec::{ActionSpec, Effect, shows};

/// Primitives the engine carries out itself: they make no attempt at anything outside, so a time-out of
/// one attempt and a look repeated until it pleases mean nothing there.
const WITHOUT_ATTEMPTS: [&str; 2] = ["human.ask", "time.sleep"];

/// The surroundings of a file.
pub struct Facts<'a> {
    specs: &'a BTreeMap<String, Arc<ActionSpec>>,
    unusable: &'a BTreeSet<String>,
    primitives: BTreeSet<&'a str>,
    pub(super) modules: &'a Modules,
    pub(super) library: &'a dyn Library,
    /// Secrets the reached actions declare, so that a runbook's own declaration of them is no idle one.
    pub(super) secrets_below: BTreeSet<&'a str>,
}

/// What a called name stands for.
#[derive(Clone, Copy)]
pub(super) enum Callee<'a> {
    Known(&'a ActionSpec),
    /// It exists, but its own mistakes hide what it takes and gives.
    Unusable,
    Unknown,
}

impl<'a> Facts<'a> {
    /// Gathers what the checks need of a reached program.
    pub fn new(reached: &'a Reached, library: &'a dyn Library, primitives: &[&'a ActionSpec]) -> Facts<'a> {
        let secrets = reached.actions.values().flat_map(|action| action.runbook.secrets.iter());
        Facts {
            specs: &reached.specs,
            unusable: &reached.unusable,
            primitives: primitives.iter().map(|spec| spec.name.as_str()).collect(),
            modules: &reached.modules,
            library,
            secrets_below: secrets.map(|name| name.value.as_str()).collect(),
        }
    }

    pub(super) fn callee(&self, name: &str) -> Callee<'a> {
        match self.specs.get(name) {
            Some(spec) => Callee::Known(spec),
            None if self.unusable.contains(name) => Callee::Unusable,
            None => Callee::Unknown,
        }
    }

    /// Whether there is such an action at all, reached or not.
    pub(super) fn is_action(&self, name: &str) -> bool {
        self.specs.contains_key(name)
            || self.unusable.contains(name)
            || self.primitives.contains(name)
            || !matches!(self.library.action(name), Ok(None))
    }

    pub(super) fn is_primitive(&self, name: &str) -> bool {
        self.primitives.contains(name)
    }

    /// Whether the engine makes attempts at this primitive, which can time out and be repeated.
    pub(super) fn has_attempts(&self, spec: &ActionSpec) -> bool {
        self.is_primitive(&spec.name) && spec.effect != Effect::Pure && !WITHOUT_ATTEMPTS.contains(&spec.name.as_str())
    }

    pub(super) fn shows(&self, action: &str, argument: &str) -> bool {
        self.is_primitive(action) && shows(action, argument)
    }

    /// Names of all actions there are, for guesses.
    pub(super) fn action_names(&self) -> Vec<String> {
        let mut names: BTreeSet<String> = self.library.action_names().into_iter().collect();
        names.extend(self.primitives.iter().map(|name| (*name).to_owned()));
        names.into_iter().collect()
    }
}
