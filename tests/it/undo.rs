//! What a run changed is taken back: in the reverse order in which it ended, once, and as far as it goes.

use rerail::drivers::replay::replay;
use rerail::engine::event::{Body, Decision, Event};
use rerail::engine::facts::RunState;
use rerail::engine::machine::Signal;
use rerail::engine::outcome::{FailureKind, RunOutcome};
use rerail::script::value::{Map, Value};
use serde_json::json;

use crate::scenario::{Ended, Scenario, ana, failed, in_doubt, ok, refused};

/// A step that writes to a path, and what takes it back.
fn step(id: &str) -> String {
    format!(
        "
  - id: {id}
    uses: http.request
    with: {{ method: POST, url: 'http://a.test/{id}' }}
    undo:
      uses: http.request
      with: {{ method: DELETE, url: 'http://a.test/{id}/${{{{ steps.{id}.outputs.json.id }}}}' }}
"
    )
}

fn made(id: i64) -> rerail::engine::outcome::Attempt {
    ok(json!({ "status": 201, "json": { "id": id } }))
}

/// A runbook of these steps, whose writes are all answered, and so is what takes them back.
fn steps(body: &str) -> Scenario {
    Scenario::new(&format!("steps:{body}")).answers("http.request", [made(7)])
}

pub fn undo(ended: Ended) -> Ended {
    ended.signal(Signal::Undo { actor: ana(), reason: Some("wrong release".into()), fence: 2 })
}

/// `METHOD path` of each write, in order; a last part that is the number of what was made is left out.
fn sent(ended: &Ended) -> String {
    let call = |(_, _, args): &(String, String, Map)| {
        let text = |name: &str| args.get(name).map(Value::to_string).unwrap_or_default();
        format!("{} {}", text("method"), text("url").replace("http://a.test/", ""))
    };
    ended.world.calls.iter().map(call).collect::<Vec<_>>().join(", ")
}

/// How taking the run back ended, and what is left.
fn end(ended: &Ended) -> String {
    let undo = ended.facts().undo_of_run().expect("somebody took it back");
    let Some(end) = &undo.end else { return format!("under way: {:?}", ended.waits) };
    let left = end.left.iter().map(|path| path.as_str()).collect::<Vec<_>>().join(" ");
    format!("{} {left}", end.outcome.word()).trim_end().to_owned()
}

/// That the journal alone leads to the same, with nothing performed.
fn assert_replays(ended: &Ended, scenario: &Scenario) {
    let events = &ended.run.events;
    replay(scenario.program.clone(), scenario.sandbox.clone(), events).unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn a_finished_run_is_taken_back_in_the_reverse_order_in_which_its_steps_ended() {
    let scenario = steps(&format!(
        "{}{}\n  - {{ id: tell, uses: http.request, with: {{ method: POST, url: 'http://a.test/tell' }} }}",
        step("one"),
        step("two")
    ));
    let ended = undo(scenario.run());
    assert_eq!(sent(&ended), "POST one, POST two, POST tell, DELETE two/7, DELETE one/7");
    assert_eq!(end(&ended), "done");
    assert_eq!(ended.facts().state(), RunState::Ended(RunOutcome::Success));
    let undo = ended.facts().undo_of_run().unwrap();
    assert_eq!(undo.without_undo.iter().map(|path| path.as_str()).collect::<Vec<_>>(), ["tell"]);
    let words: Vec<_> = ended.run.events.iter().map(|event| event.body.word()).skip(8).collect();
    let back = "undo.started step.started step.finished step.started step.finished undo.finished";
    assert_eq!(words.join(" "), back);
    assert_replays(&ended, &scenario);
}

#[test]
fn what_failed_is_taken_back_and_what_was_refused_is_not() {
    let body =
        format!("{}{}{}", step("one"), step("two").replace("/${{ steps.two.outputs.json.id }}", ""), step("three"));
    let scenario = steps(&body)
        .answers("one", [made(1)])
        .answers("two", [failed(FailureKind::Status, "207: half of it")])
        .answers("three", [refused()]);
    let ended = undo(scenario.run());
    assert_eq!(sent(&ended), "POST one, POST two, DELETE two, DELETE one/1");
    assert_eq!(end(&ended), "done");
    let scenario = steps(&step("one")).answers("one", [refused()]);
    let ended = undo(scenario.run());
    assert_eq!((sent(&ended).as_str(), end(&ended).as_str()), ("POST one", "done"), "nothing had happened");
    assert_replays(&ended, &scenario);
}

#[test]
fn a_run_takes_itself_back_when_it_says_so() {
    let body = format!(
        "{}{}\n  - {{ id: stop, uses: run.fail, with: {{ message: stop }} }}\non_failure:\n  - id: back\n    uses: run.undo\n  - id: told\n    script: steps.back.outputs.undone\n",
        step("one"),
        step("two")
    );
    let scenario = steps(&body);
    let ended = scenario.run();
    assert_eq!(sent(&ended), "POST one, POST two, DELETE two/7, DELETE one/7");
    assert_eq!(ended.end().outcome, RunOutcome::Failed);
    assert_eq!(ended.facts().state(), RunState::Ended(RunOutcome::Failed));
    assert_eq!(ended.outputs("on_failure/told").to_json(), json!(["two", "one"]));
    assert_replays(&ended, &scenario);
    // Nothing of it is left to be taken back, and nothing may go on from what is gone.
    let again = undo(ended);
    assert_eq!(end(&again), "done");
    assert_eq!(again.world.calls.len(), 4);
    let retried = again.decide("stop", Decision::Retry, Map::new());
    assert_eq!(retried.facts().state(), RunState::Ended(RunOutcome::Failed));
    let last = retried.run.events.last().map(|event| event.body.clone());
    assert!(matches!(last, Some(Body::Note { text, .. }) if text.contains("too late")));
}

#[test]
fn a_run_that_can_not_take_itself_back_is_stuck_until_somebody_goes_on() {
    let body = format!(
        "{}{}\n  - {{ id: stop, uses: run.fail, with: {{ message: stop }} }}\non_failure:\n  - uses: run.undo\n",
        step("one"),
        step("two")
    );
    let scenario =
        steps(&body).answers("undo/two", [failed(FailureKind::Status, "got 404"), ok(json!({ "status": 200 }))]);
    let ended = scenario.run();
    assert_eq!(ended.facts().state(), RunState::Stuck);
    assert_eq!(ended.message("on_failure/run_undo"), "`undo/two`: got 404; 2 step(s) are not taken back");
    assert_eq!(
        ended.end().failed_step.as_ref().map(|step| step.as_str()),
        Some("stop"),
        "the first failure stays the first"
    );
    let ended = undo(ended);
    assert_eq!(end(&ended), "done");
    assert_eq!(ended.facts().state(), RunState::Ended(RunOutcome::Failed));
    assert_eq!(sent(&ended), "POST one, POST two, DELETE two/7, DELETE two/7, DELETE one/7");
    assert_replays(&ended, &scenario);
}

#[test]
fn inside_of_an_action_its_own_undo_counts_unless_who_calls_it_has_one() {
    let action = format!(
        "outputs: {{ made: '${{{{ steps.inner.outputs.json.id }}}}' }}\nsteps:{}{}",
        step("inner"),
        step("second")
    );
    let calls = "
  - id: plain
    uses: own
  - id: whole
    uses: own
    undo: { uses: http.request, with: { method: PUT, url: 'http://a.test/whole/${{ steps.whole.outputs.made }}' } }
  - id: told
    script: own(#{})
";
    let texts: &[(&str, &str)] = &[("own", &action)];
    let scenario = Scenario::with_actions(&format!("steps:{calls}"), texts).answers("http.request", [made(7)]);
    let ended = undo(scenario.run());
    assert_eq!(end(&ended), "done");
    let undo = ended.facts().undo_of_run().unwrap();
    let steps: Vec<_> = undo.steps.iter().map(|path| path.as_str()).collect();
    assert_eq!(steps, ["told/own#1/second", "told/own#1/inner", "whole", "plain/second", "plain/inner"]);
    assert!(sent(&ended).ends_with("DELETE second/7, DELETE inner/7, PUT whole/7, DELETE second/7, DELETE inner/7"));
    assert_replays(&ended, &scenario);
}

#[test]
fn items_are_taken_back_one_by_one_and_a_group_as_a_whole() {
    let body = "
  - id: all
    foreach: [x, y]
    steps:
      - id: make
        uses: http.request
        with: { method: POST, url: 'http://a.test/${{ each.value }}' }
    outputs: { id: '${{ steps.make.outputs.json.id }}' }
    undo:
      steps:
        - id: away
          uses: http.request
          with: { method: DELETE, url: 'http://a.test/${{ each.value }}/${{ each.index }}/${{ steps.all.outputs.id }}' }
  - id: both
    parallel:
      - { id: left, uses: http.request, with: { method: POST, url: 'http://a.test/left' } }
      - { id: right, uses: http.request, with: { method: POST, url: 'http://a.test/right' } }
    undo:
      uses: http.request
      with: { method: DELETE, url: 'http://a.test/both/${{ steps.left.outputs.json.id + steps.right.outputs.json.id }}' }
";
    let scenario = steps(body).answers("all[1]/make", [made(9)]);
    let ended = undo(scenario.run());
    assert_eq!(end(&ended), "done");
    assert!(sent(&ended).ends_with("DELETE both/14, DELETE y/1/9, DELETE x/0/7"), "{}", sent(&ended));
    assert_replays(&ended, &scenario);
}

#[test]
fn a_called_runbook_takes_back_what_is_its_own_and_nothing_twice() {
    let child = format!(
        "steps:{}\n  - {{ id: stop, uses: run.fail, with: {{ message: stop }} }}\non_failure:\n  - uses: run.undo\n",
        step("inner")
    );
    let body = format!(
        "{}\n  - id: child\n    uses: runbook\n    with: {{ name: part }}\n    continue_on_failure: true\n{}",
        step("before"),
        step("after")
    );
    let texts: &[(&str, &str)] = &[("runbooks/part", &child)];
    let scenario = Scenario::with_actions(&format!("steps:{body}"), texts).answers("http.request", [made(7)]);
    let ended = scenario.run();
    assert_eq!(sent(&ended), "POST before, POST inner, DELETE inner/7, POST after");
    let ended = undo(ended);
    assert_eq!(sent(&ended), "POST before, POST inner, DELETE inner/7, POST after, DELETE after/7, DELETE before/7");
    assert_replays(&ended, &scenario);
}

#[test]
fn an_undo_that_fails_stops_the_rest_and_going_on_repeats_nothing_that_is_done() {
    let body = format!(
        "{}
  - id: two
    uses: http.request
    with: {{ method: POST, url: 'http://a.test/two' }}
    undo:
      steps:
        - {{ id: detach, uses: http.request, with: {{ method: PUT, url: 'http://a.test/detach' }} }}
        - {{ id: remove, uses: http.request, with: {{ method: DELETE, url: 'http://a.test/remove' }} }}
{}",
        step("one"),
        step("three")
    );
    let scenario = steps(&body)
        .answers("undo/two/remove", [failed(FailureKind::Status, "got 423"), refused(), ok(json!({ "status": 200 }))]);
    let ended = undo(scenario.run());
    assert_eq!((end(&ended).as_str(), ended.facts().state()), ("stuck two one", RunState::Stuck));
    let made = "POST one, POST two, POST three, DELETE three/7, PUT detach, DELETE remove";
    assert_eq!(sent(&ended), made);
    let again = undo(ended);
    assert_eq!((end(&again).as_str(), sent(&again)), ("stuck two one", format!("{made}, DELETE remove")));
    let done = undo(again);
    assert_eq!(end(&done), "done");
    assert_eq!(sent(&done), format!("{made}, DELETE remove, DELETE remove, DELETE one/7"));
    assert_eq!(done.facts().state(), RunState::Ended(RunOutcome::Success));
    assert_replays(&done, &scenario);
}

#[test]
fn a_person_can_say_what_became_of_an_undo_that_failed() {
    let body = format!("{}{}{}", step("one"), step("two"), step("three"));
    let scenario = steps(&body)
        .answers("undo/three", [failed(FailureKind::Status, "got 500")])
        .answers("undo/two", [failed(FailureKind::Status, "got 500"), ok(json!({ "status": 200 }))]);
    let stuck = undo(scenario.run());
    assert_eq!(end(&stuck), "stuck three two one");
    let next = stuck.decide("undo/three", Decision::Done, Map::new());
    assert_eq!(end(&next), "stuck two one", "it went on behind the one that was done by hand");
    let done = next.decide("undo/two", Decision::Retry, Map::new());
    assert_eq!(end(&done), "done");
    assert_replays(&done, &scenario);
    let skipped =
        undo(steps(&body).answers("undo/two", [refused()]).run()).decide("undo/two", Decision::Skip, Map::new());
    assert_eq!(end(&skipped), "done");
    let over = undo(skipped);
    assert_eq!(over.facts().undo_of_run().unwrap().steps.len(), 0, "what a person left alone stays alone");
}

#[test]
fn a_doubt_about_an_undo_is_settled_like_any_other() {
    let repeatable = step("one").replace("undo:", "undo:\n      repeat: repeatable\n      reason: it is a DELETE");
    let scenario = steps(&repeatable).answers("undo/one", [in_doubt(), ok(json!({ "status": 200 }))]);
    let ended = undo(scenario.run());
    assert_eq!((end(&ended).as_str(), ended.world.calls.len()), ("done", 3), "sent again by itself");
    assert_replays(&ended, &scenario);

    let settle = "undo:\n      settle:\n        steps: [{ id: now, uses: http.probe, with: { url: 'http://a.test/one' } }]\n        happened: steps.now.outputs.status == 404\n        not_happened: steps.now.outputs.status == 200";
    let settled = |status: i64| {
        let scenario = steps(&step("one").replace("undo:", settle))
            .answers("undo/one", [in_doubt(), ok(json!({ "status": 200 }))])
            .answers("http.probe", [ok(json!({ "status": status, "ok": false }))]);
        let ended = undo(scenario.run());
        assert_replays(&ended, &scenario);
        (end(&ended), sent(&ended))
    };
    assert_eq!(settled(404), ("done".into(), "POST one, DELETE one/7, GET one".into()), "the read says it is gone");
    assert_eq!(settled(200), ("done".into(), "POST one, DELETE one/7, GET one, DELETE one/7".into()));

    let scenario = steps(&step("one")).answers("undo/one", [in_doubt(), ok(json!({ "status": 200 }))]);
    let open = undo(scenario.run());
    assert_eq!((open.facts().state(), open.world.calls.len()), (RunState::InDoubt, 2));
    let done = open.decide("undo/one", Decision::Done, Map::new());
    assert_eq!((end(&done).as_str(), done.world.calls.len()), ("done", 2));
    assert_replays(&done, &scenario);
}

#[test]
fn what_a_person_passed_over_is_taken_back_only_where_that_does_no_harm() {
    let passed = |undo_says: &str| {
        let body = step("one")
            .replace("undo:", &format!("undo:\n      {undo_says}"))
            .replace("/${{ steps.one.outputs.json.id }}", "");
        let scenario = steps(&body).answers("one", [in_doubt()]);
        let ended = undo(scenario.run().decide("one", Decision::Skip, Map::new()));
        assert_replays(&ended, &scenario);
        let unknown = ended
            .run
            .events
            .iter()
            .any(|event| matches!(&event.body, Body::UndoStarted(undo) if undo.unknown.len() == 1));
        (sent(&ended), unknown)
    };
    assert_eq!(passed("safe_if_never_happened: true"), ("POST one, DELETE one".into(), false));
    assert_eq!(passed("safe_if_never_happened: false"), ("POST one".into(), true));
}

#[test]
fn a_cancel_stops_before_the_next_undo_and_says_what_is_left() {
    let body = format!("{}{}", step("one"), step("two").replace("undo:", "undo:\n      name: gone"));
    let ask = body.replacen("      uses: http.request\n      with: { method: DELETE, url: 'http://a.test/two", "      steps:\n        - { id: sure, uses: human.ask, with: { text: sure } }\n        - id: away\n          uses: http.request\n          with: { method: DELETE, url: 'http://a.test/two", 1);
    let scenario = steps(&ask);
    let waiting = undo(scenario.run());
    assert_eq!(waiting.facts().state(), RunState::Waiting);
    let stopped = waiting.signal(Signal::Cancel { actor: ana(), reason: None });
    assert_eq!(end(&stopped), "cancelled two one");
    assert_eq!(stopped.facts().state(), RunState::Ended(RunOutcome::Success), "ended as it had");
    assert_eq!(stopped.world.calls.len(), 2);
    assert_replays(&stopped, &scenario);
    let mut again = stopped;
    again.world.people.insert("undo/two/sure".into(), Value::from("yes"));
    let done = undo(again);
    assert_eq!((end(&done).as_str(), sent(&done).as_str()), ("done", "POST one, POST two, DELETE two/7, DELETE one/7"));
}

#[test]
fn another_undo_of_the_same_is_a_change_of_its_own() {
    let keys = |events: &[Event]| {
        let key = |event: &Event| match &event.body {
            Body::StepStarted(intent) if intent.step.is_undo() => intent.key.clone(),
            _ => None,
        };
        events.iter().filter_map(key).collect::<Vec<_>>()
    };
    let scenario =
        steps(&step("one")).answers("undo/one", [failed(FailureKind::Status, "got 500"), in_doubt(), made(1)]);
    let again = undo(undo(scenario.run()));
    let done = again.decide("undo/one", Decision::NotDone, Map::new());
    assert_eq!(end(&done), "done");
    let keys = keys(&done.run.events);
    assert_eq!(keys.len(), 3);
    assert!(keys[0] != keys[1] && keys[1] == keys[2], "{keys:?}");
}
