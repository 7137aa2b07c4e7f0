//! What a test expects.

use crate::runbook::cases::mocks::{ERROR_KINDS, value};
use crate::runbook::cases::model::{Expect, FoundFinding, Trouble, Wanted};
use crate::runbook::lower_steps::LEVELS;
use crate::runbook::node::{Node, NodeKind};
use crate::runbook::reader::{Keys, Reader};
use crate::runbook::source::Spanned;
use crate::script::value::Value;

/// Ways a run can stand when a test is over.
pub const RUN_OUTCOMES: [&str; 8] =
    ["success", "failed", "rejected", "cancelled", "waiting", "in_doubt", "paused", "stuck"];
/// Ways a step can have ended.
const STEP_OUTCOMES: [&str; 8] =
    ["done", "refused", "failed", "in_doubt", "skipped", "not_run", "rejected", "cancelled"];
/// Ways taking a run back can end.
pub const UNDO_OUTCOMES: [&str; 3] = ["done", "stuck", "cancelled"];

/// What a run should come to.
pub const EXPECT: Keys = Keys {
    what: "expectation",
    known: &["outcome", "exit", "error", "message", "findings", "outputs", "steps", "calls", "writes", "undo"],
    later: &[],
    foreign: &[("status", "write `outcome`"), ("exit_code", "write `exit`"), ("finding", "write `findings`")],
};
/// What a run should have failed with.
pub const TROUBLE: Keys = Keys { what: "error", known: &["step", "kind", "message"], later: &[], foreign: &[] };
/// A finding that should be there.
pub const FINDING: Keys = Keys { what: "finding", known: &["level", "say", "suggest"], later: &[], foreign: &[] };
/// Calls that should have been made.
pub const CALL: Keys =
    Keys { what: "call", known: &["times", "with"], later: &[], foreign: &[("count", "write `times`")] };

/// Reads `expect`.
pub(super) fn expect(reader: &mut Reader, node: &Node) -> Expect {
    let mut expect = Expect::default();
    let Some(fields) = reader.fields(node, &EXPECT) else { return expect };
    if let Some(node) = fields.get("outcome") {
        expect.outcome = word(reader, node, "outcome", &RUN_OUTCOMES);
    }
    if let Some(node) = fields.get("exit") {
        let code = reader.count(node, "`exit`", 0).and_then(|code| u8::try_from(code).ok());
        expect.exit = code.map(|code| Spanned::new(code, node.span));
    }
    expect.error = fields.get("error").and_then(|node| trouble(reader, node));
    expect.message = fields.get("message").and_then(|node| spanned_text(reader, node, "`message`"));
    expect.findings = fields.get("findings").and_then(|node| findings(reader, node));
    if let Some(node) = fields.get("outputs") {
        for entry in reader.map(node, "`outputs`") {
            if let Some(wanted) = value(reader, &entry.value, &format!("output `{}`", entry.key.value)) {
                expect.outputs.push((entry.key.clone(), Spanned::new(wanted, entry.value.span)));
            }
        }
    }
    if let Some(node) = fields.get("steps") {
        for entry in reader.map(node, "`steps`") {
            let outcome = word(reader, &entry.value, "outcome", &STEP_OUTCOMES);
            expect.steps.extend(outcome.map(|outcome| (entry.key.clone(), outcome)));
        }
    }
    if let Some(node) = fields.get("calls") {
        for entry in reader.map(node, "`calls`") {
            expect.calls.extend(call(reader, entry.key.clone(), &entry.value));
        }
    }
    expect.writes = fields.get("writes").and_then(|node| writes(reader, node));
    expect.undo = fields.get("undo").and_then(|node| word(reader, node, "outcome", &UNDO_OUTCOMES));
    expect
}

fn word(reader: &mut Reader, node: &Node, what: &str, words: &[&'static str]) -> Option<Spanned<String>> {
    let pairs: Vec<(&'static str, &'static str)> = words.iter().map(|word| (*word, *word)).collect();
    reader.word(node, what, &pairs).map(|word| Spanned::new(word.to_owned(), node.span))
}

fn spanned_text(reader: &mut Reader, node: &Node, thing: &str) -> Option<Spanned<Value>> {
    reader.text(node, thing).map(|text| Spanned::new(Value::Text(text.value), node.span))
}

/// A message, or which step failed with what.
fn trouble(reader: &mut Reader, node: &Node) -> Option<Trouble> {
    let span = reader.first_line(node.span);
    if let NodeKind::Scalar(_) = &node.kind {
        let message = spanned_text(reader, node, "`error`");
        return Some(Trouble { span, step: None, kind: None, message });
    }
    let fields = reader.fields(node, &TROUBLE)?;
    let step = fields.get("step").and_then(|node| reader.text(node, "`step`"));
    let kind = fields.get("kind").and_then(|node| word(reader, node, "kind", ERROR_KINDS));
    let message = fields.get("message").and_then(|node| spanned_text(reader, node, "`message`"));
    Some(Trouble { span, step, kind, message })
}

fn findings(reader: &mut Reader, node: &Node) -> Option<Spanned<Vec<FoundFinding>>> {
    let items = reader.list(node, "`findings`", "a list of all findings, empty if there are none")?;
    let mut read = Vec::new();
    for item in items {
        let Some(fields) = reader.fields(item, &FINDING) else { continue };
        let Some(level) = reader.required(&fields, "level").and_then(|node| reader.word(node, "level", &LEVELS)) else {
            continue;
        };
        let say = fields.get("say").and_then(|node| spanned_text(reader, node, "`say`")).map(|say| say.value);
        let suggest = fields.get("suggest").and_then(|node| reader.text(node, "`suggest`")).map(|text| text.value);
        read.push(FoundFinding { span: reader.first_line(item.span), level, say, suggest });
    }
    Some(Spanned::new(read, node.span))
}

/// A number of calls, or their number and arguments.
fn call(reader: &mut Reader, key: Spanned<String>, node: &Node) -> Option<Wanted> {
    if let NodeKind::Scalar(_) = &node.kind {
        let times = reader.count(node, "the number of calls", 0)?;
        return Some(Wanted { key, times: Some(Spanned::new(times, node.span)), with: None });
    }
    let fields = reader.fields(node, &CALL)?;
    let times = match fields.get("times") {
        Some(node) => Some(Spanned::new(reader.count(node, "`times`", 0)?, node.span)),
        None => None,
    };
    let with = match fields.get("with") {
        Some(node) => Some(arguments(reader, node)?),
        None => None,
    };
    Some(Wanted { key, times, with })
}

/// Steps or actions, each alone or with its arguments.
fn writes(reader: &mut Reader, node: &Node) -> Option<Spanned<Vec<Wanted>>> {
    let items = reader.list(node, "`writes`", "a list of all writes, empty if there are none")?;
    let mut read = Vec::new();
    for item in items {
        match &item.kind {
            NodeKind::Scalar(_) => {
                read.extend(reader.text(item, "a write").map(|key| Wanted { key, times: None, with: None }));
            }
            NodeKind::Map(entries) if entries.len() == 1 => {
                let with = arguments(reader, &entries[0].value);
                read.extend(with.map(|with| Wanted { key: entries[0].key.clone(), times: None, with: Some(with) }));
            }
            _ => reader.wrong(
                item,
                "a write",
                "a step or action, alone or with its arguments, such as `set: { url: … }`",
            ),
        }
    }
    Some(Spanned::new(read, node.span))
}

fn arguments(reader: &mut Reader, node: &Node) -> Option<Spanned<Value>> {
    let NodeKind::Map(_) = &node.kind else {
        reader.wrong(node, "`with`", "a map of arguments");
        return None;
    };
    value(reader, node, "`with`").map(|with| Spanned::new(with, node.span))
}
