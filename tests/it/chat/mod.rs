//! Chats: the real server against stand-ins that are as strict as the services they stand for.

mod crash;
mod forms;
mod hostile;
mod limits;
mod news;
mod others;
mod projects;
mod proof;
mod proposals;
mod repeats;
mod rooms;
mod services;
mod socket;
pub mod standin;
mod story;
