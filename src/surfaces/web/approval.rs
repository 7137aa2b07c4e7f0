//! Approvals: the change as it would be made, who may say yes, and what was decided.

use jiff::Timestamp;
use serde_json::{Value as Json, json};

use crate::engine::approvals::{Approval, ApprovalState, short};
use crate::runs::{RunFilter, Waiting};
use crate::surfaces::http::{Answer, Call, Problem};
use crate::surfaces::web::frame::Page;
use crate::surfaces::web::{home, problems, view};
use crate::transcript::{Line, Marks, approval, line, words};

/// Bytes of a change that fit on a page: nobody agrees to what is cut off.
const CHANGE_BYTES_MAX: usize = 60_000;
/// Approvals that wait, on one page.
const WAITING_MAX: usize = 60;
/// Newest runs that are looked through for what was decided.
const RUNS_MAX: u32 = 30;
/// Longer runs are left out there.
const EVENTS_MAX: u64 = 5_000;
/// Bytes of either list.
const LIST_BYTES_MAX: usize = 40_000;
/// What was decided, on one page.
const DECIDED_MAX: usize = 40;

/// The page on which somebody says yes or no to exactly one change.
pub fn page(call: &Call<'_>) -> Result<Answer, Problem> {
    call.parameters(&[])?;
    show(call, None, 200)
}

/// The same, with why a word did not count.
///
/// # Errors
/// If the run or the approval is not there.
pub fn show(call: &Call<'_>, fault: Option<Json>, status: u16) -> Result<Answer, Problem> {
    let row = call.run()?;
    let step = match &call.rest {
        Some(step) => step.clone(),
        None => call.form().iter().find(|(name, _)| name == "step").map(|(_, step)| step.clone()).unwrap_or_default(),
    };
    let waiting = call.runs.approval(&row, Some(&step), &call.principal.caller)?;
    let mut data = data(&waiting, Timestamp::now());
    data["fault"] = fault.unwrap_or_default();
    Page::new("approval.html", "approvals", format!("Approve {}", waiting.approval.request.step))
        .with_status(status)
        .answer(call, data)
}

/// The same for a word that was refused.
///
/// # Errors
/// As [`show`].
pub fn refused(call: &Call<'_>, problem: &Problem) -> Result<Answer, Problem> {
    show(call, Some(problems::fault(problem)), problem.status)
}

/// What stands on the page.
pub fn data(waiting: &Waiting, now: Timestamp) -> Json {
    let (row, request) = (&waiting.run, &waiting.approval.request);
    let lines = approval::changes(request, Marks::Unicode);
    let whole = bytes(&lines) <= CHANGE_BYTES_MAX;
    let given: Vec<&str> = waiting.approval.given.iter().map(|given| given.actor.id.as_str()).collect();
    let said = waiting.said.iter().map(|word| {
        format!("{} by {}, not taken up yet", if word.yes { "approved" } else { "rejected" }, word.actor.id)
    });
    let said: Vec<String> = said.collect();
    let open = waiting.approval.state == ApprovalState::Open && waiting.left_ms(now) > 0 && row.ended_at.is_none();
    let open = open && said.is_empty();
    let decided = if said.is_empty() { state(&waiting.approval).2 } else { said.join("; ") };
    let needs = match request.single {
        true => "nobody else is configured: this is self-approval".to_owned(),
        false => approval::needs(&request.needs),
    };
    json!({
        "url": view::run_url(row), "name": view::clipped(&row.runbook), "id": row.run.short(),
        "step": request.step.as_str(), "message": view::clipped(&request.message),
        "target": row.target.as_deref().map(view::clipped),
        "by": view::clipped(&line::person(&waiting.requester)), "asked": view::time(waiting.approval.requested_at),
        "needs": view::clipped(&needs), "who": view::clipped(&waiting.who.join(", ")),
        "given": view::clipped(&given.join(", ")), "expires": view::time(request.expires),
        "change": request.change, "short": short(&request.change),
        "lines": if whole { whole_lines(&lines) } else { view::lines(lines.iter().take(100)) },
        "whole_is_elsewhere": !whole,
        "open": open, "decided": view::clipped(&decided),
        "refused": waiting.refused.as_deref().map(view::clipped),
        "may_approve": open && whole && waiting.refused.is_none(),
        "fault": null,
    })
}

/// All of every line: what is agreed to is not shortened.
fn whole_lines(lines: &[Line]) -> Json {
    let line = |line: &Line| -> Json {
        line.pieces().iter().map(|(tone, text)| json!({ "tone": tone.class(), "text": text })).collect()
    };
    lines.iter().map(line).collect()
}

fn bytes(lines: &[Line]) -> usize {
    let of = |text: &str| crate::transcript::escape::html(text).len();
    lines.iter().flat_map(Line::pieces).map(|(_, text)| of(text) + "<span class=\"strong\"></span>".len()).sum()
}

/// How an approval stands: sign, tone, words.
fn state(approval: &Approval) -> (&'static str, &'static str, String) {
    let by = approval.given.iter().map(|given| given.actor.id.as_str()).collect::<Vec<_>>().join(", ");
    match &approval.state {
        ApprovalState::Open => (view::WAITS, "warn", "waits".to_owned()),
        ApprovalState::Given => ("✓", "good", format!("approved by {by}")),
        ApprovalState::Rejected { actor, reason } => {
            ("✗", "bad", format!("rejected by {}: {reason}", line::person(actor)))
        }
        ApprovalState::Expired => ("–", "dim", "nobody decided in time".to_owned()),
        ApprovalState::Void { why } => ("!", "warn", format!("void: {why}")),
    }
}

/// What waits, and what was decided lately.
pub fn list(call: &Call<'_>) -> Result<Answer, Problem> {
    call.parameters(&[])?;
    let all = call.runs.approvals(&call.principal.caller)?;
    let waiting: Vec<Json> = all
        .iter()
        .take(WAITING_MAX)
        .map(|waiting| {
            let (row, request) = (&waiting.run, &waiting.approval.request);
            let who = match request.single {
                true => "its operator".to_owned(),
                false => format!("{}: {}", approval::needs(&request.needs), waiting.who.join(", ")),
            };
            json!({
                "what": words::shorten(&format!("{}: {}", request.step, home::what(waiting)), 160),
                "url": url(&view::run_url(row), &waiting.approval), "run": format!("{} / {}", row.runbook, row.run),
                "run_url": view::run_url(row), "target": row.target.as_deref().map(view::clipped),
                "by": view::clipped(&waiting.requester.id), "expires": view::time(request.expires),
                "who": words::shorten(&who, 160), "mine": waiting.refused.is_none(),
            })
        })
        .collect();
    let (waiting, left) = view::within(waiting, LIST_BYTES_MAX);
    let decided = view::within(decided(call)?, LIST_BYTES_MAX).0;
    let data = json!({ "waiting": waiting, "more": all.len().saturating_sub(WAITING_MAX) + left, "decided": decided });
    Page::new("approvals.html", "approvals", "Approvals").answer(call, data)
}

fn url(run: &str, approval: &Approval) -> String {
    format!("{run}/approve/{}", view::in_path(approval.request.step.as_str()))
}

fn decided(call: &Call<'_>) -> Result<Vec<Json>, Problem> {
    let mut found = Vec::new();
    for row in call.runs.list(&RunFilter { limit: Some(RUNS_MAX), ..RunFilter::default() })? {
        if row.last_seq > EVENTS_MAX {
            continue;
        }
        let Some(facts) = call.runs.sound_facts(&row)? else { continue };
        for approval in facts.approvals.all() {
            let (sign, tone, said) = state(approval);
            if approval.state == ApprovalState::Open {
                continue;
            }
            let at = approval.given.last().map_or(approval.requested_at, |given| given.at);
            found.push((
                at,
                json!({
                    "what": words::shorten(&format!("{}: {}", approval.request.step, approval.request.message), 160),
                    "url": url(&view::run_url(&row), approval), "run": format!("{} / {}", row.runbook, row.run),
                    "run_url": view::run_url(&row), "sign": sign, "tone": tone, "said": words::shorten(&said, 160),
                    "at": view::time(at),
                }),
            ));
        }
    }
    found.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    Ok(found.into_iter().take(DECIDED_MAX).map(|(_, row)| row).collect())
}
