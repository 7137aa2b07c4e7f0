//! What `postgres.query` is made of: the address, the connection, one statement, and its values.

pub(super) mod address;
pub(super) mod cell;
pub(super) mod session;
pub(super) mod statement;
