//! `crash-loop` where more than one thing goes wrong with its calls.

use rerail::engine::outcome::RunOutcome;
use rerail::runs::Why;

use super::kit::{broken, fixed, place};
use crate::world::faults::Fault;
use crate::world::railway::Railway;

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
