//! Whose turn it is: of all servers of a store one speaks unasked, until it is gone for a while.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::runs::{Runs, RunsError};
use crate::surfaces::chat::room::Trouble;
use crate::surfaces::http::Server;

/// The shelf with whose turn it is, by job.
const SHELF: &str = "chat.turns";
/// How long a turn lasts unless it is renewed: as long as a chat may do without its cards after a crash.
const LASTS: Duration = Duration::from_secs(6);
/// How often a turn is renewed.
const RENEW_EVERY: Duration = Duration::from_secs(2);

/// How often is looked unasked: a chat that was down comes back unheard.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Why something was not said.
pub enum Why {
    Chat(Trouble),
    Own(RunsError),
}

impl From<Trouble> for Why {
    fn from(trouble: Trouble) -> Self {
        Why::Chat(trouble)
    }
}

impl From<RunsError> for Why {
    fn from(error: RunsError) -> Self {
        Why::Own(error)
    }
}

/// Looks whenever something may have happened, until the server leaves, and then leaves the turn of this job to the next;
/// `trouble` is what is said where looking fails.
pub fn in_turn(
    server: &Arc<Server>,
    job: &'static str,
    trouble: &str,
    mut look: impl FnMut(&mut Turn) -> Result<(), RunsError>,
) {
    let mut seen = 0;
    let mut turn = Turn::new(job);
    loop {
        if let Err(why) = look(&mut turn) {
            tracing::warn!(%why, "{trouble}");
        }
        if !server.beat.wait(&mut seen, LOOK_EVERY) {
            break;
        }
    }
    if let Ok(runs) = server.door() {
        turn.leave(&runs);
    }
}

/// One server's wish to have the turn of a job.
pub struct Turn {
    job: &'static str,
    own: String,
    renewed: Option<Instant>,
}

impl Turn {
    /// For a job of this server; has no turn yet.
    pub fn new(job: &'static str) -> Turn {
        Turn { job, own: uuid::Uuid::now_v7().to_string(), renewed: None }
    }

    /// Takes or keeps the turn; says whether it is this server's.
    ///
    /// # Errors
    /// If the journal can't be written.
    pub fn take(&mut self, runs: &Runs) -> Result<bool, RunsError> {
        if self.renewed.is_some_and(|at| at.elapsed() < RENEW_EVERY) {
            return Ok(true);
        }
        let (shelf, until) = (runs.shelf(SHELF), Some(Timestamp::now() + LASTS));
        let begun = Instant::now();
        // Its own, or nobody's any more.
        let ours =
            shelf.swap(self.job, Some(&self.own), &self.own, until)? || shelf.put_new(self.job, &self.own, until)?;
        self.renewed = ours.then_some(begun);
        Ok(ours)
    }

    /// Lets the next one have it at once.
    pub fn leave(&self, runs: &Runs) {
        // Else it is theirs in a few seconds.
        if runs.shelf(SHELF).get(self.job).is_ok_and(|holder| holder.as_deref() == Some(&self.own)) {
            runs.shelf(SHELF).take(self.job).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::Project;
    use crate::redact::Redactor;

    #[test]
    fn one_has_the_turn_and_the_next_when_it_leaves() {
        let dir = tempfile::tempdir().unwrap();
        let runs = Runs::open(dir.path().join("state"), Project::discover(dir.path()).unwrap(), Redactor::new());
        let (mut one, mut other) = (Turn::new("cards"), Turn::new("cards"));
        assert!(one.take(&runs).unwrap() && one.take(&runs).unwrap());
        assert!(!other.take(&runs).unwrap());
        assert!(Turn::new("stalks").take(&runs).unwrap(), "another job");
        other.leave(&runs);
        assert!(!other.take(&runs).unwrap(), "nobody leaves for another");
        one.leave(&runs);
        assert!(other.take(&runs).unwrap());
        one.renewed = None;
        assert!(!one.take(&runs).unwrap());
    }
}
