//! Railway: the actions and runbooks of `stdlib/railway`, against a Railway on loopback.

mod actions;
mod crash_loop;
mod documents;
mod faults;
pub mod kit;
mod left;
mod modules;
pub mod others;
mod program;
mod wire;
