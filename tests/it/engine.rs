//! What a runbook means, driven with the mock: order, branches, polls, questions, ends.

use rerail::engine::event::Decision;
use rerail::engine::machine::Signal;
use rerail::engine::outcome::{FailureKind, RunOutcome};
use rerail::script::value::{Map, Value};
use serde_json::json;

use crate::scenario::{Ended, Scenario, ana, failed, in_doubt, ok, refused};

const POST: &str = "
  - id: deploy
    uses: http.request
    with: { method: POST, url: 'http://api.test/deploy' }
";

#[test]
fn steps_run_in_order_and_see_those_before() {
    let ended = Scenario::new(
        "
inputs: { n: { type: int, default: 2 } }
vars: { twice: '${{ inputs.n * 2 }}' }
steps:
  - id: look
    uses: http.probe
    with: { url: 'http://api.test/${{ vars.twice }}' }
  - id: add
    script: steps.look.outputs.status + vars.twice
outputs: { sum: '${{ steps.add.outputs }}' }
",
    )
    .input("n", 3)
    .answers("http.probe", [ok(json!({ "ok": true, "status": 200 }))])
    .run();
    assert_eq!(ended.end().outcome, RunOutcome::Success);
    assert_eq!(ended.end().outputs, Map::from([("sum".to_owned(), Value::Int(206))]));
    assert_eq!(ended.world.calls[0].2["url"], Value::from("http://api.test/6"));
}

#[test]
fn a_false_condition_skips_and_keeps_the_values_that_decided() {
    let ended = Scenario::new(
        "
inputs: { n: { type: int, default: 2 } }
steps:
  - id: never
    if: inputs.n > 3
    uses: time.now
  - id: after
    assert:
      - that: steps.never.outcome == \"skipped\"
",
    )
    .input("n", 2)
    .run();
    assert_eq!(ended.outcomes(), "never skipped, after done");
    let never = &ended.facts().steps["never"];
    assert_eq!(never.skipped.as_ref().unwrap().values, Map::from([("inputs.n".to_owned(), Value::Int(2))]));
}

#[test]
fn a_condition_that_fails_is_a_failed_step_and_never_false() {
    let ended = Scenario::new(
        "
inputs: { n: { type: int } }
steps:
  - id: odd
    if: inputs.n > \"3\"
    uses: time.now
",
    )
    .input("n", 2)
    .run();
    assert_eq!(ended.end().outcome, RunOutcome::Failed);
    assert_eq!(ended.outcomes(), "odd failed");
    assert!(ended.world.calls.is_empty());
}

#[test]
fn a_failure_stops_the_steps_after_it_then_on_failure_and_finally_run_in_order() {
    let ended = Scenario::new(&format!(
        "
steps:
{POST}
  - id: never
    uses: time.now
on_failure:
  - id: tell
    uses: run.note
    with: {{ text: '${{{{ run.failed_step }}}} broke: ${{{{ run.error }}}}' }}
finally:
  - id: last
    uses: time.now
"
    ))
    .answers("deploy", [failed(FailureKind::Expect, "expected status 200, got 207")])
    .answers("time.now", [ok(json!({ "iso": "now" }))])
    .run();
    assert_eq!(ended.outcomes(), "deploy failed, on_failure/tell done, finally/last done");
    let end = ended.end();
    assert_eq!(end.failed_step.as_ref().unwrap().as_str(), "deploy");
    let noted = ended.run.events.iter().any(|event| {
        matches!(&event.body, rerail::engine::event::Body::Note { text, .. }
            if text == "deploy broke: expected status 200, got 207")
    });
    assert!(noted);
}

#[test]
fn a_failing_finally_turns_success_into_failed_and_hides_no_first_error() {
    let body = |main: &str| {
        format!(
            "
steps:
{main}
finally:
  - id: last
    uses: run.fail
    with: {{ message: 'the lock is gone' }}
"
        )
    };
    let ended = Scenario::new(&body("  - { id: fine, uses: time.now }")).answers("time.now", [ok(json!({}))]).run();
    assert_eq!(ended.end().outcome, RunOutcome::Failed);
    assert_eq!(ended.end().error.as_ref().unwrap().message, "the lock is gone");
    let ended = Scenario::new(&body("  - { id: bad, uses: run.fail, with: { message: first } }")).run();
    assert_eq!(ended.end().error.as_ref().unwrap().message, "first");
}

#[test]
fn continue_on_failure_goes_on_and_outputs_of_the_failed_step_say_why() {
    let ended = Scenario::new(
        "
steps:
  - id: look
    uses: http.request
    with: { method: GET, url: 'http://api.test/' }
    continue_on_failure: true
  - id: judge
    script: if steps.look.outcome == \"done\" { 1 } else { steps.look.error.kind }
  - id: careless
    script: steps.look.outputs.status
",
    )
    .answers("look", [refused()])
    .run();
    assert_eq!(ended.outputs("judge"), Value::from("connect"));
    assert_eq!(ended.end().failed_step.as_ref().unwrap().as_str(), "careless");
    assert!(
        ended.message("careless").contains("`look` has no outputs: it is refused"),
        "{}",
        ended.message("careless")
    );
}

#[test]
fn groups_add_no_segment_and_fail_with_their_first_failure() {
    let ended = Scenario::new(
        "
inputs: { on: { type: bool } }
steps:
  - id: outer
    if: inputs.on
    steps:
      - { id: one, uses: time.now }
      - { id: two, uses: run.fail, with: { message: stop } }
      - { id: three, uses: time.now }
    continue_on_failure: true
  - id: after
    assert: [{ that: steps.outer.outcome == \"failed\" && steps.three.outcome == \"not_run\" }]
",
    )
    .input("on", true)
    .answers("time.now", [ok(json!({}))])
    .run();
    assert_eq!(ended.end().outcome, RunOutcome::Success, "{:?}", ended.end());
    assert_eq!(ended.outcomes(), "one done, two failed, after done");
}

#[test]
fn run_finish_ends_the_run_well_and_finally_still_runs() {
    let ended = Scenario::new(
        "
steps:
  - { id: enough, uses: run.finish, with: { message: nothing to do } }
  - { id: never, uses: time.now }
finally:
  - { id: last, uses: time.now }
",
    )
    .answers("time.now", [ok(json!({}))])
    .run();
    assert_eq!(ended.outcomes(), "enough done, finally/last done");
    assert_eq!(ended.end().outcome, RunOutcome::Success);
    assert_eq!(ended.end().message.as_deref(), Some("nothing to do"));
}

#[test]
fn a_poll_looks_until_it_holds_in_a_row_and_journals_changes_only() {
    let status = |n: i64, ms: i64| ok(json!({ "ok": n == 200, "status": n, "ms": ms }));
    let ended = Scenario::new(
        "
steps:
  - id: healthy
    uses: http.probe
    with: { url: 'http://api.test/health' }
    until: result.ok
    every: 2s
    within: 1m
    in_a_row: 2
",
    )
    .answers(
        "healthy",
        [status(503, 1), status(503, 2), status(200, 3), status(502, 4), status(200, 5), status(200, 6)],
    )
    .run();
    assert_eq!(ended.end().outcome, RunOutcome::Success);
    assert_eq!(ended.world.count("http.probe"), 6);
    let looks: Vec<u32> = ended
        .run
        .events
        .iter()
        .filter_map(|event| match &event.body {
            rerail::engine::event::Body::StepObserved { look, .. } => Some(*look),
            _ => None,
        })
        .collect();
    assert_eq!(looks, [1, 3, 4, 5]);
}

#[test]
fn a_poll_that_is_never_met_fails_at_its_deadline_and_says_what_it_saw_last() {
    let scenario = Scenario::new(
        "
steps:
  - id: healthy
    uses: http.probe
    with: { url: 'http://api.test/health' }
    until: result.ok
    every: 7s
    within: 20s
",
    )
    .answers("healthy", [ok(json!({ "ok": false, "status": 503 }))]);
    let ended = scenario.run();
    assert_eq!(ended.end().outcome, RunOutcome::Failed);
    assert_eq!(ended.world.count("http.probe"), 3);
    assert!(ended.message("healthy").contains("not met within 20s") && ended.message("healthy").contains("503"));
    let took = ended.run.now.as_second() - crate::scenario::NOW.parse::<jiff::Timestamp>().unwrap().as_second();
    assert_eq!(took, 20, "the deadline, not the next look");
}

#[test]
fn a_poll_sits_trouble_out_and_stops_at_what_will_not_change() {
    let body = "
steps:
  - id: there
    uses: http.request
    with: { method: GET, url: 'http://api.test/' }
    until: result.status == 200
    within: 1m
";
    let patient = Scenario::new(body)
        .answers("there", [refused(), failed(FailureKind::Timeout, "no answer"), ok(json!({ "status": 200 }))])
        .run();
    assert_eq!(patient.end().outcome, RunOutcome::Success);
    let wrong = Scenario::new(body).answers("there", [failed(FailureKind::Policy, "not an allowed host")]).run();
    assert_eq!(wrong.world.calls.len(), 1);
    assert_eq!(wrong.end().outcome, RunOutcome::Failed);
}

#[test]
fn a_sleep_is_a_timer() {
    let ended = Scenario::new("\nsteps:\n  - { id: nap, uses: time.sleep, with: { duration: 1h30m } }\n").run();
    assert_eq!(ended.end().at.to_string(), "2026-11-21T15:30:00Z");
}

#[test]
fn a_question_waits_for_its_answer_and_expires_closed() {
    let body = "
steps:
  - id: safe
    uses: human.ask
    with: { text: 'Is it safe?', choices: [safe, unsafe], expires: 10m }
  - id: held
    assert: [{ that: steps.safe.outputs.answer == \"safe\" }]
";
    let ended = Scenario::new(body).person("safe", "safe").run();
    assert_eq!(ended.end().outcome, RunOutcome::Success);

    let mut waiting = Scenario::new(body).run();
    assert!(waiting.waits.only_people());
    assert_eq!(waiting.waits.expires.unwrap().to_string(), "2026-11-21T14:10:00Z");
    waiting.run.now = "2026-11-21T14:10:00Z".parse().unwrap();
    let ended = waiting.go_on();
    assert_eq!(ended.end().outcome, RunOutcome::Rejected);
    assert!(ended.message("safe").contains("nobody answered"));
}

#[test]
fn an_answer_that_comes_too_late_is_kept_as_a_note() {
    let ended = Scenario::new("\nsteps:\n  - { id: now, uses: time.now }\n").answers("now", [ok(json!({}))]).run();
    let ended = ended.signal(Signal::Answer { step: "now".into(), answer: Value::from("yes"), actor: ana(), at: None });
    let last = ended.run.events.last().unwrap();
    assert!(matches!(&last.body, rerail::engine::event::Body::Note { text, .. } if text.contains("too late")));
    assert_eq!(ended.end().outcome, RunOutcome::Success);
}

#[test]
fn cancel_starts_nothing_new_and_finally_runs() {
    let scenario = Scenario::new(
        "
steps:
  - { id: nap, uses: time.sleep, with: { duration: 1h } }
  - { id: never, uses: time.now }
on_failure:
  - { id: not_this, uses: time.now }
finally:
  - { id: last, uses: time.now }
",
    )
    .answers("time.now", [ok(json!({}))]);
    let mut run = scenario.start();
    let mut world = scenario.world.clone();
    run.drive(&mut world, 2);
    run.machine.signal(Signal::Cancel { actor: ana(), reason: Some("wrong one".into()) }, run.now);
    let waits = run.drive(&mut world, usize::MAX);
    assert_eq!(waits.finished, Some(RunOutcome::Cancelled));
    let ended = Ended { run, world, waits };
    assert_eq!(ended.outcomes(), "nap cancelled, finally/last done");
}

#[test]
fn a_write_in_doubt_waits_for_a_person_and_both_decisions_work() {
    let scenario = Scenario::new(&format!(
        "
steps:
{POST}
  - id: after
    script: steps.deploy.outputs.status
"
    ))
    .answers("deploy", [in_doubt(), ok(json!({ "status": 7 }))]);
    let doubt = scenario.run();
    assert!(doubt.facts().finished.is_none());
    assert_eq!(doubt.waits.doubts, ["deploy".into()]);
    assert_eq!(doubt.world.count("http.request"), 1);

    let adopted = Map::from([("status".to_owned(), Value::Int(9))]);
    let done = doubt.decide("deploy", Decision::Done, adopted);
    assert_eq!((done.end().outcome, done.outputs("after")), (RunOutcome::Success, Value::Int(9)));
    assert_eq!(done.world.count("http.request"), 1, "what was said to be done is not sent again");

    let again = scenario.run().decide("deploy", Decision::NotDone, Map::new());
    assert_eq!((again.end().outcome, again.outputs("after")), (RunOutcome::Success, Value::Int(7)));
    assert_eq!(again.world.count("http.request"), 2);

    let skipped = scenario.run().decide("deploy", Decision::Skip, Map::new());
    assert_eq!(skipped.end().failed_step.as_ref().unwrap().as_str(), "after", "its outputs are refused");
}

#[test]
fn cancel_does_not_settle_what_is_in_doubt() {
    let scenario = Scenario::new(&format!("\nsteps:\n{POST}")).answers("deploy", [in_doubt()]);
    let doubt = scenario.run().signal(Signal::Cancel { actor: ana(), reason: None });
    assert!(doubt.facts().finished.is_none());
    assert_eq!(doubt.waits.doubts, ["deploy".into()]);
    let ended = doubt.decide("deploy", Decision::Done, Map::new());
    assert_eq!(ended.end().outcome, RunOutcome::Success, "it was the last step: nothing was left to cancel");
}

#[test]
fn repeatable_and_keyed_writes_settle_themselves_with_the_same_key() {
    let put = Scenario::new(
        "
steps:
  - id: set
    uses: http.request
    with: { method: PUT, url: 'http://api.test/v', repeatable: true, reason: 'PUT replaces' }
",
    )
    .answers("set", [in_doubt(), ok(json!({}))])
    .run();
    assert_eq!((put.end().outcome, put.world.count("http.request")), (RunOutcome::Success, 2));

    let keyed = Scenario::new(
        "
steps:
  - id: mail
    uses: http.request
    with: { method: POST, url: 'http://api.test/m', idempotency: { header: Idempotency-Key, window: 24h } }
",
    )
    .answers("mail", [in_doubt()])
    .run();
    let keys: Vec<_> = keyed
        .run
        .events
        .iter()
        .filter_map(|event| match &event.body {
            rerail::engine::event::Body::StepStarted(started) => started.key.clone(),
            _ => None,
        })
        .collect();
    assert_eq!(keys.len(), 3, "three attempts, then a person is asked");
    assert!(keys.iter().all(|key| *key == keys[0]));
    assert_eq!(keyed.waits.doubts, ["mail".into()]);
}

#[test]
fn a_failed_step_can_be_retried_after_the_run_has_ended() {
    let scenario = Scenario::new(&format!(
        "
steps:
  - {{ id: before, uses: time.now }}
{POST}
  - {{ id: after, uses: time.now }}
on_failure:
  - {{ id: tell, uses: time.now }}
"
    ))
    .answers("time.now", [ok(json!({}))])
    .answers("deploy", [refused(), ok(json!({}))]);
    let failed = scenario.run();
    assert_eq!(failed.outcomes(), "before done, deploy refused, on_failure/tell done");
    let ended = failed.decide("deploy", Decision::Retry, Map::new());
    assert_eq!(ended.end().outcome, RunOutcome::Success);
    assert_eq!(ended.outcomes(), "before done, deploy done, after done");
    assert_eq!(ended.world.calls.iter().filter(|(step, ..)| step == "before").count(), 1, "what is done stays done");
}

#[test]
fn calls_of_a_script_are_steps_of_their_own() {
    let ended = Scenario::new(
        "
steps:
  - id: diagnose
    script: |
      let worst = 0;
      for path in [\"/a\", \"/b\"] {
        let answer = http::probe(#{ url: \"http://api.test\" + path });
        if answer.ms > worst { worst = answer.ms; }
      }
      let said = \"fine\";
      try { http::request(#{ method: \"GET\", url: \"http://api.test/c\" }); }
      catch (e) { said = e.kind + \" at \" + e.step; }
      #{ worst: worst, said: said }
",
    )
    .answers("http.probe", [ok(json!({ "ms": 3 })), ok(json!({ "ms": 8 }))])
    .answers("http.request", [refused()])
    .run();
    assert_eq!(
        ended.outcomes(),
        "diagnose done, diagnose/http.probe#1 done, diagnose/http.probe#2 done, diagnose/http.request#1 refused"
    );
    let outputs = ended.outputs("diagnose");
    assert_eq!(outputs.get("worst"), Some(&Value::Int(8)));
    assert_eq!(outputs.get("said"), Some(&Value::from("connect at diagnose/http.request#1")));
}

#[test]
fn a_write_in_doubt_inside_a_script_cannot_be_caught() {
    let scenario = Scenario::new(
        "
steps:
  - id: fix
    script: |
      let said = \"sent\";
      try { http::request(#{ method: \"POST\", url: \"http://api.test/\" }); } catch { said = \"swallowed\"; }
      said
",
    )
    .answers("http.request", [in_doubt()]);
    let doubt = scenario.run();
    assert_eq!(doubt.waits.doubts, ["fix/http.request#1".into()]);
    let ended = doubt.decide("fix/http.request#1", Decision::Done, Map::new());
    assert_eq!(ended.outputs("fix"), Value::from("sent"));
}

#[test]
fn an_action_runs_in_a_scope_of_its_own() {
    let action = "
inputs: { base: { type: url } }
vars: { health: '${{ inputs.base.origin }}/health' }
steps:
  - id: look
    uses: http.probe
    with: { url: '${{ vars.health }}' }
outputs: { well: '${{ steps.look.outputs.ok }}', host: '${{ inputs.base.host }}' }
";
    let ended = Scenario::with_actions(
        "
inputs: { base: { type: url } }
steps:
  - id: look
    uses: check.health
    with: { base: '${{ inputs.base }}' }
  - id: same
    script: |
      check::health(#{ base: inputs.base }).well && steps.look.outputs.well
",
        &[("check.health", action)],
    )
    .input("base", "http://api.test:81/x")
    .answers("http.probe", [ok(json!({ "ok": true }))])
    .run();
    assert_eq!(
        ended.outcomes(),
        "look done, look/look done, same done, same/check.health#1 done, same/check.health#1/look done"
    );
    assert_eq!(ended.world.calls[0].2["url"], Value::from("http://api.test:81/health"));
    assert_eq!(ended.outputs("same"), Value::Bool(true));
    assert_eq!(ended.outputs("look").get("host"), Some(&Value::from("api.test")));
}

#[test]
fn findings_are_recorded_with_their_suggestions_in_order() {
    let ended = Scenario::new(
        "
inputs: { code: { type: int } }
steps:
  - id: verdict
    findings:
      - { when: inputs.code >= 500, level: critical, say: 'it answers ${{ inputs.code }}' }
      - { when: inputs.code == 200, level: ok, say: fine }
",
    )
    .input("code", 502)
    .run();
    assert_eq!(ended.facts().findings.len(), 1);
    assert_eq!(ended.facts().findings[0].say, "it answers 502");
}

#[test]
fn a_failed_assertion_names_the_values_it_read() {
    let ended = Scenario::new(
        "
inputs: { origin: { type: url } }
steps:
  - id: safe
    assert:
      - that: inputs.origin.scheme == \"https\"
        else: Give an exact https origin.
",
    )
    .input("origin", "http://a.test")
    .run();
    let error = ended.end().error.clone().unwrap();
    assert_eq!((error.kind, error.message.as_str()), (FailureKind::Assertion, "Give an exact https origin."));
    assert_eq!(error.values, Map::from([("inputs.origin.scheme".to_owned(), Value::from("http"))]));
    assert!(error.picture.contains("runbooks/test.yaml:10"), "{}", error.picture);
}

#[test]
fn outputs_of_a_step_are_what_its_own_key_makes_of_them() {
    let ended = Scenario::new(
        "
steps:
  - id: look
    uses: http.probe
    with: { url: 'http://api.test/' }
    outputs: { code: '${{ result.status }}' }
  - id: read
    script: steps.look.outputs.code
",
    )
    .answers("look", [ok(json!({ "status": 204 }))])
    .run();
    assert_eq!(ended.outputs("look"), Value::map([("code", Value::Int(204))]));
    assert_eq!(ended.outputs("read"), Value::Int(204));
}

/// Kills the process after `keep` events and goes on.
fn crash_and_go_on(mut ended: Ended, keep: usize) -> Ended {
    ended.run.crash(keep, ana()).unwrap();
    ended.go_on()
}

#[test]
fn run_finish_in_a_script_ends_the_run_also_when_it_is_resumed_anywhere() {
    let scenario = Scenario::new(&format!(
        "
steps:
  - id: check
    script: |
      if http::probe(#{{ url: \"http://api.test/\" }}).ok {{ run::finish(#{{ message: \"well already\" }}); }}
      throw \"past the end\";
{POST}"
    ))
    .answers("http.probe", [ok(json!({ "ok": true }))]);
    let whole = scenario.run();
    let length = whole.run.events.len();
    for keep in 1..=length {
        let mut run = scenario.start();
        let mut world = scenario.world.clone();
        let waits = run.drive(&mut world, keep + 1);
        let ended = crash_and_go_on(Ended { run, world, waits }, keep);
        assert_eq!(ended.end().outcome, RunOutcome::Success, "killed after {keep}");
        assert_eq!(ended.end().message.as_deref(), Some("well already"), "killed after {keep}");
        assert_eq!(ended.world.count("http.request"), 0, "killed after {keep}");
    }
}

#[test]
fn a_cancelled_run_with_an_open_write_in_a_group_stays_in_doubt() {
    let scenario = Scenario::new(
        "
steps:
  - steps:
      - { id: deploy, uses: http.request, with: { method: POST, url: 'http://api.test/' } }
      - { id: never, uses: time.now }
",
    )
    .answers("deploy", [ok(json!({}))]);
    let mut run = scenario.start();
    let mut world = scenario.world.clone();
    let waits = run.drive(&mut world, 2);
    run.machine.signal(Signal::Cancel { actor: ana(), reason: None }, run.now);
    run.events.push(run.machine.decide(run.now).events.remove(0));
    let keep = run.events.len();
    let doubt = crash_and_go_on(Ended { run, world, waits }, keep);
    assert!(doubt.facts().finished.is_none());
    assert_eq!(doubt.waits.doubts, ["deploy".into()]);
    let calls = doubt.world.calls.len();
    let ended = doubt.decide("deploy", Decision::NotDone, Map::new());
    assert_eq!(ended.end().outcome, RunOutcome::Cancelled);
    assert_eq!(ended.world.calls.len(), calls, "a cancelled run sends nothing again");
    assert_eq!(ended.outcomes(), "deploy cancelled");
}

#[test]
fn a_retried_poll_gets_its_whole_time_again() {
    let scenario = Scenario::new(
        "
steps:
  - id: healthy
    uses: http.probe
    with: { url: 'http://api.test/health' }
    until: result.ok
    every: 5s
    within: 20s
    in_a_row: 2
",
    )
    .answers("healthy", [false, false, false, false, false, true].map(|up| ok(json!({ "ok": up }))));
    let failed = scenario.run();
    assert_eq!((failed.end().outcome, failed.world.calls.len()), (RunOutcome::Failed, 4));
    let ended = failed.decide("healthy", Decision::Retry, Map::new());
    assert_eq!((ended.end().outcome, ended.world.calls.len()), (RunOutcome::Success, 7));
}

#[test]
fn an_answer_given_after_the_expiry_is_refused_and_one_given_in_time_but_heard_late_counts() {
    let body = "
steps:
  - { id: leave, uses: human.ask, with: { text: 'go?', expires: 10m } }
";
    let answered_at = |given: &str| {
        let mut waiting = Scenario::new(body).run();
        waiting.run.now = "2026-11-21T16:00:00Z".parse().unwrap();
        let at = Some(given.parse().unwrap());
        waiting.signal(Signal::Answer { step: "leave".into(), answer: Value::from("yes"), actor: ana(), at })
    };
    assert_eq!(answered_at("2026-11-21T14:09:59Z").end().outcome, RunOutcome::Success);
    let late = answered_at("2026-11-21T14:10:00Z");
    assert_eq!(late.end().outcome, RunOutcome::Rejected);
    assert!(late.message("leave").contains("too late"));
}

#[test]
fn the_failed_step_is_the_innermost_one_also_after_a_resume() {
    let scenario = Scenario::with_actions(
        "
steps:
  - { id: deploy, uses: fix }
on_failure:
  - { id: tell, uses: time.now }
  - { id: say, uses: run.note, with: { text: '${{ run.failed_step }}' } }
",
        &[("fix", "\nsteps:\n  - { id: inner, uses: run.fail, with: { message: broken } }\n")],
    )
    .answers("time.now", [ok(json!({}))]);
    let whole = scenario.run();
    assert_eq!(whole.end().failed_step.as_ref().unwrap().as_str(), "deploy/inner");
    for keep in 1..whole.run.events.len() {
        let mut run = scenario.start();
        let mut world = scenario.world.clone();
        let waits = run.drive(&mut world, keep + 1);
        let ended = crash_and_go_on(Ended { run, world, waits }, keep);
        assert_eq!(ended.end().failed_step.as_ref().unwrap().as_str(), "deploy/inner", "killed after {keep}");
    }
}

#[test]
fn steps_of_a_skipped_group_are_skipped() {
    let ended = Scenario::new(
        "
inputs: { on: { type: bool } }
steps:
  - id: group
    if: inputs.on
    steps:
      - { id: look, uses: time.now }
  - id: after
    assert: [{ that: steps.look.outcome == \"skipped\" && steps.group.outcome == \"skipped\" }]
",
    )
    .input("on", false)
    .run();
    assert_eq!(ended.end().outcome, RunOutcome::Success);
}

#[test]
fn a_retry_in_finally_repeats_nothing_that_is_done() {
    let scenario = Scenario::new(&format!(
        "
steps:
{POST}
finally:
  - {{ id: tell, uses: http.request, with: {{ method: POST, url: 'http://chat.test/' }} }}
  - {{ id: unlock, uses: http.request, with: {{ method: POST, url: 'http://lock.test/' }} }}
"
    ))
    .answers("deploy", [ok(json!({}))])
    .answers("finally/tell", [ok(json!({}))])
    .answers("finally/unlock", [refused(), ok(json!({}))]);
    let failed = scenario.run();
    assert_eq!(failed.end().outcome, RunOutcome::Failed);
    let ended = failed.decide("finally/unlock", Decision::Retry, Map::new());
    assert_eq!(ended.end().outcome, RunOutcome::Success);
    let sent: Vec<&str> = ended.world.calls.iter().map(|(step, ..)| step.as_str()).collect();
    assert_eq!(sent, ["deploy", "finally/tell", "finally/unlock", "finally/unlock"]);
}

#[test]
fn a_retried_script_prints_anew_and_its_old_findings_are_gone() {
    let scenario = Scenario::new(
        "
steps:
  - id: attempt
    script: |
      let seen = http::probe(#{ url: \"http://api.test/\" });
      print(`seen ${seen.status}`);
      if seen.status != 200 { throw \"not yet\"; }
  - id: verdict
    findings: [{ when: steps.attempt.outcome == \"done\", level: ok, say: fine }]
",
    )
    .answers("http.probe", [ok(json!({ "status": 503 })), ok(json!({ "status": 200 }))]);
    let ended = scenario.run().decide("attempt", Decision::Retry, Map::new());
    assert_eq!(ended.end().outcome, RunOutcome::Success);
    let printed: Vec<String> = ended
        .run
        .events
        .iter()
        .filter_map(|event| match &event.body {
            rerail::engine::event::Body::Log { text, .. } => Some(text.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(printed, ["seen 503", "seen 200"]);
    assert_eq!(ended.facts().findings.len(), 1);
}

#[test]
fn run_outcome_is_known_in_finally() {
    let say = |steps: &str| {
        let ended = Scenario::new(&format!(
            "
steps:
{steps}
finally:
  - {{ id: say, uses: run.note, with: {{ text: '${{{{ run.outcome }}}}' }} }}
"
        ))
        .answers("time.now", [ok(json!({}))])
        .run();
        ended.run.events.iter().find_map(|event| match &event.body {
            rerail::engine::event::Body::Note { text, .. } => Some(text.clone()),
            _ => None,
        })
    };
    assert_eq!(say("  - { id: fine, uses: time.now }").as_deref(), Some("success"));
    assert_eq!(say("  - { id: bad, uses: run.fail, with: { message: x } }").as_deref(), Some("failed"));
}

#[test]
fn finally_has_a_time_budget() {
    let ended = Scenario::new(
        "
steps:
  - { id: fine, uses: time.now }
finally:
  - { id: hang, uses: time.sleep, with: { duration: 5h } }
  - { id: never, uses: time.now }
",
    )
    .answers("time.now", [ok(json!({}))])
    .run();
    assert_eq!(ended.end().at.to_string(), "2026-11-21T14:15:00Z");
    assert_eq!(ended.outcomes(), "fine done, finally/hang cancelled");
    assert_ne!(ended.end().outcome, RunOutcome::Success, "a clean-up that was cut off is not a success");
}

#[test]
fn repeats_wait_longer_each_time() {
    let ended = Scenario::new(
        "
steps:
  - id: set
    uses: http.request
    with: { method: PUT, url: 'http://api.test/v', repeatable: true, reason: 'PUT replaces' }
",
    )
    .answers("set", [in_doubt()])
    .run();
    let sent: Vec<String> = ended
        .run
        .events
        .iter()
        .filter(|event| matches!(event.body, rerail::engine::event::Body::StepStarted(_)))
        .map(|event| event.ts.strftime("%M:%S").to_string())
        .collect();
    assert_eq!(sent, ["00:00", "00:02", "00:06"]);
}

#[test]
fn a_keyed_write_outlives_any_number_of_dying_processes_without_asking_anybody() {
    let scenario = Scenario::new(
        "
steps:
  - id: mail
    uses: http.request
    with: { method: POST, url: 'http://api.test/m', idempotency: { header: Idempotency-Key, window: 24h } }
",
    )
    .answers("mail", [ok(json!({}))]);
    let mut run = scenario.start();
    let mut world = scenario.world.clone();
    run.drive(&mut world, 2);
    for _ in 0..5 {
        let keep = run.events.len();
        run.crash(keep, ana()).unwrap();
        run.drive(&mut world, keep + 3);
    }
    let waits = run.drive(&mut world, usize::MAX);
    let ended = Ended { run, world, waits };
    assert_eq!((ended.end().outcome, ended.waits.doubts.len()), (RunOutcome::Success, 0));
    assert_eq!(ended.facts().steps["mail"].started.as_ref().unwrap().intent.attempt, 6);
}

#[test]
fn a_rejection_inside_a_script_cannot_be_caught() {
    let scenario = Scenario::new(
        "
steps:
  - id: fix
    script: |
      try { human::ask(#{ text: \"go on?\", expires: \"1m\" }); } catch { }
      http::request(#{ method: \"POST\", url: \"http://api.test/\" });
",
    )
    .answers("http.request", [ok(json!({}))]);
    let mut waiting = scenario.run();
    waiting.run.now = "2026-11-21T15:00:00Z".parse().unwrap();
    let ended = waiting.go_on();
    assert_eq!(ended.end().outcome, RunOutcome::Rejected);
    assert_eq!(ended.world.count("http.request"), 0);
}

#[test]
fn a_cancel_that_comes_after_the_decision_to_send_again_still_stops_it() {
    let scenario = Scenario::new(&format!("\nsteps:\n{POST}")).answers("deploy", [in_doubt(), ok(json!({}))]);
    let mut doubt = scenario.run();
    let decide = Signal::Decide {
        step: "deploy".into(),
        decision: Decision::NotDone,
        outputs: Map::new(),
        actor: ana(),
        reason: "looked".into(),
    };
    doubt.run.machine.signal(decide, doubt.run.now);
    let ended = doubt.signal(Signal::Cancel { actor: ana(), reason: None });
    assert_eq!(ended.end().outcome, RunOutcome::Cancelled);
    assert_eq!(ended.world.count("http.request"), 1);
}

#[test]
fn a_write_killed_in_on_failure_is_settled_although_the_run_is_cancelled_then() {
    let scenario = Scenario::new(
        "
steps:
  - { id: bad, uses: run.fail, with: { message: no way } }
on_failure:
  - { id: tell, uses: http.request, with: { method: POST, url: 'http://chat.test/' } }
finally:
  - { id: last, uses: time.now }
",
    )
    .answers("http.request", [ok(json!({}))])
    .answers("time.now", [ok(json!({}))]);
    let mut run = scenario.start();
    let mut world = scenario.world.clone();
    let waits = run.drive(&mut world, 4);
    run.machine.signal(Signal::Cancel { actor: ana(), reason: None }, run.now);
    run.events.push(run.machine.decide(run.now).events.remove(0));
    let keep = run.events.len();
    let doubt = crash_and_go_on(Ended { run, world, waits }, keep);
    assert_eq!(doubt.waits.doubts, ["on_failure/tell".into()]);
    let ended = doubt.decide("on_failure/tell", Decision::Done, Map::new());
    assert_eq!(ended.end().outcome, RunOutcome::Failed);
    assert_eq!(ended.outcomes(), "bad failed, on_failure/tell done, finally/last done");
}

#[test]
fn finally_has_its_whole_time_again_after_the_machine_was_down() {
    let scenario = Scenario::new(
        "
steps:
  - { id: fine, uses: time.now }
finally:
  - { id: tell, uses: time.now }
  - { id: unlock, uses: http.request, with: { method: POST, url: 'http://lock.test/' } }
",
    )
    .answers("time.now", [ok(json!({}))])
    .answers("http.request", [ok(json!({}))]);
    let mut run = scenario.start();
    let mut world = scenario.world.clone();
    let waits = run.drive(&mut world, 5);
    run.now = "2026-11-21T15:00:00Z".parse().unwrap();
    let ended = crash_and_go_on(Ended { run, world, waits }, 5);
    assert_eq!((ended.end().outcome, ended.world.count("http.request")), (RunOutcome::Success, 1));
}

#[test]
fn a_clean_up_that_is_cut_off_fails_the_run_it_does_not_cancel_it() {
    let ended = Scenario::new(
        "
steps:
  - { id: fine, uses: time.now }
finally:
  - { id: hang, uses: time.sleep, with: { duration: 5h } }
",
    )
    .answers("time.now", [ok(json!({}))])
    .run();
    assert_eq!(ended.end().outcome, RunOutcome::Failed);
    assert!(ended.end().error.as_ref().unwrap().message.contains("is up"));
}

#[test]
fn a_cancelled_last_step_is_a_cancelled_run_even_if_it_may_fail() {
    let scenario = Scenario::new(
        "
steps:
  - { id: nap, uses: time.sleep, with: { duration: 1h }, continue_on_failure: true }
",
    );
    let mut run = scenario.start();
    let mut world = scenario.world.clone();
    run.drive(&mut world, 2);
    run.machine.signal(Signal::Cancel { actor: ana(), reason: None }, run.now);
    assert_eq!(run.drive(&mut world, usize::MAX).finished, Some(RunOutcome::Cancelled));
}

#[test]
fn what_was_concluded_from_a_failure_is_concluded_anew_after_its_retry() {
    let scenario = Scenario::new(
        "
steps:
  - { id: look, uses: http.request, with: { method: GET, url: 'http://a.test/' }, continue_on_failure: true }
  - { id: then, if: 'steps.look.outcome == \"done\"', uses: time.now }
  - id: verdict
    findings:
      - { when: 'steps.look.outcome != \"done\"', level: critical, say: it is down }
      - { when: 'steps.look.outcome == \"done\"', level: ok, say: it is up }
",
    )
    .answers("look", [refused(), ok(json!({}))])
    .answers("time.now", [ok(json!({}))]);
    let down = scenario.run();
    assert_eq!(down.outcomes(), "look refused, then skipped, verdict done");
    let up = down.decide("look", Decision::Retry, Map::new());
    assert_eq!(up.outcomes(), "look done, then done, verdict done");
    let said: Vec<&str> = up.facts().findings.iter().map(|finding| finding.say.as_str()).collect();
    assert_eq!(said, ["it is up"]);
}

#[test]
fn a_condition_is_explained_by_the_values_it_read_under_their_own_names() {
    let ended = Scenario::new(
        "
inputs: { base: { type: url }, paths: { type: list } }
steps:
  - id: look
    if: inputs.base.scheme == \"https\" || inputs.paths.len() > 1
    uses: http.probe
    with: { url: 'http://a.test/' }
",
    )
    .input("base", "http://a.test/x")
    .input("paths", Value::List(vec![Value::from("/docs")]))
    .run();
    let record = ended.facts().step(&"look".into()).unwrap();
    let values = &record.skipped.as_ref().unwrap().values;
    assert_eq!(values["inputs.base.scheme"], Value::from("http"));
    assert_eq!(values["inputs.paths"], Value::from("[\"/docs\"]"));
    assert_eq!(values.len(), 2, "a length is not the list: {values:?}");
}
