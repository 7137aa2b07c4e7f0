//! `crash-loop`: from the broken world to the verified fix, and where it stops instead of making things worse.

use rerail::engine::outcome::RunOutcome;
use rerail::runbook::model::Level;
use rerail::script::value::Value;
use serde_json::json;

use super::kit::{assert_no_secret_below, broken, error, fixed, given, output, place};
use crate::runbooks::{ended, levels, outcome};
use crate::world::railway::{Railway, State};

fn backend(state: &mut State) -> std::collections::BTreeMap<String, String> {
    state.service("backend").variables.clone()
}

#[test]
fn a_crash_loop_is_found_fixed_and_verified_in_one_run() {
    let railway = Railway::serve(broken(false));
    let place = place(&railway);
    let began = std::time::Instant::now();
    let facts = ended(fixed(&railway, &place, &[]));
    println!("from the start to the verified fix: {:?}", began.elapsed());
    assert_eq!(outcome(&facts), RunOutcome::Success, "{:?}", facts.finished);
    assert_eq!(output(&facts, "verified"), Value::from(true));

    // Exactly what was missing, in one call, deployed once; nothing of the image's own.
    let set = backend(&mut railway.state());
    let names = [
        "ALLOWED_ORIGINS",
        "DATABASE_URL",
        "FROM_EMAIL",
        "FRONTEND_URL",
        "JWT_ALGORITHM",
        "JWT_SECRET",
        "NEXTAUTH_SECRET",
        "RESEND_API_KEY",
        "SENTRY_DSN",
    ];
    assert_eq!(set.keys().collect::<Vec<_>>(), names);
    let source = railway.state().service("Postgres").variables.clone();
    assert_eq!(set["DATABASE_URL"], source["DATABASE_PUBLIC_URL"], "the internal one leads nowhere from here");
    assert_eq!((&set["JWT_SECRET"], set["JWT_ALGORITHM"].as_str()), (&source["JWT_SECRET"], "HS256"));
    assert_eq!((railway.effects("set"), railway.effects("deploy")), (1, 1));

    assert_eq!(levels(&facts), [Level::Warning, Level::Info, Level::Ok], "{:?}", facts.findings);
    assert!(
        facts.findings[0].say.contains("DATABASE_URL, NEXTAUTH_SECRET not set, as its log says"),
        "{:?}",
        facts.findings
    );
    assert!(facts.findings[1].say.contains("DATABASE_PUBLIC_URL goes there instead"), "{:?}", facts.findings);
    assert_eq!(facts.findings[2].suggest.as_ref().unwrap().runbook, "verify-deployment");
    assert_no_secret_below(place.root());
}

#[test]
fn every_call_has_its_reason() {
    let railway = Railway::serve(broken(false));
    let facts = ended(fixed(&railway, &place(&railway), &[]));
    assert_eq!(outcome(&facts), RunOutcome::Success, "{:?}", facts.finished);
    let calls = railway.calls();
    let looks = calls.iter().filter(|call| *call == "deployment").count();
    let others: Vec<&str> = calls.iter().map(String::as_str).filter(|call| *call != "deployment").collect();
    let expected = [
        "project",                  // where the backend is
        "deployments",              // how its newest deployment is
        "variables+deploymentLogs", // what it says; the values so that they are taken out of it
        "variables+environment",    // what it has
        "project",                  // where the source is
        "variables+environment",    // what that has
        "variables+environment",    // before the write: what a lost answer is compared with
        "variableCollectionUpsert",
        "deployments", // before the write: what a new deployment is told by
        "serviceInstanceDeployV2",
        "deploymentSnapshot",       // what the deployment was made with
        "variables+deploymentLogs", // that it complains no more
    ];
    assert_eq!(others, expected);
    // Three looks until it is active, seven that show that it stays so.
    assert_eq!(looks, 10, "{calls:?}");
}

#[test]
fn in_one_project_a_reference_goes_there_and_no_copy() {
    let railway = Railway::serve(broken(true));
    let place = place(&railway);
    let facts = ended(fixed(&railway, &place, &[]));
    assert_eq!(outcome(&facts), RunOutcome::Success, "{:?}", facts.finished);
    let set = backend(&mut railway.state());
    assert_eq!(set["DATABASE_URL"], "${{Postgres.DATABASE_URL}}");
    assert_eq!(set["NEXTAUTH_SECRET"], "${{Postgres.NEXTAUTH_SECRET}}");
    assert_eq!(set["JWT_ALGORITHM"], "HS256");
    assert_eq!(levels(&facts), [Level::Warning, Level::Ok], "{:?}", facts.findings);
    assert_no_secret_below(place.root());
}

#[test]
fn an_address_that_leads_nowhere_from_here_is_refused_before_anything_is_changed() {
    let mut state = broken(false);
    state.service("Postgres").variables.remove("DATABASE_PUBLIC_URL");
    let railway = Railway::serve(state);
    let facts = ended(fixed(&railway, &place(&railway), &[]));
    assert_eq!(outcome(&facts), RunOutcome::Failed);
    assert!(
        error(&facts).contains("DATABASE_URL of Postgres leads to a host that resolves in its own project only"),
        "{}",
        error(&facts)
    );
    assert!(railway.state().effects.is_empty(), "{:?}", railway.state().effects);
}

#[test]
fn what_is_of_the_image_or_nowhere_is_refused_before_anything_is_changed() {
    for (more, says) in [
        (("required", "DATABASE_URL,POSTGRES_PASSWORD"), "POSTGRES_PASSWORD belongs to the image of a database"),
        (("required", "DATABASE_URL,RAILWAY_PROJECT_NAME,STRIPE_KEY"), "Postgres has no value of STRIPE_KEY"),
        (("source", "Postgre"), "there is no service \"Postgre\" in this project: there are Postgres"),
        (("source_place", "elsewhere"), "names no place \"elsewhere\" on Railway: there are data, main"),
    ] {
        let railway = Railway::serve(broken(false));
        let facts = ended(fixed(&railway, &place(&railway), &[more]));
        assert_eq!(outcome(&facts), RunOutcome::Failed, "{says}");
        assert!(error(&facts).contains(says), "{says}: {}", error(&facts));
        assert!(railway.state().effects.is_empty(), "{:?}", railway.state().effects);
    }
}

#[test]
fn what_the_source_keeps_sealed_can_not_be_copied_and_is_said_to_be_there_for_nobody() {
    let mut state = broken(false);
    state.service("Postgres").sealed.insert("JWT_SECRET".into());
    state.service("backend").sealed.insert("RESEND_API_KEY".into());
    let railway = Railway::serve(state);
    let facts = ended(fixed(&railway, &place(&railway), &[]));
    assert_eq!(outcome(&facts), RunOutcome::Success, "{:?}", facts.finished);
    let set = backend(&mut railway.state());
    assert!(!set.contains_key("JWT_SECRET") && !set.contains_key("RESEND_API_KEY"), "{:?}", set.keys());
    assert!(
        facts.findings.iter().any(|finding| finding.say.contains("JWT_SECRET is set nowhere")),
        "{:?}",
        facts.findings
    );
    assert_eq!(given(&facts, "now")["hidden"], json!(["RESEND_API_KEY"]));
}

#[test]
fn a_backend_that_is_well_or_ill_of_something_else_is_left_alone() {
    let mut state = broken(false);
    let url = state.service("Postgres").variables["DATABASE_PUBLIC_URL"].clone();
    let backend = &mut state.service("backend").variables;
    backend.insert("DATABASE_URL".into(), url);
    backend.insert("NEXTAUTH_SECRET".into(), "hunter2-another-example".into());
    state.reachable = false;
    state.deploy_by_name("backend");
    state.settle("backend");
    let railway = Railway::serve(state);
    let facts = ended(fixed(&railway, &place(&railway), &[]));
    assert_eq!((outcome(&facts), levels(&facts)), (RunOutcome::Success, vec![Level::Critical]), "{:?}", facts.findings);
    assert!(facts.findings[0].say.contains("its log speaks of: database"), "{:?}", facts.findings);
    assert_eq!(facts.findings[0].suggest.as_ref().unwrap().runbook, "backend-down");
    assert_eq!(output(&facts, "verified"), Value::from(false));

    railway.state().reachable = true;
    railway.state().deploy_by_name("backend");
    railway.state().settle("backend");
    let facts = ended(fixed(&railway, &place(&railway), &[]));
    assert_eq!(levels(&facts), [Level::Ok], "{:?}", facts.findings);
    assert!(railway.state().effects.is_empty());
}

#[test]
fn a_deployment_that_reads_success_and_crashes_is_no_fix() {
    let mut state = broken(false);
    // The variables are right; the database is gone all the same.
    state.reachable = false;
    let railway = Railway::serve(state);
    let facts = ended(fixed(&railway, &place(&railway), &[]));
    assert_eq!(outcome(&facts), RunOutcome::Failed);
    assert_eq!(
        facts.finished.as_ref().unwrap().failed_step.as_ref().map(ToString::to_string).as_deref(),
        Some("healthy/settled")
    );
    assert!(levels(&facts).contains(&Level::Critical), "{:?}", facts.findings);
    let say = &facts.findings.last().unwrap().say;
    assert!(say.contains("had been set and deployment") && say.contains("rerail undo"), "{say}");
    assert_eq!((railway.effects("set"), railway.effects("deploy")), (1, 1));
}

#[test]
fn a_deployment_that_waits_for_somebody_ends_by_the_time_it_has() {
    let mut state = broken(false);
    state.stuck = Some("NEEDS_APPROVAL");
    let railway = Railway::serve(state);
    let facts = ended(fixed(&railway, &place(&railway), &[("within", "50ms")]));
    assert_eq!(outcome(&facts), RunOutcome::Failed);
    assert!(error(&facts).contains("built"), "{}", error(&facts));
    assert_eq!(railway.effects("deploy"), 1);
}
