//! Where the server listens, who may be at the other end of it, and every connection until it is closed.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tower_service::Service as _;

use crate::runbook::people::People;
use crate::surfaces::cli::error::CliError;
use crate::surfaces::cli::exit::Exit;
use crate::surfaces::http::authority::Peer;
use crate::surfaces::http::service::Handed;
use crate::surfaces::http::tls::Tls;

/// Connections at once: below what a process may have open without asking.
const CONNECTIONS_MAX: usize = 512;
/// How long a client may take to say what it wants.
const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// How long it may take to agree on how to encrypt: two round trips and some arithmetic, also over a bad line.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// Bytes of what it says before its body.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// How long is waited after the system has refused a connection, as when too many files are open.
const ACCEPT_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// Where to listen.
#[derive(Clone, Debug, Default)]
pub struct Bind {
    pub socket: Option<PathBuf>,
    pub tcp: Option<SocketAddr>,
    /// Whether a proxy that speaks TLS was declared in front of it.
    pub proxied: bool,
    /// Names that were declared.
    pub hosts: Vec<String>,
    /// What is spoken on the network, if not plain text.
    pub tls: Option<Arc<Tls>>,
}

/// What is listened on.
#[derive(Debug)]
pub struct Listening {
    unix: Option<(UnixListener, Option<Own>)>,
    tcp: Option<TcpListener>,
    tls: Option<Arc<Tls>>,
}

/// The file of our socket, removed at the end if it is still ours.
#[derive(Debug)]
struct Own {
    path: PathBuf,
    inode: u64,
}

impl Drop for Own {
    fn drop(&mut self) {
        if std::fs::symlink_metadata(&self.path).is_ok_and(|found| found.ino() == self.inode) {
            std::fs::remove_file(&self.path).ok();
        }
    }
}

impl Bind {
    /// Whether others than the users of this machine could reach it, and nothing is there to stop them.
    ///
    /// # Errors
    /// [`Exit::EXPOSED`] with what is missing.
    pub fn is_safe(&self, people: &People) -> Result<(), CliError> {
        let Some(address) = self.tcp.filter(|address| !address.ip().is_loopback()) else { return Ok(()) };
        let said =
            |missing: &str| CliError::new(Exit::EXPOSED, format!("{address} can be reached by others, and {missing}"));
        if !self.proxied && self.tls.is_none() {
            return Err(said("nothing encrypts what is said there")
                .hint("give a certificate with --tls-cert FILE --tls-key FILE --host NAME")
                .hint("or listen on 127.0.0.1, with a proxy that speaks TLS in front of it")
                .hint("or, if a proxy on another machine does, say so: --behind-proxy --host NAME"));
        }
        if self.hosts.is_empty() {
            return Err(said("no name was declared under which it is called").hint("give it with --host NAME"));
        }
        if people.is_single_operator() {
            return Err(
                said("the project names no people").hint("name them under `people` in rerail.yaml, with `tokens`")
            );
        }
        Ok(())
    }

    /// Listens from now on, where `handed` does so already there.
    ///
    /// # Errors
    /// If an address is taken, or can't be had.
    pub fn listen(&self, handed: Handed) -> Result<Listening, CliError> {
        if !handed.is_empty() {
            let Handed { unix, tcp } = handed;
            return Ok(Listening { unix: unix.map(|unix| (unix, None)), tcp, tls: self.tls.clone() });
        }
        let unix = self.socket.as_deref().map(listen_at).transpose()?.map(|(unix, own)| (unix, Some(own)));
        let tcp = self.tcp.map(|address| {
            let failed = |error: &std::io::Error| {
                CliError::new(Exit::TOOL_FAILED, format!("listening on {address} failed: {error}"))
            };
            let listener = TcpListener::bind(address).map_err(|error| failed(&error))?;
            listener.set_nonblocking(true).map_err(|error| failed(&error))?;
            Ok::<_, CliError>(listener)
        });
        Ok(Listening { unix, tcp: tcp.transpose()?, tls: self.tls.clone() })
    }
}

impl Listening {
    /// The address on the network, with the port that was given.
    pub fn address(&self) -> Option<SocketAddr> {
        self.tcp.as_ref()?.local_addr().ok()
    }
}

/// A socket that only its owner can open. One that a dead server left is replaced.
fn listen_at(path: &Path) -> Result<(UnixListener, Own), CliError> {
    let shown = path.display().to_string();
    if let Ok(found) = std::fs::symlink_metadata(path) {
        let taken = |what: &str| {
            CliError::new(Exit::BUSY, format!("`{shown}` {what}")).hint("give another place: --socket PATH")
        };
        if !found.file_type().is_socket() {
            return Err(taken("is there and is no socket"));
        }
        if UnixStream::connect(path).is_ok() {
            return Err(taken("belongs to another server that is alive"));
        }
        std::fs::remove_file(path).map_err(|error| CliError::io("removing", &shown, &error))?;
    }
    let failed = |error: &std::io::Error| match error.kind() {
        ErrorKind::InvalidInput => {
            CliError::usage(format!("`{shown}` is too long for a socket")).hint("give another place: --socket PATH")
        }
        _ => CliError::io("listening at", &shown, error),
    };
    let listener = UnixListener::bind(path).map_err(|error| failed(&error))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(|error| failed(&error))?;
    let inode = std::fs::symlink_metadata(path).map_err(|error| failed(&error))?.ino();
    listener.set_nonblocking(true).map_err(|error| failed(&error))?;
    Ok((listener, Own { path: path.to_owned(), inode }))
}

/// Takes connections until the server is about to end, then waits until each has had its answer.
pub(super) async fn accept(listening: Listening, router: Router, mut leaving: watch::Receiver<bool>) {
    let Listening { unix, tcp, tls } = listening;
    // The file of the socket goes with this task.
    let (unix, _own) = unix.map_or((None, None), |(unix, own)| (tokio::net::UnixListener::from_std(unix).ok(), own));
    let tcp = tcp.and_then(|tcp| tokio::net::TcpListener::from_std(tcp).ok());
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { break };
        let ended = leaving.clone();
        tokio::select! {
            () = left(&mut leaving) => break,
            Some(_) = connections.join_next() => {}
            taken = from_tcp(tcp.as_ref()) => match taken {
                Ok(stream) => drop(connections.spawn(greet(stream, tls.clone(), router.clone(), ended, slot))),
                Err(_) => tokio::time::sleep(ACCEPT_AGAIN_AFTER).await,
            },
            taken = from_unix(unix.as_ref()) => match taken {
                Ok((stream, uid)) => drop(connections.spawn(attend(stream, Peer::User(uid), router.clone(), ended, slot))),
                Err(_) => tokio::time::sleep(ACCEPT_AGAIN_AFTER).await,
            },
        }
    }
    while connections.join_next().await.is_some() {}
}

/// Waits until the server is about to end.
pub(super) async fn left(leaving: &mut watch::Receiver<bool>) {
    // Nobody can say it any more once the server is gone.
    leaving.wait_for(|leaving| *leaving).await.ok();
}

async fn from_tcp(listener: Option<&tokio::net::TcpListener>) -> std::io::Result<tokio::net::TcpStream> {
    match listener {
        Some(listener) => {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true).ok();
            Ok(stream)
        }
        None => std::future::pending().await,
    }
}

async fn from_unix(listener: Option<&tokio::net::UnixListener>) -> std::io::Result<(tokio::net::UnixStream, u32)> {
    match listener {
        Some(listener) => {
            let (stream, _) = listener.accept().await?;
            let uid = stream.peer_cred()?.uid();
            Ok((stream, uid))
        }
        None => std::future::pending().await,
    }
}

/// Serves a connection from the network, behind TLS if that is spoken there.
async fn greet(
    stream: tokio::net::TcpStream,
    tls: Option<Arc<Tls>>,
    router: Router,
    mut leaving: watch::Receiver<bool>,
    slot: OwnedSemaphorePermit,
) {
    let Some(tls) = tls else { return attend(stream, Peer::Network, router, leaving, slot).await };
    let greeted = tokio::select! {
        greeted = tokio::time::timeout(HANDSHAKE_WITHIN, tls.acceptor().accept(stream)) => greeted,
        () = left(&mut leaving) => return,
    };
    // Who speaks plain text, or trusts somebody else, is told so by the alert that is sent already.
    if let Ok(Ok(stream)) = greeted {
        attend(stream, Peer::Network, router, leaving, slot).await;
    }
}

/// Serves one connection; holds its `slot` until it is closed.
async fn attend<S>(
    stream: S,
    peer: Peer,
    router: Router,
    mut leaving: watch::Receiver<bool>,
    slot: OwnedSemaphorePermit,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(peer);
        let mut router = router.clone();
        async move { router.call(request).await }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN).max_buf_size(HEAD_BYTES_MAX);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    tokio::select! {
        // A client that breaks off, or speaks something else, is nobody's business.
        _ = connection.as_mut() => {}
        () = left(&mut leaving) => {
            connection.as_mut().graceful_shutdown();
            connection.await.ok();
        }
    }
    drop(slot);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runbook::settings::read_settings;
    use crate::runbook::source::Source;

    fn people(text: &str) -> People {
        read_settings(&Source::new("rerail.yaml", format!("version: 1\n{text}\n"))).0.people
    }

    #[test]
    fn a_server_is_open_to_others_only_behind_tls_under_a_name_and_with_people() {
        let ana = people("people: { ana: { os_user: a } }");
        let bind = |tcp: &str, proxied, hosts: &[&str]| Bind {
            tcp: Some(tcp.parse().unwrap()),
            proxied,
            hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
            socket: None,
            tls: None,
        };
        for local in ["127.0.0.1:0", "127.0.0.9:80", "[::1]:80"] {
            bind(local, false, &[]).is_safe(&People::default()).unwrap();
        }
        Bind::default().is_safe(&People::default()).unwrap();
        for wide in ["0.0.0.0:80", "[::]:80", "192.0.2.1:80", "[::ffff:127.0.0.1]:80"] {
            for (proxied, hosts, people, says) in [
                (false, ["ops.example.com"].as_slice(), &ana, "nothing encrypts"),
                (true, &[], &ana, "no name was declared"),
                (true, &["ops.example.com"], &People::default(), "names no people"),
            ] {
                let error = bind(wide, proxied, hosts).is_safe(people).unwrap_err();
                assert!(error.exit == Exit::EXPOSED && error.message.contains(says), "{wide}: {}", error.message);
            }
            bind(wide, true, &["ops.example.com"]).is_safe(&ana).unwrap();
        }
    }

    #[test]
    fn a_socket_is_for_its_owner_and_a_dead_one_is_replaced_but_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.sock");
        let listen = || Bind { socket: Some(path.clone()), ..Bind::default() }.listen(Handed::default());
        let first = listen().unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
        assert!(listen().unwrap_err().message.contains("another server that is alive"));
        drop(first);
        assert!(!path.exists(), "it goes with its server");
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "what a killed server leaves");
        drop(listen().unwrap());
        std::fs::write(&path, "mine").unwrap();
        assert!(listen().unwrap_err().message.contains("is no socket"));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
        let long = dir.path().join("x".repeat(200));
        let error = Bind { socket: Some(long), ..Bind::default() }.listen(Handed::default()).unwrap_err();
        assert!(error.message.contains("too long"), "{}", error.message);
    }
}
