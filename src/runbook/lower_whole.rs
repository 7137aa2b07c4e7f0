//! Keys that speak of a file as a whole: who may run beside it, what a rehearsal says of it.

use crate::runbook::model::{Concurrency, IfBusy, Kind, Overlay, Plan};
use crate::runbook::node::Node;
use crate::runbook::problem::Problem;
use crate::runbook::reader::{Fields, Keys, Reader};

pub(super) const CONCURRENCY: Keys = Keys {
    what: "concurrency",
    known: &["group", "if_busy"],
    later: &[],
    foreign: &[
        ("cancel-in-progress", "a run is never cancelled by another one: `if_busy` is refuse, wait or attach"),
        ("key", "write `group`"),
        ("max", "a group holds one run at a time"),
    ],
};
pub(super) const IF_BUSY: [(&str, IfBusy); 3] =
    [("refuse", IfBusy::Refuse), ("wait", IfBusy::Wait), ("attach", IfBusy::Attach)];
pub(super) const PLAN: Keys = Keys {
    what: "plan",
    known: &["summary", "before", "after", "reversible"],
    later: &[],
    foreign: &[("title", "write `summary`"), ("now", "write `before`")],
};
pub(super) const OVERLAY: Keys = Keys {
    what: "overlay",
    known: &["place", "script"],
    later: &[],
    foreign: &[
        ("outputs", "write a `script` that gives `#{ outputs: #{ … } }`"),
        ("value", "write a `script` that gives `#{ outputs: #{ … } }`"),
        ("sets", "it stands in `leaves`, on the step that writes"),
    ],
};
/// Keys of one kind of file only: key, kind, why the other has none, what to write there instead.
pub(super) const BELONGS: [(&str, Kind, &str, &str); 5] = [
    ("timeout", Kind::Runbook, "an action takes the time of the run that calls it", "put it on the steps inside"),
    ("concurrency", Kind::Runbook, "an action runs inside of a run", "put it into the runbooks that call this action"),
    ("triggers", Kind::Runbook, "an action runs inside of a run", "put them into the runbook that is to start"),
    (
        "plan",
        Kind::Action,
        "a runbook is planned step by step",
        "put the steps that write into an action, with a `plan`",
    ),
    ("overlay", Kind::Action, "nobody reads what a runbook gives", "put the steps that read into an action"),
];

/// Says which keys belong to the other kind of file.
pub fn belongs(reader: &mut Reader, fields: &Fields<'_>, kind: Kind) {
    for (key, owner, why, help) in BELONGS {
        let Some(entry) = fields.entry(key).filter(|_| owner != kind) else { continue };
        let owner = if owner == Kind::Runbook { "runbook" } else { "action" };
        reader.push(
            Problem::error(
                "E0103",
                &reader.source,
                entry.key.span,
                format!("`{key}` is a key of {owner}s only: {why}"),
            )
            .label(format!("not in this {}", if owner == "runbook" { "action" } else { "runbook" }))
            .help(help),
        );
    }
}

/// Reads `concurrency`.
pub fn concurrency(reader: &mut Reader, node: &Node) -> Option<Concurrency> {
    let fields = reader.fields(node, &CONCURRENCY)?;
    let group = reader.required(&fields, "group").and_then(|node| reader.text_template(node, "`group`"));
    let if_busy = match fields.get("if_busy") {
        Some(node) => reader.word(node, "if_busy", &IF_BUSY)?,
        None => IfBusy::default(),
    };
    Some(Concurrency { group: group?, if_busy })
}

/// Reads `plan`.
pub fn plan(reader: &mut Reader, node: &Node) -> Option<Plan> {
    let fields = reader.fields(node, &PLAN)?;
    let summary = reader.required(&fields, "summary").and_then(|node| reader.text_template(node, "`summary`"));
    let mut template = |key: &str| fields.get(key).map(|node| reader.template(node));
    let (before, after, reversible) = (template("before"), template("after"), template("reversible"));
    Some(Plan { summary: summary?, before: before.flatten(), after: after.flatten(), reversible: reversible.flatten() })
}

/// Reads `overlay`.
pub fn overlay(reader: &mut Reader, node: &Node) -> Option<Overlay> {
    let fields = reader.fields(node, &OVERLAY)?;
    let place = reader.required(&fields, "place").and_then(|node| reader.text_template(node, "`place`"));
    let script = reader.required(&fields, "script").and_then(|node| reader.script(node));
    Some(Overlay { place: place?, script: script? })
}
