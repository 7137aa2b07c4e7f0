//! `rerail explain`: what is promised and what is not, from the same text as the documentation.

use clap::{Args, ValueEnum};
use serde_json::json;

use crate::surfaces::cli::error::CliError;
use crate::surfaces::cli::exit::Exit;
use crate::surfaces::cli::session::Session;

/// The document, so that the program and the documentation can't say different things.
const SECRETS: &str = include_str!("../../../docs/secrets.md");

#[derive(Args, Debug)]
pub struct ExplainArgs {
    /// What to explain
    #[arg(value_enum)]
    topic: Topic,
}

/// What can be explained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Topic {
    /// Where secrets come from and may go, what is promised of them and what is not
    Secrets,
}

/// Prints a text.
pub fn explain(session: &Session, args: &ExplainArgs) -> Result<Exit, CliError> {
    let ui = &session.ui;
    let text = match args.topic {
        Topic::Secrets => SECRETS,
    };
    match ui.human() {
        true => ui.result_text(text),
        false => ui.result_json(&json!({ "text": text })),
    }
    Ok(Exit::SUCCESS)
}
