//! What is made of several steps: groups side by side, loops, retries, limits, settling, runbooks in runbooks.

use rerail::drivers::replay::replay;
use rerail::engine::event::{Body, Decision};
use rerail::engine::machine::Signal;
use rerail::engine::outcome::{FailureKind, Outcome, RunOutcome};
use rerail::script::value::{Map, Value};
use serde_json::json;

use crate::scenario::{Ended, Scenario, ana, failed, in_doubt, ok, refused};

fn plain(ended: &Ended, step: &str) -> serde_json::Value {
    ended.outputs(step).to_plain()
}

fn run_outputs(ended: &Ended) -> serde_json::Value {
    Value::Map(ended.end().outputs.clone()).to_plain()
}

#[test]
fn branches_run_side_by_side_to_their_own_ends_and_the_worst_one_counts() {
    let ended = Scenario::new(
        "steps:
  - parallel:
      - { id: a, uses: http.probe, with: { url: https://a.example.com }, expect: 1 }
"
        .replace(", expect: 1", "")
        .as_str(),
    )
    .answers("a", [ok(json!({"ok": true}))])
    .run();
    assert_eq!(ended.outcomes(), "a done");

    let ended = Scenario::new(
        "steps:
  - id: both
    parallel:
      - id: bad
        uses: http.request
        with: { url: https://a.example.com, method: POST }
      - id: slow
        uses: http.probe
        with: { url: https://b.example.com }
        until: result.ok
        every: 10s
        within: 5m
  - id: never
    uses: http.probe
    with: { url: https://c.example.com }
",
    )
    .answers("bad", [failed(FailureKind::Status, "500")])
    .answers("slow", [ok(json!({"ok": false})), ok(json!({"ok": false})), ok(json!({"ok": true}))])
    .run();
    assert_eq!(ended.outcomes(), "bad failed, slow done", "a failing branch doesn't stop its sibling");
    assert_eq!((ended.end().outcome, ended.end().failed_step.as_ref().unwrap().as_str()), (RunOutcome::Failed, "bad"));
}

#[test]
fn what_is_in_the_branches_can_be_read_behind_them() {
    let ended = Scenario::new(
        "steps:
  - parallel:
      - { id: a, uses: http.probe, with: { url: https://a.example.com } }
      - steps:
          - { id: b, uses: http.probe, with: { url: https://b.example.com } }
          - { id: c, script: 'steps.b.outputs.status + 1' }
outputs: { sum: '${{ steps.a.outputs.status + steps.c.outputs }}' }
",
    )
    .answers("a", [ok(json!({"status": 200}))])
    .answers("b", [ok(json!({"status": 300}))])
    .run();
    assert_eq!(run_outputs(&ended), json!({"sum": 501}));
}

#[test]
fn a_loop_gives_its_rounds_as_lists() {
    let ended = Scenario::new(
        "steps:
  - id: look
    foreach: ['a', 'b', 'c']
    uses: http.probe
    with: { url: 'https://${{ each.value }}.example.com/${{ each.index }}' }
    outputs: { status: '${{ result.status }}', host: '${{ each.value }}' }
outputs:
  hosts: '${{ steps.look.outputs.map(|o| o.host) }}'
  outcomes: '${{ steps.look.outcomes }}'
",
    )
    .answers("http.probe", [ok(json!({"status": 200}))])
    .run();
    assert_eq!(ended.outcomes(), "look done, look[0] done, look[1] done, look[2] done");
    assert_eq!(run_outputs(&ended), json!({"hosts": ["a", "b", "c"], "outcomes": ["done", "done", "done"]}));
    assert_eq!(ended.world.calls[1].2["url"], Value::from("https://b.example.com/1"));
}

#[test]
fn a_loop_over_a_group_has_its_steps_below_each_round_and_sees_the_round_before() {
    let ended = Scenario::new(
        "steps:
  - id: sum
    foreach: 1..=4
    steps:
      - { id: one, script: 'let before = each.previous; each.value + (if before == () { 0 } else { before.total })' }
    outputs: { total: '${{ steps.one.outputs }}' }
outputs: { total: '${{ steps.sum.outputs[3].total }}' }
",
    )
    .run();
    assert_eq!(run_outputs(&ended), json!({"total": 10}), "{} {:?}", ended.outcomes(), ended.end().error);
    assert!(ended.outcomes().contains("sum[2]/one done"), "{}", ended.outcomes());
}

#[test]
fn a_failed_round_ends_the_loop_unless_it_goes_on() {
    let text = |more: &str| {
        format!(
            "steps:
  - id: x
    foreach: [1, 2, 3]
    {more}
    uses: http.probe
    with: {{ url: 'https://example.com/${{{{ each.value }}}}' }}
  - id: after
    script: steps.x.outcomes
"
        )
    };
    let answers = |scenario: Scenario| {
        scenario.answers("x[1]", [failed(FailureKind::Status, "no")]).answers("http.probe", [ok(json!({"ok": true}))])
    };
    let fast = answers(Scenario::new(&text("max_parallel: 1"))).run();
    assert_eq!(fast.outcomes(), "x failed, x[0] done, x[1] failed");
    assert_eq!(fast.end().failed_step.as_ref().unwrap().as_str(), "x[1]");
    let all = answers(Scenario::new(&text("continue_on_failure: true"))).run();
    assert_eq!(all.outcomes(), "x failed, x[0] done, x[1] failed, x[2] done, after done");
    assert_eq!(plain(&all, "after"), json!(["done", "failed", "done"]));
    assert_eq!(all.end().outcome, RunOutcome::Success);
}

#[test]
fn rounds_side_by_side_keep_to_their_number() {
    let ended = Scenario::new(
        "steps:
  - id: x
    foreach: 0..10
    max_parallel: 3
    uses: http.probe
    with: { url: 'https://example.com/${{ each.value }}' }
",
    )
    .answers("http.probe", [ok(json!({"ok": true}))]);
    let mut run = ended.start();
    let decided = run.machine.decide(run.now);
    assert_eq!(decided.perform.len(), 3, "{:?}", decided.events);
    assert_eq!(ended.run().world.count("http.probe"), 10);
}

#[test]
fn until_ends_a_loop_early_and_fails_one_that_is_used_up() {
    let text = "steps:
  - id: x
    foreach: ['a', 'b', 'c']
    uses: http.probe
    with: { url: 'https://${{ each.value }}.example.com' }
    until: result.ok
    every: 10s
";
    let found = Scenario::new(text)
        .answers("x[1]", [ok(json!({"ok": true}))])
        .answers("http.probe", [ok(json!({"ok": false}))])
        .run();
    assert_eq!(found.outcomes(), "x done, x[0] done, x[1] done");
    assert_eq!(found.run.now.as_second() - found.facts().started_at.as_second(), 10);
    let none = Scenario::new(text).answers("http.probe", [ok(json!({"ok": false}))]).run();
    assert_eq!(none.message("x"), "`until` was not met by any of 3 item(s)");
}

#[test]
fn what_is_no_list_fails_the_loop_and_an_empty_one_is_done() {
    let run = |items: &str| {
        Scenario::new(&format!("steps:\n  - id: x\n    foreach: {items}\n    script: each.value\n")).run()
    };
    assert_eq!(run("inputs.get(\"a\") ?? 7").message("x"), "`foreach` needs a list, got int");
    assert_eq!(run("'[1].filter(|n| n > 1)'").outcomes(), "x done");
    let many = run("(0..10001)");
    assert_eq!(many.message("x"), "a list or map has more than 10000 elements");
}

const RETRY: &str = "steps:
  - id: x
    uses: http.request
    with: { url: https://example.com, method: POST }
    retry: { attempts: 3, delay: 10s }
";

#[test]
fn a_transient_refusal_is_tried_again_with_longer_pauses() {
    let ended = Scenario::new(RETRY).answers("x", [refused(), refused(), ok(json!({"status": 200}))]).run();
    assert_eq!((ended.outcomes().as_str(), ended.world.count("http.request")), ("x done", 3));
    let took = ended.run.now.as_second() - ended.facts().started_at.as_second();
    assert!((30..=36).contains(&took), "10 s and 20 s with up to a fifth more: {took}");
    let never = Scenario::new(RETRY).answers("x", [refused()]).run();
    assert_eq!((never.outcomes().as_str(), never.world.count("http.request")), ("x refused", 3));
}

#[test]
fn a_retry_overrides_no_doubt_and_no_failed_write() {
    let doubt = Scenario::new(RETRY).answers("x", [in_doubt()]).run();
    assert_eq!((doubt.waits.doubts.len(), doubt.world.count("http.request")), (1, 1));
    let broken = Scenario::new(RETRY).answers("x", [failed(FailureKind::Expect, "no")]).run();
    assert_eq!((broken.outcomes().as_str(), broken.world.count("http.request")), ("x failed", 1));
}

#[test]
fn a_group_is_tried_again_as_a_whole() {
    let ended = Scenario::new(
        "steps:
  - id: both
    retry: { attempts: 2, delay: 1s }
    steps:
      - { id: a, uses: http.probe, with: { url: https://a.example.com } }
      - { id: b, uses: http.probe, with: { url: https://b.example.com } }
outputs: { a: '${{ steps.a.outputs.status }}' }
",
    )
    .answers("a", [ok(json!({"status": 1})), ok(json!({"status": 2}))])
    .answers("b", [failed(FailureKind::Status, "no"), ok(json!({}))])
    .run();
    assert_eq!(run_outputs(&ended), json!({"a": 2}));
    assert_eq!(ended.world.count("http.probe"), 4);
}

#[test]
fn fail_if_ends_a_wait_and_a_single_look() {
    let ended = Scenario::new(
        "steps:
  - id: x
    uses: http.probe
    with: { url: https://example.com }
    until: result.status == 200
    fail_if: result.status == 500
    every: 1s
    within: 5m
",
    )
    .answers("x", [ok(json!({"status": 404})), ok(json!({"status": 500}))])
    .run();
    assert_eq!(ended.message("x"), "`fail_if` holds: `result.status == 500`");
}

#[test]
fn a_script_and_a_group_can_be_waited_on() {
    let ended = Scenario::new(
        "steps:
  - id: s
    script: 'http::probe(#{ url: \"https://a.example.com\" }).status'
    until: result == 3
    every: 2s
    within: 1m
  - id: g
    steps:
      - { id: p, uses: http.probe, with: { url: https://b.example.com } }
    outputs: { n: '${{ steps.p.outputs.status }}' }
    until: result.n >= 2
    in_a_row: 2
    every: 2s
    within: 1m
",
    )
    .answers("s/http.probe#1", [ok(json!({"status": 1})), ok(json!({"status": 3}))])
    .answers(
        "p",
        [ok(json!({"status": 2})), ok(json!({"status": 1})), ok(json!({"status": 2})), ok(json!({"status": 5}))],
    )
    .run();
    assert_eq!(ended.outcomes(), "s done, s/http.probe#1 done, p done");
    assert_eq!(ended.world.count("http.probe"), 6);
    assert_eq!(ended.end().outcome, RunOutcome::Success);
}

#[test]
fn a_wait_on_a_group_runs_out() {
    let ended = Scenario::new(
        "steps:
  - id: g
    steps:
      - { id: p, uses: http.probe, with: { url: https://b.example.com } }
    outputs: { n: '${{ steps.p.outputs.status }}' }
    until: result.n == 2
    every: 20s
    within: 1m
",
    )
    .answers("p", [ok(json!({"status": 1}))])
    .run();
    assert_eq!(ended.end().outcome, RunOutcome::Failed);
    assert!(ended.end().error.as_ref().unwrap().message.starts_with("`until` was not met within 1m"));
    assert_eq!(ended.world.count("http.probe"), 3);
}

#[test]
fn a_group_out_of_time_starts_nothing_more() {
    let ended = Scenario::new(
        "steps:
  - id: g
    timeout: 1m
    steps:
      - { id: nap, uses: time.sleep, with: { duration: 5m } }
      - { id: never, uses: http.probe, with: { url: https://b.example.com } }
on_failure:
  - { id: told, uses: run.note, with: { text: '${{ run.error }}' } }
",
    )
    .run();
    assert_eq!(ended.outcomes(), "nap cancelled, on_failure/told done");
    assert_eq!(ended.end().error.as_ref().unwrap().kind, FailureKind::Timeout);
    assert_eq!(ended.run.now.as_second() - ended.facts().started_at.as_second(), 60);
}

#[test]
fn the_time_of_a_run_is_limited_and_waiting_for_people_is_not_counted() {
    let text = "timeout: 10m
steps:
  - { id: ask, uses: human.ask, with: { text: ready?, expires: 1h } }
  - { id: nap, uses: time.sleep, with: { duration: 9m } }
  - { id: more, uses: time.sleep, with: { duration: 9m } }
finally:
  - { id: last, uses: run.note, with: { text: bye } }
";
    let mut world = Scenario::new(text).world;
    let mut run = Scenario::new(text).start();
    run.drive(&mut world, usize::MAX);
    // Half an hour later somebody answers.
    run.now = run.now.checked_add(jiff::SignedDuration::from_mins(30)).unwrap();
    let ended = Ended { waits: Default::default(), run, world }.signal(rerail::engine::machine::Signal::Answer {
        step: "ask".into(),
        answer: "yes".into(),
        actor: crate::scenario::ana(),
        at: None,
    });
    assert_eq!(ended.outcomes(), "ask done, nap done, more cancelled, finally/last done");
    assert_eq!(ended.end().error.as_ref().unwrap().message, "the time of the run, 10m, is up");
    assert_eq!(ended.run.now.as_second() - ended.facts().started_at.as_second(), 40 * 60);
}

const SETTLED: &str = "steps:
  - { id: before, uses: http.probe, with: { url: https://example.com/latest } }
  - id: deploy
    uses: http.request
    with: { url: https://example.com/deploy, method: POST }
    settle:
      steps:
        - { id: now, uses: http.probe, with: { url: https://example.com/latest } }
      happened: steps.now.outputs.status != steps.before.outputs.status
      not_happened: steps.now.outputs.status == steps.before.outputs.status
      outputs: { id: '${{ steps.now.outputs.status }}' }
outputs: { id: '${{ steps.deploy.outputs.get(\"id\") ?? \"own\" }}' }
";

#[test]
fn reads_settle_a_doubt_and_their_outputs_are_adopted() {
    let ended = Scenario::new(SETTLED)
        .answers("before", [ok(json!({"status": 1}))])
        .answers("deploy", [in_doubt()])
        .answers("deploy/settle/now", [ok(json!({"status": 2}))])
        .run();
    assert_eq!(run_outputs(&ended), json!({"id": 2}));
    assert_eq!(ended.world.count("http.request"), 1);

    let again = Scenario::new(SETTLED)
        .answers("before", [ok(json!({"status": 1}))])
        .answers("deploy", [in_doubt(), ok(json!({"id": "own"}))])
        .answers("deploy/settle/now", [ok(json!({"status": 1}))])
        .run();
    assert_eq!((run_outputs(&again), again.world.count("http.request")), (json!({"id": "own"}), 2));
}

#[test]
fn reads_that_can_not_tell_leave_it_to_a_person() {
    let ended = Scenario::new(SETTLED)
        .answers("before", [ok(json!({"status": 1}))])
        .answers("deploy", [in_doubt()])
        .answers("deploy/settle/now", [failed(FailureKind::Status, "503")])
        .run();
    assert_eq!((ended.waits.doubts.len(), ended.world.count("http.request")), (1, 1));
    let ended = ended.decide("deploy", Decision::Done, Map::from([("id".into(), Value::from(9))]));
    assert_eq!(run_outputs(&ended), json!({"id": 9}));
}

#[test]
fn an_action_cleans_up_after_itself_before_its_caller_goes_on() {
    let ended = Scenario::with_actions(
        "steps:
  - { id: x, uses: shop.close, continue_on_failure: true }
  - { id: after, script: 'steps.x.outcome' }
",
        &[(
            "shop.close",
            "steps:
  - { id: bad, uses: http.request, with: { url: https://example.com, method: POST } }
on_failure:
  - { id: revert, uses: http.request, with: { url: https://example.com/undo, method: POST } }
finally:
  - { id: last, uses: run.note, with: { text: bye } }
",
        )],
    )
    .answers("x/bad", [failed(FailureKind::Status, "500")])
    .answers("x/on_failure/revert", [ok(json!({"status": 200}))])
    .run();
    assert_eq!(ended.outcomes(), "x failed, x/bad failed, x/on_failure/revert done, x/finally/last done, after done");
}

#[test]
fn a_retry_is_in_the_journal_with_its_reason() {
    let ended = Scenario::new(RETRY).answers("x", [refused(), ok(json!({"status": 200}))]).run();
    let again = ended.run.events.iter().filter_map(|event| match &event.body {
        Body::StepRetrying(again) => Some((again.attempt, again.error.as_ref().unwrap().message.as_str())),
        _ => None,
    });
    assert_eq!(again.collect::<Vec<_>>(), [(1, "connection refused")]);
}

const CHILD: &str = "timeout: 1m
inputs: { n: { type: int } }
steps:
  - { id: nap, uses: time.sleep, with: { duration: 5m } }
finally:
  - { id: last, uses: run.note, with: { text: 'bye ${{ inputs.n }}' } }
";

#[test]
fn a_called_runbook_keeps_to_its_own_time_and_cleans_up() {
    let caller = "steps:
  - { id: x, uses: runbook, with: { name: slow, inputs: { n: 3 } } }
";
    let ended = Scenario::with_actions(caller, &[("runbooks/slow", CHILD)]).run();
    assert_eq!(ended.outcomes(), "x failed, x/nap cancelled, x/finally/last done");
    assert_eq!(ended.end().error.as_ref().unwrap().kind, FailureKind::Timeout);
    assert_eq!(ended.run.now.as_second() - ended.facts().started_at.as_second(), 60);
}

#[test]
fn an_attempt_after_a_time_out_has_the_whole_time_again() {
    let ended = Scenario::with_actions(
        "steps:
  - { id: x, uses: shop.look, timeout: 1m, retry: { attempts: 2, delay: 1s } }
",
        &[(
            "shop.look",
            "steps:
  - { id: p, uses: http.probe, with: { url: https://example.com }, until: result.ok, every: 40s, within: 5m }
  - { id: q, uses: http.probe, with: { url: https://example.com } }
",
        )],
    )
    .answers("x/p", [ok(json!({"ok": false})), ok(json!({"ok": false})), ok(json!({"ok": true}))])
    .answers("x/q", [ok(json!({"ok": true}))])
    .run();
    assert_eq!(ended.outcomes(), "x done, x/p done, x/q done");
}

#[test]
fn a_loop_whose_items_came_back_together_is_replayed_with_all_of_them() {
    let scenario = Scenario::new(
        "steps:
  - id: all
    foreach: [0, 1, 2, 3]
    max_parallel: 3
    script: |
      http::request(#{ method: \"POST\", url: \"https://example.com/\" });
      throw \"on purpose\";
    continue_on_failure: true
",
    )
    .answers("http.request", [ok(json!({"status": 200}))]);
    let ended = scenario.clone().run();
    // What follows from the first answer stands before the second one.
    let words: Vec<&str> = ended.run.events.iter().skip(8).take(3).map(|event| event.body.word()).collect();
    assert_eq!(words, ["step.finished"; 3]);
    let answered = replay(scenario.program, scenario.sandbox, &ended.run.events).expect("the same decisions");
    assert_eq!(answered, 4);
}

#[test]
fn a_look_that_came_back_beside_an_answer_is_replayed_with_it() {
    let scenario = Scenario::new(
        "steps:
  - id: all
    parallel:
      - { id: a, uses: http.request, with: { url: https://a.example.com, method: POST } }
      - { id: b, uses: http.probe, with: { url: https://b.example.com }, until: result.ok, every: 4s, within: 17s }
      - { id: c, uses: http.request, with: { url: https://c.example.com, method: POST } }
",
    )
    .answers("a", [refused()])
    .answers("b", [ok(json!({"ok": false})), ok(json!({"ok": true}))])
    .answers("c", [ok(json!({}))]);
    let ended = scenario.clone().run();
    let words: Vec<&str> = ended.run.events.iter().skip(5).take(3).map(|event| event.body.word()).collect();
    assert_eq!(words, ["step.finished", "step.observed", "step.finished"]);
    let answered = replay(scenario.program, scenario.sandbox, &ended.run.events).expect("the same decisions");
    assert_eq!(answered, 4);
}

#[test]
fn a_cancel_beside_an_effect_under_way_is_replayed_in_the_order_it_was_decided() {
    let scenario = Scenario::new(
        "steps:
  - id: both
    parallel:
      - { id: a, uses: http.request, with: { url: https://a.example.com, method: POST } }
      - { id: b, uses: time.sleep, with: { duration: 1m } }
",
    )
    .answers("a", [ok(json!({}))]);
    let mut run = scenario.start();
    let mut world = scenario.world.clone();
    run.drive(&mut world, 4);
    run.machine.signal(Signal::Cancel { actor: ana(), reason: None }, run.now);
    run.drive(&mut world, usize::MAX);
    let words: Vec<String> = run.events.iter().skip(4).take(3).map(|event| format!("{:?}", event.body)).collect();
    assert!(words[0].starts_with("RunCancelled") && words[1].contains("Done") && words[2].contains("Cancelled"));
    let replayed = replay(scenario.program.clone(), scenario.sandbox.clone(), &run.events);
    assert_eq!(replayed.expect("the same decisions"), 1);

    // It may as well have come back later; but nobody slept through a cancel.
    let mut later = run.events.clone();
    (later[5].body, later[6].body) = (later[6].body.clone(), later[5].body.clone());
    assert!(replay(scenario.program.clone(), scenario.sandbox.clone(), &later).is_ok());
    let mut other = run.events;
    let Body::StepFinished(finished) = &mut other[6].body else { panic!("{words:?}") };
    std::sync::Arc::make_mut(finished).outcome = Outcome::Done;
    assert!(replay(scenario.program, scenario.sandbox, &other).is_err());
}

#[test]
fn answers_of_one_millisecond_that_came_after_one_another_are_replayed_so() {
    let scenario = Scenario::new(
        "steps:
  - id: all
    foreach: [0, 1]
    max_parallel: 2
    script: |
      try { http::request(#{ method: \"POST\", url: \"https://example.com/one\" }); } catch { }
      http::request(#{ method: \"POST\", url: \"https://example.com/two\" });
",
    )
    .answers("http.request", [ok(json!({}))]);
    let mut run = scenario.start();
    let mut world = scenario.world.clone();
    run.drive(&mut world, 6);
    // Its process dies with the first call of one item, which a person has sent again while the other item goes on.
    run.crash(5, ana()).unwrap();
    let waits = run.drive(&mut world, 9);
    let ended = Ended { run, world, waits }.decide("all[0]/http.request#1", Decision::NotDone, Map::new());
    assert_eq!(ended.facts().finished.as_ref().map(|end| end.outcome), Some(RunOutcome::Success));
    replay(scenario.program, scenario.sandbox, &ended.run.events).expect("the same decisions");
}

#[test]
fn a_round_that_finishes_the_runbook_does_not_hide_one_that_failed() {
    // Shrunk from the generated case 4002392: whoever walked from the start went on, whoever had walked on did not.
    let scenario = Scenario::new(
        "steps:
  - id: all
    foreach: [0, 1, 2]
    script: |
      if each.value == 0 { throw \"no\" }
      run::finish(#{ message: \"enough\" });
    continue_on_failure: true
  - { id: after, uses: run.note, with: { text: noted } }
",
    );
    let ended = scenario.run();
    assert_eq!(
        ended.outcomes(),
        "all failed, all[0] failed, all[1] done, all[1]/run.finish#1 done, after done",
        "and no further round begins"
    );
}
