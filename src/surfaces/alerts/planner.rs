//! Makes the plans of proposals, one after another: each looks at the world, which takes its time. Also sees which of them
//! have become runs without anybody having said so: a kill may come in between.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value as Json;

use crate::runs::{Foreground, Runs, RunsError};
use crate::surfaces::alerts::begin::caller;
use crate::surfaces::alerts::proposals::{self, Plan, Planned, Proposal};
use crate::surfaces::http::{Job, Server};
use crate::surfaces::shapes::lines::of_lines;
use crate::surfaces::shapes::plan::{Telling, Told};
use crate::transcript::Marks;

/// How often is looked for proposals, at most: every commit of the store wakes this job.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long it waits if nothing wakes it.
const WAIT: Duration = Duration::from_secs(60);

/// Makes the plans of proposals.
pub struct Planner;

impl Job for Planner {
    fn name(&self) -> &'static str {
        "planner"
    }

    fn run(&self, server: &Arc<Server>) {
        let mut seen = 0;
        loop {
            let looked = Instant::now();
            if let Err(error) = look(server) {
                tracing::warn!(%error, "proposals can't be planned");
            }
            if !server.beat.wait(&mut seen, WAIT) {
                return;
            }
            while looked.elapsed() < LOOK_EVERY {
                if !server.beat.wait(&mut seen, LOOK_EVERY.saturating_sub(looked.elapsed())) {
                    return;
                }
            }
        }
    }
}

fn look(server: &Arc<Server>) -> Result<(), RunsError> {
    let Ok(runs) = server.door() else { return Ok(()) };
    for proposal in proposals::open(&runs)? {
        if server.is_leaving() {
            return Ok(());
        }
        if let Some(row) = runs.existing(proposal.run)? {
            proposals::started(&runs, proposal.run, &row.actor.id, row.started_at, None)?;
        } else if proposal.plan == Plan::Wanted {
            let planned = plan(&runs, &proposal).map_err(|error| runs.redactor().redact(&error.message).into_owned());
            proposals::planned(&runs, &proposal, planned, Timestamp::now())?;
            // Those who show it are told.
            server.beat.tick();
        }
    }
    Ok(())
}

fn plan(runs: &Runs, proposal: &Proposal) -> Result<Planned, RunsError> {
    let prepared = runs.prepare_wanted(&proposal.wanted(), proposal.reason.clone())?;
    let actor = runs.identify(&caller("planner", proposal.acts_as.clone()))?;
    let lasts = SignedDuration::from_hours(proposals::STANDS_HOURS);
    let made = runs.plan_as(proposal.run, &prepared, &proposal.runbook, lasts, Foreground::unheard(actor))?;
    let told = Told::of(&made.rehearsed, Telling { marks: Marks::Unicode, whole: false });
    let clean = |json: &Json| serde_json::from_str(&runs.redactor().redact(&json.to_string())).unwrap_or(Json::Null);
    Ok(Planned {
        json: clean(&told.json),
        lines: clean(&of_lines(&told.lines)),
        reach: clean(&of_lines(&told.reach)),
        saved: made.plan.map(|(_, text)| text).unwrap_or_default(),
    })
}
