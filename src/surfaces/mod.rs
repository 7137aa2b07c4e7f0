//! What people and machines meet. A surface acts only through [`crate::runs`].

pub mod cli;
pub mod client;
pub mod door;
pub mod http;
pub mod shapes;
