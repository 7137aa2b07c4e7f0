//! The binary as people and scripts meet it.

mod approvals;
mod asking;
mod authoring;
mod catalogue;
mod commands;
mod completions;
mod confirming;
mod evidence;
mod exports;
mod follow;
mod help;
mod junit;
pub mod kit;
mod people;
mod plans;
mod recording;
mod runs;
mod terminal;
mod testing;
