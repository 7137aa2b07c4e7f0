//! What a server does unasked, beside answering and driving runs: each on a thread of its own, from its first moment to
//! its last.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::surfaces::alerts::Planner;
use crate::surfaces::chat::herald::Herald;
use crate::surfaces::chat::keeper::Cards;
use crate::surfaces::chat::slack::socket::Socket;
use crate::surfaces::chat::stalk::Stalks;
use crate::surfaces::http::hooks::Deliveries;
use crate::surfaces::http::serve::Server;
use crate::surfaces::schedules::Schedules;

/// Every job there is.
pub const JOBS: &[&dyn Job] = &[&Deliveries, &Planner, &Schedules, &Herald, &Cards, &Stalks, &Socket];

/// Stack of a job's thread: it reads texts of runs, as the terminal does on its first thread.
pub(super) const STACK_BYTES: usize = 8 * 1024 * 1024;

/// Something that a server does unasked.
pub trait Job: Sync {
    /// For the name of its thread: a word.
    fn name(&self) -> &'static str;

    /// Does it until [`Beat::wait`] says that the server leaves. What it is about may be switched off: then it only waits.
    fn run(&self, server: &Arc<Server>);
}

/// Tells jobs when something in the store has changed, and when the server leaves.
#[derive(Debug, Default)]
pub struct Beat {
    state: Mutex<State>,
    moved: Condvar,
}

#[derive(Debug, Default)]
struct State {
    beats: u64,
    leaving: bool,
}

impl Beat {
    /// Something has changed.
    pub fn tick(&self) {
        let mut state = self.lock();
        state.beats = state.beats.wrapping_add(1);
        self.moved.notify_all();
    }

    /// The server leaves.
    pub fn leave(&self) {
        self.lock().leaving = true;
        self.moved.notify_all();
    }

    /// Waits for a change since the beat that was `seen`, at most so long. Gives `false` once the server leaves.
    pub fn wait(&self, seen: &mut u64, at_most: Duration) -> bool {
        let until = Instant::now() + at_most;
        let mut state = self.lock();
        while !state.leaving && state.beats == *seen {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state = self.moved.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        *seen = state.beats;
        !state.leaving
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Jobs that run.
pub struct Running {
    ended: Receiver<()>,
    count: usize,
}

impl Running {
    /// Starts all of them.
    ///
    /// # Errors
    /// If there is no thread.
    pub fn start(server: &Arc<Server>, jobs: &'static [&'static dyn Job]) -> std::io::Result<Running> {
        let (sender, ended) = channel();
        for job in jobs {
            let (server, end) = (Arc::clone(server), End(sender.clone()));
            let work = move || {
                let _end = end;
                job.run(&server);
            };
            std::thread::Builder::new().name(job.name().to_owned()).stack_size(STACK_BYTES).spawn(work)?;
        }
        Ok(Running { ended, count: jobs.len() })
    }

    /// Waits until all have ended, at most so long; what is left ends with the process.
    pub fn end(self, within: Duration) {
        let until = Instant::now() + within;
        for _ in 0..self.count {
            let left = until.saturating_duration_since(Instant::now());
            if self.ended.recv_timeout(left).is_err() {
                return;
            }
        }
    }
}

/// Says that a job has ended, also by a panic.
struct End(Sender<()>);

impl Drop for End {
    fn drop(&mut self) {
        // Nobody waits any more: the process is at its end.
        self.0.send(()).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_hears_each_change_and_the_end() {
        let beat = Beat::default();
        let mut seen = 0;
        assert!(beat.wait(&mut seen, Duration::ZERO));
        beat.tick();
        assert!(beat.wait(&mut seen, Duration::from_secs(60)), "it was told before it waited");
        assert_eq!(seen, 1);
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| beat.wait(&mut seen, Duration::from_secs(60)));
            beat.leave();
            assert!(!waits.join().unwrap());
        });
    }
}
