//! Chats: the real server against stand-ins that are as strict as the services they stand for.

mod crash;
mod others;
mod projects;
mod proof;
mod socket;
pub mod standin;
mod story;
