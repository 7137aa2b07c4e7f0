//! The engine as a machine: facts in, decisions out.
//!
//! ```text
//! load(program, events) ─ decide(now) ─> events to record, effects to perform, what to wait for
//!                       ─ complete(…) <─ what an effect came to
//!                       ─ signal(…)   <─ what a person did
//! ```
//! Decisions are taken on the in-memory fold. The driver commits the events before any byte of a
//! write, any prompt and any exit code leaves; if it can't, it drops the machine.

pub mod groups;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::engine::change::Cover;
pub(crate) use crate::engine::env::Env;
use crate::engine::evaluate::Evaluator;
use crate::engine::event::{
    Actor, AppliedPlan, Body, Decision, ENGINE_SEMANTICS, EVENT_VERSION, Event, Hold, Planned, Previous, RunStarted,
    UndoStarted,
};
use crate::engine::facts::{Facts, FoldError};
use crate::engine::ids::StepPath;
use crate::engine::look_ahead::{Looking, Previewed};
use crate::engine::machine::groups::Wanted;
use crate::engine::outcome::{Attempt, Failure, Outcome, RunOutcome};
use crate::engine::overlay::Overlay;
use crate::engine::scope::Scope;
use crate::engine::undo::{Due, due};
use crate::engine::walk::invocation::duration_ms;
use crate::engine::walk::leaf::Leaf;
use crate::engine::walk::run::RunTask;
use crate::engine::walk::undo::UndoTask;
use crate::runbook::approval::Floors;
use crate::runbook::model::Runbook;
use crate::runbook::program::Program;
use crate::runbook::spec::Effect;
use crate::script::sandbox::Sandbox;
use crate::script::value::{Map, Value};

/// Steps of one run: a loop gone wrong must not fill the store.
pub const STEPS_MAX: usize = 10_000;
/// Steps beyond that for `on_failure` and `finally`: a run that hit the limit still cleans up.
pub const STEPS_RESERVE: usize = 1_000;
/// Depth of actions in actions and calls in scripts.
pub const NESTING_MAX: usize = 16;
/// Time of `on_failure`, and again of `finally`: a clean-up that hangs must not hold a run for ever.
pub const AFTERWARDS_BUDGET: Duration = Duration::from_secs(15 * 60);

/// A run in memory.
pub struct Machine {
    program: Arc<Program>,
    sandbox: Arc<Sandbox>,
    facts: Facts,
    task: RunTask,
    /// Takes an ended run back.
    undo: UndoTask,
    /// Effects handed to the driver and not completed, with their attempt.
    in_flight: BTreeMap<StepPath, u32>,
    completions: BTreeMap<StepPath, Completion>,
    /// Open polls with their attempt: a decision about another step must not disturb them.
    polls: BTreeMap<StepPath, (u32, Leaf)>,
    /// Events of signals, waiting for the next decision to be handed out.
    recorded: Vec<Event>,
    holding: Holding,
    /// Whether nobody is configured who could agree to a write, so that the operator may do so alone.
    single_operator: bool,
    /// Looks ahead that an approval needs: asked for, and come to.
    wanted: BTreeSet<StepPath>,
    previews: BTreeMap<StepPath, Previewed>,
    /// What a rehearsal would write; the run itself looks for nothing.
    looking: Option<Looking>,
    /// What planned writes of a rehearsal would leave behind.
    overlay: Overlay,
}

/// Whether writes may start, as the driver has last heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holding {
    On(Hold),
    Off {
        /// Who lifted the last hold.
        by: Option<Actor>,
    },
}

/// What to do now.
#[derive(Debug, Default)]
pub struct Decided {
    /// To be journaled, in this order, before anything else that leaves the process.
    pub events: Vec<Event>,
    /// To be performed; those that change the world only after the commit of `events`.
    pub perform: Vec<Perform>,
    /// Steps to look ahead of, by a rehearsal of [`Machine::look_ahead`]: answered with [`Machine::previewed`].
    pub previews: Vec<StepPath>,
    pub waits: Waits,
}

/// An effect to perform.
#[derive(Clone, Debug, PartialEq)]
pub struct Perform {
    pub step: StepPath,
    pub attempt: u32,
    /// Number of this look, from 1; more than 1 only in a poll.
    pub look: u32,
    /// Whether it is a look of a poll: a rehearsal looks once and says so.
    pub poll: bool,
    pub uses: String,
    pub effect: Effect,
    pub args: Map,
    /// Idempotency key; empty for reads.
    pub key: String,
    pub timeout: Option<Duration>,
    /// Names of sealed outputs that come as plain text all the same.
    pub reveal: Vec<String>,
    /// Rehearsal: a read behind planned writes of what it reads, over which the action around it lays what they leave. What
    /// it sees now is taken as it is.
    pub laid_over: bool,
}

/// Stands for a primitive in [`Perform::uses`]: open the sealed values in `args` that `reveal` names, and give it all
/// back as outputs. What an action gives was sealed by steps inside it, and only the driver can open it.
pub const REVEAL: &str = "reveal";

/// Stands for a primitive as well: seal what is plain or symbolic in the `sealed` of `args`, as if it had been read, and open
/// what `reveal` names. What planned writes leave was never read from anywhere, and the run will read it sealed.
pub const LAY: &str = "lay";
/// The outputs in the `args` of a [`LAY`] that leave an action sealed.
pub const SEALED_PART: &str = "sealed";
/// The others.
pub const OPEN_PART: &str = "open";

/// What an effect came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Completion {
    pub attempt: u32,
    pub result: Attempt,
    /// What a rehearsal says instead of performing.
    pub planned: Option<Planned>,
    /// Of a write that is planned: a place, and all that will stand there, if its primitive can tell.
    pub leaves: Option<(String, Value)>,
    pub ms: u64,
}

impl Completion {
    /// What was performed came to this, in no time worth telling.
    pub fn of(attempt: u32, result: Attempt) -> Completion {
        Completion { attempt, result, planned: None, leaves: None, ms: 0 }
    }
}

/// What a run waits for when nothing can be decided.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Waits {
    /// Effects being performed.
    pub in_flight: usize,
    /// The next timer.
    pub until: Option<Timestamp>,
    /// When the time of something that is being walked is up; not a timer either.
    pub limit: Option<Timestamp>,
    /// When the first open question or approval expires, or is to be called to mind; not a timer, because a run may be
    /// left until then.
    pub expires: Option<Timestamp>,
    pub questions: Vec<StepPath>,
    pub doubts: Vec<StepPath>,
    /// Steps that wait for people to agree.
    pub approvals: Vec<StepPath>,
    pub finished: Option<RunOutcome>,
    /// The hold that keeps a write from starting.
    pub held: Option<Hold>,
    /// Groups that called runbooks need before they begin.
    pub groups: Vec<Wanted>,
    /// Why the run can't go on without a person, beside questions and doubts.
    pub paused: Option<String>,
    /// Steps that somebody looks ahead of.
    pub looks: Vec<StepPath>,
    /// A look ahead has come to the end of its step.
    pub looked_ahead: bool,
}

impl Waits {
    pub(crate) fn timer(&mut self, at: Timestamp) {
        self.until = Some(self.until.map_or(at, |until| until.min(at)));
    }

    pub(crate) fn limit(&mut self, at: Timestamp) {
        self.limit = Some(self.limit.map_or(at, |limit| limit.min(at)));
    }

    pub(crate) fn question(&mut self, step: &StepPath, expires: Option<Timestamp>) {
        self.questions.push(step.clone());
        self.person_until(expires);
    }

    /// An approval that is to be looked at again then.
    pub(crate) fn approval(&mut self, step: &StepPath, until: Timestamp) {
        if !self.approvals.contains(step) {
            self.approvals.push(step.clone());
        }
        self.person_until(Some(until));
    }

    fn person_until(&mut self, until: Option<Timestamp>) {
        self.expires = [self.expires, until].into_iter().flatten().min();
    }

    /// Whether only a person can move the run.
    pub fn only_people(&self) -> bool {
        let moves = self.in_flight > 0 || self.until.is_some() || !self.groups.is_empty();
        let people = !self.questions.is_empty() || !self.doubts.is_empty() || !self.approvals.is_empty();
        people && !moves
    }
}

/// What a person did.
#[derive(Clone, Debug, PartialEq)]
pub enum Signal {
    Cancel {
        actor: Actor,
        reason: Option<String>,
    },
    Answer {
        step: StepPath,
        answer: Value,
        actor: Actor,
        /// When it was given, if not just now.
        at: Option<Timestamp>,
    },
    /// Agrees to what a step asks.
    Approve {
        step: StepPath,
        /// The digest of what the person was shown: see [`crate::engine::event::ApprovalRequested::change`].
        change: String,
        actor: Actor,
        /// When it was given, if not just now.
        at: Option<Timestamp>,
        /// What the person saw, if the surface says so.
        shown: Option<String>,
    },
    Reject {
        step: StepPath,
        change: String,
        actor: Actor,
        reason: String,
    },
    Decide {
        step: StepPath,
        decision: Decision,
        outputs: Map,
        actor: Actor,
        reason: String,
    },
    Note {
        text: String,
        actor: Actor,
    },
    /// Start nothing new. The driver lets what is running end first.
    Pause {
        actor: Actor,
        /// Empty if none was given.
        reason: String,
    },
    Resume {
        actor: Actor,
        reason: Option<String>,
        fence: u64,
    },
    /// Take the ended run back.
    Undo {
        actor: Actor,
        reason: Option<String>,
        fence: u64,
    },
    /// Who resumed it has taken it over.
    Take {
        actor: Actor,
        from: Actor,
        reason: Option<String>,
    },
    /// What an earlier driver saw after it had lost the run.
    Evidence {
        step: StepPath,
        attempt: u32,
        outcome: Outcome,
        outputs: Value,
    },
}

/// What a run is started with; inputs are typed and complete.
#[derive(Clone, Debug)]
pub struct Start {
    pub run: crate::engine::ids::RunId,
    pub inputs: Map,
    pub target: Option<String>,
    /// See [`RunStarted::root`].
    pub root: Option<String>,
    pub files: Vec<crate::engine::event::PinnedFile>,
    /// See [`RunStarted::providers`].
    pub providers: Map,
    pub actor: Actor,
    pub reason: Option<String>,
    pub incident: Option<String>,
    /// See [`RunStarted::fence`].
    pub fence: u64,
    /// See [`RunStarted::group`].
    pub group: Option<String>,
    /// See [`RunStarted::previous`].
    pub previous: Option<Box<Previous>>,
    /// See [`RunStarted::floors`].
    pub floors: Option<Box<Floors>>,
    /// See [`RunStarted::cover`].
    pub cover: Option<Box<Cover>>,
    /// See [`RunStarted::plan`].
    pub plan: Option<Box<AppliedPlan>>,
    /// See [`RunStarted::traceparent`].
    pub traceparent: Option<crate::engine::traceparent::Traceparent>,
    pub rehearsal: bool,
}

impl Machine {
    /// Begins a run: computes `vars` and records `run.started`.
    ///
    /// # Errors
    /// If an expression of `vars` fails.
    pub fn start(
        program: Arc<Program>,
        sandbox: Arc<Sandbox>,
        start: Start,
        now: Timestamp,
    ) -> Result<Machine, Failure> {
        let (started, scope) = before_start(&program, &sandbox, start, now)?;
        let body = Body::RunStarted(Box::new(RunStarted { vars: Arc::unwrap_or_clone(scope.vars), ..started }));
        let event = Event { v: EVENT_VERSION, seq: 0, ts: now, body };
        let mut machine = Machine::new(program, sandbox, Facts::default());
        machine.facts.apply(&event).expect("`run.started` is always a legal first event");
        if machine.facts.started.as_ref().is_some_and(|started| started.rehearsal) {
            machine.looking = Some(Looking::below(StepPath::root()));
        }
        machine.recorded.push(event);
        Ok(machine)
    }

    /// The text that excludes other runs, for a run that would start so; `None` if its runbook excludes nobody.
    /// Computed before it is known which run went before, so `run.previous` is `()` in it.
    ///
    /// # Errors
    /// If an expression fails, or gives no text of 1 to [`GROUP_CHARS_MAX`](groups::GROUP_CHARS_MAX) characters without a
    /// secret.
    pub fn group(
        program: &Program,
        sandbox: &Sandbox,
        start: Start,
        now: Timestamp,
    ) -> Result<Option<String>, Failure> {
        let Some(concurrency) = &program.runbook.concurrency else { return Ok(None) };
        let (started, scope) = before_start(program, sandbox, start, now)?;
        let facts = Facts { started: Some(Box::new(started)), started_at: now, ..Facts::default() };
        groups::text_of(concurrency, &Evaluator { sandbox, facts: &facts, scope: &scope, result: None }).map(Some)
    }

    /// Takes a run up from its events.
    ///
    /// # Errors
    /// If they don't fold.
    pub fn load(program: Arc<Program>, sandbox: Arc<Sandbox>, events: &[Event]) -> Result<Machine, FoldError> {
        let facts = Facts::fold(events)?;
        Ok(Machine::new(program, sandbox, facts))
    }

    fn new(program: Arc<Program>, sandbox: Arc<Sandbox>, facts: Facts) -> Machine {
        let holding = facts.held.clone().map_or(Holding::Off { by: None }, Holding::On);
        Machine {
            program,
            sandbox,
            facts,
            task: RunTask::default(),
            undo: UndoTask::default(),
            in_flight: BTreeMap::new(),
            completions: BTreeMap::new(),
            polls: BTreeMap::new(),
            recorded: Vec::new(),
            holding,
            single_operator: false,
            wanted: BTreeSet::new(),
            previews: BTreeMap::new(),
            looking: None,
            overlay: Overlay::default(),
        }
    }

    /// A machine that looks ahead below a step, from where the run is: for a driver that reads, plans, and can't
    /// write. Nothing that stands elsewhere is performed by it.
    pub fn look_ahead(&self, step: &StepPath) -> Machine {
        let facts = Facts { held: None, ..self.facts.clone() };
        let mut ahead = Machine::new(Arc::clone(&self.program), Arc::clone(&self.sandbox), facts);
        ahead.looking = Some(Looking::below(step.clone()));
        ahead
    }

    /// What a rehearsal found that would be written: in the whole run, or below the step it looks ahead of.
    pub fn found(&self) -> Previewed {
        self.looking.as_ref().map(|looking| looking.come_to(&self.facts)).unwrap_or_default()
    }

    /// What the planned writes of a rehearsal would leave behind, so far.
    pub fn overlay(&self) -> &Overlay {
        &self.overlay
    }

    /// Takes what a look ahead has found; the next [`Machine::decide`] asks people about it. One that nobody waits for
    /// any more is dropped.
    pub fn previewed(&mut self, step: &StepPath, previewed: Previewed) {
        if self.wanted.remove(step) {
            self.previews.insert(step.clone(), previewed);
        }
    }

    /// Says whether the project names nobody who could agree to a write: its operator may then do so alone, unless
    /// the target forbids it.
    pub fn single_operator(&mut self, single: bool) {
        let floors = self.facts.started.as_ref().and_then(|started| started.floors.as_ref());
        self.single_operator = single && floors.is_none_or(|floors| floors.single_operator);
    }

    /// Says whether writes may start from now on; the run notes it when it meets it.
    pub fn hold(&mut self, holding: Holding) {
        self.holding = holding;
    }

    /// The fold of everything recorded and decided so far.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// The same, for keeps: a copy would take as long as a tenth of a run of many steps.
    pub fn into_facts(self) -> Facts {
        self.facts
    }

    /// Says what to do at `now`. Calling it again without news decides nothing new.
    pub fn decide(&mut self, now: Timestamp) -> Decided {
        // Only what is still waited for is worth a look.
        let looked = std::mem::take(&mut self.wanted);
        let mut env = Env {
            program: &self.program,
            sandbox: &self.sandbox,
            facts: &mut self.facts,
            now,
            in_flight: &mut self.in_flight,
            completions: &mut self.completions,
            polls: &mut self.polls,
            decided: Decided { events: std::mem::take(&mut self.recorded), ..Decided::default() },
            maybe: 0,
            afterwards: false,
            amiss: false,
            deadline: None,
            holding: &self.holding,
            guards: Vec::new(),
            texts: Vec::new(),
            single_operator: self.single_operator,
            wanted: &mut self.wanted,
            previews: &mut self.previews,
            inside: usize::from(self.looking.as_ref().is_some_and(|looking| looking.target == StepPath::root())),
            looking: &mut self.looking,
            overlay: &mut self.overlay,
        };
        env.go_on_after_hold();
        match env.facts.finished.is_none() && env.facts.paused.is_none() {
            true if env.facts.is_undoing() => self.undo.advance_run(&mut env),
            true => self.task.advance(&mut env),
            false => {}
        }
        let mut decided = env.decided;
        decided.previews = self.wanted.difference(&looked).cloned().collect();
        decided.waits.in_flight = self.in_flight.len() + self.wanted.len();
        decided.waits.looks = self.wanted.iter().cloned().collect();
        decided.waits.looked_ahead = self.looking.as_ref().is_some_and(|looking| looking.over);
        decided.waits.finished = self.facts.finished.as_ref().map(|end| end.outcome);
        if decided.waits.paused.is_none() {
            decided.waits.paused = self.facts.paused.clone();
        }
        decided
    }

    /// Takes what an effect came to; the next [`Machine::decide`] acts on it. A completion nobody waits
    /// for any more is dropped.
    pub fn complete(&mut self, step: &StepPath, completion: Completion) {
        if self.in_flight.get(step) == Some(&completion.attempt) {
            self.in_flight.remove(step);
            self.completions.insert(step.clone(), completion);
        }
    }

    /// Records what a person did, if it fits the state; otherwise a note says that it came too late.
    pub fn signal(&mut self, signal: Signal, now: Timestamp) {
        let rewalk = matches!(signal, Signal::Decide { .. } | Signal::Resume { .. } | Signal::Undo { .. });
        let (body, too_late) = match signal {
            Signal::Cancel { actor, reason } => (Body::RunCancelled { actor, reason }, "cancel".to_owned()),
            Signal::Answer { step, answer, actor, at } => {
                let what = format!("answer to `{step}`");
                (Body::AskAnswered { step, answer, actor, at }, what)
            }
            Signal::Approve { step, change, actor, at, shown } => {
                let what = format!("approval of `{step}` by {}", actor.id);
                let single = self.single_operator && !actor.person;
                let refused = self.facts.refuses_approval(&step, &change, &actor, at.unwrap_or(now), single);
                let too_late = refused.map_or(what.clone(), |why| format!("{what} does not count: {why}"));
                (Body::ApprovalGiven { step, change, actor, at, shown, single }, too_late)
            }
            Signal::Reject { step, change, actor, reason } => {
                let what = format!("rejection of `{step}` by {}", actor.id);
                let refused = self.facts.refuses_rejection(&step, &change, &actor);
                let too_late = refused.map_or(what.clone(), |why| format!("{what} does not count: {why}"));
                (Body::ApprovalRejected { step, change, actor, reason }, too_late)
            }
            Signal::Decide { step, decision, outputs, actor, reason } => {
                let what = format!("decision on `{step}`");
                (Body::OutcomeSet { step, decision, outputs, actor, reason }, what)
            }
            Signal::Note { text, actor } => (Body::Note { text, actor: Some(actor), step: None }, String::new()),
            Signal::Pause { actor, reason } => (Body::RunPaused { reason, actor: Some(actor) }, "pause".to_owned()),
            Signal::Resume { actor, reason, fence } => (Body::RunResumed { actor, reason, fence }, String::new()),
            Signal::Undo { actor, reason, fence } => {
                let Due { steps, without_undo, unknown } = due(&self.program, &self.facts, &StepPath::root());
                let (actor, fence) = (Some(actor), Some(fence));
                let started = UndoStarted { by: None, actor, reason, fence, steps, without_undo, unknown };
                (Body::UndoStarted(Box::new(started)), "undo".to_owned())
            }
            Signal::Take { actor, from, reason } => (Body::RunTaken { actor, from, reason }, "take-over".to_owned()),
            Signal::Evidence { step, attempt, outcome, outputs } => {
                (Body::Evidence { step, attempt, outcome, outputs }, String::new())
            }
        };
        let mut event = Event { v: EVENT_VERSION, seq: self.facts.next_seq, ts: now, body };
        if self.facts.apply(&event).is_err() {
            let refused = matches!(event.body, Body::ApprovalGiven { .. } | Body::ApprovalRejected { .. });
            let text = if refused { too_late } else { format!("{too_late} came too late and changes nothing") };
            event.body = Body::Note { text, actor: None, step: None };
            if self.facts.apply(&event).is_err() {
                return;
            }
        }
        self.recorded.push(event);
        if rewalk {
            self.walk_anew();
        }
    }

    /// Begins the walk again: facts were taken back, or others decide.
    fn walk_anew(&mut self) {
        (self.task, self.undo) = (RunTask::default(), UndoTask::default());
    }

    /// The same run as a rehearsal from here on, to see what taking it back would do. Nothing of it may be recorded.
    #[must_use]
    pub fn as_rehearsal(mut self) -> Machine {
        if let Some(started) = &mut self.facts.started {
            started.rehearsal = true;
        }
        self
    }

    /// Takes an event as recorded, for replay: what came from the world or from people.
    ///
    /// # Errors
    /// If it doesn't fit.
    pub fn apply_recorded(&mut self, event: &Event) -> Result<(), FoldError> {
        self.facts.apply(event)?;
        match &event.body {
            Body::StepFinished(finished) => drop(self.in_flight.remove(&finished.step)),
            Body::OutcomeSet { .. } | Body::RunResumed { .. } => self.walk_anew(),
            Body::UndoStarted(undo) if undo.by.is_none() => self.walk_anew(),
            Body::HoldOn(hold) => self.holding = Holding::On(hold.clone()),
            Body::HoldOff { actor } => self.holding = Holding::Off { by: actor.clone() },
            _ => {}
        }
        Ok(())
    }

    /// Whether an effect was handed out for this step and has not come back.
    pub fn is_in_flight(&self, step: &StepPath) -> bool {
        self.in_flight.contains_key(step)
    }

    /// Stops deciding until the run is resumed, and says why. For a driver that can't go on.
    pub fn pause(&mut self, reason: String, now: Timestamp) {
        let event = Event {
            v: EVENT_VERSION,
            seq: self.facts.next_seq,
            ts: now,
            body: Body::RunPaused { reason, actor: None },
        };
        if self.facts.apply(&event).is_ok() {
            self.recorded.push(event);
        }
    }
}

/// What a run starts with, and the scope of its first expressions, `vars` included.
fn before_start(
    program: &Program,
    sandbox: &Sandbox,
    start: Start,
    now: Timestamp,
) -> Result<(RunStarted, Scope), Failure> {
    let started = RunStarted {
        semantics: ENGINE_SEMANTICS,
        run: start.run,
        runbook: program.runbook.name.clone(),
        title: program.runbook.title.clone(),
        files: start.files,
        target: start.target,
        root: start.root,
        inputs: start.inputs,
        vars: Map::new(),
        providers: start.providers,
        actor: start.actor,
        reason: start.reason,
        incident: start.incident,
        effects: program.effects.clone(),
        fence: start.fence,
        group: start.group,
        previous: start.previous,
        timeout_ms: None,
        floors: start.floors,
        cover: start.cover,
        plan: start.plan,
        traceparent: start.traceparent,
        rehearsal: start.rehearsal,
        store: None,
    };
    let facts =
        Facts { started: Some(Box::new(started.clone())), started_at: now, fence: started.fence, ..Facts::default() };
    let scope = Scope {
        runbook: Arc::clone(&program.runbook),
        prefix: StepPath::root(),
        inputs: Arc::new(started.inputs.clone()),
        vars: Arc::default(),
        results: Arc::default(),
        failure: None,
        ending: None,
        each: None,
    };
    let vars = compute_vars(sandbox, &facts, scope.clone())?;
    let scope = Scope { vars: Arc::new(vars), ..scope };
    let timeout_ms = Some(run_timeout(sandbox, &facts, &scope)?);
    Ok((RunStarted { timeout_ms, ..started }, scope))
}

/// Computes the `vars` of a scope in order, each seeing those before it.
pub(crate) fn compute_vars(sandbox: &Sandbox, facts: &Facts, mut scope: Scope) -> Result<Map, Failure> {
    let runbook = Arc::clone(&scope.runbook);
    for (name, template) in &runbook.vars {
        let value = Evaluator { sandbox, facts, scope: &scope, result: None }.template(template)?;
        Arc::make_mut(&mut scope.vars).insert(name.value.clone(), value);
    }
    Ok(Arc::unwrap_or_clone(scope.vars))
}

/// The time a run has, in milliseconds.
fn run_timeout(sandbox: &Sandbox, facts: &Facts, scope: &Scope) -> Result<u64, Failure> {
    let evaluator = Evaluator { sandbox, facts, scope, result: None };
    let given = scope.runbook.timeout.as_ref().map(|template| duration_ms(&evaluator, template, "timeout"));
    let default = u64::try_from(Runbook::TIMEOUT_DEFAULT.as_millis()).unwrap_or(u64::MAX);
    Ok(given.transpose()?.flatten().unwrap_or(default))
}
