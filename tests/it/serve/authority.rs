//! Who may call what: every route of the table with every kind of credential, and what comes from elsewhere.

use rerail::runbook::tokens::Scope;
use rerail::surfaces::http::{Authority, Route, TABLE};
use serde_json::json;

use super::kit::{Client, Served, Team, soon};
use crate::binary::kit::Place;

/// Every route with who may call it, written down once more: a new one fails until somebody has thought about it here.
const DECLARED: &str = "
GET anybody /healthz
GET read /readyz
GET read /metrics
GET read /api/v1/openapi.json
GET read /api/v1/whoami
GET read /api/v1/doctor
GET read /api/v1/runbooks
GET read /api/v1/runbooks/{runbook}
POST read /api/v1/checks
POST read /api/v1/plans
POST read /api/v1/plans/check
POST run /api/v1/plans/apply
GET read /api/v1/runs
POST run /api/v1/runs
GET read /api/v1/runs/{run}
GET read /api/v1/runs/{run}/events
GET read /api/v1/runs/{run}/why
GET read /api/v1/runs/{run}/timeline
GET read /api/v1/runs/{run}/export
GET read /api/v1/runs/{run}/diff
POST read /api/v1/runs/{run}/diff
POST read /api/v1/verify
GET read /api/v1/runs/{run}/verify
GET read /api/v1/runs/{run}/approval
GET read /api/v1/runs/{run}/handover
POST run /api/v1/runs/{run}/take
POST read /api/v1/runs/{run}/undo/plan
POST run /api/v1/runs/{run}/undo
POST run /api/v1/runs/{run}/cancel
POST run /api/v1/runs/{run}/pause
POST run /api/v1/runs/{run}/resume
POST run /api/v1/runs/{run}/answer
POST run /api/v1/runs/{run}/note
POST approve /api/v1/runs/{run}/approve
POST approve /api/v1/runs/{run}/reject
GET read /api/v1/approvals
GET read /api/v1/hold
POST signed /hooks/alertmanager
POST signed /hooks/grafana
POST signed /hooks/pagerduty
POST signed /hooks/generic/{hook}
POST run /api/v1/hold
POST read /mcp
POST signed /chat/slack
POST signed /chat/mattermost
POST signed /chat/discord
POST signed /chat/generic
GET read /
GET read /live
GET read /runbooks
GET read /runbooks/{runbook}
GET read /r/{runbook}
POST read /runbooks/{runbook}/plan
POST run /runbooks/{runbook}/run
GET read /runs
GET read /runs/{run}
GET read /runs/{run}/live
GET read /runs/{run}/transcript
GET read /runs/{run}/picture.svg
GET read /runs/{run}/export.md
GET read /runs/{run}/export.html
GET read /runs/{run}/export.jsonl
GET read /runs/{run}/approve/{*step}
POST run /runs/{run}/cancel
POST run /runs/{run}/pause
POST run /runs/{run}/resume
POST run /runs/{run}/answer
POST run /runs/{run}/note
POST approve /runs/{run}/approve
POST approve /runs/{run}/reject
GET read /proposals/{run}
GET read /proposals/{run}/live
POST run /proposals/{run}/start
POST run /proposals/{run}/dismiss
POST run /proposals/{run}/plan
GET read /approvals
GET read /incidents/{incident}
GET read /admin
GET read /admin/doctor
POST run /admin/hold
GET newcomer /login
POST newcomer /login
POST newcomer /logout
GET anybody /web/style.css
GET anybody /web/live.js
GET anybody /web/icon.svg
";

fn method(route: &Route) -> &'static str {
    if route.is_post() { "POST" } else { "GET" }
}

#[test]
fn every_route_is_declared_with_who_may_call_it() {
    let lines = TABLE.iter().map(|route| format!("{} {} {}\n", method(route), route.authority.word(), route.path));
    assert_eq!(lines.collect::<String>(), DECLARED.trim_start());
}

fn team() -> Team {
    Team::new()
        .and("ana", "lead", "read, run, approve", &soon(), "")
        .and("reader", "", "read", &soon(), "")
        .and("runner", "", "run", &soon(), "")
        .and("approver", "", "approve", &soon(), "")
        .and("gone", "", "read, run, approve", "2026-01-01", "")
        .and("forever", "", "read, run, approve", "2099-01-01", "")
}

fn ask(client: &Client, route: &Route, key: &str) -> u16 {
    let path =
        route.path.replace("{run}", "zzzzzz").replace("{runbook}", "no-such-book").replace("{hook}", "no-such-hook");
    let path = path.replace("{incident}", "INC-1").replace("{*step}", "copy");
    let form = format!("key={key}");
    let (media_type, body) = match (route.is_page(), route.is_post()) {
        (true, true) => ("application/x-www-form-urlencoded", form.as_str()),
        (false, true) => ("application/json", "{}"),
        (_, false) => ("application/json", ""),
    };
    let headers = [("idempotency-key", key), ("content-type", media_type)];
    loop {
        // A stream goes on for ever: what it begins with is enough.
        let status = match route.path {
            "/live" => client.begins("GET", &path, &headers),
            _ => client.send(method(route), &path, &headers, body).status,
        };
        if status != 429 {
            return status;
        }
        // So many requests by nobody are slowed down; this one does as it is told.
        std::thread::sleep(std::time::Duration::from_secs(1));
    }
}

#[test]
fn what_is_observed_of_every_route_and_credential_is_what_is_declared() {
    let team = team();
    let place = Place::new().file("rerail.yaml", &team.yaml);
    let server = Served::start(&place, "a.sock");
    let with = |name: &str| server.tcp().bearer(team.token(name));
    let all = [Scope::Read, Scope::Run, Scope::Approve];
    // Who they are, and what their token is for; nothing if they are nobody.
    let callers: Vec<(&str, Client, Option<&[Scope]>)> = vec![
        ("no credential", server.tcp(), None),
        ("a wrong token", server.tcp().bearer("rerail_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"), None),
        ("an empty token", server.tcp().bearer(""), None),
        ("another scheme", server.tcp().with("authorization", "Basic YW5hOmFuYQ=="), None),
        ("an expired token", with("gone"), None),
        ("a token for ever", with("forever"), None),
        ("a reader's token", with("reader"), Some(&all[..1])),
        ("a runner's token", with("runner"), Some(&all[1..2])),
        ("an approver's token", with("approver"), Some(&all[2..])),
        ("a token for all", with("ana"), Some(&all)),
    ];
    let mut wrong = Vec::new();
    let mut matrix = String::new();
    for (number, route) in TABLE.iter().enumerate() {
        matrix += &format!("{} {} {}\n", method(route), route.authority.word(), route.path);
        for (who, client, scopes) in &callers {
            let status = ask(client, route, &format!("{number}-{who}").replace(' ', "-"));
            let expected = match (route.authority, scopes) {
                (Authority::Anybody, _) => vec![200],
                // What proves a person proves no program.
                (Authority::Signed, _) => vec![401],
                (Authority::Newcomer, _) => vec![200, 303, 400],
                (_, None) => vec![401],
                (Authority::Person(scope), Some(scopes)) if scopes.contains(&scope) => vec![200, 400, 404],
                (_, Some(_)) => vec![403],
            };
            matrix += &format!("    {status} {who}\n");
            if !expected.contains(&status) {
                wrong.push(format!("{} {} with {who}: {status}, expected {expected:?}", method(route), route.path));
            }
        }
        for (what, name, value) in [
            ("another host", "host", "evil.example.com"),
            ("a host that only looks local", "host", "localhost.evil.example.com"),
            ("a foreign origin", "origin", "https://evil.example.com"),
            ("no origin", "origin", "null"),
            ("a cross-site request", "sec-fetch-site", "cross-site"),
        ] {
            let status = ask(&with("ana").with(name, value), route, "x");
            matrix += &format!("    {status} a token for all, {what}\n");
            if status != 403 {
                wrong.push(format!("{} {} with {what}: {status}, expected 403", method(route), route.path));
            }
        }
    }
    // For people who want to see it.
    std::fs::write(concat!(env!("CARGO_TARGET_TMPDIR"), "/matrix.txt"), matrix).unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_socket_knows_who_is_at_its_other_end() {
    let uid = rustix::process::getuid().as_raw();
    let place = Place::new().file("rerail.yaml", &team().yaml);
    let server = Served::start(&place, "a.sock");
    let refused = server.unix().get("/api/v1/whoami").is(403).json();
    assert!(refused["detail"].as_str().unwrap().contains("is no person of this project"), "{refused}");
    // People are those of this moment.
    std::fs::write(place.project().join("rerail.yaml"), &team().here("ana").yaml).unwrap();
    let ana = server.unix().get("/api/v1/whoami").is(200).json();
    assert_eq!((&ana["id"], &ana["person"], &ana["roles"]), (&json!("ana"), &json!(true), &json!(["lead"])));
    std::fs::write(
        place.project().join("rerail.yaml"),
        format!("version: 1\npeople: {{ ana: {{ os_user: uid-{uid} }} }}\nx: 1\n"),
    )
    .unwrap();
    let broken = server.unix().get("/api/v1/whoami").is(503).json();
    assert!(broken["hints"].to_string().contains("nobody is let in"), "{broken}");
}

#[test]
fn the_one_operator_is_let_in_by_the_socket_or_by_the_token_beside_the_journal() {
    let place = Place::new();
    let server = Served::start(&place, "a.sock");
    let operator = server.unix().get("/api/v1/whoami").is(200).json();
    assert_eq!((&operator["single_operator"], &operator["person"]), (&json!(true), &json!(false)));
    server.tcp().get("/api/v1/whoami").is(401);
    let token = std::fs::read_to_string(place.state().join("server.token")).unwrap();
    server.tcp().bearer(token.trim()).get("/api/v1/whoami").is(200);
    let other = server.tcp().bearer(rerail::runs::Token::new().unwrap().text());
    assert_eq!(other.get("/api/v1/whoami").is(401).header("www-authenticate"), Some("Bearer"));
    // As soon as there are people it opens nothing.
    std::fs::write(place.project().join("rerail.yaml"), team().yaml).unwrap();
    server.tcp().bearer(token.trim()).get("/api/v1/whoami").is(401);
}

#[test]
fn a_server_that_others_could_reach_is_not_started() {
    let place = Place::new();
    for args in [
        ["serve", "--listen", "0.0.0.0:0"].as_slice(),
        &["serve", "--listen", "0.0.0.0:0", "--behind-proxy", "--host", "ops.example.com"],
    ] {
        place.ask(args).exits(78).says(&["can be reached by others"]);
    }
    assert!(!place.state().join("server.sock").exists());
}

#[test]
fn what_a_request_has_wrong_is_said_as_a_problem() {
    let place = Place::new().runbook("look", "steps:\n  - { id: now, uses: time.now }\n");
    let server = Served::start(&place, "a.sock");
    let client = server.unix();
    let json = [("idempotency-key", "k"), ("content-type", "application/json")];
    for (method, path, headers, body, status, says) in [
        ("GET", "/nowhere", &[][..], "", 404, "there is nothing here"),
        ("POST", "/api/v1/runs/zzzzzz", &json, "{}", 405, "look with GET"),
        ("GET", "/api/v1/runs?limit=0", &[], "", 400, "from 1 to 500"),
        ("GET", "/api/v1/runs?limit=1&limit=2", &[], "", 400, "twice"),
        ("GET", "/api/v1/runs?status=odd", &[], "", 400, "no status"),
        ("GET", "/api/v1/hold?x=1", &[], "", 400, "unknown parameter `x`"),
        ("GET", "/api/v1/runs/..%2f..%2fetc", &[], "", 404, "no such run"),
        ("GET", "/api/v1/runbooks/..%2frerail.yaml", &[], "", 404, "by name and not by path"),
        ("POST", "/api/v1/runs", &json[1..], "{\"runbook\":\"look\"}", 400, "idempotency-key"),
        ("POST", "/api/v1/runs", &json[..1], "{\"runbook\":\"look\"}", 415, "application/json"),
        ("POST", "/api/v1/runs", &json, "{", 400, "the body is not right"),
        ("POST", "/api/v1/runs", &json, "{\"runbook\":\"look\",\"x\":1}", 400, "unknown field `x`"),
        ("POST", "/api/v1/runs", &json, "{\"runbook\":\"../look.yaml\"}", 404, "by name and not by path"),
        ("POST", "/api/v1/runs", &json, "{\"runbook\":\"lok\"}", 404, "lok"),
        ("POST", "/api/v1/runs", &json, "{\"runbook\":\"look\",\"inputs\":{\"x\":1}}", 400, "no input `x`"),
    ] {
        let reply = client.send(method, path, headers, body);
        let shown = format!("{method} {path} {body}: {}", reply.body);
        assert_eq!(reply.status, status, "{shown}");
        assert_eq!(reply.header("content-type"), Some("application/problem+json"), "{shown}");
        let problem = reply.json();
        assert_eq!(problem["status"], status, "{shown}");
        assert!(problem["detail"].as_str().unwrap().contains(says), "{shown}");
    }
    let large = client.send("POST", "/api/v1/runs", &json, &"x".repeat(1024 * 1024 + 1));
    assert_eq!(large.status, 413);
    assert_eq!(client.get("/api/v1/runs").is(200).body.trim(), "[]", "nothing of this started anything");
}
