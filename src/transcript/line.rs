//! One event as the lines people read: live, in `show`, and in the log of a run without a terminal.

use jiff::Timestamp;

use crate::engine::event::{
    Actor, AppliedPlan, Body, Decision, Event, RunStarted, StepFinished, StepRetrying, StepStarted, Suggest,
    UndoStarted, Verdict,
};
use crate::engine::facts::Facts;
use crate::engine::ids::StepPath;
use crate::engine::outcome::{Failure, Outcome, RunOutcome, UndoOutcome};
use crate::runbook::model::Level;
use crate::script::value::Value;
use crate::transcript::text::{Line, Mark, Marks, Tone};
use crate::transcript::{approval, escape, words};

/// Calls another runbook, whose steps are as good as those of the first.
const RUNBOOK: &str = "runbook";
/// Wide enough for most step paths; longer ones push the rest to the right.
const NAME_WIDTH: usize = 14;
/// Wide enough for an action and a short URL.
const WHAT_WIDTH: usize = 44;
/// Wide enough for the usual result before the duration.
const RESULT_WIDTH: usize = 18;
/// Where text below a step's line begins.
const INDENT: usize = 6;

/// How much is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// What needs eyes: failures, doubts, questions, findings, the end.
    Quiet,
    /// Every step of the runbook that ended, and what people did; of what is inside actions only what changed something,
    /// or went wrong.
    Steps,
    /// The same with beginnings and looks, each with its time: the log of a run without a terminal.
    Log,
    /// Every event, with its time.
    Events,
}

impl Detail {
    fn is_a_log(self) -> bool {
        match self {
            Detail::Quiet | Detail::Steps => false,
            Detail::Log | Detail::Events => true,
        }
    }
}

/// How lines are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    pub marks: Marks,
    pub detail: Detail,
}

/// The lines of one event. `facts` is the fold up to this event, or further.
pub fn lines(event: &Event, facts: &Facts, style: Style) -> Vec<Line> {
    if style.detail == Detail::Quiet && !needs_eyes(&event.body) {
        return Vec::new();
    }
    if style.detail != Detail::Events && is_minor(&event.body, facts) {
        return Vec::new();
    }
    let drawn = draw(event, facts, style);
    if !style.detail.is_a_log() {
        return drawn;
    }
    let time = words::clock(event.ts);
    drawn.into_iter().map(|line| line.after(Line::new().add(Tone::Dim, &format!("{time} ")))).collect()
}

fn needs_eyes(body: &Body) -> bool {
    match body {
        Body::StepFinished(finished) => !finished.outcome.lets_the_run_go_on(),
        Body::AskAsked { .. } | Body::Finding { .. } | Body::RunFinished { .. } => true,
        Body::RunPaused { .. } | Body::HoldOn(_) => true,
        Body::UndoFinished { .. } | Body::ConcurrencyWaiting { .. } => true,
        Body::ApprovalRequested(_) | Body::ApprovalVoid { .. } => true,
        _ => false,
    }
}

/// How an action does what it does: its looks and sums, not what it changes and where it fails.
fn is_minor(body: &Body, facts: &Facts) -> bool {
    match body {
        Body::StepStarted(intent) => is_inside_an_action(&intent.step, facts),
        Body::StepSkipped { step, .. } => is_inside_an_action(step, facts),
        Body::StepRetrying(again) => again.error.is_none() && is_inside_an_action(&again.step, facts),
        Body::StepFinished(end) => {
            let intent = facts.step(&end.step).and_then(|record| record.started.as_ref());
            let encloses = facts.below(&end.step).next().is_some();
            let changes = intent.is_some_and(|started| started.intent.effect.changes_the_world()) && !encloses;
            end.outcome.lets_the_run_go_on() && !changes && is_inside_an_action(&end.step, facts)
        }
        _ => false,
    }
}

/// Whether a step belongs to an action, and not to a runbook itself.
pub fn is_inside_an_action(step: &StepPath, facts: &Facts) -> bool {
    step.ancestors().any(|path| {
        let started = facts.step(&path).and_then(|record| record.started.as_ref());
        started.is_some_and(|started| started.intent.uses.as_deref().is_some_and(|uses| uses != RUNBOOK))
    })
}

fn draw(event: &Event, facts: &Facts, style: Style) -> Vec<Line> {
    let marks = style.marks;
    let every_event = style.detail.is_a_log();
    match &event.body {
        Body::RunStarted(started) => header(started),
        Body::RunResumed { actor, reason, .. } => vec![by_person("resumed", actor, reason.as_deref(), marks)],
        Body::RunTaken { actor, from, reason } => {
            vec![by_person(&format!("took it over from {}", person(from)), actor, reason.as_deref(), marks)]
        }
        Body::RunCancelled { actor, reason } => vec![by_person("asked to stop", actor, reason.as_deref(), marks)],
        Body::RunPaused { reason, actor: Some(actor) } => {
            let reason = Some(reason.as_str()).filter(|reason| !reason.is_empty());
            vec![by_person("paused it", actor, reason, marks)]
        }
        Body::HoldOn(hold) => vec![
            sign(Mark::Waiting, marks).add(Tone::Strong, "all writes are on hold").add(
                Tone::Plain,
                &format!(" since {} by {}: {}", words::date_time(hold.since), person(&hold.actor), hold.reason),
            ),
            Line::of(Tone::Dim, &format!("{}reads go on; lift it with  rerail hold off", " ".repeat(INDENT))),
        ],
        Body::HoldOff { actor } => {
            let by = actor.as_ref().map(|actor| format!(" by {}", person(actor))).unwrap_or_default();
            vec![sign(Mark::Info, marks).add(Tone::Plain, &format!("the hold was lifted{by}"))]
        }
        Body::RunPaused { reason, actor: None } => {
            vec![sign(Mark::Waiting, marks).add(Tone::Strong, "paused: ").add(Tone::Plain, reason)]
        }
        Body::RunFinished { outcome, message, .. } => vec![ending(*outcome, message.as_deref(), facts)],
        Body::UndoStarted(undo) => undo_started(undo, marks),
        Body::UndoFinished { outcome, left, .. } => vec![undo_finished(*outcome, left, marks)],
        Body::StepStarted(intent) if every_event => vec![started(intent, marks)],
        Body::StepObserved { step, look, result, .. } if every_event => {
            let seen = words::result(uses_of(facts, step), result);
            vec![labelled(Mark::Info, step, marks).add(Tone::Dim, &format!("look {look}: {seen}"))]
        }
        Body::StepStarted(_) | Body::StepObserved { .. } => Vec::new(),
        Body::StepFinished(end) => finished(end, event.ts, facts, marks),
        Body::StepRetrying(again) => retrying(again, every_event, marks),
        Body::StepSettled { step, verdict, .. } => {
            let text = match verdict {
                Verdict::Happened => "it happened, says what was read; taken as done",
                Verdict::NotHappened => "it did not happen, says what was read; sent again",
                Verdict::Unknown => "what was read can't tell whether it happened",
            };
            vec![labelled(Mark::Info, step, marks).add(Tone::Plain, text)]
        }
        Body::StepSkipped { step, condition, values } => {
            let line = labelled(Mark::Skipped, step, marks).add(Tone::Dim, &format!("skipped: `{condition}` is false"));
            let read = words::values(values).join(", ");
            vec![if read.is_empty() { line } else { line.add(Tone::Dim, &format!(" ({read})")) }]
        }
        Body::AskAsked { step, text, choices, fields, by, expires } => {
            let mut drawn = vec![labelled(Mark::Waiting, step, marks).add(Tone::Strong, text)];
            let mut terms = Vec::new();
            if !choices.is_empty() {
                terms.push(format!("choices: {}", choices.join(", ")));
            }
            if !fields.is_empty() {
                terms.push(format!("asks for: {}", fields.keys().map(String::as_str).collect::<Vec<_>>().join(", ")));
            }
            if !by.is_empty() {
                terms.push(format!("asked: {}", by.join(" or ")));
            }
            if let Some(expires) = expires {
                terms.push(format!("until {}", words::clock(*expires)));
            }
            drawn.extend(Line::block(Tone::Dim, &terms.join("   "), INDENT));
            drawn
        }
        Body::AskAnswered { step, answer, actor, .. } => {
            let text = format!("{} answered: {}", person(actor), words::value(answer));
            vec![labelled(Mark::Info, step, marks).add(Tone::Plain, &text)]
        }
        Body::ApprovalRequested(_)
        | Body::ApprovalGiven { .. }
        | Body::ApprovalRejected { .. }
        | Body::ApprovalExpired { .. }
        | Body::ApprovalVoid { .. }
        | Body::ApprovalReminded { .. } => approval::lines(&event.body, facts, marks),
        Body::Finding { level, say, suggest, .. } => finding(*level, say, suggest.as_ref(), facts, marks),
        Body::Note { text, actor, .. } => {
            let who = actor.as_ref().map_or_else(|| "note".to_owned(), |actor| format!("note by {}", person(actor)));
            vec![sign(Mark::Info, marks).add(Tone::Plain, &format!("{who}: {text}"))]
        }
        Body::Log { step, text } => vec![labelled(Mark::Info, step, marks).add(Tone::Dim, text)],
        Body::OutcomeSet { step, decision, actor, reason, .. } => {
            let what = match decision {
                Decision::Done => "settled as done",
                Decision::NotDone => "settled as not done: sent again",
                Decision::Retry => "to be tried anew",
                Decision::Skip => "to be skipped",
            };
            let text = format!("{what} by {}: {reason}", person(actor));
            vec![labelled(Mark::Info, step, marks).add(Tone::Plain, &text)]
        }
        Body::ConcurrencyWaiting { step, group, queued } => {
            let text = format!("waiting for `{group}`, which {}", queued.said);
            vec![labelled(Mark::Waiting, step, marks).add(Tone::Plain, &text)]
        }
        Body::ConcurrencyClaimed { step, group } if every_event => {
            let text = format!("has `{group}`, until the run is over");
            vec![labelled(Mark::Info, step, marks).add(Tone::Dim, &text)]
        }
        // What the step came to says it all.
        Body::ConcurrencyBusy { .. } | Body::ConcurrencyClaimed { .. } => Vec::new(),
        Body::Evidence { step, outcome, .. } => {
            let text = format!("a late result says {}; the run had moved on, so it changes nothing", outcome.word());
            vec![labelled(Mark::Unknown, step, marks).add(Tone::Plain, &text)]
        }
    }
}

/// `crash-loop/7k3q9d  Crash loop …   production   operator: ada   INC-42`
pub fn header(started: &RunStarted) -> Vec<Line> {
    let mut line = Line::of(Tone::Strong, &format!("{}/{}", started.runbook, started.run))
        .add(Tone::Plain, &format!("  {}", started.title));
    if let Some(target) = &started.target {
        line = line.add(Tone::Strong, &format!("   {target}"));
    }
    line = line.add(Tone::Dim, &format!("   operator: {}", person(&started.actor)));
    if let Some(incident) = &started.incident {
        line = line.add(Tone::Dim, &format!("   {incident}"));
    }
    let mut drawn = vec![line];
    if let Some(reason) = &started.reason {
        drawn.push(Line::new().add(Tone::Dim, &format!("  reason: {reason}")));
    }
    if let Some(plan) = &started.plan {
        drawn.push(Line::new().add(Tone::Dim, &format!("  applies plan {}", plan_words(plan))));
    }
    drawn
}

/// `5adb49550402, made 2026-11-21 14:02:11Z by ana`
pub fn plan_words(plan: &AppliedPlan) -> String {
    let digest = crate::engine::approvals::short(&plan.digest);
    format!("{digest}, made {} by {}", words::date_time(plan.made_at), person(&plan.by))
}

/// `✗ critical  The certificate expired.` and the next run, ready to be copied.
pub fn finding(level: Level, say: &str, suggest: Option<&Suggest>, facts: &Facts, marks: Marks) -> Vec<Line> {
    let mark = mark_of_level(level);
    let mut drawn = vec![sign(mark, marks).column(mark.tone(), words::level(level), 10).add(Tone::Plain, say)];
    if let Some(suggest) = suggest {
        let command = suggestion(suggest, facts);
        drawn.push(Line::new().add(Tone::Dim, &format!("      {} ", marks.arrow())).add(Tone::Strong, &command));
    }
    drawn
}

/// That a finding was made, where what it says comes later: `14:03:02Z ✗ verdict  finding: critical`
pub fn finding_made(at: Timestamp, step: &StepPath, level: Level, marks: Marks) -> Line {
    let mark = mark_of_level(level);
    let text = format!("finding: {}", words::level(level));
    let line = labelled(mark, step, marks).add(mark.tone_of_result(), &text);
    line.after(Line::new().add(Tone::Dim, &format!("{} ", words::clock(at))))
}

/// The sign of a finding.
pub fn mark_of_level(level: Level) -> Mark {
    match level {
        Level::Ok => Mark::Done,
        Level::Info => Mark::Info,
        Level::Warning => Mark::Warning,
        Level::Critical => Mark::Failed,
    }
}

/// `rerail run NAME -i key=value`, against the target of the run that suggests it.
pub fn suggestion(suggest: &Suggest, facts: &Facts) -> String {
    let target = facts.started.as_ref().and_then(|started| started.target.as_ref());
    let target = target.map(|target| format!(" --target {}", escape::shell(target)));
    let name = escape::shell(&suggest.runbook);
    format!("rerail run {name}{}{}", words::inputs(&suggest.with), target.unwrap_or_default())
}

fn started(intent: &StepStarted, marks: Marks) -> Line {
    let attempt = if intent.attempt > 1 { format!(" (attempt {})", intent.attempt) } else { String::new() };
    let effect = intent.effect.word();
    let text = format!("started: {}, {effect}{attempt}", what(intent));
    let line = labelled(Mark::Info, &intent.step, marks).add(Tone::Dim, &text);
    let why = words::values(&intent.why).join(", ");
    if why.is_empty() { line } else { line.add(Tone::Dim, &format!(" because {why}")) }
}

/// The pause before another attempt. Looks that were not enough are told only where every event is.
fn retrying(again: &StepRetrying, every_event: bool, marks: Marks) -> Vec<Line> {
    let text = match &again.error {
        Some(_) => format!("attempt {} failed; again at {}", again.attempt, words::clock(again.at)),
        None if every_event => format!("look {}: {}", again.attempt, words::quoted(&again.result)),
        None => return Vec::new(),
    };
    vec![labelled(Mark::Info, &again.step, marks).add(Tone::Dim, &text)]
}

fn finished(end: &StepFinished, at: Timestamp, facts: &Facts, marks: Marks) -> Vec<Line> {
    let record = facts.step(&end.step);
    let intent = record.and_then(|record| record.started.as_ref()).map(|started| &*started.intent);
    let mark = mark_of(end.outcome);
    let what = intent.map(what).unwrap_or_default();
    let result = match (end.outcome, &end.planned) {
        (_, Some(planned)) => planned.summary.clone(),
        (Outcome::Done, _) => words::result(intent.map_or("", |intent| uses_word(intent)), &end.outputs),
        (outcome, _) => outcome_words(outcome).to_owned(),
    };
    let attempt = if end.attempt > 1 { format!("  attempt {}", end.attempt) } else { String::new() };
    // The attempt of a poll is its last look; people want to know how long they waited.
    let polled = record.and_then(|record| record.started.as_ref()).filter(|started| started.intent.within_ms.is_some());
    let ms = polled.map_or(end.ms, |started| words::between(started.first_at, at));
    let line = labelled(mark, &end.step, marks)
        .column(Tone::Plain, &what, WHAT_WIDTH)
        .column(mark.tone_of_result(), &result, RESULT_WIDTH)
        .add(Tone::Dim, &words::duration(ms))
        .add(Tone::Dim, &attempt);
    let mut drawn = vec![line];
    if let Some(failure) = &end.error {
        drawn.extend(failure_lines(failure, repeats_an_inner_failure(&end.step, failure, facts)));
    }
    drawn
}

/// The failure below a step's line: its picture if there is one, and what was read.
pub fn failure_lines(failure: &Failure, shown_before: bool) -> Vec<Line> {
    if failure.picture.is_empty() || shown_before {
        return Line::block(Tone::Bad, &words::failure(failure), INDENT);
    }
    let mut drawn = Line::block(Tone::Plain, &failure.picture, INDENT);
    for (at, value) in words::values(&failure.values).into_iter().enumerate() {
        let front = if at == 0 { "= values: " } else { "          " };
        drawn.push(Line::new().add(Tone::Dim, &format!("{}{front}{value}", " ".repeat(INDENT))));
    }
    drawn
}

/// An action that failed because of a step inside carries that step's picture along.
pub fn repeats_an_inner_failure(path: &StepPath, failure: &Failure, facts: &Facts) -> bool {
    facts.below(path).any(|(_, record)| {
        let inner = record.finished.as_ref().and_then(|end| end.error.as_ref());
        inner.is_some_and(|inner| inner.picture == failure.picture)
    })
}

/// `success after 4m12s: message`
pub fn ending(outcome: RunOutcome, message: Option<&str>, facts: &Facts) -> Line {
    let took = facts.finished.as_ref().map_or(0, |end| words::between(facts.started_at, end.at));
    let tone = if outcome == RunOutcome::Success { Tone::Good } else { Tone::Bad };
    let line = Line::of(tone, outcome.word()).add(Tone::Plain, &format!(" after {}", words::duration(took)));
    match message {
        Some(message) => line.add(Tone::Plain, &format!(": {message}")),
        None => line,
    }
}

/// `ana takes 2 steps back: copy, tell: wrong release`, and what stays.
fn undo_started(undo: &UndoStarted, marks: Marks) -> Vec<Line> {
    let steps = words::count(undo.steps.len(), "step");
    let names = if undo.steps.is_empty() { String::new() } else { format!(": {}", paths(&undo.steps)) };
    let mut lines = vec![match &undo.actor {
        Some(actor) => by_person(&format!("takes {steps} back{names}"), actor, undo.reason.as_deref(), marks),
        None => sign(Mark::Info, marks).add(Tone::Plain, &format!("taking {steps} back{names}")),
    }];
    let stays = |text: &str, steps: &[StepPath]| {
        (!steps.is_empty()).then(|| Line::of(Tone::Dim, &format!("{}{text}{}", " ".repeat(INDENT), paths(steps))))
    };
    lines.extend(stays("nothing takes back: ", &undo.without_undo));
    lines.extend(stays("nobody knows whether it happened, left alone: ", &undo.unknown));
    lines
}

fn undo_finished(outcome: UndoOutcome, left: &[StepPath], marks: Marks) -> Line {
    let (mark, text) = match outcome {
        UndoOutcome::Done => (Mark::Done, "taken back".to_owned()),
        UndoOutcome::Stuck => (Mark::Failed, format!("stuck: not taken back: {}", paths(left))),
        UndoOutcome::Cancelled => (Mark::Skipped, format!("stopped: not taken back: {}", paths(left))),
    };
    sign(mark, marks).add(mark.tone(), &text)
}

/// Paths one after the other.
pub fn paths(paths: &[StepPath]) -> String {
    paths.iter().map(StepPath::as_str).collect::<Vec<_>>().join(", ")
}

fn by_person(verb: &str, actor: &Actor, reason: Option<&str>, marks: Marks) -> Line {
    let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
    sign(Mark::Info, marks).add(Tone::Plain, &format!("{} {verb}{reason}", person(actor)))
}

/// `ana`, or `ana via chat` from anywhere but this terminal.
pub fn person(actor: &Actor) -> String {
    if actor.via == "cli" { actor.id.clone() } else { format!("{} via {}", actor.id, actor.via) }
}

fn sign(mark: Mark, marks: Marks) -> Line {
    Line::of(Tone::Plain, "  ").add(mark.tone(), marks.sign(mark)).add(Tone::Plain, " ")
}

pub(super) fn labelled(mark: Mark, step: &StepPath, marks: Marks) -> Line {
    sign(mark, marks).column(Tone::Strong, step.as_str(), NAME_WIDTH)
}

/// What a step does, in words: its rendered name, else the action and its main argument; and what it reveals.
pub fn what(intent: &StepStarted) -> String {
    let what = match (&intent.name, &intent.uses) {
        (Some(name), _) => name.clone(),
        (None, Some(uses)) => format!("{uses} {}", words::subject(uses, &intent.with)).trim_end().to_owned(),
        (None, None) => intent.body.clone(),
    };
    match intent.reveal.as_slice() {
        [] => what,
        names => format!("{what}, reveals {}", names.join(", ")),
    }
}

/// The word by which the outputs of a step are read.
pub fn uses_word(intent: &StepStarted) -> &str {
    match intent.body.as_str() {
        "findings" => "findings",
        _ => intent.uses.as_deref().unwrap_or(&intent.body),
    }
}

fn uses_of<'a>(facts: &'a Facts, step: &StepPath) -> &'a str {
    let started = facts.step(step).and_then(|record| record.started.as_ref());
    started.and_then(|started| started.intent.uses.as_deref()).unwrap_or_default()
}

/// The sign of an outcome.
pub fn mark_of(outcome: Outcome) -> Mark {
    match outcome {
        Outcome::Done => Mark::Done,
        Outcome::Refused | Outcome::Failed | Outcome::Rejected => Mark::Failed,
        Outcome::InDoubt => Mark::Unknown,
        Outcome::Skipped | Outcome::NotRun | Outcome::Cancelled => Mark::Skipped,
        Outcome::Planned => Mark::Changed,
    }
}

/// An outcome for people.
pub fn outcome_words(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::InDoubt => "outcome unknown",
        Outcome::NotRun => "not run",
        outcome => outcome.word(),
    }
}

/// Outputs of a step as `key = value` lines, for `show --step`.
pub fn output_lines(outputs: &Value, indent: usize) -> Vec<Line> {
    match outputs {
        Value::Null => Vec::new(),
        Value::Map(map) => words::values(map).iter().flat_map(|text| Line::block(Tone::Plain, text, indent)).collect(),
        other => Line::block(Tone::Plain, &words::quoted(other), indent),
    }
}

impl Mark {
    fn tone_of_result(self) -> Tone {
        match self {
            Mark::Done => Tone::Plain,
            mark => mark.tone(),
        }
    }
}

#[cfg(test)]
mod tests;
