//! Every write of a set of runbooks, and everything that can go wrong with it or with what takes it back: at the end
//! the world is as the journal says, and nothing is there that could have been taken back.
//!
//! Each write makes a thing named after its path, and its `undo` removes that thing; so the world is a set of names.

use std::collections::BTreeSet;

use rerail::drivers::replay::replay;
use rerail::engine::event::Decision;
use rerail::engine::facts::RunState;
use rerail::engine::ids::StepPath;
use rerail::engine::machine::Signal;
use rerail::engine::outcome::{Attempt, FailureKind, UndoOutcome};
use rerail::script::value::{Map, Value};
use serde_json::json;

use crate::scenario::{Ended, Scenario, ana, failed, in_doubt, ok, refused};
use crate::undo::undo;

/// More decisions than any of these runs can need.
const DECISIONS_MAX: usize = 30;

/// A step `id` that makes the thing `thing`, a template, and removes it.
fn makes(indent: usize, id: &str, thing: &str) -> String {
    let request = |method: &str| format!("{{ method: {method}, url: 'http://a.test/{thing}' }}");
    let lines = [
        format!("- id: {id}"),
        "  uses: http.request".to_owned(),
        format!("  with: {}", request("POST")),
        "  undo:".to_owned(),
        "    uses: http.request".to_owned(),
        format!("    with: {}", request("DELETE")),
    ];
    lines.iter().map(|line| format!("{}{line}\n", " ".repeat(indent))).collect()
}

/// Runbooks of each shape, with the actions and runbooks they call.
fn shapes() -> Vec<(&'static str, Scenario)> {
    let plain = |id: &str| makes(2, id, id);
    let one_by_one = format!("steps:\n{}{}{}", plain("one"), plain("two"), plain("three"));
    let side_by_side = format!(
        "steps:\n  - id: both\n    parallel:\n{}{}{}",
        makes(6, "left", "left"),
        makes(6, "right", "right"),
        plain("last")
    );
    let items = format!(
        "steps:\n  - id: all\n    foreach: [a, b]\n    steps:\n{}{}{}",
        makes(6, "x", "x-${{ each.value }}"),
        makes(6, "y", "y-${{ each.value }}"),
        plain("last")
    );
    let action = format!(
        "inputs: {{ at: {{ type: string }} }}\nsteps:\n{}{}",
        makes(2, "into", "into-${{ inputs.at }}"),
        makes(2, "out", "out-${{ inputs.at }}")
    );
    let calls = format!(
        "steps:\n{}  - {{ id: called, uses: own, with: {{ at: yaml }} }}\n  - id: told\n    script: 'own(#{{ at: \"script\" }})'\n  - {{ id: child, uses: runbook, with: {{ name: part }} }}\n",
        plain("first")
    );
    let part = format!("steps:\n{}finally:\n{}", plain("inner"), plain("bye"));
    let steps = "steps:\n  - id: pair\n    steps:\n      - { id: near, uses: http.request, with: { method: POST, url: 'http://a.test/near' } }\n      - { id: far, uses: http.request, with: { method: POST, url: 'http://a.test/far' } }\n    undo:\n      steps:\n        - { id: no_far, uses: http.request, with: { method: DELETE, url: 'http://a.test/far' } }\n        - { id: no_near, uses: http.request, with: { method: DELETE, url: 'http://a.test/near' } }\n";
    let steps = format!("{steps}{}", plain("after"));
    let texts: &[(&str, &str)] = &[("own", &action), ("runbooks/part", &part)];
    let all = [
        ("one by one", one_by_one),
        ("side by side", side_by_side),
        ("items", items),
        ("calls", calls),
        ("a group as a whole", steps),
    ];
    all.into_iter()
        .map(|(name, body)| (name, Scenario::with_actions(&body, texts).answers("http.request", [done()])))
        .collect()
}

fn done() -> Attempt {
    ok(json!({ "status": 200 }))
}

/// Paths of the writes of a run that nothing stops, in the order they began.
fn writes(scenario: &Scenario) -> Vec<String> {
    let writes: Vec<String> = scenario.run().world.calls.iter().map(|(path, ..)| path.clone()).collect();
    assert!(writes.len() >= 3);
    writes
}

/// Paths of what takes them back.
fn undos(scenario: &Scenario) -> Vec<String> {
    let back = undo(scenario.run());
    back.world.calls.iter().map(|(path, ..)| path.clone()).filter(|path| path.starts_with("undo/")).collect()
}

/// What is there after these calls; those at `refused` did nothing the first time.
fn world(ended: &Ended, refused: &str) -> BTreeSet<String> {
    let mut there = BTreeSet::new();
    let mut declined = false;
    for (path, _, args) in &ended.world.calls {
        if path == refused && !std::mem::replace(&mut declined, true) {
            continue;
        }
        let text = |name: &str| args.get(name).map(Value::to_string).unwrap_or_default();
        match text("method").as_str() {
            "POST" => drop(there.insert(text("url"))),
            _ => drop(there.remove(&text("url"))),
        }
    }
    there
}

/// How often a path was performed.
fn times(ended: &Ended, path: &str) -> usize {
    ended.world.calls.iter().filter(|(called, ..)| called == path).count()
}

/// Says of every write in doubt what the world knows, until nobody has to be asked.
fn decide(mut ended: Ended, known: &dyn Fn(&Ended, &StepPath) -> Decision) -> Ended {
    for _ in 0..DECISIONS_MAX {
        let Some(step) = ended.waits.doubts.first().cloned() else { return ended };
        let decision = known(&ended, &step);
        ended = ended.decide(step.as_str(), decision, Map::new());
    }
    panic!("still in doubt after {DECISIONS_MAX} decisions");
}

fn assert_taken_back(ended: &Ended, scenario: &Scenario, case: &str) {
    let end = ended.facts().undo_of_run().and_then(|undo| undo.end.clone());
    let end = end.unwrap_or_else(|| panic!("{case}: {:?}", ended.waits));
    assert_eq!((end.outcome, end.left.len()), (UndoOutcome::Done, 0), "{case}");
    assert!(matches!(ended.facts().state(), RunState::Ended(_)), "{case}");
    replay(scenario.program.clone(), scenario.sandbox.clone(), &ended.run.events)
        .unwrap_or_else(|error| panic!("{case}: {error}"));
}

#[test]
fn whatever_a_write_comes_to_nothing_is_left_that_could_be_taken_back() {
    for (name, scenario) in shapes() {
        for write in writes(&scenario) {
            for (word, attempt) in [("fails", failed(FailureKind::Status, "207")), ("is refused", refused())] {
                let case = format!("{name}: `{write}` {word}");
                let scenario = scenario.clone().answers(&write, [attempt]);
                let ended = undo(scenario.run());
                let refused = if word == "is refused" { write.as_str() } else { "" };
                assert_eq!(world(&ended, refused), BTreeSet::new(), "{case}");
                assert_taken_back(&ended, &scenario, &case);
            }
            // In doubt, and sent again because somebody looked: it is taken back once.
            let case = format!("{name}: `{write}` is sent twice");
            let twice = scenario.clone().answers(&write, [in_doubt(), done()]);
            let ended = decide(twice.run(), &|_, _| Decision::NotDone);
            assert_eq!(times(&ended, &write), 2, "{case}");
            let ended = undo(ended);
            assert_eq!(world(&ended, ""), BTreeSet::new(), "{case}");
            assert_taken_back(&ended, &twice, &case);
        }
    }
}

#[test]
fn what_is_taken_back_is_taken_back_once_in_the_reverse_order() {
    for (name, scenario) in shapes() {
        let ended = undo(scenario.run());
        assert_taken_back(&ended, &scenario, name);
        let things = |method: &str| {
            let of = |(_, _, args): &(String, String, Map)| {
                let text = |name: &str| args.get(name).map(Value::to_string).unwrap_or_default();
                (text("method") == method).then(|| text("url"))
            };
            ended.world.calls.iter().filter_map(of).collect::<Vec<_>>()
        };
        let mut made = things("POST");
        made.reverse();
        assert_eq!(things("DELETE"), made, "{name}");
        let before = ended.world.calls.len();
        let twice = undo(ended);
        assert_taken_back(&twice, &scenario, name);
        assert_eq!(twice.world.calls.len(), before, "{name}: taken back a second time");
        assert_eq!(twice.facts().undo_of_run().unwrap().steps.len(), 0, "{name}");
    }
}

#[test]
fn an_undo_that_fails_leaves_exactly_what_the_journal_says_and_another_one_takes_that_back() {
    for (name, scenario) in shapes() {
        let whole = world(&scenario.run(), "");
        for back in undos(&scenario) {
            for (word, attempt) in [("fails", failed(FailureKind::Status, "got 500")), ("is refused", refused())] {
                let case = format!("{name}: `{back}` {word}");
                let scenario = scenario.clone().answers(&back, [attempt, done()]);
                let stuck = undo(scenario.run());
                assert_eq!(stuck.facts().state(), RunState::Stuck, "{case}");
                let left = stuck.facts().left_to_undo().to_vec();
                assert!(
                    StepPath::new(back.as_str()) == left[0].undo()
                        || StepPath::new(back.as_str()).is_below(&left[0].undo()),
                    "{case}"
                );
                let steps = &stuck.facts().undo_of_run().unwrap().steps;
                assert_eq!(steps[steps.len() - left.len()..], left[..], "{case}: what is left is the rest");
                // The failed one did what it does in this world; all behind it is untouched.
                let there = world(&stuck, if word == "is refused" { &back } else { "" });
                assert!(
                    there.is_subset(&whole) && there.len() >= left.len() - usize::from(word == "fails"),
                    "{case}: {there:?}"
                );
                let ended = undo(stuck);
                assert_eq!(world(&ended, if word == "is refused" { &back } else { "" }), BTreeSet::new(), "{case}");
                assert_taken_back(&ended, &scenario, &case);
                for other in undos(&scenario).iter().filter(|other| **other != back) {
                    assert_eq!(times(&ended, other), 1, "{case}: `{other}` was repeated");
                }
                assert_eq!(times(&ended, &back), 2, "{case}");
            }
            let case = format!("{name}: `{back}` is in doubt and is sent again");
            let scenario = scenario.clone().answers(&back, [in_doubt(), done()]);
            let ended = decide(undo(scenario.run()), &|_, _| Decision::NotDone);
            assert_eq!((times(&ended, &back), world(&ended, "")), (2, BTreeSet::new()), "{case}");
            assert_taken_back(&ended, &scenario, &case);
        }
    }
}

/// Runs and takes back, killed once when `keep` events are recorded: before what follows from them is performed, or
/// after that.
fn killed(scenario: &Scenario, keep: usize, performed: bool) -> Ended {
    let mut world = scenario.world.clone();
    let mut run = scenario.start();
    let stop_at = keep + usize::from(performed);
    let mut waits = run.drive(&mut world, stop_at);
    if run.events.len() < stop_at {
        let actor = ana();
        run.machine.signal(Signal::Undo { actor, reason: None, fence: 2 }, run.now);
        waits = run.drive(&mut world, stop_at);
    }
    let ended = Ended { run, world, waits };
    let mut ended = ended;
    ended.run.crash(keep, ana()).unwrap();
    let mut ended = ended.go_on();
    // It has happened if the world was asked for it; else it has not.
    let known = |ended: &Ended, step: &StepPath| match times(ended, step.as_str()) {
        0 => Decision::NotDone,
        _ => Decision::Done,
    };
    ended = decide(ended, &known);
    if ended.facts().undo_of_run().is_none() {
        ended = decide(undo(ended), &known);
    }
    ended
}

#[test]
fn killed_before_or_after_every_effect_each_thing_is_made_and_taken_back_once() {
    for (name, scenario) in shapes() {
        let whole = undo(scenario.run());
        let expected: Vec<String> = whole.world.calls.iter().map(|(path, ..)| path.clone()).collect();
        at_every_kill(name, &scenario, &whole, |ended, case| {
            for path in &expected {
                assert_eq!(times(ended, path), 1, "{case}: `{path}`");
            }
        });
    }
}

/// Kills it at each of the events it has as a whole, before and after what is under way: nothing is left of it.
fn at_every_kill(name: &str, scenario: &Scenario, whole: &Ended, also: impl Fn(&Ended, &str)) {
    for keep in 1..whole.run.events.len() {
        for performed in [false, true] {
            let case = format!("{name}: killed at event {keep}, performed: {performed}");
            let ended = killed(scenario, keep, performed);
            assert_taken_back(&ended, scenario, &case);
            assert_eq!(world(&ended, ""), BTreeSet::new(), "{case}");
            also(&ended, &case);
        }
    }
}

#[test]
fn a_run_that_takes_itself_back_and_is_killed_leaves_nothing_behind_either() {
    let shapes = shapes();
    for (name, plain) in shapes.iter().filter(|(name, _)| ["one by one", "side by side"].contains(name)) {
        let text = plain.program.files[0].source.text.clone();
        let body = text.split_once("reviewed: 2026-11-01\n").unwrap().1;
        let stop = format!(
            "{body}  - {{ id: stop, uses: run.fail, with: {{ message: on purpose }} }}\non_failure:\n  - {{ id: back, uses: run.undo }}\n"
        );
        let scenario = Scenario::new(&stop).answers("http.request", [done()]);
        let whole = scenario.run();
        assert_eq!(world(&whole, ""), BTreeSet::new(), "{name}");
        assert_eq!(
            whole.outputs("on_failure/back").get("undone").map(|list| list.to_json().as_array().unwrap().len()),
            Some(3)
        );
        at_every_kill(name, &scenario, &whole, |ended, case| {
            assert_eq!(ended.world.calls.len(), whole.world.calls.len(), "{case}");
        });
    }
}
