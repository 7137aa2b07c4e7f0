//! Mattermost: a slash command that proves itself by its token, buttons and forms that rerail has sealed, posts of a bot.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};
use url::{Url, form_urlencoded};

use crate::runbook::chat::Mattermost;
use crate::runs::{Outgoing, Runs};
use crate::surfaces::chat::asked::{Asked, Kind, Place, Speaker, What};
use crate::surfaces::chat::card::{Card, Field, FieldKind, Form, Style, cut};
use crate::surfaces::chat::room::{Room, Trouble, call, take_turn};
use crate::surfaces::chat::{markdown, sign};

/// Letters of a post; Mattermost refuses 16,384.
const POST_CHARS_MAX: usize = 15_000;
/// Letters of a form's title and labels.
const LABEL_CHARS_MAX: usize = 24;
/// Letters of a hint.
const HINT_CHARS_MAX: usize = 150;
/// Where Mattermost finds rerail, below its address.
const PATH: &str = "/chat/mattermost";

/// Reads a request that nothing is known of yet, and proves it: by the token of the command, or by the seal that rerail
/// has put on a button or a form. Gives what Mattermost calls this request.
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
    let holds = part("holds");
    sign::is_seal_of(token, &holds, &part("seal")).map_err(|_| None)?;
    let need = |at: &str| text(at).ok_or_else(|| Some(format!("no text at `{at}`")));
    let speaker = Speaker { chat: Kind::Mattermost, id: need("/user_id")? };
    let thread = Some(part("thread")).filter(|thread| !thread.is_empty());
    let place = Place { chat: Kind::Mattermost, channel: need("/channel_id")?, thread };
    if is_form {
        if json["cancelled"] == json!(true) {
            return Err(Some("it was cancelled".to_owned()));
        }
        let message = Some(part("message")).filter(|message| !message.is_empty());
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

/// A Mattermost server of the project.
pub struct MattermostRoom<'r> {
    pub runs: &'r Runs,
    pub settings: &'r Mattermost,
    /// The address of this server, which buttons and forms lead back to.
    pub base: Option<&'r str>,
}

impl MattermostRoom<'_> {
    fn ask(&self, method: &'static str, path: &str, body: &Json) -> Result<Json, Trouble> {
        let token = self.runs.own_secret("chat.mattermost.bot_token", &self.settings.bot_token)?;
        let headers =
            vec![("authorization", format!("Bearer {token}")), ("content-type", "application/json".to_owned())];
        let url = format!("{}/api/v4/{path}", self.settings.url);
        call(self.runs, &Outgoing { method, url, headers, body: body.to_string() })
    }

    fn post_of(&self, place: &Place, card: &Card) -> Result<Json, Trouble> {
        let mut post = json!({ "channel_id": place.channel, "message": markdown::text(card, POST_CHARS_MAX) });
        if let Some(thread) = &place.thread {
            post["root_id"] = json!(thread);
        }
        post["props"] = json!({ "attachments": self.buttons(place, card)? });
        Ok(post)
    }

    fn buttons(&self, place: &Place, card: &Card) -> Result<Json, Trouble> {
        let Some(url) = self.base.map(|base| format!("{base}{PATH}")).filter(|_| !card.buttons().is_empty()) else {
            return Ok(json!([]));
        };
        let token = self.token()?;
        let action = |(at, button): (usize, &crate::surfaces::chat::card::Button)| {
            json!({
                "id": format!("rerail{at}"),
                "name": button.label,
                "style": match button.style { Style::Plain => "default", Style::Good => "good", Style::Danger => "danger" },
                "integration": { "url": url, "context": {
                    "holds": button.holds, "seal": sign::seal_of(&token, &button.holds), "thread": place.thread,
                } },
            })
        };
        let actions: Vec<Json> = card.buttons().iter().enumerate().map(action).collect();
        Ok(json!([{ "actions": actions }]))
    }

    fn token(&self) -> Result<String, Trouble> {
        Ok(self.runs.own_secret("chat.mattermost.command_token", &self.settings.command_token)?)
    }
}

impl Room for MattermostRoom<'_> {
    fn post(&self, place: &Place, card: &Card) -> Result<String, Trouble> {
        take_turn(Kind::Mattermost, &place.channel);
        let posted = self.ask("POST", "posts", &self.post_of(place, card)?)?;
        let id = posted["id"].as_str().ok_or_else(|| Trouble::Unreached("Mattermost gave no `id`".to_owned()))?;
        Ok(id.to_owned())
    }

    fn edit(&self, place: &Place, message: &str, card: &Card) -> Result<(), Trouble> {
        take_turn(Kind::Mattermost, &place.channel);
        let post = self.post_of(place, card)?;
        let body = json!({ "message": post["message"], "props": post["props"] });
        self.ask("PUT", &format!("posts/{}/patch", path_part(message)), &body).map(drop)
    }

    fn whisper(&self, asked: &Asked, card: &Card) -> Result<(), Trouble> {
        let own = |url: &str| {
            let origins = [Url::parse(url), Url::parse(&self.settings.url)].map(|url| url.ok().map(|url| url.origin()));
            origins[0].is_some() && origins[0] == origins[1]
        };
        let post = self.post_of(&asked.place, card)?;
        if let Some(url) = asked.reply_to.as_deref().filter(|url| own(url)) {
            let body = json!({
                "response_type": "ephemeral", "text": post["message"], "attachments": post["props"]["attachments"],
            });
            let headers = vec![("content-type", "application/json".to_owned())];
            let answer = Outgoing { method: "POST", url: url.to_owned(), headers, body: body.to_string() };
            if call(self.runs, &answer).is_ok() {
                return Ok(());
            }
        }
        self.ask("POST", "posts/ephemeral", &json!({ "user_id": asked.speaker.id, "post": post })).map(drop)
    }

    fn show(&self, asked: &Asked, form: &Form) -> Result<bool, Trouble> {
        let (Some(trigger), Some(base)) = (&asked.trigger, self.base) else { return Ok(false) };
        let state = json!({
            "holds": form.holds, "seal": sign::seal_of(&self.token()?, &form.holds),
            "thread": asked.place.thread, "message": asked.message,
        });
        let elements: Vec<Json> = form.fields.iter().map(element).collect();
        let dialog = json!({
            "callback_id": "rerail", "title": cut(&form.title, LABEL_CHARS_MAX), "submit_label": cut(&form.submit, LABEL_CHARS_MAX),
            "elements": elements, "state": state.to_string(),
        });
        let body = json!({ "trigger_id": trigger, "url": format!("{base}{PATH}"), "dialog": dialog });
        match self.ask("POST", "actions/dialogs/open", &body) {
            Ok(_) => Ok(true),
            // The seconds in which it may be shown are over.
            Err(Trouble::Refused(_)) => Ok(false),
            Err(trouble) => Err(trouble),
        }
    }

    fn channels(&self) -> &[String] {
        &self.settings.channels
    }

    fn has_buttons(&self) -> bool {
        self.base.is_some()
    }
}

fn element(field: &Field) -> Json {
    let mut element = json!({
        "display_name": cut(&field.name, LABEL_CHARS_MAX), "name": field.name, "optional": !field.required,
        "default": field.initial.as_deref().unwrap_or_default(),
        "help_text": cut(field.hint.as_deref().unwrap_or_default(), HINT_CHARS_MAX),
    });
    let (kind, subtype) = match &field.kind {
        FieldKind::Text => ("text", "text"),
        FieldKind::Long => ("textarea", "text"),
        FieldKind::Number { .. } => ("text", "number"),
        FieldKind::Url => ("text", "url"),
        FieldKind::Email => ("text", "email"),
        FieldKind::Choice(choices) => {
            element["options"] = choices.iter().map(|choice| json!({ "text": choice, "value": choice })).collect();
            ("select", "")
        }
    };
    element["type"] = json!(kind);
    if !subtype.is_empty() {
        element["subtype"] = json!(subtype);
    }
    element
}

/// One part of a path: what Mattermost calls a post is letters and digits.
fn path_part(id: &str) -> String {
    id.chars().filter(char::is_ascii_alphanumeric).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "fake-mattermost-command-token-1";
    const FORM: &str = "application/x-www-form-urlencoded";
    const BODY: &str = "channel_id=c&user_id=u&trigger_id=t&text=run+x&response_url=https%3A%2F%2Fx%2F&token=fake-mattermost-command-token-1";

    #[test]
    fn a_command_is_proved_by_its_token_in_the_header_or_the_field() {
        let header = format!("Token {TOKEN}");
        for authorization in [Some(header.as_str()), None] {
            let (_, asked) = hear(TOKEN, authorization, FORM, BODY.as_bytes()).unwrap();
            assert_eq!((asked.speaker.id.as_str(), asked.what), ("u", What::Said("run x".into())));
        }
        for authorization in ["Token wrong", "Token ", "", "Bearer fake-mattermost-command-token-1"] {
            assert_eq!(hear(TOKEN, Some(authorization), FORM, BODY.as_bytes()), Err(None), "{authorization}");
        }
        assert_eq!(hear(TOKEN, None, FORM, b"channel_id=c&user_id=u&trigger_id=t"), Err(None));
        assert!(matches!(hear(TOKEN, Some(&header), FORM, b"text=x"), Err(Some(_))));
    }

    #[test]
    fn a_button_is_proved_by_the_seal_on_what_it_holds() {
        let body = |holds: &str, seal: &str| {
            json!({ "user_id": "u", "channel_id": "c", "post_id": "p", "trigger_id": "t",
                    "context": { "holds": holds, "seal": seal } })
            .to_string()
        };
        let seal = sign::seal_of(TOKEN, "n");
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
        let state = json!({ "holds": "n", "seal": seal, "message": "p" }).to_string();
        let form =
            json!({ "user_id": "u", "channel_id": "c", "state": state, "submission": { "a": "x", "b": 3, "c": null } });
        let (_, filled) = hear(TOKEN, None, "application/json", form.to_string().as_bytes()).unwrap();
        let values = [("a".to_owned(), "x".to_owned()), ("b".to_owned(), "3".to_owned())].into();
        assert_eq!(filled.what, What::Filled("n".into(), values));
    }
}
