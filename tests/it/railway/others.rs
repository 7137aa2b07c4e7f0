//! `env-drift` and `rollback-backend`.

use rerail::engine::facts::Facts;
use rerail::engine::outcome::RunOutcome;
use rerail::runbook::model::Level;
use rerail::runs::Why;
use serde_json::json;

use super::kit::{assert_no_secret_below, broken, error, output, place, target};
use crate::binary::kit;
use crate::runbooks::{ended, levels, outcome};
use crate::world::railway::{Railway, State};

/// The backend as it was while all was well.
fn repaired(state: &mut State) {
    let source = state.service("Postgres").variables.clone();
    let backend = state.service("backend");
    backend.variables.insert("DATABASE_URL".into(), source["DATABASE_PUBLIC_URL"].clone());
    backend.variables.insert("NEXTAUTH_SECRET".into(), source["NEXTAUTH_SECRET"].clone());
    state.deploy_by_name("backend");
    state.settle("backend");
}

pub fn world(change: impl FnOnce(&mut State)) -> Railway {
    let mut state = broken(false);
    repaired(&mut state);
    change(&mut state);
    Railway::serve(state)
}

fn drift(railway: &Railway, more: &[(&str, &str)]) -> Facts {
    let place = place(railway);
    let inputs: Vec<(&str, &str)> = [("place", "main")].into_iter().chain(more.iter().copied()).collect();
    let facts = ended(place.run("env-drift", &inputs));
    assert_eq!(outcome(&facts), RunOutcome::Success, "{:?}", facts.finished);
    assert_no_secret_below(place.root());
    facts
}

const WITH_THE_DATABASE: [(&str, &str); 2] = [("other", "Postgres"), ("other_place", "data")];

#[test]
fn what_runs_with_what_is_set_has_not_drifted() {
    let railway = world(|_| ());
    assert_eq!(levels(&drift(&railway, &[])), [Level::Ok]);
    assert!(railway.state().effects.is_empty());
    assert_eq!(railway.calls(), ["project", "variables+environment", "deployments", "deploymentSnapshot"]);
}

#[test]
fn missing_changed_and_different_variables_are_told_by_name() {
    let railway = world(|state| {
        let variables = &mut state.service("backend").variables;
        variables.insert("NEXTAUTH_SECRET".into(), "hunter2-rotated-example-of-32-letters".into());
        variables.insert("NEW_KEY".into(), "hunter2-new-example".into());
        variables.remove("DATABASE_URL");
    });
    let facts = drift(&railway, &WITH_THE_DATABASE);
    assert_eq!(output(&facts, "missing").to_json(), json!(["DATABASE_URL"]));
    assert_eq!(output(&facts, "waiting").to_json(), json!(["NEXTAUTH_SECRET", "NEW_KEY", "DATABASE_URL"]));
    assert_eq!(output(&facts, "differ").to_json(), json!(["NEXTAUTH_SECRET"]));
    assert_eq!(levels(&facts), [Level::Critical, Level::Critical, Level::Warning, Level::Info]);
    assert_eq!(facts.findings[0].suggest.as_ref().unwrap().runbook, "crash-loop");
}

#[test]
fn what_the_platform_keeps_sealed_is_not_called_equal() {
    let railway = world(|state| {
        state.service("Postgres").sealed.insert("NEXTAUTH_SECRET".into());
    });
    let facts = drift(&railway, &WITH_THE_DATABASE);
    assert!(levels(&facts).contains(&Level::Warning) && !levels(&facts).contains(&Level::Ok), "{:?}", facts.findings);
    assert!(facts.findings[0].say.contains("NEXTAUTH_SECRET"), "{:?}", facts.findings);
}

/// A bad deployment on top of a good one, with a secret that was changed in between.
pub fn worse() -> Railway {
    world(|state| {
        let variables = &mut state.service("backend").variables;
        variables.insert("NEXTAUTH_SECRET".into(), "hunter2-rotated-example-of-32-letters".into());
        variables.remove("DATABASE_URL");
        state.deploy_by_name("backend");
        state.settle("backend");
    })
}

/// Inputs of `rollback-backend` with which nobody waits for longer than it takes.
pub fn quick(railway: &Railway) -> [(&'static str, String); 5] {
    [
        ("base_url", railway.app()),
        ("place", "main".to_owned()),
        ("every", "1ms".to_owned()),
        ("settled_every", "1ms".to_owned()),
        ("grace", "20ms".to_owned()),
    ]
}

#[test]
fn a_rollback_is_waited_for_verified_and_says_what_went_back() {
    let railway = worse();
    assert_eq!(railway.state().app("GET", "/health", None).status, 502);
    let place = place(&railway);
    let quick = quick(&railway);
    let mut inputs: Vec<(&str, &str)> = quick.iter().map(|(name, value)| (*name, value.as_str())).collect();
    // Nobody is there to be asked.
    let asked = place.run("rollback-backend", &inputs);
    assert_eq!((asked.why, railway.effects("rollback")), (Why::Waiting, 0));
    inputs.push(("schema_fits", "true"));
    let other = super::kit::place(&railway);
    let facts = ended(other.run("rollback-backend", &inputs));
    assert_eq!(outcome(&facts), RunOutcome::Success, "{:?}", facts.finished);
    assert_eq!(levels(&facts), [Level::Ok, Level::Warning], "{:?}", facts.findings);
    assert!(facts.findings[1].say.contains("Old values: NEXTAUTH_SECRET"), "{:?}", facts.findings);
    assert_eq!(railway.effects("rollback"), 1);
    assert_eq!(railway.state().app("GET", "/health", None).status, 200);
    assert_no_secret_below(other.root());
}

#[test]
fn a_rollback_that_does_not_help_is_no_success() {
    let railway = worse();
    // The image comes back and the database is gone now.
    railway.state().reachable = false;
    let quick = quick(&railway);
    let mut inputs: Vec<(&str, &str)> = quick.iter().map(|(name, value)| (*name, value.as_str())).collect();
    inputs.push(("schema_fits", "true"));
    let facts = ended(place(&railway).run("rollback-backend", &inputs));
    assert_eq!(outcome(&facts), RunOutcome::Failed);
    assert!(error(&facts).contains("healthy"), "{}", error(&facts));
    assert_eq!(railway.effects("rollback"), 1);
}

#[test]
fn a_rollback_is_taken_back_by_going_forward() {
    let railway = worse();
    let bad = railway.state().service("backend").deployments[0].snapshot.clone();
    let place = kit::Place::new();
    let text = target(&railway, &place.beside("home"));
    let place = place.file("targets/here.yaml", text);
    let mut args: Vec<String> =
        ["run", "rollback-backend", "--target", "here", "--yes", "-i", "schema_fits=true"].map(str::to_owned).to_vec();
    for (name, value) in quick(&railway) {
        args.extend(["-i".to_owned(), format!("{name}={value}")]);
    }
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    place.ask(&args).exits(0);
    place.ask(&["undo", "@last", "--yes"]).exits(0);
    assert_eq!(railway.effects("rollback"), 2);
    let mut state = railway.state();
    let mut newest = state.service("backend").deployments[0].snapshot.clone();
    newest.insert("RAILWAY_DEPLOYMENT_ID".into(), bad["RAILWAY_DEPLOYMENT_ID"].clone());
    assert_eq!(newest, bad);
}
