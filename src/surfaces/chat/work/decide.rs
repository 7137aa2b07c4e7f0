//! Words about changes and answers to questions, by command or by button. Bound to the digest that was shown.

use jiff::Timestamp;

use crate::engine::event::Actor;
use crate::runs::{Caller, ErrorKind, Runs, RunsError, Taken, Waiting, names_change};
use crate::surfaces::chat::buttons::{self, Act, Change, Held, LASTS};
use crate::surfaces::chat::card::{Card, Field, FieldKind, Form, Style};
use crate::surfaces::chat::command::Spoken;
use crate::surfaces::chat::work::{Done, Work, may_press, untold};
use crate::surfaces::chat::{sign, story, work};
use crate::surfaces::shapes::approvals::shown;
use crate::transcript::Marks;

/// The requests for whose reason a form was shown, or was about to be: after a kill nobody knows which.
const ASKED_FOR_A_REASON: &str = "chat.reasons";
/// The reason of a no that was pressed where no form can ask for one.
const PRESSED: &str = "rejected with a button in a chat, without a reason";

/// The two buttons of a change, and until when they are good. Named are those who may press them; the click asks again.
///
/// # Errors
/// If the journal can't be written.
pub fn buttons_of(runs: &Runs, card: Card, waiting: &Waiting) -> Result<Card, RunsError> {
    let request = &waiting.approval.request;
    let (run, step) = (waiting.run.run.uuid(), request.step.to_string());
    let change = Change { run, step, digest: request.change.clone() };
    let approve = buttons::mint(runs, Act::Approve(change.clone()), &waiting.who, request.expires)?;
    // Whoever started the run may say no as well.
    let mut who = waiting.who.clone();
    if !who.is_empty() && !who.contains(&waiting.requester.id) {
        who.push(waiting.requester.id.clone());
    }
    let reject = buttons::mint(runs, Act::Reject(change), &who, request.expires)?;
    Ok(card.button("Approve", &approve, Style::Good).button("Reject", &reject, Style::Danger))
}

impl Work<'_> {
    /// Shows the change with its buttons; with its digest says yes to it.
    pub(super) fn approve(&self, run: Option<&str>, change: Option<&str>, caller: &Caller) -> Result<Done, RunsError> {
        let (row, _) = self.run_meant(run)?;
        let waiting = self.runs.approval(&row, None, caller)?;
        match change {
            Some(digest) => {
                names_change(digest, &waiting.approval.request.change)
                    .map_err(|why| RunsError::new(ErrorKind::Stale, why).hint("look at it again, then decide"))?;
                self.agree(&waiting)
            }
            None => {
                self.runs.may_approve(&waiting)?;
                let facts = self.runs.facts(&row)?;
                let step = &waiting.approval.request.step;
                let title = format!("{} needs an approval: {step}", story::name(&row));
                let card = story::approval_card(Card::new(&title), &facts, step).page(story::page(self.base, &row));
                Ok(Done::Whisper(buttons_of(self.runs, card, &waiting)?))
            }
        }
    }

    pub(super) fn approve_pressed(
        &self,
        holds: &str,
        held: &Held,
        change: &Change,
        caller: &Caller,
    ) -> Result<Done, RunsError> {
        self.is_unused(held)?;
        let waiting = self.waiting(change, caller)?;
        let again = held.used.is_some();
        if !again {
            may_press(held, &waiting.actor)?;
            self.runs.may_approve(&waiting)?;
        }
        self.spend(&buttons::key(holds), &waiting.actor.id)?;
        let given = waiting.approval.given.iter().any(|given| given.actor.id == waiting.actor.id)
            || waiting.said.iter().any(|word| word.yes && word.actor.id == waiting.actor.id);
        if again && given {
            return Ok(Done::Seen(format!("approved by {} before", waiting.actor.id)));
        }
        let agreed = self.agree(&waiting);
        if agreed.is_err() {
            buttons::give_back(self.runs, &buttons::key(holds), &self.request())?;
        }
        agreed
    }

    fn agree(&self, waiting: &Waiting) -> Result<Done, RunsError> {
        let taken = self.runs.approve(waiting, story::plain(&shown(waiting, Marks::Unicode)), None)?;
        self.heard(waiting, taken, "approved")
    }

    /// Asks for a reason, where a form can.
    pub(super) fn reject_pressed(&self, held: &Held, change: &Change, actor: &Actor) -> Result<Done, RunsError> {
        may_press(held, actor)?;
        let who = if actor.person { vec![actor.id.clone()] } else { Vec::new() };
        let holds = buttons::mint(self.runs, Act::Reason(change.clone()), &who, held.until)?;
        let form = Form {
            title: "Reject".to_owned(),
            submit: "Reject".to_owned(),
            holds,
            fields: vec![Field {
                name: "reason".to_owned(),
                hint: Some("for whoever asked, and for the record".to_owned()),
                kind: FieldKind::Long,
                initial: None,
                required: true,
                left_out: Vec::new(),
            }],
        };
        let (shelf, request) = (self.runs.shelf(ASKED_FOR_A_REASON), sign::digest(&self.request()));
        let is_first = shelf.put_new(&request, &actor.id, Some(held.until))?;
        match self.voice.show(self.asked, form).map_err(|trouble| untold(&trouble))? {
            true => Ok(Done::Seen("asked for a reason".to_owned())),
            // A server that was killed since may have shown it: what it asks for is not left out then.
            false if !is_first => {
                let said = "nothing was rejected: whether you were asked for a reason is not known";
                Err(RunsError::new(ErrorKind::Usage, said).hint("if no form is there, press it again"))
            }
            false => {
                // It is known now that nobody was asked, also if all that follows has to be tried again.
                shelf.take(&request)?;
                let caller = crate::surfaces::chat::links::caller(self.runs, &self.asked.speaker)?;
                let caller = caller.ok_or_else(work::not_a_button)?;
                self.reject_now(change, PRESSED, &caller)
            }
        }
    }

    pub(super) fn reject_now(&self, change: &Change, reason: &str, caller: &Caller) -> Result<Done, RunsError> {
        self.no_form();
        let waiting = self.waiting(change, caller)?;
        let taken = self.runs.reject(&waiting, reason)?;
        self.heard(&waiting, taken, "rejected")
    }

    pub(super) fn reject(&self, spoken: &Spoken, caller: &Caller) -> Result<Done, RunsError> {
        let (row, named) = self.run_meant(spoken.first.as_deref())?;
        let reason = if named { spoken.rest.clone() } else { spoken.all() };
        let waiting = self.runs.approval(&row, None, caller)?;
        let taken = self.runs.reject(&waiting, &reason)?;
        self.heard(&waiting, taken, "rejected")
    }

    pub(super) fn answer(&self, spoken: &Spoken, caller: &Caller) -> Result<Done, RunsError> {
        let (row, named) = self.run_meant(spoken.first.as_deref())?;
        let text = if named { spoken.rest.clone() } else { spoken.all() };
        let actor = self.runs.identify_for(caller, &row)?;
        let (step, _) = self.runs.answer(&row, None, &[("answer".to_owned(), text)], &actor)?;
        self.server.beat.tick();
        Ok(Done::Whisper(Card::new(&format!("`{step}` of {} is answered", story::name(&row)))))
    }

    pub(super) fn answer_pressed(
        &self,
        holds: &str,
        held: &Held,
        (run, step, answer): (&str, &str, &str),
        caller: &Caller,
    ) -> Result<Done, RunsError> {
        let row = self.runs.find(run)?;
        let actor = self.runs.identify_for(caller, &row)?;
        may_press(held, &actor)?;
        self.spend(&buttons::key(holds), &actor.id)?;
        let typed = [("answer".to_owned(), answer.to_owned())];
        let answered = self.runs.answer(&row, Some(step), &typed, &actor);
        if answered.is_err() {
            buttons::give_back(self.runs, &buttons::key(holds), &self.request())?;
        }
        answered?;
        self.server.beat.tick();
        Ok(Done::Seen(format!("answered by {}", actor.id)))
    }

    /// What waits now at the step that was shown, if it is the change that was shown.
    fn waiting(&self, change: &Change, caller: &Caller) -> Result<Waiting, RunsError> {
        let row = self.runs.find(&change.run)?;
        let waiting = self.runs.approval(&row, Some(&change.step), caller)?;
        names_change(&change.digest, &waiting.approval.request.change)
            .map_err(|why| RunsError::new(ErrorKind::Stale, why).hint("look at the newest message, then decide"))?;
        Ok(waiting)
    }

    fn heard(&self, waiting: &Waiting, taken: Taken, word: &str) -> Result<Done, RunsError> {
        self.server.beat.tick();
        let said = format!("`{}` of {} is {word}", waiting.approval.request.step, story::name(&waiting.run));
        match taken {
            Taken::Refused(why) => Err(RunsError::new(ErrorKind::Usage, why)),
            Taken::Recorded { enough: false } => {
                Ok(Done::Whisper(Card::new(&format!("{said} by {}; it needs more people", waiting.actor.id))))
            }
            Taken::Recorded { enough: true } | Taken::NotYet(_) => {
                Ok(Done::Whisper(Card::new(&format!("{said} by {}", waiting.actor.id))))
            }
        }
    }
}

/// The buttons of a question whose choices are few.
///
/// # Errors
/// If the journal can't be written.
pub fn buttons_of_choices(
    runs: &Runs,
    mut card: Card,
    run: &str,
    step: &str,
    choices: &[String],
) -> Result<Card, RunsError> {
    for choice in choices {
        let act = Act::Answer { run: run.to_owned(), step: step.to_owned(), answer: choice.clone() };
        let holds = buttons::mint(runs, act, &[], Timestamp::now() + LASTS)?;
        card = card.button(choice, &holds, Style::Plain);
    }
    Ok(card)
}
