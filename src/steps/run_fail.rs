//! `run.fail`: a failure on purpose, carried out by the engine.

use crate::runbook::spec::{ActionSpec, Effect};
use crate::runbook::types::Type;
use crate::steps::schema::required;
use crate::steps::{Entry, Primitive};

/// The catalog's line.
pub(super) fn entry() -> Entry {
    let spec = ActionSpec {
        name: "run.fail".to_owned(),
        title: "End the run as failed".to_owned(),
        effect: Effect::Pure,
        effect_of: None,
        repeat_of: None,
        args: vec![required("message", Type::String, "why")],
        outputs: vec![],
        docs: "The step fails with kind `stopped` and this message; `on_failure` and `finally` run.".to_owned(),
    };
    Entry { spec, primitive: Primitive::Engine }
}
