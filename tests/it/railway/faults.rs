//! `crash-loop` with each way to break at each call of the provider: never a write that is made twice, never a success
//! that is none, always an end that is known.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use rerail::engine::outcome::RunOutcome;
use rerail::runs::Why;
use rerail::script::value::Value;

use super::kit::{assert_no_secret_below, broken, fixed, place};
use crate::world::faults::Fault;
use crate::world::railway::Railway;

/// Runs at a time: they wait for the pause before the next attempt more than they compute.
const AT_A_TIME: usize = 24;
/// A read breaks off or it doesn't; whether it was heard makes no difference.
const OF_READS: [Fault; 4] = [Fault::LostAnswer, Fault::TooMany, Fault::BrokenBefore, Fault::CutAnswer];

/// The calls of a run in which nothing breaks, and which of them to break how.
fn cases() -> Vec<(usize, String, Fault)> {
    let railway = Railway::serve(broken(false));
    fixed(&railway, &place(&railway), &[]);
    let calls = railway.calls();
    let is_write = |call: &str| ["variableCollectionUpsert", "serviceInstanceDeployV2"].contains(&call);
    let mut cases = Vec::new();
    for (number, call) in calls.iter().enumerate() {
        // One look of a wait is as good as another; the first stands for all.
        if call == "deployment" && calls[..number].contains(call) {
            continue;
        }
        let faults: &[Fault] = if is_write(call) { &Fault::ALL } else { &OF_READS };
        cases.extend(faults.iter().map(|fault| (number, call.clone(), *fault)));
    }
    cases
}

#[test]
fn whatever_breaks_at_whichever_call_no_write_is_made_twice_and_no_success_is_false() {
    let cases = cases();
    assert!(cases.len() > 50, "{cases:?}");
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                while let Some((number, call, fault)) = cases.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let what = format!("{fault:?} at call {number}, {call}");
                    if let Err(why) = broken_at(*number, *fault) {
                        wrong.lock().unwrap().push(format!("{what}: {why}"));
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn broken_at(number: usize, fault: Fault) -> Result<(), String> {
    let railway = Railway::serve(broken(false)).breaks(number, fault);
    let place = place(&railway);
    let left = fixed(&railway, &place, &[]);
    assert_no_secret_below(place.root());
    let done = (railway.effects("set"), railway.effects("deploy"));
    if done != (1, 1) {
        return Err(format!("{done:?} writes"));
    }
    if left.why != Why::Ended {
        return Err(format!("left as {:?}", left.why));
    }
    let end = left.facts.finished.as_ref().unwrap();
    let well = railway.state().app("GET", "/health", None).status == 200;
    match (end.outcome, &end.outputs["verified"]) {
        (RunOutcome::Success, Value::Bool(true)) if well => Ok(()),
        other => Err(format!("{other:?}, well: {well}, {:?}", end.error)),
    }
}

/// Two that break one after the other at a write: what is settled is settled by what is there.
#[test]
fn an_answer_that_is_lost_again_is_looked_for_again() {
    for (first, second) in [(Fault::BrokenBefore, Fault::LostAnswer), (Fault::LostAnswer, Fault::BrokenBefore)] {
        let railway = Railway::serve(broken(false));
        let clean = Railway::serve(broken(false));
        fixed(&clean, &place(&clean), &[]);
        let write = clean.calls().iter().position(|call| call == "variableCollectionUpsert").unwrap();
        let railway = railway.breaks(write, first).breaks(write + 1, second);
        let left = fixed(&railway, &place(&railway), &[]);
        assert_eq!(left.why, Why::Ended);
        assert_eq!((railway.effects("set"), railway.effects("deploy")), (1, 1), "{first:?} {second:?}");
        assert_eq!(left.facts.finished.as_ref().unwrap().outcome, RunOutcome::Success);
    }
}

/// Every call is one too many: nothing is changed, and it is said why.
#[test]
fn a_limit_that_is_used_up_ends_the_run_before_it_changes_anything() {
    let mut state = broken(false);
    state.limit = Some(3);
    let railway = Railway::serve(state);
    let left = fixed(&railway, &place(&railway), &[]);
    let end = left.facts.finished.as_ref().unwrap();
    assert_eq!(end.outcome, RunOutcome::Failed);
    assert!(end.error.as_ref().unwrap().message.contains("429"), "{:?}", end.error);
    assert!(railway.state().effects.is_empty());
}
