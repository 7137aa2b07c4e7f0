//! What Mattermost sends, taken apart and proved: a slash command by its token, buttons and forms by the seal that rerail put
//! on them.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};
use url::form_urlencoded;

use crate::surfaces::chat::asked::{Asked, Kind, Place, Speaker, What};
use crate::surfaces::chat::sign;

/// What is sealed: the seal of one is none of the other.
pub const BUTTON: &str = "button";
pub const FORM: &str = "form";

/// Reads a request that nothing is known of yet, and proves it: by the token of the command, or by the seal that rerail
/// has put on a button or a form. What a button holds is seen by Mattermost alone; what a form holds, by whoever fills it in,
/// who also says in which channel: a form counts for whom it was shown to, and for the place where. Gives what Mattermost calls
/// this request.
///
/// # Errors
/// `None` if nothing proves it; else what is wrong with a request that is Mattermost's.
pub fn hear(
    token: &str,
    authorization: Option<&str>,
    media_type: &str,
    body: &[u8],
) -> Result<(String, Asked), Option<String>> {
    match media_type.split(';').next().unwrap_or_default().trim() {
        "application/json" => pressed_or_filled(token, body),
        _ => command(token, authorization, body),
    }
}

fn command(token: &str, authorization: Option<&str>, body: &[u8]) -> Result<(String, Asked), Option<String>> {
    let header = authorization.and_then(|header| header.strip_prefix("Token "));
    let fields: BTreeMap<String, String> = form_urlencoded::parse(body).into_owned().collect();
    // The header where there is one; servers before 4.8 send the field alone.
    let given = header.or_else(|| fields.get("token").map(String::as_str).filter(|_| authorization.is_none()));
    sign::mattermost(token, given.unwrap_or_default()).map_err(|_| None)?;
    let get = |name: &str| fields.get(name).filter(|text| !text.is_empty()).cloned();
    let need = |name: &str| get(name).ok_or_else(|| Some(format!("no `{name}`")));
    let trigger = need("trigger_id")?;
    let asked = Asked {
        speaker: Speaker { chat: Kind::Mattermost, id: need("user_id")? },
        place: Place { chat: Kind::Mattermost, channel: need("channel_id")?, thread: get("root_id") },
        what: What::Said(get("text").unwrap_or_default()),
        message: None,
        reply_to: get("response_url"),
        trigger: Some(trigger.clone()),
    };
    Ok((format!("command {}", sign::digest(&trigger)), asked))
}

fn pressed_or_filled(token: &str, body: &[u8]) -> Result<(String, Asked), Option<String>> {
    // Nothing is done with what is read before its seal has been looked at.
    let json: Json = serde_json::from_slice(body).map_err(|_| None)?;
    let text = |at: &str| json.pointer(at).and_then(Json::as_str).filter(|text| !text.is_empty()).map(str::to_owned);
    let state: Option<Json> = text("/state").and_then(|state| serde_json::from_str(&state).ok());
    let is_form = state.is_some();
    let held = state.unwrap_or_else(|| json["context"].clone());
    let part = |name: &str| held[name].as_str().unwrap_or_default().to_owned();
    let (holds, seal) = (part("holds"), part("seal"));
    let (channel, thread, message, user) = (part("channel"), part("thread"), part("message"), part("user"));
    let (here, speaks) = (text("/channel_id").unwrap_or_default(), text("/user_id").unwrap_or_default());
    let proved = match is_form {
        true => sign::is_seal_of(token, &[FORM, &holds, &channel, &thread, &message, &user], &seal),
        false => sign::is_seal_of(token, &[BUTTON, &holds, &channel, &thread], &seal),
    };
    proved.map_err(|_| None)?;
    let is_theirs = if is_form { user == speaks } else { channel == here };
    if !is_theirs {
        return Err(None);
    }
    let need = |at: &str| text(at).ok_or_else(|| Some(format!("no text at `{at}`")));
    let speaker = Speaker { chat: Kind::Mattermost, id: need("/user_id")? };
    let thread = Some(thread).filter(|thread| !thread.is_empty());
    let place = Place { chat: Kind::Mattermost, channel, thread };
    if is_form {
        if json["cancelled"] == json!(true) {
            return Err(Some("it was cancelled".to_owned()));
        }
        let message = Some(message).filter(|message| !message.is_empty());
        let filled = What::Filled(holds.clone(), values(&json["submission"]));
        let asked = Asked { speaker, place, what: filled, message, reply_to: None, trigger: None };
        return Ok((format!("form {}", sign::digest(&json.to_string())), asked));
    }
    let trigger = need("/trigger_id")?;
    let message = text("/post_id");
    let what = What::Pressed(holds);
    let asked = Asked { speaker, place, what, message, reply_to: None, trigger: Some(trigger.clone()) };
    Ok((format!("action {}", sign::digest(&trigger)), asked))
}

fn values(json: &Json) -> BTreeMap<String, String> {
    let fields = json.as_object().into_iter().flatten();
    let text = |value: &Json| match value {
        Json::String(text) => Some(text.clone()),
        Json::Number(number) => Some(number.to_string()),
        Json::Bool(yes) => Some(yes.to_string()),
        _ => None,
    };
    fields.filter_map(|(name, value)| Some((name.clone(), text(value)?))).filter(|(_, text)| !text.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "fake-mattermost-command-token-1";
    const FIELDS: &str = "application/x-www-form-urlencoded";
    const BODY: &str = "channel_id=c&user_id=u&trigger_id=t&text=run+x&response_url=https%3A%2F%2Fx%2F&token=fake-mattermost-command-token-1";

    #[test]
    fn a_command_is_proved_by_its_token_in_the_header_or_the_field() {
        let header = format!("Token {TOKEN}");
        for authorization in [Some(header.as_str()), None] {
            let (_, asked) = hear(TOKEN, authorization, FIELDS, BODY.as_bytes()).unwrap();
            assert_eq!((asked.speaker.id.as_str(), asked.what), ("u", What::Said("run x".into())));
        }
        for authorization in ["Token wrong", "Token ", "", "Bearer fake-mattermost-command-token-1"] {
            assert_eq!(hear(TOKEN, Some(authorization), FIELDS, BODY.as_bytes()), Err(None), "{authorization}");
        }
        assert_eq!(hear(TOKEN, None, FIELDS, b"channel_id=c&user_id=u&trigger_id=t"), Err(None));
        assert!(matches!(hear(TOKEN, Some(&header), FIELDS, b"text=x"), Err(Some(_))));
    }

    #[test]
    fn a_button_is_proved_by_the_seal_on_what_it_holds() {
        let body = |holds: &str, seal: &str| {
            json!({ "user_id": "u", "channel_id": "c", "post_id": "p", "trigger_id": "t",
                    "context": { "holds": holds, "channel": "c", "thread": "", "seal": seal } })
            .to_string()
        };
        let seal = sign::seal_of(TOKEN, &[BUTTON, "n", "c", ""]);
        let (_, asked) = hear(TOKEN, None, "application/json", body("n", &seal).as_bytes()).unwrap();
        assert_eq!((asked.what, asked.message.as_deref()), (What::Pressed("n".into()), Some("p")));
        for (holds, seal) in [("m", seal.as_str()), ("n", ""), ("n", "00"), ("", "")] {
            assert_eq!(
                hear(TOKEN, None, "application/json", body(holds, seal).as_bytes()),
                Err(None),
                "{holds} {seal}"
            );
        }
        assert_eq!(hear(TOKEN, None, "application/json", b"{}"), Err(None));
        let elsewhere = body("n", &seal).replace("\"channel_id\":\"c\"", "\"channel_id\":\"d\"");
        assert_eq!(
            hear(TOKEN, None, "application/json", elsewhere.as_bytes()),
            Err(None),
            "the button of another channel"
        );
    }

    #[test]
    fn a_form_counts_for_whom_it_was_shown_to_and_for_the_place_where() {
        let sealed = |user: &str| sign::seal_of(TOKEN, &[FORM, "n", "c", "r", "p", user]);
        let form = |speaks: &str, change: &dyn Fn(&mut Json)| {
            let mut state = json!({
                "holds": "n", "channel": "c", "thread": "r", "message": "p", "user": "u", "seal": sealed("u"),
            });
            change(&mut state);
            let form = json!({
                "user_id": speaks, "channel_id": "where they look now", "state": state.to_string(),
                "submission": { "a": "x", "b": 3, "c": null },
            });
            hear(TOKEN, None, "application/json", form.to_string().as_bytes())
        };
        let (_, filled) = form("u", &|_| ()).unwrap();
        let values = [("a".to_owned(), "x".to_owned()), ("b".to_owned(), "3".to_owned())].into();
        assert_eq!(filled.what, What::Filled("n".into(), values));
        assert_eq!((filled.place.channel.as_str(), filled.place.thread.as_deref()), ("c", Some("r")));
        assert_eq!(filled.message.as_deref(), Some("p"));
        // Whoever fills it in sees all of it, and may send something else.
        assert_eq!(form("v", &|_| ()), Err(None), "somebody else");
        for part in ["holds", "channel", "thread", "message", "user", "seal"] {
            assert_eq!(form("u", &|state| state[part] = json!("other")), Err(None), "{part}");
            assert_eq!(form("u", &|state| state[part] = Json::Null), Err(None), "{part}");
        }
        let button = sign::seal_of(TOKEN, &[BUTTON, "n", "c", "r"]);
        assert_eq!(form("u", &|state| state["seal"] = json!(button)), Err(None), "the seal of a button");
    }
}
