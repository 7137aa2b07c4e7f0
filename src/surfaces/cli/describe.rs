//! `rerail describe`: what a runbook means, needs and may change.

use clap::Args;

use crate::surfaces::cli::error::CliError;
use crate::surfaces::cli::exit::Exit;
use crate::surfaces::cli::session::Session;
use crate::surfaces::shapes::runbook::{lines, of_program};

#[derive(Args, Debug)]
pub struct DescribeArgs {
    /// Runbook by name or path
    #[arg(value_name = "RUNBOOK")]
    runbook: String,
}

/// Describes a runbook.
pub fn describe(session: &Session, args: &DescribeArgs) -> Result<Exit, CliError> {
    let runs = session.runs()?;
    let (program, problems) = runs.check(&args.runbook)?;
    let Some(program) = program else {
        let said = CliError::new(Exit::INVALID, format!("runbook `{}` has problems", args.runbook));
        return Err(CliError { problems, ..said });
    };
    match session.ui.human() {
        true => lines(&program).iter().for_each(|line| session.ui.result(line)),
        false => session.ui.result_json(&of_program(&program)),
    }
    Ok(Exit::SUCCESS)
}
