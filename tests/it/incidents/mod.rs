//! The incidents that shipped runbooks put right: each in a broken world of its own, and the same with everything that can
//! go wrong on the way. A file for each; [`sweep`] is what all of them have to stand.

pub mod confusion;
mod cors_fix;
mod crash_loop;
mod mail_down;
mod on_railway;
mod rollback_backend;
mod rollback_frontend;
mod rotate_secrets;
pub mod sweep;
pub mod told;
