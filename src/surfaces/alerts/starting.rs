//! From a proposal to its run: what was shown is done, once, or nothing.
//!
//! Whoever starts one names the plan that they were shown. It is held against now first, as `rerail apply` does; what is
//! true no longer is planned anew, and shown again.

use std::sync::Arc;

use jiff::Timestamp;

use crate::engine::event::Actor;
use crate::engine::ids::RunId;
use crate::runs::{Began, ErrorKind, Fleet, Foreground, Prepared, PreparedApply, RunRow, Runs, RunsError};
use crate::surfaces::alerts::proposals::{self, Fate, Plan, Proposal};
use crate::surfaces::door::out_of_date;
use crate::transcript::words;

/// What its plan is called in messages: it has no file.
pub const PLAN: &str = "the plan of the proposal";

/// The plan of a proposal as it was shown, ready to be applied; nothing was looked at yet.
///
/// # Errors
/// If the proposal is gone, was dismissed or started, or has another plan by now; [`ErrorKind::Stale`] if what the plan
/// depends on has changed.
pub fn prepare(runs: &Runs, run: RunId, shown: &str) -> Result<PreparedApply, RunsError> {
    let proposal = proposals::find(runs, run)?
        .ok_or_else(|| RunsError::new(ErrorKind::NotFound, "this proposal is over: nobody has started it in a week"))?;
    is_open(&proposal)?;
    match (&proposal.plan, proposal.digest()) {
        (_, Some(digest)) if digest == shown => {}
        (Plan::Failed { why }, _) => return Err(unplanned(why)),
        _ => {
            let said = "what this would do was planned anew since it was shown";
            return Err(RunsError::new(ErrorKind::Stale, said).hint("look at the newest plan, then decide"));
        }
    }
    let planned = proposals::planned_as(runs, &proposal)?.unwrap_or_default();
    if planned.saved.is_empty() {
        return Err(unplanned("its rehearsal came to no good end"));
    }
    runs.prepare_apply(PLAN, &planned.saved, false)
}

fn unplanned(why: &str) -> RunsError {
    RunsError::new(ErrorKind::Usage, format!("there is no plan to start from: {why}"))
        .hint("have it planned again, or start the runbook from its own page")
}

fn is_open(proposal: &Proposal) -> Result<(), RunsError> {
    let over = |by: &str, at: Timestamp, word: &str| {
        Err(RunsError::new(ErrorKind::Usage, format!("{by} has {word} it, at {}", words::clock(at))))
    };
    match &proposal.fate {
        Fate::Open => Ok(()),
        Fate::Started { by, at, .. } => over(by, *at, "started"),
        Fate::Dismissed { by, at } => over(by, *at, "dismissed"),
    }
}

/// Starts a proposal as this person, from the plan that they were shown; `consent` says whether what it may do is meant.
/// Asked twice it is one run, whoever asks and through whichever surface.
///
/// # Errors
/// As [`prepare`], and if this person may not; [`ErrorKind::Stale`] if what would be written has become something else: then
/// it is planned anew.
pub fn begin(
    fleet: &Arc<Fleet>,
    runs: &Arc<Runs>,
    run: RunId,
    shown: &str,
    actor: Actor,
    consent: impl FnOnce(&Prepared) -> Result<(), RunsError>,
) -> Result<RunRow, RunsError> {
    if let Some(row) = there(runs, run)? {
        return Ok(row);
    }
    let apply = prepare(runs, run, shown).or_else(|error| again(runs, run, shown, error))?;
    runs.may_start(&apply.prepared, &actor)?;
    consent(&apply.prepared)?;
    let (_, drift) = runs.rehearse_apply(&apply, Foreground::unheard(actor.clone()))?;
    if !drift.writes.is_empty() {
        return again(runs, run, shown, out_of_date(apply.saved.made_at));
    }
    let by = actor.id.clone();
    let row = match fleet.start(Arc::clone(runs), apply.prepared.called(run), actor)? {
        Began::Attach(row) => *row,
        Began::Run(run) => runs
            .existing(run)?
            .ok_or_else(|| RunsError::new(ErrorKind::Internal, "the run that was started is not in the journal"))?,
    };
    crate::failpoint::hit("proposal.started");
    let instead = (row.run != run).then_some(row.run);
    proposals::started(runs, run, &by, Timestamp::now(), instead)?;
    Ok(row)
}

/// The run that a proposal has become, noted if nobody has.
///
/// # Errors
/// If the journal can't be read.
pub fn there(runs: &Runs, run: RunId) -> Result<Option<RunRow>, RunsError> {
    let Some(row) = runs.existing(run)? else { return Ok(None) };
    proposals::started(runs, run, &row.actor.id, row.started_at, None)?;
    Ok(Some(row))
}

/// Why it can't start; has it planned anew if the plan that it has is out of date.
fn again<T>(runs: &Runs, run: RunId, shown: &str, error: RunsError) -> Result<T, RunsError> {
    let is_newest = proposals::find(runs, run)?.is_some_and(|proposal| proposal.digest() == Some(shown));
    if error.kind != ErrorKind::Stale || !is_newest {
        return Err(error);
    }
    proposals::plan_again(runs, run)?;
    let error = RunsError { hints: Vec::new(), ..error };
    Err(error.hint("nothing was started; a new plan is being made: look at it, then decide"))
}

/// Takes a proposal away from who may start it, as this person.
///
/// # Errors
/// If it was dismissed or started before, or is gone.
pub fn dismiss(runs: &Runs, run: RunId, actor: &Actor) -> Result<(), RunsError> {
    there(runs, run)?;
    let by = if actor.person { actor.id.clone() } else { crate::transcript::line::person(actor) };
    if proposals::dismiss(runs, run, &by, Timestamp::now())? {
        return Ok(());
    }
    match proposals::find(runs, run)? {
        // The same word again changes nothing.
        Some(Proposal { fate: Fate::Dismissed { by: first, .. }, .. }) if first == by => Ok(()),
        Some(proposal) => is_open(&proposal),
        None => Err(RunsError::new(ErrorKind::NotFound, "this proposal is over: nobody has started it in a week")),
    }
}
