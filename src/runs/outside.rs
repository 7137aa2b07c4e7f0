//! What the program itself asks of services elsewhere, such as a chat, under the rules for names and addresses that
//! steps have. Nothing here is a step, and nothing of it is recorded.

use std::time::Duration;

use tokio::time::{Instant, timeout};
use url::Url;

use crate::runs::Runs;
use crate::runs::drive::on_event_loop;
use crate::runs::error::{ErrorKind, RunsError};
use crate::script::value::Value;
use crate::steps::world::{Connection, World, WorldSettings};

/// How long one request may take: whoever waits for it is a queue, and others wait behind it.
const ASK_WITHIN: Duration = Duration::from_secs(10);
/// Bytes of an answer that are read: those of chats are a few thousand.
const ANSWER_BYTES_MAX: usize = 256 * 1024;

/// A request.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// `POST`, `PATCH` and so on.
    pub method: &'static str,
    pub url: String,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    pub status: u16,
    /// Seconds it asks to be left alone.
    pub retry_after: Option<u64>,
    /// The first part of it.
    pub body: String,
}

impl Runs {
    /// Sends a request once, and waits for the answer. Not to be called where a runtime is driven.
    ///
    /// # Errors
    /// If the address is not allowed, nobody answers in time, or the connection breaks: it may have been done then.
    pub fn ask(&self, outgoing: &Outgoing) -> Result<Incoming, RunsError> {
        let world = self.outside()?;
        on_event_loop(async move {
            let (url, host) = world
                .reveal_url(&Value::from(outgoing.url.as_str()))
                .map_err(|failure| RunsError::failed("an address of rerail.yaml", &failure))?;
            let client = world.read_client().map_err(|failure| RunsError::failed("the HTTP client", &failure))?;
            let method = reqwest::Method::from_bytes(outgoing.method.as_bytes()).unwrap_or_default();
            let request = client.request(method, url).body(outgoing.body.clone());
            let request = outgoing.headers.iter().fold(request, |request, (name, value)| request.header(*name, value));
            match timeout(ASK_WITHIN, exchange(request)).await {
                Ok(Ok(incoming)) => Ok(incoming),
                // What it says may hold the address, and that a secret.
                Ok(Err(error)) => {
                    Err(RunsError::new(ErrorKind::Busy, format!("{host} gave no answer: {}", error.without_url())))
                }
                Err(_) => {
                    let said = format!("{host} gave no answer within {} s", ASK_WITHIN.as_secs());
                    Err(RunsError::new(ErrorKind::Busy, said))
                }
            }
        })?
    }

    /// Connects to the host of an address, with TLS unless it is one of `http` or `ws`.
    ///
    /// # Errors
    /// If it is not allowed, can't be reached, or has no good certificate.
    pub async fn dial(&self, url: &str) -> Result<Connection, RunsError> {
        let wrong = |why: &str| RunsError::new(ErrorKind::Usage, format!("the address to connect to {why}"));
        let parsed = Url::parse(url).map_err(|error| wrong(&format!("is none: {error}")))?;
        let tls = match parsed.scheme() {
            "https" | "wss" => true,
            "http" | "ws" => false,
            other => return Err(wrong(&format!("begins with `{other}`"))),
        };
        let host = parsed.host().ok_or_else(|| wrong("has no host"))?.to_owned();
        let port = parsed.port_or_known_default().ok_or_else(|| wrong("has no port"))?;
        let world = self.outside()?;
        let connected = world.connection(&host, port, tls, Instant::now() + ASK_WITHIN).await;
        connected.map_err(|failure| RunsError::new(ErrorKind::Busy, failure.message))
    }

    fn outside(&self) -> Result<World, RunsError> {
        let ground = self.ground()?;
        Ok(World::new(WorldSettings::of(&ground.root, &ground.settings, None, self.redactor())))
    }
}

async fn exchange(request: reqwest::RequestBuilder) -> Result<Incoming, reqwest::Error> {
    let mut response = request.send().await?;
    let status = response.status().as_u16();
    let after = response.headers().get(reqwest::header::RETRY_AFTER);
    let retry_after = after.and_then(|value| value.to_str().ok()?.trim().parse().ok());
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        let room = ANSWER_BYTES_MAX - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if body.len() >= ANSWER_BYTES_MAX {
            break;
        }
    }
    Ok(Incoming { status, retry_after, body: String::from_utf8_lossy(&body).into_owned() })
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;
    use crate::project::Project;
    use crate::redact::Redactor;

    fn runs(dir: &std::path::Path) -> Runs {
        Runs::open(dir.join("state"), Project::discover(dir).unwrap(), Redactor::new())
    }

    fn post(url: String) -> Outgoing {
        Outgoing { method: "POST", url, headers: vec![("x-a", "b".into())], body: "hello".into() }
    }

    #[test]
    fn an_answer_is_cut_where_it_is_too_long_and_says_when_to_come_again() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/x", listener.local_addr().unwrap());
        let served = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 4096];
            let read = stream.read(&mut request).unwrap();
            let head = "HTTP/1.1 429 Slow\r\nretry-after: 7\r\nconnection: close\r\n\r\n";
            stream.write_all(head.as_bytes()).unwrap();
            // The other side stops reading before its end.
            stream.write_all(&vec![b'x'; ANSWER_BYTES_MAX * 2]).ok();
            String::from_utf8_lossy(&request[..read]).into_owned()
        });
        let dir = tempfile::tempdir().unwrap();
        let incoming = runs(dir.path()).ask(&post(url)).unwrap();
        assert_eq!((incoming.status, incoming.retry_after, incoming.body.len()), (429, Some(7), ANSWER_BYTES_MAX));
        let request = served.join().unwrap();
        assert!(request.starts_with("POST /x HTTP/1.1\r\n") && request.contains("x-a: b"), "{request}");
    }

    #[test]
    fn what_is_not_there_or_never_reached_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let runs = runs(dir.path());
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let error = runs.ask(&post(format!("http://{closed}/"))).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Busy);
        let error = runs.ask(&post("http://169.254.169.254/latest".into())).unwrap_err();
        assert!(error.message.contains("never connected to"), "{error}");
        assert!(runs.ask(&post("file:///etc/passwd".into())).is_err());
    }
}
