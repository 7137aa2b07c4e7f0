//! `rerail serve`: the real binary, asked over its sockets by hand.

mod authority;
mod driving;
pub mod kit;
mod moves;
mod once;
mod stream;
mod together;
