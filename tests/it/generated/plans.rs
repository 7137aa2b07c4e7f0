//! Saved plans of generated runbooks: a plan has every write that the run makes, and a run that applies it makes no
//! other one, whatever the world has become.

use std::cell::Cell;

use rerail::engine::change::Cover;
use rerail::engine::event::{Body, Event};
use rerail::engine::ids::StepPath;
use rerail::engine::outcome::FailureKind;
use rerail::script::value::Map;

use crate::generated::ast::{self, Answer, Case, Verb};
use crate::generated::compare::{self, Played};
use crate::generated::properties::{some_cases, steady};
use crate::generated::shown_failures;
use crate::scenario::Scenario;

/// The least of all drifts that must have changed a write, or the test would prove nothing.
const DRIFTED_MIN: u32 = 10;

/// What a rehearsal of the whole case finds.
fn plan(scenario: &Scenario) -> Cover {
    let run = scenario.start();
    let found = scenario.world.rehearse(run.machine.look_ahead(&StepPath::root()), run.now);
    let changes = found.found.into_iter().map(|found| found.change).collect();
    Cover { plan: "sha256:1".into(), changes, open: found.open }
}

fn applied(case: &Case, plan: &Cover) -> Result<Played, String> {
    let mut scenario = compare::scenario(case)?;
    scenario.cover = Some(Box::new(plan.clone()));
    compare::drive_as(case, scenario, &mut |_, _| {})
}

/// The writes that were sent, with their arguments.
fn sent(played: &Played) -> Vec<(StepPath, Map)> {
    let intent = |event: &Event| match &event.body {
        Body::StepStarted(intent) if intent.key.is_some() => Some((intent.step.clone(), intent.with.clone())),
        _ => None,
    };
    played.run.events.iter().filter_map(intent).collect()
}

/// Whether a plan has a write, or says why it doesn't: that it could not know it, or that something failed.
fn has(plan: &Cover, step: &StepPath, with: &Map) -> bool {
    let afterwards = step.as_str().split('/').any(|part| part == "on_failure" || part == "finally");
    plan.at(step).is_some_and(|change| change.with == *with) || plan.leaves_open(step) || afterwards
}

/// Why a run was stopped by its plan, if it was.
fn stopped(played: &Played) -> Option<String> {
    let ends = played.run.events.iter().filter_map(|event| match &event.body {
        Body::StepFinished(end) => Some((&end.step, end.error.as_ref()?)),
        _ => None,
    });
    let mut stale = ends.filter(|(_, error)| error.kind == FailureKind::Stale);
    stale.next().map(|(step, error)| format!("{step}: {}", error.message))
}

#[test]
fn in_a_world_that_stays_as_it_is_a_plan_has_every_write_of_its_run() {
    shown_failures(some_cases().map(|case| steady(&case)), &|case| {
        let case = steady(case);
        let plan = plan(&compare::scenario(&case)?);
        let free = compare::drive(&case, &mut |_, _| {})?;
        if let Some((step, _)) = sent(&free).into_iter().find(|(step, with)| !has(&plan, step, with)) {
            return Err(format!("the plan lacks the write of `{step}`"));
        }
        match stopped(&applied(&case, &plan)?) {
            Some(why) => Err(format!("a run that applies the plan of the same world was stopped at {why}\n{plan:?}")),
            None => Ok(()),
        }
    });
}

#[test]
fn whatever_the_world_has_become_no_write_is_made_that_the_plan_does_not_have() {
    let drifted = Cell::new(0);
    shown_failures(some_cases().map(|case| steady(&case)), &|case| {
        let case = steady(case);
        let plan = plan(&compare::scenario(&case)?);
        for read in ast::calls(&case).into_iter().filter(|(_, call)| call.verb == Verb::Read).map(|(path, _)| path) {
            for answer in [Answer::Done(7), Answer::Refused { transient: false }] {
                let mut world = compare::scenario(&case)?;
                world.world.answers.insert(read.clone(), vec![compare::attempt(answer)]);
                let free = compare::drive_as(&case, world.clone(), &mut |_, _| {})?;
                let differs = sent(&free).iter().any(|(step, with)| !has(&plan, step, with));
                world.cover = Some(Box::new(plan.clone()));
                let held = compare::drive_as(&case, world, &mut |_, _| {})?;
                if let Some((step, _)) = sent(&held).into_iter().find(|(step, with)| !has(&plan, step, with)) {
                    return Err(format!("`{read}` gave {answer:?}, and `{step}` was written though the plan lacks it"));
                }
                if differs && stopped(&held).is_none() {
                    return Err(format!("`{read}` gave {answer:?}, and nothing stopped the run"));
                }
                drifted.set(drifted.get() + u32::from(differs));
            }
        }
        Ok(())
    });
    let drifted = drifted.get();
    eprintln!("{drifted} drifts changed a write, and all were stopped before it");
    assert!(drifted >= DRIFTED_MIN, "only {drifted} drifts changed a write");
}
