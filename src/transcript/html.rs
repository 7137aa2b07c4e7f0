//! A run as one page: for a browser, a phone, paper, and whoever reads it a year later.
//!
//! One file without scripts and without anything from elsewhere; a Content-Security-Policy says so to the browser, and
//! names the one style by its hash. What was found stands first, the evidence last.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use crate::engine::event::{Event, RunStarted};
use crate::engine::facts::{Facts, Record, RunState};
use crate::engine::ids::StepPath;
use crate::engine::outcome::RunOutcome;
use crate::transcript::line::{self, Detail};
use crate::transcript::markup::Markup;
use crate::transcript::text::{Line, Mark, Marks};
use crate::transcript::{picture, summary, words};

const STYLE: &str = include_str!("page.css");

/// Rows of the table of steps: a browser still scrolls them, a printer still takes them.
pub const STEPS_MAX: usize = 2_000;
/// Events told in the transcript, for the same reason.
pub const EVENTS_MAX: usize = 5_000;
/// Failures drawn with their picture.
pub const ERRORS_MAX: usize = 200;
/// Findings shown.
pub const FINDINGS_MAX: usize = 500;
/// Characters of one text; the whole is in the journal.
pub const TEXT_CHARS_MAX: usize = 2_000;
/// Characters of a picture of a failure: its source lines are cut already.
const FAILURE_CHARS_MAX: usize = 8_000;

/// What a page ends with: how it can be compared with the journal it came from.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// Hash of the run's last event.
    pub head: Option<String>,
    /// The signed checkpoint that covers it.
    pub checkpoint: Option<String>,
}

/// The page of a run, or of what has happened so far.
pub fn page(events: &[Event], facts: &Facts, evidence: &Evidence) -> String {
    let mut page = Markup::new();
    let Some(started) = &facts.started else { return String::new() };
    // The picture's style goes along: one style, one hash.
    let style = format!("{STYLE}{}", picture::STYLE);
    let hash = STANDARD.encode(Sha256::digest(style.as_bytes()));
    page.tag("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    page.tag("<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'sha256-");
    page.text(&hash).tag("'; base-uri 'none'; form-action 'none'\">\n");
    page.tag("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    page.tag("<meta name=\"referrer\" content=\"no-referrer\">\n");
    page.element("title", &format!("{} ({}/{})", clipped(&started.title), started.runbook, started.run));
    page.tag("\n<style>").tag(STYLE).tag(picture::STYLE).tag("</style>\n</head>\n<body>\n");
    head(&mut page, started, facts);
    findings(&mut page, facts);
    next(&mut page, facts);
    page.tag("<h2>Where the time went</h2>\n<div class=\"wide\">");
    picture::draw(&mut page, events, facts, picture::Style::Outside);
    page.tag("</div>\n");
    steps(&mut page, facts);
    errors(&mut page, facts);
    transcript(&mut page, events, facts);
    inputs(&mut page, started);
    proof(&mut page, started, facts, evidence);
    page.tag("</body>\n</html>\n");
    page.finish()
}

fn clipped(text: &str) -> String {
    words::shorten(text, TEXT_CHARS_MAX)
}

fn head(page: &mut Markup, started: &RunStarted, facts: &Facts) {
    let state = facts.state();
    let tone = match state {
        RunState::Ended(RunOutcome::Success) => "good",
        RunState::Ended(RunOutcome::Cancelled) | RunState::Running => "dim",
        RunState::Ended(_) => "bad",
        RunState::Waiting | RunState::Paused | RunState::InDoubt | RunState::Stuck => "warn",
    };
    let incident = started.incident.as_ref().map(|incident| format!("{}: ", clipped(incident))).unwrap_or_default();
    page.element("h1", &format!("{incident}{}", clipped(&started.title)));
    page.tag("\n<p><span class=\"status ").tag(tone).tag("\">").text(summary::status_words(summary::status(facts)));
    page.tag("</span>");
    if let Some(message) = facts.finished.as_ref().and_then(|end| end.message.as_deref()) {
        page.tag(" ").text(&clipped(message));
    }
    page.tag("</p>\n<dl>\n");
    entry(page, "Run", &format!("{}/{}", started.runbook, started.run));
    entry(page, "Started", &words::date_time(facts.started_at));
    match &facts.finished {
        Some(end) => {
            let took = words::duration(words::between(facts.started_at, end.at));
            entry(page, "Ended", &format!("{}, after {took}", words::date_time(end.at)));
        }
        None => entry(page, "Last event", &words::date_time(facts.last_at)),
    }
    if let Some(target) = &started.target {
        entry(page, "Target", target);
    }
    entry(page, "Operator", &line::person(&started.actor));
    if let Some(reason) = &started.reason {
        entry(page, "Reason", reason);
    }
    if let Some(plan) = &started.plan {
        entry(page, "Plan", &line::plan_words(plan));
    }
    page.tag("</dl>\n");
}

fn entry(page: &mut Markup, name: &str, value: &str) {
    page.element("dt", &clipped(name)).element("dd", &clipped(value)).tag("\n");
}

fn findings(page: &mut Markup, facts: &Facts) {
    page.tag("<h2>Findings</h2>\n");
    let ranked = summary::ranked(facts);
    if ranked.is_empty() {
        page.tag("<p>None were recorded.</p>\n");
        return;
    }
    page.tag("<ul>\n");
    for finding in ranked.iter().take(FINDINGS_MAX) {
        let mark = line::mark_of_level(finding.level);
        let class = mark.tone().class();
        page.tag("<li class=\"finding ").tag(class).tag("\"><b>").tag(Marks::Unicode.sign(mark)).tag(" ");
        page.tag(words::level(finding.level)).tag("</b><p>").text(&clipped(&finding.say));
        page.tag("</p><span class=\"dim\">").text(finding.step.as_str()).tag("</span>");
        if let Some(suggest) = &finding.suggest {
            page.tag("<p>Next: ").element("code", &clipped(&line::suggestion(suggest, facts))).tag("</p>");
        }
        page.tag("</li>\n");
    }
    page.tag("</ul>\n");
    left_out(page, ranked.len().saturating_sub(FINDINGS_MAX), "finding");
}

fn left_out(page: &mut Markup, count: usize, one: &str) {
    if count > 0 {
        let text =
            format!("{} more are left out here; rerail export --format jsonl has all.", words::count(count, one));
        page.element("p", &text).tag("\n");
    }
}

/// What a reader can do now: a page of a run that has not ended is read by who wants to end it.
fn next(page: &mut Markup, facts: &Facts) {
    let lines = summary::next_steps(facts);
    if lines.is_empty() {
        return;
    }
    page.tag("<h2>Where it stands</h2>\n<pre>");
    lines.iter().for_each(|line| toned(page, line));
    page.tag("</pre>\n");
}

fn steps(page: &mut Markup, facts: &Facts) {
    let mut records: Vec<(&StepPath, &Record)> = facts.steps.iter().collect();
    records.sort_by_key(|(_, record)| record.seq);
    page.tag("<h2>Steps</h2>\n<div class=\"wide\"><table>\n<thead><tr>");
    for heading in ["Step", "What", "Effect", "Outcome", "Started (UTC)", "Took", "Result"] {
        page.tag("<th scope=\"col\">").tag(heading).tag("</th>");
    }
    page.tag("</tr></thead>\n<tbody>\n");
    for (path, record) in records.iter().take(STEPS_MAX) {
        step(page, path, record);
    }
    page.tag("</tbody></table></div>\n");
    left_out(page, records.len().saturating_sub(STEPS_MAX), "step");
}

fn step(page: &mut Markup, path: &StepPath, record: &Record) {
    let started = record.started.as_ref();
    let end = record.finished.as_ref();
    let (mark, outcome) = match (end, &record.skipped) {
        (Some(end), _) => (line::mark_of(end.outcome), line::outcome_words(end.outcome)),
        (None, Some(_)) => (Mark::Skipped, "skipped"),
        (None, None) if record.is_asking() => (Mark::Waiting, "waiting for a person"),
        (None, None) if record.is_open() => (Mark::Waiting, "running"),
        (None, None) => (Mark::Info, "see its steps"),
    };
    let result = match (end, &record.skipped) {
        (Some(end), _) => match &end.error {
            Some(failure) => words::failure(failure),
            None => words::result(started.map_or("", |started| line::uses_word(&started.intent)), &end.outputs),
        },
        (None, Some(skipped)) => format!("`{}` is false", skipped.condition),
        (None, None) => String::new(),
    };
    page.tag("<tr><th scope=\"row\">").text(&clipped(path.as_str())).tag("</th>");
    page.element("td", &started.map(|started| clipped(&line::what(&started.intent))).unwrap_or_default());
    page.element("td", started.map_or("", |started| started.intent.effect.word()));
    page.tag("<td class=\"").tag(mark.tone().class()).tag("\">").tag(Marks::Unicode.sign(mark)).tag(" ");
    page.text(outcome);
    if let Some(attempt) = started.map(|started| started.intent.attempt).filter(|attempt| *attempt > 1) {
        page.text(&format!(", attempt {attempt}"));
    }
    page.tag("</td><td class=\"number\">");
    page.text(&started.map(|started| words::date_time(started.first_at)).unwrap_or_default());
    page.tag("</td><td class=\"number\">").text(&end.map(|end| words::duration(end.ms)).unwrap_or_default());
    page.tag("</td><td class=\"result\">").text(&clipped(&result)).tag("</td></tr>\n");
}

fn errors(page: &mut Markup, facts: &Facts) {
    let mut broken: Vec<_> = facts
        .steps
        .iter()
        .filter_map(|(path, record)| {
            let end = record.finished.as_ref()?;
            let failure = end.error.as_ref()?;
            (!line::repeats_an_inner_failure(path, failure, facts)).then_some((record.seq, path, end, failure))
        })
        .collect();
    broken.sort_by_key(|(seq, ..)| *seq);
    if broken.is_empty() {
        return;
    }
    page.tag("<h2>Errors</h2>\n");
    for (_, path, end, failure) in broken.iter().take(ERRORS_MAX) {
        page.tag("<p><b>").text(&clipped(path.as_str())).tag("</b> ").text(line::outcome_words(end.outcome));
        page.tag(": ").text(&clipped(&words::failure(failure))).tag("</p>\n");
        let values = words::values(&failure.values);
        if !failure.picture.is_empty() || !values.is_empty() {
            page.tag("<pre>").text(&words::shorten(failure.picture.trim_end(), FAILURE_CHARS_MAX));
            for value in &values {
                page.tag("\n  = ").text(&clipped(value));
            }
            page.tag("</pre>\n");
        }
    }
    left_out(page, broken.len().saturating_sub(ERRORS_MAX), "error");
}

fn transcript(page: &mut Markup, events: &[Event], facts: &Facts) {
    page.tag("<h2>Transcript (UTC)</h2>\n<pre>");
    let style = line::Style { marks: Marks::Unicode, detail: Detail::Events };
    for event in events.iter().take(EVENTS_MAX) {
        line::lines(event, facts, style).iter().for_each(|line| toned(page, line));
    }
    page.tag("</pre>\n");
    left_out(page, events.len().saturating_sub(EVENTS_MAX), "event");
}

/// A line with its tones as classes; a very long piece is cut.
fn toned(page: &mut Markup, line: &Line) {
    for (tone, piece) in line.pieces() {
        match tone.class() {
            "" => page.text(&clipped(piece)),
            class => page.tag("<span class=\"").tag(class).tag("\">").text(&clipped(piece)).tag("</span>"),
        };
    }
    page.tag("\n");
}

fn inputs(page: &mut Markup, started: &RunStarted) {
    page.tag("<h2>Inputs</h2>\n");
    if started.inputs.is_empty() {
        page.tag("<p>It has none.</p>\n");
        return;
    }
    page.tag("<dl>\n");
    for (name, value) in &started.inputs {
        page.element("dt", &clipped(name)).tag("<dd>").element("code", &clipped(&words::quoted(value))).tag("</dd>\n");
    }
    page.tag("</dl>\n");
}

fn proof(page: &mut Markup, started: &RunStarted, facts: &Facts, evidence: &Evidence) {
    page.tag("<h2>Evidence</h2>\n<dl>\n");
    entry(page, "Run", &started.run.uuid());
    entry(page, "Events", &facts.next_seq.to_string());
    if let Some(head) = &evidence.head {
        entry(page, "Hash of the last event", head);
    }
    if let Some(checkpoint) = &evidence.checkpoint {
        page.tag("<dt>Signed checkpoint</dt><dd>").element("code", checkpoint).tag("</dd>\n");
    }
    for file in &started.files {
        page.element("dt", &clipped(&file.shown)).tag("<dd>").element("code", &file.digest).tag("</dd>\n");
    }
    page.tag("</dl>\n<p>To compare with the journal: ");
    page.element("code", &format!("rerail verify {}", started.run)).tag(", ");
    page.element("code", &format!("rerail export {} --format jsonl", started.run));
    page.tag(". A page proves nothing by itself: its checkpoint does, kept where the journal is not.</p>\n");
}

#[cfg(test)]
pub(crate) mod tests;
