//! The runbooks there are, as plain objects. Additive only.

use serde_json::{Value as Json, json};

use crate::project::{Listed, Origin};
use crate::runbook::program::Program;
use crate::runs::{Runs, RunsError};

/// One of them.
struct Row {
    listed: Listed,
    /// Nothing if the file has problems.
    program: Option<Program>,
}

/// Runbooks that have all these words, in lower case, as plain objects.
///
/// # Errors
/// If one is gone in the moment between the list and the look at it.
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
    let mut rows = Vec::new();
    for listed in runs.project().runbooks() {
        let (program, _) = runs.check(&listed.name)?;
        let row = Row { listed, program };
        rows.push((row.text(), row.to_json()));
    }
    Ok(rows)
}

impl Row {
    /// What words are looked for in.
    fn text(&self) -> String {
        let mut text = self.listed.name.clone();
        if let Some(program) = &self.program {
            let book = &program.runbook;
            text.push_str(&format!(" {} {}", book.title, book.tags.join(" ")));
            text.push_str(&format!(" {}", book.meaning.as_deref().unwrap_or_default()));
        }
        text.to_lowercase()
    }

    fn effects(&self) -> Vec<&'static str> {
        self.program.iter().flat_map(|program| program.effects.iter().map(|effect| effect.word())).collect()
    }

    fn to_json(&self) -> Json {
        let book = self.program.as_ref().map(|program| &program.runbook);
        json!({
            "name": self.listed.name,
            "title": book.map(|book| book.title.as_str()),
            "owner": book.and_then(|book| book.owner.as_deref()),
            "reviewed": book.and_then(|book| book.reviewed.as_deref()),
            "tags": book.map(|book| book.tags.as_slice()),
            "effects": self.effects(),
            "origin": self.listed.origin,
            "path": self.listed.source.shown,
            "valid": self.program.is_some(),
        })
    }
}

/// Where a file came from, in a word.
pub fn origin_word(origin: Origin) -> &'static str {
    match origin {
        Origin::Project => "project",
        Origin::Embedded => "embedded",
    }
}
