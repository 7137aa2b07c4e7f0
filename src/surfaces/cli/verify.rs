//! `rerail verify`: whether the journal is what was written.

use clap::Args;
use serde_json::json;

use crate::runs::VerifyReport;
use crate::surfaces::cli::error::CliError;
use crate::surfaces::cli::exit::Exit;
use crate::surfaces::cli::session::Session;
use crate::transcript::text::Mark;
use crate::transcript::{Line, Tone, words};

#[derive(Args, Debug)]
pub struct VerifyArgs {
    /// One run; everything without it
    #[arg(value_name = "RUN")]
    run: Option<String>,
}

/// Checks the journal.
pub fn verify(session: &Session, args: &VerifyArgs) -> Result<Exit, CliError> {
    let runs = session.runs()?;
    let run = args.run.as_deref().map(|text| runs.find(text)).transpose()?;
    let report = runs.verify(run.as_ref())?;
    match session.ui.human() {
        true => show(session, &report),
        false => session.ui.result_json(&of_report(&report)),
    }
    Ok(if report.is_clean() { Exit::SUCCESS } else { Exit::DAMAGED })
}

fn show(session: &Session, report: &VerifyReport) {
    let ui = &session.ui;
    let damage = |what: &str, why: &str| {
        let line = Line::of(Tone::Bad, ui.marks.sign(Mark::Failed)).add(Tone::Plain, " ");
        ui.result(&line.add(Tone::Strong, what).add(Tone::Plain, &format!(": {why}")));
    };
    for run in &report.damaged {
        for why in &run.why {
            damage(&format!("run {} ({})", run.number, run.run), why);
        }
    }
    for why in &report.store {
        damage("journal", why);
    }
    for remark in &report.remarks {
        ui.remark(remark);
    }
    let counts = format!(
        "{}, {}, {}",
        words::count(usize::try_from(report.runs).unwrap_or(usize::MAX), "run"),
        words::count(usize::try_from(report.events).unwrap_or(usize::MAX), "event"),
        words::count(usize::try_from(report.blobs).unwrap_or(usize::MAX), "blob"),
    );
    if report.is_clean() {
        let line = Line::of(Tone::Good, ui.marks.sign(Mark::Done)).add(Tone::Plain, " ");
        ui.result(&line.add(Tone::Plain, &format!("{counts}: all as they were written")));
    } else {
        ui.result(&Line::of(Tone::Plain, &format!("{counts} checked")));
    }
    if let Some((seq, hash)) = &report.run_head {
        ui.result(&Line::of(Tone::Dim, &format!("head: event {seq}, {hash}")));
    } else {
        ui.result(&Line::of(Tone::Dim, &format!("head: run {}, {}", report.head.number, report.head.prev)));
    }
    ui.remark("keep the head elsewhere: who can write the file can rewrite it whole, and only a kept head shows that");
}

fn of_report(report: &VerifyReport) -> serde_json::Value {
    let damaged: Vec<_> =
        report.damaged.iter().map(|run| json!({ "number": run.number, "id": run.run, "why": run.why })).collect();
    json!({
        "clean": report.is_clean(),
        "runs": report.runs,
        "events": report.events,
        "blobs": report.blobs,
        "damaged": damaged,
        "journal": report.store,
        "remarks": report.remarks,
        "head": { "number": report.head.number, "hash": report.head.prev },
        "run_head": report.run_head.as_ref().map(|(seq, hash)| json!({ "seq": seq, "hash": hash.to_string() })),
    })
}
