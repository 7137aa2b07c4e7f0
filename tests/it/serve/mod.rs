//! `rerail serve`: the real binary, asked over its sockets by hand.

mod authority;
mod driving;
mod kit;
mod once;
mod service;
mod stream;
mod together;
