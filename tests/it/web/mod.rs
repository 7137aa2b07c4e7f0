//! The pages: sessions, forms, what stands on them; and a real browser that uses them.

mod browser;
pub mod chrome;
pub mod kit;
mod many;
mod pages;
mod proposals;
mod sessions;
