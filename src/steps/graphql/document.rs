//! What a GraphQL document does: parsed, not guessed, so that a mutation can't pass as a query however it
//! is written.

use apollo_parser::Parser;
use apollo_parser::cst::{Definition, OperationDefinition, Selection};

/// Bytes of a document: generated ones with all their fragments fit.
const DOCUMENT_BYTES_MAX: usize = 256 * 1024;
/// Depth of selections and values: far above what servers accept, far below what a stack holds.
const DEPTH_MAX: usize = 64;
/// Tokens of a document; every byte of the largest one could be a token otherwise.
const TOKENS_MAX: usize = 50_000;

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::steps) enum Kind {
    Query,
    Mutation,
    Subscription,
}

/// The operation of a document that a call is for.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::steps) struct Operation {
    pub name: Option<String>,
    /// How many fields it asks for at its root; `None` when fragments hide it.
    pub root_fields: Option<usize>,
}

/// Reads a document whose operations must all be of one kind, and finds the one called `name`, or the only
/// one. The error is a fragment such as `holds a mutation; …`.
pub(in crate::steps) fn read(text: &str, kind: Kind, name: Option<&str>) -> Result<Operation, String> {
    let operations = operations(text, kind)?;
    match name {
        Some(name) => operations
            .into_iter()
            .find(|operation| operation.name.as_deref() == Some(name))
            .ok_or_else(|| format!("has no operation `{name}`")),
        None => match <[Operation; 1]>::try_from(operations) {
            Ok([only]) => Ok(only),
            Err(several) => {
                let names: Vec<String> = several.into_iter().filter_map(|operation| operation.name).collect();
                Err(format!("has several operations ({}): say which by `operation`", names.join(", ")))
            }
        },
    }
}

/// Why a document can't be one of queries; `None` if it can.
pub(in crate::steps) fn query_fault(text: &str) -> Option<String> {
    operations(text, Kind::Query).err()
}

/// Why a document can't be one of mutations; `None` if it can.
pub(in crate::steps) fn mutation_fault(text: &str) -> Option<String> {
    operations(text, Kind::Mutation).err()
}

/// The operations of a document, at least one and all of `kind`.
fn operations(text: &str, kind: Kind) -> Result<Vec<Operation>, String> {
    if text.len() > DOCUMENT_BYTES_MAX {
        return Err(format!("is no usable document: {} bytes, at most {DOCUMENT_BYTES_MAX}", text.len()));
    }
    let tree = Parser::new(text).recursion_limit(DEPTH_MAX).token_limit(TOKENS_MAX).parse();
    if let Some(error) = tree.errors().next() {
        let before = &text.as_bytes()[..error.index().min(text.len())];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        return Err(format!("is no GraphQL: line {line}: {}", error.message()));
    }
    let mut operations = Vec::new();
    for definition in tree.document().definitions() {
        match definition {
            Definition::OperationDefinition(operation) => {
                let found = kind_of(&operation);
                if found != kind {
                    return Err(mismatch(found));
                }
                operations.push(Operation {
                    name: operation.name().map(|name| name.text().to_string()),
                    root_fields: root_fields(&operation),
                });
            }
            Definition::FragmentDefinition(_) => {}
            _ => return Err("defines types; a call takes operations and fragments".to_owned()),
        }
    }
    if operations.is_empty() {
        return Err("has no operation".to_owned());
    }
    Ok(operations)
}

fn kind_of(operation: &OperationDefinition) -> Kind {
    match operation.operation_type() {
        Some(word) if word.mutation_token().is_some() => Kind::Mutation,
        Some(word) if word.subscription_token().is_some() => Kind::Subscription,
        // `{ field }` is a query by definition.
        _ => Kind::Query,
    }
}

fn mismatch(found: Kind) -> String {
    match found {
        Kind::Query => "holds a query; that is `graphql.query`".to_owned(),
        Kind::Mutation => "holds a mutation; that is `graphql.mutate`".to_owned(),
        Kind::Subscription => "holds a subscription; those have no single answer and can't be called".to_owned(),
    }
}

fn root_fields(operation: &OperationDefinition) -> Option<usize> {
    let mut fields = 0;
    for selection in operation.selection_set()?.selections() {
        match selection {
            Selection::Field(_) => fields += 1,
            Selection::FragmentSpread(_) | Selection::InlineFragment(_) => return None,
        }
    }
    Some(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mutation_never_passes_as_a_query() {
        for document in [
            "mutation { a }",
            "mutation M($x: Int) { a(x: $x) }",
            "query Q { a } mutation M { b }",
            "{ a } mutation M { b }",
            "# query { a }\nmutation { b }",
            "\u{feff}mutation { b }",
            "fragment f on T { a } mutation { ...f }",
            ", , mutation,{,b,}",
            "query Q { a }\n\nmutation\nM\n{ b }",
        ] {
            let fault = query_fault(document).unwrap_or_default();
            assert!(!fault.is_empty(), "{document}");
        }
        assert_eq!(query_fault("mutation { a }").unwrap(), "holds a mutation; that is `graphql.mutate`");
        for document in [
            "{ mutation }",
            "query mutation { a }",
            "query { a(text: \"mutation { b }\") }",
            "query { a(text: \"\"\"\nmutation { b }\n\"\"\") } # mutation { b }",
        ] {
            assert_eq!(query_fault(document), None, "{document}");
        }
    }

    #[test]
    fn queries_subscriptions_types_and_nothing_are_no_mutation() {
        for document in ["{ a }", "query { a }", "subscription { a }", "type T { a: Int }", "fragment f on T { a }", ""]
        {
            assert!(mutation_fault(document).is_some(), "{document}");
        }
        assert!(query_fault("subscription { a }").unwrap().contains("subscription"));
        assert_eq!(mutation_fault("mutation { a }"), None);
    }

    #[test]
    fn what_is_no_graphql_says_where() {
        let fault = query_fault("query {\n  a(\n}").unwrap();
        assert!(fault.starts_with("is no GraphQL: line "), "{fault}");
        assert!(query_fault("SELECT 1").is_some());
    }

    #[test]
    fn an_operation_is_chosen_by_name() {
        let document = "mutation A { a } mutation B { b c } mutation C { ...f } fragment f on M { a }";
        let read = |name| read(document, Kind::Mutation, name);
        assert_eq!(read(Some("A")).unwrap().root_fields, Some(1));
        assert_eq!(read(Some("B")).unwrap().root_fields, Some(2));
        assert_eq!(read(Some("C")).unwrap().root_fields, None);
        assert_eq!(read(Some("D")).unwrap_err(), "has no operation `D`");
        assert_eq!(read(None).unwrap_err(), "has several operations (A, B, C): say which by `operation`");
    }

    #[test]
    fn deep_and_huge_documents_end_as_errors() {
        for document in [
            format!("{{ {}a{} }}", "a { ".repeat(100_000 / 4), " }".repeat(100_000 / 4)),
            format!("{{ a(x: {}{}) }}", "[".repeat(50_000), "]".repeat(50_000)),
            format!("{{ {} }}", "a ".repeat(60_000)),
            "x".repeat(DOCUMENT_BYTES_MAX + 1),
        ] {
            assert!(query_fault(&document).is_some());
        }
        let deep = format!("{{ {}a{} }}", "a { ".repeat(40), " }".repeat(40));
        assert_eq!(query_fault(&deep), None);
    }
}
