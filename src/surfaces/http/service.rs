//! What a service manager such as systemd hands to the server, and what the server tells it: sockets that are open
//! already, that it is ready, that it is about to end, and that it is alive.
//!
//! Without one nothing of this happens: the variables that say so are not there.

use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::time::Duration;

use listenfd::ListenFd;
use sd_notify::NotifyState;

use crate::surfaces::cli::error::CliError;
use crate::surfaces::http::serve::Server;

/// Signs of life in the time after which the service manager gives a server up: the second may come late.
const SIGNS_PER_LIMIT: u32 = 2;

/// Sockets that were opened for this process before it began.
#[derive(Debug, Default)]
pub struct Handed {
    pub unix: Option<UnixListener>,
    pub tcp: Option<TcpListener>,
}

impl Handed {
    /// Takes what `LISTEN_FDS` says is there; nothing if it is meant for another process. To be called before there are
    /// threads: it takes the variables out of the environment, so that no child believes them.
    ///
    /// # Errors
    /// If one is no socket that a server could use, or there are two of a kind.
    pub fn take() -> Result<Handed, CliError> {
        let mut given = ListenFd::from_env();
        let mut handed = Handed::default();
        for at in 0..given.len() {
            let twice = |kind: &str| {
                CliError::usage(format!("two sockets of the {kind} were handed to the server, expected one at most"))
                    .hint("take one `ListenStream=` out of the socket unit")
            };
            if let Ok(Some(unix)) = given.take_unix_listener(at) {
                unix.set_nonblocking(true).map_err(|error| broken(at, &error))?;
                if handed.unix.replace(unix).is_some() {
                    return Err(twice("file system"));
                }
                continue;
            }
            let tcp = given.take_tcp_listener(at).map_err(|error| broken(at, &error))?;
            if let Some(tcp) = &tcp {
                tcp.set_nonblocking(true).map_err(|error| broken(at, &error))?;
            }
            if handed.tcp.is_some() {
                return Err(twice("network"));
            }
            handed.tcp = tcp;
        }
        Ok(handed)
    }

    /// Whether nothing was handed over, as on a terminal.
    pub fn is_empty(&self) -> bool {
        self.unix.is_none() && self.tcp.is_none()
    }
}

fn broken(at: usize, error: &std::io::Error) -> CliError {
    CliError::usage(format!("socket {} of those handed to the server can't be used: {error}", at + 1))
        .hint("expected `ListenStream=` with a path or an address in the socket unit")
}

/// Tells the service manager that requests are taken from now on.
pub(super) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// Tells it that the server is about to end, so that it waits for that.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Tells it that the server lives, for as long as it does; ends at once if nobody wants to know.
///
/// A sign is given by the loop that serves requests, and only if the runs were looked after since the last one: a server
/// that hangs in either falls silent, and is killed and started anew, which loses nothing. That the disk is full or the
/// project broken is not a reason: `/readyz` and the figures tell of that, and another process would not do better.
pub(super) async fn live(server: Arc<Server>) {
    let Some(limit) = sd_notify::watchdog_enabled() else { return };
    let mut signs = Signs::default();
    loop {
        if signs.has_moved(server.fleet.looks(), server.is_leaving()) {
            tell(&[NotifyState::Watchdog]);
        }
        tokio::time::sleep(pause(limit)).await;
    }
}

fn pause(limit: Duration) -> Duration {
    limit / SIGNS_PER_LIMIT
}

/// What was seen at the last sign of life.
#[derive(Default)]
struct Signs {
    looks: Option<u64>,
}

impl Signs {
    /// Whether the runs were looked after since the last time this was asked. A server that is about to end looks after
    /// nothing new, and has its own limit.
    fn has_moved(&mut self, looks: u64, leaving: bool) -> bool {
        let before = self.looks.replace(looks);
        leaving || before != Some(looks)
    }
}

fn tell(states: &[NotifyState<'_>]) {
    // Whoever started it without a socket to be told by doesn't want to know.
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the service manager can't be told");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_whose_runs_are_not_looked_after_gives_no_sign_of_life() {
        let mut signs = Signs::default();
        assert!(signs.has_moved(0, false), "the first sign is that it has begun");
        assert!(signs.has_moved(1, false) && signs.has_moved(9, false));
        assert!(!signs.has_moved(9, false) && !signs.has_moved(9, false), "the keeper hangs");
        assert!(signs.has_moved(10, false), "it was only slow");
        assert!(signs.has_moved(10, true), "nothing new is looked after at the end");
    }

    #[test]
    fn a_sign_that_is_late_by_less_than_half_the_limit_is_in_time() {
        assert_eq!(pause(Duration::from_secs(30)), Duration::from_secs(15));
        assert_eq!(pause(Duration::from_micros(1)), Duration::from_nanos(500));
    }
}
