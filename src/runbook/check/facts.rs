//! What a file is checked against: the actions and modules around it.

use std::cell::OnceCell;
use std::collections::BTreeSet;

use crate::runbook::program::Library;
use crate::runbook::reach::Reached;
use crate::runbook::spec::{ActionSpec, shows};

/// The surroundings of a file.
pub struct Facts<'a> {
    pub(super) reached: &'a Reached,
    primitives: BTreeSet<&'a str>,
    pub(super) library: &'a dyn Library,
    /// Names of all runbooks, once somebody asks: a project lists its folder for them.
    runbooks: OnceCell<Vec<String>>,
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
        let below = reached.actions.values().chain(reached.children.values());
        let secrets = below.flat_map(|file| file.runbook.secrets.iter());
        Facts {
            reached,
            primitives: primitives.iter().map(|spec| spec.name.as_str()).collect(),
            library,
            runbooks: OnceCell::new(),
            secrets_below: secrets.map(|name| name.value.as_str()).collect(),
        }
    }

    pub(super) fn callee(&self, name: &str) -> Callee<'a> {
        match self.reached.specs.get(name) {
            Some(spec) => Callee::Known(spec),
            None if self.reached.unusable.contains(name) => Callee::Unusable,
            None => Callee::Unknown,
        }
    }

    /// A runbook that is called by this name.
    pub(super) fn child(&self, name: &str) -> Callee<'a> {
        match self.reached.children.get(name) {
            Some(child) => Callee::Known(&child.spec),
            None if self.reached.unusable_children.contains(name) => Callee::Unusable,
            None => Callee::Unknown,
        }
    }

    /// Whether there is such an action at all, reached or not.
    pub(super) fn is_action(&self, name: &str) -> bool {
        self.reached.specs.contains_key(name)
            || self.reached.unusable.contains(name)
            || self.primitives.contains(name)
            || !matches!(self.library.action(name), Ok(None))
    }

    pub(super) fn is_primitive(&self, name: &str) -> bool {
        self.primitives.contains(name)
    }

    pub(super) fn shows(&self, action: &str, argument: &str) -> bool {
        self.is_primitive(action) && shows(action, argument)
    }

    /// Names of all runbooks there are.
    pub(super) fn runbook_names(&self) -> &[String] {
        self.runbooks.get_or_init(|| self.library.runbook_names())
    }

    /// Names of all actions there are, for guesses.
    pub(super) fn action_names(&self) -> Vec<String> {
        let mut names: BTreeSet<String> = self.library.action_names().into_iter().collect();
        names.extend(self.primitives.iter().map(|name| (*name).to_owned()));
        names.into_iter().collect()
    }
}
