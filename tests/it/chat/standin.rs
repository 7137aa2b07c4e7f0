//! A Slack that remembers what it was told and refuses what Slack refuses; and the people who press its buttons.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rerail::script::secret::hmac_sha256_hex;
use serde_json::{Value as Json, json};
use url::form_urlencoded;

use crate::binary::kit::{Ledger, Place, Request, answer, until};
use crate::serve::kit::{Reply, Served};

pub const SECRET: &str = "fake-slack-signing-secret-of-a-test";
pub const BOT: &str = "xoxb-fake-bot-token-of-a-test";
pub const APP: &str = "xapp-fake-app-token-of-a-test";
pub const CHANNEL: &str = "C0INCIDENT";
/// How long a trigger opens a form.
const TRIGGER_LASTS: Duration = Duration::from_secs(3);

/// A message in a channel.
#[derive(Clone, Debug)]
pub struct Post {
    pub ts: String,
    pub thread: Option<String>,
    pub body: Json,
    pub edits: usize,
}

impl Post {
    pub fn text(&self) -> String {
        text_of(&self.body)
    }

    /// What the button with this label holds.
    pub fn button(&self, label: &str) -> Option<String> {
        button_of(&self.body, label)
    }
}

/// All that people read of a message.
pub fn text_of(body: &Json) -> String {
    let blocks = body["blocks"].as_array().into_iter().flatten();
    let texts = blocks.flat_map(|block| {
        let elements = block["elements"].as_array().into_iter().flatten();
        let own = block["text"]["text"].as_str().map(str::to_owned);
        own.into_iter()
            .chain(elements.filter_map(|e| e["text"].as_str().or(e["text"]["text"].as_str()).map(str::to_owned)))
    });
    texts.collect::<Vec<_>>().join("\n")
}

pub fn button_of(body: &Json, label: &str) -> Option<String> {
    let mut elements =
        body["blocks"].as_array()?.iter().flat_map(|block| block["elements"].as_array().into_iter().flatten());
    elements.find(|e| e["type"] == "button" && e["text"]["text"] == label)?["value"].as_str().map(str::to_owned)
}

#[derive(Default)]
pub struct State {
    pub posts: Vec<Post>,
    /// Messages that one user saw: who, and what.
    pub whispers: Vec<(String, Json)>,
    pub views: Vec<Json>,
    triggers: Vec<(String, Instant)>,
    /// Answers addresses of commands were used for, and by whom they were given.
    pub is_down: bool,
    /// Where a socket is.
    pub socket: String,
    pub wrong: Vec<String>,
    count: u64,
}

pub struct Slack {
    ledger: Ledger,
    pub state: Arc<Mutex<State>>,
}

impl Slack {
    pub fn new() -> Slack {
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        let ledger = Ledger::serve(move |request, stream| {
            let json = respond(&mut shared.lock().unwrap(), request);
            match json {
                Some(json) => answer(stream, &json),
                None => {
                    use std::io::Write as _;
                    stream.write_all(b"HTTP/1.1 503 Down\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").ok();
                }
            }
        });
        Slack { ledger, state }
    }

    /// A project with this app, by its socket or over HTTP.
    pub fn project(&self, people: &str, is_socket: bool) -> Place {
        let proof = match is_socket {
            true => "app_token: { from: file, path: app }",
            false => "signing_secret: { from: file, path: signing }",
        };
        let yaml = format!(
            "version: 1\n{people}chat:\n  slack:\n    {proof}\n    bot_token: {{ from: file, path: bot }}\n    channels: [{CHANNEL}]\n    api: \"{}/api\"\n",
            self.ledger.url
        );
        Place::new().file("rerail.yaml", yaml).file("signing", SECRET).file("bot", BOT).file("app", APP)
    }

    pub fn posts(&self) -> Vec<Post> {
        self.state.lock().unwrap().posts.clone()
    }

    /// What was said that Slack would have refused.
    pub fn wrong(&self) -> Vec<String> {
        self.state.lock().unwrap().wrong.clone()
    }

    /// The first message that has this in it, once it is there.
    #[track_caller]
    pub fn post_with(&self, text: &str) -> Post {
        let find = || self.posts().into_iter().find(|post| post.text().contains(text));
        let begun = Instant::now();
        while find().is_none() {
            if begun.elapsed() > Duration::from_secs(40) {
                let state = self.state.lock().unwrap();
                let said: Vec<String> = state.posts.iter().map(Post::text).collect();
                let whispers: Vec<String> =
                    state.whispers.iter().map(|(who, body)| format!("{who}: {}", text_of(body))).collect();
                panic!("nobody said `{text}`; posts: {said:#?}; whispers: {whispers:#?}; wrong: {:?}", state.wrong);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        find().unwrap()
    }

    /// The newest answer that only this user saw and that has this in it, once it is there.
    #[track_caller]
    pub fn whisper_with(&self, user: &str, text: &str) -> Json {
        let find = || {
            let state = self.state.lock().unwrap();
            let mut all = state.whispers.iter().rev();
            all.find(|(who, body)| who == user && text_of(body).contains(text)).map(|(_, body)| body.clone())
        };
        let begun = Instant::now();
        while find().is_none() {
            if begun.elapsed() > Duration::from_secs(40) {
                let state = self.state.lock().unwrap();
                let said: Vec<String> =
                    state.whispers.iter().map(|(who, body)| format!("{who}: {}", text_of(body))).collect();
                panic!("nobody whispered `{text}` to {user}: {said:#?}; wrong: {:?}", state.wrong);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        find().unwrap()
    }

    /// The newest form, once there are so many.
    #[track_caller]
    pub fn view(&self, count: usize) -> Json {
        until("a form is shown", || self.state.lock().unwrap().views.len() >= count);
        self.state.lock().unwrap().views.last().unwrap().clone()
    }

    fn trigger(&self) -> String {
        let mut state = self.state.lock().unwrap();
        state.count += 1;
        let trigger = format!("17.{}.ab", state.count);
        state.triggers.push((trigger.clone(), Instant::now()));
        trigger
    }

    /// The body of a slash command.
    pub fn command_body(&self, user: &str, text: &str) -> String {
        let trigger = self.trigger();
        let mut body = form_urlencoded::Serializer::new(String::new());
        body.extend_pairs([
            ("team_id", "T1"),
            ("channel_id", CHANNEL),
            ("user_id", user),
            ("user_name", "root"),
            ("command", "/rerail"),
            ("text", text),
            ("trigger_id", &trigger),
            ("response_url", &format!("{}/commands/{user}", self.ledger.url)),
        ]);
        body.finish()
    }

    #[track_caller]
    pub fn command(&self, server: &Served, user: &str, text: &str) {
        let reply = signed(server, &self.command_body(user, text)).is(200);
        assert_eq!(reply.body, "");
    }

    pub fn press_body(&self, user: &str, post: &Post, holds: &str) -> String {
        let payload = json!({
            "type": "block_actions", "user": { "id": user, "team_id": "T1" }, "team": { "id": "T1" },
            "trigger_id": self.trigger(), "response_url": format!("{}/commands/{user}", self.ledger.url),
            "container": { "channel_id": CHANNEL, "message_ts": post.ts, "thread_ts": post.thread },
            "channel": { "id": CHANNEL }, "actions": [{ "action_id": "rerail_0", "value": holds }],
        });
        form_urlencoded::Serializer::new(String::new()).append_pair("payload", &payload.to_string()).finish()
    }

    #[track_caller]
    pub fn press(&self, server: &Served, user: &str, post: &Post, label: &str) {
        let holds = post.button(label).unwrap_or_else(|| panic!("no button {label}: {}", post.body));
        signed(server, &self.press_body(user, post, &holds)).is(200);
    }

    #[track_caller]
    pub fn submit(&self, server: &Served, user: &str, view: &Json, values: &[(&str, &str)]) {
        let state: serde_json::Map<String, Json> = values
            .iter()
            .map(|(name, value)| {
                ((*name).to_owned(), json!({ "value": { "type": "plain_text_input", "value": value } }))
            })
            .collect();
        let payload = json!({
            "type": "view_submission", "user": { "id": user, "team_id": "T1" }, "team": { "id": "T1" },
            "trigger_id": self.trigger(),
            "view": {
                "id": format!("V{}", view["private_metadata"].as_str().unwrap().len() + values.len()),
                "callback_id": view["callback_id"], "private_metadata": view["private_metadata"],
                "state": { "values": state },
            },
        });
        let body =
            form_urlencoded::Serializer::new(String::new()).append_pair("payload", &payload.to_string()).finish();
        signed(server, &body).is(200);
    }
}

/// Sends as Slack does, signed now.
pub fn signed(server: &Served, body: &str) -> Reply {
    let moment = jiff::Timestamp::now().as_second().to_string();
    let signature = format!("v0={}", hmac_sha256_hex(SECRET, &format!("v0:{moment}:{body}")));
    with(server, body, &moment, &signature)
}

pub fn with(server: &Served, body: &str, moment: &str, signature: &str) -> Reply {
    let headers = [
        ("content-type", "application/x-www-form-urlencoded"),
        ("x-slack-request-timestamp", moment),
        ("x-slack-signature", signature),
    ];
    server.tcp().send("POST", "/chat/slack", &headers, body)
}

fn respond(state: &mut State, request: &Request) -> Option<Json> {
    if state.is_down {
        return None;
    }
    let body: Json = serde_json::from_str(&request.body).unwrap_or(Json::Null);
    let refuse = |why: &str| Some(json!({ "ok": false, "error": why }));
    if let Some(user) = request.path.strip_prefix("/commands/") {
        if body["response_type"] != "ephemeral" || request.header("authorization").is_some() {
            state.wrong.push(format!("an answer for all, or with a token: {}", request.body));
        }
        check(state, &body);
        state.whispers.push((user.to_owned(), body));
        return Some(json!({ "ok": true }));
    }
    let token = if request.path.ends_with("/apps.connections.open") { APP } else { BOT };
    if request.header("authorization") != Some(&format!("Bearer {token}")) {
        return refuse("invalid_auth");
    }
    if request.header("content-type") != Some("application/json; charset=utf-8") {
        return refuse("invalid_post_type");
    }
    if body["channel"].as_str().is_some_and(|channel| channel != CHANNEL) {
        return refuse("channel_not_found");
    }
    state.count += 1;
    let ts = format!("1795250484.{:06}", state.count);
    match request.path.as_str() {
        "/api/chat.postMessage" => {
            check(state, &body);
            let thread = body["thread_ts"].as_str().map(str::to_owned);
            if thread.as_ref().is_some_and(|thread| state.posts.iter().all(|post| post.ts != *thread)) {
                return refuse("thread_not_found");
            }
            state.posts.push(Post { ts: ts.clone(), thread, body, edits: 0 });
            Some(json!({ "ok": true, "ts": ts, "channel": CHANNEL }))
        }
        "/api/chat.update" => {
            check(state, &body);
            let Some(post) = state.posts.iter_mut().find(|post| Some(post.ts.as_str()) == body["ts"].as_str()) else {
                return refuse("message_not_found");
            };
            post.body = body;
            post.edits += 1;
            Some(json!({ "ok": true }))
        }
        "/api/chat.postEphemeral" => {
            check(state, &body);
            let user = body["user"].as_str().unwrap_or_default().to_owned();
            state.whispers.push((user, body));
            Some(json!({ "ok": true }))
        }
        "/api/views.open" => {
            let Some(at) =
                state.triggers.iter().position(|(known, _)| Some(known.as_str()) == body["trigger_id"].as_str())
            else {
                return refuse("invalid_trigger_id");
            };
            let (_, given) = state.triggers.remove(at);
            if given.elapsed() > TRIGGER_LASTS {
                return refuse("expired_trigger_id");
            }
            let view = &body["view"];
            let short = |text: &Json| text["text"].as_str().is_some_and(|text| text.chars().count() <= 24);
            if !short(&view["title"]) || !short(&view["submit"]) || view["blocks"].as_array().is_none_or(Vec::is_empty)
            {
                return refuse("invalid_arguments");
            }
            state.views.push(view.clone());
            Some(json!({ "ok": true }))
        }
        "/api/apps.connections.open" => Some(json!({ "ok": true, "url": state.socket })),
        _ => refuse("unknown_method"),
    }
}

/// The limits of Block Kit.
fn check(state: &mut State, body: &Json) {
    let mut wrong = |what: &str| state.wrong.push(format!("{what}: {body}"));
    let blocks = body["blocks"].as_array().cloned().unwrap_or_default();
    if blocks.is_empty() || blocks.len() > 50 {
        wrong("number of blocks");
    }
    let chars = |text: &Json| text["text"].as_str().unwrap_or_default().chars().count();
    let total: usize = blocks.iter().map(|block| chars(&block["text"])).sum();
    if total >= 13_000 {
        wrong("too long in total");
    }
    let lines: usize =
        blocks.iter().map(|block| block["text"]["text"].as_str().unwrap_or_default().lines().count()).sum();
    if lines > 48 {
        wrong("too many lines");
    }
    for block in &blocks {
        let limit = if block["type"] == "header" { 150 } else { 3000 };
        if block["type"] != "actions"
            && block["type"] != "context"
            && (chars(&block["text"]) > limit || chars(&block["text"]) == 0)
        {
            wrong("a text too long or empty");
        }
        for element in block["elements"].as_array().into_iter().flatten().filter(|e| e["type"] == "button") {
            if chars(&element["text"]) > 75 || element["value"].as_str().is_none_or(|value| value.len() > 2000) {
                wrong("a button");
            }
        }
        let text = block["text"]["text"].as_str().unwrap_or_default();
        if block["text"]["type"] == "mrkdwn" && (text.contains("<!") || text.contains("<@") || text.contains("<http")) {
            wrong("a mention or a link");
        }
    }
    if body.to_string().contains("fake-") {
        wrong("a secret");
    }
}
