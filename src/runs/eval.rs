//! Asking a run: an expression with what it could see then.

use std::sync::Arc;

use crate::drivers::pinned::unpin;
use crate::engine::evaluate::Evaluator;
use crate::engine::event::Body;
use crate::engine::ids::StepPath;
use crate::engine::look_back::{LookBackError, moment};
use crate::engine::outcome::Failure;
use crate::journal::{Journal as _, RunRow};
use crate::runbook::commands::Commands;
use crate::runbook::nearest::did_you_mean;
use crate::runbook::problem::Problem;
use crate::runbook::program::Program;
use crate::runbook::snippet::{Snippet, locate};
use crate::runbook::source::Source;
use crate::runs::Runs;
use crate::runs::drive::{on_engine_thread, sandbox};
use crate::runs::error::{ErrorKind, RunsError};
use crate::runs::look::start_of;
use crate::script::compile;
use crate::script::value::Value;

/// Bytes of a typed expression: a line or a screen of one, not a program.
const EXPRESSION_BYTES_MAX: usize = 16 * 1024;

impl Runs {
    /// The program a run is pinned to.
    ///
    /// # Errors
    /// If a text is missing, or another version of the engine started it.
    pub fn program(&self, run: &RunRow) -> Result<Program, RunsError> {
        let store = self.store()?;
        let events = store.load(run.run)?;
        Ok(unpin(store, start_of(&events)?, &Commands::default())?.0)
    }

    /// Evaluates an expression with the contexts a run had at its end, or just before the step `at` began.
    /// Secrets are references; nothing is called.
    ///
    /// # Errors
    /// If it doesn't compile, fails, or there is no such moment. A failure comes with its picture.
    pub fn evaluate(&self, run: &RunRow, text: &str, at: Option<&str>) -> Result<Result<Value, Failure>, RunsError> {
        let program = self.program(run)?;
        let events = self.events(run)?;
        let snippet = expression(text)?;
        let at = at.map(StepPath::new);
        let sandbox = sandbox(&program)?;
        on_engine_thread(move || {
            let moment = moment(&program, &sandbox, &events, at.as_ref()).map_err(|error| {
                let said = RunsError::new(ErrorKind::Usage, error.to_string());
                match &error {
                    LookBackError::Fold(_) | LookBackError::NoStart => RunsError { kind: ErrorKind::Damaged, ..said },
                    LookBackError::NeverBegan(step) => {
                        let began = events.iter().filter_map(|event| match &event.body {
                            Body::StepStarted(intent) => Some(intent.step.as_str()),
                            Body::StepSkipped { step, .. } => Some(step.as_str()),
                            _ => None,
                        });
                        match did_you_mean(step.as_str(), began) {
                            Some(help) => said.hint(help),
                            None => said.hint("`rerail show RUN` lists its steps"),
                        }
                    }
                    LookBackError::NotInProgram(_) => said,
                }
            })?;
            let evaluator = Evaluator { sandbox: &sandbox, facts: &moment.facts, scope: &moment.scope, result: None };
            Ok(evaluator.value(&snippet))
        })
    }
}

/// Compiles what a person typed; a mistake is shown where it stands.
fn expression(text: &str) -> Result<Snippet, RunsError> {
    if text.len() > EXPRESSION_BYTES_MAX {
        let said = format!("the expression has {} bytes, more than {EXPRESSION_BYTES_MAX}", text.len());
        return Err(RunsError::new(ErrorKind::Usage, said));
    }
    let source = Source::new("(expression)", text);
    let ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
    let offsets: Arc<[u32]> = ends.map(|at| u32::try_from(at).unwrap_or(u32::MAX)).collect();
    match compile::expression(text) {
        Ok(code) => Ok(Snippet { source, text: text.into(), offsets, code: Arc::new(code) }),
        Err(error) => {
            let span = locate(text, &offsets, error.position);
            let problem = Problem::error("E0301", &source, span, error.message);
            let said = RunsError::new(ErrorKind::Usage, "the expression does not compile");
            Err(RunsError { problems: vec![problem], ..said })
        }
    }
}
