//! The backend that sends mail, as far as its users see it: a health check, and a place to ask for a new password that says
//! the same whoever asks.

use serde_json::{Value as Json, json};

use crate::world::http::{Answer, Request};
use crate::world::resend::Resend;

/// How it answers somebody who has forgotten a password.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Forgot {
    /// The same for everybody.
    #[default]
    Neutral,
    /// Otherwise for who has no account.
    Telling,
    /// It says yes and sends nothing.
    Silent,
    /// It fails.
    Broken,
    /// Too many have asked.
    Limited,
}

/// One backend.
#[derive(Clone, Debug, Default)]
pub struct Backend {
    /// What it was started with: the key it sends with, and who it says it is.
    pub key: String,
    pub from: String,
    pub frontend: String,
    pub accounts: Vec<String>,
    pub forgot: Forgot,
    pub ill: bool,
}

impl Backend {
    /// Answers a user; what it sends goes to `resend`.
    pub fn answer(&mut self, request: &Request, path: &str, resend: &mut Resend) -> Answer {
        match (request.method.as_str(), path) {
            ("GET", "/health") if self.ill => Answer::json(503, r#"{"status":"degraded"}"#),
            ("GET", "/health") => Answer::json(200, r#"{"status":"healthy"}"#),
            ("POST", "/api/auth/forgot-password") => self.forgotten(&request.body, resend),
            _ => Answer::json(404, r#"{"detail":"Not Found"}"#),
        }
    }

    fn forgotten(&self, body: &str, resend: &mut Resend) -> Answer {
        let body: Json = serde_json::from_str(body).unwrap_or(Json::Null);
        let Some(address) = body["email"].as_str() else {
            return Answer::json(422, r#"{"detail":"email is missing"}"#);
        };
        match self.forgot {
            Forgot::Broken => return Answer::json(500, r#"{"detail":"Internal Server Error"}"#),
            Forgot::Limited => return Answer::json(429, r#"{"detail":"Too many requests"}"#),
            Forgot::Neutral | Forgot::Telling | Forgot::Silent => {}
        }
        let known = self.accounts.iter().any(|account| account == address);
        if known && self.forgot != Forgot::Silent {
            let text = format!("{}/reset?token=reset-token-example-{}", self.frontend, resend.emails.len());
            let message = json!({ "from": self.from, "to": address, "subject": "Your new password", "text": text });
            // Whether it went out is not told, which is what makes it neutral, and hides it.
            resend.send(&self.key, None, &message).ok();
        }
        match (self.forgot, known) {
            (Forgot::Telling, false) => Answer::json(404, r#"{"detail":"no such account"}"#),
            _ => Answer::json(200, r#"{"message":"If there is such an account, a message is on its way."}"#),
        }
    }
}
