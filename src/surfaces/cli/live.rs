//! A run as it happens: lines that stay, and below them what is running now.
//!
//! On a terminal finished steps scroll up and a small area shows the running ones. Without one, every event is a
//! line with its time, and silence is broken by a heartbeat. The same view serves the process that drives a run and
//! one that only follows it.

use std::sync::mpsc::{RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc::UnboundedSender;

use crate::engine::event::{Body, Event};
use crate::engine::facts::Facts;
use crate::engine::ids::StepPath;
use crate::engine::machine::Waits;
use crate::engine::outcome::Attempt;
use crate::runs::{Control, InLine, Watcher};
use crate::surfaces::cli::args::Output;
use crate::surfaces::cli::attention::Progress;
use crate::surfaces::cli::board::Board;
use crate::surfaces::cli::keys::{Gate, Key, Keys};
use crate::surfaces::cli::prompt::{Asks, Question};
use crate::surfaces::cli::ui::Ui;
use crate::transcript::line::{self, Style};
use crate::transcript::{Detail, Line, Marks, Tone, jsonl, words};

/// How often the moving lines turn: often enough to be seen as alive.
const TURN_EVERY: Duration = Duration::from_millis(120);
/// How often a log looks whether it has been silent for too long.
const LISTEN_EVERY: Duration = Duration::from_secs(1);

/// Draws a run in the foreground.
pub struct Live {
    ui: Arc<Ui>,
    style: Style,
    board: Arc<Mutex<Board>>,
    questions: Option<Sender<Question>>,
    gate: Gate,
    /// The question the window was last marked for.
    called: Option<StepPath>,
    /// Whether this is a log whose silence is broken, once there is something to wait for.
    listens: bool,
    /// Ends the moving lines, or the heartbeat, when dropped.
    pulse: Option<Sender<()>>,
    _keys: Option<Keys>,
}

impl Live {
    /// A view of a run that is about to be driven or followed. Questions go to whoever can be asked; keys are read
    /// while nobody holds the gate. Who only follows a run has no control over it.
    pub fn new(
        ui: &Arc<Ui>,
        questions: Option<Sender<Question>>,
        gate: &Gate,
        control: Option<UnboundedSender<Control>>,
    ) -> Live {
        let board = Arc::new(Mutex::new(Board::new(questions.is_some())));
        let streams = ui.output == Output::Jsonl;
        let logs = !ui.watched && !streams;
        let detail = if logs && ui.detail == Detail::Steps { Detail::Log } else { ui.detail };
        let moves = ui.watched && !streams && ui.detail != Detail::Quiet;
        let mut pulse = None;
        if moves {
            ui.begin_area();
            ui.show_progress(Progress::Busy);
            pulse = beats(ui, &board, TURN_EVERY, turn);
        }
        Live {
            ui: Arc::clone(ui),
            style: Style { marks: ui.marks, detail },
            questions,
            gate: gate.clone(),
            called: None,
            listens: !moves && logs && detail != Detail::Quiet,
            pulse,
            _keys: if moves && ui.reads_keys { keys(ui, &board, gate, control) } else { None },
            board,
        }
    }

    /// Has the heartbeat of a log begin: a run that never waits needs no thread for it.
    fn listen(&mut self) {
        if self.listens && self.pulse.is_none() {
            self.pulse = beats(&self.ui, &self.board, LISTEN_EVERY, listen);
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

    /// Marks the window while a person is needed: one bell for each question.
    fn call(&mut self, question: Option<&StepPath>, facts: &Facts) {
        if self.called.as_ref() == question {
            return;
        }
        if self.called.is_some() {
            self.ui.calm();
        }
        if question.is_some() {
            let run = facts.started.as_ref().map(|started| format!("{}/{} ", started.runbook, started.run));
            self.ui.call(&format!("{}needs an answer", run.unwrap_or_default()));
        }
        self.ui.show_progress(if question.is_some() { Progress::Person } else { Progress::Busy });
        self.called = question.cloned();
    }
}

impl Watcher for Live {
    fn events(&mut self, events: &[Event], facts: &Facts) {
        lock(&self.board).begin(facts);
        let asks = |event: &Event| matches!(event.body, Body::AskAsked { .. } | Body::ApprovalRequested(_));
        if self.questions.is_some() && events.iter().any(asks) {
            self.gate.reserve(true);
        }
        for event in events {
            lock(&self.board).note(event, Timestamp::now());
            self.show(event, facts);
        }
        lock(&self.board).approvals(facts);
        turn(&self.ui, &mut lock(&self.board), 0);
    }

    fn waiting(&mut self, waits: &Waits, facts: &Facts) {
        self.listen();
        lock(&self.board).begin(facts);
        self.call(waits.questions.first().or(waits.approvals.first()), facts);
        let asks_here = !waits.questions.is_empty() || !waits.approvals.is_empty();
        lock(&self.board).asks(asks_here && self.questions.is_some());
        if !asks_here {
            self.gate.reserve(false);
        }
        let Some(questions) = &self.questions else { return };
        // The one who asks knows which of them it has asked already.
        for path in &waits.questions {
            let Some(asked) = facts.step(path).and_then(|record| record.asked.clone()) else { continue };
            let _ = questions.send(Question { step: path.clone(), asks: Asks::Answer(asked) });
        }
        let run = facts.started.as_ref().map(|started| started.run.short()).unwrap_or_default();
        for path in &waits.approvals {
            let Some(approval) = facts.approvals.at(path) else { continue };
            let asks = Asks::Approval { request: Arc::clone(&approval.request), run: run.clone() };
            let _ = questions.send(Question { step: path.clone(), asks });
        }
    }

    fn looked(&mut self, step: &StepPath, result: &Attempt) {
        lock(&self.board).looked(step, result);
    }

    fn winding_down(&mut self) {
        self.ui.remark("nothing new starts; waiting for what is running");
    }

    fn in_line(&mut self, line: &InLine) {
        self.listen();
        let text = in_line(line);
        self.ui.remark(&text);
        lock(&self.board).stand(text, Timestamp::now());
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.ui.end_area();
        if self.called.is_some() {
            self.ui.calm();
        }
    }
}

/// One beat of the view: how often there were any before is the number.
type Beat = fn(&Ui, &mut Board, usize);

/// Beats until the sender is dropped. Without the thread lines that stay are all there is.
fn beats(ui: &Arc<Ui>, board: &Arc<Mutex<Board>>, every: Duration, beat: Beat) -> Option<Sender<()>> {
    let (stop, stopped) = std::sync::mpsc::channel();
    let (ui, board) = (Arc::clone(ui), Arc::clone(board));
    let work = move || {
        let mut beats = 0;
        while stopped.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
            beats += 1;
            beat(&ui, &mut lock(&board), beats);
        }
    };
    std::thread::Builder::new().name("live".into()).spawn(work).ok().map(|_| stop)
}

/// Draws the moving lines, where there are any.
fn turn(ui: &Ui, board: &mut Board, beats: usize) {
    if !ui.has_area() {
        return;
    }
    ui.draw_area(&board.area(Timestamp::now(), spinner(ui.marks, beats), ui.rows() / 2, ui.marks));
}

/// Breaks the silence of a log.
fn listen(ui: &Ui, board: &mut Board, _: usize) {
    board.heartbeat(Timestamp::now(), ui.marks).iter().for_each(|line| ui.progress(line));
}

fn spinner(marks: Marks, beats: usize) -> char {
    let turns = match marks {
        Marks::Unicode => ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧'],
        Marks::Ascii => ['|', '/', '-', '\\', '|', '/', '-', '\\'],
    };
    turns[beats % turns.len()]
}

fn keys(
    ui: &Arc<Ui>,
    board: &Arc<Mutex<Board>>,
    gate: &Gate,
    control: Option<UnboundedSender<Control>>,
) -> Option<Keys> {
    let (ui, board) = (Arc::clone(ui), Arc::clone(board));
    Keys::listen(gate, move |key| {
        let now = Timestamp::now();
        let lines = match key {
            Key::Status => vec![lock(&board).status(now)],
            Key::Details => lock(&board).details(now),
            Key::Pause => {
                if let Some(control) = &control {
                    // Nobody listens once the run is over, and then there is nothing to pause.
                    let _ = control.send(Control::Pause);
                }
                Vec::new()
            }
            Key::Help => Key::ALL
                .iter()
                .filter(|(key, ..)| *key != Key::Pause || control.is_some())
                .map(|(_, name, does)| Line::of(Tone::Plain, "  ").column(Tone::Strong, name, 8).add(Tone::Plain, does))
                .chain([Line::of(Tone::Plain, "  ")
                    .column(Tone::Strong, "Ctrl-C", 8)
                    .add(Tone::Plain, ui.interrupt_means())])
                .collect(),
        };
        lines.iter().for_each(|line| ui.progress(line));
    })
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
