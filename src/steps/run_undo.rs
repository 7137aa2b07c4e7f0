//! `run.undo`: takes back what a run, an action or a called runbook did, carried out by the engine.

use crate::runbook::spec::{ActionSpec, By, Effect, RUN_UNDO};
use crate::runbook::types::Type;
use crate::steps::schema::output;
use crate::steps::{Entry, Primitive};

/// The catalog's line.
pub(super) fn entry() -> Entry {
    let spec = ActionSpec {
        name: RUN_UNDO.to_owned(),
        title: "Take back what was done here, the last change first".to_owned(),
        // What its undos may do beyond that counts for the file it stands in.
        effect: Effect::Write,
        effect_of: Some(By::Arguments(|_| Effect::Write)),
        repeat_of: None,
        args: Vec::new(),
        outputs: vec![
            output("undone", Type::List, "paths of the steps that were taken back, in that order"),
            output("without_undo", Type::List, "paths of changes that nothing takes back"),
        ],
        docs: "\
```yaml
on_failure:
  - uses: run.undo
```
Runs the `undo` of every step that has one and is done or failed, in the reverse order in which they ended: of the runbook \
or action it stands in, with all it called. Stands in `on_failure` or `finally`. The undo of a step is a step at `undo/STEP`, \
with an intent of its own; one that failed stops the rest: then this step has failed, and the run is *stuck* at its end, until \
`rerail undo RUN` goes on with what is left. What is taken back already is not taken back again. Afterwards no step it \
covered can be tried again.

`rerail undo RUN` does the same for a whole run that has ended."
            .to_owned(),
    };
    Entry { spec, primitive: Primitive::Engine }
}
