//! `rerail approvals`: what waits for somebody's yes.

use clap::Args;
use jiff::Timestamp;

use crate::runs::Waiting;
use crate::surfaces::cli::error::CliError;
use crate::surfaces::cli::exit::Exit;
use crate::surfaces::cli::session::Session;
use crate::surfaces::cli::table;
use crate::surfaces::shapes::approvals::{left, name, of_waiting};
use crate::transcript::{approval, words};

/// Characters of what would be changed; the whole of it is shown to whoever approves.
const WHAT_CHARS: usize = 48;

#[derive(Args, Debug)]
pub struct ApprovalsArgs {
    /// Only those I may approve
    #[arg(long)]
    mine: bool,
}

/// Lists what waits.
pub fn approvals(session: &Session, args: &ApprovalsArgs) -> Result<Exit, CliError> {
    let ui = &session.ui;
    let mut waiting = session.door()?.approvals()?;
    waiting.retain(|waiting| !args.mine || waiting.refused.is_none());
    let now = Timestamp::now();
    if !ui.human() {
        ui.result_rows(waiting.iter().map(|waiting| of_waiting(waiting, now)).collect());
        return Ok(Exit::SUCCESS);
    }
    if waiting.is_empty() {
        ui.remark(if args.mine { "nothing waits for you" } else { "nothing waits for an approval" });
        return Ok(Exit::SUCCESS);
    }
    let heading = ["RUN/STEP", "TARGET", "WHAT", "ASKED BY", "LEFT", "WHO MAY"];
    table::print(ui, &heading, waiting.iter().map(|waiting| cells(waiting, now)).collect());
    if let Some(mine) = waiting.iter().find(|waiting| waiting.refused.is_none()) {
        ui.hint(&format!("look at it, then say yes or no:  rerail approve {}", name(mine)));
    }
    Ok(Exit::SUCCESS)
}

fn cells(waiting: &Waiting, now: Timestamp) -> Vec<String> {
    let who = match (waiting.approval.request.single, waiting.who.as_slice()) {
        (true, _) => "its operator: nobody else is configured".to_owned(),
        (false, []) => format!("{}: nobody", approval::needs(&waiting.approval.request.needs)),
        (false, who) => format!("{}: {}", approval::needs(&waiting.approval.request.needs), who.join(", ")),
    };
    vec![
        format!("{}/{}", waiting.run.runbook, name(waiting)),
        waiting.run.target.clone().unwrap_or_else(|| "-".to_owned()),
        words::shorten(&what(waiting), WHAT_CHARS),
        waiting.requester.said(),
        left(waiting, now),
        who,
    ]
}

/// What would be done, in a few words.
fn what(waiting: &Waiting) -> String {
    let request = &waiting.approval.request;
    if !request.message.is_empty() {
        return request.message.clone();
    }
    let said = request.changes.iter().map(|change| match change.summary.as_str() {
        "" => change.uses.clone(),
        summary => summary.to_owned(),
    });
    said.collect::<Vec<_>>().join("; ")
}
