//! `rerail resume`: take a run up again.

use std::sync::Arc;

use clap::Args;

use crate::engine::event::Decision;
use crate::engine::ids::StepPath;
use crate::runs::{Begun, DecideRequest, Foreground};
use crate::script::value::{Map, Value};
use crate::surfaces::cli::error::CliError;
use crate::surfaces::cli::exit::Exit;
use crate::surfaces::cli::foreground;
use crate::surfaces::cli::run::pair;
use crate::surfaces::cli::session::Session;
use crate::surfaces::cli::ui::Ui;
use crate::transcript::{Line, summary};

#[derive(Args, Debug)]
pub struct ResumeArgs {
    /// The run
    #[arg(value_name = "RUN")]
    run: String,
    /// Start a step anew, with fresh arguments (can be repeated)
    #[arg(long, value_name = "STEP", requires = "reason")]
    retry: Vec<String>,
    /// Go on as if a step had been skipped (can be repeated)
    #[arg(long, value_name = "STEP", requires = "reason")]
    skip: Vec<String>,
    /// Say what became of a write nobody heard back from: STEP=done or STEP=not-done (can be repeated)
    #[arg(long, value_name = "STEP=WORD", value_parser = outcome, requires = "reason")]
    set_outcome: Vec<(String, Decision)>,
    /// An output of the step that is set to done (can be repeated)
    #[arg(long = "set-output", value_name = "KEY=VALUE", value_parser = pair, requires = "set_outcome")]
    outputs: Vec<(String, String)>,
    /// Why, for the record; decisions need one
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

fn outcome(text: &str) -> Result<(String, Decision), String> {
    match text.rsplit_once('=') {
        Some((step, "done")) if !step.is_empty() => Ok((step.to_owned(), Decision::Done)),
        Some((step, "not-done")) if !step.is_empty() => Ok((step.to_owned(), Decision::NotDone)),
        _ => Err("expected STEP=done or STEP=not-done".to_owned()),
    }
}

/// Takes a run up again.
pub fn resume(session: &Session, args: ResumeArgs) -> Result<Exit, CliError> {
    let done = args.set_outcome.iter().filter(|(_, decision)| *decision == Decision::Done).count();
    if !args.outputs.is_empty() && done != 1 {
        return Err(CliError::usage(format!(
            "outputs belong to one step that is set to done, and {done} are set to done here"
        )));
    }
    let door = session.door()?;
    let run = door.find(&args.run)?;
    let reason = args.reason.clone().unwrap_or_default();
    let decide = |step: String, decision: Decision| DecideRequest {
        step: StepPath::new(step),
        decision,
        outputs: if decision == Decision::Done { outputs(&args.outputs) } else { Map::new() },
        reason: reason.clone(),
    };
    let retries = args.retry.iter().map(|step| decide(step.clone(), Decision::Retry));
    let skips = args.skip.iter().map(|step| decide(step.clone(), Decision::Skip));
    let set = args.set_outcome.iter().map(|(step, decision)| decide(step.clone(), *decision));
    let decisions: Vec<DecideRequest> = set.chain(retries).chain(skips).collect();
    let said = session.ui.human().then(|| door.facts(&run)).transpose()?.map(|facts| summary::resuming(&facts));
    let actor = door.actor_on(&run)?;
    foreground::drive(session, door.as_ref(), actor, |foreground| {
        let foreground = announced(Arc::clone(&session.ui), said, foreground);
        let left = door.resume(&run, decisions, args.reason.clone(), foreground)?;
        Ok(Begun::Left(Box::new(left)))
    })
}

/// Says this before the first events of a run that is taken up: until it is ours that may be refused.
pub fn announced(ui: Arc<Ui>, mut said: Option<Line>, foreground: Foreground) -> Foreground {
    foreground.first_heard_by(move |_| {
        if let Some(said) = said.take() {
            ui.progress(&said);
        }
    })
}

/// JSON where it is JSON, else text as typed.
fn outputs(pairs: &[(String, String)]) -> Map {
    let value =
        |text: &str| serde_json::from_str(text).map_or_else(|_| Value::from(text), |json| Value::from_data(&json));
    pairs.iter().map(|(key, text)| (key.clone(), value(text))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_is_one_of_two_words() {
        assert_eq!(outcome("a/b#1=done"), Ok(("a/b#1".into(), Decision::Done)));
        assert_eq!(outcome("x=not-done"), Ok(("x".into(), Decision::NotDone)));
        assert!(outcome("x=maybe").is_err() && outcome("done").is_err() && outcome("=done").is_err());
    }

    #[test]
    fn outputs_are_json_where_they_can_be() {
        let map = outputs(&[("id".into(), "d 8".into()), ("n".into(), "8".into()), ("l".into(), "[1]".into())]);
        assert_eq!(map["id"], Value::from("d 8"));
        assert_eq!(map["n"], Value::Int(8));
        assert_eq!(map["l"], Value::List(vec![Value::Int(1)]));
    }
}
