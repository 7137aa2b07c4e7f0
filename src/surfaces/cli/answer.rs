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
    /// `answer=TEXT`, or a value for each field of the question; `STEP=TEXT` if several questions are open
    #[arg(value_name = "KEY=VALUE", value_parser = pair, required = true)]
    answer: Vec<(String, String)>,
    /// The question that is meant, if several are open
    #[arg(long, value_name = "STEP")]
    step: Option<String>,
}

/// Answers a question.
pub fn answer(session: &Session, args: &AnswerArgs) -> Result<Exit, CliError> {
    let door = session.door()?;
    let run = door.find(&args.run)?;
    let (step, delivered) = door.answer(&run, args.step.as_deref(), &args.answer)?;
    let text = match args.answer.as_slice() {
        [(key, text)] if key == "answer" || step.as_str().ends_with(key.as_str()) => text.clone(),
        fields => fields.iter().map(|(key, text)| format!("{key}={text}")).collect::<Vec<_>>().join(" "),
    };
    say(session, &format!("`{step}` of {}/{} is answered: {text}", run.runbook, run.run), &run.run.short(), delivered);
    Ok(Exit::SUCCESS)
}
