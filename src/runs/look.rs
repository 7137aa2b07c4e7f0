//! Looking at runs: lists, facts, lines, damage.

use std::collections::BTreeMap;

use crate::engine::event::{Body, Event, RunStarted};
use crate::engine::facts::Facts;
use crate::engine::ids::{RunId, StepPath};
use crate::journal::{Error as JournalError, Filter, FindError, Holder, Journal, Line, RunRow, Tombstone};
use crate::runs::Runs;
use crate::runs::error::{ErrorKind, RunsError};

/// What a run was started with, and is pinned to.
///
/// # Errors
/// [`ErrorKind::Damaged`] if that is not what its journal begins with.
pub(super) fn start_of(events: &[Event]) -> Result<&RunStarted, RunsError> {
    match events.first().map(|event| &event.body) {
        Some(Body::RunStarted(started)) => Ok(started),
        _ => Err(RunsError::new(ErrorKind::Damaged, "the journal has no `run.started`")),
    }
}

impl Runs {
    /// The run of a short id, a unique prefix, `name/id`, `@last` or `@last:name`.
    ///
    /// # Errors
    /// If there is none, or several.
    pub fn find(&self, text: &str) -> Result<RunRow, RunsError> {
        let store = self.store()?;
        store.find_run(text).map_err(|error| match error {
            FindError::Store(error) => error.into(),
            FindError::NotFound { .. } => match store.tombstone(text) {
                Ok(Some(tombstone)) => pruned(&tombstone),
                Ok(None) => RunsError::new(ErrorKind::NotFound, error.to_string()).hint("`rerail runs` lists them"),
                Err(error) => error.into(),
            },
            FindError::Ambiguous { .. } => RunsError::new(ErrorKind::NotFound, error.to_string()),
        })
    }

    /// The run of an id, if it has begun.
    ///
    /// # Errors
    /// If the journal can't be read.
    pub fn existing(&self, run: RunId) -> Result<Option<RunRow>, RunsError> {
        match self.store()?.run(run) {
            Ok(row) => Ok(Some(row)),
            Err(JournalError::NoRun { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// A run's events from `seq` on, checked against the stored hash of the one before.
    ///
    /// # Errors
    /// If they are damaged.
    pub fn events_from(&self, run: &RunRow, seq: u64) -> Result<Vec<Event>, RunsError> {
        Ok(self.store()?.events_from(run.run, seq)?)
    }

    /// How many runs there are of each status that ever occurred.
    ///
    /// # Errors
    /// If the journal can't be read.
    pub fn counts(&self) -> Result<BTreeMap<String, u64>, RunsError> {
        Ok(self.store()?.counts()?)
    }

    /// A page of runs, newest first.
    ///
    /// # Errors
    /// If the journal can't be read.
    pub fn list(&self, filter: &Filter) -> Result<Vec<RunRow>, RunsError> {
        Ok(self.store()?.runs(filter)?)
    }

    /// A run's events, checked against their chain.
    ///
    /// # Errors
    /// If they are damaged.
    pub fn events(&self, run: &RunRow) -> Result<Vec<Event>, RunsError> {
        Ok(self.store()?.load(run.run)?)
    }

    /// The fold of a run's events.
    ///
    /// # Errors
    /// If they are damaged or don't fold.
    pub fn facts(&self, run: &RunRow) -> Result<Facts, RunsError> {
        Ok(self.story(run)?.1)
    }

    /// The same for those who look at many runs: nothing if this one is damaged, which `verify` tells. The others stay usable.
    ///
    /// # Errors
    /// If the journal can't be read.
    pub fn sound_facts(&self, run: &RunRow) -> Result<Option<Facts>, RunsError> {
        match self.facts(run) {
            Err(error) if error.kind == ErrorKind::Damaged => {
                tracing::warn!(run = %run.run, %error, "a damaged run is left out");
                Ok(None)
            }
            facts => facts.map(Some),
        }
    }

    /// A run's events and their fold, for those who need both: each is large after a long run.
    ///
    /// # Errors
    /// If they are damaged or don't fold.
    pub fn story(&self, run: &RunRow) -> Result<(Vec<Event>, Facts), RunsError> {
        let events = self.events(run)?;
        let facts = Facts::fold(&events).map_err(|error| RunsError::new(ErrorKind::Damaged, error.to_string()))?;
        Ok((events, facts))
    }

    /// A run's lines exactly as stored, with their hashes.
    ///
    /// # Errors
    /// If they are damaged.
    pub fn lines(&self, run: &RunRow) -> Result<Vec<Line>, RunsError> {
        Ok(self.store()?.lines(run.run)?)
    }

    /// Who drives a run as far as the leases say.
    ///
    /// # Errors
    /// If the journal can't be read.
    pub fn holder(&self, run: &RunRow) -> Result<Option<Holder>, RunsError> {
        Ok(self.store()?.holder(run.run)?)
    }

    /// Signals that no driver has taken up yet, one sentence each.
    ///
    /// # Errors
    /// If the journal can't be read.
    pub fn pending(&self, run: &RunRow) -> Result<Vec<String>, RunsError> {
        use crate::engine::event::Body;
        let signals = self.store()?.pending_signals(run.run)?;
        Ok(signals
            .into_iter()
            .map(|signal| match signal.body {
                Ok(Body::RunCancelled { actor, .. }) => format!("cancel by {}", actor.id),
                Ok(Body::RunPaused { actor: Some(actor), .. }) => format!("pause by {}", actor.id),
                Ok(Body::AskAnswered { step, answer, actor, .. }) => {
                    format!("answer `{answer}` to `{step}` by {}", actor.id)
                }
                Ok(Body::ApprovalGiven { step, actor, .. }) => format!("approval of `{step}` by {}", actor.id),
                Ok(Body::ApprovalRejected { step, actor, reason, .. }) => {
                    format!("rejection of `{step}` by {}: {reason}", actor.id)
                }
                Ok(Body::OutcomeSet { step, actor, .. }) => format!("decision on `{step}` by {}", actor.id),
                Ok(Body::Note { text, .. }) => format!("note: {text}"),
                Ok(other) => other.word().to_owned(),
                Err(why) => format!("signal that can't be read: {why}"),
            })
            .collect())
    }

    /// Questions whose answer waits for a driver to take it up, and approvals somebody has given their word about.
    ///
    /// # Errors
    /// If the journal can't be read.
    pub fn answered(&self, run: &RunRow) -> Result<Vec<StepPath>, RunsError> {
        use crate::engine::event::Body;
        let signals = self.store()?.pending_signals(run.run)?;
        let step = |body| match body {
            Ok(Body::AskAnswered { step, .. }) => Some(step),
            Ok(Body::ApprovalGiven { step, .. } | Body::ApprovalRejected { step, .. }) => Some(step),
            _ => None,
        };
        Ok(signals.into_iter().filter_map(|signal| step(signal.body)).collect())
    }
}

/// What is left to say of a run that was pruned.
fn pruned(tombstone: &Tombstone) -> RunsError {
    let Tombstone { run, runbook, status, started_at, events, actor, at, reason, head, .. } = tombstone;
    let message = format!("run {runbook}/{run} was pruned by {} at {at:.0}: {reason}", actor.id);
    RunsError::new(ErrorKind::NotFound, message)
        .hint(format!(
            "it began at {started_at:.0}, ended as {status} and had {events} events; the last had hash {head}"
        ))
        .hint("`rerail verify` checks its tombstone; an export or a backup made before is all that tells more")
}
