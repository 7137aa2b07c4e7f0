//! Whether requests are what a provider's own OpenAPI description says: path, method, parameters, body. The
//! descriptions are others' and not kept here: `RERAIL_CONTRACTS` names the folder that has them.

use boon::{Compiler, Schemas};
use percent_encoding::percent_decode_str;
use rerail::world::http::Request;
use serde_json::{Map, Value as Json, json};

use crate::services::skipped;

/// Query parameters that a provider takes and doesn't describe: the operation, and what their names begin with.
const UNDESCRIBED: [(&str, &str); 1] = [
    // Vercel's own command line filters deployments by what they were tagged with.
    ("GET /v7/deployments", "meta-"),
];

/// Headers that OpenAPI leaves to other parts of a description.
const NO_PARAMETERS: [&str; 3] = ["accept", "authorization", "content-type"];

/// Each of these requests is in a description, a file below `RERAIL_CONTRACTS`, and is as it says. Says loudly that
/// nothing was compared where that folder is missing.
#[track_caller]
pub fn assert_described(description: &str, requests: &[Request]) {
    assert!(!requests.is_empty(), "there is nothing to compare with {description}");
    let Some(folder) = std::env::var_os("RERAIL_CONTRACTS") else {
        skipped(&format!("RERAIL_CONTRACTS names no folder with {description}"));
        return;
    };
    let path = std::path::Path::new(&folder).join(description);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let described = Description::new(serde_json::from_str(&text).unwrap());
    let faults: Vec<String> = requests.iter().flat_map(|asked| described.faults(asked)).collect();
    assert!(faults.is_empty(), "{description}:\n{}", faults.join("\n"));
}

/// An OpenAPI document, 3.0 or 3.1.
struct Description {
    document: Json,
}

impl Description {
    fn new(mut document: Json) -> Description {
        admit_null(&mut document);
        Description { document }
    }

    /// What is wrong with a request, a line each.
    fn faults(&self, asked: &Request) -> Vec<String> {
        let (path, query) = asked.path.split_once('?').unwrap_or((&asked.path, ""));
        let what = format!("{} {path}", asked.method);
        let Some(template) = self.template(&asked.method, path) else {
            return vec![format!("{what}: no such operation")];
        };
        let operation = format!("{} {template}", asked.method);
        let place = format!("/paths/{}/{}", escaped(template), asked.method.to_lowercase());
        let parameters = self.parameters(template, &place);
        let mut faults = self.of_query(&operation, &parameters, query);
        faults.extend(self.of_path(&parameters, template, path));
        faults.extend(of_head(&parameters, asked));
        faults.extend(self.of_body(&place, asked));
        faults.into_iter().map(|fault| format!("{what}: {fault}")).collect()
    }

    /// The path of the description that this one is an instance of: the most literal.
    fn template(&self, method: &str, path: &str) -> Option<&str> {
        let fits = |template: &&String| {
            let (mut segments, mut asked) = (template.split('/'), path.split('/'));
            let alike = segments.by_ref().zip(asked.by_ref()).all(|(segment, asked)| {
                segment == asked || (segment.starts_with('{') && segment.ends_with('}') && !asked.is_empty())
            });
            alike && template.split('/').count() == path.split('/').count()
        };
        let has_method =
            |template: &&String| self.document["paths"][template.as_str()].get(method.to_lowercase()).is_some();
        let paths = self.document["paths"].as_object()?.keys().filter(fits).filter(has_method);
        paths.min_by_key(|template| template.matches('{').count()).map(String::as_str)
    }

    /// Parameters of a path and an operation, each with the place of its schema.
    fn parameters(&self, template: &str, place: &str) -> Vec<Parameter> {
        let mut found = Vec::new();
        for place in [format!("/paths/{}", escaped(template)), place.to_owned()] {
            let list = self.document.pointer(&format!("{place}/parameters")).and_then(Json::as_array);
            for index in 0..list.map_or(0, Vec::len) {
                let place = self.followed(format!("{place}/parameters/{index}"));
                let at = &self.document.pointer(&place).expect("references of a description lead somewhere");
                found.push(Parameter {
                    name: at["name"].as_str().unwrap_or_default().to_owned(),
                    within: at["in"].as_str().unwrap_or_default().to_owned(),
                    is_required: at["required"] == true,
                    schema: at.get("schema").map(|_| format!("{place}/schema")),
                });
            }
        }
        found
    }

    fn of_query(&self, operation: &str, parameters: &[Parameter], query: &str) -> Vec<String> {
        let mut faults = Vec::new();
        let given: Vec<(String, String)> =
            url::form_urlencoded::parse(query.as_bytes()).map(|(name, value)| (name.into(), value.into())).collect();
        for (name, value) in &given {
            let exempt = UNDESCRIBED.iter().any(|(of, begin)| *of == operation && name.starts_with(begin));
            match parameters.iter().find(|parameter| parameter.within == "query" && parameter.name == *name) {
                Some(parameter) => faults.extend(self.of_value(parameter, value)),
                None if exempt => {}
                None => faults.push(format!("the query parameter `{name}` is not described")),
            }
        }
        let missing = |parameter: &&Parameter| {
            parameter.within == "query"
                && parameter.is_required
                && !given.iter().any(|(name, _)| *name == parameter.name)
        };
        let missing = parameters.iter().filter(missing);
        faults.extend(missing.map(|parameter| format!("the query parameter `{}` is required", parameter.name)));
        faults
    }

    fn of_path(&self, parameters: &[Parameter], template: &str, path: &str) -> Vec<String> {
        let mut faults = Vec::new();
        for (segment, value) in template.split('/').zip(path.split('/')) {
            let Some(name) = segment.strip_prefix('{').and_then(|name| name.strip_suffix('}')) else { continue };
            let value = percent_decode_str(value).decode_utf8_lossy();
            let described = parameters.iter().find(|parameter| parameter.within == "path" && parameter.name == name);
            faults.extend(described.and_then(|parameter| self.of_value(parameter, &value)));
        }
        faults
    }

    /// What is wrong with a value, which is text on the wire, whatever it means.
    fn of_value(&self, parameter: &Parameter, value: &str) -> Option<String> {
        let place = parameter.schema.as_ref()?;
        let meant: [Option<Json>; 3] =
            [Some(json!(value)), serde_json::from_str(value).ok(), Some(json!(value.split(',').collect::<Vec<_>>()))];
        let fits = meant.into_iter().flatten().any(|value| self.refuses(place, &value).is_none());
        (!fits).then(|| format!("`{}` is {value:?}, which its schema refuses", parameter.name))
    }

    fn of_body(&self, place: &str, asked: &Request) -> Vec<String> {
        let described = self.document.pointer(&format!("{place}/requestBody")).map(|_| {
            let place = self.followed(format!("{place}/requestBody"));
            let is_required = self.document.pointer(&place).is_some_and(|body| body["required"] == true);
            (place, is_required)
        });
        let Some((place, is_required)) = described else {
            // Clients send an empty object where nothing is expected.
            let is_empty = asked.body.is_empty() || asked.body == "{}";
            return if is_empty { Vec::new() } else { vec!["no body is described".to_owned()] };
        };
        if asked.body.is_empty() {
            return if is_required { vec!["a body is required".to_owned()] } else { Vec::new() };
        }
        let media = asked.header("content-type").unwrap_or_default();
        let media = media.split(';').next().unwrap_or_default().trim();
        let place = format!("{place}/content/{}/schema", escaped(media));
        if self.document.pointer(&place).is_none() {
            return vec![format!("a body of type {media:?} is not described")];
        }
        let Ok(body) = serde_json::from_str::<Json>(&asked.body) else { return vec!["the body is no JSON".to_owned()] };
        let mut faults: Vec<String> = self.refuses(&place, &body).into_iter().collect();
        self.strangers(&place, &body, "", &mut faults);
        faults
    }

    /// Properties of a body that no schema knows, which a schema that isn't closed lets pass.
    fn strangers(&self, place: &str, body: &Json, within: &str, faults: &mut Vec<String>) {
        match body {
            Json::Array(items) => {
                for place in self.alternatives(place).iter().map(|place| format!("{place}/items")) {
                    if self.document.pointer(&place).is_some() {
                        items.iter().for_each(|item| self.strangers(&place, item, &format!("{within}[]"), faults));
                    }
                }
            }
            Json::Object(fields) => {
                let places = self.alternatives(place);
                let has = |place: &String, key: &str| self.document.pointer(&format!("{place}/{key}")).is_some();
                let is_open = |place: &String| {
                    let more = self.document.pointer(&format!("{place}/additionalProperties"));
                    more.is_some_and(|more| *more != json!(false))
                };
                if places.iter().any(is_open) || !places.iter().any(|place| has(place, "properties")) {
                    return;
                }
                for (name, value) in fields {
                    let known: Vec<String> = places
                        .iter()
                        .map(|place| format!("{place}/properties/{}", escaped(name)))
                        .filter(|place| self.document.pointer(place).is_some())
                        .collect();
                    if known.is_empty() {
                        faults.push(format!("the property `{within}.{name}` of the body is not described"));
                    }
                    // One that is known to several has to be known in one of them.
                    let inner = known.iter().map(|place| {
                        let mut faults = Vec::new();
                        self.strangers(place, value, &format!("{within}.{name}"), &mut faults);
                        faults
                    });
                    faults.extend(inner.min_by_key(Vec::len).unwrap_or_default());
                }
            }
            _ => {}
        }
    }

    /// The places of a schema and of all that it is composed of.
    fn alternatives(&self, place: &str) -> Vec<String> {
        let place = self.followed(place.to_owned());
        let mut all = vec![place.clone()];
        for word in ["allOf", "anyOf", "oneOf"] {
            let list = self.document.pointer(&format!("{place}/{word}")).and_then(Json::as_array);
            for index in 0..list.map_or(0, Vec::len) {
                all.extend(self.alternatives(&format!("{place}/{word}/{index}")));
            }
        }
        all
    }

    /// Where a place that may be a reference leads.
    fn followed(&self, place: String) -> String {
        let reference = self.document.pointer(&place).and_then(|at| at.get("$ref")).and_then(Json::as_str);
        match reference.and_then(|reference| reference.strip_prefix('#')) {
            Some(there) => self.followed(there.to_owned()),
            None => place,
        }
    }

    /// What the schema at a place has against a value.
    fn refuses(&self, place: &str, value: &Json) -> Option<String> {
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        compiler.add_resource("https://contract.example/openapi.json", self.document.clone()).unwrap();
        let schema = format!("https://contract.example/openapi.json#{}", place.replace('{', "%7B").replace('}', "%7D"));
        let index = compiler.compile(&schema, &mut schemas).unwrap_or_else(|error| panic!("{schema}: {error}"));
        schemas.validate(value, index).err().map(|error| error.to_string())
    }
}

/// A parameter of an operation.
struct Parameter {
    name: String,
    within: String,
    is_required: bool,
    /// Where its schema stands.
    schema: Option<String>,
}

fn of_head(parameters: &[Parameter], asked: &Request) -> Vec<String> {
    let missing = parameters.iter().filter(|parameter| {
        let is_parameter = !NO_PARAMETERS.contains(&parameter.name.to_lowercase().as_str());
        parameter.within == "header" && parameter.is_required && is_parameter && asked.header(&parameter.name).is_none()
    });
    missing.map(|parameter| format!("the header `{}` is required", parameter.name)).collect()
}

/// A segment of a JSON pointer.
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// What OpenAPI 3.0 says by `nullable` is said by types elsewhere.
fn admit_null(at: &mut Json) {
    match at {
        Json::Object(map) => {
            map.values_mut().for_each(admit_null);
            if map.remove_entry("nullable").is_some_and(|(_, is)| is == true) {
                let bare: Map<String, Json> = std::mem::take(map);
                map.insert("anyOf".to_owned(), json!([bare, { "type": "null" }]));
            }
        }
        Json::Array(items) => items.iter_mut().for_each(admit_null),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bare(method: &str, path: &str) -> Request {
        let head = format!("{method} {path} HTTP/1.1\r\n");
        Request { method: method.to_owned(), path: path.to_owned(), head, body: String::new() }
    }

    fn with(mut asked: Request, header: &str) -> Request {
        asked.head.push_str(&format!("{header}\r\n"));
        asked
    }

    fn typed(mut asked: Request, media: &str, body: &Json) -> Request {
        asked.body = body.to_string();
        with(asked, &format!("Content-Type: {media}"))
    }

    fn sent(method: &str, path: &str, body: &Json) -> Request {
        typed(bare(method, path), "application/json", body)
    }

    fn description() -> Description {
        Description::new(json!({
            "openapi": "3.0.3",
            "paths": {
                "/things/{id}": {
                    "parameters": [{ "name": "id", "in": "path", "required": true, "schema": { "type": "string", "pattern": "^t_" } }],
                    "get": { "parameters": [
                        { "name": "limit", "in": "query", "schema": { "type": "number", "maximum": 10 } },
                        { "$ref": "#/components/parameters/team" },
                    ] },
                    "put": { "requestBody": { "required": true, "content": { "application/json": { "schema": { "$ref": "#/components/schemas/thing" } } } } },
                },
                "/things/newest": { "get": {} },
                "/v7/deployments": { "get": {} },
                "/mails": { "post": { "parameters": [{ "name": "Idempotency-Key", "in": "header", "required": true, "schema": { "type": "string" } }] } },
            },
            "components": {
                "parameters": { "team": { "name": "team", "in": "query", "required": true, "schema": { "type": "string" } } },
                "schemas": { "thing": {
                    "type": "object", "required": ["name"],
                    "properties": {
                        "name": { "type": "string" },
                        "note": { "type": "string", "nullable": true },
                        "parts": { "type": "array", "items": { "type": "object", "properties": { "size": { "type": "number" } } } },
                        "labels": { "type": "object", "additionalProperties": { "type": "string" } },
                    },
                } },
            },
        }))
    }

    #[test]
    fn a_request_as_it_is_described_has_no_fault() {
        let whole = json!({ "name": "a", "note": null, "parts": [{ "size": 1 }], "labels": { "any": "b" } });
        let fine = [
            bare("GET", "/things/t_1?limit=5&team=a"),
            bare("GET", "/things/newest"),
            sent("PUT", "/things/t_1", &whole),
            bare("GET", "/v7/deployments?meta-step=a"),
            with(sent("POST", "/mails", &json!({})), "idempotency-key: k"),
        ];
        for asked in fine {
            assert_eq!(description().faults(&asked), Vec::<String>::new(), "{asked:?}");
        }
    }

    /// Each of the real descriptions can be read, down to the schema of a body.
    #[test]
    fn what_providers_document_is_described() {
        let variable = json!([{ "key": "A", "value": "b", "type": "encrypted", "target": ["production"] }]);
        let again =
            json!({ "name": "shop", "deploymentId": "dpl_1", "target": "production", "meta": { "runId": "1" } });
        let vercel = [
            bare("GET", "/v10/projects/prj_1/env?teamId=team_1"),
            sent("POST", "/v10/projects/prj_1/env?teamId=team_1&upsert=true", &variable),
            bare("GET", "/v7/deployments?projectId=prj_1&limit=20&meta-stepId=a"),
            sent("POST", "/v13/deployments?forceNew=1", &again),
            sent("POST", "/v10/projects/prj_1/promote/dpl_1", &json!({})),
            bare("GET", "/v4/aliases/shop.example.com?teamId=team_1"),
        ];
        assert_described("vercel/vercel-reduced.openapi.json", &vercel);
        let mail = json!({ "from": "a@example.com", "to": ["b@example.com"], "subject": "a", "text": "b" });
        let resend = [with(sent("POST", "/emails", &mail), "Idempotency-Key: k")];
        assert_described("resend/resend.openapi.json", &resend);
        let dispatch = json!({ "ref": "main", "inputs": { "step": "a" } });
        let github = [sent("POST", "/repos/o/r/actions/workflows/deploy.yml/dispatches", &dispatch)];
        assert_described("github/github-actions-reduced.openapi.json", &github);
        let path = "/api/atlas/v2/groups/32b6e34b3d91647abb20e7b8/clusters/Cluster0/backup/snapshots";
        let body = json!({ "description": "a", "retentionInDays": 7 });
        let snapshot = typed(bare("POST", path), "application/vnd.atlas.2023-01-01+json", &body);
        assert_described("atlas/atlas-backups-reduced.openapi.json", &[snapshot]);
    }

    #[test]
    fn each_mistake_is_told() {
        let put = |body: Json| sent("PUT", "/things/t_1", &body);
        let plain = typed(bare("PUT", "/things/t_1"), "text/plain", &json!({ "name": "a" }));
        let wrong = [
            (bare("GET", "/thing/t_1"), "no such operation"),
            (bare("GET", "/things/"), "no such operation"),
            (bare("DELETE", "/things/t_1"), "no such operation"),
            (bare("GET", "/things/t_1/parts"), "no such operation"),
            (bare("GET", "/things/x?team=a"), "`id` is \"x\""),
            (bare("GET", "/things/t_1?limit=5"), "`team` is required"),
            (bare("GET", "/things/t_1?team=a&limit=11"), "`limit` is \"11\""),
            (bare("GET", "/things/t_1?team=a&limit=many"), "`limit` is \"many\""),
            (bare("GET", "/things/t_1?team=a&teem=a"), "`teem` is not described"),
            (bare("GET", "/things/newest?meta-step=a"), "`meta-step` is not described"),
            (bare("PUT", "/things/t_1"), "a body is required"),
            (put(json!({ "note": "a" })), "missing propert"),
            (put(json!({ "name": 1 })), "want string"),
            (put(json!({ "name": "a", "nmae": "b" })), "`.nmae` of the body"),
            (put(json!({ "name": "a", "parts": [{ "sise": 1 }] })), "`.parts[].sise` of the body"),
            (put(json!({ "name": "a", "labels": { "any": 1 } })), "want string"),
            (plain, "\"text/plain\" is not described"),
            (bare("POST", "/mails"), "`Idempotency-Key` is required"),
            (with(sent("POST", "/mails", &json!({ "a": 1 })), "Idempotency-Key: k"), "no body"),
        ];
        for (asked, says) in wrong {
            let faults = description().faults(&asked);
            assert!(faults.len() == 1 && faults[0].contains(says), "{asked:?}: {faults:?}");
        }
    }
}
