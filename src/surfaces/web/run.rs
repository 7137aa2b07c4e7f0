//! The page of a run: first what it waits for, then its steps, what it found, its picture and its last lines.

use serde_json::{Value as Json, json};

use crate::engine::event::{Actor, Body, Event};
use crate::engine::facts::{Facts, RunState};
use crate::engine::ids::StepPath;
use crate::runs::{RunRow, Runs, RunsError};
use crate::surfaces::http::{Answer, Call, Problem};
use crate::surfaces::web::frame::Page;
use crate::surfaces::web::{acts, steps, view};
use crate::transcript::line::{self, Detail, Style};
use crate::transcript::{Line, Marks, approval, summary, words};

/// Bytes of the parts of the page, so that the whole has less than 100 KB whatever there is to show.
const STEPS_BYTES_MAX: usize = 34_000;
const FINDINGS_BYTES_MAX: usize = 9_000;
const NOTES_BYTES_MAX: usize = 7_000;
const INPUTS_BYTES_MAX: usize = 4_000;
const LINES_BYTES_MAX: usize = 13_000;
const FOCUS_BYTES_MAX: usize = 5_000;
/// Findings on the page.
const FINDINGS_MAX: usize = 40;
/// Notes on the page, the last ones.
const NOTES_MAX: usize = 30;
/// Inputs on the page.
const INPUTS_MAX: usize = 40;
/// Last lines of the transcript; the whole of it has pages of its own.
const LINES_MAX: usize = 60;
/// Things it waits for that are named first.
const FOCUS_MAX: usize = 8;

/// The page.
pub fn page(call: &Call<'_>) -> Result<Answer, Problem> {
    let still = call.parameters(&["still"])?.iter().any(|(_, value)| value == "1");
    let row = call.run()?;
    let (events, facts) = call.runs.story(&row)?;
    let told = Told::of(&call.runs, &row)?;
    let data = data(&row, &events, &facts, &told);
    let ended = row.ended_at.is_some();
    let url = view::run_url(&row);
    let live = (!ended && !still).then(|| format!("{url}/live?from={}", facts.next_seq));
    Page::new("run.html", "runs", format!("{} / {}", row.runbook, row.run)).live(live).answer(call, data)
}

/// What the store says of a run beside its events.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// Signals that no driver has taken up yet.
    pub pending: Vec<String>,
    /// Steps among them that somebody has answered or decided about.
    pub answered: Vec<StepPath>,
    /// Whether somebody drives it.
    pub driven: bool,
}

impl Told {
    /// What it says now.
    ///
    /// # Errors
    /// If the journal can't be read.
    pub fn of(runs: &Runs, row: &RunRow) -> Result<Told, RunsError> {
        Ok(Told { pending: runs.pending(row)?, answered: runs.answered(row)?, driven: runs.holder(row)?.is_some() })
    }
}

/// What stands on the page.
pub fn data(row: &RunRow, events: &[Event], facts: &Facts, told: &Told) -> Json {
    let started = facts.started.as_deref();
    let (shown, left) = steps(facts);
    let (findings, findings_count) = findings(facts);
    let (notes, notes_count) = newest(notes(events));
    let inputs = started.map(|started| &started.inputs).into_iter().flatten().take(INPUTS_MAX);
    let inputs = inputs.map(|(name, value)| json!([view::clipped(name), view::clipped(&words::quoted(value))]));
    let lines: Vec<Json> = last_lines(events, facts).iter().map(view::line).collect();
    json!({
        "url": view::run_url(row),
        "name": view::clipped(&row.runbook),
        "book_url": format!("/runbooks/{}", view::in_path(&row.runbook)),
        "id": row.run.short(),
        "seq": facts.next_seq,
        "events": events.len(),
        "head": head(row, facts, told),
        "acts": acts::of(row, facts, told),
        "steps": shown,
        "steps_left": left,
        "findings_count": findings_count,
        "findings": findings,
        "picture": picture(facts),
        "lines": view::last_within(lines, LINES_BYTES_MAX).0,
        "lines_before": events.len() > LINES_MAX,
        "notes_count": notes_count,
        "notes": notes,
        "inputs": view::within(inputs.collect(), INPUTS_BYTES_MAX).0,
        "effects": started.map(|started| started.effects.iter().map(|effect| effect.word()).collect::<Vec<_>>().join(", ")),
        "plan": started.and_then(|started| started.plan.as_ref()).map(|plan| view::clipped(&line::plan_words(plan))),
    })
}

/// What it has found, the worst first, and how much that is.
pub fn findings(facts: &Facts) -> (Vec<Json>, usize) {
    let ranked = summary::ranked(facts);
    let shown = ranked.iter().take(FINDINGS_MAX).map(|found| finding(found, facts)).collect();
    (view::within(shown, FINDINGS_BYTES_MAX).0, ranked.len())
}

/// Those of these notes that are shown, the newest first, and how many there are.
pub fn newest(mut notes: Vec<Json>) -> (Vec<Json>, usize) {
    let count = notes.len();
    notes.reverse();
    notes.truncate(NOTES_MAX);
    (view::within(notes, NOTES_BYTES_MAX).0, count)
}

/// Its steps as rows, and how many are left out.
pub fn steps(facts: &Facts) -> (Vec<Json>, usize) {
    let (rows, left) = steps::rows(facts);
    let (rows, more) = view::last_within(rows, STEPS_BYTES_MAX);
    (rows, left + more)
}

/// Where it stands, and first of all what it waits for.
pub fn head(row: &RunRow, facts: &Facts, told: &Told) -> Json {
    let started = facts.started.as_deref();
    let took = facts.finished.as_ref().map(|end| words::duration(words::between(facts.started_at, end.at)));
    let incident = started.and_then(|started| started.incident.as_deref());
    let reason = started.and_then(|started| started.reason.as_deref());
    json!({
        "status": view::status(summary::status(facts)),
        "target": started.and_then(|started| started.target.as_deref()).map(view::clipped),
        "incident": incident.map(view::clipped),
        "incident_url": incident.map(|incident| format!("/incidents/{}", view::in_path(incident))),
        "started": view::time(facts.started_at),
        "took": took,
        "by": started.map(|started| view::clipped(&line::person(&started.actor))),
        "reason": reason.map(view::clipped),
        "pending": view::clipped(&told.pending.join("; ")),
        "focus": focus(row, facts, told),
    })
}

/// What it waits for, or what it came to: what a reader needs before everything else.
fn focus(row: &RunRow, facts: &Facts, told: &Told) -> Vec<Json> {
    let url = view::run_url(row);
    let say = |tone: &str, label: &str, text: String| json!({ "tone": tone, "label": label, "text": view::clipped(&text), "expires": null, "url": null, "verb": null });
    let mut found = Vec::new();
    for (path, record) in facts.doubts() {
        let what = record.started.as_ref().map(|started| line::what(&started.intent)).unwrap_or_default();
        let text = format!("{path}: {what} was sent, and its answer is not known. It may have happened.");
        found.push(say("warn", "Outcome unknown.", text));
    }
    for open in facts.approvals.open() {
        let request = &open.request;
        let text = format!("{}: {} Needs {}.", request.step, request.message, approval::needs(&request.needs));
        let taken = told.answered.contains(&request.step);
        let label = if taken { "Decided, not taken up yet:" } else { "Waits for an approval:" };
        let mut said = say("warn", label, text);
        said["expires"] = view::time(request.expires);
        said["url"] = json!(format!("{url}/approve/{}", view::in_path(request.step.as_str())));
        said["verb"] = json!("Look at the change");
        found.push(said);
    }
    for (path, record) in facts.questions() {
        let Some(asked) = &record.asked else { continue };
        let taken = told.answered.contains(path);
        let label = if taken { "Answered, not taken up yet:" } else { "Waits for an answer:" };
        let mut said = say("warn", label, format!("{path}: {}", asked.text));
        said["expires"] = asked.expires.map_or(Json::Null, view::time);
        found.push(said);
    }
    if let Some(actor) = facts.cancelled.as_ref().filter(|_| facts.finished.is_none()) {
        found.push(say("warn", "Stopping:", format!("asked by {}", line::person(actor))));
    }
    match facts.state() {
        RunState::Paused => found.push(match (&facts.paused, &facts.held) {
            (None, Some(hold)) => {
                say("warn", "Writes are on hold:", format!("{} (by {})", hold.reason, line::person(&hold.actor)))
            }
            (why, _) => say("warn", "Paused:", why.clone().unwrap_or_default()),
        }),
        RunState::Stuck => found.push(say("bad", "Stuck: not taken back:", line::paths(facts.left_to_undo()))),
        RunState::Running => {
            let running: Vec<String> = summary::under_way(facts)
                .filter(|(_, record)| !record.is_asking())
                .map(|(path, record)| {
                    let what = record.started.as_ref().map(|started| line::what(&started.intent));
                    format!("{path} {}", what.unwrap_or_default())
                })
                .collect();
            if found.is_empty() && !running.is_empty() {
                found.push(say("", "Now:", running.join("; ")));
            }
            if !told.driven && found.is_empty() {
                found.push(say(
                    "warn",
                    "Nobody drives it.",
                    "A server takes it up, or somebody resumes it.".to_owned(),
                ));
            }
        }
        RunState::Ended(outcome) => found.extend(ended(outcome, facts, &say)),
        RunState::InDoubt | RunState::Waiting => {}
    }
    found.truncate(FOCUS_MAX);
    view::within(found, FOCUS_BYTES_MAX).0
}

type Say<'s> = dyn Fn(&str, &str, String) -> Json + 's;

fn ended(outcome: crate::engine::outcome::RunOutcome, facts: &Facts, say: &Say<'_>) -> Option<Json> {
    use crate::engine::outcome::RunOutcome;
    let end = facts.finished.as_ref()?;
    let message = end.message.clone().unwrap_or_default();
    Some(match outcome {
        RunOutcome::Success if message.is_empty() => return None,
        RunOutcome::Success => say("good", "Ended well:", message),
        RunOutcome::Cancelled => say("dim", "Cancelled.", message),
        RunOutcome::Failed | RunOutcome::Rejected => {
            let step = end.failed_step.as_ref().map(|step| format!("at {step}: ")).unwrap_or_default();
            let why = end.error.as_ref().map(words::failure).unwrap_or(message);
            let label = if outcome == RunOutcome::Rejected { "Rejected" } else { "Failed" };
            say("bad", label, format!("{step}{why}"))
        }
    })
}

/// A finding, with the page of what it suggests, filled in.
fn finding(found: &crate::engine::facts::Finding, facts: &Facts) -> Json {
    let mark = line::mark_of_level(found.level);
    let url =
        found.suggest.as_ref().filter(|suggest| crate::surfaces::http::plain_name("runbook", &suggest.runbook).is_ok());
    let url = url.map(|suggest| {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in &suggest.with {
            query.append_pair(name, &words::value(value));
        }
        if let Some(started) = &facts.started {
            let also = [("target", &started.target), ("incident", &started.incident)];
            query.extend_pairs(also.into_iter().filter_map(|(name, text)| Some((name, text.as_ref()?))));
        }
        format!("/r/{}?{}", suggest.runbook, query.finish())
    });
    json!({
        "sign": Marks::Unicode.sign(mark), "tone": mark.tone().class(), "level": words::level(found.level),
        "say": view::clipped(&found.say), "step": view::clipped(found.step.as_str()),
        "runbook": found.suggest.as_ref().map(|suggest| view::clipped(&suggest.runbook)),
        "suggest": found.suggest.as_ref().map(|suggest| view::clipped(&line::suggestion(suggest, facts))),
        // A longer one is no address any more.
        "url": url.filter(|url| url.len() <= URL_BYTES_MAX),
    })
}

/// Bytes of an address that every browser and proxy takes.
const URL_BYTES_MAX: usize = 2_000;

/// What the picture shows, for those who don't see it.
fn picture(facts: &Facts) -> String {
    let steps = words::count(facts.steps.len(), "step");
    format!("A bar for each of {steps}, from left to right as time went by. The table of steps says the same in words.")
}

/// What people have noted, oldest first.
pub fn notes(events: &[Event]) -> Vec<Json> {
    let note = |event: &Event| match &event.body {
        Body::Note { text, actor, .. } => Some(json!({
            "text": view::clipped(text),
            "by": actor.as_ref().map_or_else(|| "rerail".to_owned(), |actor: &Actor| view::clipped(&line::person(actor))),
            "at": view::time(event.ts),
        })),
        _ => None,
    };
    events.iter().filter_map(note).collect()
}

/// The last lines of the transcript.
fn last_lines(events: &[Event], facts: &Facts) -> Vec<Line> {
    let from = events.len().saturating_sub(LINES_MAX);
    let lines: Vec<Line> = events[from..].iter().flat_map(|event| lines_of(event, facts)).collect();
    let from = lines.len().saturating_sub(LINES_MAX);
    lines[from..].to_vec()
}

/// The lines of one event, with its time.
pub fn lines_of(event: &Event, facts: &Facts) -> Vec<Line> {
    line::lines(event, facts, Style { marks: Marks::Unicode, detail: Detail::Events })
}
