//! Backups, restores, migrations and commands elsewhere, with the tools themselves against real servers.

mod killed;
mod kit;
mod mongo;
mod postgres;
mod rollback;
mod ssh;
pub mod told;
