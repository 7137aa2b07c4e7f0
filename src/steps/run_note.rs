//! `run.note`: a line of the transcript, carried out by the engine.

use crate::runbook::spec::{ActionSpec, Effect};
use crate::runbook::types::Type;
use crate::steps::schema::required;
use crate::steps::{Entry, Primitive};

/// The catalog's line.
pub(super) fn entry() -> Entry {
    let spec = ActionSpec {
        name: "run.note".to_owned(),
        title: "Write a line into the transcript".to_owned(),
        effect: Effect::Pure,
        effect_of: None,
        repeat_of: None,
        args: vec![required("text", Type::String, "what to note")],
        outputs: vec![],
        docs: "For the reader of the transcript; secrets are taken out as everywhere.".to_owned(),
    };
    Entry { spec, primitive: Primitive::Engine }
}
