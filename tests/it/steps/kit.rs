//! Loopback servers that do exactly what a test says, and a short way to perform a step.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rerail::engine::outcome::Attempt;
use rerail::runbook::spec::Effect;
use rerail::script::value::{Map, Value};
use rerail::steps::world::{World, WorldSettings};
use rerail::steps::{Primitive, catalog};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

/// A server whose connections all do the same; ends with its test.
pub struct Server {
    pub address: SocketAddr,
    pub connections: Arc<AtomicUsize>,
    /// Everything that was received, by the servers that record it.
    pub received: Arc<Mutex<Vec<u8>>>,
}

impl Server {
    /// Runs `behave` for each connection.
    pub async fn start<F, Fut>(behave: F) -> Server
    where
        F: Fn(TcpStream) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(behave(stream));
            }
        });
        Server { address, connections, received: Arc::default() }
    }

    /// Reads one request, sends these bytes, closes.
    pub async fn answering(answer: impl Into<Vec<u8>>) -> Server {
        let answer: Arc<Vec<u8>> = Arc::new(answer.into());
        let received: Arc<Mutex<Vec<u8>>> = Arc::default();
        let log = Arc::clone(&received);
        let server = Server::start(move |mut stream| {
            let (answer, log) = (Arc::clone(&answer), Arc::clone(&log));
            async move {
                let request = read_request(&mut stream).await;
                log.lock().unwrap().extend(request);
                stream.write_all(&answer).await.ok();
                stream.shutdown().await.ok();
            }
        })
        .await;
        Server { received, ..server }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub fn received(&self) -> String {
        String::from_utf8_lossy(&self.received.lock().unwrap()).into_owned()
    }
}

/// Reads a head and as much body as its Content-Length says.
pub async fn read_request(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> Vec<u8> {
    let mut request = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        if let Some(head) = request.windows(4).position(|four| four == b"\r\n\r\n") {
            let text = String::from_utf8_lossy(&request[..head]).to_lowercase();
            let length = text
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .map_or(0, |length| length.parse::<usize>().unwrap());
            if request.len() >= head + 4 + length {
                return request;
            }
        }
        match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => return request,
            Ok(count) => request.extend_from_slice(&chunk[..count]),
        }
    }
}

/// A whole answer of this status.
pub fn answer(status: &str, headers: &[&str], body: &str) -> Vec<u8> {
    let mut text = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n", body.len());
    for header in headers {
        text.push_str(header);
        text.push_str("\r\n");
    }
    format!("{text}\r\n{body}").into_bytes()
}

/// A world that allows everything the defaults allow, with an open gate.
pub fn open_world() -> World {
    World::new(WorldSettings::default()).gated(|| Ok(()))
}

/// The same, for an attempt that ends soon.
pub fn hurried(world: &World, ms: u64) -> World {
    world.until(Instant::now() + Duration::from_millis(ms))
}

/// Arguments from JSON.
pub fn args(json: serde_json::Value) -> Map {
    match Value::from_data(&json) {
        Value::Map(map) => map,
        other => panic!("arguments are a map, got {other}"),
    }
}

/// Performs one attempt as a driver does.
pub async fn perform(world: &World, action: &str, args: &Map) -> Attempt {
    let entry = catalog::find(action).unwrap();
    match (entry.primitive, entry.spec.effect_with(args)) {
        (Primitive::Read(read) | Primitive::ReadOrWrite(read, _), Effect::Read) => read.perform(world, args).await,
        (Primitive::Write(write) | Primitive::ReadOrWrite(_, write), _) => write.perform(world, args, "key-1").await,
        _ => panic!("{action} is not performed by a driver"),
    }
}

/// Vouches for one certificate of `localhost`, which it holds itself.
pub struct Authority {
    file: tempfile::NamedTempFile,
    key: Vec<u8>,
    key_pem: String,
    certificate: Vec<u8>,
}

impl Authority {
    pub fn for_localhost() -> Authority {
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let signed = rcgen::generate_simple_self_signed(names).unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), signed.cert.pem()).unwrap();
        let key = &signed.signing_key;
        let (key_pem, key) = (key.serialize_pem(), key.serialize_der());
        Authority { file, key, key_pem, certificate: signed.cert.der().to_vec() }
    }

    /// The certificate as a file, for those who shall trust it.
    pub fn path(&self) -> String {
        self.file.path().display().to_string()
    }

    /// The certificate and its key as one file, for servers that want them so.
    pub fn with_key(&self) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        let certificate = std::fs::read_to_string(self.file.path()).unwrap();
        std::fs::write(file.path(), format!("{certificate}{}", self.key_pem)).unwrap();
        file
    }

    /// Accepts TLS with the certificate.
    pub fn acceptor(&self) -> tokio_rustls::TlsAcceptor {
        use rustls::pki_types::{CertificateDer, PrivateKeyDer};
        let chain = vec![CertificateDer::from(self.certificate.clone())];
        let key = PrivateKeyDer::Pkcs8(self.key.clone().into());
        let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        tokio_rustls::TlsAcceptor::from(Arc::new(config))
    }
}
