//! `rerail undo`: take back what an ended run changed. Rehearses first and shows that plan, asks, then does it.

use clap::Args;
use serde_json::json;

use crate::runbook::spec::Effect;
use crate::runs::Begun;
use crate::surfaces::cli::consent::{Consent, destructive};
use crate::surfaces::cli::error::CliError;
use crate::surfaces::cli::exit::Exit;
use crate::surfaces::cli::foreground;
use crate::surfaces::cli::run::show_plan;
use crate::surfaces::cli::session::Session;
use crate::surfaces::door::Undoing;
use crate::transcript::line::paths;
use crate::transcript::words;

#[derive(Args, Debug)]
pub struct UndoArgs {
    /// The run
    #[arg(value_name = "RUN")]
    run: String,
    /// Only show what would be taken back: reads are real, nothing is changed or recorded
    #[arg(long)]
    dry_run: bool,
    /// With --dry-run: exit 20 if something would be changed
    #[arg(long, requires = "dry_run")]
    detailed_exitcode: bool,
    /// Begin without the question behind the plan
    #[arg(short = 'y', long)]
    yes: bool,
    /// Confirm a destructive undo by naming the target (the runbook, if there is no target)
    #[arg(long, value_name = "NAME")]
    confirm: Option<String>,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

/// Takes a run back.
pub fn undo(session: &Session, args: UndoArgs) -> Result<Exit, CliError> {
    let door = session.door()?;
    let run = door.find(&args.run)?;
    let prepared = door.prepare_undo(&run, args.reason, session.ui.telling())?;
    if prepared.steps.is_empty() {
        return nothing(session, &prepared);
    }
    let told = door.rehearse_undo(&prepared, session.ui.telling())?;
    if args.dry_run {
        show_plan(&session.ui, &told);
        let changes = args.detailed_exitcode && told.changes_something;
        return Ok(if changes { Exit::PLAN_CHANGES } else { Exit::SUCCESS });
    }
    let ui = &session.ui;
    if ui.human() {
        told.lines.iter().for_each(|line| ui.progress(line));
    }
    let actor = door.actor_on(&run)?;
    let consent = consent(session, &prepared, args.yes, args.confirm.as_deref())?;
    if let Some(exit) = consent.refused(ui, "nothing was taken back") {
        return Ok(exit);
    }
    foreground::drive(session, door.as_ref(), actor, |foreground| {
        Ok(Begun::Left(Box::new(door.undo(prepared, foreground)?)))
    })
}

/// There is nothing to take back: either all is taken back, or nothing can be.
fn nothing(session: &Session, prepared: &Undoing) -> Result<Exit, CliError> {
    let name = format!("{}/{}", prepared.run.runbook, prepared.run.run);
    let stays: Vec<_> = prepared.without_undo.iter().chain(&prepared.unknown).cloned().collect();
    if !stays.is_empty() {
        let said = CliError::usage(format!("nothing takes back what {name} changed: {}", paths(&stays)));
        return Err(said.hint("a step says how it is taken back by `undo`; put this right by hand"));
    }
    let ui = &session.ui;
    match ui.human() {
        true => ui.remark(&format!("{name} has nothing left to take back")),
        false => ui.result_json(&json!({ "run": prepared.run.run.short(), "steps": [] })),
    }
    Ok(Exit::SUCCESS)
}

/// As before a run: `--yes` answers the question, and never stands in for a name.
fn consent(session: &Session, prepared: &Undoing, yes: bool, confirm: Option<&str>) -> Result<Consent, CliError> {
    let (run, worst) = (&prepared.run, prepared.worst());
    let place = prepared.place();
    if worst == Effect::Destructive {
        return destructive(session, place, confirm);
    }
    if worst < Effect::Write || yes {
        return Ok(Consent::Given);
    }
    let steps = words::count(prepared.steps.len(), "step");
    if !session.ui.asks {
        return Err(CliError::usage(format!(
            "this takes {steps} of {}/{} back, and nobody can be asked here",
            run.runbook, run.run
        ))
        .hint("look first with --dry-run, then begin with --yes"));
    }
    let at = run.target.as_ref().map(|target| format!(" on {target}")).unwrap_or_default();
    let question = format!("Take {steps} of {}/{} back{at}?", run.runbook, run.run);
    Ok(Consent::asked(&session.ui, &question))
}
