//! `rerail note`: add to a run's timeline.

use clap::Args;

use crate::surfaces::cli::error::CliError;
use crate::surfaces::cli::exit::Exit;
use crate::surfaces::cli::session::Session;
use crate::transcript::{Line, Tone};

#[derive(Args, Debug)]
pub struct NoteArgs {
    /// The run
    #[arg(value_name = "RUN")]
    run: String,
    /// The note; one that begins with `TODO:` becomes an action item of the postmortem
    #[arg(value_name = "TEXT", required = true)]
    text: Vec<String>,
}

/// Adds a note.
pub fn note(session: &Session, args: &NoteArgs) -> Result<Exit, CliError> {
    let text = args.text.join(" ");
    if text.trim().is_empty() {
        return Err(CliError::usage("the note is empty"));
    }
    let door = session.door()?;
    let run = door.find(&args.run)?;
    door.note(&run, &text)?;
    match session.ui.human() {
        true => session.ui.result(&Line::of(Tone::Plain, &format!("noted in {}/{}", run.runbook, run.run))),
        false => session.ui.result_json(&serde_json::json!({ "run": run.run.short(), "note": text })),
    }
    Ok(Exit::SUCCESS)
}
