//! `time.sleep`: a timer, carried out by the engine.

use crate::runbook::spec::{ActionSpec, Effect};
use crate::runbook::types::Type;
use crate::steps::schema::required;
use crate::steps::{Entry, Primitive};

/// The catalog's line.
pub(super) fn entry() -> Entry {
    let spec = ActionSpec {
        name: "time.sleep".to_owned(),
        title: "Wait".to_owned(),
        effect: Effect::Read,
        effect_of: None,
        repeat_of: None,
        args: vec![required("duration", Type::Duration, "how long, such as `30s`")],
        outputs: vec![],
        docs: "A timer of the run, not a task: it survives restarts, and a rehearsal does not wait.".to_owned(),
    };
    Entry { spec, primitive: Primitive::Engine }
}
