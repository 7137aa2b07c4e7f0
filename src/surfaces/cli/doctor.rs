//! `rerail doctor`: whether this machine is fit to run a runbook, before somebody needs it to be.

use clap::Args;
use serde_json::json;

use crate::engine::event::{ENGINE_SEMANTICS, EVENT_VERSION};
use crate::runs::{Checkup, Fitness, sqlite_version};
use crate::surfaces::cli::error::CliError;
use crate::surfaces::cli::exit::Exit;
use crate::surfaces::cli::session::Session;
use crate::transcript::text::Mark;
use crate::transcript::{Line, Tone};

/// Wide enough for most names of secrets.
const WHAT_WIDTH: usize = 18;

#[derive(Args, Debug)]
pub struct DoctorArgs {
    /// Look at this target too: whether its secrets can be read, never what they are
    #[arg(long, value_name = "NAME")]
    target: Option<String>,
    /// Connect to every host the target names, and say what was seen; nothing is sent
    #[arg(long, requires = "target")]
    online: bool,
}

/// Looks at what a run needs. Nothing is changed; nobody is asked over a network but with `--online`.
pub fn doctor(session: &Session, args: &DoctorArgs) -> Result<Exit, CliError> {
    let ui = &session.ui;
    let mut seen = match session.runs() {
        Ok(runs) => {
            let mut seen = runs.checkup(args.target.as_deref())?;
            if let (true, Some(target)) = (args.online, &args.target) {
                seen.extend(runs.reach(target)?);
            }
            seen
        }
        // Without a project file that can be read there is nothing further to look at.
        Err(error) if !error.problems.is_empty() => {
            vec![Checkup::new("project", Fitness::Broken, error.message).hint("`rerail check` draws the problems")]
        }
        Err(error) => return Err(error),
    };
    seen.push(Checkup::new("terminal", Fitness::Well, ui.abilities()));
    let version = env!("CARGO_PKG_VERSION");
    let says = format!("{version}, events {EVENT_VERSION}, semantics {ENGINE_SEMANTICS}, SQLite {}", sqlite_version());
    seen.push(Checkup::new("rerail", Fitness::Well, says));
    let worst = seen.iter().map(|item| item.fitness).max().unwrap_or(Fitness::Well);
    match ui.human() {
        true => seen.iter().for_each(|item| show(session, item)),
        false => ui.result_json(&json!({
            "fit": worst != Fitness::Broken,
            "checks": seen.iter().map(|item| json!({
                "what": item.what,
                "state": word(item.fitness),
                "says": item.says,
                "hint": item.hint,
            })).collect::<Vec<_>>(),
        })),
    }
    Ok(if worst == Fitness::Broken { Exit::TOOL_FAILED } else { Exit::SUCCESS })
}

/// One line for a thing that was looked at.
pub fn show(session: &Session, item: &Checkup) {
    let ui = &session.ui;
    let mark = match item.fitness {
        Fitness::Well => Mark::Done,
        Fitness::Doubtful => Mark::Warning,
        Fitness::Broken => Mark::Failed,
    };
    let mut line = Line::of(Tone::Plain, "  ")
        .add(mark.tone(), ui.marks.sign(mark))
        .add(Tone::Plain, " ")
        .column(Tone::Strong, &item.what, WHAT_WIDTH)
        .add(Tone::Plain, &item.says);
    if let Some(hint) = &item.hint {
        line = line.add(Tone::Dim, &format!("  {} {hint}", ui.marks.arrow()));
    }
    ui.result(&line);
}

/// How a thing is, for programs.
pub fn word(fitness: Fitness) -> &'static str {
    match fitness {
        Fitness::Well => "well",
        Fitness::Doubtful => "doubtful",
        Fitness::Broken => "broken",
    }
}
