//! What the steps of a call gave, on its way to the step around: with what planned writes leave laid over it, sealed and
//! opened as that says. Only the driver can do the last two.

use std::sync::Arc;

use crate::engine::event::{Planned, StepStarted};
use crate::engine::ids::StepPath;
use crate::engine::machine::{Env, LAY, OPEN_PART, Perform, REVEAL, SEALED_PART};
use crate::engine::outcome::{Attempt, Outcome};
use crate::engine::scope::Scope;
use crate::engine::walk::Progress;
use crate::engine::walk::left::{self, Laid};
use crate::runbook::spec::Effect;
use crate::script::value::{Map, Value};

/// Outputs of a call that the driver may still have to seal or open.
#[derive(Default)]
pub(crate) struct Handing(Option<Given>);

enum Given {
    /// Read for real, or as far as that is known.
    Read(Map),
    /// Behind planned writes of what was read.
    Laid(Box<Laid>),
}

impl Handing {
    /// Whether the driver is at it: the steps of the call are over then.
    pub(crate) fn is_begun(&self) -> bool {
        self.0.is_some()
    }

    /// Goes on with what the steps of the call at `path` gave, which counts the first time only. Ends with the outputs, and
    /// what is to be said of them in a rehearsal.
    pub(crate) fn advance(
        &mut self,
        env: &mut Env,
        scope: &Scope,
        path: &StepPath,
        outputs: Map,
    ) -> Progress<(Attempt, Option<Planned>)> {
        let given = self.0.take().unwrap_or_else(|| match left::lay(env, scope, path, &outputs) {
            Some(laid) => Given::Laid(Box::new(laid)),
            None => Given::Read(outputs),
        });
        let started = env.facts.step(path).and_then(|record| record.started.as_ref());
        let Some(intent) = started.map(|started| Arc::clone(&started.intent)) else { return Progress::Pending };
        let (due, planned) = match &given {
            Given::Read(outputs) => (opened(&intent, outputs), None),
            Given::Laid(laid) => (sealed(&intent, scope, &laid.outputs), Some(laid.planned.clone())),
        };
        let Some((uses, args)) = due else {
            let outputs = match given {
                Given::Read(outputs) => outputs,
                Given::Laid(laid) => laid.outputs,
            };
            return Progress::Ended((Attempt::done(Value::Map(outputs)), planned));
        };
        if let Some(completion) = env.take_completion(path) {
            let attempt = match given {
                Given::Read(_) => completion.result,
                Given::Laid(_) => joined(completion.result),
            };
            return Progress::Ended((attempt, planned));
        }
        if !env.is_in_flight(path) {
            env.perform(Perform {
                step: path.clone(),
                attempt: intent.attempt,
                look: 1,
                poll: false,
                uses: uses.to_owned(),
                effect: Effect::Read,
                args,
                key: String::new(),
                timeout: None,
                reveal: intent.reveal.clone(),
                laid_over: false,
            });
        }
        self.0 = Some(given);
        Progress::Pending
    }
}

/// What the driver has to open, if anything.
fn opened(intent: &StepStarted, outputs: &Map) -> Option<(&'static str, Map)> {
    let due = !intent.reveal.is_empty() && outputs.values().any(Value::has_secret);
    due.then(|| (REVEAL, outputs.clone()))
}

/// What the driver has to seal, as the run will read it, and then to open, if anything.
fn sealed(intent: &StepStarted, scope: &Scope, outputs: &Map) -> Option<(&'static str, Map)> {
    let (sealed, open): (Map, Map) =
        outputs.clone().into_iter().partition(|(name, _)| scope.runbook.sealed.contains(name));
    let due = sealed.values().any(|value| value.has_plain() || value.has_secret()) || !intent.reveal.is_empty();
    let args = [(SEALED_PART, sealed), (OPEN_PART, open)];
    due.then(|| (LAY, args.map(|(part, outputs)| (part.to_owned(), Value::Map(outputs))).into()))
}

/// The outputs of both parts of a [`LAY`].
fn joined(result: Attempt) -> Attempt {
    if result.outcome != Outcome::Done {
        return result;
    }
    let part = |name: &str| result.outputs.get(name).and_then(Value::as_map).cloned().unwrap_or_default();
    let outputs = part(SEALED_PART).into_iter().chain(part(OPEN_PART)).collect();
    result.with_outputs(Value::Map(outputs))
}
