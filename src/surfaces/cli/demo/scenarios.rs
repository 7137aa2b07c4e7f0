//! The worlds of `--scenario`: what is broken in each, and how fast time goes there.
//!
//! The platforms are `crate::world`; here is only what is wrong with them. All values are made up, and open nothing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use crate::surfaces::cli::demo::stage::Stage;
use crate::surfaces::cli::demo::town::{Address, Shared, Town};
use crate::surfaces::cli::demo::{Scenario, mail, sides};
use crate::world::railway::{API, APP, Project, Service, State, Token, id};

/// What the simulated Railway wants to see.
pub const RAILWAY_TOKEN: &str = "demo-railway-token-of-a-world-on-loopback";
/// The values that the backend lacks.
pub const NEXTAUTH_SECRET: &str = "demo-nextauth-secret-of-a-world-on-loopback";
const DATABASE_PASSWORD: &str = "demo-database-password";
/// Pages on these origins call the backend.
const ORIGINS: &str = "https://shop.example.com,https://www.shop.example.com";

/// Numbers of the projects, from which their ids are made.
const SHOP: u32 = 1;
const DATA: u32 = 2;

impl Stage {
    /// The stage of a scenario.
    ///
    /// # Errors
    /// If its world can't be started.
    pub fn of(scenario: Scenario) -> std::io::Result<Stage> {
        match scenario {
            Scenario::CrashLoop => on_railway(lacking(), "A backend is down", "backend-down", "crash-loop"),
            Scenario::BadDeploy => {
                on_railway(worse(), "A backend is down since its last deployment", "backend-down", "rollback-backend")
            }
            Scenario::Cors => {
                on_railway(blocking(), "Pages don't get through to the backend", "cors-errors", "cors-fix")
            }
            Scenario::Mail => mail::stage(),
            Scenario::Rotate => sides::stage(),
        }
    }
}

/// A Railway in this state alone.
fn on_railway(state: State, what: &'static str, look: &'static str, repair: &'static str) -> std::io::Result<Stage> {
    let railway: Shared = Arc::new(Mutex::new(state));
    let town = Town::start(vec![
        Address { platform: Arc::clone(&railway), below: "" },
        Address { platform: railway, below: APP },
    ])?;
    let backend = &town.urls[1];
    Ok(Stage {
        outage: (what, format!("at {backend}, on a Railway made of this process.")),
        look: Some(look),
        repair,
        target: target(&town.urls[0], backend, &Beside::default()),
        secrets: vec![("railway-token", RAILWAY_TOKEN)],
        _world: Box::new(town),
    })
}

/// Lines that a target has beside those of Railway, indented as they stand.
#[derive(Default)]
pub struct Beside {
    pub inputs: String,
    pub secrets: String,
    pub providers: String,
}

/// Waits are short here: what a build takes in minutes takes a look or two. `railway` is where that answers.
pub fn target(railway: &str, backend: &str, beside: &Beside) -> String {
    let api = format!("{railway}{API}");
    let place = |name: &str, number: u32| {
        let project = id(0xa, number);
        format!(
            "    {name}: {{ project: {project}, environment: production, token: \"${{{{ secrets.RAILWAY_TOKEN }}}}\", api: \"{api}\" }}\n"
        )
    };
    format!(
        "version: 1
title: The world of the demo
inputs:
  base_url: {backend}
  place: main
  source_place: data
  origins: [{}]
  schema_fits: true
  every: 300ms
  settled_every: 200ms
  grace: 2s
{}secrets:
  RAILWAY_TOKEN: {{ from: file, path: secrets/railway-token, hosts: [127.0.0.1] }}
{}providers:
{}  railway:
{}{}allow_hosts: [127.0.0.1]
",
        ORIGINS.replace(',', ", "),
        beside.inputs,
        beside.secrets,
        beside.providers,
        place("main", SHOP),
        place("data", DATA),
    )
}

/// A backend in one project, its variables with the database in another.
fn lacking() -> State {
    let public = format!("postgresql://app:{DATABASE_PASSWORD}@proxy.example.com:41234/shop");
    let kept = [
        ("DATABASE_URL", format!("postgresql://app:{DATABASE_PASSWORD}@${{{{RAILWAY_PRIVATE_DOMAIN}}}}:5432/shop")),
        ("DATABASE_PUBLIC_URL", public),
        ("NEXTAUTH_SECRET", NEXTAUTH_SECRET.to_owned()),
        ("JWT_SECRET", "demo-jwt-secret-of-a-world-on-loopback".to_owned()),
        ("RESEND_API_KEY", "demo-mail-key-of-a-world-on-loopback".to_owned()),
        ("FROM_EMAIL", "no-reply@shop.example.com".to_owned()),
        ("FRONTEND_URL", "https://shop.example.com".to_owned()),
        ("ALLOWED_ORIGINS", ORIGINS.to_owned()),
        // Of the image: what a person in a hurry copies as well.
        ("PGUSER", "app".to_owned()),
        ("PGDATA", "/var/lib/postgresql/data".to_owned()),
        ("POSTGRES_PASSWORD", DATABASE_PASSWORD.to_owned()),
        ("POSTGRES_DB", "shop".to_owned()),
    ];
    let needs = ["DATABASE_URL", "NEXTAUTH_SECRET"].map(str::to_owned).to_vec();
    let variables = BTreeMap::from([("LOG_LEVEL".to_owned(), "INFO".to_owned())]);
    let backend = Service { id: id(0x5, 1), name: "backend".to_owned(), needs, variables, ..Service::default() };
    let variables = kept.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let database = Service { id: id(0x5, 2), name: "Postgres".to_owned(), variables, ..Service::default() };
    let project = |number: u32, name: &str, service: Service| Project {
        id: id(0xa, number),
        name: name.to_owned(),
        environment: id(0xe, number),
        shared: BTreeMap::new(),
        services: vec![service],
    };
    let token = Token { text: RAILWAY_TOKEN.to_owned(), project: None, writes: true };
    let mut state = State::new(vec![project(SHOP, "shop", backend), project(DATA, "data", database)], vec![token]);
    // A person sees a build go on.
    state.slow = 3;
    deployed(state)
}

/// All is well.
pub fn well() -> State {
    let mut state = lacking();
    let kept = state.service("Postgres").variables.clone();
    let variables = &mut state.service("backend").variables;
    for (name, from) in [
        ("DATABASE_URL", "DATABASE_PUBLIC_URL"),
        ("NEXTAUTH_SECRET", "NEXTAUTH_SECRET"),
        ("ALLOWED_ORIGINS", "ALLOWED_ORIGINS"),
    ] {
        variables.extend(kept.get(from).map(|value| (name.to_owned(), value.clone())));
    }
    deployed(state)
}

/// A good deployment, and on top of it one that somebody made after a variable had been taken for unused.
fn worse() -> State {
    let mut state = well();
    state.service("backend").variables.remove("NEXTAUTH_SECRET");
    deployed(state)
}

/// A list of origins in which a page is missing, and a try is left over.
fn blocking() -> State {
    let mut state = well();
    let list = "https://shop.example.com,https://*.shop.example.com,https://evil.example";
    state.service("backend").variables.insert("ALLOWED_ORIGINS".to_owned(), list.to_owned());
    deployed(state)
}

/// The backend with what its variables are now.
pub fn deployed(mut state: State) -> State {
    state.deploy_by_name("backend");
    state.settle("backend");
    state
}
