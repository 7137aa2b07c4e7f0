//! What a run came to, for people and for machines.

use serde_json::json;

use crate::engine::facts::{Facts, RunState};
use crate::engine::outcome::UndoOutcome;
use crate::runs::{Left, Why};
use crate::surfaces::cli::args::Output;
use crate::surfaces::cli::exit::Exit;
use crate::surfaces::cli::session::Session;
use crate::surfaces::shapes::run::of_run;
use crate::transcript::{Line, Tone, line, summary, words};

/// Shows the result of a run that was driven here.
pub fn show(session: &Session, left: &Left, exit: Exit) {
    let ui = &session.ui;
    match ui.output {
        Output::Human => {
            for line in lines(&left.facts, &left.why, ui.marks) {
                ui.result(&line);
            }
        }
        Output::Json | Output::Yaml | Output::Sarif | Output::Junit => {
            let mut json = of_run(&left.facts);
            json["exit_code"] = json!(exit.0);
            json["checkpoint"] = json!(left.signed.as_ref().and_then(|signed| signed.as_ref().ok()));
            ui.result_json(&json);
        }
        // The events were the result.
        Output::Jsonl => {}
    }
    match &left.signed {
        Some(Ok(line)) if ui.human() => ui.remark(line),
        Some(Err(why)) => {
            ui.warning(&format!("the end of this run is not signed: {why}"));
            ui.hint(&format!("once that is put right,  rerail checkpoint {}  signs it", left.run));
        }
        _ => {}
    }
    for line in summary::next_steps(&left.facts) {
        ui.progress(&line);
    }
}

fn lines(facts: &Facts, why: &Why, marks: crate::transcript::Marks) -> Vec<Line> {
    let mut lines = Vec::new();
    let undone = facts.undo_of_run().is_some();
    // What the run found and gave was told when it ended.
    for finding in summary::ranked(facts).into_iter().filter(|_| !undone) {
        lines.extend(line::finding(finding.level, &finding.say, finding.suggest.as_ref(), facts, marks));
    }
    let name = facts.started.as_ref().map(|started| format!("{}/{}", started.runbook, started.run));
    let name = name.unwrap_or_default();
    if let Some(end) = facts.finished.as_ref().filter(|_| !undone) {
        for text in words::values(&end.outputs) {
            lines.push(Line::of(Tone::Plain, &format!("  {text}")));
        }
    }
    lines.push(ending(facts, why).add(Tone::Dim, &format!("   {name}")));
    lines
}

fn ending(facts: &Facts, why: &Why) -> Line {
    let undone = facts.undo_of_run().and_then(|undo| undo.end.as_ref()).map(|end| end.outcome);
    match (facts.state(), undone) {
        (RunState::Stuck, _) => {
            let left = line::paths(facts.left_to_undo());
            return Line::of(Tone::Bad, "stuck").add(Tone::Plain, &format!(": not taken back: {left}"));
        }
        (RunState::Ended(_), Some(UndoOutcome::Done)) => return Line::of(Tone::Good, "taken back"),
        (RunState::Ended(_), Some(_)) => {
            return Line::of(Tone::Warn, "stopped").add(Tone::Plain, " before all was taken back");
        }
        _ => {}
    }
    if let Some(end) = &facts.finished {
        return line::ending(end.outcome, end.message.as_deref(), facts);
    }
    match why {
        Why::Paused(reason) => Line::of(Tone::Warn, "paused").add(Tone::Plain, &format!(": {reason}")),
        Why::Held(hold) => Line::of(Tone::Warn, "on hold")
            .add(Tone::Plain, &format!(" by {}: {}", line::person(&hold.actor), hold.reason)),
        Why::Interrupted | Why::Left(_) => Line::of(Tone::Warn, "left").add(Tone::Plain, " before its end"),
        Why::Waiting => Line::of(Tone::Warn, "waiting").add(Tone::Plain, " for a person"),
        Why::InDoubt => Line::of(Tone::Warn, "outcome unknown"),
        Why::Ended => Line::of(Tone::Plain, facts.state().word()),
    }
}
