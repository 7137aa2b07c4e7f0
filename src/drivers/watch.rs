//! What a driver shows and hears while it works.

use crate::engine::event::{Actor, Event, Hold};
use crate::engine::facts::Facts;
use crate::engine::ids::StepPath;
use crate::engine::machine::Waits;
use crate::engine::outcome::Attempt;
use crate::script::value::Value;

/// Sees what happens, as it happens; drawing only.
pub trait Watcher: Send {
    /// These events may be shown: durable, or reads that a crash would only repeat.
    fn events(&mut self, events: &[Event], facts: &Facts);
    /// An effect came to this; what it means is in the events. A look of a poll that saw nothing new has none.
    fn looked(&mut self, _step: &StepPath, _result: &Attempt) {}
    /// Nothing can be decided now; called when what it waits for changes.
    fn waiting(&mut self, waits: &Waits, facts: &Facts);
    /// The driver starts nothing new, and waits for what is running.
    fn winding_down(&mut self) {}
    /// A run that is about to start stands in line for its group; called when that changes.
    fn in_line(&mut self, _line: &InLine) {}
}

/// What a run that has not begun waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InLine {
    pub group: String,
    /// Who holds it, in one sentence; `None` while it is free and others come first.
    pub holder: Option<String>,
    /// How many wait longer.
    pub ahead: u64,
}

/// What a person does to a run in the foreground.
#[derive(Clone, Debug)]
pub enum Control {
    /// Ctrl-C: the first cancels, the second leaves at once.
    Interrupt,
    /// An answer to an open question.
    Answer {
        step: StepPath,
        answer: Value,
    },
    /// Agrees to what a step asks, or not.
    Approve {
        step: StepPath,
        change: String,
        shown: Option<String>,
    },
    Reject {
        step: StepPath,
        change: String,
        reason: String,
    },
    /// Start nothing new; what is running ends, then the run stands paused.
    Pause,
    /// The process is asked to go: start nothing new, give what is running a moment, leave.
    Leave(Parting),
}

/// Who asks a process to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parting {
    /// SIGTERM: a service manager, a shutdown.
    Terminated,
    /// SIGHUP: the terminal is gone.
    HungUp,
}

/// How to drive.
pub struct Foreground {
    pub watcher: Box<dyn Watcher>,
    pub control: tokio::sync::mpsc::UnboundedReceiver<Control>,
    /// Whether somebody can answer here; if not, a run that waits for people only is left.
    pub attended: bool,
    pub actor: Actor,
}

impl Foreground {
    /// Of a rehearsal, which hears nobody and is shown whole at its end: Ctrl-C ends the process, and there is nothing to
    /// put in order.
    pub fn unheard(actor: Actor) -> Foreground {
        let (_, control) = tokio::sync::mpsc::unbounded_channel();
        Foreground { watcher: Box::new(Unwatched), control, attended: false, actor }
    }

    /// The same, with somebody who hears of the events before they are shown.
    #[must_use]
    pub fn first_heard_by(self, hear: impl FnMut(&[Event]) + Send + 'static) -> Foreground {
        let watcher = First { hear, watcher: self.watcher };
        Foreground { watcher: Box::new(watcher), ..self }
    }
}

/// Tells somebody of the events, and then shows everything.
struct First<F> {
    hear: F,
    watcher: Box<dyn Watcher>,
}

impl<F: FnMut(&[Event]) + Send> Watcher for First<F> {
    fn events(&mut self, events: &[Event], facts: &Facts) {
        (self.hear)(events);
        self.watcher.events(events, facts);
    }

    fn looked(&mut self, step: &StepPath, result: &Attempt) {
        self.watcher.looked(step, result);
    }

    fn waiting(&mut self, waits: &Waits, facts: &Facts) {
        self.watcher.waiting(waits, facts);
    }

    fn winding_down(&mut self) {
        self.watcher.winding_down();
    }

    fn in_line(&mut self, line: &InLine) {
        self.watcher.in_line(line);
    }
}

/// Shows nothing.
struct Unwatched;

impl Watcher for Unwatched {
    fn events(&mut self, _: &[Event], _: &Facts) {}
    fn waiting(&mut self, _: &Waits, _: &Facts) {}
}

/// Why a driver returned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    Ended,
    /// Only people can move it.
    Waiting,
    /// A write may have happened.
    InDoubt,
    /// Storage, lease or mismatch: the text says which.
    Paused(String),
    /// A hold keeps the next write from starting.
    Held(Hold),
    /// Ctrl-C twice.
    Interrupted,
    /// The process was asked to go.
    Left(Parting),
}
