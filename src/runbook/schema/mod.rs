//! JSON Schemas of the files people write, for editors: completion, help at the key, mistakes as one types.
//!
//! Draft 7, which is what YAML language servers read. A schema is milder than `rerail check`, never
//! stricter: it knows nothing of expressions and the order of steps.

mod cases;
mod form;
mod places;
mod table;

use std::collections::BTreeSet;

use serde_json::{Map, Value as Json, json};

use crate::runbook::lower_steps::{GOES_WITH, OF_FOREACH};
use crate::runbook::lower_whole::BELONGS;
use crate::runbook::model::Kind;
use crate::runbook::schema::form::{SNAKE, argument};
use crate::runbook::schema::places::PROVIDERS;
use crate::runbook::schema::table::{DEFINITIONS, Definition, PROJECT, RUNBOOK, STEP, TARGET, closure};
use crate::runbook::spec::ActionSpec;

/// What a schema is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchemaKind {
    Runbook,
    Action,
    Target,
    Project,
    Test,
}

impl SchemaKind {
    /// All of them.
    pub const ALL: [SchemaKind; 5] =
        [SchemaKind::Runbook, SchemaKind::Action, SchemaKind::Target, SchemaKind::Project, SchemaKind::Test];

    /// The word of the command line.
    pub fn word(self) -> &'static str {
        match self {
            SchemaKind::Runbook => "runbook",
            SchemaKind::Action => "action",
            SchemaKind::Target => "target",
            SchemaKind::Project => "project",
            SchemaKind::Test => "test",
        }
    }

    /// Which of the two kinds of files with steps it is.
    fn of_file(self) -> Option<Kind> {
        match self {
            SchemaKind::Runbook => Some(Kind::Runbook),
            SchemaKind::Action => Some(Kind::Action),
            SchemaKind::Target | SchemaKind::Project | SchemaKind::Test => None,
        }
    }

    /// The file beside a project that editors read, and `new` writes.
    pub fn file_name(self) -> String {
        format!("{}.v1.schema.json", self.word())
    }
}

/// The schema of one kind of file. Calls are typed by `actions`: those there are when it is written.
pub fn schema(kind: SchemaKind, actions: &[&ActionSpec]) -> Json {
    let root = match kind {
        SchemaKind::Runbook | SchemaKind::Action => &RUNBOOK,
        SchemaKind::Target => &TARGET,
        SchemaKind::Project => &PROJECT,
        SchemaKind::Test => &cases::FILE,
    };
    let mut definitions = Map::new();
    for definition in closure(root) {
        let mut written = written(definition);
        if definition.name == STEP.name {
            definitions.extend(actions.iter().map(|spec| (with_name(spec), with(spec))));
            typed_calls(&mut written, actions);
        }
        definitions.insert(definition.name.to_owned(), written);
    }
    let mut whole = match definitions.remove(root.name) {
        Some(Json::Object(whole)) => whole,
        _ => Map::new(),
    };
    if let (Some(kind), Some(Json::Object(properties))) = (kind.of_file(), whole.get_mut("properties")) {
        for (key, ..) in BELONGS.iter().filter(|(_, owner, ..)| *owner != kind) {
            properties.remove(*key);
        }
    }
    whole.insert("$schema".to_owned(), json!("http://json-schema.org/draft-07/schema#"));
    whole.insert("title".to_owned(), json!(format!("rerail {}, version 1", kind.word())));
    whole.insert("definitions".to_owned(), Json::Object(definitions));
    Json::Object(whole)
}

/// Every key that a reader knows anywhere.
pub fn known_keys() -> BTreeSet<&'static str> {
    DEFINITIONS.iter().flat_map(|definition| definition.keys.known.iter().copied()).collect()
}

/// One map with known keys.
fn written(definition: &Definition) -> Json {
    let mut properties = Map::new();
    for row in definition.rows {
        let mut form = row.form.schema();
        if let Json::Object(form) = &mut form {
            form.insert("description".to_owned(), json!(row.doc));
        }
        properties.insert(row.key.to_owned(), form);
    }
    let mut object = json!({
        "type": "object",
        "description": definition.doc,
        "properties": properties,
        "required": definition.required,
        "additionalProperties": false,
    });
    if definition.name == PROVIDERS.name {
        // Of the author's own: places by name, with settings that only its actions know.
        let place = json!({ "type": "object", "propertyNames": { "pattern": SNAKE } });
        let places = json!({ "type": "object", "minProperties": 1, "propertyNames": { "pattern": SNAKE }, "additionalProperties": place });
        object["additionalProperties"] = places;
    }
    if !definition.one_of.is_empty() {
        let ways: Vec<Json> = definition.one_of.iter().map(|key| json!({ "required": [key] })).collect();
        object["oneOf"] = Json::Array(ways);
    }
    let mut needs: Map<String, Json> =
        definition.needs.iter().map(|(key, others)| ((*key).to_owned(), one_of_these(others.iter()))).collect();
    if definition.name == STEP.name {
        for (key, bodies) in GOES_WITH {
            let around = OF_FOREACH.contains(&key).then_some(&"foreach");
            let bodies = one_of_these(bodies.iter().chain(around));
            let both = needs.remove(key).map(|own| json!({ "allOf": [own, bodies] }));
            needs.insert(key.to_owned(), both.unwrap_or(bodies));
        }
    }
    if !needs.is_empty() {
        object["dependencies"] = Json::Object(needs);
    }
    object
}

/// At least one of these keys.
fn one_of_these<'k>(keys: impl Iterator<Item = &'k &'k str>) -> Json {
    json!({ "anyOf": keys.map(|key| json!({ "required": [key] })).collect::<Vec<_>>() })
}

fn with_name(spec: &ActionSpec) -> String {
    format!("with {}", spec.name)
}

/// `with:` of one action.
fn with(spec: &ActionSpec) -> Json {
    let properties: Map<String, Json> =
        spec.args.iter().map(|arg| (arg.name.clone(), described(argument(arg), &arg.doc))).collect();
    let required: Vec<&str> = required(spec).collect();
    // Without anything to give, `with:` may be left empty.
    let ty = if required.is_empty() { json!(["object", "null"]) } else { json!("object") };
    json!({
        "type": ty,
        "description": format!("{}\n\n{}", spec.title, spec.docs).trim_end(),
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

fn required(spec: &ActionSpec) -> impl Iterator<Item = &str> {
    spec.args.iter().filter(|arg| arg.required && arg.default.is_none()).map(|arg| arg.name.as_str())
}

/// Types `with` of a step by its `uses`. A name that isn't among `actions` may be newer than the schema.
fn typed_calls(step: &mut Json, actions: &[&ActionSpec]) {
    let calls = actions.iter().map(|spec| {
        let with = json!({ "$ref": format!("#/definitions/{}", with_name(spec).replace(' ', "%20")) });
        let mut then = json!({ "properties": {
            "uses": { "description": format!("{} ({})", spec.title, spec.effect.word()) },
            "with": with,
        } });
        if required(spec).next().is_some() {
            then["required"] = json!(["with"]);
        }
        json!({ "if": { "properties": { "uses": { "const": spec.name } }, "required": ["uses"] }, "then": then })
    });
    step["allOf"] = Json::Array(calls.collect());
    let names: Vec<&str> = actions.iter().map(|spec| spec.name.as_str()).collect();
    if !names.is_empty() {
        let any = step["properties"]["uses"].take();
        step["properties"]["uses"] = json!({ "description": any["description"], "anyOf": [{ "enum": names }, any] });
    }
}

fn described(mut form: Json, doc: &str) -> Json {
    if let Json::Object(form) = &mut form
        && !doc.is_empty()
    {
        form.insert("description".to_owned(), json!(doc));
    }
    form
}

#[cfg(test)]
mod tests;
