//! What the person sees: the outage, what a look finds, the plan, one question, the repair, the timeline.

use std::path::Path;

use clap::ValueEnum as _;

use crate::project::Project;
use crate::runs::{Foreground, Runs, StartRequest};
use crate::surfaces::cli::consent::Consent;
use crate::surfaces::cli::demo::project::DemoProject;
use crate::surfaces::cli::demo::stage::{Stage, TARGET};
use crate::surfaces::cli::demo::{DemoArgs, Scenario};
use crate::surfaces::cli::error::CliError;
use crate::surfaces::cli::exit::Exit;
use crate::surfaces::cli::foreground;
use crate::surfaces::cli::run::show_plan;
use crate::surfaces::cli::session::Session;
use crate::surfaces::door::Here;
use crate::surfaces::shapes::plan::Told;
use crate::transcript::{Line, Tone, escape, timeline};

/// Characters of a timeline's row beside the time axis: name and remark.
const TIMELINE_MARGIN: usize = 48;

/// Starts the world, looks, rehearses, asks once, repairs, shows what happened and looks again.
///
/// # Errors
/// If the world or its project can't be set up, or a run can't begin.
pub fn run(session: &Session, args: &DemoArgs) -> Result<Exit, CliError> {
    let stage = args.scenario.map_or_else(Stage::usual, Stage::of);
    let stage = stage.map_err(|error| CliError::io("starting", "the demo's world", &error))?;
    let project = DemoProject::write(&stage).map_err(|error| CliError::io("writing", "the demo's project", &error))?;
    let state_dir = project.state_dir();
    let runs = Runs::open(state_dir.clone(), Project::discover(&project.root())?, session.ui.redactor().clone());
    let here = Here::new(runs, session.caller().clone());
    let runs = here.runs();
    let repair = stage.repair;
    // Programs get one result: that of the repair.
    let look = stage.look.filter(|_| session.ui.human());
    say(session, stage.outage.0, &stage.outage.1);
    if let Some(look) = look {
        say(session, "Diagnosis:", &format!("what `{}` finds; it only looks.", command(look)));
        let found = start(session, &here, look, None)?;
        if ![Exit::SUCCESS, Exit::CRITICAL_FINDINGS].contains(&found) {
            return Ok(found);
        }
    }
    say(session, "Rehearsal:", &format!("what `{} --dry-run` shows; nothing is changed by it.", command(repair)));
    if session.ui.human() {
        let rehearsed = runs.rehearse(&runs.prepare(&request(repair, None))?, Foreground::unheard(here.actor()?))?;
        show_plan(&session.ui, &Told::of(&rehearsed, session.ui.telling()));
    }
    let reason = match consent(session, repair) {
        Ok(reason) => reason,
        Err(exit) => return Ok(exit),
    };
    say(session, "Repair:", "every step is in the journal before it happens, and can be resumed.");
    let mut exit = start(session, &here, repair, Some(reason))?;
    show_timeline(session, runs)?;
    if let Some(look) = look.filter(|_| exit == Exit::SUCCESS) {
        say(session, "Proof:", "the look that failed, once more.");
        exit = start(session, &here, look, None)?;
    }
    what_next(session, args, &stage, &state_dir);
    Ok(exit)
}

/// As it would be typed in a project that has the target.
fn command(runbook: &str) -> String {
    format!("rerail run {runbook} --target {TARGET}")
}

fn request(runbook: &str, reason: Option<&str>) -> StartRequest {
    StartRequest {
        runbook: runbook.to_owned(),
        target: Some(TARGET.to_owned()),
        reason: reason.map(str::to_owned),
        ..StartRequest::default()
    }
}

fn start(session: &Session, here: &Here, runbook: &str, reason: Option<&str>) -> Result<Exit, CliError> {
    let prepared = here.runs().prepare(&request(runbook, reason))?;
    foreground::drive(session, here, here.actor()?, |foreground| here.runs().start(prepared, foreground))
}

/// Asks once. Where nobody can be asked the demo answers for itself, and says so here and in the record.
fn consent(session: &Session, repair: &str) -> Result<&'static str, Exit> {
    let question = format!("Start {repair} on {TARGET}?");
    if !session.ui.asks {
        say(session, &question, "Nobody can be asked here: the demo answers yes for itself.");
        return Ok("nobody could be asked: the demo answered for itself");
    }
    let consent = Consent::asked(&session.ui, &format!("{question} Only its own world is changed."));
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
    say(session, "Timeline:", "what `rerail show @last --timeline` shows, but for what is inside actions.");
    for line in timeline::outline(
        &events,
        &facts,
        ui.width.saturating_sub(TIMELINE_MARGIN).min(timeline::WIDTH_DEFAULT),
        ui.marks,
    ) {
        ui.result(&line);
    }
    Ok(())
}

fn what_next(session: &Session, args: &DemoArgs, stage: &Stage, state_dir: &Path) {
    let kept = format!("rerail --state-dir {}", escape::shell(&state_dir.display().to_string()));
    // Whoever looks again afterwards is not the last run that matters.
    let run = stage.look.map_or_else(|| "@last".to_owned(), |_| format!("@last:{}", stage.repair));
    say(session, "Try next:", "the world is gone, its journal is kept.");
    let mut next = vec![
        (format!("{kept} show {run}"), "each step with what it saw".to_owned()),
        (format!("{kept} export {run}"), "the postmortem, filled in as far as rerail knows".to_owned()),
        (format!("{kept} verify"), "whether the journal is what was written".to_owned()),
        (format!("rerail describe {}", stage.repair), "the runbook that did it".to_owned()),
        (
            "rerail run backend-down -i base_url=https://example.com".to_owned(),
            "look at something real; only reads".to_owned(),
        ),
    ];
    for other in Scenario::value_variants().iter().filter(|other| args.scenario != Some(**other)) {
        next.push((format!("rerail demo --scenario {}", other.word()), other.help()));
    }
    for (command, why) in next {
        session.ui.progress(&Line::of(Tone::Plain, &format!("  {command}")).add(Tone::Dim, &format!("   # {why}")));
    }
}

/// A line of the demo's own voice, with a blank one before it.
fn say(session: &Session, headline: &str, text: &str) {
    session.ui.progress_text("");
    session.ui.progress(&Line::of(Tone::Strong, headline).add(Tone::Plain, &format!(" {text}")));
}
