//! Why a request was not done, as problem details (RFC 9457), in the words of the terminal.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value as Json, json};

use crate::runbook::problem::{Problem as Fault, render};
use crate::runs::{ErrorKind, RunsError};
use crate::surfaces::cli::error::CliError;
use crate::surfaces::cli::exit::Exit;

/// The media type of a problem.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// A problem with its status.
#[derive(Debug)]
pub struct Problem {
    pub status: u16,
    /// A lower-case fragment.
    pub message: String,
    pub hints: Vec<String>,
    /// What the terminal would have exited with.
    pub exit: Exit,
    /// Mistakes of a text, with places.
    pub faults: Vec<Fault>,
    /// After how many seconds it is worth another try.
    pub retry_after: Option<u32>,
}

impl Problem {
    /// A problem with this status.
    pub fn new(status: u16, message: impl Into<String>) -> Problem {
        let exit = match status {
            401 | 403 => Exit::NOT_ALLOWED,
            409 | 429 | 503 => Exit::BUSY,
            400..=499 => Exit::USAGE,
            _ => Exit::TOOL_FAILED,
        };
        Problem { status, message: message.into(), hints: Vec::new(), exit, faults: Vec::new(), retry_after: None }
    }

    /// The same with a way out.
    pub fn hint(mut self, hint: impl Into<String>) -> Problem {
        self.hints.push(hint.into());
        self
    }

    /// The same with a time after which to try again.
    pub fn after(mut self, seconds: u32) -> Problem {
        self.retry_after = Some(seconds);
        self
    }

    /// What it is to the door: whether something may have been done.
    pub fn kind(&self) -> ErrorKind {
        match self.status {
            400..=499 => ErrorKind::Usage,
            503 => ErrorKind::Busy,
            507 => ErrorKind::Full,
            _ => ErrorKind::Internal,
        }
    }

    /// The document.
    pub fn to_json(&self) -> Json {
        let title = StatusCode::from_u16(self.status).ok().and_then(|status| status.canonical_reason());
        let word = title.unwrap_or("problem").to_ascii_lowercase().replace(' ', "-");
        json!({
            "type": format!("urn:rerail:problem:{word}"),
            "title": title,
            "status": self.status,
            "detail": self.message,
            "hints": self.hints,
            "exit_code": self.exit.0,
            "problems": self.faults.iter().map(Fault::to_json).collect::<Vec<_>>(),
            "picture": (!self.faults.is_empty()).then(|| render(&self.faults, false)),
        })
    }

    /// The answer, with this document as its body.
    pub fn respond(&self, text: String) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, [(header::CONTENT_TYPE, MEDIA_TYPE)], text).into_response();
        if self.status == 401 {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<RunsError> for Problem {
    fn from(error: RunsError) -> Self {
        let RunsError { kind, message, hints, problems } = error;
        let (status, retry_after) = match kind {
            ErrorKind::Usage => (400, None),
            ErrorKind::Invalid => (422, None),
            ErrorKind::NotFound => (404, None),
            ErrorKind::NotAllowed => (403, None),
            ErrorKind::Stale => (409, None),
            ErrorKind::Busy => (409, Some(1)),
            ErrorKind::Interrupted(_) => (503, Some(1)),
            ErrorKind::Full => (507, None),
            ErrorKind::Storage | ErrorKind::Damaged | ErrorKind::Internal => (500, None),
        };
        Problem { status, message, hints, exit: Exit::of_error(kind), faults: problems, retry_after }
    }
}

impl From<CliError> for Problem {
    fn from(error: CliError) -> Self {
        let CliError { exit, message, hints, problems } = error;
        let status = match exit {
            Exit::USAGE => 400,
            Exit::INVALID => 422,
            Exit::NOT_ALLOWED => 403,
            _ => 500,
        };
        Problem { status, message, hints, exit, faults: problems, retry_after: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_says_what_the_terminal_says() {
        let error = RunsError::new(ErrorKind::NotAllowed, "`eve` is no person").hint("ask ana");
        let problem = Problem::from(error);
        let json = problem.to_json();
        assert_eq!(json["type"], "urn:rerail:problem:forbidden");
        assert_eq!((&json["status"], &json["detail"]), (&json!(403), &json!("`eve` is no person")));
        assert_eq!((&json["hints"], &json["exit_code"]), (&json!(["ask ana"]), &json!(4)));
        let response = Problem::new(401, "who are you").respond(String::new());
        assert_eq!(response.headers()["www-authenticate"], "Bearer");
        assert_eq!(response.headers()["content-type"], MEDIA_TYPE);
        assert_eq!(Problem::new(429, "slower").after(3).respond(String::new()).headers()["retry-after"], "3");
    }
}
