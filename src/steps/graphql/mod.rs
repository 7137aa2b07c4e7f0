//! What the two GraphQL primitives share: reading a document, and a call with its outcome.

pub(super) mod call;
pub(super) mod document;
