//! `runbook`: another runbook as a step, carried out by the engine.

use crate::runbook::spec::{ActionSpec, By, Effect, RUN_CHILD};
use crate::runbook::types::Type;
use crate::steps::schema::{optional, required};
use crate::steps::{Entry, Primitive};

/// The catalog's line.
pub(super) fn entry() -> Entry {
    let spec = ActionSpec {
        name: RUN_CHILD.to_owned(),
        title: "Run another runbook".to_owned(),
        // Where the runbook is known, its own effect counts; this is the one it can't pass.
        effect: Effect::Destructive,
        effect_of: Some(By::Arguments(|_| Effect::Destructive)),
        repeat_of: None,
        args: vec![
            required("name", Type::String, "the runbook, by name: it stands in the text, so that all it does is known before the run"),
            optional("inputs", Type::Map, "its inputs, by name; checked against its declarations"),
        ],
        outputs: Vec::new(),
        docs: "\
```yaml
- id: health
  uses: runbook
  with:
    name: backend-down
    inputs: { base_url: \"${{ inputs.base_url }}\" }
```
The other runbook runs inside this run: its steps stand below this one, with its own inputs, vars and secrets. Its effect \
is the greatest of its steps. Its `on_failure` and `finally` belong to it, its findings to the whole run. \
A `run.finish` in it ends it, and this run goes on behind the step. The outputs are those of the runbook; it fails as \
the runbook fails.

Runbooks can't run each other in a circle. The text is pinned with the run."
            .to_owned(),
    };
    Entry { spec, primitive: Primitive::Engine }
}
