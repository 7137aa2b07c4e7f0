//! What a command does to runs, wherever they are: in the journal of this machine, or with a server.
//!
//! One door for every command, so that none is written twice and both ways say the same.

mod here;
mod plans;

use std::sync::mpsc::Receiver;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value as Json;

use crate::engine::event::{Actor, Event, Hold};
use crate::engine::facts::Facts;
use crate::engine::ids::{RunId, StepPath};
use crate::runbook::problem::{Problem, render};
use crate::runbook::spec::Effect;
use crate::runs::{
    Begun, Change, Checkpoint, Checkup, DecideRequest, Delivered, ErrorKind, Followed, Foreground, Handover, LastHold,
    Left, Prepared, PreparedUndo, RunRow, RunsError, StartRequest, Status, Taken, Waiting, Watcher, Why,
};
use crate::surfaces::shapes::plan::{Telling, Told};
use crate::surfaces::shapes::story::Format;
use crate::surfaces::shapes::verify::Verified;
use crate::transcript::{Line, Marks};

pub use here::Here;
pub(in crate::surfaces) use plans::ApplyWay;
pub use plans::{Applying, Compared, PlanFile, Planned, Saved, out_of_date};

/// Which runs are wanted, newest first.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    pub status: Option<Status>,
    pub runbook: Option<String>,
    /// Who started them.
    pub actor: Option<String>,
    pub incident: Option<String>,
    pub since: Option<Timestamp>,
    /// Only those before this one.
    pub before: Option<String>,
    pub limit: u32,
}

/// Where a run stands beside its events.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// What was said to it and is not taken up yet, one sentence each.
    pub pending: Vec<String>,
    /// Questions and approvals about which somebody has said something already.
    pub answered: Vec<StepPath>,
    pub driven: bool,
    /// Who drives it, or drove it last.
    pub driver: Option<String>,
    /// Its newest signed checkpoint.
    pub signed: Option<String>,
}

/// Who is calling, as the people of the project know them.
#[derive(Clone, Debug)]
pub struct Myself {
    pub actor: Actor,
    pub os_user: Option<String>,
    pub single_operator: bool,
}

/// What a person is asked before something is started.
#[derive(Clone, Debug)]
pub struct Asking {
    pub runbook: String,
    pub target: Option<String>,
    /// Mildest first.
    pub effects: Vec<Effect>,
    pub changes: Vec<Change>,
}

impl Asking {
    /// That of a start that was prepared.
    pub fn of(prepared: &Prepared) -> Asking {
        Asking {
            runbook: prepared.program.runbook.name.clone(),
            target: prepared.target.clone(),
            effects: prepared.effects.clone(),
            changes: prepared.changes.clone(),
        }
    }

    /// The greatest effect of all of them.
    pub fn worst(&self) -> Effect {
        Effect::worst(&self.effects)
    }

    /// What is typed to agree to what destroys something.
    pub fn place(&self) -> &str {
        self.target.as_deref().unwrap_or(&self.runbook)
    }
}

/// A start that was checked whole; nothing has happened yet.
pub struct Ready {
    pub asking: Asking,
    pub(in crate::surfaces) warnings: Warnings,
    pub(in crate::surfaces) way: Way,
}

/// What the check warns of.
pub(in crate::surfaces) enum Warnings {
    Problems(Vec<Problem>),
    /// Drawn elsewhere already.
    Picture(String),
}

/// What taking a run back would do; nothing has happened yet.
pub struct Undoing {
    pub run: RunRow,
    /// What is taken back, in this order.
    pub steps: Vec<Change>,
    /// Changes that nothing takes back.
    pub without_undo: Vec<StepPath>,
    /// Writes of which nobody knows whether they happened.
    pub unknown: Vec<StepPath>,
    pub(in crate::surfaces) way: UndoWay,
}

/// How it is taken back.
pub(in crate::surfaces) enum UndoWay {
    Here(Box<PreparedUndo>),
    /// What was rehearsed when this was asked, and why it is done.
    There {
        told: Box<Told>,
        reason: Option<String>,
    },
}

impl Undoing {
    /// The greatest effect of all of it.
    pub fn worst(&self) -> Effect {
        self.steps.iter().map(|step| step.effect).max().unwrap_or(Effect::Pure)
    }

    /// What is typed to agree to what destroys something.
    pub fn place(&self) -> &str {
        self.run.target.as_deref().unwrap_or(&self.run.runbook)
    }
}

/// How it is started.
pub(in crate::surfaces) enum Way {
    Here(Box<Prepared>),
    /// By this request, and why that would be refused.
    There {
        body: Json,
        refused: Option<RunsError>,
    },
}

impl Ready {
    /// What the check warns of, drawn; nothing if all is well.
    pub fn warnings(&self, colours: bool) -> Option<String> {
        let text = match &self.warnings {
            Warnings::Problems(problems) if problems.is_empty() => String::new(),
            Warnings::Problems(problems) => render(problems, colours),
            Warnings::Picture(picture) => picture.clone(),
        };
        (!text.is_empty()).then_some(text)
    }
}

/// What another door has prepared: no command mixes them.
pub(in crate::surfaces) fn elsewhere() -> RunsError {
    RunsError::new(ErrorKind::Internal, "this was prepared at another door; this is a bug")
}

/// Runs, and what may be done to them. Whoever asks is known to the door.
///
/// Errors are those of the door of the journal: their kinds, words and ways out are the same wherever the runs are.
pub trait Door: Send + Sync {
    /// Who acts.
    fn myself(&self) -> Result<Myself, RunsError>;
    /// Who acts on a run, as the people of its own project know them.
    fn actor_on(&self, run: &RunRow) -> Result<Actor, RunsError>;
    /// Whether runs go on when whoever started them here goes away.
    fn goes_on(&self) -> bool;

    /// The run that a text names.
    fn find(&self, text: &str) -> Result<RunRow, RunsError>;
    /// A page of runs.
    fn list(&self, wanted: &Wanted) -> Result<Vec<RunRow>, RunsError>;
    /// The events of a run.
    fn events(&self, run: &RunRow) -> Result<Vec<Event>, RunsError>;
    /// A run as one plain object.
    fn whole(&self, run: &RunRow) -> Result<Json, RunsError>;
    fn standing(&self, run: &RunRow) -> Result<Standing, RunsError>;
    fn why(&self, run: &RunRow, step: Option<&str>, marks: Marks) -> Result<Vec<Line>, RunsError>;
    fn export(&self, run: &RunRow, format: Format) -> Result<String, RunsError>;
    /// Runbooks with all these words, as plain objects, and whether anything has problems.
    fn books(&self, words: &[String]) -> Result<(Vec<Json>, bool), RunsError>;
    /// One runbook as a plain object and for people.
    fn book(&self, name: &str) -> Result<(Json, Vec<Line>), RunsError>;

    fn cancel(&self, run: &RunRow, reason: Option<String>) -> Result<Delivered, RunsError>;
    fn pause(&self, run: &RunRow, reason: Option<String>) -> Result<Delivered, RunsError>;
    /// Answers a question; gives the one that was meant.
    fn answer(
        &self,
        run: &RunRow,
        step: Option<&str>,
        typed: &[(String, String)],
    ) -> Result<(StepPath, Delivered), RunsError>;
    fn note(&self, run: &RunRow, text: &str) -> Result<(), RunsError>;
    fn approvals(&self) -> Result<Vec<Waiting>, RunsError>;
    fn approval(&self, run: &RunRow, step: Option<&str>) -> Result<Waiting, RunsError>;
    fn may_approve(&self, waiting: &Waiting) -> Result<(), RunsError>;
    /// Says yes to exactly this change; `shown` is what was looked at.
    fn approve(&self, waiting: &Waiting, shown: String, reason: Option<&str>) -> Result<Taken, RunsError>;
    fn reject(&self, waiting: &Waiting, reason: &str) -> Result<Taken, RunsError>;
    /// Puts writes on hold; gives the hold that was on already.
    fn hold(&self, reason: &str) -> Result<Option<Hold>, RunsError>;
    /// Lifts the hold; gives it, if there was one.
    fn lift(&self) -> Result<Option<Hold>, RunsError>;
    fn last_hold(&self) -> Result<Option<LastHold>, RunsError>;

    /// Checks a start whole. No side effect.
    fn prepare(&self, request: &StartRequest) -> Result<Ready, RunsError>;
    fn may_start(&self, ready: &Ready) -> Result<(), RunsError>;
    fn rehearse(&self, ready: &Ready, telling: Telling) -> Result<Told, RunsError>;
    /// Starts it, once somebody has agreed to it, and shows it until it ends, waits, or is left.
    fn start(&self, ready: Ready, foreground: Foreground) -> Result<Begun, RunsError>;
    /// Rehearses a start and writes down what it found; `asked` is the runbook as it was named.
    fn plan(&self, ready: &Ready, asked: &str, lasts: SignedDuration, telling: Telling) -> Result<Planned, RunsError>;
    /// Holds a saved plan against now. No side effect.
    fn prepare_apply(
        &self,
        plan: PlanFile<'_>,
        reason: Option<String>,
        telling: Telling,
    ) -> Result<Applying, RunsError>;
    /// Does exactly what the plan says, once somebody has agreed to it, and shows it.
    fn apply(&self, applying: Applying, foreground: Foreground) -> Result<Begun, RunsError>;
    /// Holds a saved plan against what a run did, whether that applied it or not.
    fn compare(&self, plan: PlanFile<'_>, run: &RunRow, marks: Marks) -> Result<Compared, RunsError>;
    /// Looks whether the machine where runs are driven is fit.
    fn checkup(&self, target: Option<&str>) -> Result<Vec<Checkup>, RunsError>;
    /// Checks the journal of a run, or all of it, also against checkpoints that were kept elsewhere.
    fn verify(&self, run: Option<&RunRow>, kept: &[Checkpoint], marks: Marks) -> Result<Verified, RunsError>;
    /// Takes a run up again, and shows it likewise.
    fn resume(
        &self,
        run: &RunRow,
        decisions: Vec<DecideRequest>,
        reason: Option<String>,
        foreground: Foreground,
    ) -> Result<Left, RunsError>;
    /// What a run is handed over with.
    fn handover(&self, run: &RunRow) -> Result<Handover, RunsError>;
    fn may_take(&self, run: &RunRow) -> Result<(), RunsError>;
    /// Takes a run over from whoever drives it, and shows it.
    fn take(&self, run: &RunRow, reason: Option<String>, foreground: Foreground) -> Result<Left, RunsError>;
    /// Says what taking a run back would do. No side effect.
    fn prepare_undo(&self, run: &RunRow, reason: Option<String>, telling: Telling) -> Result<Undoing, RunsError>;
    fn rehearse_undo(&self, undoing: &Undoing, telling: Telling) -> Result<Told, RunsError>;
    /// Takes a run back, once somebody has agreed to it, and shows it.
    fn undo(&self, undoing: Undoing, foreground: Foreground) -> Result<Left, RunsError>;
    /// Shows a run that is driven elsewhere, until it stands or something comes through `detach`.
    fn follow(&self, run: &RunRow, watcher: &mut dyn Watcher, detach: &Receiver<()>) -> Result<Followed, RunsError>;
    /// A run that was left like this, with what was signed at its end.
    fn left(&self, run: RunId, facts: Facts, why: Why) -> Left;

    /// A run's events and what they add up to.
    fn story(&self, run: &RunRow) -> Result<(Vec<Event>, Facts), RunsError> {
        let events = self.events(run)?;
        let facts = Facts::fold(&events).map_err(|error| RunsError::new(ErrorKind::Damaged, error.to_string()))?;
        Ok((events, facts))
    }

    /// What a run's events add up to.
    fn facts(&self, run: &RunRow) -> Result<Facts, RunsError> {
        Ok(self.story(run)?.1)
    }

    /// The run and the step that `RUN` or `RUN/STEP` name.
    fn find_step(&self, text: &str) -> Result<(RunRow, Option<String>), RunsError> {
        let not_found = match self.find(text) {
            Ok(run) => return Ok((run, None)),
            Err(error) => error,
        };
        let slashes = text.match_indices('/').map(|(at, _)| at);
        for at in slashes.rev() {
            match self.find(&text[..at]) {
                Ok(run) => return Ok((run, Some(text[at + 1..].to_owned()))),
                Err(error) if error.kind == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Err(not_found)
    }
}
