//! What people tell runs: the same words as `rerail cancel`, `pause`, `answer`, `note`, `approve`, `reject`, `hold`.

use serde::Deserialize;
use serde_json::json;

use crate::engine::ids::RunId;
use crate::runs::{Delivered, RunRow, Taken, Waiting, names_change};
use crate::surfaces::cli::exit::Exit;
use crate::surfaces::http::call::{Answer, Call};
use crate::surfaces::http::problem::Problem;
use crate::surfaces::shapes::approvals::shown;
use crate::surfaces::shapes::hold::of_hold;
use crate::transcript::{Line, Marks};

/// Why, for the record.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Why {
    reason: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Note {
    text: String,
}

/// An answer as it is typed: `answer`, or a value for each field of the question.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reply {
    step: Option<String>,
    answer: Option<String>,
    #[serde(default)]
    fields: std::collections::BTreeMap<String, String>,
}

/// A word about one change.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Word {
    step: Option<String>,
    /// The digest that was shown: nobody agrees to what they have not seen.
    change: String,
    reason: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hold {
    on: bool,
    reason: Option<String>,
}

fn told(run: &RunRow, delivered: Delivered) -> Answer {
    Answer::json(202, &json!({ "run": run.run.short(), "driven": delivered == Delivered::ToDriver }))
}

/// Asks a run to stop.
pub fn cancel(call: &Call<'_>, _: RunId) -> Result<Answer, Problem> {
    let run = call.run()?;
    let Why { reason } = call.read()?;
    let delivered = call.runs.cancel(&run, &call.actor_on(&run)?, reason)?;
    Ok(told(&run, delivered))
}

/// Lets a run start nothing new.
pub fn pause(call: &Call<'_>, _: RunId) -> Result<Answer, Problem> {
    let run = call.run()?;
    let Why { reason } = call.read()?;
    let delivered = call.runs.pause(&run, &call.actor_on(&run)?, reason)?;
    Ok(told(&run, delivered))
}

/// Answers a question.
pub fn answer(call: &Call<'_>, _: RunId) -> Result<Answer, Problem> {
    let run = call.run()?;
    let Reply { step, answer, fields } = call.read()?;
    let typed: Vec<(String, String)> =
        answer.map(|text| ("answer".to_owned(), text)).into_iter().chain(fields).collect();
    if typed.is_empty() {
        return Err(
            Problem::new(400, "the answer is empty").hint("give `answer`, or `fields` for a question that has them")
        );
    }
    let (step, delivered) = call.runs.answer(&run, step.as_deref(), &typed, &call.actor_on(&run)?)?;
    let json = json!({ "run": run.run.short(), "step": step.as_str(), "driven": delivered == Delivered::ToDriver });
    Ok(Answer::json(202, &json))
}

/// Adds to a run's timeline.
pub fn note(call: &Call<'_>, _: RunId) -> Result<Answer, Problem> {
    let run = call.run()?;
    let Note { text } = call.read()?;
    call.runs.note(&run, &text, &call.actor_on(&run)?)?;
    Ok(Answer::json(201, &json!({ "run": run.run.short(), "note": text })))
}

/// Says yes to exactly one change.
pub fn approve(call: &Call<'_>, _: RunId) -> Result<Answer, Problem> {
    let (word, waiting) = looked_at(call)?;
    let shown = shown(&waiting, Marks::Unicode).iter().map(Line::plain).collect::<Vec<_>>().join("\n");
    let taken = call.runs.approve(&waiting, shown, word.reason.as_deref())?;
    heard(&waiting, taken, "approved")
}

/// Says no to it, with a reason.
pub fn reject(call: &Call<'_>, _: RunId) -> Result<Answer, Problem> {
    let (word, waiting) = looked_at(call)?;
    let taken = call.runs.reject(&waiting, word.reason.as_deref().unwrap_or_default())?;
    heard(&waiting, taken, "rejected")
}

fn looked_at(call: &Call<'_>) -> Result<(Word, Waiting), Problem> {
    let run = call.run()?;
    let word: Word = call.read()?;
    let waiting = call.runs.approval(&run, word.step.as_deref(), &call.principal.caller)?;
    names_change(&word.change, &waiting.approval.request.change)
        .map_err(|why| Problem::new(409, why).hint("look at it again, then decide: GET /api/v1/approvals"))?;
    Ok((word, waiting))
}

fn heard(waiting: &Waiting, taken: Taken, said: &str) -> Result<Answer, Problem> {
    let enough = match taken {
        Taken::Refused(why) => {
            let run = waiting.run.run;
            return Err(Problem { exit: Exit::USAGE, ..Problem::new(409, why) }
                .hint(format!("see how it stands:  rerail show {run}")));
        }
        Taken::Recorded { enough } => Some(enough),
        Taken::NotYet(_) => None,
    };
    let json = json!({
        "run": waiting.run.run.short(),
        "step": waiting.approval.request.step.as_str(),
        "change": waiting.approval.request.change,
        "said": said,
        "by": waiting.actor.id,
        "recorded": enough.is_some(),
        "enough": enough,
    });
    Ok(Answer::json(202, &json))
}

/// Puts all writes on hold, or lifts the hold.
pub fn hold(call: &Call<'_>, _: RunId) -> Result<Answer, Problem> {
    let Hold { on, reason } = call.read()?;
    let actor = call.runs.identify(&call.principal.caller)?;
    match on {
        true => drop(call.runs.hold(&actor, reason.as_deref().unwrap_or_default())?),
        false => drop(call.runs.lift(&actor)?),
    }
    Ok(Answer::json(200, &of_hold(call.runs.last_hold()?.as_ref())))
}
