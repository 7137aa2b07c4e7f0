//! The newest deployment of the frontend shows errors, and the one before was good.

use std::collections::BTreeMap;
use std::path::Path;

use rerail::runs::Left;

use super::sweep::{Incident, every_call_broken, honest, killed_everywhere, plan_covers};
use crate::vercel::kit::{self, Shop};
use crate::world::served::Calls;

/// Boundaries between two that are tried.
const STRIDE: u64 = 13;

pub(super) struct RollbackFrontend;

impl Incident for RollbackFrontend {
    type World = Shop;

    fn runbook(&self) -> &'static str {
        "rollback-frontend"
    }

    fn world(&self) -> Shop {
        kit::served(kit::shop())
    }

    fn calls<'w>(&self, shop: &'w Shop) -> &'w Calls {
        shop.calls()
    }

    fn target(&self, shop: &Shop, keys: &Path) -> String {
        kit::target(shop, keys)
    }

    fn inputs(&self, shop: &Shop) -> Vec<(String, String)> {
        kit::quick(shop)
    }

    fn is_write(&self, call: &str) -> bool {
        call.starts_with("POST")
    }

    fn is_look(&self, call: &str) -> bool {
        call == "GET /v9/projects/{id}"
    }

    fn effects(&self, shop: &Shop) -> BTreeMap<String, usize> {
        shop.state().effects.clone()
    }

    fn is_well(&self, shop: &Shop) -> bool {
        shop.state().app("GET", "/").status == 200
    }

    fn settle(&self, shop: &Shop) {
        shop.settle();
    }

    fn secrets(&self) -> Vec<String> {
        kit::secrets()
    }

    fn judge(&self, shop: &Shop, left: &Left, clean: &BTreeMap<String, usize>) -> Result<(), String> {
        honest(self, shop, left, clean)
    }
}

#[test]
fn whatever_breaks_at_whichever_call_users_are_led_back_once_or_it_is_said_why_not() {
    every_call_broken(&RollbackFrontend);
}

#[test]
fn killed_at_any_boundary_users_are_led_back_once() {
    killed_everywhere(&RollbackFrontend, STRIDE);
}

#[test]
fn the_plan_of_leading_users_back_has_every_write_of_its_run() {
    assert!(plan_covers(&RollbackFrontend) >= 1, "it rolls back");
}
