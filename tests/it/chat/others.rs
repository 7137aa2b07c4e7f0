//! Mattermost, Discord and the signed webhook: the same story, in their own words.

use std::sync::{Arc, Mutex};

use rerail::surfaces::chat::sign;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value as Json, json};
use url::form_urlencoded;

use super::story::{FIX, world};
use crate::binary::kit::{Ledger, Place, Request, answer, until};
use crate::serve::kit::{Reply, Served};

const TOKEN: &str = "fake-mattermost-command-token-9";

/// A chat that gives what it is posted an id, and remembers all of it.
struct Chat {
    ledger: Ledger,
    asked: Arc<Mutex<Vec<(String, String, Json)>>>,
}

impl Chat {
    fn new(refuse: impl Fn(&Request) -> Option<String> + Send + Sync + 'static) -> Chat {
        let asked: Arc<Mutex<Vec<(String, String, Json)>>> = Arc::default();
        let shared = Arc::clone(&asked);
        let ledger = Ledger::serve(move |request, stream| {
            if let Some(why) = refuse(request) {
                use std::io::Write as _;
                let head =
                    format!("HTTP/1.1 401 No\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{why}", why.len());
                stream.write_all(head.as_bytes()).ok();
                return;
            }
            let mut all = shared.lock().unwrap();
            let body = serde_json::from_str(&request.body).unwrap_or(Json::Null);
            all.push((request.method.clone(), request.path.clone(), body));
            answer(stream, &json!({ "id": format!("{}", 1000 + all.len()) }));
        });
        Chat { ledger, asked }
    }

    /// The first request by this method to a path with this in it whose body has this text, once it is there.
    #[track_caller]
    fn heard(&self, method: &str, path: &str, text: &str) -> Json {
        let find = || {
            let all = self.asked.lock().unwrap();
            let mut fits =
                all.iter().filter(|(m, p, body)| m == method && p.contains(path) && body.to_string().contains(text));
            fits.next().map(|(_, _, body)| body.clone())
        };
        let begun = std::time::Instant::now();
        while find().is_none() {
            assert!(
                begun.elapsed().as_secs() < 40,
                "no {method} {path} with {text}: {:#?}",
                self.asked.lock().unwrap()
            );
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        find().unwrap()
    }
}

fn people(chat: &str) -> String {
    format!(
        "version: 1\npeople:\n  ana: {{ roles: [oncall], chat: {{ {chat}: \"1\" }} }}\n  ben: {{ roles: [lead], chat: {{ {chat}: \"2\" }} }}\n"
    )
}

#[test]
fn mattermost_proves_a_command_by_its_token_and_a_button_by_its_seal() {
    let chat = Chat::new(|request| {
        let bot = request.header("authorization") == Some("Bearer fake-mattermost-bot-token-9");
        (!bot && request.path.starts_with("/api")).then(|| "no".to_owned())
    });
    let world = world();
    let yaml = format!(
        "{}chat:\n  mattermost:\n    url: {:?}\n    command_token: {{ from: file, path: command }}\n    bot_token: {{ from: file, path: bot }}\n    channels: [town]\n",
        people("mattermost"),
        chat.ledger.url
    );
    let place =
        Place::new().file("rerail.yaml", yaml).file("command", TOKEN).file("bot", "fake-mattermost-bot-token-9");
    let place = place.runbook("fix", FIX);
    let server = Served::with(&place, "a.sock", &["--listen", "127.0.0.1:0", "--url", "https://ops.example.com"]);
    let command = |user: &str, trigger: &str, text: &str, token: &str| -> Reply {
        let mut body = form_urlencoded::Serializer::new(String::new());
        let url = format!("{}/commands/{user}", chat.ledger.url);
        body.extend_pairs([
            ("channel_id", "town"),
            ("user_id", user),
            ("text", text),
            ("trigger_id", trigger),
            ("response_url", &url),
        ]);
        let authorization = format!("Token {token}");
        let headers =
            [("content-type", "application/x-www-form-urlencoded"), ("authorization", authorization.as_str())];
        server.tcp().send("POST", "/chat/mattermost", &headers, &body.finish())
    };
    command("1", "t0", "runs", "wrong").is(401);
    command("1", "t1", &format!("run fix base={}", world.url), TOKEN).is(200);
    let dialog = chat.heard("POST", "/api/v4/actions/dialogs/open", "service");
    assert_eq!(dialog["url"], "https://ops.example.com/chat/mattermost");
    let json = [("content-type", "application/json")];
    let send = |body: &Json| server.tcp().send("POST", "/chat/mattermost", &json, &body.to_string());
    let state = dialog["dialog"]["state"].clone();
    send(&json!({ "type": "dialog_submission", "user_id": "1", "channel_id": "town", "state": state, "submission": { "service": "mm" } })).is(200);
    let post = chat.heard("POST", "/api/v4/posts", "plan: fix");
    let context =
        |post: &Json, at: usize| post["props"]["attachments"][0]["actions"][at]["integration"]["context"].clone();
    let press = |user: &str, trigger: &str, message: &str, context: &Json| {
        send(
            &json!({ "user_id": user, "channel_id": "town", "post_id": message, "trigger_id": trigger, "context": context }),
        )
    };
    let mut forged = context(&post, 0);
    forged["seal"] = json!("00".repeat(32));
    press("1", "t2", "1003", &forged).is(401);
    press("1", "t3", "1003", &context(&post, 0)).is(200);
    let waits = chat.heard("POST", "/api/v4/posts", "needs an approval");
    press("1", "t4", "1004", &context(&waits, 0)).is(200);
    chat.heard("POST", "/api/v4/posts/ephemeral", "this button is for ben");
    press("2", "t5", "1004", &context(&waits, 0)).is(200);
    chat.heard("POST", "/api/v4/posts", "finished after");
    chat.heard("PUT", "/api/v4/posts/1003/patch", "finished");
    assert_eq!(world.times("mm"), 1);
    assert!(!format!("{:?}", chat.asked.lock().unwrap()).contains("fake-mattermost"), "no token in a body");
}

#[test]
fn discord_is_deferred_at_once_and_answered_afterwards() {
    let key = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
    let public: String = key.public_key().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let chat = Chat::new(|request| {
        let bot = request.header("authorization") == Some("Bot fake-discord-bot-token-9");
        (!bot && request.path.contains("/channels/")).then(|| "no".to_owned())
    });
    let world = world();
    let yaml = format!(
        "{}chat:\n  discord:\n    public_key: {public}\n    bot_token: {{ from: file, path: bot }}\n    channels: [\"70\"]\n    api: \"{}/api/v10\"\n",
        people("discord"),
        chat.ledger.url
    );
    let place = Place::new().file("rerail.yaml", yaml).file("bot", "fake-discord-bot-token-9");
    let place = place.runbook("fix", FIX);
    let server = Served::start(&place, "a.sock");
    let send = |body: &Json| -> Reply {
        let (text, moment) = (body.to_string(), jiff::Timestamp::now().as_second().to_string());
        let signature = key.sign(format!("{moment}{text}").as_bytes());
        let signature: String = signature.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        let headers = [
            ("content-type", "application/json"),
            ("x-signature-timestamp", moment.as_str()),
            ("x-signature-ed25519", signature.as_str()),
        ];
        server.tcp().send("POST", "/chat/discord", &headers, &text)
    };
    assert_eq!(
        send(&json!({ "type": 1, "id": "1", "token": "t", "application_id": "9" })).is(200).json(),
        json!({ "type": 1 })
    );
    let interaction = |kind: u32, id: &str, user: &str, data: Json, message: Json| {
        json!({
            "type": kind, "id": id, "token": format!("tok{id}"), "application_id": "9", "channel_id": "70",
            "member": { "user": { "id": user } }, "data": data, "message": message,
        })
    };
    let line = |text: &str| json!({ "name": "rerail", "options": [{ "name": "args", "type": 3, "value": text }] });
    let run = format!("run fix base={} service=dc", world.url);
    // It may be answered with a form, which has to come first: until that is known nothing is said.
    assert_eq!(send(&interaction(2, "11", "1", line(&run), Json::Null)).is(202).body, "");
    let first = chat.heard("POST", "/interactions/11/tok11/callback", "");
    assert_eq!(first, json!({ "type": 5, "data": { "flags": 64 } }));
    let post = chat.heard("POST", "/channels/70/messages", "plan: fix");
    assert_eq!(post["allowed_mentions"], json!({ "parse": [] }));
    chat.heard("PATCH", "/webhooks/9/tok11/messages/@original", "fix is planned");
    let holds = |post: &Json, at: usize| post["components"][0]["components"][at]["custom_id"].clone();
    send(&interaction(3, "12", "1", json!({ "custom_id": holds(&post, 0) }), json!({ "id": "555" }))).is(202);
    let waits = chat.heard("POST", "/channels/70/messages", "needs an approval");
    assert_eq!(waits["message_reference"]["message_id"], "555");
    // An approval shows no form, so it is acknowledged at once: its answer may then come as late as it has to.
    let deferred = json!({ "type": 5, "data": { "flags": 64 } });
    let approves = |id: &str, user: &str| {
        let press = interaction(3, id, user, json!({ "custom_id": holds(&waits, 0) }), json!({ "id": "556" }));
        assert_eq!(send(&press).is(200).json(), deferred);
    };
    approves("13", "1");
    chat.heard("PATCH", "/webhooks/9/tok13/messages/@original", "this button is for ben");
    approves("14", "2");
    chat.heard("PATCH", "/webhooks/9/tok14/messages/@original", "approved by ben");
    chat.heard("POST", "/channels/70/messages", "finished after");
    chat.heard("PATCH", "/channels/70/messages/555", "finished");
    assert_eq!(world.times("dc"), 1);
    assert_eq!(send(&interaction(2, "15", "1", line("runs"), Json::Null)).is(200).json(), deferred);
    chat.heard("PATCH", "/webhooks/9/tok15/messages/@original", "newest runs");
    let bad = server.tcp().send("POST", "/chat/discord", &[("content-type", "application/json")], r#"{"type":1}"#);
    assert_eq!(bad.status, 401);
}

#[test]
fn a_program_of_a_few_lines_speaks_and_is_spoken_to_with_signatures_both_ways() {
    const KEY: &str = "fake-generic-secret-of-a-test-9";
    let chat = Chat::new(|request| {
        let (moment, signature) = (request.header("x-rerail-timestamp"), request.header("x-rerail-signature"));
        let proved = sign::generic(
            KEY,
            moment.unwrap_or_default(),
            signature.unwrap_or_default(),
            request.body.as_bytes(),
            jiff::Timestamp::now(),
        );
        proved.is_err().then(|| "unsigned".to_owned())
    });
    let world = world();
    let yaml = format!(
        "{}chat:\n  generic:\n    secret: {{ from: file, path: key }}\n    url: \"{}/in\"\n    channels: [ops]\n",
        people("generic"),
        chat.ledger.url
    );
    let place = Place::new().file("rerail.yaml", yaml).file("key", KEY).runbook("fix", FIX);
    let server = Served::start(&place, "a.sock");
    let send = |body: &Json| -> Reply {
        let (text, moment) = (body.to_string(), jiff::Timestamp::now().as_second().to_string());
        let signature = sign::sign_generic(KEY, &moment, text.as_bytes());
        let headers = [
            ("content-type", "application/json"),
            ("x-rerail-timestamp", moment.as_str()),
            ("x-rerail-signature", signature.as_str()),
        ];
        server.tcp().send("POST", "/chat/generic", &headers, &text)
    };
    send(&json!({ "id": "1", "user": "1", "channel": "ops", "text": format!("run fix base={}", world.url) })).is(202);
    let form = chat.heard("POST", "/in", "\"type\":\"form\"");
    let values = json!({ "holds": form["form"]["holds"], "values": { "service": "gen" } });
    send(&json!({ "id": "2", "user": "1", "channel": "ops", "form": values })).is(202);
    let post = chat.heard("POST", "/in", "plan: fix");
    let start = post["buttons"][0]["holds"].clone();
    for _ in 0..3 {
        send(&json!({ "id": "3", "user": "1", "channel": "ops", "button": start, "message": post["message"] })).is(202);
    }
    let waits = chat.heard("POST", "/in", "needs an approval");
    assert_eq!((&waits["type"], &waits["thread"]), (&json!("post"), &post["message"]));
    send(&json!({ "id": "4", "user": "2", "channel": "ops", "button": waits["buttons"][0]["holds"] })).is(202);
    let ended = chat.heard("POST", "/in", "finished after");
    assert_eq!(ended["thread"], post["message"]);
    until("it is written once", || world.times("gen") == 1);
}
