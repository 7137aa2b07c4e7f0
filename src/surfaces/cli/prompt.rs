//! Asking the person at the terminal: questions of a run, Ctrl-C, and the confirmation before a start.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use inquire::ui::RenderConfig;
use inquire::validator::Validation;
use inquire::{Confirm, InquireError, Select, Text};
use tokio::sync::mpsc::UnboundedSender;

use crate::engine::facts::Asked;
use crate::engine::ids::StepPath;
use crate::runbook::fields;
use crate::runbook::model::Input;
use crate::runbook::types::Type;
use crate::runs::{Control, Parting};
use crate::script::value::Value;
use crate::surfaces::cli::exit::Exit;
use crate::surfaces::cli::follow::DETACHES;
use crate::surfaces::cli::keys::{self, Gate};
use crate::surfaces::cli::parting;
use crate::surfaces::cli::ui::Ui;
use crate::transcript::{Marks, escape};

/// A question of a run.
#[derive(Clone, Debug)]
pub struct Question {
    pub step: StepPath,
    pub asked: Asked,
}

/// Ctrl-C, from wherever it comes: a signal, or a key while a prompt reads the terminal; and being asked to go.
pub struct Interrupts {
    count: AtomicU32,
    /// Set while another process's run is only followed: there is nothing here to stop.
    detach: Mutex<Option<Sender<()>>>,
    /// Who asked the process to go, if anybody did while it followed.
    parted: Mutex<Option<Parting>>,
    control: UnboundedSender<Control>,
    ui: Arc<Ui>,
}

impl Interrupts {
    /// Listens from now on, and tells the run as well when the process is asked to go.
    pub fn listen(ui: &Arc<Ui>, control: UnboundedSender<Control>) -> Arc<Interrupts> {
        ui.interrupt_does("stop after what is running; twice: leave now");
        let interrupts = Arc::new(Interrupts {
            count: AtomicU32::new(0),
            detach: Mutex::default(),
            parted: Mutex::default(),
            control,
            ui: Arc::clone(ui),
        });
        let (heard, asked) = (Arc::clone(&interrupts), Arc::clone(&interrupts));
        parting::listen(move || heard.interrupt(), Some(Box::new(move |parting| asked.part(parting))));
        interrupts
    }

    /// One more Ctrl-C.
    pub fn interrupt(&self) {
        if self.detaches() {
            return;
        }
        // Counted before it is sent: who begins to follow now finds it.
        match self.count.fetch_add(1, Ordering::Relaxed) {
            0 => self.ui.remark("stopping after what is running; again to leave now"),
            1 => self.ui.remark("leaving now"),
            _ => leave(&self.ui),
        }
        // Nobody listens once the run is over, and then there is nothing to stop.
        let _ = self.control.send(Control::Interrupt);
    }

    /// The process is asked to go; false if nobody listens any more.
    pub fn part(&self, parting: Parting) -> bool {
        // Kept first: between a start that found a run to follow and the following nobody listens.
        *self.parted.lock().unwrap_or_else(PoisonError::into_inner) = Some(parting);
        self.detaches() || self.control.send(Control::Leave(parting)).is_ok()
    }

    /// From now on nothing is driven here, only followed: what is heard says to stop looking.
    pub fn only_follow(&self) -> Receiver<()> {
        self.ui.interrupt_does(DETACHES);
        let (leave, detach) = channel();
        *self.detach.lock().unwrap_or_else(PoisonError::into_inner) = Some(leave);
        if self.count.load(Ordering::Relaxed) > 0 || self.parted().is_some() {
            self.detaches();
        }
        detach
    }

    /// Who asked a process to go that followed.
    pub fn parted(&self) -> Option<Parting> {
        *self.parted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn detaches(&self) -> bool {
        let detach = self.detach.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody listens once the run has ended, and then there is nothing to leave.
        detach.as_ref().is_some_and(|detach| detach.send(()).is_ok())
    }
}

/// The third Ctrl-C: whatever hangs, the person gets the terminal back.
#[expect(clippy::exit, reason = "the driver did not react to two interrupts; the journal is safe at any moment")]
fn leave(ui: &Ui) {
    ui.end_area();
    ui.calm();
    restore_terminal();
    std::process::exit(i32::from(Exit::INTERRUPTED.0));
}

/// Gives the terminal back if a prompt or the keys still read it.
pub fn restore_terminal() {
    let _ = crossterm::terminal::disable_raw_mode();
    keys::give_back();
}

/// Asks questions on a thread of its own, because a prompt blocks and the run must hear other people.
pub fn ask_on_a_thread(
    ui: &Arc<Ui>,
    control: UnboundedSender<Control>,
    interrupts: Arc<Interrupts>,
    gate: &Gate,
) -> Sender<Question> {
    let (sender, questions) = channel();
    let (ui, gate) = (Arc::clone(ui), gate.clone());
    let ask = move || ask_all(&ui, &questions, &control, &interrupts, &gate);
    // Without the thread nobody asks here; `rerail answer` works from elsewhere.
    let _ = std::thread::Builder::new().name("prompt".into()).spawn(ask);
    sender
}

fn ask_all(
    ui: &Ui,
    questions: &Receiver<Question>,
    control: &UnboundedSender<Control>,
    interrupts: &Interrupts,
    gate: &Gate,
) {
    draw_plainly(ui);
    let mut asked: BTreeMap<StepPath, Asked> = BTreeMap::new();
    while let Ok(question) = questions.recv() {
        // A question that is put anew, after a retry, expires at another time.
        if asked.insert(question.step.clone(), question.asked.clone()).is_some_and(|before| before == question.asked) {
            continue;
        }
        let answer = {
            let _held = gate.hold();
            ask(&question.asked, ui.marks)
        };
        match answer {
            Ok(answer) => {
                let _ = control.send(Control::Answer { step: question.step, answer });
            }
            Err(InquireError::OperationInterrupted) => interrupts.interrupt(),
            Err(InquireError::OperationCanceled) => {
                ui.remark("left open; somebody can still answer with `rerail answer`, Ctrl-C stops the run");
            }
            Err(error) => ui.warning(&format!("the question can't be asked here: {error}")),
        }
    }
}

/// Prompts in the colours of everything else: none where none are wanted.
fn draw_plainly(ui: &Ui) {
    if !ui.colours_progress() {
        inquire::set_global_render_config(RenderConfig::empty());
    }
}

fn ask(asked: &Asked, marks: Marks) -> Result<Value, InquireError> {
    if !asked.fields.is_empty() {
        // They were read when the question was put: one that can't be asked has failed there.
        let fields = fields::read(&Value::Map(asked.fields.clone())).map_err(InquireError::InvalidConfiguration)?;
        return ask_fields(&fields, marks);
    }
    match asked.choices.as_slice() {
        [] => Text::new(&escape::terminal(&asked.text)).prompt().map(Value::from),
        choices => choose(&asked.text, choices, marks).map(Value::from),
    }
}

/// One value after the other, each asked for until it has its type.
fn ask_fields(fields: &[Input], marks: Marks) -> Result<Value, InquireError> {
    let mut typed = Vec::new();
    for field in fields {
        let about = field.description.as_ref().unwrap_or(&field.name.value);
        let about = format!("{about} ({}):", field.ty.name());
        let text = match (&field.ty, &field.default) {
            (Type::Choice(choices), None) if field.required => choose(&about, choices, marks)?,
            (ty, default) => {
                let default = default.as_ref().map(|default| match default {
                    Value::Text(text) => text.clone(),
                    other => other.to_plain().to_string(),
                });
                let (ty, required) = (ty.clone(), field.required);
                let about = escape::terminal(&about);
                let mut prompt = Text::new(&about).with_validator(move |text: &str| {
                    Ok(match ty.read(text) {
                        Err(why) if required || !text.is_empty() => Validation::Invalid(why.into()),
                        _ => Validation::Valid,
                    })
                });
                prompt.initial_value = default.as_deref();
                prompt.prompt()?
            }
        };
        // Nothing typed for what may be left out is leaving it out.
        if field.required || !text.is_empty() {
            typed.push((field.name.value.clone(), text));
        }
    }
    fields::answer(fields, &typed).map(Value::Map).map_err(InquireError::InvalidConfiguration)
}

fn choose(text: &str, choices: &[String], marks: Marks) -> Result<String, InquireError> {
    let text = escape::terminal(text);
    let shown = choices.iter().map(|choice| escape::terminal(choice)).collect();
    let select = Select::new(&text, shown);
    let chosen = match marks {
        Marks::Unicode => select,
        Marks::Ascii => select.with_help_message("up and down to move, enter to select, type to filter"),
    };
    let chosen = chosen.raw_prompt()?;
    Ok(choices.get(chosen.index).cloned().unwrap_or(chosen.value))
}

/// Whether the person wants it; `None` if they walked away.
pub fn confirm(ui: &Ui, question: &str) -> Option<bool> {
    draw_plainly(ui);
    Confirm::new(&escape::terminal(question)).with_default(false).prompt().ok()
}

/// What the person types; `None` if they walked away.
pub fn typed(ui: &Ui, question: &str) -> Option<String> {
    draw_plainly(ui);
    Text::new(&escape::terminal(question)).prompt().ok()
}
