//! The deterministic core: no I/O, no clock, no randomness, no async, no hash order.
//!
//! `Facts = fold(events)`; the machine decides on them and says what to perform.

#![deny(clippy::disallowed_methods, clippy::disallowed_types, clippy::print_stdout)]

pub mod approvals;
pub mod change;
pub mod digest;
mod env;
pub mod evaluate;
pub mod event;
pub mod facts;
pub mod ids;
pub mod look_ahead;
pub mod look_back;
pub mod machine;
pub mod outcome;
pub mod overlay;
pub mod plan;
pub mod reopen;
pub mod scope;
pub mod sealed;
pub mod traceparent;
pub mod undo;
mod walk;
pub use walk::leaf::ENGINE_ACTIONS;
