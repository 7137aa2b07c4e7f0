//! The events of a run as they happen, as server-sent events: the number of an event is its id, so that a client that
//! comes back misses nothing and sees nothing twice.

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

use crate::runs::{RunRow, Runs};
use crate::surfaces::http::authority::{Authority, Credential};
use crate::surfaces::http::gate::admit;
use crate::surfaces::http::listen::left;
use crate::surfaces::http::problem::Problem;
use crate::surfaces::http::serve::Server;
use crate::transcript::jsonl;

/// Streams of one person: browsers allow six to one server, and somebody has several of them.
const STREAMS_EACH: usize = 32;
/// Streams of everybody.
const STREAMS_MAX: usize = 512;
/// How often something is sent where nothing happens: proxies close what is silent for a minute. Also how soon somebody who
/// is no person any more hears nothing.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(15);
/// How often it is looked whether somebody still drives the run: one who leaves it, or dies, records nothing. One row and
/// one lock each.
const DRIVER_EVERY: Duration = Duration::from_millis(500);
/// How long a client may take nothing.
const TAKEN_WITHIN: Duration = Duration::from_secs(30);
/// Events on their way to a client that is slower than the run.
pub(super) const WAITING_MAX: usize = 64;

/// Who listens.
pub struct Listener {
    pub name: String,
    pub credential: Credential,
    pub authority: Authority,
}

/// How many streams everybody has open.
#[derive(Debug, Default)]
pub struct Streams(Mutex<BTreeMap<String, usize>>);

/// One of them, until it is dropped.
pub(super) struct Open {
    server: Arc<Server>,
    name: String,
}

impl Open {
    /// Makes room for one more.
    ///
    /// # Errors
    /// 429 or 503 if there is none.
    pub(super) fn of(server: &Arc<Server>, name: &str) -> Result<Open, Problem> {
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
        Ok(Open { server: Arc::clone(server), name: name.to_owned() })
    }
}

impl Drop for Open {
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

/// Tells a run's events behind the `last` one seen, until it has ended. Who has seen the end of an ended run gets 204, on
/// which browsers stop asking.
///
/// # Errors
/// 400 if `last` is no number; 429 or 503 if too many listen.
pub fn tell(
    server: &Arc<Server>,
    runs: Arc<Runs>,
    listener: Listener,
    run: RunRow,
    last: Option<String>,
) -> Result<Response, Problem> {
    let from = match last.as_deref().map(str::trim) {
        None | Some("") => 0,
        Some(last) => {
            let number: Option<u64> = last.parse().ok();
            let next = number.and_then(|number| number.checked_add(1));
            next.ok_or_else(|| Problem::new(400, format!("`last-event-id` is no number of an event: `{last}`")))?
        }
    };
    if run.ended_at.is_some() && from > run.last_seq {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let open = Open::of(server, &listener.name)?;
    let (sender, receiver) = channel(WAITING_MAX);
    tokio::spawn(async move {
        let server = Arc::clone(&open.server);
        if let Err(why) = pass_on(&server, runs, &listener, run, from, &sender).await {
            let said = server.redactor().redact(&why.to_json().to_string()).into_owned();
            send(&sender, format!("event: problem\ndata: {said}\n\n")).await;
        }
        drop(open);
    });
    let headers = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    Ok((StatusCode::OK, headers, Body::from_stream(Feed(receiver))).into_response())
}

async fn pass_on(
    server: &Arc<Server>,
    runs: Arc<Runs>,
    listener: &Listener,
    run: RunRow,
    from: u64,
    sender: &Sender<Bytes>,
) -> Result<(), Problem> {
    let (mut pulse, mut leaving) = (server.pulse.clone(), server.leaving.subscribe());
    let (mut next, mut sent) = (from, run.last_seq);
    let mut driven_before = None;
    let mut beat = tokio::time::Instant::now() + HEARTBEAT;
    if !send(sender, "retry: 1000\n\n".to_owned()).await {
        return Ok(());
    }
    loop {
        // Whatever is committed from here on wakes the wait below.
        pulse.borrow_and_update();
        let (door, row) = (Arc::clone(&runs), run.clone());
        let read = tokio::task::spawn_blocking(move || {
            // Asked before the events are read: a driver that has left has committed what it will.
            let driven = door.is_driven(&row)?;
            let row = door.existing(row.run)?.unwrap_or(row);
            let events = if row.last_seq >= next { door.events_from(&row, next)? } else { Vec::new() };
            Ok::<_, Problem>((row, events, driven))
        });
        let (row, events, driven) =
            read.await.map_err(|_| Problem::new(500, "reading the events ended in a panic"))??;
        for event in &events {
            let line = jsonl::event(event, run.run);
            let line = server.redactor().redact(&line).into_owned();
            if !send(sender, format!("id: {}\ndata: {line}\n\n", event.seq)).await {
                return Ok(());
            }
            (next, sent) = (event.seq + 1, event.seq);
        }
        if row.ended_at.is_some() && sent >= row.last_seq {
            send(sender, format!("event: end\ndata: {{\"status\":\"{}\"}}\n\n", row.status.word())).await;
            return Ok(());
        }
        if !events.is_empty() {
            continue;
        }
        if driven_before != Some(driven) {
            driven_before = Some(driven);
            if !send(sender, format!("event: driver\ndata: {{\"driven\":{driven}}}\n\n")).await {
                return Ok(());
            }
        }
        tokio::select! {
            changed = pulse.changed() => if changed.is_err() { return Ok(()) },
            () = left(&mut leaving) => return Ok(()),
            () = sender.closed() => return Ok(()),
            () = tokio::time::sleep(DRIVER_EVERY) => {
                if tokio::time::Instant::now() < beat {
                    continue;
                }
                beat = tokio::time::Instant::now() + HEARTBEAT;
                if !send(sender, ": still here\n\n".to_owned()).await {
                    return Ok(());
                }
                let (server, credential, authority) = (Arc::clone(server), listener.credential.clone(), listener.authority);
                let asked = tokio::task::spawn_blocking(move || admit(&server, &credential, authority).map(drop));
                asked.await.map_err(|_| Problem::new(500, "asking who listens ended in a panic"))??;
            }
        }
    }
}

/// Whether the client takes it.
pub(super) async fn send(sender: &Sender<Bytes>, text: String) -> bool {
    matches!(tokio::time::timeout(TAKEN_WITHIN, sender.send(Bytes::from(text))).await, Ok(Ok(())))
}

/// What is on its way to a client.
pub(super) struct Feed(pub(super) Receiver<Bytes>);

impl futures_core::Stream for Feed {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context).map(|bytes| bytes.map(Ok))
    }
}
