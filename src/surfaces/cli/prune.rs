//! `rerail prune`: remove runs that have ended, leaving signed tombstones.

use clap::Args;
use jiff::Timestamp;
use serde_json::{Value as Json, json};

use crate::runs::{Prunable, Pruned, RunRow};
use crate::surfaces::cli::consent::Consent;
use crate::surfaces::cli::error::CliError;
use crate::surfaces::cli::exit::Exit;
use crate::surfaces::cli::session::Session;
use crate::surfaces::shapes::runs::moment;
use crate::surfaces::shapes::verify::of_checkpoint;
use crate::transcript::{Line, Tone, words};

/// Runs that are named before the question: a screen, and the number says the rest.
const NAMED_MAX: usize = 20;

#[derive(Args, Debug)]
pub struct PruneArgs {
    /// Runs that have ended
    #[arg(value_name = "RUN", required_unless_present = "before", conflicts_with = "before")]
    runs: Vec<String>,
    /// All runs that ended before then: a duration such as 365d, or a time such as 2026-01-01
    #[arg(long, value_name = "WHEN")]
    before: Option<String>,
    /// With --before: the newest N ended runs of each runbook stay
    #[arg(long, value_name = "N", requires = "before", default_value_t = 0)]
    keep: usize,
    /// Why, for whoever looks for them later
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Don't ask
    #[arg(short = 'y', long)]
    yes: bool,
}

/// Removes runs after asking.
pub fn prune(session: &Session, args: &PruneArgs) -> Result<Exit, CliError> {
    let runs = session.runs()?;
    let ui = &session.ui;
    let which = match &args.before {
        Some(text) => Prunable::Before {
            at: moment("--before", text, Timestamp::now()).map_err(CliError::usage)?,
            keep: args.keep,
        },
        None => Prunable::These(args.runs.iter().map(|text| runs.find(text)).collect::<Result<_, _>>()?),
    };
    let rows = runs.prunable(&which)?;
    if rows.is_empty() && ui.human() {
        ui.remark("no run that has ended is to be pruned");
    }
    if !rows.is_empty() && !args.yes {
        list(session, &rows);
        let count = words::count(rows.len(), "run");
        if !ui.asks {
            return Err(CliError::usage(format!("{count} would be removed for good, and nobody can be asked here"))
                .hint("export what may be needed, then say --yes"));
        }
        let consent = Consent::asked(ui, &format!("Remove {count} for good?"));
        if let Some(exit) = consent.refused(ui, "nothing was removed") {
            return Ok(exit);
        }
    }
    let pruned = runs.prune(rows, &session.actor(&runs)?, &args.reason)?;
    match ui.human() {
        true => show(session, &pruned),
        false => ui.result_json(&of_pruned(&pruned)),
    }
    // What stayed had its reason; the worst of them says how the shell hears of it.
    Ok(pruned
        .left
        .iter()
        .map(|(_, error)| Exit::of_error(error.kind))
        .max_by_key(|exit| exit.0)
        .unwrap_or(Exit::SUCCESS))
}

fn list(session: &Session, rows: &[RunRow]) {
    for row in rows.iter().take(NAMED_MAX) {
        let name = format!("{}/{}", row.runbook, row.run);
        let ended = row.ended_at.map(words::date_time).unwrap_or_default();
        let line = Line::of(Tone::Plain, "  ").column(Tone::Strong, &name, 30);
        session.ui.progress(&line.column(Tone::Plain, row.status.word(), 12).add(Tone::Dim, &ended));
    }
    if rows.len() > NAMED_MAX {
        session.ui.progress(&Line::of(Tone::Dim, &format!("  and {} more", rows.len() - NAMED_MAX)));
    }
}

fn show(session: &Session, pruned: &Pruned) {
    let ui = &session.ui;
    for (row, error) in &pruned.left {
        ui.warning(&format!("{}/{} stays: {error}", row.runbook, row.run));
    }
    let lines: u64 = pruned.tombstones.iter().map(|tombstone| tombstone.bytes).sum();
    let swept = pruned.swept;
    ui.result(&Line::of(
        Tone::Plain,
        &format!(
            "{} removed; {} freed with {} and {} that nobody names any more",
            words::count(pruned.tombstones.len(), "run"),
            words::count(usize::try_from(lines + swept.bytes).unwrap_or(usize::MAX), "byte"),
            words::count(usize::try_from(swept.blobs).unwrap_or(usize::MAX), "blob"),
            words::count(usize::try_from(swept.files).unwrap_or(usize::MAX), "kept file"),
        ),
    ));
    if let (Some(signed), false) = (&pruned.checkpoint, pruned.tombstones.is_empty()) {
        ui.remark(&signed.to_string());
    }
}

fn of_pruned(pruned: &Pruned) -> Json {
    let left = pruned
        .left
        .iter()
        .map(|(row, error)| json!({ "run": row.run.short(), "id": row.run.uuid(), "why": error.to_string() }));
    json!({
        "pruned": pruned.tombstones,
        "left": left.collect::<Vec<_>>(),
        "freed": { "bytes": pruned.swept.bytes, "blobs": pruned.swept.blobs, "files": pruned.swept.files },
        "checkpoint": pruned.checkpoint.as_ref().map(of_checkpoint),
    })
}
