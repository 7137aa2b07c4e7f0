//! What rerail says in Slack: five methods of its Web API, and the address that comes with a request.

use serde_json::{Value as Json, json};
use url::Url;

use crate::runbook::chat::Slack;
use crate::runbook::settings::SecretSource;
use crate::runs::{Outgoing, Runs};
use crate::surfaces::chat::asked::{Asked, Kind, Place};
use crate::surfaces::chat::card::{Card, Form};
use crate::surfaces::chat::room::{Room, Trouble, call, take_turn};
use crate::surfaces::chat::slack::blocks;

/// A Slack app of the project.
pub struct SlackRoom<'r> {
    pub runs: &'r Runs,
    pub settings: &'r Slack,
}

impl SlackRoom<'_> {
    fn method(&self, method: &str, body: &Json) -> Result<Json, Trouble> {
        method_with(self.runs, self.settings, "bot_token", &self.settings.bot_token, method, body)
    }
}

impl Room for SlackRoom<'_> {
    /// `name` is of no use: Slack can't be told that a message is a repeat.
    fn post(&self, place: &Place, _: &str, card: &Card) -> Result<String, Trouble> {
        take_turn(Kind::Slack, &place.channel);
        let mut body = blocks::message(card);
        body["channel"] = json!(place.channel);
        if let Some(thread) = &place.thread {
            body["thread_ts"] = json!(thread);
        }
        let posted = self.method("chat.postMessage", &body)?;
        let id = posted["ts"].as_str().ok_or_else(|| Trouble::Unreached("Slack gave no `ts`".to_owned()))?;
        Ok(id.to_owned())
    }

    fn tells_repeats(&self) -> bool {
        false
    }

    fn edit(&self, place: &Place, message: &str, card: &Card) -> Result<(), Trouble> {
        take_turn(Kind::Slack, &place.channel);
        let mut body = blocks::message(card);
        body["channel"] = json!(place.channel);
        body["ts"] = json!(message);
        self.method("chat.update", &body).map(drop)
    }

    fn whisper(&self, asked: &Asked, card: &Card) -> Result<(), Trouble> {
        let mut body = blocks::message(card);
        if let Some(url) = asked.reply_to.as_deref().filter(|url| is_slacks(url, &self.settings.api)) {
            body["response_type"] = json!("ephemeral");
            body["replace_original"] = json!(false);
            let headers = vec![("content-type", "application/json; charset=utf-8".to_owned())];
            let answer = Outgoing { method: "POST", url: url.to_owned(), headers, body: body.to_string() };
            // Used up after five answers or half an hour: then it is said another way.
            if call(self.runs, &answer).is_ok() {
                return Ok(());
            }
        }
        let user = asked.speaker.id.split_once('/').map_or(asked.speaker.id.as_str(), |(_, user)| user);
        body["channel"] = json!(asked.place.channel);
        body["user"] = json!(user);
        if let Some(thread) = &asked.place.thread {
            body["thread_ts"] = json!(thread);
        }
        self.method("chat.postEphemeral", &body).map(drop)
    }

    fn show(&self, asked: &Asked, form: &Form) -> Result<bool, Trouble> {
        let Some(trigger) = &asked.trigger else { return Ok(false) };
        let view = blocks::view(form, &asked.place.key(), asked.message.as_deref());
        match self.method("views.open", &json!({ "trigger_id": trigger, "view": view })) {
            Ok(_) => Ok(true),
            // Three seconds are over; or it was shown before, by a server that was killed since.
            Err(Trouble::Refused(said)) if said.contains("trigger") => Ok(false),
            Err(trouble) => Err(trouble),
        }
    }

    fn channels(&self) -> &[String] {
        &self.settings.channels
    }
}

/// Calls a method with one of the app's tokens.
///
/// # Errors
/// What Slack says, by its own word for it.
pub fn method_with(
    runs: &Runs,
    settings: &Slack,
    name: &str,
    token: &SecretSource,
    method: &str,
    body: &Json,
) -> Result<Json, Trouble> {
    let token = runs.own_secret(&format!("chat.slack.{name}"), token)?;
    let headers = vec![
        ("authorization", format!("Bearer {token}")),
        ("content-type", "application/json; charset=utf-8".to_owned()),
    ];
    let url = format!("{}/{method}", settings.api);
    let json = call(runs, &Outgoing { method: "POST", url, headers, body: body.to_string() })?;
    match json["ok"].as_bool() {
        Some(true) => Ok(json),
        _ => Err(Trouble::Refused(format!("{method}: {}", json["error"].as_str().unwrap_or("no reason given")))),
    }
}

/// Whether an address that came with a request is one of Slack: its own, or that of the API that was configured.
fn is_slacks(url: &str, api: &str) -> bool {
    let (Ok(url), Ok(api)) = (Url::parse(url), Url::parse(api)) else { return false };
    let own = url.scheme() == "https" && url.host_str() == Some("hooks.slack.com");
    own || url.origin() == api.origin()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_go_to_slack_and_nowhere_else() {
        let api = "https://slack.com/api";
        assert!(is_slacks("https://hooks.slack.com/commands/T1/2/3", api));
        assert!(is_slacks("http://127.0.0.1:99/commands/1", "http://127.0.0.1:99/api"));
        for bad in [
            "http://hooks.slack.com/x",
            "https://hooks.slack.com.evil.example/x",
            "https://evil.example/hooks.slack.com",
            "http://127.0.0.1:98/x",
            "http://169.254.169.254/",
            "file:///etc/passwd",
            "",
        ] {
            assert!(!is_slacks(bad, api) && !is_slacks(bad, "http://127.0.0.1:99/api"), "{bad}");
        }
    }
}
