//! `rerail eval`: what an expression comes to with what a run has seen.

use clap::Args;

use crate::script::value::Value;
use crate::surfaces::cli::error::CliError;
use crate::surfaces::cli::exit::Exit;
use crate::surfaces::cli::session::Session;
use crate::transcript::{Line, Tone, line};

#[derive(Args, Debug)]
pub struct EvalArgs {
    /// An expression, as after `if:` or inside `${{ }}`
    #[arg(value_name = "EXPR")]
    expression: String,
    /// The run whose inputs, vars and steps it sees
    #[arg(long, value_name = "RUN", default_value = "@last")]
    run: String,
    /// As it was just before this step began, instead of at the end
    #[arg(long, value_name = "STEP")]
    at: Option<String>,
}

/// Evaluates an expression.
pub fn eval(session: &Session, args: &EvalArgs) -> Result<Exit, CliError> {
    let ui = &session.ui;
    let runs = session.runs()?;
    let run = runs.find(&args.run)?;
    match runs.evaluate(&run, &args.expression, args.at.as_deref())? {
        Ok(value) => show(session, &value),
        Err(failure) => {
            if failure.picture.is_empty() || !ui.human() {
                return Err(CliError::usage(failure.message));
            }
            line::failure_lines(&failure, false).iter().for_each(|line| ui.progress(line));
            return Err(CliError::usage("the expression failed"));
        }
    }
    Ok(Exit::SUCCESS)
}

/// A text as it is, anything else as JSON.
fn show(session: &Session, value: &Value) {
    let ui = &session.ui;
    match value {
        Value::Text(text) if ui.human() => {
            Line::block(Tone::Plain, text, 0).iter().for_each(|line| ui.result(line));
        }
        value if ui.human() => {
            let text = format!("{:#}", value.to_plain());
            Line::block(Tone::Plain, &text, 0).iter().for_each(|line| ui.result(line));
        }
        value => ui.result_json(&value.to_plain()),
    }
}
