//! Virtual time, and a world that only answers: what tests of runbooks and of the engine drive with.
//!
//! Nothing real is ever called. [`MockWorld`] answers from a table: by step path, else by action name, one answer
//! after the other (the last one stays); an effect without an answer fails the run loudly. Test files have a world of
//! their own. Timers pass at once, in order. A crash can be injected after any event.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::drivers::seal::Wanted;
use crate::drivers::vault::Vault;
use crate::engine::event::{Actor, Event, Planned};
use crate::engine::facts::Facts;
use crate::engine::ids::StepPath;
use crate::engine::look_ahead::Previewed;
use crate::engine::machine::groups::Standing;
use crate::engine::machine::{Completion, LAY, Machine, Perform, REVEAL, Signal, Start, Waits};
use crate::engine::outcome::{Attempt, Failure, FailureKind, Outcome};
use crate::journal::StoreKey;
use crate::redact::Redactor;
use crate::runbook::program::Program;
use crate::script::sandbox::Sandbox;
use crate::script::value::{Map, Unknown, Value};

/// Who answers what a run asks of the world and of people. A clone answers a look ahead, and is dropped with it.
pub trait Answers: Clone {
    /// Answers one effect at this moment and remembers it.
    fn perform(&mut self, perform: &Perform, now: Timestamp) -> Completion;

    /// How long it took to answer what was performed since this was asked last.
    fn took(&mut self) -> Duration {
        Duration::ZERO
    }

    /// What somebody says to a run that waits for people; nothing if nobody does.
    fn say(&mut self, waits: &Waits, facts: &Facts, now: Timestamp) -> Option<Signal>;

    /// Whether the time of what people are asked runs out, where nobody says anything.
    fn is_silent(&self, _waits: &Waits) -> bool {
        false
    }

    /// What is said of a group when it is asked for the n-th time at one moment, counted from 0.
    fn standing(&mut self, group: &str, asked: usize) -> Option<Standing>;
}

/// What the world answers, and what it was asked.
#[derive(Clone, Debug, Default)]
pub struct MockWorld {
    /// By step path or action name; the last answer of a list stays.
    pub answers: BTreeMap<String, Vec<Attempt>>,
    /// Answers to questions, by step path.
    pub people: BTreeMap<String, Value>,
    /// What is said of a group, one after the other; then nothing new. A group without an entry is free.
    pub groups: BTreeMap<String, VecDeque<Standing>>,
    /// Every effect performed, in order: step, action, arguments.
    pub calls: Vec<(String, String, Map)>,
    used: BTreeMap<String, usize>,
}

impl MockWorld {
    /// Adds answers for a step path or an action.
    pub fn answer(mut self, at: &str, attempts: impl IntoIterator<Item = Attempt>) -> MockWorld {
        self.answers.entry(at.to_owned()).or_default().extend(attempts);
        self
    }

    /// How often an action was called.
    pub fn count(&self, uses: &str) -> usize {
        self.calls.iter().filter(|(_, action, _)| action == uses).count()
    }

    /// Looks through a whole run as a rehearsal does: what is read after a planned write is unknown. Nothing is counted.
    pub fn rehearse(&self, machine: Machine, now: Timestamp) -> Previewed {
        look(self, machine, now, true)
    }
}

impl Answers for MockWorld {
    fn perform(&mut self, perform: &Perform, _now: Timestamp) -> Completion {
        let path = perform.step.as_str();
        self.calls.push((path.to_owned(), perform.uses.clone(), perform.args.clone()));
        let key = [path, perform.uses.as_str()].into_iter().find(|key| self.answers.contains_key(*key));
        let result = match key {
            Some(key) => {
                let used = self.used.entry(key.to_owned()).or_default();
                let answers = &self.answers[key];
                let answer = answers.get(*used).or(answers.last());
                *used += 1;
                answer.cloned().unwrap_or_else(|| Attempt::done(Value::Null))
            }
            None => {
                let message = format!("no mock answers `{path}` or `{}`", perform.uses);
                Attempt::failed(Failure::new(FailureKind::Mismatch, message))
            }
        };
        Completion { ms: 1, ..Completion::of(perform.attempt, result) }
    }

    fn say(&mut self, waits: &Waits, _facts: &Facts, _now: Timestamp) -> Option<Signal> {
        let answered = |step: &StepPath| self.people.get(step.as_str()).map(|answer| (step.clone(), answer.clone()));
        let (step, answer) = waits.questions.iter().find_map(answered)?;
        Some(Signal::Answer { step, answer, actor: Actor::new("mock", "test"), at: None })
    }

    fn standing(&mut self, group: &str, asked: usize) -> Option<Standing> {
        match self.groups.get_mut(group) {
            None => (asked == 0).then_some(Standing::Held),
            Some(left) => left.pop_front(),
        }
    }
}

/// Looks ahead below a step: reads are answered as in the run and not counted, writes are planned.
fn look_ahead(world: &impl Answers, machine: Machine, now: Timestamp) -> Previewed {
    look(world, machine, now, false)
}

fn look(world: &impl Answers, mut machine: Machine, mut now: Timestamp, writes_hide: bool) -> Previewed {
    let mut world = world.clone();
    let mut wrote = false;
    loop {
        let decided = machine.decide(now);
        if decided.waits.looked_ahead || decided.waits.finished.is_some() || decided.waits.paused.is_some() {
            break;
        }
        for perform in &decided.perform {
            let writes = perform.effect.changes_the_world();
            wrote |= writes;
            let hidden = writes || wrote && writes_hide && !perform.laid_over;
            let completion = match (hidden, perform.poll && writes_hide) {
                // Nothing is sealed in a world without a vault.
                _ if perform.uses == LAY => {
                    Completion::of(perform.attempt, Attempt::done(Value::Map(perform.args.clone())))
                }
                (true, _) => planned(perform),
                (false, true) => Completion { planned: Some(Planned::default()), ..world.perform(perform, now) },
                (false, false) => world.perform(perform, now),
            };
            machine.complete(&perform.step, completion);
        }
        match (decided.perform.is_empty(), decided.waits.until) {
            (false, _) => {}
            (true, Some(until)) => now = until,
            (true, None) => break,
        }
    }
    machine.found()
}

/// What a rehearsal says of a write.
fn planned(perform: &Perform) -> Completion {
    let outputs = Value::Unknown(Unknown { origin: perform.step.to_string() });
    let result = Attempt { outcome: Outcome::Planned, outputs, failure: None };
    let summary = format!("would do {}", perform.uses);
    let planned = Some(Planned { summary, ..Planned::default() });
    Completion { planned, ..Completion::of(perform.attempt, result) }
}

/// A run against a world that only [`Answers`].
pub struct MockRun {
    pub machine: Machine,
    /// Everything decided and signalled so far.
    pub events: Vec<Event>,
    pub now: Timestamp,
    /// Handed out and not yet performed.
    queue: Vec<Perform>,
    program: Arc<Program>,
    sandbox: Arc<Sandbox>,
    /// Its key ends with the process, so fingerprints differ from one to the next.
    vault: Vault,
    single_operator: bool,
}

impl MockRun {
    /// Starts a run at `now`.
    ///
    /// # Errors
    /// If `vars` fail.
    pub fn start(
        program: Arc<Program>,
        sandbox: Arc<Sandbox>,
        start: Start,
        now: Timestamp,
    ) -> Result<MockRun, Failure> {
        let vault = Vault::in_memory(StoreKey::ephemeral(), start.run, &Redactor::new());
        let machine = Machine::start(Arc::clone(&program), Arc::clone(&sandbox), start, now)?;
        let (events, queue) = (Vec::new(), Vec::new());
        Ok(MockRun { machine, events, now, queue, program, sandbox, vault, single_operator: false })
    }

    /// Says that the project names nobody who could agree to a write.
    pub fn alone(&mut self) {
        self.single_operator = true;
        self.machine.single_operator(true);
    }

    /// Kills the process after `keep` events and takes the run up again, as another leg.
    ///
    /// # Errors
    /// If the kept events don't fold.
    pub fn crash(&mut self, keep: usize, actor: Actor) -> Result<(), crate::engine::facts::FoldError> {
        self.events.truncate(keep);
        self.queue.clear();
        self.machine = Machine::load(Arc::clone(&self.program), Arc::clone(&self.sandbox), &self.events)?;
        self.machine.single_operator(self.single_operator);
        let fence = u64::from(self.machine.facts().leg) + 2;
        self.machine.signal(Signal::Resume { actor, reason: None, fence }, self.now);
        Ok(())
    }

    /// Runs until only people can move the run, or it ends, or it has `stop_at` events. Answers questions
    /// the world's people have answers for.
    pub fn drive(&mut self, world: &mut impl Answers, stop_at: usize) -> Waits {
        self.drive_until(world, |_, events| events.len() >= stop_at)
    }

    /// Runs until only people can move the run, or it ends, or `stops` says so after a decision.
    pub fn drive_until<W: Answers>(&mut self, world: &mut W, stops: impl Fn(&W, &[Event]) -> bool) -> Waits {
        loop {
            let performed = !self.queue.is_empty();
            for perform in std::mem::take(&mut self.queue) {
                let completion = self.come_to(world, &perform);
                self.machine.complete(&perform.step, completion);
            }
            self.now = self.now.saturating_add(world.took()).unwrap_or(self.now);
            let decided = self.machine.decide(self.now);
            self.events.extend(decided.events);
            self.queue.extend(decided.perform);
            let looks = !decided.previews.is_empty();
            for step in decided.previews {
                let seen = look_ahead(world, self.machine.look_ahead(&step), self.now);
                self.machine.previewed(&step, seen);
            }
            if stops(world, &self.events) {
                return decided.waits;
            }
            if performed || looks || !self.queue.is_empty() {
                continue;
            }
            let waits = decided.waits;
            if waits.finished.is_some() || waits.paused.is_some() {
                return waits;
            }
            if self.stand(world, &waits) {
                continue;
            }
            if let Some(signal) = world.say(&waits, self.machine.facts(), self.now) {
                self.machine.signal(signal, self.now);
                continue;
            }
            let asked = !waits.questions.is_empty() || !waits.approvals.is_empty();
            let moves = waits.doubts.is_empty() && !asked && waits.held.is_none();
            let limit = waits.limit.filter(|_| moves || waits.until.is_some());
            let expiry = waits.expires.filter(|_| world.is_silent(&waits));
            match [waits.until, limit, expiry].into_iter().flatten().min() {
                // Time doesn't jump over the end of an open question.
                Some(until) => self.now = waits.expires.map_or(until, |expires| until.min(expires)).max(self.now),
                None => return waits,
            }
        }
    }

    fn come_to(&self, world: &mut impl Answers, perform: &Perform) -> Completion {
        if perform.uses == REVEAL {
            let result = self.vault.reveal(perform);
            return Completion::of(perform.attempt, result);
        }
        let mut completion = world.perform(perform, self.now);
        self.vault.seal_attempt(&Wanted::of(perform), &mut completion.result);
        completion
    }

    /// Says how the groups stand that called runbooks want; true if one of them goes on.
    fn stand(&mut self, world: &mut impl Answers, waits: &Waits) -> bool {
        let mut stood = false;
        for wanted in &waits.groups {
            let mut asked = 0;
            while let Some(standing) = world.standing(&wanted.group, asked) {
                asked += 1;
                if self.machine.stand(wanted, standing, self.now) {
                    stood = true;
                    break;
                }
            }
        }
        stood
    }

    /// The fold so far.
    pub fn facts(&self) -> &Facts {
        self.machine.facts()
    }
}
