//! What waits for somebody's yes: as a plain object, and as the text that whoever decides has seen.

use jiff::Timestamp;
use serde_json::{Value as Json, json};

use crate::runs::Waiting;
use crate::transcript::{Line, Marks, Tone, approval, words};

/// An approval for programs. Additive only.
pub fn of_waiting(waiting: &Waiting, now: Timestamp) -> Json {
    let request = &waiting.approval.request;
    json!({
        "run": waiting.run.run.short(),
        "runbook": waiting.run.runbook,
        "target": waiting.run.target,
        "step": request.step.as_str(),
        "message": request.message,
        "change": request.change,
        "changes": request.changes,
        "complete": request.complete,
        "asked_by": waiting.requester.id,
        "asked_at": waiting.approval.requested_at.to_string(),
        "expires": request.expires.to_string(),
        "left_ms": waiting.left_ms(now),
        "needs": approval::needs(&request.needs),
        "single_operator": request.single,
        "given_by": waiting.approval.given.iter().map(|given| given.actor.id.as_str()).collect::<Vec<_>>(),
        "who": waiting.who,
        "mine": waiting.refused.is_none(),
        "why_not": waiting.refused,
    })
}

/// `7k3q9d/copy`: what `approve` takes.
pub fn name(waiting: &Waiting) -> String {
    format!("{}/{}", waiting.run.run, waiting.approval.request.step)
}

/// `14:58`, or that it is over.
pub fn left(waiting: &Waiting, now: Timestamp) -> String {
    match waiting.left_ms(now) {
        0 => "expired".to_owned(),
        ms => words::stopwatch(ms),
    }
}

/// The change as the approver sees it, which goes into the record with their word.
pub fn shown(waiting: &Waiting, marks: Marks) -> Vec<Line> {
    let (request, now) = (&waiting.approval.request, Timestamp::now());
    let run = &waiting.run;
    let dot = format!(" {} ", marks.dot());
    let mut facts = vec![format!("{}/{}", run.runbook, run.run)];
    facts.extend(run.target.as_ref().map(|target| format!("on {target}")));
    let asked = words::stopwatch(words::between(waiting.approval.requested_at, now));
    facts.push(format!("asked by {} {asked} ago", waiting.requester.id));
    facts.push(format!("{} left", left(waiting, now)));
    let mut lines =
        vec![Line::of(Tone::Strong, request.step.as_str()).add(Tone::Plain, &dot).add(Tone::Plain, &facts.join(&dot))];
    let needs = match request.single {
        true => "nobody else is configured: this is self-approval".to_owned(),
        false => format!("needs {}", approval::needs(&request.needs)),
    };
    let given: Vec<&str> = waiting.approval.given.iter().map(|given| given.actor.id.as_str()).collect();
    let so_far = if given.is_empty() { String::new() } else { format!("; so far: {}", given.join(", ")) };
    lines.push(Line::of(Tone::Dim, &format!("  {needs}{so_far}")));
    lines.extend(Line::block(Tone::Plain, &request.message, 2));
    lines.extend(approval::changes(request, marks));
    lines.push(Line::of(Tone::Dim, &format!("  change {}", request.change)));
    lines
}
