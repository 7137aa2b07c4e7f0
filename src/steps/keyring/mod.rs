//! The kernel's keyring of the user, as a source of secrets: keys of type `user` in `@u`, which every process of the same
//! user can read. Nothing runs for it and nothing is on a disk; the machine's next start finds it empty.
//!
//! Only a build with the feature `keyring` has it. Others know the source, so that a target means the same to all of them,
//! and say so where it is used. What fails is told as the end of a sentence about the key, and never holds its value.

#[cfg(not(feature = "keyring"))]
mod absent;
#[cfg(feature = "keyring")]
mod kernel;

#[cfg(not(feature = "keyring"))]
pub use absent::{holds, read, replace};
#[cfg(feature = "keyring")]
pub use kernel::{holds, read, replace};
