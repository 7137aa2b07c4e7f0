//! What a Vercel holds, and what becomes of it: projects with variables for each environment, deployments that are built with
//! what the variables were at that moment, and domains that lead to one of them. What users see of it is below `/app`.
//!
//! Time is counted in calls, a second each; builds and changes of domains move by being looked at.

mod api;
mod app;
mod deployments;
mod variables;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::{Value as Json, json};

use crate::world::Platform;
use crate::world::http::{Answer, Request};

pub use deployments::{Deployment, Move};
pub use variables::Variable;

/// Milliseconds since 1970 at which it begins.
const EPOCH_MS: i64 = 1_790_000_000_000;
/// Below it is what users see of the first project's production domain.
const APP: &str = "/app";

/// Who may do what.
#[derive(Clone, Debug)]
pub struct Token {
    pub text: String,
    pub writes: bool,
}

/// A frontend.
#[derive(Clone, Debug)]
pub struct Project {
    pub id: String,
    pub name: String,
    /// Those of production, the first one being what people type.
    pub domains: Vec<String>,
    pub variables: Vec<Variable>,
    /// Newest first.
    pub deployments: Vec<Deployment>,
    /// The one that the domains lead to.
    pub production: Option<String>,
    /// The last time somebody had the domains moved.
    pub last: Option<Move>,
    /// Whether it was rolled back: new deployments get no domain until one is promoted.
    pub pinned: bool,
}

/// Everything behind the API.
pub struct Vercel {
    /// Id and slug of the team that owns everything: without one of them in the query nothing is found.
    pub team: (String, String),
    pub tokens: Vec<Token>,
    pub projects: Vec<Project>,
    /// Seconds, one for each call.
    pub now: i64,
    /// What was asked of the API, in order.
    pub asked: Vec<Request>,
    /// What was done, how often: `set NAME`, `unset NAME`, `deploy`, `promote`, `rollback`, `cancel`.
    pub effects: BTreeMap<String, usize>,
    /// Calls after which everything is one too many.
    pub limit: Option<usize>,
    /// `Retry-After` of the next calls, which are one too many.
    pub busy: VecDeque<String>,
    /// Entries of a page at most, whatever is asked for.
    pub page: usize,
    /// Looks that a build, and a change of domains, takes.
    pub slow: usize,
    /// The state that every new build ends in, when it is not READY.
    pub stuck: Option<&'static str>,
    /// Whether a change of domains fails.
    pub unmovable: bool,
    /// Whether a rolling release stands in the way: a promotion is queued.
    pub rolling: bool,
    /// Whether the plan is the small one, that goes back by one deployment only.
    pub hobby: bool,
    /// Names of variables that are never taken.
    pub unset: BTreeSet<String>,
    /// Whether lists filter by what deployments were tagged with; nothing promises it.
    pub filters: bool,
    /// Whether an alias is answered as a list, as its description says, or as itself.
    pub lists: bool,
    /// The call at which somebody else does the same as well.
    pub beside: Option<&'static str>,
    /// Where the backend really is: a build that knows another address shows errors.
    pub backend: String,
    made: u32,
}

impl Vercel {
    pub fn new(team: (&str, &str), tokens: Vec<Token>, projects: Vec<Project>) -> Vercel {
        Vercel {
            team: (team.0.to_owned(), team.1.to_owned()),
            tokens,
            projects,
            now: 0,
            asked: Vec::new(),
            effects: BTreeMap::new(),
            limit: None,
            busy: VecDeque::new(),
            page: 100,
            slow: 1,
            stuck: None,
            unmovable: false,
            rolling: false,
            hobby: false,
            unset: BTreeSet::new(),
            filters: true,
            lists: false,
            beside: None,
            backend: String::new(),
            made: 0,
        }
    }

    /// The first project of this name.
    pub fn project(&mut self, name: &str) -> &mut Project {
        let found = self.projects.iter_mut().find(|project| project.name == name);
        found.unwrap_or_else(|| panic!("there is no {name}"))
    }

    fn did(&mut self, what: &str) {
        *self.effects.entry(what.to_owned()).or_default() += 1;
    }

    fn ms(&self) -> i64 {
        EPOCH_MS + self.now * 1000
    }

    /// A new id of a kind, such as `dpl`.
    fn id(&mut self, kind: &str) -> String {
        self.made += 1;
        format!("{kind}_example{:06}", self.made)
    }
}

impl Project {
    pub fn new(id: &str, name: &str, domains: &[&str]) -> Project {
        Project {
            id: id.to_owned(),
            name: name.to_owned(),
            domains: domains.iter().map(|&domain| domain.to_owned()).collect(),
            variables: Vec::new(),
            deployments: Vec::new(),
            production: None,
            last: None,
            pinned: false,
        }
    }

    fn deployment(&self, id: &str) -> Option<usize> {
        let host = id.trim_start_matches("https://");
        self.deployments.iter().position(|one| one.id == id || one.url == host)
    }

    fn shown(&self) -> Json {
        let production = self.production.as_ref().and_then(|id| self.deployment(id));
        let targets = production.map_or(json!({}), |at| {
            let one = &self.deployments[at];
            json!({ "production": { "id": one.id, "url": one.url, "readyState": one.state, "alias": self.domains } })
        });
        let mut shown = json!({
            "accountId": "account_example",
            "id": self.id,
            "name": self.name,
            "framework": "nextjs",
            "autoAssignCustomDomains": true,
            "targets": targets,
            // Newer than whoever reads this.
            "aFieldOfTomorrow": { "any": [1, null] },
        });
        if let Some(last) = &self.last {
            shown["lastAliasRequest"] = last.shown();
        }
        if self.pinned {
            shown["lastRollbackTarget"] = json!({ "id": self.production });
        }
        shown
    }
}

impl Platform for Vercel {
    fn called(&self, request: &Request) -> Option<String> {
        (!request.path.starts_with(APP)).then(|| api::name(request))
    }

    fn answer(&mut self, request: &Request) -> Answer {
        self.now += 1;
        match request.path.strip_prefix(APP) {
            Some(path) => self.app(&request.method, path),
            None => {
                self.asked.push(request.clone());
                self.api(request)
            }
        }
    }
}

/// An error as it is answered.
fn refused(status: u16, code: &str, message: &str) -> Answer {
    Answer::json(status, json!({ "error": { "code": code, "message": message } }).to_string())
}
