//! `rerail checkpoint`: a signed line that says how far a run, or everything, has got.

use clap::Args;
use serde_json::Value as Json;

use crate::surfaces::cli::error::CliError;
use crate::surfaces::cli::exit::Exit;
use crate::surfaces::cli::session::Session;
use crate::surfaces::shapes::verify::of_checkpoint;
use crate::transcript::{Line, Tone};

#[derive(Args, Debug)]
pub struct CheckpointArgs {
    /// One run; everything without it
    #[arg(value_name = "RUN")]
    run: Option<String>,
}

/// Signs what isn't signed yet, and prints the line that stands for it.
pub fn checkpoint(session: &Session, args: &CheckpointArgs) -> Result<Exit, CliError> {
    let runs = session.runs()?;
    let run = args.run.as_deref().map(|text| runs.find(text)).transpose()?;
    let ui = &session.ui;
    let signed = runs.checkpoint(run.as_ref())?;
    if !ui.human() {
        ui.result_json(&signed.as_ref().map_or(Json::Null, of_checkpoint));
        return Ok(Exit::SUCCESS);
    }
    let Some(signed) = signed else {
        ui.remark("nothing was ever started here: there is nothing to sign");
        return Ok(Exit::SUCCESS);
    };
    ui.result(&Line::of(Tone::Plain, &signed.to_string()));
    ui.remark("keep it where the journal is not: `rerail verify --checkpoint LINE` holds the journal against it");
    Ok(Exit::SUCCESS)
}
