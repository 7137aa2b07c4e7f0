//! Railway's GraphQL endpoint without a schema: documents are parsed, their fields resolved and cut to what was asked for.
//!
//! It believes what a document says of types, which a server mustn't. The tests' endpoint holds every document of the
//! library to the schema, and both must give the same answers.

use apollo_parser::Parser;
use apollo_parser::cst::{
    Arguments, CstNode as _, Definition, Field, OperationDefinition, Selection, SelectionSet, Value,
};
use serde_json::{Map, Value as Json, json};

use crate::world::Platform;
use crate::world::http::{Answer, Request};
use crate::world::railway::{API, APP, State, Token};

/// Depth of selections and values: far above what the library asks for.
const DEPTH_MAX: usize = 32;
/// Tokens of a document.
const TOKENS_MAX: usize = 5_000;
/// Entries of a connection that are given without `first`, as there.
const PAGE: usize = 100;

impl Platform for State {
    fn called(&self, request: &Request) -> Option<String> {
        request.path.starts_with(API).then(|| fields(&request.body).unwrap_or_else(|_| "invalid".to_owned()))
    }

    fn answer(&mut self, request: &Request) -> Answer {
        self.now += 1;
        match request.path.strip_prefix(APP) {
            Some(path) => self.app(&request.method, path, request.header("origin")),
            None if request.path.starts_with(API) => answer(self, request),
            None => Answer::json(404, "{}"),
        }
    }
}

/// The names of the fields at the root.
fn fields(body: &str) -> Result<String, String> {
    let (operation, _) = read(body)?;
    let names: Result<Vec<String>, String> = roots(&operation)?.iter().map(name).collect();
    Ok(names?.join("+"))
}

/// Does what a call asks for, once it has been found to be whole.
fn answer(state: &mut State, request: &Request) -> Answer {
    if request.method != "POST" {
        return refused(405, "POST only", "BAD_REQUEST");
    }
    let read = read(&request.body).and_then(|(operation, variables)| Ok((roots(&operation)?, variables)));
    let (roots, variables) = match read {
        Ok(read) => read,
        Err(why) => return refused(400, &why, "GRAPHQL_VALIDATION_FAILED"),
    };
    state.calls += 1;
    if state.limit.is_some_and(|limit| state.calls > limit) {
        return Answer::json(429, r#"{"errors":[{"message":"Too Many Requests"}]}"#).header("Retry-After", "0");
    }
    let may = state.token_of(request.header("authorization"), request.header("project-access-token"));
    let mut data = Map::new();
    for field in &roots {
        match resolved(state, may.as_ref(), field, &variables) {
            Ok((key, value)) => drop(data.insert(key, value)),
            // Nearly all of its fields are there or fail, and one that fails takes the others with it.
            Err(message) => {
                let extensions = json!({ "code": "INTERNAL_SERVER_ERROR" });
                let error = json!({ "message": message, "extensions": extensions, "traceId": "trace-example" });
                return Answer::json(200, json!({ "data": null, "errors": [error] }).to_string());
            }
        }
    }
    Answer::json(200, json!({ "data": data }).to_string())
}

fn resolved(
    state: &mut State,
    may: Option<&Token>,
    field: &Field,
    variables: &Map<String, Json>,
) -> Result<(String, Json), String> {
    let (called, given) = (name(field)?, arguments(field.arguments(), variables)?);
    let token = may.ok_or("Not Authorized")?;
    let value = state.resolve(&called, &given, token)?;
    Ok((key(field)?, cut(&value, field, variables, state.page)?))
}

/// The one operation of a request, with its variables.
fn read(body: &str) -> Result<(OperationDefinition, Map<String, Json>), String> {
    let body: Json = serde_json::from_str(body).map_err(|_| "the body is no JSON")?;
    let text = body["query"].as_str().unwrap_or_default();
    let tree = Parser::new(text).recursion_limit(DEPTH_MAX).token_limit(TOKENS_MAX).parse();
    if let Some(error) = tree.errors().next() {
        return Err(error.message().to_owned());
    }
    let mut operations: Vec<OperationDefinition> = Vec::new();
    for definition in tree.document().definitions() {
        match definition {
            Definition::OperationDefinition(operation) => operations.push(operation),
            _ => return Err("only operations are known here".to_owned()),
        }
    }
    let [operation] = <[OperationDefinition; 1]>::try_from(operations).map_err(|_| "one operation is expected")?;
    let variables = match &body["variables"] {
        Json::Null => Map::new(),
        Json::Object(variables) => variables.clone(),
        _ => return Err("variables is no object".to_owned()),
    };
    Ok((operation, variables))
}

fn roots(operation: &OperationDefinition) -> Result<Vec<Field>, String> {
    operation.selection_set().map_or_else(|| Ok(Vec::new()), |all| selected(&all))
}

fn selected(all: &SelectionSet) -> Result<Vec<Field>, String> {
    let fields = all.selections().map(|selection| match selection {
        Selection::Field(field) => Ok(field),
        _ => Err("fragments are not known here".to_owned()),
    });
    fields.collect()
}

fn name(field: &Field) -> Result<String, String> {
    Ok(field.name().ok_or("a field has no name")?.text().to_string())
}

/// What a field is called in the answer.
fn key(field: &Field) -> Result<String, String> {
    match field.alias().and_then(|alias| alias.name()) {
        Some(alias) => Ok(alias.text().to_string()),
        None => name(field),
    }
}

/// What of a value was asked for. A list of which edges are asked for is a connection.
fn cut(value: &Json, field: &Field, variables: &Map<String, Json>, page: usize) -> Result<Json, String> {
    let Some(asked) = field.selection_set() else { return Ok(value.clone()) };
    let asked = selected(&asked)?;
    match value {
        Json::Null => Ok(Json::Null),
        Json::Array(all) => {
            let mut paged_by = None;
            for one in &asked {
                if ["edges", "pageInfo"].contains(&name(one)?.as_str()) {
                    paged_by = Some(arguments(field.arguments(), variables)?);
                }
            }
            match paged_by {
                Some(given) => object(&paged(all, &given, page), &asked, variables, page),
                None => all.iter().map(|one| object(one, &asked, variables, page)).collect(),
            }
        }
        one => object(one, &asked, variables, page),
    }
}

fn object(value: &Json, asked: &[Field], variables: &Map<String, Json>, page: usize) -> Result<Json, String> {
    let mut object = Map::new();
    for field in asked {
        let name = name(field)?;
        let Some(inner) = value.get(&name) else { return Err(format!("there is no {name}")) };
        object.insert(key(field)?, cut(inner, field, variables, page)?);
    }
    Ok(Json::Object(object))
}

fn arguments(given: Option<Arguments>, variables: &Map<String, Json>) -> Result<Json, String> {
    let mut all = Map::new();
    for argument in given.iter().flat_map(Arguments::arguments) {
        let name = argument.name().ok_or("an argument has no name")?.text().to_string();
        // A variable that isn't given leaves its argument out.
        if let Some(value) = literal(argument.value(), variables)? {
            all.insert(name, value);
        }
    }
    Ok(Json::Object(all))
}

fn literal(value: Option<Value>, variables: &Map<String, Json>) -> Result<Option<Json>, String> {
    let text = |node: &apollo_parser::SyntaxNode| node.text().to_string().trim().to_owned();
    let number = |text: String| serde_json::from_str(&text).map_err(|_| format!("{text} is no number"));
    Ok(Some(match value.ok_or("an argument has no value")? {
        Value::Variable(variable) => {
            let name = variable.name().ok_or("a variable has no name")?.text().to_string();
            return Ok(variables.get(&name).cloned());
        }
        Value::StringValue(value) => Json::String(String::from(&value)),
        Value::IntValue(value) => number(text(value.syntax()))?,
        Value::FloatValue(value) => number(text(value.syntax()))?,
        Value::BooleanValue(value) => Json::Bool(value.true_token().is_some()),
        Value::NullValue(_) => Json::Null,
        Value::EnumValue(value) => Json::String(text(value.syntax())),
        Value::ListValue(list) => {
            let items: Result<Vec<_>, String> = list.values().map(|item| literal(Some(item), variables)).collect();
            Json::Array(items?.into_iter().flatten().collect())
        }
        Value::ObjectValue(object) => {
            let mut all = Map::new();
            for field in object.object_fields() {
                let name = field.name().ok_or("a field of an argument has no name")?.text().to_string();
                all.extend(literal(field.value(), variables)?.map(|value| (name, value)));
            }
            Json::Object(all)
        }
    }))
}

/// A page of a connection, `most` entries of it at most.
pub fn paged(all: &[Json], arguments: &Json, most: usize) -> Json {
    let from = arguments["after"].as_str().map_or(0, |after| after.parse::<usize>().map_or(0, |after| after + 1));
    let first = arguments["first"].as_u64().map_or(PAGE, |first| usize::try_from(first).unwrap_or(PAGE)).min(most);
    let shown: Vec<(usize, &Json)> = all.iter().enumerate().skip(from).take(first).collect();
    let edges: Vec<Json> = shown.iter().map(|(at, node)| json!({ "cursor": at.to_string(), "node": node })).collect();
    let last = shown.last().map(|(at, _)| *at);
    json!({
        "edges": edges,
        "pageInfo": {
            "endCursor": last.map(|at| at.to_string()),
            "hasNextPage": last.is_some_and(|at| at + 1 < all.len()),
        },
    })
}

/// What the endpoint says to a call that it doesn't take up.
pub fn refused(status: u16, message: &str, code: &str) -> Answer {
    let errors = json!({ "errors": [{ "message": message, "extensions": { "code": code } }] });
    Answer::json(status, errors.to_string())
}
