//! What rerail says in Mattermost: posts of a bot with sealed buttons, sealed forms, and the address that comes with a command.

use serde_json::{Value as Json, json};
use url::Url;

use crate::runbook::chat::Mattermost;
use crate::runs::{Outgoing, Runs};
use crate::surfaces::chat::asked::{Asked, Kind, Place};
use crate::surfaces::chat::card::{Card, Field, FieldKind, Form, Style, cut};
use crate::surfaces::chat::mattermost::hear::{BUTTON, FORM};
use crate::surfaces::chat::room::{Room, Trouble, call, left_as_it_was, take_turn};
use crate::surfaces::chat::{markdown, sign};

/// Letters of a post; Mattermost refuses 16,384.
const POST_CHARS_MAX: usize = 15_000;
/// Bytes of a form's title and labels: Mattermost counts bytes there, and refuses one more.
const LABEL_BYTES_MAX: usize = 24;
/// Bytes of a hint.
const HINT_BYTES_MAX: usize = 150;
/// Letters that may be typed into a field of one line, and into a larger one; Mattermost refuses fields that allow more.
const LINE_CHARS_MAX: usize = 150;
const TEXT_CHARS_MAX: usize = 3000;
/// The property of a post that says what it shows, by its digest.
const SHOWS: &str = "rerail";
/// Where Mattermost finds rerail, below its address.
const PATH: &str = "/chat/mattermost";

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
        post["props"][SHOWS] = json!(sign::digest(&post.to_string()));
        Ok(post)
    }

    fn buttons(&self, place: &Place, card: &Card) -> Result<Json, Trouble> {
        let Some(url) = self.base.map(|base| format!("{base}{PATH}")).filter(|_| !card.buttons().is_empty()) else {
            return Ok(json!([]));
        };
        let (token, thread) = (self.token()?, place.thread.as_deref().unwrap_or_default());
        let action = |(at, button): (usize, &crate::surfaces::chat::card::Button)| {
            json!({
                "id": format!("rerail{at}"),
                "name": button.label,
                "style": match button.style { Style::Plain => "default", Style::Good => "good", Style::Danger => "danger" },
                "integration": { "url": url, "context": {
                    "holds": button.holds, "channel": place.channel, "thread": thread,
                    "seal": sign::seal_of(&token, &[BUTTON, &button.holds, &place.channel, thread]),
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
    fn post(&self, place: &Place, name: &str, card: &Card) -> Result<String, Trouble> {
        take_turn(Kind::Mattermost, &place.channel);
        let mut post = self.post_of(place, card)?;
        // The same again within half a minute is answered with what stands there, perhaps with other words and buttons.
        post["pending_post_id"] = json!(name);
        let posted = self.ask("POST", "posts", &post)?;
        let id = posted["id"].as_str().ok_or_else(|| Trouble::Unreached("Mattermost gave no `id`".to_owned()))?;
        let shows = &posted["props"][SHOWS];
        if !shows.is_null()
            && *shows != post["props"][SHOWS]
            && let Err(trouble) = self.edit(place, id, card)
        {
            left_as_it_was(Kind::Mattermost, id, &trouble);
        }
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
        let (channel, user) = (asked.place.channel.as_str(), asked.speaker.id.as_str());
        let thread = asked.place.thread.as_deref().unwrap_or_default();
        let message = asked.message.as_deref().unwrap_or_default();
        let seal = sign::seal_of(&self.token()?, &[FORM, &form.holds, channel, thread, message, user]);
        let state = json!({
            "holds": form.holds, "channel": channel, "thread": thread, "message": message, "user": user, "seal": seal,
        });
        let elements: Vec<Json> = form.fields.iter().map(element).collect();
        let dialog = json!({
            "callback_id": "rerail", "title": cut_bytes(&form.title, LABEL_BYTES_MAX),
            "submit_label": cut_bytes(&form.submit, LABEL_BYTES_MAX), "elements": elements, "state": state.to_string(),
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
        "display_name": cut_bytes(&field.name, LABEL_BYTES_MAX), "name": field.name, "optional": !field.required,
        "help_text": within(HINT_BYTES_MAX, |chars| field.below(field.hint.as_deref().unwrap_or_default(), chars)),
    });
    let initial = field.initial.as_deref().unwrap_or_default();
    let fits = |bytes: usize| initial.len() <= bytes;
    let (kind, subtype) = match &field.kind {
        FieldKind::Text | FieldKind::Url | FieldKind::Email if !fits(LINE_CHARS_MAX) => ("textarea", "text"),
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
    if kind != "select" {
        element["max_length"] = json!(if kind == "text" { LINE_CHARS_MAX } else { TEXT_CHARS_MAX });
    }
    // Half a value would be another one, and a choice that isn't one makes the form a wrong one.
    let is_good = match &field.kind {
        FieldKind::Choice(choices) => choices.iter().any(|choice| choice == initial),
        _ => fits(TEXT_CHARS_MAX),
    };
    element["default"] = json!(if is_good { initial } else { "" });
    if !subtype.is_empty() {
        element["subtype"] = json!(subtype);
    }
    element
}

/// At most so many bytes, with a sign where it was cut.
fn cut_bytes(text: &str, bytes_max: usize) -> String {
    within(bytes_max, |chars| cut(text, chars))
}

/// As many letters of a text as so many bytes hold.
fn within(bytes_max: usize, text: impl Fn(usize) -> String) -> String {
    (1..=bytes_max).rev().map(text).find(|text| text.len() <= bytes_max).unwrap_or_default()
}

/// One part of a path: what Mattermost calls a post is letters and digits.
fn path_part(id: &str) -> String {
    id.chars().filter(char::is_ascii_alphanumeric).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_one_that_mattermost_takes() {
        let field = |kind: FieldKind, initial: Option<&str>| {
            element(&Field {
                name: "é".repeat(60),
                hint: Some("é".repeat(400)),
                kind,
                initial: initial.map(str::to_owned),
                required: true,
                left_out: vec!["region".to_owned()],
            })
        };
        let long = "x".repeat(151);
        for (kind, initial) in [
            (FieldKind::Text, Some(long.as_str())),
            (FieldKind::Url, Some(long.as_str())),
            (FieldKind::Text, Some("x")),
            (FieldKind::Long, Some("x")),
            (FieldKind::Number { decimal: true }, None),
            (FieldKind::Choice(vec!["a".into()]), Some("b")),
        ] {
            let element = field(kind, initial);
            let bytes = |name: &str| element[name].as_str().unwrap().len();
            assert!(bytes("display_name") <= 24 && bytes("help_text") <= 150, "{element}");
            assert!(element["help_text"].as_str().unwrap().ends_with("unless typed: region)"), "{element}");
            let most = if element["type"] == "text" { 150 } else { 3000 };
            assert!(bytes("default") <= most, "{element}");
            assert!(element["max_length"].as_u64().is_none_or(|max| max == most as u64), "{element}");
        }
        assert_eq!(field(FieldKind::Choice(vec!["a".into()]), Some("b"))["default"], "");
        assert_eq!(field(FieldKind::Choice(vec!["a".into()]), Some("a"))["default"], "a");
        assert_eq!(field(FieldKind::Long, Some(&"x".repeat(3001)))["default"], "", "no half value");
    }
}
