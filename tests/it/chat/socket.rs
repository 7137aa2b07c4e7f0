//! Socket Mode: an own WebSocket server that gives envelopes and waits for their acknowledgement.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value as Json, json};
use tokio_tungstenite::tungstenite::Message;

use super::standin::{CHANNEL, Slack, text_of};
use super::story::PEOPLE;
use crate::binary::kit::{PATIENCE, until};
use crate::serve::kit::Served;

/// A socket server: what it sends is told to it, what it hears it tells.
struct Hub {
    url: String,
    send: tokio::sync::mpsc::UnboundedSender<Json>,
    heard: Receiver<Json>,
}

impl Hub {
    fn new() -> Hub {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("ws://{}/link/?ticket=fake-ticket", listener.local_addr().unwrap());
        let (send, told) = tokio::sync::mpsc::unbounded_channel();
        let (tell, heard) = channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async { serve(tokio::net::TcpListener::from_std(listener).unwrap(), told, tell).await });
        });
        Hub { url, send, heard }
    }

    #[track_caller]
    fn hears(&self) -> Json {
        self.heard.recv_timeout(PATIENCE).unwrap()
    }
}

/// One connection after the other; each says hello. `{"type": "drop"}` breaks it off.
async fn serve(
    listener: tokio::net::TcpListener,
    mut told: tokio::sync::mpsc::UnboundedReceiver<Json>,
    tell: Sender<Json>,
) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
        socket.send(Message::text(json!({ "type": "hello" }).to_string())).await.unwrap();
        tell.send(json!("connected")).ok();
        loop {
            tokio::select! {
                send = told.recv() => match send {
                    None => return,
                    Some(json) if json["type"] == "drop" => break,
                    Some(json) => {
                        socket.send(Message::text(json.to_string())).await.unwrap();
                        if json["type"] == "disconnect" { break; }
                    }
                },
                heard = socket.next() => match heard {
                    Some(Ok(Message::Text(text))) => drop(tell.send(serde_json::from_str(text.as_str()).unwrap())),
                    Some(Ok(_)) => {}
                    _ => break,
                },
            }
        }
    }
}

fn envelope(id: &str, user: &str, trigger: &str) -> Json {
    json!({
        "type": "slash_commands", "envelope_id": id, "accepts_response_payload": true,
        "payload": {
            "team_id": "T1", "channel_id": CHANNEL, "user_id": user, "text": "runs", "trigger_id": trigger,
        },
    })
}

#[test]
fn envelopes_are_acknowledged_worked_once_and_the_socket_comes_back() {
    let (slack, hub) = (Slack::new(), Hub::new());
    slack.state.lock().unwrap().socket.clone_from(&hub.url);
    let place = slack.project(PEOPLE, true);
    let server = Served::start(&place, "a.sock");
    assert_eq!(hub.hears(), "connected");
    hub.send.send(envelope("e1", "UANA", "t1")).unwrap();
    assert_eq!(hub.hears(), json!({ "envelope_id": "e1" }));
    slack.whisper_with("UANA", "newest runs");
    // Sent again because the acknowledgement was lost: acknowledged again, and not worked again.
    hub.send.send(json!({ "type": "drop" })).unwrap();
    assert_eq!(hub.hears(), "connected");
    hub.send.send(envelope("e2", "UANA", "t1")).unwrap();
    assert_eq!(hub.hears(), json!({ "envelope_id": "e2" }));
    // What is none of ours is acknowledged, or Slack sends it for ever.
    hub.send
        .send(json!({ "type": "events_api", "envelope_id": "e3", "payload": { "type": "event_callback" } }))
        .unwrap();
    assert_eq!(hub.hears(), json!({ "envelope_id": "e3" }));
    hub.send.send(json!({ "type": "disconnect", "reason": "refresh_requested" })).unwrap();
    assert_eq!(hub.hears(), "connected");
    hub.send.send(envelope("e4", "UBEN", "t2")).unwrap();
    assert_eq!(hub.hears(), json!({ "envelope_id": "e4" }));
    slack.whisper_with("UBEN", "newest runs");
    let whispers = slack.state.lock().unwrap().whispers.clone();
    assert_eq!(
        whispers.iter().filter(|(who, _)| who == "UANA").count(),
        1,
        "{:?}",
        whispers.iter().map(|(_, body)| text_of(body)).collect::<Vec<_>>()
    );
    server.signal(rustix::process::Signal::TERM);
    assert_eq!(server.ends(), Some(0));
}

#[test]
fn a_token_that_slack_refuses_stops_nothing_else() {
    let (slack, hub) = (Slack::new(), Hub::new());
    slack.state.lock().unwrap().socket.clone_from(&hub.url);
    let place = slack.project(PEOPLE, true).file("app", "xapp-fake-and-wrong-token");
    let server = Served::start(&place, "a.sock");
    assert_eq!(server.tcp().get("/healthz").status, 200);
    assert!(hub.heard.recv_timeout(Duration::from_secs(2)).is_err(), "no socket without its token");
    // It is put right, and nobody has to start anything anew.
    std::fs::write(place.project().join("app"), super::standin::APP).unwrap();
    until("the socket is open", || hub.heard.try_recv().is_ok());
}
