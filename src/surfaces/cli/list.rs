//! `rerail list`: the runbooks there are.

use clap::Args;
use serde_json::{Value as Json, json};

use crate::project::{Listed, Origin};
use crate::runbook::program::Program;
use crate::runs::{Runs, RunsError};
use crate::surfaces::cli::error::CliError;
use crate::surfaces::cli::exit::Exit;
use crate::surfaces::cli::session::Session;
use crate::surfaces::cli::table;

#[derive(Args, Debug)]
pub struct ListArgs {
    /// Only runbooks that have all these words in name, title, tags or meaning
    #[arg(value_name = "WORDS")]
    words: Vec<String>,
}

struct Row {
    listed: Listed,
    /// Nothing if the file has problems.
    program: Option<Program>,
}

/// Lists runbooks.
pub fn list(session: &Session, args: &ListArgs) -> Result<Exit, CliError> {
    let ui = &session.ui;
    let runs = session.runs()?;
    let words: Vec<String> = args.words.iter().map(|word| word.to_lowercase()).collect();
    let rows = rows(&runs, &words)?;
    if !ui.human() {
        ui.result_rows(rows.iter().map(Row::to_json).collect());
        return Ok(Exit::SUCCESS);
    }
    if rows.is_empty() {
        ui.remark("no runbook fits");
        return Ok(Exit::SUCCESS);
    }
    table::print(ui, &["NAME", "TITLE", "EFFECTS", "OWNER", "ORIGIN"], rows.iter().map(Row::cells).collect());
    if rows.iter().any(|row| row.program.is_none()) || !runs.project().unusable().is_empty() {
        ui.hint("`rerail check` says what is wrong with those that have problems");
    }
    Ok(Exit::SUCCESS)
}

/// Runbooks that have all these words, in lower case, as plain objects. Additive only.
///
/// # Errors
/// If one is gone in the moment between the list and the look at it.
pub fn rows_json(runs: &Runs, words: &[String]) -> Result<Vec<Json>, RunsError> {
    Ok(rows(runs, words)?.iter().map(Row::to_json).collect())
}

fn rows(runs: &Runs, words: &[String]) -> Result<Vec<Row>, RunsError> {
    let mut rows = Vec::new();
    for listed in runs.project().runbooks() {
        let (program, _) = runs.check(&listed.name)?;
        let row = Row { listed, program };
        if words.iter().all(|word| row.text().contains(word)) {
            rows.push(row);
        }
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

    fn cells(&self) -> Vec<String> {
        let book = self.program.as_ref().map(|program| &program.runbook);
        vec![
            self.listed.name.clone(),
            book.map_or_else(|| "(has problems)".to_owned(), |book| book.title.clone()),
            self.effects().join(" "),
            book.and_then(|book| book.owner.clone()).unwrap_or_else(|| "-".to_owned()),
            origin_word(self.listed.origin).to_owned(),
        ]
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
