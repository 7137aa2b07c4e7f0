//! `rerail approve` and `rerail reject`: somebody's word about exactly one change.

use clap::Args;
use serde_json::json;

use crate::runs::{Delivered, Taken, Waiting, names_change};
use crate::surfaces::cli::error::CliError;
use crate::surfaces::cli::exit::Exit;
use crate::surfaces::cli::prompt;
use crate::surfaces::cli::session::Session;
use crate::surfaces::shapes::approvals::{name, shown};
use crate::transcript::{Line, Tone};

#[derive(Args, Debug)]
pub struct ApproveArgs {
    /// The run, and the step if several wait
    #[arg(value_name = "RUN[/STEP]")]
    run: String,
    /// The change that is meant, by the digest that was shown; any other is refused
    #[arg(long, value_name = "DIGEST")]
    change: Option<String>,
    /// Don't ask: the change was looked at before, and --change says which
    #[arg(short = 'y', long, requires = "change")]
    yes: bool,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

#[derive(Args, Debug)]
pub struct RejectArgs {
    /// The run, and the step if several wait
    #[arg(value_name = "RUN[/STEP]")]
    run: String,
    /// Why, for whoever asked
    #[arg(short = 'm', long = "message", value_name = "TEXT")]
    message: String,
}

/// Shows the change, asks, and says yes.
pub fn approve(session: &Session, args: &ApproveArgs) -> Result<Exit, CliError> {
    let ui = &session.ui;
    let door = session.door()?;
    let (run, step) = door.find_step(&args.run)?;
    let waiting = door.approval(&run, step.as_deref())?;
    door.may_approve(&waiting)?;
    let change = waiting.approval.request.change.as_str();
    if let Some(typed) = &args.change {
        names_change(typed, change).map_err(|why| CliError::usage(why).hint("look at it again, then decide"))?;
    }
    let shown = shown(&waiting, ui.marks);
    if ui.human() {
        shown.iter().for_each(|line| ui.progress(line));
    }
    if !args.yes {
        if !ui.asks {
            return Err(CliError::usage("nobody can be asked here, and an approval is somebody's word").hint(format!(
                "if you have looked at it elsewhere:  rerail approve {} --yes --change {change}",
                name(&waiting)
            )));
        }
        match asked(session, &waiting)? {
            Some(true) => {}
            Some(false) => {
                ui.remark("not approved; it still waits");
                ui.hint(&format!("to say no:  rerail reject {} -m TEXT", name(&waiting)));
                return Ok(Exit::CANCELLED);
            }
            None => {
                ui.remark("interrupted: not approved; it still waits");
                return Ok(Exit::INTERRUPTED);
            }
        }
    }
    let seen = shown.iter().map(Line::plain).collect::<Vec<_>>().join("\n");
    let taken = door.approve(&waiting, seen, args.reason.as_deref())?;
    told(session, &waiting, taken, "approved")
}

/// Says no.
pub fn reject(session: &Session, args: &RejectArgs) -> Result<Exit, CliError> {
    let door = session.door()?;
    let (run, step) = door.find_step(&args.run)?;
    let waiting = door.approval(&run, step.as_deref())?;
    let taken = door.reject(&waiting, &args.message)?;
    told(session, &waiting, taken, "rejected")
}

/// `[y/N]`; whoever is alone types the run's name, because nobody else will look.
fn asked(session: &Session, waiting: &Waiting) -> Result<Option<bool>, CliError> {
    if !waiting.approval.request.single || waiting.actor.person {
        return Ok(prompt::confirm(&session.ui, "Approve exactly this change?"));
    }
    let run = waiting.run.run.short();
    let question = format!("Nobody else is configured, so you approve your own change. Type `{run}` to do so:");
    match prompt::typed(&session.ui, &question) {
        None => Ok(None),
        Some(typed) if typed.trim() == run => Ok(Some(true)),
        Some(typed) if typed.trim().is_empty() => Ok(Some(false)),
        Some(typed) => Err(CliError::usage(format!("typed `{}`, expected `{run}`; it still waits", typed.trim()))),
    }
}

fn told(session: &Session, waiting: &Waiting, taken: Taken, word: &str) -> Result<Exit, CliError> {
    let ui = &session.ui;
    if let Taken::Refused(why) = taken {
        let run = waiting.run.run;
        return Err(CliError::usage(why).hint(format!("see how it stands:  rerail show {run}")));
    }
    if !ui.human() {
        let enough = match taken {
            Taken::Recorded { enough } => Some(enough),
            _ => None,
        };
        ui.result_json(&json!({
            "run": waiting.run.run.short(),
            "step": waiting.approval.request.step.as_str(),
            "change": waiting.approval.request.change,
            "said": word,
            "by": waiting.actor.id,
            "recorded": enough.is_some(),
            "enough": enough,
        }));
        return Ok(Exit::SUCCESS);
    }
    let said = format!("`{}` of {}/{} is {word}", waiting.approval.request.step, waiting.run.runbook, waiting.run.run);
    let (said, hint) = match taken {
        Taken::Recorded { enough: false } => {
            (format!("{said} by {}; it needs more people", waiting.actor.id), "rerail approvals".to_owned())
        }
        Taken::NotYet(Delivered::Kept) => {
            (said, format!("nobody drives it now; it acts on this with  rerail resume {}", waiting.run.run))
        }
        _ => (said, format!("follow it:  rerail show {} --follow", waiting.run.run)),
    };
    ui.result(&Line::of(Tone::Plain, &said));
    ui.hint(&hint);
    Ok(Exit::SUCCESS)
}
