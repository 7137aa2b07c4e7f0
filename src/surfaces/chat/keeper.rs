//! Keeps live cards up to date: edits in place, and a new message only for what waits for people, and for the end.

use std::sync::Arc;

use crate::engine::facts::{Facts, RunState};
use crate::runs::{RunRow, Runs, RunsError};
use crate::surfaces::chat::card::Card;
use crate::surfaces::chat::hung::{self, Hung};
use crate::surfaces::chat::pauses::Pauses;
use crate::surfaces::chat::saying::Saying;
use crate::surfaces::chat::story::{self, Wait, WaitKind};
use crate::surfaces::chat::turn::{Turn, Why, in_turn};
use crate::surfaces::chat::voice::Voice;
use crate::surfaces::chat::work::{buttons_of, buttons_of_choices};
use crate::surfaces::chat::{links, sign};
use crate::surfaces::http::{Job, Server};

/// Keeps all cards of the store.
pub struct Cards;

impl Job for Cards {
    fn name(&self) -> &'static str {
        "chat-cards"
    }

    fn run(&self, server: &Arc<Server>) {
        let mut pauses = Pauses::default();
        in_turn(server, "cards", "cards in chats can't be kept up to date", |turn| look(server, turn, &mut pauses));
    }
}

fn look(server: &Arc<Server>, turn: &mut Turn, pauses: &mut Pauses) -> Result<(), RunsError> {
    // Without cards nothing is read but one shelf, and nothing written.
    let cards = hung::all(server.journal())?;
    pauses.keep(|key| cards.iter().any(|hung| hung.key() == key));
    if cards.is_empty() {
        return Ok(());
    }
    let Ok(runs) = server.door() else { return Ok(()) };
    if !turn.take(&runs)? {
        return Ok(());
    }
    for mut hung in cards {
        if server.is_leaving() {
            break;
        }
        let key = hung.key();
        if pauses.rests(&key) {
            continue;
        }
        match one(&runs, &mut hung, server.url()) {
            Ok(()) => pauses.well(&key),
            Err(Why::Chat(trouble)) => {
                tracing::warn!(chat = hung.place.chat.word(), run = %hung.run, %trouble, "a card was not taken");
                if pauses.trouble(&key, &trouble) {
                    hung::leave(&runs, &hung)?;
                }
            }
            Err(Why::Own(error)) => return Err(error),
        }
        // A chat may take long; the turn must not be over meanwhile.
        if !turn.take(&runs)? {
            break;
        }
    }
    Ok(())
}

/// Brings one card up to date. What was said is kept at once, so that a kill doubles one message at most.
fn one(runs: &Arc<Runs>, hung: &mut Hung, base: Option<&str>) -> Result<(), Why> {
    let Some(row) = hung::row_of(runs, &hung.run)? else { return Ok(hung::leave(runs, hung)?) };
    if row.last_seq == hung.seen {
        return Ok(());
    }
    let Some(voice) = Voice::of(runs, hung.place.chat, base) else { return Ok(()) };
    let facts = match runs.facts(&row) {
        Ok(facts) => facts,
        // What can't be read is looked at on its page.
        Err(_) => return Ok(hung::leave(runs, hung)?),
    };
    let card = story::card(&row, &facts, base);
    let drawn = sign::digest(&card.plain());
    if drawn != hung.drawn {
        voice.edit(&hung.place, &hung.message, card)?;
        hung.drawn = drawn;
        hung::keep(runs, hung)?;
    }
    tell(runs, &voice, hung, &row, &facts, base)?;
    if let RunState::Ended(_) | RunState::Stuck = facts.state() {
        let saying = Saying::of(&hung.run, "ended");
        voice.post(&hung.place.below(&hung.message), &saying, story::ended(&row, &facts, base))?;
        crate::failpoint::hit("chat.ended");
        return Ok(hung::leave(runs, hung)?);
    }
    hung.seen = row.last_seq;
    Ok(hung::keep(runs, hung)?)
}

/// Says in the thread what waits for people, once; and takes the buttons off what no longer does.
fn tell(
    runs: &Arc<Runs>,
    voice: &Voice<'_>,
    hung: &mut Hung,
    row: &RunRow,
    facts: &Facts,
    base: Option<&str>,
) -> Result<(), Why> {
    let waits = story::waits(facts);
    let thread = hung.place.below(&hung.message);
    let over: Vec<(String, String)> = hung
        .told
        .iter()
        .filter(|(key, message)| !message.is_empty() && waits.iter().all(|wait| wait.key != **key))
        .map(|(key, message)| (key.clone(), message.clone()))
        .collect();
    for (key, message) in over {
        voice.edit(&thread, &message, story::settled(row, facts, &key))?;
        hung.told.insert(key, String::new());
        hung::keep(runs, hung)?;
    }
    for wait in &waits {
        if hung.told.contains_key(&wait.key) {
            continue;
        }
        let card = with_buttons(runs, story::waiting(row, facts, wait, base), row, wait)?;
        let message = voice.post(&thread, &Saying::which(&hung.run, "waits", &wait.key), card)?;
        crate::failpoint::hit("chat.told");
        hung.told.insert(wait.key.clone(), message);
        hung::keep(runs, hung)?;
    }
    Ok(())
}

fn with_buttons(runs: &Runs, card: Card, row: &RunRow, wait: &Wait) -> Result<Card, RunsError> {
    match &wait.kind {
        WaitKind::Approval(_) => {
            // It may have been decided since: then the next look says so.
            let nobody = links::nobody("chat");
            match runs.approval(row, Some(wait.step.as_str()), &nobody) {
                Ok(waiting) => buttons_of(runs, card, &waiting),
                Err(_) => Ok(card),
            }
        }
        WaitKind::Question(choices) => buttons_of_choices(runs, card, &row.run.uuid(), wait.step.as_str(), choices),
        WaitKind::Doubt => Ok(card),
    }
}
