//! A body at its path: attempts of it until it has ended, within its limits.

use std::sync::Arc;

use crate::engine::event::{Body as Fact, StepStarted};
use crate::engine::facts::Resend;
use crate::engine::ids::StepPath;
use crate::engine::machine::Env;
use crate::engine::outcome::{Attempt, Failure, Outcome};
use crate::engine::scope::{Scope, StepResult};
use crate::engine::walk::again::{self, Place};
use crate::engine::walk::invocation::{Arguments, Invocation, Manner};
use crate::engine::walk::limits::Inside;
use crate::engine::walk::parallel::ParallelTask;
use crate::engine::walk::prepare::duration_ms;
use crate::engine::walk::script::ScriptTask;
use crate::engine::walk::sequence::{BlockTask, mark_all, visible};
use crate::engine::walk::step::{self, End, ended};
use crate::engine::walk::{BlockEnd, Progress, StepEnd, limits, pure, script};
use crate::runbook::model::{Body, Step};
use crate::runbook::spec::{Effect, Repeat};
use crate::script::value::{Map, Value};

/// A step's body, once; or one round of it in a loop.
pub(crate) struct Instance {
    path: StepPath,
    /// One round of a loop: a group is then a step of its own, and `until` and `within` belong to the loop.
    round: bool,
    /// It takes a step back; a group then is a step of its own as well.
    undoes: bool,
    /// The values that made its `if` true.
    why: Map,
    /// Of a plain group: its steps, whose paths don't tell that they are inside.
    beside: Option<Arc<[StepPath]>>,
    state: State,
}

enum State {
    Fresh,
    Pure,
    Invocation(Box<Invocation>),
    Script(ScriptTask),
    Group(BlockTask),
    Parallel(ParallelTask),
}

impl Instance {
    pub(crate) fn new(path: StepPath, round: bool, why: Map) -> Instance {
        Instance { path, round, undoes: false, why, beside: None, state: State::Fresh }
    }

    /// A body that takes a step back: like one round, its path is its own whatever it is.
    pub(crate) fn of_undo(path: StepPath) -> Instance {
        Instance { path, round: true, undoes: true, why: Map::new(), beside: None, state: State::Fresh }
    }

    /// Goes on with the body of `step`; `scope.prefix` is where the paths of steps in a group start.
    pub(crate) fn advance(&mut self, env: &mut Env, scope: &mut Scope, step: &Arc<Step>) -> Progress<StepEnd> {
        let path = self.path.clone();
        let beside = self.beside(scope, step);
        let inside = beside.as_deref().map_or(Inside::Below(&path), Inside::Beside);
        let place = Place { step, path: &path, inside, round: self.round };
        loop {
            if env.decided.waits.paused.is_some() {
                return Progress::Pending;
            }
            let end = match env.facts.step(&path).and_then(|record| StepResult::of(&path, record)) {
                Some(result) => ended(env, &path, result),
                None => match again::pause(env, &path, inside) {
                    again::Pause::Wait => return Progress::Pending,
                    again::Pause::Ends(attempt) => {
                        self.forget_inside(scope, step);
                        return Progress::Ended(self.end_early(env, step, attempt));
                    }
                    again::Pause::Over => match self.attempt(env, scope, &place) {
                        Progress::Pending => return Progress::Pending,
                        Progress::Ended(Some(end)) => end,
                        // It looks again.
                        Progress::Ended(None) => {
                            self.forget_inside(scope, step);
                            self.state = State::Fresh;
                            continue;
                        }
                    },
                },
            };
            if !again::retries(env, scope, &place, &end) {
                return Progress::Ended(end);
            }
            self.forget_inside(scope, step);
            self.state = State::Fresh;
        }
    }

    /// Steps inside a group have not run, as far as anybody can see, once it is to run anew.
    fn forget_inside(&self, scope: &mut Scope, step: &Step) {
        if let Some(inner) = step.body.inner().filter(|_| !self.round) {
            mark_all(scope, inner, Outcome::NotRun);
        }
    }

    /// Steps inside a plain group, which adds no segment to their paths.
    fn beside(&mut self, scope: &Scope, step: &Step) -> Option<Arc<[StepPath]>> {
        let inner = step.body.inner().filter(|_| !self.round)?;
        let paths = || visible(inner).into_iter().map(|step| scope.prefix.join(&step.id)).collect();
        Some(Arc::clone(self.beside.get_or_insert_with(paths)))
    }

    /// The end of a step that waited for another attempt and gets none. A group's end is not recorded: it follows.
    fn end_early(&self, env: &mut Env, step: &Step, attempt: Attempt) -> StepEnd {
        match step.body.inner().is_some() && !self.round {
            true => StepEnd::plain(StepResult::of_attempt(&self.path, attempt)),
            false => step::end(env, &self.path, attempt, None, End::default()),
        }
    }

    /// Goes on with the current attempt; nothing when it is to be followed by another look.
    fn attempt(&mut self, env: &mut Env, scope: &mut Scope, place: &Place) -> Progress<Option<StepEnd>> {
        if matches!(self.state, State::Fresh)
            && let Err(failure) = self.open(env, scope, place)
        {
            return Progress::Ended(Some(step::end(env, place.path, Attempt::failed(failure), None, End::default())));
        }
        let composite = match &self.state {
            State::Invocation(invocation) => invocation.has_steps(env),
            State::Script(_) | State::Group(_) | State::Parallel(_) => true,
            State::Pure | State::Fresh => false,
        };
        if !composite {
            return self.go_on(env, scope, place);
        }
        let limit = limits::of(env, place.path, place.inside);
        let mut progress = env.limited(limit, |env| self.go_on(env, scope, place));
        let begun = limits::of(env, place.path, place.inside);
        if matches!(progress, Progress::Pending) && begun != limit {
            // Its start has just been recorded, and its limits with it: what is inside has to know them.
            progress = env.limited(begun, |env| self.go_on(env, scope, place));
        }
        if matches!(progress, Progress::Pending) {
            env.until_limit(begun);
        }
        progress
    }

    fn go_on(&mut self, env: &mut Env, scope: &mut Scope, place: &Place) -> Progress<Option<StepEnd>> {
        let step = place.step;
        match (&mut self.state, &step.body) {
            (State::Invocation(invocation), Body::Uses { with, .. }) => {
                let manner = Manner { step: Some(step), why: &self.why, round: self.round };
                invocation.advance(env, scope, &Arguments::Templates(with), &manner)
            }
            (State::Script(script), Body::Script(snippet)) => script.advance(env, scope, place, snippet),
            (State::Pure, body) => {
                let (attempt, planned) = match body {
                    Body::Assert(assertions) => pure::check(env, scope, assertions),
                    Body::Findings(rules) => pure::find(env, scope, place.path, rules),
                    _ => return Progress::Pending,
                };
                Progress::Ended(Some(step::finish(env, scope, step, place.path, attempt, planned)))
            }
            (State::Group(block), _) => match block.advance(env, scope) {
                Progress::Pending => Progress::Pending,
                Progress::Ended(end) => {
                    let maybe_over = block.maybe_over;
                    self.group_end(env, scope, place, end, maybe_over)
                }
            },
            (State::Parallel(branches), _) => match branches.advance(env, scope) {
                Progress::Pending => Progress::Pending,
                Progress::Ended(end) => {
                    let maybe_over = branches.maybe_over();
                    self.group_end(env, scope, place, end, maybe_over)
                }
            },
            _ => Progress::Pending,
        }
    }

    /// Opens the body: records its start, unless an invocation does that itself with its arguments.
    ///
    /// # Errors
    /// If one of its limits can't be evaluated.
    fn open(&mut self, env: &mut Env, scope: &Scope, place: &Place) -> Result<(), Failure> {
        let step = place.step;
        let record = env.facts.step(place.path);
        // What was cut off in the middle of its findings finds them again.
        let pure = matches!(step.body, Body::Assert(_) | Body::Findings(_));
        let due = pure || record.is_none_or(|record| record.started.is_none() || record.resend.is_some());
        let again = record.is_some_and(|record| record.resend == Some(Resend::Same));
        let plain_group = step.body.inner().is_some() && !self.round;
        let starts = match &step.body {
            Body::Uses { .. } => false,
            // A group without anything of its own is only its steps.
            // One that was kept out and is tried anew says so.
            Body::Steps(_) if plain_group => {
                step.condition.is_some() && env.maybe == 0 || has_its_own(step) || record.is_some()
            }
            _ => true,
        };
        if starts && again {
            again::restart(env, place.path);
        } else if starts && due {
            let body = match (step.body.inner(), self.undoes) {
                (Some(_), true) => "undo",
                (Some(_), false) if self.round => "iteration",
                _ => step.body.key(),
            };
            let effect = match &step.body {
                Body::Script(snippet) => script::effect_of(env.program, snippet),
                _ => Effect::Pure,
            };
            let times = times(env, scope, step, self.round);
            let start = Start { body, effect, times: times.clone().unwrap_or_default() };
            start_of(env, scope, step, place.path, start, std::mem::take(&mut self.why));
            times?;
        }
        self.state = match &step.body {
            Body::Uses { action, .. } => {
                State::Invocation(Box::new(Invocation::new(place.path.clone(), action.value.clone())))
            }
            Body::Script(_) => State::Script(ScriptTask::default()),
            Body::Assert(_) | Body::Findings(_) => State::Pure,
            Body::Steps(block) => State::Group(BlockTask::new(block)),
            Body::Parallel(branches) => State::Parallel(ParallelTask::new(branches, scope)),
        };
        Ok(())
    }

    /// A group's end follows from its steps; only its own `outputs`, `fail_if` and `until` are evaluated, and that is
    /// pure. In a loop it is recorded, because nothing inside can be read from outside.
    fn group_end(
        &self,
        env: &mut Env,
        scope: &Scope,
        place: &Place,
        end: BlockEnd,
        maybe_over: bool,
    ) -> Progress<Option<StepEnd>> {
        let mut finish = None;
        let mut broken_at = None;
        let attempt = match end {
            BlockEnd::Done => outputs_of(env, scope, place.step),
            BlockEnd::Finished(found) => {
                finish = Some(found);
                Attempt::done(Value::Null)
            }
            BlockEnd::Cancelled(_) => limits::stopped(env, place.path, place.inside),
            BlockEnd::Broken(broken) => {
                broken_at = Some(broken.step);
                Attempt { outcome: broken.outcome, outputs: Value::Null, failure: Some(broken.failure) }
            }
        };
        let (attempt, planned) = match finish {
            Some(_) => (attempt, None),
            None => match again::look(env, scope, place, attempt) {
                Some(judged) => judged,
                None => return Progress::Ended(None),
            },
        };
        let end = match self.round {
            true => step::end(env, place.path, attempt, planned, End { ms: None, broken_at }),
            false => StepEnd { broken_at, ..StepEnd::plain(StepResult::of_attempt(place.path, attempt)) },
        };
        Progress::Ended(Some(StepEnd { finish, maybe_over, ..end }))
    }
}

/// Whether a group has to be known to the journal for itself.
fn has_its_own(step: &Step) -> bool {
    step.retry.is_some() || step.poll.is_some() || step.timeout.is_some() || step.within.is_some()
}

fn outputs_of(env: &Env, scope: &Scope, step: &Step) -> Attempt {
    match step.outputs.as_ref().map(|outputs| env.evaluator(scope, None).named(outputs)) {
        None => Attempt::done(Value::Null),
        Some(Ok(values)) => Attempt::done(Value::Map(values)),
        Some(Err(failure)) => Attempt::failed(failure),
    }
}

/// The limits of a step as they are recorded with its start.
#[derive(Clone, Copy, Default)]
pub(crate) struct Times {
    pub timeout_ms: Option<u64>,
    pub within_ms: Option<u64>,
}

/// Evaluates `timeout` and `within`; in a round of a loop the latter is the loop's.
///
/// # Errors
/// If one is no duration.
pub(crate) fn times(env: &Env, scope: &Scope, step: &Step, round: bool) -> Result<Times, Failure> {
    let evaluator = env.evaluator(scope, None);
    let timeout = step.timeout.as_ref().map(|template| duration_ms(&evaluator, template, "timeout"));
    let within = step.within.as_ref().filter(|_| !round).map(|template| duration_ms(&evaluator, template, "within"));
    Ok(Times { timeout_ms: timeout.transpose()?.flatten(), within_ms: within.transpose()?.flatten() })
}

/// What is recorded at the start of a step that has no arguments.
pub(crate) struct Start<'a> {
    pub body: &'a str,
    pub effect: Effect,
    pub times: Times,
}

/// Records the start of a step without arguments.
pub(crate) fn start_of(env: &mut Env, scope: &Scope, step: &Step, path: &StepPath, start: Start<'_>, why: Map) {
    let attempt = env.facts.step(path).map_or(1, |record| record.next_attempt());
    let name = step::rendered_name(env, scope, step);
    env.emit(Fact::StepStarted(Arc::new(StepStarted {
        step: path.clone(),
        attempt,
        name,
        body: start.body.to_owned(),
        uses: None,
        effect: start.effect,
        repeat: Repeat::Once,
        with: Map::new(),
        vars: Map::new(),
        key: None,
        given: None,
        timeout_ms: start.times.timeout_ms,
        within_ms: start.times.within_ms,
        maybe: env.maybe > 0,
        why,
        reveal: Vec::new(),
    })));
}
