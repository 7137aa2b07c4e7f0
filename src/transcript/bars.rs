//! A run as bars over time: what the picture in the terminal, the SVG and the page are drawn from.
//!
//! Says what stood where on the axis of time; how it looks is for who draws it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::engine::event::{Body, Decision, Event, StepStarted, Verdict};
use crate::engine::facts::{Facts, Record};
use crate::engine::ids::StepPath;
use crate::engine::outcome::Outcome;
use crate::transcript::text::Mark;
use crate::transcript::{line, words};

/// The rows of a run so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Picture {
    pub from: Timestamp,
    pub to: Timestamp,
    /// One a step, in the order they began.
    pub rows: Vec<Row>,
}

/// One step.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub step: StepPath,
    pub what: String,
    /// The word of its effect; none for what was skipped.
    pub effect: &'static str,
    /// Rows that enclose this one.
    pub depth: usize,
    /// It encloses other steps, so its own time is theirs.
    pub group: bool,
    pub parts: Vec<Part>,
    /// When each attempt began.
    pub attempts: Vec<Timestamp>,
    /// Where a person spoke, and what was said.
    pub spoken: Vec<(Timestamp, String)>,
    pub looks: u32,
    pub state: State,
}

/// A stretch of time of one kind.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Part {
    pub from: Timestamp,
    pub to: Timestamp,
    pub fill: Fill,
}

/// What a stretch of time was spent with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    Working,
    /// For a person.
    Waiting,
    Polling,
}

/// Where a step stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// A group whose end follows from its steps.
    Begun,
    Running,
    /// For a person's answer.
    Waiting,
    Ended(Outcome),
}

impl State {
    /// The sign before it.
    pub fn mark(self) -> Mark {
        match self {
            State::Begun => Mark::Info,
            State::Running | State::Waiting => Mark::Waiting,
            State::Ended(outcome) => line::mark_of(outcome),
        }
    }

    /// The state for people.
    pub fn words(self) -> &'static str {
        match self {
            State::Begun => "see its steps",
            State::Running => "running",
            State::Waiting => "waiting for a person",
            State::Ended(outcome) => line::outcome_words(outcome),
        }
    }

    /// Whether a reader looks for it first.
    fn needs_eyes(self) -> bool {
        match self {
            State::Begun => false,
            State::Running | State::Waiting => true,
            State::Ended(outcome) => !outcome.lets_the_run_go_on(),
        }
    }
}

impl Picture {
    /// The picture of a run so far. `facts` is the fold of these events.
    pub fn of(events: &[Event], facts: &Facts) -> Picture {
        let (Some(first), Some(last)) = (events.first(), events.last()) else { return Picture::default() };
        let mut drawing = Drawing::default();
        for event in events {
            drawing.take(event);
        }
        let mut rows = drawing.finish(last.ts);
        for row in &mut rows {
            if let Some(state) = facts.step(&row.step).and_then(state_of) {
                row.state = state;
            }
            // What took no time beside what did would only be a speck.
            if row.parts.iter().any(|part| part.from < part.to) {
                row.parts.retain(|part| part.from < part.to);
            }
        }
        nest(&mut rows);
        Picture { from: first.ts, to: last.ts, rows }
    }

    /// At most `rows_max` rows in their order, and how many are left out. Those that need eyes stay first.
    pub fn shown(&self, rows_max: usize) -> (Vec<&Row>, usize) {
        if self.rows.len() <= rows_max {
            return (self.rows.iter().collect(), 0);
        }
        let mut chosen: Vec<usize> = (0..self.rows.len()).collect();
        chosen.sort_by_key(|at| !self.rows[*at].state.needs_eyes());
        chosen.truncate(rows_max);
        chosen.sort_unstable();
        (chosen.into_iter().map(|at| &self.rows[at]).collect(), self.rows.len() - rows_max)
    }
}

impl Row {
    fn new(step: &StepPath) -> Row {
        Row {
            step: step.clone(),
            what: String::new(),
            effect: "",
            depth: 0,
            group: false,
            parts: Vec::new(),
            attempts: Vec::new(),
            spoken: Vec::new(),
            looks: 0,
            state: State::Running,
        }
    }

    /// When its bar begins and ends, if it has one.
    pub fn span(&self) -> Option<(Timestamp, Timestamp)> {
        Some((self.parts.first()?.from, self.parts.last()?.to))
    }

    /// `done 1.2s, 2 attempts, answered by bob`
    pub fn summary(&self) -> String {
        let mut said = self.state.words().to_owned();
        if let Some((from, to)) = self.span().filter(|_| self.state != State::Begun) {
            said.push_str(&format!(" {}", words::duration(words::between(from, to))));
        }
        if self.attempts.len() > 1 {
            said.push_str(&format!(", {} attempts", self.attempts.len()));
        }
        if self.looks > 1 {
            said.push_str(&format!(", {} looks", self.looks));
        }
        for (_, text) in &self.spoken {
            said.push_str(&format!(", {text}"));
        }
        said
    }
}

/// Rows while events come in.
#[derive(Default)]
struct Drawing {
    rows: Vec<Row>,
    index: BTreeMap<StepPath, usize>,
    /// The stretch that is open in a row.
    open: BTreeMap<usize, (Timestamp, Fill)>,
}

impl Drawing {
    fn take(&mut self, event: &Event) {
        let at = event.ts;
        match &event.body {
            Body::StepStarted(intent) => self.start(intent, at),
            Body::StepObserved { step, look, .. } => {
                if let Some(row) = self.at(step) {
                    self.rows[row].looks = self.rows[row].looks.max(*look);
                    if let Some((_, fill)) = self.open.get_mut(&row) {
                        *fill = Fill::Polling;
                    }
                }
            }
            Body::StepRetrying(again) => {
                if let Some(row) = self.at(&again.step) {
                    let open = self.open.get_mut(&row);
                    match (&again.error, open) {
                        // Another look: the time until it belongs to the poll.
                        (None, Some((_, fill))) => {
                            *fill = Fill::Polling;
                            self.rows[row].looks = self.rows[row].looks.max(again.attempt);
                        }
                        _ => self.close(row, at),
                    }
                }
            }
            Body::StepSettled { step, verdict, .. } => {
                if let Some(row) = self.at(step) {
                    self.close(row, at);
                    match verdict {
                        Verdict::Happened => self.rows[row].state = State::Ended(Outcome::Done),
                        Verdict::NotHappened => {}
                        Verdict::Unknown => drop(self.open.insert(row, (at, Fill::Waiting))),
                    }
                }
            }
            Body::AskAsked { step, .. } => self.turn(step, at, Fill::Waiting, None),
            Body::AskAnswered { step, actor, at: given, .. } => {
                let said = format!("answered by {}", line::person(actor));
                self.turn(step, given.unwrap_or(at), Fill::Working, Some(said));
            }
            Body::StepFinished(end) => {
                if let Some(row) = self.at(&end.step) {
                    self.close(row, at);
                    self.rows[row].state = State::Ended(end.outcome);
                    if end.outcome == Outcome::InDoubt {
                        self.open.insert(row, (at, Fill::Waiting));
                    }
                }
            }
            Body::OutcomeSet { step, decision, actor, .. } => {
                if let Some(row) = self.at(step) {
                    self.close(row, at);
                    let (word, state) = match decision {
                        Decision::Done => ("settled as done", Some(Outcome::Done)),
                        Decision::NotDone => ("settled as not done", None),
                        Decision::Retry => ("retried", None),
                        Decision::Skip => ("skipped", Some(Outcome::Skipped)),
                    };
                    self.rows[row].spoken.push((at, format!("{word} by {}", line::person(actor))));
                    if let Some(outcome) = state {
                        self.rows[row].state = State::Ended(outcome);
                    }
                }
            }
            Body::StepSkipped { step, .. } => {
                let row = self.row(step);
                self.rows[row].state = State::Ended(Outcome::Skipped);
            }
            _ => {}
        }
    }

    fn start(&mut self, intent: &StepStarted, at: Timestamp) {
        let number = self.row(&intent.step);
        // The next look of a poll goes on with it, and is not an attempt of its own.
        if self.open.get(&number).is_some_and(|(_, fill)| *fill == Fill::Polling) {
            return;
        }
        self.close(number, at);
        let row = &mut self.rows[number];
        row.what = line::what(intent);
        row.effect = intent.effect.word();
        row.attempts.push(at);
        row.group |= matches!(intent.body.as_str(), "steps" | "parallel" | "foreach" | "iteration");
        row.state = if matches!(intent.body.as_str(), "steps" | "parallel") { State::Begun } else { State::Running };
        self.open.insert(number, (at, Fill::Working));
    }

    /// From here on the row's time is spent otherwise.
    fn turn(&mut self, step: &StepPath, at: Timestamp, fill: Fill, said: Option<String>) {
        let Some(row) = self.at(step) else { return };
        self.close(row, at);
        self.open.insert(row, (at, fill));
        self.rows[row].spoken.extend(said.map(|said| (at, said)));
    }

    fn close(&mut self, row: usize, at: Timestamp) {
        if let Some((from, fill)) = self.open.remove(&row) {
            self.rows[row].parts.push(Part { from, to: at.max(from), fill });
        }
    }

    fn at(&self, step: &StepPath) -> Option<usize> {
        self.index.get(step).copied()
    }

    fn row(&mut self, step: &StepPath) -> usize {
        *self.index.entry(step.clone()).or_insert_with(|| {
            self.rows.push(Row::new(step));
            self.rows.len() - 1
        })
    }

    fn finish(mut self, to: Timestamp) -> Vec<Row> {
        for row in std::mem::take(&mut self.open) {
            let (number, (from, fill)) = row;
            // Nobody knows where a group without an end of its own ended.
            let to = if self.rows[number].state == State::Begun { from } else { to };
            self.rows[number].parts.push(Part { from, to: to.max(from), fill });
        }
        self.rows
    }
}

/// What the fold says of a step, which knows more than its last event.
fn state_of(record: &Record) -> Option<State> {
    if record.skipped.is_some() {
        return Some(State::Ended(Outcome::Skipped));
    }
    if let Some(finished) = &record.finished {
        return Some(State::Ended(finished.outcome));
    }
    record.is_asking().then_some(State::Waiting)
}

/// Finds out which rows enclose which.
fn nest(rows: &mut [Row]) {
    let known: BTreeMap<StepPath, usize> = rows.iter().enumerate().map(|(at, row)| (row.step.clone(), at)).collect();
    let mut groups = BTreeSet::new();
    for row in rows.iter_mut() {
        let above: Vec<usize> = row.step.ancestors().filter_map(|path| known.get(&path).copied()).collect();
        row.depth = above.len();
        groups.extend(above);
    }
    for at in groups {
        rows[at].group = true;
    }
}

#[cfg(test)]
mod tests;
