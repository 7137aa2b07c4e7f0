//! What rerail says in Discord: messages of the bot, and answers to interactions, which the interaction's own token proves.

use std::cell::Cell;

use serde_json::{Value as Json, json};

use crate::runbook::chat::Discord;
use crate::runs::{Outgoing, Runs};
use crate::surfaces::chat::asked::{Asked, Kind, Place};
use crate::surfaces::chat::card::{Card, Form, Style};
use crate::surfaces::chat::discord::hear::deferred;
use crate::surfaces::chat::discord::modal;
use crate::surfaces::chat::markdown;
use crate::surfaces::chat::room::{Room, Trouble, call, left_as_it_was, take_turn};

/// Only the asker sees it.
pub const EPHEMERAL: u32 = 64;
/// Letters of a message.
const MESSAGE_CHARS_MAX: usize = 2000;
/// Kinds of first answers: a message, and a modal.
const MESSAGE: u32 = 4;
const MODAL: u32 = 9;
/// What Discord calls it that an interaction has its first answer.
const ANSWERED_ALREADY: &str = "40060";

/// An application of the project, for the time of one request.
pub struct DiscordRoom<'r> {
    runs: &'r Runs,
    settings: &'r Discord,
    first: Cell<First>,
}

/// What has become of the first answer to an interaction that waits for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum First {
    /// Nothing was said yet.
    Due,
    /// It was given; what is said from now on takes its place.
    Given,
    /// It was a form: nothing else can be said.
    Form,
}

impl<'r> DiscordRoom<'r> {
    /// The room of this application.
    pub fn new(runs: &'r Runs, settings: &'r Discord) -> DiscordRoom<'r> {
        DiscordRoom { runs, settings, first: Cell::new(First::Due) }
    }

    fn ask(&self, method: &'static str, path: &str, body: &Json) -> Result<Json, Trouble> {
        let token = self.runs.own_secret("chat.discord.bot_token", &self.settings.bot_token)?;
        let headers = vec![("authorization", format!("Bot {token}")), ("content-type", "application/json".to_owned())];
        let url = format!("{}/{path}", self.settings.api);
        call(self.runs, &Outgoing { method, url, headers, body: body.to_string() })
    }

    /// Answers an interaction, without the bot's token.
    fn answer(&self, method: &'static str, path: &str, body: &Json) -> Result<(), Trouble> {
        let url = format!("{}/{path}", self.settings.api);
        let headers = vec![("content-type", "application/json".to_owned())];
        call(self.runs, &Outgoing { method, url, headers, body: body.to_string() }).map(drop)
    }

    /// Gives the first answer, if this interaction waits for one.
    fn first(&self, asked: &Asked, body: &Json) -> Option<Result<(), Trouble>> {
        let trigger = asked.trigger.as_deref().filter(|_| self.first.get() == First::Due)?;
        let (id, token) = match parts(trigger) {
            Ok(parts) => parts,
            Err(trouble) => return Some(Err(trouble)),
        };
        Some(self.answer("POST", &format!("interactions/{id}/{token}/callback"), body))
    }
}

impl Room for DiscordRoom<'_> {
    fn post(&self, place: &Place, name: &str, card: &Card) -> Result<String, Trouble> {
        take_turn(Kind::Discord, &place.channel);
        let mut body = message(card);
        // The same again within some minutes is answered with what stands there.
        body["nonce"] = json!(name);
        body["enforce_nonce"] = json!(true);
        if let Some(thread) = &place.thread {
            body["message_reference"] = json!({ "message_id": thread, "fail_if_not_exists": false });
        }
        let posted = self.ask("POST", &format!("channels/{}/messages", digits(&place.channel)), &body)?;
        let id = posted["id"].as_str().ok_or_else(|| Trouble::Unreached("Discord gave no `id`".to_owned()))?;
        if !is_shown(&posted, &body)
            && let Err(trouble) = self.edit(place, id, card)
        {
            left_as_it_was(Kind::Discord, id, &trouble);
        }
        Ok(id.to_owned())
    }

    fn edit(&self, place: &Place, id: &str, card: &Card) -> Result<(), Trouble> {
        take_turn(Kind::Discord, &place.channel);
        let path = format!("channels/{}/messages/{}", digits(&place.channel), digits(id));
        self.ask("PATCH", &path, &message(card)).map(drop)
    }

    fn whisper(&self, asked: &Asked, card: &Card) -> Result<(), Trouble> {
        if self.first.get() == First::Form {
            return Ok(());
        }
        let message = message(card);
        let was = asked.reply_to.as_deref().ok_or_else(no_token)?;
        let mut data = message.clone();
        data["flags"] = json!(EPHEMERAL);
        // One that was refused was given before a crash, or is too late; then the other way says the same.
        if let Some(Ok(())) = self.first(asked, &json!({ "type": MESSAGE, "data": data })) {
            self.first.set(First::Given);
            return Ok(());
        }
        self.first.set(First::Given);
        // Good for fifteen minutes, and the token proves it.
        let (application, token) = parts(was)?;
        self.answer("PATCH", &format!("webhooks/{application}/{token}/messages/@original"), &message)
    }

    fn show(&self, asked: &Asked, form: &Form) -> Result<bool, Trouble> {
        let Some(modal) = modal::of(form) else { return Ok(false) };
        match self.first(asked, &json!({ "type": MODAL, "data": modal })) {
            None => Ok(false),
            Some(Ok(())) => {
                self.first.set(First::Form);
                Ok(true)
            }
            // It was shown before, by a server that was killed since.
            Some(Err(Trouble::Refused(said))) if said.contains(ANSWERED_ALREADY) => {
                self.first.set(First::Form);
                Ok(true)
            }
            // Three seconds are over.
            Some(Err(Trouble::Refused(_))) => Ok(false),
            Some(Err(trouble)) => Err(trouble),
        }
    }

    fn fields_max(&self) -> usize {
        modal::FIELDS_MAX
    }

    fn defer(&self, asked: &Asked) -> Result<(), Trouble> {
        let deferred = self.first(asked, &deferred());
        // Whatever came of it: a second one would be refused.
        if deferred.is_some() {
            self.first.set(First::Given);
        }
        deferred.unwrap_or(Ok(()))
    }

    fn waits(&self) -> bool {
        self.first.get() != First::Form
    }

    fn channels(&self) -> &[String] {
        &self.settings.channels
    }
}

/// A message that was posted before an answer was seen may say something else, and its buttons are others.
fn is_shown(posted: &Json, wanted: &Json) -> bool {
    let holds = |json: &Json| -> Vec<Json> {
        let rows = json["components"].as_array().into_iter().flatten();
        let buttons = rows.flat_map(|row| row["components"].as_array().into_iter().flatten());
        buttons.map(|button| button["custom_id"].clone()).collect()
    };
    // Not every answer has to say what was posted.
    posted["content"].is_null() || (posted["content"] == wanted["content"] && holds(posted) == holds(wanted))
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

/// `ID/TOKEN` of an interaction; nothing else goes into a path.
fn parts(text: &str) -> Result<(String, &str), Trouble> {
    let (id, token) = text.split_once('/').ok_or_else(no_token)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '=');
    match !token.is_empty() && token.chars().all(plain) && !token.chars().all(|c| c == '.') {
        true => Ok((digits(id), token)),
        false => Err(no_token()),
    }
}

fn no_token() -> Trouble {
    Trouble::Refused("the interaction has no token".to_owned())
}

/// An id of Discord is a number; nothing else goes into a path.
fn digits(id: &str) -> String {
    id.chars().filter(char::is_ascii_digit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn what_was_posted_before_with_other_words_or_buttons_is_not_what_is_wanted() {
        let card = |text: &str, holds: &str| message(&Card::new(text).button("Start", holds, Style::Good));
        let wanted = card("plan", "n1");
        assert!(is_shown(&wanted, &wanted) && is_shown(&json!({ "id": "1" }), &wanted));
        assert!(!is_shown(&card("plan", "n2"), &wanted) && !is_shown(&card("other", "n1"), &wanted));
        assert!(!is_shown(&message(&Card::new("plan")), &wanted));
    }

    #[test]
    fn no_id_and_no_token_leads_out_of_its_path() {
        assert_eq!(parts("12/aW50.x-_="), Ok(("12".to_owned(), "aW50.x-_=")));
        assert_eq!(parts("../9/tok").unwrap_err(), no_token());
        for bad in ["", "1", "1/", "1/..", "1/a/b", "1/a?b", "1/a%2e", "1/é", "1/a b"] {
            assert!(parts(bad).is_err(), "{bad}");
        }
    }
}
