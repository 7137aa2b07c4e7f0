//! Preparing a run: everything is checked before anything happens.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::engine::ids::RunId;
use crate::engine::traceparent::Traceparent;
use crate::runbook::effects;
use crate::runbook::model::Runbook;
use crate::runbook::problem::{Problem, Severity};
use crate::runbook::program::Program;
use crate::runbook::settings::Target;
use crate::runbook::source::Source;
use crate::runbook::spec::Effect;
use crate::runs::error::{ErrorKind, RunsError};
use crate::runs::plan::Applies;
use crate::runs::{Runs, inputs};
use crate::script::value::Map;

/// What a person asked to be started.
#[derive(Clone, Debug, Default)]
pub struct StartRequest {
    /// A name, or a path if it has a `/` or ends in `.yaml`.
    pub runbook: String,
    /// `-i key=value`, as typed.
    pub inputs: Vec<(String, String)>,
    /// `--inputs FILE`: YAML or JSON text with its shown name.
    pub inputs_file: Option<(String, String)>,
    pub target: Option<String>,
    pub reason: Option<String>,
    pub incident: Option<String>,
}

/// A checked request: nothing has happened yet.
#[derive(Debug)]
pub struct Prepared {
    pub program: Arc<Program>,
    pub warnings: Vec<Problem>,
    /// Typed and complete.
    pub inputs: Map,
    pub target: Option<String>,
    pub reason: Option<String>,
    pub incident: Option<String>,
    /// The span it goes on from, of whoever started it.
    pub(super) traceparent: Option<Traceparent>,
    /// The effects it may have, mildest first.
    pub effects: Vec<Effect>,
    /// Every step that may change something, in order.
    pub changes: Vec<Change>,
    /// The name it will have; a new one if nothing says. One that is there already is never started again.
    pub(super) run: Option<RunId>,
    /// The plan it applies.
    pub(super) applies: Option<Applies>,
    pub(super) settings: Target,
    pub(super) target_source: Option<(String, Arc<Source>)>,
}

impl Prepared {
    /// The greatest effect it may have.
    pub fn worst(&self) -> Effect {
        Effect::worst(&self.effects)
    }

    /// What is typed to agree to what destroys something: the target, or the runbook if there is none.
    pub fn place(&self) -> &str {
        self.target.as_deref().unwrap_or(&self.program.runbook.name)
    }

    /// The same as the run of this name.
    pub fn called(self, run: RunId) -> Prepared {
        Prepared { run: Some(run), ..self }
    }

    /// The same below the span of whoever starts it.
    pub fn below(self, traceparent: Option<Traceparent>) -> Prepared {
        Prepared { traceparent, ..self }
    }

    /// The same as the run of this name, if it has none yet: what applies a plan has that of the plan.
    pub fn called_unless_named(self, run: RunId) -> Prepared {
        Prepared { run: self.run.or(Some(run)), ..self }
    }
}

/// Where the inputs of a run come from.
pub(super) enum Given {
    /// From what was typed, and a file.
    Typed,
    /// Values; the target and the runbook give the others.
    Some(Map),
    /// Typed and complete already.
    Complete(Map),
}

/// A step that may change something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub step: String,
    pub action: String,
    pub effect: Effect,
}

impl Runs {
    /// Checks a request whole: runbook, inputs, target, secrets. No side effect.
    ///
    /// # Errors
    /// What is wrong with it, all at once where that can be said.
    pub fn prepare(&self, request: &StartRequest) -> Result<Prepared, RunsError> {
        self.prepare_with(request, Given::Typed)
    }

    /// The same with these inputs beside those of the target: values, and nothing that is read as text.
    pub(super) fn prepare_given(&self, request: &StartRequest, given: Map) -> Result<Prepared, RunsError> {
        self.prepare_with(request, Given::Some(given))
    }

    /// The same with inputs from elsewhere.
    pub(super) fn prepare_with(&self, request: &StartRequest, given: Given) -> Result<Prepared, RunsError> {
        let (program, problems) = self.check(&request.runbook)?;
        let Some(program) = program else {
            return Err(RunsError::invalid(&format!("runbook `{}`", request.runbook), problems));
        };
        let warnings = problems.into_iter().filter(|problem| problem.severity == Severity::Warning).collect();
        let (settings, target_source) = match &request.target {
            None => (Target::default(), None),
            Some(name) => {
                let (settings, source, name) = self.project().target(name)?;
                (settings, Some((name, source)))
            }
        };
        let inputs = match given {
            Given::Complete(inputs) => inputs,
            Given::Some(given) => inputs::complete(&program.runbook, &[], Some(given), &settings)?,
            Given::Typed => {
                let file = request.inputs_file.as_ref().map(|(shown, text)| inputs::read_file(shown, text));
                inputs::complete(&program.runbook, &request.inputs, file.transpose()?, &settings)?
            }
        };
        self.secrets_have_sources(&program, &settings, request.target.as_deref())?;
        Ok(Prepared {
            effects: program.effects.clone(),
            changes: changes(&program),
            warnings,
            inputs,
            target: target_source.as_ref().map(|(name, _)| name.clone()),
            reason: request.reason.clone(),
            incident: request.incident.clone(),
            traceparent: None,
            run: None,
            applies: None,
            settings,
            target_source,
            program: Arc::new(program),
        })
    }

    fn secrets_have_sources(
        &self,
        program: &Program,
        settings: &Target,
        target: Option<&str>,
    ) -> Result<(), RunsError> {
        let missing: Vec<String> =
            secrets_of(program).into_iter().filter(|name| !settings.secrets.contains_key(name)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let needs = format!("`{}` needs the secret(s) {}", program.runbook.name, missing.join(", "));
        Err(match target {
            Some(target) => RunsError::new(ErrorKind::Usage, format!("{needs}, which target `{target}` doesn't name"))
                .hint(format!("add them under `secrets:` in targets/{target}.yaml")),
            None => {
                let known: Vec<String> = self.project().targets().into_iter().map(|listed| listed.name).collect();
                let said = RunsError::new(ErrorKind::Usage, format!("{needs}, and secrets come from a target"));
                match known.is_empty() {
                    true => said.hint("write targets/NAME.yaml with `secrets:`, then give --target NAME"),
                    false => said.hint(format!("give --target; there is: {}", known.join(", "))),
                }
            }
        })
    }
}

/// Names of all secrets a program may use.
pub(super) fn secrets_of(program: &Program) -> BTreeSet<String> {
    let children = program.children.values().map(|child| &child.runbook);
    let books = std::iter::once(&program.runbook).chain(program.actions.values()).chain(children);
    books.flat_map(|book| book.secrets.iter().map(|name| name.value.clone())).collect()
}

/// Every step of a runbook that may change something, in order.
pub fn changes(program: &Program) -> Vec<Change> {
    let mut found = Vec::new();
    let runbook: &Runbook = &program.runbook;
    for (prefix, block) in [("", &runbook.steps), ("on_failure/", &runbook.on_failure), ("finally/", &runbook.finally)]
    {
        for step in block.iter() {
            effects::calls(step, program, &mut |call| {
                if call.effect.changes_the_world() {
                    let action = call.site.child().map_or_else(|| call.site.name.to_owned(), |child| child.value);
                    found.push(Change { step: format!("{prefix}{}", call.step.id), action, effect: call.effect });
                }
            });
        }
    }
    found
}
