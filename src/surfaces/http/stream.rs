//! Streams of server-sent events: how many there may be, what wakes one, and how it learns that nobody listens any more, or
//! nobody who may.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::surfaces::http::authority::{Authority, Credential};
use crate::surfaces::http::gate::admit;
use crate::surfaces::http::listen::left;
use crate::surfaces::http::problem::Problem;
use crate::surfaces::http::serve::Server;

/// Streams of one person: browsers allow six to one server, and somebody has several of them.
const STREAMS_EACH: usize = 32;
/// Streams of everybody.
const STREAMS_MAX: usize = 512;
/// How often something is sent where nothing happens: proxies close what is silent for a minute. Also how soon somebody who
/// is no person any more hears nothing.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(15);
/// How long a client may take nothing.
const TAKEN_WITHIN: Duration = Duration::from_secs(30);
/// Events on their way to a client that is slower than the run.
const WAITING_MAX: usize = 64;

/// Who listens.
pub struct Listener {
    pub name: String,
    pub credential: Credential,
    pub authority: Authority,
}

/// How many streams everybody has open.
#[derive(Debug, Default)]
pub struct Streams(Mutex<BTreeMap<String, usize>>);

/// Room for one of them, until it is dropped.
struct Room {
    server: Arc<Server>,
    name: String,
}

impl Room {
    fn of(server: &Arc<Server>, name: &str) -> Result<Room, Problem> {
        let mut streams = server.streams.0.lock().unwrap_or_else(PoisonError::into_inner);
        if streams.values().sum::<usize>() >= STREAMS_MAX {
            return Err(Problem::new(503, format!("{STREAMS_MAX} streams are open, as many as there may be")).after(5));
        }
        let own = streams.entry(name.to_owned()).or_default();
        if *own >= STREAMS_EACH {
            return Err(
                Problem::new(429, format!("`{name}` has {STREAMS_EACH} streams open, as many as one may")).after(5)
            );
        }
        *own += 1;
        server.tally.streams.fetch_add(1, Ordering::Relaxed);
        Ok(Room { server: Arc::clone(server), name: name.to_owned() })
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.server.tally.streams.fetch_sub(1, Ordering::Relaxed);
        let mut streams = self.server.streams.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = streams.get_mut(&self.name) {
            *own -= 1;
            if *own == 0 {
                streams.remove(&self.name);
            }
        }
    }
}

/// One stream, open until it is dropped.
pub(super) struct Stream {
    room: Room,
    listener: Listener,
    sender: Sender<Bytes>,
    pulse: watch::Receiver<u64>,
    leaving: watch::Receiver<bool>,
    beat: Instant,
}

/// What is sent next, if anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Something may have happened: look again.
    Look,
    /// Nobody listens any more, or the server ends.
    Over,
}

impl Stream {
    /// Opens one; gives what its client is answered.
    ///
    /// # Errors
    /// 429 or 503 if too many listen.
    pub(super) fn open(server: &Arc<Server>, listener: Listener) -> Result<(Stream, Response), Problem> {
        let room = Room::of(server, &listener.name)?;
        let (sender, receiver) = channel(WAITING_MAX);
        let (pulse, leaving) = (server.pulse.clone(), server.leaving.subscribe());
        let stream = Stream { room, listener, sender, pulse, leaving, beat: Instant::now() + HEARTBEAT };
        let headers = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
        Ok((stream, (StatusCode::OK, headers, Body::from_stream(Feed(receiver))).into_response()))
    }

    pub(super) fn server(&self) -> &Server {
        &self.room.server
    }

    /// Whether the client takes it.
    pub(super) async fn send(&self, text: String) -> bool {
        matches!(tokio::time::timeout(TAKEN_WITHIN, self.sender.send(Bytes::from(text))).await, Ok(Ok(())))
    }

    /// Whatever is committed from here on ends the next wait.
    pub(super) fn looks(&mut self) {
        self.pulse.borrow_and_update();
    }

    /// Waits until something is committed, for so long at most; where nothing happens a sign of life is sent now and then,
    /// and asked whether whoever listens still may.
    ///
    /// # Errors
    /// If they may not.
    pub(super) async fn wait(&mut self, at_most: Duration) -> Result<Next, Problem> {
        tokio::select! {
            changed = self.pulse.changed() => return Ok(if changed.is_err() { Next::Over } else { Next::Look }),
            () = left(&mut self.leaving) => return Ok(Next::Over),
            () = self.sender.closed() => return Ok(Next::Over),
            () = tokio::time::sleep(at_most) => {}
        }
        if Instant::now() < self.beat {
            return Ok(Next::Look);
        }
        self.beat = Instant::now() + HEARTBEAT;
        if !self.send(": still here\n\n".to_owned()).await {
            return Ok(Next::Over);
        }
        let (server, credential) = (Arc::clone(&self.room.server), self.listener.credential.clone());
        let authority = self.listener.authority;
        let asked = tokio::task::spawn_blocking(move || admit(&server, &credential, authority).map(drop));
        asked.await.map_err(|_| Problem::new(500, "asking who listens ended in a panic"))??;
        Ok(Next::Look)
    }
}

/// What is on its way to a client.
struct Feed(Receiver<Bytes>);

impl futures_core::Stream for Feed {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context).map(|bytes| bytes.map(Ok))
    }
}
