//! One effect, for real: finds the primitive, keeps the time, and turns every end into an outcome.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::drivers::seal::Wanted;
use crate::engine::ids::StepPath;
use crate::engine::machine::{Completion, Perform};
use crate::engine::outcome::{Attempt, Failure, FailureKind};
use crate::runbook::types::parse_duration;
use crate::steps::world::World;
use crate::steps::{Primitive, Read, Write, catalog};

/// How long past its limit a step may take to end by itself before it is cut off: a command that is asked to end
/// has two seconds to do so.
const GRACE: Duration = Duration::from_secs(3);

/// How long an attempt without a limit may take to end when its driver wants to stop: longer than the own limits
/// of all primitives.
const LANDING_MAX: Duration = Duration::from_secs(60);

/// An effect that has ended.
pub struct Flight {
    pub step: StepPath,
    pub completion: Completion,
    /// What is secret of its outputs; nothing may look at them before that is sealed.
    pub wanted: Wanted,
}

/// Effects being performed. Dropping it cuts them off.
#[derive(Default)]
pub struct Flights {
    tasks: JoinSet<Flight>,
    due: Option<Instant>,
}

impl Flights {
    /// Begins an effect.
    pub fn start(&mut self, world: World, perform: Perform) {
        let given = || perform.args.get("timeout")?.as_text().and_then(|text| parse_duration(text).ok());
        let limit = perform.timeout.or_else(given).unwrap_or(LANDING_MAX) + GRACE;
        let due = Instant::now().checked_add(limit);
        self.due = self.due.max(due);
        self.tasks.spawn(take_off(world, perform));
    }

    /// The next effect that ends; `None` if there is none.
    pub async fn next(&mut self) -> Option<Flight> {
        loop {
            // Its task can't end in a panic: what is performed runs in a task of its own.
            if let Ok(flight) = self.tasks.join_next().await? {
                return Some(flight);
            }
        }
    }

    /// An effect that has ended already.
    pub fn landed(&mut self) -> Option<Flight> {
        loop {
            if let Ok(flight) = self.tasks.try_join_next()? {
                return Some(flight);
            }
        }
    }

    /// Whether nothing is being performed.
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// When all of them have ended, by their own limits.
    pub fn due(&self) -> Option<Instant> {
        self.due.filter(|_| !self.tasks.is_empty())
    }
}

/// What may be called for an effect: the type keeps a rehearsal from writing.
pub enum Performer {
    Read(&'static dyn Read),
    Write(&'static dyn Write),
}

/// The primitive behind an effect.
///
/// # Errors
/// If there is none, or it can't have this effect.
pub fn performer(perform: &Perform) -> Result<Performer, Failure> {
    let wrong = |what: &str| Failure::new(FailureKind::Argument, format!("`{}` {what}", perform.uses));
    let entry = catalog::find(&perform.uses).ok_or_else(|| wrong("is not a primitive"))?;
    // Asked before anything is sent: afterwards it would be too late to keep the answer secret.
    Wanted::of(perform).sealing()?;
    match (entry.primitive, perform.effect.changes_the_world()) {
        (Primitive::Read(read) | Primitive::ReadOrWrite(read, _), false) => Ok(Performer::Read(read)),
        (Primitive::Write(write) | Primitive::ReadOrWrite(_, write), true) => Ok(Performer::Write(write)),
        _ => Err(wrong("can't be performed here")),
    }
}

/// Performs an effect to its end. Never fails and never panics: whatever happens is an outcome.
pub async fn take_off(world: World, perform: Perform) -> Flight {
    let started = Instant::now();
    let (step, number, wanted) = (perform.step.clone(), perform.attempt, Wanted::of(&perform));
    let writes = perform.effect.changes_the_world();
    let world = world.of_attempt(&perform.step, perform.attempt);
    let result = match guarded(attempt(world, perform)).await {
        Ok(result) => result,
        Err(failure) if writes => Attempt::in_doubt(failure),
        Err(failure) => Attempt::failed(failure),
    };
    let ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    Flight { step, completion: Completion { ms, ..Completion::of(number, result) }, wanted }
}

/// Does `work` in a task of its own, so that a panic in a step ends the attempt and not the run. Cut off with it.
pub async fn guarded(work: impl Future<Output = Attempt> + Send + 'static) -> Result<Attempt, Failure> {
    let mut task = JoinSet::new();
    task.spawn(work);
    match task.join_next().await {
        Some(Ok(result)) => Ok(result),
        _ => Err(Failure::new(FailureKind::Limit, "the step ended in a panic; this is a bug of rerail")),
    }
}

async fn attempt(world: World, perform: Perform) -> Attempt {
    match performer(&perform) {
        Err(failure) => Attempt::refused(failure),
        Ok(Performer::Read(read)) => look(&world, read, &perform).await,
        Ok(Performer::Write(write)) => {
            let world = limited(&world, &perform);
            match in_time(perform.timeout, write.perform(&world, &perform.args, &perform.key)).await {
                Ok(result) => result,
                Err(failure) => Attempt::in_doubt(failure),
            }
        }
    }
}

/// The world of an attempt that ends by itself at its limit, because it knows best what a limit means there.
fn limited(world: &World, perform: &Perform) -> World {
    match perform.timeout {
        Some(limit) => world.until(tokio::time::Instant::now() + limit),
        None => world.clone(),
    }
}

/// Performs one look. The only way a rehearsal touches the world.
pub async fn look(world: &World, read: &dyn Read, perform: &Perform) -> Attempt {
    match in_time(perform.timeout, read.perform(&limited(world, perform), &perform.args)).await {
        Ok(result) => result,
        Err(failure) => Attempt::failed(failure),
    }
}

async fn in_time(limit: Option<Duration>, work: impl Future<Output = Attempt>) -> Result<Attempt, Failure> {
    let Some(limit) = limit else { return Ok(work.await) };
    tokio::time::timeout(limit + GRACE, work)
        .await
        .map_err(|_| Failure::transient(FailureKind::Timeout, format!("no end within {limit:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_in_a_step_is_an_outcome() {
        let failure = guarded(async { panic!("a bug") }).await.unwrap_err();
        assert!(failure.message.contains("panic"), "{}", failure.message);
        let fine = guarded(async { Attempt::done(crate::script::value::Value::Null) }).await.unwrap();
        assert_eq!(fine.outcome, crate::engine::outcome::Outcome::Done);
    }
}
