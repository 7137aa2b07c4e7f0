//! Platforms that exist in this process alone: they keep state, behave as the real ones do where it matters, and count what
//! was done to them. The demo lives among them, and tests do.
//!
//! Here they are answers to requests and nothing else; whoever wants to call one puts it on a socket.

pub mod app;
pub mod http;
pub mod railway;
pub mod railway_volumes;
pub mod resend;
pub mod vercel;

use crate::world::http::{Answer, Request};

/// One of them.
pub trait Platform: Send + 'static {
    /// What a request asks of the platform's API, such as `GET /v9/projects/{id}`; nothing if it is for what runs there.
    fn called(&self, request: &Request) -> Option<String>;

    /// Does what is asked, and says so.
    fn answer(&mut self, request: &Request) -> Answer;
}
