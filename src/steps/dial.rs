//! Opens TCP connections under the egress rules.

use std::net::{IpAddr, SocketAddr};

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use url::Host;

use crate::engine::outcome::{Failure, FailureKind};
use crate::steps::egress::host_text;
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

fn unreached(host: &str, address: IpAddr, port: u16, reason: &dyn std::fmt::Display) -> String {
    let socket = SocketAddr::new(address, port);
    format!("{host} can't be reached at {socket}: {reason}")
}

/// Whether a failed look says something of the other side, rather than of what was asked for.
pub(super) fn is_observation(failure: &Failure) -> bool {
    use FailureKind::{Connect, Dns, Network, Timeout, Tls};
    matches!(failure.kind, Dns | Connect | Tls | Timeout | Network)
}
