//! What people and machines meet. A surface acts only through [`crate::runs`].

pub mod chat;
pub mod cli;
pub mod http;
pub mod mcp;
pub mod shapes;
pub mod web;
