//! Every write of Vercel, broken in every way at every call: made once, and known to be.

use rerail::engine::outcome::RunOutcome;
use rerail::runs::Why;
use rerail::world::vercel::Vercel;
use serde_json::json;

use super::kit::{GOOD, act_well, effects, run, served, shop, world};
use crate::world::faults::Fault;

/// Writes, each with its arguments and what it does to a shop.
const WRITES: [(&str, &str); 6] = [
    ("vercel.env_set", "values: { NEXTAUTH_SECRET: other, FRESH: other }"),
    ("vercel.env_set", "values: { AUTH_SECRET: other }"),
    ("vercel.env_remove", "names: [NEXTAUTH_SECRET]"),
    ("vercel.deploy", "grace: 20ms"),
    ("vercel.rollback", "every: 1ms"),
    ("vercel.promote", "every: 1ms, deployment: dpl_example000001"),
];

fn is_write(call: &str) -> bool {
    !call.starts_with("GET")
}

#[test]
fn every_write_is_made_once_over_every_fault() {
    std::thread::scope(|scope| {
        for (action, with) in WRITES {
            scope.spawn(move || {
                let clean = served(shop());
                act_well(&clean, action, with);
                let done = effects(&clean);
                let calls = clean.calls().names();
                for (number, call) in calls.iter().enumerate().filter(|(_, call)| is_write(call)) {
                    for fault in Fault::ALL {
                        let shop = served(shop());
                        shop.calls().breaks(number, fault);
                        let left = run(&shop, action, with);
                        let what = format!("{action} {with}: {fault:?} at {call}");
                        let end = left.facts.finished.as_ref();
                        assert_eq!(left.why, Why::Ended, "{what}: {end:?}");
                        let outcome = end.map(|end| end.outcome);
                        // An empty 201 can't be told from a page but by its status: nothing was done, and that is said.
                        let unsure = fault == Fault::Page && call.contains("{deployment}");
                        if unsure {
                            assert_eq!((outcome, effects(&shop)), (Some(RunOutcome::Failed), json!({})), "{what}");
                        } else {
                            assert_eq!(
                                (outcome, effects(&shop)),
                                (Some(RunOutcome::Success), done.clone()),
                                "{what}: {end:?}"
                            );
                        }
                    }
                }
            });
        }
    });
}

/// A write that happened and whose answer was lost, with something that hides it.
fn doubtful(change: impl FnOnce(&mut Vercel), action: &str, with: &str) -> (Why, serde_json::Value) {
    let clean = served(shop());
    act_well(&clean, action, with);
    let write = clean.calls().names().iter().position(|call| is_write(call)).unwrap();
    let shop = world(change);
    shop.calls().breaks(write, Fault::LostAnswer);
    let left = run(&shop, action, with);
    (left.why, effects(&shop))
}

#[test]
fn a_build_is_found_by_its_tag_among_those_of_others() {
    // Somebody else deploys at the same moment: theirs has no tag of ours.
    let beside = |vercel: &mut Vercel| vercel.beside = Some("deploy");
    assert_eq!(doubtful(beside, "vercel.deploy", "grace: 20ms"), (Why::Ended, json!({ "deploy": 1 })));
    // Nothing promises that lists are filtered by tags.
    let unfiltered = |vercel: &mut Vercel| vercel.filters = false;
    assert_eq!(doubtful(unfiltered, "vercel.deploy", "grace: 20ms"), (Why::Ended, json!({ "deploy": 1 })));
}

#[test]
fn a_cancel_whose_answer_is_lost_is_not_sent_twice() {
    let built = || world(|vercel| vercel.slow = 9);
    let shop = built();
    let id = act_well(&shop, "vercel.deploy", "")["deployment"].as_str().unwrap().to_owned();
    let deployed = shop.calls().names().len();
    act_well(&shop, "vercel.cancel", &format!("deployment: {id}"));
    let at = shop.calls().names()[deployed..].iter().position(|call| is_write(call)).unwrap();
    for fault in Fault::ALL {
        let shop = built();
        let id = act_well(&shop, "vercel.deploy", "")["deployment"].as_str().unwrap().to_owned();
        shop.calls().breaks(shop.calls().names().len() + at, fault);
        act_well(&shop, "vercel.cancel", &format!("deployment: {id}"));
        assert_eq!(effects(&shop), json!({ "deploy": 1, "cancel": 1 }), "{fault:?}");
    }
}

/// Somebody's change of the domains is under way when ours is wanted.
#[test]
fn a_change_that_is_under_way_is_waited_for() {
    let shop = world(|vercel| {
        let newest = vercel.built(0, true, true);
        let moving = ["in-progress", "in-progress", "succeeded"];
        let last = rerail::world::vercel::Move {
            is_rollback: false,
            from: super::kit::BAD.to_owned(),
            to: newest,
            status: "pending",
            at: 1,
            ahead: moving.into(),
        };
        vercel.projects[0].last = Some(last);
    });
    act_well(&shop, "vercel.rollback", &format!("every: 1ms, deployment: {GOOD}"));
    assert_eq!(effects(&shop), json!({ "rollback": 1 }));
    assert_eq!(shop.state().serving().unwrap().id, GOOD);
}
