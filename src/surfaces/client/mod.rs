//! The command line as a client of a server: the same commands, words and exit codes, with runs that are elsewhere.

mod answers;
mod asks;
mod remote;
mod sse;
mod watch;
mod wire;

pub use remote::Remote;
pub use wire::{Tell, Wire};
