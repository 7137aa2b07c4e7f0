//! `triggers` of a runbook and of a project: which alerts and which times start which runbook, and with what.
//!
//! Plain data and plain functions over it. Who may start what, and whether it was started before, is decided elsewhere.

mod alert;
mod check;
mod choose;
mod cron;
mod labels;
mod read;

pub use alert::{Alert, State};
pub use check::check;
pub use choose::{Candidate, chosen, outranked};
pub use cron::{CATCH_UP_MAX, CatchUp, Cron, Overlap, Schedule};
pub use labels::{Labels, Pattern};
pub(in crate::runbook) use read::{CATCH_UPS, In, OVERLAPS, SCHEDULE, TRIGGER, read};
pub use read::{On, Trigger};
