//! Inputs, vars and secrets that are declared and never read.

use std::collections::BTreeSet;

use super::file::Checker;

/// The declared names that something reads.
#[derive(Default)]
pub(super) struct Used<'a> {
    pub(super) inputs: BTreeSet<&'a str>,
    pub(super) vars: BTreeSet<&'a str>,
    pub(super) secrets: BTreeSet<&'a str>,
    /// A context was read as a whole or by a computed name: everything in it may be used.
    pub(super) all_inputs: bool,
    pub(super) all_vars: bool,
    pub(super) all_secrets: bool,
}

impl Checker<'_> {
    /// Warns of every declared name that nothing reads.
    pub(super) fn unused(&mut self) {
        let file = self.file;
        let inputs = file.inputs.iter().map(|input| &input.name);
        let inputs = inputs.filter(|name| !self.used.all_inputs && !self.used.inputs.contains(name.value.as_str()));
        let vars = file.vars.iter().map(|(name, _)| name);
        let vars = vars.filter(|name| !self.used.all_vars && !self.used.vars.contains(name.value.as_str()));
        let secrets = file.secrets.iter().filter(|name| {
            let name = name.value.as_str();
            // A runbook may declare what only its actions use, so that its reader sees it on top.
            !self.used.all_secrets && !self.used.secrets.contains(name) && !self.facts.secrets_below.contains(name)
        });
        let kinds = inputs.map(|name| ("input", name)).chain(vars.map(|name| ("var", name)));
        let unused: Vec<_> = kinds.chain(secrets.map(|name| ("secret", name))).collect();
        for (kind, name) in unused {
            let message = format!("{kind} `{}` is never read", name.value);
            self.push(self.warning("W0403", name.span, message, "declared for nothing"));
        }
    }
}
