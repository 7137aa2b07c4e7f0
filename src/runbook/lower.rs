//! A YAML tree to a [`Runbook`]: every mistake of form in one pass, no meaning across steps (that is
//! `check.rs`).

use std::sync::Arc;

use crate::runbook::gaps::Gaps;
use crate::runbook::lower_inputs::inputs;
use crate::runbook::lower_sealed;
use crate::runbook::lower_steps::{self, Ids};
use crate::runbook::lower_times;
use crate::runbook::lower_whole;
use crate::runbook::model::{Block, Kind, Runbook};
use crate::runbook::node::{Node, NodeKind};
use crate::runbook::problem::Problem;
use crate::runbook::reader::{Fields, Keys, Reader};
use crate::runbook::snippet::Template;
use crate::runbook::source::{Source, Span, Spanned};
use crate::runbook::triggers;
use crate::runbook::words;

pub(super) const RUNBOOK: Keys = Keys {
    what: "runbook",
    known: &[
        "version",
        "title",
        "owner",
        "reviewed",
        "tags",
        "meaning",
        "impact",
        "links",
        "inputs",
        "secrets",
        "vars",
        "timeout",
        "concurrency",
        "defaults",
        "steps",
        "on_failure",
        "finally",
        "plan",
        "overlay",
        "outputs",
        "triggers",
    ],
    later: &["effect", "repeat"],
    foreign: &[
        ("on", "write `triggers`"),
        ("jobs", "a runbook has one list of `steps`"),
        ("name", "the file's name is the runbook's; the sentence for people is `title`"),
        ("description", "write `meaning` for what is wrong and `impact` for whom it hurts"),
        ("params", "write `inputs`"),
        ("env", "write `vars` for computed values, `secrets` for secret ones"),
        ("settle", "it stands on the step that writes"),
        ("leaves", "it stands on the step that writes"),
        ("retry", "it stands on a step, or for all of them below `defaults`"),
    ],
};

/// A file as far as it could be read.
#[derive(Clone, Debug)]
pub struct Reading {
    /// With errors among the problems it is good for further checks only.
    pub runbook: Option<Runbook>,
    pub gaps: Gaps,
    /// Mistakes of form, by place.
    pub problems: Vec<Problem>,
}

/// Reads a runbook or action: the model if its form is right, and every problem found.
pub fn read_runbook(name: &str, kind: Kind, source: &Arc<Source>) -> (Option<Runbook>, Vec<Problem>) {
    let reading = read_partly(name, kind, source);
    (reading.runbook.filter(|_| !reading.gaps.any()), reading.problems)
}

/// Reads what can be read of a runbook or action; the gaps say what mistakes of form hide.
pub fn read_partly(name: &str, kind: Kind, source: &Arc<Source>) -> Reading {
    let (mut reader, root) = Reader::open(source);
    let runbook = root.as_ref().and_then(|root| lower(&mut reader, name, kind, root));
    let problems = reader.finish();
    let gaps = root.map(|root| Gaps::of(&root, source, &problems)).unwrap_or_default();
    Reading { runbook, gaps, problems }
}

fn lower(reader: &mut Reader, name: &str, kind: Kind, root: &Node) -> Option<Runbook> {
    let file_name = Spanned::new(name.to_owned(), Span::default());
    match kind {
        Kind::Runbook => reader.name(&file_name, words::kebab_case_fault),
        Kind::Action => reader.name(&file_name, words::action_fault),
    };
    let fields = reader.fields(root, &RUNBOOK)?;
    reader.version(&fields);
    let title = reader.required(&fields, "title").and_then(|node| reader.title(node, "`title`"));
    let owner = reader.optional_text(&fields, "owner");
    let reviewed = reviewed(reader, &fields);
    let tags = fields.get("tags").map(|node| reader.texts(node, "`tags`")).unwrap_or_default();
    let meaning = reader.optional_text(&fields, "meaning");
    let impact = reader.optional_text(&fields, "impact");
    links(reader, &fields);
    let inputs = fields.get("inputs").map(|node| inputs(reader, node)).unwrap_or_default();
    reader.inputs = inputs.iter().map(|input| input.name.value.clone()).collect();
    let secrets =
        fields.get("secrets").map(|node| reader.names(node, "`secrets`", words::secret_fault)).unwrap_or_default();
    let vars = named_templates(reader, &fields, "vars");

    lower_whole::belongs(reader, &fields, kind);
    let timeout = fields.get("timeout").and_then(|node| reader.duration_template(node, "`timeout`"));
    let concurrency = fields.get("concurrency").and_then(|node| lower_whole::concurrency(reader, node));
    let defaults = fields.get("defaults").map(|node| lower_times::defaults(reader, node)).unwrap_or_default();

    let triggers =
        fields.get("triggers").map(|node| triggers::read(reader, node, triggers::In::Runbook)).unwrap_or_default();
    let mut ids = Ids::of(root);
    let steps = match reader.required(&fields, "steps") {
        Some(node) => lower_steps::block(reader, node, &mut ids, "steps"),
        None => Block::from([]),
    };
    let mut end_block = |reader: &mut Reader, key: &str| match fields.get(key) {
        Some(node) => lower_steps::block(reader, node, &mut ids, key),
        None => Block::from([]),
    };
    let on_failure = end_block(reader, "on_failure");
    let finally = end_block(reader, "finally");
    let plan = fields.get("plan").and_then(|node| lower_whole::plan(reader, node));
    let overlay = fields.get("overlay").and_then(|node| lower_whole::overlay(reader, node));
    let (outputs, sealed) = lower_sealed::outputs(reader, &fields);
    Some(Runbook {
        name: name.to_owned(),
        kind,
        title: title.unwrap_or_default(),
        owner,
        reviewed,
        tags: tags.into_iter().map(|tag| tag.value).collect(),
        meaning,
        impact,
        inputs,
        secrets,
        timeout,
        concurrency,
        triggers,
        plan,
        overlay,
        defaults,
        vars,
        steps,
        on_failure,
        finally,
        outputs,
        sealed,
    })
}

fn reviewed(reader: &mut Reader, fields: &Fields<'_>) -> Option<String> {
    let node = fields.get("reviewed")?;
    let text = reader.text(node, "`reviewed`")?;
    if text.value.parse::<jiff::civil::Date>().is_err() {
        reader.wrong(node, "`reviewed`", "a date such as 2026-11-01");
        return None;
    }
    Some(text.value)
}

/// `links` are for readers of the file: a list of addresses, or a map of title to address.
fn links(reader: &mut Reader, fields: &Fields<'_>) {
    let Some(node) = fields.get("links") else { return };
    match &node.kind {
        NodeKind::Map(entries) => {
            for entry in entries {
                reader.text(&entry.value, "an item of `links`");
            }
        }
        _ => {
            reader.texts(node, "`links`");
        }
    }
}

/// A map of snake_case names to templates, in the order written: `vars`, `outputs`.
pub fn named_templates(reader: &mut Reader, fields: &Fields<'_>, key: &str) -> Vec<(Spanned<String>, Template)> {
    let Some(node) = fields.get(key) else { return vec![] };
    let mut read = vec![];
    for entry in reader.map(node, &format!("`{key}`")) {
        reader.name(&entry.key, words::snake_case_fault);
        if let Some(sealed) = lower_sealed::says_sealed(&entry.value).filter(|_| key == "outputs") {
            let message = "what a step gives is sealed where it is read, not in its `outputs`";
            let problem =
                Problem::error("E0115", &reader.source, sealed.key.span, message).label("goes on outputs of a file");
            reader.push(problem.help("write `sealed: true`, or the places that are secret, into its `with`"));
            continue;
        }
        if let Some(template) = reader.template(&entry.value) {
            read.push((entry.key.clone(), template));
        }
    }
    read
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod whole_language;

#[cfg(test)]
mod hostile;
