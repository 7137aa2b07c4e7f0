use serde_json::json;

use super::*;
use crate::runbook::spec::{ArgSpec, Effect};
use crate::runbook::types::Type;

#[test]
fn readers_and_schemas_know_the_same_keys() {
    for definition in DEFINITIONS {
        let read: BTreeSet<&str> = definition.keys.known.iter().copied().collect();
        let described: BTreeSet<&str> = definition.rows.iter().map(|row| row.key).collect();
        assert_eq!(read, described, "{} of `{}`", definition.keys.what, definition.name);
        assert_eq!(definition.rows.len(), described.len(), "{}: a key twice", definition.name);
        for row in definition.rows {
            assert!(row.doc.len() > 5 && row.doc.ends_with('.') || row.doc.contains(':'), "{}: {:?}", row.key, row.doc);
        }
        for key in definition.required.iter().chain(definition.one_of) {
            assert!(described.contains(key), "{key}");
        }
    }
}

#[test]
fn every_list_of_keys_in_the_readers_has_a_schema() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/runbook");
    let mut lists = 0;
    let folders = [folder.clone(), folder.join("cases"), folder.join("triggers")];
    for entry in folders.iter().flat_map(|folder| std::fs::read_dir(folder).unwrap().flatten()) {
        let path = entry.path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            lists += std::fs::read_to_string(path).unwrap().matches(": Keys =").count();
        }
    }
    assert_eq!(lists, DEFINITIONS.len(), "a new list of keys needs a definition in schema/table.rs");
}

#[test]
fn every_reference_leads_somewhere_and_every_key_is_described() {
    for kind in SchemaKind::ALL {
        let whole = schema(kind, &[]);
        let text = whole.to_string();
        for reference in text.split("\"#/definitions/").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(whole["definitions"].get(reference).is_some(), "{} refers to {reference}", kind.word());
        }
        let definitions = whole["definitions"].as_object().unwrap().values().chain([&whole]);
        for properties in definitions.filter_map(|definition| definition["properties"].as_object()) {
            assert!(properties.values().all(|key| key["description"].is_string()), "{properties:?}");
        }
    }
}

#[test]
fn a_call_is_typed_by_its_action() {
    let argument =
        ArgSpec { name: "url".into(), ty: Type::Url, required: true, default: None, doc: "where".into(), fault: None };
    let spec = ActionSpec {
        name: "web.look".into(),
        title: "Look".into(),
        effect: Effect::Read,
        effect_of: None,
        repeat_of: None,
        args: vec![argument],
        outputs: vec![],
        docs: String::new(),
    };
    let whole = schema(SchemaKind::Runbook, &[&spec]);
    let call = &whole["definitions"]["step"]["allOf"][0];
    assert_eq!(call["if"]["properties"]["uses"]["const"], "web.look");
    assert_eq!(call["then"]["required"], json!(["with"]));
    assert_eq!(whole["definitions"]["with web.look"]["required"], json!(["url"]));
    assert_eq!(whole["definitions"]["step"]["properties"]["uses"]["anyOf"][0]["enum"], json!(["web.look"]));
}
