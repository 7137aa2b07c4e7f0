//! Steps of a run as rows of a table: what failed is open, what went well and only told somebody is small.

use serde_json::{Value as Json, json};

use crate::engine::facts::{Facts, Record};
use crate::engine::ids::StepPath;
use crate::runbook::spec::Effect;
use crate::surfaces::web::view;
use crate::transcript::text::Mark;
use crate::transcript::{line, words};

/// Rows of the table.
pub const ROWS_MAX: usize = 80;
/// Characters of one text in a row.
const TEXT_CHARS_MAX: usize = 160;
/// Characters of the picture of a failure, and of what it saw.
const ERROR_CHARS_MAX: usize = 1_200;
/// Failures that are drawn whole.
const ERRORS_MAX: usize = 8;
/// How deep a row is moved in.
const DEPTH_MAX: usize = 4;

/// Rows in the order in which the steps began, and how many are left out. Where there are too many, those that went well
/// are left out first.
pub fn rows(facts: &Facts) -> (Vec<Json>, usize) {
    let mut records: Vec<(&StepPath, &Record)> = facts.steps.iter().collect();
    records.sort_by_key(|(_, record)| record.seq);
    let left = records.len().saturating_sub(ROWS_MAX);
    if left > 0 {
        let mut quiet = left;
        // The oldest of those that went well, then whatever is oldest.
        records.retain(|(_, record)| {
            let out = quiet > 0 && went_well(record);
            quiet -= usize::from(out);
            !out
        });
        records.drain(..records.len().saturating_sub(ROWS_MAX));
    }
    let mut errors = 0;
    let rows = records.iter().map(|(path, record)| {
        let mut row = row(path, record, facts);
        if row["error"].is_string() {
            errors += 1;
            if errors > ERRORS_MAX {
                row["error"] = Json::Null;
            }
        }
        row
    });
    (rows.collect(), left)
}

fn went_well(record: &Record) -> bool {
    match record.end() {
        Some(end) => end.outcome.lets_the_run_go_on(),
        None => record.skipped.is_some(),
    }
}

/// One row; its id stays the same for the same step.
pub fn row(path: &StepPath, record: &Record, facts: &Facts) -> Json {
    let started = record.started.as_ref();
    let end = record.finished.as_ref();
    let short = |text: &str| words::shorten(&text.split_whitespace().collect::<Vec<_>>().join(" "), TEXT_CHARS_MAX);
    let (sign, tone, outcome) = match (end, &record.skipped) {
        (Some(end), _) => marked(line::mark_of(end.outcome), line::outcome_words(end.outcome)),
        (None, Some(_)) => marked(Mark::Skipped, "skipped"),
        (None, None) if record.is_asking() => marked(Mark::Waiting, "waits for a person"),
        (None, None) if record.is_open() => ("◌", "live", "running"),
        (None, None) => marked(Mark::Info, "see its steps"),
    };
    let result = match (end, &record.skipped) {
        (Some(end), _) => match &end.error {
            Some(failure) => words::failure(failure),
            None => words::result(started.map_or("", |started| line::uses_word(&started.intent)), &end.outputs),
        },
        (None, Some(skipped)) => format!("`{}` is false", skipped.condition),
        (None, None) => match &record.observed {
            Some(seen) => words::value(seen),
            None => String::new(),
        },
    };
    let well = went_well(record);
    let tells = started.is_some_and(|started| started.intent.effect == Effect::Notify);
    json!({
        "id": format!("s-{}", id(path)),
        "name": short(path.as_str()),
        "depth": path.depth().saturating_sub(1).min(DEPTH_MAX),
        "class": if well && (tells || record.skipped.is_some()) { "quiet" } else if well { "" } else { tone },
        "what": started.map(|started| short(&line::what(&started.intent))).unwrap_or_default(),
        "sign": sign, "tone": tone, "outcome": outcome,
        "attempt": started.map(|started| started.intent.attempt).filter(|attempt| *attempt > 1),
        "took": end.map(|end| words::duration(end.ms)),
        "since": started.filter(|_| end.is_none()).map(|started| view::time(started.first_at)),
        "result": short(&result),
        "error": (!well).then(|| error(path, record, facts)).flatten(),
    })
}

fn marked(mark: Mark, said: &'static str) -> (&'static str, &'static str, &'static str) {
    (view::sign(mark), mark.tone().class(), said)
}

/// What is drawn of a failure: its place in the runbook, and the values it saw.
fn error(path: &StepPath, record: &Record, facts: &Facts) -> Option<String> {
    let failure = record.finished.as_ref()?.error.as_ref()?;
    if line::repeats_an_inner_failure(path, failure, facts) {
        return None;
    }
    let mut text = failure.picture.trim_end().to_owned();
    for value in words::values(&failure.values) {
        text.push_str(&format!("\n  = {value}"));
    }
    let text = text.trim_start_matches('\n');
    (!text.trim().is_empty()).then(|| words::shorten(text, ERROR_CHARS_MAX))
}

/// A name for the row that is a word whatever the path has in it.
fn id(path: &StepPath) -> String {
    use sha2::{Digest, Sha256};
    let digest = crate::script::hex::hex(&Sha256::digest(path.as_str().as_bytes()));
    digest.get(..12).unwrap_or_default().to_owned()
}
