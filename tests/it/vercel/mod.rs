//! Vercel: the actions and runbooks of `stdlib/vercel`, against a Vercel on loopback.

mod actions;
mod faults;
pub mod kit;
mod modules;
mod runbooks;
mod variables;
