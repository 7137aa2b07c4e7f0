//! What people tell runs and the store: notes, cancels, holds; and who they are.

use crate::runs::{Caller, RunsError};
use crate::surfaces::chat::card::Card;
use crate::surfaces::chat::command::{Hold, Spoken, Start};
use crate::surfaces::chat::work::{Done, Work, untold};
use crate::surfaces::chat::{links, stalk, story};
use crate::transcript::words;

impl Work<'_> {
    pub(super) fn note(&self, spoken: &Spoken, caller: &Caller) -> Result<Done, RunsError> {
        let (row, named) = self.run_meant(spoken.first.as_deref())?;
        let text = if named { spoken.rest.clone() } else { spoken.all() };
        let actor = self.runs.identify_for(caller, &row)?;
        self.runs.note(&row, &text, &actor)?;
        Ok(Done::Whisper(Card::new(&format!("noted in {}", story::name(&row)))))
    }

    pub(super) fn cancel(&self, spoken: &Spoken, caller: &Caller) -> Result<Done, RunsError> {
        let (row, named) = self.run_meant(spoken.first.as_deref())?;
        let reason = if named { spoken.rest.clone() } else { spoken.all() };
        let actor = self.runs.identify_for(caller, &row)?;
        self.runs.cancel(&row, &actor, Some(reason).filter(|reason| !reason.is_empty()))?;
        self.server.beat.tick();
        Ok(Done::Whisper(Card::new(&format!("{} is asked to stop", story::name(&row)))))
    }

    /// A hold concerns everybody, so everybody sees it.
    pub(super) fn hold(&self, hold: &Hold, caller: &Caller) -> Result<Done, RunsError> {
        let actor = self.runs.identify(caller)?;
        let card = match hold {
            Hold::On(reason) => match self.runs.hold(&actor, reason)? {
                None => Card::new(&format!("⏸ all writes are on hold by {}", actor.id)).line(reason),
                Some(before) => {
                    let card = Card::new(&format!("all writes were on hold already, by {}", before.actor.id));
                    return Ok(Done::Whisper(card.line(&before.reason)));
                }
            },
            Hold::Off => match self.runs.lift(&actor)? {
                Some(_) => Card::new(&format!("▶ the hold is lifted by {}", actor.id)),
                None => return Ok(Done::Whisper(Card::new("there was no hold"))),
            },
            Hold::Status => {
                let on = self.runs.last_hold()?.filter(|last| last.lifted.is_none());
                return Ok(Done::Whisper(match on {
                    None => Card::new("no hold: writes may go on"),
                    Some(last) => {
                        let hold = &last.hold;
                        let since = words::date_time(hold.since);
                        Card::new(&format!("all writes are on hold by {} since {since}", hold.actor.id))
                            .line(&hold.reason)
                    }
                }));
            }
        };
        let said = card.title();
        self.server.beat.tick();
        match self.tell("hold", card.clone()) {
            Ok(_) => Ok(Done::Seen(said)),
            // It is on, whoever sees it.
            Err(trouble) => Ok(Done::Whisper(card.line(&untold(&trouble).message))),
        }
    }

    pub(super) fn stalk(&self, start: &Start, every: Option<&str>, caller: &Caller) -> Result<Done, RunsError> {
        let prepared = self.prepare(start)?;
        let actor = self.runs.identify(caller)?;
        self.runs.may_start(&prepared, &actor)?;
        let stalk = stalk::begin(self.runs, &prepared, start, every, self.asked, &self.delivery.run.uuid())?;
        let title = format!("👁 {} looks every {} until {}", start.runbook, stalk.every(), words::clock(stalk.until));
        let card = Card::new(&title)
            .line(&format!("for {}; it speaks when something changes", actor.id))
            .line(&format!("to end it: /rerail stalk stop {}", stalk.id));
        self.server.beat.tick();
        self.tell("stalk", card).map_err(|trouble| untold(&trouble))?;
        Ok(Done::Seen(title))
    }

    pub(super) fn stalk_stop(&self, id: Option<&str>) -> Result<Done, RunsError> {
        let stopped = stalk::stop(self.runs, &self.asked.place, id)?;
        Ok(Done::Whisper(Card::new(&match stopped.as_slice() {
            [] => "nothing looks for this channel".to_owned(),
            names => format!("no longer looks: {}", names.join(", ")),
        })))
    }

    /// Gives a code to the asker alone.
    pub(super) fn link(&self, caller: Option<&Caller>) -> Result<Done, RunsError> {
        if let Some(caller) = caller {
            let actor = self.runs.identify(caller)?;
            return Ok(Done::Whisper(Card::new(&format!("you are linked: rerail knows you as {}", actor.id))));
        }
        let code = links::code_for(self.runs, &self.asked.speaker)?;
        Ok(Done::Whisper(
            Card::new("prove who you are in a terminal of this project")
                .line(&format!("rerail link {code}"))
                .line("good once, for ten minutes; give it to nobody, it is for you alone"),
        ))
    }

    pub(super) fn unlink(&self) -> Result<Done, RunsError> {
        let removed = links::remove(self.runs, &self.asked.speaker)?;
        Ok(Done::Whisper(match removed {
            true => Card::new("unlinked: rerail no longer knows you here"),
            false => Card::new("there was no link; what rerail.yaml says is changed there"),
        }))
    }
}
