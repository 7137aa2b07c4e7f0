//! Socket Mode: one outbound connection per server, through which Slack sends what it would send over HTTP. Each envelope
//! is kept before it is acknowledged.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value as Json, json};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use crate::runbook::chat::Slack;
use crate::runs::{ErrorKind, Received, Runs, RunsError};
use crate::surfaces::chat::asked::Kind;
use crate::surfaces::chat::slack::hear::{Parcel, envelope};
use crate::surfaces::chat::slack::room::method_with;
use crate::surfaces::http::{Job, Server};

/// How often is looked whether the project has a Slack app with a socket.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// First pause before the socket is opened again; then twice as long each time.
const AGAIN_AFTER: Duration = Duration::from_millis(500);
/// The longest such pause.
const AGAIN_AFTER_MAX: Duration = Duration::from_secs(60);
/// How long a connection stands until it counts as a good one, after which the pauses begin anew.
const GOOD_AFTER: Duration = Duration::from_secs(30);
/// How long nothing may come: Slack pings every few seconds, and an address that is gone says nothing.
const SILENT_MAX: Duration = Duration::from_secs(75);
/// How often is asked meanwhile whether the server leaves.
const LEAVING_EVERY: Duration = Duration::from_millis(250);
/// How long a handshake, or one message to Slack, may take.
const SEND_WITHIN: Duration = Duration::from_secs(10);
/// Bytes of an envelope: forms with all their fields are far smaller.
const ENVELOPE_BYTES_MAX: usize = 1024 * 1024;

/// The socket of this server.
pub struct Socket;

impl Job for Socket {
    fn name(&self) -> &'static str {
        "slack-socket"
    }

    fn run(&self, server: &Arc<Server>) {
        let mut pause = AGAIN_AFTER;
        while !server.is_leaving() {
            let Some(runs) = server.door().ok().filter(|runs| app(runs).is_some()) else {
                if !rest(server, LOOK_EVERY) {
                    return;
                }
                continue;
            };
            let begun = Instant::now();
            match listen(server, &runs) {
                // It asked for a new one, as it does every few hours.
                Ok(()) => pause = AGAIN_AFTER,
                Err(error) => {
                    tracing::warn!(%error, "the socket to Slack has ended");
                    if begun.elapsed() >= GOOD_AFTER {
                        pause = AGAIN_AFTER;
                    }
                }
            }
            if !rest(server, pause) {
                return;
            }
            pause = (pause * 2).min(AGAIN_AFTER_MAX);
        }
    }
}

/// The app with a socket, if the project has one.
fn app(runs: &Runs) -> Option<&Slack> {
    runs.project().settings.chat.slack.as_ref().filter(|slack| slack.app_token.is_some())
}

/// Waits, however much happens meanwhile; `false` once the server leaves.
fn rest(server: &Server, pause: Duration) -> bool {
    let until = Instant::now() + pause;
    let mut seen = 0;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if !server.beat.wait(&mut seen, left) {
            return false;
        }
        if left.is_zero() {
            return true;
        }
    }
}

/// Opens a socket and listens until it ends.
fn listen(server: &Arc<Server>, runs: &Arc<Runs>) -> Result<(), RunsError> {
    let broken = |said: String| RunsError::new(ErrorKind::Busy, said);
    let Some((slack, token)) = app(runs).and_then(|slack| Some((slack, slack.app_token.as_ref()?))) else {
        return Ok(());
    };
    let opened = method_with(runs, slack, "app_token", token, "apps.connections.open", &json!({}))
        .map_err(|trouble| broken(trouble.to_string()))?;
    let url = opened["url"].as_str().ok_or_else(|| broken("Slack gave no address for a socket".to_owned()))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| RunsError::new(ErrorKind::Internal, format!("no event loop: {error}")))?;
    runtime.block_on(converse(server, runs, url))
}

async fn converse(server: &Arc<Server>, runs: &Arc<Runs>, url: &str) -> Result<(), RunsError> {
    let broken = |said: &dyn std::fmt::Display| RunsError::new(ErrorKind::Busy, format!("the socket broke: {said}"));
    let connection = runs.dial(url).await?;
    let limits =
        WebSocketConfig::default().max_message_size(Some(ENVELOPE_BYTES_MAX)).max_frame_size(Some(ENVELOPE_BYTES_MAX));
    let shaking = tokio_tungstenite::client_async_with_config(url, connection, Some(limits));
    let (mut socket, _) = timeout(SEND_WITHIN, shaking)
        .await
        .map_err(|late| broken(&late))?
        // Its own words may hold the address, which lets in whoever has it.
        .map_err(|_| broken(&"the other side speaks no WebSocket"))?;
    let mut heard = Instant::now();
    loop {
        if server.is_leaving() {
            timeout(SEND_WITHIN, socket.close(None)).await.ok();
            return Ok(());
        }
        let message = match timeout(LEAVING_EVERY, socket.next()).await {
            Err(_) if heard.elapsed() > SILENT_MAX => return Err(broken(&"nothing came for too long")),
            Err(_) => continue,
            Ok(None) => return Err(broken(&"it was closed")),
            Ok(Some(Err(error))) => return Err(broken(&error)),
            Ok(Some(Ok(message))) => message,
        };
        heard = Instant::now();
        let text = match message {
            Message::Text(text) => text,
            Message::Close(_) => return Err(broken(&"it was closed")),
            // A ping is answered with the next flush.
            Message::Ping(_) => {
                timeout(SEND_WITHIN, socket.flush()).await.ok();
                continue;
            }
            Message::Binary(_) | Message::Pong(_) | Message::Frame(_) => continue,
        };
        let Ok(json) = serde_json::from_str::<Json>(text.as_str()) else { continue };
        match hear(server, runs, &json) {
            Heard::Nothing => {}
            Heard::Over => return Ok(()),
            Heard::Kept(id) => {
                let answer = Message::text(json!({ "envelope_id": id }).to_string());
                match timeout(SEND_WITHIN, socket.send(answer)).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => return Err(broken(&error)),
                    Err(late) => return Err(broken(&late)),
                }
            }
        }
    }
}

/// What an envelope comes to.
enum Heard {
    Nothing,
    /// Slack wants a new socket.
    Over,
    /// To be acknowledged.
    Kept(String),
}

/// Keeps what is in an envelope. What can't be kept is not acknowledged: Slack sends it again.
fn hear(server: &Arc<Server>, runs: &Arc<Runs>, json: &Json) -> Heard {
    let text = |name: &str| json[name].as_str().unwrap_or_default();
    if text("type") == "disconnect" {
        return Heard::Over;
    }
    let id = text("envelope_id");
    if id.is_empty() {
        return Heard::Nothing;
    }
    let parcel = match envelope(text("type"), &json["payload"]) {
        Ok(Parcel::Asked(id, asked)) => Some((id, asked)),
        Ok(Parcel::Challenge(_) | Parcel::Other) => None,
        Err(why) => {
            tracing::warn!(%why, "an envelope of Slack can't be read");
            None
        }
    };
    if let Some((name, asked)) = parcel {
        let kept = serde_json::to_string(&asked).map_err(|error| error.to_string()).and_then(|body| {
            let received = Received { source: Kind::Slack.source(), id: &name, body: &body, matters: BTreeSet::new() };
            runs.receive(&received).map_err(|error| error.message)
        });
        if let Err(why) = kept {
            tracing::warn!(%why, "an envelope of Slack can't be kept");
            return Heard::Nothing;
        }
        crate::failpoint::hit("chat.kept");
        server.beat.tick();
    }
    Heard::Kept(id.to_owned())
}
