//! What a store can show for itself: damage, signed checkpoints, and what is removed on purpose.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::drivers::clock::now;
use crate::drivers::watch::Why;
use crate::engine::event::Actor;
use crate::engine::facts::Facts;
use crate::engine::ids::RunId;
use crate::journal::{Checkpoint, Filter, Pruner, Report, RunRow, Store, Swept, Tombstone, verify_against};
use crate::runs::Runs;
use crate::runs::drive::{Left, holder};
use crate::runs::error::{ErrorKind, RunsError};
use crate::runs::typed::check_text;

/// Which runs to prune.
#[derive(Clone, Debug)]
pub enum Prunable {
    These(Vec<RunRow>),
    /// All that ended before a moment, but of each runbook the newest `keep` that have ended.
    Before {
        at: Timestamp,
        keep: usize,
    },
}

/// What was removed.
#[derive(Debug)]
pub struct Pruned {
    pub tombstones: Vec<Tombstone>,
    /// Runs that had to stay, each with its reason.
    pub left: Vec<(RunRow, RunsError)>,
    pub swept: Swept,
    /// The newest line of the store, which stands for all tombstones.
    pub checkpoint: Option<Checkpoint>,
}

impl Runs {
    /// Checks one run or the whole store for damage, also a store that is otherwise refused for it, and holds it
    /// against checkpoints that were kept elsewhere.
    ///
    /// # Errors
    /// If it can't be read at all.
    pub fn verify(&self, run: Option<&RunRow>, kept: &[Checkpoint]) -> Result<Report, RunsError> {
        let run = run.map(|row| row.run);
        match self.store() {
            Ok(store) => Ok(verify_against(store, run, kept)?),
            Err(_) => Ok(verify_against(&Store::open_to_look(&self.state_dir)?, run, kept)?),
        }
    }

    /// A signed checkpoint of one run, or of everything: then the newest line stands for all. `None` if nothing was
    /// ever started.
    ///
    /// # Errors
    /// If something is damaged, or the store's key can't be used.
    pub fn checkpoint(&self, run: Option<&RunRow>) -> Result<Option<Checkpoint>, RunsError> {
        match run {
            Some(row) => Ok(Some(self.store()?.checkpoint_run(row.run, now())?)),
            None => Ok(self.store()?.checkpoint_all(now())?),
        }
    }

    /// The signed checkpoint of a run's last event, if there is one.
    ///
    /// # Errors
    /// If the journal can't be read.
    pub fn signed(&self, run: RunId) -> Result<Option<Checkpoint>, RunsError> {
        Ok(self.store()?.checkpoint_of(run)?)
    }

    /// Where a run was left, with what was signed at its end.
    pub fn left(&self, run: RunId, facts: Facts, why: Why) -> Left {
        let unsigned = || self.key().err().map_or_else(|| "nobody signed it".to_owned(), |error| error.to_string());
        Left::of(run, facts, why, || {
            Some(match self.signed(run) {
                Ok(Some(line)) => Ok(line.to_string()),
                Ok(None) => Err(unsigned()),
                Err(error) => Err(error.to_string()),
            })
        })
    }

    /// The runs of a choice, newest first; those that have not ended are refused if they were named.
    ///
    /// # Errors
    /// If a named run has not ended, or the journal can't be read.
    pub fn prunable(&self, which: &Prunable) -> Result<Vec<RunRow>, RunsError> {
        let (at, keep) = match which {
            Prunable::These(rows) => {
                let open = rows.iter().find(|row| row.ended_at.is_none());
                return match open {
                    None => {
                        let mut rows = rows.clone();
                        rows.sort_by_key(|row| std::cmp::Reverse(row.number));
                        rows.dedup_by_key(|row| row.number);
                        Ok(rows)
                    }
                    Some(row) => Err(not_ended(row)),
                };
            }
            Prunable::Before { at, keep } => (*at, *keep),
        };
        let mut kept: BTreeMap<String, usize> = BTreeMap::new();
        let mut found = Vec::new();
        let mut filter = Filter::default();
        loop {
            let page = self.list(&filter)?;
            let Some(last) = page.last() else { return Ok(found) };
            filter.before = Some(last.number);
            for row in page {
                let Some(ended_at) = row.ended_at else { continue };
                let newer = kept.entry(row.runbook.clone()).or_default();
                if *newer < keep {
                    *newer += 1;
                } else if ended_at < at {
                    found.push(row);
                }
            }
        }
    }

    /// Removes runs that have ended, each with a signed tombstone in its place, and frees what nobody names any more.
    /// One that somebody drives, or that is damaged, stays and is told.
    ///
    /// # Errors
    /// If there is no usable reason, or the journal or its key can't be used at all.
    pub fn prune(&self, rows: Vec<RunRow>, actor: &Actor, reason: &str) -> Result<Pruned, RunsError> {
        if reason.trim().is_empty() {
            return Err(RunsError::new(
                ErrorKind::Usage,
                "pruning needs a reason for those who look for the run later",
            ));
        }
        check_text(&self.redactor, "the reason", reason)?;
        let store = self.store()?;
        store.key()?;
        let (mut tombstones, mut left) = (Vec::new(), Vec::new());
        // Oldest first: whatever stops it, what is gone is the beginning.
        for row in rows.into_iter().rev() {
            let pruner = Pruner { actor: actor.clone(), at: now(), reason: reason.to_owned() };
            let pruned = match store.acquire(row.run, holder(actor)) {
                Ok(drive) => store.prune(&drive, pruner).map_err(RunsError::from),
                Err(busy) => Err(busy.into()),
            };
            match pruned {
                Ok(tombstone) => tombstones.push(tombstone),
                Err(error) => left.push((row, error)),
            }
        }
        let swept = store.sweep(&self.blobs(), now())?;
        Ok(Pruned { tombstones, left, swept, checkpoint: store.newest_checkpoint()? })
    }
}

fn not_ended(row: &RunRow) -> RunsError {
    let name = format!("{}/{}", row.runbook, row.run);
    RunsError::new(
        ErrorKind::Busy,
        format!("{name} has not ended ({}): only what is over can be pruned", row.status.word()),
    )
    .hint(format!("bring it to its end with `rerail resume {}` or `rerail cancel {}`", row.run, row.run))
}
