//! Incidents of a backend on Railway: what differs between them.

use std::collections::BTreeMap;
use std::path::Path;

use rerail::runs::Left;

use super::sweep::{Incident, all_the_same, honest};
use crate::railway::kit;
use crate::world::railway::Railway;
use crate::world::served::Calls;

pub struct OnRailway {
    pub runbook: &'static str,
    /// A new world, broken as this incident breaks it.
    pub world: fn() -> Railway,
    /// Inputs with which nobody waits for longer than it takes.
    pub inputs: fn(&Railway) -> Vec<(String, String)>,
    /// Calls that change something.
    pub writes: &'static [&'static str],
    pub is_well: fn(&Railway) -> bool,
    /// Whether a run may stop over what broke, and say so.
    pub may_stop: bool,
}

/// Whether the backend answers its users.
pub fn is_healthy(railway: &Railway) -> bool {
    railway.state().app("GET", "/health", None).status == 200
}

impl Incident for OnRailway {
    type World = Railway;

    fn runbook(&self) -> &'static str {
        self.runbook
    }

    fn world(&self) -> Railway {
        (self.world)()
    }

    fn calls<'w>(&self, railway: &'w Railway) -> &'w Calls {
        railway.list()
    }

    fn target(&self, railway: &Railway, keys: &Path) -> String {
        kit::target(railway, keys)
    }

    fn inputs(&self, railway: &Railway) -> Vec<(String, String)> {
        (self.inputs)(railway)
    }

    fn is_write(&self, call: &str) -> bool {
        self.writes.contains(&call)
    }

    fn is_look(&self, call: &str) -> bool {
        call == "deployment"
    }

    fn effects(&self, railway: &Railway) -> BTreeMap<String, usize> {
        railway.all_effects()
    }

    fn is_well(&self, railway: &Railway) -> bool {
        (self.is_well)(railway)
    }

    fn settle(&self, railway: &Railway) {
        railway.settle();
    }

    fn secrets(&self) -> Vec<String> {
        kit::secrets()
    }

    fn judge(&self, railway: &Railway, left: &Left, clean: &BTreeMap<String, usize>) -> Result<(), String> {
        let judge = if self.may_stop { honest } else { all_the_same };
        judge(self, railway, left, clean)
    }
}
