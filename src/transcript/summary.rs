//! Where a run stands: what is known, and what a person can do, as commands to copy.

use jiff::Timestamp;

use crate::engine::approvals::Approval;
use crate::engine::event::Actor;
use crate::engine::facts::{Facts, Finding, Record, RunState};
use crate::engine::ids::StepPath;
use crate::engine::outcome::{Outcome, RunOutcome};
use crate::runbook::fields;
use crate::runbook::model::Input;
use crate::runbook::types::Type;
use crate::script::value::Value;
use crate::transcript::approval::needs;
use crate::transcript::line;
use crate::transcript::text::{Line, Tone};
use crate::transcript::{escape, words};

/// The status as people say it.
pub fn status_words(word: &str) -> &str {
    match word {
        "in_doubt" => "outcome unknown",
        other => other,
    }
}

/// Where a run stands in one word, as listings have it: of one that was taken back, that it was.
pub fn status(facts: &Facts) -> &'static str {
    if facts.is_undone() { "undone" } else { facts.state().word() }
}

/// Findings, worst first; those of one level in the order they were made.
pub fn ranked(facts: &Facts) -> Vec<&Finding> {
    let mut ranked: Vec<&Finding> = facts.findings.iter().collect();
    ranked.sort_by_key(|finding| std::cmp::Reverse(finding.level));
    ranked
}

/// What is known of a run that doesn't move by itself, and the commands that move it.
/// Nothing for a run that ended well or is being driven.
pub fn next_steps(facts: &Facts) -> Vec<Line> {
    next_steps_now(facts, None, &[])
}

/// As [`next_steps`], for somebody who knows what time it is, and which questions have an answer that no driver
/// has taken up yet.
pub fn next_steps_now(facts: &Facts, now: Option<Timestamp>, answered: &[StepPath]) -> Vec<Line> {
    let Some(started) = &facts.started else { return Vec::new() };
    let run = started.run.short();
    match facts.state() {
        RunState::InDoubt => facts.doubts().flat_map(|(path, record)| doubt(&run, path, record)).collect(),
        RunState::Waiting => {
            let mut lines = questions(&run, facts, now, answered);
            lines.extend(facts.approvals.open().flat_map(|open| approval(&run, open, now, answered)));
            lines
        }
        RunState::Paused => {
            let (why, when) = match (&facts.paused, &facts.held) {
                (None, Some(hold)) => {
                    let why = format!("all writes are on hold by {}: {}", line::person(&hold.actor), hold.reason);
                    (why, "When the hold is lifted (rerail hold off):")
                }
                (why, _) => (why.clone().unwrap_or_default(), "To go on:"),
            };
            let mut lines = vec![said("Paused: ", &why)];
            lines.extend(commands(when, &[(format!("rerail resume {run}"), "")]));
            lines
        }
        RunState::Running => {
            let mut lines: Vec<Line> = under_way(facts).map(|(path, record)| open(path, record)).collect();
            let text = "No end is recorded. If no process drives it any more, it goes on from here with:";
            lines.extend(commands(text, &[(format!("rerail resume {run}"), "")]));
            if let Some(actor) = &facts.cancelled {
                lines.insert(0, said("Stopping: ", &format!("asked by {}", line::person(actor))));
            }
            lines
        }
        RunState::Stuck => stuck(&run, facts),
        RunState::Ended(_) if facts.undo_of_run().is_some() => taken_back(&run, facts),
        RunState::Ended(RunOutcome::Failed | RunOutcome::Rejected) => failed(&run, facts),
        RunState::Ended(RunOutcome::Cancelled) => {
            let done = still_done(facts);
            if done.is_empty() {
                return vec![said("Nothing was changed before it was stopped.", "")];
            }
            let names = done.iter().map(|path| path.as_str()).collect::<Vec<_>>().join(" ");
            vec![said("Changed before it was stopped: ", &names)]
        }
        RunState::Ended(RunOutcome::Success) => Vec::new(),
    }
}

/// The line `resuming …; N steps done before are not repeated (…)`.
pub fn resuming(facts: &Facts) -> Line {
    if facts.is_undoing() || !facts.left_to_undo().is_empty() {
        return Line::of(Tone::Dim, "resuming; what is taken back already is not taken back again");
    }
    let done: Vec<&str> = facts
        .steps
        .iter()
        .filter(|(path, record)| path.depth() == 1 && record.end().is_some_and(|end| end.outcome.lets_the_run_go_on()))
        .map(|(path, _)| path.as_str())
        .collect();
    let text = match done.len() {
        0 => "resuming; no step was done before".to_owned(),
        n => format!("resuming; {} done before are not repeated ({})", words::count(n, "step"), done.join(" ")),
    };
    Line::of(Tone::Dim, &text)
}

/// Where a run stands, for somebody who takes it over: what has happened, what may have, what is under way, what it
/// waits for, what comes.
pub fn handover(facts: &Facts, next: Option<&StepPath>) -> Vec<Line> {
    let names = |paths: Vec<&StepPath>| match paths.as_slice() {
        [] => "nothing".to_owned(),
        paths => paths.iter().map(|path| path.as_str()).collect::<Vec<_>>().join(" "),
    };
    let done = facts
        .steps
        .iter()
        .filter(|(path, record)| path.depth() == 1 && record.end().is_some_and(|end| end.outcome.lets_the_run_go_on()));
    let running = under_way(facts).filter(|(_, record)| !record.is_asking());
    let mut lines = vec![said("  Done: ", &names(done.map(|(path, _)| path).collect()))];
    let doubts: Vec<&StepPath> = facts.doubts().map(|(path, _)| path).collect();
    if !doubts.is_empty() {
        lines.push(said("  Outcome unknown: ", &names(doubts)));
    }
    lines.push(said("  Running: ", &names(running.map(|(path, _)| path).collect())));
    for (path, record) in facts.questions() {
        let text = record.asked.as_ref().map_or("", |asked| asked.text.as_str());
        lines.push(said("  Waiting for an answer: ", &format!("{path}  {text}")));
    }
    if let Some(actor) = &facts.cancelled {
        lines.push(said("  Stopping: ", &format!("asked by {}", line::person(actor))));
    }
    lines.push(said("  Next: ", next.map_or("nothing of the main steps", StepPath::as_str)));
    lines
}

fn doubt(run: &str, path: &StepPath, record: &Record) -> Vec<Line> {
    let (what, sent) = match &record.started {
        Some(started) => (line::what(&started.intent), words::clock(started.at)),
        None => (String::new(), String::new()),
    };
    let why = record.finished.as_ref().and_then(|end| end.error.as_ref()).map(words::failure);
    let mut lines = vec![
        Line::of(Tone::Warn, "? ")
            .add(Tone::Strong, path.as_str())
            .add(Tone::Plain, &format!("  {what} was sent at {sent}, and its answer is not known")),
    ];
    if let Some(why) = why {
        lines.push(said("  Known: ", &why));
    }
    let step = escape::shell(path.as_str());
    lines.extend(commands(
        "  It may have happened; it is not repeated by itself. Look on the other side, then choose:",
        &[
            (
                format!("rerail resume {run} --set-outcome {step}=done --reason TEXT"),
                "it happened: go on after it; --set-output NAME=VALUE says what it gave",
            ),
            (format!("rerail resume {run} --set-outcome {step}=not-done --reason TEXT"), "it did not: send it again"),
            (format!("rerail resume {run} --retry {step} --reason TEXT"), "start it anew, with fresh arguments"),
            (format!("rerail resume {run} --skip {step} --reason TEXT"), "go on without it"),
        ],
    ));
    lines
}

fn questions(run: &str, facts: &Facts, now: Option<Timestamp>, answered: &[StepPath]) -> Vec<Line> {
    let open: Vec<(&StepPath, &Record)> = facts.questions().collect();
    let mut lines = Vec::new();
    for (path, record) in &open {
        let Some(asked) = &record.asked else { continue };
        let resume = [(format!("rerail resume {run}"), "")];
        if answered.contains(path) {
            lines.push(said("Answered, and not taken up yet: ", path.as_str()));
            lines.extend(commands("  It goes on with:", &resume));
            continue;
        }
        if let Some(expired) = asked.expires.filter(|expires| now.is_some_and(|now| *expires <= now)) {
            let when = words::date_time(expired);
            lines.push(said("Nobody answered in time: ", &format!("{path}  {} (until {when})", asked.text)));
            lines.extend(commands("  An answer comes too late. It ends as rejected with:", &resume));
            continue;
        }
        lines.push(Line::of(Tone::Warn, "Waiting for an answer: ").add(Tone::Strong, path.as_str()).add(
            Tone::Plain,
            &format!(
                "  {}{}",
                asked.text,
                asked.expires.map(|at| format!("  (until {})", words::date_time(at))).unwrap_or_default()
            ),
        ));
        if let Ok(fields) = fields::read(&Value::Map(asked.fields.clone())) {
            let step = if open.len() > 1 { format!(" --step {}", escape::shell(path.as_str())) } else { String::new() };
            lines.extend(form(&format!("rerail answer {run}{step}"), &fields));
            continue;
        }
        let key = if open.len() > 1 { path.as_str() } else { "answer" };
        let answers: Vec<(String, &str)> = if asked.choices.is_empty() {
            vec![(format!("rerail answer {run} {}", escape::shell(&format!("{key}=TEXT"))), "")]
        } else {
            let word = |choice: &String| escape::shell(&format!("{key}={choice}"));
            asked.choices.iter().map(|choice| (format!("rerail answer {run} {}", word(choice)), "")).collect()
        };
        lines.extend(commands("", &answers));
    }
    lines
}

fn approval(run: &str, open: &Approval, now: Option<Timestamp>, said: &[StepPath]) -> Vec<Line> {
    let request = &open.request;
    let (step, until) = (&request.step, words::date_time(request.expires));
    let resume = [(format!("rerail resume {run}"), "")];
    let mut lines = Vec::new();
    if said.contains(step) {
        lines.push(self::said("Decided about, and not taken up yet: ", step.as_str()));
        lines.extend(commands("  It goes on with:", &resume));
        return lines;
    }
    if now.is_some_and(|now| request.expires <= now) {
        lines.push(self::said("Nobody approved in time: ", &format!("{step}  (until {until})")));
        lines.extend(commands("  A yes comes too late. It ends with:", &resume));
        return lines;
    }
    let who = match request.single {
        true => "nobody else is configured: its operator confirms it".to_owned(),
        false => needs(&request.needs),
    };
    let text = format!("  {who}  (until {until})");
    lines.push(
        Line::of(Tone::Warn, "Waiting for an approval: ").add(Tone::Strong, step.as_str()).add(Tone::Plain, &text),
    );
    let word = escape::shell(&format!("{run}/{step}"));
    lines.extend(commands(
        "",
        &[
            (format!("rerail approve {word}"), "shows the change, then asks"),
            (format!("rerail reject {word} -m TEXT"), "says no, with a reason"),
        ],
    ));
    lines
}

/// The command that answers a question with fields, and what the fields are. In brackets: what may be left out.
fn form(command: &str, fields: &[Input]) -> Vec<Line> {
    let words = fields.iter().map(|field| {
        let word = format!("{}={}", field.name.value, field.ty.name().to_uppercase());
        if field.required { word } else { format!("[{word}]") }
    });
    let command = format!("{command} {}", words.collect::<Vec<_>>().join(" "));
    let mut lines = commands("", &[(command, "")]);
    let width = fields.iter().map(|field| field.name.value.chars().count()).max().unwrap_or(0) + 3;
    for field in fields {
        let choices = match &field.ty {
            Type::Choice(choices) => Some(choices.join(", ")),
            _ => None,
        };
        let about: Vec<String> = field.description.iter().cloned().chain(choices).collect();
        if !about.is_empty() {
            let line = Line::of(Tone::Plain, "      ").column(Tone::Plain, &field.name.value, width);
            lines.push(line.add(Tone::Dim, &about.join(": ")));
        }
    }
    lines
}

fn failed(run: &str, facts: &Facts) -> Vec<Line> {
    let Some(end) = &facts.finished else { return Vec::new() };
    let mut lines = Vec::new();
    let message = end.error.as_ref().map(words::failure).unwrap_or_default();
    let Some(step) = end.failed_step.as_ref().filter(|step| can_be_decided(facts, step)) else {
        let place = end.failed_step.as_ref().map(|step| format!("`{step}`: ")).unwrap_or_default();
        return vec![said("Failed: ", &format!("{place}{message}"))];
    };
    lines.push(said(&format!("Failed at `{step}`: "), &message));
    let word = escape::shell(step.as_str());
    lines.extend(commands(
        "Put it right by hand if need be, then:",
        &[
            (format!("rerail resume {run} --retry {word} --reason TEXT"), "try it again and go on"),
            (format!("rerail resume {run} --skip {word} --reason TEXT"), "go on without it"),
        ],
    ));
    lines
}

/// What could not be taken back, and the ways on.
fn stuck(run: &str, facts: &Facts) -> Vec<Line> {
    let left = facts.left_to_undo();
    let Some(step) = left.first().map(StepPath::undo) else { return Vec::new() };
    let why = facts.step(&step).and_then(|record| record.finished.as_ref()?.error.as_ref()).map(words::failure);
    let mut lines = vec![
        said(&format!("Stuck at `{step}`: "), &why.unwrap_or_else(|| "its time was up before it began".to_owned())),
        said("Not taken back: ", &line::paths(left)),
    ];
    let mut ways = vec![(format!("rerail undo {run}"), "try it again and go on with what is left")];
    // Of a part that the run itself took back, decisions come once somebody takes the whole back.
    if facts.undo_of_run().is_some() && can_be_decided(facts, &step) {
        let word = escape::shell(step.as_str());
        ways.push((
            format!("rerail resume {run} --set-outcome {word}=done --reason TEXT"),
            "it is taken back by hand: go on with the others",
        ));
        ways.push((format!("rerail resume {run} --skip {word} --reason TEXT"), "leave it and go on with the others"));
    }
    lines.extend(commands("Put it right by hand if need be, then:", &ways));
    lines
}

/// What became of a run that somebody took back.
fn taken_back(run: &str, facts: &Facts) -> Vec<Line> {
    let Some(undo) = facts.undo_of_run() else { return Vec::new() };
    let left = undo.end.as_ref().map_or(&[][..], |end| &end.left);
    let by = undo.actor.as_ref().map(|actor| format!(" by {}", line::person(actor))).unwrap_or_default();
    let done = &undo.steps[..undo.steps.len().saturating_sub(left.len())];
    let mut lines = vec![said(&format!("Taken back{by}: "), &line::paths(done))];
    if !undo.without_undo.is_empty() {
        lines.push(said("Nothing takes back: ", &line::paths(&undo.without_undo)));
    }
    if !left.is_empty() {
        lines.push(said("Not taken back: ", &line::paths(left)));
        lines.extend(commands("To go on:", &[(format!("rerail undo {run}"), "")]));
    }
    lines
}

/// A person can decide on steps that have an end; an `outputs:` of the runbook that failed has none.
fn can_be_decided(facts: &Facts, step: &StepPath) -> bool {
    facts.step(step).is_some_and(|record| record.finished.is_some())
}

/// Steps that have begun and have no end yet, without the actions and scripts around them.
pub fn under_way(facts: &Facts) -> impl Iterator<Item = (&StepPath, &Record)> {
    facts.steps.iter().filter(|(path, record)| record.is_open() && facts.below(path).next().is_none())
}

fn open(path: &StepPath, record: &Record) -> Line {
    let (what, since) = match &record.started {
        Some(started) => (line::what(&started.intent), words::clock(started.at)),
        None => (String::new(), String::new()),
    };
    let seen = record.observed.as_ref().map_or_else(String::new, |seen| format!("; last seen: {}", words::value(seen)));
    let risk = match record.is_sending() {
        true => "; a write: if its process is gone, whether it happened is unknown",
        false => "",
    };
    let queued = record.queued.as_ref().map_or_else(String::new, |queued| format!("; its group {}", queued.said));
    said("Under way: ", &format!("{path}  {what} since {since}{seen}{risk}{queued}"))
}

/// Writes and messages that happened in the order they began, innermost calls left to those around them.
pub fn still_done(facts: &Facts) -> Vec<&StepPath> {
    let changed = |record: &Record| {
        let wrote = record.started.as_ref().is_some_and(|started| started.intent.effect.changes_the_world());
        wrote && record.end().is_some_and(|end| end.outcome == Outcome::Done)
    };
    let mut done: Vec<&StepPath> = Vec::new();
    for (path, record) in &facts.steps {
        // An action's write is told once, as the action.
        let told = path.ancestors().any(|above| facts.steps.get(&above).is_some_and(changed));
        if changed(record) && !told {
            done.push(path);
        }
    }
    done.sort_by_key(|path| facts.step(path).map(|record| record.seq));
    done
}

/// Everybody who did something, each once, in order of appearance.
pub fn people<'a>(actors: impl IntoIterator<Item = &'a Actor>) -> Vec<String> {
    let mut people = Vec::new();
    for actor in actors {
        let name = line::person(actor);
        if !people.contains(&name) {
            people.push(name);
        }
    }
    people
}

fn said(front: &str, text: &str) -> Line {
    Line::of(Tone::Strong, front).add(Tone::Plain, text)
}

fn commands(text: &str, commands: &[(String, &str)]) -> Vec<Line> {
    let mut lines = Vec::new();
    if !text.is_empty() {
        lines.push(Line::of(Tone::Plain, text));
    }
    let width = commands.iter().map(|(command, _)| command.chars().count()).max().unwrap_or(0) + 3;
    for (command, meaning) in commands {
        let line = Line::of(Tone::Plain, "    ").column(Tone::Strong, command, width);
        lines.push(line.add(Tone::Dim, meaning));
    }
    lines
}

#[cfg(test)]
mod tests;
