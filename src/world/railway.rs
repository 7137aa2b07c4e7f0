//! What a Railway holds, and what becomes of it: variables with their references, deployments that are started with what
//! the variables were at that moment, and the backend they run.

pub mod wire;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::{Value as Json, json};

use crate::world::http::Answer;
use crate::world::railway_volumes::{self, Volume, Volumes};

/// Where the API is.
pub const API: &str = "/graphql/v2";
/// Where the backend is.
pub const APP: &str = "/app";

/// References that stand for each other are given up on here.
const RENDER_DEPTH: usize = 8;

/// Who may do what.
#[derive(Clone, Debug)]
pub struct Token {
    pub text: String,
    /// A project token sees this project alone.
    pub project: Option<String>,
    pub writes: bool,
}

pub struct Project {
    pub id: String,
    pub name: String,
    pub environment: String,
    pub shared: BTreeMap<String, String>,
    pub services: Vec<Service>,
}

#[derive(Default)]
pub struct Service {
    pub id: String,
    pub name: String,
    /// As they are written, references and all.
    pub variables: BTreeMap<String, String>,
    /// Names whose values the API never gives.
    pub sealed: BTreeSet<String>,
    /// Without these it ends right after each start.
    pub needs: Vec<String>,
    /// Newest first.
    pub deployments: Vec<Deployment>,
    pub domains: Vec<String>,
    /// The port its domains lead to, where somebody has set one.
    pub port: Option<u16>,
    pub volume: Option<Volume>,
}

#[derive(Clone, Debug)]
pub struct Deployment {
    pub id: String,
    pub status: String,
    pub instances: Vec<String>,
    pub created: i64,
    pub moved: i64,
    pub can_rollback: bool,
    pub reason: String,
    /// What it was started with.
    pub snapshot: BTreeMap<String, String>,
    pub log: Vec<String>,
    /// Status and instance to come, a look for each.
    ahead: VecDeque<(&'static str, &'static str)>,
}

/// Everything behind the API.
pub struct State {
    pub projects: Vec<Project>,
    pub tokens: Vec<Token>,
    /// Seconds, one for each call.
    pub now: i64,
    /// Calls so far.
    pub calls: usize,
    /// What was done, how often: `set`, `set NAME`, `unset NAME`, `deploy`, `redeploy`, `restart`, `rollback`.
    pub effects: BTreeMap<String, usize>,
    /// Calls after which everything is one too many.
    pub limit: Option<usize>,
    /// Entries of a page at most, whatever is asked for.
    pub page: usize,
    /// Looks that a build takes.
    pub slow: usize,
    /// A state that every new deployment is stuck in.
    pub stuck: Option<&'static str>,
    /// Whether the database can be reached.
    pub reachable: bool,
    /// Lines of the schema that are gone.
    pub vanished: Vec<&'static str>,
    /// States and fields that are newer than anybody who asks.
    pub newer: Vec<(&'static str, &'static str)>,
    /// The field at whose next call somebody else deploys the same service.
    pub beside: Option<&'static str>,
    pub volumes: Volumes,
    made: u32,
}

/// An id as Railway's are.
pub fn id(kind: u32, number: u32) -> String {
    format!("{kind:08x}-0000-4000-8000-{number:012x}")
}

impl State {
    pub fn new(projects: Vec<Project>, tokens: Vec<Token>) -> State {
        State {
            projects,
            tokens,
            now: 0,
            calls: 0,
            effects: BTreeMap::new(),
            limit: None,
            page: 100,
            slow: 1,
            stuck: None,
            reachable: true,
            vanished: Vec::new(),
            newer: Vec::new(),
            beside: None,
            volumes: Volumes::default(),
            made: 0,
        }
    }

    /// Who calls.
    pub fn token_of(&self, authorization: Option<&str>, project: Option<&str>) -> Option<Token> {
        let bearer = authorization.and_then(|value| value.strip_prefix("Bearer "));
        let known = |token: &&Token| match token.project {
            Some(_) => Some(token.text.as_str()) == project,
            None => Some(token.text.as_str()) == bearer,
        };
        self.tokens.iter().find(known).cloned()
    }

    pub fn service(&mut self, name: &str) -> &mut Service {
        let all = self.projects.iter_mut().flat_map(|project| project.services.iter_mut());
        all.into_iter().find(|service| service.name == name).unwrap_or_else(|| panic!("there is no {name}"))
    }

    pub(super) fn did(&mut self, what: &str) {
        *self.effects.entry(what.to_owned()).or_default() += 1;
    }

    /// The value of one field at the root.
    ///
    /// # Errors
    /// The message of the real one, which says the same for "may not" and "isn't there".
    pub fn resolve(&mut self, field: &str, arguments: &Json, token: &Token) -> Result<Json, String> {
        let input = if arguments["input"].is_object() { &arguments["input"] } else { arguments };
        let text = |name: &str| input[name].as_str().unwrap_or_default().to_owned();
        match field {
            "projects" => {
                let seen = (0..self.projects.len()).filter(|at| self.may_see(*at, token));
                Ok(seen.map(|at| self.project(at)).collect())
            }
            "project" => Ok(self.project(self.seen(&text("id"), token)?)),
            "environment" => {
                let at = self.projects.iter().position(|project| project.environment == text("id"));
                Ok(self.environment(at.filter(|at| self.may_see(*at, token)).ok_or("Not Authorized")?))
            }
            "variables" => {
                let at = self.of(input, token)?;
                Ok(json!(self.values(at, input["unrendered"] == json!(true))))
            }
            "domains" => {
                let (project, service) = self.of(input, token)?;
                let of = &self.projects[project].services[service];
                let shown = of.domains.iter().map(|domain| json!({ "domain": domain, "targetPort": of.port }));
                Ok(json!({ "serviceDomains": shown.collect::<Json>(), "customDomains": [] }))
            }
            "deployments" => {
                let at = self.of(input, token)?;
                self.look(at);
                let service = &self.projects[at.0].services[at.1];
                Ok(service.deployments.iter().map(Deployment::shown).collect())
            }
            "deployment" => {
                let (at, number) = self.deployment(&text("id"), token)?;
                self.look(at);
                Ok(self.projects[at.0].services[at.1].deployments[number].shown())
            }
            "deploymentSnapshot" => {
                let (at, number) = self.deployment(&text("deploymentId"), token)?;
                let of = &self.projects[at.0].services[at.1].deployments[number];
                Ok(json!({ "id": of.id, "variables": of.snapshot }))
            }
            "deploymentLogs" => {
                let (at, number) = self.deployment(&text("deploymentId"), token)?;
                let log = &self.projects[at.0].services[at.1].deployments[number].log;
                let filter = text("filter");
                let fitting: Vec<&String> = log.iter().filter(|line| line.contains(&filter)).collect();
                // One more than was asked for, as there.
                let most = input["limit"].as_u64().map_or(100, |limit| usize::try_from(limit).unwrap_or(100)) + 1;
                let shown = fitting.iter().skip(fitting.len().saturating_sub(most));
                Ok(shown.map(|line| json!({ "message": line, "severity": "info", "timestamp": time(1) })).collect())
            }
            _ if railway_volumes::knows(field) => self.of_volumes(field, input, token),
            _ if !token.writes => Err("Not Authorized".to_owned()),
            "variableCollectionUpsert" => self.set(input, token),
            "variableDelete" => {
                let (project, service) = self.of(input, token)?;
                let name = text("name");
                let service = &mut self.projects[project].services[service];
                let known = service.variables.remove(&name).is_some() || service.sealed.remove(&name);
                if !known {
                    return Err("Variable not found".to_owned());
                }
                self.did(&format!("unset {name}"));
                Ok(json!(true))
            }
            "serviceInstanceDeployV2" => {
                let at = self.of(input, token)?;
                self.did("deploy");
                let snapshot = self.values(at, false);
                if self.beside.take_if(|beside| *beside == field).is_some() {
                    self.deploy(at, snapshot.clone(), "deploy");
                }
                Ok(json!(self.deploy(at, snapshot, "deploy")))
            }
            "deploymentRedeploy" => {
                let (at, number) = self.deployment(&text("id"), token)?;
                let snapshot = self.projects[at.0].services[at.1].deployments[number].snapshot.clone();
                self.did("redeploy");
                self.deploy(at, snapshot, "redeploy");
                Ok(self.projects[at.0].services[at.1].deployments[0].shown())
            }
            "deploymentRollback" => {
                let (at, number) = self.deployment(&text("id"), token)?;
                let to = &self.projects[at.0].services[at.1].deployments[number];
                if !to.can_rollback {
                    return Err("Problem processing request".to_owned());
                }
                // With the variables of then.
                let snapshot = to.snapshot.clone();
                self.did("rollback");
                self.deploy(at, snapshot, "rollback");
                Ok(json!(true))
            }
            "deploymentRestart" => {
                let (at, number) = self.deployment(&text("id"), token)?;
                self.did("restart");
                let now = self.now;
                self.projects[at.0].services[at.1].deployments[number].moved = now;
                Ok(json!(true))
            }
            other => Err(format!("the simulator has no {other}")),
        }
    }

    pub(super) fn may_see(&self, project: usize, token: &Token) -> bool {
        token.project.as_ref().is_none_or(|only| *only == self.projects[project].id)
    }

    fn seen(&self, project: &str, token: &Token) -> Result<usize, String> {
        let at = self.projects.iter().position(|one| one.id == project);
        at.filter(|at| self.may_see(*at, token)).ok_or_else(|| "Not Authorized".to_owned())
    }

    /// The service that `projectId`, `environmentId` and `serviceId` name together; the project may be left out.
    fn of(&self, input: &Json, token: &Token) -> Result<(usize, usize), String> {
        let at = self.projects.iter().enumerate().find_map(|(project, one)| {
            let named = input["projectId"].as_str().is_none_or(|id| id == one.id);
            let here = input["environmentId"].as_str() == Some(one.environment.as_str());
            let service =
                one.services.iter().position(|service| Some(service.id.as_str()) == input["serviceId"].as_str());
            service.filter(|_| named && here).map(|service| (project, service))
        });
        at.filter(|at| self.may_see(at.0, token)).ok_or_else(|| "Not Authorized".to_owned())
    }

    fn deployment(&self, id: &str, token: &Token) -> Result<((usize, usize), usize), String> {
        for (project, one) in self.projects.iter().enumerate() {
            for (service, of) in one.services.iter().enumerate() {
                if let Some(number) = of.deployments.iter().position(|deployment| deployment.id == id)
                    && self.may_see(project, token)
                {
                    return Ok(((project, service), number));
                }
            }
        }
        Err("Not Authorized".to_owned())
    }

    fn project(&self, at: usize) -> Json {
        let project = &self.projects[at];
        let services = project.services.iter().map(|service| json!({ "id": service.id, "name": service.name }));
        let other = json!({ "id": id(0xe, 99), "name": "staging", "variables": [], "volumeInstances": [] });
        json!({
            "id": project.id,
            "name": project.name,
            "services": services.collect::<Json>(),
            "environments": [other, self.environment(at)],
        })
    }

    fn environment(&self, at: usize) -> Json {
        let project = &self.projects[at];
        let shared = project.shared.keys().map(|name| json!({ "name": name, "isSealed": false, "serviceId": null }));
        let own = project.services.iter().flat_map(|service| {
            let open =
                service.variables.keys().filter(|name| !service.sealed.contains(*name)).map(|name| (name, false));
            open.chain(service.sealed.iter().map(|name| (name, true)))
                .map(|(name, sealed)| json!({ "name": name, "isSealed": sealed, "serviceId": service.id }))
        });
        let variables: Json = shared.chain(own).collect();
        let volumes = project.services.iter().filter_map(|service| {
            let volume = service.volume.as_ref()?;
            Some(json!({ "id": volume.id, "serviceId": service.id, "mountPath": "/data" }))
        });
        let volumes: Json = volumes.collect();
        json!({ "id": project.environment, "name": "production", "variables": variables, "volumeInstances": volumes })
    }

    /// What the API gives of a service's variables, the platform's own with them.
    pub(super) fn values(&self, at: (usize, usize), unrendered: bool) -> BTreeMap<String, String> {
        let project = &self.projects[at.0];
        let service = &project.services[at.1];
        let mut values: BTreeMap<String, String> = service
            .variables
            .iter()
            .filter(|(name, _)| !service.sealed.contains(*name))
            .map(|(name, value)| {
                let value = if unrendered { value.clone() } else { render(project, service, value, RENDER_DEPTH) };
                (name.clone(), value)
            })
            .collect();
        values.extend(platform(project, service));
        values
    }

    fn set(&mut self, input: &Json, token: &Token) -> Result<Json, String> {
        let at = self.of(input, token)?;
        let Some(values) = input["variables"].as_object() else { return Err("Problem processing request".to_owned()) };
        self.did("set");
        for name in values.keys() {
            self.did(&format!("set {name}"));
        }
        let service = &mut self.projects[at.0].services[at.1];
        if input["replace"] == json!(true) {
            service.variables.clear();
        }
        for (name, value) in values {
            service.variables.insert(name.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        }
        if input["skipDeploys"] != json!(true) {
            self.did("deploy");
            let snapshot = self.values(at, false);
            self.deploy(at, snapshot, "variables");
        }
        Ok(json!(true))
    }

    /// Starts a deployment, which goes its way while it is looked at.
    pub fn deploy(&mut self, at: (usize, usize), snapshot: BTreeMap<String, String>, reason: &str) -> String {
        self.made += 1;
        let id = id(0xd, self.made);
        let project = &self.projects[at.0];
        let mut snapshot = snapshot;
        snapshot.insert("RAILWAY_DEPLOYMENT_ID".to_owned(), id.clone());
        let complaint = complaint(project, &project.services[at.1], &snapshot, self.reachable);
        let mut ahead: VecDeque<(&str, &str)> = (0..self.slow).map(|_| ("BUILDING", "")).collect();
        ahead.push_back(("DEPLOYING", "CREATED"));
        match (&complaint, self.stuck) {
            (_, Some(stuck)) => ahead = VecDeque::from([(stuck, "")]),
            (None, None) => ahead.push_back(("SUCCESS", "RUNNING")),
            // Active as soon as its container has started; that it restarts for ever shows later.
            (Some(_), None) => {
                ahead.extend([("SUCCESS", "RUNNING"), ("SUCCESS", "RESTARTING"), ("SUCCESS", "RESTARTING")]);
                ahead.push_back(("CRASHED", "CRASHED"));
            }
        }
        // As careless programs do, it prints what it is configured with.
        let mut log: Vec<String> = snapshot.iter().map(|(name, value)| format!("config {name}={value}")).collect();
        match complaint {
            Some(complaint) => log.extend((0..3).flat_map(|_| ["starting gunicorn".to_owned(), complaint.clone()])),
            None => log.push("listening on port 8080".to_owned()),
        }
        let deployment = Deployment {
            id: id.clone(),
            status: "INITIALIZING".to_owned(),
            instances: Vec::new(),
            created: self.now,
            moved: self.now,
            can_rollback: true,
            reason: reason.to_owned(),
            snapshot,
            log,
            ahead,
        };
        self.projects[at.0].services[at.1].deployments.insert(0, deployment);
        id
    }

    /// A second passes for the deployments of a service.
    fn look(&mut self, at: (usize, usize)) {
        let now = self.now;
        let all = &mut self.projects[at.0].services[at.1].deployments;
        for number in 0..all.len() {
            let Some((status, instance)) = all[number].ahead.pop_front() else { continue };
            if all[number].status != status {
                all[number].moved = now;
            }
            all[number].status = status.to_owned();
            all[number].instances = if instance.is_empty() { Vec::new() } else { vec![instance.to_owned()] };
            if status == "SUCCESS" {
                for older in &mut all[number + 1..] {
                    if older.status == "SUCCESS" {
                        "REMOVED".clone_into(&mut older.status);
                        older.instances.clear();
                        older.ahead.clear();
                    }
                }
            }
        }
    }

    /// Lets a service's deployments come to their end.
    pub fn settle(&mut self, name: &str) {
        let at = self.place_of(name);
        while self.projects[at.0].services[at.1].deployments.iter().any(|one| !one.ahead.is_empty()) {
            self.look(at);
        }
    }

    pub fn place_of(&self, name: &str) -> (usize, usize) {
        let found =
            self.projects.iter().enumerate().find_map(|(project, one)| {
                Some((project, one.services.iter().position(|service| service.name == name)?))
            });
        found.unwrap_or_else(|| panic!("there is no {name}"))
    }

    /// Starts a deployment with what the variables of a service are now.
    pub fn deploy_by_name(&mut self, name: &str) -> String {
        let at = self.place_of(name);
        let snapshot = self.values(at, false);
        self.deploy(at, snapshot, "deploy")
    }

    /// The backend as its users see it.
    pub fn app(&mut self, method: &str, path: &str, origin: Option<&str>) -> Answer {
        let (project, service) = self.place_of("backend");
        let service = &self.projects[project].services[service];
        let runs = service.deployments.iter().find(|one| one.status == "SUCCESS" && one.instances == ["RUNNING"]);
        let port = service.port.map(|port| port.to_string()).unwrap_or_default();
        let listens = |line: &String| line.starts_with("listening") && line.ends_with(&port);
        let Some(runs) = runs.filter(|one| one.log.last().is_some_and(listens)) else {
            return Answer::json(502, r#"{"status":"error","code":502,"message":"Application failed to respond"}"#);
        };
        let allowed = runs.snapshot.get("ALLOWED_ORIGINS").cloned().unwrap_or_default();
        match (method, path) {
            ("OPTIONS", _) => {
                let answer = Answer::json(204, "");
                match origin.filter(|origin| allowed.split(',').any(|one| one == *origin)) {
                    Some(origin) => answer
                        .header("Access-Control-Allow-Origin", origin)
                        .header("Access-Control-Allow-Credentials", "true")
                        .header("Access-Control-Allow-Methods", "GET, POST")
                        .header("Access-Control-Allow-Headers", "authorization, content-type"),
                    None => answer,
                }
            }
            (_, "/health") => Answer::json(200, r#"{"status":"healthy"}"#),
            (_, "/api/ping") => Answer::json(200, r#"{"pong":true}"#),
            _ => Answer::json(404, "{}"),
        }
    }
}

impl Deployment {
    fn shown(&self) -> Json {
        let instances = self.instances.iter().enumerate();
        json!({
            "id": self.id,
            "status": self.status,
            "canRollback": self.can_rollback,
            "createdAt": time(self.created),
            "statusUpdatedAt": time(self.moved),
            "meta": { "reason": self.reason, "commitHash": "c0ffee" },
            "instances": instances.map(|(at, status)| json!({ "id": at.to_string(), "status": status })).collect::<Json>(),
        })
    }
}

pub(super) fn time(second: i64) -> String {
    jiff::Timestamp::from_second(1_790_000_000 + second).expect("it is a time").to_string()
}

/// What the platform gives every service.
fn platform(project: &Project, service: &Service) -> [(String, String); 6] {
    let domain = format!("{}.railway.internal", service.name.to_lowercase());
    [
        ("RAILWAY_ENVIRONMENT_ID", project.environment.clone()),
        ("RAILWAY_PRIVATE_DOMAIN", domain),
        ("RAILWAY_PROJECT_ID", project.id.clone()),
        ("RAILWAY_PROJECT_NAME", project.name.clone()),
        ("RAILWAY_SERVICE_ID", service.id.clone()),
        ("RAILWAY_SERVICE_NAME", service.name.clone()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
}

/// What `${{ … }}` in a value stand for; one that leads nowhere is empty.
fn render(project: &Project, service: &Service, text: &str, depth: usize) -> String {
    let Some((before, rest)) = text.split_once("${{") else { return text.to_owned() };
    let Some((inside, after)) = rest.split_once("}}").filter(|_| depth > 0) else { return text.to_owned() };
    let value = match inside.trim().split_once('.') {
        Some(("shared", name)) => project.shared.get(name).cloned(),
        Some((other, name)) => {
            let other = project.services.iter().find(|one| one.name == other);
            other.and_then(|other| variable(project, other, name, depth))
        }
        None => variable(project, service, inside.trim(), depth),
    };
    format!("{before}{}{}", value.unwrap_or_default(), render(project, service, after, depth))
}

fn variable(project: &Project, service: &Service, name: &str, depth: usize) -> Option<String> {
    match service.variables.get(name) {
        Some(value) => Some(render(project, service, value, depth - 1)),
        None => platform(project, service).into_iter().find(|(own, _)| own == name).map(|(_, value)| value),
    }
}

/// What a program started with these variables ends with; `None` if it runs.
fn complaint(project: &Project, service: &Service, with: &BTreeMap<String, String>, reachable: bool) -> Option<String> {
    for name in &service.needs {
        if !service.sealed.contains(name) && with.get(name).is_none_or(String::is_empty) {
            return Some(format!("Error: {name} is not defined"));
        }
    }
    let address = with.get("DATABASE_URL")?;
    let host = url::Url::parse(address).ok()?.host_str()?.to_owned();
    let inside = host.strip_suffix(".railway.internal");
    let found = inside.is_none_or(|name| project.services.iter().any(|one| one.name.to_lowercase() == name));
    (!found || !reachable).then(|| format!("could not translate host name \"{host}\" to address"))
}
