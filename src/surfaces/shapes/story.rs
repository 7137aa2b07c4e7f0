//! What is told of one run at length: why it went this way, and the forms it is exported in.

use clap::ValueEnum;

use crate::engine::event::Event;
use crate::engine::facts::Facts;
use crate::engine::ids::StepPath;
use crate::runbook::nearest::nearest;
use crate::runs::{ErrorKind, Hash, RunRow, Runs, RunsError};
use crate::surfaces::shapes::run::whole;
use crate::transcript::html::{self, Evidence};
use crate::transcript::jsonl::{self, Links};
use crate::transcript::{Line, Marks, markdown, picture, why};

/// Forms of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A postmortem, filled in as far as is known
    Md,
    /// One page for a browser, with everything inside and without scripts
    Html,
    /// A picture of where the time went
    Svg,
    /// One object, as of `show -o json`
    Json,
    /// The events with their hashes, one a line
    Jsonl,
}

impl Format {
    /// Every form with its word and its media type.
    pub const ALL: [(Format, &'static str, &'static str); 5] = [
        (Format::Md, "md", "text/markdown; charset=utf-8"),
        (Format::Html, "html", "text/html; charset=utf-8"),
        (Format::Svg, "svg", "image/svg+xml"),
        (Format::Json, "json", "application/json"),
        (Format::Jsonl, "jsonl", "application/jsonl"),
    ];

    /// The word that asks for it.
    pub fn word(self) -> &'static str {
        Format::ALL.iter().find(|(format, ..)| *format == self).map_or("md", |(_, word, _)| word)
    }
}

/// A run written out in full.
///
/// # Errors
/// If the journal can't be read, or is damaged.
pub fn export(runs: &Runs, run: &RunRow, format: Format) -> Result<String, RunsError> {
    Ok(match format {
        Format::Md => {
            let (events, facts) = runs.story(run)?;
            markdown::postmortem(&events, &facts, &evidence(runs, run, &events)?)
        }
        Format::Html => {
            let (events, facts) = runs.story(run)?;
            html::page(&events, &facts, &evidence(runs, run, &events)?)
        }
        Format::Svg => {
            let (events, facts) = runs.story(run)?;
            picture::svg(&events, &facts)
        }
        Format::Json => format!("{:#}\n", whole(runs, run)?),
        Format::Jsonl => events(runs, run)?,
    })
}

fn evidence(runs: &Runs, run: &RunRow, events: &[Event]) -> Result<Evidence, RunsError> {
    // A run that went on since it was looked up has another head by now.
    let head = (run.last_seq + 1 == events.len() as u64).then(|| run.head.to_string());
    Ok(Evidence { head, checkpoint: runs.signed(run.run)?.map(|line| line.to_string()) })
}

fn events(runs: &Runs, run: &RunRow) -> Result<String, RunsError> {
    let mut text = String::new();
    let mut prev: Option<Hash> = None;
    for line in runs.lines(run)? {
        let (before, hash) = (prev.map(|hash| hash.to_string()), line.hash.to_string());
        let links = Links { prev: before.as_deref(), hash: &hash };
        text.push_str(&jsonl::line(&line.json, run.run, line.seq == 0, Some(links)));
        text.push('\n');
        prev = Some(line.hash);
    }
    Ok(text)
}

/// Why a run went this way: conditions of all steps, or of one, with the values they read.
///
/// # Errors
/// If the journal can't be read, or there is no such step.
pub fn why(runs: &Runs, run: &RunRow, step: Option<&str>, marks: Marks) -> Result<Vec<Line>, RunsError> {
    let facts = runs.facts(run)?;
    // A run of another version can still say what was read, if not by which expression.
    let program = runs.program(run).ok();
    match step {
        None => Ok(why::lines(&facts, program.as_ref(), marks)),
        Some(name) => {
            let lines = why::of_step(&facts, program.as_ref(), &StepPath::new(name), marks);
            lines.ok_or_else(|| no_step(&facts, name))
        }
    }
}

/// That a run has no such step, with the one that may be meant.
pub fn no_step(facts: &Facts, name: &str) -> RunsError {
    let said = RunsError::new(ErrorKind::Usage, format!("step `{name}` is not in this run"));
    match nearest(name, facts.steps.keys().map(StepPath::as_str)) {
        Some(near) => said.hint(format!("did you mean `{near}`?")),
        None => said,
    }
}
