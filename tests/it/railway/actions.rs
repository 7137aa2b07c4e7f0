//! Each action alone: what it gives, what it refuses, and what it makes of a doubt.

use rerail::engine::facts::Facts;
use rerail::engine::outcome::RunOutcome;
use rerail::runs::{Left, Why};
use serde_json::{Value as Json, json};

use super::kit::{assert_no_secret_below, broken, error, given, place};
use crate::runbooks::{Place, ended, outcome};
use crate::world::faults::Fault;
use crate::world::railway::{Railway, State, id};

/// Runs one action, as the step `act`.
fn run(railway: &Railway, place: &Place, action: &str, with: &str) -> Left {
    let text = format!(
        "version: 1\ntitle: One action\nowner: tests\nreviewed: 2026-11-01\nsteps:\n  - id: act\n    uses: railway.{action}\n    with: {{ {with} }}\n"
    );
    std::fs::create_dir_all(place.project().join("runbooks")).unwrap();
    std::fs::write(place.project().join("runbooks/one.yaml"), text).unwrap();
    let left = place.run("one", &[]);
    assert_no_secret_below(place.root());
    assert!(!railway.calls().is_empty() || !error_of(&left).is_empty());
    left
}

fn error_of(left: &Left) -> String {
    left.facts.finished.as_ref().map(|_| error(&left.facts)).unwrap_or_default()
}

fn act(railway: &Railway, action: &str, with: &str) -> Facts {
    ended(run(railway, &place(railway), action, with))
}

fn act_well(railway: &Railway, action: &str, with: &str) -> Json {
    let facts = act(railway, action, with);
    assert_eq!(outcome(&facts), RunOutcome::Success, "{action}: {:?}", facts.finished);
    given(&facts, "act")
}

fn act_ill(railway: &Railway, action: &str, with: &str) -> String {
    let facts = act(railway, action, with);
    assert_eq!(outcome(&facts), RunOutcome::Failed, "{action}: {:?}", facts.finished);
    error(&facts)
}

fn world(change: impl FnOnce(&mut State)) -> Railway {
    let mut state = broken(false);
    change(&mut state);
    Railway::serve(state)
}

/// A world whose backend runs.
fn running() -> Railway {
    world(|state| {
        let url = state.service("Postgres").variables["DATABASE_PUBLIC_URL"].clone();
        let backend = state.service("backend");
        backend.variables.insert("DATABASE_URL".into(), url);
        backend.variables.insert("NEXTAUTH_SECRET".into(), "hunter2-nextauth-example-of-32-letters".into());
        state.deploy_by_name("backend");
        state.settle("backend");
    })
}

const BACKEND: &str = "service: backend, place: main";

#[test]
fn projects_and_services_are_listed_over_all_pages() {
    for page in [1, 2, 100] {
        let railway = world(|state| state.page = page);
        let projects = act_well(&railway, "projects", "place: main");
        assert_eq!(projects["projects"].as_array().unwrap().len(), 2, "{page}");
        let services = act_well(&railway, "services", "place: main");
        let names = |list: &str| -> Vec<String> {
            let list = services[list].as_array().unwrap().iter();
            list.map(|item| item["name"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(
            (names("services"), names("environments")),
            (vec!["worker".to_owned(), "backend".to_owned()], vec!["staging".to_owned(), "production".to_owned()],),
            "{page}"
        );
    }
    // A project token sees its own.
    let projects = act_well(&world(|_| ()), "projects", "place: data");
    assert_eq!(projects["projects"][0]["name"], "data");
}

#[test]
fn ids_are_known_without_asking() {
    let railway = world(|_| ());
    let with = format!("service: {}, environment: {}, place: main", id(0x5, 1), id(0xe, 1));
    let given = act_well(&railway, "domains", &with);
    assert_eq!(given["domains"][0]["url"], "https://backend-production.example.com");
    assert_eq!(railway.calls(), ["domains"]);
}

#[test]
fn what_the_token_may_not_see_is_not_authorized_and_not_called_missing() {
    let railway = world(|_| ());
    let with = format!("service: {}, environment: {}, place: data", id(0x5, 1), id(0xe, 1));
    let said = act_ill(&railway, "variables", &with);
    assert!(said.contains("Not Authorized"), "{said}");
    assert_eq!(railway.calls().len(), 1, "a no is no reason to ask again");
}

#[test]
fn variables_are_sealed_and_hidden_ones_are_named() {
    let railway = world(|state| {
        state.page = 3;
        state.service("Postgres").sealed.insert("JWT_SECRET".into());
    });
    let given = act_well(&railway, "variables", "service: Postgres, place: data");
    assert_eq!(given["hidden"], json!(["JWT_SECRET"]));
    let names: Vec<&str> = given["names"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    assert!(
        names.contains(&"JWT_SECRET") && names.contains(&"RAILWAY_SERVICE_ID") && names.contains(&"NEXTAUTH_SECRET")
    );
    assert_eq!(given["own"].as_array().unwrap().len(), 34, "{names:?}");
    assert!(given["values"].get("RAILWAY_SERVICE_ID").is_none() && given["service_id"] == id(0x5, 2));
    let value = &given["values"]["NEXTAUTH_SECRET"];
    assert!(value.to_string().contains("sealed"), "{value}");
}

#[test]
fn what_goes_by_replace_has_to_be_named_exactly() {
    let railway = world(|_| ());
    let said = act_ill(&railway, "set_variables", &format!("{BACKEND}, values: {{ A: x }}, replace: true"));
    assert!(said.contains("would remove exactly these, and `lose` has to name them: SENTRY_DSN"), "{said}");
    let wrong = format!("{BACKEND}, values: {{ A: x }}, replace: true, lose: [SENTRY_DSN, B]");
    assert!(act_ill(&railway, "set_variables", &wrong).contains("SENTRY_DSN"));
    assert!(
        act_ill(&railway, "set_variables", &format!("{BACKEND}, values: {{ A: x }}, lose: [SENTRY_DSN]"))
            .contains("none")
    );
    assert_eq!(railway.effects("set"), 0);
    let right = format!("{BACKEND}, values: {{ A: x }}, replace: true, lose: [SENTRY_DSN]");
    assert_eq!(act_well(&railway, "set_variables", &right)["added"], json!(["A"]));
    assert_eq!(railway.state().service("backend").variables.keys().collect::<Vec<_>>(), ["A"]);
    assert_eq!(railway.effects("deploy"), 0);
}

#[test]
fn names_that_are_none_and_the_platforms_own_are_not_set() {
    let railway = world(|_| ());
    for (values, says) in [
        ("{}", "names no variable"),
        ("{ \"A-B\": x, RAILWAY_A: x, PORT: x }", "A-B, PORT, RAILWAY_A"),
        ("{ A: null }", "have no value: A"),
    ] {
        let said = act_ill(&railway, "set_variables", &format!("{BACKEND}, values: {values}"));
        assert!(said.contains(says), "{values}: {said}");
    }
    assert_eq!(railway.effects("set"), 0);
}

/// The call of a clean run with this name, from 0.
fn call_of(railway: &Railway, name: &str) -> usize {
    railway.calls().iter().position(|call| call == name).unwrap()
}

#[test]
fn a_lost_answer_about_what_nobody_can_read_back_is_left_to_a_person() {
    let sealed = |state: &mut State| {
        state.service("backend").variables.insert("A".into(), "hunter2-old-example".into());
        state.service("backend").sealed.insert("A".into());
    };
    let clean = world(sealed);
    act_well(&clean, "set_variables", &format!("{BACKEND}, values: {{ A: x }}"));
    let railway = world(sealed).breaks(call_of(&clean, "variableCollectionUpsert"), Fault::LostAnswer);
    let left = run(&railway, &place(&railway), "set_variables", &format!("{BACKEND}, values: {{ A: x }}"));
    assert_eq!(left.why, Why::InDoubt);
    assert_eq!(railway.effects("set"), 1);
}

#[test]
fn values_that_stand_already_are_set_all_the_same_after_a_doubt() {
    let railway = world(|state| {
        state.service("backend").variables.insert("A".into(), "x".into());
    });
    let railway = railway.breaks(2, Fault::LostAnswer);
    let given = act_well(&railway, "set_variables", &format!("{BACKEND}, values: {{ A: x }}"));
    assert_eq!((&given["replaced"], railway.effects("set")), (&json!(["A"]), 1));
}

#[test]
fn removed_is_what_is_set_and_each_once_over_a_lost_answer() {
    for fault in [None, Some(Fault::LostAnswer), Some(Fault::BrokenBefore)] {
        let railway = world(|state| {
            for name in ["A", "B"] {
                state.service("backend").variables.insert(name.into(), "hunter2-example".into());
            }
        });
        let railway = match fault {
            Some(fault) => railway.breaks(2, fault),
            None => railway,
        };
        let given = act_well(&railway, "unset_variables", &format!("{BACKEND}, names: [A, B, C]"));
        assert_eq!(given["removed"], json!(["A", "B"]), "{fault:?}");
        assert_eq!((railway.effects("unset A"), railway.effects("unset B")), (1, 1), "{fault:?}");
        assert_eq!(railway.state().service("backend").variables.keys().collect::<Vec<_>>(), ["SENTRY_DSN"]);
    }
}

#[test]
fn a_deployment_of_somebody_else_beside_a_lost_answer_is_told_apart_by_a_person() {
    let railway = world(|_| ()).breaks(2, Fault::LostAnswer);
    // While the answer is on its way, somebody deploys on the dashboard.
    railway.state().beside = Some("serviceInstanceDeployV2");
    let left = run(&railway, &place(&railway), "deploy", &format!("{BACKEND}, grace: 20ms"));
    assert_eq!(left.why, Why::InDoubt);
    assert_eq!(railway.effects("deploy"), 1);
}

/// Id of the backend's newest deployment.
fn newest(railway: &Railway) -> String {
    railway.state().service("backend").deployments[0].id.clone()
}

#[test]
fn every_write_on_deployments_is_made_once_over_every_fault() {
    let with = |railway: &Railway, action: &str| match action {
        "restart" => format!("deployment: {}, place: main, grace: 20ms", newest(railway)),
        "rollback" => {
            let first = railway.state().service("backend").deployments[1].id.clone();
            format!("{BACKEND}, deployment: {first}, grace: 20ms")
        }
        _ => format!("{BACKEND}, grace: 20ms"),
    };
    let broken_at = |action: &str, call: usize, fault: Fault| {
        let railway = running().breaks(call, fault);
        let before = newest(&railway);
        let given = act_well(&railway, action, &with(&railway, action));
        assert_eq!(railway.effects(action), 1, "{action} over {fault:?}");
        let expected = if action == "restart" { before } else { newest(&railway) };
        assert_eq!(given["deployment"], json!(expected), "{action} over {fault:?}");
    };
    // Side by side: they wait for the pause before the next attempt more than they compute.
    std::thread::scope(|scope| {
        for (action, field) in [
            ("deploy", "serviceInstanceDeployV2"),
            ("redeploy", "deploymentRedeploy"),
            ("rollback", "deploymentRollback"),
            ("restart", "deploymentRestart"),
        ] {
            scope.spawn(move || {
                let clean = running();
                act_well(&clean, action, &with(&clean, action));
                let call = call_of(&clean, field);
                std::thread::scope(|scope| {
                    for fault in Fault::ALL {
                        scope.spawn(move || broken_at(action, call, fault));
                    }
                });
            });
        }
    });
}

#[test]
fn a_rollback_says_which_variables_go_back_with_it() {
    let railway = running();
    {
        let mut state = railway.state();
        let backend = state.service("backend");
        backend.variables.insert("NEXTAUTH_SECRET".into(), "hunter2-rotated-example-of-32-letters".into());
        backend.variables.insert("NEW_KEY".into(), "hunter2-new-example".into());
        state.deploy_by_name("backend");
        state.settle("backend");
    }
    let given = act_well(&railway, "rollback", &format!("{BACKEND}, grace: 20ms"));
    assert_eq!((&given["old_values"], &given["without"]), (&json!(["NEXTAUTH_SECRET"]), &json!(["NEW_KEY"])));
    let mut state = railway.state();
    let newest = &state.service("backend").deployments[0];
    assert_eq!(newest.snapshot["NEXTAUTH_SECRET"], "hunter2-nextauth-example-of-32-letters");
}

#[test]
fn a_rollback_to_nothing_or_to_an_image_that_is_gone_is_refused() {
    let railway = running();
    railway.state().service("backend").deployments[1].can_rollback = false;
    let said = act_ill(&railway, "rollback", BACKEND);
    assert!(said.contains("can be rolled back to: images are kept"), "{said}");
    let old = railway.state().service("backend").deployments[1].id.clone();
    let said = act_ill(&railway, "rollback", &format!("{BACKEND}, deployment: {old}"));
    assert!(said.contains("its image is gone"), "{said}");
    assert_eq!(railway.effects("rollback"), 0);
}

#[test]
fn a_log_is_no_longer_than_asked_for_and_holds_no_value_of_a_variable() {
    let railway = running();
    let newest = newest(&railway);
    let log = act_well(&railway, "logs", &format!("{BACKEND}, deployment: {newest}, lines: 2"));
    assert_eq!(log["texts"].as_array().unwrap().len(), 2, "{log}");
    let log = act_well(&railway, "logs", &format!("{BACKEND}, deployment: {newest}, filter: config"));
    let texts = log["texts"].to_string();
    assert!(texts.contains("config SENTRY_DSN=[redacted") && !texts.contains("listening"), "{texts}");
    assert!(
        act_ill(&railway, "logs", &format!("{BACKEND}, deployment: {newest}, lines: 501"))
            .contains("expected 1 to 500")
    );
}

#[test]
fn the_target_says_that_a_service_is_deployed_on_railway() {
    let railway = running();
    let place = place(&railway);
    let text = "version: 1\ntitle: Again\nowner: tests\nreviewed: 2026-11-01\nsteps:\n  - { id: act, uses: redeploy, with: { service: backend } }\n";
    std::fs::create_dir_all(place.project().join("runbooks")).unwrap();
    std::fs::write(place.project().join("runbooks/again.yaml"), text).unwrap();
    let facts = ended(place.run("again", &[]));
    assert_eq!(outcome(&facts), RunOutcome::Success, "{:?}", facts.finished);
    let given = given(&facts, "act");
    assert_eq!((&given["provider"], &given["healthy"]), (&json!("railway"), &json!(true)));
    assert_eq!(given["deployment"], json!(railway.state().service("backend").deployments[0].id));
    assert_eq!(railway.effects("deploy"), 1);
}

#[test]
fn a_field_that_is_gone_is_named_and_a_state_that_is_newer_is_waited_out() {
    let railway = world(|state| state.vanished = vec!["canRollback: Boolean!"]);
    let said = act_ill(&railway, "deployments", BACKEND);
    assert!(said.contains("canRollback"), "{said}");

    let railway = world(|state| {
        state.newer = vec![("enum DeploymentStatus {\n", "  REBALANCING\n")];
        state.stuck = Some("REBALANCING");
        state.deploy_by_name("backend");
        state.settle("backend");
    });
    let given = act_well(&railway, "deployments", BACKEND);
    assert_eq!(given["latest"]["phase"], "unknown");
    let newest = newest(&railway);
    let said = act_ill(&railway, "wait", &format!("deployment: {newest}, place: main, every: 1ms, within: 30ms"));
    assert!(said.contains("built"), "{said}");
}

#[test]
fn a_deployment_that_another_one_replaced_is_not_waited_for() {
    let railway = running();
    let old = railway.state().service("backend").deployments[0].id.clone();
    railway.state().deploy_by_name("backend");
    railway.state().settle("backend");
    let said = act_ill(&railway, "wait", &format!("deployment: {old}, place: main, every: 1ms"));
    assert!(said.contains("is REMOVED, expected SUCCESS: another deployment took its place"), "{said}");
}
