//! The language: YAML text to a checked runbook. Knows nothing of runs and reads no files.

pub mod check;
pub mod codes;
pub mod contexts;
pub mod fields;
pub mod lower;
pub mod lower_inputs;
pub mod lower_steps;
pub mod lower_times;
pub mod lower_whole;
pub mod lower_writes;
pub mod mail;
pub mod model;
pub mod modules;
pub mod nearest;
pub mod node;
pub mod problem;
pub mod program;
pub mod reach;
pub mod reader;
pub mod render;
pub mod scalar;
pub mod settings;
pub mod sites;
pub mod snippet;
pub mod snippets;
pub mod source;
pub mod spec;
pub mod syntax;
#[cfg(test)]
pub(crate) mod testing;
pub mod types;
pub mod words;
