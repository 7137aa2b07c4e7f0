//! `rerail runs`: runs, newest first.

use clap::Args;
use jiff::Timestamp;

use crate::engine::facts::Record;
use crate::runs::{RunRow, Status};
use crate::surfaces::cli::error::CliError;
use crate::surfaces::cli::exit::Exit;
use crate::surfaces::cli::session::Session;
use crate::surfaces::cli::table;
use crate::surfaces::door::{Door, Wanted};
use crate::surfaces::shapes::runs::{moment, of_row};
use crate::transcript::{Line, Tone, summary, words};

/// Waiting runs that are looked into: each is read whole.
const WAITING_MAX: usize = 20;
/// Runs on one page: a screen or two.
const LIMIT_DEFAULT: u32 = 50;

#[derive(Args, Debug)]
pub struct RunsArgs {
    /// Only runs of this status: running, waiting, paused, in_doubt, stuck, success, failed, rejected, cancelled, undone
    #[arg(long, value_name = "STATUS", value_parser = status)]
    status: Option<Status>,
    /// Only runs of this runbook
    #[arg(long, value_name = "NAME")]
    runbook: Option<String>,
    /// Only runs of this incident
    #[arg(long, value_name = "ID")]
    incident: Option<String>,
    /// Only runs started by me
    #[arg(long)]
    mine: bool,
    /// Only runs started since then: a duration such as 24h, or a time such as 2026-11-21T14:00Z
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = LIMIT_DEFAULT)]
    limit: u32,
    /// Only runs started before this one: the next page
    #[arg(long, value_name = "RUN")]
    before: Option<String>,
}

fn status(word: &str) -> Result<Status, String> {
    Status::from_word(word).ok_or_else(|| {
        let words: Vec<&str> = Status::ALL.iter().map(|status| status.word()).collect();
        format!("expected one of {}", words.join(", "))
    })
}

/// Lists runs.
pub fn runs(session: &Session, args: &RunsArgs) -> Result<Exit, CliError> {
    let ui = &session.ui;
    let door = session.door()?;
    let now = Timestamp::now();
    let wanted = Wanted {
        status: args.status,
        runbook: args.runbook.clone(),
        actor: args.mine.then(|| door.myself()).transpose()?.map(|myself| myself.actor.id),
        incident: args.incident.clone(),
        since: args.since.as_deref().map(|text| moment("--since", text, now)).transpose().map_err(CliError::usage)?,
        before: args.before.clone(),
        limit: args.limit,
    };
    let rows = door.list(&wanted)?;
    if !ui.human() {
        ui.result_rows(rows.iter().map(of_row).collect());
        return Ok(Exit::SUCCESS);
    }
    if rows.is_empty() {
        ui.remark("no runs");
        return Ok(Exit::SUCCESS);
    }
    let heading = ["RUN", "STATUS", "TARGET", "BY", "STARTED", "TOOK", "INCIDENT"];
    table::print(ui, &heading, rows.iter().map(cells).collect());
    for row in rows.iter().filter(|row| row.status == Status::InDoubt) {
        let name = format!("{}/{}", row.runbook, row.run);
        ui.progress(
            &Line::of(Tone::Warn, &format!("{name}: outcome unknown; see "))
                .add(Tone::Strong, &format!("rerail show {}", row.run)),
        );
    }
    for row in rows.iter().filter(|row| row.status == Status::Waiting).take(WAITING_MAX) {
        waits(session, door.as_ref(), row, now)?;
    }
    if rows.len() as u64 >= u64::from(args.limit)
        && let Some(last) = rows.last()
    {
        ui.remark(&format!("older ones: --before {}", last.run));
    }
    Ok(Exit::SUCCESS)
}

/// A run that waits for nobody any more: it only has to be resumed.
fn waits(session: &Session, door: &dyn Door, row: &RunRow, now: Timestamp) -> Result<(), CliError> {
    let answered = door.standing(row)?.answered;
    let facts = door.facts(row)?;
    let late =
        |record: &Record| record.asked.as_ref().and_then(|asked| asked.expires).is_some_and(|expires| expires <= now);
    let why = match facts.questions().find(|(path, record)| answered.contains(path) || late(record)) {
        Some((path, _)) if answered.contains(path) => format!("`{path}` is answered, and not taken up yet; "),
        Some((path, _)) => format!("`{path}` was not answered in time; "),
        None => return Ok(()),
    };
    let line = Line::of(Tone::Warn, &format!("{}/{}: {why}", row.runbook, row.run));
    session.ui.progress(&line.add(Tone::Strong, &format!("rerail resume {}", row.run)));
    Ok(())
}

fn cells(row: &RunRow) -> Vec<String> {
    let took = row.ended_at.map(|ended| words::duration(words::between(row.started_at, ended)));
    vec![
        format!("{}/{}", row.runbook, row.run),
        summary::status_words(row.status.word()).to_owned(),
        row.target.clone().unwrap_or_else(|| "-".to_owned()),
        row.actor.said(),
        words::date_time(row.started_at),
        took.unwrap_or_else(|| "-".to_owned()),
        row.incident.clone().unwrap_or_default(),
    ]
}
