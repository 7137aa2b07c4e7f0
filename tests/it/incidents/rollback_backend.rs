//! The newest deployment of the backend is bad, and the one before was good.

use std::collections::BTreeMap;
use std::path::Path;

use rerail::runs::Left;

use super::sweep::{Incident, every_call_broken, honest, killed_everywhere, plan_covers};
use crate::railway::{kit, others};
use crate::world::railway::Railway;
use crate::world::served::Calls;

/// Boundaries between two that are tried.
const STRIDE: u64 = 13;

struct RollbackBackend;

impl Incident for RollbackBackend {
    type World = Railway;

    fn runbook(&self) -> &'static str {
        "rollback-backend"
    }

    fn world(&self) -> Railway {
        others::worse()
    }

    fn calls<'w>(&self, railway: &'w Railway) -> &'w Calls {
        railway.list()
    }

    fn target(&self, railway: &Railway, keys: &Path) -> String {
        kit::target(railway, keys)
    }

    fn inputs(&self, railway: &Railway) -> Vec<(String, String)> {
        let quick = others::quick(railway).into_iter().map(|(name, value)| (name.to_owned(), value));
        quick.chain([("schema_fits".to_owned(), "true".to_owned())]).collect()
    }

    fn is_write(&self, call: &str) -> bool {
        call == "deploymentRollback"
    }

    fn is_look(&self, call: &str) -> bool {
        call == "deployment"
    }

    fn effects(&self, railway: &Railway) -> BTreeMap<String, usize> {
        railway.all_effects()
    }

    fn is_well(&self, railway: &Railway) -> bool {
        railway.state().app("GET", "/health", None).status == 200
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
fn whatever_breaks_at_whichever_call_it_is_rolled_back_once_or_says_why_not() {
    every_call_broken(&RollbackBackend);
}

#[test]
fn a_rollback_killed_at_any_boundary_goes_on_and_rolls_back_once() {
    killed_everywhere(&RollbackBackend, STRIDE);
}

#[test]
fn the_plan_of_a_rollback_has_every_write_of_its_run() {
    assert!(plan_covers(&RollbackBackend) >= 1, "it rolls back");
}
