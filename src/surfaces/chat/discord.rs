//! Discord: interactions over HTTP, signed with Ed25519; deferred at once, answered afterwards.

use serde_json::{Value as Json, json};

use crate::runbook::chat::Discord;
use crate::runs::{Outgoing, Runs};
use crate::surfaces::chat::asked::{Asked, Kind, Place, Speaker, What};
use crate::surfaces::chat::card::{Card, Form, Style};
use crate::surfaces::chat::markdown;
use crate::surfaces::chat::room::{Room, Trouble, call, take_turn};

/// Letters of a message.
const MESSAGE_CHARS_MAX: usize = 2000;
/// Only the asker sees it.
const EPHEMERAL: u32 = 64;
/// Levels of commands below a command: Discord has two.
const NESTED_MAX: usize = 3;

/// What is in an interaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Interaction {
    Ping,
    Asked(String, Box<Asked>),
    Other,
}

/// Reads an interaction that has been proved.
///
/// # Errors
/// What is not as Discord sends it.
pub fn read(body: &[u8]) -> Result<Interaction, String> {
    let json: Json = serde_json::from_slice(body).map_err(|error| format!("no JSON: {error}"))?;
    let text = |at: &str| json.pointer(at).and_then(Json::as_str).filter(|text| !text.is_empty()).map(str::to_owned);
    let need = |at: &str| text(at).ok_or_else(|| format!("no text at `{at}`"));
    let what = match json["type"].as_u64() {
        Some(1) => return Ok(Interaction::Ping),
        Some(2) => What::Said(words(&json["data"]["options"], 0).join(" ")),
        Some(3) => What::Pressed(need("/data/custom_id")?),
        _ => return Ok(Interaction::Other),
    };
    let user = text("/member/user/id").or_else(|| text("/user/id")).ok_or("no user")?;
    let id = need("/id")?;
    let asked = Asked {
        speaker: Speaker { chat: Kind::Discord, id: user },
        place: Place { chat: Kind::Discord, channel: need("/channel_id")?, thread: None },
        what,
        message: text("/message/id"),
        reply_to: Some(format!("{}/{}", need("/application_id")?, need("/token")?)),
        trigger: None,
    };
    Ok(Interaction::Asked(format!("interaction {id}"), Box::new(asked)))
}

/// The acknowledgement: an answer comes later, and only the asker will see it.
pub fn deferred() -> Json {
    json!({ "type": 5, "data": { "flags": EPHEMERAL } })
}

/// The line somebody typed, whether the command has one field for it or commands below it.
fn words(options: &Json, level: usize) -> Vec<String> {
    let mut line = Vec::new();
    for option in options.as_array().into_iter().flatten().filter(|_| level < NESTED_MAX) {
        match (option["type"].as_u64(), option["name"].as_str()) {
            (Some(1 | 2), Some(name)) => {
                line.push(name.to_owned());
                line.extend(words(&option["options"], level + 1));
            }
            _ => line.extend(option["value"].as_str().map(str::to_owned)),
        }
    }
    line
}

/// An application of the project.
pub struct DiscordRoom<'r> {
    pub runs: &'r Runs,
    pub settings: &'r Discord,
}

impl DiscordRoom<'_> {
    fn ask(&self, method: &'static str, path: &str, body: &Json) -> Result<Json, Trouble> {
        let token = self.runs.own_secret("chat.discord.bot_token", &self.settings.bot_token)?;
        let headers = vec![("authorization", format!("Bot {token}")), ("content-type", "application/json".to_owned())];
        let url = format!("{}/{path}", self.settings.api);
        call(self.runs, &Outgoing { method, url, headers, body: body.to_string() })
    }
}

impl Room for DiscordRoom<'_> {
    fn post(&self, place: &Place, card: &Card) -> Result<String, Trouble> {
        take_turn(Kind::Discord, &place.channel);
        let mut body = message(card);
        if let Some(thread) = &place.thread {
            body["message_reference"] = json!({ "message_id": thread, "fail_if_not_exists": false });
        }
        let posted = self.ask("POST", &format!("channels/{}/messages", digits(&place.channel)), &body)?;
        let id = posted["id"].as_str().ok_or_else(|| Trouble::Unreached("Discord gave no `id`".to_owned()))?;
        Ok(id.to_owned())
    }

    fn edit(&self, place: &Place, id: &str, card: &Card) -> Result<(), Trouble> {
        take_turn(Kind::Discord, &place.channel);
        let path = format!("channels/{}/messages/{}", digits(&place.channel), digits(id));
        self.ask("PATCH", &path, &message(card)).map(drop)
    }

    fn whisper(&self, asked: &Asked, card: &Card) -> Result<(), Trouble> {
        let wrong = || Trouble::Refused("the interaction has no token".to_owned());
        let (application, token) = asked.reply_to.as_deref().and_then(|to| to.split_once('/')).ok_or_else(wrong)?;
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if !token.chars().all(plain) {
            return Err(wrong());
        }
        // Good for fifteen minutes, and the token proves it.
        let url = format!("{}/webhooks/{}/{token}/messages/@original", self.settings.api, digits(application));
        let headers = vec![("content-type", "application/json".to_owned())];
        call(self.runs, &Outgoing { method: "PATCH", url, headers, body: message(card).to_string() }).map(drop)
    }

    /// A form would have to be the first answer, and that was given when the request was kept.
    fn show(&self, _: &Asked, _: &Form) -> Result<bool, Trouble> {
        Ok(false)
    }

    fn channels(&self) -> &[String] {
        &self.settings.channels
    }
}

fn message(card: &Card) -> Json {
    let buttons: Vec<Json> = card
        .buttons()
        .iter()
        .map(|button| {
            let style = match button.style {
                Style::Plain => 2,
                Style::Good => 3,
                Style::Danger => 4,
            };
            json!({ "type": 2, "style": style, "label": button.label, "custom_id": button.holds })
        })
        .collect();
    let rows = if buttons.is_empty() { json!([]) } else { json!([{ "type": 1, "components": buttons }]) };
    let content = markdown::text(card, MESSAGE_CHARS_MAX);
    // Nobody is called, whatever stands in it.
    json!({ "content": content, "components": rows, "allowed_mentions": { "parse": [] } })
}

/// An id of Discord is a number; nothing else goes into a path.
fn digits(id: &str) -> String {
    id.chars().filter(char::is_ascii_digit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_with_a_line_or_with_commands_below_are_read_alike() {
        let read = |options: Json| {
            let body = json!({
                "type": 2, "id": "1", "token": "t", "application_id": "9", "channel_id": "7",
                "member": { "user": { "id": "6" } }, "data": { "options": options },
            });
            match super::read(body.to_string().as_bytes()).unwrap() {
                Interaction::Asked(id, asked) => (id, *asked),
                other => panic!("{other:?}"),
            }
        };
        let (id, one) = read(json!([{ "name": "args", "type": 3, "value": "run x a=b" }]));
        let (_, below) =
            read(json!([{ "name": "run", "type": 1, "options": [{ "name": "args", "type": 3, "value": "x a=b" }] }]));
        assert_eq!((id.as_str(), &one.what), ("interaction 1", &What::Said("run x a=b".into())));
        assert_eq!(one, below);
        assert_eq!(read(Json::Null).1.what, What::Said(String::new()));
        assert_eq!(one.reply_to.as_deref(), Some("9/t"));
    }

    #[test]
    fn a_ping_is_answered_and_the_unknown_left_alone() {
        assert_eq!(read(br#"{"type":1}"#), Ok(Interaction::Ping));
        assert_eq!(read(br#"{"type":99}"#), Ok(Interaction::Other));
        for bad in [&b""[..], b"{", br#"{"type":2}"#, br#"{"type":3,"id":"1","channel_id":"7","data":{}}"#] {
            assert!(read(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_largest_message_is_one_discord_takes() {
        let mut card = Card::new(&"t".repeat(500));
        for at in 0..60 {
            card = card.line(&"@everyone ".repeat(60)).button(
                &format!("{at}{}", "b".repeat(100)),
                &"f".repeat(64),
                Style::Good,
            );
        }
        let message = message(&card);
        assert!(message["content"].as_str().unwrap().chars().count() <= 2000);
        let buttons = message["components"][0]["components"].as_array().unwrap();
        assert!(
            buttons.len() == 5 && buttons.iter().all(|button| button["label"].as_str().unwrap().chars().count() <= 80)
        );
        assert_eq!(message["allowed_mentions"]["parse"], json!([]));
    }
}
