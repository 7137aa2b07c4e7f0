//! Variables: a name may stand for several environments together, or once for each; what is sensitive is never given back.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::api::Asked;
use super::{Vercel, refused};
use crate::world::http::Answer;

/// Environments there are.
const TARGETS: [&str; 3] = ["production", "preview", "development"];
/// Fields that a new one may have.
const FIELDS: [&str; 6] = ["key", "value", "type", "target", "gitBranch", "comment"];

#[derive(Clone, Debug)]
pub struct Variable {
    pub id: String,
    pub key: String,
    pub value: String,
    /// `plain`, `encrypted`, `sensitive`.
    pub kind: String,
    pub target: Vec<String>,
    pub branch: Option<String>,
    /// Milliseconds since 1970.
    pub updated: i64,
}

impl Variable {
    /// One for production.
    pub fn new(id: &str, key: &str, value: &str, kind: &str) -> Variable {
        Variable {
            id: format!("env_{id}"),
            key: key.to_owned(),
            value: value.to_owned(),
            kind: kind.to_owned(),
            target: vec!["production".to_owned()],
            branch: None,
            updated: super::EPOCH_MS,
        }
    }

    fn shown(&self, value: Json) -> Json {
        let mut shown = json!({
            "id": self.id, "key": self.key, "value": value, "type": self.kind, "target": self.target,
            "createdAt": super::EPOCH_MS, "updatedAt": self.updated, "comment": null, "configurationId": null,
        });
        if let Some(branch) = &self.branch {
            shown["gitBranch"] = json!(branch);
        }
        shown
    }
}

impl Vercel {
    /// What a build for an environment gets.
    pub(super) fn environment(&self, at: usize, target: &str) -> BTreeMap<String, String> {
        let of = self.projects[at].variables.iter().filter(|one| one.branch.is_none());
        of.filter(|one| one.target.iter().any(|for_it| for_it == target))
            .map(|one| (one.key.clone(), one.value.clone()))
            .collect()
    }

    pub(super) fn listed(&self, at: usize) -> Answer {
        let shown = self.projects[at].variables.iter().map(|one| match one.kind.as_str() {
            "plain" => one.shown(json!(one.value)),
            "sensitive" => one.shown(json!("")),
            _ => one.shown(json!(format!("eyJ2IjoidjIiLCJjIjoi{:x}", one.value.len()))),
        });
        Answer::json(200, json!({ "envs": shown.collect::<Vec<Json>>() }).to_string())
    }

    pub(super) fn variable(&self, at: usize, id: &str) -> Answer {
        match self.projects[at].variables.iter().find(|one| one.id == id) {
            None => refused(404, "not_found", "The environment variable was not found"),
            Some(one) if one.kind == "sensitive" => {
                let mut shown = one.shown(Json::Null);
                shown["decrypted"] = json!(false);
                shown.as_object_mut().map(|shown| shown.remove("value"));
                Answer::json(200, shown.to_string())
            }
            Some(one) => {
                let mut shown = one.shown(json!(one.value));
                shown["decrypted"] = json!(true);
                Answer::json(200, shown.to_string())
            }
        }
    }

    pub(super) fn sets(&mut self, at: usize, asked: &Asked) -> Answer {
        let wanted = match &asked.body {
            Json::Array(many) => many.clone(),
            one => vec![one.clone()],
        };
        if let Some(fault) = wanted.iter().find_map(fault) {
            return refused(400, "bad_request", &format!("Invalid request: {fault}"));
        }
        let upsert = asked.parameter("upsert") == Some("true");
        let (mut created, mut failed) = (Vec::new(), Vec::new());
        for one in &wanted {
            match self.set(at, one, upsert) {
                Ok(shown) => created.push(shown),
                Err((code, message)) => {
                    failed.push(json!({ "error": { "code": code, "message": message, "key": one["key"] } }));
                }
            }
        }
        if created.is_empty() && !asked.body.is_array() {
            let error = &failed[0]["error"];
            let text = |key: &str| error[key].as_str().unwrap_or_default().to_owned();
            return refused(403, &text("code"), &text("message"));
        }
        Answer::json(201, json!({ "created": created, "failed": failed }).to_string())
    }

    fn set(&mut self, at: usize, wanted: &Json, upsert: bool) -> Result<Json, (&'static str, String)> {
        let text = |key: &str| wanted[key].as_str().unwrap_or_default().to_owned();
        let (key, kind) = (text("key"), text("type"));
        let target: Vec<String> = wanted["target"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|one| Some(one.as_str()?.to_owned()))
            .collect();
        if self.unset.contains(&key) {
            return Err(("ENV_FORBIDDEN", format!("You may not set `{key}`")));
        }
        if kind == "sensitive" && target.iter().any(|one| one == "development") {
            return Err((
                "BAD_REQUEST",
                "You cannot set a Sensitive Environment Variable's target to development".to_owned(),
            ));
        }
        let branch = wanted["gitBranch"].as_str().map(str::to_owned);
        let overlaps = |one: &super::Variable| {
            one.key == key && one.branch == branch && one.target.iter().any(|other| target.contains(other))
        };
        let found = self.projects[at].variables.iter().position(overlaps);
        let id = match found {
            Some(_) if !upsert => return Err(("ENV_CONFLICT", format!("`{key}` exists already"))),
            Some(number) => {
                let there = &self.projects[at].variables[number];
                let alike = there.target.len() == target.len() && there.target.iter().all(|one| target.contains(one));
                if !alike {
                    return Err(("ENV_CONFLICT", format!("`{key}` exists already for other environments as well")));
                }
                there.id.clone()
            }
            None => self.id("env"),
        };
        self.did(&format!("set {key}"));
        let variable = Variable { id, key, value: text("value"), kind, target, branch, updated: self.ms() };
        let shown = variable.shown(json!(""));
        match found {
            Some(number) => self.projects[at].variables[number] = variable,
            None => self.projects[at].variables.push(variable),
        }
        Ok(shown)
    }

    pub(super) fn unsets(&mut self, at: usize, id: &str) -> Answer {
        match self.projects[at].variables.iter().position(|one| one.id == id) {
            None => refused(404, "not_found", "The environment variable was not found"),
            Some(number) => {
                let gone = self.projects[at].variables.remove(number);
                self.did(&format!("unset {}", gone.key));
                Answer::json(200, gone.shown(json!("")).to_string())
            }
        }
    }
}

/// What is wrong with a variable that somebody wants to set.
fn fault(wanted: &Json) -> Option<String> {
    let Some(fields) = wanted.as_object() else { return Some("should be object".to_owned()) };
    if let Some(odd) = fields.keys().find(|key| !FIELDS.contains(&key.as_str())) {
        return Some(format!("should NOT have additional property `{odd}`"));
    }
    for key in ["key", "value", "type"] {
        if !fields.get(key).is_some_and(Json::is_string) {
            return Some(format!("`{key}` should be string"));
        }
    }
    let key = fields["key"].as_str().unwrap_or_default();
    let letters = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    if key.is_empty() || key.starts_with(|first: char| first.is_ascii_digit()) || !key.chars().all(letters) {
        return Some(format!("`{key}` is no name"));
    }
    if !["plain", "encrypted", "sensitive"].contains(&fields["type"].as_str().unwrap_or_default()) {
        return Some("`type` should be equal to one of the allowed values".to_owned());
    }
    let target = fields.get("target").and_then(Json::as_array);
    let known = |one: &Json| one.as_str().is_some_and(|one| TARGETS.contains(&one));
    (!target.is_some_and(|target| !target.is_empty() && target.iter().all(known)))
        .then(|| "`target` should be a list of environments".to_owned())
}
