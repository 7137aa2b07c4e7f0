//! What people look at while something is broken, at one address: Slack, Mattermost, Discord, PagerDuty, Statuspage and Sentry.
//! Each keeps what it was told.

use rerail::world::Platform;
use rerail::world::http::{Answer, Request};
use serde_json::{Value as Json, json};

/// Who may, everywhere.
pub const TOKEN: &str = "hunter2-token-of-a-bot-example";

/// A message in one of the chats.
pub struct Post {
    pub id: String,
    pub text: String,
    /// What it carries that people don't see.
    pub mark: Json,
}

/// What the public is told.
pub struct Incident {
    pub name: String,
    pub status: String,
    /// State and text of each update, newest first.
    pub said: Vec<(String, String)>,
}

#[derive(Default)]
pub struct Desk {
    pub posts: Vec<Post>,
    /// Alerts by their key, with what was said of each last.
    pub alerts: Vec<(String, String)>,
    pub incidents: Vec<Incident>,
    /// Whether the bot of Slack may read the channel.
    pub blind: bool,
    pub heard: Vec<Request>,
}

impl Desk {
    fn slack(&mut self, path: &str, body: &Json) -> Json {
        let ok = |id: &str| json!({ "ok": true, "ts": id, "channel": "C0123456789" });
        match path {
            "chat.postMessage" if body["channel"] != "C0123456789" => {
                json!({ "ok": false, "error": "channel_not_found" })
            }
            "chat.postMessage" => ok(&self.post(&body["text"], body["metadata"].clone())),
            "chat.update" => match self.change(body["ts"].as_str().unwrap_or_default(), &body["text"]) {
                Some(id) => ok(&id),
                None => json!({ "ok": false, "error": "message_not_found" }),
            },
            "conversations.history" if self.blind => json!({ "ok": false, "error": "missing_scope" }),
            "conversations.history" => {
                let all = self.posts.iter().rev();
                let all = all.map(|post| json!({ "ts": post.id, "text": post.text, "metadata": post.mark }));
                json!({ "ok": true, "messages": all.collect::<Json>() })
            }
            _ => json!({ "ok": false, "error": "unknown_method" }),
        }
    }

    fn mattermost(&mut self, method: &str, path: &[&str], body: &Json) -> Answer {
        match (method, path) {
            ("POST", ["posts"]) => {
                let id = self.post(&body["message"], body["props"].clone());
                Answer::json(201, json!({ "id": id }).to_string())
            }
            ("PUT", ["posts", id, "patch"]) => match self.change(id, &body["message"]) {
                Some(id) => Answer::json(200, json!({ "id": id }).to_string()),
                None => Answer::json(404, "{}"),
            },
            ("GET", ["channels", _, "posts"]) => {
                let all = self.posts.iter().map(|post| (post.id.clone(), json!({ "id": post.id, "props": post.mark })));
                Answer::json(200, json!({ "posts": all.collect::<serde_json::Map<_, _>>() }).to_string())
            }
            _ => Answer::json(404, "{}"),
        }
    }

    fn discord(&mut self, method: &str, path: &[&str], body: &Json) -> Answer {
        let id = match (method, path) {
            ("POST", ["webhook"]) => Some(self.post(&body["content"], Json::Null)),
            ("PATCH", ["webhook", "messages", id]) => self.change(id, &body["content"]),
            _ => None,
        };
        id.map_or(Answer::json(404, "{}"), |id| Answer::json(200, json!({ "id": id }).to_string()))
    }

    fn pagerduty(&mut self, body: &Json) -> Answer {
        let text = |value: &Json| value.as_str().unwrap_or_default().to_owned();
        if text(&body["routing_key"]) != TOKEN {
            return Answer::json(400, r#"{"status":"invalid event"}"#);
        }
        let (key, action) = (text(&body["dedup_key"]), text(&body["event_action"]));
        match self.alerts.iter_mut().find(|(known, _)| *known == key) {
            Some(alert) => alert.1 = action,
            None => self.alerts.push((key.clone(), action)),
        }
        Answer::json(202, json!({ "status": "success", "dedup_key": key }).to_string())
    }

    fn statuspage(&mut self, method: &str, path: &[&str], body: &Json) -> Answer {
        let text = |name: &str| body["incident"][name].as_str().unwrap_or_default().to_owned();
        match (method, path) {
            ("GET", ["incidents", "unresolved"]) => {
                let open = self.incidents.iter().enumerate().filter(|(_, one)| one.status != "resolved");
                let open = open.map(|(at, one)| json!({ "id": at.to_string(), "name": one.name }));
                Answer::json(200, open.collect::<Json>().to_string())
            }
            ("POST", ["incidents"]) => {
                let said = vec![(text("status"), text("body"))];
                self.incidents.push(Incident { name: text("name"), status: text("status"), said });
                Answer::json(201, json!({ "id": (self.incidents.len() - 1).to_string() }).to_string())
            }
            (method @ ("GET" | "PATCH"), ["incidents", id]) => {
                let found = id.parse::<usize>().ok().and_then(|at| self.incidents.get_mut(at));
                let Some(Incident { status, said, .. }) = found else { return Answer::json(404, "{}") };
                if method == "PATCH" {
                    *status = text("status");
                    said.insert(0, (text("status"), text("body")));
                }
                let said: Json = said.iter().map(|(status, body)| json!({ "status": status, "body": body })).collect();
                Answer::json(200, json!({ "id": id, "status": status, "incident_updates": said }).to_string())
            }
            _ => Answer::json(404, "{}"),
        }
    }

    fn post(&mut self, text: &Json, mark: Json) -> String {
        let id = format!("{}.000100", self.posts.len() + 1);
        self.posts.push(Post { id: id.clone(), text: text.as_str().unwrap_or_default().to_owned(), mark });
        id
    }

    fn change(&mut self, id: &str, text: &Json) -> Option<String> {
        let post = self.posts.iter_mut().find(|post| post.id == id)?;
        text.as_str().unwrap_or_default().clone_into(&mut post.text);
        Some(post.id.clone())
    }
}

impl Platform for Desk {
    fn called(&self, request: &Request) -> Option<String> {
        Some(format!("{} {}", request.method, request.path.split('?').next().unwrap_or_default()))
    }

    fn answer(&mut self, request: &Request) -> Answer {
        self.heard.push(request.clone());
        let path = request.path.split('?').next().unwrap_or_default();
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        let body: Json = serde_json::from_str(&request.body).unwrap_or(Json::Null);
        let login = request.header("authorization").unwrap_or_default();
        let may = |scheme: &str| login == format!("{scheme} {TOKEN}");
        match (request.method.as_str(), parts.as_slice()) {
            (_, ["slack", method]) if may("Bearer") => Answer::json(200, self.slack(method, &body).to_string()),
            (method, ["api", "v4", rest @ ..]) if may("Bearer") => self.mattermost(method, rest, &body),
            (method, ["discord", rest @ ..]) => self.discord(method, rest, &body),
            ("POST", ["v2", "enqueue"]) => self.pagerduty(&body),
            (method, ["v1", "pages", "abc123", rest @ ..]) if may("OAuth") => self.statuspage(method, rest, &body),
            ("GET", ["api", "0", "projects", "example", "backend", "issues"]) if may("Bearer") => {
                let asked = request.path.contains("query=is%3Aunresolved%20firstSeen%3A%3E%3D2026-11-20");
                let one =
                    json!([{ "id": "7", "title": "KeyError", "count": "12", "firstSeen": "2026-11-20T14:05:00Z" }]);
                Answer::json(200, if asked { one.to_string() } else { "[]".to_owned() })
            }
            _ => Answer::json(401, r#"{"error":"not_authed"}"#),
        }
    }
}
