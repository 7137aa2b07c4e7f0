//! What surfaces say alike: the plain objects of `-o json`, which the server answers with, and the texts they share.
//!
//! Nothing here decides or performs anything. Fields are only ever added.

pub mod approvals;
pub mod fitness;
pub mod hold;
pub mod lines;
pub mod plan;
pub mod run;
pub mod runbook;
pub mod runbooks;
pub mod runs;
pub mod story;
pub mod verify;
