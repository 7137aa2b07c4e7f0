//! What people and machines meet. A surface acts only through [`crate::runs`].

pub mod alerts;
pub mod chat;
pub mod cli;
pub mod client;
pub mod door;
pub mod http;
pub mod mcp;
pub mod schedules;
pub mod shapes;
pub mod web;
