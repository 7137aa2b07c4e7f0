//! The table of routes: the only place where one is added.
//!
//! The router, the description of the API and the tests of who may call what are made from it.

use serde_json::{Value as Json, json};

use crate::engine::ids::RunId;
use crate::runbook::tokens::Scope;
use crate::runs::Twice;
use crate::surfaces::http::authority::Authority;
use crate::surfaces::http::call::{Answer, Call};
use crate::surfaces::http::hooks::Hook;
use crate::surfaces::http::problem::Problem;
use crate::surfaces::http::{acts, looks, metrics, moves, starts, stories};

/// What a route does with a request.
#[derive(Clone, Copy)]
pub enum Does {
    /// Looks; asked with GET.
    Look(fn(&Call<'_>) -> Result<Answer, Problem>),
    /// Tells the events of a run as they happen; asked with GET.
    Tell,
    /// Rehearses: nothing of it is recorded, so it may be done again; asked with POST.
    Rehearse(fn(&Call<'_>) -> Result<Answer, Problem>),
    /// Takes in what a program sends that proves itself; asked with POST.
    Hear(&'static dyn Hook),
    /// Does something, once for each key of its client; asked with POST.
    Act(fn(&Call<'_>, RunId) -> Result<Answer, Problem>, Twice),
}

/// A route. There is none without an authority.
pub struct Route {
    /// With `{run}` or `{runbook}` for what it is about.
    pub path: &'static str,
    pub authority: Authority,
    pub does: Does,
    /// One line for the description of the API.
    pub summary: &'static str,
    /// Parameters of the query.
    pub query: &'static [&'static str],
    /// The body as a JSON Schema, of routes that have one.
    pub body: fn() -> Json,
}

impl Route {
    /// Whether it is asked with POST.
    pub fn is_post(&self) -> bool {
        match self.does {
            Does::Look(_) | Does::Tell => false,
            Does::Rehearse(_) | Does::Act(..) | Does::Hear(_) => true,
        }
    }
}

const READ: Authority = Authority::Person(Scope::Read);
const RUN: Authority = Authority::Person(Scope::Run);
const APPROVE: Authority = Authority::Person(Scope::Approve);

const fn look(
    path: &'static str,
    authority: Authority,
    summary: &'static str,
    look: fn(&Call<'_>) -> Result<Answer, Problem>,
) -> Route {
    Route { path, authority, does: Does::Look(look), summary, query: &[], body: nothing }
}

const fn act(
    path: &'static str,
    authority: Authority,
    summary: &'static str,
    act: fn(&Call<'_>, RunId) -> Result<Answer, Problem>,
    body: fn() -> Json,
) -> Route {
    Route { path, authority, does: Does::Act(act, Twice::Unknown), summary, query: &[], body }
}

const fn rehearse(
    path: &'static str,
    summary: &'static str,
    rehearse: fn(&Call<'_>) -> Result<Answer, Problem>,
    body: fn() -> Json,
) -> Route {
    Route { path, authority: READ, does: Does::Rehearse(rehearse), summary, query: &[], body }
}

/// Every route there is.
pub const TABLE: &[Route] = &[
    look("/healthz", Authority::Anybody, "Whether the process lives", looks::alive),
    look("/readyz", READ, "Whether it can do its work", looks::ready),
    look("/metrics", READ, "Figures for Prometheus", metrics::figures),
    look("/api/v1/openapi.json", READ, "This description", looks::described),
    look("/api/v1/whoami", READ, "Who is calling, and in which roles", looks::whoami),
    Route { query: &["words"], ..look("/api/v1/runbooks", READ, "Runbooks, as `rerail list`", looks::books) },
    Route {
        query: &["lines"],
        ..look("/api/v1/runbooks/{runbook}", READ, "One runbook, as `rerail describe`", looks::book)
    },
    rehearse(
        "/api/v1/checks",
        "Check a start whole, as `rerail run` does before it asks: what it may change, and whether it may be started",
        starts::check,
        asked,
    ),
    rehearse(
        "/api/v1/plans",
        "Rehearse a runbook, as `rerail run --dry-run`; with `save` as `rerail plan`. Looks are real, nothing is changed",
        starts::plan,
        rehearsed,
    ),
    rehearse("/api/v1/plans/check", "Hold a saved plan against now", moves::look_at_plan, saved),
    act("/api/v1/plans/apply", RUN, "Do exactly what a saved plan says, or nothing", moves::apply, apply),
    Route {
        query: &["status", "runbook", "incident", "operator", "since", "limit", "before", "find"],
        ..look("/api/v1/runs", READ, "Runs, newest first, as `rerail runs`; the next page is linked", looks::page)
    },
    Route {
        does: Does::Act(starts::start, Twice::Same),
        ..act("/api/v1/runs", RUN, "Start a run, as `rerail run`", starts::start, start)
    },
    look("/api/v1/runs/{run}", READ, "One run, as `rerail show`", looks::one),
    Route {
        path: "/api/v1/runs/{run}/events",
        authority: READ,
        does: Does::Tell,
        summary: "The events of a run as they happen (server-sent); `Last-Event-ID` is the number of the last one seen",
        query: &[],
        body: nothing,
    },
    Route {
        query: &["step", "signs"],
        ..look("/api/v1/runs/{run}/why", READ, "Why it went this way, as `rerail show --why`", stories::why)
    },
    Route { query: &["signs"], ..look("/api/v1/runs/{run}/timeline", READ, "Where the time went", stories::timeline) },
    Route {
        query: &["format"],
        ..look("/api/v1/runs/{run}/export", READ, "A run written out, as `rerail export`", stories::export)
    },
    Route {
        query: &["before"],
        ..look("/api/v1/runs/{run}/diff", READ, "What differs from another run, as `rerail diff`", stories::diff)
    },
    look("/api/v1/runs/{run}/verify", READ, "Whether its journal is what was written", stories::verify),
    Route {
        query: &["step", "may"],
        ..look("/api/v1/runs/{run}/approval", READ, "The approval it waits for", stories::approval)
    },
    look("/api/v1/runs/{run}/handover", READ, "Where it stands for whoever takes it over", moves::handover),
    act("/api/v1/runs/{run}/take", RUN, "Take a run over from whoever drives it", moves::take, reason),
    rehearse("/api/v1/runs/{run}/undo/plan", "Say what taking a run back would do", moves::look_at_undo, look_back),
    act("/api/v1/runs/{run}/undo", RUN, "Take back what an ended run changed", moves::undo, take_back),
    act("/api/v1/runs/{run}/cancel", RUN, "Stop a run at its next safe point", acts::cancel, reason),
    act("/api/v1/runs/{run}/pause", RUN, "Let a run start nothing new", acts::pause, reason),
    act("/api/v1/runs/{run}/resume", RUN, "Take a run up again, with decisions about steps", starts::resume, go_on),
    act("/api/v1/runs/{run}/answer", RUN, "Answer a question of a run", acts::answer, reply),
    act("/api/v1/runs/{run}/note", RUN, "Add to a run's timeline", acts::note, note),
    act("/api/v1/runs/{run}/approve", APPROVE, "Say yes to exactly one change", acts::approve, word),
    act("/api/v1/runs/{run}/reject", APPROVE, "Say no to it, with a reason", acts::reject, word),
    Route {
        query: &["mine"],
        ..look("/api/v1/approvals", READ, "What waits for an approval, and who may give it", looks::waiting)
    },
    look("/api/v1/hold", READ, "Whether writes are on hold", looks::held),
    act("/api/v1/hold", RUN, "Put all writes on hold, or lift the hold", acts::hold, hold),
];

fn object(required: &[&str], properties: Json) -> Json {
    json!({ "type": "object", "additionalProperties": false, "required": required, "properties": properties })
}

fn text() -> Json {
    json!({ "type": "string" })
}

/// A text that may be left out, or be null.
fn maybe() -> Json {
    json!({ "type": ["string", "null"] })
}

fn nothing() -> Json {
    Json::Null
}

fn asked() -> Json {
    let pair = object(&["name", "text"], json!({ "name": text(), "text": text() }));
    object(
        &["runbook"],
        json!({
            "runbook": text(), "inputs": { "type": "object" }, "target": maybe(), "reason": maybe(), "incident": maybe(),
            "typed": { "type": "array", "items": pair, "description": "values as texts, read by the types of the inputs" },
            "file": pair,
        }),
    )
}

/// The same schema with further properties.
fn and(mut schema: Json, more: &[(&str, Json)]) -> Json {
    for (name, property) in more {
        schema["properties"][name] = property.clone();
    }
    schema
}

fn signs() -> Json {
    json!({ "enum": ["unicode", "ascii", null], "description": "tell it in lines as well, with these signs" })
}

fn whole() -> Json {
    json!({ "type": "boolean", "description": "the lines also list how actions do what they do" })
}

fn agreement() -> [(&'static str, Json); 2] {
    [
        ("yes", json!({ "type": "boolean", "description": "it may change something, and that is meant" })),
        (
            "confirm",
            json!({ "type": ["string", "null"], "description": "the target, or the runbook without one: it may destroy something" }),
        ),
    ]
}

fn rehearsed() -> Json {
    let save = json!({ "type": ["string", "null"], "description": "save it as a plan that may be applied for so long, such as 1h" });
    and(asked(), &[("told", signs()), ("whole", whole()), ("save", save)])
}

fn start() -> Json {
    and(asked(), &agreement())
}

fn saved() -> Json {
    object(&["plan"], json!({ "plan": text(), "again": { "type": "boolean" }, "told": signs(), "whole": whole() }))
}

fn apply() -> Json {
    let plan = object(&["plan"], json!({ "plan": text(), "again": { "type": "boolean" }, "reason": maybe() }));
    and(plan, &agreement())
}

fn look_back() -> Json {
    object(&[], json!({ "told": signs(), "whole": whole() }))
}

fn take_back() -> Json {
    and(reason(), &agreement())
}

fn reason() -> Json {
    object(&[], json!({ "reason": maybe() }))
}

fn go_on() -> Json {
    let steps = json!({ "type": "array", "items": text() });
    let done = object(&["step"], json!({ "step": text(), "outputs": { "type": "object" } }));
    object(
        &[],
        json!({
            "retry": steps, "skip": steps, "not_done": steps,
            "done": { "type": "array", "items": done }, "reason": maybe(),
        }),
    )
}

fn reply() -> Json {
    let fields = json!({ "type": "object", "additionalProperties": text() });
    object(&[], json!({ "step": maybe(), "answer": maybe(), "fields": fields }))
}

fn note() -> Json {
    object(&["text"], json!({ "text": { "type": "string", "pattern": "\\S" } }))
}

fn word() -> Json {
    let change =
        json!({ "type": "string", "description": "digest of the change that was looked at, 12 digits or all" });
    object(&["change"], json!({ "step": maybe(), "change": change, "reason": maybe() }))
}

fn hold() -> Json {
    object(&["on"], json!({ "on": { "type": "boolean" }, "reason": maybe() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_may_call_what_says_nothing_and_everybody_only_the_sign_of_life() {
        assert_eq!(Authority::default(), Authority::Nobody);
        let open: Vec<&str> =
            TABLE.iter().filter(|route| route.authority == Authority::Anybody).map(|route| route.path).collect();
        assert_eq!(open, ["/healthz"]);
        assert!(TABLE.iter().all(|route| route.authority != Authority::Nobody));
    }

    #[test]
    fn no_two_routes_are_one_and_what_acts_has_a_body() {
        let mut names: Vec<_> = TABLE.iter().map(|route| (route.path, route.is_post())).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), TABLE.len());
        for route in TABLE {
            let has_body = route.is_post() && !matches!(route.does, Does::Hear(_));
            assert_eq!(has_body, (route.body)().is_object(), "{}", route.path);
            assert!(!(route.is_post() && route.authority == Authority::Anybody), "{}", route.path);
            let hears = matches!(route.does, Does::Hear(_));
            assert_eq!(hears, route.authority == Authority::Signed, "{}", route.path);
        }
    }
}
