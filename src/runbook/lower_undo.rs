//! What takes a step back: the body below its `undo`.

use std::sync::Arc;

use crate::runbook::lower_steps::{Ids, beside, body_of, only_body};
use crate::runbook::model::{Step, Undo};
use crate::runbook::node::Node;
use crate::runbook::reader::{Keys, Reader};
use crate::runbook::{lower_times, lower_writes};

pub(super) const UNDO: Keys = Keys {
    what: "undo",
    known: &[
        "name",
        "uses",
        "with",
        "script",
        "steps",
        "parallel",
        "timeout",
        "retry",
        "effect",
        "repeat",
        "settle",
        "reason",
        "safe_if_never_happened",
    ],
    later: &[],
    foreign: &[
        ("id", "it goes by the id of the step it takes back"),
        ("if", "put it on a step below `steps`"),
        ("foreach", "in a `foreach` it runs for each item; else put it on a step below `steps`"),
        ("until", "put it on a step below `steps`"),
        ("within", "put it on a step below `steps`; `timeout` limits one attempt"),
        ("undo", "what takes a step back isn't taken back itself"),
        ("assert", "put it into a step below `steps`"),
        ("findings", "put it into a step below `steps`"),
        ("outputs", "nothing reads what an `undo` gives"),
        ("continue_on_failure", "an `undo` that failed stops the rest, so that a person looks"),
    ],
};
/// What can take something back.
pub(super) const BODIES: [&str; 4] = ["uses", "script", "steps", "parallel"];

/// Reads the `undo` of the step with this id.
pub fn undo(reader: &mut Reader, node: &Node, id: &str, ids: &mut Ids) -> Option<Undo> {
    let fields = reader.fields(node, &UNDO)?;
    let body = only_body(reader, &fields, "undo", &BODIES);
    let name = fields.get("name").and_then(|node| reader.text_template(node, "`name`"));
    let timeout = fields.get("timeout").and_then(|node| reader.duration_template(node, "`timeout`"));
    let retry = fields.get("retry").and_then(|node| lower_times::retry(reader, node));
    let effect = fields.get("effect").and_then(|node| lower_writes::effect(reader, node));
    let repeat = fields.get("repeat").and_then(|node| lower_writes::repeat(reader, node));
    let safe = fields.get("safe_if_never_happened");
    let safe = safe.and_then(|node| reader.boolean(node, "`safe_if_never_happened`")).unwrap_or(false);
    let reason = fields.get("reason").and_then(|node| reader.text(node, "`reason`"));
    let entry = body?;
    beside(reader, &fields, &entry.key.value);
    let body = body_of(reader, &fields, entry, ids)?;
    let settle = fields.get("settle").and_then(|node| lower_writes::settle(reader, node, repeat.as_ref(), ids));
    let step = Step {
        id: id.to_owned(),
        span: entry.key.span,
        name,
        condition: None,
        foreach: None,
        body,
        poll: None,
        fail_if: None,
        within: None,
        timeout,
        retry: retry.map(Box::new),
        effect,
        repeat,
        settle: settle.map(Box::new),
        leaves: None,
        approval: None,
        undo: None,
        continue_on_failure: false,
        outputs: None,
        reveal: Vec::new(),
        reason,
    };
    Some(Undo { block: [Arc::new(step)].into(), safe_if_never_happened: safe })
}
