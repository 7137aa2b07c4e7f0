//! `rerail serve`: the real binary, asked over its sockets by hand.

mod authority;
mod described;
mod driving;
mod egress;
mod killed;
pub mod kit;
mod moves;
mod once;
mod operating;
mod service;
mod stream;
mod together;
