//! The endpoint: documents are validated against the schema and executed as the specification says, so that a field or
//! argument that doesn't exist, or a variable of the wrong type, is told as the real one tells it.

use std::sync::{Arc, LazyLock};

use apollo_compiler::resolvers::{Execution, FieldError, ObjectValue, ResolveInfo, ResolvedValue};
use apollo_compiler::response::JsonMap;
use apollo_compiler::validation::Valid;
use apollo_compiler::{ExecutableDocument, Schema};
use serde_json::{Value as Json, json};

use rerail::world::http::{Answer, Request};
use rerail::world::railway::wire::{paged, refused};
use rerail::world::railway::{State, Token};

/// What the simulator speaks.
pub const SCHEMA: &str = include_str!("schema.graphql");

/// Answers one call, and does what it asks for.
pub fn answer(state: &mut State, request: &Request) -> Answer {
    if request.method != "POST" {
        return refused(405, "POST only", "BAD_REQUEST");
    }
    let Ok(body) = serde_json::from_str::<Json>(&request.body) else {
        return refused(400, "the body is no JSON", "BAD_REQUEST");
    };
    let schema = schema(state);
    let text = body["query"].as_str().unwrap_or_default();
    let document = match ExecutableDocument::parse_and_validate(&schema, text, "document.graphql") {
        Ok(document) => document,
        Err(wrong) => return invalid(&wrong.errors.to_string()),
    };
    let operation = match document.operations.get(body["operationName"].as_str()) {
        Ok(operation) => operation,
        Err(wrong) => return invalid(&wrong.message().to_string()),
    };
    state.calls += 1;
    if state.limit.is_some_and(|limit| state.calls > limit) {
        return Answer::json(429, r#"{"errors":[{"message":"Too Many Requests"}]}"#).header("Retry-After", "0");
    }
    let mut variables = body["variables"].clone();
    if variables.is_null() {
        variables = json!({});
    }
    let Ok(variables) = serde_json::from_value::<JsonMap>(variables) else {
        return invalid("variables is no object");
    };
    let may = state.token_of(request.header("authorization"), request.header("project-access-token"));
    // Mutations run one after the other; the state is ours alone for the whole call.
    let root = Root {
        kind: if operation.is_mutation() { "Mutation" } else { "Query" },
        state: std::sync::Mutex::new(state),
        may,
    };
    let done =
        Execution::new(&schema, &document).operation(operation).raw_variable_values(&variables).execute_sync(&root);
    match done {
        Err(wrong) => refused(400, &wrong.message().to_string(), "BAD_USER_INPUT"),
        Ok(answer) => {
            let mut answer = serde_json::to_value(answer).expect("an answer is JSON");
            for error in answer["errors"].as_array_mut().into_iter().flatten() {
                error["extensions"] = json!({ "code": "INTERNAL_SERVER_ERROR" });
                error["traceId"] = json!("trace-example");
            }
            Answer::json(200, answer.to_string())
        }
    }
}

/// The fields at the root of what a request asks for; `invalid` if that can't be told.
pub fn called(state: &State, request: &Request) -> String {
    let fields = || {
        let body: Json = serde_json::from_str(&request.body).ok()?;
        let document =
            ExecutableDocument::parse_and_validate(&schema(state), body["query"].as_str()?, "document.graphql").ok()?;
        let operation = document.operations.get(body["operationName"].as_str()).ok()?;
        Some(operation.root_fields(&document).map(|field| field.name.to_string()).collect::<Vec<_>>().join("+"))
    };
    fields().unwrap_or_else(|| "invalid".to_owned())
}

/// What it speaks today, read once.
fn schema(state: &State) -> Arc<Valid<Schema>> {
    static USUAL: LazyLock<Arc<Valid<Schema>>> = LazyLock::new(|| read(SCHEMA));
    if state.vanished.is_empty() && state.newer.is_empty() {
        return Arc::clone(&USUAL);
    }
    let lines = SCHEMA.lines().filter(|line| !state.vanished.contains(&line.trim()));
    let mut text: String = lines.map(|line| format!("{line}\n")).collect();
    for (before, more) in &state.newer {
        text = text.replace(before, &format!("{before}{more}"));
    }
    read(&text)
}

fn read(text: &str) -> Arc<Valid<Schema>> {
    Arc::new(Schema::parse_and_validate(text, "schema.graphql").expect("the simulator's schema is one"))
}

fn invalid(why: &str) -> Answer {
    refused(400, why, "GRAPHQL_VALIDATION_FAILED")
}

/// The names and problems of documents, told by a schema: none if all fit.
pub fn faults_of(schema: &Valid<Schema>, documents: &[(String, String)]) -> Vec<String> {
    let faults = documents.iter().filter_map(|(name, text)| {
        let wrong = ExecutableDocument::parse_and_validate(schema, text, name).err()?;
        Some(format!("{name}: {}", wrong.errors))
    });
    faults.collect()
}

struct Root<'s> {
    kind: &'static str,
    state: std::sync::Mutex<&'s mut State>,
    may: Option<Token>,
}

impl ObjectValue for Root<'_> {
    fn type_name(&self) -> &str {
        self.kind
    }

    fn resolve_field<'a>(&'a self, info: &'a ResolveInfo<'a>) -> Result<ResolvedValue<'a>, FieldError> {
        let arguments = serde_json::to_value(info.arguments()).expect("arguments are JSON");
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let value = match &self.may {
            Some(token) => state.resolve(info.field_name(), &arguments, token),
            None => Err("Not Authorized".to_owned()),
        };
        let page = state.page;
        value.map(|value| shaped(value, info, page)).map_err(|message| FieldError { message })
    }
}

/// A value of the state as one of the field's type.
fn shaped<'a>(value: Json, info: &ResolveInfo<'a>, page: usize) -> ResolvedValue<'a> {
    let of = info.field_definition().ty.inner_named_type();
    if !info.schema().types.get(of).is_some_and(|of| of.is_object()) {
        return ResolvedValue::leaf(value);
    }
    let value = match value {
        Json::Array(all) if of.ends_with("Connection") => {
            paged(&all, &serde_json::to_value(info.arguments()).expect("arguments are JSON"), page)
        }
        other => other,
    };
    let node = |json: Json| match json {
        Json::Null => ResolvedValue::null(),
        json => ResolvedValue::object(Node { of: of.to_string(), json, page }),
    };
    match value {
        Json::Array(items) => ResolvedValue::List(Box::new(
            items.into_iter().map(move |item| Ok(node(item))).collect::<Vec<_>>().into_iter(),
        )),
        one => node(one),
    }
}

/// An object of the state; its fields are called as in the schema.
struct Node {
    of: String,
    json: Json,
    page: usize,
}

impl ObjectValue for Node {
    fn type_name(&self) -> &str {
        &self.of
    }

    fn resolve_field<'a>(&'a self, info: &'a ResolveInfo<'a>) -> Result<ResolvedValue<'a>, FieldError> {
        match self.json.get(info.field_name()) {
            Some(value) => Ok(shaped(value.clone(), info, self.page)),
            None => Err(self.unknown_field_error(info)),
        }
    }
}
