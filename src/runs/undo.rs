//! Taking an ended run back: what that would do, rehearsed first, then done by a driver like any run's.

use std::sync::Arc;

use crate::drivers::clock::now;
use crate::drivers::gate::gated;
use crate::drivers::local::Local;
use crate::drivers::pinned::unpin;
use crate::drivers::rehearsal::rehearse;
use crate::drivers::vault::Vault;
use crate::drivers::watch::Foreground;
use crate::engine::event::{Body, Event};
use crate::engine::facts::{Facts, RunState};
use crate::engine::ids::StepPath;
use crate::engine::machine::{Machine, Signal};
use crate::engine::undo::{Due, due};
use crate::journal::{Journal as _, RunRow};
use crate::runbook::effects;
use crate::runbook::locate::undone_by;
use crate::runbook::model::Body as StepBody;
use crate::runbook::program::Program;
use crate::runbook::settings::Target;
use crate::runbook::spec::Effect;
use crate::runs::Runs;
use crate::runs::drive::{Left, Rehearsed, holder, may_drive, on_engine_thread, on_event_loop, sandbox, shown_anyway};
use crate::runs::error::{ErrorKind, RunsError};
use crate::runs::ground::Ground;
use crate::runs::look::start_of;
use crate::runs::start::Change;
use crate::runs::traced::traced;
use crate::runs::typed::check_optional;

/// What taking a run back would do. Nothing has happened yet.
#[derive(Debug)]
pub struct PreparedUndo {
    pub run: RunRow,
    /// What is taken back, in this order, with the greatest effect its `undo` can have.
    pub steps: Vec<Change>,
    /// Changes that nothing takes back.
    pub without_undo: Vec<StepPath>,
    /// Writes a person passed over, of which nobody knows whether they happened.
    pub unknown: Vec<StepPath>,
    reason: Option<String>,
    due: Due,
}

impl PreparedUndo {
    /// The greatest effect of all of them.
    pub fn worst(&self) -> Effect {
        self.steps.iter().map(|step| step.effect).max().unwrap_or(Effect::Pure)
    }
}

/// A run as it is taken up for this.
struct Ended {
    events: Vec<Event>,
    facts: Facts,
    ground: Ground,
    program: Arc<Program>,
    target: Target,
}

impl Runs {
    /// Says what taking a run back would do. No side effect.
    ///
    /// # Errors
    /// If the run has not ended, or is being taken back already.
    pub fn prepare_undo(&self, run: &RunRow, reason: Option<String>) -> Result<PreparedUndo, RunsError> {
        let Ended { facts, program, .. } = self.ended(run)?;
        let due = due(&program, &facts, &StepPath::root());
        let steps = due.steps.iter().map(|step| change(&program, step)).collect();
        let Due { without_undo, unknown, .. } = due.clone();
        Ok(PreparedUndo { run: run.clone(), steps, without_undo, unknown, reason, due })
    }

    /// Rehearses it: real looks, planned writes, nothing recorded. The events are those of the rehearsal alone.
    ///
    /// # Errors
    /// If it can't begin.
    pub fn rehearse_undo(&self, prepared: &PreparedUndo, mut foreground: Foreground) -> Result<Rehearsed, RunsError> {
        let Ended { events, ground, program, target, .. } = self.ended(&prepared.run)?;
        let redactor = self.redactor.clone();
        let vault = self.vault(&prepared.run, &program, &events)?;
        let world = self.world(&program, &target, &ground, None, &vault)?;
        let sandbox = sandbox(&program)?;
        let actor = foreground.actor.clone();
        on_engine_thread(move || {
            let machine = Machine::load(Arc::clone(&program), sandbox, &events).map_err(damaged)?;
            let mut machine = machine.as_rehearsal();
            machine.signal(Signal::Undo { actor, reason: None, fence: 0 }, now());
            let (events, machine) = on_event_loop(rehearse(machine, world, redactor, &vault, &mut foreground))?;
            let (facts, found) = (machine.facts().clone(), machine.found());
            Ok(Rehearsed { events, facts, found, program })
        })
    }

    /// Takes a run back and drives that until it ends or waits for people.
    ///
    /// # Errors
    /// If it can't begin: somebody drives the run, it is no longer as it was shown, its group is held by another
    /// run, or its project is gone.
    pub fn undo(&self, prepared: PreparedUndo, foreground: Foreground) -> Result<Left, RunsError> {
        let store = self.store()?;
        let run = prepared.run.run;
        let drive = Arc::new(store.acquire(run, holder(&foreground.actor))?);
        let Ended { events, facts, ground, program, target } = self.ended(&prepared.run)?;
        may_drive(&ground, &[prepared.worst()], &target, &foreground.actor, None)?;
        let (roster, single) = (ground.roster(), ground.settings.people.is_single_operator());
        if due(&program, &facts, &StepPath::root()) != prepared.due {
            let said = "what there is to take back is not what was shown: somebody was there in between";
            return Err(RunsError::new(ErrorKind::Busy, said).hint("look again:  rerail undo RUN --dry-run"));
        }
        self.enter_again(&drive, &facts)?;
        let redactor = self.redactor.clone();
        let vault = self.vault(&prepared.run, &program, &events)?;
        let world = self.world(&program, &target, &ground, Some(self.blobs()), &vault)?;
        check_optional(&redactor, "the reason", prepared.reason.as_deref())?;
        let sandbox = sandbox(&program)?;
        let parent = start_of(&events)?.traceparent.as_ref();
        let (world, foreground) = traced(run, parent, &redactor, &events, world, foreground);
        on_engine_thread(move || {
            let mut machine = Machine::load(program, sandbox, &events).map_err(damaged)?;
            machine.single_operator(single);
            let (actor, reason) = (foreground.actor.clone(), prepared.reason);
            machine.signal(Signal::Undo { actor, reason, fence: drive.fence() }, now());
            let world = gated(&world, &drive);
            let local = Local { store, drive: &drive, world, redactor, vault, foreground, roster };
            let (facts, why) = on_event_loop(local.run(machine, Vec::new()))?;
            Ok(self.left(run, facts, why))
        })
    }

    /// The sealed values of a run, made known again: its undos may send them.
    fn vault(&self, run: &RunRow, program: &Program, events: &[Event]) -> Result<Arc<Vault>, RunsError> {
        let open = match events.first().map(|event| &event.body) {
            Some(Body::RunStarted(started)) => shown_anyway(program, &started.inputs, started.target.as_deref()),
            _ => Vec::new(),
        };
        let vault = Arc::new(Vault::of_store(self.store()?, run.run, &self.redactor).beside(open));
        self.recall(&vault, events)?;
        Ok(vault)
    }

    /// A run that can be taken back.
    fn ended(&self, run: &RunRow) -> Result<Ended, RunsError> {
        let store = self.store()?;
        let events = store.load(run.run)?;
        let started = start_of(&events)?;
        let facts = Facts::fold(&events).map_err(damaged)?;
        if facts.finished.is_none() {
            return Err(not_ended(run, &facts));
        }
        let ground = self.ground_of(started)?;
        let (program, target) = unpin(store, started, &ground.settings.exec)?;
        let program = Arc::new(program);
        Ok(Ended { facts, ground, program, target, events })
    }
}

fn damaged(error: impl std::fmt::Display) -> RunsError {
    RunsError::new(ErrorKind::Damaged, error.to_string())
}

/// Why a run can't be taken back yet, and what has to come before.
fn not_ended(run: &RunRow, facts: &Facts) -> RunsError {
    let id = run.run;
    if facts.is_undoing() {
        let said = format!("{}/{id} is being taken back already", run.runbook);
        return RunsError::new(ErrorKind::Usage, said).hint(format!("if nobody drives it:  rerail resume {id}"));
    }
    let said = format!("{}/{id} has not ended: {}", run.runbook, facts.state().word());
    let error = RunsError::new(ErrorKind::Usage, said);
    match facts.state() {
        RunState::InDoubt => error
            .hint(format!("first decide what became of its writes:  rerail show {id}"))
            .hint("a write nobody can decide about is passed over by --skip; its undo runs if it is safe then"),
        _ => error.hint(format!("end it first:  rerail cancel {id} && rerail resume {id}")),
    }
}

/// A step that would be taken back, by what and with which effect.
fn change(program: &Program, owner: &StepPath) -> Change {
    let undo = undone_by(program, owner.as_str()).into_iter().find(|(path, _)| path == owner.as_str());
    let step = undo.map(|(_, undo)| undo.step());
    let action = step.map_or_else(String::new, |step| match &step.body {
        StepBody::Uses { action, .. } => action.value.clone(),
        body => body.key().to_owned(),
    });
    let effect = step.map_or(Effect::Pure, |step| effects::of_step(step, program));
    Change { step: owner.to_string(), action, effect }
}
