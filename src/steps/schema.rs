//! Short words for the schemas of primitives.

use crate::runbook::spec::{ArgSpec, OutputSpec, SEALED, Seal};
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
    OutputSpec { name: name.to_owned(), ty, doc: doc.to_owned(), sealed: Seal::Named }
}

/// An output that is, or is made of, the answer itself: what `sealed: true` seals.
pub(super) fn body(name: &str, ty: Type, doc: &str) -> OutputSpec {
    OutputSpec { sealed: Seal::Body, ..output(name, ty, doc) }
}

/// The argument that says what of an answer is secret. The driver sees to it; a step only declares it.
pub(super) fn sealed() -> ArgSpec {
    optional(SEALED, Type::Any, "`true`, or places in the outputs: what is secret, and so kept encrypted and not shown")
}

/// The type of an argument that takes one of `words`.
pub(super) fn choice(words: &[&str]) -> Type {
    Type::Choice(words.iter().map(|word| (*word).to_owned()).collect())
}
