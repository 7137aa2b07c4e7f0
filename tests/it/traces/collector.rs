//! A collector on loopback that takes OTLP as it comes, and reads it by hand.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::post;
use serde_json::Value as Json;

use crate::binary::kit::until;
use crate::servers::Http;

/// What was sent: its media type and body.
type Taken = Arc<Mutex<Vec<(String, Vec<u8>)>>>;

/// Keeps all it is sent.
pub struct Collector {
    pub http: Http,
    taken: Taken,
}

/// A span, as far as tests look.
#[derive(Clone, Debug)]
pub struct Span {
    pub trace: String,
    pub id: String,
    pub parent: String,
    pub name: String,
    pub json: Json,
}

impl Collector {
    pub fn serve() -> Collector {
        let taken = Taken::default();
        let router = Router::new().route("/v1/traces", post(take)).with_state(Arc::clone(&taken));
        Collector { http: Http::serve(router), taken }
    }

    /// All bodies of this media type.
    pub fn bodies(&self, media_type: &str) -> Vec<Vec<u8>> {
        let taken = self.taken.lock().unwrap();
        let kinds: Vec<&str> = taken.iter().map(|(kind, _)| kind.as_str()).collect();
        assert!(kinds.iter().all(|kind| *kind == media_type), "{kinds:?}");
        taken.iter().map(|(_, body)| body.clone()).collect()
    }

    /// All spans that were sent as JSON.
    pub fn spans(&self) -> Vec<Span> {
        let mut spans = Vec::new();
        for body in self.bodies("application/json") {
            let json: Json = serde_json::from_slice(&body).unwrap();
            for resource in json["resourceSpans"].as_array().unwrap() {
                for scope in resource["scopeSpans"].as_array().unwrap() {
                    assert_eq!(scope["scope"]["name"], "rerail");
                    spans.extend(scope["spans"].as_array().unwrap().iter().map(Span::of));
                }
            }
        }
        spans
    }

    /// The spans, once the one of this name has come.
    pub fn spans_until(&self, name: &str) -> Vec<Span> {
        until(&format!("the span `{name}` is sent"), || self.spans().iter().any(|span| span.name == name));
        self.spans()
    }

    /// Attributes of what has sent the spans.
    pub fn resource(&self) -> Json {
        let json: Json = serde_json::from_slice(&self.bodies("application/json")[0]).unwrap();
        json["resourceSpans"][0]["resource"].clone()
    }

    /// Whether these bytes were sent anywhere.
    pub fn has_seen(&self, text: &str) -> bool {
        let taken = self.taken.lock().unwrap();
        taken.iter().any(|(_, body)| body.windows(text.len()).any(|window| window == text.as_bytes()))
    }
}

async fn take(State(taken): State<Taken>, headers: HeaderMap, body: Bytes) -> (StatusCode, HeaderMap, &'static str) {
    let kind = headers[header::CONTENT_TYPE].to_str().unwrap().to_owned();
    // An empty message: of protobuf no bytes at all.
    let answer = if kind == "application/json" { "{}" } else { "" };
    taken.lock().unwrap().push((kind, body.to_vec()));
    (StatusCode::OK, HeaderMap::new(), answer)
}

impl Span {
    fn of(json: &Json) -> Span {
        let text = |name: &str| json[name].as_str().unwrap_or_default().to_owned();
        Span {
            trace: text("traceId"),
            id: text("spanId"),
            parent: text("parentSpanId"),
            name: text("name"),
            json: json.clone(),
        }
    }

    pub fn is_error(&self) -> bool {
        self.json["status"]["code"] == 2
    }

    /// The value of an attribute, as text.
    pub fn has(&self, key: &str) -> Option<String> {
        attribute(&self.json["attributes"], key)
    }
}

/// The value of one of these attributes, as text.
pub fn attribute(attributes: &Json, key: &str) -> Option<String> {
    let found = attributes.as_array()?.iter().find(|attribute| attribute["key"] == key)?;
    let value = found["value"].as_object()?.values().next()?;
    Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}

/// `name < parent < …` up to the root, in the order of `spans`.
pub fn lineages(spans: &[Span]) -> Vec<String> {
    let mut lines: Vec<String> = spans
        .iter()
        .map(|span| {
            let mut line = vec![span.name.as_str()];
            let mut parent = &span.parent;
            while let Some(above) = spans.iter().find(|other| other.id == *parent) {
                line.push(&above.name);
                parent = &above.parent;
                assert!(line.len() < 20, "a circle: {line:?}");
            }
            line.join(" < ")
        })
        .collect();
    lines.sort();
    lines
}

/// The fields of a message of protobuf that have a length: number and bytes, in order.
pub fn fields(mut bytes: &[u8]) -> Vec<(u64, &[u8])> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        match key & 7 {
            0 => drop(varint(&mut bytes)),
            1 => bytes = &bytes[8..],
            2 => {
                let length = usize::try_from(varint(&mut bytes)).unwrap();
                fields.push((key >> 3, &bytes[..length]));
                bytes = &bytes[length..];
            }
            5 => bytes = &bytes[4..],
            other => panic!("no kind of field: {other}"),
        }
    }
    fields
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = bytes[0];
        *bytes = &bytes[1..];
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return number;
        }
    }
    panic!("a number without an end");
}
