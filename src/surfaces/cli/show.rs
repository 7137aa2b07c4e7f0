//! `rerail show`: one run, where it stands, and what can be done.

use clap::Args;
use jiff::Timestamp;

use crate::engine::event::Event;
use crate::engine::facts::{Facts, RunState};
use crate::engine::ids::StepPath;
use crate::runs::RunRow;
use crate::surfaces::cli::args::Output;
use crate::surfaces::cli::error::CliError;
use crate::surfaces::cli::exit::Exit;
use crate::surfaces::cli::follow;
use crate::surfaces::cli::session::Session;
use crate::surfaces::door::{Door, Standing};
use crate::surfaces::shapes::run::steps;
use crate::surfaces::shapes::story;
use crate::transcript::line::{self, Style};
use crate::transcript::{Line, Tone, jsonl, summary, timeline, words};

#[derive(Args, Debug)]
pub struct ShowArgs {
    /// The run
    #[arg(value_name = "RUN", default_value = "@last")]
    run: String,
    /// One step with its arguments, outputs and attempts
    #[arg(long, value_name = "STEP")]
    step: Option<String>,
    /// A picture of where the time went
    #[arg(long, conflicts_with = "step")]
    timeline: bool,
    /// Why it went this way: conditions of all steps, or of one, with the values they read
    #[arg(long, value_name = "STEP", num_args = 0..=1, conflicts_with_all = ["step", "timeline"])]
    why: Option<Option<String>>,
    /// Show it as it happens, until it ends or nobody drives it (a server drives what waits); Ctrl-C leaves the run alone
    #[arg(short, long, conflicts_with_all = ["step", "timeline", "why"])]
    follow: bool,
}

/// Shows a run.
pub fn show(session: &Session, args: &ShowArgs) -> Result<Exit, CliError> {
    let door = session.door()?;
    let door = door.as_ref();
    let run = door.find(&args.run)?;
    if args.follow {
        return follow::follow(session, door, &run);
    }
    let ui = &session.ui;
    if let Some(step) = &args.step {
        return show_step(session, &door.facts(&run)?, step);
    }
    if let Some(step) = &args.why {
        return show_why(session, door, &run, step.as_deref());
    }
    if args.timeline && ui.human() {
        let (events, facts) = door.story(&run)?;
        let width = ui.width.saturating_sub(40).min(timeline::WIDTH_DEFAULT);
        timeline::lines(&events, &facts, width, ui.marks).iter().for_each(|line| ui.result(line));
        return Ok(Exit::SUCCESS);
    }
    match ui.output {
        Output::Human => {}
        Output::Json | Output::Yaml | Output::Sarif | Output::Junit => {
            ui.result_json(&door.whole(&run)?);
            return Ok(Exit::SUCCESS);
        }
        Output::Jsonl => {}
    }
    let shown = draw(session, &door.events(&run)?)?;
    if ui.human() {
        stands(session, door, &run, &shown)?;
    }
    Ok(Exit::SUCCESS)
}

/// Shows events, and what they add up to: the only fold there is of them, because of a long run each is large.
fn draw(session: &Session, events: &[Event]) -> Result<Facts, CliError> {
    let ui = &session.ui;
    let mut shown = Facts::default();
    for event in events {
        shown.apply(event).map_err(|error| CliError::new(Exit::DAMAGED, error.to_string()))?;
        if ui.human() {
            let style = Style { marks: ui.marks, detail: ui.detail };
            line::lines(event, &shown, style).iter().for_each(|line| ui.result(line));
        } else if let Some(started) = &shown.started {
            ui.result_text(&(jsonl::event(event, started.run) + "\n"));
        }
    }
    Ok(shown)
}

/// Where it stands: nothing that is still being driven needs a person.
fn stands(session: &Session, door: &dyn Door, run: &RunRow, facts: &Facts) -> Result<(), CliError> {
    let ui = &session.ui;
    let Standing { pending, answered, driven, driver, signed } = door.standing(run)?;
    for signal in &pending {
        ui.result(&Line::of(Tone::Warn, "not taken up yet: ").add(Tone::Plain, signal));
    }
    if pending.len() > answered.len() && run.ended_at.is_none() {
        ui.hint(&format!("if nobody drives it, it acts on this with  rerail resume {}", run.run));
    }
    if facts.state() == RunState::Running
        && let Some(holder) = driver
    {
        ui.result(&Line::of(
            Tone::Dim,
            &match driven {
                true => format!("driven by {holder}; follow it with  rerail show {} --follow", run.run),
                false => format!("nobody drives it now; last driven by {holder}"),
            },
        ));
    }
    if let Some(signed) = signed {
        ui.remark(&signed);
    }
    summary::next_steps_now(facts, Some(Timestamp::now()), &answered).iter().for_each(|line| ui.result(line));
    Ok(())
}

fn show_step(session: &Session, facts: &Facts, name: &str) -> Result<Exit, CliError> {
    let ui = &session.ui;
    let path = StepPath::new(name);
    let Some(record) = facts.step(&path) else {
        return Err(story::no_step(facts, name).into());
    };
    if !ui.human() {
        let steps = steps(facts);
        let found = steps.as_array().and_then(|rows| rows.iter().find(|row| row["step"] == name));
        ui.result_json(found.unwrap_or(&serde_json::Value::Null));
        return Ok(Exit::SUCCESS);
    }
    let field = |name: &str, text: &str| ui.result(&Line::new().column(Tone::Dim, name, 10).add(Tone::Plain, text));
    ui.result(&Line::of(Tone::Strong, name));
    if let Some(started) = &record.started {
        field("what", &line::what(&started.intent));
        field("effect", started.intent.effect.word());
        field("started", &words::date_time(started.first_at));
        field("attempt", &started.intent.attempt.to_string());
        if let Some(key) = &started.intent.key {
            field("key", key);
        }
        values(session, "because", &started.intent.why);
        values(session, "inputs", &started.intent.with);
    }
    if let Some(skipped) = &record.skipped {
        field("outcome", "skipped");
        field("condition", &skipped.condition);
        values(session, "values", &skipped.values);
    }
    if let Some(end) = &record.finished {
        field("outcome", line::outcome_words(end.outcome));
        field("took", &words::duration(end.ms));
        if let Some(failure) = &end.error {
            line::failure_lines(failure, false).iter().for_each(|line| ui.result(line));
        }
        let outputs = line::output_lines(&end.outputs, 2);
        if !outputs.is_empty() {
            ui.result(&Line::of(Tone::Dim, "outputs"));
        }
        outputs.iter().for_each(|line| ui.result(line));
    }
    if let Some((actor, reason)) = &record.settled {
        field("settled", &format!("by {}: {reason}", line::person(actor)));
    }
    Ok(Exit::SUCCESS)
}

/// Reasons are read by people; `-o json` of a run has the conditions and values as they are.
fn show_why(session: &Session, door: &dyn Door, run: &RunRow, step: Option<&str>) -> Result<Exit, CliError> {
    let ui = &session.ui;
    if !ui.human() {
        return Err(
            CliError::usage("--why is for people").hint("`show -o json` has conditions and values of each step")
        );
    }
    let lines = door.why(run, step, ui.marks)?;
    lines.iter().for_each(|line| ui.result(line));
    Ok(Exit::SUCCESS)
}

fn values(session: &Session, heading: &str, map: &crate::script::value::Map) {
    if map.is_empty() {
        return;
    }
    session.ui.result(&Line::of(Tone::Dim, heading));
    for text in words::values(map) {
        session.ui.result(&Line::of(Tone::Plain, &format!("  {text}")));
    }
}
