//! The Model Context Protocol: programs that act for a person look, plan, and start what their target allows them.
//!
//! The protocol itself is the official SDK's. What a program may do is decided in `runs/agents.rs` and in the engine, not
//! here: what a tool announces of itself is a hint to its client and protects nobody.

mod acts;
mod call;
mod desk;
mod forms;
mod looks;
mod message;
mod prompts;
mod resources;
mod said;
mod service;
mod starts;
mod stdio;
mod tasks;
mod texts;
mod tools;

pub use desk::{Behalf, Desk};
pub use message::{Reply, one_message};
pub use stdio::{Ended, serve};
