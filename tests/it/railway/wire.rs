//! The demo's Railway has no schema to hold documents to; whatever the library asks, it answers as the strict one does.

use std::collections::BTreeSet;

use rerail::world::Platform;
use rerail::world::http::Request;
use rerail::world::railway::API;
use serde_json::{Value as Json, json};

use super::documents::documents;
use super::kit::{ACCOUNT, BACKEND_PROJECT, DATA_PROJECT, PROJECT, broken};
use crate::world::railway::{State, Strict, id};

/// Everything a document of the library may be given; the schema refuses what one doesn't declare, so each gets its own.
fn variables(document: &str, state: &mut State) -> Json {
    let backend = state.service("backend");
    let (service, deployment) = (backend.id.clone(), backend.deployments[0].id.clone());
    let (project, environment) = (id(0xa, BACKEND_PROJECT), id(0xe, BACKEND_PROJECT));
    let is_project = document.contains("project(id:");
    let all = json!({
        "id": if is_project { &project } else { &deployment },
        "deployment": deployment,
        "service": service,
        "project": project,
        "environment": environment,
        "commit": null,
        "first": 2,
        "limit": 3,
        "filter": "config",
        "unrendered": true,
        "after": null,
        "services": "0",
        "environments": null,
        "input": {
            "projectId": project,
            "environmentId": environment,
            "serviceId": service,
            "name": "SENTRY_DSN",
            "variables": { "A": "1", "B": "${{shared.REGION}}" },
            "skipDeploys": true,
        },
    });
    let declared = |name: &str| document.contains(&format!("${name}:"));
    let mut given: serde_json::Map<String, Json> =
        all.as_object().unwrap().clone().into_iter().filter(|(name, _)| declared(name)).collect();
    let of_input: &[&str] = match () {
        () if document.contains("DeploymentListInput") => &["projectId", "environmentId", "serviceId"],
        () if document.contains("VariableDeleteInput") => &["projectId", "environmentId", "serviceId", "name"],
        () => &["projectId", "environmentId", "serviceId", "variables", "skipDeploys"],
    };
    if let Some(input) = given.get_mut("input").and_then(Json::as_object_mut) {
        input.retain(|name, _| of_input.contains(&name.as_str()));
    }
    Json::Object(given)
}

fn request(document: &str, variables: &Json, header: &str) -> Request {
    let body = json!({ "query": document, "variables": variables }).to_string();
    Request { method: "POST".into(), path: API.into(), head: format!("POST {API} HTTP/1.1\r\n{header}\r\n"), body }
}

/// What is compared: places of mistakes in a document are for people.
fn told(answer: &rerail::world::http::Answer) -> (u16, Json) {
    let mut body: Json = serde_json::from_str(&answer.body).unwrap();
    for error in body["errors"].as_array_mut().into_iter().flatten() {
        let of = error.as_object_mut().unwrap();
        of.remove("locations");
        of.remove("path");
        // The strict executor says whose error it is.
        let message = of["message"].as_str().unwrap().trim_start_matches("resolver error: ").to_owned();
        of.insert("message".to_owned(), message.into());
    }
    if body["errors"].is_array() {
        // Whether a field that failed takes all with it is said by its type.
        body["data"] = Json::Null;
    }
    (answer.status, body)
}

fn world(pages: usize) -> State {
    let mut state = broken(false);
    state.page = pages;
    state.service("backend").domains.push("second.example.com".into());
    // A history with an end that can be gone back to.
    state.deploy_by_name("backend");
    state
}

#[test]
fn whatever_the_library_asks_both_railways_answer_the_same_and_do_the_same() {
    let documents = documents();
    let account = format!("Authorization: Bearer {ACCOUNT}");
    let of_project = format!("Project-Access-Token: {PROJECT}");
    let mut roots = BTreeSet::new();
    for header in [account.as_str(), of_project.as_str(), "Authorization: Bearer another"] {
        for pages in [100, 1] {
            let (mut strict, mut lean) = (Strict(world(pages)), world(pages));
            for (name, document) in &documents {
                let given = variables(document, &mut lean);
                let request = request(document, &given, header);
                assert_eq!(strict.called(&request), lean.called(&request), "{name}");
                roots.insert(lean.called(&request).unwrap());
                assert_eq!(told(&strict.answer(&request)), told(&lean.answer(&request)), "{name} {header} {given}");
                assert_eq!(
                    (&strict.effects, strict.now, strict.calls),
                    (&lean.effects, lean.now, lean.calls),
                    "{name}"
                );
            }
            assert_eq!(lean.effects.is_empty(), header != account, "it is {header} that may write");
        }
    }
    assert!(!roots.contains("invalid") && roots.len() >= 13, "{roots:?}");
}

#[test]
fn other_projects_are_seen_by_nobody_but_those_who_may() {
    let document = "query P($id: String!) { project(id: $id) { id again: name services(first: 1) { edges { cursor node { name } } pageInfo { hasNextPage endCursor } } } }";
    for (token, seen) in [(PROJECT, DATA_PROJECT), (PROJECT, BACKEND_PROJECT)] {
        let (mut strict, mut lean) = (Strict(world(100)), world(100));
        let request = request(document, &json!({ "id": id(0xa, seen) }), &format!("Project-Access-Token: {token}"));
        let told_by = told(&lean.answer(&request));
        assert_eq!(told(&strict.answer(&request)), told_by);
        assert_eq!(told_by.1["errors"].is_array(), seen == BACKEND_PROJECT);
    }
}

#[test]
fn what_is_no_call_is_refused_and_does_nothing() {
    let header = format!("Authorization: Bearer {ACCOUNT}");
    let mut lean = world(100);
    for (query, status) in [
        ("", 400),
        ("{", 400),
        ("query A { projects { edges { node { id } } } } query B { projects { edges { node { id } } } }", 400),
        ("fragment F on Query { projects { edges { cursor } } } query { ...F }", 400),
        ("type T { a: Int }", 400),
    ] {
        let answer = lean.answer(&request(query, &json!({}), &header));
        assert_eq!(answer.status, status, "{query}");
        assert!(answer.body.contains("errors"), "{query}: {}", answer.body);
    }
    let mut get = request("{ projects { edges { cursor } } }", &json!({}), &header);
    get.method = "GET".into();
    assert_eq!(lean.answer(&get).status, 405);
    assert_eq!(lean.answer(&request("mutation { dropEverything(id: \"x\") }", &json!({}), &header)).status, 200);
    assert!(lean.effects.is_empty());
    let nowhere = Request { path: "/elsewhere".into(), ..request("", &json!({}), &header) };
    assert_eq!((lean.called(&nowhere), lean.answer(&nowhere).status), (None, 404));
}
