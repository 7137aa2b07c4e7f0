//! Two projects, a backend that crashes for want of variables, and a database elsewhere that has them.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use rerail::engine::facts::Facts;
use rerail::engine::ids::StepPath;
use rerail::script::value::Value;
use serde_json::{Value as Json, json};

use crate::incidents::sweep::Needles;
use crate::runbooks::Place;
pub use crate::world::railway::PROBE;
use crate::world::railway::{Project, Railway, Service, State, Token, id};

/// Credentials, and what must be seen nowhere.
pub const ACCOUNT: &str = "railway-account-token-example";
pub const PROJECT: &str = "railway-project-token-example";
pub const BACKEND_PROJECT: u32 = 1;
pub const DATA_PROJECT: u32 = 2;

/// What the database's service has beside the variables of its image.
fn kept() -> BTreeMap<String, String> {
    let host = "${{PGUSER}}:${{POSTGRES_PASSWORD}}@${{RAILWAY_PRIVATE_DOMAIN}}:5432/app";
    let all = [
        ("DATABASE_URL", format!("postgresql://{host}")),
        ("DATABASE_PUBLIC_URL", "postgresql://app:hunter2-database-example@proxy.example.com:41234/app".to_owned()),
        ("NEXTAUTH_SECRET", "hunter2-nextauth-example-of-32-letters".to_owned()),
        ("JWT_SECRET", "hunter2-jwt-example-with-\"quotes\"-and-\u{fc}mlaut".to_owned()),
        ("RESEND_API_KEY", "re_hunter2_mail_key_example".to_owned()),
        ("FROM_EMAIL", "no-reply@shop.example.com".to_owned()),
        ("FRONTEND_URL", "https://shop.example.com".to_owned()),
        ("ALLOWED_ORIGINS", "https://shop.example.com,https://www.example.com".to_owned()),
        ("PGUSER", "app".to_owned()),
        ("POSTGRES_PASSWORD", "hunter2-database-example".to_owned()),
    ];
    let mut kept: BTreeMap<String, String> = all.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    // As many as such services have, none of anybody else's business.
    for number in 0..24 {
        kept.insert(format!("POSTGRES_SETTING_{number}"), format!("value-of-setting-{number}"));
    }
    kept
}

/// Texts of variables that are secret.
pub fn secrets() -> Vec<String> {
    let names = ["DATABASE_PUBLIC_URL", "NEXTAUTH_SECRET", "JWT_SECRET", "RESEND_API_KEY", "POSTGRES_PASSWORD"];
    let of_variables = names.map(|name| kept()[name].clone());
    let more = [ACCOUNT, PROJECT, "https://sentry-hunter2-example@errors.example.com/1"].map(str::to_owned);
    of_variables.into_iter().chain(more).collect()
}

fn service(number: u32, name: &str) -> Service {
    Service { id: id(0x5, number), name: name.to_owned(), ..Service::default() }
}

fn project(number: u32, name: &str, services: Vec<Service>) -> Project {
    let shared = BTreeMap::from([("REGION".to_owned(), "europe".to_owned())]);
    Project { id: id(0xa, number), name: name.to_owned(), environment: id(0xe, number), shared, services }
}

/// The broken world: the database in a project of its own, or beside the backend.
pub fn broken(together: bool) -> State {
    let mut backend = service(1, "backend");
    backend.needs = ["DATABASE_URL", "NEXTAUTH_SECRET"].map(str::to_owned).to_vec();
    backend.domains = vec!["backend-production.example.com".to_owned()];
    let dsn = "https://sentry-hunter2-example@errors.example.com/1";
    backend.variables.insert("SENTRY_DSN".to_owned(), dsn.to_owned());
    let mut database = service(2, "Postgres");
    database.variables = kept();
    let worker = service(3, "worker");
    let tokens = vec![
        Token { text: ACCOUNT.to_owned(), project: None, writes: true },
        Token { text: PROJECT.to_owned(), project: Some(id(0xa, DATA_PROJECT)), writes: false },
    ];
    let projects = if together {
        vec![project(BACKEND_PROJECT, "shop", vec![worker, backend, database])]
    } else {
        vec![project(BACKEND_PROJECT, "shop", vec![worker, backend]), project(DATA_PROJECT, "data", vec![database])]
    };
    let mut state = State::new(projects, tokens);
    state.deploy_by_name("backend");
    state.settle("backend");
    state
}

/// A target for it: the backend's place by the account's token, the database's by a token of its project.
pub fn target(railway: &Railway, keys: &std::path::Path) -> String {
    for (name, text) in [("account", ACCOUNT), ("project", PROJECT)] {
        std::fs::write(keys.join(name), text).unwrap();
    }
    let keys = keys.display();
    let place = |name: &str, number: u32, token: &str| {
        format!(
            "    {name}: {{ project: {}, environment: production, {token}, api: \"{}\" }}\n",
            id(0xa, number),
            railway.api()
        )
    };
    let together = railway.state().projects.len() == 1;
    let data = match together {
        true => String::new(),
        false => place("data", DATA_PROJECT, "project_token: \"${{ secrets.DATA_TOKEN }}\""),
    };
    format!(
        "version: 1\ntitle: The simulated one\nsecrets:\n  RAILWAY_TOKEN: {{ from: file, path: {keys}/account, hosts: [127.0.0.1] }}\n  \
         DATA_TOKEN: {{ from: file, path: {keys}/project, hosts: [127.0.0.1] }}\nproviders:\n  redeploy: {{ use: railway, place: main, wait: {{ url: \"{}/health\", every: 1ms }} }}\n  railway:\n{}{data}",
        railway.app(),
        place("main", BACKEND_PROJECT, "token: \"${{ secrets.RAILWAY_TOKEN }}\""),
    )
}

/// The store and project of a run against it.
pub fn place(railway: &Railway) -> Place {
    let place = Place::new();
    let target = target(railway, &place.project());
    place.target(&target)
}

/// Inputs of `crash-loop` with which nobody waits for longer than it takes.
pub fn inputs(railway: &Railway) -> Vec<(String, String)> {
    let source_place = if railway.state().projects.len() == 1 { "" } else { "data" };
    let base_url = railway.app();
    [
        ("base_url", base_url.as_str()),
        ("place", "main"),
        ("source_place", source_place),
        ("origins", "https://shop.example.com"),
        ("every", "1ms"),
        ("settled_every", "1ms"),
        ("grace", "20ms"),
        ("within", "20s"),
        ("settled_within", "20s"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}

/// Runs `crash-loop`, with inputs that differ.
pub fn fixed(railway: &Railway, place: &Place, more: &[(&str, &str)]) -> rerail::runs::Left {
    let mut all = inputs(railway);
    for (name, value) in more {
        all.retain(|(other, _)| other != name);
        all.push(((*name).to_owned(), (*value).to_owned()));
    }
    let all: Vec<(&str, &str)> = all.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    place.run("crash-loop", &all)
}

/// What a step gave, as JSON.
pub fn given(facts: &Facts, step: &str) -> Json {
    let ended = facts.step(&StepPath::new(step)).and_then(|record| record.end());
    ended.map_or(json!(null), |end| serde_json::to_value(end.outputs.to_json()).unwrap())
}

/// The message the run ended with.
pub fn error(facts: &Facts) -> String {
    let end = facts.finished.as_ref().unwrap();
    end.error.as_ref().map(|error| error.message.clone()).unwrap_or_default()
}

pub fn output(facts: &Facts, name: &str) -> Value {
    facts.finished.as_ref().unwrap().outputs[name].clone()
}

/// Nothing below a directory holds a secret, in the forms it is likeliest to be found in.
#[track_caller]
pub fn assert_no_secret_below(folder: &std::path::Path) {
    for file in files_below(folder) {
        // Where the credentials themselves are.
        if ["account", "project"].iter().any(|name| file.ends_with(name)) {
            continue;
        }
        assert_no_secret(&file.display().to_string(), &std::fs::read(&file).unwrap());
    }
}

static NEEDLES: LazyLock<Needles> = LazyLock::new(|| Needles::new(&secrets()));

#[track_caller]
pub fn assert_no_secret(what: &str, bytes: &[u8]) {
    NEEDLES.assert_none(what, bytes);
}

fn files_below(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}
