//! What the demo plays on: a world, the target that leads to it, and the runbooks that belong to what is broken there.

use std::any::Any;

use crate::surfaces::cli::demo::world::World;

/// The name of the target.
pub const TARGET: &str = "demo";

/// What the usual demo's platform wants to see. A secret only in form: it opens nothing but the demo's own world.
const PLATFORM_TOKEN: &str = "demo-platform-token-of-a-world-on-loopback";
/// The value of the variable that is missing; as little a secret as the token.
const SESSION_SECRET: &str = "demo-session-secret-of-a-world-on-loopback";

/// A broken world.
pub struct Stage {
    /// What is wrong, as whoever is woken hears it, and where.
    pub outage: (&'static str, String),
    /// The runbook that only looks, run before and after; none where the repair says it all.
    pub look: Option<&'static str>,
    /// The runbook that puts it right.
    pub repair: &'static str,
    /// The text of the target.
    pub target: String,
    /// Secrets of the target: files and what is in them.
    pub secrets: Vec<(&'static str, &'static str)>,
    /// Alive as long as this is.
    pub _world: Box<dyn Any>,
}

impl Stage {
    /// The shortest tour: a platform of its own with a runbook made for it.
    ///
    /// # Errors
    /// If its world can't be started.
    pub fn usual() -> std::io::Result<Stage> {
        let world = World::start(PLATFORM_TOKEN)?;
        let target = format!(
            "version: 1
title: The world of the demo
inputs:
  base_url: {}
  platform_url: {}
secrets:
  PLATFORM_TOKEN: {{ from: file, path: secrets/platform-token, hosts: [127.0.0.1] }}
  SESSION_SECRET: {{ from: file, path: secrets/session-secret, hosts: [127.0.0.1] }}
allow_hosts: [127.0.0.1]
",
            world.backend_url, world.platform_url
        );
        Ok(Stage {
            outage: ("A backend is down", format!("at {}, on a platform made of this process.", world.backend_url)),
            look: None,
            repair: "demo",
            target,
            secrets: vec![("platform-token", PLATFORM_TOKEN), ("session-secret", SESSION_SECRET)],
            _world: Box::new(world),
        })
    }
}
