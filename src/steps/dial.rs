//! Opens TCP connections under the egress rules.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use url::Host;

use crate::engine::outcome::{Failure, FailureKind};
use crate::steps::egress::host_text;
use crate::steps::refusal::cause;
use crate::steps::world::World;

/// Connects to the first address of `host` that answers, each getting its share of the time left.
pub(super) async fn connect(
    world: &World,
    host: &Host,
    port: u16,
    deadline: Instant,
) -> Result<(TcpStream, SocketAddr), Failure> {
    let shown = host_text(host);
    let addresses = match timeout_at(deadline, world.shared.names.addresses(host)).await {
        Ok(addresses) => addresses?,
        Err(_) => return Err(Failure::transient(FailureKind::Timeout, format!("{shown} was not resolved in time"))),
    };
    let mut last = Failure::transient(FailureKind::Connect, format!("{shown} has no address"));
    let count = u32::try_from(addresses.len()).unwrap_or(u32::MAX);
    for (index, address) in (0..count).zip(addresses) {
        let now = Instant::now();
        let share = now + deadline.saturating_duration_since(now) / (count - index);
        match timeout_at(share, TcpStream::connect((address, port))).await {
            Ok(Ok(stream)) => return Ok((stream, SocketAddr::new(address, port))),
            Ok(Err(error)) => last = Failure::transient(FailureKind::Connect, unreached(&shown, address, port, &error)),
            Err(_) => last = Failure::transient(FailureKind::Timeout, unreached(&shown, address, port, &"no answer")),
        }
    }
    Err(last)
}

/// Secures a connection to `host`, whose certificate must be valid and for it.
pub(super) async fn secure(
    world: &World,
    stream: TcpStream,
    host: &Host,
    deadline: Instant,
) -> Result<TlsStream<TcpStream>, Failure> {
    let config = world.shared.trust.client_config()?;
    shake_hands(config, stream, host, deadline).await
}

/// The handshake alone, by the rules of `config`.
pub(super) async fn shake_hands(
    config: rustls::ClientConfig,
    stream: TcpStream,
    host: &Host,
    deadline: Instant,
) -> Result<TlsStream<TcpStream>, Failure> {
    let shown = host_text(host);
    let name = ServerName::try_from(shown.clone())
        .map_err(|_| Failure::new(FailureKind::Tls, format!("{shown} is no name a certificate can be for")))?;
    match timeout_at(deadline, TlsConnector::from(Arc::new(config)).connect(name, stream)).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => {
            let reason = cause::<rustls::Error>(&error).map_or_else(|| error.to_string(), ToString::to_string);
            Err(Failure::new(FailureKind::Tls, format!("{shown} did not finish the handshake: {reason}")))
        }
        Err(_) => {
            Err(Failure::transient(FailureKind::Timeout, format!("{shown} did not finish the handshake in time")))
        }
    }
}

fn unreached(host: &str, address: IpAddr, port: u16, reason: &dyn std::fmt::Display) -> String {
    let socket = SocketAddr::new(address, port);
    format!("{host} can't be reached at {socket}: {reason}")
}

/// Whether a failed look says something of the other side, rather than of what was asked for.
pub(super) fn is_observation(failure: &Failure) -> bool {
    use FailureKind::{Connect, Dns, Network, Timeout, Tls};
    matches!(failure.kind, Dns | Connect | Tls | Timeout | Network)
}
