//! A backend crashes at each start because its variables are in another project.

use std::collections::BTreeMap;
use std::path::Path;

use super::sweep::{Incident, every_call_broken, killed_everywhere, plan_covers};
use crate::railway::kit;
use crate::world::railway::Railway;
use crate::world::served::Calls;

/// Boundaries between two that are tried.
const STRIDE: u64 = 13;

struct CrashLoop;

impl Incident for CrashLoop {
    type World = Railway;

    fn runbook(&self) -> &'static str {
        "crash-loop"
    }

    fn world(&self) -> Railway {
        Railway::serve(kit::broken(false))
    }

    fn calls<'w>(&self, railway: &'w Railway) -> &'w Calls {
        railway.list()
    }

    fn target(&self, railway: &Railway, keys: &Path) -> String {
        kit::target(railway, keys)
    }

    fn inputs(&self, railway: &Railway) -> Vec<(String, String)> {
        kit::inputs(railway)
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
        railway.state().app("GET", "/health", None).status == 200
    }

    fn settle(&self, railway: &Railway) {
        railway.settle();
    }

    fn secrets(&self) -> Vec<String> {
        kit::secrets()
    }
}

#[test]
fn whatever_breaks_at_whichever_call_no_write_is_made_twice_and_no_success_is_false() {
    every_call_broken(&CrashLoop);
}

#[test]
fn killed_at_any_boundary_it_goes_on_to_the_same_end_and_writes_once() {
    killed_everywhere(&CrashLoop, STRIDE);
}

#[test]
fn the_plan_of_the_fix_has_every_write_of_its_run() {
    assert!(plan_covers(&CrashLoop) >= 2, "it sets and deploys");
}
