//! `rerail plan`: a rehearsal that is written down, to be looked at by others and applied later.

use std::fs::Permissions;
use std::io::Read;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use clap::Args;
use jiff::SignedDuration;
use serde_json::json;

use crate::engine::plan::SavedPlan;
use crate::project::replace;
use crate::runbook::types::parse_duration;
use crate::runs::{Foreground, Made, PLAN_BYTES_MAX, PLAN_LASTS_MAX, Why};
use crate::surfaces::cli::args::Output;
use crate::surfaces::cli::error::CliError;
use crate::surfaces::cli::exit::Exit;
use crate::surfaces::cli::run::{Asked, show_plan, warn};
use crate::surfaces::cli::session::Session;
use crate::surfaces::shapes::plan::of_plan;
use crate::transcript::{Plan, saved};

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

fn lasts(text: &str) -> Result<SignedDuration, String> {
    let lasts = SignedDuration::try_from(parse_duration(text)?).map_err(|error| error.to_string())?;
    match lasts.is_zero() || lasts > PLAN_LASTS_MAX {
        true => Err(format!("expected a time of up to {} days", PLAN_LASTS_MAX.as_hours() / 24)),
        false => Ok(lasts),
    }
}

/// Rehearses a runbook and saves what it found.
pub fn plan(session: &Session, args: PlanArgs) -> Result<Exit, CliError> {
    let ui = &session.ui;
    may_be_written(&args.out)?;
    let runs = session.runs()?;
    let request = args.asked.request()?;
    let prepared = runs.prepare(&request)?;
    warn(session, &prepared);
    let foreground = Foreground::unheard(session.actor(&runs)?);
    let Made { rehearsed, plan: made } = runs.plan(&prepared, &request.runbook, args.expires, foreground)?;
    let plan = Plan::of(&rehearsed.events, &rehearsed.facts, &rehearsed.program);
    let Some((saved_plan, text)) = made else {
        show_plan(ui, &plan, &rehearsed);
        let exit = Exit::of_run(&rehearsed.facts, &Why::Ended);
        let said = CliError::new(exit, "the rehearsal did not come to a good end; no plan was saved");
        return Err(said.hint("a run from here would stop where the rehearsal stopped"));
    };
    write(&args.out, &text)?;
    let shown = args.out.display().to_string();
    match ui.output {
        Output::Human => {
            show_plan(ui, &plan, &rehearsed);
            saved::beside(&saved_plan).iter().for_each(|line| ui.result(line));
            ui.remark(&format!("saved {shown}, good until {:.0}", saved_plan.expires));
            ui.hint(&format!("to do exactly this:  rerail apply {shown}"));
        }
        Output::Json | Output::Yaml | Output::Sarif | Output::Junit => {
            let mut json = of_plan(&plan, &rehearsed);
            if let Some(object) = json.as_object_mut() {
                object.insert("saved".to_owned(), saved_json(&saved_plan, &shown));
            }
            ui.result_json(&json);
        }
        Output::Jsonl => show_plan(ui, &plan, &rehearsed),
    }
    Ok(if args.detailed_exitcode && plan.changes_something() { Exit::PLAN_CHANGES } else { Exit::SUCCESS })
}

fn saved_json(plan: &SavedPlan, file: &str) -> serde_json::Value {
    json!({
        "file": file,
        "made_at": plan.made_at,
        "expires": plan.expires,
        "by": plan.by.id,
        "complete": plan.complete,
        "open": plan.open,
        "if_it_fails": plan.if_it_fails,
        "changes": plan.changes.iter().map(|write| json!({ "step": write.change.step, "digest": write.change.digest })).collect::<Vec<_>>(),
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_lasts_for_some_time_and_not_for_ever() {
        assert_eq!(lasts("90m"), Ok(SignedDuration::from_mins(90)));
        assert_eq!(lasts("720h"), Ok(PLAN_LASTS_MAX));
        for wrong in ["0s", "721h", "tomorrow", "-1h", ""] {
            assert!(lasts(wrong).is_err(), "{wrong}");
        }
    }
}
