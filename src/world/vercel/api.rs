//! The endpoint: which call a request is, whether it may be made, and what is wrong with its query or body.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use url::form_urlencoded::parse;

use super::{Vercel, refused};
use crate::world::http::{Answer, Request};

/// What it knows: a name, the method and path, and the parameters of the query beside those of the team.
const CALLS: [(&str, &str, &[&str]); 15] = [
    ("project", "GET /v9/projects/{id}", &[]),
    ("variables", "GET /v10/projects/{id}/env", &[]),
    ("variable", "GET /v1/projects/{id}/env/{variable}", &[]),
    ("set", "POST /v10/projects/{id}/env", &["upsert"]),
    ("unset", "DELETE /v9/projects/{id}/env/{variable}", &[]),
    ("deployments", "GET /v7/deployments", &["projectId", "limit", "until", "target", "state", "rollbackCandidate"]),
    ("deployment", "GET /v13/deployments/{deployment}", &[]),
    ("deploy", "POST /v13/deployments", &["forceNew"]),
    ("cancel", "PATCH /v12/deployments/{deployment}/cancel", &[]),
    ("events", "GET /v3/deployments/{deployment}/events", &["limit", "builds"]),
    ("promote", "POST /v10/projects/{id}/promote/{deployment}", &[]),
    ("moved", "GET /v1/projects/{id}/promote/aliases", &["failedOnly"]),
    ("rollback", "POST /v1/projects/{id}/rollback/{deployment}", &["description"]),
    ("alias", "GET /v4/aliases/{alias}", &[]),
    ("user", "GET /v2/user", &[]),
];
/// Parameters that every call takes.
const OF_TEAM: [&str; 2] = ["teamId", "slug"];

/// A request, taken apart.
pub(super) struct Asked {
    /// What stands in the place of `{name}` in its path.
    pub path: BTreeMap<&'static str, String>,
    pub query: BTreeMap<String, String>,
    pub body: Json,
}

impl Asked {
    pub fn id(&self, name: &str) -> &str {
        self.path.get(name).map_or("", String::as_str)
    }

    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str)
    }
}

/// What a call is called: method and path with names in the place of ids.
pub(super) fn name(request: &Request) -> String {
    find(request).map_or_else(|| format!("{} {}", request.method, request.path), |(_, call, _, _)| call.to_owned())
}

type Found = (&'static str, &'static str, &'static [&'static str], BTreeMap<&'static str, String>);

fn find(request: &Request) -> Option<Found> {
    let path = request.path.split('?').next().unwrap_or_default();
    CALLS.iter().find_map(|&(name, call, parameters)| {
        let (method, template) = call.split_once(' ')?;
        (method == request.method).then_some(())?;
        Some((name, call, parameters, matched(template, path)?))
    })
}

fn matched(template: &'static str, path: &str) -> Option<BTreeMap<&'static str, String>> {
    let (wanted, given): (Vec<&str>, Vec<&str>) = (template.split('/').collect(), path.split('/').collect());
    (wanted.len() == given.len()).then_some(())?;
    let mut names = BTreeMap::new();
    for (wanted, given) in wanted.into_iter().zip(given) {
        match wanted.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
            Some(name) if !given.is_empty() => {
                let given = percent_encoding::percent_decode_str(given).decode_utf8_lossy().into_owned();
                names.insert(name, given);
            }
            None if wanted == given => {}
            _ => return None,
        }
    }
    Some(names)
}

impl Vercel {
    /// Answers one call, and does what it asks for.
    pub(super) fn api(&mut self, request: &Request) -> Answer {
        let too_many = || refused(429, "rate_limited", "Rate limit exceeded");
        if let Some(after) = self.busy.pop_front() {
            return too_many().header("Retry-After", after);
        }
        if self.limit.is_some_and(|limit| self.asked.len() > limit) {
            return too_many().header("Retry-After", "0");
        }
        let Some((name, _, parameters, path)) = find(request) else {
            return refused(404, "not_found", "The requested resource does not exist");
        };
        let query = request.path.split_once('?').map_or("", |(_, query)| query);
        let query: BTreeMap<String, String> =
            parse(query.as_bytes()).map(|(key, value)| (key.into_owned(), value.into_owned())).collect();
        let known = |key: &&String| {
            let tagged = name == "deployments" && key.starts_with("meta-");
            parameters.contains(&key.as_str()) || OF_TEAM.contains(&key.as_str()) || tagged
        };
        if let Some(odd) = query.keys().find(|key| !known(key)) {
            return refused(
                400,
                "bad_request",
                &format!("Invalid request: should NOT have additional property `{odd}`"),
            );
        }
        let body = match request.body.as_str() {
            "" => Json::Null,
            text => match serde_json::from_str(text) {
                Ok(body)
                    if request.header("content-type").is_some_and(|media| media.starts_with("application/json")) =>
                {
                    body
                }
                _ => return refused(400, "bad_request", "Invalid JSON"),
            },
        };
        let bearer = request.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        let Some(token) = self.tokens.iter().find(|token| Some(token.text.as_str()) == bearer) else {
            return refused(403, "forbidden", "Not authorized");
        };
        if request.is_write() && !token.writes {
            return refused(403, "forbidden", "You don't have permission to do this");
        }
        let of_team = [("teamId", &self.team.0), ("slug", &self.team.1)];
        if !of_team.iter().any(|(key, value)| query.get(*key) == Some(*value)) {
            // Of another team nothing is seen, which looks like a project that isn't there.
            return refused(404, "not_found", "Project not found");
        }
        self.call(name, &Asked { path, query, body })
    }

    fn call(&mut self, name: &str, asked: &Asked) -> Answer {
        let project = self.projects.iter().position(|one| match asked.path.get("id") {
            // Some take a name as well.
            Some(id) => one.id == *id || (!matches!(name, "promote" | "rollback") && one.name == *id),
            None => match asked.parameter("projectId") {
                Some(id) => one.id == id,
                None => asked.path.get("deployment").is_some_and(|id| one.deployment(id).is_some()),
            },
        });
        match (name, project) {
            ("deploy", _) => self.deploys(asked),
            ("alias", _) => self.alias(asked.id("alias")),
            ("user", _) => Answer::json(200, r#"{"user":{"id":"user_example"}}"#),
            ("project", Some(at)) => {
                self.look(at);
                Answer::json(200, self.projects[at].shown().to_string())
            }
            ("variables", Some(at)) => self.listed(at),
            ("variable", Some(at)) => self.variable(at, asked.id("variable")),
            ("set", Some(at)) => self.sets(at, asked),
            ("unset", Some(at)) => self.unsets(at, asked.id("variable")),
            ("deployments", Some(at)) => self.deployments(at, asked),
            ("deployment", Some(at)) => self.deployment(at, asked.id("deployment")),
            ("cancel", Some(at)) => self.cancels(at, asked.id("deployment")),
            ("events", Some(at)) => self.events(at, asked),
            ("promote", Some(at)) => self.promotes(at, asked.id("deployment")),
            ("rollback", Some(at)) => self.rolls_back(at, asked.id("deployment")),
            ("moved", Some(at)) => self.moved(at),
            (_, _) if asked.path.contains_key("deployment") => refused(404, "not_found", "Deployment not found"),
            _ => refused(404, "not_found", "Project not found"),
        }
    }
}
