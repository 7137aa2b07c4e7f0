//! `rerail run`: start a runbook, or rehearse it.

use std::io::Read;

use clap::Args;

use crate::runbook::spec::Effect;
use crate::runs::{Change, StartRequest};
use crate::surfaces::cli::args::Output;
use crate::surfaces::cli::consent::{Consent, destructive};
use crate::surfaces::cli::error::CliError;
use crate::surfaces::cli::exit::Exit;
use crate::surfaces::cli::foreground;
use crate::surfaces::cli::session::Session;
use crate::surfaces::cli::ui::Ui;
use crate::surfaces::door::{Asking, Ready};
use crate::surfaces::shapes::plan::Told;
use crate::transcript::text::Mark;
use crate::transcript::{Line, Tone};

/// Bytes of `--inputs`: values for a runbook, not a data set.
const INPUTS_BYTES_MAX: u64 = 1024 * 1024;

/// What is to be done, and to what: of `run` and `plan`.
#[derive(Args, Debug)]
pub struct Asked {
    /// Runbook by name, or by path if it has a `/` or ends in `.yaml`
    #[arg(value_name = "RUNBOOK")]
    runbook: String,
    /// An input (can be repeated)
    #[arg(short = 'i', long = "input", value_name = "KEY=VALUE", value_parser = pair)]
    input: Vec<(String, String)>,
    /// Inputs from a YAML or JSON file, `-` for standard input
    #[arg(long, value_name = "FILE")]
    inputs: Option<String>,
    /// The target to run against: values, secrets and rules of targets/NAME.yaml
    #[arg(long, value_name = "NAME")]
    target: Option<String>,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// The incident this belongs to, for the record
    #[arg(long, value_name = "ID")]
    incident: Option<String>,
}

impl Asked {
    /// The same as the door takes it.
    ///
    /// # Errors
    /// If the file of inputs can't be read.
    pub fn request(&self) -> Result<StartRequest, CliError> {
        Ok(StartRequest {
            runbook: self.runbook.clone(),
            inputs: self.input.clone(),
            inputs_file: self.inputs.as_ref().map(|path| read_inputs(path)).transpose()?,
            target: self.target.clone(),
            reason: self.reason.clone(),
            incident: self.incident.clone(),
        })
    }
}

#[derive(Args, Debug)]
pub struct RunArgs {
    #[command(flatten)]
    asked: Asked,
    /// Rehearse: reads are real, nothing is changed or recorded
    #[arg(long)]
    dry_run: bool,
    /// With --dry-run: exit 20 if the plan would change something
    #[arg(long, requires = "dry_run")]
    detailed_exitcode: bool,
    /// Start without the question that lists the changes
    #[arg(short = 'y', long)]
    yes: bool,
    /// Confirm destructive changes by naming the target (the runbook, if there is no target)
    #[arg(long, value_name = "NAME")]
    confirm: Option<String>,
}

/// Splits `key=value`.
pub fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected KEY=VALUE".to_owned()),
    }
}

/// Starts or rehearses a runbook.
pub fn run(session: &Session, args: RunArgs) -> Result<Exit, CliError> {
    let door = session.door()?;
    let ready = door.prepare(&args.asked.request()?)?;
    warn(session, &ready);
    if args.dry_run {
        let told = door.rehearse(&ready, session.ui.telling())?;
        show_plan(&session.ui, &told);
        let changes = args.detailed_exitcode && told.changes_something;
        return Ok(if changes { Exit::PLAN_CHANGES } else { Exit::SUCCESS });
    }
    let actor = door.myself()?.actor;
    door.may_start(&ready)?;
    let consent = consent(session, &ready.asking, args.yes, args.confirm.as_deref(), Listing::Shown)?;
    if let Some(exit) = consent.refused(&session.ui, "nothing was started") {
        return Ok(exit);
    }
    foreground::drive(session, door.as_ref(), actor, |foreground| door.start(ready, foreground))
}

fn read_inputs(path: &str) -> Result<(String, String), CliError> {
    let mut text = String::new();
    let read = match path {
        "-" => std::io::stdin().take(INPUTS_BYTES_MAX + 1).read_to_string(&mut text),
        path => std::fs::File::open(path).and_then(|file| file.take(INPUTS_BYTES_MAX + 1).read_to_string(&mut text)),
    };
    let bytes = read.map_err(|error| CliError { exit: Exit::USAGE, ..CliError::io("reading", path, &error) })?;
    if bytes as u64 > INPUTS_BYTES_MAX {
        return Err(CliError::usage(format!("`{path}` has more than {INPUTS_BYTES_MAX} bytes of inputs")));
    }
    Ok((path.to_owned(), text))
}

/// Says what the check warns of.
pub fn warn(session: &Session, ready: &Ready) {
    if let Some(warnings) = ready.warnings(session.ui.colours_progress()) {
        session.ui.progress_text(&warnings);
        session.ui.progress_text("");
    }
}

/// Whether steps that may change something are listed before the question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listing {
    Shown,
    /// A plan, which says more, was shown.
    Planned,
}

/// Asks once, after listing what may be changed; before this nothing has happened.
///
/// # Errors
/// If nobody can be asked.
pub fn consent(
    session: &Session,
    asking: &Asking,
    yes: bool,
    confirm: Option<&str>,
    listing: Listing,
) -> Result<Consent, CliError> {
    let ui = &session.ui;
    let (worst, name, place) = (asking.worst(), &asking.runbook, asking.place());
    if worst >= Effect::Notify && ui.human() && listing == Listing::Shown {
        ui.progress(&Line::of(Tone::Strong, name).add(Tone::Plain, " may do more than look:"));
        for change in &asking.changes {
            ui.progress(&change_line(change, ui.marks));
        }
    }
    if worst == Effect::Destructive {
        return destructive(session, place, confirm);
    }
    if worst < Effect::Write || yes {
        return Ok(Consent::Given);
    }
    if !ui.asks {
        let count = asking.changes.iter().filter(|change| change.effect >= Effect::Write).count();
        let steps = crate::transcript::words::count(count, "step");
        return Err(CliError::usage(format!("`{name}` may change something in {steps}, and nobody can be asked here"))
            .hint("look first with --dry-run, then start it with --yes"));
    }
    let question = match &asking.target {
        Some(target) => format!("Start {name} on {target}?"),
        None => format!("Start {name}?"),
    };
    Ok(Consent::asked(ui, &question))
}

/// A step that may change something.
pub fn change_line(change: &Change, marks: crate::transcript::Marks) -> Line {
    Line::of(Tone::Plain, "  ")
        .add(Tone::Warn, marks.sign(Mark::Changed))
        .add(Tone::Plain, " ")
        .column(Tone::Strong, &change.step, 14)
        .column(Tone::Plain, &change.action, 24)
        .add(Tone::Warn, change.effect.word())
}

/// Shows what was rehearsed, in the form that was asked for.
pub fn show_plan(ui: &Ui, told: &Told) {
    match ui.output {
        Output::Human => told.lines.iter().chain(&told.reach).for_each(|line| ui.result(line)),
        Output::Json | Output::Yaml | Output::Sarif | Output::Junit => ui.result_json(&told.json),
        Output::Jsonl => told.events.iter().for_each(|event| ui.result_text(&format!("{event}\n"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_splits_at_its_first_equals_sign() {
        assert_eq!(pair("a=b=c"), Ok(("a".into(), "b=c".into())));
        assert_eq!(pair("a="), Ok(("a".into(), String::new())));
        assert!(pair("=b").is_err() && pair("a").is_err());
    }
}
