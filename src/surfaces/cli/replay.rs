//! `rerail replay`: would a changed runbook have decided the same as a run did?

use clap::Args;
use serde_json::json;

use crate::surfaces::cli::error::CliError;
use crate::surfaces::cli::exit::Exit;
use crate::surfaces::cli::session::Session;
use crate::surfaces::cli::test::diff;
use crate::transcript::{Line, Tone, words};

#[derive(Args, Debug)]
pub struct ReplayArgs {
    /// The run
    #[arg(value_name = "RUN")]
    run: String,
    /// Runbook by name or path that decides now [default: the texts the run is pinned to]
    #[arg(long, value_name = "RUNBOOK")]
    against: Option<String>,
}

/// Decides a run again from its recorded answers.
pub fn replay(session: &Session, args: &ReplayArgs) -> Result<Exit, CliError> {
    let ui = &session.ui;
    let runs = session.runs()?;
    let run = runs.find(&args.run)?;
    let replayed = runs.replay(&run, args.against.as_deref())?;
    let name = format!("{}/{}", run.runbook, run.run);
    let exit = if replayed.differs.is_some() { Exit::DIFFERENT } else { Exit::SUCCESS };
    if !ui.human() {
        let differs = replayed.differs.as_ref().map(|at| {
            json!({
                "event": at.event,
                "step": at.step.as_ref().map(|step| step.as_str()),
                "recorded": at.recorded,
                "decided": at.decided,
            })
        });
        ui.result_json(
            &json!({ "run": name, "runbook": replayed.runbook, "answered": replayed.answered, "differs": differs }),
        );
        return Ok(exit);
    }
    let Some(at) = &replayed.differs else {
        let text = format!("{name} is decided the same, on {}", words::count(replayed.answered, "recorded answer"));
        ui.result(&Line::of(Tone::Good, &text));
        return Ok(exit);
    };
    let step = at.step.as_ref().map(|step| format!(" at step `{step}`")).unwrap_or_default();
    let event = at.event.map(|event| format!(", event {event}")).unwrap_or_default();
    ui.result(&Line::of(Tone::Bad, &format!("{name} is decided otherwise{step}{event}")));
    ui.result(&Line::of(Tone::Dim, "  - as it was   + as it would be"));
    for (tone, text) in diff(&at.recorded, &at.decided) {
        ui.result(&Line::of(tone, &format!("  {text}")));
    }
    Ok(exit)
}
