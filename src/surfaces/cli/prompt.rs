//! Asking the person at the terminal: questions of a run, Ctrl-C, and the confirmation before a start.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use inquire::{Confirm, InquireError, Select, Text};
use tokio::sync::mpsc::UnboundedSender;

use crate::engine::facts::Asked;
use crate::engine::ids::StepPath;
use crate::runs::Control;
use crate::script::value::Value;
use crate::surfaces::cli::exit::Exit;
use crate::surfaces::cli::ui::Ui;
use crate::transcript::escape;

/// A question of a run.
#[derive(Clone, Debug)]
pub struct Question {
    pub step: StepPath,
    pub asked: Asked,
}

/// Ctrl-C, from wherever it comes: a signal, or a key while a prompt reads the terminal.
pub struct Interrupts {
    count: AtomicU32,
    control: UnboundedSender<Control>,
    ui: Arc<Ui>,
}

impl Interrupts {
    /// Listens from now on.
    pub fn listen(ui: &Arc<Ui>, control: UnboundedSender<Control>) -> Arc<Interrupts> {
        let interrupts = Arc::new(Interrupts { count: AtomicU32::new(0), control, ui: Arc::clone(ui) });
        let heard = Arc::clone(&interrupts);
        let listen = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let Ok(runtime) = runtime else { return };
            runtime.block_on(async {
                while tokio::signal::ctrl_c().await.is_ok() {
                    heard.interrupt();
                }
            });
        };
        // Without the thread Ctrl-C keeps its usual meaning: the process ends, the journal has it all.
        let _ = std::thread::Builder::new().name("interrupts".into()).spawn(listen);
        interrupts
    }

    /// One more Ctrl-C.
    pub fn interrupt(&self) {
        match self.count.fetch_add(1, Ordering::Relaxed) {
            0 => self.ui.remark("stopping after what is running; again to leave now"),
            1 => self.ui.remark("leaving now"),
            _ => leave(),
        }
        // Nobody listens once the run is over, and then there is nothing to stop.
        let _ = self.control.send(Control::Interrupt);
    }
}

/// The third Ctrl-C: whatever hangs, the person gets the terminal back.
#[expect(clippy::exit, reason = "the driver did not react to two interrupts; the journal is safe at any moment")]
fn leave() {
    restore_terminal();
    std::process::exit(i32::from(Exit::INTERRUPTED.0));
}

/// Gives the terminal back if a prompt still reads it.
pub fn restore_terminal() {
    let _ = crossterm::terminal::disable_raw_mode();
}

/// Asks questions on a thread of its own, because a prompt blocks and the run must hear other people.
pub fn ask_on_a_thread(
    ui: &Arc<Ui>,
    control: UnboundedSender<Control>,
    interrupts: Arc<Interrupts>,
) -> Sender<Question> {
    let (sender, questions) = channel();
    let ui = Arc::clone(ui);
    let ask = move || ask_all(&ui, &questions, &control, &interrupts);
    // Without the thread nobody asks here; `rerail answer` works from elsewhere.
    let _ = std::thread::Builder::new().name("prompt".into()).spawn(ask);
    sender
}

fn ask_all(ui: &Ui, questions: &Receiver<Question>, control: &UnboundedSender<Control>, interrupts: &Interrupts) {
    let mut asked: BTreeMap<StepPath, Asked> = BTreeMap::new();
    while let Ok(question) = questions.recv() {
        // A question that is put anew, after a retry, expires at another time.
        if asked.insert(question.step.clone(), question.asked.clone()).is_some_and(|before| before == question.asked) {
            continue;
        }
        match ask(&question.asked) {
            Ok(answer) => {
                let _ = control.send(Control::Answer { step: question.step, answer: Value::from(answer) });
            }
            Err(InquireError::OperationInterrupted) => interrupts.interrupt(),
            Err(InquireError::OperationCanceled) => {
                ui.remark("left open; somebody can still answer with `rerail answer`, Ctrl-C stops the run");
            }
            Err(error) => ui.warning(&format!("the question can't be asked here: {error}")),
        }
    }
}

fn ask(asked: &Asked) -> Result<String, InquireError> {
    let text = escape::terminal(&asked.text);
    if asked.choices.is_empty() {
        return Text::new(&text).prompt();
    }
    let shown = asked.choices.iter().map(|choice| escape::terminal(choice)).collect();
    let chosen = Select::new(&text, shown).raw_prompt()?;
    Ok(asked.choices.get(chosen.index).cloned().unwrap_or(chosen.value))
}

/// Whether the person wants it; `None` if they walked away.
pub fn confirm(question: &str) -> Option<bool> {
    Confirm::new(&escape::terminal(question)).with_default(false).prompt().ok()
}

/// What the person types; `None` if they walked away.
pub fn typed(question: &str) -> Option<String> {
    Text::new(&escape::terminal(question)).prompt().ok()
}
