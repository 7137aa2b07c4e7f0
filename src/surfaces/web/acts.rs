//! What people tell a run from its page: the forms that stand on it, and what becomes of them.
//!
//! A form says the same as a request of the API, and is done by what does that.

use serde_json::{Map as JsonMap, Value as Json, json};

use crate::engine::facts::{Facts, RunState};
use crate::engine::ids::RunId;
use crate::engine::ids::StepPath;
use crate::runbook::fields as questions;
use crate::runs::RunRow;
use crate::script::value::Value;
use crate::surfaces::http::{Answer, Call, Problem, acts, starts};
use crate::surfaces::web::fields;
use crate::surfaces::web::run::Told;
use crate::surfaces::web::view;
use crate::transcript::words;

/// Questions and decisions on one page.
const FORMS_MAX: usize = 8;
/// Bytes of the questions, and of the decisions, on a page.
const FORMS_BYTES_MAX: usize = 8_000;
/// What the names of fields of a question begin with.
const FIELD: &str = "field.";
/// What the names of decisions begin with.
const DECIDE: &str = "decide.";

/// What may be said to a run now.
pub fn of(row: &RunRow, facts: &Facts, told: &Told) -> Json {
    let state = facts.state();
    let open = !matches!(state, RunState::Ended(_) | RunState::Stuck);
    let decisions = decisions(facts);
    let stands = matches!(state, RunState::Paused) || (open && !told.driven && !told.pending.is_empty());
    json!({
        "url": view::run_url(row),
        "questions": asked(facts, told),
        "decisions": decisions,
        "resume": stands && decisions.is_empty(),
        "pause": state == RunState::Running && facts.cancelled.is_none(),
        "cancel": open && facts.cancelled.is_none(),
    })
}

fn asked(facts: &Facts, told: &Told) -> Vec<Json> {
    let open = facts.questions().filter(|(path, _)| !told.answered.contains(path));
    let open = open.filter_map(|(path, record)| Some((path, record.asked.as_ref()?)));
    let forms = open
        .take(FORMS_MAX)
        .enumerate()
        .map(|(at, (path, asked))| {
            let inputs = questions::read(&Value::Map(asked.fields.clone())).unwrap_or_default();
            json!({
                "key": at, "step": path.as_str(), "text": view::clipped(&asked.text),
                "choices": asked.choices.iter().map(|choice| view::clipped(choice)).collect::<Vec<_>>(),
                "fields": fields::of(&inputs, FIELD, |_| None),
            })
        })
        .collect();
    view::within(forms, FORMS_BYTES_MAX).0
}

/// Steps that somebody has to decide about: those in doubt, and the one that the run failed at.
fn decisions(facts: &Facts) -> Vec<Json> {
    let choice = |word: &str, name: &str, about: &str| json!({ "word": word, "name": name, "about": about });
    let again = choice("retry", "Start it anew.", "With fresh arguments.");
    let without = choice("skip", "Go on without it.", "");
    let mut found: Vec<Json> = facts
        .doubts()
        .map(|(path, record)| {
            let why = record.finished.as_ref().and_then(|end| end.error.as_ref()).map(words::failure);
            json!({
                "step": path.as_str(), "why": view::clipped(&why.unwrap_or_default()),
                "choices": [
                    choice("done", "It happened.", "Go on after it."),
                    choice("not_done", "It did not happen.", "Send it again."),
                    again, without,
                ],
            })
        })
        .collect();
    let failed = facts.finished.as_ref().and_then(|end| Some((end.failed_step.as_ref()?, end.error.as_ref())));
    let ended_badly = matches!(facts.state(), RunState::Ended(_)) && facts.undo_of_run().is_none();
    if let Some((step, error)) = failed.filter(|(step, _)| ended_badly && is_decidable(facts, step)) {
        let why = view::clipped(&error.map(words::failure).unwrap_or_default());
        found.push(json!({ "step": step.as_str(), "why": why, "choices": [again, without] }));
    }
    found.truncate(FORMS_MAX);
    for (at, decision) in found.iter_mut().enumerate() {
        decision["key"] = json!(at);
    }
    view::within(found, FORMS_BYTES_MAX).0
}

fn is_decidable(facts: &Facts, step: &StepPath) -> bool {
    facts.step(step).is_some_and(|record| record.finished.is_some())
}

/// The fields of a form that have something in them, without those that every form has.
fn said(call: &Call<'_>, names: &[&str]) -> Result<JsonMap<String, Json>, Problem> {
    let pairs = call.form().iter().filter(|(name, text)| names.contains(&name.as_str()) && !text.trim().is_empty());
    Ok(pairs.map(|(name, text)| (name.clone(), json!(text))).collect())
}

fn tell(
    call: &Call<'_>,
    run: RunId,
    body: JsonMap<String, Json>,
    act: fn(&Call<'_>, RunId) -> Result<Answer, Problem>,
) -> Result<Answer, Problem> {
    let row = call.run()?;
    act(&call.saying(&Json::Object(body)), run)?;
    Ok(Answer::see(&view::run_url(&row)))
}

/// Lets it start nothing new.
pub fn pause(call: &Call<'_>, run: RunId) -> Result<Answer, Problem> {
    tell(call, run, said(call, &["reason"])?, acts::pause)
}

/// Asks it to stop.
pub fn cancel(call: &Call<'_>, run: RunId) -> Result<Answer, Problem> {
    tell(call, run, said(call, &["reason"])?, acts::cancel)
}

/// Adds to its timeline.
pub fn note(call: &Call<'_>, run: RunId) -> Result<Answer, Problem> {
    tell(call, run, said(call, &["text"])?, acts::note)
}

/// Answers a question.
pub fn answer(call: &Call<'_>, run: RunId) -> Result<Answer, Problem> {
    let mut body = said(call, &["step", "answer"])?;
    let fields = fields::typed(call.form(), FIELD);
    body.insert("fields".to_owned(), fields.into_iter().map(|(name, text)| (name, json!(text))).collect());
    tell(call, run, body, acts::answer)
}

/// Takes it up again, with decisions about steps.
pub fn resume(call: &Call<'_>, run: RunId) -> Result<Answer, Problem> {
    let mut body = said(call, &["reason"])?;
    for (step, word) in fields::typed(call.form(), DECIDE) {
        let (key, entry) = match word.as_str() {
            "done" => ("done", json!({ "step": step })),
            "not_done" | "retry" | "skip" => (word.as_str(), json!(step)),
            _ => return Err(Problem::new(400, format!("no decision `{word}`"))),
        };
        let listed = body.entry(key).or_insert_with(|| json!([]));
        listed.as_array_mut().into_iter().for_each(|listed| listed.push(entry.clone()));
    }
    tell(call, run, body, starts::resume)
}

/// Says yes to exactly the change that was shown.
pub fn approve(call: &Call<'_>, run: RunId) -> Result<Answer, Problem> {
    tell(call, run, said(call, &["step", "change", "reason"])?, acts::approve)
}

/// Says no to it.
pub fn reject(call: &Call<'_>, run: RunId) -> Result<Answer, Problem> {
    tell(call, run, said(call, &["step", "change", "reason"])?, acts::reject)
}

/// Puts all writes on hold, or lifts the hold.
pub fn hold(call: &Call<'_>, run: RunId) -> Result<Answer, Problem> {
    let mut body = said(call, &["reason"])?;
    let on = match call.form().iter().find(|(name, _)| name == "on").map(|(_, text)| text.as_str()) {
        Some("true") => true,
        Some("false") => false,
        _ => return Err(Problem::new(400, "expected `on`, true or false")),
    };
    body.insert("on".to_owned(), json!(on));
    acts::hold(&call.saying(&Json::Object(body)), run)?;
    Ok(Answer::see("/admin"))
}
