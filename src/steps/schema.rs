//! Short words for the schemas of primitives.

use crate::runbook::spec::{ArgSpec, OutputSpec};
use crate::runbook::types::Type;
use crate::script::value::Value;

/// An argument that must be given.
pub(super) fn required(name: &'static str, ty: Type, doc: &'static str) -> ArgSpec {
    ArgSpec { name: name.to_owned(), ty, required: true, default: None, doc: doc.to_owned(), fault: None }
}

/// An argument that may be left out.
pub(super) fn optional(name: &'static str, ty: Type, doc: &'static str) -> ArgSpec {
    ArgSpec { name: name.to_owned(), ty, required: false, default: None, doc: doc.to_owned(), fault: None }
}

/// An argument that is `default` when left out.
pub(super) fn defaulted(name: &'static str, ty: Type, default: impl Into<Value>, doc: &'static str) -> ArgSpec {
    ArgSpec { default: Some(default.into()), ..optional(name, ty, doc) }
}

/// The same argument, its texts looked at where they are written out.
pub(super) fn judged(arg: ArgSpec, fault: fn(&str) -> Option<String>) -> ArgSpec {
    ArgSpec { fault: Some(fault), ..arg }
}

/// An output.
pub(super) fn output(name: &str, ty: Type, doc: &str) -> OutputSpec {
    OutputSpec { name: name.to_owned(), ty, doc: doc.to_owned() }
}

/// The type of an argument that takes one of `words`.
pub(super) fn choice(words: &[&str]) -> Type {
    Type::Choice(words.iter().map(|word| (*word).to_owned()).collect())
}
