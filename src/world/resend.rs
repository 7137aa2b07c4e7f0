//! Resend: an account with keys, domains and messages behind a REST API that is as strict as the real one, and mailboxes on the
//! other side with a fate each. A message moves by being looked at.

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Value as Json, json};

use crate::world::Platform;
use crate::world::http::{Answer, Request};

/// Seconds for which a key of a message is kept: 24 hours.
const KEPT_S: u64 = 24 * 60 * 60;
/// Characters of such a key at most.
const KEY_CHARS_MAX: usize = 256;
/// Recipients of one message at most.
const RECIPIENTS_MAX: usize = 50;
/// Fields of a message that there are.
const FIELDS: [&str; 14] = [
    "from",
    "to",
    "subject",
    "bcc",
    "cc",
    "reply_to",
    "html",
    "text",
    "template",
    "headers",
    "scheduled_at",
    "attachments",
    "tags",
    "topic_id",
];

/// What a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    Everything,
    Sending,
}

#[derive(Clone, Debug)]
pub struct ApiKey {
    pub id: String,
    pub name: String,
    pub token: String,
    pub access: Access,
}

#[derive(Clone, Debug)]
pub struct Domain {
    pub id: String,
    pub name: String,
    /// `verified`, `pending`, `failed` …
    pub status: String,
}

#[derive(Clone, Debug)]
pub struct Email {
    pub id: String,
    pub from: String,
    pub to: Vec<String>,
    pub subject: String,
    pub text: String,
    pub last_event: String,
    /// Events to come, a look for each.
    ahead: VecDeque<&'static str>,
}

/// What becomes of messages to an address; they arrive without a word here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Bounces,
    Suppressed,
    /// It is on its way for ever.
    Stuck,
}

/// The answer that a key of a message is bound to.
struct Kept {
    payload: Json,
    id: String,
    at_s: u64,
}

/// The account.
#[derive(Default)]
pub struct Resend {
    pub keys: Vec<ApiKey>,
    pub domains: Vec<Domain>,
    /// Oldest first.
    pub emails: Vec<Email>,
    pub fates: BTreeMap<String, Fate>,
    /// Seconds since the beginning; nothing moves it by itself.
    pub now_s: u64,
    /// The name of the error with which every call is one too many, such as `daily_quota_exceeded`.
    pub limited: Option<&'static str>,
    kept: BTreeMap<(String, String), Kept>,
}

impl Resend {
    /// An account with one domain that is verified and a key for everything.
    pub fn new(domain: &str, token: &str) -> Resend {
        let mut resend = Resend::default();
        resend.domain(domain, "verified");
        resend.key("operator", token, Access::Everything);
        resend
    }

    pub fn domain(&mut self, name: &str, status: &str) {
        let id = format!("d-{}", self.domains.len() + 1);
        self.domains.push(Domain { id, name: name.to_owned(), status: status.to_owned() });
    }

    pub fn key(&mut self, name: &str, token: &str, access: Access) {
        let id = format!("k-{}", self.keys.len() + 1);
        self.keys.push(ApiKey { id, name: name.to_owned(), token: token.to_owned(), access });
    }

    /// Messages to an address, by how often each subject was sent.
    pub fn sent_to(&self, address: &str) -> usize {
        self.emails.iter().filter(|email| email.to.iter().any(|to| to == address)).count()
    }

    /// Takes a message from whoever has a token, as `POST /emails` does.
    ///
    /// # Errors
    /// Status, name and message of the refusal.
    pub fn send(&mut self, token: &str, key: Option<&str>, message: &Json) -> Result<String, Refusal> {
        self.may(token, Access::Sending)?;
        if key.is_some_and(|key| key.is_empty() || key.len() > KEY_CHARS_MAX) {
            return Err(refusal(400, "invalid_idempotency_key", "The key must be between 1-256 chars."));
        }
        let named = key.map(|key| (token.to_owned(), key.to_owned()));
        if let Some(kept) = named.as_ref().and_then(|named| self.kept.get(named))
            && self.now_s - kept.at_s < KEPT_S
        {
            if kept.payload == *message {
                return Ok(kept.id.clone());
            }
            let said = "This idempotency key has been used on a request with a different payload.";
            return Err(refusal(409, "invalid_idempotent_request", said));
        }
        let (from, to) = self.envelope(message)?;
        let text = |name: &str| message[name].as_str().unwrap_or_default().to_owned();
        let id = format!("00000000-0000-4000-8000-{:012x}", self.emails.len() + 1);
        let ahead: &[&str] = match to.iter().find_map(|to| self.fates.get(to)) {
            None => &["sent", "delivered"],
            Some(Fate::Bounces) => &["sent", "bounced"],
            Some(Fate::Suppressed) => &["suppressed"],
            Some(Fate::Stuck) => &["sent", "delivery_delayed"],
        };
        self.emails.push(Email {
            id: id.clone(),
            from,
            to,
            subject: text("subject"),
            text: text("text"),
            last_event: "queued".to_owned(),
            ahead: ahead.iter().copied().collect(),
        });
        if let Some(named) = named {
            self.kept.insert(named, Kept { payload: message.clone(), id: id.clone(), at_s: self.now_s });
        }
        Ok(id)
    }

    /// Sender and recipients of a message that is one.
    fn envelope(&self, message: &Json) -> Result<(String, Vec<String>), Refusal> {
        let Some(fields) = message.as_object() else {
            return Err(refusal(422, "validation_error", "The body must be an object."));
        };
        if let Some(unknown) = fields.keys().find(|name| !FIELDS.contains(&name.as_str())) {
            return Err(refusal(422, "validation_error", &format!("Unknown field `{unknown}`.")));
        }
        for field in ["from", "to", "subject"] {
            if fields.get(field).is_none_or(|value| value.as_str().is_some_and(str::is_empty)) {
                return Err(refusal(422, "missing_required_field", &format!("Missing `{field}` field.")));
            }
        }
        if !["text", "html", "template"].iter().any(|field| fields.contains_key(*field)) {
            return Err(refusal(422, "missing_required_field", "Missing `html` or `text` field."));
        }
        let to: Vec<String> = match &message["to"] {
            Json::String(one) => vec![one.clone()],
            Json::Array(all) => all.iter().filter_map(Json::as_str).map(str::to_owned).collect(),
            _ => Vec::new(),
        };
        if to.is_empty() || to.len() > RECIPIENTS_MAX || to.iter().any(|to| !to.contains('@')) {
            return Err(refusal(422, "validation_error", "Invalid `to` field."));
        }
        let from = message["from"].as_str().unwrap_or_default();
        let bare = from.split_once('<').map_or(Some(from), |(_, rest)| rest.strip_suffix('>')).map(str::trim);
        let Some((_, domain)) = bare.and_then(|bare| bare.split_once('@')).filter(|(name, _)| !name.is_empty()) else {
            let said = "Invalid `from` field. The email address needs to follow the `email@example.com` format.";
            return Err(refusal(422, "invalid_from_address", said));
        };
        if !self.domains.iter().any(|known| known.name.eq_ignore_ascii_case(domain) && known.status == "verified") {
            return Err(refusal(403, "validation_error", &format!("The {domain} domain is not verified.")));
        }
        Ok((from.to_owned(), to))
    }

    fn may(&self, token: &str, wanted: Access) -> Result<(), Refusal> {
        match self.keys.iter().find(|key| key.token == token).map(|key| key.access) {
            None if token.is_empty() => Err(refusal(401, "missing_api_key", "Missing API key.")),
            None => Err(refusal(403, "invalid_api_key", "API key is invalid.")),
            Some(access) if access == wanted || access == Access::Everything => Ok(()),
            Some(_) => Err(refusal(401, "restricted_api_key", "This API key is restricted to only send emails.")),
        }
    }

    fn done(&mut self, request: &Request) -> Result<Json, Refusal> {
        let token = request.header("authorization").and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        let limit = query.split('&').find_map(|pair| pair.strip_prefix("limit=")).map(|text| text.parse::<usize>());
        let limit = match limit {
            None => 20,
            Some(Ok(limit @ 1..=100)) => limit,
            Some(_) => return Err(refusal(422, "validation_error", "The limit must be between 1 and 100.")),
        };
        if (request.method.as_str(), path) != ("POST", "/emails") {
            self.may(token, Access::Everything)?;
        }
        match (request.method.as_str(), path) {
            ("POST", "/emails") => {
                let message = serde_json::from_str(&request.body).unwrap_or(Json::Null);
                let id = self.send(token, request.header("idempotency-key"), &message)?;
                Ok(json!({ "id": id }))
            }
            ("GET", "/emails") => Ok(listed(self.emails.iter().rev().map(Email::line).collect(), limit)),
            ("GET", "/domains") => {
                let all = self
                    .domains
                    .iter()
                    .map(|one| json!({ "id": one.id, "name": one.name, "status": one.status, "region": "eu-west-1" }));
                Ok(listed(all.collect(), limit))
            }
            ("GET", "/api-keys") => {
                let all = self
                    .keys
                    .iter()
                    .map(|key| json!({ "id": key.id, "name": key.name, "created_at": "2026-01-01 00:00:00+00" }));
                Ok(listed(all.collect(), limit))
            }
            ("GET", path) => {
                let id = path.strip_prefix("/emails/").unwrap_or_default();
                match self.emails.iter_mut().find(|email| email.id == id) {
                    Some(email) => Ok(email.look()),
                    None => Err(refusal(404, "not_found", "Email not found")),
                }
            }
            (method, _) => Err(refusal(405, "method_not_allowed", &format!("Method {method} is not allowed."))),
        }
    }
}

impl Email {
    fn look(&mut self) -> Json {
        if let Some(next) = self.ahead.pop_front() {
            self.last_event = next.to_owned();
        }
        let mut shown = self.line();
        shown["text"] = json!(self.text);
        shown["html"] = json!(format!("<p>{}</p>", self.text));
        shown["message_id"] = json!(format!("<{}@mail.example.com>", self.id));
        shown
    }

    fn line(&self) -> Json {
        json!({
            "object": "email", "id": self.id, "from": self.from, "to": self.to, "subject": self.subject,
            "cc": null, "bcc": null, "reply_to": null, "created_at": "2026-11-21 03:00:00.000000+00",
            "last_event": self.last_event,
        })
    }
}

impl Platform for Resend {
    fn called(&self, request: &Request) -> Option<String> {
        let path = request.path.split('?').next().unwrap_or_default();
        let one = path.strip_prefix("/emails/").map(|_| "/emails/{id}");
        Some(format!("{} {}", request.method, one.unwrap_or(path)))
    }

    fn answer(&mut self, request: &Request) -> Answer {
        if request.header("user-agent").is_none_or(str::is_empty) {
            // The edge in front of it, which knows no JSON.
            return Answer { status: 403, headers: Vec::new(), body: "error code: 1010".to_owned() };
        }
        let done = match self.limited {
            Some(name) => Err(refusal(429, name, "Too many requests.")),
            None => self.done(request),
        };
        let answer = match done {
            Ok(body) => Answer::json(200, body.to_string()),
            Err(no) => {
                let body = json!({ "statusCode": no.status, "name": no.name, "message": no.message });
                Answer::json(no.status, body.to_string())
            }
        };
        let answer = if answer.status == 429 { answer.header("retry-after", "0") } else { answer };
        answer.header("ratelimit-limit", "2").header("ratelimit-policy", "2;w=1")
    }
}

/// Why something isn't done.
#[derive(Clone, Debug)]
pub struct Refusal {
    pub status: u16,
    pub name: &'static str,
    pub message: String,
}

fn refusal(status: u16, name: &'static str, message: &str) -> Refusal {
    Refusal { status, name, message: message.to_owned() }
}

fn listed(all: Vec<Json>, limit: usize) -> Json {
    json!({ "object": "list", "has_more": all.len() > limit, "data": all.into_iter().take(limit).collect::<Json>() })
}
