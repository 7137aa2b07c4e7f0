//! A finished or open journal walked again: every decision is made anew and compared.
//!
//! Performs nothing. A divergence means that the engine or a runbook text is not what wrote the journal. A text that is
//! known to be another one is asked only whether it decides the same.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use jiff::Timestamp;

use crate::engine::change::Change;
use crate::engine::event::{Body, Event, RunStarted};
use crate::engine::facts::{Facts, FoldError};
use crate::engine::ids::StepPath;
use crate::engine::look_ahead::{Found, Previewed};
use crate::engine::machine::{Machine, Start};
use crate::engine::outcome::Failure;
use crate::runbook::program::Program;
use crate::script::sandbox::Sandbox;
use crate::script::value::Map;

/// Why a journal can't be replayed.
#[derive(Debug, thiserror::Error)]
pub enum Divergence {
    #[error("the journal is empty or does not begin with `run.started`")]
    NoStart,
    #[error("starting it again failed: {}", .0.message)]
    Start(Failure),
    #[error(transparent)]
    Fold(#[from] FoldError),
    #[error(
        "event {seq}: the journal has `{}`, the engine decides {}",
        without_times(.recorded),
        .decided.as_ref().map_or("nothing".to_owned(), |body| format!("`{}` {}", body.word(), without_times(body)))
    )]
    Different {
        seq: u64,
        recorded: Box<Body>,
        /// Nothing if it has nothing to decide there.
        decided: Option<Box<Body>>,
    },
}

/// What has to be the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Likeness {
    /// Everything but durations.
    Exact,
    /// What is done, with which arguments, and what comes of it; not how the text words it.
    Decisions,
}

/// Replays events; gives the number of effects that were answered from the journal.
///
/// # Errors
/// The first divergence.
pub fn replay(program: Arc<Program>, sandbox: Arc<Sandbox>, events: &[Event]) -> Result<usize, Divergence> {
    replay_like(program, sandbox, events, Likeness::Exact)
}

/// As [`replay`], by a text that may be another one.
///
/// # Errors
/// The first divergence.
pub fn replay_like(
    program: Arc<Program>,
    sandbox: Arc<Sandbox>,
    events: &[Event],
    likeness: Likeness,
) -> Result<usize, Divergence> {
    let Some(first) = events.first() else { return Err(Divergence::NoStart) };
    let Body::RunStarted(started) = &first.body else { return Err(Divergence::NoStart) };
    let start = Start {
        run: started.run,
        inputs: started.inputs.clone(),
        target: started.target.clone(),
        root: started.root.clone(),
        files: started.files.clone(),
        providers: started.providers.clone(),
        actor: started.actor.clone(),
        reason: started.reason.clone(),
        incident: started.incident.clone(),
        fence: started.fence,
        group: started.group.clone(),
        previous: started.previous.clone(),
        floors: started.floors.clone(),
        cover: started.cover.clone(),
        plan: started.plan.clone(),
        traceparent: started.traceparent.clone(),
        rehearsal: started.rehearsal,
    };
    let machine =
        Machine::start(Arc::clone(&program), Arc::clone(&sandbox), start, first.ts).map_err(Divergence::Start)?;
    let mut replay = Replay {
        likeness,
        program,
        sandbox,
        events,
        machine,
        left: events.iter().collect(),
        answered: BTreeSet::new(),
        went_back_to: None,
        taken: None,
    };
    replay.walk(first.ts)?;
    Ok(replay.answered.len())
}

/// A journal being walked.
struct Replay<'e> {
    likeness: Likeness,
    program: Arc<Program>,
    sandbox: Arc<Sandbox>,
    events: &'e [Event],
    machine: Machine,
    /// What has not been decided or answered again yet.
    left: VecDeque<&'e Event>,
    /// Numbers of the answers taken from the journal.
    answered: BTreeSet<u64>,
    /// Where a decision was made once more, with the answers beside it: once for each place.
    went_back_to: Option<u64>,
    /// The answers the next decision is made with.
    taken: Option<Taken>,
}

/// Answers that may have been there together.
struct Taken {
    /// The event they were taken before.
    seq: u64,
    /// The steps that were under way then.
    in_flight: BTreeSet<StepPath>,
    count: usize,
}

/// How a decision compares with the journal.
enum Followed {
    Yes,
    /// The journal ends in the middle of it: past its last event an open run would simply go on.
    ToTheEnd,
    No(Divergence),
}

impl<'e> Replay<'e> {
    fn walk(&mut self, start: Timestamp) -> Result<(), Divergence> {
        let mut at = start;
        while let Some(first) = self.left.front().map(|event| event.seq) {
            let decided = self.machine.decide(at);
            match self.follow(&decided.events)? {
                Followed::Yes if decided.events.is_empty() => {}
                Followed::Yes => self.taken = None,
                Followed::ToTheEnd => return Ok(()),
                Followed::No(divergence) => {
                    self.go_back(first, divergence)?;
                    continue;
                }
            }
            let Some(next) = self.left.front().copied() else { break };
            if !decided.events.is_empty() {
                continue;
            }
            if at < next.ts {
                at = next.ts;
                self.taken = None;
                continue;
            }
            if self.take_answers()? {
                continue;
            }
            if !from_outside(&next.body) && !decided.waits.looks.is_empty() {
                look_ahead(&mut self.machine, &decided.waits.looks, &next.body);
                continue;
            }
            if !from_outside(&next.body) {
                self.go_back(next.seq, different(next, None))?;
                continue;
            }
            self.apply(next)?;
            self.left.pop_front();
        }
        Ok(())
    }

    /// Compares what was decided with what the journal has next.
    fn follow(&mut self, decided: &[Event]) -> Result<Followed, Divergence> {
        for event in decided {
            let Some(recorded) = self.left.front().copied() else { return Ok(Followed::ToTheEnd) };
            let same = self.likeness.of(&recorded.body) == self.likeness.of(&event.body);
            if from_outside(&recorded.body) && !same {
                // A crash or a failed commit lost the rest of this decision: go on as the journal did.
                self.reload(recorded.seq)?;
                self.apply(recorded)?;
                self.left.pop_front();
                return Ok(Followed::Yes);
            }
            if !same {
                return Ok(Followed::No(different(recorded, Some(&event.body))));
            }
            self.left.pop_front();
        }
        Ok(Followed::Yes)
    }

    /// Takes the machine back to where event `seq` was decided and gives it the answers that came with it: what was
    /// decided first stands before them, because it stands before them in the runbook. If it had been given answers,
    /// these were too many: some of the same millisecond came with a later decision.
    ///
    /// # Errors
    /// The divergence that led here, if there are none or that was tried already.
    fn go_back(&mut self, seq: u64, divergence: Divergence) -> Result<(), Divergence> {
        if let Some(taken) = self.taken.take().filter(|taken| taken.count > 1) {
            self.reload(taken.seq)?;
            return self.take(taken.in_flight, taken.count - 1).map(drop);
        }
        let in_flight = self.in_flight(seq);
        if self.went_back_to.is_some_and(|tried| tried >= seq) || in_flight.is_empty() {
            return Err(divergence);
        }
        self.went_back_to = Some(seq);
        self.reload(seq)?;
        self.take(in_flight, usize::MAX).map(drop)
    }

    /// The steps whose effects are under way and that were open before event `seq`.
    fn in_flight(&self, seq: u64) -> BTreeSet<StepPath> {
        let before = self.events.get(..kept(seq)).unwrap_or_default();
        let Ok(facts) = Facts::fold(before) else { return BTreeSet::new() };
        let open = facts.steps.iter().filter(|(path, record)| record.is_open() && self.machine.is_in_flight(path));
        open.map(|(path, _)| path.clone()).collect()
    }

    /// The machine and the journal as they were before event `seq`.
    fn reload(&mut self, seq: u64) -> Result<(), Divergence> {
        let kept = kept(seq).min(self.events.len());
        let (before, after) = self.events.split_at(kept);
        self.machine = Machine::load(Arc::clone(&self.program), Arc::clone(&self.sandbox), before)?;
        self.left = after.iter().collect();
        self.answered.retain(|answered| *answered < seq);
        Ok(())
    }

    /// Takes the answers the journal has next; true if there are any.
    fn take_answers(&mut self) -> Result<bool, Divergence> {
        let answered =
            |event: &Event| answered_step(&event.body).filter(|step| self.machine.is_in_flight(step)).cloned();
        if self.left.front().copied().and_then(answered).is_none() {
            return Ok(false);
        }
        let in_flight = self.left.iter().take(self.together()).copied().filter_map(answered).collect();
        self.take(in_flight, usize::MAX)
    }

    /// Takes out the answers of these steps that were there together, `most` of them: they were decided on together,
    /// and have one time. What follows from the first ones may stand between them.
    fn take(&mut self, in_flight: BTreeSet<StepPath>, most: usize) -> Result<bool, Divergence> {
        let Some(seq) = self.left.front().map(|event| event.seq) else { return Ok(false) };
        let mut known = BTreeSet::new();
        let mut at = 0;
        for _ in 0..self.together() {
            if known.len() == most {
                break;
            }
            // A second answer of a step is that to another attempt.
            let answer = self.left.get(at).copied().filter(|event| {
                answered_step(&event.body).is_some_and(|step| in_flight.contains(step) && known.insert(step.clone()))
            });
            match answer {
                Some(event) => {
                    self.left.remove(at);
                    self.apply(event)?;
                    self.answered.insert(event.seq);
                }
                None => at += 1,
            }
        }
        let count = known.len();
        self.taken = Some(Taken { seq, in_flight, count });
        Ok(count > 0)
    }

    /// How many events can have been decided on together: those of one time that nothing came between.
    fn together(&self) -> usize {
        let time = self.left.front().map(|event| event.ts);
        self.left.iter().take_while(|event| Some(event.ts) == time && !from_outside(&event.body)).count()
    }

    /// Takes an event as it is, at whatever place it comes.
    fn apply(&mut self, event: &Event) -> Result<(), Divergence> {
        let seq = self.machine.facts().next_seq;
        Ok(self.machine.apply_recorded(&Event { seq, ..event.clone() })?)
    }
}

/// What looks ahead had found is in the request that followed; one that asked nobody had found nothing to ask.
fn look_ahead(machine: &mut Machine, looks: &[StepPath], next: &Body) {
    for step in looks {
        let seen = match next {
            Body::ApprovalRequested(request) if request.step == *step => {
                machine.single_operator(request.single);
                let found = |change: &Change| Found {
                    change: change.clone(),
                    needs: request.needs.clone(),
                    policy: request.policy,
                };
                Previewed {
                    found: request.changes.iter().map(found).collect(),
                    complete: request.complete,
                    open: Vec::new(),
                }
            }
            Body::ApprovalRequested(_) => continue,
            _ => Previewed::default(),
        };
        machine.previewed(step, seen);
    }
}

/// The number of events before event `seq`.
fn kept(seq: u64) -> usize {
    usize::try_from(seq).unwrap_or(usize::MAX)
}

/// The step that an answer of the world is about: the end of an attempt, or a look that was not enough.
fn answered_step(body: &Body) -> Option<&StepPath> {
    match body {
        Body::StepFinished(finished) => Some(&finished.step),
        Body::StepObserved { step, .. } => Some(step),
        _ => None,
    }
}

/// Events that no decision makes: people, other drivers, storage.
fn from_outside(body: &Body) -> bool {
    match body {
        Body::RunCancelled { .. } | Body::AskAnswered { .. } | Body::OutcomeSet { .. } | Body::RunResumed { .. } => {
            true
        }
        Body::RunTaken { .. } => true,
        Body::RunPaused { .. } | Body::Evidence { .. } | Body::HoldOn(_) | Body::HoldOff { .. } => true,
        Body::UndoStarted(undo) => undo.by.is_none(),
        Body::ConcurrencyWaiting { .. } | Body::ConcurrencyBusy { .. } | Body::ConcurrencyClaimed { .. } => true,
        Body::ApprovalGiven { .. } | Body::ApprovalRejected { .. } => true,
        Body::Note { actor, step, .. } => actor.is_some() || step.is_none(),
        _ => false,
    }
}

/// What must be equal: everything but durations and the store's link.
fn without_times(body: &Body) -> String {
    let mut body = body.clone();
    match &mut body {
        Body::RunStarted(started) => started.store = None,
        Body::StepFinished(finished) => Arc::make_mut(finished).ms = 0,
        // Counted from the moment of the decision, which may be a millisecond before that of the event.
        Body::AskAsked { expires, .. } => *expires = None,
        Body::ApprovalRequested(request) => request.expires = Timestamp::UNIX_EPOCH,
        _ => {}
    }
    serde_json::to_string(&body).unwrap_or_default()
}

impl Likeness {
    /// What is compared of an event.
    fn of(self, body: &Body) -> String {
        if self == Likeness::Exact {
            return without_times(body);
        }
        let mut body = body.clone();
        match &mut body {
            Body::RunStarted(started) => {
                let RunStarted { inputs, vars, .. } = &**started;
                return serde_json::to_string(&(inputs, vars)).unwrap_or_default();
            }
            Body::StepStarted(started) => {
                let started = Arc::make_mut(started);
                started.name = None;
                started.given = None;
                started.why = Map::new();
            }
            Body::StepSkipped { condition, values, .. } => {
                condition.clear();
                *values = Map::new();
            }
            Body::StepFinished(finished) => {
                if let Some(error) = &mut Arc::make_mut(finished).error {
                    error.picture.clear();
                    error.values = Map::new();
                }
            }
            _ => {}
        }
        without_times(&body)
    }
}

fn different(recorded: &Event, decided: Option<&Body>) -> Divergence {
    let (recorded, seq) = (Box::new(recorded.body.clone()), recorded.seq);
    Divergence::Different { seq, recorded, decided: decided.cloned().map(Box::new) }
}
