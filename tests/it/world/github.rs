//! A repository on GitHub: workflows that are started, run by being looked at and end, and deployments with their states.

use std::collections::BTreeMap;

use rerail::world::Platform;
use rerail::world::http::{Answer, Request};
use serde_json::{Value as Json, json};

/// Where the repository is.
const REPO: &str = "/repos/example/shop/";
/// Who may.
pub const TOKEN: &str = "github_pat_hunter2_example";

pub struct Run {
    pub id: u64,
    pub title: String,
    pub status: &'static str,
    pub conclusion: Option<&'static str>,
}

#[derive(Default)]
pub struct GitHub {
    /// Oldest first.
    pub runs: Vec<Run>,
    pub deployments: Vec<(u64, &'static str, Vec<&'static str>)>,
    /// An older server says nothing of what it has started.
    pub silent: bool,
    /// How runs end.
    pub ends: Option<&'static str>,
    pub effects: BTreeMap<String, usize>,
    pub heard: Vec<Request>,
}

impl Run {
    fn shown(&self) -> Json {
        json!({
            "id": self.id, "display_title": self.title, "status": self.status, "conclusion": self.conclusion,
            "head_sha": "abc", "html_url": format!("https://github.example.com/{}", self.id), "created_at": "2026-11-21T03:00:00Z",
        })
    }
}

impl GitHub {
    fn start(&mut self, body: &Json) -> Answer {
        if body["ref"] != "main" {
            return Answer::json(422, r#"{"message":"No ref found for it"}"#);
        }
        let id = self.runs.len() as u64 + 1;
        // As `run-name: Deploy ${{ inputs.tag }}` says.
        let title = format!("Deploy {}", body["inputs"]["tag"].as_str().unwrap_or_default());
        self.runs.push(Run { id, title, status: "queued", conclusion: None });
        *self.effects.entry("dispatch".to_owned()).or_default() += 1;
        if self.silent || body["return_run_details"] != true {
            return Answer { status: 204, headers: Vec::new(), body: String::new() };
        }
        let url = format!("https://github.example.com/{id}");
        Answer::json(200, json!({ "workflow_run_id": id, "run_url": url, "html_url": url }).to_string())
    }
}

impl Platform for GitHub {
    fn called(&self, request: &Request) -> Option<String> {
        let path = request.path.split('?').next().unwrap_or_default();
        Some(format!("{} {}", request.method, path.trim_start_matches(REPO)))
    }

    fn answer(&mut self, request: &Request) -> Answer {
        self.heard.push(request.clone());
        let login = request.header("authorization") == Some(format!("Bearer {TOKEN}").as_str());
        if !login || request.header("user-agent").is_none() {
            return Answer::json(403, r#"{"message":"Resource not accessible by personal access token"}"#);
        }
        let path = request.path.split('?').next().unwrap_or_default();
        let Some(path) = path.strip_prefix(REPO) else { return Answer::json(404, r#"{"message":"Not Found"}"#) };
        let body: Json = serde_json::from_str(&request.body).unwrap_or(Json::Null);
        match (request.method.as_str(), path.split('/').collect::<Vec<_>>().as_slice()) {
            ("POST", ["actions", "workflows", "deploy.yaml", "dispatches"]) => self.start(&body),
            ("GET", ["actions", "workflows", "deploy.yaml", "runs"]) => {
                let runs: Json = self.runs.iter().rev().map(Run::shown).collect();
                Answer::json(200, json!({ "total_count": self.runs.len(), "workflow_runs": runs }).to_string())
            }
            ("GET", ["actions", "runs", id]) => {
                let ends = self.ends.unwrap_or("success");
                match self.runs.iter_mut().find(|run| run.id.to_string() == **id) {
                    None => Answer::json(404, r#"{"message":"Not Found"}"#),
                    Some(run) => {
                        let shown = run.shown();
                        (run.status, run.conclusion) = match run.status {
                            "queued" => ("in_progress", None),
                            _ => ("completed", Some(ends)),
                        };
                        Answer::json(200, shown.to_string())
                    }
                }
            }
            ("GET", ["deployments"]) => {
                let all = self.deployments.iter().map(
                    |(id, sha, _)| json!({ "id": id, "sha": sha, "ref": "main", "created_at": "2026-11-20T14:00:00Z" }),
                );
                Answer::json(200, all.collect::<Json>().to_string())
            }
            ("GET", ["deployments", id, "statuses"]) => {
                let of = self.deployments.iter().find(|(known, ..)| known.to_string() == **id);
                let states = of.into_iter().flat_map(|(.., states)| states).map(|state| json!({ "state": state }));
                Answer::json(200, states.collect::<Json>().to_string())
            }
            _ => Answer::json(404, r#"{"message":"Not Found"}"#),
        }
    }
}
