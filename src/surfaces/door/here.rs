//! Runs of the journal of this machine, as their door has them.

use std::sync::mpsc::Receiver;

use jiff::SignedDuration;
use serde_json::Value as Json;

use crate::engine::event::{Actor, Event, Hold};
use crate::engine::facts::Facts;
use crate::engine::ids::{RunId, StepPath};
use crate::runs::{
    Begun, Caller, Checkpoint, Checkup, DecideRequest, Delivered, ErrorKind, Followed, Foreground, Handover, LastHold,
    Left, PreparedApply, RunFilter, RunRow, Runs, RunsError, StartRequest, Taken, Waiting, Watcher, Why,
};
use crate::surfaces::cli::exit::Exit;
use crate::surfaces::door::{
    ApplyWay, Applying, Asking, Compared, Door, Myself, PlanFile, Planned, Ready, Saved, Standing, UndoWay, Undoing,
    Wanted, Warnings, Way, elsewhere,
};
use crate::surfaces::shapes::plan::{Telling, Told, before_applying, compared, of_saved};
use crate::surfaces::shapes::story::{self, Format};
use crate::surfaces::shapes::verify::Verified;
use crate::surfaces::shapes::{fitness, run, runbook, runbooks};
use crate::transcript::{Line, Marks, saved};

/// The door of the journal, and who stands before it.
pub struct Here {
    runs: Runs,
    caller: Caller,
}

impl Here {
    /// Runs behind this door, asked by `caller`.
    pub fn new(runs: Runs, caller: Caller) -> Here {
        Here { runs, caller }
    }

    /// The door itself, for what only it can do.
    pub fn runs(&self) -> &Runs {
        &self.runs
    }

    /// Who acts.
    ///
    /// # Errors
    /// As [`Runs::identify`].
    pub fn actor(&self) -> Result<Actor, RunsError> {
        self.runs.identify(&self.caller)
    }

    /// A plan held against now, ready to be shown and applied.
    ///
    /// # Errors
    /// If this person may not start it, or it can't be rehearsed.
    pub fn applying(&self, apply: PreparedApply, telling: Telling) -> Result<Applying, RunsError> {
        let actor = self.actor()?;
        self.runs.may_start(&apply.prepared, &actor)?;
        let (rehearsed, drift) = self.runs.rehearse_apply(&apply, Foreground::unheard(actor))?;
        let told = Told::of(&rehearsed, telling);
        Ok(Applying {
            asking: Asking::of(&apply.prepared),
            made_at: apply.saved.made_at,
            stale: !drift.writes.is_empty(),
            moved: saved::drift_json(&drift),
            drift: saved::drift(&drift, telling.marks),
            lines: before_applying(&apply.saved, &told, &drift, telling.marks),
            way: ApplyWay::Here(Box::new(apply)),
        })
    }
}

impl Door for Here {
    fn myself(&self) -> Result<Myself, RunsError> {
        let single_operator = self.runs.project().settings.people.is_single_operator();
        Ok(Myself { actor: self.actor()?, os_user: self.caller.os_users.first().cloned(), single_operator })
    }

    fn actor_on(&self, run: &RunRow) -> Result<Actor, RunsError> {
        self.runs.identify_for(&self.caller, run)
    }

    fn goes_on(&self) -> bool {
        false
    }

    fn find(&self, text: &str) -> Result<RunRow, RunsError> {
        self.runs.find(text)
    }

    fn list(&self, wanted: &Wanted) -> Result<Vec<RunRow>, RunsError> {
        let Wanted { status, runbook, actor, incident, since, before, limit } = wanted.clone();
        let before = before.map(|text| self.runs.find(&text)).transpose()?.map(|row| row.number);
        self.runs.list(&RunFilter { status, runbook, actor, incident, since, before, limit: Some(limit) })
    }

    fn events(&self, run: &RunRow) -> Result<Vec<Event>, RunsError> {
        self.runs.events(run)
    }

    fn whole(&self, run: &RunRow) -> Result<Json, RunsError> {
        run::whole(&self.runs, run)
    }

    fn standing(&self, run: &RunRow) -> Result<Standing, RunsError> {
        Ok(Standing {
            pending: self.runs.pending(run)?,
            answered: self.runs.answered(run)?,
            driven: self.runs.is_driven(run)?,
            driver: self.runs.holder(run)?.map(|holder| holder.to_string()),
            signed: self.runs.signed(run.run)?.map(|line| line.to_string()),
        })
    }

    fn why(&self, run: &RunRow, step: Option<&str>, marks: Marks) -> Result<Vec<Line>, RunsError> {
        story::why(&self.runs, run, step, marks)
    }

    fn export(&self, run: &RunRow, format: Format) -> Result<String, RunsError> {
        story::export(&self.runs, run, format)
    }

    fn books(&self, words: &[String]) -> Result<(Vec<Json>, bool), RunsError> {
        let rows = runbooks::of_runbooks(&self.runs, words)?;
        let problems = rows.iter().any(|row| row["valid"] == false) || !self.runs.project().unusable().is_empty();
        Ok((rows, problems))
    }

    fn book(&self, name: &str) -> Result<(Json, Vec<Line>), RunsError> {
        let (program, problems) = self.runs.check(name)?;
        match program {
            Some(program) => Ok((runbook::of_program(&program), runbook::lines(&program))),
            None => {
                let said = RunsError::new(ErrorKind::Invalid, format!("runbook `{name}` has problems"));
                Err(RunsError { problems, ..said })
            }
        }
    }

    fn cancel(&self, run: &RunRow, reason: Option<String>) -> Result<Delivered, RunsError> {
        self.runs.cancel(run, &self.actor_on(run)?, reason)
    }

    fn pause(&self, run: &RunRow, reason: Option<String>) -> Result<Delivered, RunsError> {
        self.runs.pause(run, &self.actor_on(run)?, reason)
    }

    fn answer(
        &self,
        run: &RunRow,
        step: Option<&str>,
        typed: &[(String, String)],
    ) -> Result<(StepPath, Delivered), RunsError> {
        self.runs.answer(run, step, typed, &self.actor_on(run)?)
    }

    fn note(&self, run: &RunRow, text: &str) -> Result<(), RunsError> {
        self.runs.note(run, text, &self.actor_on(run)?).map(drop)
    }

    fn approvals(&self) -> Result<Vec<Waiting>, RunsError> {
        self.runs.approvals(&self.caller)
    }

    fn approval(&self, run: &RunRow, step: Option<&str>) -> Result<Waiting, RunsError> {
        self.runs.approval(run, step, &self.caller)
    }

    fn may_approve(&self, waiting: &Waiting) -> Result<(), RunsError> {
        self.runs.may_approve(waiting)
    }

    fn approve(&self, waiting: &Waiting, shown: String, reason: Option<&str>) -> Result<Taken, RunsError> {
        self.runs.approve(waiting, shown, reason)
    }

    fn reject(&self, waiting: &Waiting, reason: &str) -> Result<Taken, RunsError> {
        self.runs.reject(waiting, reason)
    }

    fn hold(&self, reason: &str) -> Result<Option<Hold>, RunsError> {
        self.runs.hold(&self.actor()?, reason)
    }

    fn lift(&self) -> Result<Option<Hold>, RunsError> {
        self.runs.lift(&self.actor()?)
    }

    fn last_hold(&self) -> Result<Option<LastHold>, RunsError> {
        self.runs.last_hold()
    }

    fn prepare(&self, request: &StartRequest) -> Result<Ready, RunsError> {
        let mut prepared = self.runs.prepare(request)?;
        let warnings = Warnings::Problems(std::mem::take(&mut prepared.warnings));
        Ok(Ready { asking: Asking::of(&prepared), warnings, way: Way::Here(Box::new(prepared)) })
    }

    fn may_start(&self, ready: &Ready) -> Result<(), RunsError> {
        match &ready.way {
            Way::Here(prepared) => self.runs.may_start(prepared, &self.actor()?),
            Way::There { .. } => Err(elsewhere()),
        }
    }

    fn rehearse(&self, ready: &Ready, telling: Telling) -> Result<Told, RunsError> {
        match &ready.way {
            Way::Here(prepared) => {
                Ok(Told::of(&self.runs.rehearse(prepared, Foreground::unheard(self.actor()?))?, telling))
            }
            Way::There { .. } => Err(elsewhere()),
        }
    }

    fn start(&self, ready: Ready, foreground: Foreground) -> Result<Begun, RunsError> {
        match ready.way {
            Way::Here(prepared) => self.runs.start(*prepared, foreground),
            Way::There { .. } => Err(elsewhere()),
        }
    }

    fn plan(&self, ready: &Ready, asked: &str, lasts: SignedDuration, telling: Telling) -> Result<Planned, RunsError> {
        let Way::Here(prepared) = &ready.way else { return Err(elsewhere()) };
        let made = self.runs.plan(prepared, asked, lasts, Foreground::unheard(self.actor()?))?;
        let saved = made.plan.map(|(plan, text)| Saved {
            json: of_saved(&plan),
            text,
            beside: saved::beside(&plan),
            expires: plan.expires,
        });
        let exit = Exit::of_run(&made.rehearsed.facts, &Why::Ended);
        Ok(Planned { told: Told::of(&made.rehearsed, telling), exit, saved })
    }

    fn prepare_apply(
        &self,
        plan: PlanFile<'_>,
        reason: Option<String>,
        telling: Telling,
    ) -> Result<Applying, RunsError> {
        let mut apply = self.runs.prepare_apply(plan.shown, plan.text, plan.again)?;
        if reason.is_some() {
            apply.prepared.reason = reason;
        }
        self.applying(apply, telling)
    }

    fn apply(&self, applying: Applying, foreground: Foreground) -> Result<Begun, RunsError> {
        match applying.way {
            ApplyWay::Here(apply) => self.runs.start(apply.prepared, foreground),
            ApplyWay::There(_) => Err(elsewhere()),
        }
    }

    fn compare(&self, plan: PlanFile<'_>, run: &RunRow, marks: Marks) -> Result<Compared, RunsError> {
        let plan = self.runs.read_plan(plan.shown, plan.text)?;
        let facts = self.runs.facts(run)?;
        let drift = saved::against(&plan, &facts, &self.runs.reads_of(&facts)?);
        Ok(Compared {
            equal: drift.writes.is_empty() && drift.reads.is_empty(),
            moved: saved::drift_json(&drift),
            lines: compared(&drift, marks),
        })
    }

    fn verify(&self, run: Option<&RunRow>, kept: &[Checkpoint], marks: Marks) -> Result<Verified, RunsError> {
        Ok(Verified::of(&self.runs.verify(run, kept)?, marks))
    }

    fn checkup(&self, target: Option<&str>) -> Result<Vec<Checkup>, RunsError> {
        fitness::of_machine(&self.runs, target)
    }

    fn resume(
        &self,
        run: &RunRow,
        decisions: Vec<DecideRequest>,
        reason: Option<String>,
        foreground: Foreground,
    ) -> Result<Left, RunsError> {
        self.runs.resume(run, decisions, reason, foreground)
    }

    fn handover(&self, run: &RunRow) -> Result<Handover, RunsError> {
        self.runs.handover(run)
    }

    fn may_take(&self, run: &RunRow) -> Result<(), RunsError> {
        self.runs.may_take(run, &self.actor_on(run)?)
    }

    fn take(&self, run: &RunRow, reason: Option<String>, foreground: Foreground) -> Result<Left, RunsError> {
        self.runs.take(run, reason, foreground)
    }

    fn prepare_undo(&self, run: &RunRow, reason: Option<String>, _: Telling) -> Result<Undoing, RunsError> {
        let prepared = self.runs.prepare_undo(run, reason)?;
        Ok(Undoing {
            run: run.clone(),
            steps: prepared.steps.clone(),
            without_undo: prepared.without_undo.clone(),
            unknown: prepared.unknown.clone(),
            way: UndoWay::Here(Box::new(prepared)),
        })
    }

    fn rehearse_undo(&self, undoing: &Undoing, telling: Telling) -> Result<Told, RunsError> {
        match &undoing.way {
            UndoWay::Here(prepared) => {
                let actor = self.actor_on(&undoing.run)?;
                Ok(Told::of(&self.runs.rehearse_undo(prepared, Foreground::unheard(actor))?, telling))
            }
            UndoWay::There { .. } => Err(elsewhere()),
        }
    }

    fn undo(&self, undoing: Undoing, foreground: Foreground) -> Result<Left, RunsError> {
        match undoing.way {
            UndoWay::Here(prepared) => self.runs.undo(*prepared, foreground),
            UndoWay::There { .. } => Err(elsewhere()),
        }
    }

    fn follow(&self, run: &RunRow, watcher: &mut dyn Watcher, detach: &Receiver<()>) -> Result<Followed, RunsError> {
        self.runs.follow(run, watcher, detach)
    }

    fn left(&self, run: RunId, facts: Facts, why: Why) -> Left {
        self.runs.left(run, facts, why)
    }

    fn facts(&self, run: &RunRow) -> Result<Facts, RunsError> {
        self.runs.facts(run)
    }
}
