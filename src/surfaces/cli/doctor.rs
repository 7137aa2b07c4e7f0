//! `rerail doctor`: whether this machine is fit to run a runbook, before somebody needs it to be.

use std::path::Path;

use clap::Args;

use crate::engine::event::{ENGINE_SEMANTICS, EVENT_VERSION};
use crate::runs::{Checkup, Fitness, sqlite_version};
use crate::surfaces::cli::error::CliError;
use crate::surfaces::cli::exit::Exit;
use crate::surfaces::cli::serve::SOCKET;
use crate::surfaces::cli::session::Session;
use crate::surfaces::client::{Remote, Wire};
use crate::surfaces::door::Door as _;
use crate::surfaces::shapes::fitness::of_checkups;
use crate::transcript::text::Mark;
use crate::transcript::{Line, Tone};

/// Wide enough for most names of secrets.
const WHAT_WIDTH: usize = 18;
/// How what a server says of itself is called.
const SERVER: &str = "server";

#[derive(Args, Debug)]
pub struct DoctorArgs {
    /// Look at this target too: whether its secrets can be read, never what they are
    #[arg(long, value_name = "NAME")]
    target: Option<String>,
    /// Connect to every host the target names, and say what was seen; nothing is sent
    #[arg(long, requires = "target")]
    online: bool,
}

/// Looks at what a run needs, here or where a server drives it. Nothing is changed; nobody is asked over a network but with
/// `--online`.
pub fn doctor(session: &Session, args: &DoctorArgs) -> Result<Exit, CliError> {
    let ui = &session.ui;
    let mut seen = match session.server() {
        Some(_) if args.online => {
            let said = "--online connects from this machine, and the runs of a server are driven on its own";
            return Err(CliError::usage(said).hint("leave --online out, or ask on the server's machine"));
        }
        Some(_) => session.door()?.checkup(args.target.as_deref())?,
        None => here(session, args)?,
    };
    seen.push(Checkup::new("terminal", Fitness::Well, ui.abilities()));
    let version = env!("CARGO_PKG_VERSION");
    let says = format!("{version}, events {EVENT_VERSION}, semantics {ENGINE_SEMANTICS}, SQLite {}", sqlite_version());
    seen.push(Checkup::new("rerail", Fitness::Well, says));
    let json = of_checkups(&seen);
    match ui.human() {
        true => seen.iter().for_each(|item| show(session, item)),
        false => ui.result_json(&json),
    }
    Ok(if json["fit"] == true { Exit::SUCCESS } else { Exit::TOOL_FAILED })
}

/// This machine, and the server of this journal if there is one.
fn here(session: &Session, args: &DoctorArgs) -> Result<Vec<Checkup>, CliError> {
    let mut seen = match session.here() {
        Ok(here) => {
            let mut seen = here.checkup(args.target.as_deref())?;
            if let (true, Some(target)) = (args.online, &args.target) {
                seen.extend(here.runs().reach(target)?);
            }
            seen
        }
        // Without a project file that can be read there is nothing further to look at.
        Err(error) if !error.problems.is_empty() => {
            vec![Checkup::new("project", Fitness::Broken, error.message).hint("`rerail check` draws the problems")]
        }
        Err(error) => return Err(error),
    };
    seen.extend(served(&session.state_dir()?));
    Ok(seen)
}

/// What the server of this journal says of itself; nothing if none was ever there.
fn served(state_dir: &Path) -> Vec<Checkup> {
    let socket = state_dir.join(SOCKET);
    if !socket.exists() {
        return Vec::new();
    }
    let asked = Wire::open(&format!("unix:{}", socket.display()), None, None, Box::new(|_| ()))
        .and_then(|wire| Remote::new(wire).checkup(None));
    match asked {
        Ok(seen) => seen.into_iter().filter(|item| item.what.starts_with(SERVER)).collect(),
        Err(error) => vec![
            Checkup::new(SERVER, Fitness::Doubtful, error.message)
                .hint("nothing is taken up, heard or started by itself until there is one:  rerail serve"),
        ],
    }
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
