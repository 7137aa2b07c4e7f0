//! Requests of an attempt: the spans below it.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanId, SpanKind, Status};

use crate::engine::outcome::FailureKind;
use crate::traces::spans::{Span, Trace};

/// Methods a collector may see; others are `_OTHER`, as the conventions have it.
const METHODS: [&str; 9] = ["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"];

/// An attempt, as its requests know it.
#[derive(Clone)]
pub struct Attempt {
    pub(super) trace: Trace,
    pub(super) span: SpanId,
    pub(super) requests: Arc<AtomicU64>,
}

impl Attempt {
    /// A request begins now. Of its address only this is told.
    pub fn request(&self, method: &str, host: &str, port: Option<u16>, scheme: &str) -> Request {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let span = self.trace.id(&["request", &self.span.to_string(), &number.to_string()]);
        let method = METHODS.into_iter().find(|known| *known == method).unwrap_or("_OTHER");
        let mut attributes = vec![
            KeyValue::new("http.request.method", method),
            KeyValue::new("server.address", self.trace.shown(host)),
            KeyValue::new("url.scheme", scheme.to_owned()),
        ];
        attributes.extend(port.map(|port| KeyValue::new("server.port", i64::from(port))));
        Request { attempt: self.clone(), span, method, attributes, began: SystemTime::now() }
    }
}

/// A request that was begun.
pub struct Request {
    attempt: Attempt,
    span: SpanId,
    method: &'static str,
    attributes: Vec<KeyValue>,
    began: SystemTime,
}

impl Request {
    /// What the other side is sent, so that its spans stand below this one.
    pub fn traceparent(&self) -> String {
        self.attempt.trace.parent_at(self.span).to_string()
    }

    /// It ends now: with an answer, or without a whole one.
    pub fn end(self, status: Option<u16>, failure: Option<FailureKind>) {
        let Request { attempt, span, method, mut attributes, began } = self;
        attributes.extend(status.map(|status| KeyValue::new("http.response.status_code", i64::from(status))));
        let refused = status.filter(|status| *status >= 400);
        let error = failure.map(|kind| kind.word().to_owned()).or_else(|| refused.map(|status| status.to_string()));
        let broken = error.is_some();
        attributes.extend(error.map(|error| KeyValue::new("error.type", error)));
        attempt.trace.emit(Span {
            id: span,
            parent: attempt.span,
            kind: SpanKind::Client,
            name: Cow::Borrowed(if method == "_OTHER" { "HTTP" } else { method }),
            began,
            ended: SystemTime::now(),
            attributes,
            status: if broken { Status::error("") } else { Status::Unset },
        });
    }
}
