//! The server: what the terminal can do, for people and programs elsewhere, as JSON under `/api/v1`.
//!
//! One table of routes says who may call what; the router, the description of the API and the tests are made from it.
//! Nothing here decides who may do what to a run: that is asked at the door of every surface.

pub(in crate::surfaces) mod acts;
mod authority;
mod body;
mod browser;
pub mod call;
mod cookies;
mod events;
mod fields;
pub(in crate::surfaces) mod fitness;
mod gate;
mod hooks;
mod hosts;
mod jobs;
mod listen;
mod live;
mod local_token;
pub(in crate::surfaces) mod looks;
mod mcp;
mod metrics;
mod moves;
mod openapi;
mod problem;
pub(in crate::surfaces) mod proof;
mod rates;
mod routes;
mod serve;
mod service;
pub(in crate::surfaces) mod starts;
mod stories;
mod stream;
mod tls;

pub use authority::Authority;
pub(in crate::surfaces) use authority::by_token;
pub use call::{Answer, Call, Knock, plain_name};
pub(in crate::surfaces) use cookies::{clear, set};
pub(in crate::surfaces) use fields::new_key;
pub use hooks::{Heard, Hook, Sent};
pub use hosts::Hosts;
pub use jobs::{Beat, Job};
pub use listen::{Bind, Listening};
pub use live::{How, Piece, Telling, Told};
pub use local_token::LocalToken;
pub use problem::Problem;
pub use routes::{Does, Route, TABLE};
pub use serve::{Listens, Server, Serving};
pub use service::Handed;
pub use tls::Tls;
