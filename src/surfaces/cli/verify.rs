//! `rerail verify`: whether the journal is what was written, and what was signed.

use std::fs::File;
use std::io::Read;

use clap::Args;
use serde_json::json;

use crate::runs::{Checkpoint, VerifyReport};
use crate::surfaces::cli::checkpoint::of_checkpoint;
use crate::surfaces::cli::error::CliError;
use crate::surfaces::cli::exit::Exit;
use crate::surfaces::cli::session::Session;
use crate::transcript::text::Mark;
use crate::transcript::{Line, Tone, words};

/// Bytes of a text that checkpoints are looked for in: exports and chats, not disks.
const KEPT_BYTES_MAX: u64 = 16 * 1024 * 1024;

#[derive(Args, Debug)]
pub struct VerifyArgs {
    /// One run; everything without it
    #[arg(value_name = "RUN")]
    run: Option<String>,
    /// A signed checkpoint that was kept elsewhere (can be repeated): the line itself, or a file that holds some, `-`
    /// for standard input
    #[arg(long, value_name = "LINE|FILE")]
    checkpoint: Vec<String>,
}

/// Checks the journal.
pub fn verify(session: &Session, args: &VerifyArgs) -> Result<Exit, CliError> {
    let mut kept = Vec::new();
    for given in &args.checkpoint {
        kept.extend(checkpoints(given)?);
    }
    let runs = session.runs()?;
    let run = args.run.as_deref().map(|text| runs.find(text)).transpose()?;
    let report = runs.verify(run.as_ref(), &kept)?;
    match session.ui.human() {
        true => show(session, &report),
        false => session.ui.result_json(&of_report(&report)),
    }
    Ok(if report.is_clean() { Exit::SUCCESS } else { Exit::DAMAGED })
}

/// The checkpoints of one argument.
fn checkpoints(given: &str) -> Result<Vec<Checkpoint>, CliError> {
    let is_line = given.contains(Checkpoint::FORM);
    let (text, named) = match is_line {
        true => (given.to_owned(), "the line given".to_owned()),
        false => (read(given)?, format!("`{given}`")),
    };
    let found = Checkpoint::all_in(&text).map_err(CliError::usage)?;
    if found.is_empty() {
        let said = CliError::usage(format!("{named} holds no signed checkpoint"));
        return Err(said.hint(format!(
            "it is a line that begins with `{}`; give it in quotes, or the name of a file that holds it",
            Checkpoint::FORM
        )));
    }
    Ok(found)
}

fn read(path: &str) -> Result<String, CliError> {
    let mut bytes = Vec::new();
    let read = match path {
        "-" => std::io::stdin().take(KEPT_BYTES_MAX + 1).read_to_end(&mut bytes),
        path => File::open(path).and_then(|file| file.take(KEPT_BYTES_MAX + 1).read_to_end(&mut bytes)),
    };
    read.map_err(|error| CliError { exit: Exit::USAGE, ..CliError::io("reading", path, &error) })?;
    if bytes.len() as u64 > KEPT_BYTES_MAX {
        return Err(CliError::usage(format!("`{path}` has more than {KEPT_BYTES_MAX} bytes: cut the line out of it")));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
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
    for kept in &report.kept {
        for why in &kept.why {
            damage(&format!("checkpoint {} of {}", kept.checkpoint.claim.number, kept.checkpoint.claim.at), why);
        }
    }
    for remark in &report.remarks {
        ui.remark(remark);
    }
    let count = |count: u64, noun: &str| words::count(usize::try_from(count).unwrap_or(usize::MAX), noun);
    let counts = format!(
        "{}, {}, {}, {}",
        count(report.runs, "run"),
        count(report.events, "event"),
        count(report.blobs, "blob"),
        count(report.checkpoints, "signed checkpoint"),
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
    if let Some(key) = &report.key {
        ui.result(&Line::of(Tone::Dim, &format!("key: {key}")));
    }
    for (heading, tone, said) in
        [("proven:", Tone::Good, report.proven()), ("not proven:", Tone::Warn, report.not_proven())]
    {
        if !said.is_empty() {
            ui.result(&Line::of(tone, heading));
        }
        said.iter().for_each(|text| ui.result(&Line::of(Tone::Plain, &format!("  {text}"))));
    }
}

/// What was checked, for programs. Additive only.
pub fn of_report(report: &VerifyReport) -> serde_json::Value {
    let damaged: Vec<_> =
        report.damaged.iter().map(|run| json!({ "number": run.number, "id": run.run, "why": run.why })).collect();
    let kept: Vec<_> = report
        .kept
        .iter()
        .map(|kept| {
            let mut json = of_checkpoint(&kept.checkpoint);
            json["why"] = json!(kept.why);
            json
        })
        .collect();
    json!({
        "clean": report.is_clean(),
        "runs": report.runs,
        "events": report.events,
        "blobs": report.blobs,
        "checkpoints": report.checkpoints,
        "pruned": report.pruned,
        "key": report.key.as_ref().map(ToString::to_string),
        "damaged": damaged,
        "journal": report.store,
        "kept": kept,
        "remarks": report.remarks,
        "head": { "number": report.head.number, "hash": report.head.prev },
        "run_head": report.run_head.as_ref().map(|(seq, hash)| json!({ "seq": seq, "hash": hash.to_string() })),
        "proven": report.proven(),
        "not_proven": report.not_proven(),
    })
}
