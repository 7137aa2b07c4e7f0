//! What repeats a step: `foreach`, `until`, `retry`, and the defaults of a file.

use crate::runbook::contexts::{FAILURE_KINDS, NEVER_RETRIED, RETRY_WORDS};
use crate::runbook::model::{Defaults, Foreach, Poll, Retry};
use crate::runbook::nearest::did_you_mean;
use crate::runbook::node::{Node, NodeKind, Style};
use crate::runbook::problem::Problem;
use crate::runbook::reader::{Fields, Keys, Reader};
use crate::runbook::scalar::{self, Core};
use crate::runbook::snippet::{Template, TemplateNode};
use crate::runbook::source::Spanned;
use crate::runbook::words::quoted;
use crate::script::value::Value;

pub(super) const RETRY: Keys = Keys {
    what: "retry",
    known: &["attempts", "delay", "backoff", "max_delay", "on"],
    later: &[],
    foreign: &[
        ("max_attempts", "write `attempts`: how often in all, the first one included"),
        ("count", "write `attempts`: how often in all, the first one included"),
        ("limit", "write `attempts`: how often in all, the first one included"),
        ("every", "write `delay`; `every` belongs to `until`"),
        ("interval", "write `delay`"),
        ("factor", "write `backoff`"),
        ("when", "write `on`"),
    ],
};
pub(super) const DEFAULTS: Keys =
    Keys { what: "set of defaults", known: &["retry", "timeout"], later: &[], foreign: &[] };

/// Reads `defaults:`.
pub fn defaults(reader: &mut Reader, node: &Node) -> Defaults {
    let Some(fields) = reader.fields(node, &DEFAULTS) else { return Defaults::default() };
    Defaults {
        retry: fields.get("retry").and_then(|node| retry(reader, node)),
        timeout: fields.get("timeout").and_then(|node| reader.duration_template(node, "`timeout`")),
    }
}

/// Reads `foreach` with its `max_parallel`.
pub fn foreach(reader: &mut Reader, fields: &Fields<'_>) -> Option<Foreach> {
    let max_parallel = fields.entry("max_parallel");
    let Some(node) = fields.get("foreach") else {
        if let Some(entry) = max_parallel {
            let message = "`max_parallel` without `foreach`";
            reader.error("E0115", entry.key.span, message, "belongs to `foreach`");
        }
        return None;
    };
    let items = items(reader, node);
    let max_parallel = max_parallel.and_then(|entry| width(reader, &entry.value));
    Some(Foreach { items: items?, max_parallel })
}

/// A YAML list of values, or one expression.
fn items(reader: &mut Reader, node: &Node) -> Option<Template> {
    let scalar = match &node.kind {
        NodeKind::List(items) if items.is_empty() => {
            let span = reader.first_line(node.span);
            reader.error("E0107", span, "`foreach` is empty: expected at least one item", "nothing to go through");
            return None;
        }
        NodeKind::List(items) if items.len() > Foreach::ITEMS_MAX => {
            let span = reader.first_line(node.span);
            let message = format!("`foreach` has {} items, more than {}", items.len(), Foreach::ITEMS_MAX);
            reader.error("E0114", span, message, "too many");
            return None;
        }
        NodeKind::List(_) => return reader.template(node),
        NodeKind::Scalar(scalar) => scalar,
        NodeKind::Map(_) | NodeKind::Absent | NodeKind::Refused => {
            reader.wrong(node, "`foreach`", "a list, or an expression that gives one");
            return None;
        }
    };
    let constant = matches!(scalar::core(&scalar.text), Core::Null | Core::Bool(_) | Core::Int(_) | Core::Float(_));
    if constant && scalar.style == Style::Plain {
        reader.wrong(node, "`foreach`", "a list, or an expression that gives one");
        return None;
    }
    let snippet = reader.expression(node, "`foreach`")?;
    Some(Template { span: node.span, node: TemplateNode::Expression(snippet) })
}

/// `max_parallel`: a number, or an expression that gives one.
fn width(reader: &mut Reader, node: &Node) -> Option<Template> {
    let template = match &node.kind {
        NodeKind::Scalar(scalar) if scalar.text.contains("${{") => reader.template(node)?,
        NodeKind::Refused => return None,
        _ => {
            let number = reader.count(node, "`max_parallel`", 1)?;
            Template { span: node.span, node: TemplateNode::Literal(Value::Int(i64::from(number))) }
        }
    };
    if matches!(template.node, TemplateNode::Mixed(_)) {
        reader.wrong(node, "`max_parallel`", "a whole number from 1 on, or one `${{ }}` that gives it");
        return None;
    }
    Some(template)
}

/// Reads `until` with what belongs to it. Its deadline is the step's `within`.
pub fn poll(reader: &mut Reader, fields: &Fields<'_>) -> Option<Poll> {
    let Some(until) = fields.entry("until") else {
        for key in ["every", "in_a_row"] {
            if let Some(entry) = fields.entry(key) {
                reader.error("E0115", entry.key.span, format!("`{key}` without `until`"), "belongs to `until`");
            }
        }
        return None;
    };
    // The items of a `foreach` end it as well.
    if !fields.has("within") && !fields.has("foreach") {
        let message = "`within` is missing beside this `until`";
        reader.push(
            Problem::error("E0106", &reader.source, until.key.span, message)
                .label("would wait for ever")
                .help("say how long it may take: `within: 5m`"),
        );
    }
    let every = fields.get("every").and_then(|node| reader.duration_template(node, "`every`"));
    let in_a_row = fields.get("in_a_row").and_then(|node| reader.count(node, "`in_a_row`", 1)).unwrap_or(1);
    Some(Poll { until: reader.expression(&until.value, "`until`")?, every, in_a_row })
}

/// Reads `retry`.
pub fn retry(reader: &mut Reader, node: &Node) -> Option<Retry> {
    let fields = reader.fields(node, &RETRY)?;
    let attempts = reader.required(&fields, "attempts").and_then(|node| attempts(reader, node));
    let delay = fields.get("delay").and_then(|node| reader.duration_template(node, "`delay`"));
    let backoff = match fields.get("backoff") {
        Some(node) => backoff(reader, node)?,
        None => Retry::BACKOFF_DEFAULT,
    };
    let max_delay = fields.get("max_delay").and_then(|node| reader.duration_template(node, "`max_delay`"));
    let on = fields.get("on").map(|node| worth_it(reader, node)).unwrap_or_default();
    Some(Retry { attempts: attempts?, delay, backoff, max_delay, on, span: node.span })
}

fn attempts(reader: &mut Reader, node: &Node) -> Option<u32> {
    let attempts = reader.count(node, "`attempts`", 1)?;
    if attempts > Retry::ATTEMPTS_MAX {
        let message = format!("expected at most {} `attempts`, got {attempts}", Retry::ATTEMPTS_MAX);
        reader.push(
            Problem::error("E0107", &reader.source, node.span, message)
                .label("too often")
                .help("to wait for something to come true write `until` with `within`"),
        );
        return None;
    }
    Some(attempts)
}

fn backoff(reader: &mut Reader, node: &Node) -> Option<f64> {
    let factor = match &node.kind {
        NodeKind::Scalar(scalar) if scalar.style == Style::Plain => match scalar::core(&scalar.text) {
            #[expect(clippy::cast_precision_loss, reason = "a factor written without a point")]
            Core::Int(number) => Some(number as f64),
            Core::Float(number) => Some(number),
            _ => None,
        },
        _ => None,
    };
    match factor {
        Some(factor) if factor >= 1.0 => Some(factor),
        _ => {
            reader.wrong(node, "`backoff`", "a number from 1 on");
            None
        }
    }
}

/// The failures another attempt is worth.
fn worth_it(reader: &mut Reader, node: &Node) -> Vec<Spanned<String>> {
    let words = reader.names(node, "`on`", |_| None);
    if words.is_empty() && matches!(node.kind, NodeKind::List(_)) {
        let span = reader.first_line(node.span);
        reader.error("E0107", span, "`on` is empty: nothing would ever be tried again", "leave it out for all of them");
    }
    for word in &words {
        let name = word.value.as_str();
        let known = || RETRY_WORDS.into_iter().chain(FAILURE_KINDS).filter(|kind| !NEVER_RETRIED.contains(kind));
        if known().any(|known| known == name) {
            continue;
        }
        let span = reader.first_line(word.span);
        let (message, label) = match NEVER_RETRIED.contains(&name) {
            true => (format!("a failure of kind `{name}` is never tried again"), "another attempt can't change it"),
            false => (format!("unknown kind of failure {}", quoted(name)), "no such kind"),
        };
        let help = did_you_mean(name, known())
            .unwrap_or_else(|| format!("expected some of {}", known().collect::<Vec<_>>().join(", ")));
        reader.push(Problem::error("E0107", &reader.source, span, message).label(label).help(help));
    }
    words
}
