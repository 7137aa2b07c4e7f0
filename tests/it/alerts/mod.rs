//! Alerts and schedules: what senders send to the real binary, what it starts, and what it never starts.

pub mod kit;
mod listed;
mod load;
mod order;
mod peer;
mod proofs;
mod starts;
