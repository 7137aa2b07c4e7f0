//! `rerail triggers`: what starts by itself here, what came of it, and what an alert would start.

use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;
use serde_json::{Value as Json, json};

use crate::runbook::triggers::{Alert, On, State, chosen};
use crate::runs::{Placed, Runs, candidates};
use crate::surfaces::alerts::proposals::{self, Plan, Proposal};
use crate::surfaces::alerts::{Known, alerts_of, known, starting};
use crate::surfaces::cli::apply;
use crate::surfaces::cli::error::CliError;
use crate::surfaces::cli::exit::Exit;
use crate::surfaces::cli::session::Session;
use crate::surfaces::cli::table;
use crate::surfaces::schedules;

/// Alerts that are listed for people; programs get all.
const ALERTS_SHOWN: usize = 30;
/// Bytes of a file with an alert: what a server takes.
const ALERT_BYTES_MAX: u64 = 1024 * 1024;

#[derive(Args, Debug)]
pub struct TriggersArgs {
    /// Say what this message would start, without starting anything: what a sender sends, or one alert
    #[arg(long, value_name = "ALERT.json")]
    test: Option<PathBuf>,
    /// Who would send it: alertmanager, grafana, pagerduty or generic/NAME [default: as it looks]
    #[arg(long, value_name = "SOURCE", requires = "test")]
    source: Option<String>,
    /// Start this proposal: its plan is held against now, shown, and done as it stands, once
    #[arg(long, value_name = "PROPOSAL", conflicts_with = "test")]
    start: Option<String>,
    /// Take this proposal away from who may start it
    #[arg(long, value_name = "PROPOSAL", conflicts_with_all = ["test", "start"])]
    dismiss: Option<String>,
    /// Begin without the question behind the plan
    #[arg(short = 'y', long, requires = "start")]
    yes: bool,
    /// Confirm destructive changes by naming the target (the runbook, if there is no target)
    #[arg(long, value_name = "NAME", requires = "start")]
    confirm: Option<String>,
}

/// Lists triggers and alerts, says what a message would start, or decides about a proposal.
pub fn triggers(session: &Session, args: &TriggersArgs) -> Result<Exit, CliError> {
    match (&args.start, &args.dismiss) {
        (Some(name), _) => return start(session, name, args.yes, args.confirm.as_deref()),
        (None, Some(name)) => return dismiss(session, name),
        (None, None) => {}
    }
    let runs = session.runs()?;
    match &args.test {
        Some(path) => try_out(session, &runs, path, args.source.as_deref()),
        None => list(session, &runs),
    }
}

/// Starts a proposal with the plan that it has now.
fn start(session: &Session, name: &str, yes: bool, confirm: Option<&str>) -> Result<Exit, CliError> {
    let here = session.here()?;
    let runs = here.runs();
    let proposal = proposals::named(runs, name)?;
    if let Some(row) = starting::there(runs, proposal.run)? {
        session.ui.remark(&format!("{} has started it: {}/{}", row.actor.id, row.runbook, row.run));
        session.ui.hint(&format!("look at it:  rerail show {}", row.run));
        return Ok(Exit::SUCCESS);
    }
    let Some(digest) = proposal.digest() else {
        let why = match &proposal.plan {
            Plan::Failed { why } => format!("there is no plan to start from: {why}"),
            _ => "its plan is being made by the server".to_owned(),
        };
        return Err(CliError::new(Exit::STALE, why).hint("look at it:  rerail triggers"));
    };
    let apply = starting::prepare(runs, proposal.run, digest);
    let begun = apply.map_err(CliError::from).and_then(|apply| {
        if session.ui.human() {
            session.ui.remark(&proposal.reason);
        }
        let applying = here.applying(apply, session.ui.telling())?;
        apply::begin(session, &here, applying, yes, confirm, "the server makes a new plan:  rerail triggers")
    });
    // Whatever came of the run, it is there: that is noted by whoever looks next, should this process be killed.
    starting::there(runs, proposal.run)?;
    if begun.as_ref().is_err_and(|error| error.exit == Exit::STALE) {
        proposals::plan_again(runs, proposal.run)?;
    }
    begun
}

fn dismiss(session: &Session, name: &str) -> Result<Exit, CliError> {
    let here = session.here()?;
    let proposal = proposals::named(here.runs(), name)?;
    starting::dismiss(here.runs(), proposal.run, &here.actor()?)?;
    session.ui.remark(&format!("{}/{} is dismissed", proposal.runbook, proposal.run));
    Ok(Exit::SUCCESS)
}

fn list(session: &Session, runs: &Runs) -> Result<Exit, CliError> {
    let ui = &session.ui;
    let now = Timestamp::now();
    let placed = runs.triggers();
    let alerts = known(runs)?;
    let open = proposals::open(runs)?;
    let rows: Vec<Json> = placed.iter().map(|placed| of_trigger(runs, placed, now)).collect::<Result<_, CliError>>()?;
    if !ui.human() {
        let alerts: Vec<Json> = alerts.iter().map(of_alert).collect();
        let open: Vec<Json> = open.iter().map(|open| proposals::whole(runs, open)).collect::<Result<_, _>>()?;
        ui.result_json(&json!({ "triggers": rows, "alerts": alerts, "proposals": open }));
        return Ok(Exit::SUCCESS);
    }
    if placed.is_empty() {
        ui.remark("nothing starts by itself here");
        ui.hint("`triggers` in rerail.yaml or in a runbook of the project; see docs/alerts.md");
    } else {
        let cells = |row: &Json| {
            let text = |key: &str| row[key].as_str().unwrap_or("-").to_owned();
            vec![text("runbook"), text("on"), text("last"), text("next"), text("said")]
        };
        table::print(ui, &["RUNBOOK", "ON", "LAST", "NEXT", "SAID"], rows.iter().map(cells).collect());
    }
    if !alerts.is_empty() {
        ui.result_text("\n");
        let cells = |alert: &Known| {
            let run = alert.done.run().map_or("-".to_owned(), |run| run.short());
            let runbook = alert.runbook.clone().unwrap_or_else(|| "-".to_owned());
            let status = alert.status.word().to_owned();
            vec![alert.name.clone(), alert.source.clone(), status, alert.done.word().to_owned(), runbook, run]
        };
        let heading = ["ALERT", "FROM", "STATUS", "DONE", "RUNBOOK", "RUN"];
        table::print(ui, &heading, alerts.iter().take(ALERTS_SHOWN).map(cells).collect());
        let more = alerts.len().saturating_sub(ALERTS_SHOWN);
        if more > 0 {
            ui.remark(&format!("and {more} more: `-o json` has all of them"));
        }
    }
    if !open.is_empty() {
        ui.result_text("\n");
        let cells = |proposal: &Proposal| {
            let plan = match &proposal.plan {
                Plan::Wanted => "is being made".to_owned(),
                Plan::Made { at, .. } => format!("made at {}", crate::transcript::words::clock(*at)),
                Plan::Failed { .. } => "can't be made".to_owned(),
            };
            let target = proposal.target.clone().unwrap_or_else(|| "-".to_owned());
            let runbook = proposal.runbook.clone();
            vec![
                proposal.run.short(),
                runbook,
                target,
                plan,
                proposal.status.word().to_owned(),
                proposal.reason.clone(),
            ]
        };
        let heading = ["PROPOSAL", "RUNBOOK", "TARGET", "PLAN", "ALERT", "WHY"];
        table::print(ui, &heading, open.iter().take(ALERTS_SHOWN).map(cells).collect());
        ui.hint("rerail triggers --start PROPOSAL shows the plan and asks; --dismiss PROPOSAL takes it away");
    }
    Ok(Exit::SUCCESS)
}

fn of_trigger(runs: &Runs, placed: &Placed, now: Timestamp) -> Result<Json, CliError> {
    let mut row = json!({
        "runbook": placed.runbook,
        "file": placed.source.shown,
        "line": placed.source.line_column(placed.trigger.span.start).0,
        "auto": placed.trigger.auto,
    });
    match &placed.trigger.on {
        On::Alert(labels) => {
            let names: Vec<&str> = labels.0.keys().map(String::as_str).collect();
            row["on"] = json!(format!("alert with {}", names.join(", ")));
        }
        On::Schedule(schedule) => {
            let shown = schedules::shown(runs, placed, schedule, now)?;
            row["on"] = json!(format!("{} ({})", schedule.cron.text(), schedule.time_zone.value));
            row["next"] = json!(shown.next.map(|at| at.to_string()));
            if let Some(state) = shown.state {
                row["last"] = json!(state.last.map(|at| at.to_string()));
                row["run"] = json!(state.run.map(|run| run.short()));
                row["said"] = json!(state.said);
            }
        }
    }
    Ok(row)
}

fn of_alert(alert: &Known) -> Json {
    json!({
        "alert": alert.name,
        "source": alert.source,
        "status": alert.status.word(),
        "labels": alert.labels,
        "starts_at": alert.starts_at,
        "first": alert.first.to_string(),
        "last": alert.last.to_string(),
        "runbook": alert.runbook,
        "done": alert.done.word(),
        "run": alert.done.run().map(|run| run.short()),
    })
}

fn try_out(session: &Session, runs: &Runs, path: &PathBuf, source: Option<&str>) -> Result<Exit, CliError> {
    let ui = &session.ui;
    let shown = path.display().to_string();
    let size = std::fs::metadata(path).map_err(|error| CliError::io("reading", &shown, &error))?.len();
    if size > ALERT_BYTES_MAX {
        return Err(CliError::usage(format!("`{shown}` has {size} bytes, more than {ALERT_BYTES_MAX}")));
    }
    let text = std::fs::read_to_string(path).map_err(|error| CliError::io("reading", &shown, &error))?;
    let alerts = read(runs, &text, source).map_err(|why| {
        CliError::usage(format!("`{shown}`: {why}"))
            .hint("it is what a sender sends, or { \"labels\": {…}, \"annotations\": {…}, \"status\": \"firing\" }")
    })?;
    let rows: Vec<Json> = alerts.iter().map(|alert| would(runs, alert)).collect();
    if !ui.human() {
        ui.result_rows(rows);
        return Ok(Exit::SUCCESS);
    }
    for row in &rows {
        ui.result_text(&format!("{}\n", sentence(row)));
    }
    if rows.is_empty() {
        ui.remark("it says nothing that a trigger could wait for");
    }
    Ok(Exit::SUCCESS)
}

/// What an alert would start, if nothing is known of it.
fn would(runs: &Runs, alert: &Alert) -> Json {
    let mut row = json!({ "alert": alert.name(), "source": alert.source, "status": alert.status.word() });
    let placed = runs.triggers();
    let waiting: Vec<&Placed> = placed.iter().filter(|placed| placed.trigger.labels().is_some()).collect();
    let Some(at) = chosen(&candidates(&waiting), &alert.labels) else {
        row["does"] = json!("nothing: no trigger fits it");
        return row;
    };
    let placed = waiting[at];
    row["runbook"] = json!(placed.runbook);
    row["trigger"] =
        json!(format!("{} line {}", placed.source.shown, placed.source.line_column(placed.trigger.span.start).0));
    let wanted = match runs.wanted(placed, Some(alert)) {
        Ok(wanted) => wanted,
        Err(error) => {
            row["does"] = json!(format!("is refused: {}", error.message));
            return row;
        }
    };
    row["inputs"] = wanted.inputs.iter().map(|(name, value)| (name.clone(), value.to_plain())).collect();
    row["target"] = json!(wanted.target);
    row["incident"] = json!(wanted.incident);
    if alert.status == State::Resolved {
        row["does"] = json!("nothing: it is resolved");
        return row;
    }
    let prepared = match runs.prepare_wanted(&wanted, "a test".to_owned()) {
        Ok(prepared) => prepared,
        Err(error) => {
            row["does"] = json!(format!("is refused: {}", error.message));
            return row;
        }
    };
    let worst = prepared.worst();
    let may = worst <= crate::runbook::spec::Effect::Read
        || (placed.trigger.auto && prepared.auto().is_some_and(|auto| worst <= auto.max_effect));
    row["effect"] = json!(worst.word());
    row["does"] = match may {
        true => json!("starts at once"),
        false => json!(format!("waits for a person: it may {}", worst.word())),
    };
    row
}

fn sentence(row: &Json) -> String {
    let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
    let mut said = format!("{} ({}): ", text("alert"), text("status"));
    if let Some(runbook) = row["runbook"].as_str() {
        said.push_str(&format!("`{runbook}` by {}, ", text("trigger")));
    }
    said.push_str(&text("does"));
    if let Some(inputs) = row["inputs"].as_object().filter(|inputs| !inputs.is_empty()) {
        let given: Vec<String> = inputs.iter().map(|(name, value)| format!("{name}={value}")).collect();
        said.push_str(&format!("; {}", given.join(" ")));
    }
    if let Some(target) = row["target"].as_str() {
        said.push_str(&format!("; target {target}"));
    }
    crate::transcript::escape::terminal(&said)
}

fn read(runs: &Runs, text: &str, source: Option<&str>) -> Result<Vec<Alert>, String> {
    let json: Json = serde_json::from_str(text).map_err(|error| format!("it is no JSON: {error}"))?;
    let looks = match source {
        Some(source) => source,
        None if json["event"]["event_type"].is_string() => "pagerduty",
        None if json["alerts"].is_array() && json["version"] == "1" => "grafana",
        None if json["alerts"].is_array() => "alertmanager",
        None => return one(&json).map(|alert| vec![alert]),
    };
    alerts_of(looks, runs.project().settings.hooks.of(looks), text).map(|told| told.alerts)
}

fn one(json: &Json) -> Result<Alert, String> {
    if !json["labels"].is_object() {
        return Err("it has neither `alerts` nor `labels`".to_owned());
    }
    let group = json!({ "alerts": [{
        "status": json["status"].as_str().unwrap_or("firing"),
        "labels": json["labels"], "annotations": json["annotations"],
        "startsAt": json["starts_at"], "generatorURL": json["url"], "fingerprint": json["fingerprint"],
    }] });
    let told = alerts_of("alertmanager", None, &group.to_string())?;
    told.alerts.into_iter().next().ok_or_else(|| "its `status` is neither firing nor resolved".to_owned())
}
