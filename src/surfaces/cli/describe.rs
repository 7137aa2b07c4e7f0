//! `rerail describe`: what a runbook means, needs and may change.

use clap::Args;

use crate::surfaces::cli::error::CliError;
use crate::surfaces::cli::exit::Exit;
use crate::surfaces::cli::session::Session;

#[derive(Args, Debug)]
pub struct DescribeArgs {
    /// Runbook by name or path
    #[arg(value_name = "RUNBOOK")]
    runbook: String,
}

/// Describes a runbook.
pub fn describe(session: &Session, args: &DescribeArgs) -> Result<Exit, CliError> {
    let (json, lines) = session.door()?.book(&args.runbook)?;
    match session.ui.human() {
        true => lines.iter().for_each(|line| session.ui.result(line)),
        false => session.ui.result_json(&json),
    }
    Ok(Exit::SUCCESS)
}
