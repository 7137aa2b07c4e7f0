//! Requests that are sent again: done once and answered alike, also by another process on the same store, also after
//! the one that began them was killed.

use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::engine::ids::RunId;
use crate::journal::{Claimed, Request};
use crate::runs::Runs;
use crate::runs::error::{ErrorKind, RunsError};

/// How long one waits for the answer to the same request that is under way: as long as any request may take here.
const UNDER_WAY: Duration = Duration::from_secs(20);
/// How often is looked whether another process has answered it.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A request under a key of its client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keyed {
    pub person: String,
    pub key: String,
    /// Of all that is asked for.
    pub digest: String,
    pub twice: Twice,
}

/// What may be done about a request that began and was never answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Twice {
    /// It begins a run under the name that is given to it, which can begin only once: it may be done again.
    Same,
    /// Nobody knows whether it was done: it is not done again.
    Unknown,
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Once {
    Answered {
        status: u16,
        body: String,
        /// Whether it was answered like this before.
        again: bool,
    },
    /// The key stands for another request.
    Other,
    /// It began before and was never answered: it may have been done.
    Unknown,
}

/// Requests of one process that are under way.
#[derive(Debug, Default)]
pub struct Requests {
    under_way: Mutex<BTreeSet<(String, String)>>,
    ended: Condvar,
}

/// Makes room for the next one with this key, whatever happened.
struct Turn<'r> {
    requests: &'r Requests,
    key: (String, String),
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.requests.under_way.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
        self.requests.ended.notify_all();
    }
}

impl Requests {
    /// Does `work` unless it was done before; gives what it answered, then or now. `work` is given the name of the run
    /// that it may begin. What it refuses is forgotten, because nothing came of it: the key may be used again.
    ///
    /// # Errors
    /// What `work` says; if the journal can't be written; [`ErrorKind::Busy`] if the same request is under way for long.
    pub fn once(
        &self,
        runs: &Runs,
        keyed: &Keyed,
        work: impl FnOnce(RunId) -> Result<(u16, String), RunsError>,
    ) -> Result<Once, RunsError> {
        let until = Instant::now() + UNDER_WAY;
        let _turn = self.turn(keyed, until)?;
        let store = runs.store()?;
        let request = Request {
            project: runs.of(),
            person: keyed.person.clone(),
            key: keyed.key.clone(),
            digest: keyed.digest.clone(),
            run: RunId::new(uuid::Uuid::now_v7()),
        };
        let mut claimed = store.claim_request(&request).wait()?;
        // Another process may be about to answer it.
        while matches!(claimed, Claimed::Begun { .. }) && keyed.twice == Twice::Unknown && Instant::now() < until {
            std::thread::sleep(LOOK_EVERY);
            claimed = store.request(&request)?.unwrap_or(Claimed::Other);
        }
        let run = match claimed {
            Claimed::New => request.run,
            Claimed::Begun { run } if keyed.twice == Twice::Same => run,
            Claimed::Begun { .. } => return Ok(Once::Unknown),
            Claimed::Answered { status, body } => return Ok(Once::Answered { status, body, again: true }),
            Claimed::Other => return Ok(Once::Other),
        };
        match work(run) {
            Ok((status, body)) => {
                store.answer_request(&request, status, &body).wait()?;
                Ok(Once::Answered { status, body, again: false })
            }
            Err(error) => {
                if is_refusal(error.kind) {
                    store.forget_request(&request).wait()?;
                }
                Err(error)
            }
        }
    }

    /// Waits until no other request with this key is under way here.
    fn turn(&self, keyed: &Keyed, until: Instant) -> Result<Turn<'_>, RunsError> {
        let key = (keyed.person.clone(), keyed.key.clone());
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        while !under_way.insert(key.clone()) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let said = "the same request is under way and not answered yet";
                return Err(RunsError::new(ErrorKind::Busy, said).hint("send it again in a moment, with the same key"));
            }
            under_way = self.ended.wait_timeout(under_way, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(Turn { requests: self, key })
    }
}

/// Whether an error says that nothing was done.
fn is_refusal(kind: ErrorKind) -> bool {
    match kind {
        ErrorKind::Usage | ErrorKind::Invalid | ErrorKind::Stale | ErrorKind::NotFound | ErrorKind::NotAllowed => true,
        ErrorKind::Busy | ErrorKind::Interrupted(_) | ErrorKind::Full => true,
        ErrorKind::Storage | ErrorKind::Damaged | ErrorKind::Internal => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::Project;
    use crate::redact::Redactor;

    fn keyed(digest: &str, twice: Twice) -> Keyed {
        Keyed { person: "ana".into(), key: "k".into(), digest: digest.into(), twice }
    }

    fn runs(dir: &std::path::Path) -> Runs {
        Runs::open(dir.join("state"), Project::discover(dir).unwrap(), Redactor::new())
    }

    #[test]
    fn many_who_send_the_same_at_once_get_one_answer_and_it_is_done_once() {
        let dir = tempfile::tempdir().unwrap();
        let (runs, requests) = (runs(dir.path()), Requests::default());
        let done = std::sync::atomic::AtomicUsize::new(0);
        let answers: Vec<Once> = std::thread::scope(|scope| {
            let ask = || {
                requests.once(&runs, &keyed("d", Twice::Unknown), |run| {
                    done.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                    Ok((201, run.uuid()))
                })
            };
            let asked: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
            asked.into_iter().map(|asked| asked.join().unwrap().unwrap()).collect()
        });
        assert_eq!(done.into_inner(), 1);
        let body = |once: &Once| match once {
            Once::Answered { body, .. } => body.clone(),
            other => panic!("{other:?}"),
        };
        assert!(answers.iter().all(|once| body(once) == body(&answers[0])), "{answers:?}");
        assert_eq!(answers.iter().filter(|once| matches!(once, Once::Answered { again: false, .. })).count(), 1);
        let other = requests.once(&runs, &keyed("e", Twice::Unknown), |_| panic!("it is another request"));
        assert_eq!(other.unwrap(), Once::Other);
    }

    #[test]
    fn what_was_refused_may_be_sent_again_and_what_broke_may_have_been_done() {
        let dir = tempfile::tempdir().unwrap();
        let (runs, requests) = (runs(dir.path()), Requests::default());
        let fails = |kind, twice| {
            requests.once(&runs, &keyed("d", twice), |_| Err(RunsError::new(kind, "no"))).unwrap_err();
        };
        fails(ErrorKind::Usage, Twice::Unknown);
        fails(ErrorKind::Internal, Twice::Same);
        let mut second = None;
        let begun = requests.once(&runs, &keyed("d", Twice::Same), |run| {
            second = Some(run);
            Err(RunsError::new(ErrorKind::Internal, "killed"))
        });
        assert!(begun.is_err());
        let third = requests.once(&runs, &keyed("d", Twice::Same), |run| {
            assert_eq!(Some(run), second, "the run keeps its name");
            Ok((201, String::new()))
        });
        assert_eq!(third.unwrap(), Once::Answered { status: 201, body: String::new(), again: false });
    }
}
