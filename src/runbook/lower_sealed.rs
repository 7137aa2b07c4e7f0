//! What a file says of sealed values: `sealed: true` on an output, `reveal` on a step.

use std::collections::BTreeSet;

use crate::runbook::node::{Entry, Node, NodeKind};
use crate::runbook::problem::Problem;
use crate::runbook::reader::{Fields, Keys, Reader};
use crate::runbook::snippet::{Template, TemplateNode};
use crate::runbook::source::Spanned;
use crate::runbook::words;

/// `{ value: …, sealed: true }`
pub(super) const SEALED_OUTPUT: Keys = Keys { what: "output", known: &["value", "sealed"], later: &[], foreign: &[] };

/// Names one step may reveal: whoever needs more wants a read without `sealed`.
const REVEALED_MAX: usize = 64;

/// A file's outputs, and the names of those that are sealed.
pub(super) fn outputs(
    reader: &mut Reader,
    fields: &Fields<'_>,
) -> (Vec<(Spanned<String>, Template)>, BTreeSet<String>) {
    let (mut read, mut sealed) = (Vec::new(), BTreeSet::new());
    let Some(node) = fields.get("outputs") else { return (read, sealed) };
    for entry in reader.map(node, "`outputs`") {
        reader.name(&entry.key, words::snake_case_fault);
        let value = match says_sealed(&entry.value) {
            None => Some(&entry.value),
            Some(_) => {
                let Some(fields) = reader.fields(&entry.value, &SEALED_OUTPUT) else { continue };
                if fields.get("sealed").and_then(|node| reader.boolean(node, "`sealed`")) == Some(true) {
                    sealed.insert(entry.key.value.clone());
                }
                reader.required(&fields, "value")
            }
        };
        if let Some(template) = value.and_then(|node| reader.template(node)) {
            read.push((entry.key.clone(), template));
        }
    }
    (read, sealed)
}

/// The `sealed` of an output that says how it leaves; `None` for one that is its value.
pub(super) fn says_sealed(node: &Node) -> Option<&Entry> {
    let NodeKind::Map(entries) = &node.kind else { return None };
    let named = |name: &str| entries.iter().find(|entry| entry.key.value == name);
    named("value").and(named("sealed")).filter(|_| entries.len() == SEALED_OUTPUT.known.len())
}

/// `reveal: [NAME]`: names as they are, or as inputs give them.
pub(super) fn reveal(reader: &mut Reader, node: &Node) -> Vec<Template> {
    let Some(items) = reader.list(node, "`reveal`", "a list of names") else { return vec![] };
    if items.is_empty() || items.len() > REVEALED_MAX {
        let span = reader.first_line(node.span);
        let message = format!("`reveal` has {} names, expected 1 to {REVEALED_MAX}", items.len());
        reader.error("E0107", span, message, "names of sealed outputs");
    }
    let templates: Vec<Template> = items.iter().filter_map(|item| reader.text_template(item, "`reveal`")).collect();
    for template in &templates {
        if matches!(&template.node, TemplateNode::Literal(value) if value.as_text().is_none_or(str::is_empty)) {
            let problem = Problem::error("E0107", &reader.source, template.span, "`reveal` names nothing");
            reader.push(problem.label("expected the name of a sealed output"));
        }
    }
    templates
}
