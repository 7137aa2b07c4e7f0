//! What a runbook means, needs and may change: as a plain object, and the words its steps are told in. Additive only.

use serde_json::{Value as Json, json};

use crate::runbook::model::{Block, Body, IfBusy, Input, Retry, Runbook, Step};
use crate::runbook::program::Program;
use crate::runbook::sites;
use crate::runbook::snippet::{Piece, Snippet, Template, TemplateNode};
use crate::runbook::source::Spanned;
use crate::transcript::{Line, Tone, words};

/// Columns of a step's line.
const ID_WIDTH: usize = 16;
const EFFECT_WIDTH: usize = 13;
/// Items of a list that fit on the line of a step.
const ITEMS_SHOWN: usize = 6;

/// A runbook as one plain object. Additive only.
pub fn of_program(program: &Program) -> Json {
    let book = &program.runbook;
    let inputs = book.inputs.iter().map(|input| {
        json!({
            "name": input.name.value,
            "type": input.ty.name(),
            "required": input.required && input.default.is_none(),
            "default": input.default.as_ref().map(|default| default.to_plain()),
            "description": input.description,
        })
    });
    json!({
        "name": book.name,
        "title": book.title,
        "owner": book.owner,
        "reviewed": book.reviewed,
        "tags": book.tags,
        "meaning": book.meaning,
        "impact": book.impact,
        "effects": program.effects.iter().map(|effect| effect.word()).collect::<Vec<_>>(),
        "timeout": book.timeout.as_ref().map(written),
        "concurrency": book.concurrency.as_ref().map(|concurrency| {
            json!({ "group": written(&concurrency.group), "if_busy": if_busy(concurrency.if_busy) })
        }),
        "secrets": book.secrets.iter().map(|name| name.value.as_str()).collect::<Vec<_>>(),
        "inputs": inputs.collect::<Vec<_>>(),
        "steps": steps_json(program, &book.steps),
        "on_failure": steps_json(program, &book.on_failure),
        "finally": steps_json(program, &book.finally),
    })
}

fn steps_json(program: &Program, block: &Block) -> Json {
    let rows = block.iter().map(|step| {
        let mut row = json!({
            "id": step.id,
            "what": what(step),
            "effect": program.effect_of(step).word(),
            "if": null,
            "until": null,
            "undo": null,
            "steps": step.body.inner().map(|inner| steps_json(program, inner)),
        });
        for (key, said) in manner(step) {
            row[key] = Json::from(said);
        }
        row
    });
    Json::Array(rows.collect())
}

/// The group a run of it holds, and what a start does when it is taken.
pub fn group(book: &Runbook) -> Option<String> {
    let concurrency = book.concurrency.as_ref()?;
    Some(format!("{}, {} if busy", written(&concurrency.group), if_busy(concurrency.if_busy)))
}

fn if_busy(if_busy: IfBusy) -> &'static str {
    match if_busy {
        IfBusy::Refuse => "refuse",
        IfBusy::Wait => "wait",
        IfBusy::Attach => "attach",
    }
}

/// What a step does, in a word or two.
pub fn what(step: &Step) -> String {
    match &step.body {
        Body::Uses { action, .. } => match sites::of_step(step).iter().find_map(sites::Site::child) {
            Some(child) => format!("{} {}", action.value, child.value),
            None => action.value.clone(),
        },
        body => body.key().to_owned(),
    }
}

/// When, how often and how long a step runs, in the order in which it happens.
pub fn manner(step: &Step) -> Vec<(&'static str, String)> {
    let text = |snippet: &Snippet| snippet.text.trim().to_owned();
    let mut said = Vec::new();
    let mut say = |key: &'static str, text: Option<String>| said.extend(text.map(|text| (key, text)));
    say("if", step.condition.as_ref().map(text));
    say("foreach", step.foreach.as_ref().map(|foreach| written(&foreach.items)));
    let width = step.foreach.as_ref().and_then(|foreach| foreach.max_parallel.as_ref());
    say("max_parallel", width.map(written));
    say("until", step.poll.as_ref().map(|poll| text(&poll.until)));
    say("fail_if", step.fail_if.as_ref().map(text));
    say("retry", step.retry.as_deref().map(retry));
    say("timeout", step.timeout.as_ref().map(written));
    say("within", step.within.as_ref().map(written));
    say("leaves", step.leaves.as_ref().map(|leaves| written(&leaves.place)));
    say("undo", step.undo.as_ref().map(|undo| what(undo.step())));
    let revealed: Vec<String> = step.reveal.iter().map(written).collect();
    say("reveal", (!revealed.is_empty()).then(|| revealed.join(", ")));
    said
}

fn retry(retry: &Retry) -> String {
    let on: Vec<&str> = retry.on.iter().map(|word| word.value.as_str()).collect();
    match on.is_empty() {
        true => format!("{} attempts", retry.attempts),
        false => format!("{} attempts on {}", retry.attempts, on.join(", ")),
    }
}

/// A value as its author wrote it: literals plain, expressions without their braces where they are the whole of it.
pub fn written(template: &Template) -> String {
    match &template.node {
        TemplateNode::Literal(value) => value.to_string(),
        TemplateNode::Expression(snippet) => snippet.text.trim().to_owned(),
        TemplateNode::Mixed(pieces) => {
            let piece = |piece: &Piece| match piece {
                Piece::Text(text) => text.clone(),
                Piece::Expression(snippet) => format!("${{{{ {} }}}}", snippet.text.trim()),
            };
            pieces.iter().map(piece).collect()
        }
        TemplateNode::List(items) if items.len() > ITEMS_SHOWN => format!("{} items", items.len()),
        TemplateNode::List(items) => format!("[{}]", items.iter().map(written).collect::<Vec<_>>().join(", ")),
        TemplateNode::Map(entries) => {
            let entry = |(key, value): &(Spanned<String>, Template)| format!("{}: {}", key.value, written(value));
            format!("{{ {} }}", entries.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
    }
}

/// A runbook for people.
pub fn lines(program: &Program) -> Vec<Line> {
    let book = &program.runbook;
    let mut lines = vec![Line::of(Tone::Strong, &book.name).add(Tone::Plain, &format!("  {}", book.title))];
    let mut field = |name: &str, text: Option<&str>| {
        let text = text.unwrap_or_default().trim_end();
        for (at, line) in text.lines().enumerate() {
            let name = if at == 0 { name } else { "" };
            lines.push(Line::new().column(Tone::Dim, name, 10).add(Tone::Plain, line));
        }
    };
    field("meaning", book.meaning.as_deref());
    field("impact", book.impact.as_deref());
    field("owner", book.owner.as_deref());
    field("reviewed", book.reviewed.as_deref());
    let effects: Vec<&str> = program.effects.iter().map(|effect| effect.word()).collect();
    field("effects", Some(&effects.join(" ")));
    let secrets: Vec<&str> = book.secrets.iter().map(|name| name.value.as_str()).collect();
    field("secrets", Some(&secrets.join(" ")));
    field("timeout", book.timeout.as_ref().map(written).as_deref());
    field("group", group(book).as_deref());
    let heading = |text: &str| [Line::new(), Line::of(Tone::Strong, text)];
    if !book.inputs.is_empty() {
        lines.extend(heading("Inputs"));
        lines.extend(book.inputs.iter().map(input_line));
    }
    for (title, block) in [("Steps", &book.steps), ("On failure", &book.on_failure), ("Finally", &book.finally)] {
        if !block.is_empty() {
            lines.extend(heading(title));
            step_lines(program, block, 1, &mut lines);
        }
    }
    lines
}

fn input_line(input: &Input) -> Line {
    let need = match (&input.default, input.required) {
        (Some(default), _) => format!("default {}", words::quoted(default)),
        (None, true) => "required".to_owned(),
        (None, false) => "optional".to_owned(),
    };
    Line::of(Tone::Plain, "  ")
        .column(Tone::Strong, &input.name.value, ID_WIDTH)
        .column(Tone::Plain, input.ty.name(), 10)
        .column(Tone::Dim, &need, 24)
        .add(Tone::Plain, input.description.as_deref().unwrap_or_default())
}

fn step_lines(program: &Program, block: &Block, depth: usize, lines: &mut Vec<Line>) {
    for step in block.iter() {
        let effect = program.effect_of(step);
        let tone = if effect.changes_the_world() { Tone::Warn } else { Tone::Dim };
        let mut line = Line::of(Tone::Plain, &"  ".repeat(depth))
            .column(Tone::Strong, &step.id, ID_WIDTH)
            .column(tone, effect.word(), EFFECT_WIDTH)
            .add(Tone::Plain, &what(step));
        for (key, said) in manner(step) {
            line = line.add(Tone::Dim, &format!("   {key} {said}"));
        }
        lines.push(line);
        if let Some(inner) = step.body.inner() {
            step_lines(program, inner, depth + 1, lines);
        }
    }
}
