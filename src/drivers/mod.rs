//! The loops that touch the world: each performs the engine's decisions in its own way.
//!
//! `local` does; `rehearsal` looks and plans, and has no way to call a write; `mock` answers from a
//! table with virtual time; `replay` answers from the journal.

pub mod book;
pub mod clock;
pub mod gate;
mod late;
mod leave;
mod line;
pub mod local;
pub mod mock;
pub mod occupant;
pub mod perform;
pub mod pinned;
pub mod rehearsal;
pub mod replay;
pub mod roster;
pub mod seal;
pub mod signals;
pub mod vault;
pub mod watch;
