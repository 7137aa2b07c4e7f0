//! Following a run that somebody else drives: its events as they become durable, until it stands.
//!
//! Reads only, so any number of people can follow, and a follower that goes away is missed by nobody.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use crate::drivers::watch::{Watcher, Why};
use crate::engine::facts::{Facts, RunState};
use crate::engine::machine::Waits;
use crate::journal::{Error as JournalError, RunRow};
use crate::runs::Runs;
use crate::runs::error::{ErrorKind, RunsError};

/// How often the store is asked whether anything was committed: one counter read each.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How long nobody may drive a run before its follower believes it: one driver leaves, the next takes over.
const HAND_OVER: Duration = Duration::from_secs(1);

/// Where a run stands when its follower returns.
#[derive(Debug)]
pub struct Followed {
    pub facts: Facts,
    pub why: Parted,
}

/// Why a follower returned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parted {
    /// It has ended, or nobody drives it any more: what its driver would have said. [`Why::Interrupted`] if that
    /// one is gone without a word.
    Stands(Why),
    /// The follower was told to go; the run goes on.
    Detached,
}

impl Runs {
    /// Whether some process drives a run right now. Takes and writes nothing.
    ///
    /// # Errors
    /// If the journal can't be read.
    pub fn is_driven(&self, run: &RunRow) -> Result<bool, RunsError> {
        Ok(self.store()?.is_driven(run.run)?)
    }

    /// Shows a run's events from its first one on, as they become durable, until it has ended, nobody drives it, or
    /// something comes through `detach`. What waits for a person is followed as long as somebody drives it.
    ///
    /// # Errors
    /// If the journal can't be read, or is damaged.
    pub fn follow(
        &self,
        run: &RunRow,
        watcher: &mut dyn Watcher,
        detach: &Receiver<()>,
    ) -> Result<Followed, RunsError> {
        let store = self.store()?;
        let mut facts = Facts::default();
        let mut seen = None;
        let mut undriven_since: Option<Instant> = None;
        loop {
            // Asked before the events are read: a driver that has left has committed what it will.
            let driven = store.is_driven(run.run)?;
            match store.changed() {
                Ok(Some(changed)) if seen == Some(changed) => {}
                Ok(changed) => {
                    let events = store.events_from(run.run, facts.next_seq)?;
                    for event in &events {
                        facts.apply(event).map_err(|error| RunsError::new(ErrorKind::Damaged, error.to_string()))?;
                    }
                    seen = changed;
                    if !events.is_empty() {
                        watcher.events(&events, &facts);
                    }
                    let questions = facts.questions().map(|(path, _)| path.clone()).collect();
                    watcher.waiting(&Waits { questions, ..Waits::default() }, &facts);
                }
                // Somebody had the store locked for a moment: tried again in the next round.
                Err(JournalError::Locked { .. }) => {}
                Err(error) => return Err(error.into()),
            }
            if let RunState::Ended(_) | RunState::Stuck = facts.state() {
                return Ok(Followed { facts, why: Parted::Stands(Why::Ended) });
            }
            undriven_since = if driven { None } else { undriven_since.or_else(|| Some(Instant::now())) };
            if undriven_since.is_some_and(|since| since.elapsed() >= HAND_OVER) {
                let why = Parted::Stands(left_as(&facts));
                return Ok(Followed { facts, why });
            }
            match detach.recv_timeout(LOOK_EVERY) {
                Ok(()) => return Ok(Followed { facts, why: Parted::Detached }),
                Err(RecvTimeoutError::Timeout) => {}
                // Nobody can say it any more; the run is followed to its end.
                Err(RecvTimeoutError::Disconnected) => std::thread::sleep(LOOK_EVERY),
            }
        }
    }
}

/// What the driver of a run would have said when it left it like this.
pub fn left_as(facts: &Facts) -> Why {
    if let (RunState::Paused, None, Some(hold)) = (facts.state(), &facts.paused, &facts.held) {
        return Why::Held(hold.clone());
    }
    match facts.state() {
        RunState::Ended(_) | RunState::Stuck => Why::Ended,
        RunState::Waiting => Why::Waiting,
        RunState::InDoubt => Why::InDoubt,
        RunState::Paused => Why::Paused(facts.paused.clone().unwrap_or_default()),
        RunState::Running => Why::Interrupted,
    }
}
