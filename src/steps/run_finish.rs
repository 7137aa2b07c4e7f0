//! `run.finish`: an early end, carried out by the engine.

use crate::runbook::spec::{ActionSpec, Effect};
use crate::runbook::types::Type;
use crate::steps::schema::{choice, defaulted, optional};
use crate::steps::{Entry, Primitive};

/// The catalog's line.
pub(super) fn entry() -> Entry {
    let spec = ActionSpec {
        name: "run.finish".to_owned(),
        title: "End the run early".to_owned(),
        effect: Effect::Pure,
        effect_of: None,
        repeat_of: None,
        args: vec![
            defaulted("status", choice(&["success", "failed"]), "success", "how the run ended"),
            optional("message", Type::String, "what to say of it"),
        ],
        outputs: vec![],
        docs: "Ends the run it stands in: an action returns to its caller. `finally` still runs.".to_owned(),
    };
    Entry { spec, primitive: Primitive::Engine }
}
