//! `run.undo`: known, so that a runbook that has it gets a clear answer; this release doesn't undo yet.

use crate::runbook::spec::{ActionSpec, By, Effect, RUN_UNDO};
use crate::steps::{Entry, Primitive};

/// The catalog's line.
pub(super) fn entry() -> Entry {
    let spec = ActionSpec {
        name: RUN_UNDO.to_owned(),
        title: "Take back what this run did (not in this release)".to_owned(),
        effect: Effect::Destructive,
        effect_of: Some(By::Arguments(|_| Effect::Destructive)),
        repeat_of: None,
        args: Vec::new(),
        outputs: Vec::new(),
        docs: "\
Takes back the writes of the run that have an `undo`, the last one first. It is part of the language, and this release \
doesn't undo yet: `check` refuses it. Until then, write the steps that take a change back into `on_failure`."
            .to_owned(),
    };
    Entry { spec, primitive: Primitive::Engine }
}
