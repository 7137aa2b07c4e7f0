//! What Discord sends, taken apart: commands, buttons, modals; and how each is acknowledged.

use serde_json::{Value as Json, json};

use crate::surfaces::chat::asked::{Asked, Kind, Place, Speaker, What};
use crate::surfaces::chat::command;
use crate::surfaces::chat::discord::modal;
use crate::surfaces::chat::discord::room::EPHEMERAL;
use crate::surfaces::http::Answer;

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
        Some(5) => What::Filled(need("/data/custom_id")?, modal::values(&json["data"]["components"])),
        _ => return Ok(Interaction::Other),
    };
    let user = text("/member/user/id").or_else(|| text("/user/id")).ok_or("no user")?;
    let (id, token) = (need("/id")?, need("/token")?);
    let may_show_a_form = match &what {
        What::Said(line) => command::may_show_a_form(line),
        // What the button holds says nothing; the door looks it up.
        What::Pressed(_) => true,
        // A form can't follow a form.
        What::Filled(..) => false,
    };
    let asked = Asked {
        speaker: Speaker { chat: Kind::Discord, id: user },
        place: Place { chat: Kind::Discord, channel: need("/channel_id")?, thread: None },
        what,
        message: text("/message/id"),
        reply_to: Some(format!("{}/{token}", need("/application_id")?)),
        trigger: may_show_a_form.then(|| format!("{id}/{token}")),
    };
    Ok(Interaction::Asked(format!("interaction {id}"), Box::new(asked)))
}

/// The acknowledgement of a request that was kept. A form has to be the first answer of all, and whether one is needed shows
/// when the request is worked on: where one may be, nothing is said yet, and the first answer follows by itself within
/// Discord's three seconds. Everywhere else: an answer comes later, for which there is a quarter of an hour, and only the
/// asker will see it.
pub fn acknowledged(asked: &Asked) -> Answer {
    match asked.trigger {
        Some(_) => Answer::text("text/plain; charset=utf-8", String::new()).status(202),
        None => Answer::json(200, &deferred()),
    }
}

/// That an answer comes later.
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
        assert_eq!((one.reply_to.as_deref(), one.trigger.as_deref()), (Some("9/t"), Some("1/t")));
        assert_eq!(
            read(json!([{ "name": "args", "type": 3, "value": "runs" }])).1.trigger,
            None,
            "no form comes of it"
        );
    }

    #[test]
    fn a_form_comes_back_with_its_values_and_opens_no_other() {
        let body = json!({
            "type": 5, "id": "1", "token": "t", "application_id": "9", "channel_id": "7", "user": { "id": "6" },
            "message": { "id": "55" },
            "data": { "custom_id": "n", "components": [
                { "type": 18, "component": { "type": 4, "custom_id": "a", "value": "x" } },
            ] },
        });
        let Interaction::Asked(_, asked) = super::read(body.to_string().as_bytes()).unwrap() else { panic!("{body}") };
        assert_eq!(asked.what, What::Filled("n".into(), [("a".to_owned(), "x".to_owned())].into()));
        assert_eq!((asked.message.as_deref(), &asked.trigger), (Some("55"), &None));
        assert_eq!(acknowledged(&asked).status, 200);
        let pressed = Asked { trigger: Some("1/t".into()), ..*asked };
        assert_eq!((acknowledged(&pressed).status, acknowledged(&pressed).body), (202, String::new()));
    }

    #[test]
    fn a_ping_is_answered_and_the_unknown_left_alone() {
        assert_eq!(read(br#"{"type":1}"#), Ok(Interaction::Ping));
        assert_eq!(read(br#"{"type":99}"#), Ok(Interaction::Other));
        for bad in [
            &b""[..],
            b"{",
            br#"{"type":2}"#,
            br#"{"type":3,"id":"1","channel_id":"7","data":{}}"#,
            br#"{"type":5,"id":"1","channel_id":"7","data":{}}"#,
        ] {
            assert!(read(bad).is_err(), "{bad:?}");
        }
    }
}
