//! Platforms on loopback that behave as the real ones do, where it matters: they keep state, count what was done to
//! them, and break on demand. A folder for each.

pub mod faults;
pub mod railway;
