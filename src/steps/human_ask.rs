//! `human.ask`: a question to a person, carried out by the engine.

use crate::runbook::spec::{ActionSpec, Effect};
use crate::runbook::types::Type;
use crate::steps::schema::{optional, output, required};
use crate::steps::{Entry, Primitive};

/// The catalog's line.
pub(super) fn entry() -> Entry {
    let spec = ActionSpec {
        name: "human.ask".to_owned(),
        title: "Ask a person".to_owned(),
        effect: Effect::Read,
        effect_of: None,
        repeat_of: None,
        args: vec![
            required("text", Type::String, "the question"),
            optional("choices", Type::List, "possible answers; any text if left out"),
            optional("fields", Type::Map, "several answers at once: a map of name to declaration, as below `inputs`; not with `choices`"),
            optional("by", Type::List, "people or roles whose answer counts, where the project names its people; any person if left out"),
            optional("expires", Type::Duration, "how long to wait; 15 minutes if left out"),
        ],
        outputs: vec![
            output("answer", Type::Any, "what was answered: a text, or with `fields` a map of name to value"),
            output("by", Type::String, "who answered"),
        ],
        docs: "\
```yaml
- id: ready
  uses: human.ask
  with: { text: Is the maintenance page up?, choices: [\"yes\", \"no\"], expires: 15m }
```
```yaml
- id: plan
  uses: human.ask
  with:
    text: What shall we roll back to?
    fields:
      version: { type: string, description: A tag that was live before }
      drain: { type: bool, default: true }
```
The run waits; the question and the answer are in the transcript. Without an answer in time the step fails with kind \
`expired`. An answer that is not one of the choices \
is refused. In a rehearsal the answer is unknown.

With `people` in `rerail.yaml` only the people and roles in `by` are asked, and no other answer counts; without `by` any \
of the people may answer. Without `people` anybody who may use this journal can."
            .to_owned(),
    };
    Entry { spec, primitive: Primitive::Engine }
}
