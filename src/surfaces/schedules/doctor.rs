//! What a schedule does that says `doctor: true`: looks whether this machine is fit, and tells what is not well.

use std::sync::Arc;

use crate::runs::{Checkup, DOCTOR, Fitness, Placed, Runs, RunsError};
use crate::surfaces::chat::news::{self, What};
use crate::surfaces::http::Server;
use crate::surfaces::schedules::state::Firing;
use crate::transcript::words::count;

/// Looks, and says in a few words what was seen. The room hears of what is not well, the log too; all is counted.
///
/// # Errors
/// If what is to be told can't be put down.
pub(super) fn look(server: &Server, runs: &Arc<Runs>, placed: &Placed, firing: &Firing) -> Result<String, RunsError> {
    let target = runs.wanted(placed, None).map(|wanted| wanted.target);
    let seen = target.and_then(|target| runs.checkup(target.as_deref()));
    let seen = seen.unwrap_or_else(|error| vec![Checkup::new("doctor", Fitness::Broken, error.message)]);
    let of = |fitness: Fitness| seen.iter().filter(move |item| item.fitness == fitness);
    let (broken, doubtful) = (of(Fitness::Broken).count(), of(Fitness::Doubtful).count());
    server.tally.examined(of(Fitness::Well).count(), doubtful, broken);
    let unwell: Vec<&Checkup> = of(Fitness::Broken).chain(of(Fitness::Doubtful)).collect();
    for item in &unwell {
        tracing::warn!(what = %item.what, broken = item.fitness == Fitness::Broken, says = %item.says, "the doctor has found something");
    }
    if unwell.is_empty() {
        return Ok("fit".to_owned());
    }
    let said = match (broken, doubtful) {
        (0, doubtful) => format!("{} doubtful", count(doubtful, "thing")),
        (broken, 0) => format!("{} broken", count(broken, "thing")),
        (broken, doubtful) => format!("{} broken, {doubtful} doubtful", count(broken, "thing")),
    };
    let line = |item: &&Checkup| {
        let sign = if item.fitness == Fitness::Broken { "✗" } else { "!" };
        let hint = item.hint.as_ref().map(|hint| format!(" → {hint}")).unwrap_or_default();
        format!("{sign} {}: {}{hint}", item.what, item.says)
    };
    let what = What::Said { title: format!("{DOCTOR}: {said}"), lines: unwell.iter().map(line).collect() };
    news::announce(runs, firing.run, what, &placed.trigger.tell, DOCTOR, &format!("at {}", firing.at))?;
    crate::failpoint::hit("doctor.announced");
    server.beat.tick();
    Ok(said)
}
