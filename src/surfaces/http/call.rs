//! One request on its way to a route, and what the route answers.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::Value as Json;
use url::form_urlencoded;

use crate::engine::event::Actor;
use crate::engine::traceparent::Traceparent;
use crate::runs::{RunRow, Runs};
use crate::surfaces::http::authority::Principal;
use crate::surfaces::http::problem::Problem;
use crate::surfaces::http::serve::Server;

/// Letters of a run's id that are enough to name it: what people are shown.
const RUN_CHARS_MIN: usize = 6;
/// Letters of the longest id, a UUID.
const RUN_CHARS_MAX: usize = 36;
/// Letters of the longest name of a runbook or target.
const NAME_CHARS_MAX: usize = 64;

/// A request that was let in.
pub struct Call<'s> {
    pub server: &'s Server,
    /// The door, with the project as it is now.
    pub runs: Arc<Runs>,
    pub principal: Principal,
    /// What stands in the path for `{run}` or `{runbook}`.
    pub subject: Option<String>,
    /// What stands in the path behind it, for `{*step}`.
    pub rest: Option<String>,
    pub query: Option<String>,
    /// The body, of those that have one.
    pub body: Vec<u8>,
    /// The fields of a form, of those that have one: each once.
    pub fields: Vec<(String, String)>,
    /// The span of whoever asks, if they say one.
    pub traceparent: Option<Traceparent>,
}

/// Somebody at the door, who has not proved anything yet or is about to leave.
pub struct Knock<'s> {
    pub server: &'s Server,
    pub runs: Arc<Runs>,
    pub query: Option<String>,
    /// The fields of the form.
    pub fields: Vec<(String, String)>,
    /// The secret of the session they have, if any.
    pub session: Option<String>,
    /// Whether it was asked under a name that was declared, which TLS stands in front of.
    pub declared: bool,
}

/// What a route answers.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: String,
    pub media_type: &'static str,
    /// Further headers.
    pub headers: Vec<(&'static str, String)>,
}

impl Answer {
    /// JSON, laid out for people as the terminal does.
    pub fn json(status: u16, json: &Json) -> Answer {
        let body = serde_json::to_string_pretty(json).unwrap_or_else(|_| json.to_string()) + "\n";
        Answer { status, body, media_type: "application/json", headers: Vec::new() }
    }

    /// Text of another kind.
    pub fn text(media_type: &'static str, body: String) -> Answer {
        Answer { status: 200, body, media_type, headers: Vec::new() }
    }

    /// The same with another status.
    pub fn status(self, status: u16) -> Answer {
        Answer { status, ..self }
    }

    /// Sends a browser on to a page of ours.
    pub fn see(path: &str) -> Answer {
        Answer { status: 303, ..Answer::text("text/plain; charset=utf-8", path.to_owned()) }
    }

    /// The same with a header.
    pub fn with(mut self, name: &'static str, value: String) -> Answer {
        self.headers.push((name, value));
        self
    }
}

impl<'s> Call<'s> {
    /// A request of a program.
    pub fn new(
        server: &'s Server,
        runs: Arc<Runs>,
        principal: Principal,
        subject: Option<String>,
        query: Option<String>,
        body: Vec<u8>,
    ) -> Call<'s> {
        Call { server, runs, principal, subject, rest: None, query, body, fields: Vec::new(), traceparent: None }
    }

    /// The fields of a form.
    pub fn form(&self) -> &[(String, String)] {
        &self.fields
    }

    /// The same caller and subject, saying this: for forms that say what a request of the API says.
    pub fn saying(&self, json: &Json) -> Call<'s> {
        Call {
            server: self.server,
            runs: Arc::clone(&self.runs),
            principal: self.principal.clone(),
            subject: self.subject.clone(),
            rest: self.rest.clone(),
            query: None,
            body: json.to_string().into_bytes(),
            fields: Vec::new(),
            traceparent: self.traceparent.clone(),
        }
    }

    /// The run that the path names: by its short id, the whole one, or the beginning of one.
    ///
    /// # Errors
    /// 404 if there is none.
    pub fn run(&self) -> Result<RunRow, Problem> {
        let id = self.subject.as_deref().unwrap_or_default();
        let word = id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        if !word || !(RUN_CHARS_MIN..=RUN_CHARS_MAX).contains(&id.len()) {
            return Err(Problem::new(404, "no such run: a run is named by its id, six letters or the whole of it"));
        }
        Ok(self.runs.find(id)?)
    }

    /// Who acts on a run, as the people of its own project know them.
    ///
    /// # Errors
    /// If they are nobody there.
    pub fn actor_on(&self, run: &RunRow) -> Result<Actor, Problem> {
        Ok(self.runs.identify_for(&self.principal.caller, run)?)
    }

    /// The body as JSON with these fields and no others.
    ///
    /// # Errors
    /// 400, with what was expected.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        serde_json::from_slice(&self.body).map_err(|error| Problem::new(400, format!("the body is not right: {error}")))
    }

    /// The parameters of the query, each once; `known` are all there may be.
    ///
    /// # Errors
    /// 400, with the one that is unknown or given twice.
    pub fn parameters(&self, known: &[&str]) -> Result<Vec<(String, String)>, Problem> {
        let mut found: Vec<(String, String)> = Vec::new();
        for (name, value) in form_urlencoded::parse(self.query.as_deref().unwrap_or_default().as_bytes()) {
            if !known.contains(&name.as_ref()) {
                let listed = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                return Err(
                    Problem::new(400, format!("unknown parameter `{name}`")).hint(format!("there are: {listed}"))
                );
            }
            if found.iter().any(|(other, _)| *other == name) {
                return Err(Problem::new(400, format!("the parameter `{name}` is given twice")));
            }
            found.push((name.into_owned(), value.into_owned()));
        }
        Ok(found)
    }
}

/// A name of a runbook or target: never a path, whatever files there are.
///
/// # Errors
/// 404, as for a name that nothing has.
pub fn plain_name<'a>(what: &str, name: &'a str) -> Result<&'a str, Problem> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    match name.len() <= NAME_CHARS_MAX
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(word)
    {
        true => Ok(name),
        false => Err(Problem::new(404, format!("no such {what}: a server knows them by name and not by path"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_never_a_path() {
        for good in ["fix", "crash-loop", "a_1"] {
            assert!(plain_name("runbook", good).is_ok(), "{good}");
        }
        for bad in
            ["", "../x", "runbooks/fix.yaml", "fix.yaml", "/etc/passwd", "a/b", "a\\b", "..", "-x", "a b", "ä", "%2e"]
        {
            assert_eq!(plain_name("runbook", bad).unwrap_err().status, 404, "{bad}");
        }
        assert!(plain_name("runbook", &"a".repeat(65)).is_err());
    }
}
