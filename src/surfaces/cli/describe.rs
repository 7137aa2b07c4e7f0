//! `rerail describe`: what a runbook means, needs and may change.

use clap::Args;

use crate::runbook::model::{Block, Input};
use crate::runbook::program::Program;
use crate::surfaces::cli::error::CliError;
use crate::surfaces::cli::exit::Exit;
use crate::surfaces::cli::session::Session;
use crate::surfaces::cli::ui::Ui;
use crate::surfaces::shapes::runbook::{group, manner, of_program, what, written};
use crate::transcript::{Line, Tone, words};

/// Columns of a step's line.
const ID_WIDTH: usize = 16;
const EFFECT_WIDTH: usize = 13;

#[derive(Args, Debug)]
pub struct DescribeArgs {
    /// Runbook by name or path
    #[arg(value_name = "RUNBOOK")]
    runbook: String,
}

/// Describes a runbook.
pub fn describe(session: &Session, args: &DescribeArgs) -> Result<Exit, CliError> {
    let runs = session.runs()?;
    let (program, problems) = runs.check(&args.runbook)?;
    let Some(program) = program else {
        let said = CliError::new(Exit::INVALID, format!("runbook `{}` has problems", args.runbook));
        return Err(CliError { problems, ..said });
    };
    match session.ui.human() {
        true => show(&session.ui, &program),
        false => session.ui.result_json(&of_program(&program)),
    }
    Ok(Exit::SUCCESS)
}

fn show(ui: &Ui, program: &Program) {
    let book = &program.runbook;
    let field = |name: &str, text: Option<&str>| {
        if let Some(text) = text {
            for (at, line) in text.trim_end().lines().enumerate() {
                let name = if at == 0 { name } else { "" };
                ui.result(&Line::new().column(Tone::Dim, name, 10).add(Tone::Plain, line));
            }
        }
    };
    ui.result(&Line::of(Tone::Strong, &book.name).add(Tone::Plain, &format!("  {}", book.title)));
    field("meaning", book.meaning.as_deref());
    field("impact", book.impact.as_deref());
    field("owner", book.owner.as_deref());
    field("reviewed", book.reviewed.as_deref());
    let effects: Vec<&str> = program.effects.iter().map(|effect| effect.word()).collect();
    field("effects", Some(&effects.join(" ")));
    let secrets: Vec<&str> = book.secrets.iter().map(|name| name.value.as_str()).collect();
    if !secrets.is_empty() {
        field("secrets", Some(&secrets.join(" ")));
    }
    field("timeout", book.timeout.as_ref().map(written).as_deref());
    field("group", group(book).as_deref());
    if !book.inputs.is_empty() {
        heading(ui, "Inputs");
        book.inputs.iter().for_each(|input| ui.result(&input_line(input)));
    }
    for (title, block) in [("Steps", &book.steps), ("On failure", &book.on_failure), ("Finally", &book.finally)] {
        if !block.is_empty() {
            heading(ui, title);
            steps(ui, program, block, 1);
        }
    }
}

fn heading(ui: &Ui, text: &str) {
    ui.result(&Line::new());
    ui.result(&Line::of(Tone::Strong, text));
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

fn steps(ui: &Ui, program: &Program, block: &Block, depth: usize) {
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
        ui.result(&line);
        if let Some(inner) = step.body.inner() {
            steps(ui, program, inner, depth + 1);
        }
    }
}
