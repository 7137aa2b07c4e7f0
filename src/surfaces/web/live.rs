//! What pages are told as it happens: pieces written by the templates that wrote the page.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};

use crate::engine::event::{Body, Event};
use crate::engine::facts::Facts;
use crate::runs::{Caller, RunRow, Runs};
use crate::surfaces::http::{Call, How, Piece, Problem, Telling, Told};
use crate::surfaces::web::run::Told as Beside;
use crate::surfaces::web::{acts, frame, home as first, paper, run as page, view};
use crate::transcript::line::{self, Detail, Style};
use crate::transcript::{Line, Marks};

/// Sentences told at once to those who listen: after more nobody does.
const SAID_MAX: usize = 6;
/// Lines of the transcript told at once; a page that was away longer loads anew by its links.
const LINES_MAX: usize = 200;

/// What was written under each id, by its digest.
#[derive(Default)]
struct Written(BTreeMap<String, [u8; 32]>);

impl Written {
    /// Whether this is another data than was written there last.
    fn is_new(&mut self, at: &str, data: &Json) -> bool {
        let digest: [u8; 32] = Sha256::digest(data.to_string().as_bytes()).into();
        self.0.insert(at.to_owned(), digest) != Some(digest)
    }
}

/// The first page.
struct Home {
    caller: Caller,
    /// What the forms on it need.
    around: Json,
    written: Written,
    times: u64,
}

/// The stream of the first page.
pub fn home(call: &Call<'_>, _: Option<u64>) -> Result<Box<dyn Telling>, Problem> {
    let around = frame::around(call)?;
    Ok(Box::new(Home { caller: call.principal.caller.clone(), around, written: Written::default(), times: 0 }))
}

impl Telling for Home {
    fn tell(&mut self, runs: &Runs) -> Result<Option<Told>, Problem> {
        let lists = first::lists(runs, &self.caller, Timestamp::now())?;
        let mut pieces = Vec::new();
        let waits = json!(frame::waits(runs)?);
        if self.written.is_new("p-waits", &waits) {
            self.around["waits"] = waits;
            let html = paper::write("waits.html", &json!({ "frame": self.around }))?;
            pieces.push(Piece { at: "p-waits".to_owned(), html, how: How::Inside });
        }
        if self.written.is_new("p-home", &lists) {
            let mut whole = lists;
            // Each form that is shown is one that can be sent.
            self.around["key"] = json!(crate::surfaces::http::new_key());
            whole["frame"] = self.around.clone();
            let html = paper::write("home_lists.html", &whole)?;
            pieces.push(Piece { at: "p-home".to_owned(), html, how: How::Inside });
        }
        if pieces.is_empty() {
            return Ok(None);
        }
        self.times += 1;
        Ok(Some(Told { id: self.times, pieces, ..Told::default() }))
    }
}

/// The page of a run.
struct OfRun {
    row: RunRow,
    events: u64,
    facts: Facts,
    /// All notes so far, oldest first.
    notes: Vec<Json>,
    /// What the forms on it need.
    around: Json,
    written: Written,
    ended: bool,
}

/// The stream of a run's page, from the number of events that the page was written with.
pub fn run(call: &Call<'_>, last: Option<u64>) -> Result<Box<dyn Telling>, Problem> {
    let given = call.parameters(&["from"])?;
    let row = call.run()?;
    let from = match (last, given.first()) {
        (Some(last), _) => last,
        (None, Some((_, text))) => {
            text.parse().map_err(|_| Problem::new(400, format!("`from` is no number of an event: `{text}`")))?
        }
        (None, None) => row.last_seq + 1,
    };
    let events = call.runs.events(&row)?;
    let known = events.len().min(usize::try_from(from).unwrap_or(usize::MAX));
    let mut telling = OfRun {
        facts: fold(&events[..known])?,
        notes: page::notes(&events[..known]),
        events: known as u64,
        around: frame::around(call)?,
        written: Written::default(),
        ended: false,
        row,
    };
    // What the page shows is what its events say; what has come since is told first.
    let beside = Beside::of(&call.runs, &telling.row)?;
    telling.changed(&beside)?;
    Ok(Box::new(telling))
}

fn fold(events: &[Event]) -> Result<Facts, Problem> {
    Facts::fold(events).map_err(|error| Problem::new(500, error.to_string()))
}

impl OfRun {
    /// The pieces that are not as they were written last.
    fn changed(&mut self, beside: &Beside) -> Result<Vec<Piece>, Problem> {
        let mut pieces = Vec::new();
        let head = page::head(&self.row, &self.facts, beside);
        if self.written.is_new("p-head", &head) {
            let html = paper::write("run_head.html", &json!({ "head": head }))?;
            pieces.push(Piece { at: "p-head".to_owned(), html, how: How::Inside });
        }
        let acts = acts::of(&self.row, &self.facts, beside);
        if self.written.is_new("p-acts", &acts) {
            let mut around = self.around.clone();
            around["key"] = json!(crate::surfaces::http::new_key());
            let html = paper::write("run_acts.html", &json!({ "acts": acts, "frame": around }))?;
            pieces.push(Piece { at: "p-acts".to_owned(), html, how: How::Inside });
        }
        let (findings, count) = page::findings(&self.facts);
        let found = json!({ "findings": findings });
        if self.written.is_new("p-found", &found) {
            let html = paper::write("run_findings.html", &found)?;
            pieces.push(Piece { at: "p-found".to_owned(), html, how: How::Inside });
            pieces.push(Piece { at: "p-findings-count".to_owned(), html: count.to_string(), how: How::Inside });
        }
        let (notes, count) = page::newest(self.notes.clone());
        let noted = json!({ "notes": notes });
        if self.written.is_new("p-notes", &noted) {
            let html = paper::write("run_notes.html", &noted)?;
            pieces.push(Piece { at: "p-notes".to_owned(), html, how: How::Inside });
            pieces.push(Piece { at: "p-notes-count".to_owned(), html: count.to_string(), how: How::Inside });
        }
        for step in page::steps(&self.facts).0 {
            let at = step["id"].as_str().unwrap_or_default().to_owned();
            if self.written.is_new(&at, &step) {
                let html = paper::write("run_step.html", &json!({ "step": step }))?;
                pieces.push(Piece { at, html, how: How::Row("p-steps") });
            }
        }
        Ok(pieces)
    }

    /// Lines for the transcript, and sentences for those who listen.
    fn lines(&self, new: &[Event]) -> Result<(Option<Piece>, Vec<String>), Problem> {
        let lines: Vec<Line> = new.iter().flat_map(|event| page::lines_of(event, &self.facts)).collect();
        let shown = view::lines(&lines[lines.len().saturating_sub(LINES_MAX)..]);
        let html = paper::write("lines.html", &json!({ "lines": shown }))?;
        let ends = new.iter().filter(|event| {
            matches!(
                event.body,
                Body::StepFinished(_) | Body::RunFinished { .. } | Body::AskAsked { .. } | Body::ApprovalRequested(_)
            )
        });
        let style = Style { marks: Marks::Unicode, detail: Detail::Steps };
        let said = ends.filter_map(|event| line::lines(event, &self.facts, style).first().map(Line::plain));
        let said: Vec<String> = said.map(|said| view::clipped(said.trim())).take(SAID_MAX).collect();
        let piece = (!lines.is_empty()).then(|| Piece { at: "p-lines".to_owned(), html, how: How::After });
        Ok((piece, said))
    }
}

impl Telling for OfRun {
    fn tell(&mut self, runs: &Runs) -> Result<Option<Told>, Problem> {
        if self.ended {
            return Ok(Some(Told { id: self.events, ended: true, ..Told::default() }));
        }
        if let Some(row) = runs.existing(self.row.run)? {
            self.row = row;
        }
        let new = match self.row.last_seq >= self.events {
            true => runs.events_from(&self.row, self.events)?,
            false => Vec::new(),
        };
        for event in &new {
            self.facts.apply(event).map_err(|error| Problem::new(500, error.to_string()))?;
        }
        self.events += new.len() as u64;
        self.notes.extend(page::notes(&new));
        let beside = Beside::of(runs, &self.row)?;
        let mut pieces = self.changed(&beside)?;
        let (lines, said) = self.lines(&new)?;
        pieces.extend(lines);
        let ended = self.row.ended_at.is_some() && self.events > self.row.last_seq;
        self.ended = ended;
        if pieces.is_empty() && !ended {
            return Ok(None);
        }
        Ok(Some(Told { id: self.events, pieces, said, ended }))
    }
}
