//! Every shipped runbook and action that writes, and everything that can go wrong with each of its writes: it fails, is
//! refused, is never answered, its process dies before or after it, it is taken back twice. At the end the journal says
//! what happened, and nothing was sent that nobody asked for.
//!
//! What is shipped is found by itself; what it needs to get as far as its writes stands in [`world_of`].

use std::collections::BTreeSet;
use std::sync::Arc;

use rerail::drivers::replay::replay;
use rerail::engine::event::{Body, Decision, Event, StepStarted};
use rerail::engine::facts::RunState;
use rerail::engine::outcome::{Attempt, FailureKind, Outcome, RunOutcome, UndoOutcome};
use rerail::project::Project;
use rerail::runbook::program::{Library, Program, load};
use rerail::runbook::settings::read_target;
use rerail::runbook::source::Source;
use rerail::runbook::spec::{Effect, Repeat};
use rerail::script::sandbox::Sandbox;
use rerail::script::value::{Map, Value};
use rerail::steps::catalog;
use serde_json::{Value as Json, json};

use crate::scenario::{Ended, Scenario, ana, failed, in_doubt, ok, refused};
use crate::undo::undo;

/// More decisions than any of these runs needs.
const DECISIONS_MAX: usize = 20;

/// Files that write and whose runs are proved elsewhere: name, and the test that does it.
const ELSEWHERE: &[(&str, &str)] = &[
    ("atlas.restore", "whatever_becomes_of_an_answer_each_is_made_once"),
    ("atlas.snapshot", "whatever_becomes_of_an_answer_each_is_made_once"),
    ("cors-fix", "whichever_call_breaks_the_right_origins_are_allowed_once_or_it_says_why_not"),
    ("discord.post", "where_nobody_can_look_a_person_is_asked"),
    ("github.dispatch", "whatever_becomes_of_its_answer_a_workflow_is_started_once"),
    ("mattermost.post", "whatever_becomes_of_an_answer_people_are_told_once"),
    ("pagerduty.event", "whatever_becomes_of_an_answer_people_are_told_once"),
    ("slack.post", "whatever_becomes_of_an_answer_people_are_told_once"),
    ("statuspage.incident", "an_incident_is_opened_updated_and_resolved_under_its_name"),
    ("mail-down", "whatever_breaks_at_whichever_call_each_message_is_sent_once"),
    ("resend.send", "whatever_becomes_of_the_answer_a_message_is_sent_once"),
    ("rotate-secrets", "whatever_breaks_at_whichever_call_both_sides_agree_or_it_is_said_how_they_differ"),
    ("secrets.rotate_one", "whatever_breaks_at_whichever_call_both_sides_agree_or_it_is_said_how_they_differ"),
    ("crash-loop", "whatever_breaks_at_whichever_call_no_write_is_made_twice_and_no_success_is_false"),
    ("rollback-backend", "a_rollback_is_taken_back_by_going_forward"),
    ("rollback-frontend", "whatever_breaks_at_whichever_call_users_are_led_back_once_or_it_is_said_why_not"),
    ("backup-postgres", "a_backup_that_is_killed_anywhere_is_made_once"),
    ("restore-postgres", "a_restore_that_is_killed_anywhere_after_the_yes_is_done_once"),
    ("rollback-database", "a_migration_that_fails_changes_nothing_and_says_what_is_in_which_state"),
    ("postgres.drill", "a_drill_that_is_killed_anywhere_ends_well_and_leaves_nothing"),
    ("postgres.dump", "a_dump_that_goes_on_without_rerail_is_waited_for_and_taken_as_done"),
    ("postgres.prune", "the_newest_dump_stays_however_old_it_is"),
    ("postgres.restore", "a_restore_that_fails_half_way_leaves_everything_as_it_was_and_says_so"),
    ("backup-mongodb", "a_dump_whose_end_rerail_did_not_see_is_taken_as_done_only_if_it_is_whole"),
    ("restore-mongodb", "a_restore_that_breaks_off_says_that_some_is_new_and_some_is_old"),
    ("mongo.dump", "a_dump_whose_end_rerail_did_not_see_is_taken_as_done_only_if_it_is_whole"),
    ("mongo.restore", "a_restore_that_breaks_off_says_that_some_is_new_and_some_is_old"),
    ("ssh.run", "only_a_command_with_a_line_of_its_own_runs_there"),
    ("railway.backup", "a_backup_is_made_once_over_every_fault"),
    ("railway.restore", "a_restore_is_staged_and_committed_once_over_every_fault"),
    ("railway.deploy", "every_write_on_deployments_is_made_once_over_every_fault"),
    ("railway.redeploy", "every_write_on_deployments_is_made_once_over_every_fault"),
    ("railway.restart", "every_write_on_deployments_is_made_once_over_every_fault"),
    ("railway.rollback", "every_write_on_deployments_is_made_once_over_every_fault"),
    ("railway.set_variables", "an_answer_that_is_lost_again_is_looked_for_again"),
    ("vercel.cancel", "a_cancel_whose_answer_is_lost_is_not_sent_twice"),
    ("vercel.deploy", "every_write_is_made_once_over_every_fault"),
    ("vercel.env_remove", "every_write_is_made_once_over_every_fault"),
    ("vercel.env_set", "every_write_is_made_once_over_every_fault"),
    ("vercel.move", "every_write_is_made_once_over_every_fault"),
    ("vercel.promote", "every_write_is_made_once_over_every_fault"),
    ("vercel.rollback", "every_write_is_made_once_over_every_fault"),
    ("railway.unset_variables", "removed_is_what_is_set_and_each_once_over_a_lost_answer"),
];

/// How a shipped file gets to its writes: inputs, the providers of a target, and what the world answers by path.
struct World {
    inputs: Json,
    target: &'static str,
    answers: Vec<(&'static str, Vec<Json>)>,
}

fn world_of(name: &str) -> Vec<World> {
    let wait = "wait: { url: 'http://backend.example.com/health', delay: 1s, every: 1s, within: 1m }";
    let deploys = |target, path, json| World {
        inputs: json!({ "service": "backend" }),
        target,
        answers: vec![(path, vec![json]), ("it/healthy", vec![json!({ "status": 200, "ok": true })])],
    };
    match name {
        "demo" => vec![World {
            inputs: json!({ "base_url": "http://backend.example.com", "platform_url": "http://platform.example.com" }),
            target: "",
            answers: vec![
                ("health", vec![json!({ "ok": false, "status": 502 })]),
                ("service", vec![json!({ "status": 200, "json": { "status": "crashed", "restarts": 7 } })]),
                ("logs", vec![json!({ "status": 200, "json": { "lines": ["error: SESSION_SECRET is not defined"] } })]),
                ("variables", vec![json!({ "status": 200, "json": {} })]),
                ("set", vec![json!({ "status": 200, "json": {} })]),
                ("redeploy", vec![json!({ "status": 201, "json": { "id": "d1" } })]),
                ("healthy", vec![json!({ "ok": true, "status": 200 })]),
                ("after", vec![json!({ "status": 200, "json": { "status": "active", "restarts": 0 } })]),
            ],
        }],
        "redeploy" => vec![
            deploys("{ use: webhook, url: 'http://hooks.example.com/{service}' }", "it/hook", json!({ "status": 204 })),
            deploys(
                Box::leak(
                    format!("{{ use: webhook, url: 'http://hooks.example.com/{{service}}', {wait} }}").into_boxed_str(),
                ),
                "it/hook",
                json!({ "status": 204 }),
            ),
            deploys("{ use: command, argv: [deploy, '{service}'] }", "it/command", json!({ "code": 0 })),
        ],
        _ => Vec::new(),
    }
}

/// Values of the right types for the inputs that an action asks for: enough to see what it may do.
fn some_inputs(project: &Project, action: &str) -> Json {
    let text = project.action(action).unwrap().unwrap().text.clone();
    let file: Json = serde_yaml::from_str(&text).unwrap();
    let asked = file["inputs"].as_object().into_iter().flatten().filter(|(_, input)| input.get("default").is_none());
    let value = |input: &Json| match input["type"].as_str().unwrap_or("string") {
        "url" => json!("http://backend.example.com"),
        "int" | "float" => json!(2),
        "bool" => json!(true),
        "duration" => json!("1s"),
        "list" => json!(["a"]),
        "map" => json!({ "a": "b" }),
        "email" => json!("ana@example.com"),
        "choice" => input["choices"][0].clone(),
        "secret" => json!("${{ secrets.TOKEN }}"),
        _ => json!("backend"),
    };
    asked.map(|(name, input)| (name.clone(), value(input))).collect()
}

/// All that is shipped and writes, with a world each; an action is called by a runbook of one step.
fn writing() -> Vec<(String, Scenario)> {
    let project = Project::default();
    let runbooks = project.runbook_names().into_iter().map(|name| (name, None));
    let actions = project.action_names().into_iter().map(|name| (name.clone(), Some(name)));
    let mut found = Vec::new();
    let mut without = Vec::new();
    for (name, action) in runbooks.chain(actions) {
        let worlds = world_of(&name);
        let known = worlds.first().map(|world| world.inputs.clone());
        let inputs = known.unwrap_or_else(|| action.as_ref().map_or(json!({}), |action| some_inputs(&project, action)));
        let source = match &action {
            None => Library::runbook(&project, &name).unwrap().unwrap(),
            Some(action) => {
                let head = "version: 1\ntitle: A call\nowner: tests\nreviewed: 2026-11-01\nsecrets: [TOKEN]\n";
                let step = format!("steps:\n  - {{ id: it, uses: {action}, with: {inputs} }}\n");
                Source::new("runbooks/call.yaml", format!("{head}{step}"))
            }
        };
        let (program, problems) = load(action.as_ref().map_or(&name, |_| "call"), source, &project, &catalog::specs());
        let program =
            program.unwrap_or_else(|| panic!("{name}: {}", rerail::runbook::problem::render(&problems, false)));
        if program.effects.iter().all(|effect| *effect <= Effect::Read) {
            continue;
        }
        if worlds.is_empty() {
            without.push(name);
            continue;
        }
        let program = Arc::new(program);
        for world in worlds {
            found.push((name.clone(), scenario(&program, &world, action.is_none())));
        }
    }
    assert!(found.len() >= 4, "the demonstration, and `redeploy` in each of its ways");
    let elsewhere: BTreeSet<&str> = ELSEWHERE.iter().map(|(name, _)| *name).collect();
    without.retain(|name| !elsewhere.contains(name.as_str()));
    assert!(
        without.is_empty(),
        "shipped, writes, and nobody knows what becomes of it: {without:?}; give it a world in `world_of`, or name the \
         test that proves it in `ELSEWHERE`"
    );
    found
}

fn scenario(program: &Arc<Program>, world: &World, is_runbook: bool) -> Scenario {
    let names: Vec<String> = program.specs.keys().cloned().collect();
    let mut scenario = Scenario {
        program: Arc::clone(program),
        sandbox: Arc::new(Sandbox::new(&names, &program.modules).unwrap()),
        inputs: Map::new(),
        providers: Map::new(),
        world: Default::default(),
        floors: None,
        cover: None,
        operator: ana(),
    };
    if let (true, Value::Map(inputs)) = (is_runbook, Value::from_data(&world.inputs)) {
        scenario.inputs = inputs;
    }
    if !world.target.is_empty() {
        let text = format!("version: 1\nproviders: {{ redeploy: {} }}\n", world.target);
        let (target, problems) = read_target(&Source::new("targets/here.yaml", text));
        assert!(problems.is_empty(), "{}", rerail::runbook::problem::render(&problems, false));
        scenario.providers = target.providers;
    }
    for (path, answers) in &world.answers {
        scenario = scenario.answers(path, answers.iter().cloned().map(ok));
    }
    scenario
}

/// The writes of a run that nothing stops, as they were meant.
fn writes(scenario: &Scenario) -> Vec<StepStarted> {
    let ended = scenario.run();
    assert_eq!(ended.end().outcome, RunOutcome::Success, "{}", ended.outcomes());
    let intent = |event: &Event| match &event.body {
        Body::StepStarted(intent) if intent.key.is_some() => Some((**intent).clone()),
        _ => None,
    };
    let writes: Vec<StepStarted> = ended.run.events.iter().filter_map(intent).collect();
    assert!(!writes.is_empty(), "it gets to no write");
    writes
}

fn times(ended: &Ended, path: &str) -> usize {
    ended.world.calls.iter().filter(|(called, ..)| called == path).count()
}

/// What a write gives when it is done.
fn given(scenario: &Scenario, path: &str) -> Attempt {
    scenario.world.answers[path][0].clone()
}

fn may_be_repeated(write: &StepStarted) -> bool {
    matches!(write.repeat, Repeat::Repeatable | Repeat::Keyed { .. })
}

/// Says of each doubt what is known on the other side, and takes over what it gave.
fn decided(mut ended: Ended, scenario: &Scenario, happened: &dyn Fn(&Ended, &str) -> bool) -> (Ended, usize) {
    for asked in 0..DECISIONS_MAX {
        let Some(step) = ended.waits.doubts.first().map(ToString::to_string) else { return (ended, asked) };
        ended = match happened(&ended, &step) {
            true => {
                let Value::Map(outputs) = given(scenario, &step).outputs else { panic!("{step} gives a map") };
                ended.decide(&step, Decision::Done, outputs)
            }
            false => ended.decide(&step, Decision::NotDone, Map::new()),
        };
    }
    panic!("still in doubt after {DECISIONS_MAX} decisions");
}

/// The journal tells the same again, and taking it back twice takes back once.
fn assert_over(ended: Ended, scenario: &Scenario, case: &str) {
    assert!(matches!(ended.facts().state(), RunState::Ended(_)), "{case}: {:?}", ended.waits);
    let once = undo(ended);
    let (first, sent) = (once.facts().undo_of_run().unwrap().clone(), once.world.calls.len());
    let twice = undo(once);
    let second = twice.facts().undo_of_run().unwrap();
    for undo in [&first, second] {
        let end = undo.end.as_ref().unwrap_or_else(|| panic!("{case}"));
        assert_eq!((end.outcome, end.left.len()), (UndoOutcome::Done, 0), "{case}");
    }
    assert!(second.steps.is_empty() && twice.world.calls.len() == sent, "{case}: taken back a second time");
    replay(scenario.program.clone(), scenario.sandbox.clone(), &twice.run.events)
        .unwrap_or_else(|error| panic!("{case}: {error}"));
}

#[test]
fn whatever_becomes_of_a_write_of_a_shipped_file_is_what_its_journal_says() {
    for (name, scenario) in writing() {
        for write in writes(&scenario) {
            let path = write.step.as_str();
            let done = given(&scenario, path);
            for (word, attempt, outcome) in [
                ("fails", failed(FailureKind::Status, "got 207"), Outcome::Failed),
                (
                    "is refused",
                    Attempt {
                        failure: refused().failure.map(|f| rerail::engine::outcome::Failure { transient: false, ..f }),
                        ..refused()
                    },
                    Outcome::Refused,
                ),
            ] {
                let case = format!("{name}: `{path}` {word}");
                let ended = scenario.clone().world_says(path, [attempt]).run();
                let end = ended.facts().step(&write.step).and_then(|record| record.end()).map(|end| end.outcome);
                assert_eq!((end, times(&ended, path)), (Some(outcome), 1), "{case}: {}", ended.outcomes());
                assert_eq!(ended.end().outcome, RunOutcome::Failed, "{case}");
                assert!(
                    ended.end().failed_step.as_ref().is_some_and(|step| *step == write.step
                        || step.is_below(&write.step)
                        || write.step.is_below(step)),
                    "{case}"
                );
                assert_over(ended, &scenario, &case);
            }
            for happened in [true, false] {
                let case = format!("{name}: the answer of `{path}` is lost, happened: {happened}");
                let ended = scenario.clone().world_says(path, [in_doubt(), done.clone()]).run();
                let (ended, asked) = decided(ended, &scenario, &|_, _| happened);
                assert_eq!(asked == 0, may_be_repeated(&write), "{case}: a person is asked if nothing else can tell");
                let sent = if may_be_repeated(&write) || !happened { 2 } else { 1 };
                assert_eq!((ended.end().outcome, times(&ended, path)), (RunOutcome::Success, sent), "{case}");
                let keys: BTreeSet<_> = ended
                    .run
                    .events
                    .iter()
                    .filter_map(|event| match &event.body {
                        Body::StepStarted(intent) if intent.step == write.step => intent.key.clone(),
                        _ => None,
                    })
                    .collect();
                assert_eq!(keys.len(), 1, "{case}: sent again as something else");
                assert_over(ended, &scenario, &case);
            }
        }
    }
}

#[test]
fn killed_before_or_after_every_effect_a_shipped_file_ends_as_if_nothing_had_happened() {
    for (name, scenario) in writing() {
        let whole = scenario.run();
        let writes = writes(&scenario);
        for keep in 1..whole.run.events.len() {
            for performed in [false, true] {
                let case = format!("{name}: killed at event {keep}, performed: {performed}");
                let (mut run, mut world) = (scenario.start(), scenario.world.clone());
                run.drive(&mut world, keep + usize::from(performed));
                run.crash(keep.min(run.events.len()), ana()).unwrap();
                let waits = run.drive(&mut world, usize::MAX);
                let ended = Ended { run, world, waits };
                let (ended, _) = decided(ended, &scenario, &|ended, path| times(ended, path) > 0);
                let end = ended.end();
                assert_eq!((end.outcome, &end.outputs), (RunOutcome::Success, &whole.end().outputs), "{case}");
                for write in &writes {
                    let sent = times(&ended, write.step.as_str());
                    let most = 1 + usize::from(may_be_repeated(write));
                    assert!((1..=most).contains(&sent), "{case}: `{}` was sent {sent} times", write.step);
                }
                assert_over(ended, &scenario, &case);
            }
        }
    }
}
