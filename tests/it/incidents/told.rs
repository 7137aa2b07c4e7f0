//! What people read of the incidents: for `transcripts`.

use super::cors_fix::CORS_FIX;
use super::crash_loop::CRASH_LOOP;
use super::mail_down::MailDown;
use super::on_railway::{OnRailway, is_healthy};
use super::rollback_backend::ROLLBACK_BACKEND;
use super::rollback_frontend::RollbackFrontend;
use super::rotate_secrets::RotateSecrets;
use super::sweep::told;
use crate::railway::others;

/// A backend that runs with what it has, beside a database in another project.
const ENV_DRIFT: OnRailway = OnRailway {
    runbook: "env-drift",
    world: || others::world(|_| ()),
    inputs: |_| [("place", "main"), ("other", "Postgres"), ("other_place", "data")].map(owned).to_vec(),
    writes: &[],
    is_well: is_healthy,
    may_stop: false,
};

fn owned((name, value): (&str, &str)) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

/// Each rehearsed and run, and what was printed kept.
pub fn all() {
    told(&CORS_FIX);
    told(&CRASH_LOOP);
    told(&ENV_DRIFT);
    told(&MailDown { account: "" });
    told(&ROLLBACK_BACKEND);
    told(&RollbackFrontend);
    told(&RotateSecrets);
}
