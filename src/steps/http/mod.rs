//! What the HTTP primitives share: clients, building a request, the exchange itself, reading the answer.

pub(super) mod answer;
pub(super) mod clients;
pub(super) mod exchange;
pub(super) mod expect;
pub(super) mod message;
