//! The parts of `mongo.ping`: where servers are, and the one message they are asked.

pub(super) mod address;
pub(super) mod message;
