//! `rerail diff`: what was different between two runs, or between a saved plan and a run.

use std::path::Path;

use clap::Args;
use serde_json::json;

use crate::surfaces::cli::error::CliError;
use crate::surfaces::cli::exit::Exit;
use crate::surfaces::cli::plan;
use crate::surfaces::cli::session::Session;
use crate::surfaces::door::{Compared, PlanFile};
use crate::transcript::diff::Diff;

#[derive(Args, Debug)]
pub struct DiffArgs {
    /// The run to compare with, or the file of a saved plan
    #[arg(value_name = "RUN")]
    before: String,
    /// The run that is compared
    #[arg(value_name = "RUN")]
    after: String,
    /// Exit 21 if they differ
    #[arg(long)]
    exit_code: bool,
}

/// Compares two runs.
pub fn diff(session: &Session, args: &DiffArgs) -> Result<Exit, CliError> {
    let ui = &session.ui;
    if plan::is_plan(Path::new(&args.before)) {
        return with_plan(session, args);
    }
    let door = session.door()?;
    let (before, after) = (door.find(&args.before)?, door.find(&args.after)?);
    let diff = Diff::of(&door.facts(&before)?, &door.facts(&after)?);
    match ui.human() {
        true => diff.lines(ui.marks).iter().for_each(|line| ui.result(line)),
        false => ui.result_json(&diff.to_json()),
    }
    Ok(if args.exit_code && !diff.is_empty() { Exit::DIFFERENT } else { Exit::SUCCESS })
}

/// What a plan says, and what became of it in a run, whether that applied it or not.
fn with_plan(session: &Session, args: &DiffArgs) -> Result<Exit, CliError> {
    let ui = &session.ui;
    let text = plan::read(Path::new(&args.before))?;
    let door = session.door()?;
    let plan = PlanFile { shown: &args.before, text: &text, again: false };
    let Compared { equal, moved, lines } = door.compare(plan, &door.find(&args.after)?, ui.marks)?;
    match ui.human() {
        true => lines.iter().for_each(|line| ui.result(line)),
        false => ui.result_json(&json!({ "equal": equal, "moved": moved })),
    }
    Ok(if args.exit_code && !equal { Exit::DIFFERENT } else { Exit::SUCCESS })
}
