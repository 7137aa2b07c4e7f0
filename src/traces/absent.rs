//! Traces of a build that tells none: the same names, and nothing behind them.

use std::convert::Infallible;

use crate::engine::event::Event;
use crate::engine::ids::{RunId, StepPath};
use crate::engine::outcome::FailureKind;
use crate::engine::traceparent::Traceparent;
use crate::redact::Redactor;

/// Begins nothing.
pub fn start() {}

/// Ends nothing.
pub fn finish() {}

/// The trace of a run; there is none.
#[derive(Clone)]
pub struct Trace(Infallible);

impl Trace {
    /// Never one.
    pub fn of(_run: RunId, _parent: Option<&Traceparent>, _redactor: &Redactor) -> Option<Trace> {
        None
    }

    /// Never called.
    pub fn recall(&self, _events: &[Event]) {
        match self.0 {}
    }

    /// Never called.
    pub fn tell(&self, _events: &[Event]) {
        match self.0 {}
    }

    /// Never called.
    pub fn attempt(&self, _step: &StepPath, _attempt: u32) -> Attempt {
        match self.0 {}
    }
}

/// An attempt of a step; there is none.
#[derive(Clone)]
pub struct Attempt(Infallible);

impl Attempt {
    /// Never called.
    pub fn request(&self, _method: &str, _host: &str, _port: Option<u16>, _scheme: &str) -> Request {
        match self.0 {}
    }
}

/// A request of an attempt; there is none.
pub struct Request(Infallible);

impl Request {
    /// Never called.
    pub fn traceparent(&self) -> String {
        match self.0 {}
    }

    /// Never called.
    pub fn end(self, _status: Option<u16>, _failure: Option<FailureKind>) {
        match self.0 {}
    }
}
