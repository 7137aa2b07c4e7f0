//! Alerts of monitoring, on their way to runs: who sent them, what they say, what of them is new, and what is done then.
//!
//! What may run at once looks and changes nothing; everything else becomes a proposal that a person starts, unless the
//! trigger and the target's policy both say otherwise.

mod begin;
mod generic;
mod groups;
mod hooks;
mod known;
mod pagerduty;
mod planner;
mod prometheus;
mod proof;
pub mod proposals;
pub mod starting;
mod work;

pub use begin::{Ask, Came, REASONS, begin, caller};
pub use hooks::{ALERTMANAGER, GENERIC, GRAFANA, PAGERDUTY, alerts_of};
pub use known::{Done, Known, known};
pub use planner::Planner;
