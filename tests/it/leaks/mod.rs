//! Nothing leaks: forty ways in which secrets have got out of programs like this one, each with a canary of its own, and
//! every place where they could be seen.

#![expect(clippy::unwrap_used, reason = "a test whose world can't be set up has failed")]

mod cases;
mod echoes;
mod late;
mod panics;
mod processes;
mod search;
mod set;
mod shipped;
mod sinks;
