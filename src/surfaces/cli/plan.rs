//! `rerail plan`: a rehearsal that is written down, to be looked at by others and applied later.

use std::fs::Permissions;
use std::io::Read;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use clap::Args;
use jiff::SignedDuration;
use serde_json::json;

use crate::project::replace;
use crate::runs::PLAN_BYTES_MAX;
use crate::surfaces::cli::args::Output;
use crate::surfaces::cli::error::CliError;
use crate::surfaces::cli::exit::Exit;
use crate::surfaces::cli::run::{Asked, show_plan, warn};
use crate::surfaces::cli::session::Session;
use crate::surfaces::door::{Planned, Saved};
use crate::surfaces::shapes::plan::lasts;

#[derive(Args, Debug)]
pub struct PlanArgs {
    #[command(flatten)]
    asked: Asked,
    /// Write the plan to this file; only a plan is replaced
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// How long it may be applied
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = lasts)]
    expires: SignedDuration,
    /// Exit 20 if it would change something
    #[arg(long)]
    detailed_exitcode: bool,
}

/// Rehearses a runbook and saves what it found.
pub fn plan(session: &Session, args: PlanArgs) -> Result<Exit, CliError> {
    let ui = &session.ui;
    may_be_written(&args.out)?;
    let door = session.door()?;
    let request = args.asked.request()?;
    let ready = door.prepare(&request)?;
    warn(session, &ready);
    let Planned { told, exit, saved } = door.plan(&ready, &request.runbook, args.expires, ui.telling())?;
    let Some(Saved { json: mut saved, text, beside, expires }) = saved else {
        show_plan(ui, &told);
        let said = CliError::new(exit, "the rehearsal did not come to a good end; no plan was saved");
        return Err(said.hint("a run from here would stop where the rehearsal stopped"));
    };
    write(&args.out, &text)?;
    let shown = args.out.display().to_string();
    match ui.output {
        Output::Human => {
            show_plan(ui, &told);
            beside.iter().for_each(|line| ui.result(line));
            ui.remark(&format!("saved {shown}, good until {expires:.0}"));
            ui.hint(&format!("to do exactly this:  rerail apply {shown}"));
        }
        Output::Json | Output::Yaml | Output::Sarif | Output::Junit => {
            let mut json = told.json.clone();
            if let Some(object) = json.as_object_mut() {
                saved["file"] = json!(shown);
                object.insert("saved".to_owned(), saved);
            }
            ui.result_json(&json);
        }
        Output::Jsonl => show_plan(ui, &told),
    }
    Ok(if args.detailed_exitcode && told.changes_something { Exit::PLAN_CHANGES } else { Exit::SUCCESS })
}

/// Only what is no file yet, or is a plan, is written over: a slip of the finger must cost nobody their runbook.
fn may_be_written(path: &Path) -> Result<(), CliError> {
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(CliError::io("looking at", &path.display().to_string(), &error)),
        Ok(found) if found.is_file() && is_plan(path) => Ok(()),
        Ok(_) => Err(CliError::usage(format!("`{}` is there and is no plan", path.display()))
            .hint("give another name with --out; only plans are replaced")),
    }
}

/// Whether a file says that it is a plan.
pub fn is_plan(path: &Path) -> bool {
    let mut head = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(64).read_to_end(&mut head));
    read.is_ok() && String::from_utf8_lossy(&head).contains("\"rerail_plan\"")
}

/// Whole or not at all, readable by its owner: what was read for it is in it.
fn write(path: &Path, text: &str) -> Result<(), CliError> {
    replace(path, text.as_bytes(), Permissions::from_mode(0o600))
        .map_err(|error| CliError::io("writing", &path.display().to_string(), &error))
}

/// The text of a plan.
///
/// # Errors
/// If it can't be read, or is larger than a plan can be.
pub fn read(path: &Path) -> Result<String, CliError> {
    let shown = path.display().to_string();
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(PLAN_BYTES_MAX + 1).read_to_end(&mut bytes))
        .map_err(|error| CliError { exit: Exit::USAGE, ..CliError::io("reading", &shown, &error) })?;
    if bytes.len() as u64 > PLAN_BYTES_MAX {
        return Err(CliError::new(Exit::INVALID, format!("`{shown}` has more than {PLAN_BYTES_MAX} bytes: no plan")));
    }
    String::from_utf8(bytes).map_err(|_| CliError::new(Exit::INVALID, format!("`{shown}` is no plan: it is not UTF-8")))
}
