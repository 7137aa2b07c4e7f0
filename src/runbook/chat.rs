//! `chat` of a project file: which chats people may speak from, in which channels, and how rerail proves itself there.
//!
//! Credentials never stand here: each says where it is read from, as a secret of a target does.

use url::Url;

use crate::runbook::mail::is_this_machine;
use crate::runbook::node::Node;
use crate::runbook::problem::Problem;
use crate::runbook::reader::{Fields, Keys, Reader};
use crate::runbook::settings::{SecretSource, secret};
use crate::runbook::source::Spanned;
use crate::runbook::words::quoted;

/// Bytes of an Ed25519 public key.
const PUBLIC_KEY_BYTES: usize = 32;
/// Characters of the id of a channel or user: what chats make is shorter than 64.
const ID_CHARS_MAX: usize = 128;
const SLACK_API: &str = "https://slack.com/api";
const DISCORD_API: &str = "https://discord.com/api/v10";

/// The chats of a project.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chat {
    pub slack: Option<Slack>,
    pub mattermost: Option<Mattermost>,
    pub discord: Option<Discord>,
    pub generic: Option<Generic>,
}

impl Chat {
    /// The channels that may be used of the chat of this word; `None` if the project doesn't have it.
    pub fn channels(&self, chat: &str) -> Option<&[String]> {
        match chat {
            "slack" => self.slack.as_ref().map(|slack| slack.channels.as_slice()),
            "mattermost" => self.mattermost.as_ref().map(|mattermost| mattermost.channels.as_slice()),
            "discord" => self.discord.as_ref().map(|discord| discord.channels.as_slice()),
            "generic" => self.generic.as_ref().map(|generic| generic.channels.as_slice()),
            _ => None,
        }
    }
}

/// A Slack app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slack {
    /// Proves what comes over HTTP; without it nothing may.
    pub signing_secret: Option<SecretSource>,
    /// What rerail posts with.
    pub bot_token: SecretSource,
    /// What opens the socket; without it there is none.
    pub app_token: Option<SecretSource>,
    pub channels: Vec<String>,
    /// The address before the name of a method.
    pub api: String,
}

/// A slash command and a bot of a Mattermost server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mattermost {
    /// The address of the server.
    pub url: String,
    /// Proves who sends a command.
    pub command_token: SecretSource,
    /// What rerail posts with.
    pub bot_token: SecretSource,
    pub channels: Vec<String>,
}

/// An application of Discord.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discord {
    /// Its key, by which everything it sends is signed.
    pub public_key: [u8; PUBLIC_KEY_BYTES],
    /// What rerail posts with.
    pub bot_token: SecretSource,
    pub channels: Vec<String>,
    /// The address before the path of a call.
    pub api: String,
}

/// Anything else that signs what it sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generic {
    /// Signs both ways.
    pub secret: SecretSource,
    /// Where messages are sent to.
    pub url: String,
    pub channels: Vec<String>,
}

pub(super) const CHAT: Keys = Keys {
    what: "chat",
    known: &["slack", "mattermost", "discord", "generic"],
    later: &[],
    foreign: &[("teams", "write `generic`: anything that signs its requests")],
};
pub(super) const SLACK: Keys = Keys {
    what: "Slack app",
    known: &["signing_secret", "bot_token", "app_token", "channels", "api"],
    later: &[],
    foreign: &[("token", "write `bot_token`"), ("channel", "write `channels`, a list")],
};
pub(super) const MATTERMOST: Keys = Keys {
    what: "Mattermost server",
    known: &["url", "command_token", "bot_token", "channels"],
    later: &[],
    foreign: &[("token", "write `command_token` or `bot_token`"), ("channel", "write `channels`, a list")],
};
pub(super) const DISCORD: Keys = Keys {
    what: "Discord application",
    known: &["public_key", "bot_token", "channels", "api"],
    later: &[],
    foreign: &[("token", "write `bot_token`"), ("channel", "write `channels`, a list")],
};
pub(super) const GENERIC: Keys = Keys {
    what: "signed webhook",
    known: &["secret", "url", "channels"],
    later: &[],
    foreign: &[("token", "write `secret`"), ("channel", "write `channels`, a list")],
};

/// Which chats a person may be known to, as keys of `chat` below their name.
pub(super) const IDENTITIES: Keys =
    Keys { what: "chat", known: &["slack", "mattermost", "discord", "generic"], later: &[], foreign: &[] };

/// Reads `chat`. What can't be used is left out, which was said.
pub(super) fn read(reader: &mut Reader, node: &Node) -> Chat {
    let Some(fields) = reader.fields(node, &CHAT) else { return Chat::default() };
    Chat {
        slack: fields.get("slack").and_then(|node| slack(reader, node)),
        mattermost: fields.get("mattermost").and_then(|node| mattermost(reader, node)),
        discord: fields.get("discord").and_then(|node| discord(reader, node)),
        generic: fields.get("generic").and_then(|node| generic(reader, node)),
    }
}

fn slack(reader: &mut Reader, node: &Node) -> Option<Slack> {
    let fields = reader.fields(node, &SLACK)?;
    let signing_secret = optional(reader, &fields, "signing_secret", "SLACK_SIGNING_SECRET");
    let app_token = optional(reader, &fields, "app_token", "SLACK_APP_TOKEN");
    let bot_token = credential(reader, &fields, "bot_token", "SLACK_BOT_TOKEN");
    let channels = channels(reader, &fields);
    let api = address(reader, &fields, "api").unwrap_or_else(|| SLACK_API.to_owned());
    if !fields.has("signing_secret") && !fields.has("app_token") && !fields.strange {
        let span = reader.first_line(node.span);
        reader.push(
            Problem::error("E0106", &reader.source, span, "nothing says how Slack reaches rerail")
                .label("this app needs `app_token` or `signing_secret`")
                .help("`app_token` for Socket Mode, which needs no public address; `signing_secret` for requests over HTTP"),
        );
        return None;
    }
    Some(Slack { signing_secret, bot_token: bot_token?, app_token, channels: channels?, api })
}

fn mattermost(reader: &mut Reader, node: &Node) -> Option<Mattermost> {
    let fields = reader.fields(node, &MATTERMOST)?;
    reader.required(&fields, "url");
    let url = address(reader, &fields, "url");
    let command_token = credential(reader, &fields, "command_token", "MATTERMOST_COMMAND_TOKEN");
    let bot_token = credential(reader, &fields, "bot_token", "MATTERMOST_BOT_TOKEN");
    let channels = channels(reader, &fields);
    Some(Mattermost { url: url?, command_token: command_token?, bot_token: bot_token?, channels: channels? })
}

fn discord(reader: &mut Reader, node: &Node) -> Option<Discord> {
    let fields = reader.fields(node, &DISCORD)?;
    let public_key = reader.required(&fields, "public_key").and_then(|node| {
        let text = reader.text(node, "`public_key`")?;
        let key = hex_key(&text.value);
        if key.is_none() {
            let span = reader.first_line(text.span);
            let message = format!("expected 64 hex digits for `public_key`, got {}", quoted(&text.value));
            reader.error("E0107", span, message, "not the public key of an application");
        }
        key
    });
    let bot_token = credential(reader, &fields, "bot_token", "DISCORD_BOT_TOKEN");
    let channels = channels(reader, &fields);
    let api = address(reader, &fields, "api").unwrap_or_else(|| DISCORD_API.to_owned());
    Some(Discord { public_key: public_key?, bot_token: bot_token?, channels: channels?, api })
}

fn generic(reader: &mut Reader, node: &Node) -> Option<Generic> {
    let fields = reader.fields(node, &GENERIC)?;
    reader.required(&fields, "url");
    let url = address(reader, &fields, "url");
    let secret = credential(reader, &fields, "secret", "CHAT_SECRET");
    let channels = channels(reader, &fields);
    Some(Generic { secret: secret?, url: url?, channels: channels? })
}

/// A credential that has to be given; `name` is what it is called where it is read from, unless the file says so.
fn credential(reader: &mut Reader, fields: &Fields<'_>, key: &str, name: &str) -> Option<SecretSource> {
    reader.required(fields, key).and_then(|node| secret(reader, name, node))
}

fn optional(reader: &mut Reader, fields: &Fields<'_>, key: &str, name: &str) -> Option<SecretSource> {
    fields.get(key).and_then(|node| secret(reader, name, node))
}

/// The channels that may be used: at least one, because none at all would be every one or no use.
fn channels(reader: &mut Reader, fields: &Fields<'_>) -> Option<Vec<String>> {
    let node = reader.required(fields, "channels")?;
    let names = reader.names(node, "`channels`", id_fault);
    if names.is_empty() && !reader.has_errors() {
        reader.wrong(node, "`channels`", "ids of channels, at least one");
    }
    (!names.is_empty()).then(|| names.into_iter().map(|name| name.value).collect())
}

/// An address that calls begin with, without a slash at its end.
fn address(reader: &mut Reader, fields: &Fields<'_>, key: &str) -> Option<String> {
    let text = reader.text(fields.get(key)?, &format!("`{key}`"))?;
    reader.name(&text, address_fault).then(|| text.value.trim_end_matches('/').to_owned())
}

fn address_fault(text: &str) -> Option<String> {
    let good = Url::parse(text).is_ok_and(|url| {
        let plain = url.scheme() == "http" && url.host_str().is_some_and(|host| is_this_machine(bare(host)));
        let bare = url.username().is_empty() && url.password().is_none();
        bare && url.query().is_none() && url.fragment().is_none() && (url.scheme() == "https" || plain)
    });
    (!good).then(|| "must be an https address without user, query and fragment (http on this machine alone)".to_owned())
}

fn bare(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

pub(super) fn id_fault(id: &str) -> Option<String> {
    if id.len() > ID_CHARS_MAX {
        return Some(format!("is longer than {ID_CHARS_MAX} characters"));
    }
    let good = !id.is_empty() && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_' || c == '.');
    (!good)
        .then(|| "must be the id of a channel: letters, digits, `-`, `_` and `.`; never its name with `#`".to_owned())
}

/// What a person is called in a chat; `None` when it can't be that, which was said. Of Slack `TEAM/USER`.
pub(super) fn identity(reader: &mut Reader, chat: &str, node: &Node) -> Option<Spanned<String>> {
    let text = reader.text(node, &format!("`{chat}`"))?;
    let fault = if chat == "slack" { slack_user_fault } else { user_fault };
    reader.name(&text, fault).then_some(text)
}

fn slack_user_fault(text: &str) -> Option<String> {
    let good = text.split_once('/').is_some_and(|(team, user)| id_fault(team).is_none() && id_fault(user).is_none());
    (!good).then(|| "must be the ids of the team and the user, such as `T024BE7LD/U2147483697`".to_owned())
}

fn user_fault(text: &str) -> Option<String> {
    id_fault(text).map(|_| "must be the id of the user, never a name that people can change".to_owned())
}

fn hex_key(text: &str) -> Option<[u8; PUBLIC_KEY_BYTES]> {
    if text.len() != PUBLIC_KEY_BYTES * 2 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut key = [0; PUBLIC_KEY_BYTES];
    for (at, byte) in key.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[at * 2..at * 2 + 2], 16).ok()?;
    }
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runbook::settings::{From, read_settings};
    use crate::runbook::source::Source;

    fn read(chat: &str) -> (Chat, Vec<&'static str>) {
        let (settings, problems) = read_settings(&Source::new("rerail.yaml", format!("version: 1\nchat: {chat}\n")));
        (settings.chat, problems.into_iter().map(|problem| problem.code).collect())
    }

    const KEY: &str = "fb9ed1e40298d7b1883632602ce9ac447931969d6727be6730400bfeeecbdcd6";

    #[test]
    fn all_four_are_read_whole() {
        let (chat, codes) = read(&format!(
            "{{ slack: {{ signing_secret: {{ from: env }}, bot_token: {{ from: file, path: bot }}, channels: [C1] }}, \
             mattermost: {{ url: \"https://chat.example.com/\", command_token: {{ from: env }}, bot_token: {{ from: env }}, channels: [town] }}, \
             discord: {{ public_key: {KEY}, bot_token: {{ from: env }}, channels: [\"700\"], api: \"http://127.0.0.1:1/api\" }}, \
             generic: {{ secret: {{ from: env }}, url: \"https://bot.example.com/in\", channels: [ops] }} }}"
        ));
        assert_eq!(codes, Vec::<&str>::new());
        let slack = chat.slack.unwrap();
        assert_eq!(slack.signing_secret.unwrap().from, From::Env { name: "SLACK_SIGNING_SECRET".into() });
        assert_eq!((slack.api.as_str(), slack.channels), ("https://slack.com/api", vec!["C1".to_owned()]));
        assert_eq!(chat.mattermost.unwrap().url, "https://chat.example.com");
        let discord = chat.discord.unwrap();
        assert_eq!((discord.public_key[0], discord.api.as_str()), (0xfb, "http://127.0.0.1:1/api"));
        assert_eq!(chat.generic.unwrap().channels, ["ops"]);
    }

    #[test]
    fn what_would_let_in_everybody_or_nobody_is_an_error() {
        let bot = "bot_token: { from: env }";
        for (slack, code) in [
            (format!("{bot}, channels: [C1]"), "E0106"),
            (format!("{bot}, app_token: {{ from: env }}"), "E0106"),
            (format!("{bot}, app_token: {{ from: env }}, channels: []"), "E0107"),
            (format!("{bot}, app_token: {{ from: env }}, channels: [\"#ops\"]"), "E0105"),
            ("app_token: { from: env }, channels: [C1]".to_owned(), "E0106"),
            (format!("{bot}, app_token: {{ value: xapp }}, channels: [C1]"), "E0103"),
            (format!("{bot}, app_token: {{ from: env }}, channels: [C1], api: \"http://slack.example.com\""), "E0105"),
            (
                format!("{bot}, app_token: {{ from: env }}, channels: [C1], api: \"https://u:p@slack.example.com\""),
                "E0105",
            ),
            (format!("{bot}, app_token: {{ from: env }}, channels: [C1], token: x"), "E0103"),
        ] {
            let codes = read(&format!("{{ slack: {{ {slack} }} }}")).1;
            assert!(codes.contains(&code), "{slack}: {codes:?}");
        }
        for key in ["ab", "zz", &KEY[1..], &"+f".repeat(32)] {
            let text = format!("{{ discord: {{ public_key: \"{key}\", {bot}, channels: [\"1\"] }} }}");
            assert_eq!(read(&text).1, ["E0107"], "{key}");
        }
        assert_eq!(read("{ teams: {} }").1, ["E0103"]);
        assert_eq!(read("{ generic: { secret: { from: env }, channels: [a] } }").1, ["E0106"]);
    }
}
