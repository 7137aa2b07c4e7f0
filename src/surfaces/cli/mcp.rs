//! `rerail mcp`: the tools of a program that acts for the person at this machine, over standard input and output.

use std::io::IsTerminal;

use tokio::sync::watch;

use crate::runs::Caller;
use crate::surfaces::cli::error::CliError;
use crate::surfaces::cli::exit::Exit;
use crate::surfaces::cli::parting;
use crate::surfaces::cli::session::Session;
use crate::surfaces::mcp::{Ended, serve};
use crate::transcript::words::count;

/// Serves one client until it closes its end. Standard output is the protocol's alone.
pub fn mcp(session: &Session) -> Result<Exit, CliError> {
    let ui = &session.ui;
    let runs = session.runs()?;
    // Says now, and not at the first call, that nothing proves who is there.
    session.actor(&runs)?;
    // Makes the journal if there is none, and says early if it can't be used.
    runs.counts()?;
    if std::io::stdin().is_terminal() {
        ui.remark("this speaks the Model Context Protocol with a program, not with people; Ctrl-C ends it");
        ui.hint("set it up in your client as the command `rerail mcp`: see docs/agents.md");
    }
    let (asked, stop) = watch::channel(0_u8);
    let once_more = asked.clone();
    parting::listen(
        move || once_more.send_modify(|times| *times = times.saturating_add(1)),
        Some(Box::new(move |_| {
            asked.send_modify(|times| *times = times.saturating_add(1));
            true
        })),
    );
    let caller = Caller { via: crate::engine::event::AGENT.to_owned(), ..session.caller().clone() };
    let Ended { left_behind, never_began } = serve(runs, caller, stop)
        .map_err(|error| CliError::new(Exit::TOOL_FAILED, format!("the tools can't be served: {error}")))?;
    if left_behind > 0 {
        let runs = count(left_behind, "run");
        ui.warning(&format!("{runs} did not come to a stop in time; `rerail resume` takes them up from the journal"));
    }
    match never_began {
        None => Ok(Exit::SUCCESS),
        Some(why) => Err(CliError::usage(format!("the client did not begin as the protocol says: {why}"))),
    }
}
