//! What is wrong inside one file, beyond its form: names, types, order, effects of what it says.

mod approvals;
mod arguments;
mod calls;
mod children;
mod facts;
mod file;
mod left;
mod place;
mod polls;
mod reads;
mod scope;
mod sealed;
mod undoes;
mod unused;
mod whole;
mod writes;

pub(in crate::runbook) use arguments::fits;
pub use facts::Facts;
pub use file::check;
pub(in crate::runbook) use reads::only_read;

#[cfg(test)]
mod tests;

#[cfg(test)]
mod whole_language;
