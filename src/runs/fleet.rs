//! Many runs driven by one process that stays: those it starts, those that others left, and those that waited.
//!
//! A driven run has threads of its own. One that waits for people has none: its driver leaves it, and it is taken up when
//! somebody has said something to it, when people are to be reminded, or when what it asked has expired.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::drivers::clock::now;
use crate::drivers::watch::{Control, Foreground, Parting, Watcher, Why};
use crate::engine::event::{Actor, Body, Event};
use crate::engine::facts::Facts;
use crate::engine::ids::RunId;
use crate::engine::machine::Waits;
use crate::journal::{Filter, LastHold, RunRow, Status, Store};
use crate::project::Project;
use crate::runs::drive::{Begun, Left};
use crate::runs::error::{ErrorKind, RunsError};
use crate::runs::look::start_of;
use crate::runs::start::Prepared;
use crate::runs::take::SERVER;
use crate::runs::{DecideRequest, PreparedUndo, Runs};

/// Runs driven at once: two threads and a handful of open files each, below what a process may have without asking.
const DRIVEN_MAX: usize = 100;
/// Stack of a driver's own thread: what the terminal has, on whose first thread the same is done.
const DRIVER_STACK_BYTES: usize = 8 * 1024 * 1024;
/// How often the store is asked whether another process has committed anything: one counter read each. What this one commits
/// is heard of at once.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// The shortest time between two looks: in a store that is busy, everybody who waits for changes looks no more often.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(20);
/// How often all open runs are looked at: a driver that dies, a question that expires, and people to remind, change nothing
/// in the store. A thousand that wait are a few milliseconds.
const ALL_EVERY: Duration = Duration::from_secs(1);
/// How long a start may take until it is recorded: it stands in line for its group no longer than this.
const BEGINS_WITHIN: Duration = Duration::from_secs(15);
/// How long a run that can't be taken up is left alone; what is missing is put right by people.
const AGAIN_AFTER: Duration = Duration::from_secs(60);
/// How long drivers have to leave: what they give their writes, and the commit after it.
const LEAVE_WITHIN: Duration = Duration::from_secs(12);

/// What a run is that may go on.
const OPEN: [Status; 4] = [Status::Running, Status::Waiting, Status::InDoubt, Status::Paused];

/// How long somebody who takes a run over waits for the one who drives it here: what is running ends first, and the request
/// that asks for it has half a minute.
const GIVES_WAY_WITHIN: Duration = Duration::from_secs(25);

/// What is to be told when anything in the store has changed.
type OnChange = Box<dyn Fn() + Send + Sync>;

/// The runs of one process that stays.
pub struct Fleet {
    runs: Arc<Runs>,
    state: Mutex<State>,
    /// Somebody has left, or everybody shall.
    moved: Condvar,
    on_change: OnChange,
    taken_up: AtomicU64,
    looks: AtomicU64,
    looks_after: LooksAfter,
}

/// Which runs are taken up here when nobody drives them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LooksAfter {
    /// All of the project.
    All,
    /// Those that were begun here.
    Own,
}

#[derive(Default)]
struct State {
    driven: BTreeMap<RunId, UnboundedSender<Control>>,
    resting: BTreeMap<RunId, Rest>,
    /// Those that were begun here.
    own: BTreeSet<RunId>,
    leaving: bool,
}

/// A run that nobody here drives for now, and why.
struct Rest {
    /// Its last event then: after another one it is looked at anew.
    seq: u64,
    until: Until,
}

enum Until {
    /// Somebody says something to it, or something is due about what it asks.
    People { due: Option<Timestamp> },
    /// The hold is lifted.
    Lifted,
    /// It is worth another try.
    Again(Instant),
    /// Somebody of another project, or with another set of rights, takes it up.
    Others,
}

/// What came of a start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Began {
    /// It is recorded, and driven here.
    Run(RunId),
    /// Nothing was started: this run does the same already.
    Attach(Box<RunRow>),
}

impl Fleet {
    /// Drives nothing yet. `on_change` is called when anything in the store has changed.
    pub fn new(runs: Arc<Runs>, on_change: impl Fn() + Send + Sync + 'static) -> Arc<Fleet> {
        Fleet::looking_after(LooksAfter::All, runs, on_change)
    }

    /// The same for a process that is there for one client and not for the project: what others left stays theirs.
    pub fn of_own(runs: Arc<Runs>) -> Arc<Fleet> {
        Fleet::looking_after(LooksAfter::Own, runs, || ())
    }

    fn looking_after(
        looks_after: LooksAfter,
        runs: Arc<Runs>,
        on_change: impl Fn() + Send + Sync + 'static,
    ) -> Arc<Fleet> {
        Arc::new(Fleet {
            runs,
            state: Mutex::default(),
            moved: Condvar::new(),
            on_change: Box::new(on_change),
            taken_up: AtomicU64::new(0),
            looks: AtomicU64::new(0),
            looks_after,
        })
    }

    /// How many runs are driven here now.
    pub fn driven(&self) -> usize {
        self.lock().driven.len()
    }

    /// How many runs were taken up because nobody drove them or somebody spoke to them.
    pub fn taken_up(&self) -> u64 {
        self.taken_up.load(Ordering::Relaxed)
    }

    /// How often [`Fleet::keep`] has looked after the runs: a number that stands still is a keeper that hangs.
    pub fn looks(&self) -> u64 {
        self.looks.load(Ordering::Relaxed)
    }

    /// Starts a run and drives it. Returns once its start is recorded. `runs` is the door it was prepared at.
    ///
    /// # Errors
    /// As [`Runs::start`]; [`ErrorKind::Busy`] if it has to wait for its group for long, or too many are driven here.
    pub fn start(self: &Arc<Self>, runs: Arc<Runs>, prepared: Prepared, actor: Actor) -> Result<Began, RunsError> {
        let run = prepared.run.unwrap_or_else(|| RunId::new(uuid::Uuid::now_v7()));
        let prepared = prepared.called(run);
        let begin = move |foreground: Foreground| runs.start(prepared, foreground);
        self.drive(run, actor, begin)
    }

    /// Takes a run up as somebody asks, with decisions about steps, and drives it. Returns once that is recorded.
    ///
    /// # Errors
    /// As [`Runs::resume`].
    pub fn resume(
        self: &Arc<Self>,
        runs: Arc<Runs>,
        row: RunRow,
        decisions: Vec<DecideRequest>,
        reason: Option<String>,
        actor: Actor,
    ) -> Result<(), RunsError> {
        let run = row.run;
        let begin = move |foreground: Foreground| {
            runs.resume(&row, decisions, reason, foreground).map(|left| Begun::Left(Box::new(left)))
        };
        self.drive(run, actor, begin).map(drop)
    }

    /// Takes an ended run back and drives that. Returns once it is recorded.
    ///
    /// # Errors
    /// As [`Runs::undo`].
    pub fn undo(self: &Arc<Self>, runs: Arc<Runs>, prepared: PreparedUndo, actor: Actor) -> Result<(), RunsError> {
        let run = prepared.run.run;
        let begin =
            move |foreground: Foreground| runs.undo(prepared, foreground).map(|left| Begun::Left(Box::new(left)));
        self.drive(run, actor, begin).map(drop)
    }

    /// Takes a run over from whoever drives it, also from somebody for whom it is driven here, and drives it on. Returns
    /// once that is recorded.
    ///
    /// # Errors
    /// As [`Runs::take`]; [`ErrorKind::Busy`] if its driver does not leave in time: it was asked to pause then.
    pub fn take(
        self: &Arc<Self>,
        runs: Arc<Runs>,
        row: RunRow,
        reason: Option<String>,
        actor: Actor,
    ) -> Result<(), RunsError> {
        runs.may_take(&row, &actor)?;
        self.make_room(&runs, &row, reason.as_deref(), &actor)?;
        let run = row.run;
        let begin =
            move |foreground: Foreground| runs.take(&row, reason, foreground).map(|left| Begun::Left(Box::new(left)));
        self.drive(run, actor, begin).map(drop)
    }

    /// Has a run that is driven here left by its driver, as by one in another process.
    fn make_room(&self, runs: &Runs, row: &RunRow, reason: Option<&str>, actor: &Actor) -> Result<(), RunsError> {
        if !self.lock().driven.contains_key(&row.run) {
            return Ok(());
        }
        let said = reason.map_or_else(|| "takes it over".to_owned(), |reason| format!("takes it over: {reason}"));
        runs.pause(row, actor, Some(said))?;
        let until = Instant::now() + GIVES_WAY_WITHIN;
        let mut state = self.lock();
        while state.driven.contains_key(&row.run) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let said = format!("{}/{} did not come to a stop in time; it was asked to pause", row.runbook, row.run);
                return Err(RunsError::new(ErrorKind::Busy, said).hint("what is running there ends first; try again"));
            }
            state = self.moved.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(())
    }

    /// Drives on a thread of its own; returns once something of it is recorded.
    fn drive(
        self: &Arc<Self>,
        run: RunId,
        actor: Actor,
        begin: impl FnOnce(Foreground) -> Result<Begun, RunsError> + Send + 'static,
    ) -> Result<Began, RunsError> {
        let (sender, control) = unbounded_channel();
        self.enter(run, sender.clone())?;
        let (tell, told) = sync_channel(1);
        let watcher = Box::new(Beginning { run, tell: Some(tell.clone()) });
        let fleet = Arc::clone(self);
        let work = move || {
            let begun = begin(Foreground { watcher, control, attended: false, actor });
            let said = match begun {
                Ok(Begun::Left(left)) => {
                    fleet.left(run, Ok(&left));
                    Ok(Began::Run(run))
                }
                Ok(Begun::Attach(row)) => {
                    fleet.gone(run, None);
                    Ok(Began::Attach(row))
                }
                Err(error) => {
                    fleet.gone(run, None);
                    Err(error)
                }
            };
            // Nobody waits for it any more once the run has begun.
            tell.try_send(said).ok();
        };
        if let Err(error) = driver_thread().spawn(work) {
            self.gone(run, None);
            return Err(RunsError::new(ErrorKind::Internal, format!("no thread for a driver: {error}")));
        }
        match told.recv_timeout(BEGINS_WITHIN) {
            Ok(said) => said,
            Err(RecvTimeoutError::Timeout) => {
                sender.send(Control::Leave(Parting::Terminated)).ok();
                match told.recv() {
                    Ok(Err(error)) if matches!(error.kind, ErrorKind::Interrupted(_)) => {
                        let said = format!("{}; it waited {} s", error.message, BEGINS_WITHIN.as_secs());
                        Err(RunsError::new(ErrorKind::Busy, said).hint("try again later"))
                    }
                    Ok(said) => said,
                    Err(_) => Err(ended_in_a_panic()),
                }
            }
            Err(RecvTimeoutError::Disconnected) => Err(ended_in_a_panic()),
        }
    }

    /// Looks after all runs of this store until everybody shall leave: takes up what nobody drives and what was spoken
    /// to. Runs on a thread of its own.
    pub fn keep(self: &Arc<Self>) {
        let mut seen = None;
        let mut all_at = Instant::now();
        loop {
            let looked = Instant::now();
            let committed = self.runs.store().map(Store::committed);
            let changed = match self.runs.store().and_then(|store| Ok(store.changed()?)) {
                Ok(Some(changed)) if seen == Some(changed) => false,
                Ok(changed) => {
                    seen = changed;
                    true
                }
                Err(error) => {
                    tracing::warn!(%error, "the journal can't be looked at");
                    false
                }
            };
            if changed {
                (self.on_change)();
            }
            let all = Instant::now() >= all_at;
            if all {
                all_at = Instant::now() + ALL_EVERY;
            }
            if (changed || all)
                && let Err(error) = self.tend(all)
            {
                tracing::warn!(%error, "runs can't be looked after");
            }
            self.looks.fetch_add(1, Ordering::Relaxed);
            if let (Ok(store), Ok(committed)) = (self.runs.store(), committed)
                && !self.lock().leaving
            {
                store.await_commit(committed, LOOK_EVERY);
            }
            if !self.pause_until(looked + LOOK_AGAIN_AFTER) {
                return;
            }
        }
    }

    /// Waits until then; false, and at once, if everybody shall leave.
    fn pause_until(&self, then: Instant) -> bool {
        let mut state = self.lock();
        loop {
            let left = then.saturating_duration_since(Instant::now());
            if state.leaving || left.is_zero() {
                return !state.leaving;
            }
            state = self.moved.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// One look at the runs that somebody has spoken to, and at all that are open if it is time for that.
    fn tend(self: &Arc<Self>, all: bool) -> Result<(), RunsError> {
        let store = self.runs.store()?;
        let signalled = store.signalled()?;
        let held = store.last_hold()?.and_then(LastHold::on).is_some();
        for run in &signalled {
            if let Some(row) = self.runs.existing(*run)?.filter(|row| OPEN.contains(&row.status)) {
                self.look_after(row, true, held)?;
            }
        }
        for status in OPEN.into_iter().filter(|_| all) {
            let mut before = None;
            loop {
                let rows = store.runs(&Filter { status: Some(status), before, ..Filter::default() })?;
                let Some(last) = rows.last() else { break };
                before = Some(last.number);
                for row in rows.into_iter().filter(|row| !signalled.contains(&row.run)) {
                    self.look_after(row, false, held)?;
                }
            }
        }
        Ok(())
    }

    fn look_after(self: &Arc<Self>, row: RunRow, spoken_to: bool, held: bool) -> Result<(), RunsError> {
        if self.is_to_be_taken_up(&row, spoken_to, held)? {
            self.take_up(row);
        }
        Ok(())
    }

    fn is_to_be_taken_up(&self, row: &RunRow, spoken_to: bool, held: bool) -> Result<bool, RunsError> {
        {
            let state = self.lock();
            if state.leaving || state.driven.len() >= DRIVEN_MAX || state.driven.contains_key(&row.run) {
                return Ok(false);
            }
            if self.looks_after == LooksAfter::Own && !state.own.contains(&row.run) {
                return Ok(false);
            }
            let rest = state.resting.get(&row.run).filter(|rest| rest.seq == row.last_seq);
            let wanted = match rest.map(|rest| &rest.until) {
                Some(Until::Again(at)) => Instant::now() >= *at,
                Some(Until::Others) => false,
                Some(Until::Lifted) => !held || spoken_to,
                Some(Until::People { due }) => spoken_to || due.is_some_and(|at| at <= now()),
                None => true,
            };
            if !wanted {
                return Ok(false);
            }
        }
        if self.runs.store()?.is_driven(row.run)? {
            return Ok(false);
        }
        match row.status {
            Status::Paused => self.may_leave_its_pause(row, spoken_to, held),
            Status::Waiting | Status::InDoubt if !spoken_to => {
                let due = next_due(&self.facts(row)?);
                let is_due = due.is_some_and(|at| at <= now());
                if !is_due {
                    self.rest(row, Until::People { due });
                }
                Ok(is_due)
            }
            _ => Ok(true),
        }
    }

    /// What a hold stopped goes on once it is lifted. What somebody paused stands until they say otherwise; only that it is
    /// to stop is worth taking it up.
    fn may_leave_its_pause(&self, row: &RunRow, spoken_to: bool, held: bool) -> Result<bool, RunsError> {
        let facts = self.facts(row)?;
        let by_hold = facts.paused.is_none() && facts.held.is_some();
        if by_hold && !held {
            return Ok(true);
        }
        self.rest(row, if by_hold { Until::Lifted } else { Until::People { due: None } });
        Ok(spoken_to && self.is_cancelled(row.run)?)
    }

    /// The fold of a run's events. One that can't be read is left alone for a while.
    fn facts(&self, row: &RunRow) -> Result<Facts, RunsError> {
        self.runs.facts(row).inspect_err(|_| self.rest(row, Until::Again(Instant::now() + AGAIN_AFTER)))
    }

    fn is_cancelled(&self, run: RunId) -> Result<bool, RunsError> {
        let pending = self.runs.store()?.pending_signals(run)?;
        Ok(pending.iter().any(|signal| matches!(signal.body, Ok(Body::RunCancelled { .. }))))
    }

    /// Takes a run up that nobody drives, on a thread of its own.
    fn take_up(self: &Arc<Self>, row: RunRow) {
        let (sender, control) = unbounded_channel();
        let run = row.run;
        if self.enter(run, sender).is_err() {
            return;
        }
        let fleet = Arc::clone(self);
        let work = move || {
            let watcher = Box::new(Beginning { run: row.run, tell: None });
            let actor = Actor::new("rerail", SERVER);
            let foreground = Foreground { watcher, control, attended: false, actor };
            match fleet.carry_on(&row, foreground) {
                Ok(Some(left)) => {
                    fleet.taken_up.fetch_add(1, Ordering::Relaxed);
                    tracing::info!(run = %row.run, "a run was taken up and driven");
                    fleet.left(row.run, Ok(&left));
                }
                Ok(None) => fleet.gone(row.run, Some(Rest { seq: row.last_seq, until: Until::Others })),
                Err(error) => fleet.left(row.run, Err((row.last_seq, error))),
            }
        };
        // Without a thread it is tried again at the next look.
        if driver_thread().spawn(work).is_err() {
            self.gone(run, None);
        }
    }

    /// Drives it on if it belongs to the project that is served: elsewhere other secrets and other people count. Those
    /// who count are those of this moment.
    fn carry_on(&self, row: &RunRow, foreground: Foreground) -> Result<Option<Left>, RunsError> {
        let events = self.runs.events(row)?;
        let root = start_of(&events)?.root.as_ref().map(PathBuf::from);
        drop(events);
        if root.is_some_and(|root| self.runs.ground().is_ok_and(|ground| ground.root != root)) {
            return Ok(None);
        }
        let project = match &self.runs.project().root {
            Some(root) => Project::open(root)?,
            None => Project::default(),
        };
        let reason = "taken up by the server: nobody drove it";
        self.runs.with(project)?.carry_on(row, reason, foreground).map(Some)
    }

    fn enter(&self, run: RunId, sender: UnboundedSender<Control>) -> Result<(), RunsError> {
        let mut state = self.lock();
        if state.leaving {
            return Err(RunsError::new(
                ErrorKind::Interrupted(Some(Parting::Terminated)),
                "this server is about to end",
            ));
        }
        if state.driven.len() >= DRIVEN_MAX {
            let said = format!("this server drives {DRIVEN_MAX} runs, as many as it may; nothing was started");
            return Err(
                RunsError::new(ErrorKind::Busy, said).hint("try again later, or start another server on this store")
            );
        }
        if state.driven.contains_key(&run) {
            return Err(RunsError::new(ErrorKind::Busy, format!("{run} is driven by this server already")));
        }
        state.driven.insert(run, sender);
        state.own.insert(run);
        Ok(())
    }

    /// A driver has returned, or could not begin.
    fn left(&self, run: RunId, left: Result<&Left, (u64, RunsError)>) {
        let rest = match left {
            Ok(left) => {
                let until = match &left.why {
                    Why::Waiting | Why::InDoubt => Some(Until::People { due: next_due(&left.facts) }),
                    Why::Held(_) => Some(Until::Lifted),
                    Why::Ended | Why::Paused(_) | Why::Interrupted | Why::Left(_) => None,
                };
                until.map(|until| Rest { seq: left.facts.next_seq.saturating_sub(1), until })
            }
            // Somebody else was faster.
            Err((_, error)) if error.kind == ErrorKind::Busy => None,
            Err((seq, error)) => {
                tracing::warn!(%run, %error, "a run can't be taken up");
                Some(Rest { seq, until: Until::Again(Instant::now() + AGAIN_AFTER) })
            }
        };
        self.gone(run, rest);
    }

    fn gone(&self, run: RunId, rest: Option<Rest>) {
        let mut state = self.lock();
        state.driven.remove(&run);
        match rest {
            Some(rest) => drop(state.resting.insert(run, rest)),
            None => drop(state.resting.remove(&run)),
        }
        self.moved.notify_all();
    }

    fn rest(&self, row: &RunRow, until: Until) {
        self.lock().resting.insert(row.run, Rest { seq: row.last_seq, until });
    }

    /// Asks every driver to leave: what is running ends or is in doubt, nothing new starts from now on.
    pub fn ask_to_leave(&self) {
        let mut state = self.lock();
        // Asked twice, a driver goes at once.
        if std::mem::replace(&mut state.leaving, true) {
            return;
        }
        for driver in state.driven.values() {
            // One that has just ended hears nothing.
            driver.send(Control::Leave(Parting::Terminated)).ok();
        }
        self.moved.notify_all();
    }

    /// Asks every driver to leave and waits until they have. Gives how many are still there when time is up; their runs are
    /// taken up from the journal like after a crash.
    pub fn leave(&self) -> usize {
        let until = Instant::now() + LEAVE_WITHIN;
        self.ask_to_leave();
        let mut state = self.lock();
        while !state.driven.is_empty() && Instant::now() < until {
            let left = until.saturating_duration_since(Instant::now());
            state = self.moved.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.driven.len()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A thread for a driver: it reads the texts of a run before the engine has a thread of its own.
fn driver_thread() -> std::thread::Builder {
    std::thread::Builder::new().name("driver".into()).stack_size(DRIVER_STACK_BYTES)
}

/// When something is to be done about what a run asks although nobody says anything: it expires, or people are reminded.
fn next_due(facts: &Facts) -> Option<Timestamp> {
    let questions = facts.questions().filter_map(|(_, record)| record.asked.as_ref()?.expires);
    let approvals = facts.approvals.open().map(|approval| approval.due_after(approval.reminded));
    questions.chain(approvals).min()
}

fn ended_in_a_panic() -> RunsError {
    RunsError::new(ErrorKind::Internal, "the driver ended in a panic; this is a bug, the run can be resumed")
}

/// Says when the first events of a run are recorded; draws nothing.
struct Beginning {
    run: RunId,
    tell: Option<SyncSender<Result<Began, RunsError>>>,
}

impl Watcher for Beginning {
    fn events(&mut self, events: &[Event], _: &Facts) {
        let Some(tell) = self.tell.take_if(|_| !events.is_empty()) else { return };
        // Nobody waits for it if it took too long.
        tell.try_send(Ok(Began::Run(self.run))).ok();
    }

    fn waiting(&mut self, _: &Waits, _: &Facts) {}
}

#[cfg(test)]
mod tests;
