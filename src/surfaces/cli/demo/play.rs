//! What the person sees: the outage, the plan, one question, the repair, the timeline.

use std::path::Path;

use crate::project::Project;
use crate::runs::{Runs, StartRequest};
use crate::surfaces::cli::consent::Consent;
use crate::surfaces::cli::demo::project::{DemoProject, PLATFORM_TOKEN};
use crate::surfaces::cli::demo::world::World;
use crate::surfaces::cli::error::CliError;
use crate::surfaces::cli::exit::Exit;
use crate::surfaces::cli::foreground;
use crate::surfaces::cli::run::rehearse;
use crate::surfaces::cli::session::Session;
use crate::transcript::{Line, Tone, timeline};

/// The shipped runbook and the target it runs on have the same name.
const NAME: &str = "demo";
/// Characters of a timeline's row beside the time axis: name and remark.
const TIMELINE_MARGIN: usize = 48;

/// Starts the world, rehearses, asks once, repairs, and shows what happened.
///
/// # Errors
/// If the world or its project can't be set up, or the run can't begin.
pub fn run(session: &Session) -> Result<Exit, CliError> {
    let world = World::start(PLATFORM_TOKEN).map_err(|error| CliError::io("starting", "the demo's world", &error))?;
    let project = DemoProject::write(&world).map_err(|error| CliError::io("writing", "the demo's project", &error))?;
    let state_dir = project.state_dir();
    let runs = Runs::open(state_dir.clone(), Project::discover(&project.root())?, session.ui.redactor().clone());
    say(session, "A backend is down", &format!("at {}, on a platform made of this process.", world.backend_url));
    say(session, "Rehearsal:", "what `rerail run demo --dry-run` shows; nothing is changed by it.");
    let request = |reason: Option<&str>| StartRequest {
        runbook: NAME.to_owned(),
        target: Some(NAME.to_owned()),
        reason: reason.map(str::to_owned),
        ..StartRequest::default()
    };
    if session.ui.human() {
        rehearse(session, &runs, runs.prepare(&request(None))?, false)?;
    }
    let reason = match consent(session) {
        Ok(reason) => reason,
        Err(exit) => return Ok(exit),
    };
    say(session, "Repair:", "every step is in the journal before it happens, and can be resumed.");
    let prepared = runs.prepare(&request(Some(reason)))?;
    let exit = foreground::drive(session, &runs, session.actor(&runs)?, |foreground| runs.start(prepared, foreground))?;
    show_timeline(session, &runs)?;
    what_next(session, &state_dir);
    Ok(exit)
}

/// Asks once. Where nobody can be asked the demo answers for itself, and says so here and in the record.
fn consent(session: &Session) -> Result<&'static str, Exit> {
    if !session.ui.asks {
        say(session, "Start demo on demo?", "Nobody can be asked here: the demo answers yes for itself.");
        return Ok("nobody could be asked: the demo answered for itself");
    }
    let consent = Consent::asked(&session.ui, "Start demo on demo? Only its own world is changed.");
    match consent.refused(&session.ui, "nothing was changed") {
        None => Ok("agreed to at the terminal, after the rehearsal"),
        Some(exit) => Err(exit),
    }
}

fn show_timeline(session: &Session, runs: &Runs) -> Result<(), CliError> {
    let ui = &session.ui;
    if !ui.human() {
        return Ok(());
    }
    let run = runs.find("@last")?;
    let (events, facts) = (runs.events(&run)?, runs.facts(&run)?);
    say(session, "Timeline:", "what `rerail show @last --timeline` shows.");
    for line in timeline::lines(
        &events,
        &facts,
        ui.width.saturating_sub(TIMELINE_MARGIN).min(timeline::WIDTH_DEFAULT),
        ui.marks,
    ) {
        ui.result(&line);
    }
    Ok(())
}

fn what_next(session: &Session, state_dir: &Path) {
    let kept = format!("rerail --state-dir {}", crate::transcript::escape::shell(&state_dir.display().to_string()));
    say(session, "Try next:", "the world is gone, its journal is kept.");
    for (command, why) in [
        (format!("{kept} show @last"), "each step with what it saw"),
        (format!("{kept} export @last"), "the postmortem, filled in as far as rerail knows"),
        (format!("{kept} verify"), "whether the journal is what was written"),
        ("rerail describe demo".to_owned(), "the runbook that did it"),
        ("rerail run backend-down -i base_url=https://example.com".to_owned(), "look at something real; only reads"),
    ] {
        session.ui.progress(&Line::of(Tone::Plain, &format!("  {command}")).add(Tone::Dim, &format!("   # {why}")));
    }
}

/// A line of the demo's own voice, with a blank one before it.
fn say(session: &Session, headline: &str, text: &str) {
    session.ui.progress_text("");
    session.ui.progress(&Line::of(Tone::Strong, headline).add(Tone::Plain, &format!(" {text}")));
}
