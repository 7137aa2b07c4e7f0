//! A chat as rerail speaks in it: a few things to say, the same for every kind.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value as Json;

use crate::runs::{Incoming, Outgoing, Runs, RunsError};
use crate::surfaces::chat::asked::{Asked, Kind, Place};
use crate::surfaces::chat::card::{Card, FIELDS_MAX, Form};
use crate::surfaces::chat::discord::room::DiscordRoom;
use crate::surfaces::chat::generic::GenericRoom;
use crate::surfaces::chat::mattermost::room::MattermostRoom;
use crate::surfaces::chat::slack::room::SlackRoom;

/// Time between two messages to one channel: what Slack takes for long, and the others as well.
const PACE: Duration = Duration::from_secs(1);
/// The longest wait for a turn: more than this is a queue that nobody reads.
const TURN_WITHIN: Duration = Duration::from_secs(5);
/// The longest pause a chat may ask for until a message is tried once more at once; after a longer one it is said later.
const AGAIN_WITHIN: Duration = Duration::from_secs(5);
/// Channels whose pace is remembered; a project names a few.
const CHANNELS_MAX: usize = 1000;
/// Letters of a chat's own words about a refusal.
const SAID_CHARS_MAX: usize = 200;

/// What rerail can say in a chat.
pub trait Room {
    /// Posts a message for everybody in the place; gives what it is called there. One that was in doubt and is posted again
    /// under the same `name` stands there once, as this card, if the chat [tells repeats](Room::tells_repeats); else twice,
    /// which harms nobody.
    ///
    /// # Errors
    /// If it was not taken, or nobody knows.
    fn post(&self, place: &Place, name: &str, card: &Card) -> Result<String, Trouble>;

    /// Whether what is posted again under the same name, within half a minute at least, stands there once.
    fn tells_repeats(&self) -> bool {
        true
    }

    /// Writes a message anew in its place.
    ///
    /// # Errors
    /// As for [`Room::post`].
    fn edit(&self, place: &Place, message: &str, card: &Card) -> Result<(), Trouble>;

    /// Answers so that only the asker sees it.
    ///
    /// # Errors
    /// As for [`Room::post`].
    fn whisper(&self, asked: &Asked, card: &Card) -> Result<(), Trouble>;

    /// Shows a form to the asker; `false` if this chat has none, or it is too late.
    ///
    /// # Errors
    /// As for [`Room::post`].
    fn show(&self, asked: &Asked, form: &Form) -> Result<bool, Trouble>;

    /// Fields of the largest form that it shows.
    fn fields_max(&self) -> usize {
        FIELDS_MAX
    }

    /// Says to the asker that an answer comes later and that no form does, where a chat waits for either.
    ///
    /// # Errors
    /// As for [`Room::post`].
    fn defer(&self, _: &Asked) -> Result<(), Trouble> {
        Ok(())
    }

    /// Whether the asker is left without a word as long as nothing is whispered to them.
    fn waits(&self) -> bool {
        false
    }

    /// The channels that may be used.
    fn channels(&self) -> &[String];

    /// Whether buttons lead back to rerail from here.
    fn has_buttons(&self) -> bool {
        true
    }
}

/// Why something was not said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The chat asks to be left alone for a while.
    Busy(Duration),
    /// It said no, and will again: what it said.
    Refused(String),
    /// Nobody answered, or not as they should: it may be there all the same.
    Unreached(String),
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Trouble::Busy(after) => write!(f, "asked to be left alone for {} s", after.as_secs()),
            Trouble::Refused(said) => write!(f, "refused: {said}"),
            Trouble::Unreached(said) => f.write_str(said),
        }
    }
}

impl From<RunsError> for Trouble {
    fn from(error: RunsError) -> Self {
        Trouble::Unreached(error.message)
    }
}

/// The chat of this kind, if the project has one. `base` is the address of this server as people reach it.
pub fn room<'r>(runs: &'r Runs, kind: Kind, base: Option<&'r str>) -> Option<Box<dyn Room + 'r>> {
    let chat = &runs.project().settings.chat;
    Some(match kind {
        Kind::Slack => Box::new(SlackRoom { runs, settings: chat.slack.as_ref()? }),
        Kind::Mattermost => Box::new(MattermostRoom { runs, settings: chat.mattermost.as_ref()?, base }),
        Kind::Discord => Box::new(DiscordRoom::new(runs, chat.discord.as_ref()?)),
        Kind::Generic => Box::new(GenericRoom { runs, settings: chat.generic.as_ref()? }),
    })
}

/// Sends one request to a chat and reads its JSON; what it asks to be sent again in a moment is, once.
///
/// # Errors
/// What the chat says, in few of its words.
pub fn call(runs: &Runs, outgoing: &Outgoing) -> Result<Json, Trouble> {
    match once(runs, outgoing) {
        Err(Trouble::Busy(after)) if after <= AGAIN_WITHIN => {
            std::thread::sleep(after);
            once(runs, outgoing)
        }
        done => done,
    }
}

fn once(runs: &Runs, outgoing: &Outgoing) -> Result<Json, Trouble> {
    let Incoming { status, retry_after, body } = runs.ask(outgoing)?;
    let said = || {
        let body = runs.redactor().redact(&body).into_owned();
        crate::surfaces::chat::card::cut(&crate::transcript::escape::terminal(&body), SAID_CHARS_MAX)
    };
    match status {
        200..=299 if body.trim().is_empty() => Ok(Json::Null),
        200..=299 => Ok(serde_json::from_str(&body).unwrap_or(Json::Null)),
        429 => Err(Trouble::Busy(Duration::from_secs(retry_after.unwrap_or(1).max(1)))),
        500..=599 => Err(Trouble::Unreached(format!("{status}: {}", said()))),
        _ => Err(Trouble::Refused(format!("{status}: {}", said()))),
    }
}

/// Waits until it is this channel's turn again.
pub fn take_turn(kind: Kind, channel: &str) {
    static TURNS: Mutex<BTreeMap<(Kind, String), Instant>> = Mutex::new(BTreeMap::new());
    let now = Instant::now();
    let wait = {
        let mut turns = TURNS.lock().unwrap_or_else(PoisonError::into_inner);
        if turns.len() >= CHANNELS_MAX {
            turns.retain(|_, next| *next > now);
        }
        let next = turns.entry((kind, channel.to_owned())).or_insert(now);
        let wait = next.saturating_duration_since(now).min(TURN_WITHIN);
        *next = now + wait + PACE;
        wait
    };
    // Outside the lock: other channels don't wait.
    std::thread::sleep(wait);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_channel_waits_and_another_does_not() {
        let begun = Instant::now();
        take_turn(Kind::Generic, "a-test-channel");
        take_turn(Kind::Generic, "another-test-channel");
        assert!(begun.elapsed() < PACE);
        take_turn(Kind::Generic, "a-test-channel");
        assert!(begun.elapsed() >= PACE);
    }
}
