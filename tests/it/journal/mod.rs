//! The journal against dead processes, full disks and changed bytes.

mod crash;
mod damage;
pub mod disk;
mod drivers;
mod kit;
mod log;
mod old;
