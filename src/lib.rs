//! rerail runs named incident runbooks: YAML with Rhai snippets, durable checkpoints, an honest
//! dry-run and a transcript that can be trusted. ARCHITECTURE.md is the map.

pub mod drivers;
pub mod engine;
pub mod failpoint;
pub mod journal;
pub mod project;
pub mod redact;
pub mod runbook;
pub mod runs;
pub mod script;
pub mod steps;
pub mod surfaces;
pub mod traces;
pub mod transcript;
pub mod world;
