//! Runs that apply a plan: what they may write, where they ask, and what a failure changes about that.

use rerail::engine::change::Cover;
use rerail::engine::event::{Actor, Body};
use rerail::engine::ids::StepPath;
use rerail::engine::look_ahead::Previewed;
use rerail::engine::machine::Signal;
use rerail::engine::outcome::{FailureKind, RunOutcome};
use serde_json::json;

use crate::cli::kit::Place;
use crate::scenario::{Ended, Scenario, ana, failed, ok, refused};

fn rehearsed(scenario: &Scenario) -> Previewed {
    let run = scenario.start();
    scenario.world.rehearse(run.machine.look_ahead(&StepPath::root()), run.now)
}

/// The scenario as one that applies the plan of its own world.
fn applying(mut scenario: Scenario) -> Scenario {
    let found = rehearsed(&scenario);
    let changes = found.found.into_iter().map(|found| found.change).collect();
    scenario.cover = Some(Box::new(Cover { plan: "sha256:1".into(), changes, open: found.open }));
    scenario
}

fn write(id: &str, path: &str) -> String {
    format!("  - {{ id: {id}, uses: http.request, with: {{ method: POST, url: 'http://a.example.com/{path}' }} }}\n")
}

/// A look, a write of what it saw, another write, and what cleans up.
fn cleaned_up() -> Scenario {
    let seen = "${{ steps.look.outputs.status }}";
    Scenario::new(&format!(
        "steps:
  - {{ id: look, uses: http.probe, with: {{ url: 'http://a.example.com/' }} }}
{}{}on_failure:
{}finally:
{}",
        write("one", "one"),
        write("two", &format!("two/{seen}")),
        write("back", "back/${{ run.failed_step }}"),
        write("unlock", "unlock/${{ run.outcome }}"),
    ))
    .answers("http.probe", [ok(json!({ "status": 503 }))])
    .answers("http.request", [ok(json!({ "status": 200 }))])
}

/// The same in which `look` sees something else than it did for the plan.
fn moved(scenario: Scenario) -> Scenario {
    let mut scenario = applying(scenario);
    scenario.world.answers.insert("http.probe".into(), vec![ok(json!({ "status": 200 }))]);
    scenario
}

fn kind(ended: &Ended) -> FailureKind {
    ended.end().error.as_ref().unwrap().kind
}

#[test]
fn an_applied_plan_is_done_as_it_stands() {
    let scenario = applying(cleaned_up());
    let cover = scenario.cover.clone().unwrap();
    let steps: Vec<&str> = cover.changes.iter().map(|change| change.step.as_str()).collect();
    assert_eq!((steps, cover.open.len()), (vec!["one", "two", "finally/unlock"], 0));
    let ended = scenario.run();
    assert_eq!(ended.end().outcome, RunOutcome::Success);
    assert_eq!(ended.outcomes(), "look done, one done, two done, finally/unlock done");
}

#[test]
fn a_write_that_is_another_one_stops_the_run_and_what_was_done_is_cleaned_up_after() {
    let ended = moved(cleaned_up()).run();
    assert_eq!((ended.end().outcome, kind(&ended)), (RunOutcome::Rejected, FailureKind::Stale));
    assert_eq!(ended.outcomes(), "look done, one done, two rejected, on_failure/back done, finally/unlock done");
    let wrong = "http://a.example.com/two/503\" → \"http://a.example.com/two/200";
    assert!(ended.message("two").contains(wrong), "{}", ended.message("two"));
}

#[test]
fn a_plan_that_is_out_of_date_before_its_first_write_changes_nothing_at_all() {
    let scenario = Scenario::new(&format!(
        "steps:
  - {{ id: look, uses: http.probe, with: {{ url: 'http://a.example.com/' }} }}
{}on_failure:
{}finally:
{}",
        write("one", "one/${{ steps.look.outputs.status }}"),
        write("back", "back"),
        write("unlock", "unlock"),
    ))
    .answers("http.probe", [ok(json!({ "status": 503 }))])
    .answers("http.request", [ok(json!({ "status": 200 }))]);
    let ended = moved(scenario).run();
    assert_eq!((kind(&ended), ended.world.count("http.request")), (FailureKind::Stale, 0));
    assert_eq!(ended.outcomes(), "look done, one rejected, on_failure/back rejected, finally/unlock rejected");
    assert!(ended.message("on_failure/back").contains("nothing to put right"), "{}", ended.message("on_failure/back"));
    assert!(ended.message("one").contains("is not the one of the plan"), "{}", ended.message("one"));
}

#[test]
fn what_stands_in_on_failure_is_done_when_it_fails_and_not_for_anything_else() {
    // Before the first write, by a read: the plan said what may be written if it fails.
    let mut broken = applying(cleaned_up());
    broken.world.answers.insert("http.probe".into(), vec![failed(FailureKind::Timeout, "no answer")]);
    let ended = broken.run();
    assert_eq!(kind(&ended), FailureKind::Timeout);
    assert_eq!(ended.outcomes(), "look failed, on_failure/back done, finally/unlock done");

    let mut broken = applying(cleaned_up());
    broken.world.answers.insert("two".into(), vec![refused()]);
    let ended = broken.run();
    assert_eq!(ended.outcomes(), "look done, one done, two refused, on_failure/back done, finally/unlock done");

    // A cancelled run is no failure; what runs at its end does so.
    let mut scenario = applying(cleaned_up());
    scenario.world.answers.insert("two".into(), vec![ok(json!({ "status": 200 }))]);
    let mut run = scenario.start();
    let mut world = scenario.world.clone();
    let waits = run.drive(&mut world, 4);
    let ended = Ended { run, world, waits }.signal(Signal::Cancel { actor: ana(), reason: None });
    assert_eq!(ended.end().outcome, RunOutcome::Cancelled);
    assert!(ended.outcomes().ends_with("finally/unlock done"), "{}", ended.outcomes());
}

#[test]
fn at_the_end_of_a_run_that_went_well_only_the_plan_counts() {
    let scenario = applying(cleaned_up());
    let mut other = scenario.clone();
    let cover = other.cover.as_mut().unwrap();
    cover.changes.retain(|change| change.step.as_str() != "finally/unlock");
    let ended = other.run();
    assert_eq!(ended.message("finally/unlock"), "the plan has no write at `finally/unlock`: http.request");
    assert_eq!(ended.end().outcome, RunOutcome::Failed);
}

/// What the second write sends is known only when the first one was made.
fn in_two_parts() -> Scenario {
    Scenario::new(&format!(
        "steps:\n{}{}{}",
        write("make", "things"),
        write("name", "things/${{ steps.make.outputs.json.id }}"),
        write("last", "last")
    ))
    .answers("http.request", [ok(json!({ "status": 201, "json": { "id": 7 } }))])
}

#[test]
fn a_write_the_plan_could_not_know_is_asked_about_where_it_stands() {
    let found = rehearsed(&in_two_parts());
    assert_eq!((found.complete, found.open), (false, vec![StepPath::new("name")]));
    let scenario = applying(in_two_parts());
    let ended = scenario.run();
    let open = ended.facts().approvals.open().next().expect("it asks").request.clone();
    assert_eq!((open.step.as_str(), open.changes.len(), ended.world.count("http.request")), ("name", 1, 1));
    assert_eq!(open.message, "the plan could not know this change before");
    assert_eq!(open.changes[0].with["url"].to_string(), "http://a.example.com/things/7");
    // Whoever applies it may say so, because nobody else was asked for.
    let (step, change) = (open.step.clone(), open.change.clone());
    let actor = Actor::person("ana", "test", vec![]);
    let ended = ended.signal(Signal::Approve { step, change, actor, at: None, shown: None });
    assert_eq!((ended.end().outcome, ended.world.count("http.request")), (RunOutcome::Success, 3));
    assert!(ended.run.events.iter().any(|event| matches!(event.body, Body::ApprovalGiven { .. })));
}

#[test]
fn loops_and_scripts_over_what_is_not_known_are_asked_about_too() {
    let scenario = Scenario::new(&format!(
        "steps:
{}  - id: each
    foreach: ${{{{ steps.make.outputs.json.ids }}}}
    uses: http.request
    with: {{ method: POST, url: 'http://a.example.com/${{{{ each.value }}}}' }}
  - id: code
    script: |
      if steps.make.outputs.json.ids.len() == 2 {{
        http::request(#{{ method: \"POST\", url: \"http://a.example.com/script\" }});
      }}
",
        write("make", "things")
    ))
    .answers("http.request", [ok(json!({ "status": 201, "json": { "ids": ["a", "b"] } }))]);
    let open: Vec<String> = rehearsed(&scenario).open.iter().map(ToString::to_string).collect();
    assert_eq!(open, ["each", "code"]);
    let mut ended = applying(scenario).run();
    let mut asked = Vec::new();
    loop {
        let open = ended.facts().approvals.open().next().map(|open| open.request.clone());
        let Some(open) = open else { break };
        asked.push(open.step.to_string());
        let actor = Actor::person("ben", "test", vec![]);
        ended = ended.signal(Signal::Approve {
            step: open.step.clone(),
            change: open.change.clone(),
            actor,
            at: None,
            shown: None,
        });
    }
    assert_eq!(asked, ["each[0]", "each[1]", "code/http.request#1"]);
    assert_eq!(ended.end().outcome, RunOutcome::Success);
}

#[test]
fn what_an_action_announces_may_be_unknown_for_the_plan_if_its_arguments_are_not() {
    let put = "
inputs: { n: { type: int } }
steps:
  - { id: look, uses: http.probe, with: { url: 'http://a.example.com/' } }
  - { id: put, uses: http.request, with: { method: POST, url: 'http://a.example.com/${{ inputs.n }}' } }
plan: { summary: 'do ${{ inputs.n }}', before: '${{ steps.look.outputs.status }}', after: 200 }
";
    let scenario = Scenario::with_actions(
        "steps:\n  - { id: one, uses: put, with: { n: 1 } }\n  - { id: two, uses: put, with: { n: 2 } }\n",
        &[("put", put)],
    )
    .answers("http.probe", [ok(json!({ "status": 503 }))])
    .answers("http.request", [ok(json!({ "status": 200 }))]);
    let found = rehearsed(&scenario).found;
    let vague: Vec<bool> = found.iter().map(|found| found.change.vague).collect();
    assert_eq!(vague, [false, true], "what is read after the first write is unknown");
    let ended = applying(scenario.clone()).run();
    assert_eq!(ended.end().outcome, RunOutcome::Success);
    // What was known counts, and so do the arguments, known or not.
    let mut moved = applying(scenario.clone());
    moved.world.answers.insert("http.probe".into(), vec![ok(json!({ "status": 502 }))]);
    assert_eq!(kind(&moved.run()), FailureKind::Stale);
    let mut other = applying(scenario);
    for change in &mut other.cover.as_mut().unwrap().changes {
        change.digest = change.digest.replace(|digit: char| digit.is_ascii_digit(), "0");
    }
    assert_eq!(kind(&other.run()), FailureKind::Stale);
}

/// Shipped runbooks that are planned beside the world they are tested in, and those whose plan is never complete: what is
/// noted of a dump is known once there is one.
const ELSEWHERE: &[&str] = &[
    "backup-mongodb",
    "backup-postgres",
    "cors-fix",
    "crash-loop",
    "restore-mongodb",
    "restore-postgres",
    "rollback-backend",
    "rollback-database",
    "rollback-frontend",
    "rotate-secrets",
];

/// A shipped runbook that may write, in a world in which it does.
fn writing(name: &str) -> Scenario {
    let path = format!("{}/runbooks/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    match name {
        "demo" => Scenario::shipped(name, &text)
            .input("base_url", "http://a.example.com")
            .input("platform_url", "http://p.example.com")
            .answers("health", [ok(json!({ "ok": false, "status": 502 }))])
            .answers("service", [ok(json!({ "status": 200, "json": { "restarts": 3, "status": "crashed" } }))])
            .answers("logs", [ok(json!({ "json": { "lines": ["SESSION_SECRET is not defined"] } }))])
            .answers("variables", [ok(json!({ "json": { "PORT": "80" } }))])
            .answers("set", [ok(json!({ "status": 200 }))])
            .answers("redeploy", [ok(json!({ "status": 201, "json": { "id": "d1" } }))])
            .answers("healthy", [ok(json!({ "ok": true, "status": 200 }))])
            .answers("after", [ok(json!({ "json": { "restarts": 0, "status": "active" } }))]),
        _ => panic!("`{name}` writes, and has no world here"),
    }
}

#[test]
fn the_plan_of_every_shipped_runbook_that_writes_has_all_it_writes() {
    let place = Place::new();
    let listed = place.run(&["list", "--json"]).expect(0).json();
    let may_write = |listed: &&serde_json::Value| {
        let effects = listed["effects"].as_array().unwrap();
        listed["origin"] == "embedded" && effects.iter().any(|effect| effect == "write" || effect == "destructive")
    };
    let mut written = 0;
    let names = listed.as_array().unwrap().iter().filter(may_write).map(|listed| listed["name"].as_str().unwrap());
    for name in names.filter(|name| !ELSEWHERE.contains(name)) {
        let scenario = writing(name);
        let ended = applying(scenario.clone()).run();
        assert_eq!(ended.end().outcome, RunOutcome::Success, "{name}: {}", ended.outcomes());
        let made = ended.run.events.iter().filter(|event| match &event.body {
            Body::StepStarted(intent) => intent.key.is_some(),
            _ => false,
        });
        let (made, planned) = (made.count(), rehearsed(&scenario));
        assert!(made > 0 && made == planned.found.len() && planned.complete, "{name}: {planned:?}");
        written += made;
    }
    assert!(written >= 2, "only {written} writes of shipped runbooks were planned");
}
