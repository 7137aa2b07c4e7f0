//! May a run begin beside those that are there? Its group is free, or it is refused, waits its turn, or follows the
//! run that does the same already.

use std::time::{Duration, Instant};

use crate::drivers::occupant::Occupant;
use crate::drivers::watch::{Control, Foreground, InLine, Parting};
use crate::engine::event::Body;
use crate::engine::facts::Facts;
use crate::journal::{Claim, Drive, Error as JournalError, RunRow, Store, Taker};
use crate::runbook::model::IfBusy;
use crate::runs::Runs;
use crate::runs::error::{ErrorKind, RunsError};
use crate::script::value::Map;

/// How often one who waits looks: soon enough for eyes, three reads each.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How often one who waits renews their place in line; well inside a lease.
const RENEW_EVERY: Duration = Duration::from_secs(3);
/// How long a claim may be without a run: its process is computing the start.
const BEGINS_WITHIN: Duration = Duration::from_secs(5);

/// What a run excludes, and what it would do.
pub(super) struct Wanted<'a> {
    pub group: &'a str,
    pub if_busy: IfBusy,
    pub runbook: &'a str,
    pub inputs: &'a Map,
}

/// Whether a run may begin.
pub(super) enum Entry {
    Free,
    /// This one does the same already.
    Attach(Box<RunRow>),
}

impl Runs {
    /// Takes the group of a run that is about to begin, as its runbook says.
    ///
    /// # Errors
    /// [`ErrorKind::Busy`] with who holds it and the ways out; [`ErrorKind::Interrupted`] if somebody walked away.
    pub(super) fn enter(
        &self,
        drive: &Drive,
        wanted: &Wanted<'_>,
        foreground: &mut Foreground,
    ) -> Result<Entry, RunsError> {
        let store = self.store()?;
        let began = Instant::now();
        let mut told = None;
        loop {
            let queue = wanted.if_busy == IfBusy::Wait;
            let taker = match store.claim(drive.run(), drive.fence(), wanted.group, queue).wait()? {
                Claim::Taken | Claim::Kept => return Ok(Entry::Free),
                Claim::Busy(taker) => taker,
            };
            match wanted.if_busy {
                IfBusy::Refuse => return Err(busy(store, wanted.group, &taker)),
                IfBusy::Attach => match same(store, &taker, wanted)? {
                    Same::Yes(row) => return Ok(Entry::Attach(row)),
                    Same::No(why) => {
                        return Err(busy(store, wanted.group, &taker).hint(format!("it is not followed: {why}")));
                    }
                    Same::NotYet if began.elapsed() >= BEGINS_WITHIN => {
                        return Err(busy(store, wanted.group, &taker));
                    }
                    Same::NotYet => std::thread::sleep(LOOK_EVERY),
                },
                IfBusy::Wait => wait_in_line(store, drive, wanted.group, foreground, &mut told)?,
            }
        }
    }

    /// Makes sure that a run which is taken up still holds its groups: one that had ended has given them back.
    ///
    /// # Errors
    /// [`ErrorKind::Busy`] if another run has one now.
    pub(super) fn enter_again(&self, drive: &Drive, facts: &Facts) -> Result<(), RunsError> {
        let store = self.store()?;
        let own = facts.started.as_ref().and_then(|started| started.group.as_ref());
        for group in own.into_iter().chain(&facts.groups) {
            match store.claim(drive.run(), drive.fence(), group, false).wait()? {
                Claim::Taken | Claim::Kept => {}
                Claim::Busy(taker) => return Err(busy(store, group, &taker)),
            }
        }
        Ok(())
    }
}

/// Waits until the group may be free, or it is time to renew the place in line.
fn wait_in_line(
    store: &Store,
    drive: &Drive,
    group: &str,
    foreground: &mut Foreground,
    told: &mut Option<InLine>,
) -> Result<(), RunsError> {
    let renew_at = Instant::now() + RENEW_EVERY;
    while Instant::now() < renew_at {
        match store.taker(drive.run(), group) {
            Ok(None) => return Ok(()),
            Ok(Some(taker)) => {
                let holder = taker.run.map(|run| Occupant::of(store, run).said);
                let line = InLine { group: group.to_owned(), holder, ahead: taker.ahead };
                if told.as_ref() != Some(&line) {
                    foreground.watcher.in_line(&line);
                    *told = Some(line);
                }
            }
            // Somebody had the store locked for a moment: looked at again in the next round.
            Err(JournalError::Locked { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        match foreground.control.try_recv() {
            Ok(Control::Interrupt | Control::Pause) => return Err(walked_away(store, drive, group, None)),
            Ok(Control::Leave(parting)) => return Err(walked_away(store, drive, group, Some(parting))),
            Ok(Control::Answer { .. } | Control::Approve { .. } | Control::Reject { .. }) | Err(_) => {
                std::thread::sleep(LOOK_EVERY)
            }
        }
    }
    Ok(())
}

/// Leaves the line without a trace.
fn walked_away(store: &Store, drive: &Drive, group: &str, parting: Option<Parting>) -> RunsError {
    // If this fails the place is lost with the lease.
    store.release(drive.run(), drive.fence(), group).wait().ok();
    RunsError::new(ErrorKind::Interrupted(parting), format!("left the line for `{group}`; nothing was started"))
}

enum Same {
    Yes(Box<RunRow>),
    No(&'static str),
    /// Its process has not recorded what it is doing.
    NotYet,
}

/// Whether the run that holds the group does what is wanted.
fn same(store: &Store, taker: &Taker, wanted: &Wanted<'_>) -> Result<Same, RunsError> {
    let Some(run) = taker.run else { return Ok(Same::No("others wait for the group")) };
    let row = match store.run(run) {
        Ok(row) => row,
        Err(JournalError::NoRun { .. }) => return Ok(Same::NotYet),
        Err(error) => return Err(error.into()),
    };
    let events = store.events(run)?;
    let Some(Body::RunStarted(started)) = events.first().map(|event| &event.body) else { return Ok(Same::NotYet) };
    Ok(match (started.runbook == wanted.runbook, started.inputs == *wanted.inputs) {
        (true, true) => Same::Yes(Box::new(row)),
        (true, false) => Same::No("its inputs are others"),
        (false, _) => Same::No("it is another runbook"),
    })
}

/// The refusal, with who has the group and what can be done.
fn busy(store: &Store, group: &str, taker: &Taker) -> RunsError {
    let Some(run) = taker.run else {
        let said = format!("`{group}` is free, but {} came first and wait for it", others(taker.ahead));
        return RunsError::new(ErrorKind::Busy, said).hint("try again in a moment");
    };
    let Occupant { said, open, driven } = Occupant::of(store, run);
    let error = RunsError::new(ErrorKind::Busy, format!("`{group}` is held by {said}; nothing was started"));
    if !open {
        return error.hint("try again in a moment");
    }
    match driven {
        true => {
            error.hint(format!("follow it:  rerail show {run} --follow")).hint(format!("stop it:  rerail cancel {run}"))
        }
        false => error
            .hint(format!("see where it stands:  rerail show {run}"))
            .hint(format!("take it up:  rerail resume {run}"))
            .hint(format!("end it:  rerail cancel {run} && rerail resume {run}")),
    }
}

fn others(count: u64) -> String {
    if count == 1 { "1 other".to_owned() } else { format!("{count} others") }
}
