//! Runs as tasks, for clients that know them (`io.modelcontextprotocol/tasks`): `start_run` gives such a client the id of its
//! run as that of a task, and the client asks for it until the run has ended.
//!
//! There is no table of tasks. A task is its run, so it outlives this process, every process on the store knows it, and
//! whoever may look at the run, stop it or answer it may do that to the task, and nobody else.

use rmcp::model::{DetailedTask, InputRequests, InputResponses, JsonObject, Task, TaskPayload, TaskStatus};
use serde_json::Value as Json;

use crate::engine::event::{Body, Event};
use crate::engine::facts::{Facts, RunState};
use crate::engine::outcome::RunOutcome;
use crate::runs::{ErrorKind, RunRow, RunsError};
use crate::surfaces::mcp::call::Call;
use crate::surfaces::mcp::said::{RESULT_BYTES_MAX, Refused, clean_text, deliver};
use crate::surfaces::mcp::{forms, looks};
use crate::transcript::{line, summary, words};

/// Milliseconds until a client may ask again, while a run goes on by itself: as often as a person would look.
const MOVING_POLL_MS: u64 = 1_000;
/// The same while it waits for a person, who takes longer.
const WAITING_POLL_MS: u64 = 5_000;
/// Letters of a task's id: all of a run's, because the beginning of one could be guessed.
const ID_CHARS: usize = 36;
/// Why a run was stopped whose task was cancelled: the protocol has no place for a reason.
const CANCELLED: &str = "its task was cancelled";

/// Where a task stands.
///
/// # Errors
/// If there is none of this id.
pub fn get(call: &Call, id: &str) -> Result<DetailedTask, Refused> {
    state(call, &run_of(call, id)?)
}

/// Stops a task's run at its next safe point, as `cancel_run` does; does nothing to one that has ended or was told to stop
/// before.
///
/// # Errors
/// If there is none of this id, or the caller may not stop it.
pub fn cancel(call: &Call, id: &str) -> Result<(), Refused> {
    call.may_run()?;
    let run = run_of(call, id)?;
    let (events, facts) = call.runs.story(&run)?;
    if first_end(&events).is_some() || facts.cancelled.is_some() {
        return Ok(());
    }
    call.runs.cancel(&run, &call.actor_on(&run)?, Some(CANCELLED.to_owned()))?;
    Ok(())
}

/// Answers questions of a task's run, as `answer` does: recorded as given by a program. What is not asked, or not any more,
/// is passed over, as the protocol wants it, and so is a person who doesn't want to answer.
///
/// # Errors
/// If there is none of this id, the caller may not answer, or an answer is not one to its question. Answers before it stand.
pub fn update(call: &Call, id: &str, responses: &InputResponses) -> Result<(), Refused> {
    call.may_run()?;
    let run = run_of(call, id)?;
    let (events, facts) = call.runs.story(&run)?;
    if first_end(&events).is_some() {
        return Ok(());
    }
    let actor = call.actor_on(&run)?;
    for (step, _) in call.runs.answerable(&run, &facts, &actor)? {
        let Some(response) = responses.get(&forms::key(&events, step)) else { continue };
        if let Some(typed) = forms::typed(step, response)? {
            call.runs.answer(&run, Some(step.as_str()), &typed, &actor)?;
        }
    }
    Ok(())
}

/// The run that a task is.
fn run_of(call: &Call, id: &str) -> Result<RunRow, Refused> {
    let none = || {
        let said = format!("no such task `{}`: a task has the whole id of its run", words::shorten(id, ID_CHARS));
        Refused(RunsError::new(ErrorKind::NotFound, said))
    };
    if id.len() != ID_CHARS {
        return Err(none());
    }
    let run = call.run(id)?;
    if run.run.uuid() == id { Ok(run) } else { Err(none()) }
}

/// Where the task that is this run stands.
pub fn state(call: &Call, run: &RunRow) -> Result<DetailedTask, Refused> {
    // Asked before the events are read: a driver that has left has recorded what it will.
    let driven = call.runs.is_driven(run)?;
    let (events, facts) = call.runs.story(run)?;
    let payload = match first_end(&events) {
        Some(RunOutcome::Cancelled) => TaskPayload::Cancelled,
        Some(_) => TaskPayload::Completed { result: result(call, run, &events)? },
        None if goes_on(call, run, &facts, driven)? => TaskPayload::Working,
        None => TaskPayload::InputRequired { input_requests: requests(call, run, &events, &facts)? },
    };
    let message = match &payload {
        TaskPayload::InputRequired { .. } => looks::next(call, run, &facts)?,
        TaskPayload::Working if facts.state() == RunState::Waiting => {
            format!("it was answered; if no process takes it up, a person does (rerail resume {})", run.run)
        }
        _ => said(&facts),
    };
    let message = clean_text(&format!("{}/{}: {message}", run.runbook, run.run), call.desk.redactor());
    let poll = match payload {
        TaskPayload::Working => MOVING_POLL_MS,
        _ => WAITING_POLL_MS,
    };
    // No `ttl`: a run stays until a person removes it.
    let task = Task::new(run.run.uuid(), TaskStatus::Working, run.started_at.to_string(), facts.last_at.to_string())
        .with_status_message(message)
        .with_poll_interval_ms(poll);
    Ok(DetailedTask::new(task, payload))
}

/// How a run ended when it ended first: a task that has ended stays so, also if a person has its run go on.
fn first_end(events: &[Event]) -> Option<RunOutcome> {
    ends(events).next()
}

/// How a run ended, each time it did.
fn ends(events: &[Event]) -> impl DoubleEndedIterator<Item = RunOutcome> {
    events.iter().filter_map(|event| match &event.body {
        Body::RunFinished { outcome, .. } => Some(*outcome),
        _ => None,
    })
}

/// Whether a run goes on without anybody: a process drives it, or all that it asked was answered, which those who look after
/// runs that wait take up.
fn goes_on(call: &Call, run: &RunRow, facts: &Facts, driven: bool) -> Result<bool, RunsError> {
    Ok(match facts.state() {
        RunState::Running => driven,
        RunState::Waiting => {
            let given = call.runs.answered(run)?;
            let asked = facts.questions().map(|(path, _)| path);
            asked.chain(facts.approvals.open().map(|open| &open.request.step)).all(|step| given.contains(step))
        }
        _ => false,
    })
}

/// What a run that has ended came to: what `get_run` says of it, as an error unless it ended in success the last time.
fn result(call: &Call, run: &RunRow, events: &[Event]) -> Result<JsonObject, Refused> {
    let mut result = deliver(looks::told(call, run), call.desk.redactor());
    result.is_error = Some(ends(events).next_back() != Some(RunOutcome::Success));
    match serde_json::to_value(result) {
        Ok(Json::Object(result)) => Ok(result),
        Ok(_) => Err(Refused(RunsError::new(ErrorKind::Internal, "a result is no object; this is a bug of rerail"))),
        Err(error) => Err(Refused(RunsError::new(ErrorKind::Internal, format!("a result can't be written: {error}")))),
    }
}

/// What its person is asked through the client. Never for a yes to a change: that takes a way on which nobody can say it for
/// them. If nothing is asked here, the task's message says who does what.
fn requests(call: &Call, run: &RunRow, events: &[Event], facts: &Facts) -> Result<InputRequests, Refused> {
    if !call.shows_forms() || call.may_run().is_err() {
        return Ok(InputRequests::new());
    }
    // Whoever is nobody in the project of the run is not asked; they may look.
    let Ok(actor) = call.actor_on(run) else { return Ok(InputRequests::new()) };
    let mut requests = InputRequests::new();
    let mut left = RESULT_BYTES_MAX;
    for (step, asked) in call.runs.answerable(run, facts, &actor)? {
        let Some(request) = forms::request(run, asked, call.desk.redactor()) else { continue };
        let bytes = serde_json::to_string(&request).map_or(usize::MAX, |text| text.len());
        // One that doesn't fit any more is asked when the others are answered, and one that never fits elsewhere.
        if bytes <= left {
            left -= bytes;
            requests.insert(forms::key(events, step), request);
        }
    }
    Ok(requests)
}

/// Where a run stands in a few words.
fn said(facts: &Facts) -> String {
    let word = summary::status_words(summary::status(facts));
    let error = facts.finished.as_ref().and_then(|end| end.error.as_ref());
    match (error, &facts.cancelled) {
        (Some(error), _) => format!("{word}, {}", error.message),
        (None, Some(actor)) => format!("{word}, stopped by {}", line::person(actor)),
        (None, None) => word.to_owned(),
    }
}
