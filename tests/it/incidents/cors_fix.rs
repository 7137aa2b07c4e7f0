//! The backend's list of origins lacks one that must work, and has one that must not.

use super::on_railway::OnRailway;
use super::sweep::{every_call_broken, killed_everywhere, plan_covers};
use crate::railway::others;
use crate::world::railway::Railway;

/// Boundaries between two that are tried.
const STRIDE: u64 = 17;

/// Must work, and doesn't.
const MISSING: &str = "https://www.example.com";
const STRANGER: &str = "https://evil.example";

/// Whether a browser on this origin may call.
fn is_let_in(railway: &Railway, origin: &str) -> bool {
    let answer = railway.state().app("OPTIONS", "/api/ping", Some(origin));
    answer.headers.iter().any(|(name, value)| name == "Access-Control-Allow-Origin" && value == origin)
}

pub(super) const CORS_FIX: OnRailway = OnRailway {
    runbook: "cors-fix",
    world: || {
        others::world(|state| {
            let list = format!("https://shop.example.com,{STRANGER},https://*.example.com");
            state.service("backend").variables.insert("ALLOWED_ORIGINS".into(), list);
            state.deploy_by_name("backend");
            state.settle("backend");
        })
    },
    inputs: |railway| {
        let quick = others::quick(railway).into_iter().map(|(name, value)| (name.to_owned(), value));
        let origins = format!("https://shop.example.com,{MISSING}");
        quick.chain([("origins".to_owned(), origins)]).collect()
    },
    writes: &["variableCollectionUpsert", "serviceInstanceDeployV2"],
    is_well: |railway| {
        is_let_in(railway, MISSING) && !is_let_in(railway, STRANGER) && is_let_in(railway, "https://shop.example.com")
    },
    may_stop: true,
};

#[test]
fn whichever_call_breaks_the_right_origins_are_allowed_once_or_it_says_why_not() {
    every_call_broken(&CORS_FIX);
}

#[test]
fn a_list_of_origins_killed_at_any_boundary_is_set_and_deployed_once() {
    killed_everywhere(&CORS_FIX, STRIDE);
}

#[test]
fn the_plan_of_a_list_of_origins_has_every_write_of_its_run() {
    assert!(plan_covers(&CORS_FIX) >= 2, "it sets and deploys");
}
