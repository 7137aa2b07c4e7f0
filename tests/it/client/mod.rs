//! `rerail --server`: the real binary as a client of the real server, beside the same story told on one machine.

pub mod kit;
mod moving;
mod plans;
mod story;
pub mod tls;
