//! Discord: interactions over HTTP, signed with Ed25519, and what rerail answers and says there.

pub mod hear;
pub mod modal;
pub mod room;
