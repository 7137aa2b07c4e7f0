//! What `exec.run` is made of: finding a program, a place to run it in, and a child that ends with its step.

pub(super) mod call;
pub(super) mod capture;
pub(super) mod child;
pub(super) mod judge;
pub(super) mod place;
pub(super) mod program;
