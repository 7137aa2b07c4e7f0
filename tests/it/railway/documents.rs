//! Every GraphQL document of the shipped actions, validated: against what the simulator speaks, and against Railway's own
//! schema where it is at hand.

use apollo_compiler::Schema;
use apollo_compiler::validation::Valid;

use crate::binary::kit::skipped;
use crate::house::{files_below, root};
use crate::world::railway::{SCHEMA, faults_of};

/// Documents of `stdlib/railway`, with the file each is of.
pub fn documents() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for path in files_below("stdlib/railway").into_iter().filter(|path| path.ends_with(".yaml")) {
        let text = std::fs::read_to_string(root().join(&path)).unwrap();
        collect(&path, &serde_yaml::from_str(&text).unwrap(), &mut found);
    }
    found
}

fn collect(path: &str, value: &serde_json::Value, found: &mut Vec<(String, String)>) {
    match value {
        serde_json::Value::Object(map) => {
            if let Some(document) = map.get("document").and_then(serde_json::Value::as_str) {
                found.push((format!("{path}#{}", found.len()), document.to_owned()));
            }
            map.values().for_each(|value| collect(path, value, found));
        }
        serde_json::Value::Array(items) => items.iter().for_each(|item| collect(path, item, found)),
        _ => {}
    }
}

fn schema(text: &str) -> Valid<Schema> {
    Schema::parse_and_validate(text, "schema.graphql").unwrap_or_else(|wrong| panic!("{}", wrong.errors))
}

/// Railway's own, which is not ours to keep here.
fn real() -> Option<Valid<Schema>> {
    let Some(folder) = std::env::var_os("RERAIL_CONTRACTS") else {
        skipped("RERAIL_CONTRACTS names no folder with railway/schema.graphql");
        return None;
    };
    let path = std::path::Path::new(&folder).join("railway/schema.graphql");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Some(schema(&text))
}

#[test]
fn every_document_fits_what_the_simulator_speaks() {
    let documents = documents();
    assert!(documents.len() >= 15, "{} documents", documents.len());
    let faults = faults_of(&schema(SCHEMA), &documents);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_document_fits_the_schema_of_railway() {
    let Some(real) = real() else { return };
    let faults = faults_of(&real, &documents());
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// A document that the simulator takes is one that Railway takes: no field, argument or type is its own.
#[test]
fn the_simulator_speaks_a_part_of_what_railway_speaks() {
    let Some(real) = real() else { return };
    let ours = schema(SCHEMA);
    let mut own = Vec::new();
    for (name, of) in ours.types.iter().filter(|(name, of)| !name.starts_with("__") && !of.is_built_in()) {
        let Some(theirs) = real.types.get(name) else {
            own.push(name.to_string());
            continue;
        };
        match (of.as_object(), theirs.as_object()) {
            (Some(of), Some(theirs)) => {
                for (field, definition) in &of.fields {
                    let Some(other) = theirs.fields.get(field) else {
                        own.push(format!("{name}.{field}"));
                        continue;
                    };
                    let argued = definition.arguments.iter().all(|argument| {
                        let there = other.arguments.iter().find(|there| there.name == argument.name);
                        there.is_some_and(|there| there.ty == argument.ty)
                    });
                    if other.ty != definition.ty || !argued {
                        own.push(format!("{name}.{field} is another there"));
                    }
                }
            }
            _ => {
                let (mine, theirs) = (of.as_input_object(), theirs.as_input_object());
                for (field, definition) in mine.into_iter().flat_map(|of| &of.fields) {
                    let there = theirs.and_then(|theirs| theirs.fields.get(field));
                    if there.is_none_or(|there| there.ty != definition.ty) {
                        own.push(format!("{name}.{field}"));
                    }
                }
                let (mine, theirs) = (ours.get_enum(name), real.get_enum(name));
                for value in mine.into_iter().flat_map(|of| of.values.keys()) {
                    if theirs.is_none_or(|theirs| !theirs.values.contains_key(value)) {
                        own.push(format!("{name}.{value}"));
                    }
                }
            }
        }
    }
    assert!(own.is_empty(), "{}", own.join(", "));
}

#[test]
fn a_document_with_a_mistake_is_found() {
    let wrong = [
        ("query { deployment(id: \"d\") { state } }", "state"),
        ("query { deployment(name: \"d\") { id } }", "name"),
        ("mutation { deploymentRollback(id: \"d\") { id } }", "deploymentRollback"),
        ("query Q($limit: String) { deploymentLogs(deploymentId: \"d\", limit: $limit) { message } }", "limit"),
    ];
    for (text, says) in wrong {
        let faults = faults_of(&schema(SCHEMA), &[("wrong".to_owned(), text.to_owned())]);
        assert!(faults.len() == 1 && faults[0].contains(says), "{text}: {faults:?}");
    }
}
