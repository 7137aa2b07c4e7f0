//! A cluster on MongoDB Atlas: snapshots that are taken while one looks, and restores that overwrite it. Tokens are given for
//! the id and secret of a service account, and asked for with everything else.

use std::collections::BTreeMap;

use base64::Engine as _;
use rerail::world::Platform;
use rerail::world::http::{Answer, Request};
use serde_json::{Value as Json, json};

/// Of the project, in which the cluster is.
pub const PROJECT: &str = "0123456789abcdef01234567";
/// Who asks, and by what.
pub const CLIENT: &str = "mdb_sa_id_example";
pub const SECRET: &str = "mdb_sa_sk_hunter2_example";
/// What the version of the API is called in every request.
const MEDIA: &str = "application/vnd.atlas.2023-01-01+json";
/// Looks until a snapshot is complete or a restore has ended.
const LOOKS: usize = 2;

#[derive(Clone)]
pub struct Snapshot {
    pub id: String,
    pub description: String,
    /// Looks until it is complete.
    pub left: usize,
}

pub struct Restore {
    pub id: String,
    pub snapshot: String,
    pub target: String,
    pub left: usize,
    pub fails: bool,
}

#[derive(Default)]
pub struct Atlas {
    pub snapshots: Vec<Snapshot>,
    pub restores: Vec<Restore>,
    /// How restores end.
    pub restores_fail: bool,
    /// Tokens that were given, all of which count.
    tokens: usize,
    pub effects: BTreeMap<String, usize>,
    pub heard: Vec<Request>,
}

/// An id as Atlas makes them.
fn id(number: usize) -> String {
    format!("{number:024x}")
}

/// The n-th token that is given.
pub fn token(number: usize) -> String {
    format!("hunter2-atlas-token-{number}")
}

impl Atlas {
    /// With one snapshot of the schedule.
    pub fn new() -> Atlas {
        let snapshot = Snapshot { id: id(1), description: String::new(), left: 0 };
        Atlas { snapshots: vec![snapshot], ..Atlas::default() }
    }

    fn did(&mut self, what: &str) {
        *self.effects.entry(what.to_owned()).or_default() += 1;
    }

    fn log_in(&mut self, request: &Request) -> Answer {
        let pair = base64::engine::general_purpose::STANDARD.encode(format!("{CLIENT}:{SECRET}"));
        let known = request.header("authorization") == Some(format!("Basic {pair}").as_str());
        if !known || request.body != "grant_type=client_credentials" {
            return Answer::json(401, r#"{"error":401,"errorCode":"UNAUTHORIZED","detail":"You are not authorized."}"#);
        }
        self.tokens += 1;
        let token = json!({ "access_token": token(self.tokens), "expires_in": 3600, "token_type": "Bearer" });
        Answer::json(200, token.to_string())
    }

    fn take(&mut self, body: &Json) -> Answer {
        let number = self.snapshots.len() + 1;
        let description = body["description"].as_str().unwrap_or_default().to_owned();
        self.snapshots.push(Snapshot { id: id(number), description, left: LOOKS });
        self.did("snapshot");
        Answer::json(200, shown(&self.snapshots[number - 1]).to_string())
    }

    fn restore(&mut self, body: &Json) -> Answer {
        let snapshot = body["snapshotId"].as_str().unwrap_or_default().to_owned();
        if !self.snapshots.iter().any(|one| one.id == snapshot && one.left == 0) {
            return Answer::json(404, r#"{"error":404,"errorCode":"RESOURCE_NOT_FOUND"}"#);
        }
        let target = body["targetClusterName"].as_str().unwrap_or_default().to_owned();
        let restore =
            Restore { id: id(100 + self.restores.len()), snapshot, target, left: LOOKS, fails: self.restores_fail };
        let answer = begun(&restore).to_string();
        self.restores.push(restore);
        self.did("restore");
        Answer::json(200, answer)
    }
}

fn shown(snapshot: &Snapshot) -> Json {
    let status = ["completed", "inProgress", "queued"][snapshot.left];
    json!({
        "id": snapshot.id, "status": status, "description": snapshot.description, "snapshotType": "onDemand",
        "createdAt": "2026-11-20T14:00:00Z", "expiresAt": "2026-11-27T14:00:00Z",
    })
}

fn begun(restore: &Restore) -> Json {
    let mut shown = json!({
        "id": restore.id, "snapshotId": restore.snapshot, "targetClusterName": restore.target, "targetGroupId": PROJECT,
        "deliveryType": "automated", "cancelled": false, "expired": false, "failed": false,
    });
    if restore.left == 0 {
        shown["finishedAt"] = json!("2026-11-20T15:00:00Z");
        shown["failed"] = json!(restore.fails);
    }
    shown
}

impl Platform for Atlas {
    fn called(&self, request: &Request) -> Option<String> {
        let path = request.path.split('?').next().unwrap_or_default();
        let path = path.rsplit_once("/backup/").map_or(path, |(_, rest)| rest);
        Some(format!("{} {path}", request.method))
    }

    fn answer(&mut self, request: &Request) -> Answer {
        self.heard.push(request.clone());
        let path = request.path.split('?').next().unwrap_or_default().to_owned();
        if path == "/api/oauth/token" {
            return self.log_in(request);
        }
        let known = (1..=self.tokens).map(|number| format!("Bearer {}", token(number)));
        if !known.into_iter().any(|bearer| request.header("authorization") == Some(bearer.as_str())) {
            return Answer::json(401, r#"{"error":401,"errorCode":"UNAUTHORIZED"}"#);
        }
        if request.header("accept") != Some(MEDIA) {
            return Answer::json(406, r#"{"error":406,"errorCode":"INVALID_VERSION_DATE"}"#);
        }
        let backup = format!("/api/atlas/v2/groups/{PROJECT}/clusters/shop/backup/");
        let Some(path) = path.strip_prefix(&backup) else {
            return Answer::json(404, r#"{"error":404,"errorCode":"CLUSTER_NOT_FOUND"}"#);
        };
        let body: Json = serde_json::from_str(&request.body).unwrap_or(Json::Null);
        match (request.method.as_str(), path.split('/').collect::<Vec<_>>().as_slice()) {
            ("GET", ["snapshots"]) => {
                let all: Json = self.snapshots.iter().map(shown).collect();
                Answer::json(200, json!({ "results": all }).to_string())
            }
            ("GET", ["snapshots", id]) => match self.snapshots.iter_mut().find(|one| one.id == **id) {
                None => Answer::json(404, "{}"),
                Some(one) => {
                    one.left = one.left.saturating_sub(1);
                    Answer::json(200, shown(one).to_string())
                }
            },
            ("GET", ["restoreJobs"]) => {
                let all: Json = self.restores.iter().map(begun).collect();
                Answer::json(200, json!({ "results": all }).to_string())
            }
            ("GET", ["restoreJobs", id]) => match self.restores.iter_mut().find(|one| one.id == **id) {
                None => Answer::json(404, "{}"),
                Some(one) => {
                    one.left = one.left.saturating_sub(1);
                    Answer::json(200, begun(one).to_string())
                }
            },
            ("POST", ["snapshots"]) => self.take(&body),
            ("POST", ["restoreJobs"]) => self.restore(&body),
            _ => Answer::json(404, "{}"),
        }
    }
}
