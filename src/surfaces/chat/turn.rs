//! Whose turn it is: of all servers of a store one speaks unasked, until it is gone for a while.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::runs::{Runs, RunsError};

/// The shelf with whose turn it is, by job.
const SHELF: &str = "chat.turns";
/// How long a turn lasts unless it is renewed: as long as a chat may do without its cards after a crash.
const LASTS: Duration = Duration::from_secs(6);
/// How often a turn is renewed.
const RENEW_EVERY: Duration = Duration::from_secs(2);

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
