//! What a test answers: outputs as they are, or how a call goes wrong; one for each call, or by its arguments.

use std::time::Duration;

use crate::runbook::cases::model::{Answer, Case, Ends, Error, Mock};
use crate::runbook::contexts::FAILURE_KINDS;
use crate::runbook::node::{Entry, Node, NodeKind};
use crate::runbook::reader::{Fields, Keys, Reader};
use crate::runbook::source::Spanned;
use crate::runbook::types::parse_duration;
use crate::runbook::words::secret_fault;
use crate::script::secret::SecretText;
use crate::script::value::{Map, SECRET_KEY, Value};

/// Answers for certain arguments.
pub const CASE: Keys =
    Keys { what: "answer", known: &["with", "give"], later: &[], foreign: &[("then", "write `give`")] };

/// How a call ends, where that isn't just its outputs.
pub const ANSWER: Keys = Keys {
    what: "answer",
    known: &["$outcome", "$error", "$outputs", "$takes"],
    later: &[],
    foreign: &[("$duration", "write `$takes`"), ("$fail", "write `$outcome: failed`")],
};

/// What a call fails with.
pub const ERROR: Keys =
    Keys { what: "error", known: &["kind", "message", "transient"], later: &[], foreign: &[("code", "write `kind`")] };

/// Words of `$outcome`.
pub const OUTCOMES: [(&str, Ends); 5] = [
    ("done", Ends::Done),
    ("refused", Ends::Refused),
    ("failed", Ends::Failed),
    ("in_doubt", Ends::InDoubt),
    ("rejected", Ends::Rejected),
];

/// Words of `kind` of an error.
pub const ERROR_KINDS: &[&str] = &FAILURE_KINDS;

/// Kinds of failure that another attempt may not have.
const PASSING: [&str; 4] = ["dns", "connect", "timeout", "network"];

/// Reads `mocks`.
pub(super) fn mocks(reader: &mut Reader, node: &Node, shared: bool) -> Vec<Mock> {
    let mut read = Vec::new();
    for entry in reader.map(node, "`mocks`") {
        let cases = cases(reader, &entry.value, &entry.key.value);
        read.push(Mock { key: entry.key.clone(), shared, cases });
    }
    read
}

/// One answer, one for each call, or some by arguments.
fn cases(reader: &mut Reader, node: &Node, key: &str) -> Vec<Case> {
    let NodeKind::List(items) = &node.kind else { return case(reader, node).into_iter().collect() };
    if items.is_empty() {
        reader.wrong(node, &format!("what answers `{key}`"), "at least one answer");
    }
    if items.iter().any(is_case) {
        return items.iter().filter_map(|item| case(reader, item)).collect();
    }
    let answers: Vec<Answer> = items.iter().filter_map(|item| answer(reader, item)).collect();
    vec![Case { span: reader.first_line(node.span), with: None, answers }]
}

fn keys(node: &Node) -> impl Iterator<Item = &Entry> {
    let entries = match &node.kind {
        NodeKind::Map(entries) => entries.as_slice(),
        _ => &[],
    };
    entries.iter()
}

/// `with` is no name of an output: Rhai keeps it.
fn is_case(node: &Node) -> bool {
    keys(node).any(|entry| matches!(entry.key.value.as_str(), "with" | "give"))
}

fn case(reader: &mut Reader, node: &Node) -> Option<Case> {
    let span = reader.first_line(node.span);
    if !is_case(node) {
        let answer = answer(reader, node)?;
        return Some(Case { span, with: None, answers: vec![answer] });
    }
    let fields = reader.fields(node, &CASE)?;
    let with = match fields.get("with") {
        Some(Node { kind: NodeKind::Map(_), .. }) => fields.get("with").and_then(|with| value(reader, with, "`with`")),
        Some(other) => {
            reader.wrong(other, "`with`", "a map of arguments");
            None
        }
        None => None,
    };
    let given = reader.required(&fields, "give")?;
    let answers: Vec<Answer> = match &given.kind {
        NodeKind::List(items) if items.is_empty() => {
            reader.wrong(given, "`give`", "at least one answer");
            Vec::new()
        }
        NodeKind::List(items) => items.iter().filter_map(|item| answer(reader, item)).collect(),
        _ => answer(reader, given).into_iter().collect(),
    };
    Some(Case { span, with, answers })
}

fn answer(reader: &mut Reader, node: &Node) -> Option<Answer> {
    let span = reader.first_line(node.span);
    let special = keys(node).any(|entry| entry.key.value.starts_with('$') && entry.key.value != SECRET_KEY);
    if special {
        let fields = reader.fields(node, &ANSWER)?;
        return special_answer(reader, &fields, span);
    }
    let (outputs, places) = outputs(reader, node)?;
    Some(Answer { span, ends: Ends::Done, outputs, places, error: None, takes: Duration::ZERO })
}

fn special_answer(reader: &mut Reader, fields: &Fields<'_>, span: crate::runbook::source::Span) -> Option<Answer> {
    let ends = match fields.get("$outcome") {
        Some(node) => reader.word(node, "outcome", &OUTCOMES)?,
        None if fields.has("$error") => Ends::Failed,
        None => Ends::Done,
    };
    let (outputs, places) = match fields.get("$outputs") {
        Some(node) => outputs(reader, node)?,
        None => Default::default(),
    };
    if let (Ends::Done, Some(entry)) = (ends, fields.entry("$error")) {
        reader.error(
            "E0115",
            entry.key.span,
            "`$error` does not go with `$outcome: done`",
            "what is done has no error",
        );
    }
    let error = match (ends, fields.get("$error")) {
        (Ends::Done, _) => None,
        (ends, Some(node)) => Some(error(reader, node, ends)?),
        (ends, None) => Some(default_error(ends)),
    };
    let takes = match fields.get("$takes") {
        Some(node) => takes(reader, node)?,
        None => Duration::ZERO,
    };
    Some(Answer { span, ends, outputs, places, error, takes })
}

fn outputs(reader: &mut Reader, node: &Node) -> Option<(Map, Vec<Spanned<String>>)> {
    match &node.kind {
        NodeKind::Absent => Some(Default::default()),
        NodeKind::Map(entries) => {
            let mut outputs = Map::new();
            for entry in entries {
                let given = value(reader, &entry.value, &format!("output `{}`", entry.key.value))?;
                outputs.insert(entry.key.value.clone(), given);
            }
            Some((outputs, entries.iter().map(|entry| entry.key.clone()).collect()))
        }
        _ => {
            reader.wrong(node, "an answer", "a map of outputs");
            None
        }
    }
}

fn default_error(ends: Ends) -> Error {
    let (kind, message) = match ends {
        Ends::Refused => ("status", "the other side said no"),
        Ends::InDoubt => ("network", "the connection was lost before the answer"),
        Ends::Rejected => ("rejected", "somebody said no"),
        Ends::Failed | Ends::Done => ("status", "the other side failed"),
    };
    Error { kind: kind.to_owned(), message: message.to_owned(), transient: PASSING.contains(&kind) }
}

fn error(reader: &mut Reader, node: &Node, ends: Ends) -> Option<Error> {
    let default = default_error(ends);
    if let NodeKind::Scalar(_) = &node.kind {
        let message = reader.title(node, "`$error`")?;
        return Some(Error { message, ..default });
    }
    let fields = reader.fields(node, &ERROR)?;
    let kind = match fields.get("kind") {
        Some(node) => {
            let kinds: Vec<(&'static str, &'static str)> = ERROR_KINDS.iter().map(|kind| (*kind, *kind)).collect();
            reader.word(node, "kind", &kinds)?.to_owned()
        }
        None => default.kind,
    };
    let message = match fields.get("message") {
        Some(node) => reader.title(node, "`message`")?,
        None => default.message,
    };
    let transient = match fields.get("transient") {
        Some(node) => reader.boolean(node, "`transient`")?,
        None => PASSING.contains(&kind.as_str()),
    };
    Some(Error { kind, message, transient })
}

fn takes(reader: &mut Reader, node: &Node) -> Option<Duration> {
    let text = reader.text(node, "`$takes`")?;
    let parsed = parse_duration(&text.value);
    if parsed.is_err() {
        reader.wrong(node, "`$takes`", "a duration such as 30s");
    }
    parsed.ok()
}

/// A plain value, in which `{$secret: NAME}` is a secret of that name.
pub(super) fn value(reader: &mut Reader, node: &Node, thing: &str) -> Option<Value> {
    match &node.kind {
        NodeKind::Map(entries) => {
            if let [Entry { key, value: named }] = entries.as_slice()
                && key.value == SECRET_KEY
            {
                let name = reader.text(named, "the name of a secret")?;
                let good = reader.name(&name, secret_fault);
                return good.then(|| Value::Secret(SecretText::named(&name.value)));
            }
            let mut map = Map::new();
            for entry in entries {
                map.insert(entry.key.value.clone(), value(reader, &entry.value, thing)?);
            }
            Some(Value::Map(map))
        }
        NodeKind::List(items) => {
            let items: Vec<_> = items.iter().map(|item| value(reader, item, thing)).collect();
            items.into_iter().collect::<Option<_>>().map(Value::List)
        }
        NodeKind::Scalar(scalar) if scalar.text.contains("$${{") => {
            let left = scalar.text.replace("$${{", "");
            // As in runbooks: two of them are one, and no expression.
            if left.contains("${{") {
                reader.value(node, thing)
            } else {
                Some(scalar.text.replace("$${{", "${{").into())
            }
        }
        _ => reader.value(node, thing),
    }
}
