//! Is the right thing blamed? Each cause is planted alone, the runbook that diagnoses is run, and what it names is held
//! against what was planted. Printed as a table; one wrong line fails.

#![expect(clippy::print_stdout, reason = "the table is what this test says")]

use axum::Router;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, LOCATION};
use axum::response::Html;
use axum::routing::get;
use rerail::engine::facts::Facts;
use rerail::engine::outcome::RunOutcome;
use rerail::runbook::model::Level;
use rerail::script::value::Value;
use serde_json::json;

use crate::railway::{kit, others};
use crate::runbooks::{Place, ended};
use crate::servers::{Certificate, Http, Tls, healthy, refused_port};
use crate::world::railway::{Service, State};

/// A cause that was planted, and what a runbook made of it.
pub struct Planted {
    pub scenario: String,
    pub runbook: &'static str,
    /// What it has to name: its output `cause`, or a part of its worst finding.
    pub expected: &'static str,
    /// The runbook it has to suggest; "" for none.
    pub suggests: &'static str,
    pub facts: Facts,
}

impl Planted {
    /// What the runbook names as the cause.
    fn named(&self) -> String {
        let end = self.facts.finished.as_ref().unwrap();
        if end.outcome != RunOutcome::Success {
            return end.error.as_ref().map(|error| error.message.clone()).unwrap_or_default();
        }
        match end.outputs.get("cause") {
            Some(Value::Text(cause)) => cause.clone(),
            _ => self.worst().join(" | "),
        }
    }

    /// All that is said at the worst level.
    fn worst(&self) -> Vec<String> {
        let worst = self.facts.findings.iter().map(|finding| finding.level).max();
        let worst = self.facts.findings.iter().filter(|finding| Some(finding.level) == worst);
        worst.map(|finding| finding.say.clone()).collect()
    }

    fn suggested(&self) -> String {
        let suggested = self.facts.findings.iter().filter_map(|finding| finding.suggest.as_ref());
        suggested.map(|next| next.runbook.clone()).next().unwrap_or_default()
    }

    fn is_right(&self) -> bool {
        let end = self.facts.finished.as_ref().unwrap();
        let named = match end.outputs.get("cause") {
            Some(Value::Text(cause)) => cause == self.expected,
            _ => self.named().contains(self.expected),
        };
        named && self.suggested() == self.suggests
    }
}

/// Prints what was made of each, and fails if one was taken for another.
#[track_caller]
pub fn none_is_confused(of: &str, planted: &[Planted]) {
    println!("{of}\n{:<34} {:<20} {:<24} suggests", "planted", "runbook", "named");
    for one in planted {
        let named = one.named();
        let named: String = named.chars().take(60).collect();
        let mark = if one.is_right() { "✓" } else { "✗" };
        println!("{mark} {:<32} {:<20} {named:<24} {}", one.scenario, one.runbook, one.suggested());
    }
    let wrong: Vec<String> = planted
        .iter()
        .filter(|one| !one.is_right())
        .map(|one| {
            let said: Vec<String> =
                one.facts.findings.iter().map(|finding| format!("{:?}: {}", finding.level, finding.say)).collect();
            format!(
                "{}: {} names {:?} and suggests {:?}, expected {:?} and {:?}\n  {}",
                one.scenario,
                one.runbook,
                one.named(),
                one.suggested(),
                one.expected,
                one.suggests,
                said.join("\n  ")
            )
        })
        .collect();
    println!("{} planted, {} confused", planted.len(), wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A backend on Railway that was well, and what has become of it.
fn on_railway(
    scenario: &str,
    expected: &'static str,
    suggests: &'static str,
    plant: impl FnOnce(&mut State),
) -> Planted {
    let railway = others::world(plant);
    let place = kit::place(&railway);
    let base_url = railway.app();
    let inputs = [("base_url", base_url.as_str()), ("place", "main"), ("security_headers", "[]"), ("slow", "1m")];
    let facts = ended(place.run("backend-down", &inputs));
    kit::assert_no_secret_below(place.root());
    assert!(railway.all_effects().keys().all(|what| what == "deploy"), "a diagnosis changes nothing");
    Planted { scenario: scenario.to_owned(), runbook: "backend-down", expected, suggests, facts }
}

/// The newest deployment of the backend has this state and ends its log with these lines.
fn stands(state: &mut State, status: &str, instances: &[&str], log: &[&str]) {
    let newest = &mut state.service("backend").deployments[0];
    newest.status = status.to_owned();
    newest.instances = instances.iter().map(|instance| (*instance).to_owned()).collect();
    newest.log = log.iter().map(|line| (*line).to_owned()).collect();
}

fn crashed(state: &mut State, line: &str) {
    stands(state, "CRASHED", &["CRASHED"], &["starting gunicorn", line, "exited with code 1"]);
}

fn listening(service: &mut Service, platform: u16) {
    service.port = Some(platform);
}

#[test]
fn with_a_platform_the_cause_is_named_and_the_runbook_that_puts_it_right() {
    let planted = [
        on_railway("nothing", "none", "verify-deployment", |_| ()),
        on_railway("a variable was never set", "variable", "crash-loop", |state| {
            state.service("backend").variables.remove("NEXTAUTH_SECRET");
            state.deploy_by_name("backend");
            state.settle("backend");
        }),
        on_railway("the log names one nobody listed", "variable", "crash-loop", |state| {
            crashed(state, "KeyError: 'STRIPE_API_KEY'");
        }),
        on_railway("the start command says $PORT", "port", "rollback-backend", |state| {
            crashed(state, "Error: '$PORT' is not a valid port number.");
        }),
        on_railway("the port is taken", "port", "rollback-backend", |state| {
            crashed(state, "OSError: [Errno 98] Address already in use");
        }),
        on_railway("it fell back to port 8000", "port", "rollback-backend", |state| {
            listening(state.service("backend"), 8080);
            stands(state, "SUCCESS", &["RUNNING"], &["listening on port 8000"]);
        }),
        on_railway("the database refuses the login", "database_login", "database-down", |state| {
            crashed(state, "FATAL:  password authentication failed for user \"app\"");
        }),
        on_railway("the database can't be reached", "database", "database-down", |state| {
            state.reachable = false;
            state.deploy_by_name("backend");
            state.settle("backend");
        }),
        on_railway("too many connections", "database", "database-down", |state| {
            crashed(state, "FATAL: sorry, too many clients already");
        }),
        on_railway("migrations fail", "migration", "database-down", |state| {
            crashed(state, "alembic.util.exc.CommandError: Can't locate revision identified by 'a1b2'");
        }),
        on_railway("the Dockerfile was deleted", "build", "rollback-backend", |state| {
            stands(state, "FAILED", &[], &[]);
        }),
        on_railway("the health check asks elsewhere", "healthcheck", "rollback-backend", |state| {
            stands(state, "FAILED", &[], &["Uvicorn running on http://0.0.0.0:8080"]);
        }),
        on_railway("a module is missing", "module", "rollback-backend", |state| {
            crashed(state, "ModuleNotFoundError: No module named 'app.main'");
        }),
        on_railway("memory runs out", "memory", "rollback-backend", |state| {
            crashed(state, "FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory");
        }),
        on_railway("it crashes without a word", "crash", "rollback-backend", |state| {
            crashed(state, "Segmentation fault");
        }),
        on_railway("it is being built", "starting", "watch", |state| stands(state, "BUILDING", &[], &[])),
        on_railway("somebody has to let it go on", "waiting", "", |state| stands(state, "NEEDS_APPROVAL", &[], &[])),
        on_railway("somebody removed it", "stopped", "", |state| stands(state, "REMOVED", &[], &[])),
        on_railway("it was never deployed", "nothing_deployed", "", |state| {
            state.service("backend").deployments.clear();
        }),
        on_railway("its secret is a placeholder", "settings", "env-drift", |state| {
            let backend = state.service("backend");
            backend.variables.insert("NEXTAUTH_SECRET".into(), "change-me-to-something-of-32-letters".into());
            // It runs, and the edge doesn't reach it for a reason nobody logs.
            stands(state, "SUCCESS", &["RUNNING"], &["ready"]);
        }),
    ];
    none_is_confused("backend-down, with a place on Railway", &planted);
}

fn outside(scenario: &str, base_url: &str, more: &[(&str, &str)], expected: &'static str) -> Planted {
    outside_with(scenario, Place::new(), base_url, more, expected)
}

fn outside_with(
    scenario: &str,
    place: Place,
    base_url: &str,
    more: &[(&str, &str)],
    expected: &'static str,
) -> Planted {
    let given = [("base_url", base_url), ("security_headers", "[]")];
    let inputs: Vec<(&str, &str)> = given.into_iter().chain(more.iter().copied()).collect();
    let facts = ended(place.run("backend-down", &inputs));
    let suggests = if matches!(expected, "none" | "slow") { "verify-deployment" } else { "" };
    Planted { scenario: scenario.to_owned(), runbook: "backend-down", expected, suggests, facts }
}

fn answers(status: StatusCode) -> Http {
    Http::serve(Router::new().fallback(move || async move { status }))
}

#[test]
fn from_outside_alone_each_way_to_be_down_is_told_from_the_others() {
    let mut planted = Vec::new();
    for (status, expected) in [
        (StatusCode::BAD_GATEWAY, "bad_gateway"),
        (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        (StatusCode::GATEWAY_TIMEOUT, "gateway_timeout"),
        (StatusCode::INTERNAL_SERVER_ERROR, "error"),
        (StatusCode::UNAUTHORIZED, "forbidden"),
        (StatusCode::NOT_FOUND, "not_here"),
        (StatusCode::TOO_MANY_REQUESTS, "rate_limited"),
    ] {
        planted.push(outside(status.as_str(), &answers(status).url, &[], expected));
    }
    let server = Http::serve(healthy());
    planted.push(outside("nothing", &server.url, &[], "none"));
    planted.push(outside("nobody listens", &format!("http://127.0.0.1:{}", refused_port()), &[], "refused"));
    planted.push(outside("the name is gone", "http://backend.invalid", &[("timeout", "3s")], "dns"));
    planted.push(outside("no TLS", &server.url.replace("http://127.0.0.1", "https://localhost"), &[], "tls"));
    let degraded = || async { ([(CONTENT_TYPE, "application/json")], r#"{"status":"degraded"}"#) };
    let moved = || async { (StatusCode::MOVED_PERMANENTLY, [(LOCATION, "https://new.example.com/")]) };
    let late = || async { tokio::time::sleep(std::time::Duration::from_millis(30)).await };
    let health = |handler| Router::new().route("/health", handler).fallback_service(healthy());
    for (scenario, handler, more, expected) in [
        ("it lost its database", get(degraded), None, "degraded"),
        ("it has moved", get(moved), None, "redirect"),
        ("a page", get(|| async { Html("<html>welcome</html>") }), None, "page"),
        ("it is slow", get(late), Some(("slow", "1ms")), "slow"),
        ("it hangs", get(std::future::pending::<()>), Some(("timeout", "300ms")), "hangs"),
    ] {
        let server = Http::serve(health(handler));
        planted.push(outside(scenario, &server.url, more.as_slice(), expected));
    }
    for (scenario, certificate, expected) in [
        ("the certificate is over", Certificate::Expired, "expired"),
        ("another name's certificate", Certificate::OtherName, "wrong_name"),
        ("nobody's certificate", Certificate::Unknown, "untrusted"),
    ] {
        let server = Tls::serve(certificate);
        let place = Place::new().target(&server.target());
        planted.push(outside_with(scenario, place, &server.url, &[], expected));
    }
    none_is_confused("backend-down, from outside alone", &planted);
}

/// A backend with all its headers, closed doors and a preflight, over plain http.
fn ready(differs: impl FnOnce(Router) -> Router) -> Router {
    let cors = |request: axum::extract::Request| async move {
        let origin = request.headers().get("origin").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let allowed = if origin == "https://app.example.com" { origin.to_owned() } else { String::new() };
        let head = [
            ("access-control-allow-origin", allowed),
            ("access-control-allow-credentials", "true".to_owned()),
            ("access-control-allow-headers", "content-type".to_owned()),
        ];
        (StatusCode::NO_CONTENT, head)
    };
    let router = Router::new()
        .route("/", get(|| async { "an API" }))
        .route("/health", get(|| async { axum::Json(json!({ "status": "healthy" })) }))
        .route("/api/ping", get(|| async { "pong" }).options(cors));
    differs(router).layer(axum::middleware::map_response(|mut response: axum::response::Response| async move {
        for (name, value) in [
            ("content-security-policy", "default-src 'none'"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
        ] {
            response.headers_mut().entry(name).or_insert(value.parse().unwrap());
        }
        response
    }))
}

/// A readiness of a backend over plain http, of which that is the only flaw but for the one that was planted.
fn readiness(
    scenario: &str,
    expected: &'static str,
    differs: impl FnOnce(Router) -> Router,
    more: &[(&str, &str)],
) -> Planted {
    let server = Http::serve(ready(differs));
    let given = [("base_url", server.url.as_str()), ("origins", "https://app.example.com")];
    let inputs: Vec<(&str, &str)> = given.into_iter().chain(more.iter().copied()).collect();
    let mut facts = ended(Place::new().run("readiness", &inputs));
    let before = facts.findings.len();
    // Loopback has no https; and what sums up is no cause.
    facts.findings.retain(|finding| {
        !finding.say.contains("is plain http") && finding.level != Level::Info && finding.level != Level::Ok
    });
    assert!(facts.findings.len() < before);
    Planted { scenario: scenario.to_owned(), runbook: "readiness", expected, suggests: "", facts }
}

#[test]
fn each_flaw_of_what_goes_live_is_named_and_nothing_else() {
    let page = || async { "pages" };
    let open = || async { StatusCode::OK };
    let star = |router: Router| {
        router.layer(axum::middleware::map_response(|mut response: axum::response::Response| async move {
            response.headers_mut().insert("access-control-allow-origin", "*".parse().unwrap());
            response
        }))
    };
    let framed = |router: Router| {
        router.layer(axum::middleware::map_response(|mut response: axum::response::Response| async move {
            response.headers_mut().insert("x-frame-options", "SAMEORIGIN".parse().unwrap());
            response
        }))
    };
    let planted = [
        readiness("nothing", "", |router| router, &[]),
        readiness("its documentation is public", "/docs answers 200", |router| router.route("/docs", get(page)), &[]),
        readiness(
            "a path asks for no login",
            "/api/me answers 200 without a login",
            |router| router.route("/api/me", get(open)),
            &[("protected_path", "/api/me")],
        ),
        readiness("an origin is blocked", "https://app.example.com are blocked: `*`", star, &[]),
        readiness("pages can be framed", "x-frame-options is SAMEORIGIN", framed, &[]),
        readiness("nobody is ever refused", "the rate limit is none", |router| router, &[("rate_limit", "5")]),
        readiness("it is slow", "the slowest answer took", |router| router, &[("worst_ms", "-1")]),
    ];
    for one in &planted {
        let more: Vec<&str> = one.facts.findings.iter().map(|finding| finding.say.as_str()).collect();
        let at_most = usize::from(!one.expected.is_empty());
        assert!(more.len() <= at_most, "{}: {more:?}", one.scenario);
    }
    none_is_confused("readiness", &planted);
}
