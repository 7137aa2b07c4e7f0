//! The real world: performs what the engine decides, after committing what it decided.
//!
//! Order, always: decide → commit → show → perform. A write's first byte, a prompt, an exit code and the run's id
//! leave only after the commit that holds everything decided on; the outcome of one write and the intent of the
//! next share a commit. Outcomes of reads are shown at once and committed with the next durable event or within
//! [`READS_COMMITTED_WITHIN`], without a flush of their own: a lost read is read again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::drivers::book::Book;
use crate::drivers::clock::now;
use crate::drivers::late::{LookBack, When};
use crate::drivers::line::Lines;
use crate::drivers::perform::{Flight, Flights};
use crate::drivers::rehearsal::look_ahead;
use crate::drivers::roster::Roster;
use crate::drivers::signals::{as_signal, clean, clean_attempt};
use crate::drivers::vault::Vault;
use crate::drivers::watch::{Control, Foreground, Parting, Why};
use crate::engine::event::{Actor, Event};
use crate::engine::facts::{Facts, RunState};
use crate::engine::ids::StepPath;
use crate::engine::look_ahead::Previewed;
use crate::engine::machine::{Completion, Holding, Machine, Perform, REVEAL, Signal, Waits};
use crate::journal::{Append, Blob, Drive, Error as JournalError, Journal, LastHold, SignalId, Status, Store};
use crate::redact::Redactor;
use crate::steps::world::World;

/// Events that are recorded at a time: a loop over thousands of values decides tens of thousands at once, which would
/// stand in memory once more as copies, and again as lines.
const EVENTS_AT_A_TIME: usize = 1_000;
/// How long the outcome of a read may be uncommitted.
const READS_COMMITTED_WITHIN: Duration = Duration::from_secs(1);
/// How often a waiting driver looks whether another process left a signal: one counter read each.
const INBOX_EVERY: Duration = Duration::from_millis(200);
/// How often the lease is renewed when nothing is committed; well inside the lease.
pub(super) const RENEW_EVERY: Duration = Duration::from_secs(3);
/// How often a commit is tried while another process has the store locked; each try waits by itself.
const LOCKED_TRIES: u32 = 3;

/// Drives one run.
pub struct Local<'a> {
    pub store: &'a Store,
    pub drive: &'a Arc<Drive>,
    pub world: World,
    pub redactor: Redactor,
    pub vault: Arc<Vault>,
    pub foreground: Foreground,
    /// Who may act on the run.
    pub roster: Roster,
}

/// Why a driver stops although the run has not ended.
pub(super) enum Lost {
    /// Something can't be recorded: what had happened is, if there is room; the run is paused.
    Storage(String),
    /// Another process drives the run.
    Run(String),
    /// Ctrl-C twice.
    Patience,
    /// Somebody wants nothing new to start, by a signal or here.
    Pause { actor: Box<Actor>, reason: String, signal: Option<SignalId> },
    /// The process is asked to go.
    Leave(Parting),
}

/// Whether anything but a commit is under way in this process.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Meanwhile {
    /// Nothing is: the commit is made on this thread, which saves two wake-ups of another.
    Nothing,
    /// Steps have limits of their own, and a commit may take seconds: they go on.
    Steps,
}

/// What became of a commit.
pub(super) enum Commit {
    Done,
    /// There was nothing to commit.
    Empty,
    /// Somebody said something before the run could end: take it up first.
    SignalWaiting,
}

impl Local<'_> {
    /// Drives until the run ends, waits for people, or can't be recorded. `texts` are committed with the first
    /// events. The facts handed back are those that are durable.
    pub async fn run(mut self, mut machine: Machine, texts: Vec<Blob>) -> (Facts, Why) {
        let mut book = Book::of(texts);
        let mut flights = Flights::default();
        match self.drive_on(&mut machine, &mut book, &mut flights).await {
            Ok(why) => (machine.into_facts(), why),
            Err(lost) => self.leave(machine, book, flights, lost).await,
        }
    }

    async fn drive_on(&mut self, machine: &mut Machine, book: &mut Book, flights: &mut Flights) -> Result<Why, Lost> {
        let mut interrupted = false;
        let mut inbox_seen = None;
        let mut renewed = Instant::now();
        let mut lines = Lines::default();
        let mut look_back = LookBack::default();
        // Dropped with the drive: a look ahead changes nothing.
        let mut looks: JoinSet<(StepPath, Previewed)> = JoinSet::new();
        loop {
            self.hear_signals(machine, book, &mut inbox_seen)?;
            self.look_back(machine, book, &mut look_back, When::InTime);
            let decided = machine.decide(now());
            self.note(book, decided.events);
            let waits = decided.waits;
            let writes = decided.perform.iter().any(|perform| perform.effect.changes_the_world());
            let over = stands(&waits, self.foreground.attended);
            // Before the end is recorded: an ended run takes no more of its driver.
            if over.is_some() && self.look_back(machine, book, &mut look_back, When::AtTheEnd) {
                continue;
            }
            let asks = !waits.questions.is_empty() || !waits.approvals.is_empty();
            let told = over.is_some() || asks || waits.held.is_some();
            if writes || told || book.acknowledges(machine.facts()) {
                let quiet = flights.is_empty() && looks.is_empty();
                let meanwhile = if quiet { Meanwhile::Nothing } else { Meanwhile::Steps };
                match self.commit(machine, book, meanwhile, true).await? {
                    Commit::Done => renewed = Instant::now(),
                    Commit::Empty => {}
                    Commit::SignalWaiting => {
                        inbox_seen = None;
                        continue;
                    }
                }
            }
            self.show(machine, book);
            if let Some(why) = over {
                return Ok(why);
            }
            let mut revealed = false;
            for perform in decided.perform {
                if perform.uses == REVEAL {
                    revealed = true;
                    self.reveal(machine, &perform);
                } else {
                    flights.start(self.world.clone(), perform);
                }
            }
            if revealed {
                continue;
            }
            if lines.ask(self.store, self.drive, machine, &waits.groups).await? {
                continue;
            }
            for step in decided.previews {
                let (world, vault) = (self.world.clone(), Arc::clone(&self.vault));
                let look = look_ahead(machine.look_ahead(&step), world, self.redactor.clone(), vault);
                // In a task of its own, so that a panic ends the look: then every write asks for itself.
                looks.spawn(async move {
                    let mut one = JoinSet::new();
                    one.spawn(look);
                    let seen = one.join_next().await.and_then(Result::ok);
                    (step, seen.unwrap_or_default())
                });
            }
            self.wait(&waits, machine.facts());

            let mut deadline = Instant::now() + INBOX_EVERY;
            if let Some(since) = book.since {
                deadline = deadline.min(since + READS_COMMITTED_WITHIN);
            }
            for at in [waits.until, waits.expires, waits.limit].into_iter().flatten() {
                let left = u64::try_from(at.as_millisecond() - now().as_millisecond()).unwrap_or(0);
                deadline = deadline.min(Instant::now() + Duration::from_millis(left));
            }
            tokio::select! {
                Some(flight) = flights.next() => {
                    self.land(machine, flight);
                    while let Some(flight) = flights.landed() {
                        self.land(machine, flight);
                    }
                }
                Some(Ok((step, previewed))) = looks.join_next() => machine.previewed(&step, previewed),
                Some(control) = self.foreground.control.recv() => {
                    let actor = self.foreground.actor.clone();
                    let signal = match control {
                        Control::Interrupt if interrupted => return Err(Lost::Patience),
                        Control::Interrupt => {
                            interrupted = true;
                            Signal::Cancel { actor, reason: Some("Ctrl-C".to_owned()) }
                        }
                        Control::Answer { step, answer } => Signal::Answer { step, answer, actor, at: None },
                        Control::Approve { step, change, shown } => Signal::Approve { step, change, actor, at: None, shown },
                        Control::Reject { step, change, reason } => Signal::Reject { step, change, actor, reason },
                        Control::Pause => return Err(Lost::Pause { actor: Box::new(actor), reason: String::new(), signal: None }),
                        Control::Leave(parting) => return Err(Lost::Leave(parting)),
                    };
                    let signal = match signal {
                        // Whoever drives a run may always stop it.
                        Signal::Cancel { .. } => signal,
                        signal => self.roster.admit(signal, machine.facts()),
                    };
                    machine.signal(clean(signal, &self.redactor), now());
                }
                () = tokio::time::sleep_until(deadline.into()) => {}
            }
            if book.since.is_some_and(|since| since.elapsed() >= READS_COMMITTED_WITHIN) {
                self.commit(machine, book, Meanwhile::Steps, false).await?;
                renewed = Instant::now();
            }
            if renewed.elapsed() >= RENEW_EVERY {
                match self.drive.renew().await {
                    // Another process had the store locked for a moment: tried again in the next round.
                    Ok(()) | Err(JournalError::Locked { .. }) => {}
                    Err(error) => return Err(lost_by(error)),
                }
                renewed = Instant::now();
            }
        }
    }

    /// Notes what of this run was written down before it was known to be secret; whether there was anything to note.
    fn look_back(&self, machine: &mut Machine, book: &Book, look_back: &mut LookBack, when: When) -> bool {
        let notes = look_back.notes(&self.redactor, when, || {
            // Of a run that has not begun, nothing is recorded.
            let mut events = self.store.load(self.drive.run()).unwrap_or_default();
            events.extend_from_slice(book.uncommitted());
            events
        });
        let any = !notes.is_empty();
        for text in notes {
            machine.signal(Signal::Note { text, actor: Actor::new("rerail", "redactor") }, now());
        }
        any
    }

    /// Enters what was decided, with the sealed values it names.
    pub(super) fn note(&self, book: &mut Book, events: Vec<Event>) {
        book.blobs.extend(self.vault.stored_with(&events));
        book.note(events);
    }

    /// Opens what a step reveals, which takes no time and nothing of the world.
    fn reveal(&self, machine: &mut Machine, perform: &Perform) {
        let result = self.vault.reveal(perform);
        machine.complete(&perform.step, Completion::of(perform.attempt, result));
    }

    /// Says what the run waits for; questions and approvals only to somebody who may say something to them.
    fn wait(&mut self, waits: &Waits, facts: &Facts) {
        let Foreground { watcher, actor, .. } = &mut self.foreground;
        let mine = |path: &&StepPath| {
            let asked = facts.step(path).and_then(|record| record.asked.as_ref());
            self.roster.asks(actor, asked.map_or(&[], |asked| &asked.by))
        };
        let may_say = |step: &&StepPath| {
            let asked = facts.approvals.at(step).map(|approval| approval.request.change.as_str());
            let single = self.roster.is_alone() && !actor.person;
            asked.is_some_and(|change| facts.refuses_approval(step, change, actor, now(), single).is_none())
        };
        let questions = waits.questions.iter().filter(mine).cloned().collect();
        let approvals = waits.approvals.iter().filter(may_say).cloned().collect();
        watcher.waiting(&Waits { questions, approvals, ..waits.clone() }, facts);
    }

    /// Hands what an effect came to over to the engine: cleaned of secrets first, so that the next step
    /// sees exactly what the journal has.
    pub(super) fn land(&mut self, machine: &mut Machine, flight: Flight) {
        crate::failpoint::hit("driver.outcome");
        let Flight { step, mut completion, wanted } = flight;
        self.vault.seal_attempt(&wanted, &mut completion.result);
        clean_attempt(&mut completion.result, &self.redactor);
        self.foreground.watcher.looked(&step, &completion.result);
        machine.complete(&step, completion);
    }

    /// Takes up what other processes left for this run.
    fn hear_signals(&self, machine: &mut Machine, book: &mut Book, seen: &mut Option<u64>) -> Result<(), Lost> {
        let news = match self.store.news(self.drive.run(), seen) {
            Ok(Some(news)) => news,
            // Also if somebody had the store locked for a moment: asked again in the next round.
            Ok(None) | Err(JournalError::Locked { .. }) => return Ok(()),
            Err(error) => return Err(lost_by(error)),
        };
        machine.hold(holding(news.hold));
        for pending in news.signals {
            if book.has_heard(pending.id) {
                continue;
            }
            let (id, sent_at) = (pending.id, pending.at);
            let admitted = as_signal(pending, &self.redactor).map(|signal| self.roster.admit(signal, machine.facts()));
            let signal = match admitted {
                // Whoever took the run up later wanted it to go on.
                Some(Signal::Pause { actor, .. })
                    if machine.facts().leg > 0 && sent_at <= machine.facts().resumed_at =>
                {
                    let text = "asked to pause it before it was taken up again, which changes nothing".to_owned();
                    Some(Signal::Note { text, actor })
                }
                Some(Signal::Pause { actor, reason }) if machine.facts().finished.is_none() => {
                    return Err(Lost::Pause { actor: Box::new(actor), reason, signal: Some(id) });
                }
                other => other,
            };
            book.heard.push((id, machine.facts().next_seq));
            if let Some(signal) = signal {
                machine.signal(signal, now());
            }
        }
        Ok(())
    }

    /// Records everything decided; with a flush if it is `durable`.
    pub(super) async fn commit(
        &self,
        machine: &Machine,
        book: &mut Book,
        meanwhile: Meanwhile,
        durable: bool,
    ) -> Result<Commit, Lost> {
        if book.uncommitted().is_empty() && book.heard.is_empty() {
            return Ok(Commit::Empty);
        }
        // The beginning of a journal is a journal: a crash between two parts is one between two decisions.
        while book.uncommitted().len() > EVENTS_AT_A_TIME {
            match self.append(book, EVENTS_AT_A_TIME, None, meanwhile, false).await? {
                Commit::SignalWaiting => return Ok(Commit::SignalWaiting),
                Commit::Done | Commit::Empty => {}
            }
        }
        self.append(book, book.uncommitted().len(), Some(status(machine.facts())), meanwhile, durable).await
    }

    /// Records the first events of those decided, with the signals that became them.
    async fn append(
        &self,
        book: &mut Book,
        count: usize,
        status: Option<Status>,
        meanwhile: Meanwhile,
        durable: bool,
    ) -> Result<Commit, Lost> {
        let consumed = book.heard_until(count);
        let mut tries = 1;
        loop {
            let append = Append {
                blobs: book.blobs.clone(),
                status,
                consumed: consumed.clone(),
                durable,
                ..Append::events(self.drive.run(), self.drive.fence(), book.uncommitted()[..count].to_vec())
            };
            let ticket = self.store.append(append);
            let answer = match meanwhile {
                Meanwhile::Nothing => ticket.wait(),
                Meanwhile::Steps => ticket.await,
            };
            match answer {
                Ok(committed) => {
                    book.linked(committed.store);
                    break;
                }
                Err(JournalError::SignalWaiting { .. }) => return Ok(Commit::SignalWaiting),
                Err(JournalError::Locked { .. }) if tries < LOCKED_TRIES => tries += 1,
                Err(error) => return Err(lost_by(error)),
            }
        }
        book.committed(count);
        if book.uncommitted().is_empty() {
            self.vault.stored();
        }
        Ok(Commit::Done)
    }

    pub(super) fn show(&mut self, machine: &Machine, book: &mut Book) {
        if !book.unshown().is_empty() {
            self.foreground.watcher.events(book.unshown(), machine.facts());
            book.show_all();
        }
    }
}

/// Whether the driver is done, and why.
fn stands(waits: &Waits, attended: bool) -> Option<Why> {
    if waits.finished.is_some() {
        return Some(Why::Ended);
    }
    if let Some(reason) = &waits.paused {
        return Some(Why::Paused(reason.clone()));
    }
    let nothing_moves = waits.in_flight == 0 && waits.until.is_none() && waits.groups.is_empty();
    if nothing_moves && !waits.doubts.is_empty() {
        return Some(Why::InDoubt);
    }
    if let (true, false, Some(hold)) = (nothing_moves, attended, &waits.held) {
        return Some(Why::Held(hold.clone()));
    }
    (waits.only_people() && !attended).then_some(Why::Waiting)
}

/// What a machine is told of the newest hold.
fn holding(last: Option<LastHold>) -> Holding {
    match last {
        Some(LastHold { hold, lifted: None }) => Holding::On(hold),
        Some(LastHold { lifted: Some((actor, _)), .. }) => Holding::Off { by: Some(actor) },
        None => Holding::Off { by: None },
    }
}

pub(super) fn lost_by(error: JournalError) -> Lost {
    match error {
        JournalError::Fenced { .. } | JournalError::Conflict { .. } => Lost::Run(error.to_string()),
        other => Lost::Storage(other.to_string()),
    }
}

/// What a list says of a run that stands like this.
pub fn status(facts: &Facts) -> Status {
    match facts.state() {
        RunState::Running => Status::Running,
        RunState::Waiting => Status::Waiting,
        RunState::Paused => Status::Paused,
        RunState::InDoubt => Status::InDoubt,
        RunState::Stuck => Status::Stuck,
        RunState::Ended(_) if facts.is_undone() => Status::Undone,
        RunState::Ended(outcome) => Status::Ended(outcome),
    }
}
