//! The server: what the terminal can do, for people and programs elsewhere, as JSON under `/api/v1`.
//!
//! One table of routes says who may call what; the router, the description of the API and the tests are made from it.
//! Nothing here decides who may do what to a run: that is asked at the door of every surface.

mod acts;
mod authority;
mod call;
mod events;
mod gate;
mod hooks;
mod hosts;
mod jobs;
mod listen;
mod local_token;
mod looks;
mod metrics;
mod moves;
mod openapi;
mod problem;
mod rates;
mod routes;
mod serve;
mod service;
mod starts;
mod stories;
mod tls;

pub use authority::Authority;
pub use hooks::{Heard, Hook, Sent};
pub use hosts::Hosts;
pub use jobs::{Beat, Job};
pub use listen::{Bind, Listening};
pub use local_token::LocalToken;
pub use routes::{Route, TABLE};
pub use serve::{Server, Serving};
pub use service::Handed;
pub use tls::Tls;
