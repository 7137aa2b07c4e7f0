//! What only looks: help, runbooks, how runs stand.

use jiff::Timestamp;

use crate::runs::{Caller, RunFilter, RunRow, RunsError, Status};
use crate::surfaces::chat::buttons::{self, Act, LASTS};
use crate::surfaces::chat::card::{Card, Style};
use crate::surfaces::chat::command::Start;
use crate::surfaces::chat::story;
use crate::surfaces::chat::work::{Done, Work};
use crate::surfaces::shapes::approvals::left;
use crate::surfaces::shapes::runbooks::of_runbooks;
use crate::transcript::{summary, words};

/// Runs in one answer.
const RUNS_MAX: u32 = 10;
/// Runbooks in one answer; of the first ones there are buttons.
const BOOKS_MAX: usize = 15;
const BUTTONS_OF: usize = 2;

const HELP: [&str; 12] = [
    "/rerail find WORDS — runbooks, to look at and to start",
    "/rerail plan RUNBOOK input=value … target=NAME — what it would do; only you see it",
    "/rerail run RUNBOOK input=value … target=NAME — its plan with a Start button, then a live card",
    "/rerail status [RUN] · runs — how things stand",
    "/rerail stalk RUNBOOK every=30s — looks again and again, speaks when something changes, for two hours",
    "/rerail note RUN TEXT — into the timeline",
    "/rerail approve RUN — shows what waits, with buttons",
    "/rerail reject RUN REASON",
    "/rerail answer RUN TEXT",
    "/rerail cancel RUN [REASON]",
    "/rerail hold on REASON · hold off · hold status — stops all writes",
    "/rerail link · unlink — who you are",
];

impl Work<'_> {
    pub(super) fn help(&self, caller: &Caller) -> Result<Done, RunsError> {
        let actor = self.runs.identify(caller)?;
        let roles = if actor.roles.is_empty() { String::new() } else { format!(" ({})", actor.roles.join(", ")) };
        let mut card = Card::new(&format!("rerail knows you as {}{roles}", actor.id));
        for line in HELP {
            card = card.line(line);
        }
        let now = Timestamp::now();
        let waiting = self.runs.approvals(caller)?;
        for waiting in waiting.iter().filter(|waiting| waiting.refused.is_none()).take(BOOKS_MAX) {
            let (name, step) = (story::name(&waiting.run), &waiting.approval.request.step);
            card = card.line(&format!("⏸ waits for you: {name} · {step} · {} left", left(waiting, now)));
        }
        Ok(Done::Whisper(card))
    }

    pub(super) fn find(&self, wanted: &[String], caller: &Caller) -> Result<Done, RunsError> {
        self.runs.identify(caller)?;
        let rows = of_runbooks(self.runs, wanted)?;
        let text = |row: &serde_json::Value, key: &str| row[key].as_str().unwrap_or_default().to_owned();
        let mut card = Card::new(&words::count(rows.len(), "runbook"));
        let until = Timestamp::now() + LASTS;
        for row in rows.iter().take(BOOKS_MAX) {
            card = card.line(&format!("{} — {}", text(row, "name"), text(row, "title")));
        }
        for row in rows.iter().take(BUTTONS_OF) {
            let name = text(row, "name");
            let start = Start { runbook: name.clone(), ..Start::default() };
            let plan = buttons::mint(self.runs, Act::Plan(start.clone()), &[], until)?;
            let run = buttons::mint(self.runs, Act::Run(start), &[], until)?;
            card = card.button(&format!("Plan {name}"), &plan, Style::Plain);
            card = card.button(&format!("Run {name}"), &run, Style::Plain);
        }
        if rows.len() > BOOKS_MAX {
            card = card.line(&format!("… and {} more: say more words", rows.len() - BOOKS_MAX));
        }
        Ok(Done::Whisper(card))
    }

    pub(super) fn status(&self, run: Option<&str>) -> Result<Done, RunsError> {
        if run.is_some() || self.asked.place.thread.is_some() {
            let (row, _) = self.run_meant(run)?;
            let facts = self.runs.facts(&row)?;
            return Ok(Done::Whisper(story::card(&row, &facts, self.base)));
        }
        let mut open = Vec::new();
        for status in [Status::InDoubt, Status::Waiting, Status::Running, Status::Paused] {
            open.extend(self.runs.list(&RunFilter {
                status: Some(status),
                limit: Some(RUNS_MAX),
                ..RunFilter::default()
            })?);
        }
        let held = self.runs.last_hold()?.is_some_and(|last| last.lifted.is_none());
        let title = if open.is_empty() { "no run is open".to_owned() } else { words::count(open.len(), "open run") };
        let card = Card::new(&title);
        let card = if held { card.line("all writes are on hold") } else { card };
        Ok(Done::Whisper(rows(card, &open)))
    }

    pub(super) fn list(&self) -> Result<Done, RunsError> {
        let rows_found = self.runs.list(&RunFilter { limit: Some(RUNS_MAX), ..RunFilter::default() })?;
        Ok(Done::Whisper(rows(Card::new("newest runs"), &rows_found)))
    }
}

fn rows(card: Card, found: &[RunRow]) -> Card {
    found.iter().fold(card, |card, row| {
        let on = row.target.as_ref().map(|target| format!(" on {target}")).unwrap_or_default();
        let status = summary::status_words(row.status.word());
        let when = words::date_time(row.started_at);
        card.line(&format!("{}{on} · {status} · {when} · by {}", story::name(row), row.actor.id))
    })
}
