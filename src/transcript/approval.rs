//! Approvals as people read them: what is asked, what would be changed, and what was said.

use crate::engine::approvals::{Approval, ApprovalState};
use crate::engine::change::Change;
use crate::engine::event::{ApprovalRequested, Body};
use crate::engine::facts::Facts;
use crate::engine::ids::StepPath;
use crate::runbook::approval::Need;
use crate::script::value::Value;
use crate::transcript::line::person;
use crate::transcript::text::{Line, Mark, Marks, Tone};
use crate::transcript::words;

/// Where text below a step's line begins.
const INDENT: usize = 6;
/// Arguments of one change that are shown below it: what is longer is in the journal, whole.
const ARGUMENTS_MAX: usize = 20;

/// `oncall or lead, and 2 of lead`.
pub fn needs(needs: &[Need]) -> String {
    needs.iter().map(Need::said).collect::<Vec<_>>().join(", and ")
}

/// The lines of an event of an approval; nothing for others.
pub(super) fn lines(body: &Body, facts: &Facts, marks: Marks) -> Vec<Line> {
    let told = |mark, step: &StepPath, text: &str| vec![label(mark, step, marks).add(Tone::Plain, text)];
    match body {
        Body::ApprovalRequested(request) => requested(request, marks),
        Body::ApprovalGiven { step, actor, single, .. } => {
            let alone = if *single { ": self-approved, nobody else configured" } else { missing(step, facts) };
            told(Mark::Info, step, &format!("approved by {}{alone}", person(actor)))
        }
        Body::ApprovalRejected { step, actor, reason, .. } => {
            told(Mark::Failed, step, &format!("rejected by {}: {reason}", person(actor)))
        }
        Body::ApprovalExpired { step, .. } => told(Mark::Failed, step, "the approval expired: too few agreed in time"),
        Body::ApprovalVoid { step, why, .. } => told(Mark::Warning, step, &format!("the approval is void: {why}")),
        Body::ApprovalReminded { step, .. } => {
            let waiting = facts.approvals.at(step).map(|approval| {
                let request = &approval.request;
                format!("still waits for {}, until {}", needs(&request.needs), words::clock(request.expires))
            });
            told(Mark::Waiting, step, &waiting.unwrap_or_else(|| "still waits for approval".to_owned()))
        }
        _ => Vec::new(),
    }
}

/// That one word was not enough, if it wasn't.
fn missing(step: &StepPath, facts: &Facts) -> &'static str {
    let open = facts.approvals.open().any(|approval| approval.request.step == *step);
    if open { "; more are needed" } else { "" }
}

fn requested(request: &ApprovalRequested, marks: Marks) -> Vec<Line> {
    let who = match request.single {
        true => "nobody else is configured: its operator confirms it".to_owned(),
        false => format!("approval: {}", needs(&request.needs)),
    };
    let mut drawn = vec![
        label(Mark::Waiting, &request.step, marks)
            .add(Tone::Strong, &who)
            .add(Tone::Dim, &format!(", until {}", words::clock(request.expires))),
    ];
    if !request.message.is_empty() {
        drawn.extend(Line::block(Tone::Plain, &request.message, INDENT));
    }
    drawn.extend(changes(request, marks));
    drawn
}

/// What is agreed to: a line for each change, then its arguments.
pub fn changes(request: &ApprovalRequested, marks: Marks) -> Vec<Line> {
    let mut drawn: Vec<Line> = request.changes.iter().flat_map(|change| one(change, marks)).collect();
    if !request.complete {
        drawn.extend(Line::block(Tone::Warn, "it may do more than this, and asks again for what is not here", INDENT));
    }
    drawn
}

/// What an approver sees, as plain text: it is recorded with their word.
pub fn shown(request: &ApprovalRequested, marks: Marks) -> String {
    let message = Line::block(Tone::Plain, &request.message, INDENT);
    let lines: Vec<String> = message.iter().chain(&changes(request, marks)).map(Line::plain).collect();
    lines.join("\n")
}

/// Who has said what to what a step asked, for whoever asks why it went this way.
pub(super) fn told(approval: &Approval, marks: Marks) -> Vec<Line> {
    let request = &approval.request;
    let mut drawn = Vec::new();
    for given in &approval.given {
        let alone = if given.single { ": self-approved, nobody else configured" } else { "" };
        let text = format!("approved by {} at {}{alone}", person(&given.actor), words::date_time(given.at));
        drawn.push(label(Mark::Done, &request.step, marks).add(Tone::Plain, &text));
        drawn.extend(given.shown.iter().flat_map(|shown| Line::block(Tone::Dim, shown, INDENT)));
    }
    let needed = needs(&request.needs);
    let (mark, text) = match &approval.state {
        ApprovalState::Given => return drawn,
        ApprovalState::Open => {
            (Mark::Waiting, format!("waits for {needed}, until {}", words::date_time(request.expires)))
        }
        ApprovalState::Rejected { actor, reason } => (Mark::Failed, format!("rejected by {}: {reason}", person(actor))),
        ApprovalState::Expired => {
            (Mark::Failed, format!("{needed} did not agree before {}", words::date_time(request.expires)))
        }
        ApprovalState::Void { why } => (Mark::Warning, format!("the approval is void: {why}")),
    };
    drawn.push(label(mark, &request.step, marks).add(Tone::Plain, &text));
    drawn
}

fn one(change: &Change, marks: Marks) -> Vec<Line> {
    let maybe = if change.maybe { "maybe: " } else { "" };
    let moves = match (&change.before, &change.after) {
        (Value::Null, Value::Null) => String::new(),
        (before, Value::Null) => format!(": now {}", words::value(before)),
        (Value::Null, after) => format!(": then {}", words::value(after)),
        (before, after) => format!(": {} {} {}", words::value(before), marks.arrow(), words::value(after)),
    };
    let undo = match &change.reversible {
        Value::Bool(true) => ", can be undone",
        Value::Bool(false) => ", can't be undone",
        _ => "",
    };
    let said = if change.summary.is_empty() { change.uses.as_str() } else { change.summary.as_str() };
    let line = Line::of(Tone::Plain, &" ".repeat(INDENT))
        .column(Tone::Strong, change.step.as_str(), 14)
        .column(Tone::Dim, change.effect.word(), 12)
        .add(Tone::Warn, maybe)
        .add(Tone::Plain, &format!("{said}{moves}{undo}"));
    let mut drawn = vec![line];
    for text in &change.detail {
        drawn.extend(Line::block(Tone::Plain, text, INDENT + 2));
    }
    for (name, value) in change.with.iter().take(ARGUMENTS_MAX) {
        let text = format!("{name}: {}", words::quoted(value));
        drawn.extend(Line::block(Tone::Dim, &text, INDENT + 2));
    }
    if change.with.len() > ARGUMENTS_MAX {
        let left = change.with.len() - ARGUMENTS_MAX;
        drawn.extend(Line::block(Tone::Dim, &format!("and {}", words::count(left, "more argument")), INDENT + 2));
    }
    drawn
}

fn label(mark: Mark, step: &StepPath, marks: Marks) -> Line {
    crate::transcript::line::labelled(mark, step, marks)
}
