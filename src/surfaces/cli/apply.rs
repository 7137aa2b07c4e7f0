//! `rerail apply`: do exactly what a saved plan says, or nothing.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::surfaces::cli::args::Output;
use crate::surfaces::cli::error::CliError;
use crate::surfaces::cli::exit::Exit;
use crate::surfaces::cli::run::{Listing, consent};
use crate::surfaces::cli::session::Session;
use crate::surfaces::cli::{foreground, plan};
use crate::surfaces::door::{Applying, Door, PlanFile, out_of_date};

/// How a saved plan is made anew.
const AGAIN: &str = "plan again:  rerail plan RUNBOOK … --out FILE";

#[derive(Args, Debug)]
pub struct ApplyArgs {
    /// A plan that `rerail plan --out` has saved
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Begin without the question behind the plan
    #[arg(short = 'y', long)]
    yes: bool,
    /// Confirm destructive changes by naming the target (the runbook, if there is no target)
    #[arg(long, value_name = "NAME")]
    confirm: Option<String>,
    /// Also a plan by which a run has changed something already
    #[arg(long)]
    again: bool,
    /// Why, for the record [default: as the plan says]
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

/// Applies a saved plan.
pub fn apply(session: &Session, args: ApplyArgs) -> Result<Exit, CliError> {
    let ui = &session.ui;
    let door = session.door()?;
    let (shown, text) = (args.file.display().to_string(), plan::read(&args.file)?);
    let file = PlanFile { shown: &shown, text: &text, again: args.again };
    let applying = door.prepare_apply(file, args.reason, ui.telling())?;
    begin(session, door.as_ref(), applying, args.yes, args.confirm.as_deref(), AGAIN)
}

/// Shows a plan that was held against now, asks, and does it; `again` says how to plan anew what is true no longer.
///
/// # Errors
/// If it can't begin, or what it would write has become something else.
pub fn begin(
    session: &Session,
    door: &dyn Door,
    applying: Applying,
    yes: bool,
    confirm: Option<&str>,
    again: &str,
) -> Result<Exit, CliError> {
    let ui = &session.ui;
    if applying.stale {
        return refuse(session, &applying, again);
    }
    if ui.human() {
        applying.lines.iter().for_each(|line| ui.progress(line));
    }
    let consent = consent(session, &applying.asking, yes, confirm, Listing::Planned)?;
    if let Some(exit) = consent.refused(ui, "nothing was started") {
        return Ok(exit);
    }
    let actor = door.myself()?.actor;
    foreground::drive(session, door, actor, |foreground| door.apply(applying, foreground))
}

/// The world is not as the plan says: what differs, and the way out.
fn refuse(session: &Session, applying: &Applying, again: &str) -> Result<Exit, CliError> {
    let ui = &session.ui;
    match ui.output {
        Output::Human => applying.drift.iter().for_each(|line| ui.result(line)),
        _ => ui.result_json(&json!({ "refused": "stale", "moved": applying.moved })),
    }
    let said = out_of_date(applying.made_at);
    Err(CliError::from(said.hint(format!("nothing was started; {again}"))))
}
