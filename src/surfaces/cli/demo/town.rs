//! Simulated platforms on loopback: the one place where `rerail::world` meets sockets outside the tests.

use std::future::IntoFuture as _;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::{Request as Asked, Response, StatusCode};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::world::Platform;
use crate::world::http::{Answer, Request};

/// Bytes of a request: far above what an action sends.
const BODY_BYTES_MAX: usize = 1024 * 1024;

/// A platform as several addresses may share it.
pub type Shared = Arc<Mutex<dyn Platform>>;

/// One address: what answers there, and what is put before each path, so that one platform can be many hosts.
pub struct Address {
    pub platform: Shared,
    pub below: &'static str,
}

/// All of them, on one thread, gone when dropped.
pub struct Town {
    /// Of each address, without a slash at its end.
    pub urls: Vec<String>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Town {
    /// # Errors
    /// If loopback has no port, or there is no thread.
    pub fn start(addresses: Vec<Address>) -> std::io::Result<Town> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (mut urls, mut served) = (Vec::new(), Vec::new());
        for address in addresses {
            let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
            urls.push(format!("http://{}", listener.local_addr()?));
            served.push((listener, Router::new().fallback(answer).with_state(Arc::new(address))));
        }
        let (stop, stopped) = oneshot::channel();
        let live = move || {
            runtime.block_on(async {
                for (listener, router) in served {
                    // They end with the runtime.
                    drop(tokio::spawn(axum::serve(listener, router).into_future()));
                }
                let _ = stopped.await;
            });
        };
        let thread = std::thread::Builder::new().name("demo town".into()).spawn(live)?;
        Ok(Town { urls, stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Town {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A platform that panicked has been noticed by whoever asked it.
            let _ = thread.join();
        }
    }
}

async fn answer(State(address): State<Arc<Address>>, asked: Asked<Body>) -> Response<Body> {
    let request = match taken(&address, asked).await {
        Some(request) => request,
        None => return sent(&Answer::json(413, "{}")),
    };
    // A platform that panicked once goes on with what it has.
    let answer = address.platform.lock().unwrap_or_else(PoisonError::into_inner).answer(&request);
    sent(&answer)
}

async fn taken(address: &Address, asked: Asked<Body>) -> Option<Request> {
    let (parts, body) = asked.into_parts();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let path = format!("{}{path}", address.below);
    let mut head = format!("{} {path} HTTP/1.1\r\n", parts.method);
    for (name, value) in &parts.headers {
        head.push_str(&format!("{name}: {}\r\n", String::from_utf8_lossy(value.as_bytes())));
    }
    let body = to_bytes(body, BODY_BYTES_MAX).await.ok()?;
    let body = String::from_utf8_lossy(&body).into_owned();
    Some(Request { method: parts.method.to_string(), path, head, body })
}

fn sent(answer: &Answer) -> Response<Body> {
    let mut response = Response::builder().status(answer.status);
    for (name, value) in &answer.headers {
        response = response.header(name, value);
    }
    let broken = |_| {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        response
    };
    response.body(Body::from(answer.body.clone())).unwrap_or_else(broken)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;

    use super::*;

    /// Says what it was asked.
    struct Parrot(usize);

    impl Platform for Parrot {
        fn called(&self, _: &Request) -> Option<String> {
            None
        }

        fn answer(&mut self, request: &Request) -> Answer {
            self.0 += 1;
            let said = format!("{} {} {:?} {}", self.0, request.path, request.header("X-One"), request.body);
            Answer::json(201, said).header("X-Two", "2")
        }
    }

    fn ask(url: &str, path: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
        let head = format!("POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-One: one\r\n");
        // Whoever sends too much may be cut off.
        let mut answer = String::new();
        let sent = write!(stream, "{head}Content-Length: {}\r\n\r\n{body}", body.len());
        let _ = sent.and_then(|()| stream.read_to_string(&mut answer));
        answer
    }

    #[test]
    fn addresses_share_a_platform_and_are_gone_with_their_town() {
        let platform: Shared = Arc::new(Mutex::new(Parrot(0)));
        let address = |below| Address { platform: Arc::clone(&platform), below };
        let town = Town::start(vec![address(""), address("/app")]).unwrap();
        let urls = town.urls.clone();
        let first = ask(&urls[0], "/a?b=c", "hello");
        assert!(first.starts_with("HTTP/1.1 201") && first.contains("x-two: 2"), "{first}");
        assert!(first.ends_with("1 /a?b=c Some(\"one\") hello"), "{first}");
        assert!(ask(&urls[1], "/a", "").ends_with("2 /app/a Some(\"one\") "));
        let large = ask(&urls[0], "/", &"x".repeat(BODY_BYTES_MAX + 1));
        assert!(large.is_empty() || large.starts_with("HTTP/1.1 413"), "{large}");
        drop(town);
        assert!(TcpStream::connect(urls[0].strip_prefix("http://").unwrap()).is_err());
    }
}
