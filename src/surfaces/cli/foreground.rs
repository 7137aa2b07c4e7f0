//! A run in the foreground: its view, its questions, its Ctrl-C, and what is said when it is left.

use crate::runs::{Foreground, Left, RunsError};
use crate::surfaces::cli::error::CliError;
use crate::surfaces::cli::exit::Exit;
use crate::surfaces::cli::keys::Gate;
use crate::surfaces::cli::live::Live;
use crate::surfaces::cli::prompt::{Interrupts, ask_on_a_thread, restore_terminal};
use crate::surfaces::cli::result;
use crate::surfaces::cli::session::Session;

/// Drives a run until it ends or is left, and shows what came of it.
///
/// # Errors
/// If it could not begin.
pub fn drive(session: &Session, begin: impl FnOnce(Foreground) -> Result<Left, RunsError>) -> Result<Exit, CliError> {
    let ui = &session.ui;
    let (sender, control) = tokio::sync::mpsc::unbounded_channel();
    let interrupts = Interrupts::listen(ui, sender.clone());
    let gate = Gate::default();
    let questions = ui.asks.then(|| ask_on_a_thread(ui, sender.clone(), interrupts, &gate));
    let watcher = Box::new(Live::new(ui, questions, &gate, Some(sender)));
    let left = begin(Foreground { watcher, control, attended: ui.asks, actor: session.actor() });
    // A question that was answered elsewhere may still read the terminal.
    restore_terminal();
    let left = left?;
    let exit = Exit::of_run(&left.facts, &left.why);
    result::show(session, &left, exit);
    if [Exit::WAITING, Exit::IN_DOUBT, Exit::PAUSED].contains(&exit) {
        ui.bell();
    }
    Ok(exit)
}
