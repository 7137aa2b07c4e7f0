//! Primitives against real sockets: servers that break off, lie, wait for ever or echo secrets.

#![expect(clippy::unwrap_used, reason = "a test whose world can't be set up has failed")]

mod binding;
mod chat;
mod egress;
mod exec;
mod faults;
mod graphql;
pub mod kit;
mod mail;
mod mongo;
mod names;
mod postgres;
mod redis;
mod requests;
mod secrets;
mod settling;
mod tls;
