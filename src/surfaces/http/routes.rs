//! The table of routes: the only place where one is added.
//!
//! The router, the description of the API and the tests of who may call what are made from it.

use serde_json::{Value as Json, json};

use crate::engine::ids::RunId;
use crate::runbook::tokens::Scope;
use crate::runs::Twice;
use crate::surfaces::alerts;
use crate::surfaces::chat::asked::Kind;
use crate::surfaces::chat::hooks::Door;
use crate::surfaces::http::authority::Authority;
use crate::surfaces::http::body::Size;
use crate::surfaces::http::call::{Answer, Call, Knock};
use crate::surfaces::http::hooks::Hook;
use crate::surfaces::http::live::Telling;
use crate::surfaces::http::problem::Problem;
use crate::surfaces::http::{acts, fitness, looks, mcp, metrics, moves, starts, stories};
use crate::surfaces::web;

/// What a route does with a request.
#[derive(Clone, Copy)]
pub enum Does {
    /// Looks; asked with GET.
    Look(fn(&Call<'_>) -> Result<Answer, Problem>),
    /// Tells the events of a run as they happen; asked with GET.
    Tell,
    /// Rehearses: nothing of it is recorded, so it may be done again; asked with POST.
    Rehearse(fn(&Call<'_>) -> Result<Answer, Problem>),
    /// Answers one message of a protocol that says itself what may be sent again; asked with POST.
    Converse(fn(&Call<'_>) -> Result<Answer, Problem>),
    /// Takes in what a program sends that proves itself; asked with POST.
    Hear(&'static dyn Hook),
    /// Does something, once for each key of its client; asked with POST.
    Act(fn(&Call<'_>, RunId) -> Result<Answer, Problem>, Twice),
    /// Shows a page, or a file of one; asked with GET by browsers.
    Page(fn(&Call<'_>) -> Result<Answer, Problem>),
    /// Does something, once for each form that was shown; asked with POST by browsers.
    Form(Form),
    /// Answers a form with a page; nothing of it is recorded.
    Preview(fn(&Call<'_>) -> Result<Answer, Problem>),
    /// Tells a page what has changed on it, as it changes; asked with GET.
    Live(Live),
    /// Shows the way in; asked with GET.
    Entrance(fn(&Knock<'_>) -> Result<Answer, Problem>),
    /// Lets somebody in or out; asked with POST.
    Door(fn(&Knock<'_>) -> Result<Answer, Problem>),
    /// A text of this program that pages need: its media type and itself.
    Asset(&'static str, &'static str),
}

/// Begins to tell, from the number of the last event that a page was told.
pub type Live = fn(&Call<'_>, Option<u64>) -> Result<Box<dyn Telling>, Problem>;

/// What a form does.
#[derive(Clone, Copy)]
pub struct Form {
    pub act: fn(&Call<'_>, RunId) -> Result<Answer, Problem>,
    pub twice: Twice,
    /// What is shown where it was refused: mostly the form once more, with what was typed.
    pub refused: fn(&Call<'_>, &Problem) -> Result<Answer, Problem>,
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
    /// How large that may be.
    pub size: Size,
}

impl Route {
    /// Whether it is asked with POST.
    pub fn is_post(&self) -> bool {
        match self.does {
            Does::Look(_) | Does::Tell | Does::Page(_) | Does::Live(_) | Does::Entrance(_) | Does::Asset(..) => false,
            Does::Rehearse(_)
            | Does::Converse(_)
            | Does::Act(..)
            | Does::Form(_)
            | Does::Preview(_)
            | Does::Door(_) => true,
            Does::Hear(_) => true,
        }
    }

    /// Whether it is asked by a browser for somebody who looks at it: answered with pages, let in by a session.
    pub fn is_page(&self) -> bool {
        match self.does {
            Does::Look(_) | Does::Tell | Does::Rehearse(_) | Does::Converse(_) | Does::Act(..) | Does::Hear(_) => false,
            Does::Page(_) | Does::Form(_) | Does::Preview(_) | Does::Live(_) => true,
            Does::Entrance(_) | Does::Door(_) | Does::Asset(..) => true,
        }
    }
}

/// Pages read their own parameters: those of an alert's labels are not known here.
const ANY: &[&str] = &["…"];

const READ: Authority = Authority::Person(Scope::Read);
const RUN: Authority = Authority::Person(Scope::Run);
const APPROVE: Authority = Authority::Person(Scope::Approve);

const fn look(
    path: &'static str,
    authority: Authority,
    summary: &'static str,
    look: fn(&Call<'_>) -> Result<Answer, Problem>,
) -> Route {
    Route { path, authority, does: Does::Look(look), summary, query: &[], body: nothing, size: Size::Usual }
}

const fn page(path: &'static str, summary: &'static str, page: fn(&Call<'_>) -> Result<Answer, Problem>) -> Route {
    Route { path, authority: READ, does: Does::Page(page), summary, query: ANY, body: nothing, size: Size::Usual }
}

const fn form(
    path: &'static str,
    authority: Authority,
    summary: &'static str,
    act: fn(&Call<'_>, RunId) -> Result<Answer, Problem>,
    refused: fn(&Call<'_>, &Problem) -> Result<Answer, Problem>,
) -> Route {
    let does = Does::Form(Form { act, twice: Twice::Unknown, refused });
    Route { path, authority, does, summary, query: ANY, body: nothing, size: Size::Usual }
}

const fn asset(path: &'static str, media_type: &'static str, text: &'static str) -> Route {
    let does = Does::Asset(media_type, text);
    Route {
        path,
        authority: Authority::Anybody,
        does,
        summary: "A text that pages need",
        query: ANY,
        body: nothing,
        size: Size::Usual,
    }
}

const fn act(
    path: &'static str,
    authority: Authority,
    summary: &'static str,
    act: fn(&Call<'_>, RunId) -> Result<Answer, Problem>,
    body: fn() -> Json,
) -> Route {
    Route { path, authority, does: Does::Act(act, Twice::Unknown), summary, query: &[], body, size: Size::Usual }
}

const fn hear(path: &'static str, summary: &'static str, hook: &'static dyn Hook) -> Route {
    Route {
        path,
        authority: Authority::Signed,
        does: Does::Hear(hook),
        summary,
        query: &[],
        body: nothing,
        size: Size::Usual,
    }
}

const fn rehearse(
    path: &'static str,
    summary: &'static str,
    rehearse: fn(&Call<'_>) -> Result<Answer, Problem>,
    body: fn() -> Json,
) -> Route {
    Route { path, authority: READ, does: Does::Rehearse(rehearse), summary, query: &[], body, size: Size::Usual }
}

/// Every route there is.
pub const TABLE: &[Route] = &[
    look("/healthz", Authority::Anybody, "Whether the process lives", looks::alive),
    look("/readyz", READ, "Whether it can do its work", looks::ready),
    look("/metrics", READ, "Figures for Prometheus", metrics::figures),
    look("/api/v1/openapi.json", READ, "This description", looks::described),
    look("/api/v1/whoami", READ, "Who is calling, and in which roles", looks::whoami),
    Route {
        query: &["target"],
        ..look("/api/v1/doctor", READ, "Whether it is fit, as `rerail doctor`", fitness::look)
    },
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
    Route {
        size: Size::Plan,
        ..rehearse("/api/v1/plans/check", "Hold a saved plan against now", moves::look_at_plan, saved)
    },
    Route {
        size: Size::Plan,
        ..act("/api/v1/plans/apply", RUN, "Do exactly what a saved plan says, or nothing", moves::apply, apply)
    },
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
        size: Size::Usual,
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
    Route {
        size: Size::Plan,
        ..rehearse("/api/v1/runs/{run}/diff", "Hold a saved plan against what a run did", stories::compare, against)
    },
    rehearse("/api/v1/verify", "Whether the journal is what was written, as `rerail verify`", stories::check, checked),
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
    hear("/hooks/alertmanager", "Alerts of Alertmanager", &alerts::ALERTMANAGER),
    hear("/hooks/grafana", "Alerts of Grafana", &alerts::GRAFANA),
    hear("/hooks/pagerduty", "Events of PagerDuty", &alerts::PAGERDUTY),
    hear("/hooks/generic/{hook}", "Alerts of any other sender, by its name under `hooks.generic`", &alerts::GENERIC),
    act("/api/v1/hold", RUN, "Put all writes on hold, or lift the hold", acts::hold, hold),
    // What a tool does beyond looking asks for more, message by message.
    Route {
        path: "/mcp",
        authority: READ,
        does: Does::Converse(mcp::converse),
        summary: "The tools of a program that acts for a person: one message of the Model Context Protocol",
        query: &[],
        body: message,
        size: Size::Usual,
    },
    hear("/chat/slack", "What people ask for in Slack, signed by it", &Door(Kind::Slack)),
    hear("/chat/mattermost", "What people ask for in Mattermost", &Door(Kind::Mattermost)),
    hear("/chat/discord", "What people ask for in Discord, signed by it", &Door(Kind::Discord)),
    hear("/chat/generic", "What people ask for in another chat, signed by its program", &Door(Kind::Generic)),
    page("/", "What waits for people, what runs, what failed", web::home::page),
    Route { does: Does::Live(web::live::home), ..page("/live", "The same as it changes", web::home::page) },
    page("/runbooks", "Runbooks", web::books::list),
    page("/runbooks/{runbook}", "One runbook, and the form that starts it", web::books::one),
    page("/r/{runbook}", "The same, filled in by the labels of an alert", web::books::filled),
    Route {
        does: Does::Preview(web::starting::plan),
        ..page("/runbooks/{runbook}/plan", "Rehearse it", web::books::one)
    },
    Route {
        does: Does::Form(Form { act: web::starting::run, twice: Twice::Same, refused: web::starting::refused }),
        ..form("/runbooks/{runbook}/run", RUN, "Start it", web::starting::run, web::starting::refused)
    },
    page("/runs", "Runs, newest first", web::lists::runs),
    page("/runs/{run}", "One run", web::run::page),
    Route { does: Does::Live(web::live::run), ..page("/runs/{run}/live", "The same as it changes", web::run::page) },
    page("/runs/{run}/transcript", "Its transcript, in windows", web::lists::transcript),
    page("/runs/{run}/picture.svg", "Where the time went", web::exports::svg),
    page("/runs/{run}/export.md", "Its postmortem", web::exports::markdown),
    page("/runs/{run}/export.html", "It as one page", web::exports::html),
    page("/runs/{run}/export.jsonl", "Its events", web::exports::jsonl),
    page("/runs/{run}/approve/{*step}", "One change, to say yes or no to", web::approval::page),
    form("/runs/{run}/cancel", RUN, "Stop it at its next safe point", web::acts::cancel, web::problems::page),
    form("/runs/{run}/pause", RUN, "Let it start nothing new", web::acts::pause, web::problems::page),
    form("/runs/{run}/resume", RUN, "Take it up again", web::acts::resume, web::problems::page),
    form("/runs/{run}/answer", RUN, "Answer a question of it", web::acts::answer, web::problems::page),
    form("/runs/{run}/note", RUN, "Add to its timeline", web::acts::note, web::problems::page),
    form("/runs/{run}/approve", APPROVE, "Say yes to exactly one change", web::acts::approve, web::approval::refused),
    form("/runs/{run}/reject", APPROVE, "Say no to it", web::acts::reject, web::approval::refused),
    page("/proposals/{run}", "What an alert would start, with its plan", web::proposal::page),
    Route {
        does: Does::Live(web::proposal::live),
        ..page("/proposals/{run}/live", "The same as it changes", web::proposal::page)
    },
    Route {
        does: Does::Form(Form { act: web::proposal::start, twice: Twice::Same, refused: web::proposal::refused }),
        ..form("/proposals/{run}/start", RUN, "Start it", web::proposal::start, web::proposal::refused)
    },
    Route {
        does: Does::Form(Form { act: web::proposal::dismiss, twice: Twice::Same, refused: web::proposal::refused }),
        ..form("/proposals/{run}/dismiss", RUN, "Dismiss it", web::proposal::dismiss, web::proposal::refused)
    },
    Route {
        does: Does::Form(Form { act: web::proposal::plan_again, twice: Twice::Same, refused: web::proposal::refused }),
        ..form("/proposals/{run}/plan", RUN, "Have it planned anew", web::proposal::plan_again, web::proposal::refused)
    },
    page("/approvals", "What waits for an approval, and what was decided", web::approval::list),
    page("/incidents/{incident}", "Runs and notes of an incident", web::lists::incident),
    page("/admin", "The hold, people and tokens", web::admin::page),
    page("/admin/doctor", "Whether this machine is fit", web::admin::doctor),
    form("/admin/hold", RUN, "Put all writes on hold, or lift the hold", web::acts::hold, web::admin::refused),
    Route {
        path: "/login",
        authority: Authority::Newcomer,
        does: Does::Entrance(web::login::page),
        summary: "The way in",
        query: ANY,
        body: nothing,
        size: Size::Usual,
    },
    Route {
        path: "/login",
        authority: Authority::Newcomer,
        does: Does::Door(web::login::sign_in),
        summary: "Begin a session",
        query: ANY,
        body: nothing,
        size: Size::Usual,
    },
    Route {
        path: "/logout",
        authority: Authority::Newcomer,
        does: Does::Door(web::login::sign_out),
        summary: "End it",
        query: ANY,
        body: nothing,
        size: Size::Usual,
    },
    asset("/web/style.css", "text/css; charset=utf-8", web::assets::STYLE),
    asset("/web/live.js", "text/javascript; charset=utf-8", web::assets::SCRIPT),
    asset("/web/icon.svg", "image/svg+xml", web::assets::ICON),
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
    let again = json!({ "type": "boolean" });
    object(&["plan"], json!({ "plan": text(), "name": file_name(), "again": again, "told": signs(), "whole": whole() }))
}

fn file_name() -> Json {
    json!({ "type": ["string", "null"], "description": "what the file of the plan is called in messages" })
}

fn against() -> Json {
    object(&["plan"], json!({ "plan": text(), "name": file_name(), "told": signs() }))
}

fn checked() -> Json {
    let lines =
        json!({ "type": "array", "items": text(), "description": "signed checkpoints that were kept elsewhere" });
    object(&[], json!({ "run": maybe(), "checkpoints": lines, "told": signs() }))
}

fn apply() -> Json {
    let again = json!({ "type": "boolean" });
    let plan = object(&["plan"], json!({ "plan": text(), "name": file_name(), "again": again, "reason": maybe() }));
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

fn message() -> Json {
    json!({
        "type": "object", "required": ["jsonrpc", "method"],
        "properties": { "jsonrpc": { "const": "2.0" }, "method": text() },
    })
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
        assert_eq!(open, ["/healthz", "/web/style.css", "/web/live.js", "/web/icon.svg"]);
        assert!(
            TABLE.iter().filter(|route| route.authority == Authority::Anybody).all(|route| !route.is_post()),
            "what everybody may do does nothing"
        );
        // Nobody is in yet, or any more: these do nothing but let in and out.
        let doors: Vec<&str> =
            TABLE.iter().filter(|route| route.authority == Authority::Newcomer).map(|route| route.path).collect();
        assert_eq!(doors, ["/login", "/login", "/logout"]);
        for route in TABLE {
            let door = matches!(route.does, Does::Entrance(_) | Does::Door(_));
            assert_eq!(door, route.authority == Authority::Newcomer, "{}", route.path);
        }
        assert!(TABLE.iter().all(|route| route.authority != Authority::Nobody));
    }

    #[test]
    fn no_two_routes_are_one_and_what_acts_has_a_body() {
        let mut names: Vec<_> = TABLE.iter().map(|route| (route.path, route.is_post())).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), TABLE.len());
        for route in TABLE {
            let has_body = route.is_post() && !route.is_page() && !matches!(route.does, Does::Hear(_));
            assert_eq!(has_body, (route.body)().is_object(), "{}", route.path);
            assert!(!(route.is_post() && route.authority == Authority::Anybody), "{}", route.path);
            let hears = matches!(route.does, Does::Hear(_));
            assert_eq!(hears, route.authority == Authority::Signed, "{}", route.path);
        }
    }
}
