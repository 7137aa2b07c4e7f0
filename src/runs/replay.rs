//! A run decided again from its recorded answers: by the texts it is pinned to, or by a runbook that was changed since.

use std::sync::Arc;

use crate::drivers::replay::{Divergence, Likeness, replay_like};
use crate::engine::event::Body;
use crate::engine::ids::StepPath;
use crate::journal::RunRow;
use crate::runs::Runs;
use crate::runs::drive::{on_engine_thread, sandbox};
use crate::runs::error::{ErrorKind, RunsError};

/// What came of deciding a run again.
#[derive(Clone, Debug)]
pub struct Replayed {
    /// The runbook it was decided by.
    pub runbook: String,
    /// Effects that were answered from the journal.
    pub answered: usize,
    /// Where it first differs; nothing if all was decided the same.
    pub differs: Option<Difference>,
}

/// The first place where something else is decided.
#[derive(Clone, Debug)]
pub struct Difference {
    /// Number of the recorded event; nothing if it is not about one.
    pub event: Option<u64>,
    pub step: Option<StepPath>,
    /// What the run did, and what would be done.
    pub recorded: Vec<String>,
    pub decided: Vec<String>,
}

impl Runs {
    /// Decides a run again, by the runbook of this name or path, or by the texts it is pinned to. Nothing is performed.
    ///
    /// # Errors
    /// If there is no such runbook, it has problems, or the run can't be read.
    pub fn replay(&self, run: &RunRow, against: Option<&str>) -> Result<Replayed, RunsError> {
        let events = self.events(run)?;
        let (program, likeness) = match against {
            None => (self.program(run)?, Likeness::Exact),
            Some(against) => {
                let (program, problems) = self.check(against)?;
                let Some(program) = program else {
                    return Err(RunsError::invalid(&format!("runbook `{against}`"), problems));
                };
                (program, Likeness::Decisions)
            }
        };
        let runbook = program.runbook.name.clone();
        let sandbox = sandbox(&program)?;
        let came = on_engine_thread(|| Ok(replay_like(Arc::new(program), sandbox, &events, likeness)))?;
        let differs = |difference| Replayed { runbook: runbook.clone(), answered: 0, differs: Some(difference) };
        Ok(match came {
            Ok(answered) => Replayed { runbook, answered, differs: None },
            Err(Divergence::Different { seq, recorded, decided }) => differs(Difference {
                event: Some(seq),
                step: step_of(&recorded).or_else(|| decided.as_deref().and_then(step_of)),
                recorded: told(&recorded),
                decided: decided.as_deref().map(told).unwrap_or_default(),
            }),
            Err(Divergence::Start(failure)) => differs(Difference {
                event: None,
                step: None,
                recorded: vec!["the run began".to_owned()],
                decided: vec![format!("it can't begin: {}", failure.message)],
            }),
            Err(Divergence::Fold(error)) => differs(Difference {
                event: Some(error.seq),
                step: events
                    .get(usize::try_from(error.seq).unwrap_or(usize::MAX))
                    .and_then(|event| step_of(&event.body)),
                recorded: vec![format!("event {}", error.seq)],
                decided: vec![format!("it does not fit here: {}", error.why)],
            }),
            Err(error @ Divergence::NoStart) => return Err(RunsError::new(ErrorKind::Damaged, error.to_string())),
        })
    }
}

/// An event, line by line.
fn told(body: &Body) -> Vec<String> {
    let json = serde_json::to_value(body).unwrap_or_default();
    let text = serde_yaml::to_string(&json).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// The step an event is about.
fn step_of(body: &Body) -> Option<StepPath> {
    let json = serde_json::to_value(body).ok()?;
    json.pointer("/step").or_else(|| json.pointer("/data/step")).and_then(|step| step.as_str()).map(StepPath::new)
}
