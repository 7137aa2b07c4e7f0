//! `graphql.query`: asks a GraphQL server; what would change something is refused by parsing.

use crate::engine::outcome::Attempt;
use crate::runbook::spec::{ActionSpec, Effect};
use crate::runbook::types::Type;
use crate::script::value::Map;
use crate::steps::graphql::call::call;
use crate::steps::graphql::document::{Kind, query_fault};
use crate::steps::schema::{body, defaulted, judged, optional, output, required, sealed};
use crate::steps::world::World;
use crate::steps::{Entry, Pending, Primitive, Read};

struct GraphqlQuery;

/// The catalog's line.
pub(super) fn entry() -> Entry {
    Entry { spec: spec(), primitive: Primitive::Read(&GraphqlQuery) }
}

fn spec() -> ActionSpec {
    ActionSpec {
        name: "graphql.query".to_owned(),
        title: "Ask a GraphQL server".to_owned(),
        effect: Effect::Read,
        effect_of: None,
        repeat_of: None,
        args: vec![
            required("url", Type::Url, "address of the endpoint"),
            judged(required("document", Type::String, "the query; may hold several, and fragments"), query_fault),
            optional("variables", Type::Map, "values of its variables; may hold secrets"),
            optional("headers", Type::Map, "request headers"),
            optional("operation", Type::String, "name of the query to run, if there are several"),
            defaulted("timeout", Type::Duration, "30s", "time for the whole exchange"),
            sealed(),
        ],
        outputs: vec![
            body("data", Type::Any, "what was asked for; `()` if there is none"),
            body("errors", Type::List, "what the server says went wrong; empty if nothing"),
            output("status", Type::Int, "status code"),
            output("ms", Type::Int, "milliseconds until the end of the answer"),
        ],
        docs: "\
```yaml
- id: who
  uses: graphql.query
  with:
    url: https://api.example.com/graphql
    headers: { Authorization: \"Bearer ${{ secrets.API_TOKEN }}\" }
    document: \"query($id: ID!) { service(id: $id) { name } }\"
    variables: { id: \"${{ inputs.service }}\" }
```
A mutation or subscription anywhere in the document is refused before anything is sent, and by `rerail check` where the \
document is written out. Errors beside data leave the step `done`, with both in its outputs; errors without data fail it."
            .to_owned(),
    }
}

impl Read for GraphqlQuery {
    fn perform<'a>(&'a self, world: &'a World, args: &'a Map) -> Pending<'a> {
        Box::pin(async move { call(world, args, Kind::Query, None).await.unwrap_or_else(Attempt::refused) })
    }
}
