//! Following a run that another process drives: the same lines as `run` prints, its result and its exit code.

use std::sync::mpsc::{Receiver, channel};

use crate::engine::event::Event;
use crate::engine::facts::Facts;
use crate::engine::ids::StepPath;
use crate::engine::machine::Waits;
use crate::engine::outcome::Attempt;
use crate::runs::{InLine, Parted, RunRow, Watcher, Why};
use crate::surfaces::cli::error::CliError;
use crate::surfaces::cli::exit::Exit;
use crate::surfaces::cli::keys::Gate;
use crate::surfaces::cli::live::Live;
use crate::surfaces::cli::session::Session;
use crate::surfaces::cli::{parting, result};
use crate::surfaces::door::Door;
use crate::transcript::summary;

/// What Ctrl-C does to somebody who follows.
pub const DETACHES: &str = "stop looking; the run goes on";

/// Follows a run until it ends, nobody drives it any more, or Ctrl-C detaches.
///
/// # Errors
/// If the journal can't be read.
pub fn follow(session: &Session, door: &dyn Door, run: &RunRow) -> Result<Exit, CliError> {
    session.ui.interrupt_does(DETACHES);
    let (leave, detach) = channel();
    let detach_now = move || {
        // Nobody listens once the run has ended, and then there is nothing to leave.
        let _ = leave.send(());
    };
    parting::listen(detach_now, None);
    until_detached(session, door, run, &detach)
}

/// Follows a run until it ends, nobody drives it any more, or somebody says to detach.
///
/// # Errors
/// If the journal can't be read.
pub fn until_detached(
    session: &Session,
    door: &dyn Door,
    run: &RunRow,
    detach: &Receiver<()>,
) -> Result<Exit, CliError> {
    let ui = &session.ui;
    let live = Live::new(ui, None, &Gate::default(), None);
    let mut follower = Follower { live, session, door, run, asked: Vec::new() };
    let followed = door.follow(run, &mut follower, detach);
    drop(follower);
    let followed = followed?;
    let name = format!("{}/{}", run.runbook, run.run);
    let why = match followed.why {
        Parted::Detached => {
            ui.remark(&format!("detached; {name} goes on: see  rerail show {} --follow", run.run));
            return Ok(Exit::SUCCESS);
        }
        Parted::Stands(why) => why,
    };
    if why != Why::Ended {
        ui.remark(&format!("nobody drives {name} now"));
    }
    let exit = Exit::of_run(&followed.facts, &why);
    result::show(session, &door.left(run.run, followed.facts, why), exit);
    Ok(exit)
}

/// The live view, and how to answer: questions of the run are asked where it is driven, if at all.
struct Follower<'a> {
    live: Live,
    session: &'a Session,
    door: &'a dyn Door,
    run: &'a RunRow,
    /// Questions whose commands were shown.
    asked: Vec<StepPath>,
}

impl Watcher for Follower<'_> {
    fn events(&mut self, events: &[Event], facts: &Facts) {
        self.live.events(events, facts);
    }

    fn waiting(&mut self, waits: &Waits, facts: &Facts) {
        self.live.waiting(waits, facts);
        let is_new = waits.questions.iter().any(|path| !self.asked.contains(path));
        let ui = &self.session.ui;
        // If nobody drives it, the end of following says the same.
        if is_new && ui.human() && self.door.standing(self.run).is_ok_and(|standing| standing.driven) {
            summary::next_steps(facts).iter().for_each(|line| ui.progress(line));
        }
        self.asked.clone_from(&waits.questions);
    }

    fn winding_down(&mut self) {
        self.live.winding_down();
    }

    fn in_line(&mut self, line: &InLine) {
        self.live.in_line(line);
    }

    fn looked(&mut self, step: &StepPath, result: &Attempt) {
        self.live.looked(step, result);
    }
}
