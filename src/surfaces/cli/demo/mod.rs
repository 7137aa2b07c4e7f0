//! `rerail demo`: a small broken world in this process, put right by a shipped runbook.

mod play;
mod project;
mod world;

pub use play::run;
