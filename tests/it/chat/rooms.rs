//! Mattermost, Discord and a program behind the signed webhook, as strict as what they stand for, and spoken to in one way:
//! a story is told once and holds in all three.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use rerail::surfaces::chat::sign;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value as Json, json};
use url::form_urlencoded;

use super::services::{discord, generic, mattermost};
use crate::binary::kit::{Ledger, Place, Request};
use crate::serve::kit::{Reply, Served};

/// Who they are in every room.
pub const ANA: &str = "1";
pub const BEN: &str = "2";
pub const CLEO: &str = "3";
pub const ALL: [Kind; 3] = [Kind::Mattermost, Kind::Discord, Kind::Generic];

const MATTERMOST_TOKEN: &str = "fake-mattermost-command-token-8";
pub const GENERIC_KEY: &str = "fake-generic-secret-of-a-test-8";
const URL: [&str; 4] = ["--listen", "127.0.0.1:0", "--url", "https://ops.example.com"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Mattermost,
    Discord,
    Generic,
}

impl Kind {
    pub fn word(self) -> &'static str {
        match self {
            Kind::Mattermost => "mattermost",
            Kind::Discord => "discord",
            Kind::Generic => "generic",
        }
    }

    pub fn channel(self) -> &'static str {
        match self {
            Kind::Discord => "70",
            _ => "ops",
        }
    }
}

/// A message, as people see it.
#[derive(Clone, Debug, Default)]
pub struct Post {
    pub id: String,
    pub thread: Option<String>,
    pub text: String,
    /// What each button sends when it is pressed, by its label.
    pub buttons: Vec<(String, Json)>,
    pub edits: usize,
    /// As it was posted.
    pub body: Json,
}

impl Post {
    pub fn button(&self, label: &str) -> Option<&Json> {
        self.buttons.iter().find(|(known, _)| known == label).map(|(_, holds)| holds)
    }
}

/// A form that somebody was shown.
#[derive(Clone, Debug)]
pub struct Form {
    /// As the chat was told to show it.
    pub body: Json,
    /// The message with the button that opened it.
    pub message: Option<String>,
}

/// An interaction of Discord.
pub struct Interaction {
    pub user: String,
    pub message: Option<String>,
    pub at: Instant,
    /// What the server answered the request itself with, once that is known.
    pub replied: Option<u16>,
    /// The type of the first answer.
    pub first: Option<u64>,
}

#[derive(Default)]
pub struct State {
    pub posts: Vec<Post>,
    /// Who heard what.
    pub whispers: Vec<(String, Post)>,
    pub forms: Vec<Form>,
    /// Posts that are still to be taken without an answer.
    pub swallow: usize,
    /// Those that were answered.
    pub answered: usize,
    /// What it was told that its service would have refused.
    pub wrong: Vec<String>,
    /// Messages by the name they were posted under.
    pub named: BTreeMap<String, String>,
    pub interactions: BTreeMap<String, Interaction>,
    pub triggers: BTreeMap<String, (Instant, Option<String>)>,
    pub count: u64,
}

pub struct Room {
    pub kind: Kind,
    pub ledger: Ledger,
    state: Arc<Mutex<State>>,
    key: Ed25519KeyPair,
}

impl Room {
    pub fn new(kind: Kind) -> Room {
        let state: Arc<Mutex<State>> = Arc::default();
        let shared = Arc::clone(&state);
        let ledger = Ledger::serve(move |request, stream| match kind {
            Kind::Mattermost => mattermost(&shared, request, stream),
            Kind::Discord => discord(&shared, request, stream),
            Kind::Generic => generic(&shared, request, stream),
        });
        Room { kind, ledger, state, key: Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap() }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// A project with this room, its three people and whatever else stands in its file.
    pub fn project(&self, more: &str) -> Place {
        let url = &self.ledger.url;
        let keys = match self.kind {
            Kind::Mattermost => format!(
                "url: {url:?}, command_token: {{ from: file, path: command }}, bot_token: {{ from: file, path: bot }}"
            ),
            Kind::Discord => {
                let key: String = self.key.public_key().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
                format!("public_key: {key}, bot_token: {{ from: file, path: bot }}, api: \"{url}/api/v10\"")
            }
            Kind::Generic => format!("secret: {{ from: file, path: key }}, url: \"{url}/in\""),
        };
        let (word, channel) = (self.kind.word(), self.kind.channel());
        let person = |name: &str, role: &str, id: &str| {
            format!("  {name}: {{ roles: [{role}], chat: {{ {word}: \"{id}\" }} }}\n")
        };
        let yaml = format!(
            "version: 1\npeople:\n{}{}{}chat:\n  {word}: {{ {keys}, channels: [\"{channel}\"] }}\n{more}",
            person("ana", "oncall", ANA),
            person("ben", "lead", BEN),
            person("cleo", "oncall", CLEO),
        );
        let place = Place::new().file("rerail.yaml", yaml).file("command", MATTERMOST_TOKEN);
        place.file("bot", "fake-bot-token-8").file("key", GENERIC_KEY)
    }

    pub fn server(&self, place: &Place, name: &str) -> Served {
        Served::with(place, name, &URL)
    }

    /// Somebody types a command.
    #[track_caller]
    pub fn command(&self, server: &Served, user: &str, text: &str) {
        let id = self.next();
        match self.kind {
            Kind::Mattermost => {
                self.state().triggers.insert(id.clone(), (Instant::now(), None));
                let mut body = form_urlencoded::Serializer::new(String::new());
                let url = format!("{}/commands/{user}", self.ledger.url);
                body.extend_pairs([
                    ("channel_id", self.kind.channel()),
                    ("user_id", user),
                    ("text", text),
                    ("trigger_id", &id),
                    ("response_url", &url),
                ]);
                let authorization = format!("Token {MATTERMOST_TOKEN}");
                let form = ("content-type", "application/x-www-form-urlencoded");
                let headers = [form, ("authorization", authorization.as_str())];
                server.tcp().send("POST", "/chat/mattermost", &headers, &body.finish()).is(200);
            }
            Kind::Discord => {
                let data = json!({ "name": "rerail", "options": [{ "name": "args", "type": 3, "value": text }] });
                self.interact(server, &id, 2, user, &data, None);
            }
            Kind::Generic => {
                let body = json!({ "id": id, "user": user, "channel": self.kind.channel(), "text": text });
                self.send(server, &body).is(202);
            }
        }
    }

    /// Somebody presses a button of a message.
    #[track_caller]
    pub fn press(&self, server: &Served, user: &str, post: &Post, label: &str) {
        let holds = post.button(label).unwrap_or_else(|| panic!("no button {label}: {post:#?}"));
        self.press_with(server, user, &post.id, holds);
    }

    /// Somebody presses a button that holds this.
    #[track_caller]
    pub fn press_with(&self, server: &Served, user: &str, message: &str, holds: &Json) {
        let id = self.next();
        match self.kind {
            Kind::Mattermost => {
                self.state().triggers.insert(id.clone(), (Instant::now(), Some(message.to_owned())));
                let body = json!({
                    "user_id": user, "channel_id": self.kind.channel(), "post_id": message, "trigger_id": id,
                    "context": holds,
                });
                self.send(server, &body).is(200);
            }
            Kind::Discord => {
                self.interact(server, &id, 3, user, &json!({ "component_type": 2, "custom_id": holds }), Some(message));
            }
            Kind::Generic => {
                let channel = self.kind.channel();
                let body = json!({ "id": id, "user": user, "channel": channel, "button": holds, "message": message });
                self.send(server, &body).is(202);
            }
        }
    }

    /// Somebody fills in a form.
    #[track_caller]
    pub fn fill(&self, server: &Served, user: &str, form: &Form, values: &[(&str, &str)]) {
        let id = self.next();
        let filled: serde_json::Map<String, Json> =
            values.iter().map(|(name, text)| ((*name).to_owned(), json!(text))).collect();
        match self.kind {
            Kind::Mattermost => {
                let body = json!({
                    "type": "dialog_submission", "user_id": user, "channel_id": self.kind.channel(),
                    "state": form.body["dialog"]["state"], "submission": filled,
                });
                self.send(server, &body).is(200);
            }
            Kind::Discord => {
                let field = |label: &Json| {
                    let mut inner =
                        json!({ "type": label["component"]["type"], "custom_id": label["component"]["custom_id"] });
                    let text = filled.get(inner["custom_id"].as_str().unwrap()).cloned().unwrap_or(json!(""));
                    match inner["type"].as_u64() {
                        Some(3) => inner["values"] = json!([text]),
                        _ => inner["value"] = text,
                    }
                    json!({ "type": 18, "component": inner })
                };
                let fields: Vec<Json> = form.body["components"].as_array().unwrap().iter().map(field).collect();
                let data = json!({ "custom_id": form.body["custom_id"], "components": fields });
                self.interact(server, &id, 5, user, &data, form.message.as_deref());
            }
            Kind::Generic => {
                let filled = json!({ "holds": form.body["form"]["holds"], "values": filled });
                let mut body = json!({ "id": id, "user": user, "channel": self.kind.channel(), "form": filled });
                if let Some(message) = &form.message {
                    body["message"] = json!(message);
                }
                self.send(server, &body).is(202);
            }
        }
    }

    /// Sends JSON as this chat proves it.
    pub fn send(&self, server: &Served, body: &Json) -> Reply {
        let (text, moment) = (body.to_string(), jiff::Timestamp::now().as_second().to_string());
        let signature = self.sign(&moment, &text);
        self.send_with(server, &text, &moment, &signature)
    }

    /// The signature of this chat.
    pub fn sign(&self, moment: &str, text: &str) -> String {
        self.sign_with(&self.key, GENERIC_KEY, moment, text)
    }

    /// That of another one of its kind.
    pub fn sign_as_stranger(&self, moment: &str, text: &str) -> String {
        let key = Ed25519KeyPair::from_seed_unchecked(&[8; 32]).unwrap();
        self.sign_with(&key, "fake-generic-secret-of-somebody-else", moment, text)
    }

    fn sign_with(&self, key: &Ed25519KeyPair, secret: &str, moment: &str, text: &str) -> String {
        match self.kind {
            Kind::Mattermost => String::new(),
            Kind::Discord => {
                let signed = key.sign(format!("{moment}{text}").as_bytes());
                signed.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
            }
            Kind::Generic => sign::sign_generic(secret, moment, text.as_bytes()),
        }
    }

    /// The same with this proof.
    pub fn send_with(&self, server: &Served, text: &str, moment: &str, signature: &str) -> Reply {
        let json = ("content-type", "application/json");
        let path = format!("/chat/{}", self.kind.word());
        let headers = match self.kind {
            Kind::Mattermost => vec![json],
            Kind::Discord => vec![json, ("x-signature-timestamp", moment), ("x-signature-ed25519", signature)],
            Kind::Generic => vec![json, ("x-rerail-timestamp", moment), ("x-rerail-signature", signature)],
        };
        server.tcp().send("POST", &path, &headers, text)
    }

    /// The body of an interaction, which Discord knows from now on.
    pub fn interaction(&self, id: &str, kind: u32, user: &str, data: &Json, message: Option<&str>) -> Json {
        let known = Interaction {
            user: user.to_owned(),
            message: message.map(str::to_owned),
            at: Instant::now(),
            replied: None,
            first: None,
        };
        self.state().interactions.insert(id.to_owned(), known);
        let mut body = json!({
            "type": kind, "id": id, "token": format!("tok{id}"), "application_id": "9", "channel_id": "70",
            "member": { "user": { "id": user } }, "data": data,
        });
        if let Some(message) = message {
            body["message"] = json!({ "id": message });
        }
        body
    }

    #[track_caller]
    fn interact(&self, server: &Served, id: &str, kind: u32, user: &str, data: &Json, message: Option<&str>) {
        let body = self.interaction(id, kind, user, data, message);
        let reply = self.send(server, &body);
        match reply.status {
            200 => assert_eq!(reply.json(), json!({ "type": 5, "data": { "flags": 64 } })),
            202 => assert_eq!(reply.body, ""),
            _ => panic!("{reply:?}"),
        }
        self.replied(id, reply.status);
    }

    /// Discord has seen what an interaction was answered with.
    pub fn replied(&self, id: &str, status: u16) {
        if let Some(known) = self.state().interactions.get_mut(id) {
            known.replied = Some(status);
            known.first = known.first.or((status == 200).then_some(5));
        }
    }

    /// How often somebody was to be shown a form.
    pub fn tries_to_show(&self) -> usize {
        let shows = |request: &Request| match self.kind {
            Kind::Mattermost => request.path.ends_with("/dialogs/open"),
            Kind::Discord => request.path.ends_with("/callback") && request.body.contains("\"type\":9"),
            Kind::Generic => request.body.contains("\"type\":\"form\""),
        };
        self.ledger.entries().iter().filter(|request| shows(request)).count()
    }

    /// How often this was posted, also if it stands there once.
    pub fn tries_to_post(&self, text: &str) -> usize {
        let is_post = |request: &Request| match self.kind {
            Kind::Mattermost => request.path == "/api/v4/posts",
            Kind::Discord => request.path.ends_with("/messages"),
            Kind::Generic => request.body.contains("\"type\":\"post\""),
        };
        let tries = self.ledger.entries().into_iter().filter(|request| request.method == "POST" && is_post(request));
        tries.filter(|request| request.body.contains(text)).count()
    }

    /// How long ago the oldest interaction came.
    pub fn oldest_interaction(&self) -> Duration {
        self.state().interactions.values().map(|known| known.at.elapsed()).max().unwrap_or_default()
    }

    fn next(&self) -> String {
        let mut state = self.state();
        state.count += 1;
        format!("{}", 5000 + state.count)
    }

    /// The first message with this text, as it is now, once it is there.
    #[track_caller]
    pub fn post_with(&self, text: &str) -> Post {
        self.find(text, |state| state.posts.iter().find(|post| post.text.contains(text)).cloned())
    }

    /// The same, once it has this button.
    #[track_caller]
    pub fn post_with_button(&self, text: &str, label: &str) -> Post {
        let fits = |post: &&Post| post.text.contains(text) && post.button(label).is_some();
        self.find(text, |state| state.posts.iter().find(fits).cloned())
    }

    /// The message of this name, as it is now.
    pub fn post_now(&self, id: &str) -> Post {
        self.state().posts.iter().find(|post| post.id == id).unwrap().clone()
    }

    /// The newest word that this user alone heard with this in it, once it is there.
    #[track_caller]
    pub fn whisper_with(&self, user: &str, text: &str) -> Post {
        let fits = |(who, post): &&(String, Post)| who == user && post.text.contains(text);
        self.find(text, |state| state.whispers.iter().rev().find(fits).map(|(_, post)| post.clone()))
    }

    /// The newest form, once there are so many.
    #[track_caller]
    pub fn form(&self, count: usize) -> Form {
        self.find("a form", |state| (state.forms.len() >= count).then(|| state.forms.last().unwrap().clone()))
    }

    #[track_caller]
    fn find<T>(&self, what: &str, look: impl Fn(&State) -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            let state = self.state();
            if let Some(found) = look(&state) {
                return found;
            }
            let said: Vec<&str> = state.posts.iter().map(|post| post.text.as_str()).collect();
            let heard: Vec<String> = state.whispers.iter().map(|(who, post)| format!("{who}: {}", post.text)).collect();
            assert!(
                begun.elapsed() < Duration::from_secs(40),
                "{:?}: nobody said `{what}`; posts: {said:#?}; whispers: {heard:#?}; forms: {}; wrong: {:#?}",
                self.kind,
                state.forms.len(),
                state.wrong
            );
            drop(state);
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
