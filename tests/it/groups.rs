//! Groups of called runbooks in the engine: claimed when the call starts, waited for within its limits, held for good.

use std::collections::VecDeque;

use rerail::drivers::replay::replay;
use rerail::engine::event::{Event, Queued};
use rerail::engine::ids::RunId;
use rerail::engine::machine::Signal;
use rerail::engine::machine::groups::Standing;
use rerail::engine::outcome::{FailureKind, Outcome, RunOutcome};
use serde_json::json;

use crate::scenario::{Ended, Scenario, ana, ok};

fn scenario(caller: &str, if_busy: &str) -> Scenario {
    let child = format!(
        "inputs: {{ api: {{ type: string, default: a }} }}
concurrency: {{ group: 'api/${{{{ inputs.api }}}}', if_busy: {if_busy} }}
steps:
  - {{ id: write, uses: http.request, with: {{ method: POST, url: 'http://api.test/${{{{ inputs.api }}}}' }} }}
"
    );
    Scenario::with_actions(caller, &[("runbooks/alone", &child)])
        .answers("http.request", [ok(json!({ "status": 200 }))])
}

const CALL: &str = "steps:\n  - { id: x, uses: runbook, with: { name: alone } }\n";

fn busy(ahead: u64) -> Standing {
    let run = RunId::new("01938f5e-7b00-7000-8000-00000000beef".parse().unwrap());
    Standing::Busy(Queued {
        run: Some(run),
        said: "is held by rollback/beef, at step 4 of 9".to_owned(),
        ahead,
        circle: false,
    })
}

fn told(mut scenario: Scenario, said: impl Into<VecDeque<Standing>>) -> Scenario {
    scenario.world.groups.insert("api/a".to_owned(), said.into());
    scenario
}

fn words(ended: &Ended) -> Vec<&'static str> {
    let words = ended.run.events.iter().map(|event| event.body.word());
    words.filter(|word| word.starts_with("concurrency")).collect()
}

#[test]
fn a_group_is_claimed_at_the_first_call_that_needs_it_and_free_for_those_behind_it() {
    let caller = "steps:
  - { id: x, uses: runbook, with: { name: alone } }
  - { id: y, uses: runbook, with: { name: alone } }
  - { id: z, uses: runbook, with: { name: alone, inputs: { api: b } } }
";
    let ended = scenario(caller, "refuse").run();
    assert_eq!(ended.end().outcome, RunOutcome::Success);
    assert_eq!(words(&ended), ["concurrency.claimed", "concurrency.claimed"]);
    assert!(ended.facts().holds("api/a") && ended.facts().holds("api/b") && !ended.facts().holds("api/c"));
    let before: Vec<_> = ended.run.events.iter().map(|event| event.body.word()).collect();
    assert_eq!(before[..4], ["run.started", "step.started", "concurrency.claimed", "step.started"]);
}

#[test]
fn a_busy_group_refuses_the_call_and_says_who_holds_it() {
    let ended = told(scenario(CALL, "refuse"), [busy(0)]).run();
    assert_eq!((ended.outcomes().as_str(), ended.end().outcome), ("x refused", RunOutcome::Failed));
    let error = ended.end().error.clone().unwrap();
    assert_eq!(error.kind, FailureKind::Busy);
    assert_eq!(error.message, "`api/a` is held by rollback/beef, at step 4 of 9; nothing of `alone` was started");
    assert_eq!((words(&ended), ended.world.count("http.request")), (vec!["concurrency.busy"], 0));
}

#[test]
fn a_refused_call_may_be_caught_and_its_group_asked_for_again() {
    let again = "steps:
  - { id: x, uses: runbook, with: { name: alone }, continue_on_failure: true }
  - { id: y, uses: runbook, with: { name: alone } }
";
    let ended = told(scenario(again, "refuse"), [busy(0), Standing::Held]).run();
    assert_eq!(ended.outcomes(), "x refused, y done, y/write done");
    assert_eq!(words(&ended), ["concurrency.busy", "concurrency.claimed"]);
}

#[test]
fn one_that_waits_says_who_is_in_the_way_once_for_each_news_and_then_goes_on() {
    let said = [busy(1), busy(1), busy(0), Standing::Held];
    let ended = told(scenario(CALL, "wait"), said).run();
    assert_eq!(ended.outcomes(), "x done, x/write done");
    assert_eq!(words(&ended), ["concurrency.waiting", "concurrency.waiting", "concurrency.claimed"]);
}

#[test]
fn waiting_for_a_group_uses_up_the_time_of_the_call() {
    let caller = "steps:\n  - { id: x, uses: runbook, with: { name: alone }, within: 30s }\n";
    let ended = told(scenario(caller, "wait"), [busy(0)]).run();
    assert_eq!(ended.outcomes(), "x failed");
    assert_eq!(ended.end().error.as_ref().unwrap().kind, FailureKind::Timeout);
    assert_eq!(ended.run.now.as_second() - ended.facts().started_at.as_second(), 30);
    assert_eq!(ended.world.count("http.request"), 0);
}

#[test]
fn a_cancelled_run_waits_for_no_group() {
    let scenario = told(scenario(CALL, "wait"), [busy(0)]);
    let (mut world, mut run) = (scenario.world.clone(), scenario.start());
    let waits = run.drive(&mut world, 3);
    assert_eq!(run.facts().step(&"x".into()).unwrap().queued.as_ref().map(|queued| queued.ahead), Some(0));
    let ended = Ended { run, world, waits }.signal(Signal::Cancel { actor: ana(), reason: None });
    assert_eq!((ended.outcomes().as_str(), ended.end().outcome), ("x cancelled", RunOutcome::Cancelled));
    assert_eq!(ended.facts().step(&"x".into()).unwrap().queued, None);
}

#[test]
fn a_group_without_a_name_fails_the_call_before_anything_is_asked() {
    let caller = "steps:\n  - { id: x, uses: runbook, with: { name: alone, inputs: { api: '' } } }\n";
    let child = "inputs: { api: { type: string } }\nconcurrency: { group: '${{ inputs.api }}' }\nsteps:\n  - { id: a, script: '1' }\n";
    let ended = Scenario::with_actions(caller, &[("runbooks/alone", child)]).run();
    assert_eq!(ended.outcomes(), "x failed");
    assert!(ended.message("x").contains("`concurrency.group` gives an empty text"), "{}", ended.message("x"));
    assert!(words(&ended).is_empty());
}

#[test]
fn from_every_prefix_it_goes_on_to_the_same_end_and_replays() {
    for (if_busy, said) in [("wait", vec![busy(1), busy(0), Standing::Held]), ("refuse", vec![busy(0)])] {
        let scenario = told(scenario(CALL, if_busy), said);
        let whole = scenario.run();
        let length = whole.run.events.len();
        for keep in 1..length {
            let (mut world, mut run) = (scenario.world.clone(), scenario.start());
            run.drive(&mut world, keep + 1);
            run.crash(keep, ana()).unwrap();
            // What had been said of the group and was lost is said again.
            world.groups = scenario.world.groups.clone();
            let waits = run.drive(&mut world, usize::MAX);
            let mut ended = Ended { run, world, waits };
            while let Some(step) = ended.waits.doubts.first().cloned() {
                let decision = rerail::engine::event::Decision::NotDone;
                ended = ended.decide(step.as_str(), decision, rerail::script::value::Map::new());
            }
            assert_eq!(ended.outcomes(), whole.outcomes(), "{if_busy}: cut after {keep} events");
            assert_ne!(ended.facts().step(&"x".into()).unwrap().end().unwrap().outcome, Outcome::Failed);
            replay(scenario.program.clone(), scenario.sandbox.clone(), &ended.run.events)
                .unwrap_or_else(|error| panic!("{if_busy}: cut after {keep} events: {error}"));
        }
    }
}

#[test]
fn what_is_written_of_groups_is_read_again_for_ever() {
    let lines = [
        r#"{"v":1,"seq":2,"ts":"2026-11-21T14:00:00Z","type":"concurrency.waiting","step":"x","group":"api/a","run":"01938f5e-7b00-7000-8000-00000000beef","said":"is held by rollback/beef","ahead":1}"#,
        r#"{"v":1,"seq":3,"ts":"2026-11-21T14:00:01Z","type":"concurrency.busy","step":"x","group":"api/a","said":"is free, but others came first and wait for it"}"#,
        r#"{"v":1,"seq":4,"ts":"2026-11-21T14:00:02Z","type":"concurrency.claimed","step":"x","group":"api/a"}"#,
    ];
    for line in lines {
        let event: Event = serde_json::from_str(line).unwrap();
        assert_eq!(serde_json::to_string(&event).unwrap(), line);
    }
}
