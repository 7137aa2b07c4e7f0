//! `rerail record`: a run as a test file, with fakes for its secrets.

use std::io::Write as _;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::surfaces::cli::error::CliError;
use crate::surfaces::cli::exit::Exit;
use crate::surfaces::cli::session::Session;

#[derive(Args, Debug)]
pub struct RecordArgs {
    /// The run
    #[arg(value_name = "RUN")]
    run: String,
    /// Write to a new file instead of standard output; `NAME.test.yaml` beside the runbook `NAME.yaml`
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Writes a run as a test file.
pub fn record(session: &Session, args: &RecordArgs) -> Result<Exit, CliError> {
    let ui = &session.ui;
    let runs = session.runs()?;
    let run = runs.find(&args.run)?;
    let recorded = runs.record(&run, |facts, why| Exit::of_run(facts, why).0)?;
    let text = ui.redactor().redact(&recorded.text).into_owned();
    let file = args.out.as_ref().map(|path| path.display().to_string());
    match (&args.out, &file) {
        (Some(path), Some(shown)) => {
            let file = std::fs::OpenOptions::new().write(true).create_new(true).open(path);
            file.and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
                .map_err(|error| CliError::io("writing", shown, &error))?;
            if ui.human() {
                ui.remark(&format!("wrote {shown}"));
                ui.hint(&format!("`rerail test {shown}` runs it"));
            }
        }
        _ if ui.human() => ui.result_text(text.trim_end()),
        _ => {}
    }
    if !ui.human() {
        let text = if file.is_some() { None } else { Some(text) };
        ui.result_json(&json!({ "file": file, "text": text, "tests": recorded.name, "left_out": recorded.left_out }));
    }
    for left_out in &recorded.left_out {
        ui.warning(left_out);
    }
    Ok(Exit::SUCCESS)
}
