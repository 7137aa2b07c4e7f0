//! The gate in front of every write: the last question before its first byte.

use std::sync::Arc;

use crate::engine::outcome::{Failure, FailureKind};
use crate::journal::Drive;
use crate::steps::world::World;

/// A world whose writes ask, directly before their first byte, whether this driver still holds the run, and whether
/// writes are on hold. What is refused here has provably not been sent.
pub fn gated(world: &World, drive: &Arc<Drive>) -> World {
    let drive = Arc::clone(drive);
    world.gated(move || match drive.check() {
        Ok(None) => Ok(()),
        Ok(Some(hold)) => {
            let message = format!("all writes are on hold by {}: {}", hold.actor.id, hold.reason);
            Err(Failure::transient(FailureKind::Held, message))
        }
        Err(error) => Err(Failure::new(FailureKind::Policy, error.to_string())),
    })
}
