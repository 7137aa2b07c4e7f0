//! An answer as outputs: what of it a runbook sees, and the journal keeps.

use reqwest::header::{CONTENT_ENCODING, HeaderMap, HeaderValue};

use crate::redact::Redactor;
use crate::script::limits::VALUE_DEPTH_MAX;
use crate::script::value::{Map, Value};
use crate::steps::http::exchange::BODY_BYTES_MAX;

/// Headers that are kept. Others (cookies first of all) may hold what nobody declared a secret.
const HEADERS: [&str; 47] = [
    "accept-ranges",
    "access-control-allow-credentials",
    "access-control-allow-headers",
    "access-control-allow-methods",
    "access-control-allow-origin",
    "access-control-expose-headers",
    "access-control-max-age",
    "age",
    "allow",
    "cache-control",
    "cf-cache-status",
    "cf-ray",
    "content-encoding",
    "content-language",
    "content-length",
    "content-security-policy",
    "content-security-policy-report-only",
    "content-type",
    "cross-origin-opener-policy",
    "cross-origin-resource-policy",
    "date",
    "etag",
    "expires",
    "last-modified",
    "link",
    "location",
    "permissions-policy",
    "ratelimit-limit",
    "ratelimit-remaining",
    "ratelimit-reset",
    "referrer-policy",
    "retry-after",
    "server",
    "server-timing",
    "strict-transport-security",
    "vary",
    "via",
    "www-authenticate",
    "x-cache",
    "x-content-type-options",
    "x-frame-options",
    "x-powered-by",
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
    "x-request-id",
    "x-vercel-id",
];

/// What came back.
pub(in crate::steps) struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    /// The first bytes of the body, at most [`BODY_BYTES_MAX`].
    pub kept: Vec<u8>,
    /// Bytes of the body that were read.
    pub bytes: u64,
    /// Of all that was read, in hex.
    pub sha256: String,
    /// Until the end of the body.
    pub ms: i64,
}

impl Answer {
    /// The body as text, bytes that aren't UTF-8 replaced; nothing if it is compressed, which was not asked for, or
    /// has a NUL in it: in such a body nobody finds a secret, neither to read it nor to take it out.
    pub(in crate::steps) fn text(&self) -> Option<String> {
        let coded = |value: &HeaderValue| !value.as_bytes().eq_ignore_ascii_case(b"identity");
        let binary = self.headers.get_all(CONTENT_ENCODING).iter().any(coded) || self.kept.contains(&0);
        (!binary).then(|| String::from_utf8_lossy(&self.kept).into_owned())
    }

    /// The body as an output: without secrets if it was cut, because half a secret at the cut is recognised only here.
    pub(in crate::steps) fn text_kept(&self, redactor: &Redactor) -> Option<String> {
        let text = self.text()?;
        Some(if self.bytes > BODY_BYTES_MAX as u64 { redactor.redact_cut(&text) } else { text })
    }

    /// The body as JSON; `()` if it isn't, is nested too deep, or was not kept whole.
    pub(in crate::steps) fn json(&self) -> Value {
        if self.bytes > BODY_BYTES_MAX as u64 {
            return Value::Null;
        }
        match serde_json::from_slice(&self.kept) {
            Ok(json) => Some(Value::from_data(&json)).filter(|value| value.depth() < VALUE_DEPTH_MAX),
            Err(_) => None,
        }
        .unwrap_or_default()
    }

    /// Whether the body is JSON, for all that can be known: one that was not kept whole may be.
    pub(in crate::steps) fn is_json(&self) -> bool {
        self.bytes > BODY_BYTES_MAX as u64 || serde_json::from_slice::<serde::de::IgnoredAny>(&self.kept).is_ok()
    }

    /// The kept headers by lower-case name; several of one name are joined by a comma.
    pub(in crate::steps) fn headers(&self) -> Map {
        let mut kept = Map::new();
        for name in HEADERS {
            let values: Vec<String> = self
                .headers
                .get_all(name)
                .iter()
                .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
                .collect();
            if !values.is_empty() {
                kept.insert(name.to_owned(), Value::from(values.join(", ")));
            }
        }
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(kept: &[u8], encoding: Option<&'static str>) -> Option<String> {
        let headers = encoding.map(|value| (CONTENT_ENCODING, HeaderValue::from_static(value))).into_iter().collect();
        let kept = kept.to_vec();
        Answer { status: 200, headers, bytes: kept.len() as u64, kept, sha256: String::new(), ms: 0 }.text()
    }

    #[test]
    fn half_a_secret_at_the_limit_is_dropped() {
        let redactor = Redactor::new();
        redactor.register("TOKEN", "tok-0123456789-example");
        let kept = [vec![b'x'; 100], b"tok-0123456".to_vec()].concat();
        let answer = |bytes: u64| {
            let (headers, kept, sha256) = (HeaderMap::new(), kept.clone(), String::new());
            Answer { status: 200, headers, kept, bytes, sha256, ms: 0 }.text_kept(&redactor).unwrap()
        };
        assert!(answer(BODY_BYTES_MAX as u64).ends_with("tok-0123456"), "it was whole");
        assert!(answer(BODY_BYTES_MAX as u64 + 1).ends_with("x…"));
    }

    #[test]
    fn what_is_compressed_or_has_a_nul_is_no_text() {
        for plain in [None, Some("identity"), Some("Identity")] {
            assert_eq!(text_of(b"caf\xe9", plain).as_deref(), Some("caf\u{fffd}"), "{plain:?}");
        }
        assert_eq!(text_of(b"", None).as_deref(), Some(""));
        for coded in ["gzip", "br", "identity, gzip"] {
            assert_eq!(text_of(b"text all the same", Some(coded)), None, "{coded}");
        }
        assert_eq!(text_of(b"\x7fELF\0", None), None);
    }
}
