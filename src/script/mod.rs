//! Rhai, made safe for a durable engine: no clock, no files, no randomness, limits on everything.
//!
//! A script that calls a step is stopped by unwinding and replayed from its start with the recorded
//! answers; see [`sandbox`]. This module knows nothing of runbooks, journals or the world.

pub mod address;
pub mod alloc;
mod analysis;
pub mod answers;
pub mod compile;
mod convert;
pub mod cpu;
mod current;
mod errors;
pub mod functions;
mod guards;
pub mod hex;
mod leaves;
pub mod limits;
mod lists;
mod operators;
pub mod sandbox;
pub mod secret;
pub mod value;
