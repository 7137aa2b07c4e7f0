//! Taking a run over from whoever drives it: their driver leaves as for a pause, and it goes on here.

use std::sync::Arc;
use std::time::Duration;

use crate::drivers::pinned::unpin;
use crate::drivers::watch::{Control, Foreground};
use crate::engine::event::{Actor, Body, Event};
use crate::engine::facts::Facts;
use crate::engine::ids::StepPath;
use crate::journal::{Busy, Drive, Journal, RunRow};
use crate::runbook::model::Block;
use crate::runs::Runs;
use crate::runs::drive::{Going, Left, holder, may_drive};
use crate::runs::error::{ErrorKind, RunsError};
use crate::runs::look::start_of;
use crate::runs::people::still_open;
use crate::runs::typed::check_optional;

/// The surface of a process that takes up what others left.
pub(super) const SERVER: &str = "serve";

/// How often it is looked whether the run is free: soon enough for eyes, one lock and one row each.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// What somebody should know who takes a run over.
#[derive(Debug)]
pub struct Handover {
    pub facts: Facts,
    /// Who started it or took it up last.
    pub from: Actor,
    /// Whether a process drives it right now.
    pub driven: bool,
    /// The main step that comes next, as far as the text says: an `if` may skip it.
    pub next: Option<StepPath>,
}

impl Runs {
    /// What a run is handed over with.
    ///
    /// # Errors
    /// If it has ended, or its journal is damaged.
    pub fn handover(&self, run: &RunRow) -> Result<Handover, RunsError> {
        still_open(run)?;
        let (events, facts) = self.story(run)?;
        let from = last_driver(&events).cloned().unwrap_or_else(|| run.actor.clone());
        // The text of another version of the engine can't be read here; what is known is still worth saying.
        let next = self.program(run).ok().and_then(|program| next_step(&program.runbook.steps, &facts));
        Ok(Handover { from, next, driven: self.is_driven(run)?, facts })
    }

    /// Whether somebody may take this run over. Says so before the process that drives it is asked to leave.
    ///
    /// # Errors
    /// [`ErrorKind::NotAllowed`] with the way out; if the run or its project can't be read.
    pub fn may_take(&self, run: &RunRow, actor: &Actor) -> Result<(), RunsError> {
        let events = self.store()?.load(run.run)?;
        let started = start_of(&events)?;
        let ground = self.ground_of(started)?;
        let (program, target) = unpin(self.store()?, started, &ground.settings.exec)?;
        may_drive(&ground, &program.effects, &target, actor, None)
    }

    /// Takes a run over: asks the process that drives it to leave, waits until it has, and drives it on. What is
    /// running there ends first. Who walks away while waiting leaves the run paused.
    ///
    /// # Errors
    /// If it has ended meanwhile, the reason holds a secret, or as for [`Runs::resume`].
    pub fn take(&self, run: &RunRow, reason: Option<String>, mut foreground: Foreground) -> Result<Left, RunsError> {
        still_open(run)?;
        self.may_take(run, &foreground.actor)?;
        check_optional(&self.knowing(run), "the reason", reason.as_deref())?;
        let drive = Arc::new(self.wait_for(run, reason.as_deref(), &mut foreground)?);
        let events = self.events(run)?;
        let from = last_driver(&events).cloned().unwrap_or_else(|| run.actor.clone());
        self.go_on(run, drive, Going { decisions: Vec::new(), reason, from: Some(from), behalf: None }, foreground)
    }

    /// Drives a run on that nobody drives, although nobody asks for it: for whoever started it or took it up last, as
    /// long as they may.
    ///
    /// # Errors
    /// As for [`Runs::resume`].
    pub fn carry_on(&self, run: &RunRow, reason: &str, foreground: Foreground) -> Result<Left, RunsError> {
        let drive = Arc::new(self.store()?.acquire(run.run, holder(&foreground.actor))?);
        let events = self.events(run)?;
        let last = drivers(&events).find(|actor| actor.via != SERVER);
        let behalf = Some(last.cloned().unwrap_or_else(|| run.actor.clone()));
        let going = Going { decisions: Vec::new(), reason: Some(reason.to_owned()), from: None, behalf };
        self.go_on(run, drive, going, foreground)
    }

    /// Waits until the run is ours.
    fn wait_for(&self, run: &RunRow, reason: Option<&str>, foreground: &mut Foreground) -> Result<Drive, RunsError> {
        let store = self.store()?;
        let mut asked = false;
        loop {
            match store.acquire(run.run, holder(&foreground.actor)) {
                Ok(drive) => return Ok(drive),
                Err(Busy::Held { .. }) => {}
                Err(Busy::Store(error)) => return Err(error.into()),
            }
            if !asked {
                let reason =
                    reason.map_or_else(|| "takes it over".to_owned(), |reason| format!("takes it over: {reason}"));
                self.send(run, Body::RunPaused { reason, actor: Some(foreground.actor.clone()) })?;
                asked = true;
            }
            match foreground.control.try_recv() {
                Ok(Control::Interrupt) => return Err(walked_away(run, ErrorKind::Interrupted(None))),
                Ok(Control::Leave(parting)) => return Err(walked_away(run, ErrorKind::Interrupted(Some(parting)))),
                Ok(Control::Approve { .. } | Control::Reject { .. } | Control::Answer { .. } | Control::Pause)
                | Err(_) => std::thread::sleep(LOOK_EVERY),
            }
        }
    }
}

fn walked_away(run: &RunRow, kind: ErrorKind) -> RunsError {
    let said = format!("{}/{} was not taken over; it was asked to pause", run.runbook, run.run);
    RunsError::new(kind, said).hint(format!("it goes on with  rerail resume {}", run.run))
}

/// Who started the run or took it up last.
fn last_driver(events: &[Event]) -> Option<&Actor> {
    drivers(events).next()
}

/// Who started the run and took it up, the last one first.
fn drivers(events: &[Event]) -> impl Iterator<Item = &Actor> {
    events.iter().rev().filter_map(|event| match &event.body {
        Body::RunStarted(started) => Some(&started.actor),
        Body::RunResumed { actor, .. } | Body::RunTaken { actor, .. } => Some(actor),
        Body::UndoStarted(undo) => undo.actor.as_ref(),
        _ => None,
    })
}

/// The first of the main steps of which nothing is known yet.
fn next_step(steps: &Block, facts: &Facts) -> Option<StepPath> {
    steps.iter().find_map(|step| {
        let path = StepPath::new(step.id.as_str());
        match step.body.inner() {
            _ if facts.step(&path).is_some_and(|record| record.finished.is_some() || record.skipped.is_some()) => None,
            Some(inner) if step.foreach.is_none() => next_step(inner, facts),
            _ => facts.step(&path).is_none().then_some(path),
        }
    })
}
