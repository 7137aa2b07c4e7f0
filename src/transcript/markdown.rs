//! A run as the beginning of its postmortem: what the engine knows is filled in, what only people know
//! is left as `TODO(author)`.
//!
//! Everything from outside is escaped: a server's answer can't put a link or an image into the page.

use std::fmt::Write;

use crate::engine::event::{Actor, Body, Event, RunStarted};
use crate::engine::facts::{Facts, RunState};
use crate::engine::outcome::RunOutcome;
use crate::script::value::Map;
use crate::transcript::html::Evidence;
use crate::transcript::text::{Line, Marks};
use crate::transcript::{escape, line, summary, words};

/// Characters of one text: a postmortem is read by people, and the whole is in the journal.
const TEXT_CHARS_MAX: usize = 2_000;
/// How notes mark what is to be done afterwards.
const TODO_PREFIX: &str = "TODO:";

/// The postmortem of a run, or of what has happened so far.
pub fn postmortem(events: &[Event], facts: &Facts, evidence: &Evidence) -> String {
    let mut page = String::new();
    let Some(started) = &facts.started else { return page };
    head(&mut page, started, facts);
    section(&mut page, "Overview", &["TODO(author): what happened, in two or three sentences."]);
    findings(&mut page, facts);
    section(&mut page, "Contributing factors", &["TODO(author)"]);
    resolution(&mut page, facts);
    section(&mut page, "Impact", &["TODO(author): who noticed what, for how long."]);
    responders(&mut page, events);
    timeline(&mut page, events, facts);
    section(&mut page, "What went well", &["TODO(author)"]);
    section(&mut page, "What did not go well", &["TODO(author)"]);
    action_items(&mut page, events);
    proof(&mut page, started, evidence);
    page
}

fn head(page: &mut String, started: &RunStarted, facts: &Facts) {
    let incident = started.incident.as_ref().map(|incident| format!("{}: ", prose(incident))).unwrap_or_default();
    put(page, &format!("# {incident}{}\n", prose(&started.title)));
    let mut rows = vec![
        ("Run", code(&format!("{}/{}", started.runbook, started.run))),
        ("Status", prose(summary::status_words(summary::status(facts)))),
        ("Started", words::date_time(facts.started_at)),
    ];
    match &facts.finished {
        Some(end) => {
            rows.push(("Ended", words::date_time(end.at)));
            rows.push(("Duration", words::duration(words::between(facts.started_at, end.at))));
        }
        None => rows.push(("Last event", words::date_time(facts.last_at))),
    }
    if let Some(target) = &started.target {
        rows.push(("Target", code(target)));
    }
    rows.push(("Operator", prose(&line::person(&started.actor))));
    if let Some(reason) = &started.reason {
        rows.push(("Reason", prose(reason)));
    }
    if !started.inputs.is_empty() {
        rows.push(("Inputs", inputs(&started.inputs)));
    }
    if let Some(file) = started.files.first() {
        rows.push(("Runbook text", code(&file.digest)));
    }
    put(page, "| | |\n|---|---|");
    for (name, value) in rows {
        put(page, &format!("| {name} | {value} |"));
    }
    put(page, "");
}

fn inputs(inputs: &Map) -> String {
    words::values(inputs).iter().map(|text| code(text)).collect::<Vec<_>>().join(", ")
}

fn findings(page: &mut String, facts: &Facts) {
    put(page, "## Findings\n");
    let ranked = summary::ranked(facts);
    for finding in &ranked {
        let level = words::level(finding.level);
        let suggest =
            finding.suggest.as_ref().map(|suggest| format!(" Next: {}", code(&line::suggestion(suggest, facts))));
        let suggest = suggest.unwrap_or_default();
        put(page, &format!("- **{level}** {} ({}){suggest}", prose(&finding.say), code(finding.step.as_str())));
    }
    if ranked.is_empty() {
        put(page, "None were recorded.");
    }
    put(page, "");
}

fn resolution(page: &mut String, facts: &Facts) {
    put(page, "## Resolution\n");
    let writes = summary::still_done(facts);
    for path in &writes {
        let Some(record) = facts.step(path) else { continue };
        let Some(started) = &record.started else { continue };
        let what = code(&line::what(&started.intent));
        let effect = started.intent.effect.word();
        let settled = match &record.settled {
            Some((actor, reason)) => format!("; settled by {}: {}", prose(&actor.id), prose(reason)),
            None => String::new(),
        };
        put(page, &format!("- {} {} {what} ({effect}){settled}", words::date_time(started.at), code(path.as_str())));
    }
    let open: Vec<_> = summary::under_way(facts).filter(|(_, record)| record.is_sending()).collect();
    for (path, record) in &open {
        let since = record.started.as_ref().map_or_else(String::new, |started| words::date_time(started.at));
        put(page, &format!("- {since} {} was begun, and its outcome is not known", code(path.as_str())));
    }
    if writes.is_empty() && open.is_empty() && facts.doubts().next().is_none() {
        put(page, "This run changed nothing.");
    }
    match facts.state() {
        RunState::Ended(RunOutcome::Success) => {}
        RunState::Ended(_) => {
            let error = facts.finished.as_ref().and_then(|end| end.error.as_ref());
            if let Some(error) = error {
                put(page, &format!("\nIt ended with: {}", prose(&words::failure(error))));
            }
        }
        RunState::Stuck => put(page, "\nWhat it changed is taken back in part only."),
        state => put(page, &format!("\nThe run has not ended: {}.", prose(summary::status_words(state.word())))),
    }
    for (path, _) in facts.doubts() {
        put(page, &format!("- {} may have happened: nobody has settled it", code(path.as_str())));
    }
    put(page, "");
}

fn responders(page: &mut String, events: &[Event]) {
    put(page, "## Responders\n");
    for person in summary::people(events.iter().filter_map(|event| actor(&event.body))) {
        put(page, &format!("- {}", prose(&person)));
    }
    put(page, "");
}

fn timeline(page: &mut String, events: &[Event], facts: &Facts) {
    put(page, "## Timeline (UTC)\n\n| Event | Time | Type | Step | Who | What |\n|---:|---|---|---|---|---|");
    let style = line::Style { marks: Marks::Unicode, detail: line::Detail::Steps };
    for event in events {
        let what = line::lines(event, facts, style);
        let Some(first) = what.first() else { continue };
        let step = step(&event.body).map(code).unwrap_or_default();
        let who = actor(&event.body).map(|actor| prose(&line::person(actor))).unwrap_or_default();
        let (time, word) = (words::date_time(event.ts), event.body.word());
        let what = code(&squeeze(first));
        put(page, &format!("| {} | {time} | {word} | {step} | {who} | {what} |", event.seq));
    }
    put(page, "");
}

/// A line of columns as running text.
fn squeeze(line: &Line) -> String {
    line.plain().split_whitespace().collect::<Vec<_>>().join(" ")
}

fn action_items(page: &mut String, events: &[Event]) {
    put(page, "## Action items\n");
    let mut found = false;
    for event in events {
        let Body::Note { text, actor, .. } = &event.body else { continue };
        let Some(item) = text.trim_start().strip_prefix(TODO_PREFIX) else { continue };
        found = true;
        let who = actor.as_ref().map(|actor| format!(" ({})", prose(&line::person(actor)))).unwrap_or_default();
        put(page, &format!("- [ ] {}{who}", prose(item.trim())));
    }
    if !found {
        put(page, "TODO(author). A note that begins with `TODO:` lands here by itself.");
    }
}

fn proof(page: &mut String, started: &RunStarted, evidence: &Evidence) {
    let Some(checkpoint) = &evidence.checkpoint else { return };
    let command = format!("rerail verify {} --checkpoint FILE", started.run);
    put(page, &format!("\n## Evidence\n\nSigned when it ended; {} holds the journal against it.\n", code(&command)));
    put(page, &format!("```text\n{checkpoint}\n```"));
}

fn section(page: &mut String, title: &str, text: &[&str]) {
    put(page, &format!("## {title}\n"));
    for line in text {
        put(page, line);
    }
    put(page, "");
}

fn prose(text: &str) -> String {
    escape::markdown(&words::shorten(text, TEXT_CHARS_MAX))
}

fn code(text: &str) -> String {
    escape::markdown_code(&words::shorten(text, TEXT_CHARS_MAX))
}

fn put(page: &mut String, line: &str) {
    writeln!(page, "{line}").expect("writing to a string does not fail");
}

fn actor(body: &Body) -> Option<&Actor> {
    match body {
        Body::RunStarted(started) => Some(&started.actor),
        Body::RunResumed { actor, .. }
        | Body::RunTaken { actor, .. }
        | Body::RunCancelled { actor, .. }
        | Body::AskAnswered { actor, .. }
        | Body::ApprovalGiven { actor, .. }
        | Body::ApprovalRejected { actor, .. }
        | Body::OutcomeSet { actor, .. } => Some(actor),
        Body::Note { actor, .. } | Body::RunPaused { actor, .. } | Body::HoldOff { actor } => actor.as_ref(),
        Body::HoldOn(hold) => Some(&hold.actor),
        Body::UndoStarted(undo) => undo.actor.as_ref(),
        _ => None,
    }
}

fn step(body: &Body) -> Option<&str> {
    let step = match body {
        Body::StepStarted(intent) => &intent.step,
        Body::StepFinished(end) => &end.step,
        Body::StepRetrying(again) => &again.step,
        Body::ApprovalRequested(request) => &request.step,
        Body::StepObserved { step, .. }
        | Body::StepSettled { step, .. }
        | Body::StepSkipped { step, .. }
        | Body::AskAsked { step, .. }
        | Body::AskAnswered { step, .. }
        | Body::ApprovalGiven { step, .. }
        | Body::ApprovalRejected { step, .. }
        | Body::ApprovalExpired { step, .. }
        | Body::ApprovalVoid { step, .. }
        | Body::ApprovalReminded { step, .. }
        | Body::Finding { step, .. }
        | Body::Log { step, .. }
        | Body::OutcomeSet { step, .. }
        | Body::ConcurrencyWaiting { step, .. }
        | Body::ConcurrencyBusy { step, .. }
        | Body::ConcurrencyClaimed { step, .. }
        | Body::Evidence { step, .. } => step,
        Body::Note { step, .. } => step.as_ref()?,
        Body::RunStarted(_)
        | Body::RunResumed { .. }
        | Body::RunTaken { .. }
        | Body::RunCancelled { .. }
        | Body::RunPaused { .. }
        | Body::HoldOn(_)
        | Body::HoldOff { .. }
        | Body::UndoStarted(_)
        | Body::UndoFinished { .. }
        | Body::RunFinished { .. } => return None,
    };
    Some(step.as_str())
}

#[cfg(test)]
mod tests;
