//! Servers on loopback, each on its own thread, gone when dropped.

#![expect(clippy::unwrap_used, reason = "a test whose world can't be set up has failed")]

use std::net::TcpListener;
use std::sync::Arc;
use std::thread::JoinHandle;

use axum::Json;
use axum::Router;
use axum::routing::get;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;

/// A backend as it should be, without security headers.
pub fn healthy() -> Router {
    Router::new()
        .route("/", get(|| async { "an API" }))
        .route("/health", get(|| async { Json(serde_json::json!({ "status": "healthy" })) }))
        .route("/api/ping", get(|| async { Json(serde_json::json!({ "pong": true })) }))
}

/// A port for a service of another program: it was free a moment ago, and loopback gives out others first.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A port that refuses, until the tests end: somebody has it and never listens, so no server of another test gets it.
pub fn refused_port() -> u16 {
    let held = tokio::net::TcpSocket::new_v4().unwrap();
    held.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    Box::leak(Box::new(held)).local_addr().unwrap().port()
}

/// Ends its thread when dropped.
struct Stop {
    tell: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Stop {
    /// Runs `serve` on a thread with a runtime of its own until it is told to stop.
    fn after<F: Future<Output = ()>>(serve: impl FnOnce(tokio::net::TcpListener) -> F + Send + 'static) -> (Stop, u16) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (tell, told) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                tokio::select! {
                    () = serve(listener) => {}
                    _ = told => {}
                }
            });
        });
        (Stop { tell: Some(tell), thread: Some(thread) }, port)
    }
}

impl Drop for Stop {
    fn drop(&mut self) {
        drop(self.tell.take());
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the server panicked");
        }
    }
}

/// An HTTP server.
pub struct Http {
    pub url: String,
    _stop: Stop,
}

impl Http {
    pub fn serve(router: Router) -> Http {
        let (stop, port) = Stop::after(|listener| async { axum::serve(listener, router).await.unwrap() });
        Http { url: format!("http://127.0.0.1:{port}"), _stop: stop }
    }
}

/// What is the matter with a certificate for `localhost`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Certificate {
    Good,
    Expired,
    OtherName,
    /// Signed by itself, and nobody was told to trust it.
    Unknown,
}

/// An HTTPS server that answers everything with 200 and a healthy body.
pub struct Tls {
    pub url: String,
    certificate: Certificate,
    trusted: tempfile::NamedTempFile,
    _stop: Stop,
}

impl Tls {
    pub fn serve(certificate: Certificate) -> Tls {
        let name = if certificate == Certificate::OtherName { "other.example.com" } else { "localhost" };
        let mut wish = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        wish.not_before = rcgen::date_time_ymd(2020, 1, 1);
        let year = if certificate == Certificate::Expired { 2021 } else { 2090 };
        wish.not_after = rcgen::date_time_ymd(year, 1, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        let signed = wish.self_signed(&key).unwrap();
        let trusted = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(trusted.path(), signed.pem()).unwrap();
        let chain = vec![CertificateDer::from(signed.der().to_vec())];
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let (stop, port) = Stop::after(move |listener| async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { return };
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let Ok(mut stream) = acceptor.accept(stream).await else { return };
                    let mut request = [0; 4096];
                    if !matches!(stream.read(&mut request).await, Ok(read) if read > 0) {
                        return;
                    }
                    let body = r#"{"status":"healthy"}"#;
                    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close";
                    let answer = format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
                    if stream.write_all(answer.as_bytes()).await.is_ok() {
                        // The other side may have gone already.
                        let _ = stream.shutdown().await;
                    }
                });
            }
        });
        Tls { url: format!("https://localhost:{port}"), certificate, trusted, _stop: stop }
    }

    /// A target that trusts the certificate, unless it is one nobody was told of.
    pub fn target(&self) -> String {
        match self.certificate {
            Certificate::Unknown => "version: 1\ntitle: Nothing more is trusted\n".to_owned(),
            _ => format!("version: 1\ntitle: Trusts the certificate\nca: {}\n", self.trusted.path().display()),
        }
    }
}
