//! Works through what somebody asked for in a chat: who they are, whether the channel may be used, then one thing.
//!
//! Nothing about people is decided here: the door and the driver say who may do what.

mod decide;
mod looks;
mod propose;
mod say;
mod start;

pub use decide::{buttons_of, buttons_of_choices};

use std::sync::Arc;

use crate::engine::event::Actor;
use crate::runs::{Caller, Delivery, ErrorKind, RunRow, Runs, RunsError};
use crate::surfaces::chat::asked::{Asked, What};
use crate::surfaces::chat::buttons::{self, Act, Held, Spent};
use crate::surfaces::chat::card::Card;
use crate::surfaces::chat::command::{self, Command};
use crate::surfaces::chat::room::Trouble;
use crate::surfaces::chat::saying::Saying;
use crate::surfaces::chat::voice::Voice;
use crate::surfaces::chat::{hung, links};
use crate::surfaces::http::Server;

/// Times that a request is tried whose work ends in an error of ours, until the asker is told.
const TRIES_MAX: u32 = 3;
/// Letters that name a run: what people are shown.
const RUN_CHARS_MIN: usize = 6;

/// A request on its way through.
pub struct Work<'w> {
    pub server: &'w Arc<Server>,
    pub runs: &'w Arc<Runs>,
    pub delivery: &'w Delivery,
    pub asked: &'w Asked,
    pub voice: &'w Voice<'w>,
    pub base: Option<&'w str>,
}

/// What came of it.
pub enum Done {
    /// An answer for the asker alone.
    Whisper(Card),
    /// Everybody in the channel sees it already.
    Seen(String),
}

/// Does what was asked, and says so.
///
/// # Errors
/// What is worth another try: the journal was busy or broken, or this server leaves.
pub fn work(server: &Arc<Server>, runs: &Arc<Runs>, delivery: &Delivery) -> Result<String, RunsError> {
    let asked: Asked = serde_json::from_str(&delivery.body)
        .map_err(|error| RunsError::new(ErrorKind::Usage, format!("what was kept can't be read: {error}")))?;
    let base = server.url();
    let Some(voice) = Voice::of(runs, asked.speaker.chat, base) else {
        return Ok(format!("{} is no chat of this project any more", asked.speaker.chat.name()));
    };
    let work = Work { server, runs, delivery, asked: &asked, voice: &voice, base };
    crate::failpoint::hit("chat.heard");
    let (card, said) = match work.through() {
        Ok(Done::Whisper(card)) => (Some(card), "answered".to_owned()),
        // An answer that never comes is shown as a failure.
        Ok(Done::Seen(said)) if voice.waits() => (Some(Card::new(&said)), said),
        Ok(Done::Seen(said)) => (None, said),
        Err(error) if is_ours(&error) && delivery.tries < TRIES_MAX => return Err(error),
        Err(error) => (Some(refusal(&error)), format!("refused: {}", error.message)),
    };
    match card.map(|card| voice.whisper(&asked, card)) {
        // The asker sees nothing; what was done is done, and the record says it.
        Some(Err(trouble)) => Ok(format!("{said}; the answer was not taken: {trouble}")),
        _ => Ok(said),
    }
}

/// Whether an error is no answer for a person, but a reason to try again.
fn is_ours(error: &RunsError) -> bool {
    matches!(error.kind, ErrorKind::Interrupted(_) | ErrorKind::Storage | ErrorKind::Internal | ErrorKind::Full)
}

fn refusal(error: &RunsError) -> Card {
    let mut card = Card::new(&error.message);
    for problem in error.problems.iter().take(5) {
        card = card.line(&format!("{} {}", problem.code, problem.message));
    }
    error.hints.iter().fold(card, |card, hint| card.line(&format!("→ {hint}")))
}

impl Work<'_> {
    fn through(&self) -> Result<Done, RunsError> {
        let caller = links::caller(self.runs, &self.asked.speaker)?;
        let command = match &self.asked.what {
            What::Said(line) => {
                Some(command::read(line).map_err(|why| RunsError::new(ErrorKind::Usage, why).hint("/rerail help"))?)
            }
            What::Pressed(_) | What::Filled(..) => None,
        };
        match &command {
            Some(Command::Link) => return self.link(caller.as_ref()),
            Some(Command::Unlink) => return self.unlink(),
            _ => {}
        }
        let Some(caller) = caller else {
            return Ok(Done::Whisper(
                Card::new("link first: nobody knows who you are here")
                    .line("type `/rerail link`, then in a terminal of this project what it says"),
            ));
        };
        if !self.voice.may_speak_in(&self.asked.place.channel) && !matches!(command, Some(Command::Help)) {
            let said = "this channel is not one of those that may be used: see `chat` in rerail.yaml";
            return Err(RunsError::new(ErrorKind::NotAllowed, said));
        }
        match (&self.asked.what, command) {
            (_, Some(command)) => self.command(command, &caller),
            (What::Pressed(holds), None) => self.pressed(holds, &caller),
            (What::Filled(holds, values), None) => self.filled(holds, values, &caller),
            (What::Said(_), None) => Err(RunsError::new(ErrorKind::Internal, "a line without a command")),
        }
    }

    fn command(&self, command: Command, caller: &Caller) -> Result<Done, RunsError> {
        match command {
            Command::Help => self.help(caller),
            Command::Find(words) => self.find(&words, caller),
            Command::Plan(start) => self.plan(&start, caller),
            Command::Run(start) => self.run(&start, caller),
            Command::Status(run) => self.status(run.as_deref()),
            Command::Runs => self.list(),
            Command::Stalk { start, every } => self.stalk(&start, every.as_deref(), caller),
            Command::StalkStop(id) => self.stalk_stop(id.as_deref()),
            Command::Note(spoken) => self.note(&spoken, caller),
            Command::Answer(spoken) => self.answer(&spoken, caller),
            Command::Approve { run, change } => self.approve(run.as_deref(), change.as_deref(), caller),
            Command::Reject(spoken) => self.reject(&spoken, caller),
            Command::Cancel(spoken) => self.cancel(&spoken, caller),
            Command::Hold(hold) => self.hold(&hold, caller),
            Command::Link | Command::Unlink => Err(RunsError::new(ErrorKind::Internal, "links come first")),
        }
    }

    fn pressed(&self, holds: &str, caller: &Caller) -> Result<Done, RunsError> {
        let held = buttons::find(self.runs, holds)?;
        let actor = self.runs.identify(caller)?;
        if !held.act.may_show_a_form() {
            self.no_form();
        }
        match &held.act {
            Act::Plan(start) => self.plan(start, caller),
            Act::Run(start) => self.run(start, caller),
            Act::Share(start) => self.share(start, caller),
            Act::Start(start) => self.start_pressed(holds, &held, start, caller),
            Act::Approve(change) => self.approve_pressed(holds, &held, change, caller),
            Act::Reject(change) => self.reject_pressed(&held, change, &actor),
            Act::Answer { run, step, answer } => self.answer_pressed(holds, &held, (run, step, answer), caller),
            Act::Begin(shown) => self.begin_pressed(holds, &held, shown, actor),
            Act::Dismiss(shown) => self.dismiss_pressed(holds, &held, shown, caller),
            Act::Inputs { .. } | Act::Confirm { .. } | Act::ConfirmBegin { .. } | Act::Reason(_) => Err(not_a_button()),
        }
    }

    fn filled(
        &self,
        holds: &str,
        values: &std::collections::BTreeMap<String, String>,
        caller: &Caller,
    ) -> Result<Done, RunsError> {
        let held = buttons::find(self.runs, holds)?;
        let actor = self.runs.identify(caller)?;
        may_press(&held, &actor)?;
        match &held.act {
            Act::Inputs { start, then } => self.inputs_filled(start, *then, values, caller),
            Act::Confirm { start, button } => {
                let typed = values.get("confirm").map(String::as_str).unwrap_or_default();
                self.start_now(button, start, Some(typed), caller)
            }
            Act::ConfirmBegin { shown, button } => {
                let typed = values.get("confirm").map(String::as_str).unwrap_or_default();
                self.begin_now(button, shown, Some(typed), actor)
            }
            Act::Reason(change) => {
                let reason = values.get("reason").map(String::as_str).unwrap_or_default();
                self.reject_now(change, reason, caller)
            }
            _ => Err(not_a_button()),
        }
    }

    /// Uses the button under this key up, unless somebody else was first.
    fn spend(&self, key: &str, by: &str) -> Result<(), RunsError> {
        match buttons::spend(self.runs, key, by, &self.request())? {
            Spent::Now => Ok(()),
            Spent::Before(used) => {
                let said = format!("{} was first, at {}", used.by, crate::transcript::words::clock(used.at));
                Err(RunsError::new(ErrorKind::Usage, said))
            }
        }
    }

    /// What this request is called among those that use a button.
    fn request(&self) -> String {
        format!("{} {}", self.delivery.source, self.delivery.id)
    }

    /// The run that is meant: the one that is named, else that of the thread, else the only one whose card hangs here. Says
    /// whether the first word named it.
    fn run_meant(&self, first: Option<&str>) -> Result<(RunRow, bool), RunsError> {
        let is_id =
            |text: &&str| text.len() >= RUN_CHARS_MIN && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        if let Some(id) = first.filter(is_id)
            && let Ok(row) = self.runs.find(id)
        {
            return Ok((row, true));
        }
        match hung::run_at(self.runs, &self.asked.place)? {
            Some(row) => Ok((row, false)),
            None => {
                let said = "which run? none is named, and it is not the only one of this channel";
                Err(RunsError::new(ErrorKind::NotFound, said).hint("/rerail runs lists them"))
            }
        }
    }

    /// Tells everybody in the place, once for this request.
    fn tell(&self, what: &'static str, card: Card) -> Result<String, Trouble> {
        self.voice.post_surely(&self.asked.place, &Saying::of(&self.delivery.run.uuid(), what), card)
    }

    /// From here on it may take long, and no form comes: where a chat waits for either it is told so.
    fn no_form(&self) {
        self.unsaid(self.voice.defer(self.asked));
    }

    /// Answers the asker before all is done; that it could not be said stops nothing.
    fn unsaid(&self, said: Result<(), Trouble>) {
        if let Err(trouble) = said {
            tracing::warn!(chat = self.asked.speaker.chat.word(), %trouble, "a message was not taken");
        }
    }
}

/// Whether this button is for them.
fn may_press(held: &Held, actor: &Actor) -> Result<(), RunsError> {
    match held.who.is_empty() || held.who.contains(&actor.id) {
        true => Ok(()),
        false => {
            let said = format!("this button is for {}, not for {}", held.who.join(", "), actor.id);
            Err(RunsError::new(ErrorKind::NotAllowed, said))
        }
    }
}

fn not_a_button() -> RunsError {
    RunsError::new(ErrorKind::Usage, "this is no button, or no form, of ours")
}

/// What a chat says when it does not take a message that everybody should see.
fn untold(trouble: &Trouble) -> RunsError {
    RunsError::new(ErrorKind::Usage, format!("the message for the channel was not taken: it {trouble}"))
        .hint("is the bot a member of this channel?")
}
