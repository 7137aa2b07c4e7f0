//! The binary as people and scripts meet it.

mod commands;
mod completions;
mod follow;
mod help;
mod kit;
mod runs;
mod terminal;
