//! `rerail export`: a run as a postmortem, a page, a picture, one object or its events.

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::engine::event::Event;
use crate::runs::{Hash, RunRow, Runs};
use crate::surfaces::cli::args::Output;
use crate::surfaces::cli::error::CliError;
use crate::surfaces::cli::exit::Exit;
use crate::surfaces::cli::session::Session;
use crate::surfaces::shapes::run::whole;
use crate::transcript::html::{self, Evidence};
use crate::transcript::jsonl::{self, Links};
use crate::transcript::{markdown, picture};

#[derive(Args, Debug)]
pub struct ExportArgs {
    /// The run
    #[arg(value_name = "RUN")]
    run: String,
    /// Form of the export [default: md; what --output says, if it says json or jsonl]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Write to a new file instead of standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

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
    /// What is written when only the form of results in general is said.
    fn usual(output: Output) -> Format {
        match output {
            Output::Human => Format::Md,
            Output::Json | Output::Yaml | Output::Sarif | Output::Junit => Format::Json,
            Output::Jsonl => Format::Jsonl,
        }
    }
}

/// Writes a run out.
pub fn export(session: &Session, args: &ExportArgs) -> Result<Exit, CliError> {
    let runs = session.runs()?;
    let run = runs.find(&args.run)?;
    let text = text(&runs, &run, args.format.unwrap_or_else(|| Format::usual(session.ui.output)))?;
    let Some(path) = &args.out else {
        session.ui.result_text(&text);
        return Ok(Exit::SUCCESS);
    };
    let text = session.ui.redactor().redact(&text);
    // An export may replace evidence by accident: only new files are written.
    let file = std::fs::OpenOptions::new().write(true).create_new(true).open(path);
    let shown = path.display().to_string();
    file.and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
        .map_err(|error| CliError::io("writing", &shown, &error))?;
    session.ui.remark(&format!("wrote {shown}"));
    Ok(Exit::SUCCESS)
}

/// A run in this form.
///
/// # Errors
/// If its events can't be read, or are damaged.
pub fn text(runs: &Runs, run: &RunRow, format: Format) -> Result<String, CliError> {
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

fn evidence(runs: &Runs, run: &RunRow, events: &[Event]) -> Result<Evidence, CliError> {
    // A run that went on since it was looked up has another head by now.
    let head = (run.last_seq + 1 == events.len() as u64).then(|| run.head.to_string());
    Ok(Evidence { head, checkpoint: runs.signed(run.run)?.map(|line| line.to_string()) })
}

fn events(runs: &Runs, run: &RunRow) -> Result<String, CliError> {
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
