//! `rerail diff`: what was different between two runs.

use clap::Args;

use crate::surfaces::cli::error::CliError;
use crate::surfaces::cli::exit::Exit;
use crate::surfaces::cli::session::Session;
use crate::transcript::diff::Diff;

#[derive(Args, Debug)]
pub struct DiffArgs {
    /// The run to compare with
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
    let runs = session.runs()?;
    let (before, after) = (runs.find(&args.before)?, runs.find(&args.after)?);
    let diff = Diff::of(&runs.facts(&before)?, &runs.facts(&after)?);
    match ui.human() {
        true => diff.lines(ui.marks).iter().for_each(|line| ui.result(line)),
        false => ui.result_json(&diff.to_json()),
    }
    Ok(if args.exit_code && !diff.is_empty() { Exit::DIFFERENT } else { Exit::SUCCESS })
}
