//! A body once for each item: rounds in order or side by side, each with a scope of its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::engine::evaluate::Truth;
use crate::engine::event::Body as Fact;
use crate::engine::event::StepStarted;
use crate::engine::facts::{Facts, Record};
use crate::engine::ids::StepPath;
use crate::engine::machine::Env;
use crate::engine::outcome::{Attempt, Failure, FailureKind, Outcome};
use crate::engine::scope::{Broken, Each, Scope, StepResult};
use crate::engine::walk::again;
use crate::engine::walk::instance::{Instance, times};
use crate::engine::walk::leaf::after;
use crate::engine::walk::limits::Inside;
use crate::engine::walk::parallel::worse;
use crate::engine::walk::step::{self, End};
use crate::engine::walk::{Finish, Progress, StepEnd, limits};
use crate::runbook::model::Step;
use crate::runbook::spec::{Effect, Repeat};
use crate::script::value::{Map, Unknown, Value};

/// Items of one loop: as many as a run may have steps.
pub const ITEMS_MAX: usize = 10_000;

/// A loop being walked.
pub(crate) struct ForeachTask {
    path: StepPath,
    why: Map,
    rounds: Option<Rounds>,
}

struct Rounds {
    items: Vec<Value>,
    max_parallel: usize,
    next: usize,
    open: BTreeMap<usize, (Scope, Instance)>,
    /// Rehearsal: a round is not known.
    planned: bool,
    /// Outputs of the round before, where rounds have an order.
    previous: Value,
    /// The worst round so far.
    broken: Option<Broken>,
    finish: Option<Finish>,
    /// Rounds in a row that met `until`.
    in_a_row: u32,
    /// No further round begins: one failed, `until` is met, or the runbook ends here.
    closed: bool,
    met: bool,
    /// What ended it beside its rounds.
    failure: Option<Failure>,
    maybe_over: bool,
}

impl ForeachTask {
    pub(crate) fn new(path: StepPath, why: Map) -> ForeachTask {
        ForeachTask { path, why, rounds: None }
    }

    pub(crate) fn advance(&mut self, env: &mut Env, scope: &Scope, step: &Arc<Step>) -> Progress<StepEnd> {
        if env.decided.waits.paused.is_some() {
            return Progress::Pending;
        }
        if let Some(end) = over(env, &self.path) {
            return Progress::Ended(end);
        }
        if self.rounds.is_none() {
            match self.open(env, scope, step) {
                Ok(rounds) => self.rounds = Some(rounds),
                Err(end) => return Progress::Ended(*end),
            }
        }
        let limit = limits::of(env, &self.path, Inside::Below(&self.path));
        let path = self.path.clone();
        let Some(rounds) = &mut self.rounds else { return Progress::Pending };
        let all_over = env.limited(limit, |env| rounds.advance(env, scope, step, &path));
        if env.decided.waits.paused.is_some() {
            return Progress::Pending;
        }
        if !all_over {
            env.until_limit(limit);
            return Progress::Pending;
        }
        let attempt = rounds.come_to(env, step, &path);
        // Where it was stopped is no place where it broke: a limit that is up is the loop's own failure.
        let stopped = |broken: &Broken| broken.outcome == Outcome::Cancelled || rounds.is_cut_short();
        let broken_at = rounds.broken.as_ref().filter(|broken| !stopped(broken)).map(|broken| broken.step.clone());
        // A round that finishes the runbook does so unless another one is broken.
        let finish = rounds.finish.take().filter(|_| attempt.outcome.lets_the_run_go_on());
        let maybe_over = rounds.maybe_over;
        step::end(env, &path, attempt, None, End { ms: None, broken_at });
        let end = over(env, &path).unwrap_or_else(|| StepEnd::plain(StepResult::bare(&path, Outcome::Failed)));
        Progress::Ended(StepEnd { finish, maybe_over, ..end })
    }

    /// Evaluates the list once and records it.
    fn open(&mut self, env: &mut Env, scope: &Scope, step: &Step) -> Result<Rounds, Box<StepEnd>> {
        let due = env.facts.step(&self.path).is_none_or(|record| record.started.is_none() || record.resend.is_some());
        if due {
            let evaluated = evaluate(env, scope, step)
                .and_then(|(items, max_parallel)| Ok((items, max_parallel, times(env, scope, step, false)?)));
            let (with, times, failure, unknown) = match evaluated {
                Ok((Value::List(items), max_parallel, times)) => {
                    let max_parallel = Value::Int(i64::try_from(max_parallel).unwrap_or(i64::MAX));
                    let items = Value::List(items);
                    let with = Map::from([("items".to_owned(), items), ("max_parallel".to_owned(), max_parallel)]);
                    (with, times, None, None)
                }
                Ok((other, _, times)) => (Map::new(), times, None, other.unknown().cloned()),
                Err(failure) => (Map::new(), Default::default(), Some(failure), None),
            };
            let attempt = env.facts.step(&self.path).map_or(1, Record::next_attempt);
            env.emit(Fact::StepStarted(Arc::new(StepStarted {
                step: self.path.clone(),
                attempt,
                name: step::rendered_name(env, scope, step),
                body: "foreach".to_owned(),
                uses: None,
                effect: Effect::Pure,
                repeat: Repeat::Once,
                with,
                vars: Map::new(),
                key: None,
                given: None,
                // Of each round.
                timeout_ms: None,
                within_ms: times.within_ms,
                maybe: env.maybe > 0,
                why: std::mem::take(&mut self.why),
                reveal: Vec::new(),
            })));
            if let Some(failure) = failure {
                let end = step::end(env, &self.path, Attempt::failed(failure), None, End::default());
                return Err(Box::new(end));
            }
            if let Some(unknown) = unknown {
                if env.program.effect_of(step).changes_the_world() {
                    env.find_unknown(&self.path);
                }
                return Err(Box::new(self.planned(env, &unknown)));
            }
        }
        let intent = env.facts.step(&self.path).and_then(|record| record.started.as_ref()).map(|s| &s.intent.with);
        let items = match intent.and_then(|with| with.get("items")) {
            Some(Value::List(items)) => items.clone(),
            _ => Vec::new(),
        };
        let max_parallel = match intent.and_then(|with| with.get("max_parallel")) {
            Some(Value::Int(most)) => usize::try_from(*most).unwrap_or(1).max(1),
            _ => 1,
        };
        Ok(Rounds {
            items,
            max_parallel,
            next: 0,
            open: BTreeMap::new(),
            planned: false,
            previous: Value::Null,
            broken: None,
            finish: None,
            in_a_row: 0,
            closed: false,
            met: false,
            failure: None,
            maybe_over: false,
        })
    }

    /// Rehearsal: over which items can't be known.
    fn planned(&self, env: &mut Env, unknown: &Unknown) -> StepEnd {
        let outputs = Value::Unknown(Unknown { origin: self.path.to_string() });
        let summary = format!("over what is known after `{}`", unknown.origin);
        let planned = crate::engine::event::Planned { summary, ..Default::default() };
        let attempt = Attempt { outcome: Outcome::Planned, outputs, failure: None };
        step::end(env, &self.path, attempt, Some(planned), End::default())
    }
}

impl Rounds {
    /// Moves every open round and opens new ones; true when all that will run has ended.
    fn advance(&mut self, env: &mut Env, scope: &Scope, step: &Arc<Step>, path: &StepPath) -> bool {
        loop {
            let mut ended = Vec::new();
            for (index, (inner, instance)) in &mut self.open {
                if let Progress::Ended(end) = instance.advance(env, inner, step) {
                    ended.push((*index, end));
                }
            }
            let moved = !ended.is_empty();
            for (index, end) in ended {
                let scope = self.open.remove(&index).map(|(scope, _)| scope);
                self.take_end(env, step, end, scope);
            }
            if env.decided.waits.paused.is_some() {
                return false;
            }
            let opened = self.open_next(env, scope, step, path);
            if !moved && !opened {
                return self.open.is_empty() && !self.is_pausing(env, scope, step, path);
            }
        }
    }

    /// Opens the next round if there is one and it may begin.
    fn open_next(&mut self, env: &mut Env, scope: &Scope, step: &Arc<Step>, path: &StepPath) -> bool {
        if self.next >= self.items.len() || self.open.len() >= self.max_parallel {
            return false;
        }
        let item = path.item(self.next);
        // Rounds that had begun before a restart come to their ends, whatever became of the others since.
        let begun = env.facts.step(&item).is_some();
        if !begun && (self.closed || env.stopping() || self.is_pausing(env, scope, step, path)) {
            return false;
        }
        let each = Each {
            value: self.items[self.next].clone(),
            index: self.next,
            previous: (self.max_parallel == 1).then(|| self.previous.clone()),
        };
        let mut inner = Scope { each: Some(Arc::new(each)), ..scope.clone() };
        if step.body.inner().is_some() {
            inner.prefix = item.clone();
        }
        self.open.insert(self.next, (inner, Instance::new(item, true, Map::new())));
        self.next += 1;
        true
    }

    /// Whether the pause before the next round (`every`) is not over; sets the timer.
    fn is_pausing(&self, env: &mut Env, scope: &Scope, step: &Step, path: &StepPath) -> bool {
        let Some(poll) = step.poll.as_ref().filter(|_| !self.closed && self.next > 0 && self.next < self.items.len())
        else {
            return false;
        };
        if env.stopping() || env.is_rehearsal() {
            return false;
        }
        let before = env.facts.step(&path.item(self.next - 1)).and_then(|record| record.finished_at);
        let (Some(before), Ok(Some(every))) = (before, again::every(env, scope, poll)) else { return false };
        let at = after(before, every);
        if env.now < at {
            env.decided.waits.timer(at);
        }
        env.now < at
    }

    fn take_end(&mut self, env: &Env, step: &Step, end: StepEnd, scope: Option<Scope>) {
        let result = end.result;
        self.maybe_over |= end.maybe_over;
        self.previous = if result.outcome == Outcome::Done { result.outputs().clone() } else { Value::Null };
        if let Some(finish) = end.finish {
            self.finish.get_or_insert(finish);
            self.closed = true;
        }
        if !result.outcome.lets_the_run_go_on() {
            let at = end.broken_at.unwrap_or_else(|| result.path.clone());
            let failure = result.error.clone().unwrap_or_else(|| {
                Failure::new(FailureKind::Stopped, format!("`{}` is {}", result.path, result.outcome.word()))
            });
            let broken = Broken { step: at, outcome: result.outcome, failure };
            self.broken = Some(worse(self.broken.take(), broken));
            let final_word = matches!(result.outcome, Outcome::Cancelled | Outcome::Rejected);
            self.closed |= !step.continue_on_failure || final_word;
        } else if let (Some(poll), Some(scope)) = (&step.poll, scope)
            && result.outcome == Outcome::Done
            && !self.closed
        {
            match env.evaluator(&scope, Some(result.outputs())).truth(&poll.until) {
                Ok(Truth::Yes) => self.in_a_row += 1,
                Ok(Truth::No | Truth::Unknown(_)) => self.in_a_row = 0,
                Err(failure) => {
                    self.failure = Some(failure);
                    self.closed = true;
                }
            }
            self.met = self.in_a_row >= poll.in_a_row;
            self.closed |= self.met;
        }
        self.planned |= result.outcome == Outcome::Planned;
    }

    /// Whether items were left though nothing closed the loop: it was stopped.
    fn is_cut_short(&self) -> bool {
        self.next < self.items.len() && !self.closed
    }

    /// What the loop came to.
    fn come_to(&mut self, env: &Env, step: &Step, path: &StepPath) -> Attempt {
        if self.is_cut_short() {
            return limits::stopped(env, path, Inside::Below(path));
        }
        if let Some(broken) = &self.broken {
            // One that failed and one that was refused are both a loop that failed.
            let outcome = match broken.outcome {
                Outcome::Refused => Outcome::Failed,
                Outcome::Cancelled => return limits::stopped(env, path, Inside::Below(path)),
                outcome => outcome,
            };
            return Attempt { outcome, outputs: Value::Null, failure: Some(broken.failure.clone()) };
        }
        if let Some(failure) = self.failure.take() {
            return Attempt::failed(failure);
        }
        if step.poll.is_some() && !self.met && self.finish.is_none() && !self.planned {
            let message = format!("`until` was not met by any of {} item(s)", self.items.len());
            return Attempt::failed(Failure::new(FailureKind::Timeout, message));
        }
        let outcome = if self.planned { Outcome::Planned } else { Outcome::Done };
        Attempt { outcome, outputs: Value::Null, failure: None }
    }
}

/// The end of a loop the facts know to be over; its outputs are those of its rounds.
fn over(env: &Env, path: &StepPath) -> Option<StepEnd> {
    Some(step::ended(env, path, result_of(env.facts, path)?))
}

/// What the facts say of an ended loop and its rounds.
pub(crate) fn result_of(facts: &Facts, path: &StepPath) -> Option<StepResult> {
    let record = facts.step(path)?;
    let result = StepResult::of(path, record)?;
    let items = match record.started.as_ref().and_then(|started| started.intent.with.get("items")) {
        Some(Value::List(items)) => items.len(),
        _ => return Some(result),
    };
    let rounds = (0..items).map(|index| {
        let path = path.item(index);
        facts.step(&path).and_then(|record| StepResult::of(&path, record))
    });
    let (outcomes, outputs) = rounds
        .map(|round| match round {
            Some(round) if matches!(round.outcome, Outcome::Done | Outcome::Planned) => {
                (round.outcome, round.outputs().clone())
            }
            Some(round) => (round.outcome, Value::Null),
            None => (Outcome::NotRun, Value::Null),
        })
        .unzip();
    Some(result.of_rounds(outcomes, outputs))
}

/// The items and how many at a time.
fn evaluate(env: &Env, scope: &Scope, step: &Step) -> Result<(Value, usize), Failure> {
    let Some(foreach) = &step.foreach else { return Ok((Value::List(Vec::new()), 1)) };
    let evaluator = env.evaluator(scope, None);
    let items = match evaluator.template(&foreach.items)? {
        Value::List(items) if items.len() > ITEMS_MAX => {
            let message = format!("`foreach` has {} items, more than {ITEMS_MAX}", items.len());
            return Err(Failure::new(FailureKind::Limit, message));
        }
        items @ (Value::List(_) | Value::Unknown(_)) => items,
        other => {
            let message = format!("`foreach` needs a list, got {}", other.kind());
            return Err(Failure::new(FailureKind::Script, message));
        }
    };
    let most = match foreach.max_parallel.as_ref().map(|most| evaluator.template(most)).transpose()? {
        None | Some(Value::Unknown(_)) => 1,
        Some(Value::Int(most @ 1..)) => usize::try_from(most).unwrap_or(ITEMS_MAX),
        Some(other) => {
            let message = format!("`max_parallel`: expected a whole number from 1 on, got {other}");
            return Err(Failure::new(FailureKind::Argument, message));
        }
    };
    Ok((items, most))
}
