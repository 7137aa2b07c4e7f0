//! Deployments: built with the variables of their moment, and led to by domains that are moved on their own.

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Value as Json, json};

use super::api::Asked;
use super::{Vercel, refused};
use crate::world::http::Answer;

/// Entries of a page that are given without `limit`.
const PAGE: usize = 20;
/// Fields that the order for a new one may have.
const FIELDS: [&str; 5] = ["name", "deploymentId", "target", "meta", "project"];

#[derive(Clone, Debug)]
pub struct Deployment {
    pub id: String,
    /// Its own host.
    pub url: String,
    pub is_production: bool,
    pub state: String,
    /// Milliseconds since 1970.
    pub created: i64,
    pub meta: BTreeMap<String, String>,
    /// What it was built with.
    pub with: BTreeMap<String, String>,
    /// Whether its code works.
    pub works: bool,
    /// Whether domains have ever led to it.
    pub has_served: bool,
    /// What it was built without a domain for, or with.
    pub substate: &'static str,
    pub assigned: bool,
    /// States to come, a look for each.
    pub ahead: VecDeque<&'static str>,
}

/// Somebody has the domains moved.
#[derive(Clone, Debug)]
pub struct Move {
    pub is_rollback: bool,
    pub from: String,
    pub to: String,
    pub status: &'static str,
    /// Milliseconds since 1970.
    pub at: i64,
    pub ahead: VecDeque<&'static str>,
}

impl Move {
    pub(super) fn shown(&self) -> Json {
        let kind = if self.is_rollback { "rollback" } else { "promote" };
        json!({
            "type": kind, "fromDeploymentId": self.from, "toDeploymentId": self.to, "jobStatus": self.status,
            "requestedAt": self.at,
        })
    }
}

impl Deployment {
    /// As it stands in a list, and alone: the names of some fields differ.
    fn shown(&self, project: &super::Project) -> Json {
        let mut shown = json!({
            "uid": self.id, "id": self.id, "name": project.name, "projectId": project.id, "url": self.url, "type": "LAMBDAS",
            "created": self.created, "createdAt": self.created, "state": self.state, "readyState": self.state,
            "target": if self.is_production { json!("production") } else { Json::Null },
            "meta": self.meta, "aliasAssigned": self.assigned, "aliasError": null,
            "isRollbackCandidate": self.is_candidate(), "creator": { "uid": "user_example" }, "inspectorUrl": null,
            "aFieldOfTomorrow": [1, null],
        });
        if !self.substate.is_empty() {
            shown["readySubstate"] = json!(self.substate);
        }
        if self.state == "ERROR" {
            shown["errorMessage"] = json!("Command \"next build\" exited with 1");
        }
        shown
    }

    fn is_candidate(&self) -> bool {
        self.is_production && self.has_served && self.state == "READY"
    }
}

impl Vercel {
    /// A deployment as it was made at some time, ready and without a domain.
    pub fn built(&mut self, at: usize, is_production: bool, works: bool) -> String {
        let target = if is_production { "production" } else { "preview" };
        let (id, with) = (self.id("dpl"), self.environment(at, target));
        self.now += 1;
        let project = &mut self.projects[at];
        let deployment = Deployment {
            url: format!("{}-{}.vercel.example", project.name, id.trim_start_matches("dpl_")),
            id: id.clone(),
            is_production,
            state: "READY".to_owned(),
            created: super::EPOCH_MS + self.now * 1000,
            meta: BTreeMap::from([("githubCommitSha".to_owned(), format!("c0ffee{}", self.made))]),
            with,
            works,
            has_served: false,
            substate: "",
            assigned: false,
            ahead: VecDeque::new(),
        };
        project.deployments.insert(0, deployment);
        id
    }

    /// Leads the domains of a project to one of its deployments.
    pub fn serve(&mut self, at: usize, id: &str) {
        let project = &mut self.projects[at];
        project.production = Some(id.to_owned());
        if let Some(number) = project.deployment(id) {
            let one = &mut project.deployments[number];
            (one.has_served, one.assigned, one.substate) = (true, true, "PROMOTED");
        }
    }

    /// A second passes for the deployments and domains of a project.
    pub(super) fn look(&mut self, at: usize) {
        let mut serves = None;
        let project = &mut self.projects[at];
        for one in &mut project.deployments {
            let Some(state) = one.ahead.pop_front() else { continue };
            match state {
                // Domains follow a moment after the build.
                "assigned" => serves = Some(one.id.clone()),
                state => state.clone_into(&mut one.state),
            }
            if state == "READY" && one.is_production {
                one.substate = if project.pinned { "STAGED" } else { "PROMOTED" };
                if !project.pinned {
                    one.ahead.push_back("assigned");
                }
            }
        }
        if let Some(last) = &mut project.last
            && let Some(status) = last.ahead.pop_front()
        {
            last.status = status;
            if status == "succeeded" {
                serves = Some(last.to.clone());
                project.pinned = last.is_rollback;
            }
        }
        if let Some(id) = serves {
            self.serve(at, &id);
        }
    }

    /// Lets everything of a project come to its end.
    pub fn settle(&mut self, at: usize) {
        let moving = |project: &super::Project| {
            project.deployments.iter().any(|one| !one.ahead.is_empty())
                || project.last.as_ref().is_some_and(|last| !last.ahead.is_empty())
        };
        while moving(&self.projects[at]) {
            self.look(at);
        }
    }

    pub(super) fn deployments(&mut self, at: usize, asked: &Asked) -> Answer {
        self.look(at);
        let project = &self.projects[at];
        let tags: Vec<(&str, &String)> =
            asked.query.iter().filter_map(|(key, value)| Some((key.strip_prefix("meta-")?, value))).collect();
        let until = asked.parameter("until").and_then(|until| until.parse::<i64>().ok());
        let fits = |one: &&Deployment| {
            let target = asked.parameter("target").is_none_or(|target| (target == "production") == one.is_production);
            let state = asked.parameter("state").is_none_or(|states| states.split(',').any(|state| state == one.state));
            let candidate = asked.parameter("rollbackCandidate") != Some("true") || one.is_candidate();
            let tagged = !self.filters || tags.iter().all(|(key, value)| one.meta.get(*key) == Some(*value));
            target && state && candidate && tagged && until.is_none_or(|until| one.created < until)
        };
        let limit = asked.parameter("limit").and_then(|limit| limit.parse().ok()).unwrap_or(PAGE).min(self.page);
        let all: Vec<&Deployment> = project.deployments.iter().filter(fits).collect();
        let shown: Vec<Json> = all.iter().take(limit).map(|one| one.shown(project)).collect();
        let next = (all.len() > limit).then(|| all[limit - 1].created);
        let pagination = json!({ "count": shown.len(), "next": next, "prev": null });
        Answer::json(200, json!({ "deployments": shown, "pagination": pagination }).to_string())
    }

    pub(super) fn deployment(&mut self, at: usize, id: &str) -> Answer {
        self.look(at);
        let project = &self.projects[at];
        match project.deployment(id) {
            Some(number) => Answer::json(200, project.deployments[number].shown(project).to_string()),
            None => refused(404, "not_found", "Deployment not found"),
        }
    }

    pub(super) fn deploys(&mut self, asked: &Asked) -> Answer {
        let body = &asked.body;
        let odd = body.as_object().and_then(|body| body.keys().find(|key| !FIELDS.contains(&key.as_str())));
        if body["name"].as_str().is_none_or(str::is_empty) || odd.is_some() {
            return refused(
                400,
                "bad_request",
                "Invalid request: should have property `name`, and none that is unknown",
            );
        }
        let target = body.get("target").map_or(Some("preview"), Json::as_str);
        let tags = body.get("meta").map_or(Some(BTreeMap::new()), |meta| serde_json::from_value(meta.clone()).ok());
        let (Some(target @ ("production" | "preview")), Some(tags)) = (target, tags) else {
            return refused(400, "bad_request", "Invalid request: `target` and `meta` should be texts");
        };
        let from = body["deploymentId"].as_str().unwrap_or_default();
        let found = (0..self.projects.len()).find_map(|at| Some((at, self.projects[at].deployment(from)?)));
        let Some((at, number)) = found.filter(|(at, _)| body["name"] == json!(self.projects[*at].name)) else {
            return refused(404, "not_found", "Deployment not found");
        };
        let is_production = target == "production";
        let newest = &self.projects[at].deployments[0];
        if asked.parameter("forceNew").is_none()
            && newest.is_production == is_production
            && newest.with == self.environment(at, target)
        {
            // An equal build is handed back.
            return Answer::json(200, newest.shown(&self.projects[at]).to_string());
        }
        let works = self.projects[at].deployments[number].works;
        let twice = self.beside.take_if(|beside| *beside == "deploy").is_some();
        for meta in if twice { vec![BTreeMap::new(), tags] } else { vec![tags] } {
            self.builds(at, is_production, works, meta);
        }
        self.did("deploy");
        Answer::json(200, self.projects[at].deployments[0].shown(&self.projects[at]).to_string())
    }

    fn builds(&mut self, at: usize, is_production: bool, works: bool, meta: BTreeMap<String, String>) {
        self.built(at, is_production, works);
        let mut ahead: VecDeque<&str> = (0..self.slow).map(|_| "BUILDING").collect();
        ahead.push_back(self.stuck.unwrap_or("READY"));
        let one = &mut self.projects[at].deployments[0];
        "QUEUED".clone_into(&mut one.state);
        (one.ahead, one.meta) = (ahead, meta);
    }

    pub(super) fn cancels(&mut self, at: usize, id: &str) -> Answer {
        let Some(number) = self.projects[at].deployment(id) else {
            return refused(404, "not_found", "Deployment not found");
        };
        let one = &mut self.projects[at].deployments[number];
        if !matches!(one.state.as_str(), "QUEUED" | "INITIALIZING" | "BUILDING") {
            return refused(400, "bad_request", "The deployment is not being built");
        }
        "CANCELED".clone_into(&mut one.state);
        one.ahead.clear();
        self.did("cancel");
        let project = &self.projects[at];
        Answer::json(200, project.deployments[number].shown(project).to_string())
    }

    pub(super) fn promotes(&mut self, at: usize, id: &str) -> Answer {
        let project = &self.projects[at];
        let Some(number) = project.deployment(id) else { return refused(404, "not_found", "Deployment not found") };
        let one = &project.deployments[number];
        if one.state != "READY" || !one.is_production {
            return refused(400, "bad_request", "Only production deployments that are ready can be promoted");
        }
        if project.production.as_deref() == Some(id) && !project.pinned {
            return refused(409, "conflict", "The deployment is the current one already");
        }
        match self.moves(at, id, false) {
            Some(refusal) => refusal,
            None => Answer { status: if self.rolling { 202 } else { 201 }, headers: Vec::new(), body: String::new() },
        }
    }

    pub(super) fn rolls_back(&mut self, at: usize, id: &str) -> Answer {
        let project = &self.projects[at];
        let Some(number) = project.deployment(id) else { return refused(404, "not_found", "Deployment not found") };
        if project.deployments[number].state == "DELETED" {
            return refused(410, "gone", "The deployment was deleted");
        }
        if !project.deployments[number].is_candidate() {
            return refused(422, "unprocessable_entity", "The deployment has never served production");
        }
        let mut before = project.deployments.iter().filter(|one| one.is_candidate());
        let nearest = before.find(|one| Some(&one.id) != project.production.as_ref());
        if self.hobby && nearest.is_none_or(|one| one.id != id) {
            return refused(402, "payment_required", "Upgrade to roll back further than to the previous deployment");
        }
        if project.production.as_deref() == Some(id) {
            return refused(409, "conflict", "The deployment is the current one already");
        }
        match self.moves(at, id, true) {
            Some(refusal) => refusal,
            None => Answer { status: 201, headers: Vec::new(), body: String::new() },
        }
    }

    /// Has the domains moved, unless that is under way; then says so.
    fn moves(&mut self, at: usize, id: &str, is_rollback: bool) -> Option<Answer> {
        let project = &self.projects[at];
        if project.last.as_ref().is_some_and(|last| !last.ahead.is_empty()) {
            return Some(refused(409, "conflict", "Another change of the domains is in progress"));
        }
        let mut ahead: VecDeque<&str> = (0..self.slow).map(|_| "in-progress").collect();
        ahead.push_back(if self.unmovable { "failed" } else { "succeeded" });
        let from = project.production.clone().unwrap_or_default();
        let last = Move { is_rollback, from, to: id.to_owned(), status: "pending", at: self.ms(), ahead };
        self.projects[at].last = Some(last);
        self.did(if is_rollback { "rollback" } else { "promote" });
        None
    }

    pub(super) fn moved(&self, at: usize) -> Answer {
        let status = self.projects[at].last.as_ref().map_or("completed", |last| last.status);
        let aliases = self.projects[at].domains.iter();
        let aliases: Vec<Json> =
            aliases.map(|domain| json!({ "status": status, "alias": domain, "id": "alias_example" })).collect();
        let pagination = json!({ "count": aliases.len(), "next": null, "prev": null });
        Answer::json(200, json!({ "aliases": aliases, "pagination": pagination }).to_string())
    }

    pub(super) fn alias(&mut self, domain: &str) -> Answer {
        let Some(at) = self.projects.iter().position(|one| one.domains.iter().any(|own| own == domain)) else {
            return refused(404, "not_found", "The alias was not found");
        };
        self.look(at);
        let project = &self.projects[at];
        let alias = json!({
            "uid": "alias_example", "alias": domain, "projectId": project.id, "deploymentId": project.production,
            "created": "2026-09-21T00:00:00.000Z",
        });
        Answer::json(200, if self.lists { json!([alias]) } else { alias }.to_string())
    }

    pub(super) fn events(&mut self, at: usize, asked: &Asked) -> Answer {
        let project = &self.projects[at];
        let Some(number) = project.deployment(asked.id("deployment")) else {
            return refused(404, "not_found", "Deployment not found");
        };
        let one = &project.deployments[number];
        // As careless builds do, it prints what it is configured with.
        let mut lines: Vec<String> = one.with.iter().map(|(name, value)| format!("config {name}={value}")).collect();
        lines.push(if one.state == "ERROR" { "Error: build failed" } else { "Build Completed" }.to_owned());
        let limit = asked.parameter("limit").and_then(|limit| limit.parse().ok()).unwrap_or(lines.len());
        let skipped = lines.len().saturating_sub(limit);
        let events = lines.iter().skip(skipped).map(|line| {
            json!({
                "type": "stdout", "created": one.created,
                "payload": { "deploymentId": one.id, "id": "event_example", "date": one.created, "serial": "1", "text": line },
            })
        });
        Answer::json(200, Json::Array(events.collect()).to_string())
    }
}
