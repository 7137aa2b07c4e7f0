//! What a step says of its write: its effect, whether it may be sent again, how a doubt is settled.

use crate::runbook::lower::named_templates;
use crate::runbook::lower_steps::{Ids, block};
use crate::runbook::model::{Leaves, Settle};
use crate::runbook::node::{Node, NodeKind};
use crate::runbook::problem::Problem;
use crate::runbook::reader::{Keys, Reader};
use crate::runbook::source::Spanned;
use crate::runbook::spec::{Effect, Repeat};
use crate::runbook::types::parse_duration;

pub(super) const SETTLE: Keys = Keys {
    what: "way to settle a doubt",
    known: &["steps", "happened", "not_happened", "outputs"],
    later: &[],
    foreign: &[
        ("done", "write `happened`"),
        ("if", "write `happened`"),
        ("uses", "write a list of `steps`"),
        ("until", "write `happened`; what waits is a step below `steps`"),
    ],
};
pub(super) const LEAVES: Keys = Keys {
    what: "`leaves`",
    known: &["place", "sets", "removes", "was"],
    later: &[],
    foreign: &[
        ("value", "write `sets`, a map of entries by name"),
        ("entries", "write `sets`"),
        ("deletes", "write `removes`"),
        ("before", "write `was`"),
    ],
};
pub(super) const KEYED: Keys =
    Keys { what: "`repeat`", known: &["keyed"], later: &[], foreign: &[("window", "write `{ keyed: 24h }`")] };
pub(super) const EFFECTS: [(&str, Effect); 5] = [
    ("pure", Effect::Pure),
    ("read", Effect::Read),
    ("notify", Effect::Notify),
    ("write", Effect::Write),
    ("destructive", Effect::Destructive),
];
pub(super) const REPEATS: [(&str, Repeat); 3] =
    [("repeatable", Repeat::Repeatable), ("once", Repeat::Once), ("verifiable", Repeat::Verifiable)];

/// Reads `effect`.
pub fn effect(reader: &mut Reader, node: &Node) -> Option<Spanned<Effect>> {
    reader.word(node, "effect", &EFFECTS).map(|effect| Spanned::new(effect, node.span))
}

/// Reads `repeat`: a word, or `{ keyed: 24h }`.
pub fn repeat(reader: &mut Reader, node: &Node) -> Option<Spanned<Repeat>> {
    let repeat = match &node.kind {
        NodeKind::Map(_) => {
            let fields = reader.fields(node, &KEYED)?;
            let window = reader.required(&fields, "keyed")?;
            Repeat::Keyed { window_s: window_s(reader, window)? }
        }
        NodeKind::Scalar(scalar) if scalar.text == "keyed" => {
            reader.push(
                Problem::error(
                    "E0106",
                    &reader.source,
                    node.span,
                    "`keyed` needs the time the other side remembers a key",
                )
                .label("for how long?")
                .help("write `repeat: { keyed: 24h }`"),
            );
            return None;
        }
        _ => reader.word(node, "repeat", &REPEATS)?,
    };
    Some(Spanned::new(repeat, node.span))
}

/// A window in whole seconds: what is shorter can't be relied on over a restart.
fn window_s(reader: &mut Reader, node: &Node) -> Option<u64> {
    let text = reader.text(node, "`keyed`")?;
    match parse_duration(&text.value) {
        Ok(window) if window.as_secs() > 0 => Some(window.as_secs()),
        Ok(_) => {
            reader.wrong(node, "`keyed`", "at least 1s");
            None
        }
        Err(error) => {
            reader.error("E0107", reader.first_line(node.span), format!("{error} for `keyed`"), "not a duration");
            None
        }
    }
}

/// Reads `settle`, which stands beside this `repeat`.
pub fn settle(reader: &mut Reader, node: &Node, repeat: Option<&Spanned<Repeat>>, ids: &mut Ids) -> Option<Settle> {
    if let Some(repeat) = repeat.filter(|repeat| repeat.value == Repeat::Once) {
        let message = "`repeat: once` beside a `settle`, which sends the write again when it didn't happen";
        reader.push(
            Problem::error("E0115", &reader.source, repeat.span, message)
                .label("never, or after a look?")
                .help("leave `repeat` out: with a `settle` it is `verifiable`"),
        );
    }
    let fields = reader.fields(node, &SETTLE)?;
    let steps = reader.required(&fields, "steps").map(|node| block(reader, node, ids, "steps"));
    let happened = reader.required(&fields, "happened").and_then(|node| reader.expression(node, "`happened`"));
    let not_happened = fields.get("not_happened").and_then(|node| reader.expression(node, "`not_happened`"));
    let outputs = named_templates(reader, &fields, "outputs");
    Some(Settle { steps: steps?, happened: happened?, not_happened, outputs })
}

/// Reads `leaves`.
pub fn leaves(reader: &mut Reader, node: &Node) -> Option<Leaves> {
    let fields = reader.fields(node, &LEAVES)?;
    let place = reader.required(&fields, "place").and_then(|node| reader.text_template(node, "`place`"));
    let mut template = |key: &str| fields.get(key).map(|node| reader.template(node));
    let (sets, removes, was) = (template("sets"), template("removes"), template("was"));
    if sets.is_none() && removes.is_none() && !fields.strange {
        reader.push(
            Problem::error("E0106", &reader.source, node.span, "`leaves` says where and not what")
                .label("neither `sets` nor `removes`")
                .help("say what will stand there: `sets: { NAME: … }`, `removes: [NAME]`; else leave it out"),
        );
        return None;
    }
    Some(Leaves { place: place?, sets: sets.flatten(), removes: removes.flatten(), was: was.flatten() })
}
