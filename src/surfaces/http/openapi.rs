//! The description of the API (OpenAPI 3.1), made from the table of routes.

use serde_json::{Map, Value as Json, json};

use crate::runs::Status;
use crate::surfaces::http::authority::Authority;
use crate::surfaces::http::looks;
use crate::surfaces::http::problem;
use crate::surfaces::http::routes::{Does, Route, TABLE};
use crate::surfaces::shapes::story::Format;

/// Form of the key of a request, as the gate takes it.
const KEY_PATTERN: &str = "^[!-~]{1,128}$";

/// The whole document.
pub fn document() -> Json {
    let mut paths = Map::new();
    // Pages are for people: what they say is said here for programs.
    for route in TABLE.iter().filter(|route| !route.is_page()) {
        let method = if route.is_post() { "post" } else { "get" };
        let operations = paths.entry(route.path).or_insert_with(|| json!({}));
        operations[method] = operation(route);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "rerail",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Start, follow and decide about runs. Shapes are those of the command line's `-o json`; fields are only ever added.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "paths": paths,
        "components": {
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer", "description": "`rerail token new PERSON --scope SCOPE`" } },
            "schemas": { "problem": problem_schema() },
        },
    })
}

fn operation(route: &Route) -> Json {
    let (status, content) = match route.does {
        Does::Tell | Does::Live(_) => ("200", "text/event-stream"),
        Does::Page(_) | Does::Form(_) | Does::Preview(_) | Does::Entrance(_) | Does::Door(_) | Does::Asset(..) => {
            ("200", "text/html")
        }
        Does::Look(_) if route.path == "/healthz" || route.path == "/metrics" => ("200", "text/plain"),
        Does::Look(_) if route.path.ends_with("/export") => ("200", "*/*"),
        Does::Look(_) | Does::Rehearse(_) => ("200", "application/json"),
        Does::Act(..) | Does::Converse(_) | Does::Hear(_) => ("2XX", "application/json"),
    };
    let problem = json!({ "schema": { "$ref": "#/components/schemas/problem" } });
    let mut operation = json!({
        "operationId": name(route),
        "summary": route.summary,
        "x-authority": route.authority.word(),
        "security": match route.authority {
            Authority::Anybody | Authority::Newcomer | Authority::Signed => json!([]),
            Authority::Nobody | Authority::Person(_) => json!([{ "token": [] }]),
        },
        "parameters": parameters(route),
        "responses": {
            status: { "description": "done", "content": { content: {} } },
            "default": { "description": "not done", "content": { problem::MEDIA_TYPE: problem } },
        },
    });
    if matches!(route.does, Does::Tell) {
        operation["responses"]["204"] = json!({ "description": "the end of the run was seen already" });
    }
    let body = (route.body)();
    if body.is_object() {
        operation["requestBody"] = json!({ "required": true, "content": { "application/json": { "schema": body } } });
    }
    operation
}

fn parameters(route: &Route) -> Json {
    let subject = route
        .path
        .split(['{', '}'])
        .nth(1)
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }));
    let query = route.query.iter().map(|name| json!({ "name": name, "in": "query", "schema": of_query(name) }));
    let key = matches!(route.does, Does::Rehearse(_) | Does::Act(..)).then(|| {
        let about = "chosen by the client for this request, and the same when it is sent again";
        json!({
            "name": "Idempotency-Key", "in": "header", "required": true, "description": about,
            "schema": { "type": "string", "pattern": KEY_PATTERN },
        })
    });
    let parent = (route.path == "/api/v1/runs" && route.is_post()).then(|| {
        let about = "the span of the caller (W3C): the run goes on in its trace; one that can't be read is ignored";
        json!({ "name": "traceparent", "in": "header", "description": about, "schema": { "type": "string" } })
    });
    let last = matches!(route.does, Does::Tell)
        .then(|| json!({ "name": "Last-Event-ID", "in": "header", "schema": { "type": "string", "pattern": "^[0-9]{1,18}$" } }));
    Json::Array(subject.into_iter().chain(query).chain(key).chain(parent).chain(last).collect())
}

/// What a parameter of a query may be: a text, if nothing narrower is known of its name.
fn of_query(name: &str) -> Json {
    match name {
        "limit" => json!({ "type": "integer", "minimum": 1, "maximum": looks::PAGE_MAX }),
        "mine" => json!({ "type": "boolean" }),
        "status" => json!({ "enum": Status::ALL.map(Status::word) }),
        "since" => json!({ "anyOf": [
            { "type": "string", "format": "date" },
            { "type": "string", "format": "date-time" },
            { "type": "string", "pattern": "^[1-9][0-9]{0,3}[smhd]$" },
        ]}),
        "format" => json!({ "enum": Format::ALL.map(|(_, word, _)| word) }),
        "signs" => json!({ "enum": ["unicode", "ascii"] }),
        "before" => json!({ "type": "string", "minLength": 1, "description": "id of the last run of the page before" }),
        _ => json!({ "type": "string" }),
    }
}

/// `post_runs_cancel`
fn name(route: &Route) -> String {
    let method = if route.is_post() { "post" } else { "get" };
    let path = route.path.trim_start_matches("/api/v1").replace(['/', '.'], "_").replace(['{', '}'], "");
    format!("{method}{path}")
}

fn problem_schema() -> Json {
    json!({
        "type": "object",
        "description": "RFC 9457, with the words of the command line",
        "required": ["type", "title", "status", "detail", "hints", "exit_code", "problems"],
        "properties": {
            "type": { "type": "string" },
            "title": { "type": ["string", "null"] },
            "status": { "type": "integer" },
            "detail": { "type": "string" },
            "hints": { "type": "array", "items": { "type": "string" } },
            "exit_code": { "type": "integer", "description": "what the command line would have exited with" },
            "problems": { "type": "array", "items": { "type": "object" } },
            "picture": { "type": ["string", "null"], "description": "the problems as the terminal draws them" },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_described_once_and_nothing_else() {
        let document = document();
        let operations: usize =
            document["paths"].as_object().unwrap().values().map(|path| path.as_object().unwrap().len()).sum();
        let routes = TABLE.iter().filter(|route| !route.is_page()).count();
        assert_eq!(operations, routes);
        let mut ids: Vec<&str> = Vec::new();
        for path in document["paths"].as_object().unwrap().values() {
            for operation in path.as_object().unwrap().values() {
                ids.push(operation["operationId"].as_str().unwrap());
                assert!(operation["x-authority"] != "nobody");
            }
        }
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), routes, "{ids:?}");
        let cancel = &document["paths"]["/api/v1/runs/{run}/cancel"]["post"];
        let names: Vec<_> =
            cancel["parameters"].as_array().unwrap().iter().map(|p| p["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["run", "Idempotency-Key"]);
    }
}
