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
    /// under the same `name` stands there once, if the chat [tells repeats](Room::tells_repeats), and as this card unless it
    /// can't be written anew; else twice, which harms nobody.
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

/// Logs that a message which was posted before still stands there with the words and buttons of then. It is posted all the
/// same: whoever forgets its id for that posts it a second time, once the chat has forgotten its name.
pub fn left_as_it_was(kind: Kind, id: &str, trouble: &Trouble) {
    tracing::warn!(chat = kind.word(), message = id, %trouble, "a message that was posted before can't be written anew");
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
    use std::io::{BufRead as _, BufReader, Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};

    use super::*;
    use crate::project::Project;
    use crate::redact::Redactor;

    /// A chat that has the message already, with other words, and can't write it anew.
    fn stubborn_chat() -> (String, std::thread::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = std::thread::spawn(move || {
            let of = |stream: std::io::Result<TcpStream>| {
                let mut stream = stream.unwrap();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let mut line = || {
                    let mut line = String::new();
                    reader.read_line(&mut line).map(|_| line).unwrap()
                };
                let method = line().split(' ').next().unwrap().to_owned();
                let mut length = 0;
                loop {
                    let header = line().to_lowercase();
                    match header.trim_end().split_once(": ") {
                        Some(("content-length", value)) => length = value.parse().unwrap(),
                        Some(_) => {}
                        None => break,
                    }
                }
                std::io::copy(&mut reader.take(length), &mut std::io::sink()).unwrap();
                let (status, body) = match method.as_str() {
                    "POST" => (200, r#"{"id":"41","content":"before","components":[],"props":{"rerail":"before"}}"#),
                    _ => (500, "{}"),
                };
                let head = format!("HTTP/1.1 {status} So\r\ncontent-length: {}\r\nconnection: close", body.len());
                write!(stream, "{head}\r\n\r\n{body}").unwrap();
                method
            };
            listener.incoming().take(2).map(of).collect()
        });
        (url, asked)
    }

    #[test]
    fn a_message_that_stands_there_keeps_its_id_when_it_cannot_be_written_anew() {
        for (kind, anew) in [(Kind::Discord, "PATCH"), (Kind::Mattermost, "PUT")] {
            let (url, asked) = stubborn_chat();
            let secret = "{ from: file, path: secret }";
            let chat = match kind {
                Kind::Discord => format!("public_key: {}, bot_token: {secret}, api: {url:?}", "0".repeat(64)),
                _ => format!("command_token: {secret}, bot_token: {secret}, url: {url:?}"),
            };
            let dir = tempfile::tempdir().unwrap();
            let yaml = format!("version: 1\nchat:\n  {}: {{ {chat}, channels: [\"70\"] }}\n", kind.word());
            std::fs::write(dir.path().join("rerail.yaml"), yaml).unwrap();
            std::fs::write(dir.path().join("secret"), "obviously-fake-token-of-a-test").unwrap();
            let runs = Runs::open(dir.path().join("state"), Project::discover(dir.path()).unwrap(), Redactor::new());
            let place = Place { chat: kind, channel: "70".into(), thread: None };
            let posted = room(&runs, kind, None).unwrap().post(&place, "n1", &Card::new("now"));
            assert_eq!(posted, Ok("41".to_owned()), "{kind:?}");
            assert_eq!(asked.join().unwrap(), ["POST", anew], "{kind:?}");
        }
    }

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
