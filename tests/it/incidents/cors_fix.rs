//! The backend's list of origins lacks one that must work, and has one that must not.

use std::collections::BTreeMap;
use std::path::Path;

use rerail::runs::Left;

use super::sweep::{Incident, every_call_broken, honest, killed_everywhere, plan_covers};
use crate::railway::{kit, others};
use crate::world::railway::Railway;
use crate::world::served::Calls;

/// Boundaries between two that are tried.
const STRIDE: u64 = 17;

/// Must work, and doesn't.
const MISSING: &str = "https://www.example.com";
const STRANGER: &str = "https://evil.example";

struct CorsFix;

/// Whether a browser on this origin may call.
fn is_let_in(railway: &Railway, origin: &str) -> bool {
    let answer = railway.state().app("OPTIONS", "/api/ping", Some(origin));
    answer.headers.iter().any(|(name, value)| name == "Access-Control-Allow-Origin" && value == origin)
}

impl Incident for CorsFix {
    type World = Railway;

    fn runbook(&self) -> &'static str {
        "cors-fix"
    }

    fn world(&self) -> Railway {
        others::world(|state| {
            let list = format!("https://shop.example.com,{STRANGER},https://*.example.com");
            state.service("backend").variables.insert("ALLOWED_ORIGINS".into(), list);
            state.deploy_by_name("backend");
            state.settle("backend");
        })
    }

    fn calls<'w>(&self, railway: &'w Railway) -> &'w Calls {
        railway.list()
    }

    fn target(&self, railway: &Railway, keys: &Path) -> String {
        kit::target(railway, keys)
    }

    fn inputs(&self, railway: &Railway) -> Vec<(String, String)> {
        let quick = others::quick(railway).into_iter().map(|(name, value)| (name.to_owned(), value));
        let origins = format!("https://shop.example.com,{MISSING}");
        quick.chain([("origins".to_owned(), origins)]).collect()
    }

    fn is_write(&self, call: &str) -> bool {
        ["variableCollectionUpsert", "serviceInstanceDeployV2"].contains(&call)
    }

    fn is_look(&self, call: &str) -> bool {
        call == "deployment"
    }

    fn effects(&self, railway: &Railway) -> BTreeMap<String, usize> {
        railway.all_effects()
    }

    fn is_well(&self, railway: &Railway) -> bool {
        is_let_in(railway, MISSING) && !is_let_in(railway, STRANGER) && is_let_in(railway, "https://shop.example.com")
    }

    fn settle(&self, railway: &Railway) {
        railway.settle();
    }

    fn secrets(&self) -> Vec<String> {
        kit::secrets()
    }

    fn judge(&self, railway: &Railway, left: &Left, clean: &BTreeMap<String, usize>) -> Result<(), String> {
        honest(self, railway, left, clean)
    }
}

#[test]
fn whichever_call_breaks_the_right_origins_are_allowed_once_or_it_says_why_not() {
    every_call_broken(&CorsFix);
}

#[test]
fn a_list_of_origins_killed_at_any_boundary_is_set_and_deployed_once() {
    killed_everywhere(&CorsFix, STRIDE);
}

#[test]
fn the_plan_of_a_list_of_origins_has_every_write_of_its_run() {
    assert!(plan_covers(&CorsFix) >= 2, "it sets and deploys");
}
