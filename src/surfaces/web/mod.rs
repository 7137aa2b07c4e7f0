//! Pages for people with a browser: on a phone at night as at a desk. Every action is a form, so all of it works without
//! the script, which only keeps a page as it is now.
//!
//! Nothing here decides who may do what: a form is done by what does the same request of the API.

pub mod acts;
pub mod admin;
pub mod approval;
pub mod assets;
pub mod books;
pub mod exports;
mod fields;
mod frame;
pub mod home;
#[cfg(test)]
mod hostile;
pub mod lists;
pub mod live;
pub mod login;
mod paper;
pub mod problems;
pub mod proposal;
pub mod run;
pub mod sessions;
pub mod starting;
mod steps;
mod view;
