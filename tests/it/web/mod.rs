//! The pages: sessions, forms, and what stands on them.

mod kit;
mod pages;
mod sessions;
