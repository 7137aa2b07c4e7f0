//! Slack: what it sends over HTTP and over its socket, and what rerail says there.

pub mod blocks;
pub mod hear;
pub mod room;
pub mod socket;
