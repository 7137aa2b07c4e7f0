//! `rerail answer`: reply to a question of a run.

use clap::Args;

use crate::surfaces::cli::cancel::say;
use crate::surfaces::cli::error::CliError;
use crate::surfaces::cli::exit::Exit;
use crate::surfaces::cli::run::pair;
use crate::surfaces::cli::session::Session;

#[derive(Args, Debug)]
pub struct AnswerArgs {
    /// The run
    #[arg(value_name = "RUN")]
    run: String,
    /// The step that asks and the answer; `answer=TEXT` if only one question is open
    #[arg(value_name = "STEP=ANSWER", value_parser = pair)]
    answer: (String, String),
}

/// Answers a question.
pub fn answer(session: &Session, args: &AnswerArgs) -> Result<Exit, CliError> {
    let runs = session.runs()?;
    let run = runs.find(&args.run)?;
    let (key, text) = &args.answer;
    let (step, delivered) = runs.answer(&run, key, text, &session.actor())?;
    say(session, &format!("`{step}` of {}/{} is answered: {text}", run.runbook, run.run), &run.run.short(), delivered);
    Ok(Exit::SUCCESS)
}
