//! Resume from any prefix equals the uninterrupted run; replay performs nothing; the fold is total.

use proptest::prelude::*;
use rerail::drivers::replay::replay;
use rerail::engine::event::{Body, Decision, Event};
use rerail::engine::facts::Facts;
use rerail::engine::ids::StepPath;
use rerail::engine::machine::{Machine, Signal};
use rerail::engine::outcome::{FailureKind, Outcome};
use rerail::script::value::{Map, Value};
use serde_json::json;

use crate::scenario::{Ended, Scenario, ana, failed, in_doubt, ok, refused};

/// Runbooks that together use every kind of step, with a world for each.
fn scenarios() -> Vec<(&'static str, Scenario)> {
    let fix = "
inputs: { base: { type: string } }
steps:
  - id: before
    uses: http.probe
    with: { url: '${{ inputs.base }}/state' }
  - id: write
    if: steps.before.outputs.status != 200
    uses: http.request
    with: { method: POST, url: '${{ inputs.base }}/fix' }
outputs: { was: '${{ steps.before.outputs.status }}' }
";
    vec![
        (
            "writes, polls, groups and a failure path",
            Scenario::new(
                "
steps:
  - { id: one, uses: http.request, with: { method: POST, url: 'http://a.test/1' } }
  - id: group
    steps:
      - { id: two, uses: http.request, with: { method: POST, url: 'http://a.test/2' } }
      - { id: nap, uses: time.sleep, with: { duration: 10s } }
  - id: healthy
    uses: http.probe
    with: { url: 'http://a.test/health' }
    until: result.ok
    within: 1m
  - { id: three, uses: http.request, with: { method: POST, url: 'http://a.test/3' }, continue_on_failure: true }
  - id: verdict
    findings: [{ when: steps.three.outcome == \"failed\", level: warning, say: three failed }]
  - { id: end, uses: run.fail, with: { message: on purpose } }
on_failure:
  - { id: tell, uses: http.request, with: { method: POST, url: 'http://chat.test/' } }
finally:
  - { id: last, uses: time.now }
",
            )
            .answers("one", [ok(json!({ "status": 200, "json": { "id": 1 } }))])
            .answers("two", [ok(json!({ "status": 200 }))])
            .answers("healthy", [ok(json!({ "ok": false, "status": 503 })), ok(json!({ "ok": true, "status": 200 }))])
            .answers("three", [failed(FailureKind::Expect, "207")])
            .answers("http.request", [ok(json!({ "status": 200 }))])
            .answers("time.now", [ok(json!({ "unix_ms": 1 }))]),
        ),
        (
            "a script that reads, writes and catches, and an action",
            Scenario::with_actions(
                "
steps:
  - id: work
    script: |
      let seen = http::probe(#{ url: \"http://a.test/\" });
      let sent = http::request(#{ method: \"POST\", url: \"http://a.test/x\", json: #{ n: seen.status } });
      let other = ();
      try { http::request(#{ method: \"GET\", url: \"http://b.test/\" }); } catch (e) { other = e.kind; }
      let fixed = fix(#{ base: \"http://c.test\" });
      print(`was ${fixed.was}`);
      #{ other: other, was: fixed.was, status: sent.status }
  - id: again
    uses: fix
    with: { base: 'http://d.test' }
  - id: asked
    uses: human.ask
    with: { text: 'go on?', choices: ['yes it is', 'not now'] }
outputs: { was: '${{ steps.work.outputs.was }}', said: '${{ steps.asked.outputs.answer }}' }
",
                &[("fix", fix)],
            )
            .answers("http.probe", [ok(json!({ "status": 503, "ok": false }))])
            .answers("work/http.request#2", [refused()])
            .answers("http.request", [ok(json!({ "status": 201 }))])
            .person("asked", "yes it is"),
        ),
    ]
}

/// What must be equal, however often the run was interrupted: not times, not attempts.
fn essence(ended: &Ended) -> serde_json::Value {
    let facts = ended.facts();
    let end = ended.end();
    json!({
        "outcome": end.outcome.word(),
        "failed": end.failed_step.as_ref().map(StepPath::as_str),
        "outputs": Value::Map(end.outputs.clone()).to_json(),
        "findings": facts.findings.iter().map(|f| f.say.clone()).collect::<Vec<_>>(),
        "steps": facts.steps.iter().filter_map(|(path, record)| {
            let finished = record.end()?;
            Some((path.to_string(), json!([finished.outcome.word(), finished.outputs.to_json()])))
        }).collect::<serde_json::Map<_, _>>(),
    })
}

/// Goes on after a crash; a person says of every write in doubt what the world's table knows of it.
fn go_on_with_decisions(mut ended: Ended, truth: &Facts) -> Ended {
    for _ in 0..20 {
        ended.waits = ended.run.drive(&mut ended.world, usize::MAX);
        let Some(step) = ended.waits.doubts.first().cloned() else { return ended };
        let known = truth.step(&step).and_then(|record| record.end()).expect("the uninterrupted run has its end");
        let (decision, outputs) = match (known.outcome, &known.outputs) {
            (Outcome::Done, Value::Map(outputs)) => (Decision::Done, outputs.clone()),
            _ => (Decision::NotDone, Map::new()),
        };
        let signal = Signal::Decide { step, decision, outputs, actor: ana(), reason: "checked".into() };
        ended.run.machine.signal(signal, ended.run.now);
    }
    panic!("still in doubt after twenty decisions");
}

#[test]
fn resume_from_any_prefix_equals_the_uninterrupted_run_and_repeats_no_write() {
    for (name, scenario) in scenarios() {
        let whole = scenario.run();
        let expected = essence(&whole);
        let length = whole.run.events.len();
        assert!(length > 15, "{name}: {length} events are too few to mean something");
        for keep in 1..length {
            // The process lives until the event after `keep` exists: whatever led to it was performed.
            let mut world = scenario.world.clone();
            let mut run = scenario.start();
            run.drive(&mut world, keep + 1);
            run.crash(keep, ana()).unwrap();
            let before = writes(&world);
            let waits = run.machine.decide(run.now).waits;
            let ended = Ended { run, world, waits };
            let ended = reload(ended, &scenario);
            let ended = go_on_with_decisions(ended, whole.facts());
            assert_eq!(essence(&ended), expected, "{name}, killed after event {keep}");
            let repeats = writes(&ended.world) - before;
            assert!(repeats <= writes(&whole.world), "{name}, killed after event {keep}");
            for (step, count) in ended.world.calls.iter().fold(std::collections::BTreeMap::new(), |mut seen, call| {
                if is_write(call) {
                    *seen.entry(call.0.clone()).or_insert(0) += 1;
                }
                seen
            }) {
                let decided = ended.run.events.iter().filter(|event| again(event, &step)).count();
                assert!(count <= 1 + decided, "{name}, killed after {keep}: `{step}` was sent {count} times");
            }
        }
    }
}

fn again(event: &Event, wanted: &str) -> bool {
    matches!(&event.body, Body::OutcomeSet { step, decision: Decision::NotDone | Decision::Retry, .. } if step.as_str() == wanted)
}

fn is_write(call: &(String, String, Map)) -> bool {
    call.1 == "http.request" && call.2.get("method") != Some(&Value::from("GET"))
}

fn writes(world: &rerail::drivers::mock::MockWorld) -> usize {
    world.calls.iter().filter(|call| is_write(call)).count()
}

/// The decision taken above to see the waits is thrown away: the run is loaded afresh.
fn reload(mut ended: Ended, _scenario: &Scenario) -> Ended {
    let keep = ended.run.events.len();
    ended.run.crash(keep, ana()).unwrap();
    ended
}

#[test]
fn the_cursor_and_a_walk_from_the_start_agree_after_every_event() {
    for (name, scenario) in scenarios() {
        let whole = scenario.run();
        let mut fresh_events = 0;
        let mut world = scenario.world.clone();
        let mut run = scenario.start();
        loop {
            let stop = run.events.len() + 1;
            let waits = run.drive(&mut world, stop);
            assert_eq!(Facts::fold(&run.events).unwrap(), *run.facts(), "{name}: fold of the journal = live state");
            let mut fresh = Machine::load(scenario.program.clone(), scenario.sandbox.clone(), &run.events).unwrap();
            let decided = fresh.decide(run.now);
            assert!(decided.events.is_empty(), "{name}: a fresh walk decides nothing new, got {:?}", decided.events);
            assert_eq!(fresh.facts(), run.facts(), "{name}");
            fresh_events += 1;
            if waits.finished.is_some() {
                break;
            }
        }
        assert!(fresh_events > 5 && run.events.len() == whole.run.events.len());
    }
}

#[test]
fn replay_of_a_finished_run_decides_the_same_and_performs_nothing() {
    for (name, scenario) in scenarios() {
        let whole = scenario.run();
        let answered = replay(scenario.program.clone(), scenario.sandbox.clone(), &whole.run.events)
            .unwrap_or_else(|divergence| panic!("{name}: {divergence}"));
        assert!(answered >= 5, "{name}: {answered} effects came from the journal");
    }
}

#[test]
fn replay_of_a_run_that_was_killed_and_settled_holds_too() {
    let (name, scenario) = scenarios().remove(0);
    let whole = scenario.run();
    for keep in 1..whole.run.events.len() {
        let mut world = scenario.world.clone();
        let mut run = scenario.start();
        run.drive(&mut world, keep + 1);
        run.crash(keep, ana()).unwrap();
        let ended = go_on_with_decisions(Ended { run, world, waits: Default::default() }, whole.facts());
        replay(scenario.program.clone(), scenario.sandbox.clone(), &ended.run.events)
            .unwrap_or_else(|divergence| panic!("{name}, killed after {keep}: {divergence}"));
    }
}

#[test]
fn replay_notices_a_changed_runbook_and_a_changed_journal() {
    let text = |url: &str| format!("\nsteps:\n  - {{ id: one, uses: http.probe, with: {{ url: '{url}' }} }}\n");
    let before = Scenario::new(&text("http://a.test/")).answers("one", [ok(json!({ "ok": true }))]).run();
    let after = Scenario::new(&text("http://b.test/"));
    let error = replay(after.program.clone(), after.sandbox.clone(), &before.run.events).unwrap_err();
    assert!(error.to_string().contains("http://b.test"), "{error}");
}

#[test]
fn a_script_whose_calls_changed_pauses_the_run_instead_of_misusing_an_answer() {
    let text = |n: i64| {
        format!(
            "
steps:
  - id: work
    script: |
      http::request(#{{ method: \"POST\", url: \"http://a.test/{n}\" }});
      http::request(#{{ method: \"POST\", url: \"http://a.test/last\" }});
"
        )
    };
    let before = Scenario::new(&text(1)).answers("http.request", [ok(json!({})), in_doubt()]).run();
    let after = Scenario::new(&text(2));
    let mut machine = Machine::load(after.program.clone(), after.sandbox.clone(), &before.run.events).unwrap();
    machine.signal(Signal::Resume { actor: ana(), reason: None, fence: 2 }, before.run.now);
    let decided = machine.decide(before.run.now);
    let paused = decided.waits.paused.expect("another call at the same place is a mismatch");
    assert!(paused.contains("work/http.request#1") && paused.contains("a.test/1") && paused.contains("a.test/2"));
    assert!(decided.perform.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    /// Any sequence of real events, in any order, folds or is refused; it never panics, and a refusal
    /// changes nothing.
    #[test]
    fn the_fold_is_total(picks in proptest::collection::vec(any::<prop::sample::Index>(), 1..60)) {
        thread_local! {
            static POOL: Vec<Event> = scenarios().into_iter().flat_map(|(_, s)| s.run().run.events).collect();
        }
        POOL.with(|pool| {
            let mut facts = Facts::default();
            for pick in picks {
                let mut event = pick.get(pool).clone();
                event.seq = facts.next_seq;
                let before = facts.clone();
                if facts.apply(&event).is_err() {
                    assert_eq!(facts, before);
                }
            }
            let _ = facts.state();
        });
    }
}

fn cases() -> u32 {
    std::env::var("RERAIL_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(1_000)
}
