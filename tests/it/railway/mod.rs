//! Railway: the actions and runbooks of `stdlib/railway`, against a Railway on loopback.

mod actions;
mod backups;
mod crash_loop;
mod documents;
mod faults;
pub mod kit;
mod left;
pub mod modules;
pub mod others;
mod program;
mod wire;
