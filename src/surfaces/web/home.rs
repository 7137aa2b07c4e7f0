//! The first page: what waits for people, what runs, what failed lately.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value as Json, json};

use crate::engine::outcome::RunOutcome;
use crate::runbook::triggers::State;
use crate::runs::{Caller, RunFilter, RunRow, Runs, RunsError, Status};
use crate::surfaces::alerts::proposals::{self, Plan, Proposal};
use crate::surfaces::http::{Answer, Call, Problem};
use crate::surfaces::web::frame::Page;
use crate::surfaces::web::view;
use crate::transcript::{approval, words};

/// Runs that wait and are looked into: each is read whole.
const WAITING_MAX: u32 = 20;
/// Runs of the other lists.
const ROWS_MAX: u32 = 20;
/// Proposals on the page.
const PROPOSALS_MAX: usize = 20;
/// Bytes of each list.
const BYTES_MAX: usize = 28_000;
/// How far back a failure is news.
const TROUBLE_HOURS: i64 = 24;
/// Runs longer than this are not read for a line on this page.
const EVENTS_MAX: u64 = 20_000;

/// The page.
pub fn page(call: &Call<'_>) -> Result<Answer, Problem> {
    let lists = lists(&call.runs, &call.principal.caller, Timestamp::now())?;
    Page::new("home.html", "home", "Now").live(Some("/live".to_owned())).answer(call, lists)
}

/// What alerts would start, and nobody has decided about.
fn proposed(runs: &Runs) -> Result<(Vec<Json>, usize), RunsError> {
    let open = proposals::open(runs)?;
    let row = |proposal: &Proposal| {
        let plan = match &proposal.plan {
            Plan::Wanted => "its plan is being made".to_owned(),
            Plan::Made { .. } => format!("planned: {}", proposal.why),
            Plan::Failed { why } => format!("can't be planned: {why}"),
        };
        json!({
            "url": proposal.own_page(), "name": view::clipped(&proposal.runbook), "id": proposal.run.short(),
            "target": proposal.target.as_deref().map(view::clipped), "reason": view::clipped(&proposal.reason),
            "plan": view::clipped(&plan), "fires": proposal.status == State::Firing,
            "until": proposal.until().map(view::time),
        })
    };
    let (rows, left) = view::within(open.iter().take(PROPOSALS_MAX).map(row).collect(), BYTES_MAX / 2);
    Ok((rows, left + open.len().saturating_sub(PROPOSALS_MAX)))
}

/// What stands on it.
///
/// # Errors
/// If the journal can't be read.
pub fn lists(runs: &Runs, caller: &Caller, now: Timestamp) -> Result<Json, RunsError> {
    let of = |status: Status, limit: u32, since: Option<Timestamp>| {
        runs.list(&RunFilter { status: Some(status), limit: Some(limit), since, ..RunFilter::default() })
    };
    let mut waits = Vec::new();
    for status in [Status::InDoubt, Status::Stuck, Status::Waiting, Status::Paused] {
        let left = WAITING_MAX.saturating_sub(u32::try_from(waits.len()).unwrap_or(u32::MAX));
        if left == 0 {
            break;
        }
        for row in of(status, left, None)? {
            waits.push(waiting(runs, caller, &row)?);
        }
    }
    // What somebody here can do themselves stands first.
    waits.sort_by_key(|wait| wait["mine"] != true);
    let since = now.checked_sub(SignedDuration::from_hours(TROUBLE_HOURS)).unwrap_or(Timestamp::MIN);
    let mut trouble = of(Status::Ended(RunOutcome::Failed), ROWS_MAX, Some(since))?;
    trouble.extend(of(Status::Ended(RunOutcome::Rejected), ROWS_MAX, Some(since))?);
    trouble.sort_by_key(|row| std::cmp::Reverse(row.number));
    trouble.truncate(ROWS_MAX as usize);
    let (proposed, proposed_left) = proposed(runs)?;
    Ok(json!({
        "proposals": proposed,
        "proposals_left": proposed_left,
        "waits": view::within(waits, BYTES_MAX).0,
        "running": view::within(view::rows(&of(Status::Running, ROWS_MAX, None)?), BYTES_MAX).0,
        "trouble": view::within(view::rows(&trouble), BYTES_MAX).0,
    }))
}

/// What a run waits for, and who may do something about it.
fn waiting(runs: &Runs, caller: &Caller, row: &RunRow) -> Result<Json, RunsError> {
    let url = view::run_url(row);
    let card = |what: String, who: String, verb: &str, mine: bool| {
        json!({
            "row": view::row(row), "what": view::clipped(&what), "who": view::clipped(&who), "verb": verb,
            "url": url, "mine": mine, "expires": null,
        })
    };
    let plainly = |verb: &str| match row.status {
        Status::InDoubt => card("What a step did is not known.".into(), "Somebody has to look.".into(), verb, true),
        Status::Stuck => card("Not everything was taken back.".into(), "Somebody has to look.".into(), verb, true),
        Status::Paused => card("Paused.".into(), "It goes on when it is resumed.".into(), verb, false),
        _ => card("It waits for somebody.".into(), String::new(), verb, true),
    };
    if row.last_seq > EVENTS_MAX {
        return Ok(plainly("Open"));
    }
    let Some(facts) = runs.sound_facts(row)? else {
        return Ok(card("Its record is damaged.".into(), "`rerail verify` says where.".into(), "Open", true));
    };
    if let Some((step, record)) = facts.doubts().next() {
        let what = record.started.as_ref().map(|started| crate::transcript::line::what(&started.intent));
        let said = format!("{step}: {} was sent, its answer is not known", what.unwrap_or_default());
        return Ok(card(said, "Look on the other side, then decide.".into(), "Decide", true));
    }
    if let Some(open) = facts.approvals.open().next() {
        let request = &open.request;
        let mut card = match runs.approval(row, Some(request.step.as_str()), caller) {
            Ok(waiting) => {
                let who = match (request.single, waiting.who.as_slice()) {
                    (true, _) => "nobody else is configured: its operator confirms it".to_owned(),
                    (false, []) => format!("{}: nobody has such a role", approval::needs(&request.needs)),
                    (false, who) => format!("{}: {}", approval::needs(&request.needs), who.join(", ")),
                };
                let verb = if waiting.refused.is_none() { "Approve…" } else { "Look" };
                card(what(&waiting), who, verb, waiting.refused.is_none())
            }
            // Its project may be gone: then nobody can tell who may.
            Err(_) => card(request.message.clone(), String::new(), "Look", false),
        };
        card["url"] = json!(format!("{url}/approve/{}", view::in_path(request.step.as_str())));
        card["expires"] = view::time(request.expires);
        return Ok(card);
    }
    if let Some((step, asked)) = facts.questions().find_map(|(step, record)| Some((step, record.asked.as_ref()?))) {
        let who = if asked.by.is_empty() { "anybody may answer".to_owned() } else { asked.by.join(", ") };
        let mut card = card(format!("{step}: {}", asked.text), who, "Answer", true);
        card["expires"] = asked.expires.map_or(Json::Null, view::time);
        return Ok(card);
    }
    Ok(match (&facts.paused, &facts.held) {
        (None, Some(hold)) => card(
            format!("Writes are on hold: {}", hold.reason),
            "It goes on when the hold is lifted.".into(),
            "Open",
            false,
        ),
        (Some(why), _) if !why.is_empty() => {
            card(format!("Paused: {why}"), "It goes on when it is resumed.".into(), "Open", false)
        }
        _ => plainly("Open"),
    })
}

/// What would be done, in a few words.
pub fn what(waiting: &crate::runs::Waiting) -> String {
    let request = &waiting.approval.request;
    if !request.message.is_empty() {
        return words::shorten(&request.message, view::TEXT_CHARS_MAX);
    }
    let said = request.changes.iter().map(|change| match change.summary.as_str() {
        "" => change.uses.clone(),
        summary => summary.to_owned(),
    });
    words::shorten(&said.collect::<Vec<_>>().join("; "), view::TEXT_CHARS_MAX)
}
