//! `rerail cancel`: stop a run at its next safe point.

use clap::Args;

use crate::runs::Delivered;
use crate::surfaces::cli::error::CliError;
use crate::surfaces::cli::exit::Exit;
use crate::surfaces::cli::session::Session;
use crate::transcript::{Line, Tone};

#[derive(Args, Debug)]
pub struct CancelArgs {
    /// The run
    #[arg(value_name = "RUN")]
    run: String,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

/// Asks a run to stop.
pub fn cancel(session: &Session, args: CancelArgs) -> Result<Exit, CliError> {
    let door = session.door()?;
    let run = door.find(&args.run)?;
    let delivered = door.cancel(&run, args.reason)?;
    say(session, &format!("{}/{} is asked to stop", run.runbook, run.run), &run.run.short(), delivered);
    Ok(Exit::SUCCESS)
}

/// Says who acts on a signal, in every form of output.
pub fn say(session: &Session, text: &str, run: &str, delivered: Delivered) {
    let ui = &session.ui;
    if !ui.human() {
        ui.result_json(&serde_json::json!({ "run": run, "driven": delivered == Delivered::ToDriver }));
        return;
    }
    ui.result(&Line::of(Tone::Plain, text));
    if delivered == Delivered::Kept {
        ui.hint(&format!("nobody drives it now; it acts on this with  rerail resume {run}"));
    }
}
