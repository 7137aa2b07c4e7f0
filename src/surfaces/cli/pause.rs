//! `rerail pause`: let a run start nothing new until it is resumed.

use clap::Args;

use crate::runs::Delivered;
use crate::surfaces::cli::error::CliError;
use crate::surfaces::cli::exit::Exit;
use crate::surfaces::cli::session::Session;
use crate::transcript::{Line, Tone};

#[derive(Args, Debug)]
pub struct PauseArgs {
    /// The run
    #[arg(value_name = "RUN")]
    run: String,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

/// Pauses a run.
pub fn pause(session: &Session, args: PauseArgs) -> Result<Exit, CliError> {
    let door = session.door()?;
    let run = door.find(&args.run)?;
    let delivered = door.pause(&run, args.reason)?;
    let ui = &session.ui;
    if !ui.human() {
        let driven = delivered == Delivered::ToDriver;
        ui.result_json(&serde_json::json!({ "run": run.run.short(), "driven": driven }));
        return Ok(Exit::SUCCESS);
    }
    let name = format!("{}/{}", run.runbook, run.run);
    let text = match delivered {
        Delivered::ToDriver => format!("{name} is asked to pause: what is running ends, nothing new starts"),
        Delivered::Kept => format!("{name} is paused"),
    };
    ui.result(&Line::of(Tone::Plain, &text));
    ui.hint(&format!("it goes on with  rerail resume {}", run.run));
    Ok(Exit::SUCCESS)
}
