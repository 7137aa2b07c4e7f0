//! What Slack sends, taken apart: commands, buttons, forms, mentions. Over HTTP and over the socket it is the same.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use url::form_urlencoded;

use crate::surfaces::chat::asked::{Asked, Kind, Place, Speaker, What};
use crate::surfaces::chat::sign;
use crate::surfaces::chat::slack::blocks::{FIELD_ACTION, FORM, unescaped};

/// What is in a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parcel {
    /// Somebody asks for something; the text is what Slack calls this request, the same if it is sent again.
    Asked(String, Box<Asked>),
    /// Slack makes sure that somebody is there.
    Challenge(String),
    /// Something that is no business of ours, such as a button that only opens a page.
    Other,
}

/// Reads the body of a request over HTTP: a form, or the JSON of an event.
///
/// # Errors
/// What is not as Slack sends it.
pub fn http(media_type: &str, body: &[u8]) -> Result<Parcel, String> {
    if media_type.split(';').next().unwrap_or_default().trim() == "application/json" {
        let json: Json = serde_json::from_slice(body).map_err(|error| format!("no JSON: {error}"))?;
        return event(&json);
    }
    let fields: BTreeMap<String, String> = form_urlencoded::parse(body).into_owned().collect();
    match fields.get("payload") {
        Some(payload) => {
            let json: Json = serde_json::from_str(payload).map_err(|error| format!("no JSON in `payload`: {error}"))?;
            interaction(&json)
        }
        None => command(|name| fields.get(name).cloned()),
    }
}

/// Reads an envelope of the socket by its type.
///
/// # Errors
/// As [`http`].
pub fn envelope(kind: &str, payload: &Json) -> Result<Parcel, String> {
    match kind {
        "slash_commands" => command(|name| Some(payload[name].as_str()?.to_owned())),
        "interactive" => interaction(payload),
        "events_api" => event(payload),
        _ => Ok(Parcel::Other),
    }
}

fn command(field: impl Fn(&str) -> Option<String>) -> Result<Parcel, String> {
    let get = |name: &str| field(name).filter(|text| !text.is_empty());
    let need = |name: &str| get(name).ok_or_else(|| format!("no `{name}`"));
    let trigger = need("trigger_id")?;
    let asked = Asked {
        speaker: speaker(&need("team_id")?, &need("user_id")?),
        place: Place { chat: Kind::Slack, channel: need("channel_id")?, thread: None },
        what: What::Said(unescaped(&get("text").unwrap_or_default())),
        message: None,
        reply_to: get("response_url"),
        trigger: Some(trigger.clone()),
    };
    Ok(Parcel::Asked(format!("command {trigger}"), Box::new(asked)))
}

fn interaction(json: &Json) -> Result<Parcel, String> {
    let text = |at: &str| json.pointer(at).and_then(Json::as_str).map(str::to_owned);
    let need = |at: &str| text(at).ok_or_else(|| format!("no text at `{at}`"));
    // In a workspace that others share, `team` is where it happens and the user's own one is who they are.
    let team = text("/user/team_id").or_else(|| text("/team/id")).ok_or("no team")?;
    let speaker = speaker(&team, &need("/user/id")?);
    match need("/type")?.as_str() {
        "block_actions" => {
            let Some(holds) = text("/actions/0/value") else { return Ok(Parcel::Other) };
            let channel = text("/channel/id").or_else(|| text("/container/channel_id")).ok_or("no channel")?;
            let message = text("/container/message_ts").or_else(|| text("/message/ts"));
            let thread = text("/container/thread_ts").or_else(|| text("/message/thread_ts"));
            let trigger = need("/trigger_id")?;
            let asked = Asked {
                speaker,
                place: Place { chat: Kind::Slack, channel, thread },
                what: What::Pressed(holds),
                message,
                reply_to: text("/response_url"),
                trigger: Some(trigger.clone()),
            };
            Ok(Parcel::Asked(format!("action {trigger}"), Box::new(asked)))
        }
        "view_submission" if text("/view/callback_id").as_deref() == Some(FORM) => {
            let metadata: Json = serde_json::from_str(&need("/view/private_metadata")?)
                .map_err(|error| format!("`private_metadata` is not ours: {error}"))?;
            let ours = |name: &str| metadata[name].as_str().map(str::to_owned).ok_or("`private_metadata` is not ours");
            let place = place(&ours("place")?).ok_or("`private_metadata` names no place")?;
            let view = text("/view/id").unwrap_or_default();
            let id = text("/trigger_id").unwrap_or_else(|| sign::digest(&json.to_string()));
            let asked = Asked {
                speaker,
                place,
                what: What::Filled(ours("holds")?, values(&json["view"]["state"]["values"])),
                message: metadata["message"].as_str().map(str::to_owned),
                reply_to: None,
                trigger: None,
            };
            // One form is sent once, whatever its request is called.
            let name = if view.is_empty() { id } else { view };
            Ok(Parcel::Asked(format!("view {name}"), Box::new(asked)))
        }
        _ => Ok(Parcel::Other),
    }
}

/// A mention of the app in a channel or a thread, where no slash command can be typed.
fn event(json: &Json) -> Result<Parcel, String> {
    let text = |at: &str| json.pointer(at).and_then(Json::as_str).map(str::to_owned);
    if text("/type").as_deref() == Some("url_verification") {
        return Ok(Parcel::Challenge(text("/challenge").ok_or("no challenge")?));
    }
    // What a bot says, ourselves included, is nobody's word.
    if text("/event/type").as_deref() != Some("app_mention") || text("/event/bot_id").is_some() {
        return Ok(Parcel::Other);
    }
    let need = |at: &str| text(at).ok_or_else(|| format!("no text at `{at}`"));
    let team = text("/event/team").or_else(|| text("/team_id")).ok_or("no team")?;
    let said = need("/event/text")?;
    let line = said.split_once('>').filter(|(mention, _)| mention.trim_start().starts_with("<@"));
    let line = line.map_or(said.as_str(), |(_, rest)| rest);
    let asked = Asked {
        speaker: speaker(&team, &need("/event/user")?),
        place: Place { chat: Kind::Slack, channel: need("/event/channel")?, thread: text("/event/thread_ts") },
        what: What::Said(unescaped(&without_links(line)).trim().to_owned()),
        message: None,
        reply_to: None,
        trigger: None,
    };
    Ok(Parcel::Asked(format!("event {}", need("/event_id")?), Box::new(asked)))
}

fn speaker(team: &str, user: &str) -> Speaker {
    Speaker { chat: Kind::Slack, id: format!("{team}/{user}") }
}

fn place(key: &str) -> Option<Place> {
    let mut parts = key.splitn(3, ':');
    let (chat, channel, thread) = (Kind::from_word(parts.next()?)?, parts.next()?, parts.next()?);
    let thread = Some(thread.to_owned()).filter(|thread| !thread.is_empty());
    Some(Place { chat, channel: channel.to_owned(), thread })
}

/// The text of each field: what was typed, or the value of what was chosen. An empty one was left out.
fn values(json: &Json) -> BTreeMap<String, String> {
    let fields = json.as_object().into_iter().flatten();
    let text = |field: &Json| {
        let value = &field[FIELD_ACTION];
        let typed = value["value"].as_str().or_else(|| value["selected_option"]["value"].as_str());
        typed.filter(|text| !text.is_empty()).map(str::to_owned)
    };
    fields.filter_map(|(name, field)| Some((name.clone(), text(field)?))).collect()
}

/// `<https://a.example|a.example>` as it was typed: addresses in messages come marked up.
fn without_links(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('<') {
        plain.push_str(before);
        match after.split_once('>') {
            Some((inside, behind)) => {
                plain.push_str(inside.split('|').next().unwrap_or_default());
                rest = behind;
            }
            None => {
                plain.push('<');
                rest = after;
            }
        }
    }
    plain + rest
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn asked(parcel: Result<Parcel, String>) -> (String, Asked) {
        match parcel.unwrap() {
            Parcel::Asked(id, asked) => (id, *asked),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_command_over_http_and_over_the_socket_is_the_same() {
        let body = "team_id=T1&channel_id=C1&user_id=U1&user_name=root&text=run+x+a%3Db%26amp%3Bc&trigger_id=1.2&response_url=https%3A%2F%2Fh%2F";
        let (id, over_http) = asked(http("application/x-www-form-urlencoded", body.as_bytes()));
        let payload = json!({
            "team_id": "T1", "channel_id": "C1", "user_id": "U1", "text": "run x a=b&amp;c", "trigger_id": "1.2",
            "response_url": "https://h/",
        });
        assert_eq!((id.clone(), over_http.clone()), asked(envelope("slash_commands", &payload)));
        assert_eq!((id.as_str(), over_http.speaker.id.as_str()), ("command 1.2", "T1/U1"));
        assert_eq!(over_http.what, What::Said("run x a=b&c".into()));
    }

    #[test]
    fn buttons_forms_and_mentions_are_taken_apart() {
        let pressed = json!({
            "type": "block_actions", "user": { "id": "U1", "team_id": "T1" }, "team": { "id": "T9" }, "trigger_id": "3",
            "container": { "channel_id": "C1", "message_ts": "5.6", "thread_ts": "1.1" }, "actions": [{ "value": "n" }],
        });
        let (id, press) = asked(envelope("interactive", &pressed));
        assert_eq!((id.as_str(), &press.what), ("action 3", &What::Pressed("n".into())));
        assert_eq!((press.speaker.id.as_str(), press.message.as_deref()), ("T1/U1", Some("5.6")));
        assert_eq!(press.place.thread.as_deref(), Some("1.1"));
        let form = json!({
            "type": "view_submission", "user": { "id": "U1" }, "team": { "id": "T1" }, "trigger_id": "4",
            "view": {
                "id": "V1", "callback_id": "rerail", "private_metadata": "{\"holds\":\"n\",\"place\":\"slack:C1:1.1\"}",
                "state": { "values": {
                    "a": { "value": { "type": "plain_text_input", "value": "x" } },
                    "b": { "value": { "type": "static_select", "selected_option": { "value": "y" } } },
                    "c": { "value": { "type": "plain_text_input", "value": null } },
                } },
            },
        });
        let (id, filled) = asked(envelope("interactive", &form));
        let values = [("a".to_owned(), "x".to_owned()), ("b".to_owned(), "y".to_owned())].into();
        assert_eq!((id.as_str(), filled.what), ("view V1", What::Filled("n".into(), values)));
        assert_eq!(filled.place, Place { chat: Kind::Slack, channel: "C1".into(), thread: Some("1.1".into()) });
        let mention = json!({
            "type": "event_callback", "event_id": "E1", "team_id": "T1",
            "event": { "type": "app_mention", "user": "U1", "channel": "C1", "thread_ts": "1.1",
                       "text": "<@U0BOT> run x url=<https://a.example/?b=1&amp;c=2|a.example>" },
        });
        let (id, said) = asked(http("application/json; charset=utf-8", mention.to_string().as_bytes()));
        assert_eq!(id, "event E1");
        assert_eq!(said.what, What::Said("run x url=https://a.example/?b=1&c=2".into()));
    }

    #[test]
    fn what_is_not_for_us_or_broken_is_told_apart() {
        let bot =
            json!({ "type": "event_callback", "event_id": "E", "event": { "type": "app_mention", "bot_id": "B" } });
        assert_eq!(envelope("events_api", &bot), Ok(Parcel::Other));
        assert_eq!(envelope("hello", &json!({})), Ok(Parcel::Other));
        let challenge = br#"{"type":"url_verification","challenge":"c"}"#;
        assert_eq!(http("application/json", challenge), Ok(Parcel::Challenge("c".into())));
        for body in ["", "a=b", "payload={}", "payload=x", "team_id=T&user_id=U&channel_id=C"] {
            assert!(http("application/x-www-form-urlencoded", body.as_bytes()).is_err(), "{body}");
        }
        assert!(http("application/json", b"\xff").is_err());
    }
}
