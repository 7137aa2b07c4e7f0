//! A run as it happens: lines that stay, and below them what is running now.
//!
//! On a terminal finished steps scroll up and a small area shows the running ones. Without one, every
//! event is a line with its time, and silence is broken by a heartbeat.

use std::collections::BTreeMap;
use std::sync::mpsc::{RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use jiff::Timestamp;

use crate::engine::event::{Body, Event};
use crate::engine::facts::Facts;
use crate::engine::ids::StepPath;
use crate::engine::machine::Waits;
use crate::runs::{InLine, Watcher};
use crate::surfaces::cli::args::Output;
use crate::surfaces::cli::prompt::Question;
use crate::surfaces::cli::ui::Ui;
use crate::transcript::line::{self, Style};
use crate::transcript::{Detail, Line, Marks, Tone, escape, jsonl, words};

/// Running steps drawn at once: more would push the lines that stay off a small terminal.
const AREA_LINES_MAX: usize = 8;
/// How long a log may be silent while something is waited for: silence reads as "stuck".
const HEARTBEAT_EVERY: Duration = Duration::from_secs(30);
/// How often the signs of life turn.
const TICK_EVERY: Duration = Duration::from_millis(120);

/// Draws a run in the foreground.
pub struct Live {
    ui: Arc<Ui>,
    style: Style,
    board: Arc<Mutex<Board>>,
    area: Option<Area>,
    questions: Option<Sender<Question>>,
    /// Ends the heartbeat when dropped.
    _heart: Option<Sender<()>>,
}

/// Steps that are running, by path.
#[derive(Default)]
struct Board {
    open: BTreeMap<StepPath, Open>,
    /// When something was last said.
    said_at: Option<Instant>,
    begun: bool,
    /// What keeps the run as a whole from going on, for the heartbeat.
    stands: Option<String>,
}

/// A step that is running.
#[derive(Clone)]
struct Open {
    what: String,
    /// The action, which says how its looks are read.
    uses: String,
    since: Timestamp,
    within_ms: Option<u64>,
    attempt: u32,
    look: u32,
    seen: String,
    asks: bool,
}

impl Live {
    /// A view of a run that is about to be driven. Questions go to whoever can be asked.
    pub fn new(ui: &Arc<Ui>, questions: Option<Sender<Question>>) -> Live {
        let board = Arc::new(Mutex::new(Board::default()));
        let streams = ui.output == Output::Jsonl;
        let logs = !ui.watched && !streams;
        let detail = if logs && ui.detail == Detail::Steps { Detail::Events } else { ui.detail };
        let area = (ui.watched && !streams && ui.detail != Detail::Quiet).then(|| Area::new(ui));
        Live {
            ui: Arc::clone(ui),
            style: Style { marks: ui.marks, detail },
            area,
            questions,
            _heart: (logs && detail == Detail::Events).then(|| beat(ui, &board)),
            board,
        }
    }

    fn draw(&mut self) {
        let board = lock(&self.board);
        if let Some(area) = &mut self.area {
            area.draw(&board.leaves());
        }
    }

    fn show(&self, event: &Event, facts: &Facts) {
        if self.ui.output == Output::Jsonl {
            if let Some(started) = &facts.started {
                self.ui.result_text(&(jsonl::event(event, started.run) + "\n"));
            }
            return;
        }
        // Findings and the end come once, as the result; a log says when one was made, and its level.
        let comes_later = matches!(event.body, Body::Finding { .. } | Body::RunFinished { .. });
        if comes_later && self.ui.human() && (self.ui.watched || self.style.detail == Detail::Quiet) {
            return;
        }
        if let (Body::Finding { step, level, .. }, true) = (&event.body, self.ui.human()) {
            self.ui.progress(&line::finding_made(event.ts, step, *level, self.ui.marks));
            return;
        }
        for line in line::lines(event, facts, self.style) {
            self.ui.progress(&line);
        }
    }
}

impl Watcher for Live {
    fn events(&mut self, events: &[Event], facts: &Facts) {
        lock(&self.board).begin(facts);
        for event in events {
            lock(&self.board).note(event);
            self.show(event, facts);
        }
        self.draw();
    }

    fn waiting(&mut self, waits: &Waits, facts: &Facts) {
        lock(&self.board).begin(facts);
        self.draw();
        let Some(questions) = &self.questions else { return };
        for path in &waits.questions {
            let Some(asked) = facts.step(path).and_then(|record| record.asked.clone()) else { continue };
            // The one who asks knows which of them it has asked already.
            let _ = questions.send(Question { step: path.clone(), asked });
        }
    }

    fn winding_down(&mut self) {
        self.ui.remark("nothing new starts; waiting for what is running");
    }

    fn in_line(&mut self, line: &InLine) {
        let text = in_line(line);
        self.ui.remark(&text);
        let mut board = lock(&self.board);
        board.said_at = Some(Instant::now());
        board.stands = Some(text);
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        if let Some(area) = &mut self.area {
            area.draw(&[]);
        }
        self.ui.set_live(None);
    }
}

impl Board {
    /// What was open before this driver: a run that is resumed.
    fn begin(&mut self, facts: &Facts) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        for (path, record) in facts.steps.iter().filter(|(_, record)| record.is_open()) {
            if let Some(started) = &record.started {
                self.open.insert(path.clone(), Open::of(&started.intent, started.first_at));
            }
        }
    }

    fn note(&mut self, event: &Event) {
        self.said_at = Some(Instant::now());
        match &event.body {
            Body::StepStarted(intent) => {
                let since = self.open.get(&intent.step).map_or(event.ts, |open| open.since);
                self.open.insert(intent.step.clone(), Open::of(intent, since));
            }
            Body::StepObserved { step, look, result, .. } => {
                if let Some(open) = self.open.get_mut(step) {
                    open.look = *look;
                    open.seen = words::result(&open.uses, result);
                }
            }
            Body::StepFinished(end) => drop(self.open.remove(&end.step)),
            Body::RunFinished { .. } => self.open.clear(),
            Body::HoldOn(hold) => self.stands = Some(format!("all writes are on hold: {}", hold.reason)),
            Body::RunStarted(_) | Body::HoldOff { .. } => self.stands = None,
            _ => {}
        }
    }

    /// Running steps without those that only enclose others.
    fn leaves(&self) -> Vec<(&StepPath, &Open)> {
        let encloses = |path: &StepPath| self.open.keys().any(|other| other.is_below(path));
        self.open.iter().filter(|(path, open)| !open.asks && !encloses(path)).collect()
    }
}

impl Open {
    fn of(intent: &crate::engine::event::StepStarted, since: Timestamp) -> Open {
        Open {
            what: line::what(intent),
            uses: intent.uses.clone().unwrap_or_default(),
            since,
            within_ms: intent.within_ms,
            attempt: intent.attempt,
            look: 0,
            seen: String::new(),
            asks: intent.uses.as_deref() == Some("human.ask"),
        }
    }

    /// `502 since look 17   attempt 2   http.probe https://…`: what changes first, because the end of a
    /// line is what a narrow terminal cuts.
    fn describe(&self) -> String {
        let seen = match self.look {
            0 => String::new(),
            look => format!("{} since look {look}   ", self.seen),
        };
        let attempt = if self.attempt > 1 { format!("attempt {}   ", self.attempt) } else { String::new() };
        format!("{seen}{attempt}{}", self.what)
    }

    /// ` of 10m00s`, for what has a deadline.
    fn limit(&self) -> String {
        self.within_ms.map(|ms| format!(" of {}", words::duration(ms))).unwrap_or_default()
    }
}

/// The moving lines at the bottom of a terminal.
struct Area {
    ui: Arc<Ui>,
    bars: MultiProgress,
    shown: BTreeMap<StepPath, ProgressBar>,
}

impl Area {
    fn new(ui: &Arc<Ui>) -> Area {
        let bars = MultiProgress::new();
        ui.set_live(Some(bars.clone()));
        Area { ui: Arc::clone(ui), bars, shown: BTreeMap::new() }
    }

    fn draw(&mut self, open: &[(&StepPath, &Open)]) {
        let bars = &self.bars;
        self.shown.retain(|path, bar| {
            let stays = open.iter().any(|(other, _)| *other == path);
            if !stays {
                bar.finish_and_clear();
                bars.remove(bar);
            }
            stays
        });
        for (path, step) in open.iter().take(AREA_LINES_MAX) {
            let bar = self.shown.entry((*path).clone()).or_insert_with(|| {
                let bar = bars.add(ProgressBar::new_spinner());
                let behind = words::between(step.since, Timestamp::now());
                bar.set_style(style(self.ui.marks, step.limit()));
                bar.set_prefix(format!("{:<13}", escape::terminal(path.as_str())));
                bar.enable_steady_tick(TICK_EVERY);
                bar.with_elapsed(Duration::from_millis(behind))
            });
            let text = escape::terminal(&step.describe());
            let text = self.ui.redactor().redact(&text);
            if bar.message() != text {
                bar.set_message(text.into_owned());
            }
        }
    }
}

fn style(marks: Marks, limit: String) -> ProgressStyle {
    let ticks = match marks {
        Marks::Unicode => "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ ",
        Marks::Ascii => "|/-\\ ",
    };
    ProgressStyle::with_template("  {spinner} {prefix} {took}  {wide_msg}")
        .expect("the template is a constant and well formed")
        .tick_chars(ticks)
        .with_key("took", move |state: &indicatif::ProgressState, out: &mut dyn std::fmt::Write| {
            let seconds = state.elapsed().as_secs();
            let took = if seconds < 60 { format!("{seconds}s") } else { words::duration(seconds.saturating_mul(1000)) };
            // A line that can't be written is not drawn; the next tick tries again.
            let _ = write!(out, "{took}{limit}");
        })
}

/// Breaks the silence of a log until the sender is dropped.
fn beat(ui: &Arc<Ui>, board: &Arc<Mutex<Board>>) -> Sender<()> {
    let (stop, stopped) = std::sync::mpsc::channel();
    let (ui, board) = (Arc::clone(ui), Arc::clone(board));
    let heart = move || {
        let mut wait = HEARTBEAT_EVERY;
        while stopped.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
            let mut board = lock(&board);
            let silent = board.said_at.map_or(HEARTBEAT_EVERY, |at| at.elapsed());
            if silent >= HEARTBEAT_EVERY {
                let now = Timestamp::now();
                for (path, open) in board.leaves() {
                    ui.progress(&heartbeat(path, open, now, ui.marks));
                }
                if let Some(text) = &board.stands {
                    ui.remark(&format!("{}   still waiting: {text}", words::clock(now)));
                }
                board.said_at = Some(Instant::now());
                wait = HEARTBEAT_EVERY;
            } else {
                wait = HEARTBEAT_EVERY - silent;
            }
        }
    };
    // Without the thread the log is merely silent.
    let _ = std::thread::Builder::new().name("heartbeat".into()).spawn(heart);
    stop
}

fn heartbeat(path: &StepPath, open: &Open, now: Timestamp, marks: Marks) -> Line {
    let took = words::duration(words::between(open.since, now));
    let text = format!("still running after {took}{}: {}", open.limit(), open.describe());
    Line::of(Tone::Dim, &format!("{}   {} ", words::clock(now), marks.sign(crate::transcript::text::Mark::Info)))
        .column(Tone::Strong, path.as_str(), 14)
        .add(Tone::Dim, &text)
}

/// What a run that has not begun waits for.
fn in_line(line: &InLine) -> String {
    let ahead = match line.ahead {
        0 => "next in line".to_owned(),
        others => format!("behind {}", words::count(usize::try_from(others).unwrap_or(usize::MAX), "other")),
    };
    match &line.holder {
        Some(holder) => format!("waiting for `{}`, {ahead}; held by {holder}", line.group),
        None => format!("waiting for `{}`, {ahead}", line.group),
    }
}

fn lock(board: &Mutex<Board>) -> MutexGuard<'_, Board> {
    board.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runbook::spec::Effect;
    use crate::script::value::Value;
    use crate::transcript::story::Story;
    use serde_json::json;

    fn board(story: &Story) -> Board {
        let mut board = Board::default();
        story.events.iter().for_each(|event| board.note(event));
        board
    }

    #[test]
    fn only_the_innermost_running_steps_are_drawn() {
        let mut story = Story::begun();
        story.starts("fix", Some("railway.fix"), "uses", Effect::Write, json!({}));
        story.read("fix/look", "http.probe").done("fix/look", json!({}));
        story.write("fix/set");
        let paths: Vec<String> = board(&story).leaves().iter().map(|(path, _)| path.to_string()).collect();
        assert_eq!(paths, ["fix/set"]);
    }

    #[test]
    fn a_question_is_asked_not_drawn() {
        let mut story = Story::begun();
        story.asks("q", "safe?");
        assert!(board(&story).leaves().is_empty());
    }

    #[test]
    fn a_heartbeat_says_what_is_waited_for_and_how_long_still() {
        let mut story = Story::begun();
        story.read("active", "http.probe");
        let mut board = board(&story);
        let open = board.open.values_mut().next().unwrap();
        (open.look, open.seen, open.within_ms) = (17, "status 502".into(), Some(600_000));
        let now = "2026-11-21T14:04:24Z".parse().unwrap();
        let (path, open) = board.leaves()[0];
        assert_eq!(
            heartbeat(path, open, now, Marks::Ascii).plain(),
            "14:04:24Z   . active        still running after 1m22s of 10m00s: \
             status 502 since look 17   http.probe https://api.example.com/health"
        );
    }

    #[test]
    fn a_look_of_a_poll_is_read_as_its_action_is() {
        let mut story = Story::begun();
        story.read("healthy", "http.probe");
        let result = Value::from_data(&json!({ "ok": false, "status": 502, "error": null, "json": null }));
        let (step, attempt) = (StepPath::new("healthy"), 1);
        story.tell(Body::StepObserved { step, attempt, look: 3, result });
        assert_eq!(board(&story).leaves()[0].1.seen, "502");
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
