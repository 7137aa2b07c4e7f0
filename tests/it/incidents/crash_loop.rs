//! A backend crashes at each start because its variables are in another project.

use super::on_railway::{OnRailway, is_healthy};
use super::sweep::{every_call_broken, killed_everywhere, plan_covers};
use crate::railway::kit;
use crate::world::railway::Railway;

/// Boundaries between two that are tried.
const STRIDE: u64 = 13;

pub(super) const CRASH_LOOP: OnRailway = OnRailway {
    runbook: "crash-loop",
    world: || Railway::serve(kit::broken(false)),
    inputs: kit::inputs,
    writes: &["variableCollectionUpsert", "serviceInstanceDeployV2"],
    is_well: is_healthy,
    may_stop: false,
};

#[test]
fn whatever_breaks_at_whichever_call_no_write_is_made_twice_and_no_success_is_false() {
    every_call_broken(&CRASH_LOOP);
}

#[test]
fn killed_at_any_boundary_it_goes_on_to_the_same_end_and_writes_once() {
    killed_everywhere(&CRASH_LOOP, STRIDE);
}

#[test]
fn the_plan_of_the_fix_has_every_write_of_its_run() {
    assert!(plan_covers(&CRASH_LOOP) >= 2, "it sets and deploys");
}
