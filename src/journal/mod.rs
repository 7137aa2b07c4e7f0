//! Durable events: one SQLite database a store, one connection that writes, a hash chain a run.
//!
//! Knows nothing of what events mean beyond what the list of runs shows; redaction happens before.

mod apart;
pub mod append;
pub mod chain;
pub mod checkpoint;
mod checkpoints;
pub mod deliveries;
pub mod dir;
pub mod error;
pub mod groups;
pub mod health;
pub mod hold;
pub mod inbox;
pub mod key;
pub mod lease;
pub mod list;
pub mod memory;
pub mod prune;
pub mod read;
pub mod requests;
mod reserve;
pub mod schema;
pub mod shelf;
pub mod store;
pub mod sweep;
mod tables;
#[cfg(test)]
mod testkit;
pub mod ticket;
pub mod verify;
mod wal;
mod writer;

pub use append::{Append, Blob, Committed, Journal, Status};
pub use chain::{Hash, digest};
pub use checkpoint::Checkpoint;
pub use deliveries::{Sent, TakenUp, Turn};
pub use error::Error;
pub use groups::{Claim, Taker, Waiting};
pub use health::{Disk, Health, disk, sqlite_version};
pub use hold::LastHold;
pub use inbox::{PendingSignal, Signal, SignalId};
pub use key::{FILE as KEY_FILE, Fingerprint, PublicKey, Signature, StoreKey};
pub use lease::{Busy, Drive, Holder};
pub use list::{Filter, FindError, RunRow};
pub use memory::Memory;
pub use prune::{Pruner, Tombstone};
pub use read::Line;
pub use requests::{Claimed, KEPT_DAYS, Request};
pub use store::{News, Store};
pub use sweep::Swept;
pub use ticket::Ticket;
pub use verify::{Report, verify, verify_against};
