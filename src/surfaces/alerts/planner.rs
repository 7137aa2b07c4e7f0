//! Makes the plans of proposals, one after another: each looks at the world, which takes its time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::runs::{Caller, Foreground, Runs, RunsError};
use crate::surfaces::alerts::proposals::{self, Fate, Plan, Proposal};
use crate::surfaces::cli::operator;
use crate::surfaces::http::{Job, Server};
use crate::surfaces::shapes::plan::of_plan;
use crate::transcript;

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
    let wanted = proposals::all(&runs)?
        .into_iter()
        .filter(|proposal| proposal.plan == Plan::Wanted && proposal.fate == Fate::Open);
    for proposal in wanted {
        if server.is_leaving() {
            return Ok(());
        }
        let plan = match plan(&runs, &proposal) {
            Ok(plan) => Plan::Made { at: Timestamp::now(), plan },
            Err(error) => Plan::Failed { why: runs.redactor().redact(&error.message).into_owned() },
        };
        proposals::planned(&runs, proposal.run, plan)?;
    }
    Ok(())
}

fn plan(runs: &Runs, proposal: &Proposal) -> Result<serde_json::Value, RunsError> {
    let prepared = runs.prepare_wanted(&proposal.wanted(), proposal.reason.clone())?;
    let actor = runs.identify(&Caller {
        os_users: operator::os_users(),
        via: "planner".to_owned(),
        claims: None,
        token_file: None,
        bearer: None,
        vouched: proposal.acts_as.clone(),
    })?;
    let rehearsed = runs.rehearse(&prepared, Foreground::unheard(actor))?;
    let plan = transcript::Plan::of(&rehearsed.events, &rehearsed.facts, &rehearsed.program);
    let text = of_plan(&plan, &rehearsed).to_string();
    Ok(serde_json::from_str(&runs.redactor().redact(&text)).unwrap_or(serde_json::Value::Null))
}
