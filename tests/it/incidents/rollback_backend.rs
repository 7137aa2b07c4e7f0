//! The newest deployment of the backend is bad, and the one before was good.

use super::on_railway::{OnRailway, is_healthy};
use super::sweep::{every_call_broken, killed_everywhere, plan_covers};
use crate::railway::others;

/// Boundaries between two that are tried.
const STRIDE: u64 = 13;

pub(super) const ROLLBACK_BACKEND: OnRailway = OnRailway {
    runbook: "rollback-backend",
    world: others::worse,
    inputs: |railway| {
        let quick = others::quick(railway).into_iter().map(|(name, value)| (name.to_owned(), value));
        quick.chain([("schema_fits".to_owned(), "true".to_owned())]).collect()
    },
    writes: &["deploymentRollback"],
    is_well: is_healthy,
    may_stop: true,
};

#[test]
fn whatever_breaks_at_whichever_call_it_is_rolled_back_once_or_says_why_not() {
    every_call_broken(&ROLLBACK_BACKEND);
}

#[test]
fn a_rollback_killed_at_any_boundary_goes_on_and_rolls_back_once() {
    killed_everywhere(&ROLLBACK_BACKEND, STRIDE);
}

#[test]
fn the_plan_of_a_rollback_has_every_write_of_its_run() {
    assert!(plan_covers(&ROLLBACK_BACKEND) >= 1, "it rolls back");
}
