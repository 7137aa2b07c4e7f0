//! The shipped runbooks against real servers on loopback: each broken backend gets the finding that names
//! what is wrong with it.

#![expect(clippy::unwrap_used, reason = "a test whose world can't be set up has failed")]

use std::path::{Path, PathBuf};

use axum::Router;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, LOCATION, SERVER};
use axum::response::Html;
use axum::routing::get;
use rerail::engine::event::{Actor, Event};
use rerail::engine::facts::{Facts, Finding};
use rerail::engine::machine::{Machine, Signal, Waits};
use rerail::engine::outcome::RunOutcome;
use rerail::engine::plan::SavedPlan;
use rerail::project::Project;
use rerail::redact::Redactor;
use rerail::runbook::model::Level;
use rerail::runbook::problem::render;
use rerail::runbook::settings::read_target;
use rerail::runbook::source::Source;
use rerail::runbook::spec::Effect;
use rerail::runs::{Foreground, Left, Runs, StartRequest, Watcher, Why};
use rerail::script::sandbox::{Evaluated, Input, Sandbox};
use rerail::script::value::Value;
use tokio::sync::mpsc::unbounded_channel;

use crate::servers::{Certificate, Http, Tls, healthy, refused_port};

/// Draws nothing.
struct Unseen;

impl Watcher for Unseen {
    fn events(&mut self, _: &[Event], _: &Facts) {}
    fn waiting(&mut self, _: &Waits, _: &Facts) {}
}

/// A store and a project of its own, gone at the end.
pub struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    pub fn new() -> Place {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("project/targets")).unwrap();
        Place { dir }
    }

    pub fn target(self, text: &str) -> Place {
        std::fs::write(self.project().join("targets/here.yaml"), text).unwrap();
        self
    }

    pub fn project(&self) -> PathBuf {
        self.dir.path().join("project")
    }

    /// Everything: the project and the store.
    pub fn root(&self) -> &Path {
        self.dir.path()
    }

    pub fn runs(&self) -> Runs {
        let project = Project { root: Some(self.project()), ..Project::default() };
        Runs::open(self.dir.path().join("state"), project, Redactor::new())
    }

    /// What `rerail plan` would save for the same run.
    pub fn plan(&self, runbook: &str, inputs: &[(String, String)]) -> SavedPlan {
        let runs = self.runs();
        let target = self.project().join("targets/here.yaml").exists().then(|| "here".to_owned());
        let inputs = inputs.to_vec();
        let request = StartRequest { runbook: runbook.to_owned(), inputs, target, ..StartRequest::default() };
        let prepared = runs.prepare(&request).unwrap();
        let (_control, control) = unbounded_channel();
        let actor = Actor::new("ana", "test");
        let foreground = Foreground { watcher: Box::new(Unseen), control, attended: false, actor };
        let made = runs.plan(&prepared, runbook, jiff::SignedDuration::from_hours(1), foreground).unwrap();
        let end = made.rehearsed.facts.finished.clone();
        made.plan.unwrap_or_else(|| panic!("the rehearsal did not go well: {end:?}")).0
    }

    pub fn run(&self, runbook: &str, inputs: &[(&str, &str)]) -> Left {
        let runs = self.runs();
        let target = self.project().join("targets/here.yaml").exists().then(|| "here".to_owned());
        let inputs = inputs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let request = StartRequest { runbook: runbook.to_owned(), inputs, target, ..StartRequest::default() };
        let prepared = runs.prepare(&request);
        let prepared = prepared.unwrap_or_else(|error| panic!("{error}\n{}", render(&error.problems, false)));
        let (_control, control) = unbounded_channel();
        let actor = Actor::new("ana", "test");
        let left = runs.start(prepared, Foreground { watcher: Box::new(Unseen), control, attended: false, actor });
        left.unwrap().left().unwrap()
    }
}

fn diagnose(base_url: &str, more: &[(&str, &str)]) -> Facts {
    let inputs: Vec<(&str, &str)> = [("base_url", base_url)].into_iter().chain(more.iter().copied()).collect();
    ended(Place::new().run("backend-down", &inputs))
}

pub fn ended(left: Left) -> Facts {
    assert_eq!(left.why, Why::Ended);
    left.facts
}

pub fn outcome(facts: &Facts) -> RunOutcome {
    facts.finished.as_ref().unwrap().outcome
}

fn error(facts: &Facts) -> String {
    facts.finished.as_ref().unwrap().error.as_ref().unwrap().message.clone()
}

pub fn output(facts: &Facts, name: &str) -> Value {
    facts.finished.as_ref().unwrap().outputs[name].clone()
}

/// The run ended well and named this cause in a finding of this level that says this.
fn assert_cause(facts: &Facts, cause: &str, level: Level, says: &str) {
    assert_eq!(outcome(facts), RunOutcome::Success, "{:?}", facts.finished);
    assert_eq!(output(facts, "cause"), Value::from(cause), "{:?}", facts.findings);
    let found = |finding: &&Finding| finding.level == level && finding.say.contains(says);
    assert!(facts.findings.iter().any(|finding| found(&finding)), "{says}: {:?}", facts.findings);
}

pub fn levels(facts: &Facts) -> Vec<Level> {
    facts.findings.iter().map(|finding| finding.level).collect()
}

// Watching.

/// An address that answers with these statuses in turn, the last one for good, watched ten times at most.
fn watched(statuses: &'static [u16], more: &[(&str, &str)]) -> Facts {
    let asked = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let answer = move || async move {
        let at = asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst).min(statuses.len() - 1);
        StatusCode::from_u16(statuses[at]).unwrap()
    };
    let server = Http::serve(Router::new().route("/health", get(answer)));
    let url = format!("{}/health", server.url);
    let inputs: Vec<(&str, &str)> =
        [("url", url.as_str()), ("every", "1ms")].into_iter().chain(more.iter().copied()).collect();
    ended(Place::new().run("watch", &inputs))
}

fn only_finding(facts: &Facts) -> (Level, String) {
    assert_eq!(facts.findings.len(), 1, "{:?}", facts.findings);
    (facts.findings[0].level, facts.findings[0].say.clone())
}

#[test]
fn watching_ends_with_what_was_seen() {
    let steady = watched(&[200], &[]);
    assert_eq!((output(&steady, "looks"), output(&steady, "down")), (Value::Int(10), Value::from(false)));
    assert!(matches!(only_finding(&steady), (Level::Ok, say) if say.starts_with("Steady: 10 looks")));
    // Three failures, never three in a row.
    let unsteady = watched(&[500, 500, 200, 404, 200], &[]);
    assert!(
        matches!(only_finding(&unsteady), (Level::Warning, say) if say.contains("3 of 10 looks failed, the last one: status 404"))
    );
    let down = watched(&[200, 503], &[]);
    assert_eq!((output(&down, "looks"), output(&down, "down")), (Value::Int(4), Value::from(true)));
    assert!(
        matches!(only_finding(&down), (Level::Critical, say) if say.contains("3 failures in a row after 4 looks, the last one: status 503"))
    );
    assert_eq!(down.findings[0].suggest.as_ref().unwrap().runbook, "backend-down");
    let at_once = watched(&[500], &[("failures", "1")]);
    assert_eq!(output(&at_once, "looks"), Value::Int(1));
}

#[test]
fn a_watch_without_an_end_or_a_limit_is_refused() {
    for (name, value, says) in [
        ("looks", "0", "looks is 0, expected 1 to 200"),
        ("looks", "201", "looks is 201, expected 1 to 200"),
        ("failures", "0", "failures is 0, expected 1 to 10"),
        ("failures", "11", "failures is 11, expected 1 to 10"),
    ] {
        let facts = watched(&[200], &[(name, value)]);
        assert_eq!(outcome(&facts), RunOutcome::Failed);
        assert!(error(&facts).contains(says), "{}", error(&facts));
    }
}

// CORS.

/// How the server of a test answers a preflight.
#[derive(Clone, Copy)]
struct Cors {
    status: u16,
    /// `echo` sends the origin back; empty = no header.
    origin: &'static str,
    credentials: &'static str,
    methods: &'static str,
    headers: &'static str,
}

const GOOD: Cors = Cors {
    status: 204,
    origin: "https://app.example.com",
    credentials: "true",
    methods: "GET, PUT",
    headers: "Content-Type, Authorization",
};

fn preflighted(cors: Cors, more: &[(&str, &str)]) -> Facts {
    let answer = move |headers: axum::http::HeaderMap| async move {
        let asked = headers["origin"].to_str().unwrap().to_owned();
        let origin = if cors.origin == "echo" { asked } else { cors.origin.to_owned() };
        let mut answer = axum::http::Response::builder().status(cors.status);
        for (name, value) in [
            ("access-control-allow-origin", origin.as_str()),
            ("access-control-allow-credentials", cors.credentials),
            ("access-control-allow-methods", cors.methods),
            ("access-control-allow-headers", cors.headers),
        ] {
            if !value.is_empty() {
                answer = answer.header(name, value);
            }
        }
        answer.body(axum::body::Body::empty()).unwrap()
    };
    let server = Http::serve(Router::new().route("/api/ping", axum::routing::options(answer)));
    cors_errors(&server.url, more)
}

fn cors_errors(base_url: &str, more: &[(&str, &str)]) -> Facts {
    let inputs = [("base_url", base_url), ("origins", "https://app.example.com"), ("method", "PUT")];
    let inputs: Vec<(&str, &str)> = inputs
        .into_iter()
        .filter(|(name, _)| !more.iter().any(|(other, _)| other == name))
        .chain(more.iter().copied())
        .collect();
    ended(Place::new().run("cors-errors", &inputs))
}

#[test]
fn preflights_are_judged_as_a_browser_does() {
    let fine = preflighted(GOOD, &[]);
    assert!(matches!(only_finding(&fine), (Level::Ok, say) if say.contains("no stranger is let in")));
    for (cors, why) in [
        (Cors { origin: "", ..GOOD }, "no Access-Control-Allow-Origin"),
        (
            Cors { origin: "https://app.example.com/", ..GOOD },
            "Access-Control-Allow-Origin is https://app.example.com/",
        ),
        (Cors { credentials: "", ..GOOD }, "Access-Control-Allow-Credentials is not true"),
        (Cors { methods: "GET", ..GOOD }, "PUT is not in Access-Control-Allow-Methods"),
        (Cors { methods: "*", ..GOOD }, "PUT is not in Access-Control-Allow-Methods"),
        (Cors { headers: "content-type", ..GOOD }, "not in Access-Control-Allow-Headers: authorization"),
        (Cors { status: 500, ..GOOD }, "the preflight answers 500"),
    ] {
        let facts = preflighted(cors, &[]);
        assert!(
            matches!(only_finding(&facts), (Level::Critical, say) if say.contains(why)),
            "{why}: {:?}",
            facts.findings
        );
    }
    let simple = preflighted(Cors { methods: "", ..GOOD }, &[("method", "POST")]);
    assert_eq!(only_finding(&simple).0, Level::Ok, "a simple method needs no word");
}

#[test]
fn strangers_stars_and_silence_are_told() {
    let echo = preflighted(Cors { origin: "echo", ..GOOD }, &[]);
    assert!(
        matches!(only_finding(&echo), (Level::Critical, say) if say.contains("Strangers are let in: https://evil.example"))
    );
    assert_eq!(output(&echo, "let_in"), Value::List(vec!["https://evil.example".into()]));
    let star = Cors { origin: "*", credentials: "", methods: "*", headers: "*", ..GOOD };
    let guarded = preflighted(star, &[]);
    assert_eq!(levels(&guarded), [Level::Critical, Level::Warning]);
    assert!(guarded.findings[0].say.contains("not valid together with credentials"));
    let open = preflighted(star, &[("credentials", "false"), ("strangers", "[]")]);
    assert_eq!(levels(&open), [Level::Warning, Level::Ok]);
    let silent = cors_errors(&format!("http://127.0.0.1:{}", refused_port()), &[]);
    assert!(matches!(only_finding(&silent), (Level::Critical, say) if say.contains("does not answer at all")));
    let none = preflighted(GOOD, &[("origins", "[]")]);
    assert!(error(&none).contains("origins is empty"), "{}", error(&none));
}

// What is shipped.

pub fn stems(folder: &str) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut stems: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    stems.sort();
    stems
}

/// Those that change something, and so plan and ask; all others only look.
const WRITING: [&str; 12] = [
    "backup-mongodb",
    "backup-postgres",
    "cors-fix",
    "crash-loop",
    "demo",
    "mail-down",
    "restore-mongodb",
    "restore-postgres",
    "rollback-backend",
    "rollback-database",
    "rollback-frontend",
    "rotate-secrets",
];

#[test]
fn every_shipped_runbook_passes_the_check_without_a_warning() {
    let runs = Runs::open(PathBuf::new(), Project::default(), Redactor::new());
    let listed: Vec<String> = runs.project().runbooks().into_iter().map(|listed| listed.name).collect();
    assert_eq!(listed, stems("runbooks"));
    for name in listed {
        let (program, problems) = runs.check(&name).unwrap();
        assert!(problems.is_empty(), "{name}:\n{}", render(&problems, false));
        let effects = program.unwrap().effects;
        let writes = effects.iter().any(|effect| *effect > Effect::Read);
        assert_eq!(writes, WRITING.contains(&name.as_str()), "{name} may {effects:?}");
    }
}

#[test]
fn every_shipped_target_is_read_without_a_problem() {
    for name in stems("targets") {
        let shown = format!("targets/{name}.yaml");
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(&shown)).unwrap();
        let (target, problems) = read_target(&Source::new(shown, text));
        assert!(problems.is_empty(), "{name}:\n{}", render(&problems, false));
        assert!(!target.inputs.is_empty());
    }
}

#[test]
fn the_example_target_gives_these_runbooks_all_they_need() {
    let project = Project { root: Some(env!("CARGO_MANIFEST_DIR").into()), ..Project::default() };
    let runs = Runs::open(PathBuf::new(), project, Redactor::new());
    for (runbook, input, value) in [
        ("backend-down", "base_url", "https://api.example.com"),
        ("verify-deployment", "base_url", "https://api.example.com"),
        ("readiness", "base_url", "https://api.example.com"),
        ("maintenance-weekly", "base_url", "https://api.example.com"),
        ("database-down", "database_host", "db.example.com"),
    ] {
        let request =
            StartRequest { runbook: runbook.to_owned(), target: Some("example".to_owned()), ..StartRequest::default() };
        let prepared = runs.prepare(&request).unwrap();
        assert_eq!(prepared.inputs[input], Value::from(value));
    }
}

/// What `text` comes to with a shipped module at hand.
fn with_module(name: &str, module: &str, text: &str) -> Value {
    let sandbox = Sandbox::new(&[], &[(name.to_owned(), module.to_owned())]).unwrap();
    let code = rerail::script::compile::script(&format!("import \"{name}\" as {name}; {text}")).unwrap();
    match sandbox.evaluate(&code, Input::default()).result {
        Evaluated::Value(value) => value,
        other => panic!("{text}: {other:?}"),
    }
}

fn web(text: &str) -> Value {
    with_module("web", include_str!("../../stdlib/web.rhai"), text)
}

fn audit(text: &str) -> Value {
    with_module("audit", include_str!("../../stdlib/audit.rhai"), text)
}

#[test]
fn a_header_has_to_say_something_not_just_be_there() {
    for (header, value, gap) in [
        ("X-Content-Type-Options", "nosniff", false),
        ("x-content-type-options", "sniff", true),
        ("x-frame-options", "deny", false),
        ("x-frame-options", "sameorigin", true),
        ("x-frame-options", "ALLOWALL", true),
        ("strict-transport-security", "max-age=31536000; includeSubDomains", false),
        ("strict-transport-security", "max-age=0", true),
        ("strict-transport-security", "max-age=15551999", true),
        ("strict-transport-security", "max-age=15552000", false),
        ("strict-transport-security", "max-age=99999999999999999999", false),
        ("strict-transport-security", "preload", true),
        ("strict-transport-security", "max-age=0; preload", true),
        ("referrer-policy", "no-referrer", false),
        ("referrer-policy", "", true),
    ] {
        let name = header.to_lowercase();
        let gaps = audit(&format!("audit::headers(#{{ \"{name}\": \"{value}\" }}, [\"{header}\"], true)"));
        assert_eq!(gaps != Value::List(Vec::new()), gap, "{header}: {value}");
    }
    let plain = audit("audit::headers(#{}, [\"strict-transport-security\"], false)");
    assert_eq!(plain, Value::List(Vec::new()));
}

#[test]
fn only_a_status_word_that_is_not_good_is_a_complaint() {
    for (body, complaint) in [
        ("#{ status: \"UP\" }", ""),
        ("#{ status: \"Degraded\" }", "Degraded"),
        ("#{ status: 3 }", ""),
        ("#{ up: true }", ""),
        ("[1]", ""),
        ("\"fine\"", ""),
        ("()", ""),
    ] {
        assert_eq!(web(&format!("web::complaint({body})")), Value::from(complaint), "{body}");
    }
}

#[test]
fn names_are_told_from_addresses() {
    for (host, address) in [("127.0.0.1", true), ("[::1]", true), ("localhost", false), ("1.example.com", false)] {
        assert_eq!(web(&format!("web::is_address(\"{host}\")")), Value::from(address), "{host}");
    }
}

// backend-down.

#[test]
fn a_healthy_backend_is_called_well_and_its_missing_headers_are_named() {
    let server = Http::serve(healthy());
    let facts = diagnose(&server.url, &[]);
    assert_cause(&facts, "none", Level::Ok, "The backend answers from here");
    for missing in ["content-security-policy", "x-content-type-options", "x-frame-options"] {
        assert_cause(&facts, "none", Level::Warning, &format!("{missing} is missing"));
    }
    assert_eq!(levels(&facts).len(), 2);
    assert_eq!(output(&facts, "healthy"), Value::from(true));
    let next = facts.findings.iter().find_map(|finding| finding.suggest.as_ref()).unwrap();
    assert_eq!((next.runbook.as_str(), &next.with["base_url"]), ("verify-deployment", &Value::from(&*server.url)));
}

#[test]
fn a_trailing_slash_of_the_address_changes_nothing() {
    let server = Http::serve(healthy());
    assert_cause(&diagnose(&format!("{}/", server.url), &[]), "none", Level::Ok, "answers");
}

/// What `python3 -m http.server` is: files, no health check.
fn static_files() -> Router {
    let missing = || async { (StatusCode::NOT_FOUND, [(SERVER, "SimpleHTTP/0.6 Python/3.12.3")], Html("not found")) };
    Router::new().route("/", get(|| async { Html("<h1>Directory listing for /</h1>") })).fallback(missing)
}

#[test]
fn a_server_of_files_is_not_taken_for_the_backend() {
    let server = Http::serve(static_files());
    let facts = diagnose(&server.url, &[]);
    let says = "SimpleHTTP/0.6 Python/3.12.3 answers /health with 404: this is not the backend";
    assert_cause(&facts, "not_here", Level::Critical, says);
    assert_eq!(levels(&facts), [Level::Critical]);
}

#[test]
fn a_refused_port_points_to_the_process() {
    let facts = diagnose(&format!("http://127.0.0.1:{}", refused_port()), &[]);
    assert_cause(&facts, "refused", Level::Critical, "Nothing listens on port");
    assert_eq!(levels(&facts), [Level::Critical]);
    assert_eq!(output(&facts, "status"), Value::Null);
}

#[test]
fn a_name_without_an_address_points_to_dns() {
    // `.invalid` never exists (RFC 6761), also where there is no name server at all.
    let facts = diagnose("http://backend.invalid", &[("timeout", "3s")]);
    assert_cause(&facts, "dns", Level::Critical, "backend.invalid does not resolve");
    assert_eq!(levels(&facts), [Level::Critical]);
}

#[test]
fn a_status_of_the_edge_is_told_from_one_of_the_application() {
    let answers = |status: StatusCode| Http::serve(Router::new().fallback(move || async move { status }));
    for (status, cause, level, says) in [
        (StatusCode::BAD_GATEWAY, "bad_gateway", Level::Critical, "502 comes from the edge in front"),
        (StatusCode::SERVICE_UNAVAILABLE, "unavailable", Level::Critical, "the edge has no instance to send to"),
        (StatusCode::GATEWAY_TIMEOUT, "gateway_timeout", Level::Critical, "the application took the request"),
        (StatusCode::INTERNAL_SERVER_ERROR, "error", Level::Critical, "The application itself fails with 500"),
        (StatusCode::UNAUTHORIZED, "forbidden", Level::Critical, "/health answers 401"),
        (StatusCode::TOO_MANY_REQUESTS, "rate_limited", Level::Warning, "the rate limit is used up"),
    ] {
        let server = answers(status);
        assert_cause(&diagnose(&server.url, &[]), cause, level, says);
    }
}

#[test]
fn what_a_broken_backend_says_is_quoted() {
    let long = "x".repeat(300);
    let cut = format!("says \"{}…\"", &long[..200]);
    for (status, cause, body, says) in [
        (
            StatusCode::SERVICE_UNAVAILABLE,
            "unavailable",
            "database is locked\nline 2",
            "503 that says \"database is locked\":",
        ),
        (StatusCode::SERVICE_UNAVAILABLE, "unavailable", " \n", "503 without a word"),
        (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "<html>Sorry</html>", "503 without a word"),
        (
            StatusCode::INTERNAL_SERVER_ERROR,
            "error",
            "KeyError: 'user'",
            "fails with 500 and says \"KeyError: 'user'\": it",
        ),
        (StatusCode::INTERNAL_SERVER_ERROR, "error", "", "fails with 500: it runs"),
        (StatusCode::INTERNAL_SERVER_ERROR, "error", long.as_str(), cut.as_str()),
    ] {
        let body = body.to_owned();
        let server = Http::serve(healthy_but("/health", move || async move { (status, body) }));
        assert_cause(&diagnose(&server.url, &[]), cause, Level::Critical, says);
    }
}

#[test]
fn a_backend_that_calls_itself_unhealthy_is_believed() {
    for status in [StatusCode::SERVICE_UNAVAILABLE, StatusCode::OK] {
        let body = move || async move { (status, [(CONTENT_TYPE, "application/json")], r#"{"status":"degraded"}"#) };
        let server = Http::serve(healthy_but("/health", body));
        assert_cause(&diagnose(&server.url, &[]), "degraded", Level::Critical, r#"calls itself "degraded""#);
    }
}

fn healthy_but<H, T>(path: &str, handler: H) -> Router
where
    H: axum::handler::Handler<T, ()>,
    T: 'static,
{
    Router::new().route(path, get(handler)).fallback_service(healthy())
}

#[test]
fn a_redirect_names_where_it_points() {
    let moved = || async { (StatusCode::MOVED_PERMANENTLY, [(LOCATION, "https://new.example.com/health")]) };
    let server = Http::serve(healthy_but("/health", moved));
    assert_cause(&diagnose(&server.url, &[]), "redirect", Level::Warning, r#""https://new.example.com/health""#);
}

#[test]
fn a_web_page_is_no_health_check() {
    let server = Http::serve(healthy_but("/health", || async { Html("<html>welcome</html>") }));
    assert_cause(&diagnose(&server.url, &[]), "page", Level::Warning, "with a web page");
}

#[test]
fn a_slow_backend_is_called_slow() {
    let slow = || async {
        tokio::time::sleep(std::time::Duration::from_millis(120)).await;
        "ok"
    };
    let server = Http::serve(healthy_but("/health", slow));
    assert_cause(&diagnose(&server.url, &[("slow", "50ms")]), "slow", Level::Warning, "slow is over 50ms");
}

#[test]
fn a_backend_that_never_answers_hangs() {
    let server = Http::serve(healthy_but("/health", std::future::pending::<StatusCode>));
    let facts = diagnose(&server.url, &[("timeout", "200ms")]);
    assert_cause(&facts, "hangs", Level::Critical, "does not answer within 200ms");
}

#[test]
fn a_lost_ping_beside_a_good_health_check_is_a_warning() {
    let server = Http::serve(healthy_but("/api/ping", || async { StatusCode::NOT_FOUND }));
    assert_cause(&diagnose(&server.url, &[]), "none", Level::Warning, "/api/ping is not (status 404)");
}

#[test]
fn a_certificate_is_called_expired_misnamed_or_untrusted() {
    for (certificate, cause, says) in [
        (Certificate::Expired, "expired", "The certificate expired"),
        (Certificate::OtherName, "wrong_name", "The certificate is for [\"other.example.com\"], not for localhost"),
        (Certificate::Unknown, "untrusted", "Clients don't trust the certificate"),
    ] {
        let server = Tls::serve(certificate);
        let place = Place::new().target(&server.target());
        let facts = ended(place.run("backend-down", &[("base_url", &server.url)]));
        assert_cause(&facts, cause, Level::Critical, says);
    }
}

#[test]
fn a_port_without_tls_is_told_from_a_bad_certificate() {
    let server = Http::serve(healthy());
    let facts = diagnose(&server.url.replace("http://127.0.0.1", "https://localhost"), &[]);
    assert_cause(&facts, "tls", Level::Critical, "No TLS connection comes about");
}

#[test]
fn a_good_certificate_near_its_end_is_a_warning() {
    let server = Tls::serve(Certificate::Good);
    let place = Place::new().target(&server.target());
    let facts = ended(place.run("backend-down", &[("base_url", &server.url), ("certificate_days", "100000")]));
    assert_cause(&facts, "none", Level::Warning, "days left. Its renewal is late.");
    assert_cause(&facts, "none", Level::Warning, "strict-transport-security is missing");
}

// verify-deployment.

const QUICK: [(&str, &str); 3] = [("samples", "3"), ("within", "4s"), ("security_headers", "[]")];

fn verify(base_url: &str, more: &[(&str, &str)]) -> Facts {
    let mut inputs = vec![("base_url", base_url)];
    inputs.extend(more);
    inputs.extend(QUICK.iter().filter(|(name, _)| !more.iter().any(|(given, _)| given == name)));
    ended(Place::new().run("verify-deployment", &inputs))
}

#[test]
fn a_good_deployment_is_verified_whole() {
    let server = Http::serve(healthy().route("/api/me", get(|| async { StatusCode::UNAUTHORIZED })).layer(
        axum::middleware::map_response(|mut response: axum::response::Response| async move {
            for (name, value) in [
                ("content-security-policy", "default-src 'none'"),
                ("x-content-type-options", "nosniff"),
                ("x-frame-options", "DENY"),
            ] {
                response.headers_mut().insert(name, value.parse().unwrap());
            }
            response
        }),
    ));
    let wanted = "content-security-policy,strict-transport-security,x-content-type-options,x-frame-options";
    let facts = verify(
        &server.url,
        &[("protected_path", "/api/me"), ("closed_paths", "/docs,/redoc"), ("security_headers", wanted)],
    );
    assert_eq!(outcome(&facts), RunOutcome::Success, "{:?}", facts.finished);
    assert_eq!(levels(&facts), [Level::Ok]);
    assert!(matches!(output(&facts, "worst_ms"), Value::Int(ms) if ms < 2000));
    assert_eq!(output(&facts, "certificate_days_left"), Value::Null);
}

#[test]
fn each_part_that_is_wrong_is_named_by_its_own_assertion() {
    let ok = || async { StatusCode::OK };
    let late = || async {
        tokio::time::sleep(std::time::Duration::from_millis(30)).await;
        r#"{"status":"degraded"}"#
    };
    let server = Http::serve(
        Router::new()
            .route("/health", get(late))
            .route("/", get(|| async { StatusCode::INTERNAL_SERVER_ERROR }))
            .route("/api/me", get(ok))
            .route("/docs", get(ok)),
    );
    let facts = verify(
        &server.url,
        &[("protected_path", "/api/me"), ("closed_paths", "/docs,/redoc"), ("average_ms", "1"), ("worst_ms", "2")],
    );
    assert_eq!(outcome(&facts), RunOutcome::Failed);
    let said = error(&facts);
    for part in [
        "/health answers 200 and calls itself \"degraded\"",
        "/api/ping must answer 2xx: status 404",
        "the root must answer without an error: status 500",
        "ms on average, expected at most 1 ms",
        "the slowest answer took",
        "/api/me answers 200 without a login, expected 401 or 403",
        "/docs answers 200 in public, expected 404",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(!said.contains("/redoc") && !said.contains("certificate"), "{said}");
}

#[test]
fn a_backend_that_never_gets_well_fails_in_time_with_what_was_seen() {
    let server = Http::serve(Router::new().fallback(|| async { StatusCode::BAD_GATEWAY }));
    let facts = verify(&server.url, &[("within", "1s")]);
    assert_eq!(outcome(&facts), RunOutcome::Failed);
    assert_eq!(facts.finished.as_ref().unwrap().failed_step.as_ref().unwrap().as_str(), "healthy");
    assert!(error(&facts).contains("502"), "{}", error(&facts));
}

#[test]
fn missing_headers_fail_over_https_and_are_a_warning_over_http() {
    let wanted = ("security_headers", "x-frame-options,strict-transport-security");
    let server = Tls::serve(Certificate::Good);
    let inputs = [("base_url", server.url.as_str()), ("ping_path", ""), ("samples", "1"), ("within", "4s"), wanted];
    let facts = ended(Place::new().target(&server.target()).run("verify-deployment", &inputs));
    assert_eq!(outcome(&facts), RunOutcome::Failed);
    for name in ["x-frame-options", "strict-transport-security"] {
        assert!(error(&facts).contains(&format!("{name} is missing")), "{}", error(&facts));
    }

    let server = Http::serve(healthy());
    let facts = verify(&server.url, &[wanted]);
    assert_eq!(outcome(&facts), RunOutcome::Success, "{:?}", facts.finished);
    assert_eq!(levels(&facts), [Level::Warning, Level::Ok]);
    assert_eq!(facts.findings[0].say, "x-frame-options is missing: other sites can frame these pages.");
}

#[test]
fn a_certificate_near_its_end_fails_the_verification() {
    let server = Tls::serve(Certificate::Good);
    let place = Place::new().target(&server.target());
    let inputs = [("base_url", server.url.as_str()), ("ping_path", ""), ("certificate_days", "100000")];
    let facts = ended(place.run("verify-deployment", &[&inputs[..], &QUICK[..]].concat()));
    assert!(error(&facts).contains("days left, expected at least 100000"), "{}", error(&facts));
}

#[test]
fn parts_without_an_input_are_not_looked_at() {
    let server = Http::serve(Router::new().route("/health", get(|| async { "fine" })));
    let facts = verify(&server.url, &[("ping_path", "")]);
    assert_eq!(outcome(&facts), RunOutcome::Success, "{:?}", facts.finished);
    for step in ["ping", "headers", "doors", "login", "platform", "tls"] {
        assert!(facts.steps[step].skipped.is_some(), "{step}");
    }
}

/// Scripts are replayed from their start: what they called must be found again, whatever the journal made of it.
#[test]
fn every_part_of_a_verification_can_be_resumed_from() {
    let server = Http::serve(healthy());
    let project = Project::default();
    let (program, _) = Runs::open(PathBuf::new(), project, Redactor::new()).check("verify-deployment").unwrap();
    let program = std::sync::Arc::new(program.unwrap());
    let place = Place::new();
    let inputs = [("base_url", server.url.as_str()), ("closed_paths", "/docs,/redoc")];
    let left = place.run("verify-deployment", &[&inputs[..], &QUICK[..]].concat());
    let runs = place.runs();
    let events = runs.events(&runs.find(&left.run.short()).unwrap()).unwrap();
    assert_eq!(outcome(&ended(left)), RunOutcome::Success);

    let names: Vec<String> = program.specs.keys().cloned().collect();
    let sandbox = std::sync::Arc::new(Sandbox::new(&names, &program.modules).unwrap());
    for cut in 1..events.len() {
        let load = Machine::load(program.clone(), sandbox.clone(), &events[..cut]);
        let mut machine = load.unwrap_or_else(|error| panic!("{cut}: {error}"));
        let now = events[cut - 1].ts;
        machine.signal(Signal::Resume { actor: Actor::new("bob", "test"), reason: None, fence: 2 }, now);
        assert_eq!(machine.decide(now).waits.paused, None, "after {} events", cut);
    }
}
