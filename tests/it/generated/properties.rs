//! What holds for every run, whatever its runbook means: no model is asked here.

use std::collections::BTreeMap;

use rerail::drivers::replay::replay;
use rerail::engine::event::{Body, Decision};
use rerail::engine::facts::Facts;
use rerail::engine::machine::Machine;
use rerail::script::value::Value;

use crate::generated::ast::{self, Answer, Case, Interrupt, Verb};
use crate::generated::compare::{self, Played};
use crate::generated::fit::fit;
use crate::generated::generate::{self, WORLDS};
use crate::generated::{cases, first_seed, shown_failures};

/// Of so many cases one is looked at after each of its events, replayed, and searched for repeated writes.
const ONE_OF: u64 = 5;
/// Of so many cases one is killed after each of its events.
const KILLED_ONE_OF: u64 = 25;

pub fn some_cases() -> impl Iterator<Item = Case> {
    (0..cases().div_ceil(ONE_OF)).map(|number| generate::case(first_seed() + number))
}

#[test]
fn a_walk_from_the_start_agrees_with_the_cursor_after_every_event() {
    shown_failures(some_cases(), &agrees);
}

fn agrees(case: &Case) -> Result<(), String> {
    let mut found = Ok(());
    let played = compare::drive(case, &mut |run, scenario| {
        if found.is_err() {
            return;
        }
        let folded = Facts::fold(&run.events).map(|facts| facts == *run.facts());
        let fresh = Machine::load(scenario.program.clone(), scenario.sandbox.clone(), &run.events);
        found = match (folded, fresh) {
            (Ok(true), Ok(mut fresh)) => {
                let decided = fresh.decide(run.now);
                let news: Vec<String> = decided.events.iter().map(|event| format!("{:?}", event.body)).collect();
                match news.is_empty() && fresh.facts() == run.facts() {
                    true => Ok(()),
                    false => Err(format!("after {} events a walk from the start decides {news:?}", run.events.len())),
                }
            }
            (folded, _) => Err(format!("the journal folds to another state: {folded:?}")),
        };
    });
    played.and(found)
}

#[test]
fn replay_of_a_run_decides_the_same_and_performs_nothing() {
    shown_failures(some_cases(), &|case| {
        let Played { scenario, run, .. } = compare::drive(case, &mut |_, _| {})?;
        let replayed = replay(scenario.program, scenario.sandbox, &run.events);
        replayed.map(drop).map_err(|divergence| divergence.to_string())
    });
}

#[test]
fn no_write_is_sent_twice_unless_somebody_said_so() {
    shown_failures(some_cases(), &|case| sent_once(case, &compare::drive(case, &mut |_, _| {})?));
}

/// A write of `repeat: once` is sent once, and again after a refusal that is retried or a decision; the same
/// arguments of a call have the same key.
fn sent_once(case: &Case, played: &Played) -> Result<(), String> {
    for (path, _) in ast::calls(case).into_iter().filter(|(_, call)| call.verb == Verb::Once) {
        let sent = played.world.calls.iter().filter(|(step, ..)| *step == path).count();
        let allowed = played.run.events.iter().filter(|event| match &event.body {
            Body::OutcomeSet { step, decision: Decision::NotDone | Decision::Retry, .. } => step.as_str() == path,
            Body::StepRetrying(retrying) => retrying.step.as_str() == path,
            _ => false,
        });
        let allowed = 1 + allowed.count();
        if sent > allowed {
            return Err(format!("`{path}` was sent {sent} times, and {allowed} were allowed"));
        }
    }
    let mut keys: BTreeMap<(&str, String), &str> = BTreeMap::new();
    for event in &played.run.events {
        let Body::StepStarted(intent) = &event.body else { continue };
        let Some(key) = &intent.key else { continue };
        let args = Value::Map(intent.with.clone()).to_json().to_string();
        if keys.insert((intent.step.as_str(), args), key).is_some_and(|before| before != key) {
            return Err(format!("`{}` was sent again with another key", intent.step));
        }
    }
    Ok(())
}

#[test]
fn resumed_from_any_prefix_a_run_ends_as_if_nothing_had_happened() {
    let cases = (0..cases().div_ceil(KILLED_ONE_OF)).map(|number| generate::case(first_seed() + number * WORLDS));
    shown_failures(cases.map(|case| steady(&case)), &|case| resumes(&steady(case)));
}

/// The case in a world that always answers the same, so that nothing hangs on how often it is asked.
pub fn steady(case: &Case) -> Case {
    let mut case = case.clone();
    case.interrupt = Interrupt::None;
    // A doubt stops the clocks around it, and a killed process leaves one where there was none.
    case.prompt = true;
    fit(&mut case);
    ast::each_step_mut(&mut case, &mut |step| {
        // An attempt that is taken up again has its time anew.
        step.timeout_s = None;
        // A look that is lost with its process is made up for, but a row begins anew.
        if let Some(until) = &mut step.until {
            until.in_a_row = 1;
        }
    });
    ast::each_call_mut(&mut case, &mut |call| {
        call.answers.truncate(1);
        if call.answers == [Answer::InDoubt] {
            call.answers = vec![Answer::Done(1)];
        }
        // Every doubt is that of a killed process.
        call.decisions = vec![Decision::NotDone];
    });
    case
}

fn resumes(case: &Case) -> Result<(), String> {
    let whole = compare::drive(case, &mut |_, _| {})?;
    if compare::is_vague(case, &whole) {
        return Ok(());
    }
    for keep in 1..whole.run.events.len() {
        let killed = Case { interrupt: Interrupt::Kill(keep), ..case.clone() };
        let mut resumed = compare::drive(&killed, &mut |_, _| {})?;
        resumed.story.calls.clone_from(&whole.story.calls);
        if let Some(difference) = compare::difference(case, &resumed.story, &whole.story) {
            let difference = difference.replace("the engine says", "resumed").replace("the model", "uninterrupted");
            return Err(format!("killed after {keep} events\n{difference}"));
        }
    }
    Ok(())
}
