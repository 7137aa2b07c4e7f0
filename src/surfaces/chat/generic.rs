//! The signed webhook: JSON both ways, each request signed with HMAC-SHA256 over its time and its bytes. For chats that
//! rerail doesn't know, by a program of a few lines.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value as Json, json};

use crate::runbook::chat::Generic;
use crate::runs::{Outgoing, Runs};
use crate::surfaces::chat::asked::{Asked, Kind, Place, Speaker, What};
use crate::surfaces::chat::card::{Card, FieldKind, Form, Style};
use crate::surfaces::chat::room::{Room, Trouble, call, take_turn};
use crate::surfaces::chat::sign;

/// The header with the moment of signing, in seconds since 1970.
pub const TIMESTAMP: &str = "x-rerail-timestamp";
/// The header with the signature.
pub const SIGNATURE: &str = "x-rerail-signature";

/// Letters of the hint of a field: the program cuts it as it needs, and so many hold the names of a few dozen inputs.
const HINT_CHARS_MAX: usize = 1000;

/// A request, as its sender writes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    /// What the sender calls it: the same if it is sent again.
    id: String,
    user: String,
    channel: String,
    thread: Option<String>,
    message: Option<String>,
    text: Option<String>,
    button: Option<String>,
    form: Option<Filled>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Filled {
    holds: String,
    #[serde(default)]
    values: BTreeMap<String, String>,
}

/// Reads a request that has been proved.
///
/// # Errors
/// What is wrong with it.
pub fn read(body: &[u8]) -> Result<(String, Asked), String> {
    let Request { id, user, channel, thread, message, text, button, form } =
        serde_json::from_slice(body).map_err(|error| format!("the body is not right: {error}"))?;
    let what = match (text, button, form) {
        (Some(text), None, None) => What::Said(text),
        (None, Some(holds), None) => What::Pressed(holds),
        (None, None, Some(Filled { holds, values })) => What::Filled(holds, values),
        _ => return Err("expected one of `text`, `button` and `form`".to_owned()),
    };
    let asked = Asked {
        speaker: Speaker { chat: Kind::Generic, id: user },
        place: Place { chat: Kind::Generic, channel, thread },
        what,
        message,
        reply_to: None,
        // Whoever sends can show a form whenever it is told to.
        trigger: Some(id.clone()),
    };
    Ok((format!("request {}", sign::digest(&id)), asked))
}

/// The webhook of the project.
pub struct GenericRoom<'r> {
    pub runs: &'r Runs,
    pub settings: &'r Generic,
}

impl GenericRoom<'_> {
    fn send(&self, kind: &str, mut body: Json) -> Result<(), Trouble> {
        body["type"] = json!(kind);
        let secret = self.runs.own_secret("chat.generic.secret", &self.settings.secret)?;
        let (text, moment) = (body.to_string(), jiff::Timestamp::now().as_second().to_string());
        let headers = vec![
            ("content-type", "application/json".to_owned()),
            (SIGNATURE, sign::sign_generic(&secret, &moment, text.as_bytes())),
            (TIMESTAMP, moment),
        ];
        call(self.runs, &Outgoing { method: "POST", url: self.settings.url.clone(), headers, body: text }).map(drop)
    }
}

impl Room for GenericRoom<'_> {
    /// The program is told by `message` which post it is, and the same again if it is posted again.
    fn post(&self, place: &Place, name: &str, card: &Card) -> Result<String, Trouble> {
        take_turn(Kind::Generic, &place.channel);
        self.send("post", message(place, name, card))?;
        Ok(name.to_owned())
    }

    fn edit(&self, place: &Place, id: &str, card: &Card) -> Result<(), Trouble> {
        take_turn(Kind::Generic, &place.channel);
        self.send("edit", message(place, id, card))
    }

    fn whisper(&self, asked: &Asked, card: &Card) -> Result<(), Trouble> {
        let mut body = message(&asked.place, &uuid::Uuid::now_v7().to_string(), card);
        body["user"] = json!(asked.speaker.id);
        self.send("whisper", body)
    }

    fn show(&self, asked: &Asked, form: &Form) -> Result<bool, Trouble> {
        let fields: Vec<Json> = form
            .fields
            .iter()
            .map(|field| {
                let (kind, choices) = match &field.kind {
                    FieldKind::Text => ("text", None),
                    FieldKind::Long => ("long", None),
                    FieldKind::Number { .. } => ("number", None),
                    FieldKind::Url => ("url", None),
                    FieldKind::Email => ("email", None),
                    FieldKind::Choice(choices) => ("choice", Some(choices)),
                };
                let hint = field.below(field.hint.as_deref().unwrap_or_default(), HINT_CHARS_MAX);
                json!({
                    "name": field.name, "hint": hint, "kind": kind, "choices": choices,
                    "initial": field.initial, "required": field.required,
                })
            })
            .collect();
        let body = json!({
            "channel": asked.place.channel, "thread": asked.place.thread, "user": asked.speaker.id,
            "message": asked.message,
            "form": { "title": form.title, "submit": form.submit, "holds": form.holds, "fields": fields },
        });
        self.send("form", body).map(|()| true)
    }

    fn channels(&self) -> &[String] {
        &self.settings.channels
    }
}

fn message(place: &Place, id: &str, card: &Card) -> Json {
    let style = |style| match style {
        Style::Plain => "plain",
        Style::Good => "good",
        Style::Danger => "danger",
    };
    let buttons = card.buttons();
    let buttons: Vec<Json> =
        buttons.iter().map(|b| json!({ "label": b.label, "holds": b.holds, "style": style(b.style) })).collect();
    let lines: Vec<Json> = card.shown().iter().map(|line| json!({ "text": line.text, "code": line.code })).collect();
    json!({
        "message": id, "channel": place.channel, "thread": place.thread, "title": card.title(), "lines": lines,
        "buttons": buttons, "page": card.link(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_says_exactly_one_thing() {
        let read = |more: &str| super::read(format!(r#"{{"id":"1","user":"ana","channel":"ops"{more}}}"#).as_bytes());
        let (id, asked) = read(r#","text":"run x","thread":"t""#).unwrap();
        assert!(id.starts_with("request ") && asked.what == What::Said("run x".into()));
        assert_eq!(asked.place.thread.as_deref(), Some("t"));
        assert_eq!(read(r#","button":"n""#).unwrap().1.what, What::Pressed("n".into()));
        let values = [("a".to_owned(), "b".to_owned())].into();
        assert_eq!(
            read(r#","form":{"holds":"n","values":{"a":"b"}}"#).unwrap().1.what,
            What::Filled("n".into(), values)
        );
        for bad in ["", r#","text":"a","button":"b""#, r#","text":"a","person":"ana""#, r#","text":1"#] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
