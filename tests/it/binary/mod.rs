//! What the product promises, proved on the real binary: killed, starved, swallowed, raced and lied to.

#![expect(clippy::unwrap_used, reason = "a test stops where something is wrong")]

mod bounds;
mod doubt;
mod escapes;
pub(crate) mod gate;
mod groups;
mod hostile;
mod kill;
mod killing;
pub(crate) mod kit;
mod leak;
mod leaving;
mod modes;
mod rehearsal;
mod sealed;
mod sources;
mod stalls;
mod storage;
mod two;
mod undo;
