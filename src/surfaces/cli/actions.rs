//! `rerail actions`: what steps can use.

use clap::Args;
use serde_json::{Value as Json, json};

use crate::runbook::nearest::nearest;
use crate::runbook::spec::{ActionSpec, ArgSpec, By};
use crate::runbook::types::Type;
use crate::runs::ListedAction;
use crate::surfaces::cli::error::CliError;
use crate::surfaces::cli::exit::Exit;
use crate::surfaces::cli::session::Session;
use crate::surfaces::cli::table;
use crate::surfaces::cli::ui::Ui;
use crate::transcript::{Line, Tone, words};

#[derive(Args, Debug)]
pub struct ActionsArgs {
    /// One action, with its arguments and outputs
    #[arg(value_name = "NAME")]
    name: Option<String>,
}

/// Lists actions, or explains one.
pub fn actions(session: &Session, args: &ActionsArgs) -> Result<Exit, CliError> {
    let ui = &session.ui;
    let actions = session.runs()?.actions();
    if let Some(name) = &args.name {
        let Some(action) = actions.iter().find(|action| action.spec.name == *name) else {
            let said = CliError::usage(format!("there is no action `{name}`"));
            let names = actions.iter().map(|action| action.spec.name.as_str());
            return Err(match nearest(name, names) {
                Some(near) => said.hint(format!("did you mean `{near}`?")),
                None => said.hint("`rerail actions` lists them"),
            });
        };
        match ui.human() {
            true => explain(ui, action),
            false => ui.result_json(&to_json(action)),
        }
        return Ok(Exit::SUCCESS);
    }
    if !ui.human() {
        ui.result_rows(actions.iter().map(to_json).collect());
        return Ok(Exit::SUCCESS);
    }
    let row = |action: &ListedAction| {
        let spec = &action.spec;
        vec![spec.name.clone(), effect(spec), spec.title.clone(), action.origin.to_owned()]
    };
    table::print(ui, &["NAME", "EFFECT", "FOR", "ORIGIN"], actions.iter().map(row).collect());
    Ok(Exit::SUCCESS)
}

/// The effect; `read or write` where the arguments decide.
pub fn effect(spec: &ActionSpec) -> String {
    match &spec.effect_of {
        Some(By::Command(_)) => "read, notify, write or destructive".to_owned(),
        Some(By::Arguments(_)) => format!("up to {}", spec.effect.word()),
        None => spec.effect.word().to_owned(),
    }
}

fn explain(ui: &Ui, action: &ListedAction) {
    let spec = &action.spec;
    ui.result(&Line::of(Tone::Strong, &spec.name).add(Tone::Plain, &format!("  {}", spec.title)));
    let repeat = repeat(spec).map(|repeat| format!(", {repeat}")).unwrap_or_default();
    ui.result(&Line::of(Tone::Dim, &format!("{}{repeat}, {}", effect(spec), action.origin)));
    if !spec.args.is_empty() {
        ui.result(&Line::new());
        ui.result(&Line::of(Tone::Strong, "Arguments"));
        spec.args.iter().for_each(|arg| ui.result(&arg_line(arg)));
    }
    if !spec.outputs.is_empty() {
        ui.result(&Line::new());
        ui.result(&Line::of(Tone::Strong, "Outputs"));
        for output in &spec.outputs {
            let line = Line::of(Tone::Plain, "  ").column(Tone::Strong, &output.name, 16);
            ui.result(&line.column(Tone::Plain, output.ty.name(), 10).add(Tone::Plain, &output.doc));
        }
    }
    for text in [spec.docs.clone(), example(spec).unwrap_or_default()].iter().filter(|text| !text.is_empty()) {
        ui.result(&Line::new());
        Line::block(Tone::Plain, text, 0).iter().for_each(|line| ui.result(line));
    }
}

/// Whether a write may be sent again when nobody knows if it happened; `None` for what only looks.
pub fn repeat(spec: &ActionSpec) -> Option<&'static str> {
    match (spec.effect.changes_the_world() || spec.effect_of.is_some(), &spec.repeat_of) {
        (false, _) => None,
        (true, None) => Some("sent once"),
        (true, Some(By::Arguments(_))) => Some("sent again only if its arguments allow it"),
        (true, Some(By::Command(_))) => Some("run again only if its line in `allow.exec` says so"),
    }
}

/// A call with what is required, for an action whose documentation shows none.
pub fn example(spec: &ActionSpec) -> Option<String> {
    if spec.docs.contains("```yaml") {
        return None;
    }
    let id = spec.name.replace('.', "_");
    let mut text = format!("```yaml\n- id: {id}\n  uses: {}\n", spec.name);
    let required: Vec<String> = spec
        .args
        .iter()
        .filter(|arg| arg.required && arg.default.is_none())
        .map(|arg| format!("{}: {}", arg.name, sample(arg)))
        .collect();
    if !required.is_empty() {
        text.push_str(&format!("  with: {{ {} }}\n", required.join(", ")));
    }
    Some(text + "```")
}

/// A value of an argument's type.
fn sample(arg: &ArgSpec) -> String {
    match &arg.ty {
        Type::String | Type::Any => "text".to_owned(),
        Type::Int => "1".to_owned(),
        Type::Float => "1.5".to_owned(),
        Type::Bool => "true".to_owned(),
        Type::Duration => "30s".to_owned(),
        Type::Url => "\"https://example.com\"".to_owned(),
        Type::Email => "ana@example.com".to_owned(),
        Type::List => "[text]".to_owned(),
        Type::Map => "{ name: text }".to_owned(),
        Type::Choice(words) => words.first().cloned().unwrap_or_default(),
        Type::Secret => "\"${{ secrets.NAME }}\"".to_owned(),
    }
}

fn arg_line(arg: &ArgSpec) -> Line {
    let need = match (&arg.default, arg.required) {
        (Some(default), _) => format!("default {}", words::quoted(default)),
        (None, true) => "required".to_owned(),
        (None, false) => "optional".to_owned(),
    };
    Line::of(Tone::Plain, "  ")
        .column(Tone::Strong, &arg.name, 16)
        .column(Tone::Plain, arg.ty.name(), 10)
        .column(Tone::Dim, &need, 16)
        .add(Tone::Plain, [arg.doc.clone(), choices(&arg.ty)].join(" ").trim())
}

/// The words of a choice.
pub fn choices(ty: &Type) -> String {
    match ty {
        Type::Choice(words) => format!("({})", words.join(", ")),
        _ => String::new(),
    }
}

fn to_json(action: &ListedAction) -> Json {
    let spec = &action.spec;
    let args = spec.args.iter().map(|arg| {
        json!({
            "name": arg.name,
            "type": arg.ty.name(),
            "choices": if let Type::Choice(words) = &arg.ty { json!(words) } else { Json::Null },
            "required": arg.required,
            "default": arg.default.as_ref().map(|default| default.to_plain()),
            "doc": arg.doc,
        })
    });
    let outputs =
        spec.outputs.iter().map(|output| json!({ "name": output.name, "type": output.ty.name(), "doc": output.doc }));
    let docs = [spec.docs.clone(), example(spec).unwrap_or_default()].join("\n\n");
    json!({
        "name": spec.name,
        "title": spec.title,
        "effect": spec.effect.word(),
        "depends_on_arguments": spec.effect_of.is_some(),
        "repeat": repeat(spec),
        "origin": action.origin,
        "arguments": args.collect::<Vec<_>>(),
        "outputs": outputs.collect::<Vec<_>>(),
        "docs": docs.trim(),
    })
}
