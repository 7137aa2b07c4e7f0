//! The runbooks there are, as plain objects. Additive only.

use serde_json::{Value as Json, json};

use crate::project::Origin;
use crate::runs::{CheckedRunbook, Runs, RunsError};

/// Runbooks that have all these words, in lower case, as plain objects.
///
/// # Errors
/// As [`Runs::check_runbooks`].
pub fn of_runbooks(runs: &Runs, words: &[String]) -> Result<Vec<Json>, RunsError> {
    let mut found = texts(runs)?;
    found.retain(|(text, _)| words.iter().all(|word| text.contains(word)));
    Ok(found.into_iter().map(|(_, row)| row).collect())
}

/// Every runbook, with the text that words are looked for in: for those who look for many.
///
/// # Errors
/// As [`of_runbooks`].
pub fn texts(runs: &Runs) -> Result<Vec<(String, Json)>, RunsError> {
    Ok(runs.check_runbooks()?.iter().map(|row| (text(row), to_json(row))).collect())
}

/// What words are looked for in.
fn text(row: &CheckedRunbook) -> String {
    let mut text = row.listed.name.clone();
    if let Some(program) = &row.program {
        let book = &program.runbook;
        text.push_str(&format!(" {} {}", book.title, book.tags.join(" ")));
        text.push_str(&format!(" {}", book.meaning.as_deref().unwrap_or_default()));
    }
    text.to_lowercase()
}

fn to_json(row: &CheckedRunbook) -> Json {
    let book = row.program.as_ref().map(|program| &program.runbook);
    let effects = row.program.iter().flat_map(|program| program.effects.iter().map(|effect| effect.word()));
    json!({
        "name": row.listed.name,
        "title": book.map(|book| book.title.as_str()),
        "owner": book.and_then(|book| book.owner.as_deref()),
        "reviewed": book.and_then(|book| book.reviewed.as_deref()),
        "tags": book.map(|book| book.tags.as_slice()),
        "effects": effects.collect::<Vec<_>>(),
        "origin": row.listed.origin,
        "path": row.listed.source.shown,
        "valid": row.program.is_some(),
    })
}

/// Where a file came from, in a word.
pub fn origin_word(origin: Origin) -> &'static str {
    match origin {
        Origin::Project => "project",
        Origin::Embedded => "embedded",
    }
}
