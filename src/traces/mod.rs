//! Runs as traces of OpenTelemetry: the run, its steps, their attempts and the requests these send, told to a collector.
//!
//! Told are names, times and outcomes: never inputs, arguments, outputs, addresses below a host, or messages of failures. What
//! is told is taken from events that may be shown, and through redaction. Nothing waits for a collector: what it does not take
//! in time is given up. Not metrics, not logs, and never a second record: the journal alone says what has happened.
//!
//! Only a build with the feature `otel` tells anything. Others take the same calls, and the same fields of a run.

#[cfg(not(feature = "otel"))]
mod absent;
#[cfg(feature = "otel")]
mod export;
#[cfg(feature = "otel")]
mod request;
#[cfg(feature = "otel")]
mod spans;

#[cfg(not(feature = "otel"))]
pub use absent::{Attempt, Request, Trace, finish, start};
#[cfg(feature = "otel")]
pub use export::{finish, start};
#[cfg(feature = "otel")]
pub use request::{Attempt, Request};
#[cfg(feature = "otel")]
pub use spans::Trace;
