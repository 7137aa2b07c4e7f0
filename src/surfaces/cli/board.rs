//! What of a run is open, and how it is said: in the moving lines, in the heartbeat of a log, and when a key asks.
//!
//! Pure: the time is an argument, and nothing here draws.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::engine::event::{Body, Event, StepStarted};
use crate::engine::facts::Facts;
use crate::engine::ids::StepPath;
use crate::engine::outcome::Attempt;
use crate::transcript::text::Mark;
use crate::transcript::{Line, Marks, Tone, line, words};

/// Running steps shown at once: more would push the lines that stay off a small terminal.
pub const LINES_MAX: usize = 8;
/// How long a log may be silent while something is waited for, in milliseconds: silence reads as "stuck".
pub const HEARTBEAT_MS: u64 = 30_000;
/// Wide enough for most step paths; longer ones push the rest to the right.
const NAME_WIDTH: usize = 14;
/// Wide enough for `12:34 of 1:00:00`, so that what follows doesn't jump as time goes by.
const TOOK_WIDTH: usize = 15;

/// Steps that are running, by path.
#[derive(Default)]
pub struct Board {
    open: BTreeMap<StepPath, Open>,
    /// When something was last said.
    said_at: Option<Timestamp>,
    started_at: Option<Timestamp>,
    done: usize,
    begun: bool,
    /// What keeps the run as a whole from going on.
    stands: Option<String>,
    /// Whether questions are asked right here, below everything else.
    prompts: bool,
}

/// A step that is running.
#[derive(Clone)]
struct Open {
    what: String,
    /// The action, which says how its looks are read.
    uses: String,
    effect: &'static str,
    since: Timestamp,
    within_ms: Option<u64>,
    attempt: u32,
    /// Looks of a poll so far.
    look: u32,
    seen: String,
    asks: bool,
    /// Whether it only holds other steps.
    groups: bool,
}

impl Board {
    /// Nothing is running yet. `prompts` says that questions are asked right here.
    pub fn new(prompts: bool) -> Board {
        Board { prompts, ..Board::default() }
    }

    /// What was open before this view began: a run that is resumed or followed.
    pub fn begin(&mut self, facts: &Facts) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        self.started_at = facts.started.as_ref().map(|_| facts.started_at);
        for (path, record) in facts.steps.iter().filter(|(_, record)| record.is_open()) {
            if let Some(started) = &record.started {
                let mut open = Open::of(&started.intent, started.first_at);
                if let Some(seen) = &record.observed {
                    open.seen = words::result(&open.uses, seen);
                }
                self.open.entry(path.clone()).or_insert(open);
            }
        }
    }

    /// Takes up what happened; `now` is when it was said.
    pub fn note(&mut self, event: &Event, now: Timestamp) {
        self.said_at = Some(now);
        match &event.body {
            Body::RunStarted(_) => {
                self.started_at = Some(event.ts);
                self.stands = None;
            }
            Body::HoldOn(hold) => self.stands = Some(format!("all writes are on hold: {}", hold.reason)),
            Body::HoldOff { .. } => self.stands = None,
            Body::StepStarted(intent) => {
                let since = self.open.get(&intent.step).map_or(event.ts, |open| open.since);
                self.open.insert(intent.step.clone(), Open::of(intent, since));
            }
            Body::StepObserved { step, look, result, .. } => {
                if let Some(open) = self.open.get_mut(step) {
                    open.look = open.look.max(*look);
                    open.seen = words::result(&open.uses, result);
                }
            }
            Body::ConcurrencyWaiting { step, group, queued } => {
                if let Some(open) = self.open.get_mut(step) {
                    open.seen = format!("waiting for `{group}`, which {}", queued.said);
                }
            }
            Body::ConcurrencyClaimed { step, .. } => {
                if let Some(open) = self.open.get_mut(step) {
                    open.seen = String::new();
                }
            }
            Body::StepRetrying(again) => {
                if let Some(open) = self.open.get_mut(&again.step) {
                    match &again.error {
                        Some(failure) => {
                            open.seen = format!("again at {}: {}", words::clock(again.at), failure.message)
                        }
                        // A look of something that is made of steps.
                        None => {
                            open.look = open.look.max(again.attempt);
                            open.seen = words::quoted(&again.result);
                        }
                    }
                }
            }
            Body::StepFinished(end) => {
                self.done += usize::from(end.step.depth() == 1);
                self.open.remove(&end.step);
            }
            Body::RunFinished { .. } => self.open.clear(),
            _ => {}
        }
    }

    /// The run as a whole waits for this, and `now` that was said.
    pub fn stand(&mut self, text: String, now: Timestamp) {
        self.said_at = Some(now);
        self.stands = Some(text);
    }

    /// Takes up a look of a poll, which is no event unless it saw something new.
    pub fn looked(&mut self, step: &StepPath, result: &Attempt) {
        if let Some(open) = self.open.get_mut(step).filter(|open| open.within_ms.is_some()) {
            open.look += 1;
            open.seen = match &result.failure {
                Some(failure) => failure.message.clone(),
                None => words::result(&open.uses, &result.outputs),
            };
        }
    }

    /// Running steps without those that only enclose others, in the order they began.
    fn leaves(&self) -> Vec<(&StepPath, &Open)> {
        let encloses = |path: &StepPath| self.open.keys().any(|other| other.is_below(path));
        // A group does nothing by itself; one that is looked at again and again waits.
        let waits_or_works = |open: &Open| !open.groups || open.within_ms.is_some();
        let mut leaves: Vec<_> =
            self.open.iter().filter(|(path, open)| !encloses(path) && waits_or_works(open)).collect();
        leaves.sort_by_key(|(_, open)| open.since);
        leaves
    }

    /// The moving lines: at most `rows` and [`LINES_MAX`], the last of them a count if there are more steps. None
    /// while somebody is asked here: the prompt has the bottom of the terminal for itself.
    pub fn area(&self, now: Timestamp, spinner: char, rows: usize, marks: Marks) -> Vec<Line> {
        let leaves = self.leaves();
        if self.prompts && leaves.iter().any(|(_, open)| open.asks) {
            return Vec::new();
        }
        let room = rows.clamp(1, LINES_MAX);
        let shown = if leaves.len() > room { room - 1 } else { leaves.len() };
        let mut lines: Vec<Line> = leaves
            .iter()
            .take(shown)
            .map(|(path, open)| {
                Line::of(Tone::Good, &format!("  {spinner} "))
                    .column(Tone::Strong, path.as_str(), NAME_WIDTH)
                    .column(Tone::Plain, &open.took(now), TOOK_WIDTH)
                    .add(Tone::Plain, &open.describe())
            })
            .collect();
        if leaves.len() > shown {
            let dots = match marks {
                Marks::Unicode => "…",
                Marks::Ascii => "...",
            };
            lines.push(Line::of(Tone::Dim, &format!("    {dots} and {} more", leaves.len() - shown)));
        }
        lines
    }

    /// What breaks the silence of a log, if it has lasted long enough.
    pub fn heartbeat(&mut self, now: Timestamp, marks: Marks) -> Vec<Line> {
        let said_at = *self.said_at.get_or_insert(now);
        if words::between(said_at, now) < HEARTBEAT_MS {
            return Vec::new();
        }
        self.said_at = Some(now);
        let leaves = self.leaves();
        let front = || Line::of(Tone::Dim, &format!("{}   {} ", words::clock(now), marks.sign(Mark::Info)));
        let mut lines: Vec<Line> =
            leaves.iter().take(LINES_MAX).map(|(path, open)| front().add(Tone::Dim, &open.still(path, now))).collect();
        if leaves.len() > LINES_MAX {
            lines.push(front().add(Tone::Dim, &format!("still running: {} more", leaves.len() - LINES_MAX)));
        }
        if let Some(text) = &self.stands {
            lines.push(front().add(Tone::Dim, &format!("still waiting: {text}")));
        }
        lines
    }

    /// Where the run is, on one line.
    pub fn status(&self, now: Timestamp) -> Line {
        let took =
            self.started_at.map_or_else(String::new, |at| format!("{}, ", words::stopwatch(words::between(at, now))));
        let done = format!("{took}{} ended", words::count(self.done, "step"));
        let leaves = self.leaves();
        let text = match leaves.as_slice() {
            [] => format!("{done}, nothing running"),
            [(path, open)] => format!("{done}, {}", open.still(path, now)),
            several => {
                let named = several.iter().take(LINES_MAX).map(|(path, _)| path.as_str()).collect::<Vec<_>>().join(" ");
                let more = if several.len() > LINES_MAX { " and others" } else { "" };
                format!("{done}, {} running: {named}{more}", several.len())
            }
        };
        Line::of(Tone::Dim, &text)
    }

    /// Every running step with all that is known of it.
    pub fn details(&self, now: Timestamp) -> Vec<Line> {
        let leaves = self.leaves();
        if leaves.is_empty() {
            return vec![Line::of(Tone::Dim, "nothing is running")];
        }
        let mut lines = Vec::new();
        for (path, open) in leaves {
            lines.push(Line::of(Tone::Strong, path.as_str()).add(Tone::Plain, &format!("  {}", open.what)));
            let mut terms = vec![format!("{}, attempt {}", open.effect, open.attempt), open.took(now)];
            if open.look > 0 {
                terms.push(format!("look {}", open.look));
            }
            if !open.seen.is_empty() {
                terms.push(format!("last seen: {}", open.seen));
            }
            terms.push(format!("since {}", words::clock(open.since)));
            lines.push(Line::of(Tone::Dim, &format!("    {}", terms.join(", "))));
        }
        lines
    }
}

impl Open {
    fn of(intent: &StepStarted, since: Timestamp) -> Open {
        Open {
            what: line::what(intent),
            uses: intent.uses.clone().unwrap_or_default(),
            effect: intent.effect.word(),
            since,
            within_ms: intent.within_ms,
            attempt: intent.attempt,
            look: 0,
            seen: String::new(),
            asks: intent.uses.as_deref() == Some("human.ask"),
            groups: matches!(intent.body.as_str(), "steps" | "parallel"),
        }
    }

    /// `502   try 17   http.probe https://…`: what changes first, because the end of a line is what a narrow
    /// terminal cuts.
    fn describe(&self) -> String {
        let mut text = String::new();
        if self.asks {
            text.push_str("waits for an answer   ");
        }
        if !self.seen.is_empty() {
            text.push_str(&format!("{}   ", self.seen));
        }
        match (self.look, self.attempt) {
            (0, 0 | 1) => {}
            (0, attempt) => text.push_str(&format!("attempt {attempt}   ")),
            (look, _) => text.push_str(&format!("try {look}   ")),
        }
        text.push_str(&self.what);
        text
    }

    /// `1:22 of 10:00`, or `1:22` for what has no deadline.
    fn took(&self, now: Timestamp) -> String {
        let took = words::stopwatch(words::between(self.since, now));
        match self.within_ms {
            Some(ms) => format!("{took} of {}", words::stopwatch(ms)),
            None => took,
        }
    }

    /// `still waiting: active, look 17, BUILDING, 1:22 of 10:00`
    fn still(&self, path: &StepPath, now: Timestamp) -> String {
        let mut terms = vec![path.to_string()];
        if self.asks {
            terms.push("for an answer".to_owned());
        }
        if self.look > 0 {
            terms.push(format!("look {}", self.look));
        } else if self.attempt > 1 {
            terms.push(format!("attempt {}", self.attempt));
        }
        if !self.seen.is_empty() {
            terms.push(self.seen.clone());
        }
        terms.push(self.took(now));
        let verb = if self.asks || self.within_ms.is_some() { "waiting" } else { "running" };
        format!("still {verb}: {}", terms.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::outcome::{Failure, FailureKind};
    use crate::runbook::spec::Effect;
    use crate::script::value::Value;
    use crate::transcript::story::Story;
    use serde_json::json;

    fn at(clock: &str) -> Timestamp {
        format!("2026-11-21T{clock}Z").parse().unwrap()
    }

    fn board(story: &Story) -> Board {
        let mut board = Board::default();
        story.events.iter().for_each(|event| board.note(event, event.ts));
        board
    }

    /// A poll that has looked 17 times.
    fn polling() -> Board {
        let mut story = Story::begun();
        story.read("active", "http.probe");
        let mut board = board(&story);
        board.open.values_mut().next().unwrap().within_ms = Some(600_000);
        let seen = Value::from_data(&json!({ "ok": false, "status": 502, "error": null, "json": null }));
        (0..17).for_each(|_| board.looked(&"active".into(), &Attempt::done(seen.clone())));
        board
    }

    fn texts(lines: &[Line]) -> Vec<String> {
        lines.iter().map(Line::plain).collect()
    }

    #[test]
    fn only_the_innermost_running_steps_are_shown() {
        let mut story = Story::begun();
        story.starts("fix", Some("railway.fix"), "uses", Effect::Write, json!({}));
        story.read("fix/look", "http.probe").done("fix/look", json!({}));
        story.write("fix/set");
        let lines = texts(&board(&story).area(at("14:03:12"), '*', 20, Marks::Ascii));
        assert_eq!(lines.len(), 1);
        assert!(lines[0].starts_with("  * fix/set       0:10"), "{lines:?}");
    }

    #[test]
    fn a_group_is_not_shown_for_itself() {
        let mut story = Story::begun();
        story.starts("all", None, "parallel", Effect::Read, json!({}));
        assert!(board(&story).area(at("14:03:12"), '*', 20, Marks::Ascii).is_empty());
        story.read("all/one", "http.probe");
        assert_eq!(board(&story).area(at("14:03:12"), '*', 20, Marks::Ascii).len(), 1);
    }

    #[test]
    fn a_question_is_drawn_only_where_it_is_not_asked_and_is_waited_for_in_a_log() {
        let mut story = Story::begun();
        story.asks("q", "safe?");
        let mut board = board(&story);
        let lines = texts(&board.area(at("14:03:04"), '*', 20, Marks::Ascii));
        assert!(lines[0].starts_with("  * q             0:02           waits for an answer"), "{lines:?}");
        board.prompts = true;
        assert!(board.area(at("14:03:04"), '*', 20, Marks::Ascii).is_empty());
        assert_eq!(
            texts(&board.heartbeat(at("14:04:04"), Marks::Ascii)),
            ["14:04:04Z   . still waiting: q, for an answer, 1:02"]
        );
    }

    #[test]
    fn a_poll_shows_its_last_look_how_many_and_how_long_still() {
        assert_eq!(
            texts(&polling().area(at("14:04:24"), '*', 20, Marks::Unicode)),
            ["  * active        1:22 of 10:00  502   try 17   http.probe https://api.example.com/health"]
        );
    }

    #[test]
    fn a_look_that_failed_says_why() {
        let mut board = polling();
        let failure = Failure::new(FailureKind::Timeout, "no answer within 5s");
        board.looked(&"active".into(), &Attempt::failed(failure));
        assert!(board.status(at("14:04:24")).plain().contains("look 18, no answer within 5s"));
    }

    #[test]
    fn a_log_is_silent_for_30_seconds_and_no_longer() {
        let mut board = polling();
        assert!(board.heartbeat(at("14:03:31.9"), Marks::Ascii).is_empty());
        assert_eq!(
            texts(&board.heartbeat(at("14:04:24"), Marks::Ascii)),
            ["14:04:24Z   . still waiting: active, look 17, 502, 1:22 of 10:00"]
        );
        assert!(board.heartbeat(at("14:04:53"), Marks::Ascii).is_empty());
        assert_eq!(board.heartbeat(at("14:04:54"), Marks::Ascii).len(), 1);
        // A clock that goes back is not a long silence.
        assert!(board.heartbeat(at("13:00:00"), Marks::Ascii).is_empty());
    }

    #[test]
    fn a_log_where_nothing_is_open_stays_silent() {
        let mut board = board(&Story::begun());
        assert!(board.heartbeat(at("15:00:00"), Marks::Ascii).is_empty());
    }

    #[test]
    fn many_parallel_steps_are_counted_not_drawn() {
        let mut story = Story::begun();
        for n in 0..20 {
            story.after_ms(1).read(&format!("probe[{n}]"), "http.probe");
        }
        let mut board = board(&story);
        let lines = texts(&board.area(at("14:03:12"), '*', 24, Marks::Unicode));
        assert_eq!(lines.len(), LINES_MAX);
        assert!(lines[0].contains("probe[0]") && lines[6].contains("probe[6]"), "{lines:?}");
        assert_eq!(lines[7], "    … and 13 more");
        assert_eq!(texts(&board.area(at("14:03:12"), '*', 3, Marks::Ascii)).last().unwrap(), "    ... and 18 more");
        assert_eq!(board.area(at("14:03:12"), '*', 0, Marks::Ascii).len(), 1);
        let beats = texts(&board.heartbeat(at("14:04:12"), Marks::Ascii));
        assert!(beats.len() == 9 && beats[8].ends_with("still running: 12 more"), "{beats:?}");
        assert!(board.status(at("14:03:12")).plain().ends_with("and others"));
        assert_eq!(board.details(at("14:03:12")).len(), 40);
    }

    #[test]
    fn keys_are_answered_with_a_line_and_with_details() {
        let board = polling();
        let now = at("14:04:24");
        assert_eq!(
            board.status(now).plain(),
            "1:22, 0 steps ended, still waiting: active, look 17, 502, 1:22 of 10:00"
        );
        assert_eq!(
            texts(&board.details(now)),
            [
                "active  http.probe https://api.example.com/health",
                "    read, attempt 1, 1:22 of 10:00, look 17, last seen: 502, since 14:03:02Z"
            ]
        );
        assert_eq!(Board::default().status(now).plain(), "0 steps ended, nothing running");
        assert_eq!(texts(&Board::default().details(now)), ["nothing is running"]);
    }

    #[test]
    fn a_look_of_a_poll_is_read_as_its_action_is() {
        let mut story = Story::begun();
        story.read("healthy", "http.probe");
        let result = Value::from_data(&json!({ "ok": false, "status": 502, "error": null, "json": null }));
        let (step, attempt) = (StepPath::new("healthy"), 1);
        story.tell(Body::StepObserved { step, attempt, look: 3, result });
        assert!(board(&story).status(at("14:03:12")).plain().contains("look 3, 502"));
    }

    #[test]
    fn a_resumed_run_begins_with_what_was_open() {
        let mut story = Story::begun();
        story.read("active", "http.probe");
        let mut board = Board::default();
        board.begin(&story.facts);
        assert_eq!(board.leaves().len(), 1);
    }
}
