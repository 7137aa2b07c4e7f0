//! A run in the foreground: its view, its questions, its Ctrl-C, and what is said when it is left.

use std::sync::Arc;

use crate::engine::event::Actor;
use crate::runs::{Begun, Foreground, RunRow, RunsError, Why};
use crate::surfaces::cli::error::CliError;
use crate::surfaces::cli::exit::Exit;
use crate::surfaces::cli::keys::Gate;
use crate::surfaces::cli::live::Live;
use crate::surfaces::cli::prompt::{Interrupts, ask_on_a_thread, restore_terminal};
use crate::surfaces::cli::session::Session;
use crate::surfaces::cli::{follow, result};
use crate::surfaces::door::Door;

/// Drives a run as `actor` until it ends or is left, and shows what came of it.
///
/// # Errors
/// If it could not begin.
pub fn drive(
    session: &Session,
    door: &dyn Door,
    actor: Actor,
    begin: impl FnOnce(Foreground) -> Result<Begun, RunsError>,
) -> Result<Exit, CliError> {
    let ui = &session.ui;
    let (sender, control) = tokio::sync::mpsc::unbounded_channel();
    let interrupts = Interrupts::listen(ui, sender.clone());
    let gate = Gate::default();
    let questions = ui.asks.then(|| ask_on_a_thread(ui, sender.clone(), Arc::clone(&interrupts), &gate));
    let watcher = Box::new(Live::new(ui, questions, &gate, Some(sender)));
    let begun = begin(Foreground { watcher, control, attended: ui.asks, actor });
    // A question that was answered elsewhere may still read the terminal.
    restore_terminal();
    let left = match begun? {
        Begun::Left(left) => left,
        Begun::Attach(row) => return attach(session, door, &row, &interrupts),
    };
    let exit = Exit::of_run(&left.facts, &left.why);
    if door.goes_on() && matches!(left.why, Why::Interrupted | Why::Left(_)) {
        ui.remark(&format!("it goes on without you: see  rerail show {} --follow", left.run));
    }
    result::show(session, &left, exit);
    if [Exit::WAITING, Exit::IN_DOUBT, Exit::PAUSED].contains(&exit) {
        ui.bell();
    }
    Ok(exit)
}

/// Follows the run that does what another was to be started for, as `show --follow` does.
fn attach(session: &Session, door: &dyn Door, run: &RunRow, interrupts: &Interrupts) -> Result<Exit, CliError> {
    let detach = interrupts.only_follow();
    session.ui.remark(&format!("{}/{} does this already: following it", run.runbook, run.run));
    let exit = follow::until_detached(session, door, run, &detach)?;
    Ok(interrupts.parted().map_or(exit, Exit::of_parting))
}
