//! Railway behind its GraphQL endpoint, as strict as the real one, and the backend that runs there, all at one address.

mod api;

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::ops::{Deref, DerefMut};
use std::sync::MutexGuard;

use rerail::world::Platform;
use rerail::world::http::{Answer, Request};
use rerail::world::railway::{API, APP};
pub use rerail::world::railway::{Project, Service, State, Token, id};

pub use api::{SCHEMA, faults_of};

use serde_json::{Value as Json, json};

use crate::world::faults::Fault;
use crate::world::served::{Calls, Served};

/// A state whose documents are validated and executed as the specification says.
pub struct Strict(pub State);

impl Deref for Strict {
    type Target = State;

    fn deref(&self) -> &State {
        &self.0
    }
}

impl DerefMut for Strict {
    fn deref_mut(&mut self) -> &mut State {
        &mut self.0
    }
}

/// The password of the account that can log in to the backend, `probe@example.com`.
pub const PROBE: &str = "probe-hunter2-password-example";

/// The token that a backend gives out which signs with this secret.
pub fn probe_token(secret: &str) -> String {
    let mut hasher = DefaultHasher::new();
    secret.hash(&mut hasher);
    format!("token-hunter2-{:016x}", hasher.finish())
}

impl Strict {
    /// Logs somebody in, or says whether a token counts; nothing for other paths, and while nothing runs.
    fn session(&mut self, path: &str, request: &Request) -> Option<Answer> {
        if self.0.app("GET", "/health", None).status != 200 {
            return None;
        }
        let runs = self.0.service("backend").deployments.iter().find(|one| one.status == "SUCCESS")?;
        let token = probe_token(runs.snapshot.get("NEXTAUTH_SECRET")?);
        let known = match (request.method.as_str(), path) {
            ("POST", "/api/auth/login") => {
                let body: Json = serde_json::from_str(&request.body).ok()?;
                body["email"] == "probe@example.com" && body["password"] == PROBE
            }
            ("GET", "/api/me") => request.header("authorization") == Some(&format!("Bearer {token}")),
            _ => return None,
        };
        Some(match known {
            true => Answer::json(200, json!({ "access_token": token, "email": "probe@example.com" }).to_string()),
            false => Answer::json(401, r#"{"detail":"Not authenticated"}"#),
        })
    }
}

impl Platform for Strict {
    fn called(&self, request: &Request) -> Option<String> {
        request.path.starts_with(API).then(|| api::called(&self.0, request))
    }

    fn answer(&mut self, request: &Request) -> Answer {
        self.0.now += 1;
        match request.path.strip_prefix(APP) {
            Some(path) => self
                .session(path, request)
                .unwrap_or_else(|| self.0.app(&request.method, path, request.header("origin"))),
            None if request.path.starts_with(API) => api::answer(&mut self.0, request),
            None => Answer::json(404, "{}"),
        }
    }
}

/// A Railway with a broken backend in it.
pub struct Railway(Served<Strict>);

impl Railway {
    pub fn serve(state: State) -> Railway {
        Railway::with(state, &Calls::default())
    }

    /// One platform of a world of several.
    pub fn with(state: State, calls: &Calls) -> Railway {
        Railway(Served::with(Strict(state), calls))
    }

    /// Address of the API.
    pub fn api(&self) -> String {
        format!("{}{API}", self.0.url())
    }

    /// Address of the backend that runs there.
    pub fn app(&self) -> String {
        format!("{}{APP}", self.0.url())
    }

    pub fn state(&self) -> MutexGuard<'_, Strict> {
        self.0.state()
    }

    /// Breaks the n-th call to the API, from 0.
    pub fn breaks(self, call: usize, fault: Fault) -> Railway {
        self.0.calls().breaks(call, fault);
        self
    }

    /// What was asked of the API, in order: the fields of each call.
    pub fn calls(&self) -> Vec<String> {
        self.0.calls().names()
    }

    /// The same list, for whoever breaks calls later.
    pub fn list(&self) -> &Calls {
        self.0.calls()
    }

    /// How often this was done.
    pub fn effects(&self, of: &str) -> usize {
        self.state().effects.get(of).copied().unwrap_or_default()
    }

    /// All that was done, how often.
    pub fn all_effects(&self) -> BTreeMap<String, usize> {
        self.state().effects.clone()
    }

    /// Waits until all that was sent by processes that are gone now has been heard.
    pub fn settle(&self) {
        self.0.settle();
    }
}
