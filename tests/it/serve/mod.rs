//! `rerail serve`: the real binary, asked over its sockets by hand.

mod authority;
mod driving;
pub mod kit;
mod once;
mod service;
mod stream;
mod together;
