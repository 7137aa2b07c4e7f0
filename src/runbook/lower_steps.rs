//! Steps: one body each, with what may stand beside it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::runbook::lower::named_templates;
use crate::runbook::lower_approval;
use crate::runbook::lower_sealed;
use crate::runbook::lower_times;
use crate::runbook::lower_undo;
use crate::runbook::lower_writes;
use crate::runbook::model::{Assertion, Block, Body, FindingRule, Level, Step, Suggestion};
use crate::runbook::node::{Entry, Node, NodeKind};
use crate::runbook::problem::Problem;
use crate::runbook::reader::{Fields, Keys, Reader, one};
use crate::runbook::snippet::Template;
use crate::runbook::source::{Span, Spanned};
use crate::runbook::words::{self, quoted};

pub(super) const STEP: Keys = Keys {
    what: "step",
    known: &[
        "id",
        "name",
        "if",
        "foreach",
        "max_parallel",
        "uses",
        "with",
        "script",
        "assert",
        "findings",
        "steps",
        "parallel",
        "until",
        "in_a_row",
        "fail_if",
        "every",
        "within",
        "timeout",
        "retry",
        "approval",
        "effect",
        "repeat",
        "settle",
        "leaves",
        "undo",
        "reason",
        "continue_on_failure",
        "outputs",
        "reveal",
    ],
    later: &[],
    foreign: &[
        ("run", "a command is `uses: exec.run`; Rhai code is `script`"),
        ("when", "a condition of a step is `if`"),
        ("unless", "write `if: not(…)`"),
        ("needs", "steps run in the order written"),
        ("depends", "steps run in the order written"),
        ("env", "pass values in `with`"),
        ("args", "arguments stand in `with`"),
        ("action", "an action is called by `uses`"),
        ("call", "an action is called by `uses`"),
        ("register", "a step's outputs are `steps.ID.outputs`"),
        ("loop", "write `foreach`"),
        ("with_items", "write `foreach`"),
        ("matrix", "write `foreach`"),
        ("retries", "write `retry: { attempts: 3 }`"),
        ("idempotent", "write `repeat: repeatable`, with a `reason`"),
        ("timeout-minutes", "write `timeout: 5m`"),
        ("continue-on-error", "write `continue_on_failure`"),
        ("ignore_errors", "write `continue_on_failure`"),
        ("description", "write `name`"),
        ("uri", "write `uses: http.request`, or `http.probe` to only look"),
        ("overlay", "it stands on top of an action that reads; what a write leaves is `leaves`"),
        ("become", "a step acts as whoever runs it, with the secrets of its target"),
    ],
};

pub(super) const BODIES: [&str; 6] = ["uses", "script", "assert", "findings", "steps", "parallel"];
/// Keys that go with some bodies only. What stands in none of the lists goes with every body.
pub(super) const GOES_WITH: [(&str, &[&str]); 15] = [
    ("with", &["uses"]),
    ("until", &["uses", "script", "steps"]),
    ("in_a_row", &["uses", "script", "steps"]),
    ("every", &["uses", "script", "steps"]),
    ("fail_if", &["uses", "script", "steps"]),
    ("timeout", &["uses", "script", "steps", "parallel"]),
    ("retry", &["uses", "script", "steps", "parallel"]),
    ("outputs", &["uses", "script", "steps", "parallel"]),
    ("approval", &["uses", "script", "steps", "parallel"]),
    ("effect", &["uses"]),
    ("repeat", &["uses"]),
    ("settle", &["uses"]),
    ("leaves", &["uses"]),
    ("undo", &["uses", "script", "steps", "parallel"]),
    ("reveal", &["uses"]),
];
/// Keys that a `foreach` around the body takes over: they look at its items, whatever the body is.
pub(super) const OF_FOREACH: [&str; 3] = ["until", "in_a_row", "every"];
/// Segments of paths that aren't steps.
const PATH_PREFIXES: [&str; 4] = ["on_failure", "finally", "undo", "settle"];

pub(super) const ASSERTION: Keys = Keys {
    what: "assertion",
    known: &["that", "else"],
    later: &[],
    foreign: &[("message", "write `else`"), ("if", "write `that`"), ("when", "write `that`")],
};
pub(super) const FINDING: Keys = Keys {
    what: "finding",
    known: &["when", "level", "say", "suggest"],
    later: &[],
    foreign: &[("if", "write `when`"), ("severity", "write `level`"), ("message", "write `say`")],
};
pub(super) const SUGGESTION: Keys = Keys {
    what: "suggestion",
    known: &["runbook", "with"],
    later: &[],
    foreign: &[("uses", "write `runbook`"), ("inputs", "write `with`")],
};
pub(super) const LEVELS: [(&str, Level); 4] =
    [("ok", Level::Ok), ("info", Level::Info), ("warning", Level::Warning), ("critical", Level::Critical)];

/// Ids of a file: those written anywhere in it, and those given so far.
pub struct Ids {
    written: BTreeSet<String>,
    first: BTreeMap<String, Span>,
    /// The number the next unnamed step of a kind gets.
    next: BTreeMap<String, u32>,
}

impl Ids {
    /// Collects every `id` of a file, so that no generated one takes the name of a later step.
    pub fn of(root: &Node) -> Ids {
        let mut written = BTreeSet::new();
        collect_ids(root, &mut written);
        Ids { written, first: BTreeMap::new(), next: BTreeMap::new() }
    }

    /// An id for an unnamed step: `http_probe`, then `http_probe_2`.
    fn generate(&mut self, base: &str, span: Span) -> String {
        let next = self.next.entry(base.to_owned()).or_insert(1);
        let id = loop {
            let id = if *next == 1 { base.to_owned() } else { format!("{base}_{next}") };
            *next += 1;
            if !self.written.contains(&id) && !self.first.contains_key(&id) {
                break id;
            }
        };
        self.first.insert(id.clone(), span);
        id
    }
}

/// Every text behind an `id:`, wherever it stands.
pub(super) fn collect_ids(node: &Node, found: &mut BTreeSet<String>) {
    match &node.kind {
        NodeKind::List(items) => items.iter().for_each(|item| collect_ids(item, found)),
        NodeKind::Map(entries) => {
            for Entry { key, value } in entries {
                match &value.kind {
                    NodeKind::Scalar(scalar) if key.value == "id" => {
                        found.insert(scalar.text.clone());
                    }
                    _ => collect_ids(value, found),
                }
            }
        }
        NodeKind::Absent | NodeKind::Refused | NodeKind::Scalar(_) => {}
    }
}

/// Reads a list of steps.
pub fn block(reader: &mut Reader, node: &Node, ids: &mut Ids, key: &str) -> Block {
    let Some(items) = reader.list(node, &format!("`{key}`"), "a list of steps") else { return Block::from([]) };
    if items.is_empty() {
        let span = reader.first_line(node.span);
        reader.error("E0107", span, format!("`{key}` is empty: expected at least one step"), "no steps");
    }
    items.iter().filter_map(|item| step(reader, item, ids)).map(Arc::new).collect()
}

fn step(reader: &mut Reader, node: &Node, ids: &mut Ids) -> Option<Step> {
    let fields = reader.fields(node, &STEP)?;
    let body = only_body(reader, &fields, "step", &BODIES);
    let name = fields.get("name").and_then(|node| reader.text_template(node, "`name`"));
    let condition = fields.get("if").and_then(|node| reader.expression(node, "`if`"));
    let foreach = lower_times::foreach(reader, &fields);
    let poll = lower_times::poll(reader, &fields);
    let fail_if = fields.get("fail_if").and_then(|node| reader.expression(node, "`fail_if`"));
    let within = fields.get("within").and_then(|node| reader.duration_template(node, "`within`"));
    let timeout = fields.get("timeout").and_then(|node| reader.duration_template(node, "`timeout`"));
    let retry = fields.get("retry").and_then(|node| lower_times::retry(reader, node));
    let approval = fields.get("approval").and_then(|node| lower_approval::approval(reader, node));
    let effect = fields.get("effect").and_then(|node| lower_writes::effect(reader, node));
    let repeat = fields.get("repeat").and_then(|node| lower_writes::repeat(reader, node));
    let continue_on_failure = fields.get("continue_on_failure");
    let continue_on_failure =
        continue_on_failure.and_then(|node| reader.boolean(node, "`continue_on_failure`")).unwrap_or(false);
    let outputs = fields.has("outputs").then(|| named_templates(reader, &fields, "outputs"));
    let reveal = fields.get("reveal").map(|node| lower_sealed::reveal(reader, node)).unwrap_or_default();
    let reason = fields.get("reason").and_then(|node| reader.text(node, "`reason`"));
    let explicit = explicit_id(reader, &fields, ids);
    let body_entry = body?;
    beside(reader, &fields, &body_entry.key.value);
    // The id is taken before the steps inside get theirs: outer names read better.
    let span = explicit.as_ref().map_or(body_entry.key.span, |id| id.span);
    let id = match explicit {
        Some(id) => id.value,
        None => ids.generate(&base_id(body_entry), span),
    };
    let body = body_of(reader, &fields, body_entry, ids)?;
    let settle = fields.get("settle").and_then(|node| lower_writes::settle(reader, node, repeat.as_ref(), ids));
    let leaves = fields.get("leaves").and_then(|node| lower_writes::leaves(reader, node));
    let undo = fields.get("undo").and_then(|node| lower_undo::undo(reader, node, &id, ids));
    Some(Step {
        id,
        span,
        name,
        condition,
        foreach,
        body,
        poll,
        fail_if,
        within,
        timeout,
        retry: retry.map(Box::new),
        approval: approval.map(Box::new),
        effect,
        repeat,
        settle: settle.map(Box::new),
        leaves: leaves.map(Box::new),
        undo,
        continue_on_failure,
        outputs,
        reason,
        reveal,
    })
}

/// The one key that is the body.
pub(super) fn only_body<'n>(reader: &mut Reader, fields: &Fields<'n>, what: &str, of: &[&str]) -> Option<&'n Entry> {
    let mut bodies: Vec<&Entry> = of.iter().filter_map(|key| fields.entry(key)).collect();
    bodies.sort_by_key(|entry| entry.key.span);
    match bodies.as_slice() {
        // The unknown key was the body: said already.
        [] if fields.strange => None,
        [] => {
            let span = reader.first_line(fields.span);
            reader.push(
                Problem::error("E0115", &reader.source, span, format!("{} without a body", one(what)))
                    .label("does nothing")
                    .help(format!("give it one of {}", of.join(", "))),
            );
            None
        }
        [one] => Some(one),
        [first, second, ..] => {
            let what = one(what);
            let message = format!("{what} has one body, and this one has `{}` already", first.key.value);
            reader.push(
                Problem::error("E0115", &reader.source, second.key.span, message)
                    .label("a second body")
                    .help("make two steps of it"),
            );
            Some(first)
        }
    }
}

/// Keys that don't go with this body.
pub(super) fn beside(reader: &mut Reader, fields: &Fields<'_>, body: &str) {
    for (key, bodies) in GOES_WITH {
        let Some(entry) = fields.entry(key) else { continue };
        if bodies.contains(&body) || (OF_FOREACH.contains(&key) && fields.has("foreach")) {
            continue;
        }
        let (message, label) = match key {
            "with" => {
                (format!("`with` holds the arguments of `uses`, and this step has `{body}`"), "goes with `uses` only")
            }
            _ => (
                format!("`{key}` does not go with `{body}`"),
                match bodies {
                    ["uses"] => "goes with `uses` only",
                    ["uses", "script", "steps"] => "goes with `uses`, `script` or `steps`",
                    _ => "goes with `uses`, `script`, `steps` or `parallel`",
                },
            ),
        };
        reader.error("E0115", entry.key.span, message, label);
    }
}

fn explicit_id(reader: &mut Reader, fields: &Fields<'_>, ids: &mut Ids) -> Option<Spanned<String>> {
    let id = fields.get("id").and_then(|node| reader.text(node, "`id`"))?;
    if PATH_PREFIXES.contains(&id.value.as_str()) {
        let message = format!("{} can't be a step's id: paths of other blocks start with it", quoted(&id.value));
        reader.error("E0105", id.span, message, "choose another name");
    } else {
        reader.name(&id, words::snake_case_fault);
    }
    match ids.first.get(&id.value) {
        Some(first) => reader.twice(id.span, &id.value, *first),
        None => {
            ids.first.insert(id.value.clone(), id.span);
        }
    }
    Some(id)
}

/// What the id of an unnamed step is made of: its action's name, or its body's key.
fn base_id(body: &Entry) -> String {
    match &body.value.kind {
        NodeKind::Scalar(scalar) if body.key.value == "uses" && words::action_fault(&scalar.text).is_none() => {
            scalar.text.replace('.', "_")
        }
        _ => body.key.value.clone(),
    }
}

pub(super) fn body_of(reader: &mut Reader, fields: &Fields<'_>, entry: &Entry, ids: &mut Ids) -> Option<Body> {
    let node = &entry.value;
    Some(match entry.key.value.as_str() {
        "uses" => {
            let action = reader.text(node, "`uses`");
            if let Some(action) = &action {
                reader.name(action, words::action_fault);
            }
            let with = arguments(reader, fields);
            Body::Uses { action: action?, with: with? }
        }
        "script" => Body::Script(reader.script(node)?),
        "assert" => Body::Assert(some(reader, node, "assert", assertion)?),
        "findings" => Body::Findings(some(reader, node, "findings", finding)?),
        "parallel" => Body::Parallel(block(reader, node, ids, "parallel")),
        _ => Body::Steps(block(reader, node, ids, "steps")),
    })
}

/// `with`: the arguments of a call, or the inputs of a suggestion.
fn arguments(reader: &mut Reader, fields: &Fields<'_>) -> Option<Vec<(Spanned<String>, Template)>> {
    let Some(node) = fields.get("with") else { return Some(vec![]) };
    if matches!(node.kind, NodeKind::Absent) {
        return Some(vec![]);
    }
    let entries = reader.map(node, "`with`");
    for entry in entries {
        reader.name(&entry.key, words::snake_case_fault);
    }
    reader.template_entries(entries)
}

/// A list with at least one item.
fn some<T>(reader: &mut Reader, node: &Node, key: &str, item: fn(&mut Reader, &Node) -> Option<T>) -> Option<Vec<T>> {
    let items = reader.list(node, &format!("`{key}`"), "a list")?;
    if items.is_empty() {
        reader.error("E0107", reader.first_line(node.span), format!("`{key}` is empty"), "nothing to look at");
    }
    Some(items.iter().filter_map(|node| item(reader, node)).collect())
}

fn assertion(reader: &mut Reader, node: &Node) -> Option<Assertion> {
    let fields = reader.fields(node, &ASSERTION)?;
    let that = reader.required(&fields, "that").and_then(|node| reader.expression(node, "`that`"));
    let otherwise = fields.get("else").and_then(|node| reader.text_template(node, "`else`"));
    Some(Assertion { that: that?, otherwise })
}

fn finding(reader: &mut Reader, node: &Node) -> Option<FindingRule> {
    let fields = reader.fields(node, &FINDING)?;
    let when = reader.required(&fields, "when").and_then(|node| reader.expression(node, "`when`"));
    let level = reader.required(&fields, "level").and_then(|node| reader.word(node, "level", &LEVELS));
    let say = reader.required(&fields, "say").and_then(|node| reader.text_template(node, "`say`"));
    let suggest = fields.get("suggest").and_then(|node| suggestion(reader, node));
    Some(FindingRule { when: when?, level: level?, say: say?, suggest })
}

fn suggestion(reader: &mut Reader, node: &Node) -> Option<Suggestion> {
    let fields = reader.fields(node, &SUGGESTION)?;
    let runbook = reader.required(&fields, "runbook").and_then(|node| reader.text(node, "`runbook`"));
    if let Some(runbook) = &runbook {
        reader.name(runbook, words::kebab_case_fault);
    }
    let with = arguments(reader, &fields);
    Some(Suggestion { runbook: runbook?, with: with? })
}
