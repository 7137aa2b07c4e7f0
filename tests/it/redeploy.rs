//! `redeploy`, which does what the target says: against a real backend that heals when its webhook is called, and
//! with a real command.

#![expect(clippy::unwrap_used, reason = "a test whose world can't be set up has failed")]

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use rerail::engine::event::{Actor, Body, Event};
use rerail::engine::facts::Facts;
use rerail::engine::machine::Waits;
use rerail::engine::outcome::RunOutcome;
use rerail::project::Project;
use rerail::redact::Redactor;
use rerail::runbook::problem::render;
use rerail::runbook::spec::Effect;
use rerail::runs::{Foreground, Left, Prepared, Runs, StartRequest, Watcher, Why};
use rerail::script::value::Value;
use serde_json::json;
use tokio::sync::mpsc::unbounded_channel;

use crate::servers::Http;
use crate::world::github::{GitHub, TOKEN};
use crate::world::served::{Calls, Served};

const KEY: &str = "hunter2-hunter2-example";

/// Draws nothing.
struct Unseen;

impl Watcher for Unseen {
    fn events(&mut self, _: &[Event], _: &Facts) {}
    fn waiting(&mut self, _: &Waits, _: &Facts) {}
}

fn unseen() -> Foreground {
    let (_control, control) = unbounded_channel();
    let actor = Actor::new("ana", "test");
    Foreground { watcher: Box::new(Unseen), control, attended: false, actor }
}

/// A project with one runbook that deploys `backend`, and one target.
struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new(allow: &str, redeploy: &str) -> Place {
        let dir = tempfile::tempdir().unwrap();
        let place = Place { dir };
        let files = [
            ("rerail.yaml", format!("version: 1\nallow: {{ exec: [{allow}] }}\n")),
            ("key", format!("{KEY}\n")),
            (
                "targets/here.yaml",
                format!("version: 1\nsecrets: {{ KEY: {{ from: file, path: key }} }}\nproviders: {{ redeploy: {redeploy} }}\n"),
            ),
            (
                "runbooks/again.yaml",
                "version: 1\ntitle: Again\nowner: platform\nreviewed: 2026-11-01\nsteps:\n  - id: deploy\n    uses: redeploy\n    with: { service: backend }\n\
                 outputs: { all: \"${{ steps.deploy.outputs }}\" }\n"
                    .to_owned(),
            ),
        ];
        for (name, text) in files {
            let path = place.root().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        place
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("project")
    }

    fn prepared(&self, target: Option<&str>) -> (Runs, Prepared) {
        let project = Project::open(&self.root()).unwrap();
        let runs = Runs::open(self.dir.path().join("state"), project, Redactor::new());
        let target = target.map(str::to_owned);
        let request = StartRequest { runbook: "again".into(), target, ..StartRequest::default() };
        let prepared = runs.prepare(&request);
        let prepared = prepared.unwrap_or_else(|error| panic!("{error}\n{}", render(&error.problems, false)));
        assert!(prepared.warnings.is_empty(), "{}", render(&prepared.warnings, false));
        (runs, prepared)
    }

    fn run(&self) -> Left {
        let (runs, prepared) = self.prepared(Some("here"));
        runs.start(prepared, unseen()).unwrap().left().unwrap()
    }

    /// The planned writes, as an operator reads them.
    fn plan(&self) -> Vec<String> {
        let (runs, prepared) = self.prepared(Some("here"));
        let planned = |event: Event| match event.body {
            Body::StepFinished(finished) if finished.step.as_str() != "deploy" => {
                Some(finished.planned.as_ref()?.summary.clone())
            }
            _ => None,
        };
        runs.rehearse(&prepared, unseen()).unwrap().events.into_iter().filter_map(planned).collect()
    }

    /// Everything in the store, as bytes.
    fn stored(&self) -> String {
        let entries = std::fs::read_dir(self.dir.path().join("state")).unwrap().map(|entry| entry.unwrap().path());
        let files = entries.filter(|path| path.is_file()).map(|path| std::fs::read(path).unwrap());
        files.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).collect()
    }
}

/// A backend that is ill until its webhook answers with a 2xx.
struct Backend {
    http: Http,
    heard: Arc<Mutex<Vec<(String, String)>>>,
}

impl Backend {
    fn answering(status: u16) -> Backend {
        let heard: Arc<Mutex<Vec<(String, String)>>> = Arc::default();
        let (log, deployed) = (Arc::clone(&heard), Arc::clone(&heard));
        let hook = move |headers: HeaderMap, body: String| async move {
            let authorization = headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
            log.lock().unwrap().push((authorization.unwrap_or_default(), body));
            StatusCode::from_u16(status).unwrap()
        };
        let health = move || async move {
            match deployed.lock().unwrap().is_empty() {
                true => StatusCode::BAD_GATEWAY,
                false => StatusCode::NO_CONTENT,
            }
        };
        let http = Http::serve(Router::new().route("/hooks/backend", post(hook)).route("/health", get(health)));
        Backend { http, heard }
    }

    fn webhook(&self, more: &str) -> String {
        format!(
            "{{ use: webhook, url: \"{0}/hooks/{{service}}\", headers: {{ Authorization: \"Bearer ${{{{ secrets.KEY }}}}\" }}, \
             json: {{ name: \"{{service}}\", tags: [\"of {{service}}\", 1] }}, {more} }}",
            self.http.url
        )
    }

    fn wait(&self, more: &str) -> String {
        format!("wait: {{ url: \"{}/health\", every: 10ms, within: 20s, {more} }}", self.http.url)
    }

    fn heard(&self) -> Vec<(String, String)> {
        self.heard.lock().unwrap().clone()
    }
}

fn outputs(left: &Left) -> &Value {
    let end = left.facts.finished.as_ref().unwrap();
    assert_eq!(end.outcome, RunOutcome::Success, "{:?}", end.error);
    &end.outputs["all"]
}

fn error(left: &Left) -> String {
    let end = left.facts.finished.as_ref().unwrap();
    assert_eq!(end.outcome, RunOutcome::Failed);
    end.error.as_ref().unwrap().message.clone()
}

#[test]
fn a_webhook_is_called_once_and_the_service_waited_for() {
    let backend = Backend::answering(202);
    let place = Place::new("", &backend.webhook(&backend.wait("")));
    let planned = place.plan();
    let body = json!({ "name": "backend", "tags": ["of backend", 1] });
    let expected = format!("POST {}/hooks/backend (json {body})", backend.http.url);
    assert_eq!(planned[0], expected);
    assert!(planned[1].starts_with("now: 502"), "{planned:?}");
    assert!(backend.heard().is_empty(), "a rehearsal sends nothing");

    let left = place.run();
    let all = [
        ("provider", Value::from("webhook")),
        ("status", Value::Int(202)),
        ("deployment", Value::Null),
        ("healthy", Value::Bool(true)),
    ];
    assert_eq!(outputs(&left), &Value::map(all));
    assert_eq!(backend.heard(), [(format!("Bearer {KEY}"), body.to_string())]);
    assert!(!place.stored().contains(KEY));
}

#[test]
fn a_webhook_that_says_no_fails_and_one_that_breaks_leaves_doubt() {
    let backend = Backend::answering(403);
    let left = Place::new("", &backend.webhook(&backend.wait(""))).run();
    assert!(error(&left).contains("status 403"), "{}", error(&left));
    let backend = Backend::answering(500);
    let left = Place::new("", &backend.webhook("")).run();
    assert_eq!(left.why, Why::InDoubt);
    assert_eq!(backend.heard().len(), 1);
}

#[test]
fn only_the_wanted_status_ends_the_wait() {
    let backend = Backend::answering(200);
    let wait = backend.wait("delay: 5ms, status: [200, 204]");
    let left = Place::new("", &backend.webhook(&wait)).run();
    assert_eq!(outputs(&left).get("healthy"), Some(&Value::Bool(true)));
    let wait = format!("wait: {{ url: \"{}/health\", every: 10ms, within: 300ms, status: 200 }}", backend.http.url);
    let never = Place::new("", &backend.webhook(&wait)).run();
    assert!(error(&never).contains("`deploy/healthy`"), "{}", error(&never));
    let silent = Place::new("", &backend.webhook("")).run();
    assert_eq!(outputs(&silent).get("healthy"), Some(&Value::Null), "nobody looked");
}

const SCRIPT: &str =
    "{ use: command, argv: [sh, -c, \"echo {service} $KEY >> deployed\"], env: { KEY: \"${{ secrets.KEY }}\" } }";

#[test]
fn a_command_runs_by_its_line() {
    let place = Place::new("{ argv: [sh, \"**\"], effect: write, env: [KEY] }", SCRIPT);
    let planned = place.plan();
    let root = place.root().canonicalize().unwrap();
    assert_eq!(planned, [format!("run `sh -c echo backend $KEY >> deployed` in {}", root.display())]);
    assert!(!root.join("deployed").exists(), "a rehearsal runs nothing");
    let left = place.run();
    let all = [
        ("provider", Value::from("command")),
        ("status", Value::Int(0)),
        ("deployment", Value::Null),
        ("healthy", Value::Null),
    ];
    assert_eq!(outputs(&left), &Value::map(all));
    assert_eq!(std::fs::read_to_string(root.join("deployed")).unwrap(), format!("backend {KEY}\n"));
    assert!(!place.stored().contains(KEY));
}

#[test]
fn a_command_without_a_line_is_refused_and_a_failing_one_says_why() {
    let refused = Place::new("", SCRIPT).run();
    assert!(error(&refused).contains("is not allowed here: add"), "{}", error(&refused));
    let fails = "{ use: command, argv: [sh, -c, \"echo no such service {service} >&2; exit 3\"] }";
    let left = Place::new("{ argv: [sh, \"**\"], effect: write }", fails).run();
    assert!(error(&left).contains("exit code 3, expected 0: no such service backend"), "{}", error(&left));
}

#[test]
fn the_effect_before_the_start_is_the_worst_its_command_may_come_to() {
    let effects = |allow: &str| Place::new(allow, SCRIPT).prepared(Some("here")).1.effects.last().copied();
    assert_eq!(effects("{ argv: [sh, \"**\"], effect: read, env: [KEY] }"), Some(Effect::Write));
    assert_eq!(effects("{ argv: [dropdb, \"*\"], effect: destructive }"), Some(Effect::Destructive));
}

#[test]
fn without_a_provider_it_says_what_is_missing() {
    let place = Place::new("", SCRIPT);
    let (runs, prepared) = place.prepared(None);
    let left = runs.start(prepared, unseen()).unwrap().left().unwrap();
    assert!(error(&left).contains("name a provider (webhook, command, railway, vercel or github)"), "{}", error(&left));
}

/// A repository whose workflow deploys, and the target's word on it.
fn by_workflow(github: &Served<GitHub>) -> String {
    format!(
        "{{ use: github, workflow: deploy.yaml, inputs: {{ app: \"{{service}}\" }} }}, github: {{ main: {{ repo: example/shop, token: {TOKEN}, api: \"{}\" }} }}",
        github.url()
    )
}

#[test]
fn a_workflow_is_started_once_and_its_end_waited_for() {
    let github = Served::with(GitHub::default(), &Calls::default());
    let place = Place::new(
        "",
        &by_workflow(&github).replace(
            "use: github,",
            &format!("use: github, wait: {{ url: \"{}\", every: 1ms, status: 403 }},", github.url()),
        ),
    );
    let planned = place.plan();
    let start = "start deploy.yaml of example/shop on main";
    assert!(planned.iter().any(|line| line.starts_with(start)), "{planned:?}");
    assert!(github.state().runs.is_empty(), "a rehearsal starts nothing");
    let left = place.run();
    assert_eq!(outputs(&left).get("deployment"), Some(&Value::Int(1)));
    assert_eq!(github.state().effects["dispatch"], 1);
    let sent = github.state().heard.iter().find(|request| request.method == "POST").unwrap().body.clone();
    let sent: serde_json::Value = serde_json::from_str(&sent).unwrap();
    assert_eq!((&sent["inputs"]["app"], &sent["ref"]), (&json!("backend"), &json!("main")));
}

#[test]
fn a_workflow_that_fails_has_deployed_nothing() {
    let failing = GitHub { ends: Some("failure"), ..GitHub::default() };
    let github = Served::with(failing, &Calls::default());
    let order =
        by_workflow(&github).replace("use: github,", "use: github, wait: { url: \"http://127.0.0.1:1\", every: 1ms },");
    let left = Place::new("", &order).run();
    assert!(error(&left).contains("run 1 ended as failure"), "{}", error(&left));
}
