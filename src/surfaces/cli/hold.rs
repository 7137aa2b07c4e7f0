//! `rerail hold`: let no run of this store write until the hold is lifted.

use clap::{Args, Subcommand};

use crate::engine::event::Hold;
use crate::runs::LastHold;
use crate::surfaces::cli::error::CliError;
use crate::surfaces::cli::exit::Exit;
use crate::surfaces::cli::session::Session;
use crate::surfaces::shapes::hold::of_hold;
use crate::transcript::line::person;
use crate::transcript::{Line, Tone, words};

#[derive(Args, Debug)]
pub struct HoldArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// No run starts a write from now on; reads go on, and what is on its way ends by itself
    On {
        /// Why, for everybody who meets it
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Writes may start again
    Off,
    /// Say whether writes are on hold, since when, by whom and why
    Status,
}

/// Puts writes on hold, lifts the hold, or says how it stands. A hold that is there already stays as it is.
pub fn hold(session: &Session, args: &HoldArgs) -> Result<Exit, CliError> {
    let door = session.door()?;
    let ui = &session.ui;
    let before = match &args.what {
        What::On { reason } => door.hold(reason)?,
        What::Off => door.lift()?,
        What::Status => None,
    };
    let last = door.last_hold()?;
    if !ui.human() {
        ui.result_json(&of_hold(last.as_ref()));
        return Ok(Exit::SUCCESS);
    }
    let text = match (&args.what, &before, last) {
        (What::On { .. }, Some(hold), _) => format!("all writes were on hold already {}", since(hold)),
        (What::Off, None, _) => "writes were not on hold".to_owned(),
        (What::Off, Some(hold), _) => format!("writes may start again; they were on hold {}", since(hold)),
        (_, _, Some(LastHold { hold, lifted: None })) => format!("all writes are on hold {}", since(&hold)),
        (_, _, Some(LastHold { hold, lifted: Some((actor, at)) })) => format!(
            "writes are not on hold; the last hold, {}, was lifted by {} at {}",
            since(&hold),
            person(&actor),
            words::date_time(at)
        ),
        (_, _, None) => "writes are not on hold".to_owned(),
    };
    ui.result(&Line::of(Tone::Plain, &text));
    if matches!(args.what, What::On { .. }) {
        ui.hint("lift it with  rerail hold off");
    }
    Ok(Exit::SUCCESS)
}

/// `since 2026-11-21 14:03:02Z by ana: freeze`
fn since(hold: &Hold) -> String {
    format!("since {} by {}: {}", words::date_time(hold.since), person(&hold.actor), hold.reason)
}
