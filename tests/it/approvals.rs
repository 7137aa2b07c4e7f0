//! Approvals: what is asked of whom before a write, what that covers, and what ends it.

use jiff::{SignedDuration, Timestamp};
use rerail::drivers::replay::replay;
use rerail::engine::approvals::{Approval, ApprovalState};
use rerail::engine::change::Cover;
use rerail::engine::event::{Actor, Body, Decision, Event, Hold};
use rerail::engine::ids::StepPath;
use rerail::engine::machine::{Holding, Signal};
use rerail::engine::outcome::{FailureKind, Outcome, RunOutcome};
use rerail::runbook::approval::{Floors, Need};
use rerail::script::value::Map;
use serde_json::json;

use crate::scenario::{Ended, NOW, Scenario, failed, in_doubt, ok};

fn person(id: &str, roles: &[&str]) -> Actor {
    Actor::person(id, "test", roles.iter().map(|role| (*role).to_owned()).collect())
}

fn ben() -> Actor {
    person("ben", &["oncall"])
}

fn cleo() -> Actor {
    person("cleo", &["lead"])
}

/// A runbook whose only write needs this approval, started by ana, who is on call herself.
fn one_write(approval: &str) -> Scenario {
    let body = format!(
        "steps:
  - id: before
    uses: http.probe
    with: {{ url: 'http://a.example.com/' }}
  - id: write
    uses: http.request
    with: {{ method: POST, url: 'http://a.example.com/x', json: {{ seen: '${{{{ steps.before.outputs.status }}}}' }} }}
    approval: {approval}
    continue_on_failure: true
  - id: after
    uses: time.now
on_failure:
  - {{ id: tell, uses: run.note, with: {{ text: it failed }} }}
finally:
  - {{ id: last, uses: run.note, with: {{ text: over }} }}
"
    );
    started_by_ana(Scenario::new(&body))
        .answers("http.probe", [ok(json!({ "status": 503 }))])
        .answers("http.request", [ok(json!({ "status": 200 }))])
        .answers("time.now", [ok(json!({ "unix_ms": 1 }))])
}

fn started_by_ana(mut scenario: Scenario) -> Scenario {
    scenario.operator = person("ana", &["oncall"]);
    scenario
}

fn open(ended: &Ended) -> &Approval {
    let open: Vec<&Approval> = ended.facts().approvals.open().collect();
    assert_eq!(open.len(), 1, "{:?}", ended.waits);
    open[0]
}

fn asked(ended: &Ended) -> Vec<String> {
    ended.facts().approvals.open().map(|approval| approval.request.step.to_string()).collect()
}

/// Steps of the changes that are asked for.
fn changes(ended: &Ended) -> Vec<String> {
    open(ended).request.changes.iter().map(|change| change.step.to_string()).collect()
}

fn approve(ended: Ended, actor: Actor) -> Ended {
    let request = &open(&ended).request;
    let (step, change) = (request.step.clone(), request.change.clone());
    ended.signal(Signal::Approve { step, change, actor, at: None, shown: None })
}

fn reject(ended: Ended, actor: Actor) -> Ended {
    let request = &open(&ended).request;
    let (step, change) = (request.step.clone(), request.change.clone());
    ended.signal(Signal::Reject { step, change, actor, reason: "not now".into() })
}

fn at(ended: Ended, minutes: i64) -> Ended {
    let start: Timestamp = NOW.parse().unwrap();
    let mut ended = ended;
    ended.run.now = start.checked_add(SignedDuration::from_mins(minutes)).unwrap();
    ended.go_on()
}

fn words(ended: &Ended) -> Vec<&'static str> {
    ended.run.events.iter().map(|event| event.body.word()).collect()
}

fn notes(ended: &Ended) -> Vec<String> {
    let text = |event: &'_ Event| match &event.body {
        Body::Note { text, actor: None, step: None } => Some(text.clone()),
        _ => None,
    };
    ended.run.events.iter().filter_map(text).collect()
}

/// A journal is walked again to the same decisions.
fn replays(scenario: &Scenario, ended: &Ended) {
    let (program, sandbox) = (scenario.program.clone(), scenario.sandbox.clone());
    replay(program, sandbox, &ended.run.events).unwrap_or_else(|divergence| panic!("{divergence}"));
}

#[test]
fn a_write_waits_for_somebody_else_and_is_sent_once_as_it_was_shown() {
    let scenario = one_write("oncall");
    let ended = scenario.run();
    assert_eq!((ended.world.count("http.request"), ended.waits.approvals.len()), (0, 1));
    assert!(ended.waits.only_people());
    let request = &open(&ended).request;
    assert_eq!((request.step.as_str(), request.complete, request.single), ("write", true, false));
    assert_eq!(request.expires.to_string(), "2026-11-21T14:15:00Z");
    let change = &request.changes[0];
    assert_eq!((change.uses.as_str(), change.summary.as_str()), ("http.request", "would do http.request"));
    assert_eq!(change.with["json"].to_plain(), json!({ "seen": 503 }));

    let ended = approve(ended, ben());
    assert_eq!(ended.end().outcome, RunOutcome::Success);
    assert_eq!(ended.world.count("http.request"), 1);
    let told: Vec<_> =
        words(&ended).into_iter().filter(|word| word.starts_with("approval") || *word == "step.started").collect();
    let [.., requested, given, _write, _after, _last] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!((*requested, *given), ("approval.requested", "approval.given"));
    replays(&scenario, &ended);
}

/// What becomes of one word: who gives it, when, about which change, and whether it counts.
#[test]
fn who_counts_is_as_declared() {
    let none = "";
    let table = [
        // approval, who, at minute, same digest, before it, counts or why not
        ("oncall", ben(), 1, true, none, "counts"),
        ("oncall", ben(), 14, true, none, "counts"),
        ("oncall", ben(), 15, true, none, "it expired"),
        ("oncall", ben(), 1, false, none, "about another change"),
        ("oncall", person("ana", &["oncall"]), 1, true, none, "nobody approves their own"),
        ("{ by: oncall, self: true }", person("ana", &["oncall"]), 1, true, none, "counts"),
        ("oncall", cleo(), 1, true, none, "it needs oncall; cleo has lead"),
        ("oncall", person("dora", &[]), 1, true, none, "dora has no role"),
        ("oncall", Actor { person: false, ..ben() }, 1, true, none, "no person of this project"),
        ("dora", person("dora", &[]), 1, true, none, "counts"),
        ("{ by: [oncall, lead] }", cleo(), 1, true, none, "counts"),
        ("{ by: oncall, count: 2 }", ben(), 1, true, none, "more"),
        ("{ by: oncall, count: 2 }", ben(), 1, true, "ben", "ben has approved it already"),
        ("{ by: oncall, count: 2 }", person("dora", &["oncall"]), 1, true, "ben", "counts"),
        ("{ by: [oncall, lead], all: true }", ben(), 1, true, none, "more"),
        ("{ by: [oncall, lead], all: true }", cleo(), 1, true, "ben", "counts"),
        ("{ by: [oncall, lead], all: true }", person("dora", &["oncall"]), 1, true, "ben", "more"),
        ("oncall", ben(), 1, true, "cancel", "the run has ended"),
        ("oncall", ben(), 1, true, "reject", "has rejected it"),
        ("oncall", ben(), 1, true, "dora", "it was approved already, by dora"),
    ];
    for (approval, who, minute, same, before, expected) in table {
        let case = format!("{approval}, {} at {minute} min, same: {same}, before: {before:?}", who.id);
        let ended = one_write(approval).run();
        let request = open(&ended).request.clone();
        let ended = match before {
            "" => ended,
            "cancel" => ended.signal(Signal::Cancel { actor: person("ana", &[]), reason: None }),
            "reject" => reject(ended, ben()),
            "ben" => approve(ended, ben()),
            other => approve(ended, person(other, &["oncall"])),
        };
        let mut ended = ended;
        ended.run.now = NOW.parse::<Timestamp>().unwrap().checked_add(SignedDuration::from_mins(minute)).unwrap();
        let change = if same { request.change.clone() } else { "sha256:0000".to_owned() };
        let refused = ended.facts().refuses_approval(&request.step, &change, &who, ended.run.now, false);
        let sent_before = ended.world.count("http.request");
        let ended =
            ended.signal(Signal::Approve { step: request.step.clone(), change, actor: who, at: None, shown: None });
        let sent = ended.world.count("http.request") - sent_before;
        match expected {
            "counts" => assert_eq!((sent, refused), (1, None), "{case}"),
            "more" => {
                assert_eq!((sent, refused), (0, None), "{case}");
                assert_eq!(open(&ended).state, ApprovalState::Open, "{case}");
            }
            why => {
                assert_eq!(sent, 0, "{case}");
                let refused = refused.unwrap_or_else(|| panic!("{case}"));
                assert!(refused.contains(why), "{case}: {refused}");
                // A run that has ended hears notes; what was said and didn't count is one.
                assert!(
                    notes(&ended).iter().any(|note| note.contains("does not count")),
                    "{case}: {:?}",
                    notes(&ended)
                );
            }
        }
    }
}

#[test]
fn a_no_is_final_and_the_run_ends_rejected() {
    let scenario = one_write("oncall");
    let ended = reject(scenario.run(), ben());
    assert_eq!(ended.end().outcome, RunOutcome::Rejected);
    assert_eq!(ended.end().error.as_ref().unwrap().kind, FailureKind::Rejected);
    assert_eq!(ended.message("write"), "ben rejected it: not now");
    assert_eq!(ended.outcomes(), "before done, write rejected, on_failure/tell done, finally/last done");
    assert_eq!(ended.world.count("http.request"), 0);
    replays(&scenario, &ended);
}

#[test]
fn a_rejection_needs_somebody_who_may_say_so() {
    let ended = reject(one_write("oncall").run(), cleo());
    assert_eq!(open(&ended).state, ApprovalState::Open);
    assert!(notes(&ended)[0].contains("cleo is none of them"), "{:?}", notes(&ended));
    // Whoever started the run may take it back.
    let ended = reject(ended, person("ana", &["oncall"]));
    assert_eq!(ended.end().outcome, RunOutcome::Rejected);
}

#[test]
fn an_approval_that_runs_out_fails_closed() {
    let scenario = one_write("oncall");
    let ended = at(scenario.run(), 15);
    assert_eq!(ended.end().outcome, RunOutcome::Rejected);
    assert_eq!(ended.end().error.as_ref().unwrap().kind, FailureKind::Expired);
    assert_eq!(ended.message("write"), "oncall did not approve it before 2026-11-21T14:15:00Z");
    assert!(words(&ended).contains(&"approval.expired"));
    assert_eq!(ended.world.count("http.request"), 0);
    replays(&scenario, &ended);

    let scenario = one_write("{ by: oncall, expires: 2m, on_expiry: cancel }");
    let ended = at(scenario.run(), 2);
    assert_eq!(ended.end().outcome, RunOutcome::Cancelled);
    assert_eq!(ended.outcomes(), "before done, write cancelled, finally/last done");
    replays(&scenario, &ended);
}

#[test]
fn a_word_given_in_time_counts_when_the_driver_comes_later() {
    let mut ended = one_write("oncall").run();
    let request = open(&ended).request.clone();
    let said: Timestamp = "2026-11-21T14:10:00Z".parse().unwrap();
    ended.run.now = "2026-11-21T18:00:00Z".parse().unwrap();
    let (step, change) = (request.step.clone(), request.change.clone());
    let ended = ended.signal(Signal::Approve { step, change, actor: ben(), at: Some(said), shown: Some("all".into()) });
    assert_eq!(ended.end().outcome, RunOutcome::Success);
}

#[test]
fn people_are_reminded_and_a_restart_does_not_remind_them_of_what_is_past() {
    let scenario = one_write("{ by: oncall, expires: 1h, remind: 10m }");
    let ended = scenario.run();
    assert_eq!(ended.waits.expires, Some("2026-11-21T14:10:00Z".parse().unwrap()));
    let ended = at(at(ended, 10), 11);
    assert_eq!(words(&ended).iter().filter(|word| **word == "approval.reminded").count(), 1);
    let ended = at(ended, 45);
    assert_eq!(words(&ended).iter().filter(|word| **word == "approval.reminded").count(), 2);
    assert_eq!(open(&ended).reminded, 4);
    let ended = approve(ended, ben());
    assert_eq!(ended.end().outcome, RunOutcome::Success);
    replays(&scenario, &ended);
}

#[test]
fn a_cancel_ends_the_wait_and_nothing_is_sent() {
    let scenario = one_write("oncall");
    let ended = scenario.run().signal(Signal::Cancel { actor: ben(), reason: None });
    assert_eq!(ended.end().outcome, RunOutcome::Cancelled);
    assert_eq!(ended.world.count("http.request"), 0);
    assert!(ended.facts().approvals.open().next().is_none());
    replays(&scenario, &ended);
}

#[test]
fn limits_stand_still_while_people_are_asked() {
    let scenario = started_by_ana(Scenario::new(
        "timeout: 5m
steps:
  - id: group
    within: 4m
    steps:
      - id: write
        uses: http.request
        with: { method: POST, url: 'http://a.example.com/x' }
        approval: { by: oncall, expires: 1h }
      - { id: nap, uses: time.sleep, with: { duration: 3m } }
",
    ))
    .answers("http.request", [ok(json!({ "status": 200 }))]);
    let ended = approve(at(scenario.run(), 50), ben());
    assert_eq!(ended.end().outcome, RunOutcome::Success);
}

#[test]
fn a_repeat_of_the_same_bytes_needs_no_second_word_and_another_attempt_does() {
    let scenario = one_write("oncall").answers("write", [in_doubt(), ok(json!({ "status": 200 }))]);
    let ended = approve(scenario.run(), ben());
    assert_eq!(ended.waits.doubts.len(), 1);
    let ended = ended.decide("write", Decision::NotDone, Map::new());
    assert_eq!((ended.end().outcome, ended.world.count("http.request")), (RunOutcome::Success, 2));
    assert_eq!(words(&ended).iter().filter(|word| **word == "approval.requested").count(), 1);
    replays(&scenario, &ended);

    let scenario =
        one_write("oncall").answers("write", [failed(FailureKind::Status, "409"), ok(json!({ "status": 200 }))]);
    let ended = approve(scenario.run(), ben()).decide("write", Decision::Retry, Map::new());
    assert_eq!((asked(&ended), ended.world.count("http.request")), (vec!["write".to_owned()], 1));
    let ended = approve(ended, ben());
    assert_eq!((ended.end().outcome, ended.world.count("http.request")), (RunOutcome::Success, 2));
    replays(&scenario, &ended);
}

#[test]
fn a_rejected_step_that_is_tried_anew_asks_again() {
    let scenario = one_write("oncall");
    let ended = reject(scenario.run(), ben()).decide("write", Decision::Retry, Map::new());
    assert_eq!(asked(&ended), ["write"]);
    let ended = approve(ended, ben());
    assert_eq!((ended.end().outcome, ended.world.count("http.request")), (RunOutcome::Success, 1));
    replays(&scenario, &ended);
}

#[test]
fn a_retry_of_its_own_sends_the_same_under_the_same_approval() {
    let scenario = started_by_ana(Scenario::new(
        "steps:
  - id: write
    uses: http.request
    with: { method: PUT, url: 'http://a.example.com/x' }
    repeat: repeatable
    reason: PUT of the whole
    retry: { attempts: 3 }
    approval: oncall
",
    ))
    .answers("write", [failed(FailureKind::Status, "500"), ok(json!({ "status": 200 }))]);
    let ended = approve(scenario.run(), ben());
    assert_eq!((ended.end().outcome, ended.world.count("http.request")), (RunOutcome::Success, 2));
    assert_eq!(words(&ended).iter().filter(|word| **word == "approval.requested").count(), 1);
}

#[test]
fn a_hold_binds_what_was_approved() {
    let mut ended = one_write("oncall").run();
    let since = NOW.parse().unwrap();
    ended.run.machine.hold(Holding::On(Hold { actor: cleo(), since, reason: "freeze".into() }));
    let mut ended = approve(ended, ben());
    assert_eq!((ended.world.count("http.request"), ended.waits.held.is_some()), (0, true));
    ended.run.machine.hold(Holding::Off { by: Some(cleo()) });
    let ended = ended.go_on();
    assert_eq!((ended.end().outcome, ended.world.count("http.request")), (RunOutcome::Success, 1));
}

/// Killed after any event, a run asks and sends what it would have, once.
#[test]
fn a_run_that_dies_anywhere_neither_loses_nor_invents_an_approval() {
    for scenario in [one_write("oncall"), group()] {
        let whole = finish(scenario.run());
        let expected = whole.world.count("http.request");
        for cut in 1..whole.run.events.len() {
            let mut ended = scenario.run();
            ended = finish(ended);
            ended.world = scenario.world.clone();
            ended.run.now = ended.run.events[cut - 1].ts;
            let sent: Vec<StepPath> = ended.run.events[..cut]
                .iter()
                .filter_map(|event| match &event.body {
                    Body::StepStarted(intent) if intent.key.is_some() => Some(intent.step.clone()),
                    _ => None,
                })
                .collect();
            let given = ended.run.events[..cut].iter().any(|event| matches!(event.body, Body::ApprovalGiven { .. }));
            ended.run.crash(cut, ben()).unwrap();
            ended = ended.go_on();
            if !given && ended.facts().finished.is_none() {
                assert_eq!(ended.world.count("http.request"), 0, "after {cut} events nobody had agreed");
            }
            while ended.facts().finished.is_none() {
                ended = match ended.waits.doubts.first().cloned() {
                    Some(step) => ended.decide(step.as_str(), Decision::Done, Map::new()),
                    None => approve(ended, ben()),
                };
            }
            assert_eq!(ended.end().outcome, RunOutcome::Success, "after {cut} events");
            assert_eq!(ended.world.count("http.request"), expected - sent.len(), "after {cut} events");
            replays(&scenario, &ended);
        }
    }
}

fn finish(mut ended: Ended) -> Ended {
    for _ in 0..20 {
        if ended.facts().finished.is_some() {
            break;
        }
        ended = approve(ended, ben());
    }
    ended
}

/// Two writes that depend on a read, approved together.
fn group() -> Scenario {
    started_by_ana(Scenario::new(
        "steps:
  - id: both
    approval: oncall
    steps:
      - { id: look, uses: http.probe, with: { url: 'http://a.example.com/' } }
      - id: one
        uses: http.request
        with: { method: POST, url: 'http://a.example.com/1', json: { seen: '${{ steps.look.outputs.status }}' } }
      - { id: two, uses: http.request, with: { method: POST, url: 'http://a.example.com/2' } }
",
    ))
    .answers("http.probe", [ok(json!({ "status": 503 }))])
    .answers("http.request", [ok(json!({ "status": 200 }))])
}

#[test]
fn one_word_covers_what_was_shown_of_a_group() {
    let scenario = group();
    let ended = scenario.run();
    assert_eq!((asked(&ended), changes(&ended)), (vec!["both".into()], vec!["one".to_owned(), "two".into()]));
    assert!(open(&ended).request.complete);
    assert_eq!(ended.world.calls.len(), 0, "nothing inside has begun");
    let ended = approve(ended, ben());
    assert_eq!((ended.end().outcome, ended.world.count("http.request")), (RunOutcome::Success, 2));
    replays(&scenario, &ended);
}

#[test]
fn what_differs_from_what_was_shown_makes_it_void_and_asks_again() {
    let scenario = group();
    let mut ended = scenario.run();
    ended.world.answers.insert("http.probe".into(), vec![ok(json!({ "status": 200 }))]);
    let ended = approve(ended, ben());
    assert_eq!((ended.world.count("http.probe"), ended.world.count("http.request")), (1, 0));
    let void = ended.run.events.iter().find_map(|event| match &event.body {
        Body::ApprovalVoid { step, why, .. } => Some((step.as_str(), why.as_str())),
        _ => None,
    });
    assert_eq!(void, Some(("both", "with.json.seen: 503 → 200")));
    // Asked for the whole group again, as it would be now.
    assert_eq!((asked(&ended), changes(&ended)), (vec!["both".into()], vec!["one".to_owned(), "two".into()]));
    assert_eq!(open(&ended).request.changes[0].with["json"].to_plain(), json!({ "seen": 200 }));
    let ended = approve(ended, ben());
    assert_eq!((ended.end().outcome, ended.world.count("http.request")), (RunOutcome::Success, 2));
    replays(&scenario, &ended);
}

#[test]
fn a_rejected_group_does_not_begin() {
    let scenario = group();
    let ended = reject(scenario.run(), ben());
    assert_eq!(ended.end().outcome, RunOutcome::Rejected);
    assert_eq!((ended.outcomes().as_str(), ended.world.calls.len()), ("both rejected", 0));
    let ended = ended.decide("both", Decision::Retry, Map::new());
    assert_eq!(asked(&ended), ["both"]);
    let ended = approve(ended, ben());
    assert_eq!((ended.end().outcome, ended.world.count("http.request")), (RunOutcome::Success, 2));
    replays(&scenario, &ended);
}

#[test]
fn what_could_not_be_shown_asks_for_itself() {
    let scenario = started_by_ana(Scenario::new(
        "steps:
  - id: both
    approval: oncall
    steps:
      - { id: one, uses: http.request, with: { method: POST, url: 'http://a.example.com/1' } }
      - id: two
        uses: http.request
        with: { method: POST, url: 'http://a.example.com/2', json: { id: '${{ steps.one.outputs.json.id }}' } }
",
    ))
    .answers("http.request", [ok(json!({ "status": 200, "json": { "id": 7 } }))]);
    let ended = scenario.run();
    assert_eq!((changes(&ended), open(&ended).request.complete), (vec!["one".to_owned()], false));
    let ended = approve(ended, ben());
    assert_eq!((asked(&ended), ended.world.count("http.request")), (vec!["two".to_owned()], 1));
    assert_eq!(open(&ended).request.changes[0].with["json"].to_plain(), json!({ "id": 7 }));
    let ended = approve(ended, ben());
    assert_eq!((ended.end().outcome, ended.world.count("http.request")), (RunOutcome::Success, 2));
    replays(&scenario, &ended);
}

#[test]
fn loops_branches_scripts_and_actions_are_shown_before_they_begin() {
    let twice = "
inputs: { n: { type: int } }
steps:
  - { id: look, uses: http.probe, with: { url: 'http://a.example.com/' } }
  - { id: put, uses: http.request, with: { method: POST, url: 'http://a.example.com/${{ inputs.n }}' } }
plan: { summary: 'do ${{ inputs.n }}', before: '${{ steps.look.outputs.status }}', after: 200 }
outputs: { n: '${{ inputs.n }}' }
";
    let bodies = [
        (
            "foreach: [1, 2]\n    approval: oncall\n    uses: twice\n    with: { n: '${{ each.value }}' }",
            vec!["all[0]/put", "all[1]/put"],
        ),
        (
            "approval: oncall\n    parallel:\n      - { id: a, uses: twice, with: { n: 1 } }\n      - { id: b, uses: http.request, with: { method: POST, url: 'http://b.example.com' } }",
            vec!["b", "a/put"],
        ),
        ("approval: oncall\n    script: 'twice(#{ n: 3 })'", vec!["all/twice#1/put"]),
        ("approval: oncall\n    uses: twice\n    with: { n: 4 }", vec!["all/put"]),
    ];
    for (body, expected) in bodies {
        let scenario = Scenario::with_actions(&format!("steps:\n  - id: all\n    {body}\n"), &[("twice", twice)]);
        let scenario = started_by_ana(scenario)
            .answers("http.probe", [ok(json!({ "status": 503 }))])
            .answers("http.request", [ok(json!({ "status": 200 }))]);
        let ended = scenario.run();
        assert_eq!((asked(&ended), ended.world.calls.len()), (vec!["all".to_owned()], 0), "{body}");
        assert_eq!(changes(&ended), expected, "{body}");
        let change = open(&ended).request.changes.iter().find(|change| change.step.as_str().ends_with("put")).unwrap();
        assert_eq!((change.before.to_plain(), change.after.to_plain()), (json!(503), json!(200)), "{body}");
        let ended = approve(ended, ben());
        assert_eq!(ended.end().outcome, RunOutcome::Success, "{body}: {}", ended.outcomes());
        assert_eq!(ended.world.count("http.request"), expected.len(), "{body}");
        replays(&scenario, &ended);
    }
}

#[test]
fn a_script_may_write_what_nobody_could_foresee() {
    let scenario = started_by_ana(Scenario::new(
        "steps:
  - id: work
    approval: oncall
    script: |
      let made = http::request(#{ method: \"POST\", url: \"http://a.example.com/1\" });
      try { http::request(#{ method: \"POST\", url: `http://a.example.com/${made.json.id}` }); } catch (e) { 0 }
",
    ))
    .answers("http.request", [ok(json!({ "status": 200, "json": { "id": 7 } }))]);
    let ended = scenario.run();
    assert_eq!((changes(&ended), open(&ended).request.complete), (vec!["work/http.request#1".to_owned()], false));
    let ended = approve(ended, ben());
    assert_eq!(asked(&ended), ["work/http.request#2"]);
    // A script can't catch a no.
    let ended = reject(ended, ben());
    assert_eq!((ended.end().outcome, ended.world.count("http.request")), (RunOutcome::Rejected, 1));
    replays(&scenario, &ended);
}

fn floors(write: &str, destructive: &str) -> Option<Box<Floors>> {
    let floor = |role: &str| Some(Need::of(role));
    Some(Box::new(Floors { write: floor(write), destructive: floor(destructive), ..Floors::default() }))
}

#[test]
fn a_target_asks_at_the_outermost_call_that_writes() {
    let deploy = "
steps:
  - id: inner
    steps:
      - { id: put, uses: http.request, with: { method: POST, url: 'http://a.example.com/1' } }
      - { id: again, uses: http.request, with: { method: POST, url: 'http://a.example.com/2' } }
";
    let mut scenario = started_by_ana(Scenario::with_actions(
        "steps:
  - id: group
    steps:
      - { id: first, uses: deploy }
      - { id: second, uses: http.request, with: { method: POST, url: 'http://a.example.com/3' }, approval: oncall }
      - { id: tell, uses: email.send, with: { to: [ops@example.com], subject: x, text: y } }
",
        &[("deploy", deploy)],
    ))
    .answers("http.request", [ok(json!({ "status": 200 }))])
    .answers("email.send", [ok(json!({}))]);
    scenario.floors = floors("lead", "lead");
    let ended = scenario.run();
    assert_eq!(
        (asked(&ended), changes(&ended)),
        (vec!["first".into()], vec!["first/put".to_owned(), "first/again".into()])
    );
    assert!(open(&ended).request.policy);
    let ended = approve(ended, cleo());
    // What the runbook asks comes on top of what the target asks.
    let request = open(&ended).request.clone();
    assert_eq!((request.step.as_str(), &request.needs), ("second", &vec![Need::of("oncall"), Need::of("lead")]));
    let ended = approve(ended, ben());
    assert_eq!(open(&ended).given.len(), 1);
    let ended = approve(ended, cleo());
    assert_eq!((ended.end().outcome, ended.world.count("http.request")), (RunOutcome::Success, 3));
    assert_eq!(ended.world.count("email.send"), 1, "nobody asks for a message here");
    replays(&scenario, &ended);
}

#[test]
fn an_approval_of_the_runbook_can_be_what_the_target_asks_for() {
    let mut scenario = group();
    scenario.floors = floors("oncall", "lead");
    let ended = approve(scenario.run(), ben());
    assert_eq!((ended.end().outcome, ended.world.count("http.request")), (RunOutcome::Success, 2));
    replays(&scenario, &ended);
}

#[test]
fn whoever_is_alone_confirms_for_themselves_where_the_target_allows_it() {
    let scenario = one_write("oncall");
    let alone = Actor::new("ana", "test");
    let mut run = scenario.start();
    run.alone();
    let mut world = scenario.world.clone();
    let waits = run.drive(&mut world, usize::MAX);
    let ended = approve(Ended { run, world, waits }, alone.clone());
    assert_eq!((ended.end().outcome, ended.world.count("http.request")), (RunOutcome::Success, 1));
    assert!(ended.run.events.iter().any(|event| matches!(event.body, Body::ApprovalGiven { single: true, .. })));
    replays(&scenario, &ended);

    let mut strict = one_write("oncall");
    strict.floors = Some(Box::new(Floors { single_operator: false, ..Floors::default() }));
    let mut run = strict.start();
    run.alone();
    let mut world = strict.world.clone();
    let waits = run.drive(&mut world, usize::MAX);
    let ended = approve(Ended { run, world, waits }, alone);
    assert_eq!((ended.world.count("http.request"), open(&ended).given.len()), (0, 0));
}

#[test]
fn a_run_that_applies_a_plan_makes_no_other_write() {
    let mut scenario = group();
    let planned = scenario.run();
    let changes = open(&planned).request.changes.clone();
    scenario.cover = Some(Box::new(Cover { plan: "sha256:1".into(), changes: changes.clone(), open: vec![] }));
    let ended = approve(scenario.run(), ben());
    assert_eq!((ended.end().outcome, ended.world.count("http.request")), (RunOutcome::Success, 2));
    replays(&scenario, &ended);

    let mut drifted = scenario.clone();
    drifted.world.answers.insert("http.probe".into(), vec![ok(json!({ "status": 200 }))]);
    let ended = approve(drifted.run(), ben());
    let error = ended.end().error.as_ref().unwrap();
    assert_eq!((ended.end().outcome, error.kind), (RunOutcome::Rejected, FailureKind::Stale));
    assert_eq!(error.message, "this write is not the one of the plan: with.json.seen: 503 → 200");
    assert_eq!(ended.world.count("http.request"), 0);
    replays(&drifted, &ended);

    let mut lacking = scenario.clone();
    lacking.cover = Some(Box::new(Cover { plan: "sha256:1".into(), changes: changes[..1].to_vec(), open: vec![] }));
    let ended = approve(lacking.run(), ben());
    let error = ended.end().error.as_ref().unwrap();
    assert_eq!(error.message, "the plan has no write at `two`: http.request");
    assert_eq!(ended.world.count("http.request"), 1);
}

#[test]
fn branches_go_on_while_one_of_them_waits_for_people() {
    let scenario = started_by_ana(Scenario::new(
        "steps:
  - parallel:
      - id: asks
        uses: http.request
        with: { method: POST, url: 'http://a.example.com/1' }
        approval: oncall
      - steps:
          - { id: look, uses: http.probe, with: { url: 'http://a.example.com/' } }
          - { id: goes, uses: http.request, with: { method: POST, url: 'http://a.example.com/2' } }
",
    ))
    .answers("http.probe", [ok(json!({ "status": 503 }))])
    .answers("http.request", [ok(json!({ "status": 200 }))]);
    let ended = scenario.run();
    assert_eq!((asked(&ended), ended.outcomes().as_str()), (vec!["asks".to_owned()], "look done, goes done"));
    assert_eq!(ended.facts().step(&StepPath::new("goes")).unwrap().end().unwrap().outcome, Outcome::Done);
    assert_eq!(ended.world.count("http.probe"), 1, "a look ahead is no look of the run");
    let ended = approve(ended, ben());
    assert_eq!((ended.end().outcome, ended.world.count("http.request")), (RunOutcome::Success, 2));
}

#[test]
fn what_is_taken_back_asks_as_any_other_write_and_each_time_anew() {
    let mut scenario = started_by_ana(Scenario::new(
        "steps:
  - id: one
    uses: http.request
    with: { method: POST, url: 'http://a.example.com/one' }
    undo:
      uses: http.request
      with: { method: DELETE, url: 'http://a.example.com/one' }
",
    ))
    .answers("http.request", [ok(json!({ "status": 200 }))]);
    scenario.floors = floors("oncall", "oncall");
    let planned = scenario.run();
    let changes = open(&planned).request.changes.clone();
    // A plan that is applied is not about what takes it back.
    scenario.cover = Some(Box::new(Cover { plan: "sha256:1".into(), changes, open: vec![] }));
    let done = approve(scenario.run(), ben());
    assert_eq!(done.end().outcome, RunOutcome::Success);
    let undo = Signal::Undo { actor: person("ana", &["oncall"]), reason: None, fence: 2 };
    let ended = done.signal(undo);
    assert_eq!((asked(&ended), ended.world.count("http.request")), (vec!["undo/one".to_owned()], 1));
    let ended = approve(ended, ben());
    assert_eq!((ended.world.count("http.request"), asked(&ended)), (2, vec![]));
    replays(&scenario, &ended);
}
