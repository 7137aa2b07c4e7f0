//! One test, played: its run from the start to where nothing moves it any more, over a crash if it has one.

use std::sync::Arc;

use jiff::SignedDuration;

use crate::drivers::mock::MockRun;
use crate::drivers::watch::Why;
use crate::engine::event::{Actor, Body, Event};
use crate::engine::facts::{Facts, RunState};
use crate::engine::ids::{RunId, StepPath};
use crate::engine::machine::{Machine, Signal, Start};
use crate::engine::outcome::Failure;
use crate::project::ProjectError;
use crate::runbook::cases::{Crash, Place, Test, generic, without_prefix};
use crate::runbook::problem::Problem;
use crate::runbook::program::{FileKind, Program};
use crate::runbook::settings::Target;
use crate::runs::Runs;
use crate::runs::drive::sandbox;
use crate::runs::testing::subject::{Ready, Tested};
use crate::runs::testing::world::TestWorld;

/// How often a failed run is reopened by what a test decides: once for each step that may fail is plenty.
const REOPENED_MAX: usize = 20;

/// Where a test has got to.
pub(super) struct Played<'t> {
    pub world: TestWorld<'t>,
    pub facts: Facts,
    pub events: Vec<Event>,
    pub why: Why,
    /// How long it would have taken.
    pub took: SignedDuration,
    /// It was to crash at a step that never ended.
    pub never_crashed: bool,
}

impl Runs {
    /// Makes a test's program ready.
    ///
    /// # Errors
    /// What is wrong with its inputs or its target, at its place.
    pub(super) fn set_up(&self, tested: &Tested, test: &Test) -> Result<(Ready, Target, Option<String>), Problem> {
        let (target, name) = self.target_of(tested, test)?;
        Ok((self.ready(tested, test, &target)?, target, name))
    }

    fn target_of(&self, tested: &Tested, test: &Test) -> Result<(Target, Option<String>), Problem> {
        match &test.target {
            None => Ok((Target::default(), None)),
            Some(Place::Written(target)) => Ok(((**target).clone(), None)),
            Some(Place::Named(name)) => match self.project().target(&name.value) {
                Ok((target, _, known)) => Ok((target, Some(known))),
                Err(error) => {
                    let why = match &error {
                        ProjectError::Invalid(_) => format!("target `{}` has problems", name.value),
                        error => error.to_string(),
                    };
                    Err(Problem::error("E0503", &tested.file.source, name.span, why).label("no target to use"))
                }
            },
        }
    }

    /// Plays a test on this thread, whose stack must fit the deepest script.
    ///
    /// # Errors
    /// Why the run can't begin or be taken up, at the test's name.
    pub(super) fn play<'t>(
        &'t self,
        tested: &'t Tested,
        test: &'t Test,
        program: &'t Arc<Program>,
        set_up: (crate::script::value::Map, &Target, Option<String>),
    ) -> Result<Played<'t>, Problem> {
        let cant = |what: &str, why: &str| {
            let message = format!("the run {what}: {why}");
            Problem::error("E0501", &tested.file.source, test.name.span, message).label("this test")
        };
        let (inputs, target, target_name) = set_up;
        let people = &self.project().settings.people;
        let sandbox = sandbox(program).map_err(|error| cant("can't begin", &error.message))?;
        let roles = people.named(&test.operator).map(|person| person.roles.clone()).unwrap_or_default();
        let operator = Actor::person(test.operator.as_str(), "test", roles);
        let floors = Some(&target.policy.floors).filter(|floors| !floors.is_empty());
        let mut start = Start {
            run: RunId::new(uuid::Uuid::from_u128(RUN)),
            inputs,
            target: target_name,
            root: None,
            files: Vec::new(),
            providers: target.providers.clone(),
            actor: operator.clone(),
            reason: None,
            incident: None,
            fence: 1,
            group: None,
            previous: None,
            floors: floors.cloned().map(Box::new),
            cover: None,
            plan: None,
            traceparent: None,
            rehearsal: false,
        };
        let failed = |failure: Failure| cant("can't begin", &failure.message);
        start.group = Machine::group(program, &sandbox, start.clone(), test.at).map_err(failed)?;
        let mut run = MockRun::start(Arc::clone(program), sandbox, start, test.at).map_err(failed)?;
        let behind = tested.kind == FileKind::Action;
        let mut world = TestWorld::new(test, program, people, behind);
        let crash = test.crash.as_ref();
        let crashes = |events: &[Event]| crash.and_then(|crash| end_of(crash, events, behind));
        run.drive_until(&mut world, |world, events| world.stuck.is_some() || crashes(events).is_some());
        let mut never_crashed = false;
        if let Some(crash) = crash.filter(|_| world.stuck.is_none()) {
            match end_of(crash, &run.events, behind) {
                Some(at) => {
                    let keep = at + usize::from(crash.recorded);
                    run.crash(keep, operator.clone()).map_err(|error| cant("can't be taken up", &error.to_string()))?;
                    drive(&mut run, &mut world);
                }
                None => never_crashed = true,
            }
        }
        for _ in 0..REOPENED_MAX {
            let Some(signal) = world.reopen(run.facts()).filter(|_| world.stuck.is_none()) else { break };
            run.machine.signal(signal, run.now);
            drive(&mut run, &mut world);
        }
        if test.undo && run.facts().finished.is_some() && world.stuck.is_none() {
            let fence = run.facts().fence + 1;
            run.machine.signal(Signal::Undo { actor: operator, reason: None, fence }, run.now);
            drive(&mut run, &mut world);
        }
        let facts = run.facts().clone();
        let why = why(&facts);
        let took = run.now.duration_since(test.at);
        Ok(Played { world, facts, events: run.events, why, took, never_crashed })
    }
}

/// The run of every test: its idempotency keys are the same each time.
const RUN: u128 = 0x019b_8a00_0000_7000_8000_0000_0000_0001;

fn drive(run: &mut MockRun, world: &mut TestWorld<'_>) {
    run.drive_until(world, |world, _| world.stuck.is_some());
}

/// The place of the first end of the step to crash at.
fn end_of(crash: &Crash, events: &[Event], behind: bool) -> Option<usize> {
    let means = |step: &StepPath| {
        let shown = if behind { without_prefix(step.as_str()) } else { step.as_str().to_owned() };
        shown == crash.step.value || generic(&shown) == crash.step.value
    };
    events.iter().position(|event| matches!(&event.body, Body::StepFinished(finished) if means(&finished.step)))
}

/// Why its driver would have returned.
pub(super) fn why(facts: &Facts) -> Why {
    match facts.state() {
        RunState::Ended(_) | RunState::Stuck => Why::Ended,
        RunState::InDoubt => Why::InDoubt,
        RunState::Paused => Why::Paused(facts.paused.clone().unwrap_or_default()),
        RunState::Waiting | RunState::Running => Why::Waiting,
    }
}
