//! What is told of one run at length: why, its timeline, exports, what differs from another run, whether it is whole, and
//! the approval it waits for.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;

use crate::runs::Checkpoint;
use crate::surfaces::http::call::{Answer, Call};
use crate::surfaces::http::problem::Problem;
use crate::surfaces::http::starts::marks;
use crate::surfaces::shapes::approvals::of_waiting;
use crate::surfaces::shapes::lines::of_lines;
use crate::surfaces::shapes::plan::compared;
use crate::surfaces::shapes::story::{self, Format};
use crate::surfaces::shapes::verify::{Verified, of_report};
use crate::transcript::diff::Diff;
use crate::transcript::{saved, timeline};

/// What a page may do that is opened straight from here: show itself, and nothing else.
const ALONE: &str = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:";

/// The parameters of a query, each by its name.
fn given(call: &Call<'_>, known: &[&str]) -> Result<impl Fn(&str) -> Option<String>, Problem> {
    let given = call.parameters(known)?;
    Ok(move |name: &str| given.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone()))
}

/// Why it went this way, as `rerail show --why`.
pub fn why(call: &Call<'_>) -> Result<Answer, Problem> {
    let given = given(call, &["step", "signs"])?;
    let marks = marks(given("signs").as_deref())?;
    let lines = story::why(&call.runs, &call.run()?, given("step").as_deref(), marks)?;
    Ok(Answer::json(200, &json!({ "lines": of_lines(&lines) })))
}

/// Where the time went, as `rerail show --timeline`.
pub fn timeline(call: &Call<'_>) -> Result<Answer, Problem> {
    let marks = marks(given(call, &["signs"])?("signs").as_deref())?;
    let (events, facts) = call.runs.story(&call.run()?)?;
    let lines = timeline::lines(&events, &facts, timeline::WIDTH_DEFAULT, marks);
    Ok(Answer::json(200, &json!({ "lines": of_lines(&lines) })))
}

/// A run written out, as `rerail export`.
pub fn export(call: &Call<'_>) -> Result<Answer, Problem> {
    let word = given(call, &["format"])?("format").unwrap_or_else(|| "md".to_owned());
    let known = Format::ALL.iter().find(|(_, known, _)| *known == word);
    let Some((format, _, media_type)) = known else {
        let words: Vec<&str> = Format::ALL.iter().map(|(_, word, _)| *word).collect();
        return Err(Problem::new(400, format!("no form `{word}` of an export"))
            .hint(format!("there are: {}", words.join(", "))));
    };
    let answer = Answer::text(media_type, story::export(&call.runs, &call.run()?, *format)?);
    Ok(answer.with("content-security-policy", ALONE.to_owned()))
}

/// What differs from another run, as `rerail diff`.
pub fn diff(call: &Call<'_>) -> Result<Answer, Problem> {
    let before = given(call, &["before"])?("before");
    let before = before.ok_or_else(|| Problem::new(400, "the run to compare with is missing: `before`"))?;
    let diff = Diff::of(&call.runs.facts(&call.runs.find(&before)?)?, &call.runs.facts(&call.run()?)?);
    Ok(Answer::json(200, &diff.to_json()))
}

/// A saved plan that is held against a run.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Against {
    /// The text of its file.
    plan: String,
    /// The name of its file in messages.
    name: Option<String>,
    /// The signs of the lines.
    told: Option<String>,
}

/// What a saved plan says, and what became of it in a run, as `rerail diff PLAN RUN`.
pub fn compare(call: &Call<'_>) -> Result<Answer, Problem> {
    let Against { plan, name, told } = call.read()?;
    let marks = marks(told.as_deref())?;
    let plan = call.runs.read_plan(name.as_deref().unwrap_or("the plan"), &plan)?;
    let facts = call.runs.facts(&call.run()?)?;
    let drift = saved::against(&plan, &facts, &call.runs.reads_of(&facts)?);
    let json = json!({
        "equal": drift.writes.is_empty() && drift.reads.is_empty(),
        "moved": saved::drift_json(&drift),
        "lines": of_lines(&compared(&drift, marks)),
    });
    Ok(Answer::json(200, &json))
}

/// What is checked, and against what.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Check {
    /// One run; everything without it.
    run: Option<String>,
    /// Checkpoints that were kept elsewhere.
    #[serde(default)]
    checkpoints: Vec<String>,
    told: Option<String>,
}

/// Whether a journal is what was written and what was signed, as `rerail verify`.
pub fn check(call: &Call<'_>) -> Result<Answer, Problem> {
    let Check { run, checkpoints, told } = call.read()?;
    let marks = marks(told.as_deref())?;
    let mut kept = Vec::new();
    for line in &checkpoints {
        let found = Checkpoint::all_in(line).map_err(|why| Problem::new(400, why))?;
        if found.is_empty() {
            return Err(Problem::new(400, "one of `checkpoints` is no signed checkpoint"));
        }
        kept.extend(found);
    }
    let run = run.as_deref().map(|text| call.runs.find(text)).transpose()?;
    let verified = Verified::of(&call.runs.verify(run.as_ref(), &kept)?, marks);
    let json = if told.is_some() { verified.to_json() } else { verified.json };
    Ok(Answer::json(200, &json))
}

/// Whether the journal of a run is what was written, as `rerail verify`.
pub fn verify(call: &Call<'_>) -> Result<Answer, Problem> {
    Ok(Answer::json(200, &of_report(&call.runs.verify(Some(&call.run()?), &[])?)))
}

/// The approval that a run waits for. With `may=true` refused as the word of whoever asks would be.
pub fn approval(call: &Call<'_>) -> Result<Answer, Problem> {
    let given = given(call, &["step", "may"])?;
    let waiting = call.runs.approval(&call.run()?, given("step").as_deref(), &call.principal.caller)?;
    if given("may").as_deref() == Some("true") {
        call.runs.may_approve(&waiting)?;
    }
    Ok(Answer::json(200, &of_waiting(&waiting, Timestamp::now())))
}
