//! `rerail take`: take a run over from whoever drives it.

use std::sync::Arc;

use clap::Args;

use crate::runs::{Begun, Handover};
use crate::surfaces::cli::consent::Consent;
use crate::surfaces::cli::error::CliError;
use crate::surfaces::cli::exit::Exit;
use crate::surfaces::cli::foreground;
use crate::surfaces::cli::resume::announced;
use crate::surfaces::cli::session::Session;
use crate::transcript::{Line, Tone, line, summary};

#[derive(Args, Debug)]
pub struct TakeArgs {
    /// The run
    #[arg(value_name = "RUN")]
    run: String,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Take it over without the question that says where it stands
    #[arg(short = 'y', long)]
    yes: bool,
}

/// Takes a run over and drives it on.
pub fn take(session: &Session, args: TakeArgs) -> Result<Exit, CliError> {
    let door = session.door()?;
    let run = door.find(&args.run)?;
    let handover = door.handover(&run)?;
    let actor = door.actor_on(&run)?;
    door.may_take(&run)?;
    let ui = &session.ui;
    let name = format!("{}/{}", run.runbook, run.run);
    tell(session, &name, &handover);
    if !args.yes {
        if !ui.asks {
            return Err(CliError::usage(format!("{name} would be taken over, and nobody can be asked here"))
                .hint("say so with --yes"));
        }
        let consent = Consent::asked(ui, &format!("Take {name} over from {}?", line::person(&handover.from)));
        if let Some(exit) = consent.refused(ui, "nothing was taken over") {
            return Ok(exit);
        }
    }
    if handover.driven {
        ui.remark("asking the process that drives it to leave; what is running there ends first");
    }
    let said = ui.human().then(|| summary::resuming(&handover.facts));
    foreground::drive(session, door.as_ref(), actor, |foreground| {
        let foreground = announced(Arc::clone(ui), said, foreground);
        Ok(Begun::Left(Box::new(door.take(&run, args.reason, foreground)?)))
    })
}

/// Where it stands, before anybody says yes.
fn tell(session: &Session, name: &str, handover: &Handover) {
    let ui = &session.ui;
    if !ui.human() {
        return;
    }
    let driven = if handover.driven { "driven by" } else { "driven by nobody now, last by" };
    ui.progress(&Line::of(Tone::Strong, &format!("{name}, {driven} {}", line::person(&handover.from))));
    summary::handover(&handover.facts, handover.next.as_ref()).iter().for_each(|line| ui.progress(line));
}
