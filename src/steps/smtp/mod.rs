//! Mail: what is sent, and the conversation that sends it.

pub(super) mod letter;
pub(super) mod session;
pub(super) mod wire;
