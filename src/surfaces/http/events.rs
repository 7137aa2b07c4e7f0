//! The events of a run as they happen, as server-sent events: the number of an event is its id, so that a client that
//! comes back misses nothing and sees nothing twice.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::runs::{RunRow, Runs};
use crate::surfaces::http::problem::Problem;
use crate::surfaces::http::serve::Server;
use crate::surfaces::http::stream::{Listener, Next, Stream};
use crate::transcript::jsonl;

/// How often it is looked whether somebody still drives the run: one who leaves it, or dies, records nothing. One row and
/// one lock each.
const DRIVER_EVERY: Duration = Duration::from_millis(500);

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
    let (mut stream, response) = Stream::open(server, listener)?;
    tokio::spawn(async move {
        if let Err(why) = pass_on(&mut stream, runs, run, from).await {
            let said = stream.server().redactor().redact(&why.to_json().to_string()).into_owned();
            stream.send(format!("event: problem\ndata: {said}\n\n")).await;
        }
    });
    Ok(response)
}

async fn pass_on(stream: &mut Stream, runs: Arc<Runs>, run: RunRow, from: u64) -> Result<(), Problem> {
    let (mut next, mut sent) = (from, run.last_seq);
    let mut driven_before = None;
    if !stream.send("retry: 1000\n\n".to_owned()).await {
        return Ok(());
    }
    loop {
        stream.looks();
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
            let line = stream.server().redactor().redact(&line).into_owned();
            if !stream.send(format!("id: {}\ndata: {line}\n\n", event.seq)).await {
                return Ok(());
            }
            (next, sent) = (event.seq + 1, event.seq);
        }
        if row.ended_at.is_some() && sent >= row.last_seq {
            stream.send(format!("event: end\ndata: {{\"status\":\"{}\"}}\n\n", row.status.word())).await;
            return Ok(());
        }
        if !events.is_empty() {
            continue;
        }
        if driven_before != Some(driven) {
            driven_before = Some(driven);
            if !stream.send(format!("event: driver\ndata: {{\"driven\":{driven}}}\n\n")).await {
                return Ok(());
            }
        }
        if stream.wait(DRIVER_EVERY).await? == Next::Over {
            return Ok(());
        }
    }
}
