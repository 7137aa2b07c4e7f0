//! What somebody asks for in a chat, in one form for all chats: kept in the journal before it is acknowledged.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A chat that rerail knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Slack,
    Mattermost,
    Discord,
    Generic,
}

impl Kind {
    pub const ALL: [Kind; 4] = [Kind::Slack, Kind::Mattermost, Kind::Discord, Kind::Generic];

    /// The word in settings, in the record of who did something, and in names of links.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Slack => "slack",
            Kind::Mattermost => "mattermost",
            Kind::Discord => "discord",
            Kind::Generic => "generic",
        }
    }

    /// The word for what comes from it, beside what alerts come from.
    pub fn source(self) -> &'static str {
        match self {
            Kind::Slack => "chat.slack",
            Kind::Mattermost => "chat.mattermost",
            Kind::Discord => "chat.discord",
            Kind::Generic => "chat.generic",
        }
    }

    /// The name as people write it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Slack => "Slack",
            Kind::Mattermost => "Mattermost",
            Kind::Discord => "Discord",
            Kind::Generic => "the signed webhook",
        }
    }

    /// The chat of this word.
    pub fn from_word(word: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

/// A user of a chat, by ids that they can't change themselves.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Speaker {
    pub chat: Kind,
    /// Of Slack `TEAM/USER`.
    pub id: String,
}

impl Speaker {
    /// One text for it, as a key: `slack:T1/U2`.
    pub fn key(&self) -> String {
        format!("{}:{}", self.chat.word(), self.id)
    }

    /// Reads [`Speaker::key`] again.
    pub fn from_key(key: &str) -> Option<Speaker> {
        let (word, id) = key.split_once(':')?;
        Some(Speaker { chat: Kind::from_word(word)?, id: id.to_owned() })
    }
}

/// A place where messages hang.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    pub chat: Kind,
    pub channel: String,
    /// The message that a thread hangs on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread: Option<String>,
}

impl Place {
    /// The same channel, in the thread below a message.
    pub fn below(&self, message: &str) -> Place {
        Place { thread: Some(message.to_owned()), ..self.clone() }
    }

    /// One text for a thread, as a key.
    pub fn key(&self) -> String {
        format!("{}:{}:{}", self.chat.word(), self.channel, self.thread.as_deref().unwrap_or_default())
    }
}

/// A request of somebody in a chat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    pub speaker: Speaker,
    pub place: Place,
    pub what: What,
    /// The message whose button was pressed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Where the first answer goes that only the asker sees: an address of the chat, good for some minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<String>,
    /// What opens a form, for some seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<String>,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// The line after `/rerail`.
    Said(String),
    /// A button, by what it holds.
    Pressed(String),
    /// A form that was filled in, by what it holds, with the texts of its fields.
    Filled(String, BTreeMap<String, String>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_speaker_is_found_again_by_its_key() {
        for kind in Kind::ALL {
            let speaker = Speaker { chat: kind, id: "T1/U:2".into() };
            assert_eq!(Speaker::from_key(&speaker.key()), Some(speaker));
        }
        assert_eq!(Speaker::from_key("teams:x"), None);
        assert_eq!(Speaker::from_key("slack"), None);
    }

    #[test]
    fn a_request_is_read_again_as_it_was_kept() {
        let place = Place { chat: Kind::Slack, channel: "C1".into(), thread: None };
        let what = What::Filled("n".into(), [("a".to_owned(), "b".to_owned())].into());
        let speaker = Speaker { chat: Kind::Slack, id: "T1/U2".into() };
        let asked = Asked { speaker, place, what, message: None, reply_to: None, trigger: Some("t".into()) };
        let text = serde_json::to_string(&asked).unwrap();
        assert_eq!(serde_json::from_str::<Asked>(&text).unwrap(), asked);
    }
}
