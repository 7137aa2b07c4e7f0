//! `graphql.mutate`: one mutation, sent once. An answer of 200 with errors is not a success.

use reqwest::header::HeaderValue;

use crate::engine::outcome::{Attempt, Failure};
use crate::runbook::spec::{ActionSpec, By, Effect, Repeat};
use crate::runbook::types::Type;
use crate::script::value::{Map, Value};
use crate::steps::args::invalid;
use crate::steps::graphql::call::call;
use crate::steps::graphql::document::{Kind, mutation_fault};
use crate::steps::http_request::idempotency;
use crate::steps::schema::{body, defaulted, judged, optional, output, required, sealed};
use crate::steps::world::World;
use crate::steps::{Entry, Pending, Primitive, Write};

struct GraphqlMutate;

/// The catalog's line.
pub(super) fn entry() -> Entry {
    Entry { spec: spec(), primitive: Primitive::Write(&GraphqlMutate) }
}

fn spec() -> ActionSpec {
    ActionSpec {
        name: "graphql.mutate".to_owned(),
        title: "Send one GraphQL mutation".to_owned(),
        effect: Effect::Write,
        effect_of: None,
        repeat_of: Some(By::Arguments(repeat_of)),
        args: vec![
            required("url", Type::Url, "address of the endpoint"),
            judged(required("document", Type::String, "the mutation; may hold several, and fragments"), mutation_fault),
            optional("variables", Type::Map, "values of its variables; may hold secrets"),
            optional("headers", Type::Map, "request headers"),
            optional("operation", Type::String, "name of the mutation to run, if there are several"),
            defaulted("timeout", Type::Duration, "30s", "time for the whole exchange; reaching it leaves it in doubt"),
            optional(
                "idempotency",
                Type::Map,
                "`header` that carries the key, `window` in which the other side keeps it",
            ),
            sealed(),
        ],
        outputs: vec![
            body("data", Type::Any, "what the mutation gave; `()` if nothing"),
            body("errors", Type::List, "what the server says went wrong; empty if nothing"),
            output("status", Type::Int, "status code"),
            output("ms", Type::Int, "milliseconds until the end of the answer"),
        ],
        docs: "\
```yaml
- id: deploy
  uses: graphql.mutate
  with:
    url: https://api.example.com/graphql
    headers: { Authorization: \"Bearer ${{ secrets.API_TOKEN }}\" }
    document: \"mutation($id: ID!) { deploy(service: $id) { id } }\"
    variables: { id: \"${{ inputs.service }}\" }
```
`done` only with data and without errors. `refused` when the server proves that it executed nothing: an answer without \
`data`, or errors of validation alone (`GRAPHQL_PARSE_FAILED`, `GRAPHQL_VALIDATION_FAILED`, and `BAD_USER_INPUT` for a \
mutation of one field). All other errors leave it `in_doubt`: a field may have been executed before the error. It is \
sent again only with `idempotency` inside its window."
            .to_owned(),
    }
}

fn repeat_of(args: &Map) -> Repeat {
    match idempotency(args) {
        Ok(Some((_, window))) => Repeat::Keyed { window_s: window.as_secs() },
        _ => Repeat::Once,
    }
}

impl Write for GraphqlMutate {
    fn plan(&self, _world: &World, args: &Map) -> String {
        let shown = |name: &str| args.get(name).map(Value::to_string).unwrap_or_default();
        format!("mutation at {}: {} with {}", shown("url"), one_line(&shown("document")), shown("variables"))
    }

    fn perform<'a>(&'a self, world: &'a World, args: &'a Map, key: &'a str) -> Pending<'a> {
        Box::pin(async move { mutate(world, args, key).await.unwrap_or_else(Attempt::refused) })
    }
}

async fn mutate(world: &World, args: &Map, key: &str) -> Result<Attempt, Failure> {
    let key = match idempotency(args)? {
        None => None,
        Some((name, _)) => {
            let value = HeaderValue::from_str(key)
                .map_err(|_| invalid("idempotency", "the key of this step can't stand in a header"))?;
            Some((name, value))
        }
    };
    call(world, args, Kind::Mutation, key).await
}

fn one_line(document: &str) -> String {
    document.split_whitespace().collect::<Vec<_>>().join(" ")
}
