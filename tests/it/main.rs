//! Tests that need more than one module: scenarios, processes, real disks, the binary.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test that can't go on stops where it stands, and a skipped one says so"
)]

mod alerts;
mod approvals;
mod atlas;
mod backups;
mod binary;
mod chat;
mod checks;
mod cli;
mod client;
mod clocks;
mod composites;
mod contracts;
mod crash;
mod database_down;
mod demo;
mod docs;
mod door;
mod driver;
mod engine;
mod gaps;
mod generated;
mod groups;
mod hold;
mod house;
mod incidents;
mod installed;
mod journal;
mod layering;
mod leaks;
mod left;
mod maintenance;
mod mcp;
mod packaging;
mod people;
mod plans;
mod posts;
mod project;
mod pty;
mod railway;
mod readme;
mod redeploy;
mod resend;
mod runbooks;
mod sagas;
mod scenario;
mod scenarios_of_demo;
mod schema;
mod serve;
mod servers;
mod services;
mod shipped;
mod steps;
mod story;
mod tmpfs;
#[cfg(feature = "otel")]
mod traces;
mod transcripts;
mod undo;
mod vercel;
mod web;
mod world;
