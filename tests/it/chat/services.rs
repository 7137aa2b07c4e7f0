//! What Mattermost, Discord and a program behind the signed webhook do with what they are told: they keep it, show it to whom
//! it is for, know a repeat when they can, and refuse what the real ones refuse.

use std::io::Write as _;
use std::net::{Shutdown, TcpStream};
use std::sync::Mutex;
use std::time::Duration;

use rerail::surfaces::chat::sign;
use serde_json::{Value as Json, json};

use super::limits;
use super::rooms::{Form, GENERIC_KEY, Post, State};
use crate::binary::kit::{Request, answer, until};

/// How long the first answer to somebody may take: a form, and of Discord whatever is said.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

fn refuse(stream: &mut TcpStream, status: u16, json: &Json) {
    let body = json.to_string();
    let head =
        format!("HTTP/1.1 {status} No\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all(format!("{head}{body}").as_bytes()).ok();
}

/// Answers a message that was taken, or cuts the connection.
fn taken(state: &mut State, stream: &mut TcpStream, json: &Json) {
    if state.swallow > 0 {
        state.swallow -= 1;
        stream.shutdown(Shutdown::Both).ok();
        return;
    }
    state.answered += 1;
    answer(stream, json);
}

/// Keeps a message under its name, unless there is one; gives the one that stands there.
fn keep(state: &mut State, name: Option<&str>, post: Post) -> Post {
    if let Some(id) = name.and_then(|name| state.named.get(name)) {
        return state.posts.iter().find(|post| post.id == *id).unwrap().clone();
    }
    state.count += 1;
    let id = if post.id.is_empty() { format!("{}", 5000 + state.count) } else { post.id.clone() };
    state.named.extend(name.map(|name| (name.to_owned(), id.clone())));
    let post = Post { id, ..post };
    state.posts.push(post.clone());
    post
}

fn replace(state: &mut State, id: &str, with: Post) -> bool {
    let Some(post) = state.posts.iter_mut().find(|post| post.id == id) else { return false };
    *post = Post { id: id.to_owned(), thread: post.thread.clone(), edits: post.edits + 1, ..with };
    true
}

pub fn mattermost(shared: &Mutex<State>, request: &Request, stream: &mut TcpStream) {
    let body: Json = serde_json::from_str(&request.body).unwrap_or(Json::Null);
    let mut state = shared.lock().unwrap();
    if let Some(user) = request.path.strip_prefix("/commands/") {
        let post = json!({ "message": body["text"], "props": { "attachments": body["attachments"] } });
        state.wrong.extend(limits::mattermost_post(&post));
        state.whispers.push((user.to_owned(), mattermost_post(&post)));
        return answer(stream, &json!({}));
    }
    if request.header("authorization") != Some("Bearer fake-bot-token-8") {
        return refuse(stream, 401, &json!({ "message": "no" }));
    }
    let path = request.path.trim_start_matches("/api/v4/");
    match (request.method.as_str(), path) {
        ("POST", "posts") => {
            state.wrong.extend(limits::mattermost_post(&body));
            let kept = keep(&mut state, body["pending_post_id"].as_str(), mattermost_post(&body));
            let told = json!({ "id": kept.id, "message": kept.body["message"], "props": kept.body["props"] });
            taken(&mut state, stream, &told);
        }
        ("POST", "posts/ephemeral") => {
            state.wrong.extend(limits::mattermost_post(&body["post"]));
            let user = body["user_id"].as_str().unwrap().to_owned();
            state.whispers.push((user, mattermost_post(&body["post"])));
            answer(stream, &json!({}));
        }
        ("POST", "actions/dialogs/open") => {
            let trigger = state.triggers.remove(body["trigger_id"].as_str().unwrap_or_default());
            let Some((_, message)) = trigger.filter(|(at, _)| at.elapsed() <= ANSWER_WITHIN) else {
                return refuse(stream, 400, &json!({ "message": "the trigger is gone" }));
            };
            state.wrong.extend(limits::mattermost_dialog(&body));
            state.forms.push(Form { body, message });
            answer(stream, &json!({ "status": "OK" }));
        }
        ("PUT", path) if path.ends_with("/patch") => {
            state.wrong.extend(limits::mattermost_post(&body));
            let id = path.split('/').nth(1).unwrap();
            match replace(&mut state, id, mattermost_post(&body)) {
                true => answer(stream, &json!({})),
                false => refuse(stream, 404, &json!({ "message": "no such post" })),
            }
        }
        other => panic!("{other:?}"),
    }
}

fn mattermost_post(body: &Json) -> Post {
    let actions = body["props"]["attachments"].as_array().into_iter().flatten();
    let actions = actions.flat_map(|attachment| attachment["actions"].as_array().into_iter().flatten());
    let button =
        |action: &Json| (action["name"].as_str().unwrap().to_owned(), action["integration"]["context"].clone());
    Post {
        thread: body["root_id"].as_str().map(str::to_owned),
        text: body["message"].as_str().unwrap_or_default().to_owned(),
        buttons: actions.map(button).collect(),
        body: body.clone(),
        ..Post::default()
    }
}

pub fn discord(shared: &Mutex<State>, request: &Request, stream: &mut TcpStream) {
    let body: Json = serde_json::from_str(&request.body).unwrap_or(Json::Null);
    let parts: Vec<&str> = request.path.trim_start_matches("/api/v10/").split('/').collect();
    let is_bot = request.header("authorization") == Some("Bot fake-bot-token-8");
    // What the server answers the request itself with comes first, whichever of the two is read first here.
    let token_of = |token: &str| token.trim_start_matches("tok").to_owned();
    if let ["interactions" | "webhooks", _, token, ..] = parts.as_slice() {
        until("the interaction is answered", || {
            shared.lock().unwrap().interactions.get(&token_of(token)).is_none_or(|known| known.replied.is_some())
        });
    }
    let mut state = shared.lock().unwrap();
    match (request.method.as_str(), parts.as_slice()) {
        ("POST", ["channels", "70", "messages"]) if is_bot => {
            state.wrong.extend(limits::discord_message(&body, true));
            let name = body["nonce"].as_str().filter(|_| body["enforce_nonce"] == true);
            let kept = keep(&mut state, name, discord_post(&body));
            let told = json!({
                "id": kept.id, "content": kept.body["content"], "components": kept.body["components"],
            });
            taken(&mut state, stream, &told);
        }
        ("PATCH", ["channels", "70", "messages", id]) if is_bot => {
            state.wrong.extend(limits::discord_message(&body, true));
            match replace(&mut state, id, discord_post(&body)) {
                true => answer(stream, &json!({ "id": id })),
                false => refuse(stream, 404, &json!({ "code": 10008, "message": "Unknown Message" })),
            }
        }
        ("POST", ["interactions", id, token, "callback"]) => {
            let unknown = json!({ "code": 10062, "message": "Unknown interaction" });
            let Some(known) = state.interactions.get_mut(*id).filter(|_| token_of(token) == *id) else {
                return refuse(stream, 404, &unknown);
            };
            if known.first.is_some() {
                return refuse(stream, 400, &json!({ "code": 40060, "message": "already acknowledged" }));
            }
            if known.at.elapsed() > ANSWER_WITHIN || known.replied != Some(202) {
                return refuse(stream, 404, &unknown);
            }
            known.first = body["type"].as_u64();
            let (user, message) = (known.user.clone(), known.message.clone());
            match body["type"].as_u64() {
                Some(4) => {
                    state.wrong.extend(limits::discord_message(&body["data"], true));
                    if body["data"]["flags"] != 64 {
                        state.wrong.push(format!("seen by all: {body}"));
                    }
                    state.whispers.push((user, discord_post(&body["data"])));
                }
                Some(5) if body["data"]["flags"] == 64 => {}
                Some(9) => {
                    state.wrong.extend(limits::discord_modal(&body["data"]));
                    state.forms.push(Form { body: body["data"].clone(), message });
                }
                _ => state.wrong.push(format!("a first answer: {body}")),
            }
            if is_bot {
                state.wrong.push("the bot's token, where it is not needed".to_owned());
            }
            answer(stream, &json!({}));
        }
        ("PATCH", ["webhooks", "9", token, "messages", "@original"]) => {
            let known = state.interactions.get(&token_of(token)).filter(|known| matches!(known.first, Some(4 | 5)));
            let Some(user) = known.map(|known| known.user.clone()) else {
                return refuse(stream, 404, &json!({ "code": 10015, "message": "Unknown Webhook" }));
            };
            state.wrong.extend(limits::discord_message(&body, true));
            state.whispers.push((user, discord_post(&body)));
            answer(stream, &json!({ "id": "1" }));
        }
        _ => refuse(stream, 401, &json!({ "code": 0, "message": "401: Unauthorized" })),
    }
}

fn discord_post(body: &Json) -> Post {
    let rows = body["components"].as_array().into_iter().flatten();
    let buttons = rows.flat_map(|row| row["components"].as_array().into_iter().flatten());
    let button = |button: &Json| (button["label"].as_str().unwrap().to_owned(), button["custom_id"].clone());
    Post {
        thread: body["message_reference"]["message_id"].as_str().map(str::to_owned),
        text: body["content"].as_str().unwrap_or_default().to_owned(),
        buttons: buttons.map(button).collect(),
        body: body.clone(),
        ..Post::default()
    }
}

pub fn generic(shared: &Mutex<State>, request: &Request, stream: &mut TcpStream) {
    let header = |name: &str| request.header(name).unwrap_or_default().to_owned();
    let (moment, signature) = (header("x-rerail-timestamp"), header("x-rerail-signature"));
    let now = jiff::Timestamp::now();
    if sign::generic(GENERIC_KEY, &moment, &signature, request.body.as_bytes(), now).is_err() {
        return refuse(stream, 401, &json!({ "message": "unsigned" }));
    }
    let body: Json = serde_json::from_str(&request.body).unwrap();
    let mut state = shared.lock().unwrap();
    let (post, id) = (generic_post(&body), body["message"].as_str().unwrap_or_default().to_owned());
    match body["type"].as_str().unwrap() {
        // Few lines are enough: what is there already is written anew.
        "post" => {
            if !replace(&mut state, &id, post.clone()) {
                keep(&mut state, None, post);
            }
            return taken(&mut state, stream, &json!({}));
        }
        "edit" => assert!(replace(&mut state, &id, post), "{body}"),
        "whisper" => {
            let user = body["user"].as_str().unwrap().to_owned();
            state.whispers.push((user, post));
        }
        "form" => {
            let message = body["message"].as_str().map(str::to_owned);
            state.forms.push(Form { body, message });
        }
        other => panic!("{other}"),
    }
    answer(stream, &json!({}));
}

fn generic_post(body: &Json) -> Post {
    let lines = body["lines"].as_array().into_iter().flatten().map(|line| line["text"].as_str().unwrap());
    let text = std::iter::once(body["title"].as_str().unwrap_or_default()).chain(lines).collect::<Vec<_>>().join("\n");
    let buttons = body["buttons"].as_array().into_iter().flatten();
    Post {
        id: body["message"].as_str().unwrap_or_default().to_owned(),
        thread: body["thread"].as_str().map(str::to_owned),
        text,
        buttons: buttons.map(|b| (b["label"].as_str().unwrap().to_owned(), b["holds"].clone())).collect(),
        body: body.clone(),
        ..Post::default()
    }
}
