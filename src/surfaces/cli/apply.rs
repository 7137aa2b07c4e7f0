//! `rerail apply`: do exactly what a saved plan says, or nothing.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::engine::plan::Drift;
use crate::runs::{Foreground, PreparedApply};
use crate::surfaces::cli::args::Output;
use crate::surfaces::cli::error::CliError;
use crate::surfaces::cli::exit::Exit;
use crate::surfaces::cli::run::{Listing, consent};
use crate::surfaces::cli::session::Session;
use crate::surfaces::cli::{foreground, plan};
use crate::surfaces::door::{Asking, Here};
use crate::surfaces::shapes::plan::Told;
use crate::transcript::saved;

#[derive(Args, Debug)]
pub struct ApplyArgs {
    /// A plan that `rerail plan --out` has saved
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Begin without the question behind the plan
    #[arg(short = 'y', long)]
    yes: bool,
    /// Confirm destructive changes by naming the target (the runbook, if there is no target)
    #[arg(long, value_name = "NAME")]
    confirm: Option<String>,
    /// Also a plan by which a run has changed something already
    #[arg(long)]
    again: bool,
    /// Why, for the record [default: as the plan says]
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

/// Applies a saved plan.
pub fn apply(session: &Session, args: ApplyArgs) -> Result<Exit, CliError> {
    let here = session.here()?;
    let shown = args.file.display().to_string();
    let mut apply = here.runs().prepare_apply(&shown, &plan::read(&args.file)?, args.again)?;
    if args.reason.is_some() {
        apply.prepared.reason = args.reason;
    }
    begin(session, &here, apply, args.yes, args.confirm.as_deref(), "plan again:  rerail plan RUNBOOK … --out FILE")
}

/// Holds a plan against now, shows it, asks, and does it; `again` says how to plan anew what is true no longer.
///
/// # Errors
/// If it can't begin, or what it would write has become something else.
pub fn begin(
    session: &Session,
    here: &Here,
    apply: PreparedApply,
    yes: bool,
    confirm: Option<&str>,
    again: &str,
) -> Result<Exit, CliError> {
    let ui = &session.ui;
    let runs = here.runs();
    let actor = here.actor()?;
    runs.may_start(&apply.prepared, &actor)?;
    let (rehearsed, drift) = runs.rehearse_apply(&apply, Foreground::unheard(actor.clone()))?;
    if !drift.writes.is_empty() {
        return refuse(session, &apply, &drift, again);
    }
    if ui.human() {
        ui.progress(&saved::head(&apply.saved, ui.marks));
        Told::of(&rehearsed, ui.telling()).lines.iter().for_each(|line| ui.progress(line));
        saved::reach(&apply.saved.radius).iter().for_each(|line| ui.progress(line));
        saved::beside(&apply.saved).iter().for_each(|line| ui.progress(line));
        saved::read_otherwise(&drift.reads, ui.marks).iter().for_each(|line| ui.progress(line));
    }
    let consent = consent(session, &Asking::of(&apply.prepared), yes, confirm, Listing::Planned)?;
    if let Some(exit) = consent.refused(ui, "nothing was started") {
        return Ok(exit);
    }
    foreground::drive(session, here, actor, |foreground| runs.start(apply.prepared, foreground))
}

/// The world is not as the plan says: what differs, and the way out.
fn refuse(session: &Session, apply: &PreparedApply, drift: &Drift, again: &str) -> Result<Exit, CliError> {
    let ui = &session.ui;
    match ui.output {
        Output::Human => saved::drift(drift, ui.marks).iter().for_each(|line| ui.result(line)),
        _ => ui.result_json(&json!({ "refused": "stale", "moved": saved::drift_json(drift) })),
    }
    let made = apply.saved.made_at;
    let said = format!("the plan is out of date: since {made:.0} what it would write has become something else");
    Err(CliError::new(Exit::STALE, said).hint(format!("nothing was started; {again}")))
}
