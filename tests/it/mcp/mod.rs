//! `rerail mcp` as its client sees it: a child process that hears and says lines of JSON, and the same over HTTP.

mod http;
pub mod kit;
mod protocol;
mod reach;
mod sdk;
mod session;
mod tasks;
mod tools;
